"""Chebyshev moments of an infinite crystal's D: T_n(1 - 2D/Ω²) between any two atoms, in real space, for many pairs at once.

T_n of a unit displacement follows from T_{n-1} and T_{n-2} by one product with D: leap-frog with the step 2/Ω, the longest that is stable, by the
kernel of the explicit crystal. One such motion has the answers of all atoms to one source, so that the work does not grow with the number of pairs,
and operations of the space group that leave the force constants as they are turn it into that of other sources. The box is so large that no wave of
the time that is asked for goes around it.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr

from mdlite.crystals import dynamics, symmetry
from mdlite.crystals.box import LANES, Box
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.symmetry import Symmetry
from mdlite.kernels import blocks

EXPONENT = 24.0
"""A bound for what a box cuts off is exp(-EXPONENT); the response there is smaller by orders of magnitude."""
DECAYS = np.geomspace(0.1, 4.0, 12)
"""Per cell, at which waves ahead of the front are looked at."""
ABOVE = 1.0 + 1e-4
"""Of Ω over the highest frequency that was found."""
SAME = 1e-12
"""Of the largest element of the blocks: what an operation may change them by to be used."""
SKEW = 0.25
"""Directions that are less independent than this are not used to make up the others."""


class Frame(NamedTuple):
    """What motions give the answers to any force on an atom: along r directions; column c of three is that of run ``runs[c]``, by operation ``turns[c]``.

    directions: (r, 3). inverse: (3, 3), of the matrix whose columns are the directions so turned.
    """

    directions: np.ndarray
    runs: list[int]
    turns: list[int]
    inverse: np.ndarray


@functools.lru_cache(maxsize=8)
def top(crystal: Crystal) -> float:
    """Ω (rad/ps)."""
    return ABOVE * dynamics.omega_max(crystal)


@functools.lru_cache(maxsize=8)
def operations(crystal: Crystal) -> Symmetry:
    """Those that leave the force constants as they are, to rounding."""
    return symmetry.of_crystal(crystal, SAME)


def representatives(crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """Of every atom of the cell (p,): one that an operation turns into it, the same for all that are alike; and which operation."""
    atoms = operations(crystal).atoms
    first = atoms.min(axis=0)  # what an atom can become, it can come from
    g = (atoms[:, first] == np.arange(crystal.n_basis)).argmax(axis=0)
    known = atoms[g, first] == np.arange(crystal.n_basis)
    return np.where(known, first, np.arange(crystal.n_basis)), np.where(known, g, 0)


def preimages(crystal: Crystal, operation: int, pairs: np.ndarray) -> np.ndarray:
    """The pairs (m, 5) that an operation turns into ``pairs``."""
    found = operations(crystal)
    back = np.argsort(found.atoms[operation])
    first, second, shifts = back[pairs[:, 0]], back[pairs[:, 1]], found.shifts[operation]
    inverse = np.round(np.linalg.inv(found.rotations[operation])).astype(np.int64)
    return np.column_stack([first, second, (pairs[:, 2:] - shifts[second] + shifts[first]) @ inverse.T])


@functools.lru_cache(maxsize=256)
def frame(crystal: Crystal, atom: int) -> Frame:
    """The fewest motions for an atom, by the operations that leave it where it is."""
    found = operations(crystal)
    own = np.flatnonzero(found.atoms[:, atom] == atom)
    tried = np.array([v for v in itertools.product((-1.0, 0.0, 1.0), repeat=3) if v > (0.0, 0.0, 0.0)] + [(0.48, 0.6, 0.64)])
    tried /= np.linalg.norm(tried, axis=1)[:, None]
    for r in (1, 2):
        best, chosen = SKEW, None
        for directions in itertools.combinations(tried, r):
            turned = np.concatenate([found.cartesian[own] @ a for a in directions])
            if len(turned) < 3:
                continue
            triangle, order = qr(turned.T, mode="r", pivoting=True)
            if abs(triangle[2, 2]) > best + 1e-9:
                best, chosen = abs(triangle[2, 2]), (directions, order[:3], turned)
        if chosen is not None:
            directions, columns, turned = chosen
            runs, turns = (columns // len(own)).tolist(), own[columns % len(own)].tolist()
            return Frame(np.array(directions), runs, turns, np.linalg.inv(turned[columns].T))
    return Frame(np.eye(3), [0, 1, 2], [0, 0, 0], np.eye(3))


def moments(crystal: Crystal, pairs: np.ndarray, count: int, time: float) -> np.ndarray:
    """The first ``count`` moments over √(m m'), of pairs (m, 5) that share the second atom: (m, 3, 3, count)."""
    own = frame(crystal, int(pairs[0, 1]))
    sources = [preimages(crystal, g, pairs) for g in own.turns]
    size = box_size(crystal, np.max([np.abs(part[:, 2:]).max(axis=0) for part in sources], axis=0), time)
    out = np.zeros((len(pairs), 3, 3, count))
    for run, direction in enumerate(own.directions):
        mine = [c for c in range(3) if own.runs[c] == run]
        wanted, where = np.unique(np.concatenate([sources[c] for c in mine]), axis=0, return_inverse=True)
        answers = _motion(crystal, wanted, direction, count, size)
        for c, rows in zip(mine, where.reshape(len(mine), -1)):
            turned = np.tensordot(answers[:, rows], operations(crystal).cartesian[own.turns[c]], axes=(2, 1))  # (count, m, 3)
            out += np.moveaxis(turned, 0, 2)[:, :, None, :] * own.inverse[c][:, None]
    return out


def _motion(crystal: Crystal, pairs: np.ndarray, direction: np.ndarray, count: int, size: tuple[int, int, int]) -> np.ndarray:
    """The answers of the first atoms of pairs to ``direction`` (3,) at the second one: (count, m, 3)."""
    box, step, source = Box(crystal, size), 2.0 / top(crystal), int(pairs[0, 1])
    u, v = box.fields()
    atoms = box.displacements(u)
    i, j, k = (np.mod(-pairs[:, 2 + axis], size[axis])[:, None] for axis in range(3))
    target = (pairs[:, :1], np.arange(3)[None], i, j, k)
    out = np.empty((count, len(pairs), 3))
    atoms[source, :, 0, 0, 0] = direction / crystal.masses[source]
    blocks.drift(u, v, box.stencil, 0.0)  # fills the halo
    for n in range(count):
        out[n] = atoms[target]
        blocks.kick(u, v, box.stencil, box.kicks(step if n else 0.5 * step))
        blocks.drift(u, v, box.stencil, step)
    return out


def box_size(crystal: Crystal, farthest: np.ndarray, time: float) -> tuple[int, int, int]:
    """Cells of a box in which nothing comes around within ``time`` (ps) to atoms within ``farthest`` (3,) cells."""
    size = [max(1, int(np.ceil(front(crystal, axis, time) + farthest[axis]))) for axis in range(3)]
    if size[2] >= 2 * LANES:
        size[2] = LANES * -(-size[2] // LANES)
    return size[0], size[1], size[2]


def front(crystal: Crystal, axis: int, time: float) -> float:
    """Cells along a cell vector within which the response at ``time`` (ps) is, but for exp(-EXPONENT) of it.

    A wave that falls as exp(-k n) from cell to cell grows no faster than exp(g t), g(k) the largest imaginary part of a frequency at complex q.
    """
    return float(((EXPONENT + _growth(crystal)[axis] * time) / DECAYS).min())


@functools.lru_cache(maxsize=8)
def _growth(crystal: Crystal) -> np.ndarray:
    """g (1/ps) at the `DECAYS` along each of the three cell vectors, (3, k)."""
    cells, where = np.unique(crystal.cells, axis=0, return_inverse=True)
    p, root = crystal.n_basis, np.sqrt(crystal.masses)
    matrices = np.zeros((len(cells), p, 3, p, 3))
    scaled = crystal.blocks / (root[crystal.first] * root[crystal.second])[:, None, None]
    matrices[where.ravel(), crystal.first, :, crystal.second, :] = scaled
    grid, _ = dynamics.zone_grid((6 if p <= 3 else 4 if p <= 10 else 2,) * 3)
    falls = (DECAYS[:, None, None] * np.eye(3)).reshape(-1, 3)  # along every vector
    q, fall = np.tile(grid, (len(falls), 1)), np.repeat(falls, len(grid), axis=0)

    def part(rows: slice, _: np.ndarray) -> np.ndarray:
        phases = np.exp((2j * np.pi * q[rows] - fall[rows]) @ cells.T)
        squares = np.linalg.eigvals((phases @ matrices.reshape(len(cells), -1)).reshape(-1, 3 * p, 3 * p))
        return np.abs(np.sqrt(squares).imag).max(axis=1)

    found = np.concatenate(dynamics.over_zone(crystal, q, part))
    return found.reshape(len(DECAYS), 3, -1).max(axis=2).T
