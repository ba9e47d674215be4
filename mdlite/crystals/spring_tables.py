"""The tables of atoms and springs as a user writes them, read and checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdlite import arguments, elements
from mdlite.crystals.crystal import check_atoms, checked_cell
from mdlite.crystals.shells import Structure
from mdlite.errors import InputError

ATOM_KEYS = ("species", "position", "mass")
FARTHEST = 1000.0
"""Cells, of an atom from the origin."""
SPRING_KEYS = ("species", "shell", "distance", "longitudinal", "transverse", "bond", "matrix")


class Spring(NamedTuple):
    """A spring as it was given, checked. name: its key. bond (3,), Å, and matrix (3, 3) of a general one; longitudinal, transverse else."""

    name: str
    species: tuple[str, str]
    shell: int | None
    distance: float | None
    longitudinal: float
    transverse: float
    bond: np.ndarray | None
    matrix: np.ndarray | None

    @property
    def told(self) -> str:
        """Which it is, for a message."""
        where = f"shell = {self.shell}" if self.shell is not None else f"distance = {self.distance:g}"
        return f"{self.name} ({self.species[0]}-{self.species[1]}, {where})"


def read_atoms(cell: ArrayLike, atoms: Sequence[Mapping[str, Any]], prefix: str = "") -> Structure:
    """Cell and atoms, checked. Raises InputError."""
    vectors = checked_cell(cell, f"{prefix}cell")
    species, positions, masses = [], [], []
    for n, atom in enumerate(tables(atoms, f"{prefix}atoms")):
        name = f"{prefix}atoms.{n}"
        table = _known(atom, ATOM_KEYS, name)
        kind = table.get("species")
        if not isinstance(kind, str) or not kind.strip():
            arguments.refuse(f"{name}.species", kind, 'the name of a species, such as "Si"')
        mass = elements.number_of(table.get("mass"), f"{name}.mass")
        if mass is None and (mass := elements.species_mass(kind)) is None:
            raise InputError(f"{name}.species = {kind!r}: begins with no element, so that it needs a mass; give {name}.mass too")
        species.append(kind)
        position = arguments.vector(f"{name}.position", table.get("position"))
        if max(map(abs, position)) > FARTHEST:
            arguments.refuse(f"{name}.position", list(position), f"fractional coordinates, within {FARTHEST:g}")
        positions.append(position)
        masses.append(arguments.number(f"{name}.mass", mass, positive=True))
    places = np.array(positions, float).reshape(-1, 3)
    check_atoms(vectors, places, species, f"{prefix}atoms")
    return Structure(vectors, places, np.array(masses), tuple(species))


def read_spring(spring: Mapping[str, Any], structure: Structure, name: str) -> Spring:
    """A spring, checked but for its shell. Raises InputError."""
    table = _known(spring, SPRING_KEYS, name)
    pair = arguments.sequence(f"{name}.species", table.get("species"), "the names of two species")
    if len(pair) != 2 or not all(isinstance(one, str) for one in pair):
        arguments.refuse(f"{name}.species", pair, "the names of two species")
    for one in pair:
        if one not in structure.species:
            raise InputError(
                f"{name}.species = {pair}: there is no {one}; the atoms are {', '.join(dict.fromkeys(structure.species))}"
            )
    shell, distance = table.get("shell"), table.get("distance")
    if (shell is None) == (distance is None):
        raise InputError(f"{name}: has {'neither' if shell is None else 'both'} shell and distance; give one of the two")
    general, axial = table.keys() & {"bond", "matrix"}, table.keys() & {"longitudinal", "transverse"}
    if general and axial:
        raise InputError(
            f"{name}: has {' and '.join(sorted(general | axial))}; give longitudinal and transverse, or bond and matrix"
        )
    if not general and "longitudinal" not in table:
        raise InputError(
            f"{name}: longitudinal, or bond and matrix, are missing; a spring has longitudinal (and transverse), or bond and matrix"
        )
    if len(general) == 1:
        raise InputError(f"{name}: {'matrix' if 'bond' in table else 'bond'} is missing; a general spring has bond and matrix")
    return Spring(
        name,
        (pair[0], pair[1]),
        None if shell is None else arguments.whole(f"{name}.shell", shell, 1),
        None if distance is None else arguments.number(f"{name}.distance", distance, positive=True),
        arguments.number(f"{name}.longitudinal", table.get("longitudinal", 0.0)),
        arguments.number(f"{name}.transverse", table.get("transverse", 0.0)),
        np.array(arguments.vector(f"{name}.bond", table["bond"])) if general else None,
        _matrix(f"{name}.matrix", table["matrix"]) if general else None,
    )


def _matrix(name: str, value: Any) -> np.ndarray:
    right = "three rows of three numbers, meV/Angstrom^2"
    rows = arguments.sequence(name, value, right)
    if len(rows) != 3:
        arguments.refuse(name, value, right)
    return np.array([arguments.vector(f"{name} row {n}", row) for n, row in enumerate(rows)])


def tables(value: Any, name: str) -> list[Mapping[str, Any]]:
    found = arguments.sequence(name, value, "a list of tables")
    for n, table in enumerate(found):
        arguments.instance(f"{name}.{n}", table, Mapping, "a table")
    return found


def _known(table: Mapping[str, Any], keys: Sequence[str], name: str) -> dict[str, Any]:
    """A table's keys that have a value. Raises InputError for one that is none of ``keys``."""
    for key in table:
        if key not in keys:
            close = difflib.get_close_matches(str(key), keys, 1)
            raise InputError(
                f"{name}.{key}: unknown key; " + (f"did you mean {close[0]}?" if close else f"known keys are {', '.join(keys)}")
            )
    return {key: value for key, value in table.items() if value is not None}
