"""When an ion is given up: the one criterion, the moment, the cause, and what a run that has lost ions may still say."""

import dataclasses
import json
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest

import mdlite
from independent import yukawa
from mdlite.analysis import losses
from mdlite.engines import patch_edge
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine
from mdlite.engines.guard import Guard, heat
from mdlite.engines.patch import PatchEngine, PatchEnsembleEngine
from mdlite.engines.reference import ReferenceEngine
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.errors import InputError, RunError
from mdlite.kernels.guard import CONTACT, CROSSING, ENERGY, KINETIC, SPEED, STIFFNESS
from mdlite.physics.model import GOOD_TURN, MOST_TURN, Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.physics.thermal import thermal_state
from mdlite.report import motion
from mdlite.sweeps import measures
from mdlite.units import HBAR

HOT = {"lattice.size": 8, "thermal.energy": 50.0, "thermal.statistics": "classical", "thermal.lattices": 2, "thermal.ions": 6}
LATTICE = Lattice(size=(6, 6, 6))
MODEL = Model(LATTICE, Ion((0.7,) * 3, (7.5, 7.5, 7.5)), Interaction(Potential("yukawa", (4000.0, 0.5)), Shell(1)))
STATE = thermal_state(LATTICE, 50.0, "classical", np.random.default_rng(4))
STILL = (np.zeros((3, *LATTICE.size)),) * 2


def case(method, **overrides):
    return mdlite.load_case("diffusion", **HOT | overrides).replace(method=method)


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "mdlite", *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.parametrize("overrides", [{"run.dt": 0.01}, {"ion.mass": 0.3}], ids=["long-step", "light"])
def test_healthy_ions_are_kept(overrides):
    """A step of 10 fs resolves every contact at 50 meV, and a light ion's at 5 fs: no ion is lost, and they have the crystal's temperature."""
    run = mdlite.run(case("patch", **overrides, **{"run.duration": 30.0}))
    assert run.facts["run_aways"] == []
    mass, late = run.config.ion.mass[0], run.velocity[run.time > 5.0]
    assert mass * (late**2).mean() / 50.0 == pytest.approx(1.0, abs=0.12)


def thrown(engine, potential, speed, lattice=LATTICE):
    """An engine whose ion of mass 0.05 flies between the atoms along x."""
    ion = Ion((0.05,) * 3, (7.5, 7.5, 7.5), (speed, 0.0, 0.0))
    model = Model(lattice, ion, Interaction(potential, Shell(1)))
    if engine is PatchEnsembleEngine:
        return engine(model, 0.005, [STILL], np.array([ion.position]), 8, bounds=patch_edge.open_edge(lattice, 8, 0.005))
    if engine is EnsembleEngine:
        return engine(model, "time-local", 0.005, [STILL], np.array([ion.position]))
    if engine is PatchEngine:
        return engine(model, 0.005, 8, bounds=patch_edge.open_edge(lattice, 8, 0.005))
    return engine(model, 0.005) if engine is ReferenceEngine else engine(model, "time-local", 0.005)


@pytest.mark.parametrize("engine", [ReferenceEngine, TimeLocalEngine, EnsembleEngine, PatchEngine, PatchEnsembleEngine])
def test_speed_alone_is_no_fault(engine):
    """200 Å/ps, a third of a cell in a step, through a soft potential; beyond half a cell it is told, with the step that would do."""
    soft = Potential("gaussian", (20.0, 1.0))
    flying = thrown(engine, soft, 200.0)
    flying.advance(40)
    assert flying.fault() is None and flying.sample()[1].position.reshape(-1)[0] > 40.0
    beyond = thrown(engine, soft, 320.0)
    beyond.advance(2)
    assert "more than half a cell in one step" in beyond.fault() and "run.dt = 0.0009 would do" in beyond.fault()


