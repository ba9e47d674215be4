"""Crystals whose atoms carry charges: D(q), sound and L with the dipoles' interaction at all distances.

A supercell's force constants hold that interaction as far as the supercell reaches. It is taken out of them at the q that the supercell
knows, what is left is of short range, and the whole sum is put in its place (X. Gonze, C. Lee, PRB 55, 10355).

About Γ the macroscopic field makes D(q) depend on the direction alone. For sound it stiffens the crystal by its piezoelectricity:

    A(q̂) = A_0(q̂) + (4π e²/v M_cell) p pᵀ / (q̂ ε_s q̂),    p_β = Σ e_μβγ q̂_μ q̂_γ

A_0 without field, e the charge moved by a strain (of the ions; electrons have a share that force constants do not tell), ε_s the static
dielectric tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mdlite.crystals import dynamics, response, sumrules
from mdlite.crystals.crystal import Crystal, divided, images
from mdlite.crystals.crystal import crystal as make
from mdlite.crystals.ewald import Ewald
from mdlite.crystals.material import Material, Polar
from mdlite.crystals.sumrules import Which
from mdlite.errors import InputError

SEPARATION = 4.5
"""α times the radius of the sphere in the supercell: there erfc is 2e-10."""

EQUALLY_NEAR = 1e-4
"""Å; images of an atom whose distances differ by less share their force constants."""


@dataclass(frozen=True, eq=False)
class PolarCrystal:
    """A crystal with dipoles. short: what is left of its force constants without them; ewald: the dipoles.

    Its methods are those of `mdlite.crystals.dynamics` and `response`, with the dipoles.
    """

    short: Crystal
    ewald: Ewald

    def dynamical_matrix(self, q: ArrayLike, direction: ArrayLike | None = None) -> np.ndarray:
        """D(q), q (..., 3) in reduced coordinates: (..., 3p, 3p), rad²/ps². At Γ with the field of waves along a Cartesian ``direction``
        (3,), or without field."""
        q = np.asarray(q, float)
        root = np.sqrt(np.repeat(self.short.masses, 3))
        dipoles = self.ewald.force_constants(q, direction).reshape(*q.shape[:-1], len(root), len(root)) / (root[:, None] * root)
        return dynamics.dynamical_matrix(self.short, q) + dipoles

    def frequencies(self, q: ArrayLike, direction: ArrayLike | None = None) -> np.ndarray:
        """Angular frequencies at q (..., 3): (..., 3p), ascending, rad/ps; imaginary ones negative. ``direction``: as above."""
        return dynamics.signed_root(np.linalg.eigvalsh(self.dynamical_matrix(q, direction)))

    @cached_property
    def strain(self) -> Strain:
        """How the crystal answers a slowly varying strain. Raises InputError where an optical branch has no restoring force."""
        return _strain(self)

    def acoustic_tensor(self, direction: ArrayLike, field: float = 1.0) -> np.ndarray:
        """A(q̂) along Cartesian unit vectors (..., 3): (..., 3, 3), Å²/ps². ``field``: share of the macroscopic field, 0 for none."""
        n = np.asarray(direction, float)
        found = np.einsum("abcd,...c,...d->...ab", self.strain.motion, n, n)
        moved = np.einsum("mbc,...m,...c->...b", self.strain.piezo, n, n)
        screening = np.einsum("...m,mn,...n->...", n, self.strain.static, n)
        stiffening = field * self.ewald.scale / self.short.cell_mass / screening
        return (
            0.5 * (found + np.swapaxes(found, -1, -2)) + stiffening[..., None, None] * moved[..., :, None] * moved[..., None, :]
        )

    def sound_speeds(self, direction: Sequence[float] | np.ndarray) -> np.ndarray:
        """The three sound speeds (Å/ps, ascending) along a Cartesian direction; imaginary ones negative. Raises InputError."""
        n = np.asarray(direction, float)
        length = np.linalg.norm(n)
        if n.shape != (3,) or not np.isfinite(length) or length == 0.0:
            raise InputError(f"direction = {list(direction)}: must be a finite vector other than zero")
        return dynamics.signed_root(np.linalg.eigvalsh(self.acoustic_tensor(n / length)))

    @cached_property
    def loss_matrix(self) -> np.ndarray:
        """L, (3, 3), Å² ps/meV. Raises InputError where sound does not move in some direction."""
        return response.loss_of(self.acoustic_tensor, self.short.volume, self.short.cell_mass)


@dataclass(frozen=True, eq=False)
class Strain:
    """Without macroscopic field: motion (3, 3, 3, 3), A_αβ(n) = Σ motion_αβγλ n_γ n_λ, Å²/ps². piezo: the charge moved by a strain βγ along
    μ, (3, 3, 3), e Å a cell. static: dielectric tensor with the ions' share, (3, 3)."""

    motion: np.ndarray
    piezo: np.ndarray
    static: np.ndarray


def with_dipoles(material: Material, corrections: Which | None = "all") -> PolarCrystal:
    """The crystal of a material that has charges, with dipoles. ``corrections``: which sum rules (`sumrules.corrected`) its force constants
    are made to obey, the dipoles' included, by the least change of those of short range; None: as they are.

    Raises InputError for a material without charges.
    """
    crystal, polar = material.crystal, polar_of(material)
    ewald = Ewald(crystal.cell, crystal.places, polar.charges, polar.dielectric, separation(crystal, polar))
    short = without_dipoles(crystal, polar, ewald)
    if corrections is not None:
        coupling = ewald.expansion()[0]
        torques = np.stack([coupling[:, :, b, c] - coupling[:, :, c, b] for b, c in sumrules.PAIRS], axis=-1)
        p = crystal.n_basis
        forces = ewald.force_constants(np.zeros(3))[0].real.reshape(p, 3, p, 3).sum(axis=2)
        short = sumrules.balanced(short, corrections, forces, torques)
    return PolarCrystal(short, ewald)


