"""The ion in the infinite crystal, with the crystal's memory of every force that the ion has exerted: the exact non-local equation.

    r_j(t) = r_H,j(t) - ∫_0^t Σ_k G_{j-k}(t - t') ∇_{r_k} U(t') dt',       M R̈ = -∇_R U(r, R)

The integral is the trapezoidal rule on the steps of velocity Verlet; G(0) = 0, so the present force is not needed for the present r. Every
atom that the ion has touched keeps its forces (a slot of `types.Memory`) for as long as the window is.
"""

import math

import numpy as np
from numba import prange

from mdlite.kernels.coupling import cell_of
from mdlite.kernels.ensemble import turn
from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.medium import at_rest, in_crystal, pair_terms
from mdlite.kernels.stencil import kick_drift
from mdlite.kernels.sums import dot
from mdlite.kernels.timelocal import record

DONE, MORE_SLOTS, MORE_REACH = 0, 1, 2


@scalar
def table_row(memory, x, y, z):
    """Row of the table for the lattice vector (x, y, z), which axis of it each axis has become, or -1 for a vector out of reach."""
    p, q, r = abs(x), abs(y), abs(z)
    reach = memory.lookup.shape[0] - 1
    if p > reach or q > reach or r > reach:
        return -1, 0, 0, 0
    px = (1 if q > p else 0) + (1 if r > p else 0)
    py = (1 if p >= q else 0) + (1 if r > q else 0)
    pz = (1 if p >= r else 0) + (1 if q >= r else 0)
    low, high = min(p, q, r), max(p, q, r)
    return memory.lookup[high, p + q + r - low - high, low], px, py, pz


@scalar
def component(a, b):
    """Index of the component ab of a symmetric matrix in the order xx, yy, zz, yz, xz, xy."""
    return a if a == b else 6 - a - b


@parallel
def displace(coupling, memory, cell, step, dt, displacement):
    """Displacements (n, 3) of the candidates around ``cell`` at ``step`` by all forces of the steps before."""
    last = memory.table.shape[2] - 1
    table, force, site, begin, end, used = memory.table, memory.force, memory.site, memory.begin, memory.end, memory.count[0]
    for n in prange(coupling.offsets.shape[0]):
        x, y, z = cell[0] + coupling.offsets[n, 0], cell[1] + coupling.offsets[n, 1], cell[2] + coupling.offsets[n, 2]
        total = (0.0, 0.0, 0.0)
        for s in range(used):
            low, high = max(begin[s], step - last), min(end[s], step)
            if high <= low:
                continue
            dx, dy, dz = x - site[s, 0], y - site[s, 1], z - site[s, 2]
            row, px, py, pz = table_row(memory, dx, dy, dz)
            here, there = low - memory.origin[0], last - step + low
            length = high - low
            xx = table[row, px, there : there + length]
            yy = table[row, py, there : there + length]
            zz = table[row, pz, there : there + length]
            fx, fy, fz = force[s, 0, here : here + length], force[s, 1, here : here + length], force[s, 2, here : here + length]
            ax, ay, az = dot(xx, fx), dot(yy, fy), dot(zz, fz)
            if dx != 0 and dy != 0:
                sign = math.copysign(1.0, dx * dy)
                xy = table[row, component(px, py), there : there + length]
                ax += sign * dot(xy, fy)
                ay += sign * dot(xy, fx)
            if dx != 0 and dz != 0:
                sign = math.copysign(1.0, dx * dz)
                xz = table[row, component(px, pz), there : there + length]
                ax += sign * dot(xz, fz)
                az += sign * dot(xz, fx)
            if dy != 0 and dz != 0:
                sign = math.copysign(1.0, dy * dz)
                yz = table[row, component(py, pz), there : there + length]
                ay += sign * dot(yz, fz)
                az += sign * dot(yz, fy)
            total = (total[0] + ax, total[1] + ay, total[2] + az)
        displacement[n, 0], displacement[n, 1], displacement[n, 2] = -dt * total[0], -dt * total[1], -dt * total[2]


