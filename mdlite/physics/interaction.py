"""How the ion and the atoms of the framework interact: pair potentials, which atoms take part, and energy, gradient and Hessian of pairs.

Frozen dataclasses. They check what they are given: InputError says what would be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from mdlite import arguments
from mdlite.arguments import refuse

Index = tuple[int, int, int]
Evaluate = Callable[[np.ndarray], np.ndarray]
"""φ, φ' and φ'' (3, n) at distances (n,)."""


@dataclass(frozen=True)
class Potential:
    """Pair potential φ(ρ): its kind and its parameters in the order of `mdlite.kernels.potentials.FORMS`."""

    kind: str
    params: tuple[float, ...]

    def __post_init__(self):
        from mdlite.kernels.potentials import FORMS

        name = "interaction.potential"
        kind = arguments.choice(f"{name}.kind", self.kind, [form.name for form in FORMS])
        parameters = FORMS[potential_row(kind)].parameters
        told = ", ".join(f"{parameter} ({unit})" for parameter, unit, _ in parameters)
        right = f"the {len(parameters)} parameters of {kind}: {told}"
        given = arguments.sequence(f"{name}.params", self.params, right)
        if len(given) != len(parameters):
            refuse(f"{name}.params", self.params, right)
        pairs = zip(given, parameters)
        params = tuple(arguments.number(f"{name}.{own}", value, positive=positive) for value, (own, _, positive) in pairs)
        object.__setattr__(self, "params", params)

    def evaluate(self, rho: np.ndarray) -> np.ndarray:
        """φ, φ', φ'' (meV, meV/Å, meV/Å²) at the distances rho (Å), stacked along a new first axis."""
        from mdlite.kernels import potentials

        form, params = potential_row(self.kind), np.array(self.params)
        values = [potentials.evaluate(form, params, r) for r in np.ravel(np.asarray(rho, float))]
        return np.array(values).T.reshape((3, *np.shape(rho)))


def potential_row(kind: str) -> int:
    """The row of a potential in `mdlite.kernels.potentials.FORMS`."""
    from mdlite.kernels.potentials import FORMS

    return [form.name for form in FORMS].index(kind)


@dataclass(frozen=True)
class Sites:
    """A fixed list of interacting atoms, by lattice indices; never another periodic image of them."""

    sites: tuple[Index, ...]
    moving: ClassVar[bool] = False
    switch_start: ClassVar[float] = math.inf
    cutoff: ClassVar[float] = math.inf

    def __post_init__(self):
        name, right = "interaction.atoms.sites", "a list of lattice indices, such as [(0, 0, 0), (0, 0, 1)]"
        sites = tuple(arguments.indices(name, site) for site in arguments.sequence(name, self.sites, right))
        if not sites:
            refuse(name, self.sites, right)
        if len(set(sites)) < len(sites):
            refuse(name, self.sites, "a list that has every atom once")
        object.__setattr__(self, "sites", sites)

    def offsets(self, spacing: float) -> np.ndarray:
        """Lattice indices of the atoms, int64 (n, 3)."""
        return np.array(self.sites, np.int64).reshape(-1, 3)


@dataclass(frozen=True)
class Shell:
    """The (2e)³ corner atoms around the ion's cell, e = extent. The force jumps when the ion changes cell (the paper's choice)."""

    extent: int = 1
    moving: ClassVar[bool] = True
    switch_start: ClassVar[float] = math.inf
    cutoff: ClassVar[float] = math.inf

    def __post_init__(self):
        object.__setattr__(self, "extent", arguments.whole("interaction.atoms.extent", self.extent, 1))

    def offsets(self, spacing: float) -> np.ndarray:
        """Indices of the atoms counted from the ion's cell, int64 (n, 3)."""
        return _grid(1 - self.extent, self.extent)


@dataclass(frozen=True)
class Cutoff:
    """Every atom closer than ``radius`` (Å), φ switched to zero (C²) over the last ``switch_width`` (Å). Conserves energy."""

    radius: float
    switch_width: float = 1.0
    moving: ClassVar[bool] = True

    def __post_init__(self):
        radius = arguments.number("interaction.atoms.radius", self.radius, positive=True)
        width = arguments.number("interaction.atoms.switch_width", self.switch_width, positive=True)
        if width > radius:
            refuse("interaction.atoms.switch_width", width, f"at most the radius, {radius:g} Angstrom")
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "switch_width", width)

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


NEAREST = 1e-20
"""Å, at which a potential has the sign that it has at contact."""


class Expansion(NamedTuple):
    """φ of every pair and its derivatives with respect to the atom's place; those with respect to the ion's are minus the sum over its atoms."""

    energy: np.ndarray  # (...), meV
    gradient: np.ndarray  # (..., 3), meV/Å
    hessian: np.ndarray  # (..., 3, 3), meV/Å²


