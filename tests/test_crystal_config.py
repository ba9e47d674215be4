"""[crystal] in a configuration: one or the other, its paths keep their meaning, and nothing takes the default lattice in its place."""

import json
import pickle
import tomllib

import numpy as np
import pytest

import mdlite
from hostile import call
from mdlite import config
from mdlite.config import keys, load, load_medium, parse
from mdlite.crystals import library
from mdlite.engines import registry
from mdlite.errors import InputError
from mdlite.sweeps import plan

ROCK_SALT = """
[crystal]
size = 4
cell = [[0.0, 2.8, 2.8], [2.8, 0.0, 2.8], [2.8, 2.8, 0.0]]
atoms = [
    { species = "Na", position = [0.0, 0.0, 0.0] },
    { species = "Cl", position = [0.5, 0.5, 0.5], mass = "37Cl" },
]
springs = [
    { species = ["Na", "Cl"], shell = 1, longitudinal = 900.0 },
    { species = ["Na", "Na"], shell = 1, longitudinal = 90.0 },
    { species = ["Cl", "Cl"], distance = 3.96, longitudinal = 120.0 },
]
"""
REST = """
[ion]
position = [1.4, 1.4, 1.4]
[interaction]
potential = { kind = "yukawa", strength = 3000.0, range = 0.5 }
atoms = { kind = "cutoff", radius = 5.0 }
[run]
duration = 1.0
"""


def tables(crystal, **changes):
    data = tomllib.loads(REST) | {"crystal": crystal}
    for key, value in changes.items():
        config.set_key(data, key.replace("__", "."), value)
    return data


def salt(**changes):
    return tomllib.loads(ROCK_SALT)["crystal"] | changes


def said(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value).replace(" (the default)", "")


def test_a_crystal_written_out():
    made = parse(tables(salt()), medium=True)
    crystal = made.to_crystal()
    assert made.lattice is None and made.to_medium() is crystal and crystal.species == ("Na", "Cl")
    assert crystal.masses[1] / mdlite.units.DALTON == pytest.approx(36.966, abs=1e-3)
    assert made.to_crystal() is crystal and parse(tables(salt(size=[2, 3, 4])), medium=True).to_crystal() is crystal
    assert made.crystal.size == (4, 4, 4)


