"""Method ``patch``, the scattered field (`mdlite.kernels.patch`): the ion with the field that it radiates, on a patch that travels with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.engines import crystal_patch, patch_edge
from mdlite.engines.base import Engine, Setup
from mdlite.engines.blocking import require_memory
from mdlite.engines.ensemble import MOST_BLOCKS, IonsEngine, free_start
from mdlite.engines.frames import LoneFrames
from mdlite.engines.guard import Guard
from mdlite.engines.kernel_groups import GROUPS, STEP, Group, at_rest, call_all, call_moments, small_model
from mdlite.engines.registry import Method
from mdlite.errors import InputError
from mdlite.kernels import patch as kernels
from mdlite.kernels import patch_ensemble as ensemble_kernels
from mdlite.kernels.coupling import coupled_forces
from mdlite.kernels.guard import SOUND
from mdlite.kernels.springs import kick
from mdlite.kernels.types import Edge, EnsembleFrames, Frames, IonState, Patches
from mdlite.physics.model import Model

if TYPE_CHECKING:
    from mdlite.config import Config

SMALLEST, LARGEST = 8, 24
"""Atoms along an edge."""
LONGEST_STEP = 0.5
"""1/Ω_max, by the bounds of the patch's edge (`mdlite.engines.patch_edge`)."""
DOUBTFUL = 0.1
"""Error of the friction from which on the user is told."""
AHEAD_BYTES, MOST_AHEAD = 16e6, 64
"""How far a crystal runs ahead of its ions: as many steps as fit into so many bytes, for each takes the ion's patch into the cache once."""


