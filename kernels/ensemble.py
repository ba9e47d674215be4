"""Many independent time-local ions in thermal crystals: a crystal moves by velocity Verlet, its ions read it and never act back.

The crystal runs one step ahead of the ions, so that its synchronous velocity at their step is v_n = (u_{n+1} - u_{n-1})/2dt,
which is velocity Verlet's own. One crystal is shared between the threads step by step; of several, each stays on one thread.
"""

import numpy as np
from numba import prange

from mdlite.kernels import types
from mdlite.kernels.guard import SOUND, cause_to_stop
from mdlite.kernels.jit import bare, inlined, parallel, scalar
from mdlite.kernels.stencil import kick_drift, kick_drift_serial
from mdlite.kernels.timelocal import begin_step, end_step, force_in_crystal
from mdlite.kernels.types import Crystal, Ensemble, EnsembleFrames, MediumIon, MediumWork

FEW = 2  # ions; starting the threads for them takes longer than moving them


@inlined
def one_ion(ions, n):
    """Ion n of an ensemble as a MediumIon that shares its memory."""
    return MediumIon(
        ions.position[n],
        ions.velocity[n],
        ions.inverse_mass,
        ions.force[n],
        ions.effective[n],
        ions.energy[n : n + 1],
        ions.stiffest[n : n + 1],
        ions.guess[n],
    )


@inlined
def one_work(works, b):
    """Scratch space b of the blocks (a MediumWork whose arrays have a leading axis) as a MediumWork."""
    return MediumWork(
        works.lanes[b], works.atoms[b], works.home[b], works.home_velocity[b], works.displacement[b], works.shift[b]
    )


@bare
def evaluate_ions(coupling, medium, ions, crystal, dt, works):
    """Forces of all ions at their present positions and velocities."""
    work = one_work(works, 0)
    for n in range(ions.position.shape[0]):
        force_in_crystal(coupling, medium, one_ion(ions, n), work, crystal, dt)


@bare
def move_ion(coupling, medium, ion, crystal, dt, work):
    """One velocity Verlet step of one ion to the step where the crystal stands."""
    halfway = begin_step(ion, dt)
    force_in_crystal(coupling, medium, ion, work, crystal, dt)
    end_step(ion, dt, halfway)


@bare
def judge(ions, begin, end, step):
    """Stop those of the ions begin to end - 1 that cannot go on (`guard`): ions.stopped becomes ``step``, and ions.cause says why."""
    v = ions.velocity
    for n in range(begin, end):
        if ions.stopped[n] < 0:
            cause = cause_to_stop(ions.limits, v[n, 0], v[n, 1], v[n, 2], ions.energy[n], ions.stiffest[n])
            if cause != SOUND:
                ions.stopped[n], ions.cause[n] = step, cause


@bare
def move_block(coupling, medium, ions, begin, end, crystal, dt, work):
    """`move_ion` for ions begin to end - 1, but for those that are stopped. Nothing more, so that the compiler makes one piece of it."""
    for n in range(begin, end):
        if ions.stopped[n] < 0:
            move_ion(coupling, medium, one_ion(ions, n), crystal, dt, work)


@parallel
def move_ions(coupling, medium, ions, crystal, dt, step, works):
    """`move_block` and `judge` for all ions, in as many blocks as there is scratch space for."""
    blocks, count = works.home.shape[0], ions.position.shape[0]
    for b in prange(blocks):
        begin, end = b * count // blocks, (b + 1) * count // blocks
        move_block(coupling, medium, ions, begin, end, crystal, dt, one_work(works, b))
        judge(ions, begin, end, step)


@bare
def record(frames, row, ions):
    """Write all ions into a row of frames."""
    for n in range(ions.position.shape[0]):
        frames.interaction[row, n] = ions.energy[n]
        for c in range(3):
            frames.position[row, n, c] = ions.position[n, c]
            frames.velocity[row, n, c] = ions.velocity[n, c]


turn = inlined(types.turn)
"""`types.turn` for kernels."""


@scalar
def advance(coupling, medium, ions, crystal, springs, dt, steps, block, works, frames):
    """Take steps of dt (ps) and sample; steps = (first step number, how many, sample every so many).

    crystal stands around the first step; ions.force is that of the first step (`evaluate_ions`). works: a MediumWork with a leading
    axis, room for so many blocks of ions at a time. block: None to share every step between all threads, or the one to use and stay on one thread.
    Contract: ions and the crystal's arrays are updated in place; the three displacement buffers take turns, so after n steps the
    caller renames them n times with `turn`.
    """
    first, count, sampling = steps
    n_ions = ions.position.shape[0]
    now = crystal
    rows = np.int64(0)
    for step in range(first, first + count):
        if step % sampling == 0:
            record(frames, rows, ions)
            rows += 1
        now = turn(now)
        if block is None:
            kick_drift(now.u, now.v, now.after, springs, dt, dt)
            if n_ions > FEW:
                move_ions(coupling, medium, ions, now, dt, step + 1, works)
            else:
                move_block(coupling, medium, ions, np.int64(0), n_ions, now, dt, one_work(works, 0))
                judge(ions, np.int64(0), n_ions, step + 1)
        else:
            kick_drift_serial(now.u, now.v, now.after, springs, dt, dt)
            move_block(coupling, medium, ions, np.int64(0), n_ions, now, dt, one_work(works, block))
            judge(ions, np.int64(0), n_ions, step + 1)


@parallel
def advance_all(coupling, medium, ions, crystals, springs, dt, steps, works, frames):
    """`advance` for several crystals, each with its ions, side by side on the threads.

    The arrays of ions and crystals have a leading axis for the crystal (but ions.inverse_mass and .limits), those of frames are (rows, crystals,
    ions of each, ...), and there is one block of scratch space for every crystal.
    """
    for c in prange(crystals.u.shape[0]):
        crystal = Crystal(crystals.before[c], crystals.u[c], crystals.after[c], crystals.v[c])
        own = Ensemble(
            ions.position[c],
            ions.velocity[c],
            ions.inverse_mass,
            ions.force[c],
            ions.effective[c],
            ions.energy[c],
            ions.stiffest[c],
            ions.guess[c],
            ions.stopped[c],
            ions.cause[c],
            ions.limits,
        )
        rows = EnsembleFrames(frames.position[:, c], frames.velocity[:, c], frames.interaction[:, c])
        advance(coupling, medium, own, crystal, springs, dt, steps, c, works, rows)
