"""Oscillations that decay: passages of a plane, decay rates, periods (see `mdlite.analysis`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mdlite.analysis.statistics import student


class Crossings(NamedTuple):
    """Passages of one coordinate through a plane: times (n,) in ps and velocities (n,) in Å/ps there."""

    time: np.ndarray
    velocity: np.ndarray


class Decay(NamedTuple):
    """Exponential decay E ∝ exp(-rate t) fitted to ln E: rate and its standard error in 1/ps, how many points were used, and the 95 % interval of the rate.

    The interval knows how few points there are: with three of them (one period and a half) it is 12.7 standard errors to either side.
    """

    rate: float
    error: float
    points: int
    interval: tuple[float, float] = (float("nan"), float("nan"))


def crossings(time: np.ndarray, x: np.ndarray, v: np.ndarray, level: float) -> Crossings:
    """Where x(t) passes ``level``, from samples x (n,) in Å and v (n,) in Å/ps at ``time`` (n,) in ps.

    Between samples x is the cubic that has both positions and both velocities (error of the time ∝ step⁴); its root is found by
    Newton iteration safeguarded by bisection.
    """
    y = np.asarray(x, float) - level
    index = np.nonzero((y[:-1] * y[1:] < 0.0) | ((y[1:] == 0.0) & (y[:-1] != 0.0)))[0]
    h = time[index + 1] - time[index]
    a, b = y[index], y[index + 1]
    c, d = v[index] * h, v[index + 1] * h
    low, high = np.zeros(len(index)), np.ones(len(index))
    s = a / (a - b)
    for _ in range(60):
        value, slope = _hermite(a, b, c, d, s)
        same = np.sign(value) == np.sign(a)
        low, high = np.where(same, s, low), np.where(same, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = s - value / slope
        s = np.where((newton > low) & (newton < high), newton, 0.5 * (low + high))
    return Crossings(time[index] + s * h, _hermite(a, b, c, d, s)[1] / h)


def _hermite(a, b, c, d, s):
    """Value and slope at s in [0, 1] of the cubic with end values a, b and end slopes c, d."""
    cubic = 2.0 * (a - b) + c + d
    square = 3.0 * (b - a) - 2.0 * c - d
    return a + s * (c + s * (square + s * cubic)), c + s * (2.0 * square + 3.0 * s * cubic)


def fit_decay(time: np.ndarray, energy: np.ndarray, window: tuple[float, float]) -> Decay:
    """Least-squares line through ln E against t inside ``window`` (ps); NaN with fewer than three points."""
    use = (time >= window[0]) & (time <= window[1]) & (energy > 0.0)
    t, y = time[use], np.log(energy[use])
    if len(t) < 3:
        return Decay(float("nan"), float("nan"), len(t))
    slope, offset = np.polyfit(t, y, 1)
    residual = y - offset - slope * t
    error = np.sqrt(residual @ residual / (len(t) - 2) / np.sum((t - t.mean()) ** 2))
    half = student(len(t) - 2) * error
    return Decay(float(-slope), float(error), len(t), (float(-slope - half), float(half - slope)))


def mean_period(crossing_time: np.ndarray, window: tuple[float, float]) -> float:
    """Mean period (ps) of the crossings inside ``window``: two crossings to a period; NaN with fewer than three."""
    t = crossing_time[(crossing_time >= window[0]) & (crossing_time <= window[1])]
    return float(2.0 * (t[-1] - t[0]) / (len(t) - 1)) if len(t) >= 3 else float("nan")


def decay_against_energy(time: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local decay rate of an oscillation over each full period: (energies, rates), both (n - 2,), meV and 1/ps.

    From passages n and n + 2, which have the same direction: rate = ln(E_n/E_{n+2})/(t_{n+2} - t_n), at the geometric mean energy.
    """
    if len(time) < 3:
        return np.empty(0), np.empty(0)
    return np.sqrt(energy[:-2] * energy[2:]), np.log(energy[:-2] / energy[2:]) / (time[2:] - time[:-2])
