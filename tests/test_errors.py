"""Errors and intervals against processes whose truth is known: they hold it as often as they say, and claim nothing that is not there."""

import numpy as np
import pytest

from mdlite import analysis
from mdlite.analysis import brownian
from mdlite.analysis.statistics import block_means, count_interval, count_limit, inefficiency, interval, student
from mdlite.errors import InputError


def walks(frames, ions, step, rng, diffusion=1.0, noise=0.0):
    """Brownian paths (frames, ions, 3), seen with a ``noise`` (Å) that has no memory."""
    path = np.cumsum(rng.normal(size=(frames, ions, 3)) * np.sqrt(2.0 * step * diffusion), axis=0)
    return path + noise * rng.normal(size=path.shape)


def thermal_path(frames, ions, step, rate, rng, fine=5):
    """Positions and velocities of ions with <v²> = 1 for each axis that forget their velocity at ``rate``; D = 1/rate."""
    keep = np.exp(-rate * step / fine)
    v = np.empty((frames * fine, ions, 3))
    v[0] = rng.normal(size=(ions, 3))
    for n in range(1, len(v)):
        v[n] = keep * v[n - 1] + np.sqrt(1.0 - keep**2) * rng.normal(size=(ions, 3))
    return np.cumsum(v, axis=0)[::fine] * step / fine, v[::fine]


@pytest.mark.parametrize("lattices", [2, 3, 4, 6, 12])
def test_intervals_hold_the_truth_from_two_lattices_on(lattices):
    """D of random walks and T of Gaussian velocities: 95 % within five standard errors of 400 trials (which 0.53 to 0.9 are not)."""
    rng, time, held = np.random.default_rng(lattices), 0.1 * np.arange(120), []
    groups = np.repeat(np.arange(lattices), 2)
    for _ in range(400):
        found = analysis.diffusion(time, walks(120, 2 * lattices, 0.1, rng), (0.5, 2.0), groups=groups)
        low, high = interval(
            analysis.temperature_samples(rng.normal(size=(20, 2 * lattices, 3)), np.ones(3), groups=groups)[:, 0]
        )
        held.append([found.interval[0] < 1.0 < found.interval[1], low < 1.0 < high])
    assert np.all(np.abs(np.mean(held, axis=0) - 0.95) < 5.0 * np.sqrt(0.95 * 0.05 / 400)), np.mean(held, axis=0)


def test_intervals_are_student_s():
    """Against the tables: t = 12.706, 4.303, 2.201 for 1, 2, 11 degrees of freedom; resampling says the same of few, and no less of many."""
    assert [student(n) for n in (1, 2, 11)] == pytest.approx([12.706, 4.303, 2.201], abs=5e-4)
    assert interval([1.0, 2.0]) == pytest.approx((1.5 - 0.5 * 12.706, 1.5 + 0.5 * 12.706), abs=1e-3)
    assert analysis.bootstrap(np.array([1.0, 2.0])) == interval([1.0, 2.0])
    rng = np.random.default_rng(1)
    held = [low < 0.0 < high for low, high in (analysis.bootstrap(rng.normal(size=12), rng, repeats=1000) for _ in range(400))]
    assert abs(np.mean(held) - 0.95) < 5.0 * np.sqrt(0.95 * 0.05 / 400)
    assert np.isnan(interval([1.0])).all()


def test_counts():
    """Garwood's exact limits of a Poisson mean."""
    assert count_interval(0) == pytest.approx((0.0, 3.689), abs=1e-3) and count_interval(5) == pytest.approx(
        (1.623, 11.668), abs=1e-3
    )
    assert count_limit(0) == pytest.approx(2.996, abs=1e-3)


def autoregressive(keep, frames, trials, rng):
    x = np.empty((frames, trials))
    x[0] = rng.normal(size=trials)
    for n in range(1, frames):
        x[n] = keep * x[n - 1] + np.sqrt(1.0 - keep**2) * rng.normal(size=trials)
    return x


