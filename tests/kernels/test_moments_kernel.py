"""Chebyshev moments of the infinite crystal against the polynomials of a dense matrix: those of a periodic one too small to notice."""

import numpy as np

from independent import spring_matrix
from mdlite.kernels import moments as kernels

SIZE, COUNT = 6, 4


def test_against_a_dense_matrix():
    k1, k2, mass = 520.0, 170.0, 3.5
    square = 4.0 * (k1 + 2.0 * k2) / mass  # above all frequencies
    matrix = spring_matrix((SIZE,) * 3, k1, k2) * 2.0 / (mass * square) - np.eye(3 * SIZE**3)
    channels = np.array([(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 0, 0, 1, 1), (1, 1, 0, 0, 1), (1, 1, 1, 1, 2), (0, 1, 1, 0, 0)])
    partial = np.empty((kernels.GROUPS, COUNT, len(channels)))
    kernels.chebyshev_moments(SIZE, 4.0 * k1 / (mass * square), 4.0 * k2 / (mass * square), channels, COUNT, partial)
    found = partial.sum(axis=0)
    for c, (x, y, z, a, b) in enumerate(channels):
        row = a * SIZE**3 + np.ravel_multi_index((x, y, z), (SIZE,) * 3)
        start = np.zeros(3 * SIZE**3)
        start[b * SIZE**3] = 1.0
        before, now = matrix @ start, start
        for n in range(COUNT):
            assert abs(found[n, c] - now[row]) < 1e-14
            before, now = now, 2.0 * matrix @ now - before
