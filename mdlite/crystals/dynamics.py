"""Lattice dynamics of any harmonic crystal: D(q), frequencies, sound, elastic constants, stability.

q is given in reduced coordinates of the primitive cell, q = q_1 b_1 + q_2 b_2 + q_3 b_3, and D_{κκ'}(q) = Σ_n Φ_{κκ'}(n) exp(2πi q·n) /
√(m_κ m_κ'). All functions take a `Lattice` too, and have a shorter way for it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdlite.crystals import sumrules
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.crystal import Crystal
from mdlite.errors import InputError
from mdlite.machine import cores
from mdlite.physics import phonons
from mdlite.physics.model import Lattice
from mdlite.units import TURN, terahertz

Medium = Crystal | Lattice
"""What every function here takes."""

MOST_NUMBERS = 4_000_000
"""Complex ones, that are held at once."""
ROUNDING = 1e-10
"""Of Ω_max²: squares of frequencies nearer to zero than this are zero."""
GIGAPASCAL = 0.1602176634
"""In one meV/Å³."""
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class Zone(NamedTuple):
    """A crystal's force constants by cells, for sums over the zone: cells (c, 3); matrices (c, 3p · 3p), Φ/√(m m'), rad²/ps²."""

    cells: np.ndarray
    matrices: np.ndarray


@functools.lru_cache(maxsize=8)
def _zone(crystal: Crystal) -> Zone:
    p = crystal.n_basis
    cells, where = np.unique(crystal.cells, axis=0, return_inverse=True)
    root = np.sqrt(crystal.masses)
    matrices = np.zeros((len(cells), p, 3, p, 3))
    scaled = crystal.blocks / (root[crystal.first] * root[crystal.second])[:, None, None]
    matrices[where.ravel(), crystal.first, :, crystal.second, :] = scaled
    return Zone(cells, matrices.reshape(len(cells), -1))


def general(medium: Medium) -> Crystal:
    """A medium as a `Crystal`."""
    return _cubic(medium) if isinstance(medium, Lattice) else medium


@functools.lru_cache(maxsize=8)
def _cubic(lattice: Lattice) -> Crystal:
    return as_crystal(lattice)


def dynamical_matrix(medium: Medium, q: ArrayLike) -> np.ndarray:
    """D(q), q (..., 3) in reduced coordinates: complex (..., 3p, 3p), rad²/ps², Hermitian; real (..., 3, 3) for a `Lattice`."""
    q = np.asarray(q, float)
    if isinstance(medium, Lattice):
        return phonons.dynamical_matrix(medium, TURN * q)
    zone, flat, size = _zone(medium), q.reshape(-1, 3), 3 * medium.n_basis
    angle = TURN * (flat @ zone.cells.T)
    d = np.empty((len(flat), size * size), complex)
    d.real, d.imag = np.cos(angle) @ zone.matrices, np.sin(angle) @ zone.matrices
    return d.reshape(*q.shape[:-1], size, size)


def over_zone(medium: Medium, q: np.ndarray, function: Callable[[slice, np.ndarray], Any], width: int = 0) -> list[Any]:
    """``function(rows, D(q[rows]))`` for some rows of q (n, 3) at a time, on all cores; the results in order. width: complex numbers held per q."""
    each = 3 * (3 * _n_basis(medium)) ** 2 + width
    count = max(1, -(-len(q) * each // MOST_NUMBERS), min(len(q) // 64, 4))
    edges = np.linspace(0, len(q), count + 1).astype(int)
    rows = [slice(a, b) for a, b in itertools.pairwise(edges)]
    with ThreadPoolExecutor(min(count, cores())) as pool:
        return list(pool.map(lambda part: function(part, dynamical_matrix(medium, q[part])), rows))


def squares(medium: Medium, q: ArrayLike) -> np.ndarray:
    """Ω² of all branches at q (..., 3): (..., 3p), ascending, rad²/ps²; negative where the crystal is unstable."""
    q = np.asarray(q, float)
    found = over_zone(medium, q.reshape(-1, 3), lambda _, d: np.linalg.eigvalsh(d))
    return np.concatenate(found).reshape(*q.shape[:-1], -1)


def frequencies(medium: Medium, q: ArrayLike) -> np.ndarray:
    """Angular frequencies of all branches at q (..., 3): (..., 3p), ascending, rad/ps; an imaginary one is given as its negative size."""
    return signed_root(squares(medium, q))


def signed_root(values: np.ndarray) -> np.ndarray:
    """√x, and -√|x| where x is negative."""
    return np.sign(values) * np.sqrt(np.abs(values))


class Expansion(NamedTuple):
    """The crystal's response to a slowly varying strain, internal displacements followed: A_αβ(n) = Σ motion_αβγλ n_γ n_λ.

    motion: (3, 3, 3, 3), Å²/ps². relaxation: (αγ,βλ) of Born and Huang, (3, 3, 3, 3), meV/Å³.
    """

    motion: np.ndarray
    relaxation: np.ndarray


@functools.lru_cache(maxsize=8)
def expansion(crystal: Crystal) -> Expansion:
    """See `Expansion`. Raises InputError where an optical branch has no restoring force at Γ."""
    p, v = crystal.n_basis, crystal.volume
    coupling = np.zeros((p, 3, 3, 3))  # force on an atom by a strain
    np.add.at(coupling, crystal.first, np.einsum("nab,nc->nabc", crystal.blocks, crystal.vectors))
    at_rest = np.zeros((p, 3, p, 3))
    for first, second, block in zip(crystal.first, crystal.second, crystal.blocks):
        at_rest[first, :, second] += block
    flat, size = coupling.reshape(3 * p, 9), 3 * p
    values, vectors = np.linalg.eigh(0.5 * (at_rest.reshape(size, size) + at_rest.reshape(size, size).T))
    rigid = np.tile(np.eye(3), (p, 1)) / np.sqrt(p)
    others = np.linalg.norm(rigid.T @ vectors, axis=0) < 0.5  # all but the three that move the crystal as a whole
    if others.sum() != size - 3 or np.abs(values[others]).min(initial=np.inf) < ROUNDING * values.max():
        raise InputError(
            "crystal: a motion of the cell's atoms against each other has no restoring force, so that its sound is not defined"
        )
    follow = (vectors[:, others] / values[others]) @ vectors[:, others].T
    relaxation = (-flat.T @ follow @ flat / v).reshape(3, 3, 3, 3)
    motion = sumrules.brackets(crystal) + relaxation.transpose(0, 2, 1, 3)
    return Expansion(motion * v / crystal.cell_mass, relaxation)


def acoustic_tensor(medium: Medium, direction: ArrayLike) -> np.ndarray:
    """A(q̂), whose eigenvalues are squared sound speeds, along Cartesian unit vectors (..., 3): (..., 3, 3), Å²/ps²."""
    n = np.asarray(direction, float)
    if isinstance(medium, Lattice):
        return phonons.acoustic_tensor(medium, n)
    found = np.einsum("abcd,...c,...d->...ab", expansion(medium).motion, n, n)
    return 0.5 * (found + np.swapaxes(found, -1, -2))


def sound_speeds(medium: Medium, direction: Sequence[float]) -> np.ndarray:
    """The three sound speeds (Å/ps, ascending) along a Cartesian ``direction`` of any length; an imaginary one as its negative size.

    Raises InputError for what is no direction.
    """
    n = np.asarray(direction, float)
    length = np.linalg.norm(n)
    if n.shape != (3,) or not np.isfinite(length) or length == 0.0:
        raise InputError(f"direction = {list(direction)}: must be a finite vector other than zero")
    return signed_root(np.linalg.eigvalsh(acoustic_tensor(medium, n / length)))


def elastic_constants(medium: Medium) -> np.ndarray:
    """C in Voigt's order xx, yy, zz, yz, xz, xy, (6, 6), GPa, internal displacements followed (Born and Huang 27).

    Of a crystal under stress (`sumrules.huang` is not zero) they are ambiguous; these have the symmetry of elastic constants imposed.
    """
    crystal = general(medium)
    b = sumrules.brackets(crystal)
    # C_{αγ,βλ} = [αβ,γλ] + [βγ,αλ] - [βλ,αγ] + (αγ,βλ), here by α, γ, β, λ
    c = b.transpose(0, 2, 1, 3) + b.transpose(2, 1, 0, 3) - b.transpose(2, 3, 0, 1) + expansion(crystal).relaxation
    c = 0.5 * (c + c.transpose(1, 0, 2, 3))
    c = 0.5 * (c + c.transpose(0, 1, 3, 2))
    c = 0.5 * (c + c.transpose(2, 3, 0, 1))
    return GIGAPASCAL * np.array([[c[i, j, k, m] for k, m in VOIGT] for i, j in VOIGT])


def zone_grid(size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """q = n/N of a box of ``size`` cells, one of each pair q, -q: (n, 3), and how many each stands for, (n,). Γ is the first."""
    axes = [np.arange(n) for n in size]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange(len(grid))
    opposite = np.ravel_multi_index(tuple((-grid % np.array(size)).T), tuple(size))
    kept = number <= opposite
    return grid[kept] / np.array(size), np.where(number < opposite, 2.0, 1.0)[kept]


class Extreme(NamedTuple):
    """A frequency (rad/ps, imaginary as its negative size) and the q, in reduced coordinates, that has it."""

    frequency: float
    q: np.ndarray


@functools.lru_cache(maxsize=16)
def extremes(medium: Medium) -> tuple[Extreme, Extreme]:
    """The lowest and the highest frequency in the zone: on a grid, then searched from its best points.

    The lowest is that of a branch other than sound near Γ; where sound is imaginary, it is a point near Γ.
    """
    n = 12 if _n_basis(medium) <= 12 else 8
    q = zone_grid((n, n, n))[0]
    found = squares(medium, q)
    high, low = found[:, -1], found[:, 0]
    top = max((_search(medium, q[i], 0.5 / n, highest=True) for i in np.argsort(-high)[:4]), key=lambda e: e.frequency)
    away = np.flatnonzero(np.abs(q - np.round(q)).max(axis=1) > 1e-9)
    starts = [q[i] for i in away[np.argsort(low[away])[:4]]]
    lows = [_search(medium, start, 0.5 / n, highest=False) for start in starts]
    return min([*lows, *_near_centre(medium, top.frequency)], key=lambda e: e.frequency), top


def _search(medium: Medium, start: np.ndarray, step: float, highest: bool) -> Extreme:
    """The highest, or lowest, frequency about a point, by ever smaller steps; a lowest one stays away from Γ while it is real."""
    around = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    centre, best = start, -np.inf if highest else np.inf
    for _ in range(12):
        points = centre + step * around
        found = squares(medium, points)
        value = found[:, -1] if highest else np.where(np.abs(points - np.round(points)).max(axis=1) < 0.03, np.inf, found[:, 0])
        pick = int(np.argmax(value) if highest else np.argmin(value))
        if (value[pick] > best) if highest else (value[pick] < best):
            centre, best = points[pick], value[pick]
        step *= 0.5
    return Extreme(float(signed_root(np.array(best))), centre)


def _near_centre(medium: Medium, top: float) -> list[Extreme]:
    """The point near Γ where sound is imaginary, if it is in any direction."""
    crystal = general(medium)
    k = np.arange(400) + 0.5  # directions spread evenly over half the sphere
    z, phi = 1.0 - k / 400, np.pi * (1.0 + np.sqrt(5.0)) * k
    directions = np.concatenate(
        [np.stack([np.sqrt(1 - z * z) * np.cos(phi), np.sqrt(1 - z * z) * np.sin(phi), z], axis=1), np.eye(3)]
    )
    reduced = directions @ crystal.cell.T / TURN  # of one radian per Å
    found = np.empty(0)
    q = np.concatenate([reduced * size / np.abs(reduced).max(axis=1, keepdims=True) for size in (0.001, 0.01)])
    found = squares(medium, q)[:, 0]
    worst = int(np.argmin(found))
    return [Extreme(float(signed_root(found[worst])), q[worst])] if found[worst] < -ROUNDING * top**2 else []


def omega_max(medium: Medium) -> float:
    """The highest angular frequency, rad/ps."""
    return medium.omega_max if isinstance(medium, Lattice) else extremes(medium)[1].frequency


def require_stable(medium: Medium, name: str = "crystal") -> None:
    """Raise InputError, which says where and what to do, for a crystal that has imaginary frequencies."""
    lowest, top = extremes(medium)
    if lowest.frequency < -np.sqrt(ROUNDING) * top.frequency:
        where = ", ".join(f"{x:.4g}" for x in lowest.q - np.round(lowest.q) + 0.0)
        raise InputError(
            f"{name}: is unstable, its lowest frequency is {terahertz(lowest.frequency):.4g} THz (imaginary) at q = ({where}), so it is no harmonic "
            "crystal; take a stable phase, a larger supercell, or force constants at a temperature (SSCHA, TDEP)"
        )


def _n_basis(medium: Medium) -> int:
    return 1 if isinstance(medium, Lattice) else medium.n_basis
