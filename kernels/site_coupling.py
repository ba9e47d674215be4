"""The ion and the atoms near it in any crystal: who takes part, and the forces between them.

The candidates are atoms (n1, n2, n3, κ), fixed, or counted from the ion's cell. They are not wrapped, so every candidate is the image nearest to
the ion. Each has a potential of its own, that of its species.
"""

import math
from typing import NamedTuple

import numpy as np

from mdlite.kernels.jit import bare
from mdlite.kernels.potentials import switched


class Law(NamedTuple):
    """One pair potential, as `potentials.switched` takes it."""

    form: int
    params: np.ndarray  # float64
    switch_start: float  # Å
    cutoff: float  # Å


class SiteCoupling(NamedTuple):
    """The interaction of the ion with a crystal's atoms: n candidates, and S potentials."""

    sites: np.ndarray  # int64 (n, 4): cell and atom of every candidate
    places: np.ndarray  # float64 (n, 3): where it stands, from the corner of the cell that the sites are counted from, Å
    kinds: np.ndarray  # int64 (n,): which potential
    forms: np.ndarray  # int64 (S,): rows of potentials.FORMS
    params: np.ndarray  # float64 (S, ·): their parameters
    switch_start: float  # Å, where the switching to zero begins (infinity: no switching)
    cutoff: float  # Å, where the potentials have become zero (infinity: never)
    cell: np.ndarray  # float64 (3, 3): vectors of the cell as rows, Å
    inverse: np.ndarray  # float64 (3, 3): of that matrix
    moving: bool  # sites count from the ion's cell (True) or from the origin (False)


@bare
def ion_cell(coupling, position):
    """Cell that the sites count from: the ion's, or the origin's for fixed ones."""
    if not coupling.moving:
        return 0, 0, 0
    x, y, z, a = position[0], position[1], position[2], coupling.inverse
    return (
        math.floor(x * a[0, 0] + y * a[1, 0] + z * a[2, 0]),
        math.floor(x * a[0, 1] + y * a[1, 1] + z * a[2, 1]),
        math.floor(x * a[0, 2] + y * a[1, 2] + z * a[2, 2]),
    )


@bare
def corner_of(coupling, cell):
    """Where a cell begins, Å."""
    i, j, k = cell
    a = coupling.cell
    return (
        i * a[0, 0] + j * a[1, 0] + k * a[2, 0],
        i * a[0, 1] + j * a[1, 1] + k * a[2, 1],
        i * a[0, 2] + j * a[1, 2] + k * a[2, 2],
    )


@bare
def places_of(stencil, coupling, cell, n):
    """Where candidate n has its x in u and in v, and the steps to y: (place, step) of u, (place, step) of v."""
    size, site = stencil.size, coupling.sites[n]
    i, j, k, atom = (cell[0] + site[0]) % size[0], (cell[1] + site[1]) % size[1], (cell[2] + site[2]) % size[2], site[3]
    u_step, v_step = size[0] * stencil.u_plane, size[0] * stencil.v_plane
    in_u = 3 * atom * u_step + i * stencil.u_plane + (j + stencil.halo[0]) * stencil.u_pitch + stencil.halo[1] + k
    return in_u, u_step, 3 * atom * v_step + i * stencil.v_plane + j * stencil.v_pitch + k, v_step


@bare
def site_forces(stencil, coupling, u, ion):
    """Interaction energy U (meV) of the ion with the displaced atoms, and the forces on both.

    Contract: only ion.force, -∇_R U, ion.atom_force, -∇_r U of each candidate (meV/Å), and ion.stiffest are written.
    """
    cell = ion_cell(coupling, ion.position)
    x0, y0, z0 = corner_of(coupling, cell)
    x0, y0, z0 = x0 - ion.position[0], y0 - ion.position[1], z0 - ion.position[2]
    energy = stiffest = fx = fy = fz = 0.0
    limit = coupling.cutoff * coupling.cutoff
    for n in range(coupling.sites.shape[0]):
        at, step, _, _ = places_of(stencil, coupling, cell, n)
        dx = x0 + coupling.places[n, 0] + u[at]
        dy = y0 + coupling.places[n, 1] + u[at + step]
        dz = z0 + coupling.places[n, 2] + u[at + 2 * step]
        square = dx * dx + dy * dy + dz * dz
        px = py = pz = 0.0
        if square < limit:
            rho = math.sqrt(square)
            kind = coupling.kinds[n]
            law = Law(coupling.forms[kind], coupling.params[kind], coupling.switch_start, coupling.cutoff)
            phi, slope, curvature = switched(law, rho)
            strength = slope / rho if rho > 0.0 else 0.0
            px, py, pz = strength * dx, strength * dy, strength * dz
            energy += phi
            stiffest = max(stiffest, abs(curvature))
        fx, fy, fz = fx + px, fy + py, fz + pz
        ion.atom_force[n, 0], ion.atom_force[n, 1], ion.atom_force[n, 2] = -px, -py, -pz
    ion.force[0], ion.force[1], ion.force[2] = fx, fy, fz
    ion.stiffest[0] = max(ion.stiffest[0], stiffest)
    return energy
