"""How the framework answers the ion: recoil kernel W_d(t) [10] and loss matrix L, of the infinite and of a finite lattice.

Infinite lattice, t = 0: the zone is cut into pyramids by the largest component, θ = (ρ, ρs, ρt), whose Jacobian ρ² makes D⁻¹
analytic, and Gauss-Legendre converges exponentially. t > 0: W(0) - W(t) is an entire function of D, a finite sum over the Chebyshev
moments of D (`mdlite.physics.propagator`), without any quadrature.

D is even in each θ_i but for its off-diagonal elements, odd in two of them: everything is integrated over one octant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mdlite.errors import InputError
from mdlite.physics.model import Lattice
from mdlite.physics.phonons import acoustic_tensor, dynamical_matrix
from mdlite.physics.symmetry import COMPONENTS, canonical, components, from_canonical, matrices

RELATIVE_TOLERANCE = 1e-12
NODES_TRIED = (20, 28, 40, 56, 80, 112)
"""Per direction, plus twice the largest |d|."""
MOST_NUMBERS = 4_000_000
"""That are held at once in a sum over the zone of a finite lattice."""
NODES = 24
"""Of an interpolation of cos Ωt over 4 radians: its error is J_24(2), below rounding."""
MOST_POINTS = 2e8
"""Of a finite lattice's octant: minutes, and less memory than a run of it."""
FARTHEST = 100
"""Sites"""