@pytest.mark.parametrize("method", ["time-local", "implicit", "patch", "modes"])
def test_an_ion_is_stopped_at_the_step_where_it_fails(method):
    """Contact and energy, from a record of every step: the moment does not depend on chunks, threads or a checkpoint."""
    starts = np.array([[7.5, 7.5, 7.5], [4.5, 10.5, 1.5], [13.5, 1.5, 4.5]])

    def make(kinetic=np.inf, stiffness=np.inf):
        if method == "patch":
            engine = PatchEnsembleEngine(MODEL, 0.005, [STATE], starts, 8, bounds=patch_edge.open_edge(LATTICE, 8, 0.005))
        elif method == "modes":
            engine = ModesEngine(MODEL, "time-local", 0.005, [STATE], starts)
        else:
            engine = EnsembleEngine(MODEL, method, 0.005, [STATE], starts)
        engine.ions.limits[KINETIC], engine.ions.limits[STIFFNESS] = kinetic, stiffness
        return engine

    def told(engine, pieces):
        for n in pieces:
            engine.advance(n)
        return json.dumps(engine.facts()), engine.sample()[1].position.tobytes()

    free = make()
    kinetic, potential, stiffest = [], [], []
    for _ in range(200):
        free.advance(1)
        kinetic.append(0.35 * (free.ions.velocity[0] ** 2).sum(axis=-1))
        potential.append(free.ions.energy.reshape(-1).copy())
        stiffest.append(free.ions.stiffest.reshape(-1).copy())
    first = (
        0 if method == "patch" else 1
    )  # the medium's ions are judged at the end of a step, those of a patch at the beginning of the next
    stiffest = np.array(stiffest)
    limit = np.sort(stiffest[-1])[1] * (1 - 1e-9)  # two of three come that close
    expected = [int(np.argmax(stiffest[:, n] > limit)) + first for n in range(3) if stiffest[-1, n] > limit]
    contact = make(stiffness=limit)
    whole = told(contact, [200])
    found = contact.facts()["run_aways"]
    assert [round(e["time_ps"] / 0.005) for e in found] == expected and len(found) == 2
    assert all("would vibrate at" in e["reason"] for e in found)
    assert told(make(stiffness=limit), [1, 3, 96, 100]) == whole
    numba.set_num_threads(1)
    assert told(make(stiffness=limit), [200]) == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    half, rest = make(stiffness=limit), make(stiffness=limit)
    half.advance(max(1, expected[0]))
    rest.restore(half.step, {name: array.copy() for name, array in half.state().items()})
    assert told(rest, [200 - half.step]) == whole
    if method != "patch":  # whose velocity is half a step behind
        energy = np.maximum(kinetic, potential)
        limit = np.sort(energy.max(axis=0))[1] * (1 - 1e-9)
        hot = make(kinetic=limit)
        hot.advance(200)
        found = hot.facts()["run_aways"]
        assert [round(e["time_ps"] / 0.005) - 1 for e in found] == [
            int(np.argmax(e > limit)) for e in energy.T if e.max() > limit
        ]
        assert len(found) == 2 and all("more energy than it can have come by" in e["reason"] for e in found)


