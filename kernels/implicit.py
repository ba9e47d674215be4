"""The implicit rung [16]: the framework's adiabatic displacement and its velocity are solved for, not expanded about r_H.

With Q = R + x the ion shifted by the loss, and ξ_j the displacement without that common shift,

    ξ_j = -Σ_k W_{j-k}(0) ∇_{r_k} U(r_H + ξ, Q),        x = L ∇_R dU/dt,
    ∇_R dU/dt = Σ_k H_k w_k,   (1 + W H) w = K Ṙ - ṙ_H.

w = K Ṙ - ṙ is the velocity of the ion relative to the atoms that follow it. Differentiating [16] once more would add ẋ to w, and
x = L 𝒦 (Ṙ + ẋ) has run-away solutions that grow at the rate 1/(L 𝒦), like the self-accelerating ones of radiation
reaction; the standard reduction of order drops ẋ, an error of second order in L. docs/implicit.md has the derivation, and the friction.

Unknowns are forces: ξ = W λ with λ = -∇_r U, and y = H w = dλ/dt, so that both systems have the operator A = 1 + H W, and W A is symmetric: conjugate
gradients in the scalar product a·W b, eight atoms at a time. W is never inverted, and a curvature that is not positive shows itself: there the
crystal has no equilibrium, and the atoms slide downhill to the next. λ, y and x of the step before are the first guess, λ moved on by y dt.
"""

import math

from mdlite.kernels.candidates import home_cell, lanes_width
from mdlite.kernels.conjugate import (
    APART,
    BEND,
    BENT,
    CHANGE,
    FORCE,
    MOVE,
    PULL,
    RESIDUAL,
    SHIFT,
    STEP,
    add,
    bend_rows,
    clear,
    conjugate,
    extent,
    product,
)
from mdlite.kernels.jit import bare
from mdlite.kernels.medium import HOME, RATE, pair_lanes, recoil_lanes
from mdlite.kernels.vectors import WIDTH, fma, largest, load, splat, store, total

# lengths in lattice constants
COLD, WARM = 4e-13, 3.4e-8
"""Change of ξ and x at which the iterations end: without a first guess, and with that of the step before."""
LONGEST_STEP = 0.1  # a longer Newton step is cut
SHARP = 0.034  # how far the potential reaches, cautiously: a Newton step δ is followed by one of δ²/SHARP
MAX_ITERATIONS = 60
LAG = 1.44  # times L/W(0), ps: how much a velocity of the atoms that is wrong shifts x
ROUNDING, LITTLE = 1e-9, 1e-4  # a rise of the energy is none below that part of it, and of LITTLE a²/W(0)
BEST, BEST_OFF, TRIAL, TRIAL_OFF, INVERSE = range(5)
"""Rows of ``MediumWork.shift``: the best x and its mismatch, those on trial; the three of the inverse Jacobian."""
CELL, SOLVED, LAST, GAIN = 0, 3, 4, 7
"""Of ``MediumIon.guess`` behind λ and y: the candidates' cell, whether there was a solution, x, and by how much it changed."""


@bare
def linearise(coupling, ion, lanes, width):
    """r - Q, the Hessians and the residual -(λ + ∇_r U) at the displacements ξ; returns U + ½ λ·ξ, the energy that equilibrium minimises."""
    count = coupling.offsets.shape[0]
    sums = splat(0.0)
    for at in range(0, width, WIDTH):
        dx = load(lanes, HOME * width + at) + load(lanes, SHIFT * width + at) - ion.effective[0]
        dy = load(lanes, (HOME + 1) * width + at) + load(lanes, (SHIFT + 1) * width + at) - ion.effective[1]
        dz = load(lanes, (HOME + 2) * width + at) + load(lanes, (SHIFT + 2) * width + at) - ion.effective[2]
        phi, pull, bend, _ = pair_lanes(coupling, at, dx, dy, dz, count - at)
        store(lanes, APART * width + at, dx)
        store(lanes, (APART + 1) * width + at, dy)
        store(lanes, (APART + 2) * width + at, dz)
        store(lanes, PULL * width + at, pull)
        store(lanes, BEND * width + at, bend)
        zero = splat(0.0)
        store(lanes, RESIDUAL * width + at, zero - fma(pull, dx, load(lanes, FORCE * width + at)))
        store(lanes, (RESIDUAL + 1) * width + at, zero - fma(pull, dy, load(lanes, (FORCE + 1) * width + at)))
        store(lanes, (RESIDUAL + 2) * width + at, zero - fma(pull, dz, load(lanes, (FORCE + 2) * width + at)))
        sums = sums + phi
    return total(sums) + 0.5 * product(lanes, width, FORCE, SHIFT)


