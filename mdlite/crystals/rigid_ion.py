"""Small oscillations of an ion about a place in a crystal that is held rigid, and the groups κ, ν that they have (`mdlite.accuracy.groups`).

The ion's stiffness is K = Σ_k H_k, H_k the Hessian of φ at atom k. It swings along an axis e of M^-1/2 K M^-1/2; then Ṙ ∝ e, f_k = -H_k Ṙ, S = -K Ṙ and

    compliance κ = S · Σ_kl H_k W_kl(0) H_l Ṙ / -|S|²         rapidity ν = (L / W_000(0)) Ω

L and W_000(0), the mean of the nearest atoms, are taken along S: below cubic symmetry they are not the same in all directions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdlite import arguments
from mdlite.crystals import dynamics, quadrature, response, voids
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.dynamics import Medium
from mdlite.errors import InputError
from mdlite.physics.interaction import Cutoff, Interaction
from mdlite.units import TURN

TOLERANCE = 1e-8
NODES_TRIED = (10, 14, 18, 24, 32, 42, 56)
"""Across a pyramid, plus twice the largest distance of two atoms in cells."""


class Swing(NamedTuple):
    """A small oscillation along one axis, or the fall from it: the square of its frequency, negative where the place is unstable.

    square: rad²/ps². direction: unit vector, (3,). compliance, rapidity: without unit, NaN where it is unstable.
    """

    square: float
    direction: np.ndarray
    compliance: float
    rapidity: float


class Rest(NamedTuple):
    """An ion at a place in a rigid crystal.

    sites: the atoms within the cut-off, (m, 4) whole numbers n1, n2, n3, κ. force: on the ion there, (3,), meV/Å; zero where it rests.
    stiffness: K, (3, 3), meV/Å². recoil: W_κκ(0) of the nearest atoms, their mean, (3, 3), Å²/meV. swings: of every axis that is not
    frozen, the softest first.
    """

    sites: np.ndarray
    force: np.ndarray
    stiffness: np.ndarray
    recoil: np.ndarray
    swings: list[Swing]


def rest(medium: Medium, interaction: Interaction, mass: ArrayLike, place: ArrayLike) -> Rest:
    """An ion of ``mass`` (3,), meV ps²/Å², infinite along a frozen axis, at ``place`` (3,), Å, of the crystal at rest.

    As in `mdlite.accuracy.groups`, Hessians that stand for forces on the atoms leave out the slope of the cut-off's switch, the ion's own
    stiffness does not. Raises InputError for an interaction without cut-off, and where no atom is within it.
    """
    if not isinstance(interaction.atoms, Cutoff):
        raise InputError('interaction.atoms: must have kind = "cutoff": the atoms within a sphere about the place')
    centre = np.array(arguments.vector("place", place))
    crystal = dynamics.general(medium)
    sites, distance = voids.near(crystal, centre, interaction.atoms.radius)
    if not len(sites):
        raise InputError(
            f"interaction.atoms.radius = {interaction.atoms.radius:g}: no atom of the crystal is that near to {np.round(centre, 4).tolist()} "
            f"Angstrom; the nearest is {voids.near(crystal, centre, 2.0 * np.linalg.norm(crystal.cell, axis=1).sum())[1][0]:.4g} Angstrom away"
        )
    apart = crystal.sites(sites) - centre
    felt, bare = interaction.expand(apart), interaction.expand(apart, switch=False).hessian
    if not np.isfinite(felt.hessian).all():
        raise InputError(f"place = {centre.tolist()}: an atom is there")
    nearest = np.unique(sites[distance < distance[0] + voids.TOUCHING, 3])
    recoil = response.static_recoil(medium, [[k, k, 0, 0, 0] for k in nearest], TOLERANCE)
    shares = np.bincount(np.searchsorted(nearest, sites[distance < distance[0] + voids.TOUCHING, 3]))
    mean = np.average(recoil, axis=0, weights=shares)
    yielded = _yielding(crystal, sites, bare)
    swings = _swings(
        felt.hessian.sum(axis=0), bare.sum(axis=0), yielded, mean, response.loss_matrix(medium), np.asarray(mass, float)
    )
    return Rest(sites, felt.gradient.sum(axis=0), felt.hessian.sum(axis=0), mean, swings)


def _swings(
    stiffness: np.ndarray, bare: np.ndarray, yielded: np.ndarray, recoil: np.ndarray, loss: np.ndarray, mass: np.ndarray
) -> list[Swing]:
    """Along every axis that is not frozen; yielded: Σ_kl H_k W_kl(0) H_l, meV/Å²."""
    moving = np.flatnonzero(np.isfinite(mass))
    if not len(moving):
        return []
    root = np.sqrt(mass[moving])
    squares, vectors = np.linalg.eigh(stiffness[np.ix_(moving, moving)] / np.outer(root, root))
    found = []
    for square, vector in zip(squares, vectors.T):
        direction = np.zeros(3)
        direction[moving] = vector / root
        direction /= np.linalg.norm(direction)
        force = bare @ direction
        size = np.linalg.norm(force)
        compliance = rapidity = np.nan
        if square > 0.0 and size > 0.0:
            along = force / size
            compliance = float(along @ yielded @ direction / size)
            rapidity = float((along @ loss @ along) / (along @ recoil @ along) * np.sqrt(square))
        found.append(Swing(float(square), direction, compliance, rapidity))
    return found


def _yielding(crystal: Crystal, sites: np.ndarray, hessians: np.ndarray) -> np.ndarray:
    """Σ_kl H_k W_kl(0) H_l of atoms (m, 4) with their Hessians (m, 3, 3), meV/Å²: (3, 3), meV/Å². To `TOLERANCE`. Raises InputError.

    With F_κ(q) = Σ_k H_k exp(-2πi q·n_k)/√m_κ it is the mean of F† D⁻¹ F over the zone, whose work does not grow as the square of the atoms.
    """
    extent = 2 * int(np.ptp(sites[:, :3], axis=0).max())
    previous = None
    for nodes in NODES_TRIED:
        current = _mean_yielding(crystal, sites, hessians, nodes + extent)
        if previous is not None and np.abs(current - previous).max() <= TOLERANCE * np.abs(current).max():
            return current
        previous = current
    raise InputError(
        "crystal: the yielding of its atoms does not converge, because some direction of it is nearly without restoring force"
    )


def _mean_yielding(crystal: Crystal, sites: np.ndarray, hessians: np.ndarray, nodes: int) -> np.ndarray:
    q, weight = quadrature.pyramids(crystal.reciprocal, nodes)
    size = 3 * crystal.n_basis
    spread = np.zeros((len(sites), crystal.n_basis, 3, 3))
    spread[np.arange(len(sites)), sites[:, 3]] = hessians / np.sqrt(crystal.masses)[sites[:, 3], None, None]
    flat = spread.reshape(len(sites), size * 3)

    def part(rows: slice, d: np.ndarray) -> np.ndarray:
        angle = TURN * (q[rows] @ sites[:, :3].T)
        pushed = (np.cos(angle) @ flat - 1j * (np.sin(angle) @ flat)).reshape(-1, size, 3)
        answer = np.linalg.solve(d, pushed)
        return np.einsum("q,qia,qib->ab", weight[rows], pushed.conj(), answer).real

    return np.sum(dynamics.over_zone(crystal, q, part, width=len(sites)), axis=0)
