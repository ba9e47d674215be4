"""A harmonic crystal of any shape: cell, atoms, and the force constants of every pair of atoms that act on each other.

Atom (n, κ) sits at n·a + τ_κ, n three whole numbers. The energy is ½ Σ u_κ(l)ᵀ Φ_{κκ'}(l' - l) u_κ'(l').
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mdlite import arguments
from mdlite.errors import InputError

CLOSEST = 0.3
"""Å; two atoms nearer than this are one by mistake."""
FLATTEST = 1e-3
"""Of a cell: its volume over the product of its edges."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """An infinite crystal. Made by `crystal`, which checks and sorts.

    cell: vectors a_1, a_2, a_3 as rows, (3, 3), Å. positions: of the atoms of a cell, fractional, (p, 3). masses: (p,), meV ps²/Å².
    species: of each. Row b of first, second (b,), cells (b, 3), blocks (b, 3, 3): Φ of atom ``first`` in cell 0 with atom ``second``
    in cell ``cells``, meV/Å²; self blocks among them, in the order of (first, second, cells), none twice.
    """

    cell: np.ndarray
    positions: np.ndarray
    masses: np.ndarray
    species: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray
    cells: np.ndarray
    blocks: np.ndarray

    @property
    def n_basis(self) -> int:
        """Atoms in a cell, p."""
        return len(self.masses)

    @property
    def volume(self) -> float:
        """Of a cell, Å³."""
        return float(np.linalg.det(self.cell))

    @property
    def cell_mass(self) -> float:
        """Of all atoms of a cell, meV ps²/Å²."""
        return float(self.masses.sum())

    @property
    def reciprocal(self) -> np.ndarray:
        """Vectors b_1, b_2, b_3 as rows, a_i·b_j = 2π δ_ij, (3, 3), 1/Å."""
        return 2.0 * np.pi * np.linalg.inv(self.cell).T

    @property
    def places(self) -> np.ndarray:
        """Of the atoms of cell 0, (p, 3), Å."""
        return self.positions @ self.cell

    @cached_property
    def vectors(self) -> np.ndarray:
        """From atom ``first`` to atom ``second`` of every block, (b, 3), Å."""
        return (self.cells + self.positions[self.second] - self.positions[self.first]) @ self.cell

    @property
    def reach(self) -> float:
        """Of the farthest block, Å."""
        return float(np.linalg.norm(self.vectors, axis=1).max())

    @property
    def neighbours(self) -> np.ndarray:
        """Blocks of every atom, its own not counted, (p,)."""
        distinct = (self.first != self.second) | self.cells.any(axis=1)
        return np.bincount(self.first[distinct], minlength=self.n_basis)

    @cached_property
    def partner(self) -> np.ndarray:
        """The row of the same pair seen from the other atom, (b,): Φ_{κ'κ}(-n). Raises InputError where one is missing."""
        row = {key: n for n, key in enumerate(_keys(self.first, self.second, self.cells))}
        try:
            return np.array([row[key] for key in _keys(self.second, self.first, -self.cells)])
        except KeyError as missing:
            raise InputError(f"blocks: {missing} has no block from the other atom; give every pair of atoms both ways") from None

    def with_blocks(self, blocks: np.ndarray) -> Crystal:
        """The same atoms and pairs with other force constants (b, 3, 3), meV/Å²."""
        return replace(self, blocks=np.asarray(blocks, float))

    def supercell(self, matrix: ArrayLike) -> Crystal:
        """The same crystal described by a larger cell, ``matrix`` (3, 3) of whole numbers times the cell vectors, determinant positive.

        Its atoms are those of this one's cells in the order of `images`, each cell's together. Raises InputError.
        """
        whole = _whole_matrix(matrix)
        cells = images(whole)
        number = {tuple(cell): n for n, cell in enumerate(cells.tolist())}
        p, count = self.n_basis, len(cells)
        target = cells[:, None, :] + self.cells  # (count, b, 3)
        outer, inner = divided(target, whole)
        place = np.array([number[tuple(cell)] for cell in inner.reshape(-1, 3).tolist()]).reshape(count, -1)
        return crystal(
            whole @ self.cell,
            ((cells[:, None, :] + self.positions) @ np.linalg.inv(whole)).reshape(-1, 3),
            np.tile(self.masses, count),
            self.species * count,
            (np.arange(count)[:, None] * p + self.first).ravel(),
            (place * p + self.second).ravel(),
            outer.reshape(-1, 3),
            np.broadcast_to(self.blocks, (count, *self.blocks.shape)).reshape(-1, 3, 3),
        )

    def sites(self, sites: ArrayLike) -> np.ndarray:
        """Places of atoms (..., 4), each n1, n2, n3, κ: (..., 3), Å."""
        where = np.asarray(sites, np.int64)
        return (where[..., :3] + self.positions[where[..., 3]]) @ self.cell


def crystal(
    cell: ArrayLike,
    positions: ArrayLike,
    masses: ArrayLike,
    species: Sequence[str],
    first: ArrayLike,
    second: ArrayLike,
    cells: ArrayLike,
    blocks: ArrayLike,
) -> Crystal:
    """A `Crystal` (see there) from blocks in any order; those of the same pair are added. Raises InputError for a cell that is none."""
    vectors = checked_cell(cell)
    place = np.asarray(positions, float).reshape(-1, 3)
    weights = np.asarray(masses, float)
    check_atoms(vectors, place, species)
    if weights.shape != (len(place),) or not (np.isfinite(weights).all() and (weights > 0.0).all()):
        arguments.refuse("masses", weights.tolist(), f"{len(place)} positive numbers, meV ps^2/Angstrom^2")
    pairs = np.column_stack([np.asarray(first), np.asarray(second), np.asarray(cells).reshape(-1, 3)]).astype(np.int64)
    unique, where = np.unique(pairs, axis=0, return_inverse=True)
    total = np.zeros((len(unique), 3, 3))
    np.add.at(total, where.ravel(), np.asarray(blocks, float))
    return Crystal(vectors, place, weights, tuple(species), unique[:, 0], unique[:, 1], unique[:, 2:], total)


def checked_cell(cell: ArrayLike, name: str = "cell") -> np.ndarray:
    """Cell vectors as float (3, 3). Raises InputError, which names ``name``, for a flat or left-handed cell."""
    try:
        vectors = np.array(cell, float)
    except (TypeError, ValueError, OverflowError):
        vectors = np.empty(0)
    if vectors.shape != (3, 3) or not np.isfinite(vectors).all():
        arguments.refuse(name, cell, "three vectors of three finite numbers, Angstrom")
    volume, edges = np.linalg.det(vectors), np.prod(np.linalg.norm(vectors, axis=1))
    if not abs(volume) > FLATTEST * edges:
        raise InputError(f"{name} = {vectors.tolist()}: is flat (volume {volume:.3g} Angstrom^3); give three independent vectors")
    if volume < 0.0:
        raise InputError(
            f"{name} = {vectors.tolist()}: is left-handed (volume {volume:.6g} Angstrom^3); exchange two of the vectors"
        )
    return vectors


def check_atoms(cell: np.ndarray, positions: np.ndarray, species: Sequence[str], name: str = "atoms") -> None:
    """Raises InputError unless there are atoms, as many as species, and no two on top of each other."""
    if len(positions) == 0 or len(species) != len(positions):
        raise InputError(
            f"{name}: {len(species)} species for {len(positions)} positions; give at least one atom, and a species for each"
        )
    if not np.isfinite(positions).all():
        arguments.refuse(f"{name} position", positions.tolist(), "finite fractional coordinates")
    apart = positions[None] - positions[:, None]
    nearest = apart - np.round(apart)
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.linalg.norm((nearest[:, :, None] + steps) @ cell, axis=-1)
    distance[np.arange(len(positions)), np.arange(len(positions)), 13] = np.inf  # itself
    i, j, image = map(int, np.unravel_index(np.argmin(distance), distance.shape))
    if distance[i, j, image] < CLOSEST:
        raise InputError(
            f"{name}: atoms {i} ({species[i]}) and {j} ({species[j]}) are {distance[i, j, image]:.3g} Angstrom apart, on top of each other; "
            f"must be {CLOSEST:g} at least"
        )


def images(matrix: np.ndarray) -> np.ndarray:
    """The cells (n1, n2, n3) that a larger cell of ``matrix`` holds, (det, 3), in lexical order of what `divided` gives for them."""
    whole = _whole_matrix(matrix)
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ whole
    axes = [np.arange(low, high + 1) for low, high in zip(corners.min(axis=0), corners.max(axis=0))]
    candidates = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    outer, inner = divided(candidates, whole)
    return inner[~outer.any(axis=1)]


def divided(cells: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells (..., 3) as (which larger cell, which cell within it): cells = outer @ matrix + inner; exact, in whole numbers."""
    det = round(np.linalg.det(matrix))
    adjugate = np.round(np.linalg.inv(matrix) * det).astype(np.int64)
    outer = (np.asarray(cells, np.int64) @ adjugate) // det
    return outer, cells - outer @ matrix


def _whole_matrix(matrix: ArrayLike) -> np.ndarray:
    found = np.array(matrix)
    if found.shape != (3, 3) or not np.array_equal(found, np.round(found)):
        arguments.refuse("matrix", matrix, "three rows of three whole numbers")
    if not np.linalg.det(found) > 0.5:
        arguments.refuse("matrix", found.tolist(), "of positive determinant")
    return found.astype(np.int64)


def _keys(first: np.ndarray, second: np.ndarray, cells: np.ndarray) -> list[tuple[int, ...]]:
    return list(map(tuple, np.column_stack([first, second, cells]).tolist()))
