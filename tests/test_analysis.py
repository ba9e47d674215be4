"""Analysis of trajectories whose answers are known."""

import numpy as np
import pytest

from mdlite import analysis
from mdlite.errors import InputError

RATE, OMEGA = 0.3, 10.0


def damped(step):
    t = np.arange(0.0, 20.0, step)
    decay = np.exp(-0.5 * RATE * t)
    x = decay * np.sin(OMEGA * t)
    return t, x + 2.0, decay * (OMEGA * np.cos(OMEGA * t) - 0.5 * RATE * np.sin(OMEGA * t))


def test_crossings_of_a_damped_oscillation():
    """Crossing times are n π/ω exactly, the error falls as step⁴; the speed there is ω times the envelope."""
    errors = []
    for step in (0.02, 0.01):
        t, x, v = damped(step)
        found = analysis.crossings(t, x, v, 2.0)
        exact = np.pi / OMEGA * np.arange(1, len(found.time) + 1)
        errors.append(np.abs(found.time - exact).max())
        assert np.allclose(np.abs(found.velocity), OMEGA * np.exp(-0.5 * RATE * exact), rtol=1e-3)
    assert errors[1] < 1e-5
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4.0, abs=0.3)


def test_rate_and_period():
    t, x, v = damped(0.005)
    found = analysis.crossings(t, x, v, 2.0)
    fit = analysis.fit_decay(found.time, found.velocity**2, (2.0, 18.0))
    assert fit.rate == pytest.approx(RATE, rel=1e-5) and fit.error < 1e-5 and fit.points == 51
    assert analysis.mean_period(found.time, (2.0, 18.0)) == pytest.approx(2 * np.pi / OMEGA, rel=1e-6)


def test_rate_against_energy():
    t, x, v = damped(0.005)
    found = analysis.crossings(t, x, v, 2.0)
    energy, rate = analysis.decay_against_energy(found.time, found.velocity**2)
    assert np.allclose(rate, RATE, rtol=1e-4) and np.all(np.diff(energy) < 0.0) and len(rate) == len(found.time) - 2


def test_too_little_to_fit():
    assert np.isnan(analysis.fit_decay(np.array([1.0, 2.0]), np.array([1.0, 0.5]), (0.0, 3.0)).rate)
    assert np.isnan(analysis.mean_period(np.array([1.0, 2.0]), (0.0, 3.0)))
    assert len(analysis.crossings(np.arange(3.0), np.ones(3), np.zeros(3), 0.0).time) == 0


def test_a_sample_on_the_level_is_one_crossing():
    t = np.linspace(-1.0, 1.0, 11)
    found = analysis.crossings(t, t, np.ones(11), 0.0)
    assert found.time == pytest.approx([0.0], abs=1e-12)


def walk(frames, ions, step, diffusion, rng):
    """Brownian paths (frames, ions, 3) with the tensor ``diffusion`` (3, 3)."""
    root = np.linalg.cholesky(2.0 * step * diffusion)
    return np.cumsum(rng.normal(size=(frames, ions, 3)) @ root.T, axis=0)


def test_displacement_moments_against_the_definition():
    position = np.random.default_rng(2).normal(size=(30, 3, 3)).cumsum(axis=0) + 100.0
    found = analysis.mean_square_displacement(position, 30)
    for n in (0, 1, 7, 29):
        d = position[n:] - position[: len(position) - n]
        assert np.allclose(found[n], np.einsum("kia,kib->iab", d, d) / len(d), atol=1e-9)


