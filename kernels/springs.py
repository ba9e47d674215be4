"""The harmonic lattice: forces of nearest and next-nearest neighbour springs, atom by atom, and sums over the lattice.

The step that a run spends its time with is in `stencil`. Arrays are as in `types.LatticeState`: ``u[c, i, j, k]`` with k = 1 .. Nz the atoms and
k = 0, Nz + 1 a periodic halo, so a loop over k has no wrapping and vectorises; the wrapped neighbours im, ip of plane i and jm, jp of row j are
computed outside of it. A bond along the unit vector n pulls atom i with -k (n·(u_i - u_j)) n. With p, m for the neighbour on the + and - side:

    F_x = k1 (x_p + x_m - 2x) + (k2/2) [Σ x over its 8 xy and xz diagonals - 8x
          + (y_pp + y_mm - y_pm - y_mp)_xy + (z_pp + z_mm - z_pm - z_mp)_xz]          and cyclic

The four diagonal values of a component serve its own force and the cross term of another, hence the sums and differences.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import prange

from mdlite.kernels.jit import bare, inlined, parallel

ELASTIC, KINETIC, MOMENTUM = 0, 1, 2  # columns of the sums over the lattice, the momentum's three


class Row(NamedTuple):
    """Array indices of a row of atoms along k, and of the planes and rows beside it."""

    i: int
    below: int  # plane i - 1
    above: int  # plane i + 1
    j: int
    front: int  # row j - 1
    back: int  # row j + 1


@bare
def neighbours(i, n):
    """Periodic neighbours (i - 1, i + 1) of index i on a ring of n."""
    return (i - 1 if i > 0 else n - 1), (i + 1 if i < n - 1 else 0)


@bare
def constants(springs, factor):
    """(c1, c2) = factor × (k1, k2/2), rounded so that 2 c1 + 8 c2 is exact.

    That sum multiplies an atom's own displacement. An error in its last bit would be a spring to the ground: once the crystal
    has drifted it would pull all atoms the same way, and the total momentum would change by 1e-11 within 30 ps.
    """
    c1, c2 = factor * springs.k1, 0.5 * factor * springs.k2
    unit = math.ldexp(1.0, math.frexp(2.0 * c1 + 8.0 * c2)[1] - 53)
    if unit == 0.0:
        return c1, c2
    return unit * math.floor(c1 / unit + 0.5), unit * math.floor(c2 / unit + 0.5)


@inlined
def spring_force(u, row, k, stiffness):
    """Spring force on the atom k of a `Row`, with stiffness = (c1, c2) = (k1, k2/2), or both times one factor (dt/m: a change of velocity)."""
    i, im, ip, j, jm, jp = row
    c1, c2 = stiffness
    c0 = 2.0 * c1 + 8.0 * c2
    # sums over the two neighbours where both indices change alike (a), and where they change oppositely (b)
    xy_xa, xy_xb = u[0, ip, jp, k] + u[0, im, jm, k], u[0, ip, jm, k] + u[0, im, jp, k]
    xy_ya, xy_yb = u[1, ip, jp, k] + u[1, im, jm, k], u[1, ip, jm, k] + u[1, im, jp, k]
    xz_xa, xz_xb = u[0, ip, j, k + 1] + u[0, im, j, k - 1], u[0, ip, j, k - 1] + u[0, im, j, k + 1]
    xz_za, xz_zb = u[2, ip, j, k + 1] + u[2, im, j, k - 1], u[2, ip, j, k - 1] + u[2, im, j, k + 1]
    yz_ya, yz_yb = u[1, i, jp, k + 1] + u[1, i, jm, k - 1], u[1, i, jp, k - 1] + u[1, i, jm, k + 1]
    yz_za, yz_zb = u[2, i, jp, k + 1] + u[2, i, jm, k - 1], u[2, i, jp, k - 1] + u[2, i, jm, k + 1]
    fx = c1 * (u[0, ip, j, k] + u[0, im, j, k]) - c0 * u[0, i, j, k]
    fy = c1 * (u[1, i, jp, k] + u[1, i, jm, k]) - c0 * u[1, i, j, k]
    fz = c1 * (u[2, i, j, k + 1] + u[2, i, j, k - 1]) - c0 * u[2, i, j, k]
    fx += c2 * ((xy_xa + xy_xb) + (xz_xa + xz_xb) + (xy_ya - xy_yb) + (xz_za - xz_zb))
    fy += c2 * ((xy_ya + xy_yb) + (yz_ya + yz_yb) + (xy_xa - xy_xb) + (yz_za - yz_zb))
    fz += c2 * ((xz_za + xz_zb) + (yz_za + yz_zb) + (xz_xa - xz_xb) + (yz_ya - yz_yb))
    return fx, fy, fz


@inlined
def kick_drift_row(u, v, u_next, row, first, last, stiffness, drift):
    """v += kick F(u)/m, then u_next = u + drift v, for the atoms k = first .. last of a `Row`, with the `constants` of the kick."""
    i, j = row.i, row.j
    for k in range(first, last + 1):
        dvx, dvy, dvz = spring_force(u, row, k, stiffness)
        vx = v[0, i, j, k] + dvx
        vy = v[1, i, j, k] + dvy
        vz = v[2, i, j, k] + dvz
        v[0, i, j, k] = vx
        v[1, i, j, k] = vy
        v[2, i, j, k] = vz
        u_next[0, i, j, k] = u[0, i, j, k] + drift * vx
        u_next[1, i, j, k] = u[1, i, j, k] + drift * vy
        u_next[2, i, j, k] = u[2, i, j, k] + drift * vz


@parallel
def kick(u, v, springs, time):
    """v += time F(u)/m (time in ps) for every atom. Contract: v is updated in place, its halo left alone."""
    nx, ny, nz = u.shape[1], u.shape[2], springs.length
    stiffness = constants(springs, time / springs.mass)
    for i in prange(nx):
        im, ip = neighbours(i, nx)
        for j in range(ny):
            jm, jp = neighbours(j, ny)
            row = Row(i, im, ip, j, jm, jp)
            for k in range(1, nz + 1):
                dvx, dvy, dvz = spring_force(u, row, k, stiffness)
                v[0, i, j, k] += dvx
                v[1, i, j, k] += dvy
                v[2, i, j, k] += dvz


@parallel
def spring_forces(u, springs, out):
    """F = -V u (meV/Å) of every atom into out, an array like u (its halo untouched); u in Å with its halo valid."""
    nx, ny, nz = u.shape[1], u.shape[2], springs.length
    stiffness = constants(springs, 1.0)
    for i in prange(nx):
        im, ip = neighbours(i, nx)
        for j in range(ny):
            jm, jp = neighbours(j, ny)
            row = Row(i, im, ip, j, jm, jp)
            for k in range(1, nz + 1):
                f = spring_force(u, row, k, stiffness)
                out[0, i, j, k], out[1, i, j, k], out[2, i, j, k] = f


@parallel
def lattice_sums(u, v, springs, half_kick, partial):
    """Elastic energy, kinetic energy and momentum of the framework, at the step where u stands.

    v is taken to that step on the fly: v + half_kick F(u)/m (half_kick = dt/2 in leap-frog form, 0 for synchronous v; the ion's
    pull is not in it, see `reference.energies`). partial: float64 (Nx, 5), one row a plane, its columns
    ELASTIC (meV), KINETIC (meV), MOMENTUM x, y, z (meV ps/Å). Every bond is counted once, at its lower end, as ½ k (n·Δu)².
    Contract: only ``partial`` is written; one thread sums a plane, so the bits do not depend on the threads.
    """
    nx, ny, nz = u.shape[1], u.shape[2], springs.length
    stiffness = constants(springs, half_kick / springs.mass)
    for i in prange(nx):
        im, ip = neighbours(i, nx)
        sums = np.zeros((6, nz))  # one running sum for every k, so that the loop vectorises in one order
        for j in range(ny):
            jm, jp = neighbours(j, ny)
            row = Row(i, im, ip, j, jm, jp)
            for k in range(1, nz + 1):
                x, y, z = u[0, i, j, k], u[1, i, j, k], u[2, i, j, k]
                near = (u[0, ip, j, k] - x) ** 2 + (u[1, i, jp, k] - y) ** 2 + (u[2, i, j, k + 1] - z) ** 2
                far = (u[0, ip, jp, k] - x + u[1, ip, jp, k] - y) ** 2 + (u[0, ip, jm, k] - x - u[1, ip, jm, k] + y) ** 2
                far += (u[0, ip, j, k + 1] - x + u[2, ip, j, k + 1] - z) ** 2
                far += (u[0, ip, j, k - 1] - x - u[2, ip, j, k - 1] + z) ** 2
                far += (u[1, i, jp, k + 1] - y + u[2, i, jp, k + 1] - z) ** 2
                far += (u[1, i, jp, k - 1] - y - u[2, i, jp, k - 1] + z) ** 2
                dvx, dvy, dvz = spring_force(u, row, k, stiffness)
                vx, vy, vz = v[0, i, j, k] + dvx, v[1, i, j, k] + dvy, v[2, i, j, k] + dvz
                sums[0, k - 1] += near
                sums[1, k - 1] += far
                sums[2, k - 1] += vx * vx + vy * vy + vz * vz
                sums[3, k - 1] += vx
                sums[4, k - 1] += vy
                sums[5, k - 1] += vz
        near = far = v2 = sx = sy = sz = 0.0
        for k in range(nz):
            near += sums[0, k]
            far += sums[1, k]
            v2 += sums[2, k]
            sx += sums[3, k]
            sy += sums[4, k]
            sz += sums[5, k]
        partial[i, ELASTIC] = 0.5 * springs.k1 * near + 0.25 * springs.k2 * far
        partial[i, KINETIC] = 0.5 * springs.mass * v2
        partial[i, MOMENTUM] = springs.mass * sx
        partial[i, MOMENTUM + 1] = springs.mass * sy
        partial[i, MOMENTUM + 2] = springs.mass * sz


@parallel
def displacement_sums(u, springs, partial):
    """partial[i, :3] = Σ u (Å) over plane i; partial: float64 (Nx, ·)."""
    for i in prange(u.shape[1]):
        for c in range(3):
            total = 0.0
            for j in range(u.shape[2]):
                row = 0.0
                for k in range(1, springs.length + 1):
                    row += u[c, i, j, k]
                total += row
            partial[i, c] = total


@parallel
def largest_squares(u, springs, partial):
    """partial[i, 0] = the largest |u|² (Å²) in plane i, NaN if one of them is; partial: float64 (Nx, ·)."""
    for i in prange(u.shape[1]):
        largest = 0.0
        for j in range(u.shape[2]):
            for k in range(1, springs.length + 1):
                square = u[0, i, j, k] ** 2 + u[1, i, j, k] ** 2 + u[2, i, j, k] ** 2
                if square > largest or square != square:  # a NaN stays
                    largest = square
        partial[i, 0] = largest


@parallel
def fill_halo(u, springs):
    """Copy the last atom of every row of u into its first halo cell and the first into the last."""
    nz = springs.length
    for i in prange(u.shape[1]):
        for j in range(u.shape[2]):
            for c in range(3):
                u[c, i, j, 0] = u[c, i, j, nz]
                u[c, i, j, nz + 1] = u[c, i, j, 1]
