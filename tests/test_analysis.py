"""Analysis of trajectories whose answers are known."""

import numpy as np
import pytest

from mdlite import analysis
from mdlite.errors import InputError
from mdlite.protocols.framework import gaussian_norm

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


def test_ions_of_one_lattice_are_one_sample():
    """Ions that share most of their noise: between lattices the error is honest, between ions it would be ten times too small."""
    rng, pulls, ratios = np.random.default_rng(6), [], []
    groups = np.repeat(np.arange(12), 100)
    for _ in range(60):
        shared = rng.normal(size=(1, 12, 3)).repeat(100, axis=1)
        velocity = np.sqrt(2.0) * (0.95 * shared + np.sqrt(1.0 - 0.95**2) * rng.normal(size=(1, 1200, 3)))
        mean, error = analysis.kinetic_temperature(velocity, np.array([0.5, 0.5, 0.5]), groups=groups)
        naive = analysis.kinetic_temperature(rng.permuted(velocity, axis=1), np.array([0.5, 0.5, 0.5]), blocks=100)[1]
        pulls.append((mean[0] - 1.0) / error[0])
        ratios.append(error[0] / naive[0])
    assert 0.6 < np.std(pulls) < 1.7 and np.mean(ratios) > 3.0


def test_diffusion_between_groups():
    """D of groups whose truth differs: the error is the scatter of the groups, the bootstrap interval holds their mean."""
    rng, time = np.random.default_rng(7), 0.1 * np.arange(300)
    truth = np.linspace(0.5, 1.5, 8)
    position = np.concatenate([walk(300, 60, 0.1, d * np.eye(3), rng) for d in truth], axis=1)
    found = analysis.diffusion(time, position, (0.5, 2.0), groups=np.repeat(np.arange(8), 60))
    assert np.allclose(found.samples, truth, rtol=0.15)
    assert found.error == pytest.approx(truth.std(ddof=1) / np.sqrt(8), rel=0.2)
    assert found.interval[0] < 1.0 < found.interval[1] and np.all(np.diag(found.tensor_error) > 0.05)
    with pytest.raises(InputError, match="must have one for each of the 480 ions"):
        analysis.diffusion(time, position, (0.5, 2.0), groups=np.arange(5))


def test_bootstrap_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(8)
    held = [low < 3.0 < high for low, high in (analysis.bootstrap(rng.normal(3.0, 1.0, 40), rng, 0.9) for _ in range(400))]
    assert abs(np.mean(held) - 0.88) < 5.0 * np.sqrt(0.1 / 400)


def staircase(cells, stay, spacing):
    """An ion that rests ``stay`` frames at the centre of each of the cells in turn, with a jitter that never leaves the core."""
    rng = np.random.default_rng(9)
    path = np.repeat((np.array(cells) + 0.5) * spacing, stay, axis=0)
    return path + rng.uniform(-0.2, 0.2, path.shape) * spacing


def test_hops_of_a_known_walk():
    """Face, back, face, edge, corner and a double step; a second ion that only visits the border."""
    cells = [(0, 0, 0), (1, 0, 0), (0, 0, 0), (0, 1, 0), (1, 2, 0), (2, 3, 1), (4, 3, 1)]
    one = staircase(cells, 5, 3.0)
    idle = np.full_like(one, 1.5)
    idle[::4, 0] = 3.1  # across the border, not to the core beyond it
    position = np.stack([one, idle], axis=1)
    time = 0.1 * np.arange(len(one))
    found = analysis.hops(time, position, 3.0)
    h = np.diff(cells, axis=0)
    assert found.count == 6 and found.rate == pytest.approx(3.0 / time[-1])
    assert found.dwell == pytest.approx(1.0 / found.rate) and found.shares == pytest.approx(
        {"face": 0.5, "edge": 1 / 6, "corner": 1 / 6, "farther": 1 / 6}
    )
    assert found.correlation == pytest.approx(np.mean(np.sum(h[1:] * h[:-1], axis=1)) / np.mean(np.sum(h * h, axis=1)))
    assert found.diffusion == pytest.approx(found.rate * np.mean(np.sum(h * h, axis=1)) * 9.0 / 6.0)
    none = analysis.hops(time, idle[:, None], 3.0)
    assert none.count == 0 and none.rate == 0.0 and none.diffusion == 0.0 and np.isnan(none.correlation)


def test_lattice_walks_have_uncorrelated_hops():
    """A random walk on the cells: correlation 0, and D of the hops is D of the mean square displacement."""
    rng = np.random.default_rng(10)
    frames, ions = 600, 200
    jump = (
        (rng.random((frames, ions)) < 0.1)[..., None]
        * np.eye(3)[rng.integers(0, 3, (frames, ions))]
        * rng.choice([-1, 1], (frames, ions, 1))
    )
    position = 3.0 * (np.cumsum(jump, axis=0) + 0.5)
    time = 0.1 * np.arange(frames)
    found = analysis.hops(time, position, 3.0)
    slope = analysis.diffusion(time, position, (1.0, 5.0))
    assert found.rate == pytest.approx(1.0, abs=5.0 * found.rate_error) and found.rate_error < 0.02
    assert abs(found.correlation) < 5.0 / np.sqrt(found.count) and found.shares["face"] == 1.0
    assert abs(found.diffusion - slope.value) < 5.0 * np.hypot(slope.error, found.diffusion * found.rate_error)


