"""What `mdlite doctor` says and advises, and that precompiling leaves nothing to compile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mdlite.engines import speed

QUIET = {
    "processor": "a processor",
    "cores": 4,
    "threads": 4,
    "threading_layer": "omp",
    "vector_bits": 512,
    "core_cache_bytes": 2**21,
    "load": 4.0,
    "triad_bytes_per_s": 48e9,
    "one_pass_limit_atom_steps_per_s": 5e8,
    "atom_steps_per_s": {20: 9e8, 60: 1.6e9, 160: 6e8},
}


@pytest.mark.parametrize(
    "changes, advice",
    [
        ({}, "nothing: this is what the machine can do"),
        ({"threads": 2}, "2 of 4 cores are used: NUMBA_NUM_THREADS=4"),
        ({"threads": 8}, "8 threads share 4 cores: set NUMBA_NUM_THREADS=4"),
        ({"threading_layer": "workqueue"}, "install libgomp"),
        ({"vector_bits": 128}, "no wide vectors"),
        ({"load": 9.0}, "the machine is busy (load 9.0)"),
        ({"atom_steps_per_s": {20: 9e8, 60: 1.6e9, 160: 3e8}}, "large lattices run below what memory allows"),
    ],
)
def test_advice(changes, advice):
    (found,) = speed.advise(QUIET | changes)
    assert advice in found


def test_report_names_every_rate():
    text = speed.report(QUIET | {"advice": speed.advise(QUIET)})
    assert "N = 160" in text and "600 million atom-steps/s" in text and "120 % of the one-pass limit" in text
    assert "48.0 GB/s" in text and "512 bits" in text


def test_what_is_measured(monkeypatch):
    monkeypatch.setattr(speed, "DOCTOR_SIZES", (4, 6, 8))
    monkeypatch.setattr(speed, "triad_bandwidth", lambda: 4e10)
    monkeypatch.setattr(speed, "kernel_rate", lambda size, steps: {"atom_steps_per_s": 1e6 * size})
    found = speed.examine()
    assert found["atom_steps_per_s"] == {4: 4e6, 6: 6e6, 8: 8e6} and found["threads"] >= 1
    assert found["threading_layer"] in ("omp", "tbb", "workqueue") and found["vector_bits"] in (128, 256, 512)
    assert found["core_cache_bytes"] >= 2**15 and "N = 8" in speed.report(found)


def test_triad_is_a_bandwidth():
    assert 1e8 < speed.triad_bandwidth(800_000, 2) < 1e13


@pytest.mark.thorough
def test_nothing_is_left_to_compile_after_precompile(tmp_path):
    """Every kind of run, in the cache that the tests have: the second time nothing is compiled, nor in a run."""
    code = (
        "import mdlite\nfrom mdlite.engines import build\nfrom mdlite.kernels.jit import compiled\nbuild.prepare_all(lambda line: None)\n"
        "before = compiled()\nassert build.prepare_all(lambda line: None)[1] == 0.0\n"
        "for size in (12, 64):\n    for kind in ('reference', 'time-local', 'implicit'):\n"
        "        mdlite.run(mdlite.load_case('trapped', **{'lattice.size': size, 'run.duration': 0.01, 'method': kind}))\n"
        "print(compiled() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split()[-1] == "0"


def test_the_benchmarks_are_collected_and_run():
    """A file among them that is called as a library hides it; a constructor that has changed stops them."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST")
    }  # a worker measures nothing
    bench = Path(__file__).resolve().parents[1] / "bench"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    collected = subprocess.run([*command, "--collect-only", str(bench)], capture_output=True, text=True, env=environment)
    assert collected.returncode == 0, collected.stdout[-2000:]
    smallest = [line for line in collected.stdout.splitlines() if "test_float64[threads=1-N=20-in-place" in line]
    assert len(smallest) == 1
    command += [str(bench.parent / line) for line in smallest]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stdout[-2000:]
