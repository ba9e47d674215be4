"""The implicit rung [16]: the framework's adiabatic displacement and its velocity are solved for, not expanded about r_H.

With Q = R + x the ion shifted by the loss, and ξ_j the displacement without that common shift,

    ξ_j = -Σ_k W_{j-k}(0) ∇_{r_k} U(r_H + ξ, Q),        x = L ∇_R dU/dt,
    ∇_R dU/dt = Σ_k H_k w_k,   (1 + W H) w = K Ṙ - ṙ_H.

w = K Ṙ - ṙ is the velocity of the ion relative to the atoms that follow it. Differentiating [16] once more would add ẋ to w, and
x = L 𝒦 (Ṙ + ẋ) has run-away solutions that grow at the rate 1/(L 𝒦), like the self-accelerating ones of radiation
reaction; the standard reduction of order drops ẋ, an error of second order in L.
"""

import math

from mdlite.kernels.jit import bare
from mdlite.kernels.medium import force_at, pair_terms, respond

TOLERANCE = 1e-12  # Å, the change of ξ and x at which the iteration ends
LONGEST_STEP = 0.1  # of the lattice constant; a longer Newton step is cut
MAX_ITERATIONS = 60


@bare
def linearise(coupling, ion, work):
    """Gradient and Hessian of U with respect to the atoms at home + displacement, for the ion at R_eff.

    Returns how many atoms are in range. Contract: work.gradient, work.hessian and work.active are written.
    """
    count = 0
    for n in range(coupling.offsets.shape[0]):
        dx = work.home[n, 0] + work.displacement[n, 0] - ion.effective[0]
        dy = work.home[n, 1] + work.displacement[n, 1] - ion.effective[1]
        dz = work.home[n, 2] + work.displacement[n, 2] - ion.effective[2]
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


@bare
def fill_system(medium, ion, work, m):
    """The linear system (1 + W H)[Δ, w] = [-(ξ + W g), K Ṙ - ṙ_H] over the m atoms in range, into work.matrix and work.rhs."""
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
            work.rhs[row, 1] = ion.velocity[c] - work.home_velocity[j, c]


@bare
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


@bare
def follow(work, m):
    """Give the atoms out of range, which exert no force, the displacement work.reply that the others cause; active is sorted."""
    a = 0
    for j in range(work.displacement.shape[0]):
        if a < m and work.active[a] == j:
            a += 1
            continue
        for c in range(3):
            work.displacement[j, c] = work.reply[j, c]


@bare
def relax_atoms(coupling, medium, ion, work):
    """Newton iteration for ξ with the ion held at ion.effective, from work.displacement; returns the number of atoms in range, or -1.

    A step longer than a tenth of the lattice constant is cut to that. On return work.hessian is that at ξ and work.rhs[:, 1] is w.
    """
    limit = LONGEST_STEP * coupling.spacing
    for _ in range(MAX_ITERATIONS):
        m = linearise(coupling, ion, work)
        fill_system(medium, ion, work, m)
        if not solve(work.matrix, work.rhs, 3 * m):
            return -1
        respond(coupling, medium, work.gradient, work.reply)
        follow(work, m)
        longest = 0.0
        for row in range(3 * m):
            longest = max(longest, abs(work.rhs[row, 0]))
        scale = limit / longest if longest > limit else 1.0
        for a in range(m):
            for c in range(3):
                work.displacement[work.active[a], c] += scale * work.rhs[3 * a + c, 0]
        if longest < tolerance(ion):
            return m
    return -1


@bare
def tolerance(ion):
    """Change of ξ and x (Å) at which the iterations end: 1e-12, or what the ion's coordinates resolve far from the origin."""
    return TOLERANCE + 1e-15 * (abs(ion.position[0]) + abs(ion.position[1]) + abs(ion.position[2]))


