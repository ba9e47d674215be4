"""Crystals made up for tests: longitudinal springs between all atoms within a radius, which keeps every sum rule whatever the cell."""

import itertools

import numpy as np

from mdlite.crystals.crystal import crystal

TRICLINIC = [[3.1, 0.2, -0.3], [0.6, 3.4, 0.1], [-0.4, 0.5, 3.8]]


def sprung(cell, positions, masses, radius, species=None, constant=400.0):
    """Springs of constant·exp(-(d - 2.5)), meV/Å², between atoms nearer than radius (Å)."""
    cell, positions = np.array(cell, float), np.array(positions, float)
    p, rows = len(positions), []
    reach = int(np.ceil(radius / np.abs(np.linalg.det(cell)) ** (1 / 3))) + 2
    own = np.zeros((p, 3, 3))
    for n in itertools.product(range(-reach, reach + 1), repeat=3):
        for i, j in itertools.product(range(p), repeat=2):
            d = (np.array(n) + positions[j] - positions[i]) @ cell
            length = np.linalg.norm(d)
            if 1e-6 < length < radius:
                block = constant * np.exp(2.5 - length) * np.outer(d, d) / length**2
                rows.append((i, j, n, -block))
                own[i] += block
    rows += [(i, i, (0, 0, 0), own[i]) for i in range(p)]
    first, second, cells, blocks = zip(*rows)
    names = species or [chr(ord("A") + n) for n in range(p)]
    return crystal(cell, positions, masses, names, first, second, cells, np.array(blocks))


def triclinic(radius=4.2):
    """Two atoms of different mass in a cell without any symmetry."""
    return sprung(TRICLINIC, [[0.0, 0.0, 0.0], [0.47, 0.55, 0.41]], [3.5, 1.2], radius)


def rock_salt(a=5.6, masses=(2.4, 3.7)):
    """Of springs to 6 unlike and 12 like neighbours."""
    half = 0.5 * a
    return sprung([[0, half, half], [half, 0, half], [half, half, 0]], [[0, 0, 0], [0.5] * 3], masses, 0.75 * a, ["Na", "Cl"])


def explicit(of, size):
    """M^-1/2 V M^-1/2 of a periodic box, with κ, component, n1, n2, n3 as one index: (3pN, 3pN), rad²/ps²."""
    p, shape = of.n_basis, (of.n_basis, 3, *size)
    matrix = np.zeros((np.prod(shape),) * 2)
    for n in itertools.product(*map(range, size)):
        for first, second, cell, block in zip(of.first, of.second, of.cells, of.blocks):
            other = tuple((np.array(n) + cell) % size)
            for a, b in itertools.product(range(3), repeat=2):
                row, column = (np.ravel_multi_index((k, c, *m), shape) for k, c, m in ((first, a, n), (second, b, other)))
                matrix[row, column] += block[a, b]
    root = np.sqrt(np.repeat(of.masses, matrix.shape[0] // p))
    return matrix / np.outer(root, root)
