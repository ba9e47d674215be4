"""Crystals from phonopy's files: the same D(q), whatever the file, the order of its atoms, its units and what lies around."""

import gzip
import lzma
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

import crystals
from mdlite import InputError, units
from mdlite.crystals import phonopy_files, phonopy_input
from mdlite.crystals.crystal import crystal as make

phonopy = pytest.importorskip("phonopy")

from phonopy import file_IO  # noqa: E402
from phonopy.structure.atoms import PhonopyAtoms  # noqa: E402

QPOINTS = np.random.default_rng(18).random((50, 3)) - 0.5
HALVES = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
ROUNDING = 1e-5
"""THz: phonopy's constants of nature differ from ours by 1e-7."""


def frequencies(crystal, q):
    """THz, negative where imaginary; written out pair by pair."""
    p = crystal.n_basis
    matrix = np.zeros((len(q), p, 3, p, 3), complex)
    for first, second in np.ndindex(p, p):
        own = (crystal.first == first) & (crystal.second == second)
        weight = np.sqrt(crystal.masses[first] * crystal.masses[second])
        phases = np.exp(2j * np.pi * q @ crystal.cells[own].T)
        matrix[:, first, :, second, :] = np.einsum("qb,bij->qij", phases, crystal.blocks[own]) / weight
    squares = np.linalg.eigvalsh(matrix.reshape(len(q), 3 * p, 3 * p))
    return np.sign(squares) * np.sqrt(np.abs(squares)) / (2.0 * np.pi)


def of_phonopy(phonon, q=QPOINTS):
    phonon.run_qpoints(q)
    return phonon.qpoints.frequencies


def bonds(phonon, reach, strength=6.0, seed=5):
    """Force constants (N, N, 3, 3) of a phonopy object, eV/Å² for cells in Å: to every image of an atom within reach a spring whose
    constant falls with the distance, plus a transverse one; a pair's images in the supercell are added."""
    supercell = phonon.supercell
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ supercell.cell
    apart = supercell.positions[None, :, None] - supercell.positions[:, None, None] + steps
    distance = np.linalg.norm(apart, axis=-1)
    near = (distance < reach) & (distance > 1e-6)
    i, j, _ = np.nonzero(near)
    r = distance[near]
    unit = apart[near] / r[:, None]
    k = strength * np.exp(-2.0 * (r - r.min()))
    blocks = -k[:, None, None] * (0.9 * unit[:, :, None] * unit[:, None, :] + 0.1 * np.eye(3))
    constants = np.zeros((len(supercell), len(supercell), 3, 3))
    np.add.at(constants, (i, j), blocks)
    constants[np.arange(len(supercell)), np.arange(len(supercell))] -= constants.sum(axis=1)
    return constants


