"""Observers of the user's own: when they are called, what they see, and what of them a run keeps that is paused, interrupted and resumed."""

import inspect
import os
import pathlib
import signal
from fractions import Fraction

import h5py
import numpy as np
import pytest

import mdlite
from mdlite.errors import InputError, Interrupted, RunError
from mdlite.io.recorder import FileRecorder
from mdlite.simulation import loop, memories
from mdlite.simulation.recorders import MemoryRecorder, Recorder

ENSEMBLE = {
    "method": "time-local",
    "interaction": {"potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5}, "atoms": {"kind": "shell"}},
    "thermal": {"energy": 25.0, "seed": 3, "ions": 3, "lattices": 2},
}


class Path(mdlite.Observer):
    """Keeps where the ion was at every call, as arrays and as a list; pauses the run at some steps, and has it interrupted at others."""

    def __init__(self, every=30, pause=(), interrupt=(), name="the ion is there"):
        super().__init__(every)
        self.steps_seen, self.places = [], np.empty((0, 3))
        self.pause, self.interrupt, self.reason = pause, interrupt, name

    def observe(self, step, view):
        self.steps_seen.append(step)
        self.places = np.concatenate([self.places, view.position[:1]])
        if step in self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        return self.reason if step in self.pause else None

    def state(self):
        return {"steps": self.steps_seen, "places": self.places, "nested": {"none": None, "list": [1.5, np.float64(2.5), "text"]}}

    def restore(self, state):
        assert state["nested"] == {"none": None, "list": [1.5, 2.5, "text"]}
        self.steps_seen, self.places = state["steps"], state["places"]


def datasets(path):
    """Every dataset of a file but for what observers remember."""
    found = {}
    with h5py.File(path) as f:
        f.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {
        name: (values.tobytes(), np.shape(values)) for name, values in found.items() if not name.startswith("mdlite/observers")
    }


@pytest.mark.parametrize("method", ["reference", "rigid"])
def test_the_ion_is_seen_as_it_is_recorded(small_case, method):
    seen = []

    def look(step, view):
        assert view.step == step and view.config.method == method
        seen.append((step, view.time, view.position, view.velocity, view.force))

    run = mdlite.run(small_case(method=method), observers=[mdlite.Observer(70, look), mdlite.Observer(200, look)])
    assert [one[0] for one in seen] == [0, 0, 70, 140, 200]
    for step, *values in seen:
        for value, recorded in zip(values, (run.time, run.position, run.velocity, run.force)):
            assert np.array_equal(value, recorded[step])


@pytest.mark.thorough(only=("patch",))
@pytest.mark.parametrize("method", ["time-local", "patch", "reference"])
def test_all_ions_of_an_ensemble_are_seen(small_case, method):
    seen = []
    look = mdlite.Observer(50, lambda step, view: seen.append((view.position, view.velocity, view.force)))
    ions = 1 if method == "reference" else 3
    config = small_case(**ENSEMBLE | {"method": method, "patch.size": 8, "thermal.ions": ions})
    run = mdlite.run(config, observers=[look])
    position, velocity, force = (np.array(arrays) for arrays in zip(*seen))
    assert np.array_equal(position, run.position[::50]) and run.position.shape[1] == 2 * ions
    assert np.array_equal(velocity, run.velocity[::50])
    # M (v(t + dt) - v(t - dt)) / 2 dt, right to second order in dt
    push = 0.7 * (run.velocity[1:] - run.velocity[:-1]) / config.run.dt
    assert np.allclose(force[1:-1], 0.5 * (push[1:] + push[:-1])[49:-1:50], rtol=0.0, atol=2e-3 * abs(force).max())
    assert abs(force).max() > 20.0


def test_the_lattice_is_seen_as_snapshots_have_it(small_case):
    seen = []
    look = mdlite.Observer(50, lambda step, view: seen.append(view.lattice))
    wanted = {"snapshots": {"every": 50, "precision": "float64", "velocities": True}}
    run = mdlite.run(small_case(**wanted), observers=[look])
    for n, lattice in enumerate(seen):
        place, velocity = (field.reshape(3, -1).T for field in (lattice.position, lattice.velocity))
        assert np.allclose(place, run.lattice_position[n], rtol=0.0, atol=1e-13)
        assert np.allclose(velocity, run.lattice_velocity[n], rtol=0.0, atol=1e-13)
    assert abs(seen[-1].displacement).max() > 1e-3 and seen[0].box.tolist() == [24.0, 27.0, 30.0]


EXPLICIT = {
    "periodic": {},
    "echo-free": {"lattice.boundary": "echo-free"},
    "absorbing": {"lattice.boundary": "absorbing", "lattice.absorber_width": 6, "lattice.size": 24},
}


@pytest.mark.parametrize("boundary", EXPLICIT)
def test_the_atoms_of_every_explicit_lattice_are_where_frames_have_them(small_case, boundary):
    seen = []
    config = small_case(**EXPLICIT[boundary], **{"run.record_atoms": True, "run.sample_every": 50})
    run = mdlite.run(config, observers=[mdlite.Observer(50, lambda step, view: seen.append(view.lattice))])
    for n, lattice in enumerate(seen):
        x, y, z = (run.atom_site[n] - lattice.corner).T
        moved = [field[:, x, y, z].T for field in (lattice.displacement, lattice.velocity, lattice.position)]
        assert np.allclose(moved[0], run.atom_position[n] - 3.0 * run.atom_site[n], rtol=0.0, atol=1e-13)
        assert np.allclose(moved[1], run.atom_velocity[n], rtol=0.0, atol=1e-12)
        assert np.allclose(moved[2], run.atom_position[n], rtol=0.0, atol=1e-13)
    assert abs(moved[0]).max() > 1e-3


def test_the_lattices_of_replicas_are_seen(small_case):
    seen = []
    config = small_case(**{"thermal": {"energy": 25.0, "seed": 3, "lattices": 3}, "run.energy_every": 100})
    run = mdlite.run(config, observers=[mdlite.Observer(100, lambda step, view: seen.append(view.lattice))])
    for n, lattice in enumerate(seen):
        assert lattice.displacement.shape == (3, 3, 8, 9, 10)
        kinetic = 0.5 * config.lattice.mass * (lattice.velocity**2).sum(axis=(1, 2, 3, 4))
        assert np.allclose(kinetic, run.energy_framework_kinetic[n], rtol=1e-12)


def test_what_is_seen_can_not_be_changed(small_case):
    def meddle(step, view):
        for array in (
            view.position,
            view.velocity,
            view.force,
            view.lattice.displacement,
            view.lattice.velocity,
            view.lattice.position,
        ):
            with pytest.raises(ValueError, match="read-only"):
                array += 1.0

    mdlite.run(small_case(), observers=[mdlite.Observer(100, meddle)])


def test_a_method_without_a_lattice_says_so(small_case):
    look = mdlite.Observer(10, lambda step, view: view.lattice.velocity)
    with pytest.raises(RunError, match=r'observer <lambda>: failed at t = 0 ps .*method = "rigid" has no explicit lattice'):
        mdlite.run(small_case(method="rigid"), observers=[look])


def test_an_interrupted_run_notes_what_its_file_keeps(small_case, tmp_path):
    def stop(step, view):
        if step == 100:
            raise KeyboardInterrupt

    def interrupt(progress):
        raise KeyboardInterrupt

    for name, wanted, told in (
        ("a.h5", {"progress": interrupt}, "has been begun, and keeps nothing yet"),
        ("b.h5", {"observers": [mdlite.Observer(50, stop)]}, "--resume goes on"),
    ):
        with pytest.raises(KeyboardInterrupt) as found:
            mdlite.run(small_case(), tmp_path / name, **wanted)
        assert len(found.value.__notes__) == 1 and name in found.value.__notes__[0] and told in found.value.__notes__[0]
    with pytest.raises(Interrupted) as found:
        mdlite.run(small_case(), tmp_path / "c.h5", observers=[Path(50, interrupt=(100,))])
    assert "c.h5 keeps what was recorded, --resume goes on from the last checkpoint" in found.value.__notes__[0]


def test_who_looks_changes_nothing(small_case, tmp_path):
    mdlite.run(small_case(), tmp_path / "alone.h5")
    mdlite.run(small_case(), tmp_path / "seen.h5", observers=[Path(7), mdlite.Observer(11, lambda step, view: None)])
    assert datasets(tmp_path / "alone.h5") == datasets(tmp_path / "seen.h5")


@pytest.mark.thorough
def test_chunks_end_only_where_an_observer_wants_it(small_case, monkeypatch):
    """With chunks that may always grow fourfold: one more for each of its steps, and not one more."""
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e9)
    config = small_case(**{"run.duration": 8.0, "run.energy_every": 100000})
    ends = {}

    def run(every):
        done = ends.setdefault(every, [])
        observers = [] if every is None else [mdlite.Observer(every, lambda step, view: None)]
        mdlite.run(config, progress=lambda state: done.append(state.done), observers=observers)
        return done

    alone = run(None)
    assert alone == [1, 5, 21, 85, 341, 1365, 4000]
    assert run(5000) == alone
    assert run(2000) == [1, 5, 21, 85, 341, 1365, 2000, 4000]


