"""The implicit rung's solver: its secant update, and that its first guess only saves time."""

import dataclasses

import numpy as np
import pytest

from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.kernels import conjugate, implicit, timelocal
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.physics.response import recoil_kernel

MODEL = Model(
    Lattice(), Ion((0.7,) * 3, (1.2, 1.6, 1.5), (3.0, 2.0, -4.0)), Interaction(Potential("gaussian", (300.0, 0.9)), Shell(1))
)


def test_secant_update():
    """The new inverse Jacobian takes the last change of the mismatch to that of x, and is the old one across it."""
    s = np.random.default_rng(6).normal(size=(7, 3))
    old = s[implicit.INVERSE :].copy()
    change, moved = s[implicit.TRIAL] - s[implicit.BEST], s[implicit.TRIAL_OFF] - s[implicit.BEST_OFF]
    implicit.secant_update(s)
    new = s[implicit.INVERSE :]
    assert np.allclose(new @ moved, change, rtol=1e-12)
    across = np.cross(change @ old, [0.3, -0.4, 0.9])  # rank one, from the side of Bᵀ Δx
    assert np.allclose(new - old, np.outer(change - old @ moved, change @ old) / (change @ old @ moved), rtol=1e-12)
    assert np.allclose((new - old) @ across, 0.0, atol=1e-12)


def test_displacements_are_those_of_the_forces():
    """ξ = -W ∇_r U at the displaced atoms, in NumPy."""
    engine = TimeLocalEngine(MODEL, "implicit", 0.005)
    engine.advance(5)
    n = len(MODEL.offsets)
    rows = engine._work.lanes.reshape(conjugate.ROWS, -1)[:, :n]
    shift = rows[conjugate.SHIFT :][:3].T
    cell = np.floor(engine.ion.position / 3.0)
    d = 3.0 * (MODEL.offsets + cell) + shift - engine.ion.effective
    gradient = -300.0 / 0.81 * np.exp(-0.5 * np.sum(d**2, axis=1) / 0.81)[:, None] * d
    pairs = (MODEL.offsets[:, None] - MODEL.offsets[None]).reshape(-1, 3)
    recoil = recoil_kernel(MODEL.lattice, pairs)[:, 0].reshape(n, n, 3, 3)
    assert np.abs(shift + np.einsum("jkab,kb->ja", recoil, gradient)).max() < 3.0 * implicit.WARM * 3.0
    assert np.abs(engine.ion.force - gradient.sum(axis=0)).max() < 1e-5 * np.abs(gradient).max()


def test_the_first_guess_does_not_decide():
    """A force that follows another, and one without any, agree to what the iterations leave."""
    engine = TimeLocalEngine(MODEL, "implicit", 0.005)
    engine.advance(7)
    ion = engine.ion
    state = dataclasses.replace(MODEL.ion, position=tuple(ion.position), velocity=tuple(ion.velocity))
    before = engine.sample()[1].velocity[0]
    cold = TimeLocalEngine(dataclasses.replace(MODEL, ion=state), "implicit", 0.005)
    assert np.array_equal(before, ion.velocity)
    # the engine's last force took the predicted velocity
    timelocal.force_at_rest(engine.coupling, engine.medium, ion, engine._work, 0.0)
    assert ion.force == pytest.approx(cold.ion.force, rel=1e-6)
    assert ion.effective == pytest.approx(cold.ion.effective, abs=1e-6)
