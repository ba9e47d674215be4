"""The scattered field: r = r_H + δr, with δr, what the ion itself radiates, on a small patch of the lattice that travels with the ion.

    m δr̈ = -V δr - ∇_r U(r_H + δr, R) in the patch,       M R̈ = -∇_R U(r_H + δr, R)

r_H is the free motion of the whole crystal, which no ion disturbs. δr only radiates outwards, and what reaches the edge of the patch
must not come back: its atoms are damped, held and weighted (`types.Edge`) so that the core feels an infinite crystal around it. Leap-frog
form and synchronisation are those of `reference`; one ion and its patch stay in one core's cache for many steps.
"""

import numpy as np

from mdlite.kernels.coupling import cell_of, coupled_forces
from mdlite.kernels.jit import bare, scalar
from mdlite.kernels.reference import push_ion
from mdlite.kernels.springs import neighbours
from mdlite.kernels.stencil import Place, factors_of, step_row
from mdlite.kernels.types import Rows


@bare
def radiate(u, v, out, shape, edge, dt):
    """One step of δr: v becomes keep v + push dt F(u)/m - hold u, then out = u + dt v with its halo filled.

    u, v, out: flat arrays of ``shape`` (N, N, P), as in `types.LatticeState`, with periodic neighbours (a wave that has crossed the edge enters
    on the other side). Contract: out and v are written; no two of the three overlap.
    """
    nx, ny, pitch = shape
    plane = ny * pitch
    step = nx * plane
    factors = factors_of(edge, dt, dt)
    velocities, new = Rows(v, step, pitch), Rows(out, step, pitch)
    for i in range(nx):
        below, above = neighbours(i, nx)
        for j in range(ny):
            front, back = neighbours(j, ny)
            place = Place(step, below * plane, i * plane, above * plane, front * pitch, j * pitch, back * pitch)
            row = place.here + place.row
            step_row(u, velocities, new, place, row, row, edge.length, factors, 0, edge)


@bare
def copy(source, target):
    """target = source, arrays of four axes."""
    for c in range(source.shape[0]):
        for i in range(source.shape[1]):
            for j in range(source.shape[2]):
                for k in range(source.shape[3]):
                    target[c, i, j, k] = source[c, i, j, k]


@bare
def shift(field, room, by, length):
    """Move a field (3, N, N, P) by ``by`` sites towards lower indices, through ``room`` like it; the planes that enter are at rest on their sites."""
    nx, ny = field.shape[1], field.shape[2]
    for c in range(3):
        for i in range(nx):
            for j in range(ny):
                inside = 0 <= i + by[0] < nx and 0 <= j + by[1] < ny
                for k in range(length):
                    inner = inside and 0 <= k + by[2] < length
                    room[c, i, j, k + 1] = field[c, i + by[0], j + by[1], k + by[2] + 1] if inner else 0.0
    copy(room, field)


@bare
def follow(coupling, ion, corner, u, v, room, length):
    """Re-centre the patch on the ion's cell."""
    cell = cell_of(coupling, ion.position)
    half = length // 2 - 1
    by = (cell[0] - half - corner[0], cell[1] - half - corner[1], cell[2] - half - corner[2])
    if by[0] == 0 and by[1] == 0 and by[2] == 0:
        return
    shift(v, room, by, length)
    shift(u, room, by, length)
    for c in range(3):
        corner[c] += by[c]
        for i in range(u.shape[1]):
            for j in range(u.shape[2]):
                u[c, i, j, 0], u[c, i, j, length + 1] = u[c, i, j, length], u[c, i, j, 1]
                v[c, i, j, 0] = v[c, i, j, length + 1] = 0.0


@bare
def pull_atoms(coupling, ion, corner, v, edge, factor):
    """v += factor × ion.atom_force for the candidates, by their own weight in the edge (factor = dt/m in ps per mass)."""
    cell = cell_of(coupling, ion.position)
    pitch, plane = v.shape[3], v.shape[2] * v.shape[3]
    for n in range(coupling.offsets.shape[0]):
        if ion.atom_force[n, 0] == 0.0 and ion.atom_force[n, 1] == 0.0 and ion.atom_force[n, 2] == 0.0:
            continue
        i = cell[0] + coupling.offsets[n, 0] - corner[0]
        j = cell[1] + coupling.offsets[n, 1] - corner[1]
        k = cell[2] + coupling.offsets[n, 2] - corner[2] + 1
        for c in range(3):
            at = (c * v.shape[1] + i) * plane + j * pitch + k
            v[c, i, j, k] += factor * edge.push[at] / edge.keep[at] * ion.atom_force[n, c]


