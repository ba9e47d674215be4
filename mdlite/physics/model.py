"""The physical model: frozen dataclasses, validated before they are built (see `mdlite.config`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mdlite.errors import InputError

MOST_TURN, GOOD_TURN = 1.0, 0.2
"""Radians that a vibration of the ion against an atom may turn in one step, and should: velocity Verlet's error in frequency is a 24th of
the square, 4 % and 0.2 %."""

LINE = 64
"""Bytes of a cache line, and of the widest vectors."""

Vector = tuple[float, float, float]
Index = tuple[int, int, int]


def aligned_zeros(count: int) -> np.ndarray:
    """``count`` float64 zeros, the first at the beginning of a cache line."""
    raw = np.zeros(count + LINE // 8)
    first = -(raw.ctypes.data // 8) % (LINE // 8)
    return raw[first : first + count]


@dataclass(frozen=True)
class Lattice:
    """Simple cubic lattice of atoms joined by springs, periodic.

    size: atoms along each axis. spacing: lattice constant a in Å. mass: of an atom, meV ps²/Å². k1, k2: nearest and next-nearest
    neighbour spring constants, meV/Å².
    """

    size: Index = (100, 100, 100)
    spacing: float = 3.0
    mass: float = 3.5
    k1: float = 520.0
    k2: float = 170.0

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return math.prod(self.size)

    @property
    def box(self) -> np.ndarray:
        """Edge lengths of the periodic box, (3,), Å."""
        return self.spacing * np.array(self.size, float)

    def springs(self):
        """The constants as `mdlite.kernels.types.Springs`."""
        from mdlite.kernels.types import Springs

        return Springs(float(self.k1), float(self.k2), float(self.mass), self.size[2])

    @property
    def field_shape(self) -> tuple[int, int, int, int]:
        """Of the kernels' arrays, see `mdlite.kernels.types.LatticeState`."""
        return 3, self.size[0], self.size[1], -(-(self.size[2] + 2) // 8) * 8

    def field(self, copies: int | None = None) -> np.ndarray:
        """A vector field of zeros as the kernels want it, or ``copies`` of them, at an address that whole vectors are read from."""
        shape = self.field_shape if copies is None else (copies, *self.field_shape)
        return aligned_zeros(math.prod(shape)).reshape(shape)

    def atoms(self, field: np.ndarray) -> np.ndarray:
        """The atoms (..., Nx, Ny, Nz) of a field (or several) of the kernels, as a view without its margins."""
        return field[..., 1 : self.size[2] + 1]

    @property
    def omega_max(self) -> float:
        """Highest angular frequency, rad/ps: Ω_max² = 4 k1/m + 8 k2/m, at X, longitudinal."""
        return math.sqrt((4.0 * self.k1 + 8.0 * self.k2) / self.mass)

    @property
    def sound_speed(self) -> float:
        """The fastest sound, Å/ps: longitudinal, along [100] where k1 > k2 (a √((k1 + 2 k2)/m)), along [111] where k2 > k1."""
        along = (self.k1 + 2.0 * self.k2, self.k1 / 2.0 + 5.0 * self.k2 / 2.0, self.k1 / 3.0 + 8.0 * self.k2 / 3.0)
        return self.spacing * math.sqrt(max(along) / self.mass)

    def require_rigidity(self, what: str) -> None:
        """Raise InputError if k2 = 0: the axes are then independent chains, and W(0) and L diverge."""
        if self.k2 == 0.0:
            raise InputError(
                f"lattice.k2 = 0: {what} needs W(0) and L, which diverge without next-nearest neighbour springs "
                "(the axes are independent chains); give k2 > 0"
            )


@dataclass(frozen=True)
class Ion:
    """The mobile ion. mass: per axis, meV ps²/Å², infinity freezes the axis. position in Å, velocity in Å/ps."""

    mass: Vector = (0.7, 0.7, 0.7)
    position: Vector = (0.0, 0.0, 0.0)
    velocity: Vector = (0.0, 0.0, 0.0)

    @property
    def inverse_mass(self) -> np.ndarray:
        """1/M per axis, (3,), 0 where the axis is frozen."""
        return 1.0 / np.array(self.mass)

    def kinetic_energy(self, velocity: np.ndarray) -> np.ndarray:
        """½ Σ M v² (meV) over the axes that are not frozen, for velocities (..., 3) in Å/ps."""
        mass = np.array(self.mass)
        return 0.5 * np.sum(np.where(np.isfinite(mass), mass, 0.0) * np.asarray(velocity) ** 2, axis=-1)


@dataclass(frozen=True)
class Potential:
    """Pair potential φ(ρ): its kind and its parameters in the order of `mdlite.kernels.potentials.FORMS`."""

    kind: str
    params: tuple[float, ...]

    def evaluate(self, rho: np.ndarray) -> np.ndarray:
        """φ, φ', φ'' (meV, meV/Å, meV/Å²) at the distances rho (Å), stacked along a new first axis."""
        from mdlite.kernels import potentials

        form, params = potential_row(self.kind), np.array(self.params)
        values = [potentials.evaluate(form, params, r) for r in np.ravel(np.asarray(rho, float))]
        return np.array(values).T.reshape((3, *np.shape(rho)))


def potential_row(kind: str) -> int:
    """The row of a potential in `mdlite.kernels.potentials.FORMS`."""
    from mdlite.kernels.potentials import FORMS

    return [row[0] for row in FORMS].index(kind)


@dataclass(frozen=True)
class Sites:
    """A fixed list of interacting atoms, by lattice indices; never another periodic image of them."""

    sites: tuple[Index, ...]
    moving = False
    switch_start = cutoff = math.inf

    def offsets(self, spacing: float) -> np.ndarray:
        """Lattice indices of the atoms, int64 (n, 3)."""
        return np.array(self.sites, np.int64).reshape(-1, 3)


@dataclass(frozen=True)
class Shell:
    """The (2e)³ corner atoms around the ion's cell, e = extent. The force jumps when the ion changes cell (the paper's choice)."""

    extent: int = 1
    moving = True
    switch_start = cutoff = math.inf

    def offsets(self, spacing: float) -> np.ndarray:
        """Indices of the atoms counted from the ion's cell, int64 (n, 3)."""
        return _grid(1 - self.extent, self.extent)


@dataclass(frozen=True)
class Cutoff:
    """Every atom closer than ``radius`` (Å), φ switched to zero (C²) over the last ``switch_width`` (Å). Conserves energy."""

    radius: float
    switch_width: float = 1.0
    moving = True

    @property
    def cutoff(self) -> float:
        """Where φ is zero, Å."""
        return self.radius

    @property
    def switch_start(self) -> float:
        """Where the switching begins, Å."""
        return self.radius - self.switch_width

    def offsets(self, spacing: float) -> np.ndarray:
        """Sites that can come into range from anywhere in the ion's cell, for displacements up to a/2; int64 (n, 3)."""
        reach = self.radius / spacing + 0.5
        grid = _grid(-math.ceil(reach), math.ceil(reach) + 1)
        outside = np.maximum(np.maximum(-grid, grid - 1), 0)  # distance from the cell [0, 1]³, per axis
        return grid[np.sum(outside**2, axis=1) < reach**2]


def _grid(low: int, high: int) -> np.ndarray:
    """All integer triples between low and high inclusive, int64 (n, 3)."""
    axis = np.arange(low, high + 1)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int64)


