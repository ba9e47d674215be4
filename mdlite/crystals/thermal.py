"""Thermal states of any harmonic crystal in a periodic box, and the variances that they have (section 5 of the theory, with a basis).

    u_κ(n) = (1/√(m_κ N)) Re Σ_{q,s} ζ_qs ê_κ,qs e^{2πi q·n},     ζ = √(n + ½) √(2ħ/Ω) e^{iφ},     N cells in the box

n is drawn from the Bose distribution, or n + ½ from the exponential one, φ is uniform, as in `mdlite.physics.thermal`. The three modes that
move the box as a whole are left at rest. q and -q are drawn independently and share an eigenproblem, D(-q) = D(q)*; where -q is q, the
eigenvectors are real.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from mdlite import arguments
from mdlite.crystals import dynamics, quadrature
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.dynamics import Medium
from mdlite.errors import InputError
from mdlite.physics import thermal as cubic
from mdlite.physics.model import Lattice
from mdlite.physics.thermal import Statistics
from mdlite.units import HBAR, terahertz

MOST_NUMBERS = 1_000_000
"""Complex ones, of the eigenvectors that are held at once."""
DEGENERATE = 1e-10
"""Of the largest square: squares of frequencies as near to each other are equal, and rounding alone decides between their vectors."""
SOFTEST = 1e-13
"""Of the largest square: a mode as soft as this has no thermal state."""
TOLERANCE = 1e-6
NODES_TRIED = (6, 8, 10, 12, 16, 20, 26, 34, 44, 58)
"""Per direction of a pyramid."""
MOST_WORK = 3e12
"""Of an integral: points times (3p)³."""


def thermal_state(
    medium: Medium, size: Sequence[int], energy: float, statistics: Statistics, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and velocities (p, 3, n1, n2, n3), Å and Å/ps, of one thermal state at k_B T = ``energy`` (meV) of a box of ``size`` cells.

    The state follows from the generator alone: it is the same, to rounding, for any number of threads and on any machine. A `Lattice` gets
    the state that `mdlite.physics.thermal` draws for it. Memory: see `state_memory`. Raises InputError for a crystal that is not stable, and
    what is no temperature.
    """
    size = _checked(size, energy, statistics)
    if isinstance(medium, Lattice):
        u, v = cubic.thermal_state(dataclasses.replace(medium, size=size), energy, statistics, rng)
        return u[None], v[None]
    half = size[2] // 2 + 1
    spectra = np.zeros((2, medium.n_basis, 3, size[0], size[1], half), complex)
    for cells, weight, omega, vectors in _modes(medium, size):
        amplitude, rate = _amplitudes(omega, weight, energy, statistics, rng)
        for spectrum, scalar in zip(spectra, (amplitude, rate)):
            wave = np.matmul(vectors, scalar[..., None]).reshape(len(cells), medium.n_basis, 3)
            wave.imag[weight == 1.0] = 0.0
            _scatter(spectrum, cells, wave, size)
    scale = math.sqrt(math.prod(size)) / np.sqrt(medium.masses)  # the inverse FFT divides by N
    return _to_sites(spectra[0], size, scale), _to_sites(spectra[1], size, scale)