@pytest.mark.parametrize("method", ["reference", "rigid"])
def test_a_paused_run_is_whole_up_to_there_and_goes_on(small_case, tmp_path, method):
    config = small_case(method=method, **{"run.sample_every": 4})
    whole, path, observer = mdlite.run(config, tmp_path / "whole.h5"), tmp_path / "run.h5", Path(30, pause=(90,))
    run = mdlite.run(config, path, observers=[observer])
    assert run.facts["status"] == "paused at t = 0.18 ps: Path: the ion is there"
    assert run.step.tolist() == [*range(0, 90, 4), 90]
    assert np.array_equal(run.position[:-1], whole.position[: len(run.step) - 1]) and np.array_equal(
        run.position[-1, 0], observer.places[-1]
    )
    other = Path(30)
    on = mdlite.run(config, path, resume=True, observers=[other])
    assert on.facts["status"] == "complete" and on.facts["resumed"][0]["step"] == 90
    assert other.steps_seen == [*range(0, 200, 30)]
    assert datasets(path) == datasets(tmp_path / "whole.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5", "whole.h5"]


def test_a_run_may_be_paused_before_its_first_step_and_in_memory(small_case, tmp_path):
    run = mdlite.run(small_case(), tmp_path / "run.h5", observers=[Path(30, pause=(0,))])
    assert run.facts["status"].startswith("paused at t = 0 ps: Path") and run.step.tolist() == [0]
    assert mdlite.run(small_case(), tmp_path / "run.h5", resume=True, observers=[Path(30)]).facts["status"] == "complete"
    kept = mdlite.run(
        small_case(), observers=[Path(30, pause=(60,)), mdlite.Observer(60, lambda step, view: "so far" if step else None)]
    )
    assert kept.facts["status"] == "paused at t = 0.12 ps: Path: the ion is there; <lambda>: so far" and kept.step[-1] == 60


