"""Ions in a crystal: buffers that take turns, ions that are stopped, and crystals that are kept."""

import numpy as np

from mdlite.engines import patch_edge as edge
from mdlite.engines.ensemble import EnsembleEngine, moving_crystal
from mdlite.engines.patch import PatchEnsembleEngine
from mdlite.kernels.guard import ENERGY, SOUND
from mdlite.kernels.types import Crystal, turn
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.physics.thermal import thermal_state

LATTICE = Lattice((4, 5, 6))
MODEL = Model(
    LATTICE, Ion((0.7,) * 3, (1.4, 1.5, 1.6), (3.0, -2.0, 2.5)), Interaction(Potential("yukawa", (900.0, 0.5)), Shell(1))
)
STATE = thermal_state(LATTICE, 10.0, "classical", np.random.default_rng(5))
PLACES = np.array(MODEL.ion.position) + 3.0 * np.array([[0, 0, 0], [1, 0, 2], [-7, 3, 1], [2, 2, 2]])


def test_buffers_take_turns():
    crystal = Crystal(*(np.zeros(1) for _ in range(4)))
    once = turn(crystal)
    assert once.before is crystal.u and once.u is crystal.after and once.after is crystal.before and once.v is crystal.v
    assert all(a is b for a, b in zip(turn(turn(once)), crystal))
    around = moving_crystal(LATTICE, *STATE, 0.005)
    middle = LATTICE.atoms(around.after - around.before)[...] / 0.01  # the synchronous velocity
    assert np.allclose(middle, STATE[1], rtol=1e-10, atol=1e-10) and np.array_equal(LATTICE.atoms(around.u), STATE[0])


def test_a_stopped_ion_stays_and_the_others_do_not_notice():
    engines = [EnsembleEngine(MODEL, "rigid", 0.005, [STATE], PLACES) for _ in range(2)]
    engines[1].ions.stopped[0, 2], engines[1].ions.cause[0, 2] = 0, ENERGY
    for engine in engines:
        engine.advance(11)
    whole, part = (engine.ions for engine in engines)
    others = [0, 1, 3]
    assert np.array_equal(part.position[0, 2], PLACES[2]) and not np.array_equal(whole.position[0, 2], PLACES[2])
    assert np.array_equal(part.position[0, others], whole.position[0, others])
    assert part.stopped[0].tolist() == [-1, -1, 0, -1] and part.cause[0].tolist() == [SOUND, SOUND, ENERGY, SOUND]


def test_an_ion_with_too_much_energy_is_stopped_at_that_step():
    engine = EnsembleEngine(MODEL, "rigid", 0.005, [STATE], PLACES)
    engine.advance(3)
    engine.ions.velocity[0, 1] = 1e3
    engine.advance(4)
    assert engine.ions.stopped[0].tolist() == [-1, 4, -1, -1] and engine.ions.cause[0, 1] == ENERGY


def test_how_far_a_crystal_runs_ahead_of_its_patches_changes_nothing():
    bounds = edge.open_edge(LATTICE, 8, 0.005)
    found = []
    for ahead in (64, 5, 1):
        engine = PatchEnsembleEngine(MODEL, 0.005, [STATE], PLACES, 8, sample_every=3, bounds=bounds)
        engine._history = engine._history[:, : ahead + 1].copy()
        frames = [engine.advance(n)[1] for n in (1, 16, 12)]
        found.append(
            [np.concatenate(arrays).tobytes() for arrays in zip(*frames)] + [a.tobytes() for a in engine.state().values()]
        )
    assert found[0] == found[1] == found[2]
