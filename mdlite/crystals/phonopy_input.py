"""The files that phonopy and its users leave behind, found and opened by phonopy, every one by its own name.

`phonopy.load` is not called: it takes FORCE_SETS, FORCE_CONSTANTS and BORN from the working directory wherever it is not given one.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mdlite import terminal
from mdlite.crystals import phonopy_forces
from mdlite.crystals.phonopy_forces import Source, reading
from mdlite.errors import InputError

COMPLETE = ("phonopy_params.yaml",)
PARTIAL = ("phonopy_disp.yaml", "phonopy.yaml")
PACKED = ("", ".xz", ".gz", ".lzma")
UNIT_CELLS = {
    "vasp": ("POSCAR-unitcell", "POSCAR"), "aims": ("geometry.in",), "qe": ("unitcell.in",), "castep": ("unitcell.cell",),
    "cp2k": ("unitcell.inp",), "siesta": ("input.fdf",), "elk": ("elk.in",), "exciting": ("input.xml",), "dftbp": ("geo.gen",),
    "abacus": ("STRU",), "pwmat": ("atom.config",), "wien2k": ("case.struct",), "fleur": ("fleur.in",), "lammps": ("unitcell",),
    "abinit": ("unitcell.in",), "crystal": ("crystal.o",), "turbomole": ("control",), "qlm": ("site",), "octopus": ("POSCAR",),
}  # fmt: skip
"""By calculator, as phonopy names them; a name that several share is the first one's unless the calculator is told."""
MOST_ATOMS = 20_000
CENTRINGS = ("auto", "P", "F", "I", "A", "C", "R")


class Loaded(NamedTuple):
    """What phonopy has read.

    phonon: a `phonopy.Phonopy` with its cells. constants: force constants (p, N, 3, 3) or (N, N, 3, 3), in ``unit`` if the file says
    one, else in the calculator's. calculator: as phonopy names it. born: charges (p, 3, 3), e, dielectric (3, 3), and by how much the
    file's charges missed a sum of zero (the largest component), or None. path: the file.
    """

    phonon: Any
    constants: np.ndarray
    unit: str | None
    calculator: str
    born: tuple[np.ndarray, np.ndarray, float] | None
    path: Path


def load(path: Path, calculator: str | None = None) -> Loaded:
    """Whatever phonopy reads, from a file or a folder; ``calculator``: whose units it is in, by default the file's. Raises InputError."""
    if not path.exists():
        raise InputError(
            f"file = {path}: does not exist; give a phonopy.yaml, phonopy_params.yaml, or the folder with the unit cell and the forces"
        )
    try:
        import phonopy
    except ImportError:
        raise InputError(f"file = {path}: is read by phonopy, which is not installed: pip install 'mdlite[phonopy]'") from None
    with _quiet():
        yaml = _yaml_in(path)
        source = _from_yaml(yaml, calculator) if yaml else _from_folder(path, calculator)
        _check_size(source)
        with reading(source.path):
            phonon = phonopy.Phonopy(
                source.cell,
                supercell_matrix=source.matrix,
                primitive_matrix=source.primitive,
                calculator=source.calculator,
                log_level=0,
            )
        constants, unit = phonopy_forces.constants(phonon, source)
        return Loaded(phonon, constants, unit, source.calculator, phonopy_forces.born(phonon, source), source.path)


def _check_size(source: Source) -> None:
    """Raises InputError for a supercell that nobody has calculated, before memory is asked for it."""
    with reading(source.path):
        matrix = np.asarray(source.matrix, float)
        atoms = abs(float(np.linalg.det(np.diag(matrix) if matrix.ndim == 1 else matrix))) * len(source.cell)
    if not atoms <= MOST_ATOMS:
        raise InputError(
            f"file = {source.path}: has a supercell of {atoms:.4g} atoms; must be {MOST_ATOMS} at most; correct the supercell (DIM)"
        )


def _yaml_in(path: Path) -> Path | None:
    """The phonopy yaml that a path means, None where it means a folder with a unit cell."""
    if path.is_file():
        return path if {".yaml", ".yml"} & set(path.suffixes) else None
    partial = () if _conf_in(path) else PARTIAL
    for name in (*COMPLETE, *partial):
        for packed in PACKED:
            if (path / (name + packed)).is_file():
                return path / (name + packed)
    return None