def _phases(theta: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Octant form of e^{iθ·d} for the six components of a symmetric tensor: (n, 3), (m, 3) → (6, m, n).

    cos cos cos on the diagonal; -sin sin cos, with the sines in i and j, for the element ij.
    """
    phase = theta[None, :, :] * displacements[:, None, :]
    c, s = np.cos(phase), np.sin(phase)
    out = np.empty((6, len(displacements), len(theta)))
    out[:3] = c.prod(axis=2)
    for row, (i, j) in enumerate(COMPONENTS[3:], start=3):
        k = 3 - i - j
        out[row] = -s[..., i] * s[..., j] * c[..., k]
    return out


def _zone_sum(theta: np.ndarray, values: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Σ_n e^{iθ_n·d} f(θ_n) over octant points (n, 3), with f given by components (6, n, T): (m, T, 3, 3)."""
    total = np.empty((6, len(displacements), values.shape[2]))
    for start in range(0, len(displacements), 32):  # bounded memory
        piece = slice(start, start + 32)
        total[:, piece] = np.matmul(_phases(theta, displacements[piece]), values)
    return matrices(total)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of symmetric matrices (n, 3, 3) by their cofactors, as components (6, n)."""
    a, b, c, f, e, d = components(matrix)
    cofactors = np.stack([b * c - f * f, a * c - e * e, a * b - d * d, d * e - a * f, d * f - b * e, e * f - c * d])
    return cofactors / (a * cofactors[0] + d * cofactors[5] + e * cofactors[4])


def _static_quadrature(lattice: Lattice, displacements: np.ndarray, nodes: int) -> np.ndarray:
    """W_d(0) of the infinite lattice with nodes³ Gauss points in each of the three pyramids: (m, 3, 3), Å²/meV."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    unit, weight = 0.5 * (x + 1.0), 0.5 * w
    s, t = (g.ravel() for g in np.meshgrid(unit, unit, indexing="ij"))
    face = np.outer(weight, weight).ravel()
    total = np.zeros((len(displacements), 1, 3, 3))
    for rho, w_rho in zip(np.pi * unit, np.pi * weight):
        for axis in range(3):
            theta = np.empty((s.size, 3))
            theta[:, axis], theta[:, axis - 2], theta[:, axis - 1] = rho, rho * s, rho * t
            values = _inverse(dynamical_matrix(lattice, theta)) * (face * w_rho * rho**2)
            total += _zone_sum(theta, values[..., None], displacements)
    return total[:, 0] / (np.pi**3 * lattice.mass)


def _by_symmetry(compute, displacements: np.ndarray) -> np.ndarray:
    """Evaluate ``compute(unique canonical d) -> (m, ..., 3, 3)`` and rotate the results to every d of (n, 3)."""
    unique, where = np.unique(canonical(displacements), axis=0, return_inverse=True)
    return from_canonical(compute(unique)[where.ravel()], displacements)


def _converged(lattice: Lattice, displacements: np.ndarray, first: int) -> tuple[np.ndarray, int]:
    """W_d(0), and the place in `NODES_TRIED` where two results agreed, from that of number ``first`` on. Raises InputError where none do."""
    extra = 2 * int(displacements.max(initial=0))  # e^{iθ·d} oscillates d/2 times
    previous = _static_quadrature(lattice, displacements, NODES_TRIED[first] + extra)
    for place in range(first + 1, len(NODES_TRIED)):
        current = _static_quadrature(lattice, displacements, NODES_TRIED[place] + extra)
        if np.max(np.abs(current - previous)) < RELATIVE_TOLERANCE * np.max(np.abs(current)):
            return current, place
        previous = current
    raise InputError(
        f"lattice.k2 = {lattice.k2:g} with k1 = {lattice.k1:g}: the recoil kernel does not converge, because the crystal is "
        f"nearly a set of independent {'chains; raise' if lattice.k2 < lattice.k1 else 'sublattices; lower'} k2/k1"
    )


def static_recoil(lattice: Lattice, displacements: ArrayLike) -> np.ndarray:
    """W_d(0) of the infinite lattice for integer lattice vectors d, (n, 3) → (n, 3, 3), Å²/meV [10].

    The number of nodes is raised until two successive results agree to 1e-12 of W_0. Raises InputError if k2 = 0, or if k2/k1 is so
    small that 112 nodes a direction (and more for far pairs) do not reach that.
    """
    lattice.require_rigidity("the recoil kernel")
    vectors = _lattice_vectors(displacements)

    first = _converged(lattice, np.zeros((1, 3), np.int64), 0)[1]  # one pair shows whether it converges at all

    def converge(unique: np.ndarray) -> np.ndarray:
        return _converged(lattice, np.concatenate([np.zeros((1, 3), np.int64), unique]), max(0, first - 1))[0][1:]

    return _by_symmetry(converge, vectors)


def zone_octant(size: Sequence[int], with_zero: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points θ (n, 3) of one octant of the zone grid 2π n/N and their weights (n,), which add up to 1 with q = 0 included."""
    axes, weights = zip(*map(_half_axis, size))
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    weight = np.einsum("i,j,k->ijk", *weights).ravel()
    return (theta, weight) if with_zero else (theta[1:], weight[1:])


def _half_axis(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Components of θ from 0 to π in the grid of n points, and their weights."""
    half = np.arange(n // 2 + 1)
    return 2.0 * np.pi * half / n, np.where((half == 0) | (2 * half == n), 1.0, 2.0) / n


def _octant_pieces(size: Sequence[int], most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The points of `zone_octant` without q = 0, some ``most`` at a time."""
    axes, weights = zip(*map(_half_axis, size))
    planes = max(1, most // (len(axes[1]) * len(axes[2])))
    for first in range(0, len(axes[0]), planes):
        for rows in np.array_split(np.arange(len(axes[1])), max(1, planes * len(axes[1]) * len(axes[2]) // most)):
            part = axes[0][first : first + planes], axes[1][rows], axes[2]
            theta = np.stack(np.meshgrid(*part, indexing="ij"), axis=-1).reshape(-1, 3)
            weight = np.einsum("i,j,k->ijk", weights[0][first : first + planes], weights[1][rows], weights[2]).ravel()
            zero = ~theta.any(axis=1)
            yield (theta[~zero], weight[~zero]) if zero.any() else (theta, weight)


def _grid_recoil(lattice: Lattice, displacements: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean over the zone grid of D⁻¹ cos(√D t) e^{iθ·d}/m without q = 0: (m, T, 3, 3).

    Of many times: cos Ωt is interpolated in Ω between Chebyshev nodes, so close that nothing is lost, and the sums over the zone are of the
    polynomials, whose number does not grow with the times'.
    """
    many = len(times) > NODES
    bins = int(0.25 * lattice.omega_max * times.max(initial=0.0)) + 1 if many else 1
    columns = bins * NODES if many else len(times)
    total = np.zeros((6 * len(displacements), columns))
    width = lattice.omega_max * (1.0 + 1e-12) / bins
    for theta, weight in _octant_pieces(lattice.size, max(64, MOST_NUMBERS // (3 * len(times) + 18 * len(displacements)))):
        squares, modes = np.linalg.eigh(dynamical_matrix(lattice, theta))
        omega = np.sqrt(squares).ravel()
        dyads = np.stack([modes[:, i] * modes[:, j] for i, j in COMPONENTS]) * (weight[:, None] / squares)
        amplitudes = (dyads[:, None] * _phases(theta, displacements)[..., None]).reshape(len(total), -1)
        if not many:
            total += amplitudes @ np.cos(omega[:, None] * times)
            continue
        place = np.minimum((omega / width).astype(np.int64), bins - 1)
        x = 2.0 * (omega / width - place) - 1.0
        before, now = x, np.ones_like(x)
        for n in range(NODES):
            for row, amplitude in enumerate(amplitudes):
                total[row, n * bins : (n + 1) * bins] += np.bincount(place, amplitude * now, bins)
            before, now = now, 2.0 * x * now - before
    if many:
        angle = np.pi * (np.arange(NODES) + 0.5) / NODES
        nodes = width * (np.arange(bins)[:, None] + 0.5 * (1.0 + np.cos(angle)))
        change = np.cos(np.arange(NODES)[:, None] * angle) * np.where(np.arange(NODES) == 0, 1.0, 2.0)[:, None] / NODES
        total = total @ np.einsum("nj,bjt->nbt", change, np.cos(nodes[..., None] * times)).reshape(columns, -1)
    return matrices(total.reshape(6, len(displacements), -1)) / lattice.mass


def recoil_kernel(lattice: Lattice, displacements: ArrayLike, times: ArrayLike = (0.0,), finite: bool = False) -> np.ndarray:
    """W_d(t) [10] for integer lattice vectors d, (n, 3), and times (T,) in ps, in any order: (n, T, 3, 3), Å²/meV.

    Infinite lattice, to 1e-11 of W_0(0), or with ``finite`` the periodic one of lattice.size without its q = 0 modes. W(-t) = W(t). The work
    grows as the fourth power of the latest time (a second for 20 ps, half a minute for 50) and as the cube of the farthest d, and hardly with
    the number of times. Raises InputError if k2 = 0, for what is not finite, and for times and distances that would take hours.
    """
    lattice.require_rigidity("the recoil kernel")
    vectors = _lattice_vectors(displacements)
    instants = np.abs(np.asarray(times, float).ravel())
    if not np.isfinite(instants).all():
        raise InputError("times: must be finite numbers, ps")
    if finite:
        return _finite_recoil(lattice, vectors, instants)
    unique, where = np.unique(instants, return_inverse=True)
    static = static_recoil(lattice, vectors)[:, None]
    if not instants.any():
        return np.repeat(static, len(instants), axis=1)
    from mdlite.physics import propagator  # with its kernel, which W(0) does not need

    return (static - _by_symmetry(lambda d: propagator.fall(lattice, d, unique), vectors))[:, where.ravel()]


def _finite_recoil(lattice: Lattice, displacements: np.ndarray, times: np.ndarray) -> np.ndarray:
    if np.prod([n // 2 + 1.0 for n in lattice.size]) > MOST_POINTS:
        raise InputError(
            f"lattice.size = {list(lattice.size)}: the recoil kernel of a finite lattice of this size would take hours; give a smaller one"
        )
    return _grid_recoil(lattice, displacements, times)


def _lattice_vectors(displacements: ArrayLike) -> np.ndarray:
    """Lattice vectors as int64 (n, 3). Raises InputError for what are none, or too far."""
    try:
        found = np.asarray(displacements, float).reshape(-1, 3)
    except (ValueError, TypeError, OverflowError):
        raise InputError("displacements: must be lattice vectors, three whole numbers each") from None
    if not (np.isfinite(found).all() and np.array_equal(found, np.round(found))):
        raise InputError("displacements: must be lattice vectors, three whole numbers each")
    if np.abs(found).max(initial=0.0) > FARTHEST:
        far = found[np.abs(found).max(axis=1).argmax()]
        raise InputError(
            f"displacements: {[int(n) if abs(n) < 1e15 else n for n in far.tolist()]} is too far; the recoil kernel of two "
            f"atoms more than {FARTHEST} "
            "sites apart takes many minutes"
        )
    return found.astype(np.int64)


def loss_matrix(lattice: Lattice) -> np.ndarray:
    """L = (a³/16π² m) ∫ dΩ̂ D̂(q̂)^{-3/2}, the infinite lattice's loss matrix, (3, 3), Å² ps/meV.

    Gauss-Legendre in cos θ times the trapezoidal rule in φ, doubled until the result agrees to 1e-12: exponential, since the
    integrand is analytic on the sphere. Raises InputError if k2 = 0, or if k2/k1 is too small for 512 nodes.
    """
    lattice.require_rigidity("the loss matrix")
    found = loss_integral(functools.partial(acoustic_tensor, lattice), lattice.spacing**3, lattice.mass)
    if found is None:
        raise InputError(
            f"lattice.k2 = {lattice.k2:g} with k1 = {lattice.k1:g}: the loss matrix does not converge, because the crystal is nearly a "
            "set of independent chains; raise k2/k1"
        )
    return np.mean(np.diag(found)) * np.eye(3)  # a cubic crystal's is a multiple of the identity


def loss_integral(tensor: Callable[[np.ndarray], np.ndarray], volume: float, mass: float) -> np.ndarray | None:
    """(v/16π² m) ∫ dΩ̂ A(q̂)^{-3/2} of A (..., 3) -> (..., 3, 3), Å²/ps², (3, 3), Å² ps/meV; None where sound hardly moves in some direction."""
    previous = None
    for nodes in (16, 32, 64, 128, 256, 512):
        z, w = np.polynomial.legendre.leggauss(nodes)
        phi = np.pi * np.arange(2 * nodes) / nodes
        s = np.sqrt(1.0 - z * z)[:, None]
        direction = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(z[:, None], (nodes, 2 * nodes))], axis=-1)
        squares, modes = np.linalg.eigh(tensor(direction))
        if squares.min() <= 0.0:
            return None
        power = np.einsum("abis,abs,abjs->abij", modes, squares**-1.5, modes)
        sphere = np.einsum("a,abij->ij", w, power) * np.pi / nodes
        current = volume / (16.0 * np.pi**2 * mass) * sphere
        if previous is not None and np.max(np.abs(current - previous)) < RELATIVE_TOLERANCE * np.max(current):
            return current
        previous = current
    return None
