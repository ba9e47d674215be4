"""The edge of a patch: what its outer atoms must be like for its core to feel the infinite crystal around it.

Beside the springs of the crystal, an atom of the edge obeys a diagonal law of its own, with the same numbers wherever the cube's symmetry
takes it:

    m μ ü = (spring force) - m γ u̇ - m κ u + (force of the ion)

A damping γ takes up what arrives, a stiffness κ stands for the crystal that is cut off, an inertia μ makes an atom stand for more or less of the
crystal than itself. None is negative, so that the patch is passive: it can take energy from the ion, and never gives more than it took. The 4³
atoms in the middle have μ = 1, γ = κ = 0: they are the crystal. Hundreds of numbers are not guessed but fitted, by least squares, to the
response Ĝ(ω) of the infinite crystal, which is known to rounding (`propagator`). Fits are kept on disk, one for each k2/k1 and size of patch.

The Jacobian is exact for a patch that has come to rest: a change δD of the law of site s changes Ĝ_jk by -Ĝ_js δD Ĝ_sk, and by symmetry the response
to one impulse, on one of the eight middle atoms along x, gives them all.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from mdlite.kernels import patch as kernels
from mdlite.kernels.types import Edge
from mdlite.physics import propagator, symmetry
from mdlite.physics.model import Lattice, aligned_zeros

CORE = 2
"""Half the width of the middle, atoms, where the patch is the crystal itself."""
TURN = 0.157
"""Ω_max dt of the fit: the usual step of 5 fs in the usual crystal."""
PERIOD, RING = 400.0, 800.0
"""In 1/Ω_max: how long the patch is listened to, and the infinite crystal (the later third of the one and half of the other are faded out)."""
BAND = np.concatenate([np.geomspace(0.02, 0.1, 13), np.linspace(0.115, 0.535, 45), np.linspace(0.56, 0.96, 22)])
"""Frequencies of the fit, in Ω_max: as close as 2π/PERIOD, or the fit would hide slow modes of the edge between them."""
LIGHTEST = 0.15
"""Bound of μ; a lighter atom would want a shorter step than the crystal."""
LEAST = 0.1
"""Bound of γ at the outermost atoms, sqrt(k1/m), which rises to it with the square of the depth: no mode of the edge rings for long."""
SCALE = np.array([[0.1], [0.08], [0.2]])
"""By how much γ, κ, μ may change lightly in a step of the fit, in sqrt(k1/m), k1/m, 1."""
STIFFEST = 1.4
"""Bound of κ, Ω_max²: with LIGHTEST, no atom vibrates faster than a step of half of 1/Ω_max bears."""
VERSION = 2
"""Of the fit, for the cache: to be raised with any change to these numbers or to `_Fitting`."""
PACKED_SIZE = 12
"""Of the patch whose edge the package brings along."""
ITERATIONS, ENOUGH = 60, 5e-4
"""Of the fit, and the part of the sum of squares that must be gained for another."""


class Fit(NamedTuple):
    """Numbers of the edge for every class of equivalent components, and what they achieve."""

    damping: np.ndarray  # (classes,), sqrt(k1/m)
    stiffness: np.ndarray  # (classes,), k1/m
    inertia: np.ndarray  # (classes,)
    friction_error: (
        float  # largest error of Im Ĝ between two of the eight middle atoms, over Im Ĝ of one on itself, up to half of Ω_max
    )
    common_error: float  # relative error of Im Ĝ of all eight pushed together


def classes(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which class of equivalent components each component of each atom belongs to, (3, N, N, N), and how far out the classes are (0: middle)."""
    depth = np.abs(np.arange(size) - 0.5 * (size - 1)).astype(int)
    grid = np.stack(np.meshgrid(depth, depth, depth, indexing="ij"))
    keys = np.empty((3, 3, size, size, size), int)
    for c in range(3):
        keys[c, 0] = grid[c]  # along the component, and the two others in order
        keys[c, 1:] = np.sort(np.delete(grid, c, axis=0), axis=0)
    found, where = np.unique(np.moveaxis(keys, 1, -1).reshape(-1, 3), axis=0, return_inverse=True)
    return where.reshape(3, size, size, size), found.max(axis=1)