def test_every_step_is_seen_once_whatever_happens(small_case, tmp_path):
    """Interrupted, resumed, interrupted where it is called, finished, made longer: it remembers what one uninterrupted run shows it."""
    path, config, longer = tmp_path / "run.h5", small_case(), small_case(**{"run.duration": 0.6})
    for interrupt in ((60,), (60, 150)):
        with pytest.raises(Interrupted):
            mdlite.run(config, path, resume=True, observers=[Path(30, interrupt=interrupt)])
    mdlite.run(config, path, resume=True, observers=[Path(30)])
    last, alone = Path(30), Path(30)
    mdlite.run(longer, path, resume=True, observers=[last])
    mdlite.run(longer, observers=[alone])
    assert last.steps_seen == alone.steps_seen == [*range(0, 301, 30)]
    assert np.array_equal(last.places, alone.places)


def test_a_failing_observer_is_named_and_the_file_is_sound(small_case, tmp_path):
    path, config = tmp_path / "run.h5", small_case(**{"run.checkpoint_steps": 40})
    mdlite.run(config, tmp_path / "whole.h5")

    def broken(step, view):
        return {}["nothing"] if step >= 100 else None

    with pytest.raises(RunError, match=r"observer broken: failed at t = 0\.2 ps \(step 100\): KeyError: 'nothing'") as found:
        mdlite.run(config, path, observers=[mdlite.Observer(50, broken)])
    assert isinstance(found.value.__cause__, KeyError)
    kept = mdlite.Run.load(path)
    assert kept.facts["status"].startswith("stopped: observer broken: failed") and kept.step.tolist() == [*range(100)]
    mdlite.run(config, path, resume=True)
    assert datasets(path) == datasets(tmp_path / "whole.h5")


