"""Reference engine: the explicit periodic lattice and the ion, velocity Verlet (`mdlite.kernels.verlet`); one, or several replicas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdlite.engine import Engine, allocate
from mdlite.errors import InputError
from mdlite.kernels import snapshot as kernels
from mdlite.kernels import springs as spring_kernels
from mdlite.kernels import verlet
from mdlite.kernels.types import EnsembleFrames, Frames, IonState, LatticeState
from mdlite.machine import available_memory
from mdlite.model import Model

BYTES_PER_ATOM = 72


class ReferenceEngine(Engine):
    """Lattice and ion, advanced together.

    model: the physics. dt: time step, ps. sample_every: steps between frames. record_atoms: candidate atoms in every frame.
    displacement, velocity: initial state of the framework, (3, Nx, Ny, Nz) in Å and Å/ps; at rest on its sites by default.
    Raises InputError if the machine has not the memory.
    """

    def __init__(
        self, model: Model, dt: float, sample_every: int = 1, record_atoms: bool = False, displacement=None, velocity=None
    ):
        super().__init__(model, "reference", dt, sample_every, record_atoms)
        lattice = model.lattice
        self.springs = lattice.springs()
        self.coupling = model.coupling()
        require_memory(lattice)
        shape = (3, lattice.size[0], lattice.size[1], lattice.size[2] + 2)
        self.lattice = LatticeState(np.zeros(shape), np.zeros(shape), np.zeros(shape))
        if displacement is not None:
            self.lattice.u[..., 1:-1] = displacement
            spring_kernels.fill_halo(self.lattice.u)
        if velocity is not None:
            self.lattice.v[..., 1:-1] = velocity
        self.ion = IonState(
            position=np.array(model.ion.position),
            velocity=np.array(model.ion.velocity),
            inverse_mass=model.ion.inverse_mass,
            force=np.zeros(3),
            atom_force=np.zeros((len(model.offsets), 3)),
            stiffest=np.zeros(1),
        )
        self._partial = np.empty((lattice.size[0], 5))
        self._half_step_back()

    def state(self) -> dict[str, np.ndarray]:
        """Framework u (Å) and v (Å/ps, half a step behind), (3, Nx, Ny, Nz + 2); position (Å) and velocity (Å/ps, half a step behind) of the ion."""
        return {"u": self.lattice.u, "v": self.lattice.v, "position": self.ion.position, "velocity": self.ion.velocity}

    def _half_step_back(self) -> None:
        """Take the synchronous velocities at t = 0 to leap-frog form."""
        verlet.half_step_back(self.lattice, self.springs, self.coupling, self.ion, self.dt)

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        verlet.advance(self.lattice, self.springs, self.coupling, self.ion, self.dt, plan, None, out)
        self._turn(n_steps)

    def _turn(self, n_steps: int) -> None:
        """The two displacement buffers have taken turns for n_steps steps."""
        if n_steps % 2:
            self.lattice = self.lattice._replace(u=self.lattice.u_next, u_next=self.lattice.u)

    def _record(self, out: Frames) -> None:
        verlet.sample(self.lattice, self.springs, self.coupling, self.ion, self.dt, out)

    def budget(self) -> dict[str, float | np.ndarray]:
        """Energies (meV) and momenta (3,) (meV ps/Å; 0 for a frozen axis of the ion) of the present step."""
        out = np.empty(6)
        verlet.energies(self.lattice, self.springs, self.coupling, self.ion, self.dt, self._partial, out)
        velocity = self.ion.velocity + 0.5 * self.dt * self.ion.force * self.ion.inverse_mass
        mass = np.array(self.model.ion.mass)
        return {
            "elastic": out[0],
            "framework_kinetic": out[1],
            "interaction": out[2],
            "ion_kinetic": float(self.model.ion.kinetic_energy(velocity)),
            "framework_momentum": out[3:].copy(),
            "ion_momentum": np.where(np.isfinite(mass), mass, 0.0) * velocity,
        }

    def snapshot(self, extent: int | None, dtype: type, velocities: bool) -> dict[str, np.ndarray]:
        """Positions (Å) and velocities (Å/ps) of all atoms (1, Nx Ny Nz, 3), or of those within ``extent`` cells of the ion's (1, (2 extent)³, 3).

        The atoms of such a block change with the ion; ``lattice_id`` (1, (2 extent)³) says which they are.
        """
        low, shape = np.zeros(3, np.int64), self.model.lattice.size
        if extent is not None:
            low = np.floor(self.ion.position / self.coupling.spacing).astype(np.int64) + 1 - extent
            shape = (2 * extent,) * 3
        position = np.empty((*shape, 3), dtype)
        velocity = np.empty((*shape, 3) if velocities else (0, 0, 0, 3), dtype)
        half = 0.5 * self.dt
        kernels.free_atoms(self.lattice.u, self.lattice.v, self.springs, half, self.coupling.spacing, low, position, velocity)
        out = {"lattice_position": position.reshape(1, -1, 3)}
        if velocities:
            kernels.pulled_atoms(self.coupling, self.lattice, self.springs, self.ion, half, low, velocity)
            out["lattice_velocity"] = velocity.reshape(1, -1, 3)
        if extent is not None:
            sites = [(low[c] + np.arange(shape[c])) % self.model.lattice.size[c] for c in range(3)]
            index = np.meshgrid(*sites, indexing="ij")
            out["lattice_id"] = np.ravel_multi_index(index, self.model.lattice.size).reshape(1, -1)
        return out

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Synchronous copies of the present state: u, v (3, Nx, Ny, Nz) of the framework, R, Ṙ (3,) of the ion (Å, Å/ps)."""
        copy = LatticeState(self.lattice.u.copy(), self.lattice.v.copy(), np.empty_like(self.lattice.u))
        ion = IonState(*(a.copy() for a in self.ion))
        verlet.half_step_back(copy, self.springs, self.coupling, ion, -self.dt)
        return copy.u[..., 1:-1], copy.v[..., 1:-1], ion.position, ion.velocity

    def fault(self) -> str | None:
        """What makes the present state unusable, or None. A cut-off sphere counts on displacements below half the spacing."""
        fault = self.model.ion_fault(self.ion, self.dt)
        if fault is None and np.isfinite(self.coupling.cutoff):
            spring_kernels.largest_squares(self.lattice.u, self._partial)
            largest = float(np.sqrt(np.max(self._partial[:, 0])))
            if not largest < 0.5 * self.model.lattice.spacing:
                drift = np.linalg.norm(self.lattice.u[..., 1:-1].mean(axis=(1, 2, 3)))
                fault = (
                    f"a framework atom is {largest:.3g} Å from its site ({drift:.3g} Å of that is drift of the whole crystal), more than "
                    "half the lattice constant, and the sphere around the ion could miss it; a larger lattice drifts less"
                )
        return fault


