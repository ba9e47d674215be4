"""The exact turn of Bloch amplitudes against the exponential of a matrix, and its energy."""

import numpy as np
from scipy.linalg import expm

from mdlite.kernels.modes import propagate

SHAPE, TIME = (3, 2, 4), 0.7


def test_turn_is_the_exponential():
    rng = np.random.default_rng(9)
    u, v = rng.normal(size=(2, 3, *SHAPE)) + 1j * rng.normal(size=(2, 3, *SHAPE))
    factor = rng.normal(size=(*SHAPE, 3, 3))
    d = factor @ np.swapaxes(factor, -1, -2)
    blocks = np.empty((3, *SHAPE, 3, 3))
    expected = np.empty((6, *SHAPE), complex)
    for q in np.ndindex(*SHAPE):
        whole = expm(TIME * np.block([[np.zeros((3, 3)), np.eye(3)], [-d[q], np.zeros((3, 3))]]))
        blocks[(0, *q)], blocks[(1, *q)], blocks[(2, *q)] = whole[:3, :3], whole[:3, 3:], whole[3:, :3]
        expected[(slice(None), *q)] = whole @ np.concatenate([u[(slice(None), *q)], v[(slice(None), *q)]])
    start = [u.copy(), v.copy()]
    propagate(u, v, *(np.ascontiguousarray(b) for b in blocks))
    assert np.abs(np.concatenate([u, v]) - expected).max() < 1e-13 * np.abs(expected).max()

    def energy(u, v):
        return np.sum(np.abs(v) ** 2) + np.einsum("axyz,xyzab,bxyz->", u.conj(), d, u).real

    assert np.isclose(energy(u, v), energy(*start), rtol=1e-13)
