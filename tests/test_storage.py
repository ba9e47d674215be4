"""Files: H5MD as MDAnalysis reads it, and foreign files refused."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

import mdlite
from mdlite.errors import InputError
from mdlite.io import export


@pytest.fixture
def written(small_case, tmp_path):
    path = tmp_path / "run.h5"
    return path, mdlite.run(small_case(**{"run.sample_every": 10}), path)


def test_mdanalysis_opens_it(written):
    path, run = written
    analysis = pytest.importorskip("MDAnalysis")
    universe = analysis.Universe.empty(1, trajectory=False)
    universe.load_new(str(path), format="H5MD")
    assert len(universe.trajectory) == len(run.time)
    for n, frame in enumerate(universe.trajectory):
        assert frame.time == pytest.approx(run.time[n])
        assert np.allclose(frame.positions, run.position[n], rtol=1e-6)
        assert np.allclose(frame.velocities, run.velocity[n], rtol=1e-6)
        assert np.allclose(frame.dimensions, [24.0, 27.0, 30.0, 90.0, 90.0, 90.0])
        assert frame.data["ion_kinetic_energy"] == pytest.approx(run.ion_kinetic[n])


def test_layout_is_h5md(written):
    path, run = written
    with h5py.File(path) as f:
        assert f["h5md"].attrs["version"].tolist() == [1, 1]
        assert f["particles/trajectory"] == f["particles/ion"]
        for name in ("position", "velocity", "box/edges"):
            element = f["particles/ion"][name]
            assert element["value"].shape[0] == len(run.time) == element["step"].shape[0] == element["time"].shape[0]
        assert f["particles/ion/position/value"].attrs["unit"] == "Angstrom"
        assert f["particles/ion/position/time"].attrs["unit"] == "ps"
        assert f["particles/ion/position/value"].shape == (21, 1, 3)
        assert "mdlite/energy/elastic" in f and f["mdlite/energy/elastic"].attrs["unit"] == "meV"
        for name in f["observables"]:
            assert f["observables"][name]["value"].shape[0] == len(run.time)


def test_settings_and_versions_are_in_the_file(written):
    run = mdlite.Run.load(written[0])
    assert run.config == written[1].config
    for key in ("version", "numba", "numpy", "threads", "status", "run_seconds"):
        assert key in run.facts


def test_foreign_files_are_refused(tmp_path, written):
    text = tmp_path / "text.h5"
    text.write_text("hello")
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as f:
        f["x"] = 1.0
    broken = tmp_path / "broken.h5"
    broken.write_bytes(written[0].read_bytes()[:4000])
    for path in (text, foreign, broken):
        with pytest.raises(InputError, match="is not an mdlite run"):
            mdlite.Run.load(path)
    with pytest.raises(InputError, match="no such file"):
        mdlite.Run.load(tmp_path / "nothing.h5")


def test_unwritable_places_are_refused_before_anything_runs(tmp_path):
    from mdlite.io.outputs import check_output

    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path, False)
    with pytest.raises(InputError, match="does not exist; make it first"):
        check_output(tmp_path / "a" / "b.h5", False)
    with pytest.raises(InputError, match="cannot be written"):
        check_output("/proc/run.h5", False)
    assert check_output(tmp_path / "new.h5", False) == tmp_path / "new.h5"
    assert not (tmp_path / "new.h5").exists()


def test_what_was_not_recorded_is_named(written):
    with pytest.raises(AttributeError, match="has no 'temperature'; it has"):
        _ = written[1].temperature


def test_a_last_frame_off_the_grid_is_no_part_of_the_trajectory(small_case, tmp_path):
    """Other programs take frames for equally spaced: MDAnalysis sees those that are, Python also the end; extended, the file is that of one run."""
    analysis = pytest.importorskip("MDAnalysis")
    path = tmp_path / "odd.h5"
    config = small_case(**{"run.sample_every": 30, "run.duration": 0.4})  # 200 steps
    run = mdlite.run(config, path)
    assert run.step.tolist() == [0, 30, 60, 90, 120, 150, 180, 200] and run.time[-1] == pytest.approx(0.4)
    universe = analysis.Universe.empty(1, trajectory=False)
    universe.load_new(str(path), format="H5MD")
    times = [frame.time for frame in universe.trajectory]
    universe.trajectory.close()
    assert len(times) == 7 and np.allclose(np.diff(times), 0.06)
    with h5py.File(path) as f:
        assert f["mdlite/end/step"][:].tolist() == [200] and f["mdlite/end/position"].shape == (1, 1, 3)
        assert f["particles/ion/position/value"].shape == (7, 1, 3)
    again, memory = mdlite.Run.load(path), mdlite.run(config)
    for name in memory.data:
        assert again.data[name].tobytes() == memory.data[name].tobytes() and again.shapes()[name] == memory.data[name].shape
    longer = config.replace(**{"run.duration": 0.6})
    extended, whole = mdlite.run(longer, path, resume=True), mdlite.run(longer, tmp_path / "whole.h5")
    assert extended.step.tolist() == list(range(0, 301, 30))
    for name in whole.data:
        assert extended.data[name].tobytes() == whole.data[name].tobytes()
    with h5py.File(path) as f:
        assert "end" not in f["mdlite"]


def test_an_export_leaves_the_odd_frame_out(small_case, tmp_path):
    run = mdlite.run(small_case(**{"run.sample_every": 30}))
    with (tmp_path / "odd.xyz").open("w") as text:
        assert len(run.time) == 8 and export.write_extxyz(run, text) == 7


def test_a_file_is_probed_without_anything_heavy():
    """The process that opens a file first has little memory and little time."""
    code = "import sys, mdlite.io.reading; sys.exit(any(name in sys.modules for name in ('numba', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
