"""Many independent time-local ions in one thermal crystal: the crystal moves by velocity Verlet, the ions read it and never act back.

The crystal runs one step ahead of the ions, so that its synchronous velocity at their step is v_n = (u_{n+1} - u_{n-1})/2dt,
which is velocity Verlet's own.
"""

import math

from numba import prange

from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.springs import kick_drift
from mdlite.kernels.timelocal import force_in_crystal
from mdlite.kernels.types import Crystal, MediumIon, MediumWork


@scalar
def one_ion(ions, n):
    """Ion n of an ensemble as a MediumIon that shares its memory."""
    return MediumIon(
        ions.position[n], ions.velocity[n], ions.inverse_mass, ions.force[n], ions.effective[n], ions.energy[n : n + 1]
    )


@scalar
def one_work(works, b):
    """Scratch space b of the blocks (a MediumWork whose arrays have a leading axis) as a MediumWork."""
    return MediumWork(
        works.home[b],
        works.home_velocity[b],
        works.gradient[b],
        works.displacement[b],
        works.reply[b],
        works.hessian[b],
        works.active[b],
        works.matrix[b],
        works.rhs[b],
        works.shift[b],
    )


@parallel
def evaluate_ions(coupling, medium, implicit, ions, crystal, dt, atoms, works):
    """Forces of all ions at their present positions and velocities. atoms (B, n, 3) and works have one entry for each of B blocks."""
    blocks, count = atoms.shape[0], ions.position.shape[0]
    for b in prange(blocks):
        work = one_work(works, b)
        for n in range(b * count // blocks, (b + 1) * count // blocks):
            ion = one_ion(ions, n)
            force_in_crystal(coupling, medium, ion, atoms[b], work, implicit, crystal, dt)


@scalar
def move_ion(coupling, medium, implicit, ion, crystal, dt, fastest, atoms, work):
    """One velocity Verlet step of one ion to the step where the crystal stands; False if it has run away.

    That is, if it gets faster than ``fastest`` (Å/ps), or its state is not finite.
    """
    half = 0.5 * dt
    kx = half * ion.force[0] * ion.inverse_mass[0]
    ky = half * ion.force[1] * ion.inverse_mass[1]
    kz = half * ion.force[2] * ion.inverse_mass[2]
    vx, vy, vz = ion.velocity[0] + kx, ion.velocity[1] + ky, ion.velocity[2] + kz
    ion.position[0] += dt * vx
    ion.position[1] += dt * vy
    ion.position[2] += dt * vz
    ion.velocity[0], ion.velocity[1], ion.velocity[2] = vx + kx, vy + ky, vz + kz
    force_in_crystal(coupling, medium, ion, atoms, work, implicit, crystal, dt)
    ion.velocity[0] = vx + half * ion.force[0] * ion.inverse_mass[0]
    ion.velocity[1] = vy + half * ion.force[1] * ion.inverse_mass[1]
    ion.velocity[2] = vz + half * ion.force[2] * ion.inverse_mass[2]
    speed2 = ion.velocity[0] ** 2 + ion.velocity[1] ** 2 + ion.velocity[2] ** 2
    return speed2 < fastest * fastest and math.isfinite(ion.energy[0])


@parallel
def move_ions(coupling, medium, implicit, ions, crystal, dt, step, fastest, atoms, works):
    """`move_ion` for all ions that have not run away; for one that does, ions.stopped becomes ``step``, and it keeps its last state."""
    blocks, count = atoms.shape[0], ions.position.shape[0]
    stopped = ions.stopped  # numba loses an element written through the tuple inside a parallel loop
    for b in prange(blocks):
        work = one_work(works, b)
        for n in range(b * count // blocks, (b + 1) * count // blocks):
            if stopped[n] < 0:
                sound = move_ion(coupling, medium, implicit, one_ion(ions, n), crystal, dt, fastest, atoms[b], work)
                if not sound:
                    stopped[n] = step


@scalar
def record(frames, row, ions):
    """Write all ions into a row of frames."""
    for n in range(ions.position.shape[0]):
        frames.interaction[row, n] = ions.energy[n]
        for c in range(3):
            frames.position[row, n, c] = ions.position[n, c]
            frames.velocity[row, n, c] = ions.velocity[n, c]


@scalar
def turn(crystal):
    """The same three displacement buffers one step later; the oldest is to be overwritten, as ``after``."""
    return Crystal(crystal.u, crystal.after, crystal.before, crystal.v)


@scalar
def advance(coupling, medium, implicit, ions, crystal, springs, dt, steps, fastest, scratch, frames):
    """Take steps of dt (ps) and sample; steps = (first step number, how many, sample every so many).

    crystal stands around the first step; ions.force is that of the first step (`evaluate_ions`). scratch = (atoms, works).
    Returns the rows written to frames. Contract: ions and the crystal's arrays are updated in place; the three displacement
    buffers take turns, so after n steps the caller renames them n times with `turn`.
    """
    first, count, sampling = steps
    atoms, works = scratch
    now = crystal
    rows = 0
    for step in range(first, first + count):
        if step % sampling == 0:
            record(frames, rows, ions)
            rows += 1
        now = turn(now)
        kick_drift(now.u, now.v, now.after, springs, dt, dt)
        move_ions(coupling, medium, implicit, ions, now, dt, step + 1, fastest, atoms, works)
    return rows