def test_methods_that_do_not_take_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry.find("patch"), "crystals", False)
    (tmp_path / "c.toml").write_text('method = "patch"\n' + ROCK_SALT + REST)
    (tmp_path / "s.toml").write_text('base = "c.toml"\n[grid]\n"run.dt" = [0.001, 0.002]\n')
    line = 'method = "patch": does not take a [crystal] yet; mdlite phonons, mdlite crystal and sweeps with task = "medium" do'
    assert said(load, "c.toml") == line and said(parse, tables(salt()) | {"method": "patch"}) == line
    made = load("c.toml", medium=True)
    for function in (mdlite.run, mdlite.validity, lambda c: mdlite.validate(c, "v"), lambda c: mdlite.sweep({"base": c}, "s")):
        assert line in said(function, made)
    for words in (("run", "c.toml", "-o", "x.h5"), ("validate", "c.toml", "-o", "v"), ("validity", "c.toml")):
        code, told = call(*words)
        assert (code, told.replace(" (the default)", "")) == (2, f"error: {line}\n"), words
    code, told = call("sweep", "s.toml", "-o", "s")
    assert code == 2 and line in told.replace(" (the default)", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.toml", "s.toml"]


def test_it_is_no_lattice(monkeypatch):
    monkeypatch.setattr(registry.find("patch"), "crystals", False)
    made = parse(tables(salt()), medium=True)
    assert "is no simple cubic lattice" in said(made.to_lattice)
    lattice = mdlite.load_case("trapped")
    assert "is no [crystal]" in said(lattice.to_crystal) and lattice.to_medium() == lattice.to_lattice()
    both = tables(salt()) | {"lattice": {"size": 8}}
    assert said(parse, both, medium=True).startswith("crystal and lattice: give one of the two")
    changes = {"lattice": None, "crystal": {"name": "silicon"}, "method": "patch"}
    assert "does not take a [crystal] yet" in said(lattice.replace, changes)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"file": "x.yaml"}, "crystal: has file and cell, atoms and springs; give one of"),
        ({"name": "silicon"}, "crystal: has name and cell, atoms and springs"),
        ({"cell": None, "atoms": [], "springs": []}, "crystal: has nothing that says which crystal it is; give one of"),
        ({"springs": []}, "crystal.springs: is missing and must be given"),
        ({"cell": None}, "crystal.cell: is missing"),
        ({"size": 0}, "crystal.size = 0: must be greater than or equal to 1"),
        ({"size": [4, 4]}, "crystal.size = [4, 4]: must be a list of three"),
        ({"matrix": [[1, 0, 0], [0, 1, 0]]}, "crystal.matrix = [[1, 0, 0], [0, 1, 0]]: must be three rows of three numbers"),
        ({"matrix": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}, "has determinant 0; must be above 0"),
        ({"matrix": [[0, 1, 0], [1, 0, 0], [0, 0, 1]]}, "has determinant -1"),
        ({"matrix": [[1.5, 0, 0], [0, 1, 0], [0, 0, 1]]}, "crystal.matrix = 1.5: must be a valid integer"),
        ({"cell": [[1, 0, 0], [0, 1, 0]]}, "must be three rows of three numbers"),
        ({"dipoles": 9.0}, "crystal.dipoles = 9: is for crystals from a file"),
        ({"tolerance": 1.0}, "crystal.tolerance = 1.0: must be less than 1"),
        ({"corrections": "rotation"}, "crystal.corrections = 'rotation': must be 'all' or 'translation'"),
        ({"file": " "}, "is empty, which is no name"),
        (
            {"boundary": "absorbing"},
            "crystal.boundary = 'absorbing': there is none in a [crystal], whose explicit box is periodic",
        ),
        ({"boundary": "echo-free"}, 'take method = "memory-kernel" (exact) or "patch"'),
        ({"sise": 3}, "crystal.sise = 3: unknown key; did you mean size?"),
        ({"atoms": [{"species": "Na", "positon": [0, 0, 0]}]}, "unknown key; did you mean position?"),
        ({"atoms": [{"species": "Na"}]}, "crystal.atoms.0.position: is missing and must be given"),
        ({"atoms": [{"species": "Na", "position": [0, 0]}]}, "crystal.atoms.0.position = [0, 0]: must be a list of three"),
        ({"springs": [{"species": ["Na"], "shell": 1}]}, "must be a list of two species"),
    ],
)
def test_what_is_wrong_with_the_table(change, message):
    crystal = {key: value for key, value in salt(**change).items() if value is not None}
    told = said(parse, tables(crystal), medium=True)
    assert message in told and told.count("\n") <= 1, told


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "silicom"}, "crystal.name = 'silicom': must be one of copper, silicon; did you mean silicon?"),
        ({"file": "nowhere.yaml"}, "nowhere.yaml': no such file"),
        ({**salt(), "cell": [[0, 2.8, 2.8], [2.8, 2.8, 0], [2.8, 0, 2.8]]}, "is left-handed"),
        ({**salt(), "cell": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}, "is flat"),
        ({**salt(), "atoms": [{"species": "Na", "position": [0, 0, 0]}, {"species": "Cl", "position": [0, 0, 0.01]}]}, "on top"),
        ({**salt(), "atoms": [{"species": "Qq", "position": [0, 0, 0]}]}, "crystal.atoms.0.species = 'Qq'"),
        ({**salt(), "springs": [{"species": ["Na", "K"], "shell": 1, "longitudinal": 1.0}]}, "there is no K"),
        ({**salt(), "springs": [{"species": ["Na", "Cl"], "distance": 3.4, "longitudinal": 1.0}]}, "distance = 3.4"),
        ({**salt(), "springs": salt()["springs"][:1]}, "a shear has no restoring force (sound along ("),
        (
            {**salt(), "springs": [*salt()["springs"][:2], {"species": ["Cl", "Cl"], "shell": 1, "longitudinal": -400.0}]},
            "is unstable",
        ),
    ],
)
def test_what_is_wrong_with_the_crystal(change, message):
    told = said(parse(tables(change), medium=True).to_crystal)
    assert message in told and told.count("\n") == 0, told


