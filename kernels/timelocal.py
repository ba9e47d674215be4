"""Steps of the ion in an effective medium: the rungs ``time-local``, ``static``, ``rigid`` (`medium`) and ``implicit`` (`implicit`).

The force depends on the velocity, so velocity Verlet takes the velocity at the end of a step from v_{n+1} ≈ v_n + dt a_n there:
one evaluation a step, second order, and exactly velocity Verlet where L = 0.
"""

from mdlite.kernels.implicit import implicit_force
from mdlite.kernels.jit import scalar
from mdlite.kernels.medium import at_rest, effective_force, in_crystal


@scalar
def _evaluate(coupling, medium, ion, work, implicit):
    if implicit is None:
        return effective_force(coupling, medium, ion, work)
    else:
        return implicit_force(coupling, medium, ion, work)


@scalar
def force(coupling, medium, ion, work):
    """Evaluate the rung's force with r_H and ṙ_H in ``work``; U (meV) goes to ion.energy."""
    ion.energy[0] = _evaluate(coupling, medium, ion, work, medium.implicit)


@scalar
def force_at_rest(coupling, medium, ion, work):
    """`force` at T = 0."""
    at_rest(coupling, ion, work)
    force(coupling, medium, ion, work)


@scalar
def force_in_crystal(coupling, medium, ion, work, crystal, dt):
    """`force` in a thermal crystal."""
    in_crystal(coupling, ion, crystal, dt, work)
    force(coupling, medium, ion, work)


@scalar
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


@scalar
def advance(coupling, medium, ion, work, dt, steps, frames):
    """Take steps of dt (ps) and sample; steps = (first step number, how many, sample every so many).

    ion.force is that of the present step, as `force` left it. A step whose number is a multiple of the sampling is recorded
    before it is taken; returns the number of rows written to frames.
    Contract: ion and work are updated in place; ion.force and work.atoms carry over from call to call.
    """
    first, count, sampling = steps
    half = 0.5 * dt
    old = ion.velocity.copy()
    rows = 0
    for step in range(first, first + count):
        if step % sampling == 0:
            record(frames, rows, ion, work.atoms)
            rows += 1
        for c in range(3):
            kick = half * ion.force[c] * ion.inverse_mass[c]
            old[c] = ion.velocity[c] + kick
            ion.position[c] += dt * old[c]
            ion.velocity[c] = old[c] + kick  # the prediction that the force is evaluated with
        force_at_rest(coupling, medium, ion, work)
        for c in range(3):
            ion.velocity[c] = old[c] + half * ion.force[c] * ion.inverse_mass[c]
    return rows
