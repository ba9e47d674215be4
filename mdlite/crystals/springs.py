"""A crystal from its cell, its atoms and the springs between them (Born and von Kármán's).

A spring joins all pairs of two species at one distance, a shell. Its 3 × 3 matrix K is minus the force constants, Φ = -K, so that the force on
the first atom is K (u_second - u_first), as published tables have it: positive on the diagonal where the neighbour draws the atom after it.
Axial springs have K = k_l n̂n̂ᵀ + k_t (1 - n̂n̂ᵀ); the matrix of one bond is spread over the shell by the crystal's symmetry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdlite.crystals import shells, symmetry
from mdlite.crystals.crystal import Crystal, crystal
from mdlite.crystals.shells import Shell, Structure
from mdlite.crystals.spring_tables import Spring, read_atoms, read_spring, tables
from mdlite.errors import InputError

SAME_BOND = 1e-3
"""Å, from the bond that is given to the one that is meant."""
ROUNDED = 1e-4
"""Of a matrix's largest element: by so much the symmetry of its bond may change it, for the digits that it was written with."""
BROKEN = 1e-8
"""Of the largest block: a larger violation of a sum rule is refused."""


def from_springs(
    cell: ArrayLike, atoms: Sequence[Mapping[str, Any]], springs: Sequence[Mapping[str, Any]], prefix: str = ""
) -> Crystal:
    """A crystal from tables, such as a configuration's ``[crystal]`` has them.

    cell: vectors as rows, Å. atoms: tables of species, position (fractional) and, unless the species begins with an element ("O1"), mass.
    springs: tables of species (two), shell (from 1) or distance (Å), and longitudinal, transverse (0 if absent), or bond (Cartesian, Å, from
    the first species to the second) and matrix (3 × 3), meV/Å². prefix: of the keys in messages.

    Raises InputError for what is no crystal, and for springs that break a sum rule.
    """
    structure = read_atoms(cell, atoms, prefix)
    given = [
        read_spring(spring, structure, f"{prefix}springs.{n}") for n, spring in enumerate(tables(springs, f"{prefix}springs"))
    ]
    if not given:
        raise InputError(
            f"{prefix}springs: is empty; give at least one, such as {{ species = [...], shell = 1, longitudinal = 1000 }}"
        )
    found: dict[tuple[str, str, int], Shell] = {}
    group: symmetry.Symmetry | None = None
    for spring in given:
        shell = _shell_of(spring, structure, found)
        if spring.matrix is None:
            _axial(spring, shell)
        else:
            group = group or symmetry.of_atoms(structure.cell, structure.positions, structure.species)
            _spread(spring, shell, group)
    for shell in found.values():
        _require_all(shell)
    return _assembled(structure, list(found.values()), prefix)


def _shell_of(spring: Spring, structure: Structure, found: dict[tuple[str, str, int], Shell]) -> Shell:
    """The shell of a spring: a new one, or one that another spring has been given for. Raises InputError."""
    a, b = spring.species
    if spring.shell is not None:
        shell = shells.numbered(structure, a, b, spring.shell, f"{spring.name}.shell")
    else:
        assert spring.distance is not None
        shell = shells.at(structure, a, b, spring.distance, f"{spring.name}.distance")
    first, second = sorted((a, b))
    return found.setdefault((first, second, shell.number), shell)


def _axial(spring: Spring, shell: Shell) -> None:
    _require_free(spring, shell.owner)
    unit = shell.vectors / np.linalg.norm(shell.vectors, axis=1, keepdims=True)
    along = unit[:, :, None] * unit[:, None, :]
    shell.matrices[:] = spring.longitudinal * along + spring.transverse * (np.eye(3) - along)
    shell.owner[:] = spring.name


def _spread(spring: Spring, shell: Shell, group: symmetry.Symmetry) -> None:
    """The matrix of one bond, to all bonds of the shell that symmetry makes of it. Raises InputError."""
    assert spring.bond is not None and spring.matrix is not None
    bond, matrix = spring.bond, spring.matrix
    if spring.species != shell.species:  # seen from the other end
        bond, matrix = -bond, matrix.T
    apart = np.linalg.norm(shell.vectors - bond, axis=1)
    rows = np.flatnonzero(apart <= SAME_BOND)
    if not len(rows):
        nearest = shell.vectors[np.argmin(apart)] * (1.0 if spring.species == shell.species else -1.0)
        raise InputError(
            f"{spring.name}.bond = {spring.bond.tolist()}: is no bond of {spring.told}; the nearest is {_short(nearest)} (Cartesian, Angstrom)"
        )
    rows = rows[np.lexsort((shell.second[rows], shell.first[rows]))]
    _require_free(spring, shell.owner[rows])
    for row in rows.tolist():  # of atoms that symmetry does not make of each other, each
        if shell.owner[row] == "":
            place, blocks = _orbit(spring, shell, group, row, matrix)
            shell.matrices[place], shell.owner[place] = blocks, spring.name


