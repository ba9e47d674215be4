"""Force constants and Born charges out of the files that hold them, for a crystal that phonopy has made from its cells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mdlite import terminal
from mdlite.errors import InputError

CONSTANTS = ("FORCE_CONSTANTS", "force_constants.hdf5")


class Source(NamedTuple):
    """A crystal without its forces: unit cell, matrices (the primitive one may be a word), what its file already knows of the rest."""

    path: Path
    cell: Any
    matrix: Any
    primitive: Any
    calculator: str
    dataset: Any = None
    constants: Any = None
    born: Any = None


def constants(phonon: Any, source: Source) -> tuple[np.ndarray, str | None]:
    """Force constants and their unit if it is known: from the file itself, else from a file of them beside it, else from forces."""
    unit: str | None = None
    found, atoms = source.constants, len(phonon.supercell)
    where = source.path
    if found is None and not _has_forces(source.dataset):
        beside = [where.parent / name for name in CONSTANTS if (where.parent / name).is_file()]
        if beside:
            where = beside[0]
            found, unit = _constants_file(where, phonon)
    if found is None:
        dataset, where = source.dataset, source.path
        if not _has_forces(dataset):
            where = source.path.parent / "FORCE_SETS"
            dataset = _force_sets(where, atoms, source)
        _check_forces(where, dataset, atoms)
        with reading(where):
            found = _produced(phonon, dataset)
    found = np.asarray(found, float)
    if found.shape[1:] != (atoms, 3, 3) or len(found) not in (atoms, len(phonon.primitive)):
        raise InputError(
            f"file = {where}: has force constants of {found.shape[0]} × {found.shape[1]} atoms, but the supercell has {atoms} atoms, "
            f"the primitive cell {len(phonon.primitive)}; correct the supercell (DIM) or the primitive cell (PRIMITIVE_AXES)"
        )
    if not np.isfinite(found).all():
        raise InputError(f"file = {where}: has force constants that are no finite numbers")
    return found, unit


def _constants_file(path: Path, phonon: Any) -> tuple[np.ndarray, str | None]:
    from phonopy import file_IO

    with reading(path):
        if path.suffix == ".hdf5":
            constants, unit = file_IO.read_force_constants_hdf5(
                str(path), p2s_map=phonon.primitive.p2s_map, return_physical_unit=True
            )
            return constants, unit
        return file_IO.parse_FORCE_CONSTANTS(str(path), p2s_map=phonon.primitive.p2s_map), None


def _has_forces(dataset: Any) -> bool:
    if dataset is None:
        return False
    return "forces" in dataset or any("forces" in first for first in dataset.get("first_atoms", ()))


def _force_sets(path: Path, atoms: int, source: Source) -> Any:
    from phonopy import file_IO

    if not path.is_file():
        raise InputError(
            f"file = {source.path}: has neither force constants nor forces, and there is no {', '.join((*CONSTANTS, path.name))} beside it; "
            "put one there, or have phonopy write phonopy_params.yaml with the forces in it"
        )
    with reading(path):
        first = next(line for line in path.read_text().splitlines() if line.strip()).split()
        return file_IO.parse_FORCE_SETS(filename=str(path), natom=None if len(first) == 1 else atoms)


def _check_forces(path: Path, dataset: Any, atoms: int) -> None:
    """Raises InputError unless there is a force for every atom of the supercell in every displaced supercell."""
    firsts = dataset.get("first_atoms")
    forces = [dataset["forces"]] if firsts is None else [first.get("forces") for first in firsts]
    for found in forces:
        if found is None:
            raise InputError(f"file = {path}: has forces for some of its displaced supercells only; calculate the others, too")
        count = np.shape(found)[-2] if np.ndim(found) > 1 else 0
        if count != atoms:
            raise InputError(
                f"file = {path}: has forces on {count} atoms, but the supercell has {atoms}; correct the supercell (DIM) or the forces"
            )
    if firsts is not None and not all(0 <= first["number"] < atoms for first in firsts):
        raise InputError(
            f"file = {path}: displaces an atom that the supercell of {atoms} atoms does not have; correct the supercell (DIM)"
        )


def _produced(phonon: Any, dataset: Any) -> np.ndarray:
    """Force constants from forces, made symmetric, as `phonopy.load` does it."""
    phonon.dataset = dataset
    if "displacements" in dataset:
        phonon.produce_force_constants(calculate_full_force_constants=False, fc_calculator="symfc")
        return phonon.force_constants
    phonon.produce_force_constants(calculate_full_force_constants=False)
    try:
        phonon.symmetrize_force_constants(show_drift=False, use_symfc_projector=True)
    except Exception:  # a phonopy that has no such thing, or another symfc beside it
        phonon.symmetrize_force_constants()
    return phonon.force_constants


def born(phonon: Any, source: Source) -> tuple[np.ndarray, np.ndarray, float] | None:
    """As in `Loaded`, made symmetric by phonopy: of the file, else of BORN beside it; None where there is neither."""
    from phonopy import file_IO
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

    path, found = source.path, source.born
    if found is None:
        path = source.path.parent / "BORN"
        if not path.is_file():
            return None
    with reading(path):
        if found is None:
            read = file_IO.parse_BORN(phonon.primitive, filename=str(path))
            found = read["born"], read["dielectric"]
        if np.shape(found[0]) != (len(phonon.primitive), 3, 3) or np.shape(found[1]) != (3, 3):
            raise ValueError(f"charges of {len(found[0])} atoms for a primitive cell of {len(phonon.primitive)}")
        charges, dielectric = symmetrize_borns_and_epsilon(found[0], found[1], phonon.primitive)
    finite = np.isfinite(charges).all() and np.isfinite(dielectric).all()
    if not finite or np.linalg.eigvalsh(dielectric).min() <= 0.0:
        raise InputError(
            f"file = {path}: must hold finite charges and a positive definite dielectric tensor; correct or remove it"
        )
    return charges, dielectric, float(np.abs(np.sum(found[0], axis=0)).max())


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever phonopy raises while it reads a file, as one InputError."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"file = {path}: phonopy cannot read it: {terminal.of_error(error)}") from error