@bare
def mismatch(coupling, medium, ion, work, x, off):
    """off = x - L ∇_R dU/dt (Å) for the shift x (3,), with ξ relaxed; returns its largest component, NaN if ξ is not found."""
    for c in range(3):
        ion.effective[c] = ion.position[c] + x[c]
    m = relax_atoms(coupling, medium, ion, work)
    if m < 0:
        return math.nan
    px = py = pz = 0.0  # ∇_R dU/dt = Σ H w
    for a in range(m):
        h = work.hessian[work.active[a]]
        for c in range(3):
            w = work.rhs[3 * a + c, 1]
            px += h[0, c] * w
            py += h[1, c] * w
            pz += h[2, c] * w
    largest = 0.0
    for c in range(3):
        off[c] = x[c] - medium.loss[c, 0] * px - medium.loss[c, 1] * py - medium.loss[c, 2] * pz
        largest = max(largest, abs(off[c]))
    return largest


@bare
def secant_update(work):
    """Broyden's update of the inverse Jacobian B (work.shift[4:7]) with the pair of points in rows 0, 1 (x, F) and 2, 3."""
    s = work.shift  # rows 4 to 6: B
    change = (s[2, 0] - s[0, 0], s[2, 1] - s[0, 1], s[2, 2] - s[0, 2])
    moved = (s[3, 0] - s[1, 0], s[3, 1] - s[1, 1], s[3, 2] - s[1, 2])
    product = (  # Bᵀ Δx
        s[4, 0] * change[0] + s[5, 0] * change[1] + s[6, 0] * change[2],
        s[4, 1] * change[0] + s[5, 1] * change[1] + s[6, 1] * change[2],
        s[4, 2] * change[0] + s[5, 2] * change[1] + s[6, 2] * change[2],
    )
    bottom = product[0] * moved[0] + product[1] * moved[1] + product[2] * moved[2]
    if bottom == 0.0:
        return
    for c in range(3):
        rest = change[c] - (s[4 + c, 0] * moved[0] + s[4 + c, 1] * moved[1] + s[4 + c, 2] * moved[2])
        for e in range(3):
            s[4 + c, e] += rest * product[e] / bottom


@bare
def find_shift(coupling, medium, ion, work):
    """Solve x = L ∇_R dU/dt by Broyden's method from x = 0; True if found, with ion.effective and work.displacement at the solution.

    work.shift: rows 0 and 1 hold the best x and its mismatch, 2 and 3 those on trial, 4 to 6 the inverse Jacobian. A trial that is
    worse still teaches the Jacobian, so the next one from the same point is shorter; a receding ion, whose drag falls steeply
    with x, is found this way where plain iteration diverges.
    """
    limit = LONGEST_STEP * coupling.spacing
    for row in range(7):
        for c in range(3):
            work.shift[row, c] = 0.0
    for c in range(3):
        work.shift[4 + c, c] = 1.0
    best = mismatch(coupling, medium, ion, work, work.shift[0], work.shift[1])
    if best < tolerance(ion):  # no loss, or no motion
        return True
    for _ in range(MAX_ITERATIONS):
        longest = 0.0
        for c in range(3):
            step = 0.0
            for e in range(3):
                step -= work.shift[4 + c, e] * work.shift[1, e]
            work.shift[2, c] = step
            longest = max(longest, abs(step))
        if not longest < math.inf:
            return False
        scale = limit / longest if longest > limit else 1.0
        for c in range(3):
            work.shift[2, c] = work.shift[0, c] + scale * work.shift[2, c]
        trial = mismatch(coupling, medium, ion, work, work.shift[2], work.shift[3])
        if trial < tolerance(ion):
            return True
        if not trial < math.inf:
            return False
        secant_update(work)
        if trial < best:
            best = trial
            for c in range(3):
                work.shift[0, c], work.shift[1, c] = work.shift[2, c], work.shift[3, c]
    return False


@bare
def implicit_force(coupling, medium, ion, work):
    """Force on the ion by [16], given r_H and ṙ_H in ``work``: returns U(r, R) (meV), or NaN where no solution is found.

    work.atoms receives r_H + ξ and ion.effective R + x, so that r = atoms - x.
    Contract: only ion.force, ion.effective and work are written.
    """
    n = coupling.offsets.shape[0]
    for j in range(n):
        for c in range(3):
            work.displacement[j, c] = 0.0
    found = find_shift(coupling, medium, ion, work)
    for j in range(n):
        for c in range(3):
            work.atoms[j, c] = work.home[j, c] + work.displacement[j, c]
    energy = force_at(coupling, ion, work.atoms)
    return energy if found else math.nan
