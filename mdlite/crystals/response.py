"""How any harmonic crystal answers a force: recoil kernel W_{κκ'n}(t) [10], its rate G = -dW/dt, and loss matrix L.

    W(t) = ∫_BZ Σ_s ê_κ ê_κ'* cos(Ωt)/Ω² exp(-2πi q·n) / √(m_κ m_κ')

for the atoms (0, κ) and (n, κ'). W(0) of the infinite crystal: the zone is cut into pyramids by the largest component of q, whose Jacobian
makes D⁻¹ analytic, and Gauss-Legendre converges exponentially. W(0) - W(t) and G are entire functions of D: their mean over a grid of q is
that of the infinite crystal as soon as no wave goes around the box that the grid belongs to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mdlite.crystals import dynamics, quadrature
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.dynamics import Medium
from mdlite.errors import InputError
from mdlite.physics import response as cubic
from mdlite.physics.model import Lattice
from mdlite.units import TURN

TOLERANCE = 1e-12
"""Of W, over its largest element."""
NODES_TRIED = (8, 11, 14, 18, 24, 32, 42, 56, 75, 100)
"""Across a pyramid, plus twice the farthest cell."""
MARGINS = (1.0, 2.0, 3.5, 6.0, 9.0, 13.0)
"""Of a box that no sound goes around, in units of the force constants' reach."""
FARTHEST = 30
"""Cells."""
MOST_WORK = 8e12
"""Multiply-adds of one integral: minutes."""


def pairs_of(pairs: ArrayLike, n_basis: int) -> np.ndarray:
    """Pairs (m, 5) of whole numbers κ, κ', n1, n2, n3. Raises InputError for what is none."""
    try:
        found = np.asarray(pairs, float).reshape(-1, 5)
    except (ValueError, TypeError):
        raise InputError("pairs: must be five whole numbers each: two atoms of the cell, and the cell of the second") from None
    if not np.array_equal(found, np.round(found)):
        raise InputError("pairs: must be whole numbers: two atoms of the cell, and the cell of the second")
    whole = found.astype(np.int64)
    for pair in whole.tolist():
        if not (0 <= pair[0] < n_basis and 0 <= pair[1] < n_basis):
            raise InputError(f"pair {pair}: the cell has atoms 0 to {n_basis - 1}")
        if max(map(abs, pair[2:])) > FARTHEST:
            raise InputError(f"pair {pair}: the atoms are too far apart; cells must be within {FARTHEST}")
    return whole


def static_recoil(medium: Medium, pairs: ArrayLike, tolerance: float = TOLERANCE) -> np.ndarray:
    """W_{κκ'n}(0) of the infinite crystal for pairs (m, 5): (m, 3, 3), Å²/meV; [α, β] of atom (0, κ) and of atom (n, κ').

    The number of nodes is raised until the error, foreseen from the last two changes, is below ``tolerance`` of the largest element.
    Raises InputError where it does not get there, and for pairs that are none.
    """
    if isinstance(medium, Lattice):
        return cubic.static_recoil(medium, pairs_of(pairs, 1)[:, 2:])
    wanted = pairs_of(pairs, medium.n_basis)
    extra = 2 * int(np.abs(wanted[:, 2:]).max(initial=0))
    previous, before = None, np.inf
    for nodes in NODES_TRIED:
        if 2.25 * (nodes + extra) ** 3 * 8.0 * (3 * medium.n_basis) ** 3 > MOST_WORK and np.isfinite(before):
            break
        current = _pyramids(medium, wanted, nodes + extra)
        if previous is not None:
            change = np.abs(current - previous).max() / np.abs(current).max()
            foreseen = change * min(1.0, change / before) if np.isfinite(before) else change  # exponential, by steps that grow
            if foreseen < tolerance:
                return current
            before = change
        previous = current
    raise InputError(
        "crystal: the recoil kernel W(0) does not converge, because some direction of the crystal is nearly without restoring force"
    )


def _pyramids(crystal: Crystal, pairs: np.ndarray, nodes: int) -> np.ndarray:
    """W(0) by so many nodes across the pyramids of `quadrature.pyramids`."""
    q, weight = quadrature.pyramids(crystal.reciprocal, nodes)
    total = _summed(crystal, q, weight, pairs, np.unique(pairs[:, 1]))
    root = np.sqrt(crystal.masses)
    return total / (root[pairs[:, 0]] * root[pairs[:, 1]])[:, None, None]