def test_blocks_of_time_are_longer_than_the_correlation():
    """An autoregressive series: inefficiency (1 + φ)/(1 - φ); intervals from its blocks hold the mean, those of ten blocks too short do not."""
    rng = np.random.default_rng(2)
    x = autoregressive(0.9, 2000, 300, rng)
    assert np.mean([inefficiency(column) for column in x.T]) == pytest.approx(19.0, rel=0.1)
    held = np.mean([low < 0.0 < high for low, high in (interval(block_means(column)) for column in x.T)])
    assert held > 0.95 - 5.0 * np.sqrt(0.95 * 0.05 / 300)
    few = autoregressive(0.9, 200, 300, rng)
    blocks = [block_means(column) for column in few.T]
    assert 2.0 < np.mean([len(means) for means in blocks]) < 6.0  # ten correlation times of twenty frames
    own = [interval(means) for means in blocks if len(means) > 1]
    assert np.mean([low < 0.0 < high for low, high in own]) > 0.95 - 5.0 * np.sqrt(0.95 * 0.05 / 300)
    ten = [interval([part.mean() for part in np.array_split(column, 10)]) for column in few.T]
    assert np.mean([low < 0.0 < high for low, high in ten]) < 0.9
    assert len(block_means(np.linspace(0.0, 1.0, 50))) == 1 and inefficiency(np.ones(9)) == 1.0


def test_covariance_of_overlapping_windows():
    """Of mean square displacements of walks with noise, against their scatter over many walks."""
    rng, lags, frames = np.random.default_rng(3), np.array([4, 8, 20]), 60
    sample = walks(frames, 6000, 0.1, rng, noise=0.3)
    curves = np.trace(analysis.mean_square_displacement(sample, 21)[lags], axis1=2, axis2=3)
    expected = 6.0 * 0.1 * np.arange(60) + 6.0 * 0.3**2 * (np.arange(60) > 0)
    assert np.allclose(brownian.covariance(expected, lags, frames), np.cov(curves), rtol=0.12)


def test_a_lone_walk_knows_its_error():
    """One ion, too short for blocks: the error follows from the covariance of the lags; also with noise, and for few windows."""
    rng = np.random.default_rng(4)
    for frames, noise in ((150, 0.0), (300, 0.4)):
        found = [analysis.diffusion(0.1 * np.arange(frames), walks(frames, 1, 0.1, rng, noise=noise)) for _ in range(200)]
        value, error = np.array([f.value for f in found]), np.array([f.error for f in found])
        assert len(found[0].samples) == 1 and abs(value.mean() - 1.0) < 5.0 * value.std() / np.sqrt(200)
        assert value.std() == pytest.approx(np.sqrt(np.mean(error**2)), rel=0.25)
        held = np.mean([f.interval[0] < 1.0 < f.interval[1] for f in found])
        assert abs(held - 0.95) < 5.0 * np.sqrt(0.95 * 0.05 / 200)


def test_the_fit_begins_where_the_velocity_is_forgotten():
    """Velocities forgotten within 0.5 ps: ballistic lags are not fitted, a run of four times that has no D, a given fit there is warned of."""
    rng = np.random.default_rng(5)
    position, _ = thermal_path(1200, 12, 0.05, 2.0, rng)
    time = 0.05 * np.arange(1200)
    groups = np.repeat(np.arange(6), 2)
    found = analysis.diffusion(time, position, groups=groups)
    assert 0.5 < found.memory < 1.2 and found.fit[0] >= found.memory and not found.note
    assert found.interval[0] < 0.5 < found.interval[1] and found.error < 0.06
    short = analysis.diffusion(time[:60], position[:60], groups=groups)  # 3 ps
    assert np.isnan(short.value) and np.isnan(short.limit) and "too short for a diffusive regime" in short.note
    early = analysis.diffusion(time, position, (0.1, 0.4), groups=groups)
    assert "within the" in early.note and "remembers its velocity" in early.note
    assert early.value < 0.35  # what the ballistic lags would have said


