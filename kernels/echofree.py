"""The lattice without its echo: only atoms that the ion's sound has reached, and from which it can still return before the end, are moved.

They fill a polyhedron around the box of all atoms that the ion has touched. With x, y, z the distances beyond that box in sites, in descending
order, an atom belongs to it where x <= r_1, x + y <= r_2 and x + y + z <= r_3: no wave front is outside of its tangent planes across
<100>, <110> and <111>, which move with the longitudinal phase velocities there.
"""

import numpy as np
from numba import prange

from mdlite.kernels.coupling import cell_of
from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.reference import interact, push_ion
from mdlite.kernels.springs import Row, constants, kick_drift_row
from mdlite.kernels.types import LatticeState


@scalar
def beyond(n, low, high):
    """Distance of index n from the interval low .. high."""
    return max(low - n, n - high, 0)


@parallel
def kick_drift_region(u, v, u_next, springs, dt, core, radii, mirror):
    """`springs.kick_drift` for the atoms of the polyhedron with ``radii`` (r_1, r_2, r_3) around ``core``, int64 (2, 3): its two corners.

    mirror: bool (2,), whether the planes x and y through the core are mirrors; the atoms below one are not moved, see `reflect`.
    Contract: the polyhedron, and one site more, must lie within the arrays; what is outside is left as it is.
    """
    stiffness = constants(springs, dt / springs.mass)
    r1, r2, r3 = radii[0], radii[1], radii[2]
    reach = int(r1)
    low, high = core[0], core[1]
    start = low[0] - (0 if mirror[0] else reach)
    planes = high[0] + reach + 1 - start
    for p in prange(planes):
        i = start + (2 * p if 2 * p < planes else 2 * (p - (planes + 1) // 2) + 1)  # large and small planes for every thread
        x = beyond(i, low[0], high[0])
        for j in range(low[1] - (0 if mirror[1] else reach), high[1] + reach + 1):
            y = beyond(j, low[1], high[1])
            depth = min(r1, r2 - max(x, y), r3 - x - y)
            if x + y > r2 or depth < 0.0:
                continue
            first, last = low[2] - int(depth) + 1, high[2] + int(depth) + 1
            kick_drift_row(u, v, u_next, Row(i, i - 1, i + 1, j, j - 1, j + 1), first, last, stiffness, dt)


@scalar
def reflect(u, core, radii, mirror):
    """Fill the plane before a mirror with the image of the one behind it, over the polyhedron and one site more."""
    reach = int(radii[0]) + 1
    first, last = core[0, 2] - reach + 1, core[1, 2] + reach + 2
    if mirror[1]:
        j = core[0, 1]
        for i in range(core[0, 0] - (0 if mirror[0] else reach), core[1, 0] + reach + 1):
            for c in range(3):
                sign = -1.0 if c == 1 else 1.0
                for k in range(first, last):
                    u[c, i, j - 1, k] = sign * u[c, i, j + 1, k]
    if mirror[0]:
        i = core[0, 0]
        for j in range(core[0, 1] - (1 if mirror[1] else reach), core[1, 1] + reach + 1):
            for c in range(3):
                sign = -1.0 if c == 0 else 1.0
                for k in range(first, last):
                    u[c, i - 1, j, k] = sign * u[c, i + 1, j, k]


@scalar
def widen(coupling, position, core):
    """Make the core hold all candidates of an ion at ``position``."""
    cell = cell_of(coupling, position)
    for n in range(coupling.offsets.shape[0]):
        for c in range(3):
            index = cell[c] + coupling.offsets[n, c]
            core[0, c] = min(core[0, c], index)
            core[1, c] = max(core[1, c], index)


@scalar
def fits(coupling, core, radii, mirror):
    """Whether the polyhedron and one site more lie within the arrays."""
    reach = int(radii[0]) + 1
    for c in range(3):
        below = 1 if c < 2 and mirror[c] else reach
        if core[0, c] < below or core[1, c] + reach >= coupling.size[c]:
            return False
    return True


@scalar
def advance(lattice, u_next, springs, coupling, ion, dt, steps, region, frames):
    """As `reference.advance`, with the lattice moved inside a polyhedron only; its core follows the ion.

    region = (core, radii of every step of the run (all steps, 3), mirror), see `kick_drift_region`. Returns False, with the rest of the steps
    not taken, once the polyhedron no longer fits into the arrays.
    """
    core, radii, mirror = region
    here, there = lattice, LatticeState(u_next, lattice.v)
    first, count, sampling = steps
    rows = np.int64(0)
    for step in range(first, first + count):
        rows = interact(here, springs, coupling, ion, dt, 0.5 * dt, step % sampling == 0, frames, rows)
        widen(coupling, ion.position, core)
        if not fits(coupling, core, radii[step], mirror):
            return False
        kick_drift_region(here.u, here.v, there.u, springs, dt, core, radii[step], mirror)
        reflect(there.u, core, radii[step], mirror)
        push_ion(ion, dt, dt)
        here, there = there, here
    return True
