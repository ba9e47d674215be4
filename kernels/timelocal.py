"""Steps of the ion in an effective medium: the rungs ``time-local``, ``static``, ``rigid`` (`medium`) and ``implicit`` (`implicit`).

The force depends on the velocity, so velocity Verlet takes the velocity at the end of a step from v_{n+1} ≈ v_n + dt a_n there:
one evaluation a step, second order, and exactly velocity Verlet where L = 0.
"""

import numpy as np

from mdlite.kernels.candidates import lane_of, row_length
from mdlite.kernels.conjugate import SHIFT
from mdlite.kernels.implicit import implicit_force
from mdlite.kernels.jit import bare
from mdlite.kernels.medium import HOME, MOVED, effective_force, lanes_at_rest, lanes_in_crystal


@bare
def _force(coupling, medium, ion, work, dt, implicit):
    if implicit is None:
        return effective_force(coupling, medium, ion, work.lanes)
    else:
        return implicit_force(coupling, medium, ion, work, dt)


@bare
def force_at_rest(coupling, medium, ion, work, dt):
    """Evaluate the rung's force at T = 0; U (meV) goes to ion.energy, and r_eff stays in work.lanes. dt (ps): how long ago the last one was."""
    lanes_at_rest(coupling, ion, work.lanes)
    ion.energy[0] = _force(coupling, medium, ion, work, dt, medium.implicit)


@bare
def force_in_crystal(coupling, medium, ion, work, crystal, dt):
    """`force_at_rest` in a thermal crystal."""
    lanes_in_crystal(coupling, ion, crystal, dt, work.lanes)
    ion.energy[0] = _force(coupling, medium, ion, work, dt, medium.implicit)


@bare
def show_atoms(medium, work):
    """Bring r_eff of the last force to work.atoms (for the implicit rung without the common shift x)."""
    width = row_length(medium, work.atoms.shape[0])
    for n in range(work.atoms.shape[0]):
        lane = lane_of(medium, n)
        for c in range(3):
            if medium.implicit is None:
                work.atoms[n, c] = work.lanes[(MOVED + c) * width + lane]
            else:
                work.atoms[n, c] = work.lanes[(HOME + c) * width + lane] + work.lanes[(SHIFT + c) * width + lane]


@bare
def record(frames, row, ion, atoms):
    """Write the ion and, if asked for, r_eff into a row of frames."""
    frames.interaction[row] = ion.energy[0]
    for c in range(3):
        frames.position[row, c] = ion.position[c]
        frames.velocity[row, c] = ion.velocity[c]
        frames.force[row, c] = ion.force[c]
        frames.effective_position[row, c] = ion.effective[c]
    for n in range(frames.atom_position.shape[1]):
        for c in range(3):
            frames.atom_position[row, n, c] = atoms[n, c]


@bare
def begin_step(ion, dt):
    """Half a kick and the drift; the velocity becomes the prediction that the force is evaluated with. Returns the velocity halfway."""
    half = 0.5 * dt
    kx = half * ion.force[0] * ion.inverse_mass[0]
    ky = half * ion.force[1] * ion.inverse_mass[1]
    kz = half * ion.force[2] * ion.inverse_mass[2]
    vx, vy, vz = ion.velocity[0] + kx, ion.velocity[1] + ky, ion.velocity[2] + kz
    ion.position[0] += dt * vx
    ion.position[1] += dt * vy
    ion.position[2] += dt * vz
    ion.velocity[0], ion.velocity[1], ion.velocity[2] = vx + kx, vy + ky, vz + kz
    return vx, vy, vz


@bare
def end_step(ion, dt, halfway):
    """The other half of the kick, from the velocity halfway and the new force."""
    half = 0.5 * dt
    for c in range(3):
        ion.velocity[c] = halfway[c] + half * ion.force[c] * ion.inverse_mass[c]


@bare
def advance(coupling, medium, ion, work, dt, steps, frames):
    """Take steps of dt (ps) and sample; steps = (first step number, how many, sample every so many).

    ion.force is that of the present step, as `force_at_rest` left it. A step whose number is a multiple of the sampling is recorded
    before it is taken; returns the number of rows written to frames.
    Contract: ion and work are updated in place; ion.force and work.atoms carry over from call to call.
    """
    first, count, sampling = steps
    rows = np.int64(0)
    for step in range(first, first + count):
        if step % sampling == 0:
            record(frames, rows, ion, work.atoms)
            rows += 1
        halfway = begin_step(ion, dt)
        force_at_rest(coupling, medium, ion, work, dt)
        if (step + 1) % sampling == 0 or step + 1 == first + count:
            show_atoms(medium, work)
        end_step(ion, dt, halfway)
    return rows