def rattle(frames, ions, step, rng, rate=0.5, omega=15.0):
    """Damped oscillators in noise, bound for ever (frames, ions, 3), amplitude 0.2 Å."""
    fine = 5
    dt = step / fine
    x, v = np.zeros((ions, 3)), np.zeros((ions, 3))
    out = np.empty((frames, ions, 3))
    for n in range(frames * fine):
        v += -(omega**2) * x * dt
        x += v * dt
        v = np.exp(-rate * dt) * v + 0.2 * omega * np.sqrt(1.0 - np.exp(-2.0 * rate * dt)) * rng.normal(size=v.shape)
        if n % fine == 0:
            out[n // fine] = x
    return out


def test_a_bound_ion_has_no_diffusion():
    """Ions that only vibrate: never a D that excludes zero; a limit; with the count of hops, that of none."""
    rng = np.random.default_rng(6)
    time = 0.05 * np.arange(1000)
    claims = 0
    for _ in range(20):
        position = rattle(1000, 1, 0.05, rng) + 1.5
        found = analysis.diffusion(time, position, groups=np.zeros(1, int))
        claims += np.isfinite(found.value) and not np.isfinite(found.limit)
        hops = analysis.hops(time, position, 3.0)
        limited = analysis.limited_by_hops(found, hops.count, 9.0 / 6.0 / hops.time)
        assert hops.count == 0 and limited.limit == pytest.approx(2.996 * 1.5 / time[-1], rel=1e-3)
        assert limited.interval[0] == 0.0 or np.isnan(limited.value)
    assert claims <= 3


def test_a_hop_and_its_return_are_no_diffusion():
    """Two hops that undo each other, of which a fit makes 0.003 ± 0.001: not resolved, below the 6.3 hops that two allow."""
    found = analysis.Diffusion(0.003, 0.001, (0.001, 0.005), np.eye(3), np.eye(3), np.ones(1))
    limited = analysis.limited_by_hops(found, 2, 0.015)
    assert (
        limited.interval[0] == 0.0
        and limited.limit == pytest.approx(6.296 * 0.015, rel=1e-3)
        and limited.error == pytest.approx(0.0212, rel=1e-2)
    )
    many = analysis.limited_by_hops(found._replace(value=0.3, interval=(0.2, 0.4)), 20, 0.015)
    assert (
        np.isnan(many.limit)
        and many.error == pytest.approx(np.sqrt(20) * 0.015)
        and 0.1 < many.interval[0] < 0.3 < many.interval[1]
    )
    assert analysis.limited_by_hops(found, 31, 0.015) is found


def test_few_hops_are_a_count():
    """Rates of rare hops: intervals hold the truth, with none seen the upper limit is 3 in the time that was watched."""
    rng, spacing, held = np.random.default_rng(7), 3.0, []
    time = 0.1 * np.arange(200)
    for _ in range(300):
        jump = (
            (rng.random((200, 6)) < 0.005)[..., None] * np.eye(3)[rng.integers(0, 3, (200, 6))] * rng.choice([-1, 1], (200, 6, 1))
        )
        found = analysis.hops(time, spacing * (np.cumsum(jump, axis=0) + 0.5), spacing, groups=np.repeat(np.arange(3), 2))
        held.append(found.rate_interval[0] <= 0.05 <= found.rate_interval[1])
        assert found.rate_error >= np.sqrt(max(found.count, 1)) / found.time * (1.0 - 1e-12)
    assert np.mean(held) > 0.95 - 5.0 * np.sqrt(0.95 * 0.05 / 300)
    none = analysis.hops(time, np.full((200, 6, 3), 1.5), spacing)
    assert none.rate == 0.0 and none.rate_interval == pytest.approx((0.0, 3.689 / (6 * 19.9)), rel=1e-3) and np.isnan(none.dwell)


def test_an_arrhenius_line_through_few_replicas():
    """Three temperatures, three replicas each: the interval of the barrier holds it; taken at face value such errors do not."""
    rng, energy, held = np.random.default_rng(8), np.array([50.0, 75.0, 100.0]), []
    for _ in range(400):
        sample = 60.0 * np.exp(-200.0 / energy) * (1.0 + 0.15 * rng.normal(size=(3, 3)))
        value, error = analysis.mean_and_error(sample)
        low, high = analysis.arrhenius(energy, value, error, 3).barrier_interval
        naive = analysis.arrhenius(energy, value, error).barrier_interval
        held.append([low < 200.0 < high, naive[0] < 200.0 < naive[1]])
    share = np.mean(held, axis=0)
    assert abs(share[0] - 0.95) < 5.0 * np.sqrt(0.95 * 0.05 / 400) and share[1] < 0.9


def test_decay_of_few_periods():
    """The interval of a rate from three passages is that of one degree of freedom."""
    found = analysis.fit_decay(np.array([1.0, 2.0, 3.0]), np.exp([-1.0, -2.1, -3.0]), (0.0, 4.0))
    assert found.interval == pytest.approx((found.rate - 12.706 * found.error, found.rate + 12.706 * found.error), rel=1e-4)


def test_frames_at_unequal_distances_are_refused():
    time = np.append(0.1 * np.arange(100), 9.93)
    path = walks(101, 3, 0.1, np.random.default_rng(9))
    for call in (
        lambda: analysis.diffusion(time, path, (0.5, 2.0)),
        lambda: analysis.diffusion(time, path),
        lambda: analysis.green_kubo(time, path, 1.0),
        lambda: analysis.van_hove(time, path, [1.0], np.linspace(0.0, 5.0, 9)),
        lambda: analysis.non_gaussian(time, path, [1.0]),
    ):
        with pytest.raises(InputError, match=r"time: must be frames at equal distances.*t = 9\.93 ps.*leave out the last frame"):
            call()
    assert np.isfinite(analysis.diffusion(time[:-1], path[:-1], (0.5, 2.0)).value)
