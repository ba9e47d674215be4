"""Reference engine without echoes (`mdlite.kernels.echofree`): a part of the infinite crystal, as large as sound can matter, at T = 0."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from mdlite.engines.base import Setup
from mdlite.engines.blocking import require_memory
from mdlite.engines.reference import ReferenceEngine
from mdlite.errors import InputError
from mdlite.kernels import echofree as kernels
from mdlite.kernels import reference as reference_kernels
from mdlite.kernels.types import Frames, IonState, LatticeState
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Sites
from mdlite.physics.phonons import sound_speeds

MARGIN = 2.2
"""Of the region beyond the wave front, in units of (Ω_max T)^{1/3} sites: the part of the lattice's response that runs ahead of it falls off
as an Airy function. With this it is below 1e-12 of the ion's motion (measured: 2.1)."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How large a run's box must be.

    radii: of the moving region (steps, 3), in sites, see `mdlite.kernels.echofree`.

    low: lattice index of the box's first corner. size: atoms along its edges. atom_steps: how many single atoms' steps the run takes, about.
    """

    radii: np.ndarray
    mirror: np.ndarray
    low: np.ndarray
    size: tuple[int, int, int]
    atom_steps: float

    @property
    def bytes(self) -> float:
        """Memory, if every page of the box is touched."""
        return 24.0 * math.prod(Lattice(self.size).field_shape)


def fastest_ion(model: Model) -> np.ndarray:
    """Bound on the ion's speed (3,), Å/ps: all its energy at the start as motion, and half as much again; 0 along frozen axes."""
    interaction = np.abs(model.interaction.energy(model.apart(np.array(model.ion.position)))).sum()
    energy = interaction + model.ion.kinetic_energy(np.array(model.ion.velocity))
    return 1.5 * np.sqrt(2.0 * float(energy) * model.ion.inverse_mass)


def mirrors(model: Model) -> np.ndarray:
    """Which of the planes x and y through the ion are mirrors of the whole problem, (2,) bool: a frozen axis, and all atoms in the plane."""
    atoms, found = model.interaction.atoms, np.zeros(2, bool)
    if isinstance(atoms, Sites):
        places = model.offsets * model.lattice.spacing
        for axis in range(2):
            found[axis] = model.ion.inverse_mass[axis] == 0.0 and np.all(places[:, axis] == model.ion.position[axis])
    return found


def plan(model: Model, dt: float, n_steps: int, margin: float | None = None) -> Plan:
    """Size the box for a run of n_steps steps of dt (ps); margin: sites beyond the wave front, default from MARGIN."""
    lattice = model.lattice
    if margin is None:
        margin = 1.0 + MARGIN * (lattice.omega_max * dt * n_steps) ** (1.0 / 3.0)
    fronts = ((1, 0, 0), 1.0), ((1, 1, 0), math.sqrt(2.0)), ((1, 1, 1), math.sqrt(3.0))
    moving = not isinstance(model.interaction.atoms, Sites)
    travel = fastest_ion(model) if moving else np.zeros(3)
    elapsed = dt * np.arange(1, n_steps + 1)
    left = dt * (n_steps - np.arange(n_steps))
    radii = np.empty((n_steps, 3))
    for n, (direction, length) in enumerate(fronts):
        speed = float(sound_speeds(lattice, direction).max())
        grown, shrunk = speed * elapsed, (speed + np.linalg.norm(travel)) * left
        radii[:, n] = length * (np.minimum(grown, shrunk) / lattice.spacing + margin)
    mirror = mirrors(model)
    sites = model.candidate_sites(np.array(model.ion.position))
    wander = np.ceil(travel * dt * n_steps / lattice.spacing).astype(int)
    reach = int(radii[:, 0].max()) + 3
    below = np.where([*mirror, False], 2, reach)
    low = sites.min(axis=0) - wander - below
    nx, ny, nz = (int(n) for n in sites.max(axis=0) + wander + reach - low + 1)
    atom_steps = _volume(radii, np.ptp(sites, axis=0) + 0.5 * wander).sum() / 2 ** mirror.sum()
    return Plan(radii, mirror, low, (nx, ny, nz), float(atom_steps))


