"""The ion and the atoms near it: who takes part, and the forces between them.

The candidates of a `types.Coupling` are lattice indices, fixed (``sites``) or counted from the ion's cell floor(R/a) (``shell``,
``cutoff``). They are not wrapped, so every candidate is the image nearest to the ion; `wrapped` gives its place in the arrays.
"""

import math

from mdlite.kernels.jit import bare
from mdlite.kernels.potentials import switched


@bare
def cell_of(coupling, position):
    """Lattice indices that the offsets count from: the ion's cell floor(R/a), or the origin for fixed sites."""
    if not coupling.moving:
        return 0, 0, 0
    a = coupling.spacing
    return math.floor(position[0] / a), math.floor(position[1] / a), math.floor(position[2] / a)


@bare
def wrapped(coupling, cell, n):
    """Array indices (i, j, k) in `types.LatticeState` of candidate n of an ion in this cell."""
    place, size = coupling.places[n], coupling.size
    i, j, k = cell[0] % size[0] + place[0], cell[1] % size[1] + place[1], cell[2] % size[2] + place[2]
    return i - (size[0] if i >= size[0] else 0), j - (size[1] if j >= size[1] else 0), k + 1 - (size[2] if k >= size[2] else 0)


@bare
def pull(coupling, ion, n, dx, dy, dz):
    """Forces between the ion and candidate n at r - R = (dx, dy, dz): (φ, f_x, f_y, f_z on the ion, |φ''|); -f goes to ion.atom_force."""
    rho2 = dx * dx + dy * dy + dz * dz
    if rho2 >= coupling.cutoff * coupling.cutoff:
        ion.atom_force[n, 0] = ion.atom_force[n, 1] = ion.atom_force[n, 2] = 0.0
        return 0.0, 0.0, 0.0, 0.0, 0.0
    rho = math.sqrt(rho2)
    phi, slope, curvature = switched(coupling, rho)
    strength = slope / rho if rho > 0.0 else 0.0
    fx, fy, fz = strength * dx, strength * dy, strength * dz
    ion.atom_force[n, 0] = -fx
    ion.atom_force[n, 1] = -fy
    ion.atom_force[n, 2] = -fz
    return phi, fx, fy, fz, abs(curvature)


@bare
def coupled_forces(coupling, u, ion, corner, home):
    """Interaction energy U (meV) of the ion with the displaced atoms, and the forces on both.

    u (Å): displacements of the crystal, an array of `types.LatticeState`, with corner and home None; or δr on a patch whose first atom is at site
    ``corner`` (3,), beside the displacements ``home`` of the free crystal (None: at rest).
    Contract: only ion.force, -∇_R U, ion.atom_force, -∇_r U of each candidate (meV/Å), and ion.stiffest are written. At zero distance a finite
    potential has no direction and gives no force; a divergent one gives an infinite energy, which the run loop stops at.
    """
    cell = cell_of(coupling, ion.position)
    energy = stiffest = fx = fy = fz = 0.0
    for n in range(coupling.offsets.shape[0]):
        x, y, z = cell[0] + coupling.offsets[n, 0], cell[1] + coupling.offsets[n, 1], cell[2] + coupling.offsets[n, 2]
        if corner is None:
            i, j, k = wrapped(coupling, cell, n)
        else:
            i, j, k = x - corner[0], y - corner[1], z - corner[2] + 1
        dx = x * coupling.spacing + u[0, i, j, k] - ion.position[0]
        dy = y * coupling.spacing + u[1, i, j, k] - ion.position[1]
        dz = z * coupling.spacing + u[2, i, j, k] - ion.position[2]
        if home is not None:
            i, j, k = wrapped(coupling, cell, n)
            dx, dy, dz = dx + home[0, i, j, k], dy + home[1, i, j, k], dz + home[2, i, j, k]
        phi, px, py, pz, curvature = pull(coupling, ion, n, dx, dy, dz)
        energy += phi
        fx += px
        fy += py
        fz += pz
        stiffest = max(stiffest, curvature)
    ion.force[0], ion.force[1], ion.force[2] = fx, fy, fz
    ion.stiffest[0] = max(ion.stiffest[0], stiffest)
    return energy


@bare
def atom_positions(coupling, u, position, out):
    """Positions (Å) of the candidates, out[n, 3], for the ion at ``position`` (3,)."""
    cell = cell_of(coupling, position)
    for n in range(coupling.offsets.shape[0]):
        offset = coupling.offsets[n]
        i, j, k = wrapped(coupling, cell, n)
        for c in range(3):
            out[n, c] = (cell[c] + offset[c]) * coupling.spacing + u[c, i, j, k]