def test_a_mean_square_is_not_negative():
    """Also of ions that hardly move, or not at all, or only in one direction."""
    time = np.linspace(0.0, 1.0, 91)[:, None, None]
    for moved in (0.0, 1e-9, 1e-7) * np.ones((1, 1, 3)).T:
        place = 10.0 + moved[0] * np.sin(7.0 * time + np.arange(3)) + np.array([0.0, 0.1, 0.3])[:, None] * [0.0, 0.0, 1.0] * time
        found = analysis.mean_square_displacement(place, 60)
        assert (np.diagonal(found, axis1=2, axis2=3) >= 0.0).all()
        direct = [np.mean((place[n:] - place[: 91 - n]) ** 2, axis=0) for n in range(60)]
        assert np.allclose(np.diagonal(found, axis1=2, axis2=3), direct, rtol=0.0, atol=1e-15)


def test_van_hove_of_brownian_paths_is_gaussian():
    rng, time = np.random.default_rng(11), 0.1 * np.arange(100)
    position = walk(100, 4000, 0.1, 0.5 * np.eye(3), rng)
    edges = np.linspace(0.0, 12.0, 61)
    found = analysis.van_hove(time, position, [0.5, 4.0], edges)
    for lag, row in zip((0.5, 4.0), found):
        sigma = np.sqrt(2.0 * 0.5 * lag)
        exact = np.diff(gaussian_norm(edges / sigma)) / np.diff(edges)
        assert np.abs(row - exact).max() < 0.05 / sigma  # five standard errors of a bin
        assert (row * np.diff(edges)).sum() == pytest.approx(1.0, abs=1e-3)
    assert np.abs(analysis.non_gaussian(time, position, [0.5, 4.0])).max() < 0.05
    with pytest.raises(InputError, match=r"lag = 30 ps: .* shorter than the 9.9 ps"):
        analysis.van_hove(time, position, [30.0], edges)


def test_thermalisation_fit():
    time, rng = np.linspace(0.0, 10.0, 101), np.random.default_rng(12)
    exact = analysis.thermalisation(time, 20.0 - 18.0 * np.exp(-time / 1.3))
    assert exact.plateau == pytest.approx(20.0) and exact.time == pytest.approx(1.3)
    pulls = []
    for _ in range(50):
        found = analysis.thermalisation(time, 20.0 - 18.0 * np.exp(-time / 1.3) + rng.normal(0.0, 0.5, len(time)))
        pulls.append([(found.plateau - 20.0) / found.plateau_error, (found.time - 1.3) / found.time_error])
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 5.0 / np.sqrt(50)) and np.all(np.std(pulls, axis=0) < 1.6)
    with pytest.raises(InputError, match="needs five"):
        analysis.thermalisation(time[:4], time[:4])


def test_green_kubo_with_its_error():
    """Ornstein-Uhlenbeck velocities again: D = T/(Mγ) within the errors, whatever the groups."""
    rng, gamma, step = np.random.default_rng(13), 2.0, 0.05
    velocity = np.empty((4000, 24, 3))
    velocity[0] = rng.normal(size=(24, 3))
    for n in range(1, len(velocity)):
        velocity[n] = np.exp(-gamma * step) * velocity[n - 1] + np.sqrt(1.0 - np.exp(-2.0 * gamma * step)) * rng.normal(
            size=(24, 3)
        )
    time = step * np.arange(len(velocity))
    for groups in (None, np.repeat(np.arange(6), 4)):
        value, error = analysis.green_kubo(time, velocity, 4.0, groups)
        assert abs(value - 0.5) < 5.0 * error < 0.2
    with pytest.raises(InputError, match="until = 1000 ps"):
        analysis.green_kubo(time, velocity, 1000.0)


def test_arrhenius_tells_a_bend():
    """On a line χ² per degree of freedom is about 1; where D bends away it is not."""
    energies, rng = np.array([10.0, 15.0, 20.0, 30.0, 50.0]), np.random.default_rng(14)
    line = 9.0 * np.exp(-45.0 / energies)
    found = [analysis.arrhenius(energies, line * (1.0 + 0.02 * rng.normal(size=5)), 0.02 * line).chi_square for _ in range(100)]
    assert np.mean(found) == pytest.approx(1.0, abs=5.0 * np.sqrt(2.0 / 3.0 / 100))
    assert analysis.arrhenius(energies, line * energies, 0.02 * line * energies).chi_square > 20.0
    assert np.isnan(analysis.arrhenius(energies[:2], line[:2], 0.1 * line[:2]).chi_square)
