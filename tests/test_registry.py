"""Methods by name: what the package's own say of themselves, and one that comes from outside."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import mdlite
from mdlite.cli.main import app
from mdlite.config import keys
from mdlite.engines import registry
from mdlite.engines.base import Engine, Setup


class FreeFlight(Engine):
    """An ion that no atom stops."""

    def __init__(self, setup: Setup):
        super().__init__(setup)
        self.start = np.array([setup.model.ion.position, setup.model.ion.velocity])

    def _take(self, n_steps, out):
        steps = np.arange(self.step, self.step + n_steps)[:, None]
        steps = steps[steps[:, 0] % self.sample_every == 0]
        out.position[:], out.velocity[:] = self.start[0] + steps * self.dt * self.start[1], self.start[1]

    def _record(self, out):
        out.position[0], out.velocity[0] = self.start[0] + self.step * self.dt * self.start[1], self.start[1]

    def state(self):
        return {"start": self.start}

    def fault(self):
        return None


class Toy(registry.Method):
    """Free flight."""

    name = "toy"

    def engine(self, setup, config):
        return FreeFlight(setup)


@pytest.fixture
def toy():
    registry.register(Toy())
    yield
    registry.unregister("toy")


def case(**more):
    return mdlite.load_case("trapped", **{"method": "toy", "lattice.size": 8, "run.duration": 1.0} | more)


def test_a_method_from_outside_runs(toy):
    run = mdlite.run(case(), progress=True)
    start, speed = np.array(run.config.ion.position), np.array(run.config.ion.velocity)
    assert np.allclose(run.position[:, 0], start + run.time[:, None] * speed, atol=1e-12) and len(run.time) == 201
    assert "toy" in keys.text("method") and "toy" in json.dumps(mdlite.Config.model_json_schema()["properties"]["method"])


def test_it_stops_and_goes_on(toy, tmp_path):
    class Stop:
        def __call__(self, progress):
            if progress.done > 60:
                raise KeyboardInterrupt

    config = case(**{"run.checkpoint_steps": 20, "run.energy_every": 10})
    with pytest.raises(KeyboardInterrupt):
        mdlite.run(config, tmp_path / "x.h5", progress=Stop())
    run = mdlite.run(config, tmp_path / "x.h5", resume=True)
    assert run.facts["resumed"] and np.array_equal(run.position, mdlite.run(config, tmp_path / "whole.h5").position)
    longer = mdlite.run(config.replace(**{"run.duration": 2.0}), tmp_path / "x.h5", resume=True)
    assert longer.time[-1] == 2.0


def test_it_is_compared(toy, tmp_path):
    arguments = ["validate", "trapped", "-o", str(tmp_path / "v")]
    for key in ("lattice.size=10", "run.duration=0.5", 'validate.rungs=["toy", "rigid"]'):
        arguments += ["--set", key]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "v" / "summary.json").read_text())
    assert {"reference", "toy", "rigid"} == set(summary["rungs"]) and summary["rungs"]["toy"]["difference"]["max_position_A"]
    assert "| `toy` | Free flight |" in (tmp_path / "v" / "report.md").read_text()


def test_what_it_can_not_do_is_refused(toy):
    hot = {"thermal": {"energy": 25.0}}
    with pytest.raises(mdlite.InputError, match=r'thermal: method = "toy" is for T = 0'):
        case(**hot)
    for more, told in (
        ({"run.integrator": "blanes-moan-4"}, 'run.integrator = "blanes-moan-4": is for method = "reference"'),
        ({"snapshots": {}}, "snapshots: are taken of one explicit lattice"),
    ):
        with pytest.raises(mdlite.InputError, match=told):
            case(**more)


def test_without_it_there_is_none():
    with pytest.raises(mdlite.InputError, match=r"method = 'toy': must be 'reference', .* or 'patch'"):
        case()
    with pytest.raises(mdlite.InputError, match=r"validate.rungs.0 = 'toy': must be 'memory-kernel', .* or 'rigid'"):
        mdlite.load_case("trapped", **{"validate.rungs": ["toy"]})
    with pytest.raises(LookupError, match="'toy' is no method; there are: reference, "):
        registry.find("toy")
    with pytest.raises(ValueError, match="there is a method 'patch' already"):
        registry.register(registry.find("patch"))
    assert registry.says("toy", "lossless") is False


MODULE = """
import dataclasses
from mdlite.engines import registry