class ReplicaEngine(Engine):
    """Several lattices, each with an ion of its own and a ReferenceEngine to look after it, side by side on the threads.

    model, dt, sample_every as for `ReferenceEngine`. states: (displacement, velocity) of each of R lattices at t = 0, (3, Nx, Ny, Nz)
    in Å and Å/ps. Every replica has the bits of the ReferenceEngine alone. Frames are (rows, R, 1, ...); budgets hold arrays (R,).
    Raises InputError if the machine has not the memory.
    """

    def __init__(self, model: Model, dt: float, states: Sequence[tuple[np.ndarray, np.ndarray]], sample_every: int = 1):
        super().__init__(model, "reference", dt, sample_every)
        require_memory(model.lattice, len(states))
        self.replicas = [ReferenceEngine(model, dt, sample_every, displacement=u, velocity=v) for u, v in states]
        self._lattices = LatticeState(*(np.stack(arrays) for arrays in zip(*(r.lattice for r in self.replicas))))
        ions = [np.stack(arrays) for arrays in zip(*(r.ion for r in self.replicas))]
        self._ions = IonState(*ions)._replace(inverse_mass=model.ion.inverse_mass)
        for n, replica in enumerate(self.replicas):
            replica.lattice = LatticeState(*(array[n] for array in self._lattices))
            replica.ion = IonState(**{k: a if k == "inverse_mass" else a[n] for k, a in self._ions._asdict().items()})

    def state(self) -> dict[str, np.ndarray]:
        """As `ReferenceEngine.state`, with a leading axis for the replica."""
        lattices, ions = self._lattices, self._ions
        return {"u": lattices.u, "v": lattices.v, "position": ions.position, "velocity": ions.velocity}

    def _take(self, n_steps: int, out: EnsembleFrames) -> None:
        first = self.replicas[0]
        count = len(self.replicas)
        rows = Frames(*(np.empty((count, *array.shape)) for array in allocate(len(out.position), 0)))
        plan = (self.step, n_steps, self.sample_every)
        verlet.advance_replicas(self._lattices, first.springs, first.coupling, self._ions, self.dt, plan, rows)
        self._hand_on(rows, out)
        for replica in self.replicas:
            replica._turn(n_steps)
        if n_steps % 2:
            self._lattices = self._lattices._replace(u=self._lattices.u_next, u_next=self._lattices.u)

    def _record(self, out: EnsembleFrames) -> None:
        rows = [allocate(1, 0) for _ in self.replicas]
        for replica, row in zip(self.replicas, rows):
            replica._record(row)
        self._hand_on(Frames(*(np.stack(arrays) for arrays in zip(*rows))), out)

    @staticmethod
    def _hand_on(rows: Frames, out: EnsembleFrames) -> None:
        """Frames by replica (R, rows, ...) as one of an ensemble (rows, R, 1, ...)."""
        for name, array in out._asdict().items():
            array[:, :, 0] = np.swapaxes(getattr(rows, name), 0, 1)

    def _allocate(self, rows: int) -> EnsembleFrames:
        shape = (rows, len(self.replicas), 1)
        return EnsembleFrames(np.empty((*shape, 3)), np.empty((*shape, 3)), np.empty(shape))

    def budget(self) -> dict[str, np.ndarray]:
        """As `ReferenceEngine.budget`, every value with a leading axis for the replica."""
        budgets = [replica.budget() for replica in self.replicas]
        return {name: np.stack([budget[name] for budget in budgets]) for name in budgets[0]}

    def fault(self) -> str | None:
        """What makes the present state of a replica unusable, or None."""
        faults = ((n, replica.fault()) for n, replica in enumerate(self.replicas))
        return next((f"lattice {n}: {fault}" for n, fault in faults if fault is not None), None)


def require_memory(lattice, copies: int = 1) -> None:
    """Raise InputError if ``copies`` of the lattice do not fit into the memory that this machine has left."""
    needed, present = BYTES_PER_ATOM * lattice.n_atoms * copies, available_memory()
    if present is not None and needed > present:
        raise InputError(
            f"lattice.size = {list(lattice.size)}{f', {copies} lattices' if copies > 1 else ''}: needs {needed / 1e9:.3g} GB, this machine "
            f"has {present / 1e9:.3g} GB left; at most {int((present / BYTES_PER_ATOM / copies) ** (1 / 3))} atoms a side fit"
        )
