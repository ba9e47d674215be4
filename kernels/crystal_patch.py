"""The ion in a piece of any crystal that travels with it: a periodic box whose layer opposite to the ion is damped and weakly held.

As `crystal`, with a law of its own for the atoms of the layer, u̇ = v, m v̇ = -Φu - ∇_r U - m γ v - m σ u. The damping acts on the mean of the velocities
before and after a kick, so that the energy of leap-frog falls by dt γ m v̄² in each step and never rises, whatever γ. The ion travels by where the
layer is counted from: the crystal stands still in memory, and wraps.
"""

from typing import NamedTuple

import numpy as np

from mdlite.kernels.blocks import drift, kick
from mdlite.kernels.crystal import pull_atoms, record
from mdlite.kernels.jit import bare, scalar
from mdlite.kernels.reference import push_ion
from mdlite.kernels.site_coupling import ion_cell, site_forces


class Layer(NamedTuple):
    """What the atoms of a patch obey beside the crystal's forces, (p, n1, n2, n3) counted from the ion's cell at ``centre``."""

    before: np.ndarray  # 1 - γ dt/2, of the velocity before a kick
    after: np.ndarray  # 1/(1 + γ dt/2), of the velocity after it
    hold: np.ndarray  # σ dt, 1/ps
    centre: np.ndarray  # int64 (3,): cells from where sites are counted from to the middle of the patch


@bare
def _first(layer, stencil, cell, axis):
    """Where along an axis of the box the layer's numbers begin."""
    return (cell[axis] + layer.centre[axis]) % stencil.size[axis]


@bare
def _brake_row(u, v, at, place, layer, row, limits):
    """`brake` of cells limits[0] to limits[1] of a row, whose layer's numbers begin at ``row``."""
    for k in range(limits[0], limits[1]):
        v[place + k] = layer.before[row + k] * v[place + k] - layer.hold[row + k] * u[at + k]


@bare
def _ease_row(v, place, after, row, limits):
    for k in range(limits[0], limits[1]):
        v[place + k] *= after[row + k]


@bare
def _over_rows(u, v, stencil, layer, cell, before):
    n1, n2, n3 = stencil.size[0], stencil.size[1], stencil.size[2]
    x, y, z = _first(layer, stencil, cell, 0), _first(layer, stencil, cell, 1), _first(layer, stencil, cell, 2)
    for field in range(v.shape[0] // (n1 * stencil.v_plane)):
        for i in range(n1):
            for j in range(n2):
                plane = field * n1 + i
                at = plane * stencil.u_plane + (j + stencil.halo[0]) * stencil.u_pitch + stencil.halo[1]
                place = plane * stencil.v_plane + j * stencil.v_pitch
                row = ((field // 3 * n1 + (i - x) % n1) * n2 + (j - y) % n2) * n3
                if before:
                    _brake_row(u, v, at, place, layer, row + n3 - z, (0, z))
                    _brake_row(u, v, at, place, layer, row - z, (z, n3))
                else:
                    _ease_row(v, place, layer.after, row + n3 - z, (0, z))
                    _ease_row(v, place, layer.after, row - z, (z, n3))


@bare
def brake(u, v, stencil, layer, cell):
    """What the layer does to v before a kick."""
    _over_rows(u, v, stencil, layer, cell, True)


@bare
def ease(u, v, stencil, layer, cell):
    """And after it."""
    _over_rows(u, v, stencil, layer, cell, False)


@scalar
def advance(u, v, stencil, layer, coupling, ion, dt, inverse_masses, steps, frames):
    """As `crystal.advance`, by velocity Verlet. The layer's numbers are for this dt. Contract: u, v and ion are updated in place."""
    first, count, sampling = steps
    rows = np.int64(0)  # a plain 0 would be a type of its own to numba
    half, kicks = 0.5 * dt, dt * inverse_masses
    crystal = (u, v, stencil, coupling, half * inverse_masses)
    for step in range(first, first + count):
        energy = site_forces(stencil, coupling, u, ion)
        if step % sampling == 0:
            record(frames, rows, energy, crystal, ion, half)
            rows += 1
        cell = ion_cell(coupling, ion.position)
        brake(u, v, stencil, layer, cell)
        pull_atoms(stencil, coupling, v, ion, kicks)
        kick(u, v, stencil, kicks)
        ease(u, v, stencil, layer, cell)
        drift(u, v, stencil, dt)
        push_ion(ion, dt, dt)
    return rows


@scalar
def coast(u, v, stencil, layer, dt, inverse_masses, places, history):
    """Free steps of a patch from u = 0 and velocities v, with the middle at the origin; history (T, 3): Σ u at ``places`` (n,), where in u an x stands, at every step."""
    step, kicks, cell = stencil.size[0] * stencil.u_plane, dt * inverse_masses, (np.int64(0), np.int64(0), np.int64(0))
    for n in range(history.shape[0]):
        for c in range(3):
            total = 0.0
            for m in range(places.shape[0]):
                total += u[places[m] + c * step]
            history[n, c] = total
        brake(u, v, stencil, layer, cell)
        kick(u, v, stencil, kicks)
        ease(u, v, stencil, layer, cell)
        drift(u, v, stencil, dt)