def _orbit(spring: Spring, shell: Shell, group: symmetry.Symmetry, row: int, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bonds of a shell that symmetry makes of one, and their matrices: (m,), (m, 3, 3). Raises InputError."""
    first, second, cells = (
        part[:, 0] for part in symmetry.images(group, *(part[[row]] for part in (shell.first, shell.second, shell.cells)))
    )
    pairs, every = np.column_stack([first, second, cells]), group.cartesian @ matrix @ group.cartesian.transpose(0, 2, 1)
    if shell.species[0] == shell.species[1]:
        pairs = np.concatenate([pairs, np.column_stack([second, first, -cells])])
        every = np.concatenate([every, every.transpose(0, 2, 1)])
    place = shell.rows(pairs)
    if (place < 0).any():
        raise InputError(
            f"{spring.told}: the atoms' positions are symmetric only roughly, so that the shell is not; give them with more digits"
        )
    count = np.bincount(place, minlength=len(shell.first))
    total = np.zeros_like(shell.matrices)
    np.add.at(total, place, every)
    mean = total / np.maximum(count, 1)[:, None, None]
    residual = np.abs(every - mean[place]).max()
    if residual > ROUNDED * np.abs(matrix).max():
        own = mean[row] if spring.species == shell.species else mean[row].T
        assert spring.matrix is not None
        raise InputError(
            f"{spring.name}.matrix = {spring.matrix.tolist()}: is changed by {residual:.3g} meV/Angstrom^2 by the symmetry of its bond in {group.symbol}; "
            f"the nearest that is not is {[_short(line) for line in own]}"
        )
    found = np.flatnonzero(count)
    return found, mean[found]


def _require_free(spring: Spring, owners: np.ndarray) -> None:
    if before := [name for name in owners if name]:
        raise InputError(f"{spring.told}: its bonds have a spring already, {before[0]}; give one of the two")


def _require_all(shell: Shell) -> None:
    """Every bond of a shell that a matrix was given for must have got one."""
    bare = np.flatnonzero(shell.owner == "")
    if len(bare):
        given = next(name for name in shell.owner if name)
        raise InputError(
            f"{given}: {len(bare)} of the {len(shell.first)} bonds {shell.species[0]}-{shell.species[1]} at {shell.distance:.4f} Angstrom are not equal by "
            f"symmetry to those that have a matrix; give a spring with bond and matrix for each kind, the next for bond = {_short(shell.vectors[bare[0]])}"
        )


def _assembled(structure: Structure, found: list[Shell], prefix: str) -> Crystal:
    """All blocks, with the atoms' own from the acoustic sum rule. Raises InputError for springs that break a sum rule."""
    both = [shell for shell in found if shell.species[0] != shell.species[1]]  # pairs of one species stand both ways already
    first = [*(shell.first for shell in found), *(shell.second for shell in both)]
    second = [*(shell.second for shell in found), *(shell.first for shell in both)]
    cells = [*(shell.cells for shell in found), *(-shell.cells for shell in both)]
    blocks = [*(-shell.matrices for shell in found), *(-shell.matrices.transpose(0, 2, 1) for shell in both)]
    p = len(structure.species)
    own = np.zeros((p, 3, 3))
    np.subtract.at(own, np.concatenate(first), np.concatenate(blocks))
    largest = np.abs(own).max()
    if largest == 0.0:
        raise InputError(
            f"{prefix}springs: hold no atom, all their constants are 0 or add up to it; give at least one that is not"
        )
    odd = np.abs(own - own.transpose(0, 2, 1)).max(axis=(1, 2))
    if odd.max() > BROKEN * largest:
        atom = int(np.argmax(odd))
        raise InputError(
            f"{prefix}springs: the matrices at atom {atom} ({structure.species[atom]}) add up to one that is not symmetric, by {odd[atom] / largest:.3g} of "
            "the largest block, so that the crystal would turn by itself; matrices must be symmetric in their sum over an atom's bonds"
        )
    made = crystal(
        structure.cell,
        structure.positions,
        structure.masses,
        structure.species,
        np.concatenate([*first, np.arange(p)]),
        np.concatenate([*second, np.arange(p)]),
        np.concatenate([*cells, np.zeros((p, 3), np.int64)]),
        np.concatenate([*blocks, 0.5 * (own + own.transpose(0, 2, 1))]),
    )
    _require_rotation(made, prefix)
    return made


def _require_rotation(made: Crystal, prefix: str) -> None:
    """Raise InputError unless the springs obey the rotational sum rule: a crystal that is turned as a whole must feel nothing."""
    x = made.vectors
    torque = np.zeros((made.n_basis, 3, 3, 3))
    terms = made.blocks[:, :, :, None] * x[:, None, None, :]
    np.add.at(torque, made.first, terms - terms.transpose(0, 1, 3, 2))
    distance = np.linalg.norm(x, axis=1)
    residual = np.abs(torque).max(axis=(1, 2, 3)) / np.abs(made.blocks).max() / distance[distance > 0.0].min()
    if residual.max() <= BROKEN:
        return
    atom = int(np.argmax(residual))
    raise InputError(
        f"{prefix}springs: break the rotational sum rule at atom {atom} ({made.species[atom]}), by {residual[atom]:.3g} of the largest block; "
        "the transverse constants must vanish, or the sum of k_t x over the atom's bonds (x from the atom to its neighbour) must, here "
        f"{_short(-0.5 * np.einsum('aac->c', torque[atom]))} meV/Angstrom; of matrices, the sums of K_ab x_c - K_ac x_b"
    )


def _short(vector: np.ndarray) -> list[float]:
    return [float(f"{x:.6g}") + 0.0 for x in vector]
