"""Time-local ions in thermal crystals of any kind (`mdlite.kernels.crystal_ensemble`): one crystal drives any number of them."""

from __future__ import annotations

import dataclasses

import numpy as np

from mdlite.crystals.recoil_table import Notice
from mdlite.engines import timelocal
from mdlite.engines.base import Setup
from mdlite.engines.crystal import require_memory
from mdlite.engines.crystal_medium import surroundings
from mdlite.engines.ensemble import MOST_BLOCKS, IonsEngine, ions_at, scratch
from mdlite.kernels import blocks, ensemble
from mdlite.kernels import crystal_ensemble as kernels
from mdlite.kernels.candidates import FreeBox
from mdlite.kernels.types import EnsembleFrames
from mdlite.physics.model import aligned_zeros


class CrystalEnsembleEngine(IonsEngine):
    """Independent ions of one rung in boxes of any crystal that move freely and never feel them; the model is a `CrystalModel`.

    As `mdlite.engines.ensemble.EnsembleEngine`; ``states`` are u, v (p, 3, n1, n2, n3) of each crystal. The crystals take turns, each on all
    threads. notice gets a line if W(0) takes a while. Raises InputError if the machine has not the memory.
    """

    parts = ("model", "method", "dt", "states", "positions", "sample_every", "finite", "guard", "notice")

    def __init__(self, setup: Setup, finite: bool = False, notice: Notice | None = None):
        super().__init__(dataclasses.replace(setup, record_atoms=False))
        model, method = setup.model, setup.method
        self.box = model.box
        require_memory(self.box, len(setup.states))
        self.stencil = self.box.stencil
        self.coupling, self.medium, width, _ = surroundings(model, method, finite, notice)
        self.ions = ions_at(setup, self.guard, timelocal.guess_room(width, method))
        count = min(self.ions.position.shape[1], MOST_BLOCKS)
        self._works = scratch(count, timelocal.work_arrays(len(model.offsets), method == "implicit", width))
        self._start(setup.states)
        for c in range(len(setup.states)):
            ensemble.evaluate_ions(self.coupling, self.medium, self._ions_of(c), self._crystal(c), self.dt, self._works)

    def _start(self, states) -> None:
        """The crystals at t = 0, flat, with a leading axis: u, and v half a step before and behind."""
        u, v = self.box.fields()
        self._u, self._before, self._after = (aligned_zeros(len(states) * len(a)).reshape(len(states), len(a)) for a in (u, v, v))
        for c, (displacement, velocity) in enumerate(states):
            crystal = self._crystal(c)
            self.box.displacements(crystal.u)[...], self.box.velocities(crystal.after)[...] = displacement, velocity
            blocks.drift(crystal.u, crystal.after, self.stencil, 0.0)  # fills the halo
            blocks.kick(crystal.u, crystal.after, self.stencil, self.box.kicks(-0.5 * self.dt))
            crystal.before[:] = crystal.after
            blocks.kick(crystal.u, crystal.after, self.stencil, self.box.kicks(self.dt))

    def _crystal(self, c: int) -> FreeBox:
        own = self.stencil
        shape = (own.size, own.halo, own.u_plane, own.u_pitch, own.v_plane, own.v_pitch)
        return FreeBox(self._u[c], self._before[c], self._after[c], *shape)

    def _displacements(self) -> np.ndarray:
        return np.stack([self.box.displacements(u) for u in self._u])

    def _displaced(self, largest: float) -> str | None:
        return self.model.too_far(largest)

    def state(self) -> dict[str, np.ndarray]:
        """The ions, (L, I, ...), and the crystals as the kernels keep them, (L, ...): u (Å), v half a step before and behind (Å/ps)."""
        crystals = {"crystal_u": self._u, "crystal_before": self._before, "crystal_v": self._after}
        return timelocal.ion_state(self.ions) | self._stops() | crystals

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        for c in range(len(self._u)):
            rows = EnsembleFrames(*(array[:, c] for array in out))
            feels = (self.coupling, self.medium, self._ions_of(c), self._crystal(c))
            kernels.advance(*feels, self.stencil, self.box.kicks(self.dt), self.dt, plan, self._works, rows)

    def _record(self, out: EnsembleFrames) -> None:
        for c in range(len(self._u)):
            ensemble.record(EnsembleFrames(*(array[:, c] for array in out)), 0, self._ions_of(c))
