"""Conjugate gradients for (1 + H W) s = r over the atoms near an ion, eight at a time, in rows of ``MediumWork.lanes``.

H is block diagonal, the Hessians of φ; W = W(0). The operator is symmetric in the scalar product a·W b.
"""

from mdlite.kernels.jit import bare, inlined
from mdlite.kernels.medium import recoil_lanes
from mdlite.kernels.vectors import WIDTH, fma, largest, load, splat, store, total

MAX_ITERATIONS = 60
APART, PULL, BEND = 6, 9, 10  # rows of lanes behind r_H and ṙ_H (`medium`): r - Q, and the two numbers of the Hessian
FORCE, SHIFT, CHANGE = 11, 14, 17  # λ, ξ = W λ, y
RESIDUAL, RECOIL, DIRECTION, RESPONSE, BENT = 20, 23, 26, 29, 32  # of conjugate gradients: r, W r, p, W p, A p
STEP, MOVE = 35, 38  # of Newton's method: δλ, W δλ
ROWS = 41


@inlined
def product(lanes, width, a, b):
    """Σ of rows a, a + 1, a + 2 times rows b, b + 1, b + 2."""
    sums = splat(0.0)
    for at in range(0, 3 * width, WIDTH):
        sums = fma(load(lanes, a * width + at), load(lanes, b * width + at), sums)
    return total(sums)


@inlined
def extent(lanes, width, a):
    """The largest absolute value in rows a, a + 1, a + 2."""
    most = 0.0
    for at in range(0, 3 * width, WIDTH):
        most = max(most, largest(load(lanes, a * width + at)))
    return most


@inlined
def add(lanes, width, target, factor, source):
    """Rows target .. target + 2 += factor × rows source .. source + 2."""
    scale = splat(factor)
    for at in range(0, 3 * width, WIDTH):
        store(lanes, target * width + at, fma(scale, load(lanes, source * width + at), load(lanes, target * width + at)))


@inlined
def clear(lanes, width, row):
    """Rows row .. row + 2 = 0."""
    for at in range(0, 3 * width, WIDTH):
        store(lanes, row * width + at, splat(0.0))


@bare
def bend_rows(lanes, width, source, base, target):
    """target = base + H source, each of three rows; returns source·target."""
    sums = splat(0.0)
    for at in range(0, width, WIDTH):
        dx, dy, dz = load(lanes, APART * width + at), load(lanes, (APART + 1) * width + at), load(lanes, (APART + 2) * width + at)
        x, y, z = load(lanes, source * width + at), load(lanes, (source + 1) * width + at), load(lanes, (source + 2) * width + at)
        pull, along = load(lanes, PULL * width + at), load(lanes, BEND * width + at) * fma(dz, z, fma(dy, y, dx * x))
        hx = fma(along, dx, fma(pull, x, load(lanes, base * width + at)))
        hy = fma(along, dy, fma(pull, y, load(lanes, (base + 1) * width + at)))
        hz = fma(along, dz, fma(pull, z, load(lanes, (base + 2) * width + at)))
        store(lanes, target * width + at, hx)
        store(lanes, (target + 1) * width + at, hy)
        store(lanes, (target + 2) * width + at, hz)
        sums = fma(z, hz, fma(y, hy, fma(x, hx, sums)))
    return total(sums)


@bare
def conjugate(medium, lanes, width, count, into, moved, relative, goal):
    """Add to rows ``into`` the solution of A s = residual, and W s to rows ``moved``, until W r is within ``goal``, or ``relative`` of what it was.

    Returns (how large W r was at first, whether the curvature was positive throughout; where it is not from the start, s is the residual).
    """
    first = last = 1.0
    for iteration in range(MAX_ITERATIONS):
        recoil_lanes(medium, lanes, width, RESIDUAL, RECOIL, count)
        size = extent(lanes, width, RECOIL)
        if iteration == 0:
            first, goal = size, max(goal, relative * size)
        if not size > goal:
            break
        power = product(lanes, width, RESIDUAL, RECOIL)
        if iteration == 0:
            clear(lanes, width, DIRECTION)
            clear(lanes, width, RESPONSE)
        beta = power / last if iteration > 0 else 0.0
        last = power
        scale = splat(beta)
        for at in range(0, 3 * width, WIDTH):
            p, q = DIRECTION * width + at, RESPONSE * width + at
            store(lanes, p, fma(scale, load(lanes, p), load(lanes, RESIDUAL * width + at)))
            store(lanes, q, fma(scale, load(lanes, q), load(lanes, RECOIL * width + at)))
        curvature = bend_rows(lanes, width, RESPONSE, DIRECTION, BENT)
        if not curvature > 0.0:
            if iteration == 0:
                add(lanes, width, into, 1.0, DIRECTION)
                add(lanes, width, moved, 1.0, RESPONSE)
            return first, False
        alpha = power / curvature
        add(lanes, width, into, alpha, DIRECTION)
        add(lanes, width, moved, alpha, RESPONSE)
        add(lanes, width, RESIDUAL, 0.0 - alpha, BENT)
    return first, True
