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
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.cubic import as_crystal
from mdlite.errors import InputError
from mdlite.machine import cores, libraries
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
    """``function(rows, D(q[rows]))`` for some rows of q (n, 3) at a time, a piece on each core; the results in order.

    width: complex numbers that it holds per q. The libraries' own threads are kept out: beside ours they would wait for each other.
    """
    each = 3 * (3 * _n_basis(medium)) ** 2 + width
    count = max(1, -(-len(q) * each // MOST_NUMBERS), min(len(q) // 64, 4))
    edges = np.linspace(0, len(q), count + 1).astype(int)
    rows = [slice(a, b) for a, b in itertools.pairwise(edges)]
    with libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(min(count, cores())) as pool:
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
    """The lowest and the highest frequency in the zone: on two grids and near Γ, then searched from their best points.

    The lowest is 0, that of sound at Γ, unless a frequency is imaginary.
    """
    coarse, fine = (12, 9) if _n_basis(medium) <= 12 else (8, 5)
    q = np.concatenate([zone_grid((coarse,) * 3)[0], zone_grid((fine,) * 3)[0][1:] + 0.5 / coarse])
    found = squares(medium, q)
    high, low = found[:, -1], found[:, 0]
    top = max((_search(medium, q[i], 0.5 / coarse, 1.0) for i in np.argsort(-high)[:4]), key=lambda e: e.frequency)
    starts = [*q[1:][np.argsort(low[1:])[:8]], _softest_sound(medium)]
    lowest = min((_search(medium, start, 0.25 / coarse, -1.0) for start in starts), key=lambda e: e.frequency)
    imaginary = lowest.frequency < -np.sqrt(ROUNDING) * top.frequency
    return lowest if imaginary else Extreme(0.0, np.zeros(3)), top


def _search(medium: Medium, start: np.ndarray, step: float, sign: float) -> Extreme:
    """The highest (sign 1) or lowest (-1) frequency about a point, by ever smaller steps."""
    around = np.stack(np.meshgrid(*[[0.0, -1.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    centre, best = start, -np.inf
    for _ in range(12):
        points = centre + step * around
        values = sign * squares(medium, points)[:, -1 if sign > 0.0 else 0]
        pick = int(np.argmax(values))
        if values[pick] > best:
            centre, best = points[pick], values[pick]
        step *= 0.5
    return Extreme(float(signed_root(np.array(sign * best))), centre)


def directions(count: int) -> np.ndarray:
    """Unit vectors spread evenly over half the sphere, (count, 3)."""
    k = np.arange(count) + 0.5
    z, phi = 1.0 - k / count, np.pi * (1.0 + np.sqrt(5.0)) * k
    s = np.sqrt(1.0 - z * z)
    return np.stack([s * np.cos(phi), s * np.sin(phi), z], axis=1)


def _softest_sound(medium: Medium) -> np.ndarray:
    """A q near Γ, in the direction in which sound is slowest."""
    n = np.concatenate([directions(400), np.eye(3)])
    slowest = n[np.argmin(np.linalg.eigvalsh(acoustic_tensor(medium, n))[:, 0])]
    reduced = slowest @ general(medium).cell.T
    return 0.002 * reduced / np.abs(reduced).max()


def fastest_sound(medium: Medium) -> float:
    """The fastest sound in any direction, Å/ps, to a few parts in a thousand."""
    return float(np.sqrt(max(np.linalg.eigvalsh(acoustic_tensor(medium, directions(1000))).max(), 0.0)))


def omega_max(medium: Medium) -> float:
    """The highest angular frequency, rad/ps."""
    return medium.omega_max if isinstance(medium, Lattice) else extremes(medium)[1].frequency


def require_stable(medium: Medium, name: str = "crystal") -> None:
    """Raise InputError, which says where and what to do, for a crystal that has imaginary frequencies."""
    lowest, top = extremes(medium)
    if lowest.frequency < -np.sqrt(ROUNDING) * top.frequency:
        q = lowest.q - np.round(lowest.q)
        where = f"q = ({', '.join(f'{x + 0.0:.4g}' for x in q)})" if np.abs(q).max() > 1e-4 else "q = (0, 0, 0), Γ"
        raise InputError(
            f"{name}: is unstable, its lowest frequency is {terahertz(lowest.frequency):.4g} THz (imaginary) at {where}, so it is no harmonic "
            "crystal; take a stable phase, a larger supercell, or force constants at a temperature (SSCHA, TDEP)"
        )


def _n_basis(medium: Medium) -> int:
    return 1 if isinstance(medium, Lattice) else medium.n_basis
