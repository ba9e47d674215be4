"""Engine of time-local ions in thermal crystals (`mdlite.kernels.ensemble`): one lattice drives any number of them."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from typing import Any

import numpy as np

from mdlite.analysis import losses
from mdlite.crystals.model import CrystalModel
from mdlite.engines import frames, timelocal
from mdlite.engines.base import Engine, Setup
from mdlite.engines.frames import ManyFrames
from mdlite.engines.guard import Guard, displaced
from mdlite.errors import InputError
from mdlite.kernels import ensemble as kernels
from mdlite.kernels.guard import SOUND
from mdlite.kernels.springs import fill_halo
from mdlite.kernels.stencil import kick_drift
from mdlite.kernels.types import Coupling, Crystal, Ensemble, EnsembleFrames, MediumWork, Patches, turn
from mdlite.physics.model import Lattice, Model, aligned_zeros
from mdlite.physics.modes import ModeMotion

MOST_BLOCKS = 64


def free_start(lattice: Lattice, displacement: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A state u, v (3, Nx, Ny, Nz) in Å and Å/ps as arrays of the kernels, halo filled."""
    u, v = lattice.field(), lattice.field()
    lattice.atoms(u)[...], lattice.atoms(v)[...] = displacement, velocity
    fill_halo(u, lattice.springs())
    return u, v


def moving_crystal(lattice: Lattice, displacement: np.ndarray, velocity: np.ndarray, dt: float) -> Crystal:
    """The three steps of velocity Verlet around a state u, v (3, Nx, Ny, Nz) in Å and Å/ps, for a step of dt (ps)."""
    springs = lattice.springs()
    u, v = free_start(lattice, displacement, velocity)
    before, after = lattice.field(), lattice.field()
    kick_drift(u, v, before, springs, -0.5 * dt, -dt)  # v at step -1/2, and u - dt v: the step before
    kick_drift(u, v, after, springs, dt, dt)
    return Crystal(before, u, after, v)


def crystal_state(crystal: Crystal) -> dict[str, np.ndarray]:
    """What of a crystal decides how it moves on: u at the present step and the next (Å), v between them (Å/ps)."""
    return {"crystal_u": crystal.u, "crystal_after": crystal.after, "crystal_v": crystal.v}


def starting_positions(model: Model | CrystalModel, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 3), Å: the model's own position, and the same place in other cells drawn at random, no cell twice.

    Raises InputError for more ions than cells: ions that start alike in one cell would move alike.
    """
    size, kind = (model.lattice.size, "lattice") if isinstance(model, Model) else (model.box.size, "crystal")
    cells = math.prod(size)
    if count > cells:
        raise InputError(f"thermal.ions = {count}: a {kind} of {list(size)} has only {cells} cells to start from")
    drawn = 1 + rng.choice(cells - 1, count - 1, replace=False)  # 0 is the model's own
    index = np.stack(np.unravel_index(np.concatenate([[0], drawn]), size), axis=1)
    step = index * model.lattice.spacing if isinstance(model, Model) else index @ model.box.crystal.cell
    return np.array(model.ion.position) + step


def ions_at(setup: Setup, guard: Guard, guess: int) -> Ensemble:
    """The ions of a setup at their start, (L, I, ...), with no forces yet. guess: length of that of each."""
    positions = np.array(setup.positions, float).reshape(len(setup.states), -1, 3)
    each = positions.shape[:2]
    return Ensemble(
        position=positions,
        velocity=np.tile(np.array(setup.model.ion.velocity), (*each, 1)),
        inverse_mass=setup.model.ion.inverse_mass,
        force=np.zeros(positions.shape),
        effective=positions.copy(),
        energy=np.zeros(each),
        stiffest=np.zeros(each),
        guess=np.zeros((*each, guess)),
        stopped=np.full(each, -1, np.int64),
        cause=np.full(each, SOUND, np.int64),
        limits=guard.limits,
    )


def scratch(blocks: int, one: MediumWork) -> MediumWork:
    """Scratch space for so many blocks of ions, each like ``one``."""
    room = aligned_zeros(blocks * len(one.lanes)).reshape(blocks, -1)
    return MediumWork(*(np.zeros((blocks, *a.shape), a.dtype) for a in one))._replace(lanes=room)


class IonsEngine(Engine[ManyFrames]):
    """What the engines of many ions share: ``ions`` (of `mdlite.kernels.types`), (L, I, ...) for I ions in each of L crystals."""

    shown = ManyFrames
    ions: Ensemble | Patches
    coupling: Coupling

    def _ions_of(self, c: int) -> Ensemble | Patches:
        """The ions of crystal c, as views."""
        shared = ("inverse_mass", "limits")
        return type(self.ions)(**{name: a if name in shared else a[c] for name, a in self.ions._asdict().items()})

    def _velocities(self) -> np.ndarray:
        """Of the ions at the present step, Å/ps."""
        return self.ions.velocity

    def _allocate(self, rows: int) -> EnsembleFrames:
        return frames.many(rows, *self.ions.position.shape[:2])

    @abstractmethod
    def _displacements(self) -> np.ndarray:
        """Of the crystals' atoms at the present step, Å."""

    def ion_forces(self) -> np.ndarray:
        """On the ions at the present step, (L I, 3), meV/Å; of one that was stopped, its last."""
        return self.ions.force.reshape(-1, 3)

    def _stops(self) -> dict[str, np.ndarray]:
        """What of the stopped ions has to be kept, (L, I)."""
        return {name: getattr(self.ions, name) for name in ("stopped", "cause", "stiffest")}

    def restore(self, step: int, state: dict[str, np.ndarray]) -> None:
        """See `Engine.restore`; states of earlier versions do not say why an ion was stopped."""
        super().restore(step, {name: np.zeros_like(array) for name, array in self._stops().items()} | state)

    def fault(self) -> str | None:
        """Why the run cannot go on, or None: every single ion has been stopped, or a crystal's atoms are too far from their sites."""
        if np.all(self.ions.stopped >= 0):
            return "; ".join(["every ion has run away", *losses.lines(self.facts(), self.method)])
        return self._displaced(float(np.abs(self._displacements()).max())) if np.isfinite(self.coupling.cutoff) else None

    def _displaced(self, largest: float) -> str | None:
        """What is wrong with a crystal whose atoms are up to ``largest`` (Å) from their sites, or None."""
        return displaced(self.model.lattice, largest)

    def facts(self) -> dict[str, Any]:
        """The ions that were stopped: which, when (ps), where (Å), how fast (Å/ps), whether the ``cause`` is the step or the method, the reason, and
        the step that would do (ps), if any; their later frames repeat that state."""
        stopped, cause, stiffest = (array.reshape(-1) for array in self._stops().values())
        energy = self.ions.energy.reshape(-1)
        position, velocity = self.ions.position.reshape(-1, 3), self._velocities().reshape(-1, 3)
        return {
            "ions": len(stopped),
            "run_aways": [
                {
                    "ion": int(n),
                    "time_ps": float(stopped[n] * self.dt),
                    "position_A": position[n].tolist(),
                    "velocity_A_per_ps": velocity[n].tolist(),
                    **self.guard.entry(int(cause[n]), position[n], velocity[n], float(stiffest[n]), float(energy[n])),
                }
                for n in np.nonzero(stopped >= 0)[0]
            ],
        }


