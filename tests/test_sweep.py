"""Sweeps: which points, and that killing whatever runs them neither loses, nor repeats, nor changes one."""

import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray

import mdlite
from mdlite import config
from mdlite.errors import Interrupted
from mdlite.sweeps import plan as axes
from mdlite.sweeps import point, pool, pool_dask, results, running

SWEEP = """
base = "trapped"
[set]
method = "time-local"
"run.duration" = 3.0
"run.checkpoint_steps" = 100
[grid]
"interaction.potential.strength" = [100.0, 125.0, 150.0, 175.0, 200.0]
"ion.velocity.z" = { start = 2.0, stop = 6.0, count = 5 }
[[list]]
method = "implicit"
[[list]]
"run.dt" = 0.0025
[random]
count = 4
"ion.mass.z" = { low = 0.3, high = 1.2, scale = "log" }
"""
SMALL = {
    "base": "trapped",
    "set": {"method": "time-local", "run.duration": 1.0},
    "grid": {"ion.velocity.z": [2.0, 4.0], "run.dt": [0.005, 0.01]},
}


def command(*arguments):
    return [sys.executable, "-m", "mdlite", *map(str, arguments)]


def changed(sweep, **blocks):
    return {**sweep, **blocks}


def finished(folder):
    return len(list(folder.glob("points/*/result.json")))


