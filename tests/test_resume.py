"""A run that was stopped and goes on is the run that was never stopped, to the last bit."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

import mdlite
from mdlite.config import parse
from mdlite.errors import InputError, Interrupted, RunError
from mdlite.io import recorder
from mdlite.io.checkpoint import Checkpoints, exclusive

CAGE = {
    "ion": {"mass": 0.7, "position": [10.7, 10.4, 10.5], "velocity": [5.0, -3.0, 4.0]},
    "interaction": {
        "potential": {"kind": "yukawa", "strength": 1500.0, "range": 0.5},
        "atoms": {"kind": "cutoff", "radius": 6.0, "switch_width": 2.0},
    },
    "lattice": {"size": [8, 9, 10]},
    "run": {"dt": 0.004, "duration": 0.8, "sample_every": 3},
}
SHELL = {"interaction": {"potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5}, "atoms": {"kind": "shell"}}}
THERMAL = {"energy": 25.0, "seed": 3}
METHODS = {
    "reference": {},
    "reference-atoms-snapshots": {"run.record_atoms": True, "snapshots": {"every": 4, "compress": True, "extent": 2}},
    "reference-thermal": {"thermal": THERMAL},
    "replicas": {"thermal": THERMAL | {"lattices": 3}},
    "echo-free": {"lattice.boundary": "echo-free"},
    "absorbing": {"lattice.boundary": "absorbing", "lattice.absorber_width": 6, "lattice.size": 24},
    "time-local": {"method": "time-local"},
    "implicit": {"method": "implicit", "run.record_atoms": True},
    "static": {"method": "static"},
    "rigid": {"method": "rigid"},
    "ensemble": {"method": "time-local", "thermal": THERMAL | {"ions": 5}, **SHELL},
    "ensembles": {"method": "time-local", "thermal": THERMAL | {"ions": 3, "lattices": 2}, **SHELL},
    "ensemble-implicit": {"method": "implicit", "thermal": THERMAL | {"ions": 3}, **SHELL},
    "ensemble-modes": {"method": "time-local", "thermal": THERMAL | {"ions": 3, "motion": "modes"}, **SHELL},
    "patch": {"method": "patch", "patch.size": 8, "run.record_atoms": True, **SHELL},
    "patches": {"method": "patch", "patch.size": 8, "thermal": THERMAL | {"ions": 3, "lattices": 2}, **SHELL},
    "patches-one-lattice": {"method": "patch", "patch.size": 8, "thermal": THERMAL | {"ions": 5}, **SHELL},
    "memory": {"method": "memory-kernel", "memory.window": 0.6, **SHELL},
    "memory-dressed": {"method": "memory-kernel", "memory": {"start": "dressed"}, **SHELL},
    "memory-thermal": {"method": "memory-kernel", "memory.window": 0.6, "thermal": THERMAL, **SHELL},
}


def config(name="reference", **more):
    return parse(CAGE).replace(**(METHODS[name] | more))


def datasets(path):
    """Every dataset of a file, byte for byte, by name."""
    found = {}
    with h5py.File(path) as f:
        f.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def assert_same(path, other):
    one, two = datasets(path), datasets(other)
    assert one.keys() == two.keys()
    different = [name for name in one if one[name].tobytes() != two[name].tobytes() or one[name].shape != two[name].shape]
    assert not different, different


class StopAt:
    """A progress callback that asks the run to stop, as Ctrl-C does, once it has come to a step."""

    def __init__(self, step):
        self.step = step

    def __call__(self, progress):
        if progress.done >= self.step:
            os.kill(os.getpid(), signal.SIGINT)
            self.step = float("inf")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Files of uninterrupted runs, made once."""
    folder = tmp_path_factory.mktemp("whole")

    def make(name, **more):
        path = folder / f"{name}{json.dumps(more, sort_keys=True)}.h5".replace("/", "-")
        if not path.exists():
            mdlite.run(config(name, **more), path)
        return path

    return make


