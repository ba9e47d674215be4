"""The polyhedron of moving atoms against its definition, and its atoms against the whole lattice."""

import numpy as np
import pytest

from independent import spring_forces
from mdlite.kernels import echofree as kernels
from mdlite.physics.model import Lattice

LATTICE = Lattice((13, 14, 15))
CORE = np.array([[6, 6, 6], [7, 6, 8]])
NONE = np.zeros(2, bool)


def distances():
    """Of every site from the core along x, y, z."""
    index = np.indices(LATTICE.size)
    low, high = CORE[0][:, None, None, None], CORE[1][:, None, None, None]
    return np.maximum(np.maximum(low - index, index - high), 0)


def fields():
    rng = np.random.default_rng(4)
    u, v, after = LATTICE.field(), LATTICE.field(), LATTICE.field()
    LATTICE.atoms(u)[...], LATTICE.atoms(v)[...] = 0.1 * rng.normal(size=(2, 3, *LATTICE.size))
    LATTICE.atoms(after)[...] = 7.0  # where nothing is written it stays
    return u, v, after


@pytest.mark.parametrize("radii", [(1.0, 1.0, 1.0), (4.0, 5.3, 6.1), (4.6, 9.0, 13.0), (3.0, 3.9, 4.2)])
def test_who_moves_and_how(radii):
    u, v, after = fields()
    before_u, before_v = LATTICE.atoms(u).copy(), LATTICE.atoms(v).copy()
    kernels.kick_drift_region(u, v, after, LATTICE.springs(), 0.005, CORE, np.array(radii), NONE)
    largest, middle, least = -np.sort(-distances(), axis=0)
    inside = (largest <= radii[0]) & (largest + middle <= radii[1]) & (largest + middle + least <= radii[2])
    force, _ = spring_forces(before_u, LATTICE.k1, LATTICE.k2)
    velocity = before_v + 0.005 * force / LATTICE.mass
    assert inside.any() and not inside.all()
    assert np.abs(LATTICE.atoms(v) - np.where(inside, velocity, before_v)).max() < 1e-13
    assert np.abs(LATTICE.atoms(after) - np.where(inside, before_u + 0.005 * velocity, 7.0)).max() < 1e-13


def test_a_mirror_shows_the_other_side():
    """A crystal that is symmetric about the planes x and y of the core stays so, and half of it is enough."""
    core, radii = np.array([[6, 6, 6], [6, 6, 8]]), np.array([4.0, 5.3, 6.1])
    u, v, after = fields()
    for field in (u, v):
        atoms = LATTICE.atoms(field)[:, :, :13]
        for axis in (0, 1):
            image = np.flip(atoms, axis=1 + axis).copy()
            image[axis] *= -1.0
            atoms += image
    other_v, other = v.copy(), after.copy()
    kernels.kick_drift_region(u, v, after, LATTICE.springs(), 0.005, core, radii, NONE)
    both = np.ones(2, bool)
    kernels.kick_drift_region(u, other_v, other, LATTICE.springs(), 0.005, core, radii, both)
    kernels.reflect(other, core, radii, both)
    half = (slice(None), slice(6, None), slice(6, None))
    assert np.abs(LATTICE.atoms(other)[half] - LATTICE.atoms(after)[half]).max() < 1e-14
    for plane in ((slice(None), 5, slice(6, 11)), (slice(None), slice(6, 11), 5)):  # the images of the planes beside the mirrors
        moved = LATTICE.atoms(after)[plane] != 7.0
        assert moved.any() and np.abs((LATTICE.atoms(other)[plane] - LATTICE.atoms(after)[plane])[moved]).max() < 1e-14
