"""Space groups, their operations, and which of them force constants keep."""

import numpy as np
import pytest

from mdlite import InputError
from mdlite.crystals import dynamics, library, symmetry
from mdlite.crystals.springs import from_springs

A = 5.0
FCC = 0.5 * A * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
HEXAGONAL = np.array([[3.1, 0.0, 0.0], [-1.55, 1.55 * np.sqrt(3.0), 0.0], [0.0, 0.0, 5.0]])
QUARTER = [[0, 0, 0], [0.25, 0.25, 0.25]]
WURTZITE = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.381], [2 / 3, 1 / 3, 0.881]]
PLACES = np.random.default_rng(5).random((3, 3))

KNOWN = {
    "simple cubic": (np.eye(3) * A, [[0, 0, 0]], ["X"], "Pm-3m", 221, 48),
    "fcc": (FCC, [[0.1, 0.2, 0.3]], ["Cu"], "Fm-3m", 225, 48),
    "diamond": (FCC, QUARTER, ["Si", "Si"], "Fd-3m", 227, 48),
    "zincblende": (FCC, QUARTER, ["Zn", "S"], "F-43m", 216, 24),
    "fluorite": (FCC, [*QUARTER, [0.75, 0.75, 0.75]], ["Ca", "F", "F"], "Fm-3m", 225, 48),
    "rock salt": (FCC, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Na", "Cl"], "Fm-3m", 225, 48),
    "CsCl": (np.eye(3) * A, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Cs", "Cl"], "Pm-3m", 221, 48),
    "bcc in a cube": (np.eye(3) * A, [[0, 0, 0], [0.5, 0.5, 0.5]], ["Fe", "Fe"], "Im-3m", 229, 96),
    "hcp": (HEXAGONAL, [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]], ["Mg", "Mg"], "P6_3/mmc", 194, 24),
    "wurtzite": (HEXAGONAL, WURTZITE, ["Al", "Al", "N", "N"], "P6_3mc", 186, 12),
    "triclinic": (np.array([[3.0, 0.1, 0.2], [0.3, 4.0, 0.5], [0.2, 0.7, 5.0]]), PLACES, ["A", "B", "C"], "P1", 1, 1),
}


@pytest.mark.parametrize("name", KNOWN)
def test_space_groups(name):
    cell, positions, species, symbol, number, order = KNOWN[name]
    found = symmetry.of_atoms(cell, positions, species)
    assert (found.symbol, found.number, len(found.rotations)) == (symbol, number, order)
    assert np.array_equal(found.rotations[0], np.eye(3)) and np.allclose(found.translations[0], 0.0)
    assert found.atoms[0].tolist() == list(range(len(species))) and not found.shifts[0].any()
    places = np.array(positions, float)
    for turn, own, move, atoms, shifts in zip(found.rotations, found.cartesian, found.translations, found.atoms, found.shifts):
        assert [species[n] for n in atoms] == list(species) and sorted(atoms) == list(range(len(species)))
        np.testing.assert_allclose(places @ turn.T + move, places[atoms] + shifts, atol=1e-4)
        np.testing.assert_allclose(own @ own.T, np.eye(3), atol=1e-14)
        np.testing.assert_allclose(np.array(cell).T @ turn, own @ np.array(cell).T, atol=1e-12)
    products = {(a @ b).tobytes() for a in found.rotations for b in found.rotations}
    assert products == {turn.tobytes() for turn in found.rotations}


def test_species_and_masses_tell_atoms_apart():
    assert symmetry.of_atoms(FCC, QUARTER, ["Si", "Si"], [1.0, 1.0]).number == 227
    assert symmetry.of_atoms(FCC, QUARTER, ["Si", "Si"], [1.0, 1.1]).number == 216
    assert symmetry.of_atoms(FCC, QUARTER, ["Si1", "Si2"]).number == 216


def test_the_tolerance_is_in_angstrom():
    cell = np.diag([3.0, 3.0, 3.01])
    assert symmetry.of_atoms(cell, [[0, 0, 0]], ["X"]).number == 123
    assert symmetry.of_atoms(cell, [[0, 0, 0]], ["X"], tolerance=0.05).number == 221


def test_pairs_keep_their_distance():
    crystal = from_springs(**library.read("silicon"))
    found = symmetry.of_crystal(crystal)
    first, second, cells = symmetry.images(found, crystal.first, crystal.second, crystal.cells)
    moved = (cells + crystal.positions[second] - crystal.positions[first]) @ crystal.cell
    np.testing.assert_allclose(moved, np.einsum("gij,bj->gbi", found.cartesian, crystal.vectors), atol=1e-12)


@pytest.mark.parametrize("name", library.names())
def test_frequencies_have_the_symmetry_of_the_crystal(name):
    crystal = from_springs(**library.read(name))
    found = symmetry.of_crystal(crystal, 1e-12)
    assert len(found.rotations) == 48
    q = np.random.default_rng(3).random((4, 3))
    plain = dynamics.frequencies(crystal, q)
    for turn in found.rotations:  # q · W⁻¹ n for q · n
        np.testing.assert_allclose(dynamics.frequencies(crystal, q @ np.linalg.inv(turn)), plain, rtol=1e-9)


def test_force_constants_may_have_less_symmetry_than_the_atoms():
    crystal = from_springs(**library.read("copper"))
    blocks = crystal.blocks.copy()
    along = np.abs(crystal.vectors[:, 2]) < 1e-9  # bonds in the plane across z
    blocks[along] *= 1.001
    found = symmetry.of_crystal(crystal.with_blocks(blocks))
    assert len(found.rotations) == 16 and found.symbol == "Fm-3m"
    assert len(symmetry.of_crystal(crystal.with_blocks(blocks), 0.01).rotations) == 48
    assert np.allclose(np.abs(found.cartesian[:, 2, 2]), 1.0)


def test_pairs_that_are_missing_break_the_symmetry():
    crystal = from_springs(**library.read("copper"))
    shell = np.abs(np.linalg.norm(crystal.vectors, axis=1) - 3.615) < 1e-6
    kept = ~(shell & (np.abs(crystal.vectors[:, 0]) > 1.0))
    less = type(crystal)(*(getattr(crystal, n) for n in ("cell", "positions", "masses", "species")), *(getattr(crystal, n)[kept] for n in ("first", "second", "cells", "blocks")))  # fmt: skip
    assert len(symmetry.of_crystal(less).rotations) == 16


def test_a_supercell_keeps_the_translations():
    crystal = from_springs(**library.read("copper")).supercell(2 * np.eye(3, dtype=int))
    assert len(symmetry.of_crystal(crystal).rotations) == 48 * 8


@pytest.mark.parametrize(
    "cell, positions, species, right",
    [
        (np.diag([3.0, 3.0, -3.0]), [[0, 0, 0]], ["X"], "left-handed"),
        (np.ones((3, 3)), [[0, 0, 0]], ["X"], "is flat"),
        (3.0 * np.eye(3), [[0, 0, 0], [0.01, 0, 0]], ["X", "X"], "on top of each other"),
        (3.0 * np.eye(3), [[0, 0, 0]], ["X", "X"], "2 species for 1 positions"),
    ],
)
def test_what_is_refused(cell, positions, species, right):
    with pytest.raises(InputError, match=right):
        symmetry.of_atoms(cell, positions, species)


def test_a_tolerance_that_makes_no_sense():
    with pytest.raises(InputError, match="its symmetry cannot be found to 40 Angstrom"):
        symmetry.of_atoms(FCC, QUARTER, ["Zn", "S"], tolerance=40.0)
