"""The lattice's fused kick-drift step in vectors of eight atoms along k, one row of atoms at a time.

With A and D for the sum and the difference of the two neighbours along an axis, (A_x f)_i = f_{i+1} + f_{i-1} and (D_x f)_i = f_{i+1} - f_{i-1}, the
force of `springs` reads

    F_x = k1 (A_x x - 2x) + (k2/2) [A_x A_y x + D_x D_y y + A_z (A_x x) + D_z (D_x z) - 8x]
    F_y = k1 (A_y y - 2y) + (k2/2) [A_x A_y y + D_x D_y x + A_z (A_y y) + D_z (D_y z) - 8y]
    F_z = k1 (A_z z - 2z) + (k2/2) [A_z (A_x z + A_y z) + D_z (D_x x + D_y y) - 8z]

and A_z f + D_z g = (f + g)_{k+1} + (f - g)_{k-1}, so that sums are moved by one lane and, but for A_z z, all loads begin at a multiple of eight in
the row. The differences from x, y, z are formed before they are multiplied: a crystal shifted as a whole feels no more than the rounding of sums.

A row is stored as ``types.LatticeState`` says: halo, atoms, halo, zeros up to a multiple of eight.
"""

import numpy as np
from numba import prange

from mdlite.kernels.jit import bare, inlined, parallel, scalar
from mdlite.kernels.springs import neighbours
from mdlite.kernels.vectors import WIDTH, fma, following, keep, load, preceding, prefetch, splat, store


@inlined
def near(u, step, planes, rows, o):
    """A_x x, A_y y, z, and the sums that F_x, F_y, F_z take from the atom behind (r) and ahead (l) along k."""
    below, here, above = planes
    front, row, back = rows
    y, z = step + o, 2 * step + o
    xp, xm = load(u, above + row + o), load(u, below + row + o)
    zp, zm = load(u, above + row + z), load(u, below + row + z)
    yq, ym = load(u, here + back + y), load(u, here + front + y)
    zq, zn = load(u, here + back + z), load(u, here + front + z)
    ax, dx, az, dz = xp + xm, xp - xm, zp + zm, zp - zm
    ay, dy, bz, ez = yq + ym, yq - ym, zq + zn, zq - zn
    s, d = az + bz, dx + dy
    return ax, ay, load(u, here + row + z), ax + dz, ax - dz, ay + ez, ay - ez, s + d, s - d


@inlined
def diagonals(u, step, planes, rows, o, last, now, after):
    """Displacements x, y of the block at o, and what its atoms feel from diagonal neighbours; last, now, after: `near` of the blocks around."""
    below, here, above = planes
    front, row, back = rows
    _, _, _, rx, lx, ry, ly, rz, lz = now
    x, y = load(u, here + row + o), load(u, here + row + step + o)
    pp = load(u, above + back + o) + load(u, below + front + o)
    pm = load(u, above + front + o) + load(u, below + back + o)
    qp = load(u, above + back + step + o) + load(u, below + front + step + o)
    qm = load(u, above + front + step + o) + load(u, below + back + step + o)
    p, q = pp + qp, pm - qm
    fx = (p + q) + (following(rx, after[3]) + preceding(last[4], lx))
    fy = (p - q) + (following(ry, after[5]) + preceding(last[6], ly))
    fz = following(rz, after[7]) + preceding(last[8], lz)
    return x, y, fx, fy, fz


@inlined
def _moved(u, step, planes, rows, v, v_step, v_row, o, last, now, after, az, constants):
    """Velocities and displacements of the block at o after the step; last, now, after: `near` of it and of
    the blocks on both sides; az: A_z z."""
    ax, ay, z, _, _, _, _, _, _ = now
    c1, c2, drift, two, eight = constants
    x, y, fx, fy, fz = diagonals(u, step, planes, rows, o, last, now, after)
    vx = fma(c2, fma(eight, x, fx), fma(c1, fma(two, x, ax), load(v, v_row + o)))
    vy = fma(c2, fma(eight, y, fy), fma(c1, fma(two, y, ay), load(v, v_row + v_step + o)))
    vz = fma(c2, fma(eight, z, fz), fma(c1, fma(two, z, az), load(v, v_row + 2 * v_step + o)))
    return vx, vy, vz, fma(drift, vx, x), fma(drift, vy, y), fma(drift, vz, z)


@inlined
def put(array, step, row, o, x, y, z):
    store(array, row + o, x)
    store(array, row + step + o, y)
    store(array, row + 2 * step + o, z)


@inlined
def _fetch(array, step, at):
    prefetch(array, at)
    prefetch(array, at + step)
    prefetch(array, at + 2 * step)


