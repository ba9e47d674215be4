"""A crystal's description: checks, larger cells, partners."""

import numpy as np
import pytest

import made_up
from mdlite.crystals import dynamics
from mdlite.crystals.crystal import check_atoms, checked_cell, crystal, divided, images
from mdlite.errors import InputError

ZERO = np.zeros((1, 3), int)


def test_blocks_in_any_order_and_in_parts_make_the_same_crystal():
    whole = made_up.triclinic()
    order = np.random.default_rng(0).permutation(len(whole.blocks))
    twice = np.concatenate([order, order])
    again = crystal(
        whole.cell,
        whole.positions,
        whole.masses,
        whole.species,
        whole.first[twice],
        whole.second[twice],
        whole.cells[twice],
        0.5 * whole.blocks[twice],
    )
    for name in ("first", "second", "cells"):
        assert np.array_equal(getattr(whole, name), getattr(again, name))
    assert np.abs(whole.blocks - again.blocks).max() < 1e-12 * np.abs(whole.blocks).max()


@pytest.mark.parametrize(
    "matrix", [[[2, 0, 0], [0, 1, 0], [0, 0, 3]], [[0, 1, 1], [1, 0, 1], [1, 1, 0]], [[1, -1, 0], [1, 2, 1], [-1, 0, 2]]]
)
def test_a_larger_cell_has_the_same_vibrations(matrix):
    small = made_up.triclinic()
    large = small.supercell(matrix)
    count = round(np.linalg.det(matrix))
    assert large.n_basis == count * small.n_basis
    assert large.volume == pytest.approx(count * small.volume, rel=1e-13)
    q = np.array([0.13, -0.21, 0.37])
    ours = np.concatenate(
        [dynamics.squares(small, np.linalg.solve(np.array(matrix, float), q + k)) for k in images(np.array(matrix).T)]
    )
    assert dynamics.squares(large, q) == pytest.approx(np.sort(ours), abs=1e-10 * ours.max())
    assert large.neighbours[:3].tolist() == small.neighbours.tolist()


def test_cells_are_divided_in_whole_numbers():
    matrix = np.array([[1, -1, 0], [1, 2, 1], [-1, 0, 2]])
    inner = images(matrix)
    assert len(inner) == round(np.linalg.det(matrix)) == len(set(map(tuple, inner.tolist())))
    cells = np.random.default_rng(1).integers(-50, 50, (200, 3))
    outer, rest = divided(cells, matrix)
    assert np.array_equal(outer @ matrix + rest, cells)
    assert {*map(tuple, rest.tolist())} == {*map(tuple, inner.tolist())}


def test_sites_and_vectors_are_in_the_same_frame():
    found = made_up.triclinic()
    row = 17
    apart = found.sites([*found.cells[row], found.second[row]]) - found.sites([0, 0, 0, found.first[row]])
    assert found.vectors[row] == pytest.approx(apart)
    assert found.reach < 4.0


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ([[1, 0, 0], [0, 1, 0]], "three vectors"),
        ([[3, 0, 0], [0, 3, 0], [3, 3, 0]], "is flat"),
        ([[0, 3, 0], [3, 0, 0], [0, 0, 3]], "is left-handed"),
        ([[3, 0, 0], [0, float("nan"), 0], [0, 0, 3]], "finite numbers"),
    ],
)
def test_a_cell_that_is_none(cell, told):
    with pytest.raises(InputError, match=told):
        checked_cell(cell)


def test_atoms_on_top_of_each_other_across_the_cell():
    with pytest.raises(InputError, match=r"atoms 0 \(Li\) and 1 \(O\) are 0\.06 Angstrom apart"):
        check_atoms(3.0 * np.eye(3), np.array([[0.01, 0.0, 0.0], [0.99, 0.0, 0.0]]), ["Li", "O"])
    check_atoms(3.0 * np.eye(3), np.zeros((1, 3)), ["Li"])


def test_masses_and_matrices_that_are_none():
    with pytest.raises(InputError, match="masses"):
        crystal(3.0 * np.eye(3), np.zeros((1, 3)), [-1.0], ["Li"], [0], [0], ZERO, np.zeros((1, 3, 3)))
    for matrix, told in (([[1, 0, 0], [0, 1, 0], [0, 0, 0.5]], "whole numbers"), (-np.eye(3), "positive determinant")):
        with pytest.raises(InputError, match=told):
            made_up.triclinic().supercell(matrix)


def test_a_pair_with_a_block_from_one_side():
    one_sided = crystal(3.0 * np.eye(3), np.zeros((1, 3)), [1.0], ["Li"], [0], [0], [[1, 0, 0]], np.ones((1, 3, 3)))
    with pytest.raises(InputError, match="both ways"):
        _ = one_sided.partner
