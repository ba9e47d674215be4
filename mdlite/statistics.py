"""Errors of averages over ions: ions that share a lattice are one sample, their lattices are the independent ones."""

from __future__ import annotations

import numpy as np

from mdlite.errors import InputError


def group_means(values: np.ndarray, groups: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of ``values`` over the members of each group along ``axis``, which becomes the first: (groups, ...).

    groups: a label for every entry along that axis, such as the number of the ion's lattice. Raises InputError if they are not as many.
    """
    values, groups = np.moveaxis(np.asarray(values, float), axis, 0), np.asarray(groups)
    if len(groups) != len(values):
        raise InputError(f"groups: has {len(groups)} labels, must have one for each of the {len(values)} ions")
    return np.stack([values[groups == label].mean(axis=0) for label in np.unique(groups)])


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis and its standard error from the scatter; NaN as the error of a single sample."""
    samples = np.asarray(samples, float)
    mean, n = samples.mean(axis=0), len(samples)
    if n < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, samples.std(axis=0, ddof=1) / np.sqrt(n)


def bootstrap(
    samples: np.ndarray, rng: np.random.Generator | None = None, level: float = 0.95, repeats: int = 4000
) -> tuple[float, float]:
    """Interval (low, high) that holds the mean of the independent ``samples`` (n,) with probability ``level``, by resampling.

    rng: default `numpy.random.default_rng(0)`. With ten samples or fewer it is some 10 % too narrow, as bootstrap intervals are.
    """
    samples = np.asarray(samples, float)
    rng = rng or np.random.default_rng(0)
    means = rng.choice(samples, (repeats, len(samples))).mean(axis=1)
    low, high = np.quantile(means, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
    return float(low), float(high)
