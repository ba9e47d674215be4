"""Force on the ion in an effective medium, to first order about the undisturbed framework's motion r_H [18-20].

    M R̈ = -∇_R U(r_eff, R_eff)                            [18]
    r_eff,j = r_H,j - Σ_k W_{j-k}(0) ∇_{r_k} U(r_H, R)     [19]
    R_eff = R + L Σ_k H_k (Ṙ - ṙ_H,k)                      [20]

H_k is the Hessian of φ at r_H,k - R. L = 0 is the rung ``static``; with W(0) = 0 as well it is ``rigid``. The caller puts r_H and ṙ_H
into MediumWork: the lattice sites and 0 at T = 0, a thermal crystal's atoms otherwise. Eight atoms are treated at a time, from the rows of
``MediumWork.lanes``; `at_rest`, `in_crystal` and `pair_terms` are for one at a time, as the memory kernel wants them.
"""

import math

from numba.extending import overload

from mdlite.kernels.candidates import SiteLanes, SiteMedium, in_use, is_a, lanes_width, law_of
from mdlite.kernels.coupling import cell_of, wrapped
from mdlite.kernels.jit import bare, inlined
from mdlite.kernels.potentials import switched, switched_lanes
from mdlite.kernels.site_coupling import corner_of, ion_cell
from mdlite.kernels.vectors import WIDTH, fma, keep, largest, load, splat, store, total, where_zero

HOME, RATE, GRADIENT, MOVED, ROWS = 0, 3, 6, 9, 12
"""Rows of ``MediumWork.lanes``, three each: r_H, ṙ_H, ∇_r U, r_eff; and how many there are."""


@bare
def pair_terms(coupling, dx, dy, dz):
    """U' terms of one pair at r - R = (dx, dy, dz): (φ, φ'/ρ, (φ'' - φ'/ρ)/ρ²).

    The gradient with respect to r is (φ'/ρ) d and the Hessian (φ'/ρ) 1 + [(φ'' - φ'/ρ)/ρ²] d dᵀ, d = r - R.
    """
    rho2 = dx * dx + dy * dy + dz * dz
    rho = math.sqrt(rho2)
    phi, slope, curvature = switched(coupling, rho)
    if rho == 0.0:
        return phi, curvature, 0.0
    return phi, slope / rho, (curvature - slope / rho) / rho2


@bare
def at_rest(coupling, ion, work):
    """r_H = the candidates' sites and ṙ_H = 0 (T = 0), into work.home and work.home_velocity."""
    cell = cell_of(coupling, ion.position)
    for n in range(coupling.offsets.shape[0]):
        for c in range(3):
            work.home[n, c] = (cell[c] + coupling.offsets[n, c]) * coupling.spacing
            work.home_velocity[n, c] = 0.0


@bare
def in_crystal(coupling, ion, crystal, dt, work):
    """r_H and ṙ_H of the candidates in a crystal moving by velocity Verlet, v_n = (u_{n+1} - u_{n-1})/2dt, into work."""
    cell = cell_of(coupling, ion.position)
    rate = 0.5 / dt
    for n in range(coupling.offsets.shape[0]):
        i, j, k = wrapped(coupling, cell, n)
        for c in range(3):
            work.home[n, c] = (cell[c] + coupling.offsets[n, c]) * coupling.spacing + crystal.u[c, i, j, k]
            work.home_velocity[n, c] = rate * (crystal.after[c, i, j, k] - crystal.before[c, i, j, k])


def lanes_at_rest(coupling, ion, lanes):
    """`at_rest` side by side: rows HOME and RATE of lanes."""
    raise NotImplementedError


@bare
def lattice_at_rest(coupling, ion, lanes):
    """`lanes_at_rest` for `types.Coupling`."""
    cell, count = cell_of(coupling, ion.position), coupling.offsets.shape[0]
    width = lanes_width(count)
    for c in range(3):
        for n in range(width):
            lanes[(HOME + c) * width + n] = (cell[c] + coupling.offsets[min(n, count - 1), c]) * coupling.spacing
            lanes[(RATE + c) * width + n] = 0.0


@bare
def sites_at_rest(coupling, ion, lanes):
    """`lanes_at_rest` for `candidates.SiteLanes`."""
    corner, width = corner_of(coupling, ion_cell(coupling, ion.position)), coupling.offsets.shape[0]
    for c in range(3):
        for n in range(width):
            lanes[(HOME + c) * width + n] = corner[c] + coupling.offsets[n, c]
            lanes[(RATE + c) * width + n] = 0.0


@overload(lanes_at_rest, inline="always")
def _lanes_at_rest(coupling, ion, lanes):
    if is_a(coupling, SiteLanes):
        return lambda coupling, ion, lanes: sites_at_rest(coupling, ion, lanes)
    return lambda coupling, ion, lanes: lattice_at_rest(coupling, ion, lanes)


def lanes_in_crystal(coupling, ion, crystal, dt, lanes):
    """`in_crystal` side by side: rows HOME and RATE of lanes."""
    raise NotImplementedError