@pytest.mark.thorough(only=("patch", "memory-dressed"))
@pytest.mark.parametrize("name", METHODS)
def test_every_method_goes_on_exactly_after_an_interruption(tmp_path, whole, name):
    path = tmp_path / "run.h5"
    with pytest.raises(Interrupted):
        mdlite.run(config(name), path, progress=StopAt(50))
    stopped = mdlite.Run.load(path)
    assert stopped.facts["status"].startswith("interrupted") and 0 < stopped.step[-1] < 200
    with pytest.raises(Interrupted):
        mdlite.run(config(name), path, resume=True, progress=StopAt(120))
    run = mdlite.run(config(name), path, resume=True)
    assert run.facts["status"] == "complete" and len(run.facts["resumed"]) == 2
    assert_same(path, whole(name))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5"]


@pytest.mark.parametrize("name", [n for n in METHODS if n not in ("echo-free", "memory-dressed")])
def test_every_finished_run_can_be_made_longer(tmp_path, whole, name):
    path = tmp_path / "run.h5"
    mdlite.run(config(name, **{"run.duration": 0.68}), path)  # 170 steps: not a multiple of the sampling
    assert mdlite.run(config(name), path, resume=True).time[-1] == 0.8
    assert_same(path, whole(name))


def test_a_much_longer_run_has_the_budgets_that_it_would_have_had(tmp_path, whole):
    path = tmp_path / "run.h5"
    mdlite.run(config(), path)
    mdlite.run(config(**{"run.duration": 8.0}), path, resume=True)
    assert_same(path, whole("reference", **{"run.duration": 8.0}))
    assert len(mdlite.Run.load(path).energy_step) == 126


@pytest.mark.thorough
def test_a_memory_that_grows_with_the_run_agrees_to_rounding(tmp_path, whole):
    path = tmp_path / "run.h5"
    mdlite.run(config("memory-dressed", **{"run.duration": 0.4}), path)
    longer = mdlite.run(config("memory-dressed"), path, resume=True)
    assert np.allclose(longer.position, mdlite.Run.load(whole("memory-dressed")).position, rtol=0.0, atol=1e-12)


def test_an_echo_free_box_is_not_made_longer(tmp_path):
    mdlite.run(config("echo-free", **{"run.duration": 0.4}), tmp_path / "run.h5")
    with pytest.raises(
        InputError, match=r"run\.duration = 0\.8: the run was begun with 0\.4, for which its echo-free box was made"
    ):
        mdlite.run(config("echo-free"), tmp_path / "run.h5", resume=True)


def test_a_run_without_its_last_state_is_not_made_longer(tmp_path):
    mdlite.run(config(**{"run.keep_state": False}), tmp_path / "run.h5")
    with pytest.raises(InputError, match=r"run\.duration = 8: .* has not kept its last state \(run\.keep_state\)"):
        mdlite.run(config(**{"run.duration": 8.0}), tmp_path / "run.h5", resume=True)


def test_checkpoints_by_steps_and_the_last_two_kept(tmp_path, whole):
    path = tmp_path / "run.h5"
    often = {"run.checkpoint_steps": 30}
    with pytest.raises(Interrupted):
        mdlite.run(config(**often), path, progress=StopAt(140))
    kept = Checkpoints(path)
    numbers = [json.loads(np.load(kept.folder / f"{n}.npz")["facts"].tobytes()) for n in (0, 1)]
    steps = {facts["number"]: facts["step"] for facts in numbers}
    assert max(steps) - min(steps) == 1 and steps[min(steps)] % 30 == 0
    # the last one spoilt: the one before serves
    newest = kept.folder / f"{max(steps) % 2}.npz"
    newest.write_bytes(newest.read_bytes()[:-1000])
    run = mdlite.run(config(**often), path, resume=True)
    assert run.facts["resumed"][-1]["step"] == steps[min(steps)]
    assert_same(path, whole("reference"))


