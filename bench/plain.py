"""The yardstick: the lattice step as one would write it first, a single pass between two arrays that the compiler vectorises by itself."""

from numba import prange

from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.springs import Row, constants, kick_drift_row, neighbours


@parallel
def _pass(u, v, u_next, springs, dt):
    stiffness = constants(springs, dt / springs.mass)
    for i in prange(u.shape[1]):
        im, ip = neighbours(i, u.shape[1])
        for j in range(u.shape[2]):
            jm, jp = neighbours(j, u.shape[2])
            kick_drift_row(u, v, u_next, Row(i, im, ip, j, jm, jp), 1, springs.length, stiffness, dt)
            for c in range(3):
                u_next[c, i, j, 0] = u_next[c, i, j, springs.length]
                u_next[c, i, j, springs.length + 1] = u_next[c, i, j, 1]


@scalar
def advance(u, v, u_next, springs, dt, pairs):
    """Twice as many steps as ``pairs``, of dt (ps), in leap-frog form; the result stands in u."""
    for _ in range(pairs):
        _pass(u, v, u_next, springs, dt)
        _pass(u_next, v, u, springs, dt)
