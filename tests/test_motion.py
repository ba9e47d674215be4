"""`mdlite analyse`: what it finds in runs, and what it refuses."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import stats

import mdlite
from mdlite import analysis
from mdlite.errors import InputError
from mdlite.report import motion, plots_thermal
from mdlite.report.markdown import measured

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
    assert measured(found["temperature_meV"], found["temperature_error_meV"]) + " meV" in done.stdout
    value, error = found["diffusion_A2_per_ps"], found["diffusion_error_A2_per_ps"]
    assert f"D                   {measured(value, error)} Å²/ps" in done.stdout
    assert (
        found["diffusion_samples"] == found["temperature_samples"] == 3
        and "warning: 3 independent samples (lattices)" in done.stdout
    )
    half = stats.t.ppf(0.975, 2) * found["temperature_error_meV"]
    assert found["temperature_interval_meV"] == pytest.approx([found["temperature_meV"] - half, found["temperature_meV"] + half])
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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_a_cold_ion_that_never_hops(tmp_path):
    """Bound for 40 ps: no significant D, but the limit that no hop in 36 ion-ps sets, whatever the seed."""
    small = {"lattice.size": 6, "thermal.lattices": 1, "thermal.ions": 1, "thermal.energy": 2.0, "run.duration": 40.0}
    for seed in (150, 151, 152):
        run = mdlite.run(mdlite.load_case("diffusion", **small, **{"thermal.seed": seed}))
        found = motion.describe(run, 4.0, motion.default_fit(run, 4.0))
        assert found["hops"]["count"] == 0 and found["diffusion_limit_A2_per_ps"] == pytest.approx(2.996 * 1.5 / 36.0, rel=2e-3)
        low, _ = found["diffusion_interval_A2_per_ps"]
        assert not low > 0.0 and not found["diffusion_error_A2_per_ps"] < abs(found["diffusion_A2_per_ps"])
        text = motion.text(run, found)
        assert "D                   < 0.12 Å²/ps" in text and "no hop was seen in 36 ion-ps" in text and "nan" not in text
        assert "1 ion, 1 lattice" in text and "± –" not in text and "rate < 0.083 1/ps" in text


def test_a_run_too_short_for_diffusion():
    """5 ps hold ballistic lags only."""
    run = mdlite.run(mdlite.load_case("diffusion", **SMALL | {"run.duration": 5.0}))
    found = motion.describe(run, 0.5, motion.default_fit(run, 0.5))
    assert np.isnan(found["diffusion_A2_per_ps"]) and "too short for a diffusive regime" in motion.text(run, found)
    early = motion.describe(run, 0.5, (0.05, 0.4))  # asked for
    assert np.isfinite(early["diffusion_A2_per_ps"]) and "remembers its velocity" in motion.text(run, early)


def test_the_paper_s_fit_is_the_default_of_long_runs(run_file):
    """A long run is fitted by a line from 1 to 12 ps with equal weights, as published; a short one is not."""
    run = mdlite.Run.load(run_file)
    assert motion.default_fit(run, 2.0) is None
    rng, ions = np.random.default_rng(1), run.position.shape[1]
    time = 0.05 * np.arange(4001)
    path = np.cumsum(rng.normal(size=(4001, ions, 3)) * np.sqrt(0.1), axis=0)
    longer = run.config.replace(**{"run.duration": 200.0})
    data = {"time": time, "step": 10 * np.arange(4001), "position": path, "velocity": np.gradient(path, 0.05, axis=0)}
    long = mdlite.Run(longer, run.facts, {**data, "ion_kinetic": np.ones((4001, ions))})
    assert motion.default_fit(long, 20.0) == (1.0, 12.0)
    found = motion.describe(long, 20.0, (1.0, 12.0))
    late = time >= 20.0
    moments = np.trace(analysis.mean_square_displacement(path[late], 241), axis1=2, axis2=3).mean(axis=1)
    assert found["diffusion_A2_per_ps"] == pytest.approx(np.polyfit(time[20:241], moments[20:], 1)[0] / 6.0, rel=1e-9)


def test_the_last_frame_off_the_grid(tmp_path):
    """A run whose duration is no multiple of the time between frames: the last frame is in the run, not in its lags, and a line says so."""
    path = tmp_path / "odd.h5"
    config = mdlite.load_case("diffusion", **SMALL)
    told = []
    odd = mdlite.run(config.replace(**{"run.duration": 20.015}), path, notice=told.append)
    even = mdlite.run(config)
    assert odd.time[-1] == 20.015 and len(odd.time) == len(even.time) + 1 and np.array_equal(odd.position[:-1], even.position)
    assert any("frames at equal distances end at 20 ps" in line for line in told)
    a, b = motion.describe(odd, 2.0, (1.0, 5.0)), motion.describe(even, 2.0, (1.0, 5.0))
    for key in ("diffusion_A2_per_ps", "temperature_meV", "green_kubo_A2_per_ps"):
        assert a[key] == b[key]
    assert np.array_equal(a["curves"]["van_hove_per_A"], b["curves"]["van_hove_per_A"])
    assert "the last frame, at 20.015 ps, is off the grid" in motion.text(odd, a) and "off the grid" not in motion.text(even, b)
    with pytest.raises(InputError, match="leave out the last frame"):
        analysis.diffusion(odd.time, odd.position, (1.0, 5.0))


def test_at_rest(small_case, tmp_path):
    """T = 0: energies and decay, no temperature and no D."""
    path = tmp_path / "cold.h5"
    mdlite.run(small_case(method="time-local", **{"run.duration": 1.0}), path)
    done = mdlite_command("analyse", path, "--json", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    assert "no temperature and no diffusion" in done.stdout and "nan" not in done.stdout and "Warning" not in done.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["diffusion_A2_per_ps"] is None and found["at_rest"]["largest_speed"] > 7.0


@pytest.mark.parametrize("duration", [0.06, 0.3, 0.5, 2.0])
@pytest.mark.parametrize("method", ["static", "rigid"])
def test_short_runs_without_heat_are_analysed_without_warnings(tmp_path, method, duration):
    """Too short for the usual lags, with an ion that moves along a line, or does not move."""
    for velocity in ([0.0, 0.0, 0.0], [0.0, 0.0, 5.0]):
        changes = {"method": method, "lattice.size": 12, "run.duration": duration, "ion.velocity": velocity}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run = mdlite.run(mdlite.load_case("throw", **changes))
            found = motion.describe(run, motion.default_skip(run), None)
            plots_thermal.run_motion(run, found).savefig(tmp_path / "a.png")
            assert motion.text(run, found)
        assert (found["curves"]["mean_square_displacement_A2"] >= 0.0).all() and np.isfinite(
            found["curves"]["van_hove_edges_A"]
        ).all()