def test_a_path_keeps_its_meaning(tmp_path, monkeypatch):
    home, away = tmp_path / "home", tmp_path / "away"
    (home / "files").mkdir(parents=True)
    away.mkdir()
    (home / "files" / "salt.toml").write_text(ROCK_SALT)
    (home / "c.toml").write_text('[crystal]\nsize = 5\nfile = "files/salt.toml"\n' + REST)
    monkeypatch.chdir(away)
    made = load(home / "c.toml", medium=True)
    assert made.crystal.file == str(home / "files" / "salt.toml") and made.to_crystal().species == ("Na", "Cl")
    (away / "dumped.toml").write_text(made.to_toml())
    again = load("dumped.toml", medium=True)
    assert again == made and hash(again) == hash(made) and again.to_crystal() is made.to_crystal()
    assert pickle.loads(pickle.dumps(made)) == made
    assert (
        load(home / "c.toml", ["crystal.file=../home/files/salt.toml"], medium=True) == made
    )  # of a shell: from where one stands
    assert parse(tables({"file": "../home/files/salt.toml", "size": 5}), medium=True).crystal == made.crystal
    assert parse(tables({"file": "files/salt.toml", "size": 5}), medium=True, folder=home).crystal == made.crystal
    changed = made.replace({"crystal.size": [6, 6, 5], "ion.mass": "6Li"})
    assert changed.crystal.size == (6, 6, 5) and changed.crystal.file == made.crystal.file


def test_what_is_written_is_what_was_given():
    made = parse(tables(salt()), medium=True)
    data = tomllib.loads(made.to_toml())
    assert "lattice" not in data and {"cell", "atoms", "springs", "size"} == data["crystal"].keys()
    assert parse(data, medium=True) == made
    assert "atoms" not in parse(tables({"name": "silicon"}), medium=True).to_dict()["crystal"]
    assert "crystal" not in mdlite.load_case("trapped").to_dict()


def test_sites_have_four_numbers():
    atoms = {"kind": "sites", "sites": [[0, 0, 0, 1], [1, 3, 2, 0]]}
    made = parse(tables(salt(), interaction__atoms=atoms), medium=True)
    places = made.to_crystal().sites(made.interaction.atoms.sites)
    assert places[0] == pytest.approx([2.8, 2.8, 2.8]) and places[1] == pytest.approx(np.array([5.0, 3.0, 4.0]) * 2.8)

    def with_sites(sites, **crystal):
        return said(parse, tables(salt(**crystal), interaction__atoms={"kind": "sites", "sites": sites}), medium=True)

    assert "[0, 0, 0]: must be four whole numbers in a [crystal]" in with_sites([[0, 0, 0]])
    assert "[0, 0, 0, 2]: has atom κ = 2; must be 0 to 1" in with_sites([[0, 0, 0, 2]])
    assert "[0, 0, 4, 0]: lies outside the crystal" in with_sites([[0, 0, 4, 0]])
    assert "is listed more than once" in with_sites([[0, 0, 0, 1], [0, 0, 0, 1]])
    assert "must be three whole numbers, in a [crystal] four" in with_sites([[0, 0, 0, 1, 1]])
    cubic = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]
    assert "is listed more than once" in with_sites([[0, 0, 0, 1], [-4, 4, 4, 1]], matrix=cubic)
    assert "in a [lattice]" in said(
        mdlite.load_case, "trapped", **{"interaction.atoms": {"kind": "sites", "sites": [[0, 0, 0, 1]]}}
    )
    assert '"shell": is for the simple cubic [lattice]' in said(
        parse, tables(salt(), interaction__atoms={"kind": "shell"}), medium=True
    )


def test_the_crystal_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(ROCK_SALT)
    bare = tomllib.loads(ROCK_SALT)["crystal"]
    (tmp_path / "bare.toml").write_text('title = "salt"\n' + ROCK_SALT.replace("[crystal]\nsize = 4\n", ""))
    found = load_medium("c.toml", ["ion.mass=-1"])  # no other table need fit
    assert found.size == (4, 4, 4) and found.lattice is None and found.crystal.species == ("Na", "Cl")
    assert load_medium("bare.toml").loaded.source == "salt" and load_medium("bare.toml").size == (10, 10, 10)
    assert load_medium("silicon").crystal.n_basis == 2
    assert load_medium("trapped").lattice == mdlite.load_case("trapped").to_lattice()
    assert load_medium("c.toml", ["thermal.temperature=100.0"]).energy == pytest.approx(8.617333262)
    assert "has a [crystal], and a [lattice] is wanted" in said(config.load_lattice, "c.toml")
    assert "give one of the two" in said(load_medium, "c.toml", ["lattice.size=8"])
    assert "unknown key; did you mean crystal?" in said(load_medium, "c.toml", ["cristal.size=8"])
    assert said(load_medium, "c.toml", ["crystal.size=0"]).startswith("crystal.size = 0")
    assert bare["size"] == 4