class Failing(Path):
    """Fails at a step, before it has changed anything."""

    def __init__(self, at=None, error=None):
        super().__init__(50)
        self.at, self.error = at, error

    def observe(self, step, view):
        if step == self.at:
            raise self.error
        return super().observe(step, view)


@pytest.mark.parametrize("at", [0, 100, 200])
@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=lambda e: type(e).__name__
)
def test_a_run_goes_on_once_its_observer_is_mended(small_case, tmp_path, error, at):
    config, path = small_case(method="rigid"), tmp_path / "run.h5"
    mdlite.run(config, tmp_path / "whole.h5")
    with pytest.raises(RunError if isinstance(error, ValueError) else type(error)):
        mdlite.run(config, path, observers=[Path(50), Failing(at, error), Path(20)])
    status = mdlite.Run.load(path).facts["status"]
    assert status.startswith("interrupted at" if isinstance(error, KeyboardInterrupt) else "stopped: ")
    mended = [Path(50), Failing(), Path(20)]
    run = mdlite.run(config, path, resume=True, observers=mended)
    assert run.facts["status"] == "complete" and run.facts["resumed"][0]["step"] == at
    assert [one.steps_seen for one in mended] == [[*range(0, 201, every)] for every in (50, 50, 20)]
    assert datasets(path) == datasets(tmp_path / "whole.h5")


def test_an_observer_that_fails_and_can_not_be_kept(small_case, tmp_path):
    """The run goes on, and the user is told that the observer begins anew."""

    class Worse(Failing):
        def state(self):
            return {}["state"] if self.steps_seen else super().state()

    path, lines = tmp_path / "run.h5", []
    with pytest.raises(RunError, match=r"observer Worse: failed at .*: ValueError: no"):
        mdlite.run(small_case(method="rigid"), path, observers=[Worse(100, ValueError("no"))])
    mended = [Failing()]
    mended[0].__class__ = type("Worse", (Failing,), {})
    mdlite.run(small_case(method="rigid"), path, resume=True, observers=mended, notice=lines.append)
    assert mended[0].steps_seen == [100, 150, 200]
    assert any("observer Worse: what it remembers was not kept" in line and "KeyError: 'state'" in line for line in lines)


def test_no_run_is_left_running(small_case, tmp_path):
    for error in (SystemExit(1), ValueError("no\nlonger"), GeneratorExit()):

        def fail(progress, error=error):
            raise error

        with pytest.raises(type(error)):
            mdlite.run(small_case(method="rigid"), tmp_path / "run.h5", progress=fail, force=True)
        status = mdlite.Run.load(tmp_path / "run.h5").facts["status"]
        assert status.startswith(f"stopped: {type(error).__name__}") and "\n" not in status


class Loose:
    """An observer that is no subclass, and whose state can not be taken over."""

    every = 10

    def observe(self, step, view):
        return None

    def state(self):
        return {"x": 1}

    def restore(self, state):
        raise ValueError("no")


class Half(mdlite.Observer):
    def observe(self, step, view):
        return None

    def state(self):
        return {}


class Nothing(mdlite.Observer):
    pass


class Without:
    every = 10

    def observe(self, step, view):
        return None


def every(value):
    return mdlite.Observer(value, lambda step, view: None)


