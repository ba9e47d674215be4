"""The layer of a patch of any crystal (`mdlite.kernels.crystal_patch`): how strongly its atoms are damped and held, found once for a crystal and a size.

Hold σ and damping γ (rates, the same for all masses) rise from 0 in the core to σ₁ and γ₁ at the seam. With x the displacements under a steady force f that
is shared out to the atoms of the middle cell, the patch has W(0) = fᵀx and L = xᵀ m γ x. So σ₁ follows from the infinite crystal's W(0) and γ₁ from its
L, on the mean over the directions of f; where they begin is chosen so that the response to an impulse is closest to the infinite crystal's.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from mdlite.crystals import dynamics, response
from mdlite.crystals.box import Box
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.propagator import digest_of
from mdlite.kernels import crystal_patch as kernels
from mdlite.kernels.crystal_patch import Layer
from mdlite.physics import propagator

TURN = 0.2
"""Ω_max dt of the impulse."""
STARTS = ((0.5, 0.8), (0.7, 0.7), (0.6, 0.85), (0.7, 0.9))
"""Where hold and damping begin, of the half patch: all that are tried; from there they rise with the square of the depth."""
FAINT = 0.05
"""Of a profile's largest number, with which no atom is in it."""
CROSSINGS = 2.5
"""Of the patch by its fastest sound, or of one of USUAL atoms where that is larger: how long the responses are compared."""
USUAL = 16
MOST_ATOMS = 3e5
"""Of the crystal that no sound goes around meanwhile; the time is shortened to it."""
CELLS = 3
"""More than sound reaches in it."""
PRECISE, SETTLED, TRIES = 1e-5, 1e-3, 20
"""Of the displacements under a force, of σ₁, and Newton steps at most."""
STATIC = 1e-6
"""Of the infinite crystal's W(0)."""
VERSION = 1
"""Of the search, for the cache: to be raised with any change to what is done with these numbers."""


class Fit(NamedTuple):
    """The layer, and how far the patch is from the infinite crystal, relative to it."""

    damping: float  # γ₁, 1/ps
    hold: float  # σ₁, 1/ps²
    held: float  # where the hold begins
    damped: float  # where the damping begins
    static_error: float  # of W(0), its worst component
    friction_error: float  # of L, its worst component
    response_error: float  # root mean square of the error of W(t), over that of W(t)
    window: float  # ps, in which the last was found


