"""The slope of a mean square displacement, and how well it is known: generalised least squares with the covariance of overlapping windows.

The mean square displacement at neighbouring lags is made of the same steps, so its errors are almost the same error. For increments that are
Gaussian and stationary their covariance follows from the mean square displacement itself; with it the line that knows most of D is found, and what it
knows (McCluskey, Coles, Morgan, J. Chem. Theory Comput. 21, 79 (2025), do the same with an approximate covariance). Lags must be longer than
the memory of the ion's velocity, which is measured here as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_LAGS = 20
"""Lags that a fit by generalised least squares takes: more of them know no more."""
FORGOTTEN = 0.2
"""Autocorrelation of the velocity below which it counts as forgotten, where its noise is smaller."""
NOISIEST = 0.3
"""Noise (four standard errors) of the autocorrelation above which nothing can be said of memory."""
HORIZON = 3
"""Memory has ended at a lag if nothing comes back until so many times that lag."""


class Slope(NamedTuple):
    """Weights (lags,) with which Σ w MSD is the slope of the line, and the variance of that slope as a quadratic in the slope: (v0, v1, v2)."""

    weights: np.ndarray
    variance: tuple[float, float, float]


def memory(correlation: np.ndarray, windows: float) -> int:
    """The first lag, in frames, at which an ion has forgotten its velocity; the number of lags if it has not by then.

    correlation (L,): autocorrelation of the displacements from frame to frame, at 0 .. L - 1 frames, from ``windows`` independent ions × frames × axes.
    """
    rho = correlation / correlation[0] if correlation[0] > 0.0 else np.zeros(len(correlation))
    known = 4.0 * np.sqrt(np.cumsum(2.0 * rho**2) / windows)
    quiet = np.abs(rho) < np.clip(known, FORGOTTEN, NOISIEST)
    loud = np.append(np.flatnonzero(~quiet), len(rho))
    for lag in range(1, len(rho)):
        nearest = loud[np.searchsorted(loud, lag)]
        if nearest > min(HORIZON * lag + 10, len(rho) - 1):
            return lag
    return len(rho)


def lags_between(first: int, last: int) -> np.ndarray:
    """Up to MOST_LAGS multiples of the lag ``first`` (frames), up to ``last``.

    Between neighbouring lags the slope would be that of the moment, in which the ion may still vibrate; over its memory it has an average.
    """
    most = max(2, last // first)
    return first * np.unique(np.round(np.geomspace(1, most, min(most, MOST_LAGS))).astype(int))


def covariance(curve: np.ndarray, lags: np.ndarray, frames: int) -> np.ndarray:
    """Covariance (lags, lags), Å⁴, of the mean square displacements of one ion in three dimensions, overlapping windows of ``frames`` frames.

    curve (n,): the expected mean square displacement at 0, 1, .. frames, Å², at least to twice the longest of ``lags``. Two windows, of lengths n and m
    of which the first begins s frames after the other, share (f(s + n) + f(s - m) - f(s) - f(s + n - m))/2 of it, f even; the square of that is summed over all pairs.
    """
    return _sum(_shared(curve, lags, frames), lags, frames)


def _shared(curve: np.ndarray, lags: np.ndarray, frames: int) -> np.ndarray:
    """What windows share, (lags n, lags m, offsets s)."""
    s = _offsets(lags, len(curve))
    n, m = lags[:, None, None], lags[None, :, None]

    def f(lag):
        return curve[np.abs(lag)]

    return 0.5 * (f(s + n) + f(s - m) - f(s) - f(s + n - m))


def _offsets(lags: np.ndarray, known: int) -> np.ndarray:
    """Offsets between windows that may share something."""
    reach = known - 1 - lags[-1]
    return np.arange(-reach, reach + 1)


def _sum(shared: np.ndarray, lags: np.ndarray, frames: int, other: np.ndarray | None = None) -> np.ndarray:
    """Σ over pairs of windows of the products, 2/3 of it over the numbers of windows; ``other``: products of two different ones."""
    reach = shared.shape[2] // 2
    s = np.arange(-reach, reach + 1)
    counts = frames - lags
    a, b = counts[:, None, None], counts[None, :, None]
    pairs = np.clip(np.minimum(a, b + s) - np.maximum(0, s), 0, None)  # windows n that begin s frames after a window m
    return 2.0 / 3.0 * np.sum(pairs * shared * (shared if other is None else other), axis=2) / (a * b)[..., 0]


def slope(curve: np.ndarray, lags: np.ndarray, frames: int, step: float, ions: int, equal: bool = False) -> Slope:
    """The weights of the line through the mean square displacement at ``lags`` (frames, ``step`` ps apart), and how its slope's variance depends on it.

    curve (n,): the observed one at 0, 1, .. frames; from the first lag on, its line takes its place. ions: independent ones that it is averaged over.
    equal: an ordinary least-squares line, each lag counting alike.
    """
    t = step * lags
    design = np.stack([np.ones(len(t)), t], axis=1)
    best = np.linalg.pinv(design)
    for _ in range(0 if equal else 3):
        total = covariance(sum(model(curve, lags, step, best @ curve[lags])), lags, frames)
        inverse = np.linalg.pinv(total, rcond=1e-10, hermitian=True)
        best = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse)
    line = best @ curve[lags]
    fixed, growing = model(curve, lags, step, line)
    scale = max(line[1], 0.0)
    growing = growing / scale if scale > 0.0 else step * np.arange(len(fixed))
    a, b = (_shared(part, lags, frames) for part in (fixed, growing))
    v = [best[1] @ _sum(x, lags, frames, y) @ best[1] for x, y in ((a, a), (a, b), (b, b))]
    return Slope(best[1], (v[0] / ions, 2.0 * v[1] / ions, v[2] / ions))


def model(curve: np.ndarray, lags: np.ndarray, step: float, line: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The expected mean square displacement in two parts, what does not grow with the slope and what does: observed before the first lag, a line then."""
    first, last = int(lags[0]), int(lags[-1])
    index = np.arange(2 * last + 4 * first + 1)
    offset, gradient = line[0], max(line[1], 0.0)
    ideal = np.maximum(offset + gradient * step * index, 1e-3 * curve[first])
    expected = np.where(index < first, curve[np.minimum(index, first)], ideal)
    fixed = np.clip(expected - gradient * step * index, 0.0, None)
    return fixed, expected - fixed


def score_interval(found: Slope, value: float, half: float) -> tuple[float, float]:
    """Slopes that lie within ``half`` standard errors, each its own, of ``value``; none below zero."""
    v0, v1, v2 = found.variance
    a, b, c = 1.0 - half**2 * v2, -2.0 * value - half**2 * v1, value**2 - half**2 * v0
    root = b * b - 4.0 * a * c
    if a <= 0.0 or root < 0.0:
        return 0.0, float("inf")
    low, high = ((-b - np.sqrt(root)) / (2.0 * a), (-b + np.sqrt(root)) / (2.0 * a))
    return max(0.0, float(low)), max(0.0, float(high))