def test_the_limits():
    """Against the formulas: half a cell, one radian of (1/M + 1/m)^½ |φ''|^½, and an energy that sixty k_BT do not explain."""
    model = dataclasses.replace(MODEL, ion=Ion((0.4, np.inf, 0.9), (7.5, 7.5, 7.5), (10.0, 0.0, 0.0)))
    found = Guard(model, "patch", 0.004, 20.0).limits
    corner = yukawa(4000.0, 0.5)[0](np.sqrt(3.0) * 1.5)
    assert found[:3].tolist() == [0.4, 0.0, 0.9]
    assert found[KINETIC] == pytest.approx(4.0 * (8.0 * corner + 20.0) + 60.0 * 20.0, rel=1e-12)
    assert found[SPEED] == pytest.approx(0.5 * 3.0 / 0.004) and found[STIFFNESS] == pytest.approx(
        (MOST_TURN / 0.004) ** 2 / (1 / 0.4 + 1 / 3.5)
    )
    deep = dataclasses.replace(model, interaction=Interaction(Potential("gaussian", (-300.0, 0.5)), Shell(1)))
    assert Guard(deep, "patch", 0.004).limits[KINETIC] > 4.0 * 8 * 300.0  # what falls into a well is fast
    bottomless = dataclasses.replace(model, interaction=Interaction(Potential("yukawa", (-300.0, 0.5)), Shell(1)))
    assert Guard(bottomless, "patch", 0.004).limits[KINETIC] == np.inf
    half = 0.5 * HBAR * LATTICE.omega_max
    assert heat(LATTICE, 1e-3, "quantum") == pytest.approx(half) and heat(LATTICE, 1e-3, "classical") == 1e-3


def test_the_step_that_would_do():
    """0.2 rad in a contact at 15 k_BT, by bisection of the potential; and whether it is the step at all."""
    phi, _, bend = yukawa(4000.0, 0.5)
    energy = 8.0 * phi(np.sqrt(3.0) * 1.5) + 15.0 * 50.0
    low, high = 0.1, 3.0
    for _ in range(60):
        low, high = (0.5 * (low + high), high) if phi(0.5 * (low + high)) > energy else (low, 0.5 * (low + high))
    for mass in (0.05, 0.7):
        model = dataclasses.replace(MODEL, ion=Ion((mass,) * 3, (7.5, 7.5, 7.5)))
        guard = Guard(model, "time-local", 0.005, 50.0)
        turn = np.sqrt(bend(low) * (1.0 / mass + 1.0 / 3.5))
        step = guard.good_step(CONTACT, np.zeros(3), 1e5)
        assert 0.5 * GOOD_TURN / turn < step <= 1.02 * GOOD_TURN / turn
        assert guard.by_step(ENERGY) == guard.by_step(CONTACT) == (0.005 * turn > MOST_TURN) == (mass == 0.05)
        assert guard.by_step(CROSSING) and Guard(model, "patch", 0.005, 50.0).by_step(ENERGY)
    told = Guard(MODEL, "time-local", 0.005, 50.0).entry(ENERGY, np.zeros(3), np.full(3, 90.0), 1e5, 0.0)
    assert told["cause"] == "method" and told["step_ps"] is None and "more energy than it can have come by" in told["reason"]


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """A run of light ions at a step that is too long for them."""
    path = tmp_path_factory.mktemp("lossy") / "lossy.h5"
    sets = [f"--set={key}={value}" for key, value in HOT.items() if not isinstance(value, str)]
    sets += ["--set=ion.mass=0.05", "--set=run.duration=20", '--set=thermal.statistics="classical"', "--set=method=patch"]
    return path, command("run", "diffusion", "-o", path, "--quiet", *sets)


def test_a_run_that_loses_ions_by_its_step(lossy, tmp_path):
    path, done = lossy
    run = mdlite.Run.load(path)
    lost = run.facts["run_aways"]
    assert len(lost) > 6 and all(e["cause"] == "step" and 1e-4 < e["step_ps"] < 1e-3 for e in lost)
    assert run.facts["status"] == "complete" and done.returncode == 1
    assert f"{len(lost)} of 12 ions" in done.stderr and f"run.dt = {lost[0]['step_ps']:g} would do" in done.stderr
    refused = command("analyse", path, "-o", tmp_path / "a.png")
    assert refused.returncode == 2 and f"{len(lost)} of 12 ions" in refused.stderr and "--selection" in refused.stderr
    assert not (tmp_path / "a.png").exists()
    if len(lost) < 12:
        chosen = command("analyse", path, "-o", tmp_path / "a.png", "--selection", "--fit", "0.2,1")
        assert chosen.returncode == 0, chosen.stderr
        assert chosen.stdout.startswith(f"averages over what is left: {len(lost)} of 12 ions")
    with pytest.raises(RunError, match="of 12 ions"):
        measures.measure(run)
    with pytest.warns(RuntimeWarning, match="lost by the step"):
        mdlite.run(run.config.replace(**{"run.duration": 2.5}))


