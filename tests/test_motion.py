"""`mdlite analyse`: what it finds in runs, and what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest

import mdlite
from mdlite import motion
from mdlite.errors import InputError

SMALL = {"lattice.size": 8, "thermal.lattices": 3, "thermal.ions": 8, "run.duration": 20.0}


def mdlite_command(*arguments):
    return subprocess.run([sys.executable, "-m", "mdlite", *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("analyse") / "ions.h5"
    mdlite.run(mdlite.load_case("diffusion", **SMALL), path)
    return path


def test_analyse(run_file, tmp_path):
    done = mdlite_command(
        "analyse", run_file, "--json", tmp_path / "a.json", "-o", tmp_path / "a.png", "--skip", "4", "--fit", "1,5"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["ions"] == 24 and found["lattices"] == 3 and found["skip_ps"] == 4.0 and found["fit_ps"] == [1.0, 5.0]
    assert f"{found['diffusion_A2_per_ps']:.4g} ±" in done.stdout and "ion temperature" in done.stdout
    assert (tmp_path / "a.png").stat().st_size > 10_000
    run = mdlite.Run.load(run_file)
    late = run.velocity[run.time >= 4.0]
    assert found["temperature_meV"] == pytest.approx(0.7 * (late**2).mean(), rel=1e-12)
    by_lattice = [0.7 * (late[:, 8 * n : 8 * n + 8] ** 2).mean() for n in range(3)]
    assert found["temperature_error_meV"] == pytest.approx(np.std(by_lattice, ddof=1) / np.sqrt(3), rel=1e-9)
    axes = [0.7 * (late[..., c] ** 2).mean() for c in range(3)]
    assert found["temperature_axes_meV"] == pytest.approx(axes, rel=1e-12)


def test_run_aways_are_left_out(run_file):
    run = mdlite.Run.load(run_file)
    whole = motion.describe(run, 4.0, (1.0, 5.0))
    velocity = run.velocity.copy()
    velocity[:, 5] = 1e6
    run = mdlite.Run(run.config, run.facts, {**run.data, "velocity": velocity})
    run.facts["run_aways"] = [{"ion": 5, "time_ps": 1.0, "position_A": [0, 0, 0], "velocity_A_per_ps": [1e6, 0, 0]}]
    with pytest.raises(InputError, match="1 of 24 ions"):  # as earlier versions wrote it, and one in 24 is many
        motion.describe(run, 4.0, (1.0, 5.0))
    run.facts["run_aways"][0] |= {"cause": "method", "reason": "it has run away", "step_ps": None}
    found = motion.describe(run, 4.0, (1.0, 5.0))
    assert found["ions"] == 23 and found["run_aways_per_ns"] == pytest.approx(1e3 / (24 * 20.0))
    assert found["temperature_meV"] == pytest.approx(whole["temperature_meV"], rel=0.2)
    assert max(found["curves"]["temperature_meV"]) < 200.0


def test_a_lone_ion_and_one_lattice(tmp_path):
    config = mdlite.load_case("diffusion", **SMALL, **{"run.sample_every": 20})
    lone = mdlite.run(config.replace(**{"thermal.lattices": 1, "thermal.ions": 1, "run.duration": 60.0}))
    found = motion.describe(lone, motion.default_skip(lone), motion.default_fit(lone, 6.0))
    assert (
        found["lattices"] == 1
        and found["diffusion_error_A2_per_ps"] > 0.0
        and "share one lattice" not in motion.text(lone, found)
    )
    shared = mdlite.run(config.replace(**{"thermal.lattices": 1, "thermal.ions": 20}))
    text = motion.text(shared, motion.describe(shared, 2.0, (1.0, 4.0)))
    assert "The ions share one lattice" in text


def test_what_can_not_be_analysed(run_file, tmp_path):
    for arguments, message in (
        (["--skip", "19.99"], "skip = 19.99 ps: must be 0 or more, and leave ten frames"),
        (["--skip", "-1"], "skip = -1 ps: must be 0 or more"),
        (
            ["--fit", "1,50"],
            "fit = 1 to 50 ps: must hold two frames (0.05 ps apart) and be shorter than the 18.05 ps that the run lasts",
        ),
        (["--fit", "3"], "--fit '3': must be two lags in ps"),
        (["--fit", "5,2"], "--fit '5,2': must be two lags in ps"),
    ):
        done = mdlite_command("analyse", run_file, "-o", tmp_path / "no.png", *arguments)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert not (tmp_path / "no.png").exists()
    short = mdlite.run(mdlite.load_case("diffusion", **SMALL | {"run.duration": 0.2}))
    with pytest.raises(InputError, match="has 5 frames, which is too few"):
        motion.describe(short, 0.0, (0.1, 0.2))
