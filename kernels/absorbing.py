"""The periodic lattice with a damped layer across its seam, in which sound dies instead of coming back."""

import numpy as np
from numba import prange

from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.reference import interact, push_ion
from mdlite.kernels.stencil import kick_drift
from mdlite.kernels.types import LatticeState


@parallel
def absorb(v, x, y, z):
    """v of atom (i, j, k) times x[i] y[j] z[k], factors that are 1 outside of the layer. Contract: v is updated in place."""
    for i in prange(v.shape[1]):
        for j in range(v.shape[2]):
            both = x[i] * y[j]
            for c in range(3):
                for k in range(z.shape[0]):
                    v[c, i, j, k + 1] *= both * z[k]


@scalar
def advance(lattice, u_next, springs, coupling, ion, dt, steps, layer, frames):
    """As `reference.advance`; layer = (x, y, z), the factors of one step for `absorb`."""
    here, there = lattice, LatticeState(u_next, lattice.v)
    first, count, sampling = steps
    x, y, z = layer
    rows = np.int64(0)
    for step in range(first, first + count):
        rows = interact(here, springs, coupling, ion, dt, 0.5 * dt, step % sampling == 0, frames, rows)
        absorb(here.v, x, y, z)
        kick_drift(here.u, here.v, there.u, springs, dt, dt)
        push_ion(ion, dt, dt)
        here, there = there, here
    return rows