def polar_of(material: Material) -> Polar:
    """A material's charges. Raises InputError where it has none."""
    if material.polar is None:
        raise InputError(f"file = {material.source}: has no Born charges; put a BORN file beside it, or go without dipoles")
    return material.polar


def separation(crystal: Crystal, polar: Polar) -> float:
    """α at which what the sum in reciprocal space leaves fits into the supercell."""
    edges = polar.matrix @ crystal.cell
    radius = 0.5 / np.linalg.norm(np.linalg.inv(edges), axis=0).max()
    return SEPARATION / radius * float(np.sqrt(np.linalg.eigvalsh(polar.dielectric).max()))


def without_dipoles(crystal: Crystal, polar: Polar, ewald: Ewald) -> Crystal:
    """The crystal less the dipoles' force constants at the supercell's own q, shared among the images of an atom as its blocks are."""
    p, cells = crystal.n_basis, images(polar.matrix)
    crystal, place = _with_all_atoms(crystal, polar.matrix, cells)
    q = images(polar.matrix.T) @ np.linalg.inv(polar.matrix).T
    dipoles = ewald.force_constants(q).reshape(len(q), p, 3, p, 3)
    folded = np.tensordot(np.exp(-2j * np.pi * cells @ q.T) / len(q), dipoles, axes=1).real  # (cells, p, 3, p, 3)
    pair = np.column_stack([crystal.first, crystal.second, place])
    _, alike, count = np.unique(pair, axis=0, return_inverse=True, return_counts=True)
    shared = folded[place, crystal.first, :, crystal.second, :] / count[alike.ravel()][:, None, None]
    return crystal.with_blocks(crystal.blocks - shared)


def _with_all_atoms(crystal: Crystal, matrix: np.ndarray, cells: np.ndarray) -> tuple[Crystal, np.ndarray]:
    """The crystal with blocks for every pair of atoms in the supercell, zero where there was none, and which of the supercell's ``cells``
    (c, 3) each block belongs to, (b,)."""
    number = {cell: n for n, cell in enumerate(map(tuple, cells.tolist()))}
    place = np.array([number[cell] for cell in map(tuple, divided(crystal.cells, matrix)[1].tolist())])
    known = np.zeros((crystal.n_basis, crystal.n_basis, len(cells)), bool)
    known[crystal.first, crystal.second, place] = True
    if known.all():
        return crystal, place
    first, second, missing = np.nonzero(~known)
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ matrix
    candidates = cells[missing][:, None] + around
    distance = np.linalg.norm(
        (candidates + (crystal.positions[second] - crystal.positions[first])[:, None]) @ crystal.cell, axis=-1
    )
    row, image = np.nonzero(distance < distance.min(axis=1, keepdims=True) + EQUALLY_NEAR)
    whole = make(
        crystal.cell,
        crystal.positions,
        crystal.masses,
        crystal.species,
        np.concatenate([crystal.first, first[row]]),
        np.concatenate([crystal.second, second[row]]),
        np.concatenate([crystal.cells, candidates[row, image]]),
        np.concatenate([crystal.blocks, np.zeros((len(row), 3, 3))]),
    )
    return _with_all_atoms(whole, matrix, cells)


def _strain(crystal: PolarCrystal) -> Strain:
    """By the expansion of blocks (`dynamics.expansion`) and of dipoles together; internal displacements followed."""
    short, ewald = crystal.short, crystal.ewald
    p, volume = short.n_basis, short.volume
    coupling, brackets = ewald.expansion()
    np.add.at(coupling, short.first, np.einsum("nab,nc->nabc", short.blocks, short.vectors))
    brackets = brackets + sumrules.brackets(short)
    root = np.sqrt(np.repeat(short.masses, 3))
    at_rest = crystal.dynamical_matrix(np.zeros(3)).real * (root[:, None] * root)
    values, vectors = np.linalg.eigh(0.5 * (at_rest + at_rest.T))
    rigid = np.tile(np.eye(3), (p, 1)) / np.sqrt(p)
    others = np.linalg.norm(rigid.T @ vectors, axis=0) < 0.5
    if others.sum() != 3 * p - 3 or np.abs(values[others]).min(initial=np.inf) < dynamics.ROUNDING * values.max():
        raise InputError(
            "crystal: a motion of the cell's atoms against each other has no restoring force, so that its sound is not defined"
        )
    follow = (vectors[:, others] / values[others]) @ vectors[:, others].T
    flat, charges = coupling.reshape(3 * p, 9), ewald.charges.transpose(0, 2, 1).reshape(3 * p, 3)
    relaxation = (-flat.T @ follow @ flat / volume).reshape(3, 3, 3, 3)
    motion = (brackets + relaxation.transpose(0, 2, 1, 3)) * volume / short.cell_mass
    piezo = (charges.T @ follow @ flat).reshape(3, 3, 3)
    return Strain(motion, piezo, ewald.dielectric + ewald.scale * charges.T @ follow @ charges)
