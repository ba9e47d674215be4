"""Symmetry of a crystal: its space group, and which operations leave its force constants as they are.

An operation takes fractional positions x to W x + w, and atom (n, κ) to atom (W n + shifts[κ], atoms[κ]); vectors and blocks turn by the
Cartesian rotation, Φ → R Φ Rᵀ.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdlite.crystals.crystal import Crystal, check_atoms, checked_cell
from mdlite.errors import InputError

TOLERANCE = 1e-3
"""Å, by which positions may be off."""


class Symmetry(NamedTuple):
    """The operations of a space group, g of them, the identity first.

    symbol: international, number: 1 to 230. rotations: fractional, whole numbers, (g, 3, 3); cartesian: the same, orthogonal, (g, 3, 3);
    translations: fractional, (g, 3). atoms: which atom of the cell each of the p becomes, (g, p); shifts: and in which cell, (g, p, 3).
    """

    symbol: str
    number: int
    rotations: np.ndarray
    cartesian: np.ndarray
    translations: np.ndarray
    atoms: np.ndarray
    shifts: np.ndarray

    def chosen(self, which: np.ndarray) -> Symmetry:
        """Some of the operations."""
        return Symmetry(self.symbol, self.number, *(part[which] for part in self[2:]))


def of_atoms(
    cell: ArrayLike, positions: ArrayLike, species: Sequence[str], masses: ArrayLike | None = None, tolerance: float = TOLERANCE
) -> Symmetry:
    """Of atoms at fractional ``positions`` (p, 3) in a ``cell`` (3, 3), Å: those that differ in species or mass are different.

    tolerance: Å. Raises InputError for a cell that is none, and where no symmetry can be found.
    """
    import spglib

    vectors, places = checked_cell(cell), np.asarray(positions, float).reshape(-1, 3)
    check_atoms(vectors, places, species)
    weights = [0.0] * len(species) if masses is None else np.asarray(masses, float).tolist()
    kinds = list(zip(species, weights))
    numbers = [list(dict.fromkeys(kinds)).index(kind) + 1 for kind in kinds]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how it tells errors, by version
            found = spglib.get_symmetry_dataset((vectors.tolist(), places.tolist(), numbers), symprec=tolerance)
    except Exception as error:  # spglib's own, by version
        raise InputError(f"cell: its symmetry cannot be found to {tolerance:g} Angstrom: {error}") from None
    if found is None:
        raise InputError(
            f"cell: its symmetry cannot be found to {tolerance:g} Angstrom; look for atoms that lie too close together"
        )
    turns, shifts = np.asarray(found.rotations, np.int64), np.asarray(found.translations, float)
    atoms, cells = _permutations(places, np.array(numbers), turns, shifts, vectors)
    order = np.argsort(~(turns == np.eye(3)).all(axis=(1, 2)), kind="stable")
    inverse = np.linalg.inv(vectors)
    cartesian = np.array([_orthogonal(vectors.T @ turn @ inverse.T) for turn in turns])
    return Symmetry(found.international, int(found.number), turns, cartesian, shifts, atoms, cells).chosen(order)


def of_crystal(crystal: Crystal, tolerance: float = 1e-6) -> Symmetry:
    """The operations of a crystal's structure that leave its blocks, too, as they are, to a share ``tolerance`` of the largest element.

    The group's symbol is that of the structure.
    """
    found = of_atoms(crystal.cell, crystal.positions, crystal.species, crystal.masses)
    largest = np.abs(crystal.blocks).max()
    return found.chosen(np.array([_keeps(crystal, found, g) <= tolerance * largest for g in range(len(found.rotations))]))


def images(
    symmetry: Symmetry, first: np.ndarray, second: np.ndarray, cells: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where pairs of atoms (b,), (b,), (b, 3) go under all operations: (g, b), (g, b), (g, b, 3)."""
    moved = np.einsum("gij,bj->gbi", symmetry.rotations, cells)
    moved += symmetry.shifts[:, second] - symmetry.shifts[:, first]
    return symmetry.atoms[:, first], symmetry.atoms[:, second], moved


def _keeps(crystal: Crystal, symmetry: Symmetry, g: int) -> float:
    """The largest change of an element of the blocks by one operation; infinite where a pair has no block."""
    one = symmetry.chosen(np.array([g]))
    first, second, cells = (part[0] for part in images(one, crystal.first, crystal.second, crystal.cells))
    keys = np.column_stack([first, second, cells])
    order = np.lexsort(keys.T[::-1])  # a crystal's blocks stand in this order
    if not np.array_equal(keys[order], np.column_stack([crystal.first, crystal.second, crystal.cells])):
        return np.inf
    turn = symmetry.cartesian[g]
    return float(np.abs((turn @ crystal.blocks @ turn.T)[order] - crystal.blocks).max())


def _permutations(
    positions: np.ndarray, numbers: np.ndarray, turns: np.ndarray, shifts: np.ndarray, cell: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which atom each becomes under every operation (g, p), and in which cell (g, p, 3)."""
    moved = np.einsum("gij,pj->gpi", turns, positions) + shifts[:, None, :]
    atoms = np.empty(moved.shape[:2], np.int64)
    for g, places in enumerate(moved):
        apart = places[:, None, :] - positions[None, :, :]
        apart -= np.round(apart)
        distance = np.linalg.norm(apart @ cell, axis=-1)
        distance[numbers[:, None] != numbers[None, :]] = np.inf
        atoms[g] = np.argmin(distance, axis=1)
    return atoms, np.round(moved - positions[atoms]).astype(np.int64)


def _orthogonal(turn: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to one that is nearly so."""
    left, _, right = np.linalg.svd(turn)
    return left @ right
