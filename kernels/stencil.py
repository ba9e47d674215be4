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

from typing import NamedTuple

import numpy as np
from numba import prange

from mdlite.kernels.jit import bare, inlined, parallel, scalar
from mdlite.kernels.springs import neighbours
from mdlite.kernels.types import Planes, Rows, Span
from mdlite.kernels.vectors import WIDTH, fma, following, keep, load, preceding, prefetch, splat, store


class Place(NamedTuple):
    """Where a row of atoms and the rows around it begin in a flat array of displacements."""

    step: int  # from one component to the next
    below: int  # plane i - 1
    here: int  # plane i
    above: int  # plane i + 1
    front: int  # row j - 1 of a plane
    row: int  # row j
    back: int  # row j + 1


class Near(NamedTuple):
    """Of a block of eight atoms: A_x x, A_y y, z, and the sums that the atom behind (r) and the one ahead (l) along k give to F_x, F_y, F_z."""

    ax: float
    ay: float
    z: float
    rx: float
    lx: float
    ry: float
    ly: float
    rz: float
    lz: float


class Blocks(NamedTuple):
    """`Near` of a block, and of those on both sides of it along k."""

    last: Near
    now: Near
    after: Near


class Factors(NamedTuple):
    """Constants of a kick and a drift, in every lane."""

    c1: float  # kick k1/m
    c2: float  # kick k2/2m
    drift: float  # ps
    two: float  # -2
    eight: float  # -8


@inlined
def near(u, place, o):
    """`Near` of the block at o."""
    y, z = place.step + o, 2 * place.step + o
    above, below = place.above + place.row, place.below + place.row
    back, front = place.here + place.back, place.here + place.front
    xp, xm = load(u, above + o), load(u, below + o)
    zp, zm = load(u, above + z), load(u, below + z)
    yq, ym = load(u, back + y), load(u, front + y)
    zq, zn = load(u, back + z), load(u, front + z)
    ax, dx, az, dz = xp + xm, xp - xm, zp + zm, zp - zm
    ay, dy, bz, ez = yq + ym, yq - ym, zq + zn, zq - zn
    s, d = az + bz, dx + dy
    return Near(ax, ay, load(u, place.here + place.row + z), ax + dz, ax - dz, ay + ez, ay - ez, s + d, s - d)


@inlined
def diagonals(u, place, o, blocks):
    """Displacements x, y of the block at o, and what its atoms feel from diagonal neighbours."""
    last, now, after = blocks
    here, y = place.here + place.row, place.step + o
    pp_at, pm_at = place.above + place.back, place.above + place.front
    mm_at, mp_at = place.below + place.front, place.below + place.back
    pp = load(u, pp_at + o) + load(u, mm_at + o)
    pm = load(u, pm_at + o) + load(u, mp_at + o)
    qp = load(u, pp_at + y) + load(u, mm_at + y)
    qm = load(u, pm_at + y) + load(u, mp_at + y)
    p, q = pp + qp, pm - qm
    fx = (p + q) + (following(now.rx, after.rx) + preceding(last.lx, now.lx))
    fy = (p - q) + (following(now.ry, after.ry) + preceding(last.ly, now.ly))
    fz = following(now.rz, after.rz) + preceding(last.lz, now.lz)
    return load(u, here + o), load(u, here + y), fx, fy, fz


@inlined
def _moved(u, place, v, at, o, blocks, az, factors, edge):
    """Velocities and displacements of the block at o after the step; at: where it begins in v.data; az: A_z z; edge: see `step_row`."""
    c1, c2, drift, two, eight = factors
    ax, ay, z = blocks.now.ax, blocks.now.ay, blocks.now.z
    x, y, fx, fy, fz = diagonals(u, place, o, blocks)
    ox, oy, oz = load(v.data, at), load(v.data, at + v.step), load(v.data, at + 2 * v.step)
    if edge is None:
        vx = fma(c2, fma(eight, x, fx), fma(c1, fma(two, x, ax), ox))
        vy = fma(c2, fma(eight, y, fy), fma(c1, fma(two, y, ay), oy))
        vz = fma(c2, fma(eight, z, fz), fma(c1, fma(two, z, az), oz))
    else:
        vx = _damped(edge, at, x, fma(c2, fma(eight, x, fx), c1 * fma(two, x, ax)), ox)
        vy = _damped(edge, at + v.step, y, fma(c2, fma(eight, y, fy), c1 * fma(two, y, ay)), oy)
        vz = _damped(edge, at + 2 * v.step, z, fma(c2, fma(eight, z, fz), c1 * fma(two, z, az)), oz)
    return vx, vy, vz, fma(drift, vx, x), fma(drift, vy, y), fma(drift, vz, z)