def wait_for(condition, process, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def content(folder):
    """All numbers of a sweep: its results but for the time they took, and every array of every run, as bytes."""
    found = {}
    for place in sorted((folder / "points").iterdir()):
        result = json.loads((place / "result.json").read_text())
        del result["seconds"]
        run = mdlite.Run.load(place / "run.h5")
        found[place.name] = result, {name: run.data[name].tobytes() for name in run.data}
    return found


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The 200 points, one after the other in this process."""
    folder = tmp_path_factory.mktemp("serial")
    for p in axes.load(tomllib.loads(SWEEP)).points:
        place = folder / "points" / p.name
        place.mkdir(parents=True)
        run = mdlite.run(p.config, place / "run.h5")
        point.write_json(place / "result.json", mdlite.measures.measure(run))
    return content(folder)


@pytest.mark.thorough
def test_a_sweep_killed_three_times(tmp_path, serial):
    (tmp_path / "s.toml").write_text(SWEEP)
    folder = tmp_path / "out"
    line = command("sweep", tmp_path / "s.toml", "-o", folder, "-q")
    reached = []
    for number, blow in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)):
        process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
        wait_for(lambda goal=10 + 45 * number: finished(folder) >= goal, process)
        process.send_signal(blow)
        message = process.communicate()[1]
        if blow == signal.SIGTERM:
            assert process.returncode == 143 and "the same command goes on" in message
        reached.append(finished(folder))
    assert 10 <= reached[0] < reached[1] < reached[2] < 200
    ages = {path: path.stat().st_mtime_ns for path in folder.glob("points/*/result.json")}
    time.sleep(1.0)  # workers of the last one killed have ended
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert finished(folder) == 200
    assert sum(path.stat().st_mtime_ns == age for path, age in ages.items()) == len(ages), "a point was done twice"
    assert content(folder) == serial
    assert not list(folder.glob("points/*/error.json")) and not list(folder.glob("points/*/*.lock"))


@pytest.mark.thorough
def test_a_dask_worker_killed(tmp_path, serial):
    (tmp_path / "s.toml").write_text(SWEEP)
    folder, started = tmp_path / "out", []

    def start(*arguments):
        log = (tmp_path / f"log-{len(started)}").open("w")
        started.append(subprocess.Popen([sys.executable, "-m", *arguments], stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    try:
        where = tmp_path / "scheduler.json"
        local = ("--host", "127.0.0.1")
        start("distributed.cli.dask_scheduler", *local, "--port", "0", "--no-dashboard", "--scheduler-file", str(where))
        wait_for(where.exists, started[0])
        time.sleep(0.2)
        address = json.loads(where.read_text())["address"]
        for _ in range(2):
            start(
                "distributed.cli.dask_worker",
                address,
                *local,
                "--nworkers",
                "1",
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
            )
        sweep = subprocess.Popen(
            command("sweep", tmp_path / "s.toml", "-o", folder, "-q", "--scheduler", address), stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: finished(folder) >= 40, sweep)
        started[1].kill()
        assert sweep.poll() is None and finished(folder) < 200
        message = sweep.communicate(timeout=240)[1]
        assert sweep.returncode == 0, message
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert content(folder) == serial
    assert not list(folder.glob("points/*/error.json"))


def test_points_of_every_kind_of_axis():
    plan = axes.load(tomllib.loads(SWEEP))
    assert [a.name for a in plan.axes] == ["interaction.potential.strength", "ion.velocity.z", "list", "random"]
    assert len(plan.points) == 200 and len({p.name for p in plan.points}) == 200
    last = plan.points[-1].config
    assert last.interaction.potential.strength == 200.0 and last.ion.velocity == (0.0, 0.0, 6.0) and last.run.dt == 0.0025
    masses = sorted({p.config.ion.mass[2] for p in plan.points})
    fraction = np.log(np.array(masses) / 0.3) / np.log(4.0)
    assert list((4 * fraction).astype(int)) == [0, 1, 2, 3], "Sobol: one in every quarter"
    assert [p.values for p in axes.load(tomllib.loads(SWEEP)).points] == [p.values for p in plan.points]
    other = axes.load(tomllib.loads("seed = 2\n" + SWEEP))
    assert other.points[-1].values["ion.mass.z"] != plan.points[-1].values["ion.mass.z"]
    zipped = axes.load({"base": "trapped", "zip": {"lattice": {"k1": [500.0, 520.0], "k2": [160.0, 170.0]}}})
    assert [(p.config.lattice.k1, p.config.lattice.k2) for p in zipped.points] == [(500.0, 160.0), (520.0, 170.0)]
    tables = axes.load(
        {"base": "trapped", "grid": {"interaction.potential": [{"kind": "gaussian", "strength": 90.0, "range": 0.4}]}}
    )
    assert tables.points[0].config.interaction.potential.kind == "gaussian"
    whole = axes.load({"base": "trapped", "grid": {"lattice.size": {"start": 10, "stop": 20, "count": 3, "integer": True}}})
    assert [p.config.lattice.size[0] for p in whole.points] == [10, 15, 20]


def test_replicas_have_seeds_of_their_own():
    sweep = {"base": "diffusion", "replicas": 3, "grid": {"thermal.energy": [10.0, 20.0]}}
    seeds = [p.config.thermal.seed for p in axes.load(sweep).points]
    assert len(set(seeds)) == 6
    assert seeds == [p.config.thermal.seed for p in axes.load(sweep).points]
    assert seeds != [p.config.thermal.seed for p in axes.load(changed(sweep, seed=5)).points]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"grid": {"ion.masss": [1.0]}}, "ion.masss = 1.0: unknown key; did you mean mass? (at every point)"),
        (
            {"grid": {"run.dt": [0.005, -1.0, 0.0]}},
            "run.dt = -1.0: must be greater than 0 (time step, ps) (at 1 of 3 points, first at 00001",
        ),
        ({"grid": {"run.dt": [0.005, -1.0, 0.0]}}, "run.dt = 0.0: must be greater than 0"),
        ({"grid": {"run.dt": 0.005}}, "grid run.dt = 0.005: must be a list of values, or { start, stop, count }"),
        ({"grid": {"run.dt": [0.005, 0.005]}}, "grid run.dt: lists 0.005 twice"),
        ({"grid": {"lattice.spacing": [3, 3.0]}}, "points 00000 and 00001 are the same run (lattice.spacing = 3 and 3.0)"),
        ({"grid": {"lattice.size": [26, [26, 26, 26]]}}, "the same run (lattice.size = 26 and [26, 26, 26])"),
        ({"grid": {"ion.velocity.z": [0.0, -0.0]}}, "the same run (ion.velocity.z = 0.0 and -0.0)"),
        ({"grid": {"run.checkpoint_every": ["60s", "1min"]}}, "the same run (run.checkpoint_every = '60s' and '1min')"),
        ({"grid": {}, "zip": {"run.dt": [0.005, 5e-3], "lattice.k1": [520, 520.0]}}, "the same run (lattice.k1 = 520 and 520.0)"),
        ({"grid": {}, "list": [{"run.dt": 0.005}, {"run": {"dt": 0.005}}]}, "points 00000 and 00001 are the same run; list"),
        ({"grid": {}, "list": [{"run.dt": 0.005}, {}]}, "the same run (run.dt = 0.005 and as in the base)"),
        (
            {"base": "diffusion", "set": {}, "replicas": 2, "grid": {"thermal.energy": [10, 10.0]}},
            "points 00000 and 00002 are the same run (thermal.energy = 10 and 10.0)",
        ),
        ({"grid": {"run.dt": {"start": 0.0, "stop": 1.0, "count": 3, "scale": "log"}}}, "needs positive numbers"),
        ({"grid": {"run.dt": {"start": 0.1, "stop": 1.0}}}, "grid run.dt.count: is missing"),
        (
            {"zip": {"run.dt": [0.005], "lattice.k1": [1.0, 2.0]}},
            "zip: its lists must have equal lengths, not 1 (run.dt), 2 (lattice.k1)",
        ),
        ({"zip": {"ion.velocity.z": [1.0, 2.0]}}, "ion.velocity.z: stands on more than one axis"),
        (
            {"grid": {"ion.velocity": [[0.0, 0.0, 1.0]], "ion.velocity.z": [1.0]}},
            "ion.velocity and ion.velocity.z: both are varied",
        ),
        ({"grid": {"run": {"dt": [0.005]}, "run.dt": [0.01]}}, "run.dt: is given twice"),
        ({"base": " "}, "base = ' ': must be a built-in case"),
        ({"random": {"count": 0, "ion.mass.z": {"low": 1.0, "high": 2.0}}}, "random.count = 0: must be how many"),
        ({"random": {"count": 3}}, "random: names no key"),
        ({"random": {"count": 3, "ion.mass.z": {"low": 2.0, "high": 1.0}}}, "low must be below high"),
        ({"replicas": 2}, "replicas = 2: without a [thermal] table all replicas would be the same run"),
        ({"base": "nothing"}, "config = 'nothing': no such file"),
        ({"task": "dance"}, "task = 'dance': must be 'run', 'validate' or 'compare'"),
        ({"axes": {}}, "axes = {}: unknown key"),
        ({"grid": {"run.dt": {"start": 0.001, "stop": 0.1, "count": 100_000}}}, "sweep: has 200000 points, 100000 at most"),
    ],
)
def test_what_is_refused(tmp_path, change, message):
    sweep = changed(SMALL, **change)
    if "run.dt" in change.get("zip", {}):
        sweep["grid"] = {}
    if "count" in str(change) and "100000" in str(change):
        sweep["grid"] = {"ion.velocity.z": [1.0, 2.0]} | change["grid"]
    with pytest.raises(mdlite.InputError) as told:
        mdlite.sweep(sweep, tmp_path / "out")
    assert message in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.thorough
def test_folders_and_schedulers_that_are_refused(tmp_path):
    mdlite.sweep(SMALL, tmp_path / "a", prepare=True)
    before = {path: path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    for output, message in (
        ("a", "holds another sweep"),
        ("file", "is a file"),
        ("full", "is not empty, and not the folder of a sweep"),
    ):
        with pytest.raises(mdlite.InputError, match=message):
            mdlite.sweep(changed(SMALL, grid={"ion.velocity.z": [3.0]}), tmp_path / output)
    assert before == {path: path.read_bytes() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    with pytest.raises(mdlite.InputError, match="prepare: is for task"):
        mdlite.sweep(changed(SMALL, task="compare"), tmp_path / "new", prepare=True)
    for address, message in (("tcp://127.0.0.1:9", "no Dask scheduler answers there"), ("here", "must be an address")):
        with pytest.raises(mdlite.InputError, match=message):
            mdlite.sweep(SMALL, tmp_path / "new", scheduler=address)
    assert not (tmp_path / "new").exists()
    with pytest.raises(mdlite.InputError, match="workers = 0"):
        mdlite.sweep(SMALL, tmp_path / "new", workers=0)


def test_failures_are_recorded_and_the_rest_goes_on(tmp_path):
    sweep = changed(SMALL, grid={"ion.velocity.z": [2.0, 50.0, 4.0]})  # the second meets an atom too closely for the step
    told = []
    found = mdlite.sweep(sweep, tmp_path / "out", progress=lambda state: told.append((len(state.done), len(state.failed))))
    assert list(found.failed) == ["00001"] and "run.dt" in found.failed["00001"]
    name = next(iter(found.failed))
    error = json.loads((tmp_path / "out" / "points" / name / "error.json").read_text())
    assert error["tries"] == 2 and error["error"] == found.failed[name]
    assert told[-1] == (2, 1)
    assert found.collect().status.values.tolist() == ["done", "failed", "done"]


def test_a_job_array_needs_no_sweep(tmp_path):
    """`mdlite run` of the points, as a job array does it, then `collect`."""
    mdlite.sweep(SMALL, tmp_path / "a", prepare=True)
    folder = tmp_path / "a" / "points" / "00002"
    mdlite.run(config.load(folder / "point.toml"), folder / "run.h5", resume=True)
    found = results.collect(tmp_path / "a")
    assert found.status.values.tolist() == [["missing", "missing"], ["done", "missing"]]
    assert np.isfinite(found.final_kinetic_energy.sel({"ion.velocity.z": 4.0, "run.dt": 0.005}))


def test_results_in_one_file(tmp_path):
    mdlite.sweep(SMALL, tmp_path / "a", workers=1)
    paths = results.save(tmp_path / "a")
    found = xarray.open_dataset(paths[0])
    assert found.sizes == {"ion.velocity.z": 2, "run.dt": 2}
    assert found["run.dt"].attrs["units"] == "ps" and found.largest_speed.attrs["units"] == "Angstrom/ps"
    run = mdlite.Run.load(tmp_path / "a" / "points" / "00003" / "run.h5")
    assert found.largest_speed[1, 1] == np.abs(run.velocity).max()
    energy = run.ion_kinetic[:, 0] + run.interaction[:, 0]
    assert found.energy_loss[1, 1] == energy[0] - energy[-1]
    lines = paths[1].read_text().splitlines()
    assert lines[0].startswith("# units: ion.velocity.z: Angstrom/ps, run.dt: ps") and len(lines) == 6
    assert lines[1].startswith("point,ion.velocity.z,run.dt,status,final_kinetic_energy")


@pytest.mark.thorough
def test_replicas_are_averaged_by_their_scatter(tmp_path):
    """Mean, standard error and Student's interval over the replicas of a point; what runs say of their own errors plays no part."""
    from scipy import stats

    sweep = {
        "base": "diffusion",
        "replicas": 3,
        "set": {"lattice.size": 6, "thermal.lattices": 1, "thermal.ions": 4, "run.duration": 6.0},
        "grid": {"thermal.energy": [20.0, 40.0]},
    }
    mdlite.sweep(sweep, tmp_path / "a", workers=1)
    every, means = mdlite.collect(tmp_path / "a"), mdlite.collect(tmp_path / "a", average=True)
    assert every.sizes == {"thermal.energy": 2, "replica": 3} and dict(means.sizes) == {"thermal.energy": 2}
    sample = every.temperature.sel({"thermal.energy": 40.0}).values
    one, error = means.sel({"thermal.energy": 40.0}), sample.std(ddof=1) / np.sqrt(3)
    assert float(one.temperature) == pytest.approx(sample.mean()) and float(one.temperature_error) == pytest.approx(error)
    assert float(one.temperature_high) == pytest.approx(sample.mean() + stats.t.ppf(0.975, 2) * error)
    assert int(one.temperature_replicas) == 3 and means.temperature_error.attrs["units"] == "meV"
    paths = results.save(tmp_path / "a")
    assert [path.name for path in paths] == ["results.nc", "results.csv", "averages.nc", "averages.csv"]
    lines = paths[3].read_text().splitlines()
    assert "temperature_low: meV" in lines[0] and len(lines) == 4 and lines[1].startswith("thermal.energy,")
    assert xarray.open_dataset(paths[2]).temperature.equals(means.temperature)
    assert "warning: 3 replicas" in results.summary(tmp_path / "a")
    with pytest.raises(mdlite.InputError, match="replicas = 1: there is nothing to average"):
        results.averaged(every.isel(replica=0))


@pytest.mark.thorough
def test_validations_as_points(tmp_path):
    sweep = {
        "base": "trapped",
        "task": "validate",
        "set": {"lattice.size": 12, "run.duration": 1.0, "validate.rungs": ["time-local"]},
        "grid": {"ion.velocity.z": [5.0, 7.5]},
    }
    found = mdlite.sweep(sweep, tmp_path / "a").collect()
    told = json.loads((tmp_path / "a" / "points" / "00001" / "validation" / "summary.json").read_text())
    name = "rungs.time-local.difference.rms_position_A.whole"
    assert float(found[name][1]) == told["rungs"]["time-local"]["difference"]["rms_position_A"]["whole"]


@pytest.mark.thorough
def test_a_worker_that_dies_takes_only_its_point(tmp_path):
    """The second try of the point that it had at hand succeeds."""
    sweep = changed(SMALL, set={**SMALL["set"], "run.duration": 1000.0})
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import mdlite\nif __name__ == '__main__': print(mdlite.sweep({sweep!r}, {str(tmp_path / 'a')!r}, workers=2))",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(list((tmp_path / "a").glob("points/*/run.h5"))) >= 2, process)
    children = [int(n) for n in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    workers = [n for n in children if b"spawn_main" in Path(f"/proc/{n}/cmdline").read_bytes()]
    os.kill(workers[-1], signal.SIGKILL)
    out = process.communicate(timeout=200)[0]
    assert "4 of 4 points done, 0 failed" in out
    assert running.read_manifest(tmp_path / "a")["points"][3]["values"] == {"ion.velocity.z": 4.0, "run.dt": 0.01}


@pytest.mark.thorough
def test_the_job_array_script(tmp_path):
    """As Slurm calls it: one task number each, the points in strides."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mdlite").write_text(f'#!/bin/sh\nexec {sys.executable} -m mdlite "$@"\n')
    (tmp_path / "bin" / "mdlite").chmod(0o755)
    mdlite.sweep(SMALL, tmp_path / "a", prepare=True)
    script = Path(__file__).parent.parent / "scripts" / "slurm_array.sh"
    for task in ("0", "1"):
        environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": task, "STRIDE": "2"}
        subprocess.run(["bash", script, tmp_path / "a"], env=os.environ | environment, check=True)
    mdlite.sweep(SMALL, tmp_path / "b")
    one, other = results.collect(tmp_path / "a"), results.collect(tmp_path / "b")
    assert one.drop_vars("seconds").identical(other.drop_vars("seconds"))


def die():
    time.sleep(0.3)
    os._exit(9)


def wait_and_say(seconds):
    time.sleep(seconds)
    return seconds


@pytest.mark.thorough
def test_what_happens_to_the_other_workers():
    """One that dies again and again costs nobody else anything, one that is terminated hands its signal over, an idle one ends in order."""
    crew = pool.Local(2, 1)
    for _ in range(2):
        steady, deadly = crew.submit(wait_and_say, 1.0), crew.submit(die)
        assert deadly.exception() is not None and steady.result() == 1.0
    long = crew.submit(wait_and_say, 60.0)
    wait_and_say(0.5)
    crew.close(stop=True)
    assert isinstance(long.exception(), Interrupted) and long.exception().signal == signal.SIGTERM


@pytest.mark.thorough
def test_a_folder_that_was_not_finished_or_is_damaged_is_mended(tmp_path):
    mdlite.sweep(SMALL, tmp_path / "a", prepare=True)
    (tmp_path / "a" / "manifest.json").unlink()  # as if killed before the last of it
    mdlite.sweep(SMALL, tmp_path / "a", workers=1)
    place = tmp_path / "a" / "points" / "00001"
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    (tmp_path / "a" / "points" / "00002" / "result.json").write_text("[]")
    found = mdlite.sweep(SMALL, tmp_path / "a", workers=1)
    assert not found.failed and (found.collect().status == "done").all()
    (tmp_path / "a" / "manifest.json").write_text('{"format": 1}')
    for use in (lambda: mdlite.sweep(SMALL, tmp_path / "a"), lambda: mdlite.collect(tmp_path / "a")):
        with pytest.raises(mdlite.InputError, match="is not the folder of a sweep"):
            use()


def test_whole_numbers_drawn_at_random():
    counts = {"count": 128, "lattice.size": {"low": 10, "high": 13, "integer": True}}
    drawn = [p.config.lattice.size[0] for p in axes.load({"base": "trapped", "random": counts}).points]
    assert {n: drawn.count(n) for n in set(drawn)} == dict.fromkeys(range(10, 14), 32), "Sobol: equal shares"


def test_a_sweep_is_the_same_however_its_numbers_are_written(tmp_path):
    base = mdlite.load_case("trapped", method="time-local", **{"run.duration": 1.0}).to_toml()
    for zero, spacing in (("-0.0", "3"), ("0.0", "3.0"), ("-0.0", "3.0")):
        (tmp_path / "base.toml").write_text(
            base.replace("[0.0, 0.0, ", f"[{zero}, 0.0, ").replace("spacing = 3.0", f"spacing = {spacing}")
        )
        assert f"[{zero}" in (tmp_path / "base.toml").read_text()
        (tmp_path / "s.toml").write_text('base = "base.toml"\ngrid = { "ion.velocity.z" = [2.0, 3.0] }')
        mdlite.sweep(tmp_path / "s.toml", tmp_path / "out", prepare=True)
    assert "-0.0" not in (tmp_path / "out" / "points" / "00000" / "point.toml").read_text()


def test_many_faults_are_cut_short():
    for values in ({"start": -1.0, "stop": -2.0, "count": 400}, list(range(-400, 0))):
        sweep = changed(SMALL, grid={"lattice.k1": values})
        with pytest.raises(mdlite.InputError) as told:
            axes.load(sweep)
        lines = str(told.value).splitlines()
        assert len(lines) == 21 and lines[-1] == "... and 380 more"


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize(
    "text, told",
    [
        ('{"final_kinetic_energy": "fast"}', 'final_kinetic_energy = "fast": must be a number, or null'),
        ('{"final_kinetic_energy": [1.0]}', "must be a number, or null"),
        ('{"final_kinetic_energy": true}', "must be a number, or null"),
        ('{"final_kinetic_energy": 1' + "0" * 400 + "}", "must be a number, or null"),
        ('{"final_kinetic_energy": 1' + "0" * 5000 + "}", "is not a table of numbers"),
        ('{"status": 3.0}', "is not the name of a number"),
        ("{}", "is empty"),
        ("", "is not a table of numbers"),
        ("[1.0]", "is not a table of numbers"),
        ("[" * 100_000, "is not a table of numbers"),
        ("\xff", "is not a table of numbers"),
    ],
    ids=lambda value: value[:30],
)
def test_a_damaged_result_is_named_and_made_again(tmp_path, prepared, text, told):
    shutil.copytree(prepared, tmp_path / "a")
    place = tmp_path / "a" / "points" / "00002" / "result.json"
    before = place.read_text()
    place.write_bytes(text.encode("latin-1"))
    for use in (results.collect, results.table, results.save):
        with pytest.raises(mdlite.InputError) as error:
            use(tmp_path / "a")
        assert str(place) in str(error.value) and told in str(error.value) and len(str(error.value).splitlines()) == 1
    mdlite.sweep(SMALL, tmp_path / "a", workers=1)
    assert json.loads(place.read_text()) == json.loads(before)


def test_a_result_with_gaps_is_taken(tmp_path, prepared):
    shutil.copytree(prepared, tmp_path / "a")
    place = tmp_path / "a" / "points" / "00002" / "result.json"
    place.write_text('{"largest_force": NaN, "largest_speed": 3, "period": null, "of_another_version": 1.5}')
    found = results.collect(tmp_path / "a")
    assert found.largest_speed[1, 0] == 3.0 and np.isnan(found.largest_force[1, 0])
    (tmp_path / "a" / "points" / "00002" / "result.json").unlink()
    (tmp_path / "a" / "points" / "00002" / "run.h5").unlink()
    (tmp_path / "a" / "points" / "00002" / "error.json").write_text('{"tries": "many", "error": [1]}')
    assert results.collect(tmp_path / "a").status.values.tolist() == [["done", "done"], ["failed", "done"]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A small sweep that is done."""
    folder = tmp_path_factory.mktemp("done") / "a"
    mdlite.sweep(SMALL, folder, workers=1)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(points="abc"),
        lambda told: told["points"][1].update(name="../../x"),
        lambda told: told["points"][1].update(index=[0, 7, 0]),
        lambda told: told["points"][1].update(index=[0]),
        lambda told: told["points"][1].pop("values"),
        lambda told: told["points"].pop(),
        lambda told: told["axes"][0].update(rows=3),
        lambda told: told.update(axes={}),
        lambda told: told.update(replicas="2"),
        lambda told: told.update(task="dance"),
        lambda told: told.update(title=None),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, prepared, change):
    shutil.copytree(prepared, tmp_path / "a")
    told = json.loads((tmp_path / "a" / "manifest.json").read_text())
    change(told)
    (tmp_path / "a" / "manifest.json").write_text(json.dumps(told))
    for use in (lambda: mdlite.sweep(SMALL, tmp_path / "a"), lambda: results.save(tmp_path / "a")):
        with pytest.raises(mdlite.InputError, match="is not the folder of a sweep"):
            use()


def test_too_few_open_files(tmp_path):
    """As after `ulimit -n 20`."""
    (tmp_path / "s.toml").write_text(SWEEP)
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)); from mdlite.cli.main import main; main()"
    line = [sys.executable, "-c", code, "sweep", "s.toml", "-q", "-o", "out"]
    done = subprocess.run([*line, "--workers", "2"], cwd=tmp_path, capture_output=True, text=True)
    told = "error: workers = 2: need 28 open files, this shell allows 20 (ulimit -n); allow more, or give fewer --workers\n"
    assert (done.returncode, done.stderr) == (2, told) and not (tmp_path / "out").exists()


def test_a_scheduler_that_is_none(tmp_path, monkeypatch):
    """Something listens there and does not answer, or the address asks for what is not installed."""
    monkeypatch.setattr(pool_dask, "SCHEDULER_SECONDS", 0.5)
    monkeypatch.setattr(pool_dask, "CLOSE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for address in (f"tcp://127.0.0.1:{silent.getsockname()[1]}", "tls://127.0.0.1:9", "ucx://127.0.0.1:9"):
            with pytest.raises(mdlite.InputError, match="no Dask scheduler answers there"):
                mdlite.sweep(SMALL, tmp_path / "new", scheduler=address)
    assert not (tmp_path / "new").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_a_dask_scheduler_killed(tmp_path, blow):
    (tmp_path / "s.toml").write_text(SWEEP)
    scheduler = (
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        "at.json",
    )
    worker = (
        "distributed.cli.dask_worker",
        "--scheduler-file",
        "at.json",
        "--host",
        "127.0.0.1",
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    )
    started = []
    try:
        for words in (scheduler, worker):
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", *words], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
            wait_for((tmp_path / "at.json").exists, started[0])
            time.sleep(0.2)
        address = json.loads((tmp_path / "at.json").read_text())["address"]
        line = command("sweep", "s.toml", "-o", "out", "-q", "--scheduler", address)
        sweep = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: finished(tmp_path / "out") >= 3, sweep)
        started[0].send_signal(blow)
        told = sweep.communicate(timeout=100)[1]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert sweep.returncode == 1 and told.count("\n") == 1, told
    assert told.startswith(f"error: scheduler = '{address}': the Dask scheduler is gone (") and "the same command goes on" in told
    assert 3 <= finished(tmp_path / "out") < 200 and not list((tmp_path / "out").glob("points/*/error.json"))


def test_dask_loses_its_scheduler_in_other_words():
    """Whatever exception says it, from whichever call."""
    from distributed.comm import CommClosedError

    crew = pool_dask.Dask.__new__(pool_dask.Dask)
    crew._address = "tcp://there:1"
    cancelled = concurrent.futures.Future()
    cancelled.cancel()
    closed, wrong = concurrent.futures.Future(), concurrent.futures.Future()
    closed.set_exception(CommClosedError("closed"))
    wrong.set_exception(ZeroDivisionError("division"))
    for future in (cancelled, closed):
        with pytest.raises(
            mdlite.RunError, match=r"scheduler = 'tcp://there:1': the Dask scheduler is gone \(C\w+\); what is done is kept"
        ):
            crew.failure(future)
    assert crew.failure(wrong) == "ZeroDivisionError: division"

    class Client:
        def nthreads(self, **_):
            raise TimeoutError

    crew._client, crew._counted = Client(), -float("inf")
    with pytest.raises(mdlite.RunError, match="is gone"):
        _ = crew.workers
