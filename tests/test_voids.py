"""Voids of textbook structures, whose places and radii are known, and of cells without symmetry against a search on a grid."""

import numpy as np
import pytest

from made_up import TRICLINIC
from mdlite.crystals import voids
from mdlite.crystals.crystal import crystal
from mdlite.errors import InputError
from mdlite.physics.model import Lattice

FCC = 0.5 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
BCC = 0.5 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
HEXAGONAL = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, np.sqrt(8 / 3)]])


def bare(cell, positions):
    """Atoms without springs."""
    p = len(positions)
    return crystal(cell, positions, [1.0] * p, ["X"] * p, range(p), range(p), np.zeros((p, 3)), np.zeros((p, 3, 3)))


STRUCTURES = {
    "silicon, tetrahedral": (5.43 * FCC, [[0, 0, 0], [0.25] * 3], [0.5] * 3, np.sqrt(3) / 4 * 5.43, 4, 2),
    "fcc, octahedral": (4.05 * FCC, [[0, 0, 0]], [0.5] * 3, 4.05 / 2, 6, 1),
    "bcc, tetrahedral": (3.2 * BCC, [[0, 0, 0]], None, np.sqrt(5) / 4 * 3.2, 4, 6),
    "simple cubic": (3.0 * np.eye(3), [[0, 0, 0]], [0.5] * 3, np.sqrt(3) / 2 * 3.0, 8, 1),
    "hcp, octahedral": (3.2 * HEXAGONAL, [[1 / 3, 2 / 3, 1 / 4], [2 / 3, 1 / 3, 3 / 4]], [0, 0, 0], 3.2 / np.sqrt(2), 6, 2),
    "rock salt": (5.6 * FCC, [[0, 0, 0], [0.5] * 3], [0.25] * 3, np.sqrt(3) / 4 * 5.6, 8, 2),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_largest_voids_of_textbook_structures(name):
    cell, positions, position, radius, neighbours, count = STRUCTURES[name]
    of = bare(cell, positions)
    found = voids.voids(of)
    assert found[0].radius == pytest.approx(radius, abs=1e-10)
    assert len(found[0].neighbours) == neighbours
    assert sum(abs(void.radius - radius) < 1e-6 for void in found) == count
    assert np.all(np.diff([void.radius for void in found]) < 1e-6)
    if position is not None:
        assert found[0].position == pytest.approx(position, abs=1e-9)
    for void in found:
        assert void.place == pytest.approx(void.position @ of.cell)
        assert np.linalg.norm(of.sites(void.neighbours) - void.place, axis=1) == pytest.approx(void.radius, abs=1e-9)


def test_all_voids_of_fcc_and_silicon():
    """fcc: two tetrahedral ones beside the octahedral one; silicon: four hexagonal ones, 11^½/8 a, beside the tetrahedral ones."""
    found = voids.voids(bare(4.0 * FCC, [[0, 0, 0]]))
    assert [len(v.neighbours) for v in found] == [6, 4, 4] and found[1].radius == pytest.approx(np.sqrt(3))
    assert found[1].position == pytest.approx([0.25] * 3) and found[2].position == pytest.approx([0.75] * 3)
    found = voids.voids(bare(8.0 * FCC, [[0, 0, 0], [0.25] * 3]))
    assert [len(v.neighbours) for v in found] == [4, 4, 6, 6, 6, 6] and found[2].radius == pytest.approx(np.sqrt(11))


def test_silicon_has_six_more_neighbours_at_half_the_lattice_constant():
    of = bare(5.43 * FCC, [[0, 0, 0], [0.25] * 3])
    sites, distance = voids.near(of, voids.largest_void(of).place, 2.8)
    assert distance == pytest.approx([np.sqrt(3) / 4 * 5.43] * 4 + [5.43 / 2] * 6)
    assert np.linalg.norm(of.sites(sites) - voids.largest_void(of).place, axis=1) == pytest.approx(distance)


@pytest.mark.parametrize(
    "positions", ([[0, 0, 0]], [[0.1, 0.2, 0.3], [0.6, 0.65, 0.55]], [[0.9, 0.1, 0.0], [0.4, 0.4, 0.1], [0.3, 0.8, 0.6]])
)
def test_no_place_of_a_fine_grid_is_farther_from_all_atoms(positions):
    of = bare(TRICLINIC, positions)
    n = 24
    share = np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    steps = np.stack(np.meshgrid(*[[-2, -1, 0, 1, 2]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.full(len(share), np.inf)
    for step in steps:
        for position in of.positions:
            nearest = np.minimum(nearest, np.linalg.norm((share - position - step) @ of.cell, axis=1))
    mesh = 0.5 * np.linalg.norm(of.cell, axis=1).sum() / n  # how far a place may be from the grid
    assert nearest.max() <= voids.largest_void(of).radius <= nearest.max() + mesh


def test_a_crystal_described_by_a_skewed_or_larger_cell_has_the_same_voids():
    of = bare(5.43 * FCC, [[0, 0, 0], [0.25] * 3])
    skewed = np.array([[1, 0, 0], [3, 1, 0], [-2, 4, 1]])
    other = bare(skewed @ of.cell, of.positions @ np.linalg.inv(skewed))
    radii = [void.radius for void in voids.voids(of)]
    assert [void.radius for void in voids.voids(other)] == pytest.approx(radii)
    larger = of.supercell([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    assert [void.radius for void in voids.voids(larger)] == pytest.approx(np.repeat(radii, 4))


def test_a_lattice_has_its_cube_centres():
    void = voids.largest_void(Lattice(spacing=3.0))
    assert void.place == pytest.approx([1.5] * 3) and len(void.neighbours) == 8


def test_near_by_brute_force():
    of = bare(TRICLINIC, [[0.1, 0.2, 0.3], [1.6, -0.65, 0.55]])  # an atom written in another cell
    place = np.array([7.3, -4.1, 2.2])
    sites, distance = voids.near(of, place, 5.5)
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, [0, 1], indexing="ij"), axis=-1).reshape(-1, 4)
    apart = np.linalg.norm(of.sites(grid) - place, axis=1)
    assert {tuple(site) for site in sites.tolist()} == {tuple(site) for site in grid[apart <= 5.5].tolist()}
    assert np.all(np.diff(distance) > -1e-6) and distance == pytest.approx(np.linalg.norm(of.sites(sites) - place, axis=1))
    with pytest.raises(InputError, match="radius = -1"):
        voids.near(of, place, -1.0)
