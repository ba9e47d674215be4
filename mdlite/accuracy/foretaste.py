"""What the cheap rungs themselves make of a configuration, in a few thousand steps of the ion alone: a taste of what the time-local method will do."""

from __future__ import annotations

import numpy as np

from mdlite import analysis
from mdlite.engines.base import Setup
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.errors import RunError
from mdlite.physics.model import Model

FREE = 1e-3
"""Interaction energy over kinetic energy below which an ion counts as having left."""
ITERATIONS, ENOUGH = 30, 1e-10
"""Of Newton's method for the crystal in equilibrium with the ion, and how still it is at the end (Å)."""


class Path:
    """A rung's path: time (ps), position (F, 3) in Å, velocity (F, 3) in Å/ps, force (F, 3) in meV/Å, kinetic and interaction (F,) in meV before every step."""

    def __init__(self, model: Model, rung: str, dt: float, steps: int):
        self.model, self.engine = model, TimeLocalEngine(Setup(model, dt, method=rung))
        _, frames = self.engine.advance(steps)
        self.time = dt * np.arange(steps)
        self.position, self.velocity, self.force, self.interaction = (
            frames.position,
            frames.velocity,
            frames.force,
            frames.interaction,
        )
        self.kinetic = model.ion.kinetic_energy(frames.velocity)

    @property
    def lost(self) -> bool:
        """Whether the ion's last state is one at which a run stops."""
        return self.engine.fault() is not None

    @property
    def peak(self) -> float:
        """The largest force, meV/Å, or infinity where the ion ran away."""
        largest = np.sqrt(np.sum(self.force**2, axis=1)).max()
        return float(largest) if np.isfinite(largest) else np.inf

    def back(self, centre: float) -> tuple[float, float] | None:
        """When and how fast the ion first passes the plane from which it started again, in the same direction (ps, Å/ps); None if it does not."""
        axis = int(np.argmax(np.ptp(self.position, axis=0)))
        passed = analysis.crossings(self.time, self.position[:, axis], self.velocity[:, axis], centre)
        same = np.flatnonzero(np.sign(passed.velocity) == np.sign(self.model.ion.velocity[axis]))
        return (float(passed.time[same[0]]), float(passed.velocity[same[0]])) if len(same) else None

    @property
    def free(self) -> bool:
        """Whether the ion starts and ends next to free."""
        return bool(np.all(np.abs(self.interaction[[0, -1]]) < FREE * self.kinetic[0]))

    def spent(self, centre: float | None, free: bool, recoil: np.ndarray) -> float:
        """Energy that the ion has lost, meV, as `mdlite.sweeps.comparison` tells it: by the time it is back at the plane ``centre``, or by the end.

        free: whether it is to be free there. recoil: W(0) of the candidate atoms (3A, 3A). Infinite for an ion that ran away, no number where it
        cannot be told.
        """
        if self.lost:
            return np.inf
        start = float(self.kinetic[0])
        if centre is not None:
            axis = int(np.argmax(np.ptp(self.position, axis=0)))
            returned = self.back(centre)
            return start - (0.5 * float(self.model.ion.mass[axis]) * returned[1] ** 2 if returned else 0.0)
        if free:
            return start - float(self.kinetic[-1] + self.interaction[-1] - self.interaction[0])
        try:
            before, after = (relaxed_energy(self.model, place, recoil) for place in self.position[[0, -1]])
        except RunError:
            return np.nan
        return start + before - float(self.kinetic[-1]) - after


def relaxed_energy(model: Model, position: np.ndarray, recoil: np.ndarray) -> float:
    """Energy (meV) of the ion held at ``position`` with the crystal in equilibrium, ξ = -W(0) ∇_r U(s + ξ, R), by Newton's method from rest.

    The same as `mdlite.engines.timelocal.adiabatic_energy`, without its kernel. Raises RunError where it does not converge.
    """
    away = model.apart(position)
    shift, atoms = np.zeros(away.shape), np.arange(len(away))
    for _ in range(ITERATIONS):
        pairs = model.interaction.expand(away + shift)
        gradient, hessian = pairs.gradient.ravel(), np.zeros((len(away), 3, len(away), 3))
        hessian[atoms, :, atoms, :] = pairs.hessian
        miss = shift.ravel() + recoil @ gradient
        step = np.linalg.solve(np.eye(shift.size) + recoil @ hessian.reshape(shift.size, shift.size), miss)
        shift -= step.reshape(shift.shape)
        if np.abs(step).max() < ENOUGH:
            return float(pairs.energy.sum() + 0.5 * gradient @ recoil @ gradient)
    raise RunError("the crystal finds no equilibrium with the ion")
