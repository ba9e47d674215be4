"""The physical model: frozen dataclasses, which check what they are given: InputError says what would be right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real

import numpy as np

from mdlite import arguments, elements
from mdlite.errors import InputError
from mdlite.physics.interaction import Cutoff, Index, Interaction, Potential, Shell, Sites, potential_row

__all__ = ["Cutoff", "Interaction", "Ion", "Lattice", "Model", "Potential", "Shell", "Sites"]

MOST_TURN, GOOD_TURN = 1.0, 0.2
"""Radians that a vibration of the ion against an atom may turn in one step, and should: velocity Verlet's error in frequency is a 24th of
the square, 4 % and 0.2 %."""

FEWEST = 3
"""Atoms along each axis, so that each has 18 distinct neighbours."""

LINE = 64
"""Bytes of a cache line, and of the widest vectors."""

Vector = tuple[float, float, float]


def aligned_zeros(count: int) -> np.ndarray:
    """``count`` float64 zeros, the first at the beginning of a cache line."""
    raw = np.zeros(count + LINE // 8)
    first = -(raw.ctypes.data // 8) % (LINE // 8)
    return raw[first : first + count]


@dataclass(frozen=True)
class Lattice:
    """Simple cubic lattice of atoms joined by springs, periodic.

    size: atoms along each axis (one number: along all three). spacing: lattice constant a in Å. mass: of an atom, meV ps²/Å², or as
    `mdlite.elements.mass` has it ("Si").
    k1, k2: nearest and next-nearest neighbour spring constants, meV/Å².
    """

    size: Index = (100, 100, 100)
    spacing: float = 3.0
    mass: float = 3.5
    k1: float = 520.0
    k2: float = 170.0

    def __post_init__(self):
        size = self.size if not isinstance(arguments.scalar(self.size), Integral) else (self.size,) * 3
        object.__setattr__(self, "size", arguments.indices("lattice.size", size, FEWEST))
        object.__setattr__(self, "mass", elements.number_of(self.mass, "lattice.mass", "a positive number, "))
        for name in ("spacing", "mass", "k1"):
            object.__setattr__(self, name, arguments.number(f"lattice.{name}", getattr(self, name), positive=True))
        object.__setattr__(self, "k2", arguments.number("lattice.k2", self.k2, negative=False))

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
    """The mobile ion. mass: per axis or one for all, meV ps²/Å² or as `mdlite.elements.mass` has it ("Li"), infinity freezes the axis.
    position in Å, velocity in Å/ps."""

    mass: Vector = (0.7, 0.7, 0.7)
    position: Vector = (0.0, 0.0, 0.0)
    velocity: Vector = (0.0, 0.0, 0.0)

    def __post_init__(self):
        mass = elements.number_of(self.mass, "ion.mass", "three numbers, a number, ")
        mass = mass if not isinstance(arguments.scalar(mass), Real) else (mass,) * 3
        object.__setattr__(self, "mass", arguments.vector("ion.mass", mass, positive=True, infinite=True))
        for name in ("position", "velocity"):
            object.__setattr__(self, name, arguments.vector(f"ion.{name}", getattr(self, name)))

    @property
    def inverse_mass(self) -> np.ndarray:
        """1/M per axis, (3,), 0 where the axis is frozen."""
        return 1.0 / np.array(self.mass)

    def kinetic_energy(self, velocity: np.ndarray) -> np.ndarray:
        """½ Σ M v² (meV) over the axes that are not frozen, for velocities (..., 3) in Å/ps. Raises InputError for another shape."""
        velocity = arguments.vectors("velocity", velocity)
        mass = np.array(self.mass)
        return 0.5 * np.sum(np.where(np.isfinite(mass), mass, 0.0) * velocity**2, axis=-1)


@dataclass(frozen=True)
class Model:
    """Lattice, ion and interaction: all the physics of one run."""

    lattice: Lattice
    ion: Ion
    interaction: Interaction

    def __post_init__(self):
        arguments.instance("lattice", self.lattice, Lattice, "a Lattice")
        arguments.instance("ion", self.ion, Ion, "an Ion")
        arguments.instance("interaction", self.interaction, Interaction, "an Interaction")

    @cached_property
    def offsets(self) -> np.ndarray:
        """Lattice indices of the candidate atoms, from the ion's cell or the origin; int64 (n, 3)."""
        return self.interaction.atoms.offsets(self.lattice.spacing)

    @property
    def length(self) -> float:
        """What an ion may not cross half of in a step: the lattice constant, Å."""
        return self.lattice.spacing

    @property
    def omega_max(self) -> float:
        """Highest angular frequency, rad/ps."""
        return self.lattice.omega_max

    @property
    def edges(self) -> np.ndarray:
        """Vectors of the periodic box as rows, (3, 3), Å."""
        return np.diag(self.lattice.box)

    @property
    def atoms(self) -> Sites | Shell | Cutoff:
        """Which atoms take part."""
        return self.interaction.atoms

    def law(self, n: int) -> Interaction:
        """With candidate n: that of all."""
        return self.interaction

    @property
    def crystal_mass(self) -> float:
        """Of all atoms of the box, meV ps²/Å²."""
        return self.lattice.mass * self.lattice.n_atoms

    @property
    def lightest(self) -> float:
        """Mass of the lightest atom, meV ps²/Å²."""
        return self.lattice.mass

    @property
    def pair_potentials(self) -> tuple[Potential, ...]:
        """All of them."""
        return (self.interaction.potential,)

    def bare(self, position: np.ndarray) -> np.ndarray:
        """φ (n,), meV, without a switch, of the ion at ``position`` (3,) with every candidate on its site."""
        return self.interaction.potential.evaluate(
            np.linalg.norm(self.candidate_sites(position) * self.lattice.spacing - position, axis=1)
        )[0]

    def heat(self, velocity: np.ndarray) -> float:
        """Mean of m v² over the components of atoms (3, Nx, Ny, Nz), meV: k_BT of a classical crystal."""
        return self.lattice.mass * float(np.mean(np.square(velocity)))

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
        """Lattice indices (..., n, 3) of the candidate atoms for the ion at ``position`` (..., 3), Å; not wrapped. Raises InputError for another shape."""
        position = arguments.vectors("position", position)
        cell = np.floor(position / self.lattice.spacing).astype(np.int64)
        return self.offsets + (cell[..., None, :] if self.interaction.atoms.moving else 0)

    def apart(self, position: np.ndarray) -> np.ndarray:
        """r - R (..., n, 3) in Å from the ion at ``position`` (..., 3) to its candidate atoms on their sites. Raises InputError for what is no place."""
        position = arguments.vectors("position", position, finite=True)
        return self.candidate_sites(position) * self.lattice.spacing - position[..., None, :]

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