def zincblende(matrix=None, order=None, calculator=None, primitive=None, flip=1.0, shift=0.0, scale=1.0):
    """A phonopy object of a synthetic crystal, ZnS-like, without force constants; ``order``: of the atoms of its cubic cell."""
    fcc = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    points = np.concatenate([fcc, fcc + 0.25]) * flip + shift
    order = np.arange(8) if order is None else order
    cell = PhonopyAtoms(
        symbols=[("Zn", "S")[n // 4] for n in order], cell=np.eye(3) * 5.41 * flip * scale, scaled_positions=points[order]
    )
    return phonopy.Phonopy(
        cell,
        supercell_matrix=np.diag([2, 2, 2]) if matrix is None else matrix,
        primitive_matrix=HALVES if primitive is None else primitive,
        calculator=calculator,
        log_level=0,
    )


def saved(phonon, path, constants, compact=True):
    if compact and len(constants) == len(phonon.supercell):
        constants = constants[phonon.primitive.p2s_map]
    phonon.force_constants = constants
    phonon.save(path, settings={"force_constants": True, "force_sets": False, "displacements": False})
    return path


def same(one, other, tolerance=1e-9):
    """Two crystals: the same atoms and blocks, in the same order."""
    assert one.species == other.species
    assert np.allclose(one.cell, other.cell, rtol=0.0, atol=1e-8) and np.allclose(one.masses, other.masses, rtol=1e-7)
    assert np.allclose(one.positions, other.positions, rtol=0.0, atol=1e-7)
    for name in ("first", "second", "cells"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.abs(one.blocks - other.blocks).max() <= tolerance * np.abs(one.blocks).max()


# real crystals


@pytest.mark.thorough(only=("nacl", "li3n"))
@pytest.mark.parametrize("name", crystals.NAMES)
def test_frequencies_are_phonopys(name):
    found = phonopy_files.read(crystals.params(name))
    phonon = crystals.phonopy_of(name)
    assert np.abs(frequencies(found.crystal, QPOINTS) - of_phonopy(phonon)).max() < ROUNDING
    assert found.crystal.species == tuple(phonon.primitive.symbols)
    assert np.allclose(found.crystal.places, phonon.primitive.positions, rtol=0.0, atol=1e-9)
    assert np.allclose(found.crystal.masses / units.DALTON, phonon.primitive.masses)
    assert (found.polar is None) == (name == "li3po4")


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("name", ["aln", "li2o"])
def test_charges_are_phonopys_and_their_sum_is_zero(name):
    found = phonopy_files.read(crystals.folder(name)).polar
    expected = crystals.phonopy_of(name, dipoles=True).nac_params
    assert np.abs(found.charges - expected["born"]).max() < 2e-8 and np.abs(found.charges.sum(axis=0)).max() < 1e-14
    assert np.abs(found.dielectric - expected["dielectric"]).max() < 1e-10
    assert found.violation <= 2e-8
    phonon = crystals.phonopy_of(name)
    assert round(np.linalg.det(found.matrix)) * len(phonon.primitive) == len(phonon.supercell)
    edges = found.matrix @ phonon.primitive.cell
    assert np.allclose(edges, phonon.supercell.cell, atol=1e-6)


def test_a_file_with_force_constants_instead_of_forces():
    whole = crystals.folder("nacl") / "phonopy_fc.yaml.xz"
    if not whole.is_file():
        pytest.skip("no such file")
    found, expected = phonopy_files.read(whole), phonopy_files.read(crystals.params("nacl"))
    assert np.abs(frequencies(found.crystal, QPOINTS) - frequencies(expected.crystal, QPOINTS)).max() < ROUNDING
    assert found.polar is not None  # from BORN beside it


@pytest.fixture
def copied(tmp_path):
    """A folder with some of a real crystal's files."""

    def copy(name, *files, into="crystal"):
        (tmp_path / into).mkdir(exist_ok=True)
        for file in files:
            shutil.copyfile(crystals.folder(name) / file, tmp_path / into / file)
        return tmp_path / into

    return copy


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("name", ["li2o", "aln"])
def test_a_folder_with_unit_cell_forces_and_conf(copied, name):
    folder = copied(name, "POSCAR-unitcell", "FORCE_SETS", "BORN", "phonopy.conf")
    whole = phonopy_files.read(crystals.params(name))
    for path in (folder, folder / "phonopy.conf"):
        found = phonopy_files.read(path)
        same(whole.crystal, found.crystal, 1e-6)
        assert np.allclose(found.polar.charges, whole.polar.charges) and np.array_equal(found.polar.matrix, whole.polar.matrix)


def test_foreign_files_in_the_working_directory_are_not_seen(copied, monkeypatch):
    foreign = copied("nacl", "BORN", "FORCE_SETS", into="foreign")
    nacl = crystals.phonopy_of("nacl")
    file_IO.write_FORCE_CONSTANTS(nacl.force_constants, filename=str(foreign / "FORCE_CONSTANTS"))
    file_IO.write_force_constants_to_hdf5(nacl.force_constants, filename=str(foreign / "force_constants.hdf5"))
    folder = copied("li2o", "POSCAR-unitcell", "FORCE_SETS", "phonopy.conf")
    alone = copied("li2o", "phonopy_params.yaml.xz", into="alone")
    without = copied("li2o", "POSCAR-unitcell", "phonopy.conf", into="without")
    expected = phonopy_files.read(crystals.params("li2o")).crystal
    monkeypatch.chdir(foreign)
    for path in (folder, alone, alone / "phonopy_params.yaml.xz"):
        found = phonopy_files.read(path)
        same(expected, found.crystal, 1e-6)
        assert found.polar is None or path == alone  # phonopy_params.yaml may hold charges itself
    with pytest.raises(InputError, match="neither force constants nor forces"):
        phonopy_files.read(without)


# synthetic crystals


@pytest.fixture(scope="module")
def plain():
    """The synthetic crystal as phonopy has it, with full force constants, and as mdlite has it."""
    phonon = zincblende()
    phonon.force_constants = bonds(phonon, 4.5)
    return phonon, phonopy_files.material(phonon).crystal


def test_images_at_the_boundary_share_their_force_constants(plain):
    phonon, crystal = plain
    assert np.abs(frequencies(crystal, QPOINTS) - of_phonopy(phonon)).max() < ROUNDING
    multiplicity = phonon.primitive.get_smallest_vectors()[1][..., 0]
    assert multiplicity.max() >= 8 and len(crystal.blocks) == multiplicity.sum()
    assert np.array_equal(crystal.partner[crystal.partner], np.arange(len(crystal.blocks)))  # every pair seen from both sides


def test_compact_and_full_force_constants_are_the_same_crystal(plain, tmp_path):
    phonon, crystal = plain
    full = phonon.force_constants
    compact = full[phonon.primitive.p2s_map]
    again = zincblende()
    for kind, constants in (("full", full), ("compact", compact)):
        same(crystal, phonopy_files.material(again, constants).crystal)
        same(crystal, phonopy_files.read(saved(again, tmp_path / f"{kind}.yaml", constants, compact=False)).crystal)


def test_force_constants_beside_a_yaml(plain, tmp_path):
    phonon, crystal = plain
    p2s = phonon.primitive.p2s_map
    for constants in (phonon.force_constants, phonon.force_constants[p2s]):
        for kind in ("FORCE_CONSTANTS", "force_constants.hdf5"):
            folder = tmp_path / f"{kind}{len(constants)}"
            folder.mkdir()
            zincblende().save(folder / "phonopy.yaml", settings={"force_constants": False})
            if kind == "FORCE_CONSTANTS":
                file_IO.write_FORCE_CONSTANTS(constants, filename=str(folder / kind), p2s_map=p2s)
            else:
                file_IO.write_force_constants_to_hdf5(constants, filename=str(folder / kind), p2s_map=p2s)
            same(crystal, phonopy_files.read(folder if len(constants) == 64 else folder / "phonopy.yaml").crystal, 1e-9)


def test_packed_files(plain, tmp_path):
    _, crystal = plain
    whole = saved(zincblende(), tmp_path / "phonopy_params.yaml", plain[0].force_constants).read_bytes()
    (tmp_path / "phonopy_params.yaml").unlink()
    for name, pack in (("phonopy_params.yaml.gz", gzip.compress), ("phonopy_params.yaml.xz", lzma.compress)):
        (tmp_path / name).write_bytes(pack(whole))
        same(crystal, phonopy_files.read(tmp_path if name.endswith("xz") else tmp_path / name).crystal)
        (tmp_path / name).unlink()


def test_displacements_with_forces_beside_them(plain, tmp_path):
    """Forces that the synthetic force constants exert on displaced supercells, through FORCE_SETS, give the crystal back."""
    phonon = zincblende()
    constants = plain[0].force_constants
    phonon.generate_displacements(distance=0.01)
    phonon.save(tmp_path / "phonopy_disp.yaml")
    displaced = [cell.positions - phonon.supercell.positions for cell in phonon.supercells_with_displacements]
    phonon.forces = [-np.einsum("ijab,jb->ia", constants, u) for u in displaced]
    file_IO.write_FORCE_SETS(phonon.dataset, filename=str(tmp_path / "FORCE_SETS"))
    for path in (tmp_path, tmp_path / "phonopy_disp.yaml"):
        same(plain[1], phonopy_files.read(path).crystal, 1e-6)
    rng = np.random.default_rng(3)  # all atoms displaced at once
    phonon.dataset = {
        "displacements": (u := rng.normal(size=(4, 64, 3)) * 0.01),
        "forces": -np.einsum("ijab,njb->nia", constants, u),
    }
    file_IO.write_FORCE_SETS(phonon.dataset, filename=str(tmp_path / "FORCE_SETS"))
    pytest.importorskip("symfc")
    (tmp_path / "phonopy_disp.yaml").unlink()
    zincblende().save(tmp_path / "phonopy.yaml")
    same(plain[1], phonopy_files.read(tmp_path).crystal, 1e-6)


def by_place(crystal, reference):
    """The crystal with its atoms in another one's order and cells, the same lattice in the same frame."""
    to = np.linalg.inv(reference.cell)
    places = crystal.places @ to
    order, shift = [], []
    for place, species in zip(places, crystal.species):
        apart = place - reference.positions
        k = int(np.argmin(np.abs(apart - np.round(apart)).max(axis=1)))
        assert np.allclose(apart[k], np.round(apart[k]), atol=1e-6) and reference.species[k] == species
        order.append(k)
        shift.append(np.round(apart[k]).astype(int))
    order, shift = np.array(order), np.array(shift)
    turned = np.round(crystal.cells @ crystal.cell @ to).astype(int)
    return make(
        reference.cell,
        reference.positions,
        reference.masses,
        reference.species,
        order[crystal.first],
        order[crystal.second],
        turned + shift[crystal.second] - shift[crystal.first],
        crystal.blocks,
    )


@pytest.mark.filterwarnings("ignore:primitive_matrix defaulted")
def test_shuffled_atoms_of_the_supercell(plain, tmp_path):
    """The supercell itself, its atoms in any order, as the unit cell of a file."""
    phonon, crystal = plain
    order = np.random.default_rng(7).permutation(64)
    cell = phonon.supercell
    shuffled = PhonopyAtoms(
        symbols=[cell.symbols[n] for n in order], cell=cell.cell, scaled_positions=np.asarray(cell.scaled_positions)[order]
    )
    again = phonopy.Phonopy(shuffled, np.eye(3, dtype=int), primitive_matrix="auto", log_level=0)
    path = saved(again, tmp_path / "shuffled.yaml", phonon.force_constants[order][:, order])
    found = phonopy_files.read(path).crystal
    assert np.abs(frequencies(found, QPOINTS) - of_phonopy(again)).max() < ROUNDING
    same(crystal, by_place(found, crystal), 1e-9)


@pytest.mark.filterwarnings("ignore:.*Point group symmetries")
@pytest.mark.parametrize("matrix", [[[-2, 2, 2], [2, -2, 2], [2, 2, -2]], [[2, 1, 0], [0, 2, 1], [0, 0, 3]]])
def test_supercells_of_odd_shape(matrix, tmp_path):
    """From the primitive cell as unit cell, where they are not diagonal."""
    unit = zincblende().primitive
    phonon = phonopy.Phonopy(
        PhonopyAtoms(symbols=unit.symbols, cell=unit.cell, scaled_positions=unit.scaled_positions), matrix, "P", log_level=0
    )
    path = saved(phonon, tmp_path / "odd.yaml", bonds(phonon, 3.9))
    found = phonopy_files.read(path).crystal
    assert np.abs(frequencies(found, QPOINTS) - of_phonopy(phonon)).max() < ROUNDING


def test_a_missing_primitive_matrix_is_found(plain, tmp_path):
    path = saved(zincblende(), tmp_path / "whole.yaml", plain[0].force_constants)
    lines = path.read_text().splitlines()
    start = lines.index("primitive_matrix:")
    (tmp_path / "phonopy.yaml").write_text("\n".join(lines[:start] + lines[start + 4 :]))
    same(plain[1], phonopy_files.read(tmp_path / "phonopy.yaml").crystal)


def test_a_left_handed_cell_and_atoms_outside_it(plain):
    """All vectors reversed and atoms far outside: the same crystal in the same frame."""
    phonon, crystal = plain
    for options in ({"flip": -1.0}, {"shift": np.array([3.0, -2.0, 1.0])}):
        other = zincblende(**options)
        assert np.linalg.det(other.primitive.cell) * options.get("flip", 1.0) > 0.0
        found = phonopy_files.material(other, bonds(other, 4.5)).crystal
        assert np.linalg.det(found.cell) > 0.0
        assert np.abs(frequencies(found, QPOINTS) - of_phonopy(phonon)).max() < ROUNDING
        assert np.allclose(found.places, other.primitive.positions)  # the file's frame
        assert np.abs(by_place(found, crystal).blocks - crystal.blocks).max() < 1e-9 * np.abs(crystal.blocks).max()


@pytest.mark.parametrize(
    ("calculator", "length", "stiffness"),
    [("qe", 1.88972612, 0.020581717), ("siesta", 1.88972612, 0.52917721), ("cp2k", 1.0, 0.01944690)],
)
def test_units_of_calculators(plain, tmp_path, calculator, length, stiffness):
    """The same crystal, its lengths and force constants in the calculator's units (ten digits are more than phonopy's agree in)."""
    phonon = zincblende(calculator=calculator, scale=length)
    path = saved(phonon, tmp_path / "phonopy.yaml", plain[0].force_constants * stiffness)
    found = phonopy_files.read(path).crystal
    assert np.allclose(found.cell, plain[1].cell, rtol=1e-6)
    assert np.abs(found.blocks - plain[1].blocks).max() < 1e-6 * np.abs(found.blocks).max()
    assert np.abs(frequencies(found, QPOINTS) - of_phonopy(phonon)).max() < 2e-5


@pytest.mark.parametrize(("calculator", "name"), [("aims", "geometry.in"), ("castep", "unitcell.cell"), ("siesta", "input.fdf")])
def test_unit_cells_of_other_calculators(plain, tmp_path, calculator, name):
    """By the name of their file."""
    from phonopy.interface.calculator import write_crystal_structure

    length, stiffness = (phonopy_files.BOHR, phonopy_files.BOHR) if calculator == "siesta" else (1.0, 1.0)
    phonon = zincblende(scale=1.0 / length)
    write_crystal_structure(str(tmp_path / name), phonon.unitcell, interface_mode=calculator)
    (tmp_path / "phonopy.conf").write_text("DIM = 2 2 2\nPRIMITIVE_AXES = F\n")
    file_IO.write_FORCE_CONSTANTS(plain[0].force_constants * stiffness, filename=str(tmp_path / "FORCE_CONSTANTS"))
    found = phonopy_files.read(tmp_path, None if calculator != "siesta" else "siesta").crystal
    assert np.abs(frequencies(found, QPOINTS) - frequencies(plain[1], QPOINTS)).max() < ROUNDING


def test_units_of_an_hdf5_file(plain, tmp_path):
    zincblende(calculator="qe", scale=1.8897261).save(tmp_path / "phonopy.yaml")
    file_IO.write_force_constants_to_hdf5(
        plain[0].force_constants, filename=str(tmp_path / "force_constants.hdf5"), physical_unit="eV/angstrom^2"
    )
    assert np.allclose(phonopy_files.read(tmp_path).crystal.blocks, plain[1].blocks, rtol=1e-6, atol=1e-6)


def test_every_calculator_of_phonopy_has_its_units():
    from phonopy.physical_units import get_calculator_physical_units

    for calculator, (length, stiffness) in phonopy_files.CALCULATORS.items():
        theirs = get_calculator_physical_units(calculator)
        assert (theirs.length_unit, theirs.force_constants_unit) == (length, stiffness)
        assert phonopy_files.LENGTHS[length] == pytest.approx(theirs.distance_to_A, rel=1e-6)
        factor = theirs.factor**2 * (2.0 * np.pi) ** 2 * units.DALTON
        assert phonopy_files.STIFFNESSES[stiffness] == pytest.approx(factor, rel=1e-6)
    assert set(phonopy_input.UNIT_CELLS) == set(phonopy_files.CALCULATORS)


def test_nothing_is_printed_and_nothing_warns(plain, tmp_path, capfd):
    path = saved(zincblende(), tmp_path / "phonopy.yaml", plain[0].force_constants)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        phonopy_files.read(path)
    assert capfd.readouterr() == ("", "")


def test_the_tags_of_a_conf(tmp_path):
    path = tmp_path / "phonopy.conf"
    path.write_text("# DIM = 9 9 9\ndim = 2 2 2 # mesh\nPRIMITIVE_AXIS = 0 1/2 1/2  1/2 0 1/2 1/2 0.5 0\nno sign here\n")
    tags = phonopy_input.read_conf(path)
    assert tags == {"DIM": "2 2 2", "PRIMITIVE_AXIS": "0 1/2 1/2  1/2 0 1/2 1/2 0.5 0"}


# what cannot be read


def refused(path, *words, **options):
    with pytest.raises(InputError) as caught:
        phonopy_files.read(path, **options)
    text = str(caught.value)
    assert all(word in text for word in words) and "\n" not in text and "Traceback" not in text, text
    return text


def test_files_that_are_none(tmp_path):
    refused(tmp_path / "none.yaml", "does not exist")
    refused(tmp_path, "phonopy.conf")
    for name, content in (
        ("a.yaml", b"{[}"),
        ("b.yaml", b"a: 1\n"),
        ("c.yaml", b""),
        ("d.yaml.xz", b"no xz"),
        ("e.yaml", b"\xff\xfe\x00"),
        ("f.yaml", b"- 1\n"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, name)
    (tmp_path / "POSCAR").write_text("nothing")
    refused(tmp_path / "POSCAR", "folder")
    refused(tmp_path, "phonopy.conf")
    for conf, word in (
        ("ATOM_NAME = Si\n", "DIM"),
        ("DIM = 2 2\n", "DIM = 2 2"),
        ("DIM = 0 0 0\n", "flat"),
        ("DIM = 1 1 x\n", "DIM"),
        ("DIM = 1.5 1 1\n", "DIM"),
    ):
        (tmp_path / "phonopy.conf").write_text(conf)
        refused(tmp_path, word)
    (tmp_path / "phonopy.conf").write_text("DIM = 2 2 2\nPRIMITIVE_AXES = 1/0 0 0 0 1 0 0 0 1\n")
    refused(tmp_path, "PRIMITIVE_AXES")
    (tmp_path / "phonopy.conf").write_text("DIM = 2 2 2\n")
    refused(tmp_path, "POSCAR")
    refused(tmp_path, "units = 'furlong'", units="furlong")
    refused("", "file")


def test_without_force_constants(tmp_path):
    zincblende().save(tmp_path / "phonopy.yaml")
    refused(tmp_path / "phonopy.yaml", "neither force constants nor forces", "FORCE_SETS")


def test_forces_of_the_wrong_count(copied):
    folder = copied("li2o", "POSCAR-unitcell", "FORCE_SETS", "phonopy.conf")
    (folder / "phonopy.conf").write_text("DIM = 1 1 1\n")
    refused(folder, "96 atoms", "12", "DIM")
    (folder / "phonopy.conf").write_text("DIM = 2 2 999999\n")
    refused(folder, "supercell", "20000", "DIM")
    (folder / "phonopy.conf").write_text("DIM = 2 2 2\n")
    lines = (folder / "FORCE_SETS").read_text().splitlines()
    (folder / "FORCE_SETS").write_text("\n".join(lines[:50]))
    refused(folder, "FORCE_SETS")


@pytest.mark.filterwarnings("ignore:.*Point group symmetries")
def test_force_constants_of_the_wrong_count(plain, tmp_path):
    zincblende(matrix=np.diag([1, 1, 2])).save(tmp_path / "phonopy.yaml")
    file_IO.write_FORCE_CONSTANTS(plain[0].force_constants, filename=str(tmp_path / "FORCE_CONSTANTS"))
    refused(tmp_path, "64", "16 atoms", "DIM")


def test_units_that_can_not_be(plain, tmp_path):
    for factor in (1e4, 1e-7):
        path = saved(zincblende(), tmp_path / "phonopy.yaml", plain[0].force_constants * factor)
        refused(path, "THz", "eV/angstrom^2", "units")
    path = saved(zincblende(), tmp_path / "phonopy.yaml", plain[0].force_constants)
    refused(path, "THz", units="elk")


def test_charges_that_are_none(plain, tmp_path):
    path = saved(zincblende(), tmp_path / "phonopy.yaml", plain[0].force_constants)
    (tmp_path / "BORN").write_text("14.4\n1 0 0 0 1 0 0 0 1\n")
    refused(path, "BORN")
    (tmp_path / "BORN").write_text("14.4\nnan 0 0 0 5 0 0 0 5\n2 0 0 0 2 0 0 0 2\n-2 0 0 0 -2 0 0 0 -2\n")
    refused(path, "BORN")
    (tmp_path / "BORN").write_text("14.4\n-5 0 0 0 -5 0 0 0 -5\n2 0 0 0 2 0 0 0 2\n-1.9 0 0 0 -1.9 0 0 0 -1.9\n")
    refused(path, "BORN")
    (tmp_path / "BORN").write_text("14.4\n5 0 0 0 5 0 0 0 5\n2 0 0 0 2 0 0 0 2\n-1.9 0 0 0 -1.9 0 0 0 -1.9\n")
    polar = phonopy_files.read(path).polar
    assert polar.violation == pytest.approx(0.1) and np.abs(polar.charges.sum(axis=0)).max() < 1e-14


def test_phonopy_is_not_installed(monkeypatch, tmp_path):
    (tmp_path / "phonopy.yaml").write_text("a: 1\n")
    monkeypatch.setitem(sys.modules, "phonopy", None)
    refused(tmp_path / "phonopy.yaml", "pip install 'mdlite[phonopy]'")


def test_the_depth_of_calls_is_as_before():
    """symfc, which phonopy calls, allows a hundred thousand, and deep TOML would then end the process."""
    path = crystals.params("si")
    code = f"import sys; from mdlite.crystals import phonopy_files; phonopy_files.read({str(path)!r}); print(sys.getrecursionlimit())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == [
        str(sys.getrecursionlimit())
    ]
