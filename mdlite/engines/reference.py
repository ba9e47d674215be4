"""Reference engine: the explicit periodic lattice and the ion, velocity Verlet or another of `mdlite.physics.integrators`; one, or several replicas."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mdlite.engines.base import Engine, allocate
from mdlite.engines.guard import Guard, displaced
from mdlite.errors import InputError
from mdlite.kernels import snapshot as kernels
from mdlite.kernels import springs as spring_kernels
from mdlite.kernels import verlet
from mdlite.kernels import wavefront as wavefront_kernels
from mdlite.kernels.jit import get_num_threads
from mdlite.kernels.types import EnsembleFrames, Frames, IonState, LatticeState, Wavefront
from mdlite.machine import available_memory, core_cache
from mdlite.physics.integrators import INTEGRATORS
from mdlite.physics.model import Model, aligned_zeros

CACHE_SHARE = 0.6
"""Part of a core's cache that a tile's rows may take."""
MOST_DRIFT = 0.1
"""Lattice constants that a crystal may drift before the cells of its sites are no longer those between its atoms."""
DRIFT_TEXT = (
    "the atoms of a shell are counted from the sites, and would no longer be those around the ion; a larger lattice drifts less, and the crystal of "
    'method = "patch" not at all'
)
BEYOND_CACHE = 8
"""From so many times the cores' own caches on, fetching a plane in advance pays (measured: N = 100 to 400 gain 4 to 14 %, N = 40 loses 7 %)."""
STREAMS = 8
"""Fields of a plane that are in use at a time: three planes of u, three in between, two of v."""


