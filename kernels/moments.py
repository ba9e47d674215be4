"""Chebyshev moments of the dynamical matrix: exact numbers of the infinite crystal from a finite sum over its Brillouin zone.

With X = 2D/Ω² - 1 (Ω: the highest frequency) the matrix T_n(X(q)) is a trigonometric polynomial of degree n in each component of θ = q a. Its
mean over the zone, times e^{iθ·d}, is therefore the plain mean over any grid of more than n + max|d| points a side. Any function of D, at
any pair of atoms, is a sum over these moments. The sum runs over one of the 48 equivalent wedges, θ_x ≥ θ_y ≥ θ_z ≥ 0.
"""

import math

import numpy as np
from numba import prange

from mdlite.kernels.jit import distinct, parallel, scalar
from mdlite.kernels.sums import dot

GROUPS = 64
PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@distinct
def recur(x, now, before):
    """before = 2 x now - before, for rows (6, L) of commuting symmetric matrices in the order xx, yy, zz, yz, xz, xy."""
    for k in range(x.shape[1]):
        a, b, c, d, e, f = x[0, k], x[1, k], x[2, k], x[3, k], x[4, k], x[5, k]
        p, q, r, s, t, u = now[0, k], now[1, k], now[2, k], now[3, k], now[4, k], now[5, k]
        before[0, k] = 2.0 * (a * p + f * u + e * t) - before[0, k]
        before[1, k] = 2.0 * (f * u + b * q + d * s) - before[1, k]
        before[2, k] = 2.0 * (e * t + d * s + c * r) - before[2, k]
        before[3, k] = 2.0 * (e * u + d * q + c * s) - before[3, k]
        before[4, k] = 2.0 * (a * t + f * s + e * r) - before[4, k]
        before[5, k] = 2.0 * (a * u + f * q + e * s) - before[5, k]


@scalar
def gather(matrix, factor, first, out):
    """out[c] += Σ_k Σ_i factor[c, i, k] matrix[first_c + i, k], i = 0, 1, 2."""
    for c in range(factor.shape[0]):
        row = first[c]
        out[c] += dot(factor[c, 0], matrix[row]) + dot(factor[c, 1], matrix[row + 1]) + dot(factor[c, 2], matrix[row + 2])


@scalar
def scaled_row(i, j, size, near, far, x):
    """X of the points (i, j, k), k = 0 .. j, of the grid with ``size`` points a side; near, far = 4 k1/(m Ω²), 4 k2/(m Ω²)."""
    step = 2.0 * math.pi / size
    cx, cy, sx, sy = math.cos(step * i), math.cos(step * j), math.sin(step * i), math.sin(step * j)
    for k in range(j + 1):
        cz, sz = math.cos(step * k), math.sin(step * k)
        x[0, k] = near * (1.0 - cx) + far * (2.0 - cx * cy - cx * cz) - 1.0
        x[1, k] = near * (1.0 - cy) + far * (2.0 - cy * cx - cy * cz) - 1.0
        x[2, k] = near * (1.0 - cz) + far * (2.0 - cz * cx - cz * cy) - 1.0
        x[3, k], x[4, k], x[5, k] = far * sy * sz, far * sx * sz, far * sx * sy


@scalar
def phase_row(i, j, size, channels, factor):
    """Weights with which the components of T at (i, j, k), k = 0 .. j, and at all its images enter each channel, factor (C, 3, L).

    A channel (d, a, b) is component ab at lattice vector d. At the image that permutation p makes, T_ab is T_{p(a)p(b)} here, and the
    reflections turn e^{iθ·d} into cosines, or, along a and b ≠ a, into -sin sin.
    """
    step = 2.0 * math.pi / size
    half = size // 2
    for k in range(j + 1):
        weight = 1.0 / size**3
        for n in (i, j, k):
            weight *= 1.0 if n == 0 or n == half else 2.0
        if i == j and j == k:
            weight /= 6.0
        elif i == j or j == k:
            weight /= 2.0
        theta = (step * i, step * j, step * k)
        for c in range(channels.shape[0]):
            a, b = channels[c, 3], channels[c, 4]
            for r in range(3):
                factor[c, r, k] = 0.0
            for p in PERMUTATIONS:
                value = weight
                for e in range(3):
                    angle = theta[p[e]] * channels[c, e]
                    value *= math.sin(angle) if a != b and (e in (a, b)) else math.cos(angle)
                row = p[a] if a == b else 3 - p[a] - p[b]  # yz, xz, xy by the index that they lack
                factor[c, row, k] += value if a == b else -value


@parallel
def chebyshev_moments(size, near, far, channels, count, partial):
    """Sums over a part of the zone each: partial (GROUPS, count, C) of [T_n]_ab e^{iθ·d}; their total over the groups is the moment.

    channels: int64 (C, 5), d_x, d_y, d_z, a, b with a <= b. size: even, above count + max|d|. Contract: partial is overwritten; which points
    a group sums does not depend on the threads, so neither do the bits.
    """
    for g in prange(partial.shape[0]):
        longest = size // 2 + 1
        n_channels = channels.shape[0]
        first = np.empty(n_channels, np.int64)
        for c in range(n_channels):
            first[c] = 0 if channels[c, 3] == channels[c, 4] else 3
            for n in range(count):
                partial[g, n, c] = 0.0
        for i in range(g, longest, partial.shape[0]):
            for j in range(i + 1):
                x, now, before = np.empty((6, j + 1)), np.empty((6, j + 1)), np.empty((6, j + 1))
                factor = np.empty((n_channels, 3, j + 1))
                scaled_row(i, j, size, near, far, x)
                phase_row(i, j, size, channels, factor)
                for k in range(j + 1):
                    for r in range(6):
                        now[r, k] = 1.0 if r < 3 else 0.0
                        before[r, k] = x[r, k]  # T_{-1} = T_1
                for n in range(count):
                    gather(now, factor, first, partial[g, n])
                    recur(x, now, before)
                    now, before = before, now
