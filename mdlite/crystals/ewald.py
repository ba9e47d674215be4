"""Point dipoles on the atoms of a crystal: their force constants by Ewald's sum in reciprocal space (X. Gonze, C. Lee, PRB 55, 10355).

    Φ_{κκ'}(q) = (4π e²/v) Σ_K (K·Z_κ) (K·Z_κ') exp(-KεK/4α²) exp(iK·(τ_κ - τ_κ')) / (KεK),     K = q + G

This is the smooth part of their interaction. The rest, screened by erfc(α Δ), Δ² = x ε⁻¹ x, dies out at a distance of a few 1/α, and stays
with the force constants of short range.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

COULOMB = 14399.6454784
"""e²/4πε0, meV Å (CODATA 2018)."""
SMALLEST = 1e-14
"""Of the terms of the sum, over its largest."""


@dataclass(frozen=True, eq=False)
class Ewald:
    """cell: rows, (3, 3), Å; places: (p, 3), Å; charges: (p, 3, 3), e, with a sum of zero; dielectric: (3, 3); alpha: with lengths measured
    by ε⁻¹, 1/Å."""

    cell: np.ndarray
    places: np.ndarray
    charges: np.ndarray
    dielectric: np.ndarray
    alpha: float

    @property
    def scale(self) -> float:
        """4π e²/v, meV/Å² per e²."""
        return 4.0 * np.pi * COULOMB / abs(float(np.linalg.det(self.cell)))

    @cached_property
    def vectors(self) -> np.ndarray:
        """The G that count for any q of the first zone or near it, (g, 3), 1/Å; G = 0 first."""
        reciprocal = 2.0 * np.pi * np.linalg.inv(self.cell).T
        softest = np.linalg.eigvalsh(self.dielectric).min()
        radius = 2.0 * self.alpha * np.sqrt(-np.log(SMALLEST) / softest) + 0.5 * np.linalg.norm(reciprocal, axis=1).sum()
        most = np.floor(radius * np.linalg.norm(self.cell, axis=1) / (2.0 * np.pi)).astype(int)
        found = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in most], indexing="ij"), axis=-1).reshape(-1, 3) @ reciprocal
        length = np.linalg.norm(found, axis=1)
        found = found[length <= radius]
        return found[np.argsort(length[length <= radius], kind="stable")]

    @cached_property
    def own(self) -> np.ndarray:
        """What every atom's own block must lose for a crystal that moves as a whole to feel no force, (p, 3, 3)."""
        p = len(self.places)
        total = self._sum(np.zeros(3), None).reshape(p, 3, p, 3).sum(axis=2).real
        return 0.5 * (total + total.transpose(0, 2, 1))

    def force_constants(self, q: ArrayLike, direction: ArrayLike | None = None) -> np.ndarray:
        """Φ(q) for q (n, 3) in reduced coordinates: (n, 3p, 3p), meV/Å², with phases exp(2πi q·n). At Γ without the macroscopic field, or
        with that of waves along a Cartesian ``direction`` (3,)."""
        reduced = np.asarray(q, float).reshape(-1, 3)
        wave = (reduced - np.round(reduced)) @ (2.0 * np.pi * np.linalg.inv(self.cell).T)
        found = (
            np.stack([self._sum(k, direction) for k in wave])
            if len(wave)
            else np.empty((0, *[3 * len(self.places)] * 2), complex)
        )
        for n, block in enumerate(self.own):
            found[:, 3 * n : 3 * n + 3, 3 * n : 3 * n + 3] -= block
        return found

    def _sum(self, wave: np.ndarray, direction: ArrayLike | None) -> np.ndarray:
        """(3p, 3p), without `own`."""
        k = wave + self.vectors
        squares = np.einsum("ga,ab,gb->g", k, self.dielectric, k)
        there = squares > 1e-16
        weight = np.where(there, np.exp(-squares / (4.0 * self.alpha**2)) / np.where(there, squares, 1.0), 0.0)
        waves = np.sqrt(weight)[:, None] * np.exp(1j * (k @ self.places.T))
        dipoles = (waves[:, :, None] * np.einsum("gm,kma->gka", k, self.charges)).reshape(len(k), -1)
        found = dipoles.T @ dipoles.conj()
        if direction is not None and not there.all():
            n = np.asarray(direction, float)
            along = np.einsum("m,kma->ka", n, self.charges).ravel()
            found += np.outer(along, along) / (n @ self.dielectric @ n)
        return self.scale * found

    def expansion(self) -> tuple[np.ndarray, np.ndarray]:
        """Without the macroscopic field, to second order in q about Γ: the coupling of every atom's displacement α to a strain βγ,
        (p, 3, 3, 3), meV/Å, and Born and Huang's brackets [αβ,γλ], (3, 3, 3, 3), meV/Å³, as `sumrules.brackets` of blocks."""
        k, eps = self.vectors[1:], self.dielectric
        z, squares, slope = self.charges, np.einsum("ga,ab,gb->g", k, eps, k), k @ eps
        damping = 1.0 / (4.0 * self.alpha**2)
        g = np.exp(-damping * squares) / squares
        first = -2.0 * g * (1.0 / squares + damping)  # the derivative of g by K is first · εK
        second = 4.0 * g * ((1.0 / squares + damping) ** 2 + 1.0 / squares**2)
        phase = np.exp(1j * (k @ self.places.T))
        all_z = np.einsum("gk,kmb->gmb", phase.conj(), z)  # of all atoms together
        all_k = np.einsum("gm,gmb->gb", k, all_z)
        own_k = phase[:, :, None] * np.einsum("gm,kma->gka", k, z)
        coupling = np.einsum("g,gc,gka,gb->kabc", first, slope, own_k, all_k, optimize=True)
        coupling += np.einsum("g,gk,kca,gb->kabc", g, phase, z, all_k, optimize=True)
        coupling += np.einsum("g,gka,gcb->kabc", g, own_k, all_z, optimize=True)
        curvature = second[:, None, None] * slope[:, :, None] * slope[:, None, :] + first[:, None, None] * eps
        back_z, back_k = all_z.conj(), all_k.conj()
        mixed = np.einsum("g,gc,gda,gb->abcd", first, slope, back_z, all_k, optimize=True)
        mixed += np.einsum("g,gc,ga,gdb->abcd", first, slope, back_k, all_z, optimize=True)
        mixed += np.einsum("g,gca,gdb->abcd", g, back_z, all_z, optimize=True)
        brackets = np.einsum("gcd,ga,gb->abcd", curvature, back_k, all_k, optimize=True) + mixed + mixed.transpose(0, 1, 3, 2)
        volume = abs(float(np.linalg.det(self.cell)))
        return self.scale * coupling.imag, self.scale * brackets.real / (2.0 * volume)