def wavefront(model: Model, in_place: bool | None = None) -> Wavefront | None:
    """How a large lattice is cut for two steps in one pass, without its ``room``; None: it takes turns between two arrays of displacements.

    in_place: True or False to decide it, None for what is faster: in place where the lattice fills
    the caches, and the candidates are in so few planes that most threads get a chunk.
    """
    lattice, threads, cache = model.lattice, get_num_threads(), core_cache()
    planes, rows = lattice.size[0], lattice.size[1]
    lowest = int(model.offsets[:, 0].min())
    held = int(np.ptp(model.offsets[:, 0])) + 2
    chunks = min(threads, planes // (held + 3))
    small = 24 * math.prod(lattice.field_shape) <= threads * cache
    if in_place is False or chunks == 0 or (in_place is None and (small or 2 * chunks < threads)):
        return None
    fit = int(CACHE_SHARE * cache / (8 * 3 * lattice.field_shape[3] * STREAMS))
    tiles = -(-rows // max(fit, 4))
    beyond = 16 * math.prod(lattice.field_shape) > BEYOND_CACHE * threads * cache
    return Wavefront(
        np.empty(0), chunks, max(-(-rows // tiles), 2), held, lowest, math.prod(lattice.field_shape[2:]) if beyond else 0
    )


class ReferenceEngine(Engine):
    """Lattice and ion, advanced together.

    model: the physics. dt: time step, ps. sample_every: steps between frames. record_atoms: candidate atoms in every frame.
    displacement, velocity: initial state of the framework, (3, Nx, Ny, Nz) in Å and Å/ps; at rest on its sites by default.
    in_place: how the lattice is stepped, see `wavefront`; the bits are the same. integrator: one of `mdlite.physics.integrators`.
    Raises InputError if the machine has not the memory.
    """

    def __init__(
        self,
        model: Model,
        dt: float,
        sample_every: int = 1,
        record_atoms: bool = False,
        displacement=None,
        velocity=None,
        in_place: bool | None = None,
        integrator: str = "velocity-verlet",
        guard: Guard | None = None,
    ):
        super().__init__(model, "reference", dt, sample_every, record_atoms, guard)
        lattice = model.lattice
        self.integrator = INTEGRATORS[integrator]
        self.clock = self.integrator.clock(dt)
        self.springs = lattice.springs()
        self.coupling = model.coupling()
        front = wavefront(model, in_place)
        require_memory(lattice, fields=_fields(model, front))
        self.lattice = LatticeState(lattice.field(), lattice.field())
        self._front = front and front._replace(room=aligned_zeros(wavefront_kernels.room_needed(lattice.field_shape, front)))
        self._u_next = None if front else lattice.field()
        self.guard = guard or Guard.among(
            model, "reference", dt, [] if velocity is None else [(displacement, velocity)], self.integrator.turn
        )
        if displacement is not None:
            lattice.atoms(self.lattice.u)[...] = displacement
            spring_kernels.fill_halo(self.lattice.u, self.springs)
        if velocity is not None:
            lattice.atoms(self.lattice.v)[...] = velocity
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
        """Framework u (Å) and v (Å/ps, half a step behind), (3, Nx, Ny, P); position (Å) and velocity (Å/ps, half a step behind) of the ion."""
        return {"u": self.lattice.u, "v": self.lattice.v, "position": self.ion.position, "velocity": self.ion.velocity}

    def _half_step_back(self) -> None:
        """Take the synchronous velocities at t = 0 to leap-frog form."""
        verlet.half_step_back(self.lattice, self.springs, self.coupling, self.ion, self.clock.half)

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        feels = (self.springs, self.coupling, self.ion, self.clock, plan)
        if self._front is not None:
            wavefront_kernels.advance(self.lattice, *feels, self._front, out)
            return
        verlet.advance(self.lattice, self._u_next, *feels, None, out)
        self._turn(n_steps)

    def _turn(self, n_steps: int) -> None:
        """The two displacement buffers have taken turns for n_steps steps."""
        if n_steps * self.integrator.stages % 2:
            self.lattice, self._u_next = self.lattice._replace(u=self._u_next), self.lattice.u

    def _record(self, out: Frames) -> None:
        verlet.sample(self.lattice, self.springs, self.coupling, self.ion, self.clock.half, out)

    def budget(self) -> dict[str, float | np.ndarray]:
        """Energies (meV) and momenta (3,) (meV ps/Å; 0 for a frozen axis of the ion) of the present step."""
        out = np.empty(6)
        verlet.energies(self.lattice, self.springs, self.coupling, self.ion, self.clock.half, self._partial, out)
        velocity = self.ion.velocity + self.clock.half * self.ion.force * self.ion.inverse_mass
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
        half = self.clock.half
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
        copy = LatticeState(self.lattice.u.copy(), self.lattice.v.copy())
        ion = IonState(*(a.copy() for a in self.ion))
        verlet.half_step_back(copy, self.springs, self.coupling, ion, -self.clock.half)
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


class ReplicaEngine(Engine):
    """Several lattices, each with an ion of its own and a ReferenceEngine to look after it, side by side on the threads.

    model, dt, sample_every, integrator as for `ReferenceEngine`. states: (displacement, velocity) of each of R lattices at t = 0, (3, Nx, Ny, Nz)
    in Å and Å/ps. Every replica has the bits of the ReferenceEngine alone. Frames are (rows, R, 1, ...); budgets hold arrays (R,).
    Raises InputError if the machine has not the memory.
    """

    def __init__(
        self,
        model: Model,
        dt: float,
        states: Sequence[tuple[np.ndarray, np.ndarray]],
        sample_every: int = 1,
        integrator: str = "velocity-verlet",
        guard: Guard | None = None,
    ):
        super().__init__(model, "reference", dt, sample_every, guard=guard)
        require_memory(model.lattice, len(states))
        self.replicas = []
        self._lattices = LatticeState(model.lattice.field(len(states)), model.lattice.field(len(states)))
        self._u_next = model.lattice.field(len(states))
        for n, (u, v) in enumerate(states):
            start = {"displacement": u, "velocity": v, "in_place": False, "integrator": integrator}
            replica = ReferenceEngine(model, dt, sample_every, **start, guard=guard)
            self._lattices.u[n], self._lattices.v[n] = replica.lattice
            replica.lattice, replica._u_next = LatticeState(*(array[n] for array in self._lattices)), self._u_next[n]
            self.replicas.append(replica)
        ions = [np.stack(arrays) for arrays in zip(*(r.ion for r in self.replicas))]
        self._ions = IonState(*ions)._replace(inverse_mass=model.ion.inverse_mass)
        for n, replica in enumerate(self.replicas):
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
        verlet.advance_replicas(self._lattices, self._u_next, first.springs, first.coupling, self._ions, first.clock, plan, rows)
        self._hand_on(rows, out)
        for replica in self.replicas:
            replica._turn(n_steps)
        if n_steps * first.integrator.stages % 2:
            self._lattices, self._u_next = self._lattices._replace(u=self._u_next), self._lattices.u

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

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """As `ReferenceEngine.synchronous`, with a leading axis for the replica."""
        u, v, position, velocity = (np.stack(arrays) for arrays in zip(*(replica.synchronous() for replica in self.replicas)))
        return u, v, position, velocity

    def ion_forces(self) -> np.ndarray:
        """On the ions at the present step, (R, 3), meV/Å."""
        return np.stack([replica.sample()[1].force[0] for replica in self.replicas])

    def budget(self) -> dict[str, np.ndarray]:
        """As `ReferenceEngine.budget`, every value with a leading axis for the replica."""
        budgets = [replica.budget() for replica in self.replicas]
        return {name: np.stack([budget[name] for budget in budgets]) for name in budgets[0]}

    def fault(self) -> str | None:
        """What makes the present state of a replica unusable, or None."""
        faults = ((n, replica.fault()) for n, replica in enumerate(self.replicas))
        return next((f"lattice {n}: {fault}" for n, fault in faults if fault is not None), None)


def _fields(model: Model, front: Wavefront | None) -> float:
    """How many arrays like the displacements a lattice takes."""
    if front is None:
        return 3.0
    shape = model.lattice.field_shape
    return 2.0 + wavefront_kernels.room_needed(shape, front) / math.prod(shape)


def require_memory(lattice, copies: int = 1, fields: float = 3.0) -> None:
    """Raise InputError if ``copies`` of the lattice, with so many arrays each, do not fit into the memory that this machine has left."""
    needed, present = 8.0 * fields * math.prod(lattice.field_shape) * copies, available_memory()
    if present is not None and needed > present:
        raise InputError(
            f"lattice.size = {list(lattice.size)}{f', {copies} lattices' if copies > 1 else ''}: needs {needed / 1e9:.3g} GB, this machine "
            f"has {present / 1e9:.3g} GB left; at most {int((present / 8.0 / 3.0 / fields / copies) ** (1 / 3))} atoms a side fit"
        )