def state_memory(medium: Medium, size: Sequence[int]) -> float:
    """Bytes that `thermal_state` needs at most: some 100 for every atom, 70 for every cell, and the eigenvectors of a batch of wave vectors."""
    p, cells = _n_basis(medium), math.prod(size)
    half = (size[2] // 2 + 1) * 2 / size[2]
    return cells * (p * 24.0 * (2.0 + 2.0 * half) + 70.0) + 16.0 * 7.0 * max(MOST_NUMBERS, (3 * p) ** 2)


def _amplitudes(
    omega: np.ndarray, weight: np.ndarray, energy: float, statistics: Statistics, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """½(ζ_q + ζ_-q*) and its rate of change for drawn modes of q and -q, complex (n, 3p); where -q is q (weight 1): Re ζ."""
    both = np.stack([omega, omega], axis=1)  # q and -q
    occupied = cubic.occupation(both, energy, statistics, rng)
    zeta = np.sqrt(occupied * 2.0 * HBAR / np.where(both > 0.0, both, 1.0)) * np.exp(2j * np.pi * rng.random(both.shape))
    one, other = zeta[:, 0], np.where(weight[:, None] == 1.0, zeta[:, 0], zeta[:, 1]).conj()
    return 0.5 * (one + other), -0.5j * omega * (one - other)


def _scatter(spectrum: np.ndarray, cells: np.ndarray, wave: np.ndarray, size: tuple[int, int, int]) -> None:
    """Put Bloch amplitudes (n, p, 3) at q, and their conjugates at -q, into the half of the grid that a real FFT wants."""
    half = spectrum.shape[-1]
    for where, values in ((cells, wave), (-cells % np.array(size), wave.conj())):
        kept = where[:, 2] < half
        x, y, z = where[kept].T
        spectrum[:, :, x, y, z] = np.moveaxis(values[kept], 0, -1)


def _to_sites(spectrum: np.ndarray, size: tuple[int, int, int], scale: np.ndarray) -> np.ndarray:
    """The real field (p, 3, n1, n2, n3) of half a spectrum, one component at a time."""
    from scipy import fft

    out = np.empty((*spectrum.shape[:2], *size))
    for atom, c in np.ndindex(*spectrum.shape[:2]):
        out[atom, c] = scale[atom] * fft.irfftn(spectrum[atom, c], s=size, workers=-1)
    return out


def _modes(crystal: Crystal, size: tuple[int, int, int]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Normal modes of a box, one q of each pair, some at a time: cells (n, 3) with q = cells/size, how many each stands for (n,),
    Ω (n, 3p) in rad/ps, ê (n, 3p, 3p). Those that move it as a whole have Ω = 0. Raises InputError for an unstable crystal."""
    q, weight = dynamics.zone_grid(size)
    cells = np.rint(q * np.array(size)).astype(np.int64)
    step = max(1, MOST_NUMBERS // (3 * crystal.n_basis) ** 2)  # by the crystal alone, because random numbers are drawn by it
    for start in range(0, len(q), step):
        part = slice(start, start + step)
        found = dynamics.over_zone(crystal, q[part], functools.partial(_diagonalised, weight[part] == 1.0))
        squares, vectors = (np.concatenate(arrays) for arrays in zip(*found))
        yield cells[part], weight[part], _roots(squares, q[part], start == 0), vectors


def _diagonalised(own_opposite: np.ndarray, rows: slice, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d.imag[own_opposite[rows]] = 0.0
    squares, vectors = np.linalg.eigh(d)
    return squares, settled(squares, vectors)


def _roots(squares: np.ndarray, q: np.ndarray, centre: bool) -> np.ndarray:
    """Ω of squares (n, 3p), rad/ps. centre: whether the first three belong to motions as a whole, and are 0. Raises InputError."""
    rigid = np.zeros(squares.shape, bool)
    rigid[0, : 3 * centre] = True
    soft = (squares <= SOFTEST * squares.max()) & ~rigid
    if soft.any():
        row = np.flatnonzero(soft.any(axis=1))[0]
        lowest = terahertz(float(dynamics.signed_root(squares[row].min())))
        where = ", ".join(f"{x:.4g}" for x in q[row])
        raise InputError(
            f"crystal: has no thermal state, its lowest frequency at q = ({where}) is {lowest:.4g} THz; it must be above zero in all of the box"
        )
    return np.where(rigid, 0.0, np.sqrt(squares.clip(min=0.0)))


def settled(squares: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Eigenvectors (n, m, m) of Hermitian matrices as the matrices alone decide them: their phases, and the vectors of equal squares, are those
    that fixed real vectors pick, not rounding. Of a real matrix they are real, of the conjugate matrix conjugate."""
    size = vectors.shape[-1]
    fixed = np.sin(np.sqrt(2.0) * np.arange(1, size * size + 1) ** 2).reshape(size, size)
    shares = np.einsum("nas,a->ns", vectors.conj(), fixed[:, 0])
    found = vectors * (shares / np.abs(np.where(shares == 0.0, 1.0, shares)))[:, None, :]
    equal = np.diff(squares, axis=1) < DEGENERATE * squares.max()
    patterns, which = np.unique(equal, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(which.ravel() == number)
        edges = np.concatenate([[0], np.flatnonzero(~pattern) + 1, [size]])
        for first, last in itertools.pairwise(edges):
            if last - first > 1:
                own = vectors[rows, :, first:last]
                turn, upper = np.linalg.qr(own.conj().swapaxes(1, 2) @ fixed[:, : last - first])
                sign = np.einsum("naa->na", upper)
                found[rows, :, first:last] = own @ (turn * (sign / np.abs(sign))[:, None, :])
    return found


def mean_occupation(omega: np.ndarray, energy: float, statistics: Statistics) -> np.ndarray:
    """<n + ½> of modes of frequency ``omega`` (rad/ps) at k_B T = ``energy`` (meV): Bose, or k_B T/ħΩ; 0 where omega is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = HBAR * omega
        mean = 0.5 / np.tanh(0.5 * scaled / energy) if statistics == "quantum" else energy / scaled
    return np.where(omega > 0.0, mean, 0.0)


def variances(medium: Medium, size: Sequence[int], energy: float, statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
    """<u uᵀ> in Å² and <u̇ u̇ᵀ> in Å²/ps² of every atom of the cell, (p, 3, 3) each, exact, of the box of `thermal_state`.

    Of a `Lattice` the mean over the three components, as `mdlite.physics.thermal` has it.
    Raises InputError for a crystal that is not stable, and what is no temperature.
    """
    size = _checked(size, energy, statistics)
    if isinstance(medium, Lattice):
        u2, v2 = cubic.variances(dataclasses.replace(medium, size=size), energy, statistics)
        return u2 * np.eye(3)[None], v2 * np.eye(3)[None]
    total = np.zeros((2, medium.n_basis, 3, 3))
    for _, weight, omega, vectors in _modes(medium, size):
        mean = HBAR * mean_occupation(omega, energy, statistics) * weight[:, None]
        slow = mean / np.where(omega > 0.0, omega, 1.0)
        total += np.stack([_on_site(vectors, slow), _on_site(vectors, mean * omega)])
    u2, v2 = total / math.prod(size) / medium.masses[:, None, None]
    return u2, v2


def _on_site(vectors: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Σ_q Re Σ_s share_qs ê_κ ê_κ† of eigenvectors (n, 3p, 3p): (p, 3, 3)."""
    n, size = share.shape
    rows = vectors.reshape(n, size // 3, 3, size)
    one = rows.transpose(1, 2, 0, 3).reshape(size // 3, 3, -1)
    other = (rows * share[:, None, None, :]).transpose(1, 2, 0, 3).reshape(size // 3, 3, -1)
    return one.real @ other.real.swapaxes(1, 2) + one.imag @ other.imag.swapaxes(1, 2)


def displacement_tensors(medium: Medium, energy: float, statistics: Statistics, tolerance: float = TOLERANCE) -> np.ndarray:
    """<u uᵀ> of every atom of the infinite crystal's cell at k_B T = ``energy`` (meV): (p, 3, 3), Å². To ``tolerance`` of the largest.

    Classical: k_B T W_κκ(0). The nodes are raised until two results agree to ``tolerance``, and the later one is better. Raises InputError where they do not, for a crystal that is not stable, and what is no temperature.
    """
    _checked((1, 1, 1), energy, statistics)
    crystal = dynamics.general(medium)
    previous = None
    for nodes in NODES_TRIED:
        if 3 * nodes**3 * (3 * crystal.n_basis) ** 3 > MOST_WORK and previous is not None:
            break
        current = _pyramids(crystal, energy, statistics, nodes)
        if previous is not None and np.abs(current - previous).max() <= tolerance * np.abs(current).max():
            return current
        previous = current
    raise InputError(
        f"crystal: its thermal displacements do not converge to {tolerance:g}, because some direction of it is nearly without restoring force"
    )


def _pyramids(crystal: Crystal, energy: float, statistics: Statistics, nodes: int) -> np.ndarray:
    """The integral over the zone with so many nodes across each of three pyramids."""
    q, weight = quadrature.pyramids(crystal.reciprocal, nodes)

    def part(rows: slice, d: np.ndarray) -> np.ndarray:
        squares, vectors = np.linalg.eigh(d)
        omega = _roots(squares, q[rows], False)
        return _on_site(vectors, HBAR * mean_occupation(omega, energy, statistics) / omega * weight[rows, None])

    found = np.sum(dynamics.over_zone(crystal, q, part), axis=0)
    return found / crystal.masses[:, None, None]


def _checked(size: Sequence[int], energy: float, statistics: Statistics) -> tuple[int, int, int]:
    arguments.number("energy", energy, negative=False)
    arguments.choice("statistics", statistics, ["quantum", "classical"])
    return arguments.indices("size", size, 1)


def _n_basis(medium: Medium) -> int:
    return 1 if isinstance(medium, Lattice) else medium.n_basis
