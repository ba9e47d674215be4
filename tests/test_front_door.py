"""What the public functions and classes take, and what they say to whatever else they are given: one InputError a mistake, nothing written."""

import ast
import copy
import importlib
import math
import pickle
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import mdlite
from mdlite import Cutoff, InputError, Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.config import case_names, case_text, config_of
from mdlite.kernels.potentials import FORMS
from mdlite.sweeps import plan

SHORT = {"method": "rigid", "run.duration": 0.05}
YUKAWA = Potential("yukawa", (150.0, 0.5))


@pytest.fixture
def short():
    """A run of ten steps."""
    return mdlite.load_case("trapped", **SHORT)


@pytest.fixture
def never(monkeypatch):
    """Nothing may be computed."""
    from mdlite.simulation import simulate

    monkeypatch.setattr(simulate, "_run", lambda *given: pytest.fail("a run was made"))


def said(function, *arguments, **named):
    with pytest.raises(InputError) as caught:
        function(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_configuration_is_whatever_stands_for_one(short, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(short.to_toml())
    for source in (short, path, str(path), short.to_dict(), tomllib.loads(path.read_text())):
        assert config_of(source) == short
    assert config_of("trapped") == config_of(Path("trapped")) == mdlite.load_case("trapped")
    assert config_of(tomllib.loads(case_text("throw"))) == mdlite.load("throw")


def test_run_and_validity_take_them_all(short, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(short.to_toml())
    expected = mdlite.run(short)
    for source in (path, str(path), short.to_dict()):
        assert np.array_equal(mdlite.run(source).position, expected.position)
    assert str(mdlite.validity("trapped")) == str(mdlite.validity(mdlite.load_case("trapped")))


def test_a_sweep_takes_a_config_as_its_base(short, tmp_path):
    axes = {"grid": {"run.dt": [0.005, 0.0025]}}
    (tmp_path / "mine.toml").write_text(short.to_toml())
    by_file = plan.load({"base": str(tmp_path / "mine.toml")} | axes)
    for base in (short, short.to_dict(), tmp_path / "mine.toml"):
        assert [point.config for point in plan.load({"base": base} | axes).points] == [point.config for point in by_file.points]
    assert [point.config for point in plan.load(short).points] == [short]
    swept = mdlite.sweep({"base": short} | axes, tmp_path / "out", prepare=True)
    assert len(swept.points) == 2
    again = mdlite.sweep(
        tmp_path / "out" / "sweep.toml", tmp_path / "out", prepare=True
    )  # what it has written down is the same sweep
    assert again.points == swept.points
    assert "base = 3: must be a built-in case, the name of a TOML file" in said(plan.load, {"base": 3})


@pytest.mark.parametrize("function", ["run", "validate", "validity", "sweep"])
@pytest.mark.parametrize("source", [3, None, [1, 2], b"trapped", 1.5, Ellipsis], ids=repr)
def test_what_is_no_configuration(function, source, never, tmp_path):
    more = [] if function in ("run", "validity") else [tmp_path / "out"]
    told = said(getattr(mdlite, function), source, *more)
    name = "sweep" if function == "sweep" else "config"
    assert told.startswith(f"{name} = ") and "TOML file" in told and "a Config" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("function", ["run", "validate", "validity"])
def test_the_name_of_no_case(function, never, tmp_path):
    more = [] if function in ("run", "validity") else [tmp_path / "out"]
    assert said(getattr(mdlite, function), "traped", *more).endswith("did you mean trapped?")
    with pytest.raises(InputError, match="interaction: is missing"):
        getattr(mdlite, function)({}, *more)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"output": 3}, "output = 3: must be the name of a file or folder, a text or a pathlib.Path"),
        ({"output": ["x.h5"]}, "output = ['x.h5']: must be the name"),
        ({"output": b"x.h5"}, "output = b'x.h5': must be the name"),
        ({"progress": "bar"}, "progress = 'bar': must be True for a bar, or a function"),
        ({"progress": 1}, "progress = 1: must be True"),
        ({"notice": True}, "notice = True: must be a function that is called with a line of text"),
        ({"force": "yes"}, "force = 'yes': must be True or False"),
        ({"resume": 1}, "resume = 1: must be True or False"),
        ({"introduce": None}, "introduce = None: must be True or False"),
        ({"max_walltime": "2h"}, "max_walltime = '2h': must be a positive number of seconds"),
        ({"max_walltime": -1.0}, "max_walltime = -1.0: must be a positive number of seconds"),
        ({"max_walltime": math.nan}, "max_walltime = nan: must be"),
        ({"max_walltime": True}, "max_walltime = True: must be"),
    ],
)
def test_arguments_of_a_run(arguments, message, short, never, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in said(mdlite.run, short, **({"output": "x.h5"} | arguments))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        ("validate", {"output": None}, "output = None: must be the name"),
        ("validate", {"force": 0}, "force = 0: must be True or False"),
        ("validate", {"notice": "x"}, "notice = 'x': must be a function"),
        ("sweep", {"output": 3}, "output = 3: must be the name"),
        ("sweep", {"workers": 0}, "workers = 0: must be a whole number, 1 or more"),
        ("sweep", {"workers": 1.5}, "workers = 1.5: must be a whole number, 1 or more"),
        ("sweep", {"threads": "2"}, "threads = '2': must be a whole number, 1 or more"),
        ("sweep", {"scheduler": 3}, "scheduler = 3: must be the address of a Dask scheduler"),
        ("sweep", {"overrides": "run.dt=0.001"}, "overrides = 'run.dt=0.001': must be a list of texts"),
        ("sweep", {"prepare": 1}, "prepare = 1: must be True or False"),
        ("sweep", {"progress": 3}, "progress = 3: must be True"),
    ],
)
def test_arguments_of_validations_and_sweeps(function, arguments, message, never, tmp_path):
    source = "trapped" if function == "validate" else {"base": "trapped"}
    given = {"output": tmp_path / "out"} | arguments
    assert message in said(getattr(mdlite, function), source, **given)
    assert not list(tmp_path.iterdir())