@pytest.mark.thorough
def test_with_the_step_that_would_do_none_is_lost(lossy):
    run = mdlite.Run.load(lossy[0])
    step = run.facts["run_aways"][0]["step_ps"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = mdlite.run(
            run.config.replace(**{"run.dt": step, "run.duration": 10.0, "run.sample_every": 100, "thermal.lattices": 1})
        )
    assert again.facts["run_aways"] == []


def test_files_of_earlier_versions_and_small_losses():
    """An entry without a cause is one of the old cap, which is the step's; one in a hundred is told, not refused; the method's
    own losses are told."""
    old = {"ion": 0, "time_ps": 1.0, "position_A": [0, 0, 0], "velocity_A_per_ps": [70, 0, 0]}
    own = old | {"cause": "method", "reason": "it has run away", "step_ps": None}
    with pytest.raises(InputError, match="63 of 64 ions"):
        losses.require({"ions": 64, "run_aways": [old] * 63}, "patch", selection=False)
    losses.require({"ions": 64, "run_aways": [old] * 63}, "patch", selection=True)
    losses.require({"ions": 200, "run_aways": [old]}, "patch", selection=False)
    losses.require({"ions": 64, "run_aways": [own] * 63}, "time-local", selection=False)
    (line,) = losses.lines({"ions": 384, "run_aways": [own] * 4}, "time-local")
    assert line.startswith("4 of 384 ions (1 %) were lost by the time-local method itself") and 'method = "patch"' in line
    for allowed in (False, True):
        with pytest.raises(InputError, match="no ion is left"):
            losses.require({"ions": 2, "run_aways": [own] * 2}, "rigid", selection=allowed)
    assert losses.lines({"ions": 3, "run_aways": []}, "patch") == losses.lines({}, "reference") == []


def test_what_analyse_says_first():
    run = mdlite.run(case("time-local", **{"run.duration": 20.0}))
    gone = {
        "ion": 3,
        "time_ps": 1.0,
        "position_A": [0, 0, 0],
        "velocity_A_per_ps": [1e3, 0, 0],
        "cause": "method",
        "reason": "why",
        "step_ps": None,
    }
    run.facts["run_aways"] = [gone]
    found = motion.describe(run, 2.0, (0.5, 2.0))
    assert found["lost_by_method"] == 1 and found["lost_by_step"] == 0
    assert motion.text(run, found).startswith(
        "averages over what is left: 1 of 12 ions (8.3 %) was lost by the time-local method itself"
    )


@pytest.mark.parametrize("method", ["time-local", "patch"])
def test_a_crystal_too_hot_for_a_sphere_is_told(method):
    """An atom that has left its site by more than half a cell can be overlooked, in an ensemble's crystal as in the reference's."""
    model = dataclasses.replace(MODEL, interaction=Interaction(Potential("gaussian", (10.0, 0.5)), Cutoff(4.0)))
    u = np.zeros((3, *LATTICE.size))
    u[0, 2, 3, 4] = 1.6
    engines = []
    for displacement in (0.5 * u, u):
        states = [(displacement, np.zeros_like(u))]
        if method == "patch":
            engine = PatchEnsembleEngine(
                model, 1e-6, states, np.array([[1.5] * 3]), 8, bounds=patch_edge.open_edge(LATTICE, 8, 1e-6)
            )
        else:
            engine = EnsembleEngine(model, method, 1e-6, states, np.array([[1.5] * 3]))
        engine.advance(1)
        engines.append(engine)
    assert engines[0].fault() is None and "1.6 Å from its site" in engines[1].fault()