@pytest.mark.parametrize("seed", range(8))
def test_a_power_failure_after_a_checkpoint_loses_nothing_before_it(tmp_path, whole, seed, monkeypatch):
    """Of all writes to the output since the last checkpoint, some have reached the disk and some have not."""
    from mdlite.io import journal

    path, writes, rng = tmp_path / "run.h5", [], random.Random(seed)
    monkeypatch.setattr(recorder, "WRITE_SECONDS", -1.0)
    put, mark = journal.JournaledFile._put, journal.JournaledFile.mark

    def noted(self, offset, data):
        old = os.pread(self._fd, len(data), offset)
        writes.append((offset, old))
        put(self, offset, data)

    def marked(self, *arguments):
        writes.clear()
        return mark(self, *arguments)

    monkeypatch.setattr(journal.JournaledFile, "_put", noted)
    monkeypatch.setattr(journal.JournaledFile, "mark", marked)

    def fail(progress):
        if progress.done >= 190:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mdlite.run(config(**{"run.checkpoint_steps": 70, "run.energy_every": 5}), path, progress=fail)
    assert len(writes) > 15
    with path.open("r+b") as file:
        for offset, old in reversed(writes):  # a page that was written twice may come back as either
            if rng.random() < 0.5:
                file.seek(offset)
                file.write(old)
    monkeypatch.undo()
    run = mdlite.run(config(**{"run.checkpoint_steps": 70, "run.energy_every": 5}), path, resume=True)
    assert run.facts["resumed"][0]["step"] == 140
    assert_same(path, whole("reference", **{"run.energy_every": 5}))


@pytest.mark.thorough
def test_every_prefix_of_a_commit_is_a_file_that_opens(tmp_path, monkeypatch):
    """A process killed between any two writes to the disk leaves a file with every frame that was committed before."""
    from mdlite.io import h5md, journal

    path, copy = tmp_path / "run.h5", tmp_path / "copy.h5"
    committed, seen = [0], []
    monkeypatch.setattr(recorder, "WRITE_SECONDS", -1.0)
    monkeypatch.setattr(h5md, "CHUNK_BYTES", 96)  # so that the trees of chunks grow and split
    put, commit = journal.JournaledFile._put, journal.JournaledFile.commit

    def look(self, offset, data):
        put(self, offset, data)
        if path.exists():
            copy.write_bytes(path.read_bytes())
            with h5py.File(copy) as f:
                rows = [len(f[f"particles/ion/{name}/value"][:]) for name in ("position", "velocity")]
                steps = f["particles/ion/position/step"][: committed[0]]
                assert np.array_equal(steps, np.arange(committed[0]))
                assert np.isfinite(f["particles/ion/position/value"][: committed[0]]).all()
                assert min(rows) >= committed[0]
            seen.append(offset)

    def counted(self, durable=False):
        commit(self, durable)
        if path.exists():
            with h5py.File(path) as f:
                committed[0] = len(f["particles/ion/position/step"])

    monkeypatch.setattr(journal.JournaledFile, "_put", look)
    monkeypatch.setattr(journal.JournaledFile, "commit", counted)
    often = {"run.sample_every": 1, "run.duration": 1.6, "run.keep_state": False, "run.checkpoint_steps": 40}
    mdlite.run(config("rigid", **often), path)
    assert len(seen) > 250 and committed[0] == 401


def test_a_full_disk_stops_the_run_and_leaves_a_valid_file(tmp_path, whole, monkeypatch):
    from mdlite.io import h5md, journal

    path = tmp_path / "run.h5"
    monkeypatch.setattr(recorder, "WRITE_SECONDS", -1.0)
    monkeypatch.setattr(h5md, "CHUNK_BYTES", 96)
    mdlite.run(config(**{"run.keep_state": False}), path)
    room = path.stat().st_size - 3_000
    path.unlink()
    put = journal.JournaledFile._put

    def full(self, offset, data):
        size = os.fstat(self._fd).st_size
        if offset + len(data) > max(size, room) and path.exists():
            raise OSError(28, "No space left on device")
        put(self, offset, data)

    with monkeypatch.context() as patch:
        patch.setattr(journal.JournaledFile, "_put", full)
        with pytest.raises(
            RunError, match=r"cannot be written any more: No space left on device; the file keeps what was there before"
        ):
            mdlite.run(config(**{"run.checkpoint_steps": 20, "run.keep_state": False}), path)
    kept = mdlite.Run.load(path)
    assert 1 < len(kept.time) < 68 and np.isfinite(kept.position).all()
    with h5py.File(path) as f:
        assert f["mdlite"].attrs["run"]
    mdlite.run(config(**{"run.checkpoint_steps": 20}), path, resume=True)
    assert_same(path, whole("reference"))


