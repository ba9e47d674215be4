"""The run loop: what comes out, when it stops, what it keeps."""

import itertools

import numpy as np
import pytest

import mdlite
from mdlite.engines import build
from mdlite.engines.reference import ReferenceEngine
from mdlite.errors import InputError, RunError
from mdlite.simulation import observers


def test_frames_and_budgets_come_when_asked(small_case):
    run = mdlite.run(small_case(**{"run.sample_every": 7, "run.energy_every": 30}))
    assert run.step.tolist() == [*range(0, 200, 7), 200]
    assert run.time[0] == 0.0 and run.time[-1] == pytest.approx(0.4, rel=1e-15)
    assert run.energy_step.tolist() == [0, 30, 60, 90, 120, 150, 180, 200]
    assert run.position.shape == (30, 1, 3)
    assert run.facts["status"] == "complete"


@pytest.mark.parametrize("method", ["reference", "patch", "time-local", "implicit", "static", "rigid"])
def test_memory_and_file_hold_the_same(small_case, tmp_path, method):
    config = small_case(method=method, **{"run.record_atoms": True, "run.sample_every": 3})
    kept = mdlite.run(config)
    written = mdlite.run(config, tmp_path / "run.h5")
    assert kept.data.keys() == written.data.keys()
    for name, values in kept.data.items():
        assert np.array_equal(values, written.data[name]), name
    assert written.config == config
    assert ("atom_velocity" in kept.data) == (method == "reference")
    assert ("energy_elastic" in kept.data) == (method == "reference")


def test_the_run_is_the_engine_s_own_path(small_case):
    config = small_case()
    engine = ReferenceEngine(config.to_model(), config.run.dt)
    _, frames = engine.advance(200)
    run = mdlite.run(config)
    assert np.array_equal(run.position[:-1, 0], frames.position)
    assert np.array_equal(run.velocity[:-1, 0], frames.velocity)


def test_energy_is_constant_and_budget_closes(small_case):
    run = mdlite.run(small_case())
    assert np.abs(run.total_energy - run.total_energy[0]).max() < 1e-3 * np.abs(run.total_energy[0])
    assert run.energy_elastic.max() > 1.0
    ion = np.interp(run.energy_time, run.time, run.ion_kinetic[:, 0])
    assert np.allclose(ion, run.energy_ion_kinetic)


def test_energy_drift_stops_the_run_and_keeps_what_there_is(small_case, tmp_path):
    path = tmp_path / "run.h5"
    config = small_case(**{"run.dt": 0.02, "run.duration": 4.0, "run.energy_tolerance": 1e-4, "run.energy_every": 1})
    with pytest.raises(RunError, match=r"energy has drifted.*run\.energy_tolerance = 0\.0001.*run\.dt"):
        mdlite.run(config, path)
    kept = mdlite.Run.load(path)
    assert kept.facts["status"].startswith("stopped: the energy has drifted")
    assert len(kept.time) > 0 and kept.energy_step[-1] == kept.facts["steps"]


@pytest.mark.parametrize("method", ["reference", "rigid"])
def test_a_run_that_explodes_stops_and_keeps_what_there_is(small_case, tmp_path, method):
    """An ion thrown at an atom much too fast for the step lands on top of it, and is hurled away."""
    path = tmp_path / "run.h5"
    config = small_case(
        method=method,
        **{
            "interaction.potential": {"kind": "lennard-jones", "epsilon": 100.0, "sigma": 2.5},
            "interaction.atoms": {"kind": "shell", "extent": 1},
            "ion.position": [10.5, 10.5, 10.5],
            "ion.velocity": [250.0, 250.0, 250.0],
            "run.duration": 2.0,
            "run.energy_tolerance": 1e300,
        },
    )
    with pytest.raises(RunError, match=r"met an atom too closely for the step.*run\.dt = 0\.000\d would do"):
        mdlite.run(config, path)
    assert mdlite.Run.load(path).facts["status"].startswith("stopped")


def test_interruption_keeps_what_there_is(small_case, tmp_path):
    def stop(progress):
        if progress.done > 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mdlite.run(small_case(**{"run.duration": 4.0}), tmp_path / "run.h5", progress=stop)
    kept = mdlite.Run.load(tmp_path / "run.h5")
    assert kept.facts["status"].startswith("interrupted") and len(kept.time) > 50


def test_progress_counts_to_the_end(small_case):
    seen = []
    mdlite.run(small_case(), progress=seen.append)
    assert seen[-1].done == seen[-1].total == 200
    assert all(a.done < b.done for a, b in itertools.pairwise(seen))
    assert seen[-1].drift is not None and abs(seen[-1].drift) < 1e-3


def test_nothing_is_overwritten(small_case, tmp_path):
    path = tmp_path / "precious.h5"
    path.write_text("do not touch")
    with pytest.raises(InputError, match=r"exists; choose another name, or give --force"):
        mdlite.run(small_case(), path)
    assert path.read_text() == "do not touch"
    mdlite.run(small_case(), path, force=True)
    assert mdlite.Run.load(path).facts["status"] == "complete"


def test_drift_is_relative_to_the_energy_in_play():
    monitor = observers.DriftMonitor(0.1)
    parts = dict.fromkeys(observers.BUDGET_SCALARS, 0.0)
    assert monitor.update(parts | {"ion_kinetic": 10.0})
    assert monitor.update(parts | {"ion_kinetic": 2.0, "interaction": 8.5}) and monitor.relative == pytest.approx(0.5 / 10.5)
    assert not monitor.update(parts | {"ion_kinetic": 20.0})
    assert not monitor.update(parts | {"ion_kinetic": float("nan")})
    assert observers.DriftMonitor(0.1).update(parts)  # nothing moves, nothing drifts


def test_too_large_a_lattice_is_refused(small_case):
    with pytest.raises(InputError, match=r"lattice\.size = \[20000, 20000, 20000\]: needs .* GB"):
        mdlite.run(small_case(**{"lattice.size": 20000}))


def test_compilation_is_reported_once():
    lines = []
    build.prepare(["reference", "time-local", "implicit"], lines.append)
    assert build.prepare(["reference", "time-local", "implicit"], lines.append) == 0.0