def patch_lattice(lattice: Lattice, size: int) -> Lattice:
    """A piece of size³ atoms of this crystal."""
    return dataclasses.replace(lattice, size=(size,) * 3)


def edge(lattice: Lattice, size: int, dt: float) -> Edge:
    """The edge of a patch of size³ atoms of this crystal for steps of dt (ps), fitted once and then read from the cache."""
    found = fit(lattice.k2 / lattice.k1, size)
    rate = np.sqrt(lattice.k1 / lattice.mass)
    return _arrays(patch_lattice(lattice, size), dt, rate, *found[:3])


def _arrays(patch: Lattice, dt: float, rate: float, damping: np.ndarray, stiffness: np.ndarray, inertia: np.ndarray) -> Edge:
    """v' (μ + γ dt) = μ v + dt (F/m - κ u) as the kernels want it."""
    where, _ = classes(patch.size[0])
    whole = inertia + rate * damping * dt
    fields = []
    for values in (inertia / whole, 1.0 / whole, rate**2 * stiffness * dt / whole):
        field = aligned_zeros(int(np.prod(patch.field_shape))).reshape(patch.field_shape)
        patch.atoms(field)[...] = values[where]
        fields.append(field.reshape(-1))
    return Edge(*fields, *patch.springs())


def open_edge(lattice: Lattice, size: int, dt: float) -> Edge:
    """No edge at all: a periodic piece of the crystal."""
    _, depth = classes(size)
    one, none = np.ones(len(depth)), np.zeros(len(depth))
    return _arrays(patch_lattice(lattice, size), dt, 1.0, none, none, one)


def is_known(ratio: float, size: int) -> bool:
    """Whether `fit` will find its result in the cache, and not take a minute."""
    return _cached(ratio, size) is not None


def _packed(ratio: float, size: int) -> np.ndarray | None:
    """The numbers of the fit that the package brings along for the usual crystal and patch, or None."""
    found = propagator.packed(ratio)
    return found.edge if found is not None and size == PACKED_SIZE and found.edge_version == VERSION else None


@functools.lru_cache(maxsize=8)
def fit(ratio: float, size: int) -> Fit:
    """The edge of a patch of size³ atoms, size even, of a crystal with k2/k1 = ratio."""
    found = _cached(ratio, size)
    if found is None:
        best = _Fitting(ratio, size).run()
        found = np.concatenate([*best[:3], best[3:]])
        propagator.write_cached(_cache_path(ratio, size), found)
    return Fit(*found[:-2].reshape(3, -1), *found[-2:].tolist())


def _cached(ratio: float, size: int) -> np.ndarray | None:
    found = _packed(ratio, size)
    if found is None:
        _, depth = classes(size)
        found = propagator.read_cached(_cache_path(ratio, size), (3 * len(depth) + 2,))
    return found


def _cache_path(ratio: float, size: int):
    return propagator.cache_path("edge", (VERSION, ratio, size))


