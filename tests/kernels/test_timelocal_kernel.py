"""Steps of an ion in a medium: velocity Verlet where nothing depends on the velocity, and the prediction where a force does."""

import numpy as np

from independent import pair_force, yukawa
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell

MODEL = Model(
    Lattice(),
    Ion((0.7, 0.9, np.inf), (1.4, 1.5, 1.6), (12.0, -7.0, 0.0)),
    Interaction(Potential("yukawa", (600.0, 0.5)), Shell(1)),
)


def test_rigid_is_velocity_verlet():
    """From cell to cell, the frozen axis at rest."""
    dt, inverse = 0.002, np.array([1.0 / 0.7, 1.0 / 0.9, 0.0])
    slope = yukawa(600.0, 0.5)[1]

    def force(position):
        return pair_force(3.0 * MODEL.candidate_sites(position), position, slope)[1]

    engine = TimeLocalEngine(MODEL, "rigid", dt)
    steps, frames = engine.advance(200)
    x, v = np.array(MODEL.ion.position), np.array(MODEL.ion.velocity)
    f = force(x)
    for n in steps:
        assert np.abs(frames.position[n] - x).max() < 1e-10 and np.abs(frames.velocity[n] - v).max() < 1e-9
        half = v + 0.5 * dt * inverse * f
        x = x + dt * half
        f = force(x)
        v = half + 0.5 * dt * inverse * f
    assert len(np.unique(np.floor(frames.position / 3.0), axis=0)) > 1


def test_frames_follow_the_grid_however_the_run_is_cut():
    whole, cut = (TimeLocalEngine(MODEL, "rigid", 0.002, sample_every=3) for _ in range(2))
    expected = whole.advance(20)[1].position
    found = np.concatenate([cut.advance(n)[1].position for n in (1, 1, 5, 13)])
    assert len(expected) == 7 and np.array_equal(found, expected)
