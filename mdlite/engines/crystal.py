"""The explicit crystal of any kind, periodic, and the ion in it, by velocity Verlet or another of `mdlite.physics.integrators`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mdlite.crystals.box import Box
from mdlite.engines import frames
from mdlite.engines.base import Engine, Setup, ion_at_start
from mdlite.engines.frames import LoneFrames, ManyFrames
from mdlite.errors import InputError
from mdlite.kernels import blocks
from mdlite.kernels import crystal as kernels
from mdlite.kernels.types import EnsembleFrames, Frames, IonState
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
        require_memory(self.box)
        self.integrator = INTEGRATORS[setup.integrator]
        self.clock = self.integrator.clock(setup.dt)
        self.stencil, self.coupling, self.masses = self.box.stencil, model.coupling(), self.box.crystal.masses
        self.u, self.v = self.box.fields()
        for u, v in setup.states[:1]:
            self.box.displacements(self.u)[...], self.box.velocities(self.v)[...] = u, v
            blocks.drift(self.u, self.v, self.stencil, 0.0)  # fills the halo
        self.ion = ion_at_start(model)
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

    def snapshot(self, extent: int | None, dtype: type, velocities: bool) -> dict[str, np.ndarray]:
        """Positions (Å) and velocities (Å/ps) of all atoms (1, n1 n2 n3 p, 3), in the order n1, n2, n3, κ; or of those in cells within ``extent`` of
        the ion's, ``lattice_id`` (1, ·) saying which they are."""
        u, v, _, _ = self.synchronous()
        size, crystal = np.array(self.box.size), self.box.crystal
        low, shape = np.zeros(3, np.int64), size
        if extent is not None:
            low = np.floor(self.ion.position @ np.linalg.inv(crystal.cell)).astype(np.int64) + 1 - extent
            shape = np.full(3, 2 * extent)
        cells = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) + low
        i, j, k = np.moveaxis(cells % size, -1, 0)
        place = (cells[..., None, :] + crystal.positions) @ crystal.cell
        moved = np.moveaxis(u[:, :, i, j, k], (0, 1), (3, 4))
        out: dict[str, np.ndarray] = {"lattice_position": (place + moved).reshape(1, -1, 3).astype(dtype)}
        if velocities:
            out["lattice_velocity"] = np.moveaxis(v[:, :, i, j, k], (0, 1), (3, 4)).reshape(1, -1, 3).astype(dtype)
        if extent is not None:
            number = np.ravel_multi_index((i, j, k), self.box.size)[..., None] * crystal.n_basis + np.arange(crystal.n_basis)
            out["lattice_id"] = number.reshape(1, -1)
        return out

    def fault(self) -> str | None:
        """What makes the present state unusable, or None: the ion's own (`guard`), or an atom too far from its site for the sphere around the ion."""
        fault = self.guard.fault(self.ion)
        if fault is not None or not self.coupling.moving:
            return fault
        return self.model.too_far(float(np.abs(self.box.displacements(self.u)).max()))


def require_memory(box: Box, count: int = 1) -> None:
    """Raises InputError unless so many boxes fit into the memory that this machine has free."""
    needed, free = (count + 0.5) * box.bytes_per_atom * box.n_atoms, available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"crystal.size = {list(box.size)}: {count * box.n_atoms} atoms need {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free; give a smaller one, or fewer thermal.lattices"
        )


class CrystalReplicas(Engine[ManyFrames]):
    """Several boxes, each with an ion of its own and a `CrystalEngine`, one after the other, each on all threads.

    setup: one replica for each of its R ``states``, with the bits of the CrystalEngine alone. Frames are (rows, R, 1, ...); budgets hold arrays (R,).
    Raises InputError if the machine has not the memory.
    """

    method = "reference"
    shown = ManyFrames
    parts = ("model", "dt", "states", "sample_every", "integrator", "guard")

    def __init__(self, setup: Setup):
        super().__init__(dataclasses.replace(setup, record_atoms=False))
        require_memory(setup.model.box, len(setup.states))
        each = [dataclasses.replace(setup, states=[state], record_atoms=False) for state in setup.states]
        self.replicas = [CrystalEngine(one) for one in each]

    def state(self) -> dict[str, np.ndarray]:
        """As `CrystalEngine.state`, the replica's number behind every name."""
        return {f"{name}_{n}": array for n, replica in enumerate(self.replicas) for name, array in replica.state().items()}

    def restore(self, step: int, state: dict[str, np.ndarray]) -> None:
        """See `Engine.restore`."""
        super().restore(step, state)
        for replica in self.replicas:
            replica.step = step

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """As `CrystalEngine.synchronous`, with a leading axis for the replica."""
        u, v, position, velocity = (np.stack(arrays) for arrays in zip(*(replica.synchronous() for replica in self.replicas)))
        return u, v, position, velocity

    def ion_forces(self) -> np.ndarray:
        """On the ions at the present step, (R, 3), meV/Å."""
        return np.stack([replica.sample()[1].force[0] for replica in self.replicas])

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        self._hand_on([replica.advance(n_steps)[1] for replica in self.replicas], out)

    def _record(self, out: EnsembleFrames) -> None:
        self._hand_on([replica.sample()[1] for replica in self.replicas], out)

    @staticmethod
    def _hand_on(rows: list[LoneFrames], out: EnsembleFrames) -> None:
        """Frames of the replicas, each (rows, ...), as one of an ensemble (rows, R, 1, ...)."""
        for name, array in out._asdict().items():
            array[:, :, 0] = np.stack([getattr(own, name) for own in rows], axis=1)

    def _allocate(self, rows: int) -> EnsembleFrames:
        return frames.many(rows, len(self.replicas), 1)

    def budget(self) -> dict[str, np.ndarray]:
        """As `CrystalEngine.budget`, every value with a leading axis for the replica."""
        budgets = [replica.budget() for replica in self.replicas]
        return {name: np.stack([budget[name] for budget in budgets]) for name in budgets[0]}

    def fault(self) -> str | None:
        """What makes the present state of a replica unusable, or None."""
        faults = ((n, replica.fault()) for n, replica in enumerate(self.replicas))
        return next((f"crystal {n}: {fault}" for n, fault in faults if fault is not None), None)