def test_diffusion_of_brownian_paths():
    """D, its tensor and its error: 40 independent estimates lie about the truth with the spread that the errors claim."""
    rng, tensor = np.random.default_rng(3), np.array([[0.5, 0.1, 0.0], [0.1, 0.3, 0.0], [0.0, 0.0, 0.2]])
    truth, time = np.trace(tensor) / 3.0, 0.1 * np.arange(400)
    for ions in (50, 1):
        found = [analysis.diffusion(time, walk(400, ions, 0.1, tensor, rng), (0.5, 2.0)) for _ in range(40)]
        pulls = np.array([(f.value - truth) / f.error for f in found])
        assert abs(pulls.mean()) < 5.0 / np.sqrt(40) * max(1.0, pulls.std()) and 0.6 < pulls.std() < 1.7
    many = analysis.diffusion(time, walk(400, 2000, 0.1, tensor, rng), (0.5, 2.0))
    assert np.abs(many.tensor - tensor).max() < 0.02


def test_pieces_are_cut_without_overlap():
    position = np.arange(23 * 2 * 3, dtype=float).reshape(23, 2, 3)
    pieces = analysis.cut(position, 5)
    assert pieces.shape == (5, 8, 3)
    assert np.array_equal(pieces[:, 0], position[:5, 0]) and np.array_equal(pieces[:, 7], position[15:20, 1])
    with pytest.raises(InputError, match="the trajectory has 23"):
        analysis.cut(position, 24)


def test_green_kubo_of_langevin_velocities():
    """Ornstein-Uhlenbeck velocities: C(t) = 3 T/M e^{-γt}, D = T/(Mγ)."""
    rng, gamma, step = np.random.default_rng(4), 2.0, 0.02
    decay = np.exp(-gamma * step)
    velocity = np.empty((20000, 20, 3))
    velocity[0] = rng.normal(size=(20, 3))
    for n in range(1, len(velocity)):
        velocity[n] = decay * velocity[n - 1] + np.sqrt(1.0 - decay**2) * rng.normal(size=(20, 3))
    correlation = analysis.velocity_autocorrelation(velocity, 200)
    assert np.abs(correlation - 3.0 * np.exp(-gamma * step * np.arange(200))).max() < 0.1
    assert np.trapezoid(correlation, dx=step) / 3.0 == pytest.approx(1.0 / gamma, rel=0.05)
    mean, error = analysis.kinetic_temperature(velocity, np.array([2.0, 2.0, np.inf]))
    assert np.all(np.abs(mean[:3] - 2.0) < 5.0 * error[:3]) and np.all(error[:3] < 0.06) and np.isnan(mean[3])


def test_arrhenius_fit():
    energies = np.array([10.0, 20.0, 40.0])
    exact = analysis.arrhenius(energies, 9.0 * np.exp(-45.0 / energies), np.array([0.01, 0.1, 0.2]))
    assert exact.log_prefactor == pytest.approx(np.log(9.0)) and exact.barrier == pytest.approx(45.0)
    rng, pulls = np.random.default_rng(5), []
    for _ in range(200):
        truth = 9.0 * np.exp(-45.0 / energies)
        fit = analysis.arrhenius(energies, truth * (1.0 + 0.02 * rng.normal(size=3)), 0.02 * truth)
        pulls.append([(fit.log_prefactor - np.log(9.0)) / fit.log_prefactor_error, (fit.barrier - 45.0) / fit.barrier_error])
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 5.0 / np.sqrt(200)) and np.all(np.abs(np.std(pulls, axis=0) - 1.0) < 0.25)


def test_analysis_refuses_what_it_can_not_do():
    time, position = 0.1 * np.arange(50), np.zeros((50, 2, 3))
    with pytest.raises(InputError, match=r"fit = 1 to 20 ps: .* run for longer"):
        analysis.diffusion(time, position, (1.0, 20.0))
    with pytest.raises(InputError, match="lags = 51"):
        analysis.mean_square_displacement(position, 51)
    with pytest.raises(InputError, match="needs two at least"):
        analysis.arrhenius([25.0, 25.0], [1.0, 1.0], [0.1, 0.1])
    with pytest.raises(InputError, match="must be positive"):
        analysis.arrhenius([25.0, 50.0], [1.0, -1.0], [0.1, 0.1])