class Mine(registry.Method):
    "A rigid crystal under another name."
    name = "mine"

    def engine(self, setup, config):
        return registry.find("rigid").engine(dataclasses.replace(setup, method="rigid"), config)

    def groups(self, config):
        return registry.find("rigid").groups(config)

registry.register(Mine())
"""
SHORT = {"method": "mine", "run.duration": 0.05}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A method of one's own in a module on the path, named in the environment."""
    (tmp_path / "own_methods").mkdir()
    (tmp_path / "own_methods" / "mymethods.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "own_methods")
    monkeypatch.setenv("MDLITE_METHODS", "mymethods")
    yield tmp_path / "own_methods"
    monkeypatch.delenv("MDLITE_METHODS", raising=False)
    if "mine" in registry.names():
        registry.unregister("mine")
    sys.modules.pop("mymethods", None)


def test_a_file_is_read_without_its_method(tmp_path):
    """Loading and the commands that read take it; whatever computes says what is missing."""
    registry.register(Toy())
    try:
        path = tmp_path / "toy.h5"
        run = mdlite.run(case(**{"validate.rungs": ["toy", "rigid"], "run.duration": 2.0}), path)
    finally:
        registry.unregister("toy")
    loaded = mdlite.Run.load(path)
    assert loaded.config.method == "toy" and loaded.config == run.config and np.array_equal(loaded.position, run.position)
    assert "toy" in repr(loaded) and "toy" in loaded._repr_html_()
    commands = (["info"], ["analyse"], ["export", "-o", str(tmp_path / "x.xyz")], ["plot", "-o", str(tmp_path / "x.png")])
    for name, *more in commands:
        done = CliRunner().invoke(app, [name, str(path), *more])
        assert done.exit_code == 0, (name, done.output, done.exception)
    told = r"method = 'toy': must be 'reference', .*'toy' is not registered in this process: .*registry.register.*MDLITE_METHODS"
    for compute in (
        lambda: mdlite.run(loaded.config),
        lambda: mdlite.run(loaded.config, path, resume=True),
        lambda: mdlite.validate(loaded.config, tmp_path / "v"),
        lambda: mdlite.sweep(loaded.config, tmp_path / "s"),
        lambda: mdlite.run(loaded.config.to_dict()),
        lambda: mdlite.run(loaded.config.replace(**{"run.duration": 1.0})),
    ):
        with pytest.raises(mdlite.InputError, match=told):
            compute()
    assert not (tmp_path / "v").exists() and not (tmp_path / "s").exists()


def test_a_thermal_file_is_read_without_its_method(tmp_path):
    """What the method alone could say is taken as the file has it."""

    class Warm(Toy):
        name, thermal, many_ions = "warm", True, True

    data = mdlite.load_case("trapped", **{"lattice.size": 8, "run.duration": 1.0}).to_dict()
    data |= {"method": "warm", "thermal": {"energy": 25.0}}
    registry.register(Warm())
    try:
        config = mdlite.config.parse(data)
    finally:
        registry.unregister("warm")
    assert mdlite.config.parse(data, foreign=True) == config
    with pytest.raises(mdlite.InputError, match=r"run\.dt = -1"):
        mdlite.config.parse(data | {"run": {"dt": -1.0, "duration": 1.0}}, foreign=True)


def test_near_names_are_still_proposed():
    with pytest.raises(mdlite.InputError, match="did you mean reference") as caught:
        mdlite.load_case("trapped", method="refrence")
    assert "registered" not in str(caught.value)


def test_a_module_in_the_environment(module, tmp_path):
    assert "mine" in registry.names()
    expected = mdlite.run(mdlite.load_case("trapped", **SHORT | {"method": "rigid"})).position
    assert np.array_equal(mdlite.run(mdlite.load_case("trapped", **SHORT)).position, expected)


def test_a_sweep_of_an_own_method_with_workers(module, tmp_path):
    base = mdlite.load_case("trapped", **SHORT)
    swept = mdlite.sweep({"base": base, "grid": {"run.dt": [0.005, 0.0025]}}, tmp_path / "out", workers=2)
    assert not swept.failed and len(swept.points) == 2


def test_results_of_a_sweep_are_read_without_its_method(module, tmp_path, monkeypatch):
    base = mdlite.load_case("trapped", **SHORT)
    mdlite.sweep({"base": base, "grid": {"run.dt": [0.005, 0.0025]}}, tmp_path / "out", prepare=True)
    monkeypatch.delenv("MDLITE_METHODS")
    registry.unregister("mine")
    assert mdlite.collect(tmp_path / "out").sizes["run.dt"] == 2


def test_a_sweep_of_what_its_workers_do_not_know(toy, tmp_path):
    base = case(**{"run.duration": 0.05})
    for source in ({"base": base}, {"base": base.replace(method="rigid", **{"validate.rungs": ["toy"]}), "task": "validate"}):
        with pytest.raises(
            mdlite.InputError, match=r"method = 'toy': is not registered in the sweep's workers; .*MDLITE_METHODS"
        ):
            mdlite.sweep(source | {"grid": {"run.dt": [0.005, 0.0025]}}, tmp_path / "out", workers=2)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "names, told",
    [
        ("no_such_module", "MDLITE_METHODS = 'no_such_module': 'no_such_module' cannot be imported: ModuleNotFoundError"),
        ("mymethods, broken", "'broken' cannot be imported: ZeroDivisionError: division by zero"),
        ("a b", "'a b' cannot be imported"),
    ],
)
def test_a_module_that_cannot_be_imported(names, told, module, monkeypatch):
    data = mdlite.load_case("trapped").to_dict()
    (module / "broken.py").write_text("1 / 0")
    monkeypatch.setenv("MDLITE_METHODS", names)
    for ask in (registry.names, lambda: mdlite.config.parse(data)):
        with pytest.raises(mdlite.InputError) as caught:
            ask()
        assert told in str(caught.value) and str(caught.value).startswith("MDLITE_METHODS = ") and "\n" not in str(caught.value)


