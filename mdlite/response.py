"""How the framework answers the ion: recoil kernel W_d(t) [10] and loss matrix L, of the infinite and of a finite lattice.

Infinite lattice, t = 0: the zone is cut into pyramids by the largest component, θ = (ρ, ρs, ρt), whose Jacobian ρ² makes D⁻¹
analytic, and Gauss-Legendre converges exponentially. t > 0: W(t) - W(0) has an entire, periodic integrand, so the trapezoidal rule
on an N³ grid is exact but for images at least N - |d| sites away; in the Chebyshev expansion of cos(√D t) those enter with Bessel
functions J_2p(Ω_max t), p ≥ N - |d|, which bounds the error rigorously and chooses N.

D is even in each θ_i but for its off-diagonal elements, odd in two of them: everything is integrated over one octant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdlite.errors import InputError
from mdlite.model import Lattice
from mdlite.phonons import acoustic_tensor, dynamical_matrix

RELATIVE_TOLERANCE = 1e-12
MAX_NODES = 112  # per direction, plus twice the largest |d|
_COMPONENTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def _phases(theta: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Octant form of e^{iθ·d} for the six components of a symmetric tensor: (n, 3), (m, 3) → (6, m, n).

    cos cos cos on the diagonal; -sin sin cos, with the sines in i and j, for the element ij.
    """
    phase = theta[None, :, :] * displacements[:, None, :]
    c, s = np.cos(phase), np.sin(phase)
    out = np.empty((6, len(displacements), len(theta)))
    out[:3] = c.prod(axis=2)
    for row, (i, j) in enumerate(_COMPONENTS[3:], start=3):
        k = 3 - i - j
        out[row] = -s[..., i] * s[..., j] * c[..., k]
    return out


def _to_matrices(components: np.ndarray) -> np.ndarray:
    """(6, ...) tensor components → (..., 3, 3)."""
    out = np.empty((*components.shape[1:], 3, 3))
    for row, (i, j) in enumerate(_COMPONENTS):
        out[..., i, j] = out[..., j, i] = components[row]
    return out


def _zone_sum(theta: np.ndarray, values: np.ndarray, displacements: np.ndarray) -> np.ndarray:
    """Σ_n e^{iθ_n·d} f(θ_n) over octant points (n, 3), with f given by components (6, n, T): (m, T, 3, 3)."""
    total = np.empty((6, len(displacements), values.shape[2]))
    for start in range(0, len(displacements), 32):  # bounded memory
        piece = slice(start, start + 32)
        total[:, piece] = np.matmul(_phases(theta, displacements[piece]), values)
    return _to_matrices(total)


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
            inverse = np.linalg.inv(dynamical_matrix(lattice, theta))
            values = np.stack([inverse[:, i, j] for i, j in _COMPONENTS]) * (face * w_rho * rho**2)
            total += _zone_sum(theta, values[..., None], displacements)
    return total[:, 0] / (np.pi**3 * lattice.mass)


