"""The simple cubic crystal of `[lattice]` as a `Crystal`: shells 1 and 2 of longitudinal springs."""

from __future__ import annotations

import itertools

import numpy as np

from mdlite.crystals.crystal import Crystal, crystal
from mdlite.physics.model import Lattice

SPECIES = "X"
"""Of the atoms of `[lattice]`, which are those of no element."""


def as_crystal(lattice: Lattice) -> Crystal:
    """The infinite crystal of a `Lattice`, one atom a cell."""
    cells = np.array([n for n in itertools.product((-1, 0, 1), repeat=3) if sum(map(abs, n)) <= 2])
    order = np.abs(cells).sum(axis=1)
    along = cells / np.sqrt(np.maximum(order, 1))[:, None]
    blocks = -np.array([0.0, lattice.k1, lattice.k2])[order][:, None, None] * along[:, :, None] * along[:, None, :]
    blocks[order == 0] = -blocks.sum(axis=0)
    none = np.zeros(len(cells), np.int64)
    return crystal(lattice.spacing * np.eye(3), np.zeros((1, 3)), [lattice.mass], [SPECIES], none, none, cells, blocks)