@bare
def half_step_back(coupling, ion, corner, u, v, home, edge, half):
    """Turn the synchronous velocities of a start with δr = 0 into leap-frog ones (half: dt/2, ps)."""
    coupled_forces(coupling, u, ion, corner, home)
    pull_atoms(coupling, ion, corner, v, edge, -half / edge.mass)
    for c in range(3):
        ion.velocity[c] -= half * ion.force[c] * ion.inverse_mass[c]


@bare
def step_ion(coupling, ion, corner, u, v, out, edge, dt):
    """A kick and a drift of the ion and its patch, from (u, v) to (out, v), once `coupled_forces` has left the forces; the patch then follows the ion."""
    pull_atoms(coupling, ion, corner, v, edge, dt / edge.mass)
    shape = (v.shape[1], v.shape[2], v.shape[3])
    radiate(u.reshape(-1), v.reshape(-1), out.reshape(-1), shape, edge, dt)
    push_ion(ion, dt, dt)
    if coupling.moving:
        follow(coupling, ion, corner, out, v, u, edge.length)


@bare
def record(frames, row, energy, coupling, ion, corner, u, half):
    """Write the synchronised ion, its energy U and forces (fresh ones), and its candidate atoms if asked for, into a row of frames (T = 0)."""
    frames.interaction[row] = energy
    for c in range(3):
        frames.position[row, c] = frames.effective_position[row, c] = ion.position[c]
        frames.velocity[row, c] = ion.velocity[c] + half * ion.force[c] * ion.inverse_mass[c]
        frames.force[row, c] = ion.force[c]
    cell = cell_of(coupling, ion.position)
    for n in range(frames.atom_position.shape[1]):
        x, y, z = cell[0] + coupling.offsets[n, 0], cell[1] + coupling.offsets[n, 1], cell[2] + coupling.offsets[n, 2]
        i, j, k = x - corner[0], y - corner[1], z - corner[2] + 1
        frames.atom_position[row, n, 0] = x * coupling.spacing + u[0, i, j, k]
        frames.atom_position[row, n, 1] = y * coupling.spacing + u[1, i, j, k]
        frames.atom_position[row, n, 2] = z * coupling.spacing + u[2, i, j, k]


@bare
def advance(coupling, ion, corner, u, v, room, edge, dt, steps, frames):
    """Take steps of dt (ps) in a crystal that is at rest but for δr, and sample; steps = (first step number, how many, sample every so many).

    A step whose number is a multiple of the sampling is recorded before it is taken. Contract: ion, corner, u and v are updated in place; room
    is scratch space like u.
    """
    first, count, sampling = steps
    row = np.int64(0)
    here, there = u, room
    for step in range(first, first + count):
        energy = coupled_forces(coupling, here, ion, corner, None)
        if step % sampling == 0:
            record(frames, row, energy, coupling, ion, corner, here, 0.5 * dt)
            row += 1
        step_ion(coupling, ion, corner, here, v, there, edge, dt)
        here, there = there, here
    if count % 2 == 1:
        copy(room, u)


@scalar
def impulse(source, axis, edge, dt, history):
    """δr of a patch after a unit impulse (1 meV ps/Å) at t = 0 on its atom ``source`` (3,) along ``axis``, at rest before: history
    (steps + 1, 3, N, N, P), Å; history[0] must be zeros."""
    shape = history.shape[2:]
    v = np.zeros(history.shape[1:])
    i, j, k = source[0], source[1], source[2] + 1
    at = ((axis * shape[0] + i) * shape[1] + j) * shape[2] + k
    v[axis, i, j, k] = edge.push[at] / edge.keep[at] / edge.mass
    for step in range(history.shape[0] - 1):
        radiate(history[step].reshape(-1), v.reshape(-1), history[step + 1].reshape(-1), shape, edge, dt)
