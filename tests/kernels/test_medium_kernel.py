"""The first-order force [18-20] in vectors of eight against NumPy, with any number of atoms, at rest and in a moving crystal."""

import numpy as np
import pytest

from independent import yukawa
from mdlite.engines.ensemble import EnsembleEngine
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.kernels import medium as kernels
from mdlite.kernels import timelocal
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.physics.response import loss_matrix, recoil_kernel
from mdlite.physics.thermal import thermal_state

LATTICE = Lattice((4, 5, 6))
STRENGTH, RANGE = 400.0, 0.6
_, SLOPE, CURVATURE = yukawa(STRENGTH, RANGE)
CLOSE = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (2, 1, 0), (0, -1, 1))


def model_of(atoms):
    return Model(
        LATTICE, Ion((0.7,) * 3, (1.3, 1.6, 1.4), (2.0, -3.0, 4.0)), Interaction(Potential("yukawa", (STRENGTH, RANGE)), atoms)
    )


def first_order(model, home, rate):
    """F, R_eff, ∇_r U at r_H, r_eff for atoms at ``home`` that move with ``rate``, (n, 3) each."""
    offsets = model.offsets
    pairs = (offsets[:, None] - offsets[None]).reshape(-1, 3)
    recoil = recoil_kernel(LATTICE, pairs)[:, 0].reshape(len(offsets), len(offsets), 3, 3)
    position, velocity = np.array(model.ion.position), np.array(model.ion.velocity)
    d = home - position
    rho = np.linalg.norm(d, axis=1)
    n = d / rho[:, None]
    across, along = (SLOPE(rho) / rho)[:, None, None], CURVATURE(rho)[:, None, None]
    hessian = along * n[:, :, None] * n[:, None, :] + across * (np.eye(3) - n[:, :, None] * n[:, None, :])
    gradient = (SLOPE(rho) / rho)[:, None] * d
    moved = home - np.einsum("jkab,kb->ja", recoil, gradient)
    shifted = position + loss_matrix(LATTICE) @ np.einsum("kab,kb->a", hessian, velocity - rate)
    away = moved - shifted
    distance = np.linalg.norm(away, axis=1)
    return np.sum((SLOPE(distance) / distance)[:, None] * away, axis=0), shifted, gradient, moved


@pytest.mark.parametrize("count", [1, 3, 8, 10])
def test_at_rest(count):
    """Also where the last vector is not full."""
    model = model_of(Sites(CLOSE[:count]))
    engine = TimeLocalEngine(model, "time-local", 0.005)
    timelocal.force_at_rest(engine.coupling, engine.medium, engine.ion, engine._work, 0.0)
    home = LATTICE.spacing * np.array(CLOSE[:count])
    force, shifted, gradient, moved = first_order(model, home, np.zeros_like(home))
    rows = engine._work.lanes.reshape(kernels.ROWS, -1)[:, :count]
    assert np.abs(engine.ion.force - force).max() < 1e-11 * np.abs(force).max()
    assert np.abs(engine.ion.effective - shifted).max() < 1e-12
    assert np.abs(rows[kernels.GRADIENT :][:3].T - gradient).max() < 1e-11 * np.abs(gradient).max()
    assert np.abs(rows[kernels.MOVED :][:3].T - moved).max() < 1e-12


def test_in_a_moving_crystal():
    """r_H and its velocity are those of the atoms around the ion, at its step."""
    model, rng = model_of(Shell(1)), np.random.default_rng(5)
    u, v = thermal_state(LATTICE, 10.0, "classical", rng)
    engine = EnsembleEngine(model, "time-local", 0.005, [(u, v)], np.array([model.ion.position]))
    index = tuple((model.offsets % np.array(LATTICE.size)).T)
    home = LATTICE.spacing * model.offsets + u[:, index[0], index[1], index[2]].T
    force, shifted, _, _ = first_order(model, home, v[:, index[0], index[1], index[2]].T)
    assert np.abs(engine.ions.force[0, 0] - force).max() < 1e-10 * np.abs(force).max()
    assert np.abs(engine.ions.effective[0, 0] - shifted).max() < 1e-12
