"""Methods by name: what the package's own say of themselves, and one that comes from outside."""

import json

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


def test_lists_of_the_own_methods():
    """As reports, maps and defaults have always had them."""
    assert registry.names() == ("reference", "memory-kernel", "time-local", "implicit", "static", "rigid", "patch")
    assert registry.rungs() == registry.comparable() == ("memory-kernel", "patch", "implicit", "time-local", "static", "rigid")
    assert registry.rungs(thermal_rung=True) == ("patch", "implicit", "time-local")
    assert registry.names(linear=True) == ("time-local", "implicit", "static")
    assert registry.names(measured=True) == ("time-local", "implicit", "patch")
    assert registry.names(lossless=True) == ("static", "rigid") and registry.names(exact=True) == ("memory-kernel",)