def _canonical(displacements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each d as |d| sorted downwards, and the order that sorts it: the 48-fold symmetry of the cubic crystal."""
    order = np.argsort(-np.abs(displacements), axis=1, kind="stable")
    return np.take_along_axis(np.abs(displacements), order, axis=1), order


def _by_symmetry(compute, displacements: np.ndarray) -> np.ndarray:
    """Evaluate ``compute(unique canonical d) -> (m, ..., 3, 3)`` and rotate the results to every d of (n, 3)."""
    canonical, order = _canonical(displacements)
    unique, where = np.unique(canonical, axis=0, return_inverse=True)
    values = compute(unique)[where.ravel()]
    place = np.argsort(order, axis=1)  # where component i of d stands in the canonical vector
    signs = np.where(displacements < 0, -1.0, 1.0)
    rows = np.arange(len(displacements))
    out = np.empty_like(values)
    for i in range(3):
        for j in range(3):
            factor = (signs[:, i] * signs[:, j]).reshape((-1,) + (1,) * (values.ndim - 3))
            out[..., i, j] = factor * values[rows, ..., place[:, i], place[:, j]]
    return out


def static_recoil(lattice: Lattice, displacements: np.ndarray) -> np.ndarray:
    """W_d(0) of the infinite lattice for integer lattice vectors d, (n, 3) → (n, 3, 3), Å²/meV [10].

    The number of nodes is raised until two successive results agree to 1e-12 of W_0. Raises InputError if k2 = 0, or if k2/k1 is so
    small that 112 nodes a direction (and more for far pairs) do not reach that.
    """
    lattice.require_rigidity("the recoil kernel")
    displacements = np.asarray(displacements, np.int64).reshape(-1, 3)

    def converge(unique: np.ndarray) -> np.ndarray:
        with_zero = np.concatenate([np.zeros((1, 3), np.int64), unique])
        extra = 2 * int(unique.max(initial=0))  # e^{iθ·d} oscillates d/2 times
        previous = _static_quadrature(lattice, with_zero, 20 + extra)
        for nodes in (28, 40, 56, 80, MAX_NODES):
            current = _static_quadrature(lattice, with_zero, nodes + extra)
            if np.max(np.abs(current - previous)) < RELATIVE_TOLERANCE * np.max(np.abs(current)):
                return current[1:]
            previous = current
        raise InputError(
            f"lattice.k2 = {lattice.k2:g} with k1 = {lattice.k1:g}: the recoil kernel does not converge, because the crystal is "
            "nearly a set of independent chains; raise k2/k1"
        )

    return _by_symmetry(converge, displacements)


def zone_octant(size: Sequence[int], with_zero: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points θ (n, 3) of one octant of the zone grid 2π n/N and their weights (n,), which add up to 1 with q = 0 included."""
    axes, weights = [], []
    for n in size:
        half = np.arange(n // 2 + 1)
        axes.append(2.0 * np.pi * half / n)
        weights.append(np.where((half == 0) | (2 * half == n), 1.0, 2.0) / n)
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    weight = np.einsum("i,j,k->ijk", *weights).ravel()
    return (theta, weight) if with_zero else (theta[1:], weight[1:])


def _grid_recoil(
    lattice: Lattice, size: Sequence[int], displacements: np.ndarray, times: np.ndarray, subtract: bool
) -> np.ndarray:
    """Mean over the zone grid of D⁻¹ cos(√D t) e^{iθ·d}/m without q = 0, or of D⁻¹ (cos(√D t) - 1) with it: (m, T, 3, 3)."""
    theta, weight = zone_octant(size, with_zero=subtract)
    total = np.zeros((len(displacements), len(times), 3, 3))
    for piece in np.array_split(np.arange(len(theta)), max(1, len(theta) * (len(times) + 6) // 2_000_000)):
        squares, modes = np.linalg.eigh(dynamical_matrix(lattice, theta[piece]))
        omega = np.sqrt(squares.clip(min=0.0))
        if subtract:  # (cos Ωt - 1)/Ω² = -½ t² sinc²(Ωt/2), finite at Ω = 0
            half = 0.5 * omega[..., None] * times
            spectrum = -0.5 * times**2 * np.sinc(half / np.pi) ** 2
        else:
            spectrum = np.cos(omega[..., None] * times) / squares[..., None]
        dyads = np.stack([modes[:, i] * modes[:, j] for i, j in _COMPONENTS])
        values = np.einsum("cns,nst->cnt", dyads, spectrum * weight[piece, None, None])
        total += _zone_sum(theta[piece], values, displacements)
    return total / lattice.mass


def _echo_free_size(lattice: Lattice, reach: int, time: float) -> int:
    """Even N for which periodic images change W_d(t) - W_d(0), |d_i| <= reach, by less than 1e-17 of W_0."""
    from scipy.special import jv

    x = lattice.omega_max * time
    order = int(0.5 * x) + 2
    while abs(jv(2 * order, x)) > 1e-17:
        order += 1 + order // 50
    return 2 * ((reach + order + 2) // 2 + 1)


def recoil_kernel(
    lattice: Lattice, displacements: Sequence[Sequence[int]], times: Sequence[float] = (0.0,), finite: bool = False
) -> np.ndarray:
    """W_d(t) [10] for integer lattice vectors d, (n, 3), and times (T,) in ps: (n, T, 3, 3), Å²/meV.

    Infinite lattice, or with ``finite`` the periodic one of lattice.size without its q = 0 modes. Raises InputError if k2 = 0.
    """
    lattice.require_rigidity("the recoil kernel")
    displacements = np.asarray(displacements, np.int64).reshape(-1, 3)
    times = np.abs(np.asarray(times, float).ravel())
    if finite:
        return _grid_recoil(lattice, lattice.size, displacements, times, subtract=False)
    static = static_recoil(lattice, displacements)[:, None]
    if not times.any():
        return np.repeat(static, len(times), axis=1)
    n = _echo_free_size(lattice, int(np.abs(displacements).max(initial=0)), float(times.max()))
    return static + _by_symmetry(lambda d: _grid_recoil(lattice, (n, n, n), d, times, subtract=True), displacements)


def loss_matrix(lattice: Lattice) -> np.ndarray:
    """L = (a³/16π² m) ∫ dΩ̂ D̂(q̂)^{-3/2}, the infinite lattice's loss matrix, (3, 3), Å² ps/meV.

    Gauss-Legendre in cos θ times the trapezoidal rule in φ, doubled until the result agrees to 1e-12: exponential, since the
    integrand is analytic on the sphere. Raises InputError if k2 = 0, or if k2/k1 is too small for 512 nodes.
    """
    lattice.require_rigidity("the loss matrix")
    previous = None
    for nodes in (16, 32, 64, 128, 256, 512):
        z, w = np.polynomial.legendre.leggauss(nodes)
        phi = np.pi * np.arange(2 * nodes) / nodes
        s = np.sqrt(1.0 - z * z)[:, None]
        direction = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(z[:, None], (nodes, 2 * nodes))], axis=-1)
        squares, modes = np.linalg.eigh(acoustic_tensor(lattice, direction))
        power = np.einsum("abis,abs,abjs->abij", modes, squares**-1.5, modes)
        sphere = np.einsum("a,abij->ij", w, power) * np.pi / nodes
        current = lattice.spacing**3 / (16.0 * np.pi**2 * lattice.mass) * sphere
        if previous is not None and np.max(np.abs(current - previous)) < RELATIVE_TOLERANCE * np.max(current):
            return np.mean(np.diag(current)) * np.eye(3)  # a cubic crystal's is a multiple of the identity
        previous = current
    raise InputError(
        f"lattice.k2 = {lattice.k2:g} with k1 = {lattice.k1:g}: the loss matrix does not converge, because the crystal is nearly a "
        "set of independent chains; raise k2/k1"
    )