def _summed(crystal: Crystal, q: np.ndarray, weight: np.ndarray, pairs: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Σ_q weight Re D⁻¹(q)_{κκ'} exp(-2πi q·n), (m, 3, 3)."""
    size, p = 3 * crystal.n_basis, crystal.n_basis
    wanted = np.eye(size).reshape(size, p, 3)[:, columns].reshape(size, -1)

    couples, couple = np.unique(pairs[:, :2], axis=0, return_inverse=True)
    groups = [
        (own, np.searchsorted(columns, other), np.flatnonzero(couple.ravel() == n)) for n, (own, other) in enumerate(couples)
    ]

    def part(rows: slice, d: np.ndarray) -> np.ndarray:
        whole = len(columns) == p
        inverse = np.linalg.inv(d) if whole else np.linalg.solve(d, np.broadcast_to(wanted, (len(d), *wanted.shape)))
        blocks = inverse.reshape(len(d), p, 3, len(columns), 3)
        phases, out = _phases(pairs[:, 2:], q[rows]), np.empty((len(pairs), 9))
        for own, place, members in groups:
            block = weight[rows, None] * blocks[:, own, :, place].reshape(-1, 9)
            out[members] = phases.real[members] @ block.real - phases.imag[members] @ block.imag
        return out.reshape(-1, 3, 3)

    return np.sum(dynamics.over_zone(crystal, q, part, 3 * len(pairs)), axis=0)


def _phases(cells: np.ndarray, q: np.ndarray) -> np.ndarray:
    """exp(-2πi q·n) for cells (m, 3) at q (Q, 3), complex (m, Q)."""
    out = np.ones((len(cells), len(q)), complex)
    for axis in range(3):
        different, which = np.unique(cells[:, axis], return_inverse=True)
        out *= np.exp(-1j * TURN * different[:, None] * q[:, axis])[which.ravel()]
    return out


def recoil_kernel(medium: Medium, pairs: ArrayLike, times: ArrayLike = (0.0,)) -> np.ndarray:
    """W_{κκ'n}(t) of the infinite crystal for pairs (m, 5) and times (T,) in ps: (m, T, 3, 3), Å²/meV. W(-t) = W(t).

    The work grows as the cube of the latest time. Raises InputError for pairs that are none, what is not finite, and what would take hours.
    """
    instants = _instants(times)
    if isinstance(medium, Lattice):
        return cubic.recoil_kernel(medium, pairs_of(pairs, 1)[:, 2:], instants)
    wanted = pairs_of(pairs, medium.n_basis)
    static = np.repeat(static_recoil(medium, wanted)[:, None], len(instants), axis=1)
    return static - _function(medium, wanted, instants, _fall) if instants.any() else static


def propagator(medium: Medium, pairs: ArrayLike, times: ArrayLike) -> np.ndarray:
    """G_{κκ'n}(t) = -dW/dt of the infinite crystal for pairs (m, 5) and times (T,) >= 0 in ps: (m, T, 3, 3), Å²/(meV ps). Raises as `recoil_kernel`."""
    instants = _instants(times)
    if isinstance(medium, Lattice):
        medium = dynamics.general(medium)
    return _function(medium, pairs_of(pairs, medium.n_basis), instants, _rate)


def grid_recoil(medium: Medium, size: Sequence[int], pairs: ArrayLike, times: ArrayLike = (0.0,)) -> np.ndarray:
    """W(t) of a periodic box of ``size`` cells, which does not move as a whole: (m, T, 3, 3), Å²/meV. Raises as `recoil_kernel`."""
    instants = _instants(times)
    crystal = dynamics.general(medium)
    top = dynamics.omega_max(crystal)
    return _mean(crystal, size, pairs_of(pairs, crystal.n_basis), lambda omega: _swing(omega, instants, top))


def _instants(times: ArrayLike) -> np.ndarray:
    instants = np.abs(np.asarray(times, float).ravel())
    if not np.isfinite(instants).all():
        raise InputError("times: must be finite numbers, ps")
    return instants


def _fall(omega: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(1 - cos Ωt)/Ω²"""
    return 0.5 * times**2 * np.sinc(omega[..., None] * times / TURN) ** 2


def _rate(omega: np.ndarray, times: np.ndarray) -> np.ndarray:
    """sin Ωt/Ω"""
    return times * np.sinc(omega[..., None] * times / np.pi)


def _swing(omega: np.ndarray, times: np.ndarray, top: float) -> np.ndarray:
    """cos Ωt/Ω², 0 for the motion of the whole crystal"""
    moving = omega > 1e-6 * top
    return np.where(moving[..., None], np.cos(omega[..., None] * times) / np.where(moving, omega, 1.0)[..., None] ** 2, 0.0)


def _function(crystal: Crystal, pairs: np.ndarray, times: np.ndarray, function: Callable) -> np.ndarray:
    """An entire function of D, whose light cone is that of sound, averaged over the zone: (m, T, 3, 3).

    On a grid whose box no sound goes around, and on a larger one, until the two agree.
    """
    heights = TURN / np.linalg.norm(crystal.reciprocal, axis=1)  # of the cell, across its faces
    apart = (pairs[:, 2:] + crystal.positions[pairs[:, 1]] - crystal.positions[pairs[:, 0]]) @ crystal.cell
    needed = dynamics.fastest_sound(crystal) * times.max() + np.linalg.norm(apart, axis=1).max()
    previous = None
    for margin in MARGINS:
        size = np.ceil((needed + margin * crystal.reach) / heights).astype(int)
        if 0.5 * np.prod(size.astype(float)) * 25.0 * (3 * crystal.n_basis) ** 3 > MOST_WORK:
            raise InputError(f"times: reach {times.max():g} ps, which would take hours in this crystal; give shorter times")
        current = _mean(crystal, size, pairs, lambda omega: function(omega, times))
        if previous is not None and np.abs(current - previous).max() <= 10.0 * TOLERANCE * np.abs(current).max():
            return current
        previous = current
    raise InputError(f"times: the response at {times.max():g} ps does not converge in this crystal; give shorter times")


def _mean(crystal: Crystal, size: Sequence[int], pairs: np.ndarray, values: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Mean over a grid of q of the function of D whose eigenvalues are values(Ω) (..., T): (m, T, 3, 3), over √(m_κ m_κ')."""
    q, weight = dynamics.zone_grid(size)
    p = crystal.n_basis

    def part(rows: slice, d: np.ndarray) -> np.ndarray:
        squares, modes = np.linalg.eigh(d)
        amount = values(np.sqrt(squares.clip(min=0.0)))  # (q, s, T)
        modes = modes.reshape(len(d), p, 3, -1)
        phases = weight[rows] * np.exp(-1j * TURN * (pairs[:, 2:] @ q[rows].T))
        out = np.empty((len(pairs), 3, 3, amount.shape[-1]))
        for n, (own, other) in enumerate(pairs[:, :2]):
            dyads = np.einsum("q,qas,qbs->abqs", phases[n], modes[:, own], modes[:, other].conj()).real
            out[n] = np.tensordot(dyads, amount, axes=2)
        return out

    width = 3 * p * 40
    total = np.sum(dynamics.over_zone(crystal, q, part, width), axis=0) / np.prod(size)
    root = np.sqrt(crystal.masses)
    return np.moveaxis(total, -1, 1) / (root[pairs[:, 0]] * root[pairs[:, 1]])[:, None, None, None]


def loss_matrix(medium: Medium) -> np.ndarray:
    """L = (v/16π² M_cell) ∫ dΩ̂ A(q̂)^{-3/2}, the infinite crystal's loss matrix, (3, 3), Å² ps/meV, the same for all pairs of atoms.

    Gauss-Legendre in cos θ times the trapezoidal rule in φ, doubled until the result agrees to 1e-12. Raises InputError where there is a
    direction in which sound does not, or hardly, move.
    """
    if isinstance(medium, Lattice):
        return cubic.loss_matrix(medium)
    return loss_of(functools.partial(dynamics.acoustic_tensor, medium), medium.volume, medium.cell_mass)


def loss_of(acoustic_tensor: Callable[[np.ndarray], np.ndarray], volume: float, mass: float) -> np.ndarray:
    """L of any A(q̂) (..., 3) -> (..., 3, 3), Å²/ps², for a cell of ``volume`` and ``mass``; as `loss_matrix`."""
    found = cubic.loss_integral(acoustic_tensor, volume, mass)
    if found is None:
        raise InputError(
            "crystal: the loss matrix L does not converge, because sound hardly moves in some direction; the crystal is nearly unstable"
        )
    return 0.5 * (found + found.T)