@bare
def lattice_in_crystal(coupling, ion, crystal, dt, lanes):
    """`lanes_in_crystal` for `types.Coupling`; what is left of the last eight repeats the last atom."""
    cell, count = cell_of(coupling, ion.position), coupling.offsets.shape[0]
    width = lanes_width(count)
    rate = 0.5 / dt
    u, before, after = crystal.u, crystal.before, crystal.after
    for n in range(width):
        m = min(n, count - 1)
        i, j, k = wrapped(coupling, cell, m)
        for c in range(3):
            lanes[(HOME + c) * width + n] = (cell[c] + coupling.offsets[m, c]) * coupling.spacing + u[c, i, j, k]
            lanes[(RATE + c) * width + n] = rate * (after[c, i, j, k] - before[c, i, j, k])


@bare
def sites_in_crystal(coupling, ion, crystal, lanes):
    """`lanes_in_crystal` for `candidates.SiteLanes`, in a `candidates.FreeBox`."""
    cell, width, size = ion_cell(coupling, ion.position), coupling.offsets.shape[0], crystal.size
    corner, u_step, v_step = corner_of(coupling, cell), size[0] * crystal.u_plane, size[0] * crystal.v_plane
    i0, j0, k0 = cell[0] % size[0], cell[1] % size[1], cell[2] % size[2]
    u, before, after = crystal.u, crystal.before, crystal.after
    for n in range(width):
        site = coupling.sites[n]
        i, j, k = i0 + site[0], j0 + site[1], k0 + site[2]
        i, j, k = i - (size[0] if i >= size[0] else 0), j - (size[1] if j >= size[1] else 0), k - (size[2] if k >= size[2] else 0)
        at = 3 * site[3] * u_step + i * crystal.u_plane + (j + crystal.halo[0]) * crystal.u_pitch + crystal.halo[1] + k
        place = 3 * site[3] * v_step + i * crystal.v_plane + j * crystal.v_pitch + k
        for c in range(3):
            lanes[(HOME + c) * width + n] = corner[c] + coupling.offsets[n, c] + u[at + c * u_step]
            lanes[(RATE + c) * width + n] = 0.5 * (before[place + c * v_step] + after[place + c * v_step])


@overload(lanes_in_crystal, inline="always")
def _lanes_in_crystal(coupling, ion, crystal, dt, lanes):
    if is_a(coupling, SiteLanes):
        return lambda coupling, ion, crystal, dt, lanes: sites_in_crystal(coupling, ion, crystal, lanes)
    return lambda coupling, ion, crystal, dt, lanes: lattice_in_crystal(coupling, ion, crystal, dt, lanes)


@inlined
def pair_lanes(coupling, at, dx, dy, dz, left):
    """`pair_terms` of the eight pairs from lane ``at`` on, and φ''; zeros in lanes that are no atoms, left: how many lanes there are from ``at`` on."""
    law, count = law_of(coupling, at), in_use(coupling, at, left)
    rho2 = fma(dz, dz, fma(dy, dy, dx * dx))
    rho = math.sqrt(rho2)
    phi, slope, curvature = switched_lanes(law, rho)
    inverse = 1.0 / rho
    pull = where_zero(rho2, curvature, slope * inverse)
    bend = where_zero(rho2, splat(0.0), (curvature - pull) * inverse * inverse)
    return keep(phi, count), keep(pull, count), keep(bend, count), keep(curvature, count)


def recoil_lanes(medium, lanes, width, source, target, count):
    """Rows target .. target + 2 of lanes = Σ_k W_{j-k}(0) f_k, from the f (meV/Å) in rows source .. source + 2; 0 for the rung rigid."""
    raise NotImplementedError


@bare
def lattice_recoil(medium, lanes, width, source, target, count):
    """`recoil_lanes` for `types.Medium`, whose W are symmetric."""
    w = medium.reply
    zero = splat(0.0)
    if w.shape[0] == 0:
        count = 0
    for b in range(0, width, WIDTH):
        xx = yy = zz = yz = zy = xz = zx = xy = yx = zero
        for k in range(count):
            fx, fy, fz = lanes[source * width + k], lanes[(source + 1) * width + k], lanes[(source + 2) * width + k]
            if fx == 0.0 and fy == 0.0 and fz == 0.0:
                continue
            at = 6 * k * width + b
            x, y, z = splat(fx), splat(fy), splat(fz)
            wyz, wxz, wxy = load(w, at + 3 * width), load(w, at + 4 * width), load(w, at + 5 * width)
            xx, yy, zz = fma(load(w, at), x, xx), fma(load(w, at + width), y, yy), fma(load(w, at + 2 * width), z, zz)
            yz, zy = fma(wyz, z, yz), fma(wyz, y, zy)
            xz, zx = fma(wxz, z, xz), fma(wxz, x, zx)
            xy, yx = fma(wxy, y, xy), fma(wxy, x, yx)
        store(lanes, target * width + b, xx + (xy + xz))
        store(lanes, (target + 1) * width + b, yy + (yx + yz))
        store(lanes, (target + 2) * width + b, zz + (zx + zy))


