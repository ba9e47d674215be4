"""Steps of lattice and ion against the same scheme with dense matrices in NumPy."""

import numpy as np
import pytest

from independent import pair_force, spring_matrix, yukawa
from mdlite.engines.reference import ReferenceEngine
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell

LATTICE = Lattice((8, 3, 4))
MODEL = Model(
    LATTICE, Ion((0.7, 0.9, np.inf), (1.4, 1.5, 1.6), (9.0, -7.0, 0.0)), Interaction(Potential("yukawa", (900.0, 0.5)), Shell(1))
)
MATRIX = spring_matrix(LATTICE.size, LATTICE.k1, LATTICE.k2)
INVERSE_MASS = np.array([1.0 / 0.7, 1.0 / 0.9, 0.0])
PHI, SLOPE, _ = yukawa(900.0, 0.5)


def forces(u, position):
    """On every atom, and on the ion."""
    sites = MODEL.candidate_sites(position)
    index = tuple((sites % np.array(LATTICE.size)).T)
    on_atoms, on_ion = pair_force(LATTICE.spacing * sites + u[:, index[0], index[1], index[2]].T, position, SLOPE)
    force = -(MATRIX @ u.ravel()).reshape(u.shape)
    for c in range(3):
        np.add.at(force[c], index, on_atoms[:, c])
    return force, on_ion


def synchronous_verlet(u, v, position, velocity, dt, steps):
    """Velocity Verlet as in a textbook: positions and velocities at the same step."""
    force, pull = forces(u, position)
    for _ in range(steps):
        v, velocity = v + 0.5 * dt * force / LATTICE.mass, velocity + 0.5 * dt * pull * INVERSE_MASS
        u, position = u + dt * v, position + dt * velocity
        force, pull = forces(u, position)
        v, velocity = v + 0.5 * dt * force / LATTICE.mass, velocity + 0.5 * dt * pull * INVERSE_MASS
    return u, v, position, velocity


@pytest.mark.parametrize("in_place", [False, True])
def test_path_energies_and_momentum(in_place):
    rng, dt, steps = np.random.default_rng(2), 0.004, 41
    start = [0.05 * rng.normal(size=(3, *LATTICE.size)), rng.normal(size=(3, *LATTICE.size))]
    engine = ReferenceEngine(MODEL, dt, 1, False, *start, in_place=in_place)
    engine.advance(steps)
    u, v, position, velocity = synchronous_verlet(*start, np.array(MODEL.ion.position), np.array(MODEL.ion.velocity), dt, steps)
    for found, true in zip(engine.synchronous(), (u, v, position, velocity)):
        assert np.abs(found - true).max() < 1e-11 * max(1.0, np.abs(true).max())
    state = {name: array.copy() for name, array in engine.state().items()}
    budget = engine.budget()
    assert budget["elastic"] == pytest.approx(0.5 * u.ravel() @ MATRIX @ u.ravel(), rel=1e-11)
    assert budget["framework_kinetic"] == pytest.approx(0.5 * LATTICE.mass * np.sum(v**2), rel=1e-11)
    sites = MODEL.candidate_sites(position)
    index = tuple((sites % np.array(LATTICE.size)).T)
    rho = np.linalg.norm(LATTICE.spacing * sites + u[:, index[0], index[1], index[2]].T - position, axis=1)
    assert budget["interaction"] == pytest.approx(PHI(rho).sum(), rel=1e-11)
    assert np.allclose(budget["framework_momentum"], LATTICE.mass * v.sum(axis=(1, 2, 3)), rtol=1e-10, atol=1e-10)
    assert all(np.array_equal(array, state[name]) for name, array in engine.state().items())  # looking changes nothing