@dataclass(frozen=True)
class Interaction:
    """How the ion and the framework interact: U(r, R) = Σ_j φ(|r_j - R|) over the atoms that take part.

    `energy`, `gradient` and `hessian` take d = r - R of any number of pairs, (..., 3) in Å, and give φ of each with the switch of a cut-off, and
    its derivatives with respect to r: to the bit what the kernels compute. At d = 0 there is no direction, and no force; the energy is the limit, and the
    Hessian φ'' times the unit matrix, all NaN where φ'' is infinite. At infinity all is 0. They raise InputError for another shape.
    """

    potential: Potential
    atoms: Sites | Shell | Cutoff

    def __post_init__(self):
        arguments.instance("interaction.potential", self.potential, Potential, "a Potential")
        arguments.instance("interaction.atoms", self.atoms, (Sites, Shell, Cutoff), "Sites, a Shell or a Cutoff")

    def energy(self, d: np.ndarray) -> np.ndarray:
        """φ of every pair (...), meV."""
        return self.pairs(np.sqrt(_square(arguments.vectors("d", d))))[0]

    def gradient(self, d: np.ndarray) -> np.ndarray:
        """∇_r φ of every pair (..., 3), meV/Å: the force on the ion, and minus the force on the atom."""
        return self.expand(d).gradient

    def hessian(self, d: np.ndarray) -> np.ndarray:
        """∇_r ∇_r φ of every pair (..., 3, 3), meV/Å²."""
        return self.expand(d).hessian

    def expand(self, d: np.ndarray, evaluate: Evaluate | None = None, switch: bool = True) -> Expansion:
        """Energy, gradient and Hessian together.

        evaluate: what to take for `Potential.evaluate`, which calls a kernel for each distance. switch: False for φ itself up to the cut-off.
        """
        d = arguments.vectors("d", d)
        square = _square(d)
        rho = np.sqrt(square)
        d = np.where(np.isinf(rho)[..., None], 0.0, d)  # where there is no force
        phi, slope, curvature = self.pairs(rho, evaluate, switch)
        apart = rho > 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            across = slope / rho
            bend = np.where(apart, (curvature - across) / square, 0.0)[..., None, None]
            gradient = np.where(apart, across, 0.0)[..., None] * d
            isotropic = np.where(apart, across, curvature)[..., None, None] * np.eye(3)
            hessian = isotropic + bend * (d[..., :, None] * d[..., None, :])
        hessian[~(apart | np.isfinite(curvature))] = np.nan
        return Expansion(phi, gradient, hessian)

    def pairs(self, rho: np.ndarray, evaluate: Evaluate | None = None, switch: bool = True) -> np.ndarray:
        """φ, φ' and φ'' with the switch (`mdlite.kernels.potentials.switched`) at the distances rho (...) in Å: (3, ...).
        The rest is as in `expand`."""
        rho = np.asarray(rho, float)
        start, cutoff = self.atoms.switch_start, self.atoms.cutoff
        inside = ~(rho >= cutoff)
        values = np.zeros((3, *rho.shape))
        values[:, inside] = (evaluate or self.potential.evaluate)(rho[inside])
        lost = (
            inside & np.isnan(values[0]) & ~np.isnan(rho)
        )  # two infinite parts, at and near d = 0: where they are finite, the sign is clear
        if lost.any():
            near = self.potential.evaluate(np.full(np.count_nonzero(lost), NEAREST))
            values[:, lost] = np.where(near == 0.0, 0.0, np.copysign(np.inf, near))
        fading = inside & (rho > start) & switch
        if fading.any():
            values[:, fading] = _switched(values[:, fading], (rho[fading] - start) / (cutoff - start), cutoff - start)
        return values


def _square(d: np.ndarray) -> np.ndarray:
    """|d|² of vectors (..., 3), summed in the kernels' order."""
    x, y, z = d[..., 0], d[..., 1], d[..., 2]
    with np.errstate(over="ignore"):
        return x * x + y * y + z * z


def _switched(values: np.ndarray, x: np.ndarray, width: float) -> np.ndarray:
    """φ S and its derivatives from φ, φ', φ'' (3, n), x of the way through a switch of this width (Å)."""
    phi, slope, curvature = values
    s = 1.0 - x * x * x * (10.0 - x * (15.0 - 6.0 * x))
    s1 = -30.0 * x * x * (1.0 - x) * (1.0 - x) / width
    s2 = -60.0 * x * (1.0 - x) * (1.0 - 2.0 * x) / (width * width)
    return np.array([phi * s, slope * s + phi * s1, curvature * s + 2.0 * slope * s1 + phi * s2])
