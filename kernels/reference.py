"""Steps of the explicit lattice and the ion by velocity Verlet, m ü = -V u - ∇_r U and M R̈ = -∇_R U, and any other composition of kicks and drifts.

Kept in leap-frog form: positions at step n, velocities before the kick that belongs to them. A sample is synchronised on the side
(v_n = v_{n-1/2} + dt/2 a_n for velocity Verlet) and never changes the state, so a run has the same bits whether it is sampled or not, whole or in
pieces. The ion's pull on the atoms is added to their velocities before the lattice pass, which then needs no special cases.
"""

import numpy as np
from numba import prange

from mdlite.kernels.coupling import atom_positions, cell_of, coupled_forces, wrapped
from mdlite.kernels.jit import bare, parallel, scalar
from mdlite.kernels.springs import KINETIC, MOMENTUM, Row, constants, kick, lattice_sums, neighbours, spring_force
from mdlite.kernels.stencil import kick_drift, kick_drift_serial
from mdlite.kernels.types import Frames, IonState, LatticeState

INTERACTION = 5  # of `energies`, behind the columns of `springs.lattice_sums`


@bare
def pull_atoms(coupling, lattice, ion, factor):
    """v += factor × ion.atom_force for the candidates (factor = dt/m in ps per mass)."""
    cell = cell_of(coupling, ion.position)
    for n in range(coupling.offsets.shape[0]):
        i, j, k = wrapped(coupling, cell, n)
        for c in range(3):
            lattice.v[c, i, j, k] += factor * ion.atom_force[n, c]


@bare
def push_ion(ion, kick, drift):
    """Kick and drift (ps) of the ion in leap-frog form."""
    for c in range(3):
        ion.velocity[c] += kick * ion.force[c] * ion.inverse_mass[c]
        ion.position[c] += drift * ion.velocity[c]


@bare
def half_kick_back(lattice, springs, coupling, ion, half):
    """The ion's share of `half_step_back`: all of it for a framework on its sites, where the springs exert no force."""
    coupled_forces(coupling, lattice.u, ion, None, None)
    pull_atoms(coupling, lattice, ion, -half / springs.mass)
    for c in range(3):
        ion.velocity[c] -= half * ion.force[c] * ion.inverse_mass[c]


@scalar
def half_step_back(lattice, springs, coupling, ion, half):
    """Turn synchronous velocities into leap-frog ones, v - half F/m (half: ps, dt/2 of velocity Verlet), for the framework and the ion.

    Contract: lattice.v and ion.velocity are updated in place, the forces of ion are overwritten; lattice.u has a valid halo. With -half it is
    the way back, from leap-frog to synchronous velocities.
    """
    half_kick_back(lattice, springs, coupling, ion, half)
    kick(lattice.u, lattice.v, springs, -half)


@bare
def atom_velocity(lattice, springs, coupling, ion, n, pulled, half_kick):
    """Synchronous velocity (Å/ps) of candidate n, v + half_kick (F_spring + pulled F_ion)/m; pulled is 1 or 0."""
    u, v = lattice.u, lattice.v
    i, j, k = wrapped(coupling, cell_of(coupling, ion.position), n)
    im, ip = neighbours(i, u.shape[1])
    jm, jp = neighbours(j, u.shape[2])
    stiffness = constants(springs, half_kick / springs.mass)
    dvx, dvy, dvz = spring_force(u, Row(i, im, ip, j, jm, jp), k, stiffness)
    pull = pulled * half_kick / springs.mass
    return (
        v[0, i, j, k] + dvx + pull * ion.atom_force[n, 0],
        v[1, i, j, k] + dvy + pull * ion.atom_force[n, 1],
        v[2, i, j, k] + dvz + pull * ion.atom_force[n, 2],
    )


@bare
def record(frames, row, energy, lattice, springs, coupling, ion, half):
    """Write the synchronised ion, its energy U and forces (fresh ones), and its candidate atoms if asked for, into a row of frames.

    Contract: only frames is written.
    """
    frames.interaction[row] = energy
    for c in range(3):
        frames.position[row, c] = ion.position[c]
        frames.effective_position[row, c] = ion.position[c]
        frames.velocity[row, c] = ion.velocity[c] + half * ion.force[c] * ion.inverse_mass[c]
        frames.force[row, c] = ion.force[c]
    if frames.atom_position.shape[1] > 0:
        atom_positions(coupling, lattice.u, ion.position, frames.atom_position[row])
        for n in range(coupling.offsets.shape[0]):
            v = atom_velocity(lattice, springs, coupling, ion, n, 1.0, half)
            frames.atom_velocity[row, n, 0], frames.atom_velocity[row, n, 1], frames.atom_velocity[row, n, 2] = v


