"""Crystals from phonopy: cell, atoms, force constants of every image, Born charges, in meV, Å and ps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mdlite import arguments, units
from mdlite.crystals import dynamics, phonopy_input
from mdlite.crystals.crystal import Crystal, crystal
from mdlite.crystals.material import Material, Polar
from mdlite.errors import InputError

BOHR, RYDBERG = 0.529177210903, 13605.693122994
"""Å and meV (CODATA 2018)."""
LENGTHS = {"angstrom": 1.0, "au": BOHR}
STIFFNESSES = {
    "eV/angstrom^2": 1e3,
    "eV/angstrom.au": 1e3 / BOHR,
    "Ry/au^2": RYDBERG / BOHR**2,
    "mRy/au^2": 1e-3 * RYDBERG / BOHR**2,
    "hartree/au^2": 2.0 * RYDBERG / BOHR**2,
    "hartree/angstrom.au": 2.0 * RYDBERG / BOHR,
}
"""Units of force constants, as phonopy names them, in meV/Å²."""
CALCULATORS = {
    **dict.fromkeys(("vasp", "aims", "lammps", "pwmat", "crystal", "castep"), ("angstrom", "eV/angstrom^2")),
    **dict.fromkeys(("abinit", "siesta", "abacus"), ("au", "eV/angstrom.au")),
    **dict.fromkeys(("qe", "qlm"), ("au", "Ry/au^2")),
    "wien2k": ("au", "mRy/au^2"),
    **dict.fromkeys(("elk", "dftbp", "turbomole", "fleur", "exciting", "octopus"), ("au", "hartree/au^2")),
    "cp2k": ("angstrom", "hartree/angstrom.au"),
}
"""Units of length and of force constants, by calculator."""
FASTEST, SLOWEST = 100.0, 0.1
"""THz, of the highest frequency of a crystal: bonds of nitrogen have 70; atoms lighter than `LIGHT` Da may have more by the root of the mass."""
LIGHT = 7.0
OFF_LATTICE = 1e-2
"""Of a cell vector: by how much an atom of the supercell may miss the place that the primitive cell gives it."""


def read(path: str | os.PathLike[str], units: str | None = None) -> Material:
    """The crystal of a phonopy yaml file (phonopy.yaml, phonopy_params.yaml, phonopy_disp.yaml, packed or not; FORCE_CONSTANTS,
    force_constants.hdf5, FORCE_SETS, BORN beside it if it does not have them itself), or of a folder with a unit cell, phonopy.conf
    (DIM, PRIMITIVE_AXES) and one of these.

    ``units``: the calculator in whose units the file is, as phonopy names it (`CALCULATORS`); by default the file's own word. Raises
    InputError.
    """
    arguments.path("file", path, "a phonopy yaml file, or a folder")
    if units is not None:
        arguments.choice("units", units, tuple(CALCULATORS))
    loaded = phonopy_input.load(Path(path), units)
    if loaded.calculator not in CALCULATORS:
        arguments.refuse("calculator", loaded.calculator, f"one of {', '.join(CALCULATORS)}; give one of them as units")
    length, stiffness = CALCULATORS[loaded.calculator]
    if loaded.unit and loaded.unit not in STIFFNESSES:
        arguments.refuse(f"unit of force constants in {path}", loaded.unit, f"one of {', '.join(STIFFNESSES)}")
    found = material(
        loaded.phonon, loaded.constants, LENGTHS[length], STIFFNESSES[loaded.unit or stiffness], loaded.born, str(path)
    )
    _check_units(found.crystal, path, loaded.calculator)
    return found


def material(
    phonon: Any,
    constants: np.ndarray | None = None,
    length: float = 1.0,
    stiffness: float = 1e3,
    born: tuple[np.ndarray, np.ndarray, float] | None = None,
    source: str = "",
) -> Material:
    """The crystal of a `phonopy.Phonopy`.

    constants: compact (p, N, 3, 3) or full (N, N, 3, 3), by default its own; length: its unit of length in Å; stiffness: of force
    constants in meV/Å²; born: charges (p, 3, 3), dielectric tensor (3, 3), the charges' violation of their sum rule. Raises InputError.

    A left-handed primitive cell is described by its vectors reversed.
    """
    primitive, supercell = phonon.primitive, phonon.supercell
    hand = np.sign(np.linalg.det(primitive.cell))
    cell, positions = hand * primitive.cell * length, hand * np.asarray(primitive.scaled_positions)
    first, second, cells, blocks = _images(primitive, phonon.force_constants if constants is None else constants, source)
    if primitive.masses is None or not np.all(np.asarray(primitive.masses, float) > 0.0):
        raise InputError(
            f"file = {source}: has no masses of {', '.join(dict.fromkeys(primitive.symbols))}; give them in the file"
        )
    found = crystal(
        cell,
        positions,
        np.asarray(primitive.masses, float) * units.DALTON,
        tuple(str(symbol) for symbol in primitive.symbols),
        first,
        second,
        np.round(hand * cells).astype(np.int64),
        blocks * stiffness,
    )
    matrix = np.round(hand * supercell.cell @ np.linalg.inv(primitive.cell)).astype(np.int64)
    return Material(found, None if born is None else polar(born[0], born[1], matrix, born[2]), source)


def polar(charges: np.ndarray, dielectric: np.ndarray, matrix: np.ndarray, violation: float = 0.0) -> Polar:
    """Charges (p, 3, 3), e, whose sum is made zero, each atom taking an equal share, with the dielectric tensor (3, 3) and the supercell
    in cells of the crystal, (3, 3), of either hand; ``violation``: of the sum rule, if there has been a larger one before."""
    charges, dielectric = np.asarray(charges, float), np.asarray(dielectric, float)
    excess = charges.sum(axis=0)
    right_handed = np.asarray(matrix) * int(np.sign(np.linalg.det(matrix)))
    return Polar(
        charges - excess / len(charges),
        0.5 * (dielectric + dielectric.T),
        right_handed,
        max(violation, float(np.abs(excess).max())),
    )


def _images(primitive: Any, constants: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of all images of the supercell's atoms: first, second (b,), cells (b, 3) as floats, blocks (b, 3, 3).

    An atom at the supercell's boundary has several images equally near, which share its force constants.
    """
    constants = np.asarray(constants, float)
    count = len(primitive)
    if len(constants) != count:
        constants = constants[primitive.p2s_map]
    vectors, multiplicity = primitive.get_smallest_vectors()
    owner = np.array(
        [primitive.p2p_map[atom] for atom in primitive.s2p_map]
    )  # the primitive atom that each of the supercell's is
    shared, start = multiplicity[..., 0].ravel(), multiplicity[..., 1].ravel()  # (N p,)
    pair = np.repeat(np.arange(len(shared)), shared)
    row = np.arange(len(pair)) - np.repeat(np.cumsum(shared) - shared, shared) + start[pair]
    atom, first = np.divmod(pair, count)
    second = owner[atom]
    places = np.asarray(primitive.scaled_positions)
    cells = vectors[row] - (places[second] - places[first])
    if np.abs(cells - np.round(cells)).max() > OFF_LATTICE:
        raise InputError(
            f"file = {source}: atoms of the supercell are not where the primitive cell repeats them; correct the primitive matrix"
        )
    return first, second, np.round(cells), constants[first, atom] / shared[pair][:, None, None]


def _check_units(found: Crystal, path: str | os.PathLike[str], calculator: str) -> None:
    """Raises InputError for frequencies that no crystal has."""
    halves = np.stack(np.meshgrid(*[[0.0, 0.5]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    highest = float(units.terahertz(np.sqrt(max(dynamics.squares(found, halves).max(), 0.0))))
    fastest = FASTEST * max(1.0, float(np.sqrt(LIGHT * units.DALTON / found.masses.min())))
    if not SLOWEST < highest < fastest:
        length, stiffness = CALCULATORS[calculator]
        raise InputError(
            f"file = {path}: has a highest frequency of {highest:.4g} THz, as no crystal has ({SLOWEST:g} to {fastest:.3g} THz); read as {calculator}'s, "
            f"in {length} and {stiffness}: give the calculator by units, or correct the file"
        )
