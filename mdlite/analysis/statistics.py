"""Errors of averages over ions: ions that share a lattice are one sample, their lattices are the independent ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special  # scipy.stats has the same functions, and takes half a second to import

from mdlite.errors import InputError

FEW = 4
"""Independent samples below which a standard error says little of itself: that of three is uncertain by half."""
LEVEL = 0.95
EXACT_COUNT = 30
"""Events above which a count is as good as normal."""
BLOCK_TIMES = 4.0
"""Length of a block of a time series, in units of its statistical inefficiency: eight correlation times."""


def group_means(values: np.ndarray, groups: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of ``values`` over the members of each group along ``axis``, which becomes the first: (groups, ...).

    groups: a label for every entry along that axis, such as the number of the ion's lattice. Raises InputError if they are not as many.
    """
    values, groups = np.moveaxis(np.asarray(values, float), axis, 0), np.asarray(groups)
    if len(groups) != len(values):
        raise InputError(f"groups: has {len(groups)} labels, must have one for each of the {len(values)} ions")
    return np.stack([values[groups == label].mean(axis=0) for label in np.unique(groups)])


def mean_and_error(samples: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis and its standard error from the scatter; NaN as the error of a single sample."""
    samples = np.asarray(samples, float)
    mean, n = samples.mean(axis=0), len(samples)
    if n < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, samples.std(axis=0, ddof=1) / np.sqrt(n)


def student(freedom: float, level: float = LEVEL) -> float:
    """Half width, in standard errors, of the interval that holds a normal mean with probability ``level``; NaN for no degree of freedom."""
    return float(special.stdtrit(freedom, 0.5 + 0.5 * level)) if freedom > 0 else float("nan")


def interval(samples: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Interval (low, high) that holds the mean of the independent, about normal ``samples`` (n,) with probability ``level``, from two on.

    Student's t: with two samples it is 12.7 standard errors to either side, with three 4.3, with twelve 2.2. NaN for one sample.
    """
    mean, error = mean_and_error(samples)
    half = student(len(samples) - 1, level) * float(error)
    return float(mean) - half, float(mean) + half


def pooled_freedom(errors: ArrayLike, freedoms: ArrayLike) -> float:
    """Degrees of freedom of the root of the sum of squares of independent standard ``errors``, by Welch and Satterthwaite."""
    squares = np.square(np.asarray(errors, float))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(squares.sum() ** 2 / np.sum(squares**2 / np.asarray(freedoms, float)))


def bootstrap(
    samples: np.ndarray, rng: np.random.Generator | None = None, level: float = LEVEL, repeats: int = 4000
) -> tuple[float, float]:
    """Interval (low, high) that holds the mean of the independent ``samples`` (n,) with probability ``level``, by resampling.

    rng: default `numpy.random.default_rng(0)`. The means of resampled samples scatter too little, and their tails are normal: the quantiles
    are taken farther out to make up for both. Resampling ten samples or fewer knows too few means: these get `interval`.
    """
    samples = np.asarray(samples, float)
    if len(samples) <= 10:
        return interval(samples, level)
    rng = rng or np.random.default_rng(0)
    means = rng.choice(samples, (repeats, len(samples))).mean(axis=1)
    tail = special.ndtr(-np.sqrt(len(samples) / (len(samples) - 1.0)) * student(len(samples) - 1, level))
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return float(low), float(high)


def inefficiency(series: np.ndarray) -> float:
    """How many consecutive values of a stationary ``series`` (n,) are worth one independent value: 1 + 2 Σ of its autocorrelations.

    The sum ends at five of the integrated correlation times that it has found (Sokal), so that it does not add up noise. At least 1.
    """
    x = np.asarray(series, float) - np.mean(series)
    n = len(x)
    power = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n] / (n - np.arange(n))
    if not correlation[0] > 0.0:
        return 1.0
    total = 1.0 + 2.0 * np.cumsum(correlation[1:] / correlation[0])
    lag = np.arange(1, n)
    ends = np.flatnonzero(lag >= 2.5 * total)
    return float(max(1.0, total[ends[0] if len(ends) else -1])) if n > 1 else 1.0


def block_means(series: np.ndarray, most: int = 10) -> np.ndarray:
    """Means of a ``series`` (n, ...) over up to ``most`` consecutive blocks, each long enough (by `inefficiency`) to be an independent sample.

    Fewer blocks for a series that forgets slowly; the mean of the whole alone, (1, ...), where two would be too many.
    """
    series = np.asarray(series, float)
    columns = series.reshape(len(series), -1)
    worst = max((inefficiency(column) for column in columns.T if np.isfinite(column).all()), default=1.0)
    count = int(np.clip(len(series) / (BLOCK_TIMES * worst), 1, most))
    return np.stack([part.mean(axis=0) for part in np.array_split(series, count)])


def count_interval(count: float, level: float = LEVEL) -> tuple[float, float]:
    """Central interval of the expectation of a Poisson variable that was seen as ``count``; with none seen (0, 3.69) at 95 %."""
    tail = 0.5 - 0.5 * level
    low = special.gammaincinv(count, tail) if count > 0 else 0.0
    return float(low), float(special.gammaincinv(count + 1.0, 1.0 - tail))


def count_limit(count: float, level: float = LEVEL) -> float:
    """What the expectation of a Poisson variable that was seen as ``count`` does not exceed with probability ``level``: 3.0 for none at 95 %."""
    return float(special.gammaincinv(count + 1.0, level))
