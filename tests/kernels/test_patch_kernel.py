"""The field that an ion radiates: the law of the edge against a loop over bonds, and the patch that follows."""

import numpy as np
import pytest

from independent import spring_forces
from mdlite.engines import patch_edge as edge
from mdlite.kernels import patch as kernels
from mdlite.physics.model import Lattice

LATTICE = Lattice((8, 8, 8))
DT = 0.004


def test_law_of_the_edge():
    """v' = keep v + push dt F/m - hold u with any numbers, from an impulse, on a patch of one and a half vectors a row."""
    rng = np.random.default_rng(6)
    bounds, numbers = edge.open_edge(LATTICE, 8, DT), {}
    for name, low, high in (("keep", 0.5, 1.0), ("push", 0.5, 1.5), ("hold", 0.0, 3.0)):
        numbers[name] = rng.uniform(low, high, (3, 8, 8, 8))
        LATTICE.atoms(getattr(bounds, name).reshape(LATTICE.field_shape))[...] = numbers[name]
    history = np.zeros((5, *LATTICE.field_shape))
    source = np.array([3, 4, 2])
    kernels.impulse(source, 1, bounds, DT, history)
    place = (1, *source)
    u, v = np.zeros((2, 3, 8, 8, 8))
    v[place] = numbers["push"][place] / numbers["keep"][place] / LATTICE.mass
    for step in range(4):
        v = (
            numbers["keep"] * v
            + numbers["push"] * DT * spring_forces(u, LATTICE.k1, LATTICE.k2)[0] / LATTICE.mass
            - numbers["hold"] * u
        )
        u = u + DT * v
        found = history[step + 1]
        assert np.abs(LATTICE.atoms(found) - u).max() < 1e-14 * np.abs(u).max() + 1e-18
        assert np.array_equal(found[..., 0], found[..., 8]) and np.array_equal(found[..., 9], found[..., 1])
        assert not found[..., 10:].any()


@pytest.mark.parametrize("by", [(1, 0, 0), (0, -2, 1), (-3, 1, 2), (9, 0, 0)])
def test_a_shifted_field(by):
    field, room = np.random.default_rng(7).normal(size=LATTICE.field_shape), LATTICE.field()
    old = LATTICE.atoms(field).copy()
    kernels.shift(field, room, by, 8)
    expected = np.zeros_like(old)
    for site in np.ndindex(8, 8, 8):
        source = np.array(site) + by
        if np.all((source >= 0) & (source < 8)):
            expected[(slice(None), *site)] = old[(slice(None), *source)]
    assert np.array_equal(LATTICE.atoms(field), expected)