@bare
def relax_atoms(coupling, medium, ion, lanes, width, goal):
    """Newton's method for λ and ξ with the ion held at ion.effective, from what these are; True once a step would be within ``goal`` (Å).

    A step longer than a tenth of the lattice constant is cut, one that raises the energy halved. On return the Hessians are those at ξ.
    """
    count, limit = coupling.offsets.shape[0], LONGEST_STEP * coupling.spacing
    sharp, little = SHARP * coupling.spacing, LITTLE * coupling.spacing**2 / medium.reply[0]
    recoil_lanes(medium, lanes, width, FORCE, SHIFT, count)
    before, scale = math.inf, 0.0
    for _ in range(MAX_ITERATIONS):
        energy = linearise(coupling, ion, lanes, width)
        if not math.isfinite(energy):
            return False
        if energy > before + ROUNDING * (little + abs(before)) and scale > 1e-3:
            scale *= 0.5
            add(lanes, width, FORCE, -scale, STEP)
            add(lanes, width, SHIFT, -scale, MOVE)
            continue
        before = energy
        clear(lanes, width, STEP)
        clear(lanes, width, MOVE)
        size, convex = conjugate(medium, lanes, width, count, STEP, MOVE, 1e-4, 0.3 * goal)
        if size < goal:
            return True
        longest = extent(lanes, width, MOVE)
        if not longest < math.inf:
            return False
        scale = 1.0
        if longest > limit or not convex:
            scale = limit / longest
        add(lanes, width, FORCE, scale, STEP)
        add(lanes, width, SHIFT, scale, MOVE)
        if scale == 1.0 and longest * longest < sharp * goal and 1e-4 * longest < goal:  # the next step would be within the goal
            linearise(coupling, ion, lanes, width)
            return True
    return False


@bare
def mismatch(coupling, medium, ion, lanes, width, goal, x, off):
    """off = x - L ∇_R dU/dt (Å) for the shift x (3,), with ξ relaxed; returns its largest component, NaN if there is no ξ."""
    count = coupling.offsets.shape[0]
    for c in range(3):
        ion.effective[c] = ion.position[c] + x[c]
    if not relax_atoms(coupling, medium, ion, lanes, width, goal):
        return math.nan
    recoil_lanes(medium, lanes, width, CHANGE, MOVE, count)  # y solves A y = H b: the residual is H (b - W y) - y
    zero = splat(0.0)
    for c in range(3):
        for at in range(0, width, WIDTH):
            w = ion.velocity[c] - load(lanes, (RATE + c) * width + at) - load(lanes, (MOVE + c) * width + at)
            store(lanes, (STEP + c) * width + at, w)
            store(lanes, (BENT + c) * width + at, zero - load(lanes, (CHANGE + c) * width + at))
    bend_rows(lanes, width, STEP, BENT, RESIDUAL)
    lag = LAG * abs(medium.loss[0, 0]) / medium.reply[0]
    relative, limit = (0.0, goal / lag) if lag > 0.0 else (1e-4, 0.0)  # without loss, y is a first guess only
    conjugate(medium, lanes, width, count, CHANGE, MOVE, relative, limit)
    most = 0.0
    rate = (0.0, 0.0, 0.0)
    for at in range(0, width, WIDTH):
        rate = (
            rate[0] + total(load(lanes, CHANGE * width + at)),
            rate[1] + total(load(lanes, (CHANGE + 1) * width + at)),
            rate[2] + total(load(lanes, (CHANGE + 2) * width + at)),
        )
    for c in range(3):
        off[c] = x[c] - medium.loss[c, 0] * rate[0] - medium.loss[c, 1] * rate[1] - medium.loss[c, 2] * rate[2]
        if not math.isfinite(off[c]):
            return math.nan
        most = max(most, abs(off[c]))
    return most


