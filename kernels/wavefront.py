"""Two steps of the lattice in one pass over memory, in place.

The planes i are cut into chunks, one for each thread. In a chunk a front moves along i: the displacements after one step (the *middle* ones) of plane
p are computed, then those after two of plane p - 1, which overwrite the oldest. The middle displacements live in a ring of three planes, so the
lattice is read and written once for two steps. Wide planes are cut into tiles of rows that a core's cache holds; the front of a tile lags one
row behind in its second step, and the two last middle rows of a tile are handed to the next.

What the front cannot finish are the planes on both sides of the seams between chunks, whose neighbours belong to another thread: their middle
displacements are kept, and their second step follows when all threads are done. One seam lies where the ion is, so its atoms are among those, and
the ion's forces at the middle step are evaluated in between. Every atom is moved by the same operations as in `stencil.kick_drift`, whatever the
number of chunks and tiles: the bits are the same.
"""

import numpy as np
from numba import prange

from mdlite.kernels.coupling import cell_of, wrapped
from mdlite.kernels.jit import bare, parallel, scalar
from mdlite.kernels.reference import interact, push_ion
from mdlite.kernels.springs import neighbours
from mdlite.kernels.stencil import kick_drift_rows
from mdlite.kernels.types import DoubleStep, Planes, Rows, Span

AHEAD = 2  # kept planes before a seam; behind it, the postponed ones and one more: ``held`` + 1


@bare
def line(u):
    """Numbers in a row of middle displacements, the three components one after the other."""
    return 3 * u.shape[3]


