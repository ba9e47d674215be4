"""When an ion can no longer be followed, and the step that would do: one criterion for single ions and ensembles of every method.

An ion is given up only for what makes its state wrong (`mdlite.kernels.guard` says in which order): it is not finite; it has more energy than it can
have come by; it has met an atom so closely that the two would vibrate by more than MOST_TURN in a step; it crosses more than half a cell in a step,
and can pass an atom without having met it. Any other speed is its own affair: light ions are fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mdlite.analysis import losses
from mdlite.engines import registry
from mdlite.kernels.guard import CONTACT, CROSSING, ENERGY, INFINITE, KINETIC, LIMITS, SOUND, SPEED, STIFFNESS, cause_to_stop
from mdlite.physics.model import GOOD_TURN, MOST_TURN, Lattice, Model
from mdlite.units import HBAR

MOST_CROSSING, GOOD_CROSSING = 0.5, 0.1
"""Lattice constants that an ion may cross in one step, and should at most where the step is found too long."""
UNLIKELY, CONTACTS = 60.0, 15.0
"""k_BT that no ion in equilibrium ever has (probability exp(-60)), and that of the closest contacts that many ions have in nanoseconds."""
SPARE = 4.0
"""Times the energy that an ion starts with, which the first-order methods do not conserve."""
NEIGHBOURS = 8
"""Atoms that are close to an ion at a time, at most."""
DISPLACED = 0.5
"""Lattice constants by which the atoms that a cut-off sphere looks through may leave their sites, see `mdlite.physics.model.Cutoff.offsets`."""


def heat(model: Model, energy: float, statistics: str) -> float:
    """The mean energy (meV) of the hottest mode of a crystal at k_B T = ``energy`` (meV): that, or with zero-point motion more."""
    half = 0.5 * HBAR * model.omega_max
    return energy if statistics == "classical" else half / math.tanh(half / energy)


def displaced(lattice: Lattice, largest: float) -> str | None:
    """Whether an atom that is ``largest`` (Å) from its site can be overlooked by a cut-off sphere, or None."""
    if largest < DISPLACED * lattice.spacing:
        return None
    return (
        f"a framework atom is {largest:.3g} Å from its site, more than half the lattice constant, and the sphere around the ion could miss it; the crystal "
        "is too hot, or too soft, for that"
    )


@dataclass(frozen=True)
class Guard:
    """What an ion of ``model`` may not do with a step of dt (ps). heat: k_BT (meV), of the zero-point motion at least; turn: of the
    `mdlite.physics.integrators`."""

    model: Model
    method: str
    dt: float
    heat: float = 0.0
    turn: float = 1.0

    @classmethod
    def among(
        cls, model: Model, method: str, dt: float, states: Sequence[tuple[np.ndarray, np.ndarray]], turn: float = 1.0
    ) -> Guard:
        """In crystals that begin in ``states`` (u, v), Å and Å/ps: as hot as their atoms move."""
        return cls(model, method, dt, max((model.heat(v) for _, v in states), default=0.0), turn)

    @cached_property
    def limits(self) -> np.ndarray:
        """As `mdlite.kernels.guard` wants them, (6,)."""
        mass = np.array(self.model.ion.mass)
        found = np.empty(LIMITS)
        found[:KINETIC] = np.where(np.isfinite(mass), mass, 0.0)
        found[KINETIC] = max(SPARE * self._start + UNLIKELY * self.heat, np.finfo(float).tiny)
        found[SPEED] = MOST_CROSSING * self.turn * self.model.length / self.dt
        found[STIFFNESS] = (MOST_TURN * self.turn / self.dt) ** 2 / self._inverse_mass
        return found

    def fault(self, ion, energy: float = 0.0) -> str | None:
        """What makes a single ion (of `mdlite.kernels.types`) unusable, or None. energy: of its interaction (meV), where that may not be finite.

        The closest contact counts, now or earlier.
        """
        finite, stiffest = np.isfinite([*ion.position, energy]).all(), float(ion.stiffest[0])
        cause = cause_to_stop(self.limits, *ion.velocity.tolist(), 0.0, stiffest) if finite else INFINITE
        if cause == SOUND:
            return None
        return f"{self.reason(cause, ion.position, ion.velocity, stiffest)}; {self.remedy(cause, ion.velocity, stiffest)}"

    def entry(self, cause: int, position: np.ndarray, velocity: np.ndarray, stiffest: float, energy: float) -> dict[str, Any]:
        """What a run's record says of an ion that was stopped with this interaction energy (meV): cause (``step`` or ``method``), reason, and the
        step that would do (ps) or None."""
        if cause == SOUND:
            return {}
        own = self.by_step(cause)
        return {
            "cause": "step" if own else "method",
            "reason": self.reason(cause, position, velocity, stiffest, energy),
            "step_ps": self.good_step(cause, velocity, stiffest) if own else None,
        }

    def by_step(self, cause: int) -> bool:
        """Whether a shorter step would have kept the ion. A medium whose step resolves every contact that heat can bring about runs away by itself."""
        if not registry.says(self.method, "medium") or cause == CROSSING:
            return True
        return self._turn(self._reachable(CONTACTS)) > MOST_TURN * self.turn

    def reason(self, cause: int, position: np.ndarray, velocity: np.ndarray, stiffest: float, energy: float = 0.0) -> str:
        """What is wrong, in words."""
        place = f"near [{', '.join(f'{x:.4g}' for x in position)}] Å"
        speed = float(np.linalg.norm(velocity))
        if cause == INFINITE:
            return registry.says(self.method, "no_number").format(place=place)
        if cause == ENERGY:
            kinetic = float(self.model.ion.kinetic_energy(velocity))
            potential = f" in an interaction of {energy:.3g} meV" if energy > kinetic else ""
            return f"the ion has run away: with {kinetic:.3g} meV{potential} at {speed:.3g} Å/ps it has more energy than it can have come by, {place}"
        if cause == CROSSING:
            return f"the ion has run away, at {speed:.3g} Å/ps it crosses more than half a cell in one step, {place}"
        turn = self._turn(stiffest)
        met = "met an atom too closely for the step" if self.by_step(cause) else "come closer to an atom than heat can bring it"
        return f"the ion has {met}: the two would vibrate at {turn / self.dt:.3g} rad/ps there, {turn:.2g} rad a step, {place}"

    def remedy(self, cause: int, velocity: np.ndarray, stiffest: float) -> str:
        """What would do."""
        if not self.by_step(cause):
            return f"this is the {self.method} method itself: {losses.remedy(self.method)}"
        return f"run.dt = {self.good_step(cause, velocity, stiffest):.1g} would do"

    def good_step(self, cause: int, velocity: np.ndarray, stiffest: float) -> float:
        """The step (ps) that would do, to one digit."""
        reach = self._reachable(CONTACTS)
        if cause != CONTACT or not math.isfinite(stiffest) or (self.heat > 0.0 and math.isfinite(reach)):
            stiffest = reach if math.isfinite(reach) else 25.0 * self.limits[STIFFNESS]
        good = min(0.5 * self.dt, GOOD_TURN * self.turn / max(math.sqrt(stiffest * self._inverse_mass), 1e-300))
        speed = float(np.linalg.norm(velocity))
        if cause == CROSSING and speed < math.inf:
            good = min(good, GOOD_CROSSING * self.model.length / speed)
        good = max(good, 1e-300)
        digit = 10.0 ** math.floor(math.log10(good))
        return digit * math.floor(good / digit * (1.0 + 1e-12))

    @cached_property
    def _inverse_mass(self) -> float:
        """1/M + 1/m, of the relative motion of the ion and an atom."""
        return float(self.model.ion.inverse_mass.max()) + 1.0 / self.model.lightest

    def _turn(self, stiffness: float) -> float:
        """Radians that ion and atom turn in a step where |φ''| is ``stiffness``."""
        return self.dt * math.sqrt(stiffness * self._inverse_mass)

    @cached_property
    def _start(self) -> float:
        """Energy (meV) that the ion can turn into motion: what it starts with on an undisturbed lattice, and what the atoms' wells give."""
        model = self.model
        phi = model.bare(np.array(model.ion.position))
        energy = float(np.abs(phi).sum())
        depth = max(0.0, -float(np.nanmin(self._profile[0])))
        return energy + float(model.ion.kinetic_energy(np.array(model.ion.velocity))) + min(NEIGHBOURS, len(phi)) * depth

    @cached_property
    def _profile(self) -> np.ndarray:
        """φ and |φ''| of all potentials from 0 to ten lattice constants, (2, ·)."""
        grid = self.model.length * np.concatenate([[0.0], np.geomspace(1e-3, 10.0, 1000)])
        with np.errstate(all="ignore"):
            values = np.concatenate([potential.evaluate(grid) for potential in self.model.pair_potentials], axis=1)
        return np.array([values[0], np.abs(values[2])])

    def _reachable(self, contacts: float) -> float:
        """The largest |φ''| (meV/Å²) where an atom's potential is below the energy at the start and ``contacts`` k_BT."""
        phi, curvature = self._profile
        within = phi <= self._start + contacts * self.heat
        return float(curvature[within].max()) if within.any() else math.inf