@pytest.mark.parametrize(
    ("observers", "told"),
    [
        (Path(), r"observers = <.*Path object.*: must be a list of observers"),
        ([print], r"observers\[0\] = <built-in function print>: is no observer; mdlite\.Observer\(every=100, observe=function\)"),
        ([Path(), Path], r"observers\[1\] = Path: is a class; give an object of it, Path\(\.\.\.\)"),
        ([Nothing(5)], r"observers\[0\] \(Nothing\): has no method observe\(step, view\)"),
        ([mdlite.Observer(5)], r"observers\[0\] \(observe\): has no method observe\(step, view\)"),
        ([Without()], r"observers\[0\] \(Without\): has no method state\(\)"),
        ([Half(5)], r"observers\[0\] \(Half\): has a state method of its own and no restore"),
        *(([every(n)], rf"every = {n!r}: must be a whole number of steps, 1 or more") for n in (0, -3, 2.5, True, None, "often")),
    ],
)
def test_mistakes_are_told_before_anything_runs(small_case, tmp_path, observers, told):
    with pytest.raises(InputError, match=told):
        mdlite.run(small_case(), tmp_path / "run.h5", observers=observers)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [True, 1, np.zeros(3), "", " \n\t"])
def test_an_answer_that_is_no_reason(small_case, answer):
    with pytest.raises(RunError, match=r"observer <lambda>: returned .* a text pauses the run, None lets it go on"):
        mdlite.run(small_case(method="rigid"), observers=[mdlite.Observer(50, lambda step, view: answer)])


class Odd(mdlite.Observer):
    """Its state is what a function of the steps seen gives."""

    def __init__(self, every, make):
        super().__init__(every)
        self.make, self.steps_seen, self.asked = make, [], 0

    def observe(self, step, view):
        self.steps_seen.append(step)

    def state(self):
        self.asked += 1
        return self.make(self.steps_seen)

    def restore(self, state):
        self.steps_seen = list(state["seen"])


def endless(seen):
    table = {}
    table["itself"] = table
    return table


UNKEPT = {
    "set": (lambda seen: {"x": {1, 2}}, r"state\(\)\['x'\]: is of type set; arrays of numbers, numbers, text"),
    "cycle": (endless, r"state\(\): is nested too deeply, or holds itself"),
    "masked": (lambda seen: {"x": np.ma.masked_less(np.arange(3), 1)}, r"state\(\)\['x'\]: is a masked array; give its data and"),
    "digits": (lambda seen: {"x": 10**5000}, r"state\(\)\['x'\]: is an integer of thousands of digits"),
    "failing": (lambda seen: {}["no"], "KeyError: 'no'"),
    "no table": (lambda seen: [1], r"state\(\): is of type list; a table"),
}


@pytest.mark.parametrize("kind", UNKEPT)
def test_what_can_not_be_kept_is_refused_at_the_beginning(small_case, tmp_path, kind):
    make, told = UNKEPT[kind]
    with pytest.raises(InputError, match=rf"observer Odd: .*{told}"):
        mdlite.run(small_case(method="rigid"), tmp_path / "run.h5", observers=[Odd(50, make)])
    assert not list(tmp_path.iterdir())
    observer = Odd(50, make)
    assert mdlite.run(small_case(method="rigid"), observers=[observer]).facts["status"] == "complete"
    assert observer.asked == 0 and len(observer.steps_seen) == 5


def test_without_a_file_no_state_is_asked_for(small_case):
    observer = Odd(50, UNKEPT["set"][0])
    pausing = mdlite.Observer(100, lambda step, view: "so far" if step else None)
    assert mdlite.run(small_case(), observers=[observer, pausing]).facts["status"].startswith("paused")
    assert observer.asked == 0