@inlined
def _damped(edge, at, x, kick, v):
    """Velocities of atoms by the law of a `types.Edge`."""
    return fma(load(edge.keep, at), v, load(edge.push, at) * kick - load(edge.hold, at) * x)


@inlined
def put(array, step, row, o, x, y, z):
    """Write x, y, z to the block at o of a row."""
    store(array, row + o, x)
    store(array, row + step + o, y)
    store(array, row + 2 * step + o, z)


@inlined
def _fetch(array, step, at):
    prefetch(array, at)
    prefetch(array, at + step)
    prefetch(array, at + 2 * step)


@inlined
def step_row(u, v, out, place, v_row, out_row, length, factors, ahead, edge):
    """One row of `kick_drift_rows`: that at ``place`` in u (flat), at v_row and out_row in v and out (`types.Rows`), of ``length`` atoms.

    edge: None, or a `types.Edge`, for v = keep v + push (kick F/m) - hold u. What is behind the atoms then stays at rest, for it has no push.
    """
    zero = splat(0.0)
    end = length + 1
    o = 0
    before = Near(zero, zero, zero, zero, zero, zero, zero, zero, zero)
    now = near(u, place, 0)
    while o + WIDTH <= end:
        after = near(u, place, o + WIDTH)
        beside = place.here + place.row + 2 * place.step + o
        az = load(u, beside + 1) + load(u, beside - 1)  # loads at odd addresses take less time here than moving lanes does
        vx, vy, vz, x, y, z = _moved(u, place, v, v_row + o, o, Blocks(before, now, after), az, factors, edge)
        put(v.data, v.step, v_row, o, vx, vy, vz)
        put(out.data, out.step, out_row, o, x, y, z)
        if ahead > 0:
            _fetch(out.data, out.step, out_row + 3 * ahead + o)
            _fetch(v.data, v.step, v_row + 2 * ahead + o)
        before, now = now, after
        o += WIDTH
    az = following(now.z, now.z) + preceding(before.z, now.z)
    vx, vy, vz, x, y, z = _moved(u, place, v, v_row + o, o, Blocks(before, now, now), az, factors, edge)
    if edge is None:
        n = end - o
        vx, vy, vz, x, y, z = keep(vx, n), keep(vy, n), keep(vz, n), keep(x, n), keep(y, n), keep(z, n)
    put(v.data, v.step, v_row, o, vx, vy, vz)
    put(out.data, out.step, out_row, o, x, y, z)
    for c in range(3):
        if edge is None:
            v.data[v_row + c * v.step] = 0.0
        out.data[out_row + c * out.step] = out.data[out_row + c * out.step + length]
        out.data[out_row + c * out.step + end] = out.data[out_row + c * out.step + 1]


@inlined
def factors_of(springs, kick, drift):
    """`Factors` of a kick and a drift (ps). springs: `types.Springs`, or an Edge."""
    c1, c2 = kick * springs.k1 / springs.mass, 0.5 * kick * springs.k2 / springs.mass
    return Factors(splat(c1), splat(c2), splat(drift), splat(-2.0), splat(-8.0))


@bare
def kick_drift_rows(u, v, out, planes, rows, springs, kick, drift, ahead):
    """v += kick F(u)/m and out = u + drift v for some rows of one plane, with the halo of ``out`` filled (kick, drift in ps).

    u, v, out: `types.Rows`. planes: `types.Planes`. rows: a `types.Span`; where u is not periodic, row -1 and rows beyond the plane's are read where they
    would stand. ahead: 0, or the length of a plane: the same rows of v two planes on, and of out three planes on, are fetched from memory on the way.
    Contract: these rows of out and v are written, nothing else; out may be u, but not where it is read.
    """
    factors = factors_of(springs, kick, drift)
    for j in range(rows.first, rows.end):
        front = rows.count - 1 if rows.periodic and j == 0 else j - 1
        back = 0 if rows.periodic and j == rows.count - 1 else j + 1
        place = Place(u.step, planes.below, planes.here, planes.above, front * u.pitch, j * u.pitch, back * u.pitch)
        site = j if j < rows.count else j - rows.count
        v_row, out_row = planes.v + site * v.pitch, planes.out + site * out.pitch
        step_row(u.data, v, out, place, v_row, out_row, springs.length, factors, ahead, None)


@bare
def _plane(u, v, u_next, shape, i, springs, kick, drift):
    nx, ny, pitch = shape
    plane = ny * pitch
    step = nx * plane
    below, above = neighbours(i, nx)
    planes = Planes(below * plane, i * plane, above * plane, i * plane, i * plane)
    rows = Span(0, ny, ny, True)
    old, velocities, new = Rows(u, step, pitch), Rows(v, step, pitch), Rows(u_next, step, pitch)
    kick_drift_rows(old, velocities, new, planes, rows, springs, kick, drift, np.int64(0))


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
