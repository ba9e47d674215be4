"""Time-local ions in thermal crystals of any kind, against dense matrices, the explicit crystal, and the simple cubic engine."""

import numba
import numpy as np
import pytest

from dense_medium import ION, SIZE, Dense, model
from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.model import CrystalModel
from mdlite.engines.base import Setup
from mdlite.engines.crystal import CrystalEngine
from mdlite.engines.crystal_ensemble import CrystalEnsembleEngine
from mdlite.engines.ensemble import EnsembleEngine, starting_positions
from mdlite.errors import InputError
from mdlite.kernels import ensemble
from mdlite.kernels.guard import ENERGY
from mdlite.physics.interaction import Cutoff, Interaction, Potential
from mdlite.physics.model import Ion, Lattice, Model
from mdlite.physics.thermal import thermal_state

RUNGS = ("time-local", "implicit", "static", "rigid")


def hot(seed, size=SIZE, basis=3):
    return tuple(
        np.random.default_rng(seed).standard_normal((2, basis, 3, *size)) * np.array([0.03, 1.0])[:, None, None, None, None, None]
    )


def engine(method, ions=5, crystals=1, dt=2e-3, **setup):
    states = [hot(seed) for seed in range(crystals)]
    places = np.stack([starting_positions(model(), ions, np.random.default_rng(seed)) for seed in range(crystals)])
    return CrystalEnsembleEngine(Setup(model(), dt, method=method, states=states, positions=places, **setup), finite=True)


def rows(field):
    """(n, 3) as `Dense` has the atoms."""
    return np.moveaxis(field, (0, 1), (3, 4)).reshape(-1, 3)


@pytest.fixture(scope="module")
def dense():
    return Dense()


@pytest.mark.parametrize("method", ["time-local", "static", "rigid"])
def test_ions_feel_the_crystal_that_moves_by_itself(dense, method):
    """After some steps the forces are those of [18-20] with the atoms and velocities of the explicit crystal without an ion."""
    run = engine(method)
    nothing = CrystalModel(run.box, ION, {"default": Potential("gaussian", (0.0, 1.0))}, Cutoff(3.9, 1.0))
    free = CrystalEngine(Setup(nothing, run.dt, states=[hot(0)]))
    factors = {"time-local": (1.0, 1.0), "static": (1.0, 0.0), "rigid": (0.0, 0.0)}[method]
    for steps in (0, 9):
        run.advance(steps)
        free.advance(steps)
        u, v, _, _ = free.synchronous()
        ensemble.evaluate_ions(run.coupling, run.medium, run._ions_of(0), run._crystal(0), run.dt, run._works)
        for position, velocity, force in zip(run.ions.position[0], run.ions.velocity[0], run.ions.force[0]):
            exact = dense.first_order(position, velocity, *factors, rows(u), rows(v))
            assert np.abs(force - exact).max() < 1e-10 * np.abs(exact).max()


@pytest.mark.parametrize("method", RUNGS)
def test_the_simple_cubic_crystal_is_the_lattice(method):
    lattice, ion = Lattice((8, 7, 9)), Ion((0.7,) * 3, (10.7, 10.4, 10.5), (5.0, -3.0, 4.0))
    potential, atoms = Potential("yukawa", (1500.0, 0.5)), Cutoff(4.4, 1.0)
    cubic = Model(lattice, ion, Interaction(potential, atoms))
    general = CrystalModel(Box(as_crystal(lattice), lattice.size), ion, {"default": potential}, atoms)
    places = [[starting_positions(m, 4, np.random.default_rng(3))] * 2 for m in (cubic, general)]
    assert np.abs(np.array(places[0]) - places[1]).max() < 1e-12
    states = [thermal_state(lattice, 20.0, "classical", np.random.default_rng(seed)) for seed in (1, 2)]
    expected = EnsembleEngine(Setup(cubic, 2e-3, method=method, states=states, positions=places[0]))
    found = CrystalEnsembleEngine(
        Setup(general, 2e-3, method=method, states=[(u[None], v[None]) for u, v in states], positions=places[1])
    )
    _, exact = expected.advance(150)
    _, frames = found.advance(150)
    for name in ("position", "velocity", "interaction"):
        assert np.abs(getattr(frames, name) - getattr(exact, name)).max() < 1e-11 * np.abs(getattr(exact, name)).max(), name
    assert np.abs(found.ion_forces() - expected.ion_forces()).max() < 1e-11 * np.abs(expected.ion_forces()).max()


@pytest.mark.parametrize("method", ["time-local", "implicit"])
def test_whole_or_in_pieces_with_one_thread_or_more_the_bits_are_the_same(method):
    whole = engine(method, crystals=2)
    whole.advance(40)
    parts = engine(method, crystals=2, sample_every=3)
    parts.advance(11)
    parts.sample()
    again = engine(method, crystals=2, sample_every=3)
    again.restore(11, {name: array.copy() for name, array in parts.state().items()})
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        again.advance(29)
    finally:
        numba.set_num_threads(threads)
    assert all(np.array_equal(array, again.state()[name]) for name, array in whole.state().items())
    assert whole.fault() is None


def test_an_ion_with_too_much_energy_is_stopped_at_that_step():
    run = engine("rigid")
    run.advance(3)
    run.ions.velocity[0, 1] = 1e3
    run.advance(4)
    assert run.ions.stopped[0].tolist() == [-1, 4, -1, -1, -1] and run.ions.cause[0, 1] == ENERGY
    assert [entry["ion"] for entry in run.facts()["run_aways"]] == [1]
    run.box.displacements(run._u[0])[0, 0, 0, 0, 0] = 3.0
    assert "3 Å from its site" in run.fault()


def test_ions_start_in_cells_of_their_own():
    places = starting_positions(model(), 48, np.random.default_rng(0))
    cells = (places - ION.position) @ np.linalg.inv(model().box.crystal.cell)
    assert np.abs(cells - np.round(cells)).max() < 1e-12 and len(np.unique(np.round(cells), axis=0)) == 48
    with pytest.raises(InputError, match=r"thermal\.ions = 49: a crystal of \[4, 4, 3\] has only 48 cells"):
        starting_positions(model(), 49, np.random.default_rng(0))
