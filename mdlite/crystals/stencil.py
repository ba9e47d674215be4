"""A crystal of finite reach that vibrates, and sounds, as one with dipoles: for methods that step every atom.

Its force constants are those of short range, which the supercell holds, and the dipoles' interaction screened so that it ends at a radius:
by a Gaussian in reciprocal space, for dipoles cut off sharply give a field that depends on the shape of the cut. That leaves out the
macroscopic field of long waves, those of q below some 3/radius. No crystal of finite reach can have it: its D(q) is the same at Γ from all
sides, so that longitudinal and transverse optical branches meet there. A share of the field's mean over directions is put in its place.

Sound is set last, as near to A(q̂) with the field as a crystal of finite reach can come, whose A(q̂) is a quadratic form. Without
piezoelectricity that is A(q̂) itself; with it, the field's stiffening is a quotient of such forms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdlite import arguments
from mdlite.crystals import dipoles, dynamics, sumrules
from mdlite.crystals.crystal import Crystal, crystal
from mdlite.crystals.dipoles import PolarCrystal
from mdlite.crystals.ewald import mean_field, smooth
from mdlite.crystals.material import Material
from mdlite.crystals.sumrules import Which
from mdlite.errors import InputError

SHARPNESS = 2.0
"""Radius times α, lengths measured by ε⁻¹ of determinant 1: at the radius the dipoles' interaction has fallen to erfc(2) = 0.005. Cut off
there, it gives waves of about the cell's length an error, and those of sound none, since sound is fitted."""
FIELD = 0.5
"""Of the field's mean over directions: optical frequencies at Γ between those of transverse waves (0) and their mean square (1).
`docs/dipoles.md` has what both numbers do."""
NODES = 16
"""Directions, by cos θ; twice as many by φ."""
MOST_PAIRS = 1_000_000


def stencil(
    material: Material, radius: float, field: float = FIELD, sharpness: float = SHARPNESS, corrections: Which = "all"
) -> Crystal:
    """The material's crystal with dipoles within ``radius`` (Å), all sum rules restored; it reaches as far as the supercell at least.

    field: share of the macroscopic field's mean over directions. sharpness: a smaller one leaves out less of the field of long waves, and
    cuts more off at the radius. corrections: as `sumrules.corrected` knows them. Raises InputError for a material without charges, and for a
    radius that makes too many neighbours.
    """
    radius = arguments.number("dipoles", radius, positive=True)
    return of_polar(dipoles.with_dipoles(material, corrections), radius, field, sharpness, corrections)


def with_sound(material: Material, corrections: Which = "all") -> Crystal:
    """The material's crystal with its own force constants and neighbours, but the sound, and L, that dipoles at all distances give it.

    Raises InputError for a material without charges.
    """
    exact = dipoles.with_dipoles(material, corrections)
    return sound_fitted(sumrules.corrected(material.crystal, corrections)[0], exact.acoustic_tensor)


def of_polar(
    polar: PolarCrystal, radius: float, field: float = FIELD, sharpness: float = SHARPNESS, corrections: Which = "all"
) -> Crystal:
    """As `stencil`, of a crystal with dipoles."""
    found = sumrules.corrected(_at_rest(screened(polar, radius, field, sharpness)), corrections)[0]
    return sound_fitted(found, polar.acoustic_tensor)


def screened(polar: PolarCrystal, radius: float, field: float, sharpness: float) -> Crystal:
    """Force constants of short range and screened dipoles, as they are."""
    short, ewald = polar.short, polar.ewald
    first, second, cells, vectors = _within(short, radius)
    alpha = sharpness / radius * float(np.linalg.det(ewald.dielectric)) ** (1.0 / 6.0)
    tensor = smooth(vectors, ewald.alpha, ewald.dielectric) - smooth(vectors, alpha, ewald.dielectric)
    tensor += field * mean_field(vectors, alpha, ewald.dielectric)
    blocks = np.einsum("nma,nml,nlb->nab", ewald.charges[first], tensor, ewald.charges[second], optimize=True)
    felt = blocks.any(axis=(1, 2))  # not that of atoms without charge
    return crystal(
        short.cell,
        short.positions,
        short.masses,
        short.species,
        np.concatenate([short.first, first[felt]]),
        np.concatenate([short.second, second[felt]]),
        np.concatenate([short.cells, cells[felt]]),
        np.concatenate([short.blocks, blocks[felt]]),
    )