def _from_yaml(path: Path, calculator: str | None) -> Source:
    from phonopy.interface.phonopy_yaml import PhonopyYaml

    with reading(path):
        data = PhonopyYaml()
        data.read(str(path))
        cell = data.unitcell
    if cell is None:
        raise InputError(f"file = {path}: holds no unit cell; give a phonopy.yaml or phonopy_params.yaml")
    matrix = np.eye(3, dtype=int) if data.supercell_matrix is None else data.supercell_matrix
    primitive = "auto" if data.primitive_matrix is None else data.primitive_matrix
    born = None if data.nac_params is None else (data.nac_params["born"], data.nac_params["dielectric"])
    found = calculator or data.calculator or "vasp"
    return Source(path, cell, matrix, primitive, found, data.dataset, data.force_constants, born)


def _from_folder(path: Path, calculator: str | None) -> Source:
    from phonopy.interface.calculator import read_crystal_structure

    folder, conf = (path, _conf_in(path)) if path.is_dir() else (path.parent, path)
    if path.is_file() and path.suffix != ".conf":
        raise InputError(
            f"file = {path}: must be a phonopy yaml file (phonopy.yaml, phonopy_params.yaml) or the folder that holds the crystal"
        )
    if conf is None:
        names = ", ".join((*COMPLETE, *PARTIAL))
        raise InputError(
            f"file = {path}: holds neither {names} nor a phonopy.conf with DIM, the supercell of the forces; give one of them"
        )
    tags = read_conf(conf)
    if "DIM" not in tags:
        raise InputError(f"file = {conf}: has no DIM, the supercell of the forces; add it, such as DIM = 2 2 2")
    matrix, words = _matrix(conf, "DIM", tags["DIM"]), tags.get("PRIMITIVE_AXES", tags.get("PRIMITIVE_AXIS", "auto"))
    word = next((word for word in CENTRINGS if word.lower() == words.lower()), None)
    primitive = word or _matrix(conf, "PRIMITIVE_AXES", words)
    calculator = calculator or tags.get("CALCULATOR", "").lower() or None
    kind, cell_file = _unit_cell_in(folder, calculator, tags.get("CELL_FILENAME"))
    with reading(cell_file):
        cell: Any = read_crystal_structure(str(cell_file), interface_mode=kind)[0]
        if "MASS" in tags:
            cell.masses = [float(mass) for mass in tags["MASS"].split()]
    return Source(conf, cell, matrix, primitive, kind)


def read_conf(path: Path) -> dict[str, str]:
    """The tags of a phonopy.conf, in capitals, as text. Raises InputError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"file = {path}: cannot be read ({terminal.of_error(error)})") from None
    lines = [line.partition("#")[0].partition("=") for line in text.splitlines()]
    return {key.strip().upper(): value.strip() for key, sign, value in lines if sign}


def _conf_in(folder: Path) -> Path | None:
    if (folder / "phonopy.conf").is_file():
        return folder / "phonopy.conf"
    others = [path for path in sorted(folder.glob("*.conf")) if "DIM" in read_conf(path)]
    return others[0] if len(others) == 1 else None


def _matrix(path: Path, tag: str, text: str) -> np.ndarray:
    """Three or nine numbers or fractions; whole ones for DIM."""
    whole = tag == "DIM"
    try:
        numbers = [float(Fraction(word)) for word in text.replace(",", " ").split()]
        if len(numbers) not in ((3, 9) if whole else (9,)):
            raise ValueError
        matrix = np.diag(numbers) if len(numbers) == 3 else np.reshape(numbers, (3, 3))
        if abs(np.linalg.det(matrix)) < 1e-8 or (whole and (matrix != np.round(matrix)).any()):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        right = (
            "three or nine whole numbers" if whole else f"nine numbers or fractions such as 1/2, or one of {', '.join(CENTRINGS)}"
        )
        raise InputError(f"{tag} = {terminal.one_line(text, 80)} in {path}: must be {right}, not flat") from None
    return matrix.astype(int) if whole else matrix


def _unit_cell_in(folder: Path, calculator: str | None, name: str | None) -> tuple[str, Path]:
    """The calculator, and its unit cell's file."""
    kinds = {calculator: UNIT_CELLS.get(calculator, ())} if calculator else UNIT_CELLS
    if name:
        kinds = {calculator or "vasp": (name,)}
    for kind, names in kinds.items():
        for candidate in names:
            if (folder / candidate).is_file():
                return kind, folder / candidate
    looked = ", ".join(dict.fromkeys(name for names in kinds.values() for name in names))
    raise InputError(f"file = {folder}: holds no unit cell; there must be one of {looked}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What phonopy prints and warns of is not shown; and the depth of calls that symfc allows stays with it: deep TOML would end the process."""
    deepest = sys.getrecursionlimit()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            sys.setrecursionlimit(deepest)
