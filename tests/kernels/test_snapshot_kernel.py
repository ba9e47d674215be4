"""Snapshots against NumPy: the bytes for the compressor, and atoms in the order of a file."""

import numpy as np
import pytest

from mdlite.engines.reference import ReferenceEngine
from mdlite.kernels.snapshot import shuffle
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell


@pytest.mark.parametrize("count", [1, 63, 64, 1000])
@pytest.mark.parametrize("width", [4, 8])
def test_bytes(width, count):
    numbers = np.random.default_rng(1).integers(0, 2 ** (8 * width), count, dtype=f"<u{width}")
    planes = np.zeros((width, count), np.uint8)
    shuffle(numbers, planes)
    assert np.array_equal(planes, numbers.view(np.uint8).reshape(count, width).T)


@pytest.mark.parametrize("extent", [None, 1, 2])
def test_atoms_of_the_whole_crystal_and_of_a_block_across_its_seam(extent):
    lattice = Lattice((5, 4, 6))
    ion = Ion((0.7,) * 3, (-0.4, 11.8, 17.9), (1.0, 2.0, 3.0))
    model = Model(lattice, ion, Interaction(Potential("yukawa", (900.0, 0.5)), Shell(1)))
    rng = np.random.default_rng(2)
    start = [0.05 * rng.normal(size=(3, *lattice.size)), rng.normal(size=(3, *lattice.size))]
    engine = ReferenceEngine(model, 0.005, 1, False, *start, in_place=False)
    engine.advance(3)
    u, v, position, _ = engine.synchronous()
    found = engine.snapshot(extent, np.float64, True)
    if extent is None:
        sites = np.stack(np.meshgrid(*map(np.arange, lattice.size), indexing="ij"), axis=-1).reshape(-1, 3)
    else:
        block = np.stack(np.meshgrid(*[np.arange(1 - extent, extent + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        sites = np.floor(position / 3.0).astype(int) + block
    i, j, k = (sites % np.array(lattice.size)).T
    assert np.abs(found["lattice_position"][0] - 3.0 * sites - u[:, i, j, k].T).max() < 1e-13
    assert np.abs(found["lattice_velocity"][0] - v[:, i, j, k].T).max() < 1e-11
