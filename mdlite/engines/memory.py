"""Method ``memory-kernel`` (`mdlite.kernels.memory`): the exact non-local equation of the ion in the infinite crystal, with its memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mdlite.crystals.propagator import TOLD
from mdlite.engines import crystal_memory, timelocal
from mdlite.engines.base import Engine, Setup
from mdlite.engines.crystal_memory import CrystalMemoryEngine
from mdlite.engines.ensemble import crystal_state, moving_crystal
from mdlite.engines.frames import LoneFrames
from mdlite.engines.guard import displaced
from mdlite.engines.kernel_groups import GROUPS, STEP, Group, at_rest, call_all, call_moments, small_model
from mdlite.engines.registry import Method
from mdlite.errors import RunError
from mdlite.kernels import memory as kernels
from mdlite.kernels.coupling import cell_of
from mdlite.kernels.types import Frames, Memory, turn
from mdlite.physics import propagator
from mdlite.physics.model import Model
from mdlite.physics.response import static_recoil
from mdlite.physics.symmetry import canonical, components

if TYPE_CHECKING:
    from mdlite.config import Config

FIRST_REACH, MORE_REACH = 2, 1.5
FARTHEST = 40
"""Sites; beyond, the table of the response would take minutes and gigabytes."""
SPARE_STEPS = 2000
LONGEST_WANDER = 10.0
"""ps; an ion that may go anywhere makes the method slow in a longer run."""


def fixed_vectors(model: Model) -> np.ndarray:
    """The canonical lattice vectors between the atoms of a fixed list, (n, 3)."""
    offsets = model.offsets
    return np.unique(canonical((offsets[:, None] - offsets[None]).reshape(-1, 3)), axis=0)


def is_quick(model: Model, dt: float, window: float, kind: str) -> bool:
    """Whether the response that `MemoryEngine` wants at its start is there in a moment."""
    reach = int(np.ptp(model.offsets, axis=0).max()) + FIRST_REACH
    wanted = np.array([[reach, 0, 0]]) if model.coupling().moving else fixed_vectors(model)
    return propagator.is_quick(model.lattice, wanted, dt, round(window / dt), kind)


class MemoryEngine(Engine[LoneFrames]):
    """The ion in the infinite crystal, which is bare at t = 0 (at rest on its sites, or moving freely from a thermal state) or dressed.

    setup: with ``states`` the free crystal begins in the first of them. window: how long forces are remembered, ps. kind: ``exact``, the response of
    the crystal, or ``verlet``, the response that velocity Verlet with this step has, with which an explicit
    lattice agrees to rounding. dressed: the crystal starts
    at rest, but relaxed around the ion where it starts.
    Raises InputError for a window that is too long for the machine's memory.
    """

    method = "memory-kernel"
    parts = ("model", "dt", "window", "sample_every", "record_atoms", "kind", "states", "dressed", "guard")

    def __init__(self, setup: Setup, window: float, kind: str = "exact", dressed: bool = False):
        super().__init__(setup)
        model, dt, lattice = setup.model, setup.dt, setup.model.lattice
        lattice.require_rigidity("the memory kernel")
        self.kind, self.length = kind, round(window / dt)
        self.coupling = model.coupling()
        self.crystal = moving_crystal(lattice, *setup.states[0], dt) if setup.states else None
        self.springs = lattice.springs()
        n = len(model.offsets)
        self.ion = timelocal.medium_ion(model, self.method)
        self._work = timelocal.work_arrays(n, False)
        slots = n if not self.coupling.moving else 4 * n
        self.held = self._relaxed() if dressed else (np.zeros((0, 3), np.int64), np.zeros((0, 3)))
        self.memory = Memory(
            start_site=self.held[0],
            start_force=self.held[1],
            **self._table(0 if not self.coupling.moving else int(np.ptp(model.offsets, axis=0).max()) + FIRST_REACH),
            site=np.zeros((slots, 3), np.int64),
            force=np.zeros((slots, 3, self.length + SPARE_STEPS)),
            begin=np.zeros(slots, np.int64),
            end=np.zeros(slots, np.int64),
            held=np.zeros(slots, bool),
            slot=np.zeros(n, np.int64),
            count=np.zeros(1, np.int64),
            origin=np.zeros(1, np.int64),
        )
        kernels.take_slots(self.coupling, self.memory, cell_of(self.coupling, self.ion.position), 0)
        kernels.evaluate(self.coupling, self.memory, self.ion, self._work, self.crystal, 0, dt)

    def state(self) -> dict[str, np.ndarray]:
        """The ion, its atoms, the slots in use with the forces since ``origin``, and the crystal of a thermal run."""
        memory = self.memory
        kept = {name: getattr(memory, name) for name in ("slot", "count", "origin", "start_force")}
        used = int(memory.count[0])
        kept |= {name: getattr(memory, name)[:used] for name in ("site", "begin", "end", "held")}
        kept["forces"] = memory.force[:used, :, : self.step - int(memory.origin[0]) + 1]
        kept["room"] = np.array([len(memory.site), memory.lookup.shape[0] - 1])  # slots, and sites that the table reaches
        crystal = {} if self.crystal is None else crystal_state(self.crystal)
        return timelocal.ion_state(self.ion) | {"atoms": self._work.atoms} | kept | crystal

    def restore(self, step: int, state: dict[str, np.ndarray]) -> None:
        """See `Engine.restore`."""
        if state.keys() != self.state().keys():
            raise ValueError(f"the state holds {sorted(state)}, not {sorted(self.state())}")
        slots, reach = (int(n) for n in state["room"])
        while len(self.memory.site) < slots:
            self._more_slots()
        if reach != self.memory.lookup.shape[0] - 1:
            self.memory = self.memory._replace(**self._table(reach))
        self.memory.count[0], self.memory.origin[0], self.step = state["count"][0], state["origin"][0], step
        self.memory.force[...] = 0.0
        super().restore(step, state)

    def _relaxed(self) -> tuple[np.ndarray, np.ndarray]:
        """Sites (A, 3) of the candidates, and ∇_r U of them (A, 3) in meV/Å with the ion at its start and the crystal in equilibrium."""
        return self.model.candidate_sites(self.ion.position), timelocal.relaxed(self.model).gradient

    def _table(self, reach: int) -> dict[str, np.ndarray]:
        """The response table, latest first, for all vectors within ``reach`` sites, or 0: for those between the fixed atoms."""
        if reach > FARTHEST:
            raise RunError(
                f"the ion has touched atoms more than {FARTHEST} sites apart within memory.window = {self.length * self.dt:g} ps; a shorter window "
                "forgets the first of them"
            )
        if reach == 0:
            found = fixed_vectors(self.model)
        else:
            found = np.array([(x, y, z) for x in range(reach + 1) for y in range(x + 1) for z in range(y + 1)])
        table = propagator.response_table(self.model.lattice, found, self.dt, self.length, self.kind)
        lookup = np.full((int(found.max()) + 1,) * 3, -1, np.int64)
        lookup[tuple(found.T)] = np.arange(len(found))
        return {
            "table": np.ascontiguousarray(table[..., ::-1]),
            "lookup": lookup,
            "start_table": self._start_table(found),
        }

    def _start_table(self, found: np.ndarray) -> np.ndarray:
        """W_d at 0 .. L steps for a dressed start; of no length for a bare one."""
        if not len(self.held[0]):
            return np.zeros((len(found), 6, 0))
        static = static_recoil(self.model.lattice, found)
        start = components(static).T[..., None]
        return start - propagator.response_table(self.model.lattice, found, self.dt, self.length, f"{self.kind}-fall")

    def _take(self, n_steps: int, out: Frames) -> None:
        taken = rows = 0
        while taken < n_steps:
            room = self.memory.origin[0] + self.memory.force.shape[2] - (self.step + taken) - 1
            if room == 0:
                self._forget(self.step + taken + 1)
                continue
            plan = (self.step + taken, min(n_steps - taken, int(room)), self.sample_every)
            rest = Frames(*(array[rows:] for array in out))
            done, wrote, missing = kernels.advance(
                self.coupling, self.memory, self.ion, self._work, self.crystal, self.springs, self.dt, plan, rest
            )
            taken, rows = taken + done, rows + wrote
            if self.crystal is not None:
                for _ in range(done % 3):
                    self.crystal = turn(self.crystal)
            if missing == kernels.MORE_SLOTS:
                self._more_slots()
            elif missing == kernels.MORE_REACH:
                self.memory = self.memory._replace(**self._table(int(MORE_REACH * self.memory.lookup.shape[0])))

    def _forget(self, step: int) -> None:
        """Make room for the forces of ``step`` and later ones, by dropping those that no window reaches any more."""
        first = step - self.length
        kept = step - first
        shift = first - self.memory.origin[0]
        self.memory.force[..., :kept] = self.memory.force[..., shift : shift + kept].copy()
        self.memory.force[..., kept:] = 0.0
        self.memory.origin[0] = first

    def _more_slots(self) -> None:
        grown = {}
        for name in ("site", "force", "begin", "end", "held"):
            old = getattr(self.memory, name)
            grown[name] = np.zeros((2 * len(old), *old.shape[1:]), old.dtype)
            grown[name][: len(old)] = old
        self.memory = self.memory._replace(**grown)

    def _record(self, out: Frames) -> None:
        kernels.record(out, 0, self.ion, self._work.atoms)

    def fault(self) -> str | None:
        """What makes the present state unusable, or None."""
        return self.guard.fault(self.ion, float(self.ion.energy[0])) or self._displaced()

    def _displaced(self) -> str | None:
        if self.crystal is None or not np.isfinite(self.coupling.cutoff):
            return None
        return displaced(self.model.lattice, float(np.abs(self.crystal.u).max()))

    def facts(self) -> dict[str, Any]:
        """The window, and what it cuts off: the largest |W_xx| at its end over W(0) of an atom on itself."""
        table = self.memory.table
        left = static_recoil(self.model.lattice, [[0, 0, 0]])[0, 0, 0] - self.dt * (table[0, 0].sum() - 0.5 * table[0, 0, 0])
        return {
            "memory_window_ps": self.length * self.dt,
            "memory_truncation": float(abs(left) / static_recoil(self.model.lattice, [[0, 0, 0]])[0, 0, 0]),
            "memory_reach": self.memory.lookup.shape[0] - 1,
            "memory_slots": int(self.memory.count[0]),
        }


class MemoryKernel(Method):
    """The exact equation, one ion in one crystal."""

    name, rung = "memory-kernel", 10
    thermal = exact = costly = needs_response = crystals = True
    beside_a_lattice: ClassVar = {"memory.kernel": "verlet"}  # the step's error is that of a lattice

    def engine(self, setup: Setup, config: Config) -> Engine:
        """See `Method.engine`."""
        if config.crystal is not None:
            return CrystalMemoryEngine(setup, config.memory_window, kind=config.memory.kernel)
        return MemoryEngine(setup, config.memory_window, kind=config.memory.kernel, dressed=config.memory.start == "dressed")

    def groups(self, config: Config) -> list[str]:
        """See `Method.groups`."""
        if config.crystal is not None:
            return ["crystal-memory"]
        needed = ["memory-kernel" if config.thermal is None else "memory-kernel-thermal"]
        return [*needed, "implicit"] if config.memory.start == "dressed" else needed

    def faults(self, config: Config) -> Iterator[str]:
        """See `Method.faults`."""
        thermal = config.thermal
        if config.crystal is not None:
            if thermal is not None:
                yield 'thermal: method = "memory-kernel" is for T = 0 in a [crystal]; take the [thermal] table out, or use method = "reference"'
            if config.memory.start == "dressed":
                yield 'memory.start = "dressed": is for a [lattice]; must be "bare" in a [crystal]'
            return
        if thermal is not None and (thermal.lattices > 1 or thermal.ions > 1):
            yield (
                f'thermal.lattices = {thermal.lattices}, thermal.ions = {thermal.ions}: method = "memory-kernel" has one ion in one lattice; '
                "run it once for every seed"
            )
        if thermal is not None and config.memory.start == "dressed":
            yield 'memory.start = "dressed": is an equilibrium at T = 0; a thermal crystal starts "bare"'

    def takes_long(self, config: Config) -> str | None:
        """See `Method.takes_long`."""
        if config.run.duration <= LONGEST_WANDER or config.interaction.atoms.kind == "sites":
            return None
        return f"takes long for an ion that may wander for more than {LONGEST_WANDER:g} ps; list it in validate.rungs to have it"

    def notices(self, config: Config, resumed: bool) -> Iterator[str]:
        """See `Method.notices`."""
        if config.crystal is not None:
            model: Any = config.to_model()
            takes = crystal_memory.seconds(model, config.run.dt, config.memory_window)
            if takes > TOLD:
                yield f"the response of the crystal: computed once (about {takes:.0f} s), then kept"
        elif not is_quick(config.to_model(), config.run.dt, config.memory_window, config.memory.kernel):
            yield "the response of the infinite crystal: computed once (some 10 s for 30 ps), then kept"


def _touch(thermal: bool) -> None:
    call_moments()
    model = small_model()
    call_all(MemoryEngine(Setup(model, STEP, states=at_rest(1, model) if thermal else ()), 2.0 * STEP))


GROUPS |= {
    "memory-kernel": Group(
        lambda: _touch(False),
        "coupling.cell_of guard.cause_to_stop memory.advance memory.displace memory.evaluate memory.take_slots "
        "moments.chebyshev_moments potentials.evaluate timelocal.record",
        6.4,
    ),
    "memory-kernel-thermal": Group(
        lambda: _touch(True),
        "coupling.cell_of guard.cause_to_stop memory.advance:2 memory.displace memory.evaluate:2 memory.take_slots "
        "moments.chebyshev_moments potentials.evaluate springs.fill_halo stencil.kick_drift timelocal.record",
        7.9,
    ),
}