def test_a_package_that_brings_methods(module):
    """As an entry point of the group mdlite.methods; commands know it without further ado."""
    info = module / "mymethods-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mymethods\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mdlite.methods]\nmine = mymethods\n")
    environment = {name: value for name, value in os.environ.items() if name != "MDLITE_METHODS"} | {"PYTHONPATH": str(module)}
    command = [sys.executable, "-m", "mdlite", "keys", "method"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0 and "mine" in done.stdout, done.stderr


class Nameless(registry.Method):
    def engine(self, setup, config):
        return None


class Lame(registry.Method):
    name = "lame"


def named(name):
    return type("Named", (Toy,), {"name": name})()


@pytest.mark.parametrize(
    "given, error, told",
    [
        (Toy, TypeError, r"method = <class .*Toy'>: must be an instance .*, Toy\(\), not the class"),
        (None, TypeError, "method = None: must be an instance of a subclass of mdlite.engines.registry.Method"),
        ("toy", TypeError, "method = 'toy': must be an instance"),
        (Nameless(), TypeError, "Nameless.name: is missing and must be given"),
        (Lame(), TypeError, r"Lame.engine: is missing; must be a method engine\(setup, config\)"),
        (named(3), TypeError, "Named.name = 3: must be a text"),
        (named(""), ValueError, "Named.name = '': must be lower-case letters, digits and hyphens, a letter first, 40 at most"),
        (named("Mine"), ValueError, "Named.name = 'Mine': must be lower-case"),
        (named("my method"), ValueError, "must be lower-case"),
        (named("mine\n"), ValueError, "must be lower-case"),
        (named("x" * 41), ValueError, "must be lower-case"),
    ],
)
def test_what_is_no_method(given, error, told):
    before = registry.names()
    with pytest.raises(error, match=told):
        registry.register(given)
    assert registry.names() == before


def test_an_engine_that_is_none(tmp_path):
    registry.register(type("Empty", (Nameless,), {"name": "empty"})())
    try:
        with pytest.raises(
            mdlite.InputError, match=r"""method = 'empty': its engine\(setup, config\) returned None; must return an Engine"""
        ):
            mdlite.run(case(method="empty"), tmp_path / "x.h5")
    finally:
        registry.unregister("empty")
    assert not (tmp_path / "x.h5").exists()


def test_lists_of_the_own_methods():
    """As reports, maps and defaults have always had them."""
    assert registry.names() == ("reference", "memory-kernel", "time-local", "implicit", "static", "rigid", "patch")
    assert registry.rungs() == registry.comparable() == ("memory-kernel", "patch", "implicit", "time-local", "static", "rigid")
    assert registry.rungs(thermal_rung=True) == ("patch", "implicit", "time-local")
    assert registry.names(linear=True) == ("time-local", "implicit", "static")
    assert registry.names(measured=True) == ("time-local", "implicit", "patch")
    assert registry.names(lossless=True) == ("static", "rigid") and registry.names(exact=True) == ("memory-kernel",)