@scalar
def let_go(coupling, memory, cell, step, displacement):
    """Add what is left at ``step`` of the displacements before t = 0, -Σ_k W_{j-k}(t) ∇_{r_k} U(0), which nothing holds any more."""
    if step >= memory.start_table.shape[2]:
        return
    w = memory.start_table
    for s in range(memory.start_site.shape[0]):
        f = memory.start_force[s]
        for n in range(coupling.offsets.shape[0]):
            dx = cell[0] + coupling.offsets[n, 0] - memory.start_site[s, 0]
            dy = cell[1] + coupling.offsets[n, 1] - memory.start_site[s, 1]
            dz = cell[2] + coupling.offsets[n, 2] - memory.start_site[s, 2]
            row, px, py, pz = table_row(memory, dx, dy, dz)
            xy = w[row, component(px, py), step] * (1.0 if dx * dy > 0 else -1.0 if dx * dy < 0 else 0.0)
            xz = w[row, component(px, pz), step] * (1.0 if dx * dz > 0 else -1.0 if dx * dz < 0 else 0.0)
            yz = w[row, component(py, pz), step] * (1.0 if dy * dz > 0 else -1.0 if dy * dz < 0 else 0.0)
            displacement[n, 0] -= w[row, px, step] * f[0] + xy * f[1] + xz * f[2]
            displacement[n, 1] -= xy * f[0] + w[row, py, step] * f[1] + yz * f[2]
            displacement[n, 2] -= xz * f[0] + yz * f[1] + w[row, pz, step] * f[2]


@scalar
def slot_of(memory, x, y, z):
    """The slot of the atom at site (x, y, z), or -1."""
    for s in range(memory.count[0]):
        if memory.site[s, 0] == x and memory.site[s, 1] == y and memory.site[s, 2] == z:
            return s
    return -1


@scalar
def free_slot(memory, step):
    """A slot whose forces have all left the window, emptied, or a new one; -1 if all are taken."""
    oldest = step - memory.table.shape[2] + 1
    for s in range(memory.count[0]):
        if memory.end[s] <= oldest and not memory.held[s]:
            memory.force[s] = 0.0
            return s
    if memory.count[0] == memory.site.shape[0]:
        return -1
    memory.count[0] += 1
    return memory.count[0] - 1


@scalar
def within_reach(coupling, memory, cell, site):
    """Whether the table has the response of every candidate around ``cell`` to the atom at ``site`` (3,)."""
    for n in range(coupling.offsets.shape[0]):
        dx = cell[0] + coupling.offsets[n, 0] - site[0]
        dy = cell[1] + coupling.offsets[n, 1] - site[1]
        dz = cell[2] + coupling.offsets[n, 2] - site[2]
        row, _, _, _ = table_row(memory, dx, dy, dz)
        if row < 0:
            return False
    return True


@scalar
def take_slots(coupling, memory, cell, step):
    """Give every candidate around ``cell`` a slot and look whether all that is remembered is within reach: DONE, or what is missing."""
    n_atoms = coupling.offsets.shape[0]
    for s in range(memory.count[0]):
        memory.held[s] = False
    for fresh in (False, True):  # those that have a slot keep it
        for n in range(n_atoms):
            x, y, z = cell[0] + coupling.offsets[n, 0], cell[1] + coupling.offsets[n, 1], cell[2] + coupling.offsets[n, 2]
            s = slot_of(memory, x, y, z)
            if s < 0 and fresh:
                s = free_slot(memory, step)
                if s < 0:
                    return MORE_SLOTS
                memory.site[s, 0], memory.site[s, 1], memory.site[s, 2] = x, y, z
                memory.begin[s] = memory.end[s] = step
            if s >= 0:
                memory.held[s] = True
                memory.slot[n] = s
    oldest = step - memory.table.shape[2] + 1
    for s in range(memory.count[0]):
        if (memory.end[s] > oldest or memory.held[s]) and not within_reach(coupling, memory, cell, memory.site[s]):
            return MORE_REACH
    if step < memory.start_table.shape[2]:
        for s in range(memory.start_site.shape[0]):
            if not within_reach(coupling, memory, cell, memory.start_site[s]):
                return MORE_REACH
    return DONE


