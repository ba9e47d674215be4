"""The ion in any infinite crystal, with the crystal's memory of every force that the ion has exerted: the exact non-local equation at T = 0.

    r_j(t) = s_j - ∫_0^t Σ_k G_jk(t - t') ∇_{r_k} U(t') dt',       M R̈ = -∇_R U(r, R)

As `memory`, but for the pairs: G_jk is a 3 × 3 block that belongs to the two atoms of the cell and the cells between them, G_kj its transpose. Only
the candidates that the ion can touch in a step (near ones) are displaced.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from mdlite.kernels.jit import parallel, scalar
from mdlite.kernels.memory import DONE, MORE_REACH, MORE_SLOTS
from mdlite.kernels.potentials import switched
from mdlite.kernels.site_coupling import Law, corner_of, ion_cell
from mdlite.kernels.sums import dot
from mdlite.kernels.timelocal import record


class CrystalMemory(NamedTuple):
    """What the infinite crystal remembers of the ion, in S slots, one for each atom that it has touched within the window of L steps."""

    table: np.ndarray  # float64 (rows, 9, L + 1), G at 0 .. L steps, the latest first, Å²/(meV ps); xx, xy, xz, yx, ...
    lookup: np.ndarray  # int64 (p, p, ·, ·, ·), for κ, κ', n: 1 + row, or -1 - row of the pair's reverse, or 0 for none
    site: np.ndarray  # int64 (S, 4), cell and atom, not wrapped
    force: np.ndarray  # float64 (S, 3, H), ∇_r U of past steps from ``origin`` on (halved at step 0), meV/Å
    begin: np.ndarray  # int64 (S,), first step with a force
    end: np.ndarray  # int64 (S,), the step after the last one with a force
    held: np.ndarray  # bool (S,), a near candidate at present
    slot: np.ndarray  # int64 (n,), the slot of every near candidate
    near: np.ndarray  # int64 (n,), which candidates are near
    count: np.ndarray  # int64 (2,), slots in use, near candidates
    origin: np.ndarray  # int64 (1,), the step that force[..., 0] belongs to
    within: float  # Å, from the ion to the site of a near candidate


class SiteWork(NamedTuple):
    """Scratch space for n candidates; ``atoms`` is a result: where they were when the last force was found (far ones: their sites)."""

    atoms: np.ndarray  # (n, 3), Å
    displacement: np.ndarray  # (n, 3), Å, of near ones


@scalar
def table_row(lookup, atom, other, i, j, k):
    """Row of the table for the response of ``atom`` to a force on ``other``, (i, j, k) cells away, and the steps from one component to the next along
    the answer and along the force; -1 for a pair that is not there."""
    x, y, z = i + lookup.shape[2] // 2, j + lookup.shape[3] // 2, k + lookup.shape[4] // 2
    if x < 0 or y < 0 or z < 0 or x >= lookup.shape[2] or y >= lookup.shape[3] or z >= lookup.shape[4]:
        return -1, 3, 1
    found = lookup[atom, other, x, y, z]
    if found >= 0:
        return found - 1, 3, 1
    return -found - 1, 1, 3


@parallel
def displace(coupling, memory, cell, step, dt, displacement):
    """Displacements (n, 3) of the near candidates around ``cell`` at ``step`` by all forces of the steps before."""
    last, origin = memory.table.shape[2] - 1, memory.origin[0]
    table, lookup, force, site, begin, end = memory.table, memory.lookup, memory.force, memory.site, memory.begin, memory.end
    used, near, sites = memory.count[0], memory.near, coupling.sites
    for m in prange(memory.count[1]):
        n = near[m]
        i, j, k = cell[0] + sites[n, 0], cell[1] + sites[n, 1], cell[2] + sites[n, 2]
        total = (0.0, 0.0, 0.0)
        for s in range(used):
            low, high = max(begin[s], step - last), min(end[s], step)
            if high <= low:
                continue
            row, a, b = table_row(lookup, sites[n, 3], site[s, 3], site[s, 0] - i, site[s, 1] - j, site[s, 2] - k)
            here, there = low - origin, last - step + low
            length = high - low
            x, y, z = total
            for c in range(3):
                f = force[s, c, here : here + length]
                x += dot(table[row, c * b, there : there + length], f)
                y += dot(table[row, a + c * b, there : there + length], f)
                z += dot(table[row, 2 * a + c * b, there : there + length], f)
            total = (x, y, z)
        displacement[n, 0], displacement[n, 1], displacement[n, 2] = -dt * total[0], -dt * total[1], -dt * total[2]


@scalar
def choose_near(coupling, memory, position):
    """Which candidates the ion at ``position`` (3,) can touch, into memory.near; returns the cell that sites count from."""
    cell = ion_cell(coupling, position)
    corner = corner_of(coupling, cell)
    found = 0
    for n in range(coupling.sites.shape[0]):
        dx = corner[0] + coupling.places[n, 0] - position[0]
        dy = corner[1] + coupling.places[n, 1] - position[1]
        dz = corner[2] + coupling.places[n, 2] - position[2]
        if dx * dx + dy * dy + dz * dz < memory.within * memory.within:
            memory.near[found] = n
            found += 1
    memory.count[1] = found
    return cell


@scalar
def slot_of(memory, i, j, k, atom):
    """The slot of an atom, or -1."""
    for s in range(memory.count[0]):
        if memory.site[s, 0] == i and memory.site[s, 1] == j and memory.site[s, 2] == k and memory.site[s, 3] == atom:
            return s
    return -1


@scalar
def free_slot(memory, step):
    """A slot whose forces have all left the window, emptied, or a new one; -1 if all are taken."""
    oldest = step - memory.table.shape[2] + 1
    for s in range(memory.count[0]):
        if not memory.held[s] and (memory.end[s] <= oldest or memory.end[s] <= memory.begin[s]):
            memory.force[s] = 0.0
            return s
    if memory.count[0] == memory.site.shape[0]:
        return -1
    memory.count[0] += 1
    return memory.count[0] - 1


@scalar
def within_reach(coupling, memory, cell, s):
    """Whether the table has the response of every near candidate around ``cell`` to the atom of slot s."""
    site = memory.site
    for m in range(memory.count[1]):
        own = coupling.sites[memory.near[m]]
        i, j, k = site[s, 0] - cell[0] - own[0], site[s, 1] - cell[1] - own[1], site[s, 2] - cell[2] - own[2]
        row, _, _ = table_row(memory.lookup, own[3], site[s, 3], i, j, k)
        if row < 0:
            return False
    return True


@scalar
def take_slots(coupling, memory, position, step):
    """Give every candidate near the ion at ``position`` a slot and look whether all that is remembered is within reach: DONE, or what is missing."""
    cell = choose_near(coupling, memory, position)
    for s in range(memory.count[0]):
        memory.held[s] = False
    for fresh in (False, True):  # those that have a slot keep it
        for m in range(memory.count[1]):
            n = memory.near[m]
            own = coupling.sites[n]
            i, j, k = cell[0] + own[0], cell[1] + own[1], cell[2] + own[2]
            s = slot_of(memory, i, j, k, own[3])
            if s < 0 and fresh:
                s = free_slot(memory, step)
                if s < 0:
                    return MORE_SLOTS
                memory.site[s, 0], memory.site[s, 1], memory.site[s, 2], memory.site[s, 3] = i, j, k, own[3]
                memory.begin[s] = memory.end[s] = step
            if s >= 0:
                memory.held[s] = True
                memory.slot[n] = s
    oldest = step - memory.table.shape[2] + 1
    for s in range(memory.count[0]):
        if memory.end[s] > max(oldest, memory.begin[s]) and not within_reach(coupling, memory, cell, s):
            return MORE_REACH
    return DONE


@scalar
def exert(coupling, memory, ion, work, step):
    """Forces between the ion and the near atoms at work.atoms: into ion.force, ion.energy, and into the memory as those of ``step``."""
    energy = fx = fy = fz = 0.0
    weight = 0.5 if step == 0 else 1.0  # trapezoidal rule
    place = step - memory.origin[0]
    for m in range(memory.count[1]):
        n = memory.near[m]
        dx = work.atoms[n, 0] - ion.position[0]
        dy = work.atoms[n, 1] - ion.position[1]
        dz = work.atoms[n, 2] - ion.position[2]
        rho, kind, s = math.sqrt(dx * dx + dy * dy + dz * dz), coupling.kinds[n], memory.slot[n]
        phi, slope, curvature = switched(
            Law(coupling.forms[kind], coupling.params[kind], coupling.switch_start, coupling.cutoff), rho
        )
        pull = slope / rho if rho > 0.0 else 0.0
        ion.stiffest[0] = max(ion.stiffest[0], abs(curvature))
        energy += phi
        fx += pull * dx
        fy += pull * dy
        fz += pull * dz
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
def evaluate(coupling, memory, ion, work, step, dt):
    """Atoms and forces at ``step``, with the ion where it is and slots taken."""
    cell = ion_cell(coupling, ion.position)
    corner = corner_of(coupling, cell)
    work.displacement[:] = 0.0
    displace(coupling, memory, cell, step, dt, work.displacement)
    for n in range(coupling.sites.shape[0]):
        for c in range(3):
            work.atoms[n, c] = corner[c] + coupling.places[n, c] + work.displacement[n, c]
    exert(coupling, memory, ion, work, step)


@scalar
def move(coupling, memory, ion, step, dt):
    """Half a kick and the drift to ``step``, unless the memory has no room for what is there: DONE, or what is missing (nothing moved)."""
    half = 0.5 * dt
    old = (ion.position[0], ion.position[1], ion.position[2])
    for c in range(3):
        ion.position[c] += dt * (ion.velocity[c] + half * ion.force[c] * ion.inverse_mass[c])
    missing = take_slots(coupling, memory, ion.position, step)
    if missing != DONE:
        ion.position[0], ion.position[1], ion.position[2] = old
        return missing
    for c in range(3):
        ion.velocity[c] += half * ion.force[c] * ion.inverse_mass[c]
    return DONE


@scalar
def advance(coupling, memory, ion, work, dt, steps, frames):
    """Take steps of dt (ps); steps = (first step number, how many, sample every so many).

    Returns (steps taken, rows written, DONE or what is missing for more). Contract: ion.force is that of the present step; everything is updated in
    place.
    """
    first, count, sampling = steps
    rows = np.int64(0)
    for step in range(first, first + count):
        if step % sampling == 0:
            record(frames, rows, ion, work.atoms)
        missing = move(coupling, memory, ion, step + 1, dt)
        if missing != DONE:
            return step - first, rows, missing
        if step % sampling == 0:
            rows += 1
        evaluate(coupling, memory, ion, work, step + 1, dt)
        for c in range(3):
            ion.velocity[c] += 0.5 * dt * ion.force[c] * ion.inverse_mass[c]
    return count, rows, DONE
