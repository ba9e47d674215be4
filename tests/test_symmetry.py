"""The cubic crystal's symmetries, against sums over all 48 operations written out here."""

import itertools

import numpy as np
import pytest

from mdlite.engines import patch_edge
from mdlite.physics import response, symmetry
from mdlite.physics.model import Lattice

OPERATIONS = [
    np.diag(signs) @ np.eye(3, dtype=int)[list(order)]
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
VECTORS = np.array([[0, 0, 0], [1, 0, 0], [2, 2, 0], [3, 1, 1], [2, 2, 2], [3, 2, 1]])


def tensor(d):
    """Any symmetric tensor with the crystal's symmetry: of the operations that keep d, the mean."""
    rng = np.random.default_rng([7, *np.abs(d)])
    some = rng.normal(size=(3, 3))
    kept = [operation for operation in OPERATIONS if np.array_equal(operation @ d, d)]
    return sum(operation @ (some + some.T) @ operation.T for operation in kept) / len(kept)


def test_there_are_48():
    assert len({operation.tobytes() for operation in OPERATIONS}) == 48


@pytest.mark.parametrize("d", VECTORS, ids=str)
def test_tensors_follow_the_canonical_one(d):
    images = np.array([operation @ d for operation in OPERATIONS])
    assert np.array_equal(symmetry.canonical(images), np.tile(d, (48, 1)))
    expected = np.array([operation @ tensor(d) @ operation.T for operation in OPERATIONS])
    assert np.allclose(symmetry.from_canonical(np.tile(tensor(d), (48, 1, 1)), images), expected, atol=1e-14)
    two = np.stack([expected * 0 + tensor(d), expected * 0 + 2.0 * tensor(d)], axis=1)
    assert np.allclose(symmetry.from_canonical(two, images)[:, 1], 2.0 * expected, atol=1e-14)


@pytest.mark.parametrize("d", VECTORS, ids=str)
def test_components_that_vanish_or_are_equal(d):
    for (a, b), value in zip(symmetry.COMPONENTS, symmetry.components(tensor(d))):
        assert symmetry.vanishes(d, a, b) == (abs(value) < 1e-12)
        first = symmetry.representative(d, a, b)
        assert tensor(d)[first] == pytest.approx(value, abs=1e-13) and first <= (a, b)


def test_components_and_back():
    tensors = np.array([tensor(d) for d in VECTORS])
    assert np.array_equal(symmetry.matrices(symmetry.components(tensors)), tensors)
    assert symmetry.matrices(1j * symmetry.components(tensors)).dtype == complex


def test_a_field_turned_is_the_field_of_the_turned_place():
    """Every atom of a cube carries a vector that depends on its place; the operation turns both."""
    place = np.stack(np.meshgrid(*[np.arange(4) - 1.5] * 3, indexing="ij"))

    def vectors(at):
        return np.stack([at[0] + at[1] ** 2, at[2] * at[0], 3.0 * at[1] - at[2] ** 3])

    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            operation = np.diag(signs) @ np.eye(3)[list(order)]
            before = np.einsum("ji,jxyz->ixyz", operation, place)
            expected = np.einsum("ij,jxyz->ixyz", operation, vectors(before))
            assert np.allclose(symmetry.turned(vectors(place), order, signs), expected)


def test_classes_of_a_patch_are_its_orbits():
    """Components of atoms have one class where an operation takes one to the other, and only there."""
    size = 4
    where, _ = patch_edge.classes(size)
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            assert np.array_equal(np.abs(symmetry.turned(where.astype(float), order, signs)), where)
    seen = np.zeros((3, size, size, size), int) - 1
    for n, start in enumerate(np.ndindex(3, size, size, size)):
        if seen[start] < 0:
            unit = np.zeros((3, size, size, size))
            unit[start] = 1.0
            for order in itertools.permutations(range(3)):
                for signs in itertools.product((1, -1), repeat=3):
                    seen[symmetry.turned(unit, order, signs) != 0.0] = n
    assert len(np.unique(seen)) == where.max() + 1


def test_the_inverse_by_cofactors():
    matrix = np.array([tensor(d) + 9.0 * np.eye(3) for d in VECTORS])
    assert np.allclose(symmetry.matrices(response._inverse(matrix)), np.linalg.inv(matrix), rtol=1e-13)
    recoil = response.static_recoil(Lattice(), [[1, -2, 0], [0, 2, 1]])
    assert recoil[0, 0, 1] == -recoil[1, 1, 2] and recoil[0, 2, 2] == recoil[1, 0, 0]