def test_arguments_of_what_reads():
    assert "data = 3: must be the name of a file" in said(mdlite.validity, "trapped", 3)
    assert "file = 3: must be the name of a run's file" in said(mdlite.Run.load, 3)
    assert "folder = 3: must be the folder of a sweep" in said(mdlite.collect, 3)
    assert "config = 3: must be the name of a TOML file" in said(mdlite.load, 3)
    assert "config = 3: must be the name of a TOML file" in said(mdlite.load_case, 3)
    assert "overrides = 'run.dt=1': must be a list of texts" in said(mdlite.load, "trapped", "run.dt=1")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Potential("nonsense", (1.0, 2.0)), "interaction.potential.kind = 'nonsense': must be one of yukawa, gaussian"),
        (lambda: Potential("yukwa", (1.0, 2.0)), "did you mean yukawa?"),
        (lambda: Potential(3, (1.0, 2.0)), "interaction.potential.kind = 3: must be one of"),
        (lambda: Potential("yukawa", (1.0,)), "must be the 2 parameters of yukawa: strength (meV Angstrom), range (Angstrom)"),
        (lambda: Potential("yukawa", 1.0), "interaction.potential.params = 1.0: must be the 2 parameters"),
        (lambda: Potential("yukawa", "ab"), "interaction.potential.params = 'ab': must be the 2 parameters"),
        (lambda: Potential("yukawa", (1.0, -0.5)), "interaction.potential.range = -0.5: must be a positive number"),
        (lambda: Potential("yukawa", (math.nan, 0.5)), "interaction.potential.strength = nan: must be a finite number"),
        (lambda: Potential("gaussian", ("1", 0.5)), "interaction.potential.strength = '1': must be a finite number"),
        (
            lambda: Potential("gaussian", (1e40, 0.5)),
            "interaction.potential.strength = 1e+40: must be a finite number, within 1e+30",
        ),
        (lambda: Potential("gaussian", (10**400, 0.5)), "must be a finite number"),
        (lambda: Lattice(size=2), "lattice.size = (2, 2, 2): must be three whole numbers, 3 or more"),
        (lambda: Lattice(size=(3, 4)), "lattice.size = (3, 4): must be three whole numbers"),
        (lambda: Lattice(size=(3, 4, 5.5)), "lattice.size = (3, 4, 5.5): must be three whole numbers"),
        (lambda: Lattice(size="20"), "lattice.size = '20': must be three whole numbers"),
        (lambda: Lattice(size=None), "lattice.size = None: must be three whole numbers"),
        (lambda: Lattice(size=np.array(20.0)), "lattice.size = array(20.): must be three whole numbers"),
        (lambda: Lattice(spacing=0.0), "lattice.spacing = 0.0: must be a positive number"),
        (lambda: Lattice(mass=-3.5), "lattice.mass = -3.5: must be a positive number"),
        (lambda: Lattice(mass=math.inf), "lattice.mass = inf: must be a positive number, finite"),
        (lambda: Lattice(k1=True), "lattice.k1 = True: must be a positive number"),
        (lambda: Lattice(k2=-1.0), "lattice.k2 = -1.0: must be a finite number, 0 or more"),
        (lambda: Ion(mass=0.0), "ion.mass x = 0.0: must be a positive number, or infinity"),
        (lambda: Ion(mass=(1.0, 2.0, math.nan)), "ion.mass z = nan: must be a positive number, or infinity"),
        (lambda: Ion(mass="heavy"), "ion.mass = 'heavy': must be three numbers"),
        (lambda: Ion(position=(0.0, 1.0)), "ion.position = (0.0, 1.0): must be three numbers"),
        (lambda: Ion(position=(0.0, 1.0, "2")), "ion.position z = '2': must be a finite number"),
        (lambda: Ion(velocity=(math.inf, 0.0, 0.0)), "ion.velocity x = inf: must be a finite number"),
        (lambda: Sites(()), "interaction.atoms.sites = (): must be a list of lattice indices"),
        (lambda: Sites(3), "interaction.atoms.sites = 3: must be a list of lattice indices"),
        (lambda: Sites(((0, 0),)), "interaction.atoms.sites = (0, 0): must be three whole numbers"),
        (lambda: Sites(((0, 0, 0.5),)), "interaction.atoms.sites = (0, 0, 0.5): must be three whole numbers"),
        (lambda: Sites(((0, 0, 0), (0, 0, 0))), "must be a list that has every atom once"),
        (lambda: Shell(0), "interaction.atoms.extent = 0: must be a whole number, 1 or more"),
        (lambda: Shell(1.0), "interaction.atoms.extent = 1.0: must be a whole number, 1 or more"),
        (lambda: Cutoff(-1.0), "interaction.atoms.radius = -1.0: must be a positive number"),
        (lambda: Cutoff(math.inf), "interaction.atoms.radius = inf: must be a positive number, finite"),
        (lambda: Cutoff(2.0, 3.0), "interaction.atoms.switch_width = 3.0: must be at most the radius, 2 Angstrom"),
        (lambda: Cutoff(2.0, 0.0), "interaction.atoms.switch_width = 0.0: must be a positive number"),
        (lambda: Interaction("yukawa", Shell(1)), "interaction.potential = 'yukawa': must be a Potential"),
        (lambda: Interaction(YUKAWA, "shell"), "interaction.atoms = 'shell': must be Sites, a Shell or a Cutoff"),
        (lambda: Model(20, Ion(), Interaction(YUKAWA, Shell(1))), "lattice = 20: must be a Lattice"),
        (lambda: Model(Lattice(), None, Interaction(YUKAWA, Shell(1))), "ion = None: must be an Ion"),
        (lambda: Model(Lattice(), Ion(), YUKAWA), "interaction = Potential("),
    ],
)
def test_constructors(make, message):
    assert message in said(make)