@bare
def secant_update(s):
    """Broyden's update of the inverse Jacobian B, rows INVERSE of s, with the two points in its other rows."""
    b = s[INVERSE:]
    change = (s[TRIAL, 0] - s[BEST, 0], s[TRIAL, 1] - s[BEST, 1], s[TRIAL, 2] - s[BEST, 2])
    moved = (s[TRIAL_OFF, 0] - s[BEST_OFF, 0], s[TRIAL_OFF, 1] - s[BEST_OFF, 1], s[TRIAL_OFF, 2] - s[BEST_OFF, 2])
    product = (  # Bᵀ Δx
        b[0, 0] * change[0] + b[1, 0] * change[1] + b[2, 0] * change[2],
        b[0, 1] * change[0] + b[1, 1] * change[1] + b[2, 1] * change[2],
        b[0, 2] * change[0] + b[1, 2] * change[1] + b[2, 2] * change[2],
    )
    bottom = product[0] * moved[0] + product[1] * moved[1] + product[2] * moved[2]
    if bottom == 0.0:
        return
    for c in range(3):
        rest = change[c] - (b[c, 0] * moved[0] + b[c, 1] * moved[1] + b[c, 2] * moved[2])
        for e in range(3):
            b[c, e] += rest * product[e] / bottom


@bare
def find_shift(coupling, medium, ion, lanes, width, goal, s):
    """Solve x = L ∇_R dU/dt by Broyden's method from the x in row BEST of s, ``MediumWork.shift``. False where there is no ξ.

    Leaves ion.effective, λ, ξ and y at the solution. A trial that is worse still teaches the Jacobian, so the next one from the same point is
    shorter; so a receding ion, whose drag falls steeply with x, is followed where plain iteration diverges. Where there is no solution (the crystal
    around the ion is about to give way, and y
    is unbounded), the best x that was met is taken, a tenth of the lattice constant at most: the loss is wrong for a moment, nothing else.
    """
    limit = LONGEST_STEP * coupling.spacing
    for row in range(BEST_OFF, s.shape[0]):
        for c in range(3):
            s[row, c] = 0.0
    for c in range(3):
        s[INVERSE + c, c] = 1.0
    best = trial = mismatch(coupling, medium, ion, lanes, width, goal, s[BEST], s[BEST_OFF])
    if not best < math.inf:
        return False
    for _ in range(MAX_ITERATIONS):
        if trial < goal:
            return True
        longest = 0.0
        for c in range(3):
            step = 0.0
            for e in range(3):
                step -= s[INVERSE + c, e] * s[BEST_OFF, e]
            s[TRIAL, c] = step
            longest = max(longest, abs(step))
        if not longest < math.inf:
            break
        scale = limit / longest if longest > limit else 1.0
        for c in range(3):
            s[TRIAL, c] = s[BEST, c] + scale * s[TRIAL, c]
        trial = mismatch(coupling, medium, ion, lanes, width, goal, s[TRIAL], s[TRIAL_OFF])
        if not trial < math.inf:
            break
        secant_update(s)
        if trial < best:
            best = trial
            for c in range(3):
                s[BEST, c], s[BEST_OFF, c] = s[TRIAL, c], s[TRIAL_OFF, c]
    clear(lanes, width, FORCE)  # whatever a trial has left
    clear(lanes, width, CHANGE)
    longest = max(abs(s[BEST, 0]), abs(s[BEST, 1]), abs(s[BEST, 2]))
    if longest > limit:
        for c in range(3):
            s[BEST, c] *= limit / longest
    return mismatch(coupling, medium, ion, lanes, width, goal, s[BEST], s[BEST_OFF]) < math.inf


