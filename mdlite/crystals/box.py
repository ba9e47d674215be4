"""A periodic box of any crystal, laid out as the kernels (`mdlite.kernels.blocks`) want it.

A box that the force constants reach around is legal: images of the same pair fold onto each other and add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mdlite import arguments
from mdlite.crystals.crystal import Crystal
from mdlite.physics.model import aligned_zeros

LANES = 8
"""Cells in a vector."""


@dataclass(frozen=True, eq=False)
class Box:
    """``size`` (n1, n2, n3) cells of a crystal, periodic. Raises InputError for a size that is none.

    Its fields u (displacements, Å) and v (velocities, Å/ps) are flat arrays of the kernels; `displacements` and `velocities` are views of them.
    """

    crystal: Crystal
    size: tuple[int, int, int]
    _folded: tuple[np.ndarray, ...] = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "size", arguments.indices("crystal.size", self.size, 1))
        object.__setattr__(self, "_folded", _folded(self.crystal, self.size))

    @property
    def n_atoms(self) -> int:
        """Atoms in the box."""
        return self.crystal.n_basis * math.prod(self.size)

    @property
    def edges(self) -> np.ndarray:
        """Vectors of the box as rows, (3, 3), Å."""
        return np.array(self.size)[:, None] * self.crystal.cell

    @property
    def neighbours(self) -> float:
        """Blocks of an atom in this box, its own among them, on average."""
        return len(self._folded[0]) / self.crystal.n_basis

    @property
    def _halo(self) -> tuple[int, int]:
        cells = np.abs(self._folded[2])
        return int(cells[:, 1].max()), int(cells[:, 2].max())

    @property
    def _shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of u and v: (3p, n1, rows, numbers in a row)."""
        n1, n2, n3 = self.size
        rows, cells = self._halo
        whole = LANES * -(-n3 // LANES)
        first = 3 * self.crystal.n_basis
        return (first, n1, n2 + 2 * rows, LANES * -(-(whole + 2 * cells) // LANES)), (first, n1, n2, whole)

    @property
    def bytes_per_atom(self) -> float:
        """Memory of u and v."""
        return 8.0 * sum(map(math.prod, self._shapes)) / self.n_atoms

    def fields(self) -> tuple[np.ndarray, np.ndarray]:
        """u and v of a crystal at rest, flat, each at the beginning of a cache line."""
        first, second = self._shapes
        return aligned_zeros(math.prod(first)), aligned_zeros(math.prod(second))

    def displacements(self, u: np.ndarray) -> np.ndarray:
        """The atoms of u, (p, 3, n1, n2, n3), as a view without its halo."""
        shape = self._shapes[0]
        rows, cells = self._halo
        _, n2, n3 = self.size
        view = u.reshape(-1, 3, *shape[1:])
        return view[..., rows : rows + n2, cells : cells + n3]

    def velocities(self, v: np.ndarray) -> np.ndarray:
        """The atoms of v, (p, 3, n1, n2, n3), as a view."""
        return v.reshape(-1, 3, *self._shapes[1][1:])[..., : self.size[2]]

    @cached_property
    def stencil(self):
        """The box as `mdlite.kernels.blocks.Stencil`."""
        from mdlite.kernels.blocks import TILE, Stencil
        from mdlite.kernels.jit import get_num_threads

        first, second, cells, blocks = self._folded
        (_, n1, rows, u_pitch), (_, _, n2, v_pitch) = self._shapes
        halo = self._halo
        u_plane = rows * u_pitch
        j, k = (x.ravel() for x in np.meshgrid(np.arange(n2), np.arange(0, v_pitch, LANES), indexing="ij"))
        filling = np.zeros(-len(j) % TILE, np.int64)
        tiles = (len(j) + len(filling)) // TILE
        return Stencil(
            shifts=3 * second * n1 * u_plane + cells[:, 1] * u_pitch + cells[:, 2],
            planes=cells[:, 0] % n1,
            firsts=np.searchsorted(first, np.arange(self.crystal.n_basis + 1)),
            blocks=-blocks.transpose(0, 2, 1).ravel(),
            sources=np.concatenate([(j + halo[0]) * u_pitch + halo[1] + k, filling + halo[0] * u_pitch + halo[1]]),
            targets=np.concatenate([j * v_pitch + k, filling - 1]),
            counts=np.concatenate([np.minimum(LANES, self.size[2] - k), filling]),
            size=np.array(self.size, np.int64),
            halo=np.array(halo, np.int64),
            u_plane=u_plane,
            u_pitch=u_pitch,
            v_plane=n2 * v_pitch,
            v_pitch=v_pitch,
            parts=max(1, min(tiles, -(-4 * get_num_threads() // n1))),
        )

    def kicks(self, time: float) -> np.ndarray:
        """time/m of every atom of the cell, (p,), ps per mass."""
        return time / self.crystal.masses


def _folded(crystal: Crystal, size: Sequence[int]) -> tuple[np.ndarray, ...]:
    """first, second, cells, blocks of a box: cells within half of it, images of a pair added."""
    whole = np.array(size)
    cells = (crystal.cells + whole // 2) % whole - whole // 2
    pairs = np.column_stack([crystal.first, crystal.second, cells])
    unique, where = np.unique(pairs, axis=0, return_inverse=True)
    blocks = np.zeros((len(unique), 3, 3))
    np.add.at(blocks, where.ravel(), crystal.blocks)
    return unique[:, 0], unique[:, 1], unique[:, 2:], blocks
