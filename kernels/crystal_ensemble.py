"""Many independent time-local ions in a thermal crystal of any kind: it moves by velocity Verlet, its ions read it and never act back.

As `ensemble`; displacements stand at the ions' step, and the crystal's velocity there is the mean of those half a step before and behind.
Every step is shared between all threads, also where there are several crystals.
"""

import numpy as np
from numba import prange

from mdlite.kernels.blocks import drift, kick
from mdlite.kernels.ensemble import FEW, judge, move_block, move_ions, one_work, record
from mdlite.kernels.jit import parallel, scalar

PIECE = 4096  # numbers that a thread copies at a time


@parallel
def copy(source, target):
    """target = source, flat."""
    count = source.shape[0]
    for part in prange((count + PIECE - 1) // PIECE):
        for n in range(part * PIECE, min((part + 1) * PIECE, count)):
            target[n] = source[n]


@scalar
def advance(coupling, medium, ions, crystal, stencil, kicks, dt, steps, works, frames):
    """Take steps of dt (ps) and sample; steps = (first step number, how many, sample every so many).

    crystal: a `candidates.FreeBox` at the first step; kicks (p,): dt/m of every atom of the cell; ions.force is that of the first step
    (`ensemble.evaluate_ions`). works: as in `ensemble.advance`. Contract: ions and the crystal's arrays are updated in place.
    """
    first, count, sampling = steps
    n_ions = ions.position.shape[0]
    rows = np.int64(0)
    for step in range(first, first + count):
        if step % sampling == 0:
            record(frames, rows, ions)
            rows += 1
        drift(crystal.u, crystal.after, stencil, dt)
        copy(crystal.after, crystal.before)
        kick(crystal.u, crystal.after, stencil, kicks)
        if n_ions > FEW:
            move_ions(coupling, medium, ions, crystal, dt, step + 1, works)
        else:
            move_block(coupling, medium, ions, np.int64(0), n_ions, crystal, dt, one_work(works, 0))
            judge(ions, np.int64(0), n_ions, step + 1)
    return rows