@pytest.mark.parametrize("kind", ["set", "cycle", "failing"])
def test_a_finished_run_is_not_lost_for_a_state(small_case, tmp_path, kind):
    """What can not be kept at the end only: the file is complete, and keeps what the others remember."""
    config, path, lines = small_case(), tmp_path / "run.h5", []
    mdlite.run(config, tmp_path / "whole.h5")
    make, told = UNKEPT[kind]
    observers = [Odd(50, lambda seen: make(seen) if seen else {}), Path(30)]
    with pytest.warns(RuntimeWarning, match=rf"observer Odd: .*{told}"):
        run = mdlite.run(config, path, observers=observers)
    assert run.facts["status"] == "complete" and datasets(path) == datasets(tmp_path / "whole.h5")
    on = [Odd(50, lambda seen: {"seen": seen}), Path(30)]
    mdlite.run(small_case(**{"run.duration": 0.6}), path, resume=True, observers=on, notice=lines.append)
    assert any("observer Odd: what it remembers was not kept" in line for line in lines)
    assert on[0].steps_seen == [250, 300] and on[1].steps_seen == [*range(0, 301, 30)]


def test_a_state_that_fails_on_the_way_stops_the_run_which_can_go_on(small_case, tmp_path):
    config, path = small_case(**{"run.checkpoint_steps": 40}), tmp_path / "run.h5"
    mdlite.run(config, tmp_path / "whole.h5")
    with pytest.raises(RunError, match=r"observer Odd: .*is of type set"):
        mdlite.run(config, path, observers=[Odd(50, lambda seen: {"seen": seen if len(seen) < 3 else set()})])
    assert mdlite.Run.load(path).facts["status"].startswith("stopped: observer Odd")
    mended = Odd(50, lambda seen: {"seen": seen})
    mdlite.run(config, path, resume=True, observers=[mended])
    assert mended.steps_seen == [*range(0, 201, 50)] and datasets(path) == datasets(tmp_path / "whole.h5")


def test_a_run_goes_on_with_its_own_observers_or_none(small_case, tmp_path):
    path, lines = tmp_path / "run.h5", []
    mdlite.run(small_case(), path, observers=[Path(30, pause=(60,))])
    with pytest.raises(InputError, match=r"observers = \[Loose\]: the run was begun with \[Path\]; give the same, or none"):
        mdlite.run(small_case(), path, resume=True, observers=[Loose()])
    run = mdlite.run(small_case(), path, resume=True, notice=lines.append)
    assert run.facts["status"] == "complete"
    assert any("begun with observers (Path): it goes on without them" in line for line in lines)


def test_a_state_that_is_not_taken_over(small_case, tmp_path):
    class Stubborn(Path):
        def restore(self, state):
            raise ValueError("no")

    path = tmp_path / "run.h5"
    mdlite.run(small_case(), path, observers=[Stubborn(30, pause=(60,))])
    with pytest.raises(InputError, match=r"observer Stubborn: cannot take over its state of the checkpoint: ValueError: no"):
        mdlite.run(small_case(), path, resume=True, observers=[Stubborn(30)])
    assert mdlite.run(small_case(), path, resume=True).facts["status"] == "complete"


def test_a_state_does_not_bring_an_interval(small_case, tmp_path):
    class Changing(Path):
        def restore(self, state):
            super().restore(state)
            self.every = 20

    path = tmp_path / "run.h5"
    mdlite.run(small_case(method="rigid"), path, observers=[Changing(50, pause=(100,))])
    with pytest.raises(InputError, match=r"observer Changing: every was 50 when the run began, and is 20 after restore\(state\)"):
        mdlite.run(small_case(method="rigid"), path, resume=True, observers=[Changing(50)])


def test_somebodys_own_table_that_fails_is_named():
    class Table(dict):
        def items(self):
            raise OSError("gone")

    with pytest.raises(TypeError, match=r"observer x: state\(\): OSError: gone"):
        memories.packed([{"name": "x", "seen": 3, "state": {"x": Table(a=1)}}])