def test_constructors_make_plain_values():
    lattice = Lattice(np.array([4, 5, 6]), k1=520, mass=np.float32(3.5))
    assert lattice == Lattice((4, 5, 6)) and hash(lattice) == hash(Lattice((4, 5, 6))) and type(lattice.size[0]) is int
    assert Lattice(20) == Lattice((20, 20, 20)) and Ion(2) == Ion((2.0, 2.0, 2.0))
    assert Ion(position=np.ones(3)).position == (1.0, 1.0, 1.0)
    assert Sites([[0, 0, np.int64(1)]]) == Sites(((0, 0, 1),)) and type(Cutoff(4, 1).radius) is float
    assert Potential("yukawa", [150, 0.5]) == YUKAWA


def test_faults_of_a_configuration_are_still_all_told():
    """The model's own checks do not get in before the lines that name every fault of a configuration."""
    data = mdlite.load_case("trapped").to_dict()
    data["interaction"]["atoms"] = {"kind": "cutoff", "radius": 2.0, "switch_width": 3.0}
    data["run"]["dt"] = 0.5
    with pytest.raises(InputError) as caught:
        mdlite.config.parse(data)
    told = str(caught.value).splitlines()
    assert any(line.startswith("interaction.atoms.switch_width = 3: must be at most the radius") for line in told)
    assert any(line.startswith("run.dt = 0.5: must be below") for line in told)


