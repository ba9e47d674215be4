"""Several reference lattices in one run, side by side on the threads."""

from __future__ import annotations

import dataclasses

import numpy as np

from mdlite.engines import blocking, frames
from mdlite.engines.base import Engine, Setup
from mdlite.engines.frames import ManyFrames
from mdlite.engines.reference import ReferenceEngine
from mdlite.kernels import reference as kernels
from mdlite.kernels.types import EnsembleFrames, Frames, IonState, LatticeState


class ReplicaEngine(Engine[ManyFrames]):
    """Several lattices, each with an ion of its own and a ReferenceEngine to look after it, side by side on the threads.

    setup: one replica for each of its R ``states``. Every replica has the bits of the ReferenceEngine alone. Frames are (rows, R, 1, ...);
    budgets hold arrays (R,). Raises InputError if the machine has not the memory.
    """

    method = "reference"
    shown = ManyFrames
    parts = ("model", "dt", "states", "sample_every", "integrator", "guard")

    def __init__(self, setup: Setup):
        super().__init__(dataclasses.replace(setup, record_atoms=False))
        model, count = setup.model, len(setup.states)
        blocking.require_memory(model.lattice, count)
        self.replicas = []
        self.lattices = LatticeState(model.lattice.field(count), model.lattice.field(count))
        """Of all replicas, with a leading axis."""
        self._spare = model.lattice.field(count)
        for n, state in enumerate(setup.states):
            replica = ReferenceEngine(dataclasses.replace(setup, states=[state], record_atoms=False), in_place=False)
            self.lattices.u[n], self.lattices.v[n] = replica.lattice
            self.replicas.append(replica)
        ions = [np.stack(arrays) for arrays in zip(*(r.ion for r in self.replicas))]
        self._ions = IonState(*ions)._replace(inverse_mass=model.ion.inverse_mass)
        for n, replica in enumerate(self.replicas):
            ion = IonState(**{k: a if k == "inverse_mass" else a[n] for k, a in self._ions._asdict().items()})
            replica.live_in(LatticeState(*(array[n] for array in self.lattices)), self._spare[n], ion)

    def state(self) -> dict[str, np.ndarray]:
        """As `ReferenceEngine.state`, with a leading axis for the replica."""
        lattices, ions = self.lattices, self._ions
        return {"u": lattices.u, "v": lattices.v, "position": ions.position, "velocity": ions.velocity}

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """As `ReferenceEngine.synchronous`, with a leading axis for the replica."""
        u, v, position, velocity = (np.stack(arrays) for arrays in zip(*(replica.synchronous() for replica in self.replicas)))
        return u, v, position, velocity

    def ion_forces(self) -> np.ndarray:
        """On the ions at the present step, (R, 3), meV/Å."""
        return np.stack([replica.sample()[1].force[0] for replica in self.replicas])

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        first = self.replicas[0]
        count = len(self.replicas)
        rows = Frames(*(np.empty((count, *array.shape)) for array in frames.lone(len(out.position), 0)))
        plan = (self.step, n_steps, self.sample_every)
        kernels.advance_replicas(self.lattices, self._spare, first.springs, first.coupling, self._ions, first.clock, plan, rows)
        self._hand_on(rows, out)
        for replica in self.replicas:
            replica.turn(n_steps)
        if n_steps * first.integrator.stages % 2:
            self.lattices, self._spare = self.lattices._replace(u=self._spare), self.lattices.u

    def _record(self, out: EnsembleFrames) -> None:
        rows = [replica.sample()[1] for replica in self.replicas]
        self._hand_on(Frames(*(np.stack(arrays) for arrays in zip(*rows))), out)

    @staticmethod
    def _hand_on(rows: Frames, out: EnsembleFrames) -> None:
        """Frames by replica (R, rows, ...) as one of an ensemble (rows, R, 1, ...)."""
        for name, array in out._asdict().items():
            array[:, :, 0] = np.swapaxes(getattr(rows, name), 0, 1)

    def _allocate(self, rows: int) -> EnsembleFrames:
        return frames.many(rows, len(self.replicas), 1)

    def budget(self) -> dict[str, np.ndarray]:
        """As `ReferenceEngine.budget`, every value with a leading axis for the replica."""
        budgets = [budget for replica in self.replicas if (budget := replica.budget()) is not None]
        return {name: np.stack([budget[name] for budget in budgets]) for name in budgets[0]}

    def fault(self) -> str | None:
        """What makes the present state of a replica unusable, or None."""
        faults = ((n, replica.fault()) for n, replica in enumerate(self.replicas))
        return next((f"lattice {n}: {fault}" for n, fault in faults if fault is not None), None)
