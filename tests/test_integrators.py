"""Compositions of kicks and drifts: their order, their stability, and that a run is the same in pieces and in either layout."""

from pathlib import Path

import numpy as np
import pytest

import mdlite
from mdlite.engines.reference import ReferenceEngine, ReplicaEngine
from mdlite.errors import InputError
from mdlite.physics.integrators import INTEGRATORS
from mdlite.physics.thermal import thermal_state

MODEL = mdlite.load_case(
    "trapped",
    **{
        "ion.mass": 0.7,
        "ion.position": [1.3, 1.6, 1.5],
        "ion.velocity": [2.0, 3.0, -4.0],
        "interaction.atoms": {"kind": "shell", "extent": 2},
        "interaction.potential": {"kind": "gaussian", "strength": 300.0, "range": 0.9},
        "lattice.size": 12,
    },
).to_model()
STATE = thermal_state(MODEL.lattice, 25.0, "classical", np.random.default_rng(1))


def after(dt, integrator, duration=0.4, **settings):
    engine = ReferenceEngine(MODEL, dt, 1000, False, *STATE, integrator=integrator, **settings)
    engine.advance(round(duration / dt))
    return engine.synchronous()


@pytest.mark.parametrize(
    "name, steps",
    [("velocity-verlet", (0.004, 0.002, 0.001)), ("blanes-moan-4", (0.02, 0.01, 0.005)), ("blanes-moan-6", (0.04, 0.02, 0.01))],
)
def test_order(name, steps):
    """Against each other: the exact motion is that of the method of order six with a step of 2 fs."""
    exact = after(0.002, "blanes-moan-6")
    for part in range(4):
        errors = [np.abs(after(dt, name)[part] - exact[part]).max() for dt in steps]
        assert np.log2(errors[1] / errors[2]) == pytest.approx(INTEGRATORS[name].order, abs=0.2)


@pytest.mark.parametrize("name", INTEGRATORS)
def test_stability_limit(name):
    """A single vibration: the trace of a step's matrix stays within ±2 up to the limit, and coefficients add up to one."""
    method = INTEGRATORS[name]
    kicks, drifts = np.array(method.kicks), np.array(method.drifts)
    assert np.array_equal(kicks, kicks[::-1]) and np.array_equal(drifts, drifts[::-1])
    assert kicks.sum() == pytest.approx(1.0, abs=1e-14) and drifts.sum() == pytest.approx(1.0, abs=1e-14)
    for z in np.linspace(0.01, method.limit, 500):
        step = np.array([[1.0, 0.0], [-kicks[-1] * z * z, 1.0]])
        for kick, drift in zip(kicks[-2::-1], drifts[::-1]):
            step = step @ np.array([[1.0, drift], [0.0, 1.0]]) @ np.array([[1.0, 0.0], [-kick * z * z, 1.0]])
        assert abs(np.trace(step)) <= 2.0 + 1e-12
    assert len(method.clock(0.01).kicks) == method.stages


def test_reversible():
    engine = ReferenceEngine(MODEL, 0.05, 1000, False, *STATE, integrator="blanes-moan-6")
    engine.advance(20)
    u, v, position, velocity = engine.synchronous()
    back = ReferenceEngine(MODEL, 0.05, 1000, False, u, -v, integrator="blanes-moan-6")
    back.ion.position[:], back.ion.velocity[:] = position, -velocity
    back.lattice.v[:] = 0.0
    MODEL.lattice.atoms(back.lattice.v)[...] = -v
    back._half_step_back()
    back.advance(20)
    assert np.abs(back.synchronous()[0] - STATE[0]).max() < 1e-12


def test_energy_is_conserved_at_ten_times_verlet_s_step():
    engine = ReferenceEngine(MODEL, 0.05, 1000, False, *STATE, integrator="blanes-moan-6")
    energy = lambda b: b["elastic"] + b["framework_kinetic"] + b["interaction"] + b["ion_kinetic"]  # noqa: E731
    start = energy(engine.budget())
    worst = 0.0
    for _ in range(100):
        engine.advance(20)
        worst = max(worst, abs(energy(engine.budget()) - start))
    assert worst < 2e-5 * start  # over 100 ps


def test_in_place_in_pieces_and_as_replicas_the_bits_are_the_same():
    expected = after(0.025, "blanes-moan-6", in_place=False)
    found = after(0.025, "blanes-moan-6", in_place=True)
    pieces = ReferenceEngine(MODEL, 0.025, 3, False, *STATE, integrator="blanes-moan-6", in_place=True)
    for steps in (1, 5, 10):
        pieces.advance(steps)
    replicas = ReplicaEngine(MODEL, 0.025, [STATE, STATE], 3, "blanes-moan-6")
    replicas.advance(16)
    for other in (found, pieces.synchronous(), replicas.replicas[1].synchronous()):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(expected, other))


def test_a_run_samples_synchronous_states(tmp_path):
    """The same motion by both methods, as a user runs them: positions, velocities, energies and snapshots of every 50 fs."""
    shared = {"lattice.size": 10, "run.duration": 1.0, "snapshots": {"every": 10}}
    fine = mdlite.load_case("trapped", **shared, **{"run.dt": 0.0005, "run.sample_every": 100})
    coarse = mdlite.load_case("trapped", **shared, **{"run.dt": 0.05, "run.integrator": "blanes-moan-6"})
    fine, coarse = (mdlite.run(config, tmp_path / f"{n}.h5") for n, config in enumerate((fine, coarse)))
    assert np.allclose(fine.time, coarse.time)
    assert np.abs(fine.position - coarse.position).max() < 2e-5
    assert np.abs(fine.velocity - coarse.velocity).max() < 2e-4
    assert np.abs(fine.lattice_velocity[-1] - coarse.lattice_velocity[-1]).max() < 2e-4


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "time-local"}, 'run.integrator = "blanes-moan-6": is for method = "reference"'),
        ({"lattice.boundary": "echo-free"}, 'run.integrator = "blanes-moan-6": is for'),
        ({"run.dt": 0.1}, r"run.dt = 0.1: must be below 3.1/Omega_max = 0.09\d+ ps, the stability limit of blanes-moan-6"),
    ],
)
def test_what_it_is_not_for(changes, message):
    with pytest.raises(InputError, match=message):
        mdlite.load_case("trapped", **({"run.integrator": "blanes-moan-6", "run.dt": 0.05} | changes))


def test_against_runge_kutta_on_a_sparse_matrix(monkeypatch):
    """The authors' scheme, with no code in common but the candidates' list: an ion thrown in three dimensions through a small lattice."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parent.parent / "bench")
    from peers import AuthorsScheme

    thrown = {
        "ion.position": [1.5, 1.5, 1.5],
        "ion.velocity": [11.0, 7.0, 5.0],
        "interaction.atoms": {"kind": "shell", "extent": 2},
    }
    model = mdlite.load_case("diffusion", **{"lattice.size": 6} | thrown).to_model()
    exact = AuthorsScheme(model, 0.001)
    exact.advance(500)
    for name, dt, tolerance in (
        ("blanes-moan-6", 0.0125, 1e-9),
        ("blanes-moan-4", 0.0125, 1e-6),
        ("velocity-verlet", 0.001, 1e-4),
    ):
        engine = ReferenceEngine(model, dt, integrator=name)
        engine.advance(round(0.5 / dt))
        u, _, position, velocity = engine.synchronous()
        assert np.abs(position - exact.position).max() < tolerance
        assert np.abs(velocity - exact.state[3]).max() < 100 * tolerance
        assert np.abs(np.moveaxis(u, 0, -1).ravel() - exact.state[0]).max() < tolerance
