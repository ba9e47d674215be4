"""The command line, as a user calls it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import mdlite

SMALL = ("--set", "lattice.size=12", "--set", "run.duration=1.0")


def call(*arguments, cwd, code=0, **environment):
    command = [sys.executable, "-m", "mdlite", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_run_info_and_plot(tmp_path):
    done = call("run", "trapped", "-o", "t.h5", *SMALL, cwd=tmp_path)
    assert "100 %" in done.stderr and "steps/s" in done.stderr and "drift" in done.stderr
    text = call("info", "t.h5", cwd=tmp_path).stdout
    assert "complete" in text and "size = [" in text and "201, t = 0 to 1 ps" in text
    call("plot", "t.h5", cwd=tmp_path)
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"
    call("plot", "t.h5", cwd=tmp_path)  # our own figure may be made again
    assert call("run", "trapped", "-o", "q.h5", "-q", *SMALL, cwd=tmp_path).stderr == ""
    assert np.array_equal(mdlite.Run.load(tmp_path / "t.h5").position, mdlite.Run.load(tmp_path / "q.h5").position)


@pytest.mark.thorough(quick=4)
@pytest.mark.parametrize(
    "arguments, message",
    [
        (("run", "nothing", "-o", "x.h5"), "error: config = 'nothing': no such file"),
        (("run", "trapped", "-o", "x.h5", "--set", "run.dt=-1"), "error: run.dt = -1: must be greater than 0"),
        (("run", "trapped", "-o", "there.txt"), "error: output = 'there.txt': exists"),
        (("run", "trapped", "-o", "no/x.h5"), "error: output = 'no/x.h5': the folder 'no' does not exist"),
        (("run", "trapped", "-o", "/proc/x.h5"), "error: output = '/proc/x.h5': cannot be written"),
        (("plot", "there.txt"), "error: file = 'there.txt': is not an mdlite run"),
        (("info", "there.txt"), "error: file = 'there.txt': is not an mdlite run"),
        (("info", "gone.h5"), "error: file = 'gone.h5': no such file"),
        (("validate", "trapped", "-o", "there.txt"), "error: output = 'there.txt': is a file"),
        (("validate", "trapped", "-o", "."), "error: output = '.': is not empty"),
        (("validate", "trapped", "-o", "v", "--set", "lattice.k2=0"), "error: lattice.k2 = 0"),
        (("validate", "reflection", "-o", "v", "--set", "interaction.atoms.sites=[[0,0,0],[1,1,1]]"), "exactly one site"),
        (("phonons", "trapped", "--displacement", "1,1"), "error: --displacement '1,1': must be three whole numbers"),
        (("phonons", "trapped", "--times", "0,x"), "error: --times '0,x'"),
        (("phonons", "trapped", "--path", "GQ"), "error: path = 'GQ'"),
        (("phonons", "trapped", "--set", "lattice.k2=0"), "error: lattice.k2 = 0: the recoil kernel needs"),
        (("phonons", "trapped", "-o", "there.txt"), "error: output = 'there.txt': exists"),
        (("cases", "nonsense"), "error: case = 'nonsense': is not built in"),
        (("cases", "trapped", "-o", "there.txt"), "error: output = 'there.txt': exists"),
        (("phonons", "trapped", "--displacement", "1,1,99999999999999999999"), "must be within 64 sites"),
        (("phonons", "trapped", "--times", "1e300"), "error: --times '1e300': must be within 20 ps"),
        (("phonons", "trapped", "--json", "there.txt"), "error: output = 'there.txt': exists"),
        (("bench-kernel", "--json", "there.txt"), "error: output = 'there.txt': exists"),
        (("bench-kernel", "--size", "2"), "error: size = 2: must be at least 3"),
        (("run", "trapped", "-o", "x" * 300), "the name is longer than 240 bytes"),
        (("run", "trapped" * 60, "-o", "x.h5"), "cannot be read as text"),
        (("run", "trapped", "-o", "x.h5", "--set", "run.sample_every=99999999999999999999"), "error: run.sample_every = 9999"),
        (("run", "trapped", "-o", "x.h5", "--set", "run.sample_every=" + "9" * 5000), "is not a TOML value"),
        (
            ("run", "trapped", "-o", "x.h5", "--set", "ion.position=[0,0,1e300]"),
            "error: ion.position = 1e+300: must be less than",
        ),
        (("validate", "trapped", "-o", "v", "--set", "lattice.size=20000"), "error: lattice.size = [20000, 20000, 20000]: needs"),
        (
            ("validate", "trapped", "-o", "v", "--set", "method=rigid", "--set", "run.dt=0.1"),
            "error: run.dt = 0.1: must be below",
        ),
        (("validate", "trapped", "-o", "v", "--set", 'validate.rungs=["static", "static"]'), "lists one of them twice"),
        (("validate", "reflection", "-o", "v", "--set", "interaction.potential.strength=0"), "without a force"),
        (
            ("validate", "barriers", "-o", "v", "--set", 'interaction.atoms={kind="sites", sites=[[0,0,0]]}'),
            "atoms must move with it",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_get_one_line_and_exit_code_2(tmp_path, arguments, message):
    (tmp_path / "there.txt").write_text("mine")
    done = call(*arguments, cwd=tmp_path, code=2)
    assert message in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert [p.name for p in tmp_path.iterdir()] == ["there.txt"] and (tmp_path / "there.txt").read_text() == "mine"


def test_a_run_that_must_stop_exits_with_1(tmp_path):
    done = call("run", "trapped", "-o", "x.h5", *SMALL, "--set", "run.energy_tolerance=1e-12", cwd=tmp_path, code=1)
    assert "error: the energy has drifted" in done.stderr
    assert "stopped" in call("info", "x.h5", cwd=tmp_path).stdout


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_with_a_checkpoint_and_says_so(tmp_path, number):
    command = [sys.executable, "-m", "mdlite", "run", "trapped", "-o", "x.h5", "--set", "lattice.size=60"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 120.0
    while not (tmp_path / "x.h5").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(1.0)
    running.send_signal(number)
    told = running.communicate()[1]
    assert "error: interrupted at t = " in told and "checkpoint written; x.h5 keeps what was recorded, --resume goes on" in told
    assert running.returncode == 128 + number
    kept = mdlite.Run.load(tmp_path / "x.h5")
    assert kept.facts["status"].startswith("interrupted") and len(kept.time) > 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.h5", "x.h5.checkpoints"]


def test_a_folder_named_like_a_case_does_not_hide_it(tmp_path):
    (tmp_path / "trapped").mkdir()
    call("run", "trapped", "-o", "t.h5", "-q", *SMALL, cwd=tmp_path)


@pytest.mark.thorough
def test_a_run_without_frames_can_not_be_plotted(tmp_path):
    call("run", "trapped", "-o", "x.h5", *SMALL, "--set", "ion.velocity=[0,0,1e9]", cwd=tmp_path, code=1)
    assert "holds fewer than two frames" in call("plot", "x.h5", cwd=tmp_path, code=2).stderr
    assert "stopped" in call("info", "x.h5", cwd=tmp_path).stdout


def test_usage_errors_exit_with_2(tmp_path):
    assert "Missing" in call("run", "trapped", cwd=tmp_path, code=2).stderr
    assert "No such command" in call("fly", cwd=tmp_path, code=2).stderr


@pytest.mark.thorough
def test_phonons_writes_what_scripts_read(tmp_path):
    wanted = ("--displacement", "1,1,0", "--displacement", "0,-1,3", "--times", "0,0.05,0.1")
    text = call("phonons", "trapped", *wanted, "--json", "p.json", cwd=tmp_path).stdout
    assert "Omega_max" in text and (tmp_path / "phonons.png").exists()
    found = json.loads((tmp_path / "p.json").read_text())
    assert np.shape(found["loss_matrix"]) == (3, 3)
    assert {k: np.shape(v) for k, v in found["recoil_kernel"].items()} == {"1,1,0": (3, 3, 3), "0,-1,3": (3, 3, 3)}
    for point in ("Γ", "X", "M", "R"):
        assert len(found["frequencies"][point]) == 3
    assert found["frequencies"]["X"][2] == pytest.approx(31.350553, abs=1e-6)
    assert found["units"]["recoil_kernel"] == "Angstrom^2/meV"
    finite = json.loads(
        call("phonons", "trapped", *wanted, "--finite", "--set", "lattice.size=[6,7,8]", "--json", "-", cwd=tmp_path).stdout
    )
    expected = mdlite.response.recoil_kernel(mdlite.Lattice(size=(6, 7, 8)), [[1, 1, 0]], [0.0, 0.05, 0.1], finite=True)[0]
    assert np.allclose(finite["recoil_kernel"]["1,1,0"], expected)


@pytest.mark.thorough
def test_cases_schema_and_version(tmp_path):
    assert {"trapped", "reflection", "barriers"} <= {line.split()[0] for line in call("cases", cwd=tmp_path).stdout.splitlines()}
    call("cases", "trapped", "-o", "own.toml", cwd=tmp_path)
    assert mdlite.load(tmp_path / "own.toml") == mdlite.load_case("trapped")
    schema = json.loads(call("schema", cwd=tmp_path).stdout)
    assert schema["properties"]["lattice"] and "YukawaPotential" in schema["$defs"]
    assert call("--version", cwd=tmp_path).stdout.strip() == mdlite.__version__


def test_bench_kernel_reports_a_rate(tmp_path):
    found = json.loads(call("bench-kernel", "--size", 10, "--steps", 5, "--json", "-", cwd=tmp_path).stdout)
    assert found["atom_steps_per_s"] > 0 and found["threads"] >= 1


@pytest.mark.thorough
def test_a_compile_cache_that_grew_in_pieces_works(tmp_path):
    """A parallel kernel from one process, its serial caller from a second, both read by a third: numba alone crashes there."""
    start = (
        "import numpy as np\nfrom mdlite.kernels import stencil, types\nu = np.zeros((3, 4, 4, 8))\n"
        "stencil.kick_drift(u, u.copy(), u.copy(), types.Springs(520.0, 170.0, 3.5, 4), 0.005, 0.005)"
    )
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", start], check=True, env=os.environ | cache, cwd=tmp_path)
    for _ in range(2):
        call("bench-kernel", "--size", 10, "--steps", 5, cwd=tmp_path, **cache)
