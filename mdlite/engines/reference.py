"""Reference engine: the explicit periodic lattice and the ion, velocity Verlet or another of `mdlite.physics.integrators`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite.engines import blocking
from mdlite.engines.base import Engine, Setup, ion_at_start
from mdlite.engines.frames import LoneFrames
from mdlite.engines.guard import displaced
from mdlite.kernels import reference as kernels
from mdlite.kernels import snapshot as snapshot_kernels
from mdlite.kernels import springs as spring_kernels
from mdlite.kernels import wavefront as wavefront_kernels
from mdlite.kernels.springs import ELASTIC, KINETIC, MOMENTUM
from mdlite.kernels.types import Frames, IonState, LatticeState
from mdlite.physics.integrators import INTEGRATORS

MOST_DRIFT = 0.1
"""Lattice constants that a crystal may drift before the cells of its sites are no longer those between its atoms."""
DRIFT_TEXT = (
    "the atoms of a shell are counted from the sites, and would no longer be those around the ion; a larger lattice drifts less, and the crystal of "
    'method = "patch" not at all'
)


class ReferenceEngine(Engine[LoneFrames]):
    """Lattice and ion, advanced together.

    setup: with no ``states`` the framework is at rest on its sites. in_place: how the lattice is stepped, see `mdlite.engines.blocking`; the bits are
    the same. Raises InputError if the machine has not the memory.
    """

    method = "reference"
    parts = (*Engine.parts, "displacement", "velocity", "in_place", "integrator", "guard")

    def __init__(self, setup: Setup, in_place: bool | None = None):
        super().__init__(setup)
        model, lattice = setup.model, setup.model.lattice
        self.integrator = INTEGRATORS[setup.integrator]
        self.clock = self.integrator.clock(setup.dt)
        self.springs = lattice.springs()
        self.coupling = model.coupling()
        front = blocking.wavefront(model, in_place)
        blocking.require_memory(lattice, fields=blocking.arrays_needed(lattice, front))
        self.lattice = LatticeState(lattice.field(), lattice.field())
        self.front = front and blocking.with_room(lattice, front)
        """How the lattice is cut for stepping in place, or None."""
        self.spare = None if front else lattice.field()
        """Where the displacements of the next step go, or None."""
        for u, v in setup.states[:1]:
            lattice.atoms(self.lattice.u)[...], lattice.atoms(self.lattice.v)[...] = u, v
            spring_kernels.fill_halo(self.lattice.u, self.springs)
        self.ion = ion_at_start(model)
        self._partial = np.empty((lattice.size[0], 5))
        self.half_step_back()

    def state(self) -> dict[str, np.ndarray]:
        """Framework u (Å) and v (Å/ps, half a step behind), (3, Nx, Ny, P); position (Å) and velocity (Å/ps, half a step behind) of the ion."""
        return {"u": self.lattice.u, "v": self.lattice.v, "position": self.ion.position, "velocity": self.ion.velocity}

    def half_step_back(self) -> None:
        """Take the synchronous velocities at t = 0 to leap-frog form."""
        kernels.half_step_back(self.lattice, self.springs, self.coupling, self.ion, self.clock.half)

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        feels = (self.springs, self.coupling, self.ion, self.clock, plan)
        if self.front is not None:
            wavefront_kernels.advance(self.lattice, *feels, self.front, out)
            return
        kernels.advance(self.lattice, self.spare, *feels, None, out)
        self.turn(n_steps)

    def turn(self, n_steps: int) -> None:
        """The two arrays of displacements have taken turns for n_steps steps."""
        if n_steps * self.integrator.stages % 2:
            self.lattice, self.spare = self.lattice._replace(u=self.spare), self.lattice.u

    def live_in(self, lattice: LatticeState, spare: np.ndarray, ion: IonState) -> None:
        """Go on in these arrays, which hold the present state: views of larger ones, in which others step it."""
        self.lattice, self.spare, self.ion = lattice, spare, ion

    def _record(self, out: Frames) -> None:
        kernels.sample(self.lattice, self.springs, self.coupling, self.ion, self.clock.half, out)

    def budget(self) -> dict[str, Any] | None:
        """Energies (meV) and momenta (3,) (meV ps/Å; 0 for a frozen axis of the ion) of the present step."""
        out = np.empty(6)
        kernels.energies(self.lattice, self.springs, self.coupling, self.ion, self.clock.half, self._partial, out)
        velocity = self.ion.velocity + self.clock.half * self.ion.force * self.ion.inverse_mass
        mass = np.array(self.model.ion.mass)
        return {
            "elastic": out[ELASTIC],
            "framework_kinetic": out[KINETIC],
            "interaction": out[kernels.INTERACTION],
            "ion_kinetic": float(self.model.ion.kinetic_energy(velocity)),
            "framework_momentum": out[MOMENTUM : MOMENTUM + 3].copy(),
            "ion_momentum": np.where(np.isfinite(mass), mass, 0.0) * velocity,
        }

    def snapshot(self, extent: int | None, dtype: type, velocities: bool) -> dict[str, np.ndarray]:
        """Positions (Å) and velocities (Å/ps) of all atoms (1, Nx Ny Nz, 3), or of those within ``extent`` cells of the ion's (1, (2 extent)³, 3).

        The atoms of such a block change with the ion; ``lattice_id`` (1, (2 extent)³) says which they are.
        """
        low: np.ndarray = np.zeros(3, np.int64)
        shape = self.model.lattice.size
        if extent is not None:
            low = np.floor(self.ion.position / self.coupling.spacing).astype(np.int64) + 1 - extent
            shape = (2 * extent, 2 * extent, 2 * extent)
        position: np.ndarray = np.empty((*shape, 3), dtype)
        velocity: np.ndarray = np.empty((*shape, 3) if velocities else (0, 0, 0, 3), dtype)
        half = self.clock.half
        snapshot_kernels.free_atoms(
            self.lattice.u, self.lattice.v, self.springs, half, self.coupling.spacing, low, position, velocity
        )
        out: dict[str, np.ndarray] = {"lattice_position": position.reshape(1, -1, 3)}
        if velocities:
            snapshot_kernels.pulled_atoms(self.coupling, self.lattice, self.springs, self.ion, half, low, velocity)
            out["lattice_velocity"] = velocity.reshape(1, -1, 3)
        if extent is not None:
            sites = [(low[c] + np.arange(shape[c])) % self.model.lattice.size[c] for c in range(3)]
            index = np.meshgrid(*sites, indexing="ij")
            out["lattice_id"] = np.ravel_multi_index(index, self.model.lattice.size).reshape(1, -1)
        return out

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Synchronous copies of the present state: u, v (3, Nx, Ny, Nz) of the framework, R, Ṙ (3,) of the ion (Å, Å/ps)."""
        copy = LatticeState(self.lattice.u.copy(), self.lattice.v.copy())
        ion = IonState(*(a.copy() for a in self.ion))
        kernels.half_step_back(copy, self.springs, self.coupling, ion, -self.clock.half)
        atoms = self.model.lattice.atoms
        return atoms(copy.u), atoms(copy.v), ion.position, ion.velocity

    def fault(self) -> str | None:
        """What makes the present state unusable, or None. The ion's cell is counted from the sites: a cut-off sphere bears displacements below half
        the spacing, a shell only a crystal that stays in place as a whole. Fixed atoms are met wherever they are."""
        fault = self.guard.fault(self.ion)
        if fault is not None or not self.coupling.moving:
            return fault
        drift, a = self.drift(), self.model.lattice.spacing
        if not np.isfinite(self.coupling.cutoff):
            return (
                f"the whole crystal has drifted by {drift:.3g} Å from its sites; {DRIFT_TEXT}" if drift > MOST_DRIFT * a else None
            )
        spring_kernels.largest_squares(self.lattice.u, self.springs, self._partial)
        fault = displaced(self.model.lattice, float(np.sqrt(np.max(self._partial[:, 0]))))
        return fault and f"{fault}; {drift:.3g} Å of that is drift of the whole crystal, and a larger lattice drifts less"

    def drift(self) -> float:
        """How far the crystal as a whole is from its sites, Å."""
        spring_kernels.displacement_sums(self.lattice.u, self.springs, self._partial)
        return float(np.linalg.norm(self._partial[:, :3].sum(axis=0))) / self.model.lattice.n_atoms