def test_what_was_changed_is_named(tmp_path):
    path = tmp_path / "run.h5"
    with pytest.raises(Interrupted):
        mdlite.run(config(), path, progress=StopAt(50))
    before = path.read_bytes()
    changed = config(**{"lattice.k1": 500.0, "run.dt": 0.002, "thermal": THERMAL, "ion.mass": 0.8})
    with pytest.raises(InputError) as error:
        mdlite.run(changed, path, resume=True)
    lines = str(error.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        *("ion.mass", "lattice.k1", "run.dt", "thermal.energy", "thermal.ions", "thermal.lattices"),
        *("thermal.motion", "thermal.seed", "thermal.statistics"),
    ]
    assert "lattice.k1 = 500.0: the run was begun with 520.0" in str(error.value)
    with pytest.raises(
        InputError, match=r"run\.duration = 0\.4: the run was begun with 0\.8; --resume can make it longer, not shorter"
    ):
        mdlite.run(config(**{"run.duration": 0.4}), path, resume=True)
    assert path.read_bytes() == before
    mdlite.run(config(**{"run.energy_tolerance": 0.5, "run.checkpoint_every": "1h"}), path, resume=True)


def test_resume_without_anything_begins_and_with_everything_does_nothing(tmp_path):
    path, lines = tmp_path / "run.h5", []
    mdlite.run(config("rigid"), path, resume=True, notice=lines.append)
    assert "there is no checkpoint: the run begins at the beginning" in lines
    before = path.read_bytes()
    again = mdlite.run(config("rigid"), path, resume=True, notice=lines.append)
    assert lines[-1].endswith("is complete; a longer run.duration would extend it")
    assert again.facts["status"] == "complete" and path.read_bytes() == before


def test_what_does_not_belong_together_is_refused(tmp_path):
    path, other = tmp_path / "run.h5", tmp_path / "other.h5"
    for place in (path, other):
        with pytest.raises(Interrupted):
            mdlite.run(config("rigid"), place, progress=StopAt(50))
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    with pytest.raises(InputError, match=r"is not the file that .* belongs to"):
        mdlite.run(config("rigid"), path, resume=True)
    path.unlink()
    for resume, told in ((True, "is gone, and .* cannot go on without it"), (False, "has checkpoints of an earlier run")):
        with pytest.raises(InputError, match=told):
            mdlite.run(config("rigid"), path, resume=resume)
    path.write_text("something else")
    with pytest.raises(InputError, match="is not an mdlite run"):
        mdlite.run(config("rigid"), path, resume=True)
    path.write_bytes(mine)
    mdlite.run(config("rigid"), path, resume=True)


def test_a_changed_byte_in_the_output_is_found(tmp_path):
    path = tmp_path / "run.h5"
    with pytest.raises(Interrupted):
        mdlite.run(config(), path, progress=StopAt(50))
    with h5py.File(path, "r+") as f:
        f["particles/ion/position/value"][3] += 1e-9
    with pytest.raises(InputError, match="damaged"):
        mdlite.run(config(), path, resume=True)
    mdlite.run(config(), path, force=True)
    with h5py.File(path, "r+") as f:
        f["particles/ion/velocity/value"][3] += 1e-9
    run = mdlite.Run.load(path)
    assert len(run.position) == 68
    with pytest.raises(InputError, match="damaged"):
        _ = run.velocity


