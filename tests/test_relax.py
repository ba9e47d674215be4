"""The relaxed framework: minimum over all atoms against the recoil kernel, and against a dense solution."""

import numpy as np
import pytest
from scipy.optimize import minimize

from independent import spring_forces, spring_matrix, yukawa
from mdlite.engines.timelocal import adiabatic_energy
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.physics.relax import relax


def model(atoms, size=(10, 11, 12)):
    return Model(Lattice(size=size), Ion(position=(4.7, 4.4, 4.1)), Interaction(Potential("yukawa", (4000.0, 0.5)), atoms))


@pytest.mark.parametrize("atoms", [Shell(1), Shell(2), Cutoff(6.0)], ids=str)
def test_two_routes_to_the_minimum(atoms):
    found = relax(model(atoms))
    assert found.residual_force < 1e-6
    total, interaction = adiabatic_energy(model(atoms), finite=True)
    assert found.energy == pytest.approx(total, abs=1e-9)
    assert found.interaction == pytest.approx(interaction, abs=1e-7)
    assert found.unrelaxed - found.energy > 0.5


@pytest.mark.thorough
def test_against_a_dense_minimiser():
    size = (4, 4, 4)
    small = model(Shell(1), size)
    found = relax(small)
    phi, _slope, _ = yukawa(4000.0, 0.5)
    index = tuple(np.array([[i, j, k] for i in (1, 2) for j in (1, 2) for k in (1, 2)]).T)
    homes, position = 3.0 * np.array(index).T, np.array(small.ion.position)
    matrix = spring_matrix(size, 520.0, 170.0)

    def energy(flat):
        u = flat.reshape(3, *size)
        u = u - u.mean(axis=(1, 2, 3), keepdims=True)
        r = homes + np.stack([u[c][index] for c in range(3)], axis=1)
        return 0.5 * u.ravel() @ matrix @ u.ravel() + phi(np.linalg.norm(r - position, axis=1)).sum()

    free = minimize(energy, np.zeros(3 * 64), method="BFGS", options={"gtol": 1e-4})
    assert found.energy == pytest.approx(free.fun, abs=1e-5)
    assert 0.5 * found.displacement.ravel() @ matrix @ found.displacement.ravel() == pytest.approx(found.elastic, abs=1e-9)


def test_forces_balance_at_the_minimum():
    found = relax(model(Shell(1)))
    springs, _ = spring_forces(found.displacement, 520.0, 170.0)
    # the springs carry no net force, so what the ion pushes with is spread over all atoms by the held centre of mass
    assert np.abs(springs.sum(axis=(1, 2, 3))).max() < 1e-9
    assert np.abs(found.ion_force).max() > 1.0
