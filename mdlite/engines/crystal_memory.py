"""Method ``memory-kernel`` in any crystal at T = 0 (`mdlite.kernels.crystal_memory`): the exact non-local equation, with the crystal's own response."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite.crystals import propagator
from mdlite.crystals.model import CrystalModel
from mdlite.crystals.response import static_recoil
from mdlite.engines import timelocal
from mdlite.engines.base import Engine, Setup
from mdlite.engines.frames import LoneFrames
from mdlite.engines.kernel_groups import GROUPS, STEP, Group, call_all, small_crystal
from mdlite.errors import InputError, RunError
from mdlite.kernels import crystal_memory as kernels
from mdlite.kernels.crystal_memory import CrystalMemory, SiteWork
from mdlite.kernels.memory import MORE_REACH, MORE_SLOTS
from mdlite.kernels.timelocal import record
from mdlite.kernels.types import Frames

MORE = 1.25
"""How much farther the next table of the response reaches."""
AMPLE = 5e8
"""Bytes of a table that reaches as far as the ion might come, before it is known whether it does."""
SPARE_STEPS = 2000
ROUGHLY = 1e-6
"""Of W(0), for a fact that is only told."""


def touch(model: CrystalModel) -> float:
    """How far (Å) from the ion the site of an atom may be that it touches."""
    return model.atoms.cutoff + (model.allowance if model.atoms.moving else 0.0)


def first_reach(model: CrystalModel, dt: float, length: int) -> float:
    """Å: between atoms that the ion can touch at once and, while the table is of moderate size, between those along a straight flight; 0 for fixed ones."""
    if not model.atoms.moving:
        return 0.0
    least, crystal = 2.0 * touch(model), model.box.crystal
    far = least + float(np.linalg.norm(model.ion.velocity)) * dt * length
    density = 0.5 * crystal.n_basis**2 / crystal.volume  # of pairs
    ample = (AMPLE / (72.0 * (length + 1) * density) / (4.0 / 3.0 * np.pi)) ** (1.0 / 3.0)
    return max(least, min(far, ample))


def pairs_of(model: CrystalModel, reach: float) -> np.ndarray:
    """Pairs (m, 5) of all atoms within ``reach`` (Å) of each other, or 0: of the fixed ones."""
    return propagator.pairs_within(model.box.crystal, reach) if reach else propagator.pairs_between(model.offsets)


def seconds(model: CrystalModel, dt: float, window: float) -> float:
    """What the response that `CrystalMemoryEngine` wants at its start takes, about; 0 if it is in the cache."""
    pairs = pairs_of(model, first_reach(model, dt, round(window / dt)))
    return propagator.seconds(model.box.crystal, pairs, dt * round(window / dt))


class CrystalMemoryEngine(Engine[LoneFrames]):
    """The ion in an infinite crystal that is at rest on its sites at t = 0; the model is a `mdlite.crystals.model.CrystalModel`.

    window: how long forces are remembered, ps. kind: ``exact``, the response of the crystal, or ``verlet``, the response that velocity Verlet with
    this step has, with which an explicit crystal agrees to rounding. notice: is told what takes long. Of atoms that the ion can not reach in a step
    nothing is computed, and frames have them on their sites; with ``record_atoms`` all candidates are.
    Raises InputError for thermal states and a dressed start, which it has not, and for a window that takes hours or too much memory.
    """

    method = "memory-kernel"
    model: Any  # a CrystalModel
    parts = ("model", "dt", "window", "sample_every", "record_atoms", "kind", "dressed", "guard", "notice")

    def __init__(
        self,
        setup: Setup,
        window: float,
        kind: str = "exact",
        dressed: bool = False,
        notice: propagator.Notice | None = None,
    ):
        super().__init__(setup)
        if setup.states:
            raise InputError(
                'method = "memory-kernel": is at T = 0 in a [crystal]; take out thermal, or use method = "reference"'
            )
        if dressed:
            raise InputError('memory.start = "dressed": is for a [lattice]; must be "bare" in a [crystal]')
        model: CrystalModel = self.model
        self.kind, self.length, self.notice = kind, round(window / setup.dt), notice
        self.coupling = model.coupling()
        n = len(model.offsets)
        self.ion = timelocal.medium_ion(self.model, self.method)
        self._work = SiteWork(np.zeros((n, 3)), np.zeros((n, 3)))
        self.reach = first_reach(model, setup.dt, self.length)
        self.memory = CrystalMemory(
            **self._table(self.reach),
            site=np.zeros((n, 4), np.int64),
            force=np.zeros((n, 3, self.length + SPARE_STEPS)),
            begin=np.zeros(n, np.int64),
            end=np.zeros(n, np.int64),
            held=np.zeros(n, bool),
            slot=np.zeros(n, np.int64),
            near=np.zeros(n, np.int64),
            count=np.zeros(2, np.int64),
            origin=np.zeros(1, np.int64),
            within=np.inf if setup.record_atoms else touch(model),
        )
        kernels.take_slots(self.coupling, self.memory, self.ion.position, 0)
        kernels.evaluate(self.coupling, self.memory, self.ion, self._work, 0, self.dt)

    def _table(self, reach: float) -> dict[str, np.ndarray]:
        """The response, latest first, of all atoms within ``reach`` (Å) of each other, or 0: of the fixed ones."""
        crystal, p, found = self.model.box.crystal, self.model.box.crystal.n_basis, pairs_of(self.model, reach)
        table = propagator.response_table(crystal, found, self.dt, self.length, self.kind, self.notice)
        span = np.abs(found[:, 2:]).max(axis=0)
        lookup = np.zeros((p, p, *(2 * span + 1)), np.int64)
        rows, (x, y, z) = np.arange(1, len(found) + 1), found[:, 2:].T
        lookup[found[:, 1], found[:, 0], span[0] - x, span[1] - y, span[2] - z] = -rows
        lookup[found[:, 0], found[:, 1], span[0] + x, span[1] + y, span[2] + z] = rows
        return {"table": np.ascontiguousarray(table[..., ::-1]), "lookup": lookup}

    def state(self) -> dict[str, np.ndarray]:
        """The ion, its atoms, and the slots in use with the forces since ``origin``."""
        memory, used = self.memory, int(self.memory.count[0])
        kept = {name: getattr(memory, name)[:used] for name in ("site", "begin", "end")}
        kept |= {"used": memory.count[:1], "origin": memory.origin}
        kept["forces"] = memory.force[:used, :, : self.step - int(memory.origin[0]) + 1]
        kept["room"] = np.array([float(len(memory.site)), self.reach])  # slots, and Å that the table reaches
        return timelocal.ion_state(self.ion) | {"atoms": self._work.atoms} | kept

    def restore(self, step: int, state: dict[str, np.ndarray]) -> None:
        """See `Engine.restore`."""
        if state.keys() != self.state().keys():
            raise ValueError(f"the state holds {sorted(state)}, not {sorted(self.state())}")
        slots, reach = state["room"].tolist()
        while len(self.memory.site) < slots:
            self._more_slots()
        if reach != self.reach:
            self._reach_farther(reach)
        self.memory.count[0], self.memory.origin[0], self.step = state["used"][0], state["origin"][0], step
        self.memory.force[...] = 0.0
        super().restore(step, state)

    def _take(self, n_steps: int, out: Frames) -> None:
        taken = rows = 0
        while taken < n_steps:
            room = self.memory.origin[0] + self.memory.force.shape[2] - (self.step + taken) - 1
            if room == 0:
                self._forget(self.step + taken + 1)
                continue
            plan = (self.step + taken, min(n_steps - taken, int(room)), self.sample_every)
            rest = Frames(*(array[rows:] for array in out))
            done, wrote, missing = kernels.advance(self.coupling, self.memory, self.ion, self._work, self.dt, plan, rest)
            taken, rows = taken + done, rows + wrote
            if missing == MORE_SLOTS:
                self._more_slots()
            elif missing == MORE_REACH:
                self._reach_farther(max(MORE * self.reach, self._needed(self.step + taken)))

    def _needed(self, step: int) -> float:
        """Å: between the atoms that the ion touches after ``step`` and those that it has touched within the window."""
        memory, used = self.memory, int(self.memory.count[0])
        places = self.model.box.crystal.sites(memory.site[:used])
        own = places[memory.slot[memory.near[: memory.count[1]]]]
        recent = places[memory.end[:used] > step - self.length]
        return 1e-6 + float(np.linalg.norm(own[:, None] - recent, axis=-1).max())

    def _reach_farther(self, reach: float) -> None:
        fault = self.fault()
        if fault is not None:  # an ion that has run away needs no table of minutes
            raise RunError(fault)
        try:
            self.memory = self.memory._replace(**self._table(reach))
        except InputError as error:
            raise RunError(f"the ion has touched atoms more than {self.reach:.3g} Å apart within the window: {error}") from None
        self.reach = reach

    def _forget(self, step: int) -> None:
        """Make room for the forces of ``step`` and later ones, by dropping those that no window reaches any more."""
        first = step - self.length
        shift = first - int(self.memory.origin[0])
        force = self.memory.force
        force[..., : self.length] = force[..., shift : shift + self.length].copy()
        force[..., self.length :] = 0.0
        self.memory.origin[0] = first

    def _more_slots(self) -> None:
        grown = {}
        for name in ("site", "force", "begin", "end", "held"):
            old = getattr(self.memory, name)
            grown[name] = np.zeros((2 * len(old), *old.shape[1:]), old.dtype)
            grown[name][: len(old)] = old
        self.memory = self.memory._replace(**grown)

    def _record(self, out: Frames) -> None:
        record(out, 0, self.ion, self._work.atoms)

    def fault(self) -> str | None:
        """What makes the present state unusable, or None: the ion's own (`guard`), or an atom too far from its site for the sphere around the ion."""
        fault = self.guard.fault(self.ion, float(self.ion.energy[0]))
        if fault is not None or not self.coupling.moving:
            return fault
        return self.model.too_far(float(np.abs(self._work.displacement).max()))

    def facts(self) -> dict[str, Any]:
        """The window, and what it cuts off: the largest element of W at its end, of an atom on itself, over that of W(0)."""
        memory, crystal, atom = self.memory, self.model.box.crystal, int(self.model.offsets[0, 3])
        table = memory.table[memory.lookup[(atom, atom, *(n // 2 for n in memory.lookup.shape[2:]))] - 1].reshape(3, 3, -1)
        start = static_recoil(crystal, [[atom, atom, 0, 0, 0]], ROUGHLY)[0]
        left = start - self.dt * (table.sum(axis=2) - 0.5 * table[..., 0])
        return {
            "memory_window_ps": self.length * self.dt,
            "memory_truncation": float(np.abs(left).max() / np.abs(start).max()),
            "memory_reach_angstrom": self.reach,
            "memory_slots": int(memory.count[0]),
        }


def _touch() -> None:
    model: Any = small_crystal()
    GROUPS["crystal"].touch()
    call_all(CrystalMemoryEngine(Setup(model, STEP), 2.0 * STEP))


GROUPS |= {
    "crystal-memory": Group(
        _touch,
        "blocks.drift blocks.kick crystal_memory.advance crystal_memory.displace crystal_memory.evaluate crystal_memory.take_slots "
        "guard.cause_to_stop potentials.evaluate timelocal.record",
        6.0,
    ),
}