def room_needed(shape, front):
    """Length of ``Wavefront.room`` for arrays of this shape: kept planes, and for every chunk three tiles of a plane and the edges of all."""
    _, nx, ny, pitch = shape
    edges = 4 * -(-nx // front.chunks) if front.rows < ny else 0
    return 3 * pitch * ((front.held + 3 + 4 * (front.chunks - 1)) * (ny + 2) + front.chunks * (3 * (front.rows + 4) + edges))


@bare
def kept_planes(front):
    """Planes that are kept at all seams together: the first is the ion's."""
    return front.held + 3 + 4 * (front.chunks - 1)


@bare
def kept(u, front, seam, n):
    """Where the middle plane n (-2, -1 before the seam; 0, 1, ... behind it) of a seam begins."""
    first = 0 if seam == 0 else front.held + 3 + 4 * (seam - 1)
    return (first + AHEAD + n) * (u.shape[2] + 2) * line(u)


@bare
def copy(room, source, target, count):
    """``count`` numbers within the room, or from there."""
    for n in range(count):
        room[target + n] = room[source + n]


@bare
def begin_rows(u, v, room, shape, springs, times, place, i, rows):
    """First step of some rows (first, the one after the last) of plane i, to the middle plane at ``place``."""
    nx, ny, pitch = shape
    plane = ny * pitch
    step = nx * plane
    below, above = neighbours(i, nx)
    planes = Planes(below * plane, i * plane, above * plane, i * plane, place)
    old, velocities, middle = Rows(u, step, pitch), Rows(v, step, pitch), Rows(room, pitch, 3 * pitch)
    span = Span(rows[0], rows[1], ny, True)
    kick_drift_rows(old, velocities, middle, planes, span, springs, times.first_kick, times.first_drift, np.int64(0))


@bare
def settle_rows(u, room, shape, place, i, rows):
    """Rows of plane i from the middle plane at ``place``, where the pass is to be one step only."""
    nx, ny, pitch = shape
    for j in range(rows[0], rows[1]):
        for c in range(3):
            target = (c * nx * ny + i * ny + (j if j < ny else j - ny)) * pitch
            for k in range(pitch):
                u[target + k] = room[place + (3 * j + c) * pitch + k]


@bare
def finish_rows(u, v, room, shape, springs, times, places, i, rows, ahead):
    """Second step of some rows of plane i from the three middle planes at ``places``; if there is none, see `settle_rows`."""
    nx, ny, pitch = shape
    plane = ny * pitch
    step = nx * plane
    below, here, above = places
    if times.both:
        planes = Planes(below, here, above, i * plane, i * plane)
        middle, velocities, new = Rows(room, pitch, 3 * pitch), Rows(v, step, pitch), Rows(u, step, pitch)
        span = Span(rows[0], rows[1], ny, False)
        kick_drift_rows(middle, velocities, new, planes, span, springs, times.second_kick, times.second_drift, ahead)
    else:
        settle_rows(u, room, shape, here, i, rows)


@scalar
def sweep_tile(lattice, front, springs, times, chunk, origin, tile):
    """Move the front of one tile through one chunk; the tile after the last holds the two rows that the others leave over."""
    shape, width = lattice.u.shape[1:], line(lattice.u)
    nx, ny, _ = shape
    u, v, room = lattice.u.reshape(-1), lattice.v.reshape(-1), front.room
    begin, end = origin + chunk * nx // front.chunks, origin + (chunk + 1) * nx // front.chunks
    held = front.held if chunk == 0 else 1
    single = front.rows >= ny
    low = tile * front.rows
    over = low >= ny
    low, high = (ny, ny + 2) if over else (low, min(low + front.rows, ny))
    slot = (front.rows + 4) * width
    ring = kept_planes(front) * (ny + 2) * width + chunk * (3 * slot + (0 if single else 4 * -(-nx // front.chunks) * width))
    edge = ring + 3 * slot  # of every plane: the two last rows of the tile before, and rows 0 and 1
    before = here = after = begin  # so far nowhere
    for p in range(begin, end):
        before, here = here, after
        own = p - begin <= held or p >= end - AHEAD
        if p - begin <= held:
            after = kept(lattice.u, front, chunk, p - begin)
        elif own:
            after = kept(lattice.u, front, (chunk + 1) % front.chunks, p - end)
        else:
            after = ring + p % 3 * slot - (low - 2) * width
        store = edge + 4 * (p - begin) * width
        if not own and tile > 0:
            copy(room, store, after + (low - 2) * width, 2 * width)
        if not over:
            begin_rows(u, v, room, shape, springs, times, after, p % nx, (low, high))
        if over or single:
            copy(room, after if own or single else store + 2 * width, after + ny * width, 2 * width)
        elif not own:
            copy(room, after + (high - 2) * width, store, 2 * width)
            if tile == 0:
                copy(room, after, store + 2 * width, 2 * width)
        if begin + held < p:
            rows = (1 if tile == 0 else low - 1, high + 1 if single else high - 1)
            finish_rows(u, v, room, shape, springs, times, (before, here, after), (p - 1) % nx, rows, front.ahead)


@parallel
def sweep(lattice, front, springs, times, origin):
    """The front's way through all chunks, which begin at plane ``origin``: all atoms take the first step, those away from the seams the second.

    times: a `types.DoubleStep`.
    """
    tiles = -(-lattice.u.shape[2] // front.rows)
    for chunk in prange(front.chunks):
        for tile in range(1 if tiles == 1 else tiles + 1):
            sweep_tile(lattice, front, springs, times, chunk, origin, tile)


@parallel
def close_seams(lattice, front, springs, times, origin):
    """The second step of the planes at the seams."""
    shape = lattice.u.shape[1:]
    nx, ny, _ = shape
    u, v, pieces = lattice.u.reshape(-1), lattice.v.reshape(-1), 8
    for n in prange((front.held + 1 + 2 * (front.chunks - 1)) * pieces):
        plane, piece = n // pieces, n % pieces
        seam = 0 if plane <= front.held else 1 + (plane - front.held - 1) // 2
        m = (plane if seam == 0 else (plane - front.held - 1) % 2) - 1
        planes = (kept(lattice.u, front, seam, m - 1), kept(lattice.u, front, seam, m), kept(lattice.u, front, seam, m + 1))
        i = (origin + seam * nx // front.chunks + m) % nx
        rows = (1 + piece * ny // pieces, 1 + (piece + 1) * ny // pieces)
        finish_rows(u, v, front.room, shape, springs, times, planes, i, rows, np.int64(0))


@bare
def bring_middle(lattice, front, coupling, position, origin, reach):
    """Put the middle displacements of the candidates, and of atoms up to ``reach`` sites from them, in the place of the old ones."""
    u = lattice.u
    nx, ny, pitch = u.shape[1], u.shape[2], u.shape[3]
    cell = cell_of(coupling, position)
    for n in range(coupling.offsets.shape[0]):
        i, j, k = wrapped(coupling, cell, n)
        for di in range(-reach, reach + 1):
            x = (i + di) % nx
            m = (i - origin) % nx + di
            for dj in range(-reach, reach + 1):
                y = (j + dj) % ny
                source = kept(u, front, np.int64(0), m) + y * line(u)
                for c in range(3):
                    for z in range(k - reach, k + reach + 1):
                        u[c, x, y, z] = front.room[source + c * pitch + z]


@scalar
def advance(lattice, springs, coupling, ion, clock, steps, front, frames):
    """As `reference.advance`, two kicks and drifts at a time, in place. front: a `types.Wavefront` made for this lattice and these candidates."""
    first, count, sampling = steps
    nx, stages = lattice.u.shape[1], clock.kicks.shape[0]
    reach = 1 if frames.atom_position.shape[1] > 0 else 0
    rows, n, end = np.int64(0), first * stages, (first + count) * stages  # a plain 0 would be a type of its own to numba
    while n < end:
        whole = n + 1 < end
        one, two = n % stages, (n + 1) % stages
        times = DoubleStep(clock.kicks[one], clock.drifts[one], clock.kicks[two], clock.drifts[two], whole)
        recorded = one == 0 and n // stages % sampling == 0
        rows = interact(lattice, springs, coupling, ion, times.first_kick, clock.half, recorded, frames, rows)
        push_ion(ion, times.first_kick, times.first_drift)
        origin = (cell_of(coupling, ion.position)[0] % nx + front.lowest) % nx  # in this order also for an ion that is nowhere
        sweep(lattice, front, springs, times, origin)
        if whole:
            bring_middle(lattice, front, coupling, ion.position, origin, reach)
            recorded = two == 0 and (n + 1) // stages % sampling == 0
            rows = interact(lattice, springs, coupling, ion, times.second_kick, clock.half, recorded, frames, rows)
            push_ion(ion, times.second_kick, times.second_drift)
        close_seams(lattice, front, springs, times, origin)
        n += 2
    return rows
