"""Analysis of trajectories whose answers are known."""

import numpy as np
import pytest

from mdlite import analysis

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