@dataclass(frozen=True)
class Interaction:
    """How the ion and the framework interact: U(r, R) = Σ_j φ(|r_j - R|) over the atoms that take part."""

    potential: Potential
    atoms: Sites | Shell | Cutoff


@dataclass(frozen=True)
class Model:
    """Lattice, ion and interaction: all the physics of one run."""

    lattice: Lattice
    ion: Ion
    interaction: Interaction

    @cached_property
    def offsets(self) -> np.ndarray:
        """Lattice indices of the candidate atoms, from the ion's cell or the origin; int64 (n, 3)."""
        return self.interaction.atoms.offsets(self.lattice.spacing)

    def coupling(self):
        """The interaction as `mdlite.kernels.types.Coupling`."""
        from mdlite.kernels.types import Coupling

        atoms, potential = self.interaction.atoms, self.interaction.potential
        return Coupling(
            form=potential_row(potential.kind),
            params=np.array(potential.params, float),
            switch_start=float(atoms.switch_start),
            cutoff=float(atoms.cutoff),
            offsets=self.offsets,
            places=self.offsets % np.array(self.lattice.size, np.int64),
            moving=bool(atoms.moving),
            spacing=float(self.lattice.spacing),
            size=np.array(self.lattice.size, np.int64),
        )

    def candidate_sites(self, position: np.ndarray) -> np.ndarray:
        """Lattice indices (..., n, 3) of the candidate atoms for the ion at ``position`` (..., 3), Å; not wrapped."""
        position = np.asarray(position, float)
        cell = np.floor(position / self.lattice.spacing).astype(np.int64)
        return self.offsets + (cell[..., None, :] if self.interaction.atoms.moving else 0)

    def middle_cell(self, position: np.ndarray) -> np.ndarray:
        """Lattice indices of the cell that a patch is built around: the ion's at ``position`` (..., 3), Å, or that amid fixed atoms."""
        if self.interaction.atoms.moving:
            return np.floor(np.asarray(position, float) / self.lattice.spacing).astype(np.int64)
        return np.broadcast_to((self.offsets.min(axis=0) + self.offsets.max(axis=0)) // 2, np.shape(position))

    @property
    def least_patch(self) -> int:
        """Atoms along an edge of the smallest patch that holds every candidate: 1 - n/2 to n/2 around its cell."""
        from_middle = self.offsets - self.middle_cell(np.zeros(3))
        return 2 * int(max(from_middle.max(), 1 - from_middle.min()))

    @property
    def echo_time(self) -> float:
        """When the ion's own sound, back around the periodic box, first meets an interacting atom: (N - extent) a/c, ps."""
        a = self.lattice.spacing
        cutoff = self.interaction.atoms.cutoff
        extent = a * np.ptp(self.offsets, axis=0) if math.isinf(cutoff) else 2.0 * cutoff
        return max(0.0, float(np.min(self.lattice.box - extent)) / self.lattice.sound_speed)