def _volume(radii: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Atoms in the polyhedra, roughly: that of a point fills the same part of its box at all times, and the core's faces add prisms."""
    r1, r2, r3 = radii[len(radii) // 2]
    x, y, z = np.meshgrid(*[(np.arange(40) + 0.5) / 40 * r1] * 3, indexing="ij")
    part = np.mean((np.maximum(x + y, np.maximum(x + z, y + z)) <= r2) & (x + y + z <= r3))
    return part * (2.0 * radii[:, 0]) ** 3 + 0.85 * (2.0 * radii[:, 0]) ** 2 * core.sum()


class EchoFreeEngine(ReferenceEngine):
    """The explicit lattice as `ReferenceEngine`, in a box that no sound crosses and returns from within the run's ``n_steps`` steps.

    model.lattice.size plays no part, nor do ``states``. margin: sites kept beyond the wave front. Raises InputError if the machine has not the memory.
    """

    extendable = False
    parts = ("model", "dt", "n_steps", "sample_every", "record_atoms", "margin")

    def __init__(self, setup: Setup, margin: float | None = None):
        model, dt, n_steps = setup.model, setup.dt, setup.n_steps
        self.plan, self.n_steps = plan(model, dt, n_steps, margin), n_steps
        boxed = dataclasses.replace(model.lattice, size=self.plan.size)
        try:
            require_memory(boxed)
        except InputError:
            raise InputError(
                f"run.duration = {dt * n_steps:g}: without an echo this takes a box of {' x '.join(map(str, self.plan.size))} atoms, "
                f'{self.plan.bytes / 1e9:.3g} GB, more than this machine has; give a shorter run, or method = "memory-kernel"'
            ) from None
        there = _moved(model, boxed, -self.plan.low)
        super().__init__(dataclasses.replace(setup, model=there, states=(), guard=None), in_place=False)
        self.boxed, self.model = self.model, model
        x, y, z = (int(n) for n in self.plan.low)
        self.corner = (x, y, z)
        self._shift = self.plan.low * model.lattice.spacing
        self._core = np.array([[2**62] * 3, [-(2**62)] * 3])
        self._fits = True

    def state(self) -> dict[str, np.ndarray]:
        """As of a `ReferenceEngine`, and what the region leaves behind: the other buffer of u (Å), and the sites that the ion has been at."""
        assert self.spare is not None  # it takes turns
        return super().state() | {"u_next": self.spare, "core": self._core}

    def half_step_back(self) -> None:
        """See `ReferenceEngine.half_step_back`: of the ion and its atoms alone."""
        reference_kernels.half_kick_back(self.lattice, self.springs, self.coupling, self.ion, self.clock.half)

    def _take(self, n_steps: int, out: Frames) -> None:
        if self.step + n_steps > self.n_steps:
            raise ValueError(f"the box was made for {self.n_steps} steps")
        steps = (self.step, n_steps, self.sample_every)
        region = (self._core, self.plan.radii, self.plan.mirror)
        self._fits = kernels.advance(self.lattice, self.spare, self.springs, self.coupling, self.ion, self.dt, steps, region, out)
        self.turn(n_steps)
        self._move_back(out)

    def _record(self, out: Frames) -> None:
        super()._record(out)
        self._move_back(out)

    def _move_back(self, out: Frames) -> None:
        """From the box's coordinates to the crystal's."""
        for array in (out.position, out.effective_position, out.atom_position):
            array += self._shift  # in place

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """See `Engine.synchronous`: of the atoms of the box, whose first has the lattice index ``plan.low``. Right within the region that still moves;
        before a mirror there is one plane of images."""
        copy = LatticeState(self.lattice.u.copy(), self.lattice.v.copy())
        ion = IonState(*(array.copy() for array in self.ion))
        reference_kernels.half_step_back(copy, self.springs, self.coupling, ion, -self.clock.half)
        return self.boxed.lattice.atoms(copy.u), self.boxed.lattice.atoms(copy.v), ion.position + self._shift, ion.velocity

    def announcement(self) -> str:
        """The box, its memory, and how long the run will take, about."""
        size, steps = " x ".join(map(str, self.plan.size)), self.plan.atom_steps
        return (
            f"a box of {size} atoms, {self.plan.bytes / 1e9:.2g} GB at most; {steps:.2g} atom-steps, about {steps / 1.6e8:.0f} s at 160 million "
            "a second (`mdlite bench-kernel` shows this machine's)"
        )

    def budget(self) -> None:
        """None: sound that can no longer return is let go, and its energy with it."""
        return None

    def fault(self) -> str | None:
        """What makes the present state unusable, or None."""
        fault = self.guard.fault(self.ion)
        if fault is None and not self._fits:
            fault = "the ion has come farther than its energy at the start should take it, and the box is too small for that"
        return fault

    def facts(self) -> dict[str, Any]:
        """The size of the box."""
        return {"box": list(self.plan.size), "mirrors": self.plan.mirror.tolist()}


def _moved(model: Model, lattice, cells: np.ndarray) -> Model:
    """The same model in another lattice, everything shifted by whole cells."""
    x, y, z = (float(x) for x in np.array(model.ion.position) + cells * lattice.spacing)
    atoms = model.interaction.atoms
    if isinstance(atoms, Sites):
        moved = np.array(atoms.sites) + cells
        atoms = Sites(tuple((int(i), int(j), int(k)) for i, j, k in moved))
    ion: Ion = dataclasses.replace(model.ion, position=(x, y, z))
    interaction: Interaction = dataclasses.replace(model.interaction, atoms=atoms)
    return Model(lattice, ion, interaction)
