"""The 48 symmetries of the simple cubic crystal, and the six components of its symmetric tensors, in one order.

A tensor T_ab(d) between two atoms, such as the response G_d or the recoil kernel W_d, is known for every lattice vector d once it is for the
canonical one of the 48 images of d, that with x >= y >= z >= 0: permuting and mirroring the axes of d permutes and mirrors those of T.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""xx, yy, zz, yz, xz, xy: of every array of components, the kernels' included."""


def turned(field: np.ndarray, permutation: Sequence[int], signs: Sequence[int]) -> np.ndarray:
    """A vector field (..., 3, N, N, N) on a cube after one of the 48 operations, which takes a vector v to signs[i] v[permutation[i]]."""
    lead = field.ndim - 4
    moved = field.take(permutation, axis=lead).transpose(*range(lead + 1), *(lead + 1 + p for p in permutation))
    mirrored = np.flip(moved, axis=tuple(lead + 1 + x for x in range(3) if signs[x] < 0))
    return mirrored * np.asarray(signs, float)[:, None, None, None]


def canonical(displacements: np.ndarray) -> np.ndarray:
    """Lattice vectors (n, 3) by the one of their 48 images with x >= y >= z >= 0."""
    return -np.sort(-np.abs(np.asarray(displacements, np.int64).reshape(-1, 3)), axis=1)


def places(displacements: np.ndarray) -> np.ndarray:
    """Where each component of lattice vectors (n, 3) stands in the `canonical` ones, (n, 3)."""
    return np.argsort(np.argsort(-np.abs(displacements), axis=1, kind="stable"), axis=1)


def from_canonical(values: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Tensors (n, ..., 3, 3) that belong to the canonical images of lattice vectors (n, 3), turned and mirrored to these."""
    place, rows = places(displacements), np.arange(len(displacements))
    signs = np.where(displacements < 0, -1.0, 1.0)
    out = np.empty_like(values)
    for i in range(3):
        for j in range(3):
            factor = (signs[:, i] * signs[:, j]).reshape((-1,) + (1,) * (values.ndim - 3))
            out[..., i, j] = factor * values[rows, ..., place[:, i], place[:, j]]
    return out


def matrices(components: np.ndarray) -> np.ndarray:
    """Components (6, ...) in the order of COMPONENTS as tensors (..., 3, 3)."""
    out = np.empty((*components.shape[1:], 3, 3), components.dtype)
    for row, (i, j) in enumerate(COMPONENTS):
        out[..., i, j] = out[..., j, i] = components[row]
    return out


def components(tensors: np.ndarray) -> np.ndarray:
    """Symmetric tensors (..., 3, 3) as components (6, ...)."""
    return np.stack([tensors[..., i, j] for i, j in COMPONENTS])


def vanishes(d: Sequence[int], a: int, b: int) -> bool:
    """Whether reflections make component ab vanish at d: off the diagonal, unless d has both of these coordinates."""
    return a != b and (d[a] == 0 or d[b] == 0)


def representative(d: Sequence[int], a: int, b: int) -> tuple[int, int]:
    """The first of the components that permutations of equal coordinates of d make of ab: they are all equal."""
    swaps = [p for p in itertools.permutations(range(3)) if all(d[n] == d[p[n]] for n in range(3))]
    first, second = min(sorted((p[a], p[b])) for p in swaps)
    return first, second
