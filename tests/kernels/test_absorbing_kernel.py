"""The damped layer against a product in NumPy."""

import numpy as np

from mdlite.kernels.absorbing import absorb
from mdlite.physics.model import Lattice


def test_velocities_are_multiplied_and_margins_left_alone():
    lattice, rng = Lattice((4, 5, 6)), np.random.default_rng(3)
    v = rng.normal(size=lattice.field_shape)
    start, factors = v.copy(), [rng.uniform(0.5, 1.0, n) for n in lattice.size]
    absorb(v, *factors)
    expected = start.copy()
    lattice.atoms(expected)[...] *= np.einsum("i,j,k->ijk", *factors)
    assert np.allclose(v, expected, rtol=1e-15)
    outside = np.ones(v.shape, bool)
    lattice.atoms(outside)[...] = False
    assert np.array_equal(v[outside], start[outside])
    absorb(v, *(np.ones(n) for n in lattice.size))
    assert np.allclose(v, expected, rtol=1e-15)