def test_what_is_remembered_comes_back():
    state = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": [np.array([True, False]), {"c": 1e300, "d": None}],
        "e": "ö",
        "f": np.int32(3),
        "g": (),
    }
    (found,) = memories.unpacked(memories.packed([{"name": "x", "seen": 3, "state": state}]))
    assert found["name"] == "x" and found["seen"] == 3
    assert np.array_equal(found["state"]["a"], state["a"]) and found["state"]["b"][0].dtype == bool
    assert found["state"]["b"][1] == {"c": 1e300, "d": None} and found["state"]["e"] == "ö"
    assert found["state"]["f"] == 3 and found["state"]["g"] == []
    for wrong in ({"x": np.array([None])}, {"x": {1: 2}}, {"x": object()}):
        with pytest.raises(TypeError, match=r"observer x: state\(\)\['x'\]: is "):
            memories.packed([{"name": "x", "seen": 3, "state": wrong}])


def test_any_names_in_a_state_come_back():
    """Also those that memories use themselves."""
    key = memories.ARRAY
    state = {
        key: "0",
        "a": np.arange(3),
        "b": {key: {key: [{key: 1}]}},
        "c": {key + "'": 1, key: 2, key + "''": 3},
        "d": {key + "'": 4},
    }
    (found,) = memories.unpacked(memories.packed([{"name": "x", "seen": 3, "state": state}]))
    assert np.array_equal(found["state"].pop("a"), state.pop("a")) and found["state"] == state


def test_what_a_complete_run_kept_comes_back(small_case, tmp_path):
    for name, wanted in (("a.h5", {}), ("b.h5", {"lattice.boundary": "echo-free"})):  # the second can not be extended
        config, again = small_case(**wanted), Path(30)
        mdlite.run(config, tmp_path / name, observers=[Path(30)])
        before = (tmp_path / name).read_bytes()
        run = mdlite.run(config, tmp_path / name, resume=True, observers=[again])
        assert run.facts["status"] == "complete" and again.steps_seen == [*range(0, 200, 30)] and len(again.places) == 7
        with pytest.raises(InputError, match=r"observers = \[Loose\]: the run was begun with \[Path\]"):
            mdlite.run(config, tmp_path / name, resume=True, observers=[Loose()])
        lines = []
        mdlite.run(config, tmp_path / name, resume=True, notice=lines.append)
        assert len(lines) == 1 and "is complete" in lines[0] and (tmp_path / name).read_bytes() == before


def test_a_complete_run_that_kept_nothing_says_so(small_case, tmp_path):
    config, again, lines = small_case(**{"run.keep_state": False}), Path(30), []
    mdlite.run(config, tmp_path / "run.h5", observers=[Path(30)])
    mdlite.run(config, tmp_path / "run.h5", resume=True, observers=[again], notice=lines.append)
    assert again.steps_seen == [] and any("keeps nothing of what its observers remember" in line for line in lines)


@pytest.mark.parametrize("field", ["position", "velocity", "force", "lattice"])
def test_a_view_that_is_kept_tells_nothing_of_another_step(small_case, field):
    kept, read = [], []

    def look(step, view):
        kept.append(view)
        if step == 100:
            read.append(view.position)
            read.append(view.lattice)

    run = mdlite.run(small_case(), observers=[mdlite.Observer(100, look)])
    assert [view.step for view in kept] == [0, 100, 200]
    with pytest.raises(RuntimeError, match=r"view of step 0: .*arrays may be kept") as found:
        getattr(kept[0], field)
    assert not isinstance(found.value, RunError)
    assert np.array_equal(kept[1].position, run.position[100]) and np.array_equal(kept[1].velocity, run.velocity[100])
    assert kept[1].lattice is read[1] and kept[1].lattice.position.shape == (3, 8, 9, 10)


def test_a_pause_at_the_last_step_is_told(small_case, tmp_path):
    lines = []
    run = mdlite.run(small_case(), tmp_path / "run.h5", observers=[Path(50, pause=(200,))], notice=lines.append)
    assert run.facts["status"] == "complete" and run.facts["asked_at_the_end"] == "Path: the ion is there"
    assert any("Path: the ion is there" in line and "complete" in line for line in lines)
    assert "asked_at_the_end" not in mdlite.run(small_case(), observers=[Path(50)]).facts


