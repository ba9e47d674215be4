"""The explicit crystal of any kind, periodic, and the ion in it, by velocity Verlet or another of `mdlite.physics.integrators`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite.engines.base import Engine, Setup
from mdlite.engines.frames import LoneFrames
from mdlite.errors import InputError
from mdlite.kernels import blocks
from mdlite.kernels import crystal as kernels
from mdlite.kernels.types import Frames, IonState
from mdlite.machine import available_memory
from mdlite.physics.integrators import INTEGRATORS


class CrystalEngine(Engine[LoneFrames]):
    """A box of crystal and the ion, advanced together; the model is a `mdlite.crystals.model.CrystalModel`.

    setup: its ``states`` are u, v of the crystal, (p, 3, n1, n2, n3) in Å and Å/ps; none: at rest. Raises InputError if the machine has not the memory.
    """

    method = "reference"
    parts = (*Engine.parts, "displacement", "velocity", "integrator", "guard")

    def __init__(self, setup: Setup):
        super().__init__(setup)
        model = setup.model
        self.box = model.box
        _require_memory(self.box)
        self.integrator = INTEGRATORS[setup.integrator]
        self.clock = self.integrator.clock(setup.dt)
        self.stencil, self.coupling, self.masses = self.box.stencil, model.coupling(), self.box.crystal.masses
        self.u, self.v = self.box.fields()
        for u, v in setup.states[:1]:
            self.box.displacements(self.u)[...], self.box.velocities(self.v)[...] = u, v
            blocks.drift(self.u, self.v, self.stencil, 0.0)  # fills the halo
        self.ion = IonState(
            position=np.array(model.ion.position),
            velocity=np.array(model.ion.velocity),
            inverse_mass=model.ion.inverse_mass,
            force=np.zeros(3),
            atom_force=np.zeros((len(model.offsets), 3)),
            stiffest=np.zeros(1),
        )
        self._shift(self.v, self.ion, -self.clock.half)

    def _shift(self, v: np.ndarray, ion: IonState, time: float) -> None:
        kernels.shift_time(self.u, v, self.stencil, self.coupling, ion, time, 1.0 / self.masses)

    def state(self) -> dict[str, np.ndarray]:
        """u (Å) and v (Å/ps, half a step behind) of the crystal as the kernels keep them; position (Å) and velocity (Å/ps) of the ion."""
        return {"u": self.u, "v": self.v, "position": self.ion.position, "velocity": self.ion.velocity}

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        kernels.advance(self.u, self.v, self.stencil, self.coupling, self.ion, self.clock, 1.0 / self.masses, plan, out)

    def _record(self, out: Frames) -> None:
        kernels.sample(self.u, self.v, self.stencil, self.coupling, self.ion, self.clock.half, 1.0 / self.masses, out)

    def budget(self) -> dict[str, Any]:
        """Energies (meV) and momenta (3,) (meV ps/Å; 0 for a frozen axis of the ion) of the present step."""
        ion, velocity = IonState(*(a.copy() for a in self.ion)), self.v.copy()
        out = self._allocate(1)
        self._record(out)
        self._shift(velocity, ion, self.clock.half)
        total = self._sums(velocity)
        mass = np.array(self.model.ion.mass)
        return {
            "elastic": float(total[kernels.ELASTIC]),
            "framework_kinetic": float(total[kernels.KINETIC]),
            "interaction": float(out.interaction[0]),
            "ion_kinetic": float(self.model.ion.kinetic_energy(ion.velocity)),
            "framework_momentum": total[kernels.MOMENTUM : kernels.MOMENTUM + 3].copy(),
            "ion_momentum": np.where(np.isfinite(mass), mass, 0.0) * ion.velocity,
        }

    def _sums(self, velocity: np.ndarray) -> np.ndarray:
        """Of `mdlite.kernels.crystal.sums`, over the whole box; the largest |u|² among its columns."""
        force = np.zeros_like(self.v)
        blocks.kick(self.u, force, self.stencil, np.ones(len(self.masses)))
        partial = np.empty((3 * len(self.masses), kernels.SUMS))
        kernels.sums(self.u, velocity, force, self.stencil, self.masses, partial)
        total = partial.sum(axis=0)
        total[kernels.LARGEST] = partial[:, kernels.LARGEST].max()
        return total

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Synchronous copies of the present state: u, v (p, 3, n1, n2, n3) of the crystal, R, Ṙ (3,) of the ion (Å, Å/ps)."""
        ion, velocity = IonState(*(a.copy() for a in self.ion)), self.v.copy()
        self._shift(velocity, ion, self.clock.half)
        return self.box.displacements(self.u).copy(), self.box.velocities(velocity).copy(), ion.position, ion.velocity

    def fault(self) -> str | None:
        """What makes the present state unusable, or None: the ion's own (`guard`), or an atom too far from its site for the sphere around the ion."""
        fault = self.guard.fault(self.ion)
        if fault is not None or not self.coupling.moving:
            return fault
        largest = float(np.abs(self.box.displacements(self.u)).max())
        if largest < self.model.allowance:
            return None
        return (
            f"an atom is {largest:.3g} Å from its site, more than half the distance of the nearest atoms, and the sphere around the ion could miss it; the "
            "crystal is too hot, or too soft, for that"
        )


def _require_memory(box) -> None:
    needed, free = 1.5 * box.bytes_per_atom * box.n_atoms, available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"crystal.size = {list(box.size)}: {box.n_atoms} atoms need {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free; give a smaller one"
        )
