"""Steps of any explicit crystal and the ion in it, m ü = -Φ u - ∇_r U and M R̈ = -∇_R U, by compositions of kicks and drifts.

In leap-frog form, as in `reference`: positions at step n, velocities before the kick that belongs to them. A sample is synchronised on the
side and never changes the state.
"""

import numpy as np
from numba import prange

from mdlite.kernels.blocks import drift, force_on, kick
from mdlite.kernels.jit import bare, parallel, scalar
from mdlite.kernels.reference import push_ion
from mdlite.kernels.site_coupling import corner_of, ion_cell, places_of, site_forces

ELASTIC, KINETIC, MOMENTUM, LARGEST, SUMS = 0, 1, 2, 5, 6
"""Columns of `sums`: energies (meV), momentum x, y, z (meV ps/Å), the largest |u|² (Å²)."""


@bare
def pull_atoms(stencil, coupling, v, ion, kicks):
    """v += kick/m × ion.atom_force for the candidates; kicks (p,)."""
    cell = ion_cell(coupling, ion.position)
    for n in range(coupling.sites.shape[0]):
        _, _, at, step = places_of(stencil, coupling, cell, n)
        factor = kicks[coupling.sites[n, 3]]
        for c in range(3):
            v[at + c * step] += factor * ion.atom_force[n, c]


@bare
def record(frames, row, energy, crystal, ion, half):
    """Write the synchronised ion, its energy U and forces (fresh ones), and its candidate atoms if asked for, into a row of frames.

    crystal: (u, v, stencil, coupling, half kicks (p,)). Contract: only frames is written.
    """
    u, v, stencil, coupling, kicks = crystal
    frames.interaction[row] = energy
    for c in range(3):
        frames.position[row, c] = ion.position[c]
        frames.effective_position[row, c] = ion.position[c]
        frames.velocity[row, c] = ion.velocity[c] + half * ion.force[c] * ion.inverse_mass[c]
        frames.force[row, c] = ion.force[c]
    if frames.atom_position.shape[1] > 0:
        cell = ion_cell(coupling, ion.position)
        corner = corner_of(coupling, cell)
        for n in range(coupling.sites.shape[0]):
            at, step, place, v_step = places_of(stencil, coupling, cell, n)
            atom = coupling.sites[n, 3]
            plane = (cell[0] + coupling.sites[n, 0]) % stencil.size[0]
            for c in range(3):
                pull = force_on(u, stencil, atom, plane, at - 3 * atom * step - plane * stencil.u_plane, c) + ion.atom_force[n, c]
                frames.atom_position[row, n, c] = corner[c] + coupling.places[n, c] + u[at + c * step]
                frames.atom_velocity[row, n, c] = v[place + c * v_step] + kicks[atom] * pull


@scalar
def advance(u, v, stencil, coupling, ion, clock, inverse_masses, steps, frames):
    """Take steps of a `types.Clock` and sample; steps = (first step number, how many, sample every so many).

    inverse_masses (p,): of the atoms of a cell. A step whose number is a multiple of the sampling is recorded before it is taken; returns the
    number of rows written to frames. Contract: u, v and ion are updated in place.
    """
    first, count, sampling = steps
    rows = np.int64(0)  # a plain 0 would be a type of its own to numba
    crystal = (u, v, stencil, coupling, clock.half * inverse_masses)
    for step in range(first, first + count):
        for stage in range(clock.kicks.shape[0]):
            kicks = clock.kicks[stage] * inverse_masses
            energy = site_forces(stencil, coupling, u, ion)
            if stage == 0 and step % sampling == 0:
                record(frames, rows, energy, crystal, ion, clock.half)
                rows += 1
            pull_atoms(stencil, coupling, v, ion, kicks)
            kick(u, v, stencil, kicks)
            drift(u, v, stencil, clock.drifts[stage])
            push_ion(ion, clock.kicks[stage], clock.drifts[stage])
    return rows


@scalar
def sample(u, v, stencil, coupling, ion, half, inverse_masses, frames):
    """Record the present step into row 0 of frames. Contract: the state is not changed, but for the forces of ion."""
    energy = site_forces(stencil, coupling, u, ion)
    record(frames, np.int64(0), energy, (u, v, stencil, coupling, half * inverse_masses), ion, half)


@scalar
def shift_time(u, v, stencil, coupling, ion, time, inverse_masses):
    """v += time F/m for the crystal and the ion (ps): from synchronous velocities to leap-frog ones with -dt/2, and back.

    Contract: v and ion.velocity are updated in place, the forces of ion are overwritten.
    """
    site_forces(stencil, coupling, u, ion)
    pull_atoms(stencil, coupling, v, ion, time * inverse_masses)
    for c in range(3):
        ion.velocity[c] += time * ion.force[c] * ion.inverse_mass[c]
    kick(u, v, stencil, time * inverse_masses)


@parallel
def sums(u, v, force, stencil, masses, partial):
    """Energies and momentum of displacements u, synchronous velocities v, and forces -Φu (laid out as v), one row of partial (3p, 6) a field."""
    for field in prange(partial.shape[0]):
        elastic = kinetic = momentum = largest = 0.0
        mass = masses[field // 3]
        for i in range(stencil.size[0]):
            for j in range(stencil.size[1]):
                row = field * stencil.size[0] + i
                at = row * stencil.u_plane + (j + stencil.halo[0]) * stencil.u_pitch + stencil.halo[1]
                place = row * stencil.v_plane + j * stencil.v_pitch
                for k in range(stencil.size[2]):
                    x, w = u[at + k], v[place + k]
                    elastic -= 0.5 * x * force[place + k]
                    kinetic += 0.5 * mass * w * w
                    momentum += mass * w
                    largest = max(largest, x * x)
        for c in range(3):
            partial[field, MOMENTUM + c] = momentum if field % 3 == c else 0.0
        partial[field, ELASTIC], partial[field, KINETIC], partial[field, LARGEST] = elastic, kinetic, largest