def test_editors_see_what_is_there():
    """Imports for editors and type checkers, in mdlite/__init__.py, against the names that are found at run time."""
    tree = ast.parse(Path(mdlite.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        seen |= {alias.asname: f"{node.module}.{alias.name}" for alias in node.names}
    public = {name: f"mdlite.{module}.{name}" for name, module in mdlite._PUBLIC.items()}
    assert seen == public | {name: f"mdlite.{module}" for name, module in mdlite._MODULES.items()}
    for name, module in mdlite._PUBLIC.items():
        assert getattr(importlib.import_module(f"mdlite.{module}"), name) is getattr(mdlite, name)
    assert set(dir(mdlite)) >= {*seen, "load_case"}


@pytest.mark.parametrize("name", case_names())
def test_a_configuration_of_every_case_is_pickled(name):
    config = mdlite.load(name)
    again = pickle.loads(pickle.dumps(config))
    assert again == config and again.to_toml() == config.to_toml() and type(again) is mdlite.Config
    assert hash(again) == hash(config) and len({again, config}) == 1


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_configuration_of_every_potential_is_pickled(form):
    table = {"kind": form.name} | {parameter.name: 1.0 for parameter in form.parameters}
    config = mdlite.load_case("trapped", **{"interaction.potential": table})
    again = pickle.loads(pickle.dumps(config))
    assert again == config and type(again.interaction.potential) is type(config.interaction.potential)
    assert hash(again.interaction) == hash(config.interaction) and hash(config) != hash(mdlite.load_case("throw"))


def test_equal_configurations_have_one_hash():
    """However their tables were written."""
    one, other = ({"validate.ions": ions} for ions in ({"patch": 2, "implicit": 3}, {"implicit": 3, "patch": 2}))
    assert mdlite.load_case("trapped", **one) == mdlite.load_case("trapped", **other)
    assert hash(mdlite.load_case("trapped", **one)) == hash(mdlite.load_case("trapped", **other))


def test_a_run_is_pickled(short, tmp_path, monkeypatch):
    """One in memory with its arrays; one in a file by its place, whatever the folder that it is read in."""
    run = mdlite.run(short)
    again = pickle.loads(pickle.dumps(run))
    assert again.config == run.config and again.facts == run.facts and np.array_equal(again.position, run.position)
    monkeypatch.chdir(tmp_path)
    mdlite.run(short, "x.h5")
    kept = mdlite.Run.load("x.h5")
    assert np.array_equal(kept.position, run.position)
    text, shapes = pickle.dumps(kept), kept.shapes()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = pickle.loads(text)
    assert again.config == run.config and again.shapes() == shapes and np.array_equal(again.position, run.position)
    assert len(text) < 20_000 and np.array_equal(copy.deepcopy(again).velocity, run.velocity)
    (tmp_path / "x.h5").unlink()
    assert "no such file" in said(lambda: pickle.loads(text).position)


def test_numbers_of_numpy_in_tables(tmp_path):
    data = mdlite.load_case("trapped").to_dict()
    expected = mdlite.config.parse(data | {"lattice": {"size": 12}})
    for size in (np.int64(12), np.array(12), np.array([12, 12, 12]), [np.int32(12)] * 3):
        assert config_of(data | {"lattice": {"size": size}}) == expected
        assert mdlite.config.parse(data).replace(**{"lattice.size": size}).lattice.size == (12, 12, 12)
    config = mdlite.load_case("trapped", **{"run.record_atoms": np.bool_(True), "ion.position": np.array([1.5, 1.5, 1.0])})
    assert config.run.record_atoms is True and type(config.ion.position[0]) is float
    sites = mdlite.load_case("trapped", **{"interaction.atoms": {"kind": "sites", "sites": np.eye(3, dtype=int)}})
    assert sites.interaction.atoms.sites == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert "lattice.size = 12.5" in said(mdlite.load_case, "trapped", **{"lattice.size": np.float64(12.5)})
    data["run"]["dt"] = data  # a table within itself is a mistake of the user's
    with pytest.raises(InputError, match=r"run\.dt = "):
        mdlite.config.parse(data)


def test_numbers_of_numpy_in_sweeps(short, tmp_path):
    axes = {"grid": {"lattice.size": np.array([12, 14])}, "zip": {"run.dt": np.array([0.005, 0.0025])}, "replicas": np.int64(1)}
    swept = mdlite.sweep({"base": short} | axes, tmp_path / "out", prepare=True)
    by_lists = plan.load({"base": short, "grid": {"lattice.size": [12, 14]}, "zip": {"run.dt": [0.005, 0.0025]}})
    assert [point.config for point in plan.load(tmp_path / "out" / "sweep.toml").points] == [p.config for p in by_lists.points]
    assert len(swept.points) == 4


def test_arrays_without_dimensions_are_numbers():
    assert Lattice(np.array(20), k1=np.array(520.0)) == Lattice(20) and type(Lattice(np.array(20)).size[0]) is int
    assert Ion(np.array(2.0)) == Ion(2.0) and Shell(np.array(1)) == Shell(1) and Cutoff(np.array(4.0)) == Cutoff(4.0)
    assert Potential("yukawa", (np.array(150.0), 0.5)) == YUKAWA
    assert "lattice.k1 = array('520'" in said(lambda: Lattice(k1=np.array("520")))


def test_replace_takes_a_dict_too(short):
    expected = short.replace(**{"run.dt": 0.001})
    assert short.replace({"run.dt": 0.001}) == expected
    assert short.replace({"run.dt": 0.001}, method="static") == expected.replace(method="static")
    for wrong in (3, "run.dt=0.001", ["run.dt"], {3: 0.001}):
        assert 'must be a dict of dotted keys, such as {"run.dt": 0.001}' in said(short.replace, wrong)
    assert "run.dt: is given twice" in said(lambda: short.replace({"run.dt": 0.001}, **{"run.dt": 0.002}))


@pytest.mark.parametrize("empty", ["", "  "])
def test_a_name_that_is_empty(empty, short, never):
    assert said(mdlite.run, empty).startswith(
        f"config = {empty!r}: is empty, which is no name; must be a Config, a dict of its tables, the name of a"
    )
    assert said(mdlite.load, empty).startswith(
        f"config = {empty!r}: is empty, which is no name; must be the name of a TOML file or a built-in case"
    )
    assert said(mdlite.Run.load, empty) == f"file = {empty!r}: is empty, which is no name; must be the name of a run's file"
    assert said(mdlite.run, short, empty).startswith(f"output = {empty!r}: is empty, which is no name; must be")
    assert said(mdlite.sweep, empty, "out").startswith(f"sweep = {empty!r}: is empty, which is no name; must be a TOML file")


@pytest.mark.parametrize("function", [mdlite.run, mdlite.load, mdlite.Run.load, lambda name: mdlite.sweep(name, "out")])
def test_a_name_that_is_too_long(function, never):
    assert len(said(function, "x" * 5000)) < 300


def test_sub_packages_are_there_without_an_import():
    own = sorted(found.name for found in pkgutil.iter_modules(mdlite.__path__) if found.ispkg)
    assert set(own) <= set(dir(mdlite)) and {"physics", "engines", "kernels"} <= set(own)
    code = f"import mdlite\nfor name in {own}: assert getattr(mdlite, name).__name__ == f'mdlite.{{name}}', name"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["storage", "groups"])
def test_a_former_name_can_be_run_as_a_module(name):
    """There is nothing to run in it, and no traceback."""
    done = subprocess.run([sys.executable, "-m", f"mdlite.{name}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
