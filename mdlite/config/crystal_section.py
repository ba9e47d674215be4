"""The table [crystal]: any harmonic crystal, from a file, from the built-in ones, or written out as cell, atoms and springs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mdlite.config.values import MASS_TEXTS, Coordinate, Mass, Number, Positive, Section, triple

WAYS = "give one of file, name (a built-in crystal), or cell with atoms and springs"


def _named(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty, which is no name")
    if "\0" in value:
        raise ValueError("holds a zero byte, which no name has")
    return value


Text = Annotated[str, Field(strict=True), AfterValidator(_named)]
Cells = Annotated[int, Field(strict=True, ge=1, le=100_000)]
Whole = Annotated[int, Field(strict=True, ge=-50, le=50)]
Row = tuple[Number, Number, Number]
Matrix = tuple[Row, Row, Row]


class AtomSection(Section):
    """An atom of the cell."""

    species: Text = Field(description="symbol of the element, or a name of its own where mass is given")
    position: tuple[Coordinate, Coordinate, Coordinate] = Field(description="place in the cell, in units of its vectors")
    mass: Mass | None = Field(None, description=f"mass, meV ps^2/Angstrom^2; {MASS_TEXTS}; default: that of the element")


class SpringSection(Section):
    """A spring between atoms of two species, in one shell of neighbours: two constants, or the 3 × 3 matrix of one bond of the shell."""

    species: tuple[Text, Text] = Field(description="the species at either end")
    shell: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = Field(
        None, description="which shell of neighbours of that species, from 1; or give distance"
    )
    distance: Positive | None = Field(None, description="between the two atoms, Angstrom; or give shell")
    longitudinal: Number | None = Field(None, description="constant along the bond, meV/Angstrom^2")
    transverse: Number | None = Field(None, description="constant across the bond, meV/Angstrom^2; absent: none")
    bond: Row | None = Field(
        None, description="the bond that matrix is for, from an atom of the first species to one of the second, Angstrom"
    )
    matrix: Matrix | None = Field(
        None,
        description="3 × 3 constants of that bond (force constants times -1), meV/Angstrom^2; symmetry gives those of the others",
    )


class CrystalSection(Section):
    """Any harmonic crystal, in place of [lattice]: from a file, by name, or as cell, atoms and springs."""

    size: Annotated[tuple[Cells, Cells, Cells], BeforeValidator(triple)] = Field(
        (10, 10, 10), description="cells along each vector, or one number for all: primitive ones, or those of matrix"
    )
    matrix: tuple[tuple[Whole, Whole, Whole], tuple[Whole, Whole, Whole], tuple[Whole, Whole, Whole]] | None = Field(
        None,
        description="rows of whole numbers: a larger cell, in units of the primitive vectors, that size counts; determinant above 0",
    )
    file: Text | None = Field(
        None,
        description="what phonopy reads (a yaml, or a folder with FORCE_SETS or FORCE_CONSTANTS), a file of `mdlite crystal`, or a TOML file "
        "with cell, atoms and springs; relative to the configuration",
    )
    name: Text | None = Field(None, description="a built-in crystal")
    cell: Matrix | None = Field(None, description="its three vectors as rows, right-handed, Angstrom")
    atoms: list[AtomSection] = Field([], description="of the cell, in the order in which κ counts them")
    springs: list[SpringSection] = Field([], description="between them")
    corrections: Literal["all", "translation"] | None = Field(
        None,
        description="of force constants from files: all sum rules (permutation, translation, rotation), or without rotation, to compare with "
        "phonopy; default: all, or what a file of `mdlite crystal` was made with",
    )
    dipoles: Positive | None = Field(
        None,
        description="radius of a stencil that holds the dipoles of Born charges, Angstrom; absent: as far as the file's supercell does",
    )
    tolerance: Annotated[float, Field(strict=True, gt=0.0, lt=1.0)] | None = Field(
        None, description="force constants smaller than this share of the largest are dropped; absent: none"
    )

    def values(self) -> dict[str, Any]:
        """What decides the crystal, as plain values: without size and matrix."""
        return compact(self.model_dump(exclude_none=True, exclude={"size", "matrix"}))


def compact(values: dict[str, Any]) -> dict[str, Any]:
    """The table without lists that are empty."""
    return {key: value for key, value in values.items() if value not in ([], ())}


def located(data: dict[str, Any], folder: str | Path | None = None) -> dict[str, Any]:
    """The tables of a configuration, ``crystal.file`` absolute: relative to ``folder``, or to the working directory."""
    table = data.get("crystal")
    if not isinstance(table, dict) or not isinstance(table.get("file"), str) or not table["file"].strip():
        return data
    place = os.path.abspath(os.path.join(folder or "", table["file"]))  # noqa: PTH100, PTH118 (no name is too odd for it)
    return data | {"crystal": table | {"file": place}}


def faults(section: CrystalSection) -> Iterator[str]:
    """Rules between the keys of the table that it breaks, one line each."""
    written = [key for key in ("cell", "atoms", "springs") if getattr(section, key)]
    ways = [key for key in ("file", "name") if getattr(section, key) is not None] + (
        ["cell, atoms and springs"] if written else []
    )
    if len(ways) != 1:
        yield f"crystal: has {' and '.join(ways) if ways else 'nothing that says which crystal it is'}; {WAYS}"
    elif written and len(written) < 3:
        missing = [key for key in ("cell", "atoms", "springs") if key not in written]
        yield f"crystal.{missing[0]}: is missing and must be given: a crystal that is written out has cell, atoms and springs"
    if section.matrix is not None and not _determinant(section.matrix) > 0:
        yield f"crystal.matrix = {[list(row) for row in section.matrix]}: has determinant {_determinant(section.matrix)}; must be above 0"
    if section.dipoles is not None and section.file is None:
        yield f"crystal.dipoles = {section.dipoles:g}: is for crystals from a file that has Born charges; take it out"


def _determinant(rows: Any) -> int:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