@bare
def interact(lattice, springs, coupling, ion, kick, half, recorded, frames, rows):
    """Begin a kick (ps): forces between ion and atoms, a frame if it is to be recorded, the pull on the atoms. Returns the rows written so far."""
    energy = coupled_forces(coupling, lattice.u, ion, None, None)
    if recorded:
        record(frames, rows, energy, lattice, springs, coupling, ion, half)
        rows += 1
    pull_atoms(coupling, lattice, ion, kick / springs.mass)
    return rows


@scalar
def advance(lattice, u_next, springs, coupling, ion, clock, steps, serial, frames):
    """Take steps of a `types.Clock` and sample; steps = (first step number, how many, sample every so many).

    u_next: another array like lattice.u. serial: None to share every lattice pass between all threads, True to stay on one (the same bits).
    A step whose number is a multiple of the sampling is recorded before it is taken; returns the number of rows written to frames.
    Contract: lattice and ion are updated in place; lattice.u and u_next take turns, so that after an odd number of drifts the displacements
    stand in u_next, and the caller swaps the two.
    """
    here, there = lattice, LatticeState(u_next, lattice.v)
    first, count, sampling = steps
    rows = np.int64(0)  # a plain 0 would be a type of its own to numba
    for step in range(first, first + count):
        for stage in range(clock.kicks.shape[0]):
            kick, drift = clock.kicks[stage], clock.drifts[stage]
            recorded = stage == 0 and step % sampling == 0
            rows = interact(here, springs, coupling, ion, kick, clock.half, recorded, frames, rows)
            if serial is None:
                kick_drift(here.u, here.v, there.u, springs, kick, drift)
            else:
                kick_drift_serial(here.u, here.v, there.u, springs, kick, drift)
            push_ion(ion, kick, drift)
            here, there = there, here
    return rows


@parallel
def advance_replicas(lattices, u_next, springs, coupling, ions, clock, steps, frames):
    """`advance` for R independent lattices, each with its ion, side by side on the threads.

    The arrays of lattices, u_next, ions and frames have a leading axis of length R (but ions.inverse_mass, which all share).
    """
    for r in prange(lattices.u.shape[0]):
        lattice = LatticeState(lattices.u[r], lattices.v[r])
        ion = IonState(ions.position[r], ions.velocity[r], ions.inverse_mass, ions.force[r], ions.atom_force[r], ions.stiffest[r])
        own = Frames(
            frames.position[r],
            frames.velocity[r],
            frames.force[r],
            frames.interaction[r],
            frames.effective_position[r],
            frames.atom_position[r],
            frames.atom_velocity[r],
        )
        advance(lattice, u_next[r], springs, coupling, ion, clock, steps, True, own)


@bare
def sample(lattice, springs, coupling, ion, half, frames):
    """Record the present step into row 0 of frames. Contract: the state is not changed, but for the forces of ion."""
    energy = coupled_forces(coupling, lattice.u, ion, None, None)
    record(frames, np.int64(0), energy, lattice, springs, coupling, ion, half)


@scalar
def energies(lattice, springs, coupling, ion, half, partial, out):
    """Energies and momentum of the present step from the leap-frog state, synchronised on the side.

    out (6,): ELASTIC, KINETIC (of the framework) and, behind the framework's MOMENTUM x, y, z (meV ps/Å), INTERACTION (meV).
    partial: float64 (Nx, 5) scratch. Contract: only partial, out and the forces of ion are written.
    """
    out[INTERACTION] = coupled_forces(coupling, lattice.u, ion, None, None)
    lattice_sums(lattice.u, lattice.v, springs, half, partial)
    for c in range(5):
        total = 0.0
        for i in range(partial.shape[0]):
            total += partial[i, c]
        out[c] = total
    # the lattice pass knows nothing of the ion's pull: correct the atoms that feel it
    for n in range(coupling.offsets.shape[0]):
        free = atom_velocity(lattice, springs, coupling, ion, n, 0.0, half)
        true = atom_velocity(lattice, springs, coupling, ion, n, 1.0, half)
        for c in range(3):
            out[KINETIC] += 0.5 * springs.mass * (true[c] - free[c]) * (true[c] + free[c])
            out[MOMENTUM + c] += springs.mass * (true[c] - free[c])
    out[KINETIC] = max(out[KINETIC], 0.0)  # the correction may leave -1e-20 of a framework at rest
