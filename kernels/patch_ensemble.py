"""Many independent ions in thermal crystals, each with its patch (`patch`).

A crystal moves some steps ahead, which are kept, and then every ion is taken through them: so an ion's patch comes into a core's cache once for many
steps. One crystal is shared between the threads, and its ions are; of several, each stays on one thread with its ions. No bit depends on it.
"""

import numpy as np
from numba import prange

from mdlite.kernels.coupling import coupled_forces
from mdlite.kernels.guard import SOUND, cause_to_stop
from mdlite.kernels.jit import bare, inlined, parallel, scalar
from mdlite.kernels.patch import copy, step_ion
from mdlite.kernels.stencil import kick_drift, kick_drift_serial
from mdlite.kernels.types import EnsembleFrames, IonState, Patches


@inlined
def one_patch(patches, n):
    """Ion n of the patches as an IonState that shares its memory."""
    return IonState(
        patches.position[n],
        patches.velocity[n],
        patches.inverse_mass,
        patches.force[n],
        patches.atom_force[n],
        patches.stiffest[n],
    )


@bare
def show(frames, row, n, energy, ion, half):
    """Write the synchronised ion n into a row of an ensemble's frames."""
    frames.interaction[row, n] = energy
    for c in range(3):
        frames.position[row, n, c] = ion.position[c]
        frames.velocity[row, n, c] = ion.velocity[c] + half * ion.force[c] * ion.inverse_mass[c]


@bare
def travel(coupling, patches, n, history, edge, dt, steps, room, frames):
    """Take ion n through steps of dt (ps); history[b] is the free crystal b steps after the first. steps = (first step number, how many, sample every
    so many, row of the first frame). One that runs away is stopped, and keeps its last state."""
    first, count, sampling, row = steps
    ion, corner, u, v = one_patch(patches, n), patches.corner[n], patches.u[n], patches.v[n]
    here, there = u, room
    taken = 0
    for b in range(count):
        if patches.stopped[n] < 0:
            patches.energy[n] = coupled_forces(coupling, here, ion, corner, history[b])
        if (first + b) % sampling == 0:
            show(frames, row, n, patches.energy[n], ion, 0.5 * dt)
            row += 1
        if patches.stopped[n] < 0:
            vx, vy, vz = ion.velocity[0], ion.velocity[1], ion.velocity[2]
            cause = cause_to_stop(patches.limits, vx, vy, vz, patches.energy[n], ion.stiffest[0])
            if cause != SOUND:
                patches.stopped[n], patches.cause[n] = first + b, cause
                continue
            step_ion(coupling, ion, corner, here, v, there, edge, dt)
            here, there = there, here
            taken += 1
    if taken % 2 == 1:
        copy(room, u)


@parallel
def travel_all(coupling, patches, history, edge, dt, steps, rooms, frames):
    """`travel` for all ions of one crystal, in as many blocks as there are rooms."""
    blocks, count = rooms.shape[0], patches.position.shape[0]
    for b in prange(blocks):
        for n in range(b * count // blocks, (b + 1) * count // blocks):
            travel(coupling, patches, n, history, edge, dt, steps, rooms[b], frames)


@scalar
def advance_ensemble(coupling, patches, history, velocity, springs, edge, dt, steps, rooms, block, frames):
    """Take steps of dt (ps) of a free crystal and the ions in it, and sample; steps = (first step number, how many, sample every so many).

    history: (B + 1, 3, Nx, Ny, P), its first entry the present displacements of the crystal, velocity those of half a step before. The
    crystal moves B steps ahead, then every ion through them with its patch. block: None to share all work between the threads, or the one of the
    rooms (scratch space like a patch's u) to use and stay on one thread. Contract: patches, history and velocity are updated in place.
    """
    first, count, sampling = steps
    rows = done = np.int64(0)
    while done < count:
        length = min(history.shape[0] - 1, count - done)
        plan = (first + done, length, sampling, rows)
        for b in range(length):
            if block is None:
                kick_drift(history[b], velocity, history[b + 1], springs, dt, dt)
            else:
                kick_drift_serial(history[b], velocity, history[b + 1], springs, dt, dt)
        if block is None:
            travel_all(coupling, patches, history, edge, dt, plan, rooms, frames)
        else:
            for n in range(patches.position.shape[0]):
                travel(coupling, patches, n, history, edge, dt, plan, rooms[block], frames)
        copy(history[length], history[0])
        rows += (first + done + length - 1) // sampling - (first + done - 1) // sampling
        done += length


@parallel
def advance_all(coupling, patches, histories, velocities, springs, edge, dt, steps, rooms, frames):
    """`advance_ensemble` for several crystals, each with its ions, side by side on the threads: a leading axis for the crystal (but for
    patches.inverse_mass and .limits; frames are (rows, crystals, ions of each, ...)), and a room for each."""
    for c in prange(histories.shape[0]):
        own = Patches(
            patches.position[c],
            patches.velocity[c],
            patches.inverse_mass,
            patches.force[c],
            patches.atom_force[c],
            patches.energy[c],
            patches.stiffest[c],
            patches.corner[c],
            patches.u[c],
            patches.v[c],
            patches.stopped[c],
            patches.cause[c],
            patches.limits,
        )
        rows = EnsembleFrames(frames.position[:, c], frames.velocity[:, c], frames.interaction[:, c])
        advance_ensemble(coupling, own, histories[c], velocities[c], springs, edge, dt, steps, rooms, c, rows)