@bare
def site_recoil(medium, lanes, width, source, target, count):
    """`recoil_lanes` for `candidates.SiteMedium`: atom after atom, so that W is read as it lies in memory; most atoms feel nothing."""
    w = medium.reply
    for b in range(0, 3 * width, WIDTH):
        store(lanes, target * width + b, splat(0.0))
    if w.shape[0] == 0:
        count = 0
    x_row, y_row, z_row = target * width, (target + 1) * width, (target + 2) * width
    for k in range(count):
        fx, fy, fz = lanes[source * width + k], lanes[(source + 1) * width + k], lanes[(source + 2) * width + k]
        if fx == 0.0 and fy == 0.0 and fz == 0.0:
            continue
        x, y, z = splat(fx), splat(fy), splat(fz)
        for b in range(0, width, WIDTH):
            at = 9 * (k * width + b)
            sx, sy, sz = load(lanes, x_row + b), load(lanes, y_row + b), load(lanes, z_row + b)
            sx = fma(load(w, at + 2 * WIDTH), z, fma(load(w, at + WIDTH), y, fma(load(w, at), x, sx)))
            sy = fma(load(w, at + 5 * WIDTH), z, fma(load(w, at + 4 * WIDTH), y, fma(load(w, at + 3 * WIDTH), x, sy)))
            sz = fma(load(w, at + 8 * WIDTH), z, fma(load(w, at + 7 * WIDTH), y, fma(load(w, at + 6 * WIDTH), x, sz)))
            store(lanes, x_row + b, sx)
            store(lanes, y_row + b, sy)
            store(lanes, z_row + b, sz)


@overload(recoil_lanes, inline="always")
def _recoil_lanes(medium, lanes, width, source, target, count):
    if is_a(medium, SiteMedium):
        return lambda medium, lanes, width, source, target, count: site_recoil(medium, lanes, width, source, target, count)
    return lambda medium, lanes, width, source, target, count: lattice_recoil(medium, lanes, width, source, target, count)


@inlined
def apart(lanes, width, row, at, x, y, z):
    """What stands in rows ``row`` .. row + 2 of the block at ``at``, less (x, y, z)."""
    return load(lanes, row * width + at) - x, load(lanes, (row + 1) * width + at) - y, load(lanes, (row + 2) * width + at) - z


@bare
def effective_force(coupling, medium, ion, lanes):
    """Force on the ion by [18-20], given r_H and ṙ_H in rows HOME and RATE of lanes: returns U(r_eff, R_eff) (meV).

    ion.force and ion.effective receive F (meV/Å) and R_eff (Å), rows MOVED of lanes r_eff (Å); ion.stiffest is kept up to date.
    Contract: these and rows GRADIENT are written.
    """
    count = coupling.offsets.shape[0]
    width = lanes_width(count)
    x, y, z = ion.position[0], ion.position[1], ion.position[2]
    vx, vy, vz = ion.velocity[0], ion.velocity[1], ion.velocity[2]
    zero = splat(0.0)
    px = py = pz = zero  # ∇_R dU/dt = Σ H_k (Ṙ - ṙ_H,k)
    for b in range(0, width, WIDTH):
        dx, dy, dz = apart(lanes, width, HOME, b, x, y, z)
        wx = vx - load(lanes, RATE * width + b)
        wy = vy - load(lanes, (RATE + 1) * width + b)
        wz = vz - load(lanes, (RATE + 2) * width + b)
        _, pull, bend, _ = pair_lanes(coupling, b, dx, dy, dz, count - b)
        store(lanes, GRADIENT * width + b, pull * dx)
        store(lanes, (GRADIENT + 1) * width + b, pull * dy)
        store(lanes, (GRADIENT + 2) * width + b, pull * dz)
        along = bend * fma(dz, wz, fma(dy, wy, dx * wx))
        px, py, pz = px + fma(along, dx, pull * wx), py + fma(along, dy, pull * wy), pz + fma(along, dz, pull * wz)
    recoil_lanes(medium, lanes, width, GRADIENT, MOVED, count)
    for b in range(0, 3 * width, WIDTH):
        store(lanes, MOVED * width + b, load(lanes, HOME * width + b) - load(lanes, MOVED * width + b))
    p = (total(px), total(py), total(pz))
    for c in range(3):
        ion.effective[c] = ion.position[c] + medium.loss[c, 0] * p[0] + medium.loss[c, 1] * p[1] + medium.loss[c, 2] * p[2]
    x, y, z = ion.effective[0], ion.effective[1], ion.effective[2]
    energy = fx = fy = fz = zero
    stiffest = ion.stiffest[0]
    for b in range(0, width, WIDTH):
        dx, dy, dz = apart(lanes, width, MOVED, b, x, y, z)
        phi, pull, _, curvature = pair_lanes(coupling, b, dx, dy, dz, count - b)
        energy, fx, fy, fz = energy + phi, fma(pull, dx, fx), fma(pull, dy, fy), fma(pull, dz, fz)
        stiffest = max(stiffest, largest(curvature))
    ion.force[0], ion.force[1], ion.force[2] = total(fx), total(fy), total(fz)
    ion.stiffest[0] = stiffest
    return total(energy)