def test_a_library_crystal_by_name_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(library.text("silicon"))
    mine, own = load_medium("mine.toml").crystal, load_medium("silicon").crystal
    assert np.array_equal(mine.blocks, own.blocks)


def test_sweeps_have_crystals_on_their_axes(tmp_path, monkeypatch):
    (tmp_path / "c.toml").write_text(ROCK_SALT + REST)
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(ROCK_SALT)
    (tmp_path / "s.toml").write_text(
        'task = "medium"\nbase = "c.toml"\n[grid]\n"crystal.size" = [[2, 2, 2], [3, 3, 3]]\n"crystal.tolerance" = [0.001, 0.01]\n'
    )
    if "medium" not in str(plan.SweepSection.model_fields["task"].annotation):
        pytest.skip("the task is not there")
    made = plan.load(tmp_path / "s.toml")
    assert [point.config.crystal.size for point in made.points] == [(2, 2, 2)] * 2 + [(3, 3, 3)] * 2


def test_keys_and_schema_know_it():
    told = {row["key"]: row for row in keys.chosen("crystal")}
    assert told["crystal.size"]["default"] == "[10, 10, 10]" and told["crystal.dipoles"]["unit"] == "Å"
    assert {"crystal.atoms.position", "crystal.springs.longitudinal", "crystal.matrix", "crystal.file"} <= told.keys()
    assert told["crystal.springs.longitudinal"]["unit"] == "meV/Å²" and told["crystal.atoms.species"]["default"] == "required"
    schema = mdlite.Config.model_json_schema()
    assert "crystal" in schema["properties"] and "CrystalSection" in json.dumps(schema["$defs"])


def test_it_shows_itself():
    made = parse(tables(salt(), title="salt"), medium=True)
    assert "crystal 4×4×4" in repr(made)
    assert "<table" in made._repr_html_() and "Na" in made._repr_html_() and ">[lattice]<" not in made._repr_html_()


def test_the_ion_in_units_of_the_cell():
    made = parse(tables(salt(), ion__position=[0.25, 0.25, 0.25], ion__coordinates="fractional"), medium=True)
    assert made.ion_position == pytest.approx((1.4, 1.4, 1.4))


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({"run.dt": 0.5}, "must be below 2/Omega_max"),
        ({"run.duration": 0.0203}, "must be a whole number of steps"),
        ({"snapshots.every": 1, "snapshots.extent": 50}, "must fit into the lattice"),
        ({"ion.position": [0.0, 0.0, 0.0]}, "is 0 Angstrom from the atom"),
        (
            {
                "interaction.atoms": {"kind": "sites", "sites": [[0, 0, 0, 0]]},
                "thermal.energy": 25.0,
                "thermal.ions": 3,
                "method": "time-local",
            },
            "with fixed sites",
        ),
        ({"run.record_atoms": True, "thermal.energy": 25.0, "thermal.lattices": 2}, "for a single thermal reference"),
        ({"interaction.atoms.radius": 600.0, "crystal.size": 2000}, "1000000 at most"),
    ],
)
def test_a_changed_copy_is_asked_all_rules(changes, right):
    made = mdlite.load_case("silicon", **{"crystal.size": 6})
    assert right in said(made.replace, changes)


def test_a_site_outside_a_larger_cell_is_told_as_it_was_given():
    matrix = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]
    wrong = {"crystal.size": 3, "crystal.matrix": matrix, "interaction.atoms": {"kind": "sites", "sites": [[-1, 0, 0, 0]]}}
    told = said(mdlite.load_case("silicon", **{"crystal.size": 6}).replace, wrong)
    assert told.startswith("interaction.atoms.sites = [-1, 0, 0, 0]: lies outside the crystal; its image within it is [")
