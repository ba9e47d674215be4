"""Snapshots of the framework: synchronous positions and velocities of many atoms in the order of a file, and the bytes in that of a compressor."""

import numpy as np
from numba import prange

from mdlite.kernels.coupling import cell_of, coupled_forces, wrapped
from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.springs import Row, constants, neighbours, spring_force


@parallel
def free_atoms(u, v, springs, half_kick, spacing, low, position, velocity):
    """Positions (Å) and velocities (Å/ps) of a block of atoms, (bx, by, bz, 3) of any float type, its first corner at site ``low`` (3,).

    v is taken to the step of u, v + half_kick F(u)/m; the ion's pull is not in it (`pulled_atoms`). ``velocity`` may be of no length: left out.
    Contract: only position and velocity are written. Sites are not wrapped.
    """
    bx, by, bz = position.shape[:3]
    nz = springs.length
    whole = bz == nz and low[2] == 0
    stiffness = constants(springs, half_kick / springs.mass)
    for a in prange(bx):
        i = (low[0] + a) % u.shape[1]
        im, ip = neighbours(i, u.shape[1])
        row = np.empty((3, bz))  # of velocities: three loops that vectorise, or copy, are faster than one that does neither
        for b in range(by):
            j = (low[1] + b) % u.shape[2]
            jm, jp = neighbours(j, u.shape[2])
            place = Row(i, im, ip, j, jm, jp)
            for c in range(bz):
                k = c + 1 if whole else (low[2] + c) % nz + 1
                position[a, b, c, 0] = (low[0] + a) * spacing + u[0, i, j, k]
                position[a, b, c, 1] = (low[1] + b) * spacing + u[1, i, j, k]
                position[a, b, c, 2] = (low[2] + c) * spacing + u[2, i, j, k]
            if velocity.shape[0] == 0:
                continue
            if whole:
                for k in range(1, nz + 1):
                    dvx, dvy, dvz = spring_force(u, place, k, stiffness)
                    row[0, k - 1], row[1, k - 1], row[2, k - 1] = v[0, i, j, k] + dvx, v[1, i, j, k] + dvy, v[2, i, j, k] + dvz
            else:
                for c in range(bz):
                    k = (low[2] + c) % nz + 1
                    dvx, dvy, dvz = spring_force(u, place, k, stiffness)
                    row[0, c], row[1, c], row[2, c] = v[0, i, j, k] + dvx, v[1, i, j, k] + dvy, v[2, i, j, k] + dvz
            for c in range(bz):
                velocity[a, b, c, 0], velocity[a, b, c, 1], velocity[a, b, c, 2] = row[0, c], row[1, c], row[2, c]


@scalar
def pulled_atoms(coupling, lattice, springs, ion, half_kick, low, velocity):
    """Velocities of `free_atoms` again for the atoms that the ion pulls, with its pull. Contract: only ``velocity`` and ion's forces are written."""
    u, v = lattice.u, lattice.v
    nx, ny, nz = u.shape[1], u.shape[2], springs.length
    stiffness = constants(springs, half_kick / springs.mass)
    coupled_forces(coupling, u, ion, None, None)
    cell = cell_of(coupling, ion.position)
    for n in range(coupling.offsets.shape[0]):
        i, j, k = wrapped(coupling, cell, n)
        a, b, c = (i - low[0]) % nx, (j - low[1]) % ny, (k - 1 - low[2]) % nz
        if a < velocity.shape[0] and b < velocity.shape[1] and c < velocity.shape[2]:
            im, ip = neighbours(i, nx)
            jm, jp = neighbours(j, ny)
            place = Row(i, im, ip, j, jm, jp)
            dvx, dvy, dvz = spring_force(u, place, k, stiffness)
            velocity[a, b, c, 0] = v[0, i, j, k] + dvx + half_kick * ion.atom_force[n, 0] / springs.mass
            velocity[a, b, c, 1] = v[1, i, j, k] + dvy + half_kick * ion.atom_force[n, 1] / springs.mass
            velocity[a, b, c, 2] = v[2, i, j, k] + dvz + half_kick * ion.atom_force[n, 2] / springs.mass


@parallel
def shuffle(numbers, planes):
    """Bytes of n unsigned integers, the lowest first, one plane of n for each place, planes uint8 (width, n): what HDF5's filter does."""
    blocks = 64
    for block in prange(blocks):
        first, last = block * numbers.shape[0] // blocks, (block + 1) * numbers.shape[0] // blocks
        for w in range(planes.shape[0]):
            for n in range(first, last):
                planes[w, n] = (numbers[n] >> (8 * w)) & 255