class EnsembleEngine(IonsEngine):
    """Independent ions of one rung in crystals that move freely and never feel them.

    setup: ``states`` of the crystals, ``positions`` of the ions, which all start with the model's ion velocity. finite as for
    `mdlite.engines.timelocal.TimeLocalEngine`. An ion that its ``guard`` gives up is stopped, and listed by `facts`.
    """

    parts = ("model", "method", "dt", "states", "positions", "sample_every", "finite", "guard")

    def __init__(self, setup: Setup, finite: bool = False):
        super().__init__(dataclasses.replace(setup, record_atoms=False))
        model, method, dt, states = setup.model, setup.method, setup.dt, setup.states
        self.springs = model.lattice.springs()
        self.coupling, self.medium = model.coupling(), timelocal.medium(model, method, finite)
        self.ions = ions_at(setup, self.guard, timelocal.guess_room(len(model.offsets), method))
        crystals, count = self.ions.position.shape[:2]
        blocks = crystals if crystals > 1 else min(count, MOST_BLOCKS)
        self._works = scratch(blocks, timelocal.work_arrays(len(model.offsets), method == "implicit"))
        self.crystals = self._start(states)
        for c in range(crystals):
            kernels.evaluate_ions(self.coupling, self.medium, self._ions_of(c), self._crystal(c), dt, self._works)

    def _start(self, states) -> Crystal:
        """The crystals around t = 0, with a leading axis."""
        parts = [moving_crystal(self.model.lattice, u, v, self.dt) for u, v in states]
        return Crystal(*(np.stack(arrays) for arrays in zip(*parts)))

    def _displacements(self) -> np.ndarray:
        return np.asarray(self.crystals.u)

    def _crystal(self, c: int) -> Crystal:
        return Crystal(*(array[c] for array in self.crystals))

    def state(self) -> dict[str, np.ndarray]:
        """The ions, (L, I, ...), and the crystals, (L, 3, Nx, Ny, P)."""
        return timelocal.ion_state(self.ions) | self._stops() | crystal_state(self.crystals)

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        clock = (self.dt, (self.step, n_steps, self.sample_every))
        feels = (self.coupling, self.medium)
        if len(self.ions.position) == 1:
            rows = EnsembleFrames(*(array[:, 0] for array in out))
            kernels.advance(*feels, self._ions_of(0), self._crystal(0), self.springs, *clock, None, self._works, rows)
        else:
            kernels.advance_all(*feels, self.ions, self.crystals, self.springs, *clock, self._works, out)
        for _ in range(n_steps % 3):
            self.crystals = turn(self.crystals)

    def _record(self, out: EnsembleFrames, row: int = 0) -> None:
        for c in range(len(self.ions.position)):
            kernels.record(EnsembleFrames(*(array[:, c] for array in out)), row, self._ions_of(c))


class ModesEngine(EnsembleEngine):
    """The same with crystals that move exactly, by their normal modes (`mdlite.physics.modes`)."""

    def _start(self, states) -> Crystal:
        self._motions = [ModeMotion(self.model.lattice, u, v, self.dt) for u, v in states]
        return Crystal(*(list(arrays) for arrays in zip(*(motion.crystal for motion in self._motions))))

    def state(self) -> dict[str, np.ndarray]:
        """The ions, (L, I, ...), and the Bloch amplitudes of every crystal."""
        amplitudes = {f"modes_{n}": motion.amplitudes for n, motion in enumerate(self._motions)}
        return timelocal.ion_state(self.ions) | self._stops() | amplitudes

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        row = 0
        for step in range(self.step, self.step + n_steps):
            if step % self.sample_every == 0:
                self._record(out, row)
                row += 1
            for c, motion in enumerate(self._motions):
                ions = self._ions_of(c)
                kernels.move_ions(self.coupling, self.medium, ions, motion.step(), self.dt, step + 1, self._works)
