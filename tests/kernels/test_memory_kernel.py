"""The displacements that past forces have left, against a plain sum over atoms, steps and components."""

import itertools

import numpy as np

from mdlite.engines.memory import MemoryEngine
from mdlite.kernels import memory as kernels
from mdlite.physics import propagator
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell

DT, LENGTH, STEP = 0.01, 60, 47
MODEL = Model(Lattice(), Ion((0.7,) * 3, (1.4, 1.5, 1.6)), Interaction(Potential("gaussian", (0.0, 1.0)), Shell(1)))


def response(d):
    """G_d at steps 0 .. LENGTH, (LENGTH + 1, 3, 3): that of the canonical vector, turned by the one of the 48 operations of the cube that leads to d."""
    low = propagator.canonical(d)
    table = propagator.response_table(MODEL.lattice, low, DT, LENGTH)[0]
    matrix = np.empty((LENGTH + 1, 3, 3))
    for c, (a, b) in enumerate(propagator.COMPONENTS):
        matrix[:, a, b] = matrix[:, b, a] = table[c]
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turn = np.diag(signs)[:, order]
            if np.array_equal(turn @ low[0], d):
                return turn @ matrix @ turn.T
    raise AssertionError


def test_displacements_by_a_plain_sum():
    """Forces of five atoms around the ion, one of them long ago; atom 3 has none yet."""
    rng = np.random.default_rng(8)
    engine = MemoryEngine(MODEL, DT, LENGTH * DT)
    memory = engine.memory
    sites = np.array([[0, 0, 0], [1, 0, 1], [-1, 2, 0], [1, -1, 1], [2, 1, -1]])
    begin, end = [0, 12, 5, 20, 0], [47, 40, 30, 20, 11]
    memory.site[:5], memory.begin[:5], memory.end[:5], memory.count[0] = sites, begin, end, 5
    memory.force[...] = 0.0
    for s in range(5):
        memory.force[s, :, begin[s] : end[s]] = rng.normal(size=(3, end[s] - begin[s]))
    force = memory.force.copy()
    kernels.evaluate(engine.coupling, memory, engine.ion, engine._work, None, STEP, DT)
    for n, atom in enumerate(MODEL.offsets):
        total = np.zeros(3)
        for s in range(5):
            g = response(atom - sites[s])
            for past in range(begin[s], end[s]):
                total -= DT * g[STEP - past] @ force[s, :, past]
        assert np.abs(engine._work.displacement[n] - total).max() < 1e-13 * max(1.0, np.abs(total).max())
        assert np.allclose(engine._work.atoms[n], 3.0 * atom + total, atol=1e-12)


def test_what_is_beyond_the_window_is_forgotten():
    engine = MemoryEngine(MODEL, DT, LENGTH * DT)
    memory = engine.memory
    memory.begin[0], memory.end[0], memory.count[0] = 0, 2, max(1, int(memory.count[0]))
    memory.force[0, :, :2] = 1.0
    for step, felt in ((LENGTH, True), (LENGTH + 1, True), (LENGTH + 2, False)):
        kernels.evaluate(engine.coupling, memory, engine.ion, engine._work, None, step, DT)
        assert engine._work.displacement.any() == felt