def box_size(crystal: Crystal, size: int) -> tuple[int, int, int]:
    """Cells of a patch whose opposite faces are ``size`` times (volume of an atom)^(1/3) apart, rounded."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)
    wanted = size * (crystal.volume / crystal.n_basis) ** (1.0 / 3.0) / heights
    a, b, c = (max(1, round(n)) for n in wanted.tolist())
    return a, b, c


def depth(crystal: Crystal, size: tuple[int, int, int]) -> np.ndarray:
    """Of every atom, (p, n1, n2, n3), from 0 in the middle of the first cell to 1 at the seam."""
    grid, n = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1), np.array(size)
    away = np.mod(grid + crystal.positions[:, None, None, None] - 0.5 + 0.5 * n, n) - 0.5 * n
    return np.abs(away / (0.5 * n)).max(axis=-1)


def profile(crystal: Crystal, size: tuple[int, int, int], start: float) -> np.ndarray:
    """s of every atom, (p, n1, n2, n3)."""
    return ((depth(crystal, size) - start).clip(min=0.0) / (1.0 - start)) ** 2


def layer(box: Box, dt: float, found: Fit | None, centre: tuple[int, int, int] = (0, 0, 0)) -> Layer:
    """The numbers for steps of dt (ps); of None, no layer: a periodic piece of the crystal."""
    whole, none = (box.crystal, box.size), Fit(0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
    damping, hold, held, damped = (none if found is None else found)[:4]
    loss = 0.5 * dt * damping * profile(*whole, damped).ravel()
    return Layer(1.0 - loss, 1.0 / (1.0 + loss), dt * hold * profile(*whole, held).ravel(), np.array(centre, np.int64))


@functools.lru_cache(maxsize=8)
def fit(crystal: Crystal, size: int) -> Fit:
    """The layer of a patch of this size. Raises InputError for a crystal whose W(0) or L does not converge."""
    path = _path(crystal, size)
    found = propagator.read_cached(path, (len(Fit._fields),))
    if found is None:
        found = np.array(_Search(crystal, size).best())
        propagator.write_cached(path, found)
    return Fit(*found.tolist())


def is_known(crystal: Crystal, size: int) -> bool:
    """Whether `fit` reads it from the cache."""
    return propagator.read_cached(_path(crystal, size), (len(Fit._fields),)) is not None


def _path(crystal: Crystal, size: int):
    return propagator.cache_path("crystal-layer", (VERSION, digest_of(crystal), size, STARTS, CROSSINGS, USUAL))


class _Search:
    """Of the best layer of one patch. Forces and impulses are shared out to the atoms of the first cell, and the mean of these is what answers."""

    def __init__(self, crystal: Crystal, size: int):
        self.crystal, self.box = crystal, Box(crystal, box_size(crystal, size))
        self.top = dynamics.omega_max(crystal)
        self.dt = TURN / self.top
        heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)
        speed = dynamics.fastest_sound(crystal)
        time = CROSSINGS * float(np.max(np.array(box_size(crystal, max(size, USUAL))) * heights)) / speed
        while (whole := _around(crystal, speed * time, heights)).n_atoms > MOST_ATOMS and time > 10.0 * self.dt:
            time *= 0.9
        self.steps = int(time / self.dt) + 1
        p = crystal.n_basis
        pairs = [(own, other, 0, 0, 0) for own in range(p) for other in range(p)]
        self.static = response.static_recoil(crystal, pairs, STATIC).mean(axis=0)
        self.loss = response.loss_matrix(crystal)
        self.truth = self._answer(whole, None)
        grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in self.box.size], indexing="ij"), axis=-1)
        self.waves = dynamics.dynamical_matrix(crystal, grid.reshape(-1, 3))
        self.roots = np.repeat(np.sqrt(crystal.masses), 3)
        force = np.zeros((p, 3, *self.box.size, 3))
        force[:, :, 0, 0, 0] = np.eye(3) / p / np.sqrt(crystal.masses)[:, None, None]
        self.force = force.reshape(
            -1, 3
        )  # over √m, as displacements are times √m: κ, component, n1, n2, n3; the three directions

    def best(self) -> Fit:
        """Of all that are tried."""
        tried = []
        for held in sorted({held for held, _ in STARTS}):
            hold, moved = self._hold(self._profile(held))
            for damped in (damped for start, damped in STARTS if start == held):
                if self._profile(damped).max() > FAINT:
                    tried.append(self._fitted(hold, moved, held, damped))
        return min(tried, key=lambda found: found.response_error)

    def _profile(self, start: float) -> np.ndarray:
        """s of every component."""
        return np.repeat(profile(self.crystal, self.box.size, start)[:, None], 3, axis=1).ravel()

    def _through(self, matrices: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """A product of a matrix for every wave, (cells, 3p, 3p), with displacements (·,)."""
        axes = (1, 2, 3)
        waves = np.fft.fftn(moved.reshape(-1, *self.box.size), axes=axes).reshape(len(self.roots), -1)
        found = (matrices @ waves.T[..., None])[..., 0].T
        return np.fft.ifftn(found.reshape(-1, *self.box.size), axes=axes).real.ravel()

    def _solved(self, weight: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """Displacements under the three forces, with a hold of weight (·,) in 1/ps²; those of an even hold are never far from them."""
        even, shape = self.waves + weight.mean() * np.eye(len(self.roots)), (len(weight),) * 2
        whole = LinearOperator(shape, lambda x: self._through(self.waves, x) + weight * x.ravel(), dtype=float)
        near = LinearOperator(shape, functools.partial(self._through, np.linalg.inv(even)), dtype=float)
        return np.stack([cg(whole, f, x0=x, rtol=PRECISE, M=near)[0] for f, x in zip(self.force.T, guess.T)], axis=1)

    def _fitted(self, hold: float, moved: np.ndarray, held: float, damped: float) -> Fit:
        loss = moved.T @ (self._profile(damped)[:, None] * moved)
        damping = float(np.trace(self.loss) / np.trace(loss))
        errors = _apart(self.force.T @ moved, self.static), _apart(damping * loss, self.loss)
        found = Fit(damping, hold, held, damped, *errors, 0.0, 0.0)
        answer = self._answer(self.box, found)
        error, exact = (self.dt * np.cumsum(a, axis=0) for a in (answer - self.truth, self.truth))
        relative = np.sqrt(np.sum(error**2) / np.sum((self.static - exact) ** 2))
        return found._replace(response_error=float(relative), window=self.steps * self.dt)

    def _hold(self, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """σ₁ (1/ps²) with which the trace of W(0) is right, and the displacements under the three forces, by Newton's method."""
        hold, moved = (0.03 * self.top) ** 2, np.zeros_like(self.force)
        for _ in range(TRIES):
            moved = self._solved(hold * weight, moved)
            slope = float(np.sum(weight[:, None] * moved**2))
            step = (np.trace(self.force.T @ moved) - np.trace(self.static)) / slope
            before, hold = hold, max(hold + step, 0.2 * hold)
            if abs(hold - before) < SETTLED * hold:
                break
        return before, moved

    def _answer(self, box: Box, found: Fit | None) -> np.ndarray:
        """G at every step, (T, 3, 3), of a box with that layer."""
        p, stencil, out = self.crystal.n_basis, box.stencil, np.empty((3, self.steps, 3))
        first = stencil.halo[0] * stencil.u_pitch + stencil.halo[1]
        places = 3 * np.arange(p) * box.size[0] * stencil.u_plane + first
        rule = layer(box, self.dt, found)
        for axis in range(3):
            u, v = box.fields()
            box.velocities(v)[:, axis, 0, 0, 0] = 1.0 / (p * self.crystal.masses)
            kernels.coast(u, v, stencil, rule, self.dt, 1.0 / self.crystal.masses, places, out[axis])
        return np.moveaxis(out, 0, 2) / p


def _around(crystal: Crystal, distance: float, heights: np.ndarray) -> Box:
    """A crystal that sound does not go around within ``distance`` (Å)."""
    a, b, c = (int(np.ceil(distance / h)) + CELLS for h in heights)
    return Box(crystal, (a, b, c))


def _apart(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(found - exact).max() / np.abs(exact).max())