class _Fitting:
    """Levenberg-Marquardt with bounds, in units of a = m = k1 = 1. Unknowns: γ, κ, μ of every class outside of the middle, one after the other."""

    def __init__(self, ratio: float, size: int):
        self.size, self.half = size, size // 2
        self.patch = Lattice((size,) * 3, 1.0, 1.0, 1.0, ratio)
        self.omega = self.patch.omega_max * BAND
        self.dt = TURN / self.patch.omega_max
        self.where, depth = classes(size)
        self.active = np.nonzero(depth >= CORE)[0]
        self.depth, self.count = depth[self.active], len(depth)
        steps = round(PERIOD / TURN)
        fading = np.ones(steps + 1)
        fading[-(steps // 3) :] = 0.5 * (1.0 + np.cos(np.pi * np.linspace(0.0, 1.0, steps // 3)))
        waves = self.dt * fading * np.exp(1j * np.outer(self.omega, self.dt * np.arange(steps + 1)))
        self.waves = np.concatenate([waves.real, waves.imag])
        self.history = np.zeros((steps + 1, *self.patch.field_shape))
        z = np.exp(-1j * self.omega * self.dt)
        self.laws = ((z - 1.0) / self.dt, np.ones(len(z)), (z - 2.0 + 1.0 / z) / self.dt**2)  # of γ, κ, μ
        middle = np.arange(2)
        self.atoms = np.stack(np.meshgrid(middle, middle, middle, indexing="ij"), axis=-1).reshape(-1, 3)
        self.truth = _infinite(self.patch, self.atoms, self.omega, self.dt)
        weight = np.where(BAND < 0.54, 1.0, np.where(BAND < 0.8, 0.4, 0.13))[:, None, None]
        own = self.truth[:, :1, :1]
        self.weights = (
            weight / own.imag,
            0.3 * weight / np.abs(own),
        )  # friction above all: stiffness is right by itself to a few 1e-3

    def run(self) -> tuple:
        """(γ, κ, μ) of every class, and the two errors of a `Fit`."""
        out = np.clip((self.depth - CORE + 0.5) / (self.half - CORE), 0.0, None)
        p = np.concatenate([0.25 * out**2 + 0.002, 0.02 * out**4, np.ones(len(out))])
        low = np.concatenate([LEAST * np.minimum(out, 1.0) ** 2, np.zeros(len(out)), np.full(len(out), LIGHTEST)])
        high = np.repeat([np.inf, STIFFEST * self.patch.omega_max**2, np.inf], len(out))
        damp, field = 1e-2, self._field(p)
        residual = self._residual(field)
        for _ in range(ITERATIONS):
            jacobian, cost = self._jacobian(field), residual @ residual
            normal, downhill = jacobian.T @ jacobian, -jacobian.T @ residual
            for _ in range(6):
                scale = 1.0 / (np.repeat(SCALE, len(out)) + np.abs(p))
                trial = np.minimum(p + _bounded(normal + np.diag(damp * scale**2), downhill, low - p), high)
                trial_field = self._field(trial)
                trial_residual = self._residual(trial_field)
                better = trial_residual @ trial_residual < cost
                if better:
                    break
                damp *= 5.0
            if not better:
                break
            gained = cost - trial_residual @ trial_residual
            p, field, residual, damp = trial, trial_field, trial_residual, max(damp / 4.0, 1e-6)
            if gained < ENOUGH * cost:
                break
        return (*self._spread(p), *self._errors(field))

    def _spread(self, p: np.ndarray) -> tuple[np.ndarray, ...]:
        """γ, κ, μ of every class from the unknowns."""
        out = []
        for values, at_rest in zip(p.reshape(3, -1), (0.0, 0.0, 1.0)):
            full = np.full(self.count, at_rest)
            full[self.active] = values
            out.append(full)
        return tuple(out)

    def _field(self, p: np.ndarray) -> np.ndarray:
        """Transformed response of all components to an impulse on the first of the middle atoms along x, (frequencies, 3, N, N, N)."""
        edge = _arrays(self.patch, self.dt, 1.0, *self._spread(p))
        kernels.impulse(np.full(3, self.half - 1), 0, edge, self.dt, self.history)
        with np.errstate(invalid="ignore", over="ignore"):  # of an unstable trial
            both = self.waves @ self.history.reshape(len(self.history), -1)
        both = self.patch.atoms(both.reshape(-1, *self.patch.field_shape))
        return both[: len(self.omega)] + 1j * both[len(self.omega) :]

    def _middle(self, field: np.ndarray) -> np.ndarray:
        """The field at the eight middle atoms, (frequencies, 8, 3)."""
        x, y, z = (self.atoms + self.half - 1).T
        return np.moveaxis(field[:, :, x, y, z], 1, 2)

    def _rows(self, error: np.ndarray) -> np.ndarray:
        """Complex errors (frequencies, 8, 3, ...) as weighted real ones; the eight atoms' common motion along x counts once more, as one."""
        together = error[:, :, :1].mean(axis=1, keepdims=True)
        more = error.ndim - 3
        parts = []
        for part, factor in ((np.imag, self.weights[0]), (np.real, self.weights[1])):
            factor = factor.reshape(factor.shape + (1,) * more)
            parts += [part(error) * factor, part(together) * factor]
        return np.concatenate([np.moveaxis(x, 2, 0).reshape(-1, *error.shape[3:]) for x in parts])

    def _residual(self, field: np.ndarray) -> np.ndarray:
        found = self._rows(self._middle(field) - self.truth)
        return np.where(np.isfinite(found), found, 1e6)

    def _jacobian(self, field: np.ndarray) -> np.ndarray:
        """Of `_residual`, (rows, unknowns)."""
        n = len(self.omega)
        change = np.empty((n, 8, 3, 3, len(self.active)), complex)
        labels = self.where.reshape(-1)
        for j, atom in enumerate(self.atoms):
            for axis in range(3):
                product = (self._turned(field, atom, axis) * field).reshape(n, -1)
                for w in range(n):
                    sums = np.bincount(labels, product[w].real, self.count) + 1j * np.bincount(
                        labels, product[w].imag, self.count
                    )
                    for law in range(3):
                        change[w, j, axis, law] = -self.laws[law][w] * sums[self.active]
        return self._rows(change.reshape(n, 8, 3, -1))

    def _turned(self, field: np.ndarray, atom: np.ndarray, axis: int) -> np.ndarray:
        """The field of an impulse on another middle atom along ``axis``: turned about the diagonal, and mirrored."""
        signs = np.where(atom == 1, -1, 1)
        return symmetry.turned(field, [(c - axis) % 3 for c in range(3)], signs.tolist()) * signs[axis]

    def _errors(self, field: np.ndarray) -> tuple[float, float]:
        low = BAND < 0.51
        found, truth = self._middle(field)[low], self.truth[low]
        alone = (np.abs((found - truth).imag) / truth[:, :1, :1].imag).max()
        together = np.abs(found[..., 0].mean(axis=1).imag / truth[..., 0].mean(axis=1).imag - 1.0).max()
        return float(alone), float(together)


def _bounded(matrix: np.ndarray, vector: np.ndarray, low: np.ndarray) -> np.ndarray:
    """x >= low (low <= 0) that minimises x·matrix·x/2 - vector·x, nearly: what would pass a bound is held there, what would leave it is let go."""
    x, free = np.zeros(len(vector)), np.ones(len(vector), bool)
    for _ in range(30):
        x[~free] = low[~free]
        x[free] = cho_solve(cho_factor(matrix[np.ix_(free, free)]), vector[free] - matrix[np.ix_(free, ~free)] @ low[~free])
        wrong = (free & (x < low)) | (~free & (vector - matrix @ x > 0.0))
        if not wrong.any():
            break
        free ^= wrong
    return np.maximum(x, low)


def _infinite(patch: Lattice, atoms: np.ndarray, omega: np.ndarray, dt: float) -> np.ndarray:
    """Ĝ(ω) of the infinite crystal from an impulse along x on the first of ``atoms`` to all of them, (frequencies, atoms, 3), in steps of dt."""
    steps = round(RING / TURN)
    fading = np.ones(steps + 1)
    fading[-(steps // 2) :] = 0.5 * (1.0 + np.cos(np.pi * np.linspace(0.0, 1.0, steps // 2)))
    waves = dt * fading * np.exp(1j * np.outer(omega, dt * np.arange(steps + 1)))
    return propagator.transformed(patch, atoms - atoms[0], waves, dt, "verlet")[..., 0]
