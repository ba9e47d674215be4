"""Other programs read our files: MDAnalysis as they are, ASE after an export, xarray and pandas from Python. Snapshots of the lattice."""

import subprocess
import sys

import numpy as np
import pytest

import mdlite
from mdlite.engines.build import make_engine
from mdlite.errors import InputError

SNAPSHOTS = {"snapshots.every": 4, "run.sample_every": 5}


@pytest.fixture
def thermal_run(small_case, tmp_path):
    """A thermal run whose lattice is recorded, its file, and synchronous states of an engine of its own at the same steps."""

    def make(**more):
        config = small_case(thermal={"energy": 25.0}, **(SNAPSHOTS | more))
        path = tmp_path / "run.h5"
        run = mdlite.run(config, path, force=True)
        engine, states = make_engine(config), []
        for _ in run.lattice_step:
            states.append(engine.synchronous())
            engine.advance(20)
        return run, path, states

    return make


def sites(config):
    return np.stack(np.meshgrid(*map(np.arange, config.lattice.size), indexing="ij"), axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("precision, compress", [("float64", False), ("float64", True), ("float32", False), ("float32", True)])
def test_snapshots_are_the_synchronous_state(thermal_run, precision, compress):
    run, _, states = thermal_run(**{"snapshots.precision": precision, "snapshots.compress": compress})
    assert run.lattice_step.tolist() == list(range(0, 201, 20)) and run.lattice_position.dtype == precision
    accuracy = 1e-12 if precision == "float64" else 3e-6
    for n, (u, v, _, _) in enumerate(states):
        where = 3.0 * sites(run.config) + u.reshape(3, -1).T
        assert np.abs(run.lattice_position[n] - where).max() < accuracy
        assert np.abs(run.lattice_velocity[n] - v.reshape(3, -1).T).max() < 10.0 * accuracy
    assert np.allclose(run.lattice_time, run.config.run.dt * run.lattice_step, rtol=1e-14)


def test_a_block_around_the_ion(thermal_run):
    run, _, states = thermal_run(**{"snapshots.extent": 2})
    assert run.lattice_position.shape == (11, 64, 3) and run.lattice_id.shape == (11, 64)
    for n, (u, v, ion, _) in enumerate(states):
        x, y, z = np.unravel_index(run.lattice_id[n], run.config.lattice.size)
        away = np.abs(run.lattice_position[n] - ion)
        assert away.max() < 7.0  # two cells and the displacement
        home = np.round((run.lattice_position[n] - u[:, x, y, z].T) / 3.0)
        assert np.allclose(run.lattice_position[n], 3.0 * home + u[:, x, y, z].T, atol=1e-12)
        assert np.array_equal(home % run.config.lattice.size, np.stack([x, y, z], axis=1))
        assert np.allclose(run.lattice_velocity[n], v[:, x, y, z].T, atol=1e-11)


def test_snapshots_without_velocities_and_in_memory(small_case):
    run = mdlite.run(small_case(**(SNAPSHOTS | {"snapshots.velocities": False})))
    assert run.lattice_position.shape == (11, 720, 3) and "lattice_velocity" not in run.data


@pytest.mark.parametrize(
    "more", [{"method": "time-local"}, {"lattice.boundary": "echo-free"}, {"thermal": {"energy": 25.0, "lattices": 2}}]
)
def test_snapshots_of_what_has_no_lattice_are_refused(small_case, more):
    with pytest.raises(InputError, match="snapshots: are taken of one explicit lattice"):
        small_case(**(SNAPSHOTS | more))


def test_mdanalysis_opens_ion_and_lattice_as_they_are(thermal_run, tmp_path):
    import MDAnalysis

    run, path, _ = thermal_run(**{"snapshots.compress": True})
    ion = MDAnalysis.Universe.empty(1, trajectory=False)
    ion.load_new(str(path), format="H5MD")
    assert len(ion.trajectory) == len(run.time)
    for n, frame in enumerate(ion.trajectory):
        assert np.allclose(frame.positions, run.position[n], rtol=1e-6) and np.allclose(
            frame.velocities, run.velocity[n], rtol=1e-5
        )
        assert frame.time == pytest.approx(run.time[n]) and np.allclose(frame.dimensions[:3], [24.0, 27.0, 30.0])
    # its reader opens the first particles that it finds; a file of links shows it the lattice
    subprocess.run([sys.executable, "-m", "mdlite", "export", str(path), "--format", "h5md-lattice"], check=True)
    lattice = MDAnalysis.Universe.empty(720, trajectory=False)
    lattice.load_new(str(tmp_path / "run-lattice.h5"), format="H5MD")
    assert len(lattice.trajectory) == 11
    for n, frame in enumerate(lattice.trajectory):
        assert np.allclose(frame.positions, run.lattice_position[n], atol=1e-5)
        assert np.allclose(frame.velocities, run.lattice_velocity[n], atol=1e-5)
        assert frame.time == pytest.approx(run.lattice_time[n]) and np.allclose(frame.dimensions[:3], [24.0, 27.0, 30.0])


@pytest.mark.parametrize("lattice", [True, False])
def test_ase_opens_the_export(thermal_run, tmp_path, lattice):
    import ase.io
    from ase import units

    run, path, _ = thermal_run()
    target = tmp_path / "run.xyz"
    line = [sys.executable, "-m", "mdlite", "export", str(path), "--format", "extxyz", "-o", str(target), "--every", "2"]
    subprocess.run(line + ([] if lattice else ["--no-lattice"]), check=True)
    frames = ase.io.read(target, index=":", format="extxyz")
    chosen = np.flatnonzero(run.step % 20 == 0)[::2] if lattice else np.arange(len(run.time))[::2]
    assert len(frames) == len(chosen)
    for n, (row, atoms) in enumerate(zip(chosen, frames)):
        position, velocity = run.position[row], run.velocity[row]
        if lattice:
            position = np.concatenate([position, run.lattice_position[2 * n]])
            velocity = np.concatenate([velocity, run.lattice_velocity[2 * n]])
        assert np.allclose(atoms.get_positions(), position, rtol=1e-12, atol=1e-12)
        assert np.allclose(atoms.get_velocities() * 1000.0 * units.fs, velocity, rtol=1e-7, atol=1e-10)
        assert atoms.get_kinetic_energy() * 1000.0 == pytest.approx(
            0.5 * (0.7 * (velocity[:1] ** 2).sum() + 3.5 * (velocity[1:] ** 2).sum()), rel=1e-7
        )
        assert atoms.info["Time"] == pytest.approx(run.time[row]) and atoms.pbc.all()
        assert np.allclose(atoms.cell.lengths(), [24.0, 27.0, 30.0])
        assert atoms.get_chemical_symbols()[0] == "Li"


@pytest.mark.thorough
def test_an_export_is_not_half_written_and_not_over_anything(small_case, tmp_path):
    path, target = tmp_path / "run.h5", tmp_path / "run.xyz"
    mdlite.run(small_case(method="rigid"), path)
    target.write_text("mine")
    for more, told in (
        ([], "exists"),
        (["--format", "xtc"], "--format = 'xtc': must be one of extxyz, h5md-lattice"),
        (["--format", "h5md-lattice"], "the run has no snapshots of the lattice"),
        (["--species", "Li"], "--species = 'Li': must be two names"),
    ):
        done = subprocess.run([sys.executable, "-m", "mdlite", "export", str(path), *more], capture_output=True, text=True)
        assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr
    assert target.read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_xarray_and_pandas(thermal_run):
    run, _, _ = thermal_run(**{"snapshots.extent": 1})
    found = run.to_xarray()
    assert dict(found.position.sizes) == {"time": 41, "ion": 1, "axis": 3} and found.position.attrs["units"] == "Angstrom"
    assert np.array_equal(found.position.sel(axis="z").isel(ion=0), run.position[:, 0, 2])
    assert float(found.ion_kinetic.sel(time=0.1, method="nearest")[0]) == run.ion_kinetic[10, 0]
    assert found.energy_elastic.dims == ("budget_time",) and found.energy_framework_momentum.dims == ("budget_time", "axis")
    assert found.lattice_position.dims == ("snapshot_time", "lattice_atom", "axis") and found.lattice_id.dims == (
        "snapshot_time",
        "lattice_atom",
    )
    assert found.time.attrs["units"] == "ps" and "sample_every = 5" in found.attrs["settings"]
    table = found[["ion_kinetic", "interaction"]].to_dataframe()
    assert len(table) == 41 and table.ion_kinetic.iloc[7] == run.ion_kinetic[7, 0]


def test_xarray_of_ensembles_and_replicas(small_case):
    shell = {"interaction": {"potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5}, "atoms": {"kind": "shell"}}}
    ensemble = mdlite.run(small_case(method="time-local", thermal={"energy": 25.0, "ions": 4}, **shell)).to_xarray()
    assert dict(ensemble.velocity.sizes) == {"time": 201, "ion": 4, "axis": 3}
    replicas = mdlite.run(small_case(thermal={"energy": 25.0, "lattices": 2}, **shell)).to_xarray()
    assert replicas.energy_elastic.dims == ("budget_time", "lattice") and replicas.energy_ion_momentum.dims == (
        "budget_time",
        "lattice",
        "axis",
    )