@scalar
def exert(coupling, memory, ion, work, step):
    """Forces between the ion and the candidates at work.atoms: into ion.force, ion.energy, and into the memory as those of ``step``."""
    energy = fx = fy = fz = 0.0
    weight = 0.5 if step == 0 else 1.0  # trapezoidal rule
    place = step - memory.origin[0]
    for n in range(coupling.offsets.shape[0]):
        dx = work.atoms[n, 0] - ion.position[0]
        dy = work.atoms[n, 1] - ion.position[1]
        dz = work.atoms[n, 2] - ion.position[2]
        phi, pull, bend = pair_terms(coupling, dx, dy, dz)
        ion.stiffest[0] = max(ion.stiffest[0], abs(pull + bend * (dx * dx + dy * dy + dz * dz)))
        energy += phi
        fx += pull * dx
        fy += pull * dy
        fz += pull * dz
        s = memory.slot[n]
        memory.force[s, 0, place] = weight * pull * dx
        memory.force[s, 1, place] = weight * pull * dy
        memory.force[s, 2, place] = weight * pull * dz
        if pull != 0.0:
            if memory.end[s] <= memory.begin[s]:
                memory.begin[s] = step
            memory.end[s] = step + 1
    ion.force[0], ion.force[1], ion.force[2] = fx, fy, fz
    ion.energy[0] = energy
    for c in range(3):
        ion.effective[c] = ion.position[c]


@scalar
def evaluate(coupling, memory, ion, work, crystal, step, dt):
    """Atoms and forces at ``step``, with the ion where it is and slots taken. crystal: None at T = 0, or a Crystal around that step."""
    if crystal is None:
        at_rest(coupling, ion, work)
    else:
        in_crystal(coupling, ion, crystal, dt, work)
    cell = cell_of(coupling, ion.position)
    displace(coupling, memory, cell, step, dt, work.displacement)
    let_go(coupling, memory, cell, step, work.displacement)
    for n in range(coupling.offsets.shape[0]):
        for c in range(3):
            work.atoms[n, c] = work.home[n, c] + work.displacement[n, c]
    exert(coupling, memory, ion, work, step)


@scalar
def move(coupling, memory, ion, work, step, dt):
    """Half a kick and the drift to ``step``, unless the memory has no room for what is there: DONE, or what is missing (nothing moved)."""
    half = 0.5 * dt
    old = (ion.position[0], ion.position[1], ion.position[2])
    for c in range(3):
        ion.position[c] += dt * (ion.velocity[c] + half * ion.force[c] * ion.inverse_mass[c])
    missing = take_slots(coupling, memory, cell_of(coupling, ion.position), step)
    if missing != DONE:
        ion.position[0], ion.position[1], ion.position[2] = old
        return missing
    for c in range(3):
        ion.velocity[c] += half * ion.force[c] * ion.inverse_mass[c]
    return DONE


@scalar
def advance(coupling, memory, ion, work, crystal, springs, dt, steps, frames):
    """Take steps of dt (ps) at T = 0 (crystal None) or in a thermal crystal; steps = (first step number, how many, sample every so many).

    Returns (steps taken, rows written, DONE or what is missing for more). Contract: ion.force is that of the present step; everything
    is updated in place; the crystal's three displacement buffers take turns as in `ensemble.advance`.
    """
    first, count, sampling = steps
    now = crystal
    rows = np.int64(0)
    for step in range(first, first + count):
        missing = move(coupling, memory, ion, work, step + 1, dt) if step % sampling else DONE
        if step % sampling == 0:
            record(frames, rows, ion, work.atoms)
            missing = move(coupling, memory, ion, work, step + 1, dt)
            if missing == DONE:
                rows += 1
        if missing != DONE:
            return step - first, rows, missing
        if crystal is not None:
            now = turn(now)
            kick_drift(now.u, now.v, now.after, springs, dt, dt)
        evaluate(coupling, memory, ion, work, now, step + 1, dt)
        for c in range(3):
            ion.velocity[c] += 0.5 * dt * ion.force[c] * ion.inverse_mass[c]
    return count, rows, DONE