def patches(model: Model, size: int, positions: np.ndarray, guard: Guard) -> Patches:
    """Ions (..., 3), Å, at the model's velocity, each in the middle of a patch with nothing in it. Raises InputError for a patch too small."""
    if size % 2 or size < model.least_patch:
        raise InputError(f"patch.size = {size}: must be even, and at least {model.least_patch} to hold the ion's atoms")
    shape, n = positions.shape[:-1], len(model.offsets)
    field = patch_edge.patch_lattice(model.lattice, size).field
    fields = [field(math.prod(shape)) for _ in range(2)]
    return Patches(
        position=positions,
        velocity=np.tile(np.array(model.ion.velocity), (*shape, 1)),
        inverse_mass=model.ion.inverse_mass,
        force=np.zeros((*shape, 3)),
        atom_force=np.zeros((*shape, n, 3)),
        energy=np.zeros(shape),
        stiffest=np.zeros((*shape, 1)),
        corner=model.middle_cell(positions) - (size // 2 - 1),
        u=fields[0].reshape(*shape, *fields[0].shape[1:]),
        v=fields[1].reshape(*shape, *fields[1].shape[1:]),
        stopped=np.full(shape, -1, np.int64),
        cause=np.full(shape, SOUND, np.int64),
        limits=guard.limits,
    )


def patch_state(found: Patches) -> dict[str, np.ndarray]:
    """What of an ion and its patch decides how they move on."""
    return {name: getattr(found, name) for name in ("position", "velocity", "force", "corner", "u", "v")}


def patch_facts(model: Model, size: int) -> dict[str, Any]:
    """How good the edge is: largest relative errors of the friction up to half of Ω_max, for any two atoms and for eight pushed together."""
    found = patch_edge.fit(model.lattice.k2 / model.lattice.k1, size)
    return {"patch_size": size, "patch_friction_error": found.friction_error, "patch_common_error": found.common_error}


def warning(model: Model, size: int) -> str | None:
    """A line for the user where the patch is not to be trusted blindly, or None."""
    found = patch_edge.fit(model.lattice.k2 / model.lattice.k1, size)
    if found.friction_error < DOUBTFUL:
        return None
    return (
        f"a patch of {size}³ atoms has the friction of this crystal to {100.0 * found.friction_error:.0f} % only (k2/k1 = "
        f'{model.lattice.k2 / model.lattice.k1:.3g}); a larger patch.size is better, method = "memory-kernel" exact'
    )


class PatchEngine(Engine[LoneFrames]):
    """One ion in a crystal that is at rest but for what the ion radiates (T = 0).

    size: atoms along an edge of the patch, even. bounds: `mdlite.engines.patch_edge.Edge`, or None for the fitted one. Raises InputError if W(0)
    diverges (k2 = 0).
    """

    method = "patch"
    parts = ("model", "dt", "size", "sample_every", "record_atoms", "bounds")

    def __init__(self, setup: Setup, size: int, bounds: Edge | None = None):
        super().__init__(setup)
        model, dt = setup.model, setup.dt
        model.lattice.require_rigidity("the patch")
        self.size, self.coupling = size, model.coupling()
        self._fitted = bounds is None
        self.edge = patch_edge.edge(model.lattice, size, dt) if bounds is None else bounds
        self._patch = patches(model, size, np.array([model.ion.position]), self.guard)
        self._room = np.zeros_like(self._patch.u[0])
        kernels.half_step_back(self.coupling, self.ion, *self._fields, None, self.edge, 0.5 * dt)

    @property
    def ion(self) -> IonState:
        """The ion, in leap-frog form."""
        found = self._patch
        return IonState(
            found.position[0], found.velocity[0], found.inverse_mass, found.force[0], found.atom_force[0], found.stiffest[0]
        )

    @property
    def _fields(self) -> tuple[np.ndarray, ...]:
        return self._patch.corner[0], self._patch.u[0], self._patch.v[0]

    def state(self) -> dict[str, np.ndarray]:
        """The ion's position (Å) and velocity (Å/ps, half a step behind), and its patch: first site, δr (Å), δṙ (Å/ps)."""
        return patch_state(self._patch)

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        kernels.advance(self.coupling, self.ion, *self._fields, self._room, self.edge, self.dt, plan, out)

    def _record(self, out: Frames) -> None:
        corner, u, _ = self._fields
        energy = coupled_forces(self.coupling, u, self.ion, corner, None)
        kernels.record(out, 0, energy, self.coupling, self.ion, corner, u, 0.5 * self.dt)

    def fault(self) -> str | None:
        """What makes the present state unusable, or None."""
        return self.guard.fault(self.ion)

    def announcement(self) -> str | None:
        """See `warning`."""
        return warning(self.model, self.size) if self._fitted else None

    def facts(self) -> dict[str, Any]:
        """The patch and its edge."""
        return patch_facts(self.model, self.size) if self._fitted else {"patch_size": self.size}


class PatchEnsembleEngine(IonsEngine):
    """Independent ions, each with its patch, in thermal crystals that move freely and never feel them.

    setup as for `mdlite.engines.ensemble.EnsembleEngine`; size and bounds as for `PatchEngine`.
    """

    method = "patch"
    parts = ("model", "dt", "states", "positions", "size", "sample_every", "bounds", "guard")

    def __init__(self, setup: Setup, size: int, bounds: Edge | None = None):
        super().__init__(dataclasses.replace(setup, record_atoms=False))
        model, dt, states = setup.model, setup.dt, setup.states
        model.lattice.require_rigidity("the patch")
        lattice = model.lattice
        self.size, self.coupling = size, model.coupling()
        self._fitted = bounds is None
        self.edge = patch_edge.edge(lattice, size, dt) if bounds is None else bounds
        self.springs = lattice.springs()
        positions = np.array(setup.positions, float).reshape(len(states), -1, 3)
        crystals, count = positions.shape[:2]
        field = math.prod(lattice.field_shape)
        ahead = int(np.clip(AHEAD_BYTES // (8 * field), 4, MOST_AHEAD))
        own = math.prod(patch_edge.patch_lattice(lattice, size).field_shape)
        require_memory(lattice, crystals, ahead + 2 + (2 * count + 1) * own / field)
        self.ions = patches(model, size, positions, self.guard)
        self._history = lattice.field(crystals * (ahead + 1)).reshape(crystals, ahead + 1, *lattice.field_shape)
        self._velocity = lattice.field(crystals)
        for c, state in enumerate(states):
            self._history[c, 0], self._velocity[c] = free_start(lattice, *state)
            kick(self._history[c, 0], self._velocity[c], self.springs, -0.5 * dt)
        rooms = crystals if crystals > 1 else min(count, MOST_BLOCKS)
        self._rooms = np.zeros((rooms, *self.ions.u.shape[2:]))
        for c in range(crystals):
            own = self._ions_of(c)
            for n in range(count):
                ion = ensemble_kernels.one_patch(own, n)
                fields = (own.corner[n], own.u[n], own.v[n])
                kernels.half_step_back(self.coupling, ion, *fields, self._history[c, 0], self.edge, 0.5 * dt)

    def state(self) -> dict[str, np.ndarray]:
        """The ions and their patches, (L, I, ...), and the crystals, (L, 3, Nx, Ny, P)."""
        return (
            patch_state(self.ions)
            | {"energy": self.ions.energy}
            | self._stops()
            | {"crystal_u": self._history[:, 0], "crystal_v": self._velocity}
        )

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        clock = (self.dt, (self.step, n_steps, self.sample_every))
        feels = (self.springs, self.edge)
        if len(self.ions.position) == 1:
            rows = EnsembleFrames(*(array[:, 0] for array in out))
            own = self._ions_of(0)
            ensemble_kernels.advance_ensemble(
                self.coupling, own, self._history[0], self._velocity[0], *feels, *clock, self._rooms, None, rows
            )
        else:
            ensemble_kernels.advance_all(
                self.coupling, self.ions, self._history, self._velocity, *feels, *clock, self._rooms, out
            )

    def _record(self, out: EnsembleFrames) -> None:
        for c in range(len(self.ions.position)):
            rows = EnsembleFrames(*(array[:, c] for array in out))
            own = self._ions_of(c)
            for n in range(own.position.shape[0]):
                ion = ensemble_kernels.one_patch(own, n)
                if own.stopped[n] < 0:
                    own.energy[n] = coupled_forces(self.coupling, own.u[n], ion, own.corner[n], self._history[c, 0])
                ensemble_kernels.show(rows, 0, n, own.energy[n], ion, 0.5 * self.dt)

    def announcement(self) -> str | None:
        """See `warning`."""
        return warning(self.model, self.size) if self._fitted else None

    def facts(self) -> dict[str, Any]:
        """The ions that ran away, the patch and its edge."""
        return super().facts() | (patch_facts(self.model, self.size) if self._fitted else {"patch_size": self.size})

    def _displacements(self) -> np.ndarray:
        return self._history[:, 0]

    def _velocities(self) -> np.ndarray:
        return self.ions.velocity + 0.5 * self.dt * self.ions.force * self.ions.inverse_mass


class Patch(Method):
    """A piece of crystal that travels with the ion and absorbs at its edge."""

    name, rung = "patch", 20
    thermal = many_lattices = many_ions = thermal_rung = True
    steps_atoms = needs_response = measured = costly = crystals = True

    def engine(self, setup: Setup, config: Config) -> Engine:
        """See `Method.engine`."""
        if config.crystal is not None:
            return crystal_patch.CrystalPatchEngine(setup, size=config.patch.size)
        return (PatchEngine if config.thermal is None else PatchEnsembleEngine)(setup, size=config.patch.size)

    def groups(self, config: Config) -> list[str]:
        """See `Method.groups`."""
        if config.crystal is not None:
            return ["crystal-patch"]
        thermal = config.thermal
        needed = "patch" if thermal is None else f"patches-{1 if thermal.lattices == 1 else 2}"
        return [needed] if self._is_fitted(config) else [needed, "edge"]

    def faults(self, config: Config) -> Iterator[str]:
        """See `Method.faults`."""
        if config.crystal is not None:
            yield from crystal_patch.faults(config, LARGEST)
            return
        limit = LONGEST_STEP / config.to_model().lattice.omega_max
        if config.run.dt >= limit:
            yield f"run.dt = {config.run.dt:g}: must be below {LONGEST_STEP:g}/Omega_max = {limit:.6g} ps, which the light atoms at the edge of a patch bear"
        if config.thermal is not None and config.thermal.motion == "modes":
            yield 'thermal.motion = "modes": is for the time-local rungs; the crystal of method = "patch" moves by "verlet"'

    def faults_of_atoms(self, config: Config) -> Iterator[str]:
        """See `Method.faults_of_atoms`."""
        size, least = config.patch.size, config.to_model().least_patch
        if least > size:
            cure = f"give {least}" if least <= LARGEST else f"{LARGEST} is the most; give fewer atoms, or another method"
            yield f"patch.size = {size}: the ion's atoms reach over {least} sites around its cell, and the patch must hold them; {cure}"

    def notices(self, config: Config, resumed: bool) -> Iterator[str]:
        """See `Method.notices`."""
        if config.crystal is not None:
            yield from crystal_patch.notices(config)
        elif not self._is_fitted(config):
            yield "the edge of the patch: fitted once for this k2/k1 and size (half a minute), then kept"

    @staticmethod
    def _is_fitted(config: Config) -> bool:
        return patch_edge.is_known(config.lattice.k2 / config.lattice.k1, config.patch.size)


def _edge() -> None:
    call_moments()
    lattice = small_model().lattice
    history = np.zeros((2, *patch_edge.patch_lattice(lattice, 8).field_shape))
    kernels.impulse(np.full(3, 3), 0, patch_edge.open_edge(lattice, 8, STEP), STEP, history)


def _alone() -> None:
    model = small_model()
    call_all(PatchEngine(Setup(model, STEP), 8, bounds=patch_edge.open_edge(model.lattice, 8, STEP)))


def _crystals(lattices: int) -> None:
    model = small_model()
    setup = Setup(model, STEP, states=at_rest(lattices, model), positions=np.full((lattices, 1, 3), 1.5))
    call_all(PatchEnsembleEngine(setup, 8, bounds=patch_edge.open_edge(model.lattice, 8, STEP)))


GROUPS |= {
    "edge": Group(_edge, "moments.chebyshev_moments patch.impulse", 2.3),
    "patch": Group(
        _alone,
        "guard.cause_to_stop coupling.coupled_forces:2 patch.advance patch.half_step_back patch.record potentials.evaluate",
        2.5,
    ),
    "patches-1": Group(
        lambda: _crystals(1),
        "coupling.coupled_forces:3 patch.half_step_back:2 patch_ensemble.advance_ensemble patch_ensemble.show "
        "patch_ensemble.travel_all potentials.evaluate springs.fill_halo springs.kick stencil.kick_drift",
        7.0,
    ),
    "patches-2": Group(
        lambda: _crystals(2),
        "coupling.coupled_forces:3 patch.half_step_back:2 patch_ensemble.advance_all patch_ensemble.show "
        "patch_ensemble.travel_all:2 potentials.evaluate springs.fill_halo springs.kick stencil.kick_drift",
        9.8,
    ),
}