@bare
def kick_drift_rows(u, v, out, steps, pitches, planes, rows, springs, kick, drift, ahead):
    """v += kick F(u)/m and out = u + drift v for some rows of one plane, with the halo of ``out`` filled (kick, drift in ps).

    u, v, out: flat arrays. steps, pitches: of each, from one component, and from one row, to the next. planes: where the planes i - 1, i, i + 1 begin
    in u, then plane i in v, then in out. rows: (first, the one after the last, how many there are in a plane, whether u is periodic); if
    it is not, row -1 and rows beyond the plane's are read where they would stand. ahead: 0, or the length of a plane: the same rows of v
    two planes on, and of out three planes on, are fetched from memory on the way. Contract: these rows of out and v are written, nothing else;
    out may be u, but not where it is read.
    """
    first, last, count, periodic = rows
    c1, c2 = kick * springs.k1 / springs.mass, 0.5 * kick * springs.k2 / springs.mass
    constants = (splat(c1), splat(c2), splat(drift), splat(-2.0), splat(-8.0))
    zero = splat(0.0)
    step, v_step, out_step = steps
    around = planes[:3]
    end = springs.length + 1
    for j in range(first, last):
        front = count - 1 if periodic and j == 0 else j - 1
        back = 0 if periodic and j == count - 1 else j + 1
        three = (front * pitches[0], j * pitches[0], back * pitches[0])
        site = j if j < count else j - count
        v_row, out_row = planes[3] + site * pitches[1], planes[4] + site * pitches[2]
        o = 0
        before = (zero, zero, zero, zero, zero, zero, zero, zero, zero)
        now = near(u, step, around, three, 0)
        while o + WIDTH <= end:
            after = near(u, step, around, three, o + WIDTH)
            beside = around[1] + three[1] + 2 * step + o
            az = load(u, beside + 1) + load(u, beside - 1)  # loads at odd addresses take less time here than moving lanes does
            vx, vy, vz, x, y, z = _moved(u, step, around, three, v, v_step, v_row, o, before, now, after, az, constants)
            put(v, v_step, v_row, o, vx, vy, vz)
            put(out, out_step, out_row, o, x, y, z)
            if ahead > 0:
                _fetch(out, out_step, out_row + 3 * ahead + o)
                _fetch(v, v_step, v_row + 2 * ahead + o)
            before, now = now, after
            o += WIDTH
        az = following(now[2], now[2]) + preceding(before[2], now[2])
        vx, vy, vz, x, y, z = _moved(u, step, around, three, v, v_step, v_row, o, before, now, now, az, constants)
        n = end - o
        put(v, v_step, v_row, o, keep(vx, n), keep(vy, n), keep(vz, n))
        put(out, out_step, out_row, o, keep(x, n), keep(y, n), keep(z, n))
        for c in range(3):
            v[v_row + c * v_step] = 0.0
            out[out_row + c * out_step] = out[out_row + c * out_step + springs.length]
            out[out_row + c * out_step + end] = out[out_row + c * out_step + 1]


@inlined
def _plane(u, v, u_next, shape, i, springs, kick, drift):
    nx, ny, pitch = shape
    plane = ny * pitch
    step = nx * plane
    below, above = neighbours(i, nx)
    places = (below * plane, i * plane, above * plane, i * plane, i * plane)
    kick_drift_rows(
        u,
        v,
        u_next,
        (step, step, step),
        (pitch, pitch, pitch),
        places,
        (np.int64(0), ny, ny, True),
        springs,
        kick,
        drift,
        np.int64(0),
    )


@parallel
def kick_drift(u, v, u_next, springs, kick, drift):
    """One pass over the lattice: v += kick F(u)/m, then u_next = u + drift v, with the halo of u_next filled.

    u, u_next: Å; v: Å/ps; kick, drift: ps (leap-frog: both dt; kick alone with drift 0 shifts v in time).
    Contract: u is read and must not alias u_next; v is updated in place; no sum crosses threads, so the bits are the same for any
    number of them.
    """
    shape = u.shape[1:]
    a, b, c = u.reshape(-1), v.reshape(-1), u_next.reshape(-1)
    for i in prange(shape[0]):
        _plane(a, b, c, shape, i, springs, kick, drift)


@scalar
def kick_drift_serial(u, v, u_next, springs, kick, drift):
    """`kick_drift` on one thread, bit for bit: for loops that are parallel over lattices."""
    shape = u.shape[1:]
    a, b, c = u.reshape(-1), v.reshape(-1), u_next.reshape(-1)
    for i in range(shape[0]):
        _plane(a, b, c, shape, i, springs, kick, drift)
