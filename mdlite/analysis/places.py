"""Where in a crystal ions dwell, from their trajectories alone.

An ion rests where its mean over a quarter of a picosecond stays within 0.6 Å for a picosecond. The density of these resting places, folded into a cell
and smoothed, has a maximum at every site; maxima nearer than 0.8 Å to a greater one belong to it. What ions only cross has none.
"""

from __future__ import annotations

import numpy as np

AVERAGE = 0.25
"""ps, over which vibrations are averaged."""
PARTS = 4
"""Of these averages in a row make a rest."""
STILL = 0.6
"""Å, that each of them may be from their mean."""
SMOOTH = 0.3
"""Å, standard deviation of the density of a place."""
VOXEL = 0.2
"""Å, edge of a voxel of that density."""
MOST_VOXELS = 300_000
APART = 0.8
"""Å: maxima nearer to each other are one."""


def rests(step: float, position: np.ndarray) -> np.ndarray:
    """The places at which ions rest, (m, 3) in Å, of (F, ions, 3) positions ``step`` ps apart; none of a run shorter than a picosecond."""
    width = max(1, round(AVERAGE / step))
    whole = len(position) // width
    means = position[: whole * width].reshape(whole, width, *position.shape[1:]).mean(axis=1)
    if whole < PARTS:
        return np.empty((0, 3))
    blocks = np.stack([means[n : whole - PARTS + 1 + n] for n in range(PARTS)])
    centres = blocks.mean(axis=0)
    still = np.linalg.norm(blocks - centres, axis=-1).max(axis=0) < STILL
    return centres[still]


def find_sites(points: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sites that resting places (m, 3), Å, gather around: fractional (s, 3), within the cell, and how many are at each (s,), the most first.

    cell: vectors of a short cell as rows (3, 3), Å.
    """
    if not len(points):
        return np.empty((0, 3)), np.empty(0, np.int64)
    share = points @ np.linalg.inv(cell)
    share = share - np.floor(share)
    shape = _shape(cell)
    voxel = np.ravel_multi_index(np.minimum((share * shape).astype(int), np.array(shape) - 1).T, shape)
    summit = _summits(np.bincount(voxel, minlength=np.prod(shape)).reshape(shape), cell)[voxel]
    tops, label, count = np.unique(summit, return_inverse=True, return_counts=True)
    where = (np.stack(np.unravel_index(tops, shape), axis=1) + 0.5) / shape
    label, count = _merged(where, label, count, cell)
    centres = np.empty((len(count), 3))
    for n in range(len(count)):
        mine = share[label == n]
        apart = mine - mine[0]
        centres[n] = mine[0] + (apart - np.round(apart)).mean(axis=0)
    order = np.lexsort((*np.round(centres.T[::-1], 3), -count))
    return centres[order] - np.floor(centres[order]), count[order]


def _shape(cell: np.ndarray) -> tuple[int, ...]:
    """Voxels along each vector."""
    edge = max(VOXEL, (abs(np.linalg.det(cell)) / MOST_VOXELS) ** (1.0 / 3.0))
    return tuple(int(n) for n in np.ceil(np.linalg.norm(cell, axis=1) / edge))


def _summits(counts: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """For every voxel of a density, flat, the one that the way up from it ends at, through 26 neighbours, periodic."""
    shape = counts.shape
    waves = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1.0 / n) for n in shape], indexing="ij"), axis=-1)
    q = 2.0 * np.pi * waves @ np.linalg.inv(cell).T
    density = np.fft.ifftn(np.fft.fftn(counts) * np.exp(-0.5 * SMOOTH**2 * (q**2).sum(axis=-1))).real
    numbers = np.arange(density.size).reshape(shape)
    best: np.ndarray = density.copy()
    up: np.ndarray = numbers.copy()
    for shift in np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3).tolist():
        near, number = (np.roll(a, shift, axis=(0, 1, 2)) for a in (density, numbers))
        higher = near > best
        best, up = np.where(higher, near, best), np.where(higher, number, up)
    up = up.ravel()
    while not np.array_equal(up[up], up):
        up = up[up]
    return up


def _merged(where: np.ndarray, label: np.ndarray, count: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and counts, with summits ``where`` (s, 3), fractional, near a greater one joined to it."""
    kept: list[int] = []
    new = np.empty(len(count), np.int64)
    for n in np.argsort(-count, kind="stable").tolist():
        apart = where[kept] - where[n]
        distance = np.linalg.norm((apart - np.round(apart)) @ cell, axis=1)
        if len(kept) and distance.min() < APART:
            new[n] = int(np.argmin(distance))
        else:
            new[n] = len(kept)
            kept.append(n)
    return new[label], np.bincount(new, weights=count).astype(np.int64)