@bare
def recall(coupling, ion, lanes, width, dt):
    """First guess of λ and y from those of dt (ps) before, if the candidates are still the same atoms, which it returns.

    ion.guess holds λ, y, and behind them what CELL, SOLVED, LAST and GAIN say.
    """
    cell, guess = home_cell(coupling, ion.position), ion.guess
    tail = 6 * width
    same = guess[tail + SOLVED] == 1.0
    for c in range(3):
        same = same and guess[tail + CELL + c] == cell[c]
    ahead = splat(dt)
    for at in range(0, 3 * width, WIDTH):
        force, change = splat(0.0), splat(0.0)
        if same:
            change = load(guess, 3 * width + at)
            force = fma(ahead, change, load(guess, at))
        store(lanes, FORCE * width + at, force)
        store(lanes, CHANGE * width + at, change)
    return same


@bare
def keep_guess(coupling, ion, lanes, width, x, solved):
    """Leave λ, y, the cell and x for the next step."""
    cell, guess = home_cell(coupling, ion.position), ion.guess
    tail = 6 * width
    known = guess[tail + SOLVED] == 1.0
    for at in range(0, 3 * width, WIDTH):
        store(guess, at, load(lanes, FORCE * width + at))
        store(guess, 3 * width + at, load(lanes, CHANGE * width + at))
    guess[tail + SOLVED] = 1.0 if solved else 0.0
    for c in range(3):
        guess[tail + CELL + c] = cell[c]
        guess[tail + GAIN + c] = x[c] - guess[tail + LAST + c] if solved and known else 0.0
        guess[tail + LAST + c] = x[c] if solved else 0.0


@bare
def implicit_force(coupling, medium, ion, work, dt):
    """Force on the ion by [16], given r_H and ṙ_H in rows HOME and RATE of work.lanes: returns U(r, R) (meV), or NaN where there is no equilibrium.

    dt (ps): how long ago the last force on this ion was evaluated. Contract: ion.force (meV/Å), ion.effective (R + x), ion.stiffest, ion.guess and
    work are written; rows SHIFT of the lanes are ξ, so that r = r_H + ξ - x.
    """
    count = coupling.offsets.shape[0]
    lanes, width, s = work.lanes, lanes_width(count), work.shift
    goal = coupling.spacing * (WARM if recall(coupling, ion, lanes, width, dt) else COLD)
    far = abs(ion.position[0]) + abs(ion.position[1]) + abs(ion.position[2])
    goal += 1e-15 * far  # what the coordinates resolve far from the origin
    tail = 6 * width
    for c in range(3):
        s[BEST, c] = ion.guess[tail + LAST + c] + ion.guess[tail + GAIN + c]
    solved = find_shift(coupling, medium, ion, lanes, width, goal, s)
    for c in range(3):
        s[BEST, c] = ion.effective[c] - ion.position[c]
    keep_guess(coupling, ion, lanes, width, s[BEST], solved)
    zero = splat(0.0)
    energy = fx = fy = fz = zero
    stiffest = ion.stiffest[0]
    for at in range(0, width, WIDTH):
        dx, dy, dz = load(lanes, APART * width + at), load(lanes, (APART + 1) * width + at), load(lanes, (APART + 2) * width + at)
        phi, pull, _, curvature = pair_lanes(coupling, at, dx, dy, dz, count - at)
        energy, fx, fy, fz = energy + phi, fma(pull, dx, fx), fma(pull, dy, fy), fma(pull, dz, fz)
        stiffest = max(stiffest, largest(curvature))
    ion.force[0], ion.force[1], ion.force[2] = total(fx), total(fy), total(fz)
    ion.stiffest[0] = stiffest
    return total(energy) if solved else math.nan