def _within(short: Crystal, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of atoms not farther apart: first, second, cells (n, 3), vectors (n, 3). Raises InputError."""
    p = short.n_basis
    neighbours = 4.19 * radius**3 * p / short.volume
    if p * neighbours > MOST_PAIRS:
        raise InputError(
            f"dipoles = {radius:g}: would give every atom some {neighbours:.3g} neighbours; must be smaller, 8 Angstrom or so"
        )
    most = np.ceil(radius * np.linalg.norm(np.linalg.inv(short.cell), axis=0) + np.ptp(short.positions, axis=0)).astype(int)
    steps = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in most], indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for own in range(p):
        vectors = (steps + (short.positions - short.positions[own])[:, None]) @ short.cell  # (p, steps, 3)
        other, step = np.nonzero(np.linalg.norm(vectors, axis=-1) <= radius)
        found.append((np.full(len(other), own), other, steps[step], vectors[other, step]))
    first, second, cells, vectors = (np.concatenate(part) for part in zip(*found))
    return first, second, cells, vectors


def _at_rest(found: Crystal) -> Crystal:
    """Every atom's own block made minus the sum of its others, as far as that is symmetric, before the least change of all blocks."""
    total = np.zeros((found.n_basis, 3, 3))
    np.add.at(total, found.first, found.blocks)
    own = (found.first == found.second) & ~found.cells.any(axis=1)
    blocks = found.blocks.copy()
    blocks[own] -= 0.5 * (total + total.transpose(0, 2, 1))[found.first[own]]
    return found.with_blocks(blocks)


def sound_fitted(found: Crystal, acoustic_tensor: Callable[[np.ndarray], np.ndarray]) -> Crystal:
    """The crystal with its sound brought nearest to A(q̂) (..., 3) -> (..., 3, 3), by least squares over all directions.

    The change of its blocks grows as the square of the distance, and leaves D(0), the coupling of atoms to strains and all sum rules as they
    are.
    """
    z, weight = np.polynomial.legendre.leggauss(NODES)
    phi, s = np.pi * np.arange(2 * NODES) / NODES, np.sqrt(1.0 - z * z)[:, None]
    n = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(z[:, None], (NODES, 2 * NODES))], axis=-1).reshape(-1, 3)
    root = np.sqrt(np.repeat(weight, 2 * NODES))
    missing = (acoustic_tensor(n) - dynamics.acoustic_tensor(found, n)) * root[:, None, None]
    pairs = np.array([np.outer(np.eye(3)[a], np.eye(3)[b]) for a, b in dynamics.VOIGT])
    pairs = 0.5 * (pairs + pairs.transpose(0, 2, 1))  # (6, 3, 3)
    quadratic = np.einsum("kcd,ic,id->ik", pairs, n, n, optimize=True) * root[:, None]
    design = np.einsum("jab,ik->iabjk", pairs, quadratic).reshape(-1, 36)
    amounts = np.linalg.lstsq(design, missing.ravel(), rcond=None)[0].reshape(6, 6)
    motion = np.einsum("jk,jab,kcd->abcd", amounts, pairs, pairs)
    return found.with_blocks(found.blocks + _of_brackets(found, motion * found.cell_mass / found.volume))


def _of_brackets(found: Crystal, brackets: np.ndarray) -> np.ndarray:
    """A change of the blocks, (b, 3, 3), that has these brackets, and whose sums with 1 and with x vanish for every pair of the cell's atoms:
    a matrix times what is left of x x beside 1 and x."""
    x = found.vectors
    squares = np.array([x[:, c] * x[:, d] for c, d in dynamics.VOIGT]).T
    left = squares.copy()
    edges = np.flatnonzero(np.diff(found.first * found.n_basis + found.second)) + 1  # blocks stand pair by pair
    for rows in np.split(np.arange(len(x)), edges):
        lower = np.column_stack([np.ones(len(rows)), x[rows]])
        left[rows] -= lower @ np.linalg.lstsq(lower, squares[rows], rcond=None)[0]
    wanted = np.array([brackets[:, :, c, d] for c, d in dynamics.VOIGT]).reshape(6, 9)
    factors = np.linalg.lstsq(squares.T @ left, -2.0 * found.volume * wanted, rcond=None)[0]
    return (left @ factors).reshape(-1, 3, 3)
