"""The implicit rung [16]: the framework's adiabatic displacement and its velocity are solved for, not expanded about r_H.

With Q = R + x the ion shifted by the loss, and ξ_j the displacement without that common shift,

    ξ_j = -Σ_k W_{j-k}(0) ∇_{r_k} U(s + ξ, Q),        x = L ∇_R dU/dt,
    ∇_R dU/dt = Σ_k H_k w_k,   (1 + W H) w = K Ṙ.

w = K Ṙ - ṙ is the velocity of the ion relative to the atoms that follow it. Differentiating [16] once more would add ẋ to w, and
x = L 𝒦 (Ṙ + ẋ) has run-away solutions that grow at the rate 1/(L 𝒦), like the self-accelerating ones of radiation
reaction; the standard reduction of order drops ẋ, an error of second order in L.
"""

import math

from mdlite.kernels.coupling import cell_of
from mdlite.kernels.jit import scalar
from mdlite.kernels.medium import force_at, pair_terms, respond

TOLERANCE = 1e-12  # Å, the change of ξ and x at which the iteration ends
LONGEST_STEP = 0.1  # of the lattice constant; a longer Newton step is cut
MAX_ITERATIONS = 60


@scalar
def linearise(coupling, ion, work):
    """Gradient and Hessian of U with respect to the atoms at sites + displacement, for the ion at R_eff.

    Returns how many atoms are in range. Contract: work.gradient, work.hessian and work.active are written.
    """
    count = 0
    for n in range(coupling.offsets.shape[0]):
        dx = work.sites[n, 0] + work.displacement[n, 0] - ion.effective[0]
        dy = work.sites[n, 1] + work.displacement[n, 1] - ion.effective[1]
        dz = work.sites[n, 2] + work.displacement[n, 2] - ion.effective[2]
        _, pull, bend = pair_terms(coupling, dx, dy, dz)
        d = (dx, dy, dz)
        for c in range(3):
            work.gradient[n, c] = pull * d[c]
            for e in range(3):
                work.hessian[n, c, e] = bend * d[c] * d[e]
            work.hessian[n, c, c] += pull
        if pull != 0.0 or bend != 0.0:
            work.active[count] = n
            count += 1
    return count


@scalar
def fill_system(medium, ion, work, m):
    """The linear system (1 + W H)[Δ, w] = [-(ξ + W g), K Ṙ] over the m atoms in range, into work.matrix and work.rhs."""
    for a in range(m):
        j = work.active[a]
        for c in range(3):
            row = 3 * a + c
            residual = work.displacement[j, c]
            for b in range(m):
                k = work.active[b]
                w = medium.recoil[medium.pair[j, k]]
                for e in range(3):
                    residual += w[c, e] * work.gradient[k, e]
                    h = work.hessian[k]
                    work.matrix[row, 3 * b + e] = w[c, 0] * h[0, e] + w[c, 1] * h[1, e] + w[c, 2] * h[2, e]
            work.matrix[row, row] += 1.0
            work.rhs[row, 0] = -residual
            work.rhs[row, 1] = ion.velocity[c]


@scalar
def solve(matrix, rhs, size):
    """Gaussian elimination with partial pivoting on the leading ``size`` rows; rhs (., 2) becomes the solution.

    Returns False, with the arrays spoilt, where the matrix is singular or not finite.
    """
    for p in range(size):
        best = p
        for r in range(p + 1, size):
            if abs(matrix[r, p]) > abs(matrix[best, p]):
                best = r
        pivot = matrix[best, p]
        if not (abs(pivot) > 0.0 and math.isfinite(pivot)):
            return False
        if best != p:
            for c in range(p, size):
                matrix[p, c], matrix[best, c] = matrix[best, c], matrix[p, c]
            for c in range(2):
                rhs[p, c], rhs[best, c] = rhs[best, c], rhs[p, c]
        for r in range(p + 1, size):
            factor = matrix[r, p] / pivot
            for c in range(p + 1, size):
                matrix[r, c] -= factor * matrix[p, c]
            for c in range(2):
                rhs[r, c] -= factor * rhs[p, c]
    for p in range(size - 1, -1, -1):
        for c in range(2):
            value = rhs[p, c]
            for k in range(p + 1, size):
                value -= matrix[p, k] * rhs[k, c]
            rhs[p, c] = value / matrix[p, p]
    return True


@scalar
def follow(work, m):
    """Give the atoms out of range, which exert no force, the displacement work.reply that the others cause; active is sorted."""
    a = 0
    for j in range(work.displacement.shape[0]):
        if a < m and work.active[a] == j:
            a += 1
            continue
        for c in range(3):
            work.displacement[j, c] = work.reply[j, c]


@scalar
def apply_step(coupling, medium, ion, work, m):
    """Apply the Newton step to ξ and the fixed-point step to x; returns the largest change (Å)."""
    longest = 0.0
    for row in range(3 * m):
        longest = max(longest, abs(work.rhs[row, 0]))
    limit = LONGEST_STEP * coupling.spacing
    scale = limit / longest if longest > limit else 1.0
    px = py = pz = 0.0  # ∇_R dU/dt = Σ H w
    for a in range(m):
        j = work.active[a]
        h = work.hessian[j]
        for c in range(3):
            work.displacement[j, c] += scale * work.rhs[3 * a + c, 0]
            w = work.rhs[3 * a + c, 1]
            px += h[0, c] * w
            py += h[1, c] * w
            pz += h[2, c] * w
    change = longest
    for c in range(3):
        shifted = ion.position[c] + medium.loss[c, 0] * px + medium.loss[c, 1] * py + medium.loss[c, 2] * pz
        change = max(change, abs(shifted - ion.effective[c]))
        ion.effective[c] = shifted
    return change


@scalar
def implicit_force(coupling, medium, ion, atoms, work):
    """Force on the ion by [16] at T = 0: returns U(r, R) (meV), or NaN where no solution is found.

    Newton iteration for ξ together with fixed-point iteration for x, from the undisplaced framework. atoms (n, 3) receives s + ξ and
    ion.effective R + x, so that r = atoms - x; work is MediumWork. Contract: only ion.force, ion.effective, atoms and work are written.
    """
    n = coupling.offsets.shape[0]
    cell = cell_of(coupling, ion.position)
    for j in range(n):
        for c in range(3):
            work.sites[j, c] = (cell[c] + coupling.offsets[j, c]) * coupling.spacing
            work.displacement[j, c] = 0.0
    for c in range(3):
        ion.effective[c] = ion.position[c]
    converged = False
    for _ in range(MAX_ITERATIONS):
        m = linearise(coupling, ion, work)
        fill_system(medium, ion, work, m)
        if not solve(work.matrix, work.rhs, 3 * m):
            break
        respond(coupling, medium, work.gradient, work.reply)
        follow(work, m)
        if apply_step(coupling, medium, ion, work, m) < TOLERANCE:
            converged = True
            break
    for j in range(n):
        for c in range(3):
            atoms[j, c] = work.sites[j, c] + work.displacement[j, c]
    energy = force_at(coupling, ion, atoms)
    return energy if converged else math.nan