def smooth(vectors: np.ndarray, alpha: float, dielectric: np.ndarray) -> np.ndarray:
    """The smooth part of the interaction of two dipoles by the vector (n, 3) between them, Å: (n, 3, 3), meV/Å² per e².

    -∂∂ erf(α Δ)/Δ · e²/√det ε, Δ² = x ε⁻¹ x: what `Ewald` sums. That for α → ∞ is the whole interaction.
    """
    from scipy.special import erf

    inverse = np.linalg.inv(dielectric)
    u = vectors @ inverse
    squares = np.einsum("na,na->n", u, vectors)
    here = alpha**2 * squares < 1e-10
    delta = np.sqrt(np.where(here, 1.0, squares))
    bell, error = 2.0 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * delta) ** 2)), erf(alpha * delta)
    slope = bell / delta - error / delta**2
    curvature = -2.0 * alpha**2 * bell - 2.0 * bell / delta**2 + 2.0 * error / delta**3
    dyads = u[:, :, None] * u[:, None, :]
    found = -(inverse * (slope / delta)[:, None, None] + dyads * ((curvature - slope / delta) / delta**2)[:, None, None])
    found[here] = 4.0 * alpha**3 / (3.0 * np.sqrt(np.pi)) * inverse
    return COULOMB / np.sqrt(np.linalg.det(dielectric)) * found


def mean_field(vectors: np.ndarray, alpha: float, dielectric: np.ndarray) -> np.ndarray:
    """By vectors (n, 3): (n, 3, 3), meV/Å² per e²: the macroscopic field that `Ewald` has about Γ, q q/(q ε q), put as its mean over all
    directions, ε⁻¹/3, and with the same fall exp(-qεq/4α²)."""
    inverse = np.linalg.inv(dielectric)
    squares = np.einsum("na,ab,nb->n", vectors, inverse, vectors)
    height = COULOMB / np.sqrt(np.linalg.det(dielectric)) * 4.0 * alpha**3 / (3.0 * np.sqrt(np.pi))
    return height * np.exp(-(alpha**2) * squares)[:, None, None] * inverse