@pytest.mark.parametrize("lost", ["removed", "damaged"])
def test_what_was_recorded_is_not_replaced_without_checkpoints(tmp_path, whole, lost):
    path = tmp_path / "run.h5"
    with pytest.raises(Interrupted):
        mdlite.run(config(), path, progress=StopAt(120))
    folder = Checkpoints(path).folder
    for place in folder.iterdir():
        place.unlink() if lost == "removed" else place.write_bytes(place.read_bytes()[:100])
    before, recorded = path.read_bytes(), mdlite.Run.load(path).time[-1]
    told = rf"holds {recorded:g} ps of an unfinished run \(interrupted at .*are {'not there' if lost == 'removed' else 'damaged'}; .* --force"
    with pytest.raises(InputError, match=told):
        mdlite.run(config(), path, resume=True)
    (tmp_path / "run.toml").write_text(config().to_toml())
    line = [sys.executable, "-m", "mdlite", "run", "run.toml", "-o", "run.h5", "-q"]
    done = subprocess.run([*line, "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "give --force in place of --resume" in done.stderr and done.stderr.count("\n") == 1
    assert path.read_bytes() == before
    mdlite.run(config(), path, force=True)
    assert_same(path, whole("reference"))


def test_a_run_killed_before_its_first_checkpoint(tmp_path, whole, monkeypatch):
    """It begins again if it was started with resume, as a job script does that always gives it; else it is recorded data like any other."""
    monkeypatch.setattr(recorder, "WRITE_SECONDS", 0.0)
    for resume in (True, False):
        path, copy = tmp_path / f"{resume}.h5", tmp_path / f"copy-{resume}.h5"

        def keep(progress, path=path, copy=copy):
            if progress.done >= 100 and not copy.exists():
                shutil.copy(path, copy)
                if Checkpoints(path).folder.exists():
                    shutil.copytree(Checkpoints(path).folder, Checkpoints(copy).folder)

        mdlite.run(config(), path, resume=resume, progress=keep)
        assert not Checkpoints(path).folder.exists()
        assert len(mdlite.Run.load(copy).time) > 1
        if resume:
            mdlite.run(config(), copy, resume=True)
            assert_same(copy, whole("reference"))
        else:
            with pytest.raises(InputError, match=r"holds .* ps of an unfinished run \(running\)"):
                mdlite.run(config(), copy, resume=True)


def test_a_finished_run_needs_no_checkpoints_to_be_made_longer(tmp_path, whole):
    mdlite.run(config(**{"run.duration": 0.4}), tmp_path / "a.h5")
    shutil.copy(tmp_path / "a.h5", tmp_path / "b.h5")
    mdlite.run(config(), tmp_path / "b.h5", resume=True)
    assert_same(tmp_path / "b.h5", whole("reference"))


def test_a_point_of_a_sweep_without_checkpoints(tmp_path):
    sweep = {"base": "trapped", "set": {"method": "time-local", "run.duration": 1.0}, "grid": {"ion.velocity.z": [2.0]}}
    mdlite.sweep(sweep, tmp_path / "s", prepare=True)
    place = tmp_path / "s" / "points" / "00000"
    with pytest.raises(Interrupted):
        mdlite.run(mdlite.load(place / "point.toml"), place / "run.h5", progress=StopAt(100))
    shutil.rmtree(Checkpoints(place / "run.h5").folder)
    before = (place / "run.h5").read_bytes()
    assert "of an unfinished run" in mdlite.sweep(sweep, tmp_path / "s", workers=1).failed["00000"]
    assert (place / "run.h5").read_bytes() == before


def test_walltime_stops_cleanly(tmp_path, whole):
    path = tmp_path / "run.h5"
    slow = {"lattice.size": 40, "run.duration": 400.0, "run.sample_every": 100, "run.energy_every": 1000}
    run = mdlite.run(config(**slow), path, max_walltime=3.0)
    assert run.facts["status"].startswith("paused at t = ") and 0 < run.facts["steps"] < 100_000
    assert Checkpoints(path).exist()


def test_one_output_has_one_writer(tmp_path):
    path = tmp_path / "run.h5"
    with exclusive(path):
        for options in ({}, {"force": True}, {"resume": True}):
            with pytest.raises(InputError, match=rf"is being written by process {os.getpid()} on "):
                mdlite.run(config("rigid"), path, **options)
        assert not path.exists()
    mdlite.run(config("rigid"), path)


def command(path, name, **more):
    """`mdlite run` in a process of its own, at the mercy of signals."""
    file = path.with_suffix(".toml")
    file.write_text(config(name, **more).to_toml())
    return [sys.executable, "-m", "mdlite", "run", str(file), "-o", str(path), "--resume", "-q"]


CRASHES = {
    "reference-thermal": {"lattice.size": 20, "run.duration": 40.0, "run.checkpoint_steps": 500, "run.energy_every": 100},
    "ensembles": {"run.duration": 200.0, "run.checkpoint_steps": 1000},
    "memory": {"run.duration": 60.0, "run.checkpoint_steps": 500, "memory.window": 2.0},
}


def crash(line, path, environment, rng):
    """Start a command and kill it at a random moment between its first frame and its last; again if it was over before that."""
    commits = rng.uniform(0.0, 14.0)
    while True:
        running = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL)
        seen, last = 0, None
        while running.poll() is None and seen < commits:
            now = path.stat().st_mtime_ns if path.exists() else None
            seen, last = seen + (now != last), now
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.05))
        running.kill()
        if running.wait() == -signal.SIGKILL:
            return
        path.unlink()
        commits *= 0.5


