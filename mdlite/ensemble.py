"""Engine of time-local ions in a thermal crystal (`mdlite.kernels.ensemble`): one lattice drives any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite import timelocal
from mdlite.engine import Engine
from mdlite.kernels import ensemble as kernels
from mdlite.kernels import springs as spring_kernels
from mdlite.kernels.types import Crystal, Ensemble, EnsembleFrames, MediumWork, Springs
from mdlite.model import Lattice, Model

MOST_BLOCKS = 64
RUNAWAY_CROSSING = 0.1
"""An ion that crosses more than this part of the lattice constant in one step has run away."""


def moving_crystal(lattice: Lattice, displacement: np.ndarray, velocity: np.ndarray, dt: float) -> Crystal:
    """The three steps of velocity Verlet around a state u, v (3, Nx, Ny, Nz) in Å and Å/ps, for a step of dt (ps)."""
    springs = Springs(float(lattice.k1), float(lattice.k2), float(lattice.mass))
    shape = (3, lattice.size[0], lattice.size[1], lattice.size[2] + 2)
    u, v, before, after = (np.zeros(shape) for _ in range(4))
    u[..., 1:-1], v[..., 1:-1] = displacement, velocity
    spring_kernels.fill_halo(u)
    spring_kernels.kick_drift(u, v, before, springs, -0.5 * dt, -dt)  # v at step -1/2, and u - dt v: the step before
    spring_kernels.kick_drift(u, v, after, springs, dt, dt)
    return Crystal(before, u, after, v)


def starting_positions(model: Model, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 3), Å: the model's own position, and the same place in cells drawn at random."""
    cells = rng.integers(0, model.lattice.size, (count, 3))
    cells[0] = 0
    return np.array(model.ion.position) + cells * model.lattice.spacing


class EnsembleEngine(Engine):
    """``count`` independent ions of one rung in one crystal that moves freely and never feels them.

    displacement, velocity: state of the crystal at t = 0, (3, Nx, Ny, Nz) in Å and Å/ps. positions: of the ions, (count, 3) in Å; all
    start with the model's ion velocity. dt (ps), sample_every (steps), finite as for `mdlite.timelocal.TimeLocalEngine`.
    An ion that runs away (faster than a tenth of a cell a step, or not finite) is stopped, and listed by `facts`.
    """

    def __init__(
        self, model: Model, method: str, dt: float, displacement, velocity, positions, sample_every: int = 1, finite=False
    ):
        super().__init__(model, method, dt, sample_every)
        lattice = model.lattice
        self.springs = Springs(float(lattice.k1), float(lattice.k2), float(lattice.mass))
        self.crystal = moving_crystal(lattice, displacement, velocity, dt)
        self.coupling = model.coupling()
        self.medium = timelocal.medium(model, method, finite)
        self.fastest = RUNAWAY_CROSSING * lattice.spacing / dt
        self.implicit = True if method == "implicit" else None
        positions = np.array(positions, float).reshape(-1, 3)
        count = len(positions)
        self.ions = Ensemble(
            position=positions,
            velocity=np.tile(np.array(model.ion.velocity), (count, 1)),
            inverse_mass=model.ion.inverse_mass,
            force=np.zeros((count, 3)),
            effective=positions.copy(),
            energy=np.zeros(count),
            stopped=np.full(count, -1, np.int64),
        )
        blocks = min(count, MOST_BLOCKS)
        one = timelocal.work_arrays(len(model.offsets), method == "implicit")
        works = MediumWork(*(np.zeros((blocks, *array.shape), array.dtype) for array in one))
        self._scratch = (np.zeros((blocks, len(model.offsets), 3)), works)
        kernels.evaluate_ions(self.coupling, self.medium, self.implicit, self.ions, self.crystal, dt, *self._scratch)

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        kernels.advance(
            self.coupling,
            self.medium,
            self.implicit,
            self.ions,
            self.crystal,
            self.springs,
            self.dt,
            (self.step, n_steps, self.sample_every),
            self.fastest,
            self._scratch,
            out,
        )
        for _ in range(n_steps % 3):
            self.crystal = kernels.turn(self.crystal)

    def _record(self, out: EnsembleFrames) -> None:
        kernels.record(out, 0, self.ions)

    def _allocate(self, rows: int) -> EnsembleFrames:
        count = len(self.ions.position)
        return EnsembleFrames(np.empty((rows, count, 3)), np.empty((rows, count, 3)), np.empty((rows, count)))

    def fault(self) -> str | None:
        """Why the run can not go on, or None: every single ion has run away."""
        return "every ion has run away" if np.all(self.ions.stopped >= 0) else None

    def facts(self) -> dict[str, Any]:
        """The ions that ran away: which, when (ps), where (Å) and how fast (Å/ps); their later frames repeat that state."""
        gone = np.nonzero(self.ions.stopped >= 0)[0]
        return {
            "ions": len(self.ions.position),
            "run_aways": [
                {
                    "ion": int(n),
                    "time_ps": float(self.ions.stopped[n] * self.dt),
                    "position_A": self.ions.position[n].tolist(),
                    "velocity_A_per_ps": self.ions.velocity[n].tolist(),
                }
                for n in gone
            ],
        }