def test_reasons_and_errors_are_one_clean_line(small_case, tmp_path):
    run = mdlite.run(small_case(), observers=[Path(50, pause=(100,), name="it is\n  there\x1b[31m\x00\ud800")])
    assert run.facts["status"] == r"paused at t = 0.2 ps: Path: it is there\x1b[31m\x00\ud800"
    long = mdlite.run(small_case(), tmp_path / "long.h5", observers=[Path(50, pause=(100,), name="because " * 100000)])
    assert long.facts["status"].startswith("paused at t = 0.2 ps: Path: because because") and len(long.facts["status"]) < 1000

    class Silent(Exception):
        def __str__(self):
            raise ValueError("no text")

    for error, told in (
        (ValueError("a\n\tb\x07"), r"ValueError: a b\x07"),
        (Silent(), "Silent"),
        (AssertionError(), "AssertionError"),
    ):
        with pytest.raises(RunError) as found:
            mdlite.run(small_case(method="rigid"), tmp_path / "run.h5", observers=[Failing(100, error)], force=True)
        assert str(found.value) == f"observer Failing: failed at t = 0.2 ps (step 100): {told}"
        assert mdlite.Run.load(tmp_path / "run.h5").facts["status"] == f"stopped: {found.value}"


def test_the_interval_is_read_once(small_case, tmp_path):
    class Changing(Path):
        def observe(self, step, view):
            super().observe(step, view)
            self.every = 20 if step == 100 else self.every

    path = tmp_path / "run.h5"
    with pytest.raises(RunError, match=r"observer Changing: every was 50 when the run began, and is 20 at t = 0\.2 ps"):
        mdlite.run(small_case(), path, observers=[Changing(50)])
    mended = Path(50)
    mended.__class__ = type("Changing", (Path,), {})
    mdlite.run(small_case(), path, resume=True, observers=[mended])
    assert mended.steps_seen == [*range(0, 201, 50)]


def test_steps_of_a_time(small_case):
    config = small_case()
    for time in (np.float32(0.1), np.array(0.1), Fraction(1, 10)):
        assert mdlite.Observer.steps(config, time) == 50 and type(mdlite.Observer.steps(config, time)) is int
    assert mdlite.Observer.steps(config, np.int64(2)) == 1000
    for one in (config.to_dict(), "throw", pathlib.Path("throw")):
        assert mdlite.Observer.steps(one, 0.1) == round(0.1 / mdlite.config.config_of(one).run.dt)
    with pytest.raises(InputError, match=r"config = 3"):
        mdlite.Observer.steps(3, 0.1)
    for wrong in (np.array([0.1]), np.array(True), np.bool_(True), np.float64("nan"), None, 1j, 10**400, np.array("1")):
        with pytest.raises(InputError, match=r"time = .*: must be a positive number of picoseconds"):
            mdlite.Observer.steps(config, wrong)
    assert mdlite.Observer.steps(config, 0.1) == 50 and mdlite.Observer.steps(config, 1e-9) == 1
    for wrong in (0.0, -1.0, float("nan"), float("inf"), "1 ps", True):
        with pytest.raises(InputError, match=r"time = .*: must be a positive number of picoseconds"):
            mdlite.Observer.steps(config, wrong)


def test_both_recorders_are_recorders(small_case, tmp_path):
    made = []
    create = FileRecorder.create.__func__

    def noted(cls, *arguments):
        made.append(create(cls, *arguments))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileRecorder, "create", classmethod(noted))
        mdlite.run(small_case(method="rigid"), tmp_path / "run.h5")
    assert isinstance(made[0], Recorder) and isinstance(MemoryRecorder(0.1), Recorder)
    for name, method in inspect.getmembers(Recorder, inspect.isfunction):
        if not name.startswith("_"):
            wanted = list(inspect.signature(method).parameters.values())
            for kind in (FileRecorder, MemoryRecorder):
                own = list(inspect.signature(getattr(kind, name)).parameters.values())
                assert [(p.name, p.default) for p in own] == [(p.name, p.default) for p in wanted], (kind, name)
    assert made[0].data().keys() == mdlite.run(small_case(method="rigid")).data.keys()
