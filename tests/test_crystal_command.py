"""`mdlite crystal` and `mdlite phonons`: what scripts read, for every kind of crystal, and what is told of what is none."""

import contextlib
import io
import json
import subprocess
import sys

import numpy as np
import pytest

import crystals
from hostile import call
from mdlite.crystals import dynamics, response, sources
from mdlite.io import crystal_file
from mdlite.units import DALTON, TURN

SIMPLE_CUBIC = """
[crystal]
size = 5
cell = [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]
atoms = [{ species = "A", position = [0.0, 0.0, 0.0], mass = 3.5 }]
springs = [
    { species = ["A", "A"], shell = 1, longitudinal = 520.0 },
    { species = ["A", "A"], shell = 2, longitudinal = 170.0 },
]
"""
KEYS = {
    "cell",
    "species",
    "masses",
    "positions",
    "frequency_max_THz",
    "frequency_min_THz",
    "sound",
    "elastic_constants_GPa",
    "loss_matrix",
    "recoil_kernel",
    "corrections",
    "with_dipoles",
    "units",
    "space_group",
    "neighbours",
    "reach",
    "masses_Da",
}


def told(*words):
    """What a command prints, which must end well."""
    out = io.StringIO()
    from mdlite.cli import main

    before, sys.argv = sys.argv, ["mdlite", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as end:
            main.main()
    finally:
        sys.argv = before
    assert not end.value.code, words
    return out.getvalue()


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_script_reads_of_a_crystal(there):
    found = json.loads(told("crystal", "silicon", "--json", "-"))
    crystal = sources.load({"name": "silicon"}).crystal
    assert found.keys() >= KEYS and found["with_dipoles"] is None
    assert found["species"] == ["Si", "Si"] and found["space_group"] == "Fd-3m (227)" and found["neighbours"] == [28, 28]
    assert np.array(found["masses"]) == pytest.approx(crystal.masses) and found["masses_Da"][0] == pytest.approx(28.085, abs=0.01)
    assert np.array(found["masses"]) / DALTON == pytest.approx(found["masses_Da"])
    assert np.array_equal(found["positions"], crystal.positions) and np.array_equal(found["cell"], crystal.cell)
    assert found["frequency_min_THz"] == 0.0 and found["frequency_max_THz"] == pytest.approx(dynamics.omega_max(crystal) / TURN)
    elastic = np.array(found["elastic_constants_GPa"])
    density = crystal.cell_mass / crystal.volume
    assert np.sqrt(elastic[0, 0] / dynamics.GIGAPASCAL / density) == pytest.approx(found["sound"]["1,0,0"][2], rel=1e-9)
    assert found["sound"].keys() == {"1,0,0", "0,1,0", "0,0,1", "1,1,0", "1,1,1"}
    assert np.shape(found["loss_matrix"]) == (3, 3) and found["recoil_kernel"].keys() == {"0:0:0,0,0", "1:1:0,0,0"}
    on_site = response.static_recoil(crystal, [[0, 0, 0, 0, 0]])[0]
    assert found["recoil_kernel"]["0:0:0,0,0"][0] == pytest.approx(on_site, abs=1e-11 * on_site.max())
    assert found["units"]["masses"] == "meV ps^2/Angstrom^2" and found["units"]["elastic_constants_GPa"] == "GPa"
    text = told("crystal", "silicon", "--size", "4,5,6", "--json", "c.json")
    assert "Fd-3m (227)" in text and "4 x 5 x 6 cells (240 atoms)" in text and "measured" in text
    assert json.loads((there / "c.json").read_text())["estimate"]["atoms"] == 240


@pytest.mark.thorough
def test_a_file_of_it_needs_nothing_else():
    told("crystal", "copper", "-o", "copper.h5")
    one, other = (json.loads(told("crystal", name, "--json", "-")) for name in ("copper", "copper.h5"))
    for found in (one, other):
        del found["estimate"]
    assert one == other and one["source"] == "built-in crystal copper"
    code = (
        "import sys\nfor name in ('phonopy', 'spglib', 'periodictable', 'seekpath'): sys.modules[name] = None\n"
        "import mdlite\nfrom mdlite.config import load_medium\nassert load_medium('copper.h5').crystal.species == ('Cu',)\n"
        "from mdlite.cli import main\nsys.argv = ['mdlite', 'crystal', 'copper.h5']\nmain.main()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_one_command_for_both_kinds_of_crystal(there):
    """The same simple cubic crystal, once as [lattice] by its fast path, once by the general code."""
    (there / "c.toml").write_text(SIMPLE_CUBIC)
    asked = ["--qpoint", "0.5,0.5,0", "--qpoint", "0.1,0.22,-0.3", "--pair", "0:0:0,0,0", "--pair", "0:0:1,-1,2"]
    asked += ["--direction", "1,1,0", "--direction", "0.3,-1,2", "--times", "0,0.05", "--json", "-"]
    lattice = json.loads(told("phonons", "trapped", "-o", "l.png", *asked))
    crystal = json.loads(told("phonons", "c.toml", "-o", "c.png", *asked))
    assert crystal["frequencies_THz"].keys() == {"0.5,0.5,0", "0.1,0.22,-0.3"} < lattice["frequencies_THz"].keys()
    for q, frequencies in crystal["frequencies_THz"].items():
        assert frequencies == pytest.approx(lattice["frequencies_THz"][q], rel=1e-11)
    assert crystal["recoil_kernel"].keys() == lattice["recoil_kernel"].keys() == {"0:0:0,0,0", "0:0:1,-1,2"}
    for pair, kernel in crystal["recoil_kernel"].items():
        assert np.shape(kernel) == (2, 3, 3)
        scale = np.abs(kernel).max()
        assert np.array(kernel) == pytest.approx(np.array(lattice["recoil_kernel"][pair]), abs=1e-9 * scale)
    assert crystal["sound"].keys() == lattice["sound"].keys() == {"1,1,0", "0.3,-1,2"}
    for direction, speeds in crystal["sound"].items():
        assert speeds == pytest.approx(lattice["sound"][direction], rel=1e-11)
    assert np.array(crystal["loss_matrix"]) == pytest.approx(np.array(lattice["loss_matrix"]), abs=1e-16)
    for found in (crystal, lattice):
        assert found["units"]["recoil_kernel"] == "Angstrom^2/meV" and found["times"] == [0.0, 0.05]
        assert np.allclose(found["omega_max_THz"], 31.35055317 / TURN)


def test_phonons_of_a_crystal_in_text_and_figure(there):
    text = told("phonons", "silicon", "--qpoint", "0.5,0.5,0", "--path", "0,0,0 0.5,0.5,0")
    assert (
        "0.5,0.5,0" in text and "loss matrix L" in text and "<u²>" in text and "300 K" in text and "figure: phonons.png" in text
    )
    assert (there / "phonons.png").read_bytes().startswith(b"\x89PNG")
    (there / "c.toml").write_text(SIMPLE_CUBIC + "[thermal]\ntemperature = 77.0\n")
    found = json.loads(told("phonons", "c.toml", "--json", "-", "--path", "0,0,0 0.5,0,0"))
    assert found["mean_square_displacement"]["temperature"] == pytest.approx(77.0)
    assert np.shape(found["mean_square_displacement"]["quantum"]) == (1, 3, 3)
    bands = found["dispersion"]
    assert len(bands["q"]) == len(bands["distance"]) == len(bands["frequencies_THz"]) and bands["labels"] == ["Γ", "(0.5 0 0)"]
    width = np.diff(found["density_of_states"]["frequency_THz"])[0]
    assert sum(found["density_of_states"]["g"]) * width == pytest.approx(3.0, abs=1e-2)
    assert found["density_of_states"]["shares"].keys() == {"A"}


@pytest.mark.thorough
def test_the_kernel_of_a_finite_crystal(there):
    (there / "c.toml").write_text(SIMPLE_CUBIC)
    words = ["--pair", "0:0:1,0,0", "--times", "0,0.1", "--finite", "--json", "-", "--path", "0,0,0 0.5,0,0"]
    found = json.loads(told("phonons", "c.toml", *words))
    lattice = json.loads(told("phonons", "trapped", "-o", "l.png", *words, "--set", "lattice.size=5"))
    kernel = np.array(found["recoil_kernel"]["0:0:1,0,0"])
    assert kernel == pytest.approx(np.array(lattice["recoil_kernel"]["0:0:1,0,0"]), abs=1e-11 * np.abs(kernel).max())
    larger = ["--set", "crystal.size=[5,5,1]", "--set", "crystal.matrix=[[1,0,0],[0,1,0],[0,0,5]]"]
    same = json.loads(told("phonons", "c.toml", *words, *larger))
    assert np.array(same["recoil_kernel"]["0:0:1,0,0"]) == pytest.approx(kernel, abs=1e-11 * np.abs(kernel).max())


@pytest.mark.parametrize(
    "words, message",
    [
        (("phonons", "silicon", "--qpoint", "0.5,0.5"), "--qpoint '0.5,0.5': must be three numbers"),
        (("phonons", "silicon", "--qpoint", "a,b,c"), "--qpoint 'a,b,c': must be"),
        (("phonons", "silicon", "--qpoint", "nan,0,0"), "--qpoint 'nan,0,0': must be"),
        (("phonons", "silicon", "--pair", "0:1"), "--pair '0:1': must be two atoms"),
        (("phonons", "silicon", "--pair", "0:2:0,0,0"), "--pair '0:2:0,0,0': the cell has atoms 0 to 1"),
        (("phonons", "silicon", "--pair", "0:0:99,0,0"), "--pair '0:0:99,0,0': the atoms are too far apart"),
        (("phonons", "trapped", "--pair", "0:1:0,0,0"), "--pair '0:1:0,0,0': the cell has atoms 0 to 0"),
        (("phonons", "silicon", "--direction", "0,0,0"), "--direction '0,0,0': must be three numbers"),
        (("phonons", "silicon", "--times", "x"), "--times 'x': must be finite numbers"),
        (("phonons", "silicon", "--displacement", "1,0,0"), "is for a [lattice]; of a crystal give --pair 0:0:1,0,0"),
        (("phonons", "silicon", "--path", "0,0"), "--path '0,0'"),
        (("phonons", "trapped", "--path", "0,0,0 0.5,x,0"), "path = '0,0,0 0.5,x,0': must be triples"),
        (("phonons", "silicom"), "did you mean silicon?"),
        (("crystal", "silicom"), "did you mean silicon?"),
        (("crystal", "trapped"), "is the simple cubic [lattice] of a configuration; `mdlite phonons` tells"),
        (("crystal", "silicon", "--size", "0,1,1"), "--size '0,1,1': must be three whole numbers, 1 or more"),
        (("crystal", "silicon", "--corrections", "some"), "crystal.corrections = 'some': must be 'all' or 'translation'"),
        (("crystal", "silicon", "--dipoles", "9"), "crystal.dipoles = 9: is for crystals from a file"),
        (("crystal", "silicon", "--set", "crystal.tolerance=2.0"), "crystal.tolerance = 2.0: must be less than 1"),
        (("crystal", "nowhere.yaml"), "nowhere.yaml': no such file"),
        (("crystal", "empty"), "empty"),
        (("crystal", "bad.toml"), "crystal.file = 'bad.toml': crystal.cell"),
        (("crystal", "list.toml"), "unknown key"),
    ],
)
def test_one_line_for_what_is_wrong(words, message, there):
    (there / "empty").mkdir()
    (there / "bad.toml").write_text("cell = 3\natoms = []\nsprings = []\n")
    (there / "list.toml").write_text("[[crystals]]\nname = 3\n")
    code, said = call(*words)
    assert code == 2 and message in said and said.count("\n") == 1, said
    assert sorted(p.name for p in there.iterdir()) == ["bad.toml", "empty", "list.toml"]


def test_nothing_heavy_is_imported_for_a_lattice():
    heavy = ("phonopy", "spglib", "seekpath", "periodictable", "scipy.spatial")
    code = (
        f"import sys\nheavy = {heavy!r}\nimport mdlite\nfrom mdlite.cli import main\n"
        "assert not [n for n in sys.modules if n.startswith((*heavy, 'mdlite.crystals'))]\n"
        "mdlite.load_case('trapped').to_model()\n"
        "assert not [n for n in sys.modules if n.startswith((*heavy, 'mdlite.crystals.sources'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unstable_crystal_of_a_file():
    code, said = call("crystal", crystals.params("li3n"), "-o", "x.h5")
    assert code == 2 and said.count("\n") == 1 and "is unstable, its lowest frequency is -2." in said and "SSCHA" in said
    assert "THz (imaginary) at q = (" in said


def test_wurtzite_with_and_without_the_rotational_rule(there):
    file = crystals.params("aln")
    found = json.loads(told("crystal", file, "--json", "-", "-o", "aln.h5"))
    assert np.diag(found["loss_matrix"]) == pytest.approx([1.32488e-6, 1.32488e-6, 0.94793e-6], abs=1e-11)
    assert found["sound"]["0,0,1"] == pytest.approx([55.8368, 55.8368, 129.1726], abs=1e-4)
    assert found["corrections"]["change"] == pytest.approx(2e-4, rel=0.1) and found["corrections"]["before"]["rotation"] > 1e-3
    assert max(found["corrections"]["after"][rule] for rule in ("permutation", "translation", "rotation")) < 1e-10
    assert found["with_dipoles"]["sound"]["0,0,1"][2] == pytest.approx(109.0, abs=1.0)
    shown = json.loads(
        told(
            "phonons",
            "aln.h5",
            "--set",
            "crystal.corrections=translation",
            "--qpoint",
            "0.001,0,0",
            "--path",
            "0,0,0 0.5,0,0",
            "--json",
            "-",
        )
    )
    assert shown["frequencies_THz"]["0.001,0,0"][0] == pytest.approx(-0.059, abs=1e-3)  # as phonopy has it
    assert "is unstable" in shown["unstable"] and shown["recoil_kernel"]["0:0:0,0,0"] is None
    code, said = call("crystal", "aln.h5", "--corrections", "translation")
    assert code == 0 and "warning: crystal" in said and "is unstable" in said
    kept = crystal_file.read("aln.h5")
    assert kept.source == str(file) and kept.polar is not None and kept.polar.matrix.shape == (3, 3)


@pytest.mark.thorough
def test_dipoles_are_told_and_can_be_taken_in():
    folder = crystals.folder("li2o")
    code, said = call("crystal", folder, "-o", "li2o.h5")
    assert code == 0 and "warning: the dipoles of the Born charges change sound by up to" in said and "L by up to 26%" in said
    found = json.loads(told("crystal", "li2o.h5", "--dipoles", "9", "--json", "-"))
    other = found["with_dipoles"]
    assert found["loss_matrix"][0][0] == pytest.approx(other["loss_matrix"][0][0], rel=0.03)
    assert found["sound"]["1,0,0"] == pytest.approx(other["sound"]["1,0,0"], rel=0.03)
    assert found["dipoles"]["radius"] == 9.0 and found["neighbours"] == found["dipoles"]["neighbours"]
