"""Crystals that nobody has, for tests: central springs between all atoms near each other, written bond by bond."""

import itertools

import numpy as np

from mdlite.crystals.crystal import crystal


def bonds(cell, positions, radius, stiffness):
    """Every bond once: (κ, κ', n, unit vector, constant); the constant falls with the distance."""
    cell, positions = np.asarray(cell, float), np.asarray(positions, float)
    reach = (
        int(np.ceil(radius / np.min(np.abs(np.linalg.det(cell)) / np.linalg.norm(np.cross(cell, np.roll(cell, 1, 0)), axis=1))))
        + 1
    )
    for n in itertools.product(range(-reach, reach + 1), repeat=3):
        for i, j in itertools.product(range(len(positions)), repeat=2):
            if (i, j, n) < (j, i, tuple(-x for x in n)):
                x = (np.array(n) + positions[j] - positions[i]) @ cell
                d = np.linalg.norm(x)
                if d < radius:
                    yield i, j, n, x / d, stiffness * (2.0 / d) ** 3


def springs(cell, positions, masses, radius=4.0, stiffness=900.0, species=None):
    """The crystal of these bonds."""
    rows = []
    for i, j, n, along, k in bonds(cell, positions, radius, stiffness):
        block = k * np.outer(along, along)
        back = tuple(-x for x in n)
        rows += [(i, j, n, -block), (j, i, back, -block), (i, i, (0, 0, 0), block), (j, j, (0, 0, 0), block)]
    first, second, cells, blocks = map(np.array, zip(*rows))
    return crystal(cell, positions, masses, species or ["Li", "O", "P", "Si"][: len(masses)], first, second, cells, blocks)


TRICLINIC = [[3.1, 0.2, -0.1], [0.5, 3.4, 0.3], [-0.7, 0.4, 4.2]]
PLACES = [[0.02, 0.05, 0.0], [0.46, 0.55, 0.31], [0.1, 0.6, 0.68]]
MASSES = [0.7, 1.7, 3.2]


def triclinic():
    """Three atoms a cell, without any symmetry."""
    return springs(TRICLINIC, PLACES, MASSES)


def hessian(found, size):
    """V of a periodic box of ``size`` cells, dense, atoms in the order (n1, n2, n3, κ): a loop over blocks."""
    p, size = found.n_basis, np.array(size)
    count = int(np.prod(size)) * p
    matrix = np.zeros((count, 3, count, 3))
    for cell in itertools.product(*map(range, size)):
        for i, j, n, block in zip(found.first, found.second, found.cells, found.blocks):
            a = np.ravel_multi_index(cell, size) * p + i
            b = np.ravel_multi_index((np.array(cell) + n) % size, size) * p + j
            matrix[a, :, b, :] += block
    return matrix.reshape(3 * count, 3 * count)
