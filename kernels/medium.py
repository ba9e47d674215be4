"""Force on the ion in an effective medium, to first order about the undisturbed framework's motion r_H [18-20].

    M R̈ = -∇_R U(r_eff, R_eff)                            [18]
    r_eff,j = r_H,j - Σ_k W_{j-k}(0) ∇_{r_k} U(r_H, R)     [19]
    R_eff = R + L Σ_k H_k (Ṙ - ṙ_H,k)                      [20]

H_k is the Hessian of φ at r_H,k - R. L = 0 is the rung ``static``; with W(0) = 0 as well it is ``rigid``. The caller puts r_H and ṙ_H
into MediumWork: the lattice sites and 0 at T = 0 (`at_rest`), a thermal crystal's atoms otherwise (`in_crystal`).
"""

import math

from mdlite.kernels.coupling import cell_of, wrapped
from mdlite.kernels.jit import scalar
from mdlite.kernels.potentials import switched


@scalar
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


@scalar
def respond(coupling, medium, gradient, displacement):
    """displacement (n, 3) of the candidates: -Σ_k W_{j-k}(0) g_k, from the gradients g (n, 3) in meV/Å [19]."""
    n = coupling.offsets.shape[0]
    for j in range(n):
        displacement[j, 0] = displacement[j, 1] = displacement[j, 2] = 0.0
    for k in range(n):
        gx, gy, gz = gradient[k, 0], gradient[k, 1], gradient[k, 2]
        if gx == 0.0 and gy == 0.0 and gz == 0.0:
            continue
        for j in range(n):
            w = medium.recoil[medium.pair[j, k]]
            displacement[j, 0] -= w[0, 0] * gx + w[0, 1] * gy + w[0, 2] * gz
            displacement[j, 1] -= w[1, 0] * gx + w[1, 1] * gy + w[1, 2] * gz
            displacement[j, 2] -= w[2, 0] * gx + w[2, 1] * gy + w[2, 2] * gz


@scalar
def at_rest(coupling, ion, work):
    """r_H = the candidates' sites and ṙ_H = 0 (T = 0), into work.home and work.home_velocity."""
    cell = cell_of(coupling, ion.position)
    for n in range(coupling.offsets.shape[0]):
        for c in range(3):
            work.home[n, c] = (cell[c] + coupling.offsets[n, c]) * coupling.spacing
            work.home_velocity[n, c] = 0.0


@scalar
def in_crystal(coupling, ion, crystal, dt, work):
    """r_H and ṙ_H of the candidates in a crystal moving by velocity Verlet, v_n = (u_{n+1} - u_{n-1})/2dt, into work."""
    cell = cell_of(coupling, ion.position)
    rate = 0.5 / dt
    for n in range(coupling.offsets.shape[0]):
        i, j, k = wrapped(coupling, cell, n)
        for c in range(3):
            work.home[n, c] = (cell[c] + coupling.offsets[n, c]) * coupling.spacing + crystal.u[c, i, j, k]
            work.home_velocity[n, c] = rate * (crystal.after[c, i, j, k] - crystal.before[c, i, j, k])


@scalar
def effective_force(coupling, medium, ion, work):
    """Force on the ion by [18-20], given r_H and ṙ_H in ``work``: returns U(r_eff, R_eff) (meV).

    ion.force and ion.effective receive F (meV/Å) and R_eff (Å), work.atoms r_eff (Å).
    Contract: these and work.gradient and work.displacement are written.
    """
    gradient, displacement = work.gradient, work.displacement
    px = py = pz = 0.0  # ∇_R dU/dt = Σ H_k (Ṙ - ṙ_H,k)
    n_atoms = coupling.offsets.shape[0]
    for n in range(n_atoms):
        dx = work.home[n, 0] - ion.position[0]
        dy = work.home[n, 1] - ion.position[1]
        dz = work.home[n, 2] - ion.position[2]
        vx = ion.velocity[0] - work.home_velocity[n, 0]
        vy = ion.velocity[1] - work.home_velocity[n, 1]
        vz = ion.velocity[2] - work.home_velocity[n, 2]
        _, pull, bend = pair_terms(coupling, dx, dy, dz)
        gradient[n, 0], gradient[n, 1], gradient[n, 2] = pull * dx, pull * dy, pull * dz
        along = bend * (dx * vx + dy * vy + dz * vz)
        px += pull * vx + along * dx
        py += pull * vy + along * dy
        pz += pull * vz + along * dz
    respond(coupling, medium, gradient, displacement)
    for c in range(3):
        ion.effective[c] = ion.position[c] + medium.loss[c, 0] * px + medium.loss[c, 1] * py + medium.loss[c, 2] * pz
        for n in range(n_atoms):
            work.atoms[n, c] = work.home[n, c] + displacement[n, c]
    return force_at(coupling, ion, work.atoms)


@scalar
def force_at(coupling, ion, atoms):
    """U (meV) of the ion at R_eff = ion.effective with atoms (n, 3) at r_eff, and -∇_R U into ion.force [18]; ion.stiffest is kept up."""
    stiffest = ion.stiffest[0]
    energy = fx = fy = fz = 0.0
    for n in range(coupling.offsets.shape[0]):
        dx = atoms[n, 0] - ion.effective[0]
        dy = atoms[n, 1] - ion.effective[1]
        dz = atoms[n, 2] - ion.effective[2]
        phi, pull, bend = pair_terms(coupling, dx, dy, dz)
        stiffest = max(stiffest, abs(pull + bend * (dx * dx + dy * dy + dz * dz)))
        energy += phi
        fx += pull * dx
        fy += pull * dy
        fz += pull * dz
    ion.force[0], ion.force[1], ion.force[2] = fx, fy, fz
    ion.stiffest[0] = stiffest
    return energy