@pytest.mark.thorough
@pytest.mark.parametrize("name", CRASHES)
def test_killed_at_any_moment_it_goes_on_exactly(tmp_path, whole, name):
    """kill -9 at twenty random moments: the file opens, holds what the whole run holds, and the run goes on to the same end."""
    reference = whole(name, **CRASHES[name])
    truth = mdlite.Run.load(reference).position
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}  # two at a time

    def crash_and_resume(n):
        path = tmp_path / f"{n}.h5"
        line = command(path, name, **CRASHES[name])
        crash(line, path, environment, random.Random(n))
        if path.exists():
            kept = mdlite.Run.load(path).position
            assert np.array_equal(kept, truth[: len(kept)])
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert_same(path, reference)
        resumed = len(mdlite.Run.load(path).facts.get("resumed", []))
        path.unlink()
        return resumed

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(crash_and_resume, range(20))) > 0  # the others had not come to a checkpoint


VARIANTS = {
    "one thread": {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "workqueue": {"NUMBA_THREADING_LAYER": "workqueue"},
    "workqueue, one thread": {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "1"},
    "omp, two threads": {"NUMBA_THREADING_LAYER": "omp", "NUMBA_NUM_THREADS": "2"},
    "with progress": {},
}
BITS = ("reference-thermal", "replicas", "ensemble", "ensembles", "memory-thermal", "echo-free", "implicit", "patch", "patches")


@pytest.mark.thorough
@pytest.mark.parametrize("variant", VARIANTS)
def test_threads_layers_and_progress_do_not_change_a_bit(tmp_path, whole, variant):
    for name in BITS:
        path = tmp_path / f"{name}.h5"
        line = [argument for argument in command(path, name) if argument != "-q" or variant != "with progress"]
        done = subprocess.run(line, env=os.environ | VARIANTS[variant], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert_same(path, whole(name))


@pytest.mark.thorough
def test_a_cold_compile_cache_does_not_change_a_bit(tmp_path, whole):
    for name in ("reference-thermal", "ensembles", "memory"):
        path = tmp_path / f"{name}.h5"
        subprocess.run(command(path, name), env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / name)}, check=True)
        assert_same(path, whole(name))


def test_sampling_does_not_change_a_bit(whole):
    for name in BITS:
        often = mdlite.run(config(name, **{"run.sample_every": 1, "run.energy_every": 7}))
        assert np.array_equal(often.position[::3], mdlite.Run.load(whole(name)).position[:-1]), name


def test_pieces_are_independent_of_where_they_are_cut(tmp_path, whole):
    """The same stops at other steps: checkpoints at every step there is."""
    path = tmp_path / "run.h5"
    for stop in itertools.count(20, 40):
        try:
            mdlite.run(config("ensemble"), path, resume=True, progress=StopAt(stop))
            break
        except Interrupted:
            continue
    assert_same(path, whole("ensemble"))
