"""Any crystal relaxed around an ion that is held in place: in a periodic box over all of its atoms, or over the atoms near the ion by W(0) alone.

By W(0): u = -W(0) ∇U(s + u) for the atoms that can meet the ion, which is the minimum of U(s + W^½ x) + ½ x² over x; in the infinite crystal, or in
the box, whose centre of mass is held. The box itself goes the way of `mdlite.physics.relax`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator

from mdlite import arguments
from mdlite.crystals import response
from mdlite.crystals.model import CrystalModel
from mdlite.errors import RunError
from mdlite.kernels import blocks
from mdlite.kernels.site_coupling import site_forces
from mdlite.kernels.types import IonState
from mdlite.physics.interaction import Expansion
from mdlite.physics.relax import Relaxation, relaxed

TOLERANCE = 1e-7
"""Of W(0), over its largest element."""
LEFT = 1e-7
"""Of the largest force on an atom: what is left of the gradient of the energy."""


def pairs_at(model: CrystalModel, sites: np.ndarray, apart: np.ndarray) -> Expansion:
    """φ of the ion with atoms ``sites`` (n, 4) at ``apart`` (n, 3) Å from it: energy (n,), gradient (n, 3), Hessian (n, 3, 3)."""
    species = np.array(model.box.crystal.species)[sites[:, 3]]
    out = Expansion(np.zeros(len(sites)), np.zeros((len(sites), 3)), np.zeros((len(sites), 3, 3)))
    for name in np.unique(species):
        mine = species == name
        for whole, part in zip(out, model.interaction(str(name)).expand(apart[mine])):
            whole[mine] = part
    return out


class Rigid(NamedTuple):
    """The ion at a place in the rigid crystal: energy (meV), its gradient (3,) (meV/Å) and Hessian (3, 3) (meV/Å²) by that place."""

    energy: float
    gradient: np.ndarray
    stiffness: np.ndarray


def rigid(model: CrystalModel, position: ArrayLike) -> Rigid:
    """The energy of the ion at ``position`` (3,), Å, with every atom on its site."""
    place = np.array(arguments.vector("position", position))
    found = pairs_at(model, model.candidate_sites(place), model.apart(place))
    return Rigid(float(found.energy.sum()), -found.gradient.sum(axis=0), found.hessian.sum(axis=0))


class Equilibrium(NamedTuple):
    """The crystal at rest in equilibrium with a held ion: energy in all, U and elastic (meV); atoms (n, 4) and their displacements (n, 3), Å."""

    energy: float
    interaction: float
    elastic: float
    sites: np.ndarray
    displacement: np.ndarray


def adiabatic(model: CrystalModel, positions: ArrayLike, finite: bool = False) -> list[Equilibrium]:
    """By W(0) alone, of the infinite crystal or of the box (finite), for each of ``positions`` (m, 3), Å. Raises InputError, RunError."""
    places = arguments.vectors("positions", positions).reshape(-1, 3)
    near = [_near(model, place) for place in places]
    table = _Recoil(model, near, finite)
    return [_minimum(model, place, sites, table.between(sites)) for place, sites in zip(places, near)]


def _near(model: CrystalModel, place: np.ndarray) -> np.ndarray:
    """Atoms that can meet the ion there, (n, 4)."""
    sites = model.candidate_sites(place)
    return sites[np.linalg.norm(model.apart(place), axis=1) < model.atoms.cutoff + model.allowance]


class _Recoil:
    """W(0) between all atoms of some sets (n, 4) of them."""

    def __init__(self, model: CrystalModel, sets: Sequence[np.ndarray], finite: bool):
        pairs = np.unique(np.concatenate([_pairs(sites) for sites in sets]), axis=0)
        crystal = model.box.crystal
        if finite:
            found = response.grid_recoil(crystal, model.box.size, pairs)[:, 0]
        else:
            found = response.static_recoil(crystal, pairs, TOLERANCE)
        self.value = dict(zip(map(tuple, pairs.tolist()), found))

    def between(self, sites: np.ndarray) -> np.ndarray:
        """(3n, 3n), Å²/meV."""
        n = len(sites)
        found = np.array([self.value[pair] for pair in map(tuple, _pairs(sites).tolist())]).reshape(n, n, 3, 3)
        whole = found.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
        return 0.5 * (whole + whole.T)


def _pairs(sites: np.ndarray) -> np.ndarray:
    """κ, κ', n' - n of every two of atoms (n, 4): (n², 5)."""
    one, other = (part.ravel() for part in np.meshgrid(*[np.arange(len(sites))] * 2, indexing="ij"))
    return np.column_stack([sites[one, 3], sites[other, 3], sites[other, :3] - sites[one, :3]])


def _minimum(model: CrystalModel, place: np.ndarray, sites: np.ndarray, recoil: np.ndarray) -> Equilibrium:
    squares, modes = np.linalg.eigh(recoil)
    root = modes * np.sqrt(squares.clip(min=0.0))
    start = model.box.crystal.sites(sites) - place

    def pairs(x: np.ndarray) -> Expansion:
        return pairs_at(model, sites, start + (root @ x).reshape(-1, 3))

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        now = pairs(x)
        return float(now.energy.sum() + 0.5 * x @ x), root.T @ now.gradient.ravel() + x

    def hessian(x: np.ndarray) -> np.ndarray:
        rows = np.einsum("nab,nbi->nai", pairs(x).hessian, root.reshape(len(sites), 3, -1))
        return root.T @ rows.reshape(root.shape) + np.eye(len(x))

    x = np.zeros(len(recoil))
    least = LEFT * np.abs(value(x)[1]).max()
    if least > 0.0:
        x = minimize(value, x, jac=True, hess=hessian, method="trust-exact", options={"gtol": least, "maxiter": 500}).x
        for _ in range(3):
            x = x - np.linalg.solve(hessian(x), value(x)[1])
        if not np.abs(value(x)[1]).max() <= least:
            raise RunError(f"the crystal finds no equilibrium with the ion held at {np.round(place, 4).tolist()} Å by W(0)")
    interaction, elastic = float(pairs(x).energy.sum()), 0.5 * float(x @ x)
    return Equilibrium(interaction + elastic, interaction, elastic, sites, (root @ x).reshape(-1, 3))


class _Box:
    """A box with the ion held, as `mdlite.physics.relax.relaxed` takes it: x = u √(m/m̄), flat, so that what holds the centre of mass is a projection."""

    def __init__(self, model: CrystalModel, position: np.ndarray):
        self.model, self.box = model, model.box
        self.stencil, self.coupling = self.box.stencil, model.coupling()
        (self.u, self.out), self.still = self.box.fields(), self.box.fields()[1]
        self.shape = self.box.displacements(self.u).shape
        masses = self.box.crystal.masses
        self.weight = np.sqrt(masses / masses.mean())[:, None, None, None, None]
        self.ones = np.ones(len(masses))
        self.sites = model.candidate_sites(position)
        i, j, k = (self.sites[:, :3] % np.array(self.box.size)).T
        self.index = self.sites[:, 3], i, j, k
        n = len(self.sites)
        self.ion = IonState(position, np.zeros(3), np.zeros(3), np.zeros(3), np.zeros((n, 3)), np.zeros(1))

    def centred(self, x: np.ndarray) -> np.ndarray:
        """Without motions of the whole, (p, 3, n1, n2, n3)."""
        x = x.reshape(self.shape)
        share = (x * self.weight).sum(axis=(0, 2, 3, 4)) / (np.sum(self.weight**2) * np.prod(self.box.size))
        return x - self.weight * share[:, None, None, None]

    def field(self, x: np.ndarray) -> np.ndarray:
        """Displacements (p, 3, n1, n2, n3), Å, the centre of mass at rest."""
        return self.centred(x) / self.weight

    def crystal_force(self, u: np.ndarray) -> np.ndarray:
        """-Φ u, (p, 3, n1, n2, n3), meV/Å; the box's field is u then."""
        self.box.displacements(self.u)[...] = u
        blocks.drift(self.u, self.still, self.stencil, 0.0)  # fills the halo
        self.out[...] = 0.0
        blocks.kick(self.u, self.out, self.stencil, self.ones)
        return self.box.velocities(self.out).copy()

    def terms(self, x: np.ndarray) -> tuple[float, float, np.ndarray]:
        """See `mdlite.physics.relax.Framework`."""
        u = x.reshape(self.shape) / self.weight
        force = self.crystal_force(u)
        elastic = -0.5 * float(np.sum(u * force))
        interaction = site_forces(self.stencil, self.coupling, self.u, self.ion)
        for c in range(3):
            np.add.at(force[:, c], self.index, self.ion.atom_force[:, c])
        return elastic, interaction, self.centred(force / self.weight).ravel()

    def hessian(self, x: np.ndarray) -> LinearOperator:
        """See `mdlite.physics.relax.Framework`."""
        u = x.reshape(self.shape) / self.weight
        moved = np.stack([u[:, c][self.index] for c in range(3)], axis=1)
        curvature = pairs_at(self.model, self.sites, self.box.crystal.sites(self.sites) + moved - self.ion.position).hessian

        def product(p: np.ndarray) -> np.ndarray:
            small = p.reshape(self.shape) / self.weight
            out = -self.crystal_force(small)
            near = np.stack([small[:, c][self.index] for c in range(3)], axis=1)
            for c in range(3):
                np.add.at(out[:, c], self.index, np.einsum("ne,ne->n", curvature[:, c], near))
            return self.centred(out / self.weight).ravel()

        return LinearOperator((x.size, x.size), matvec=product, dtype=float)


def relax(model: CrystalModel, position: ArrayLike | None = None, tolerance: float | None = None) -> Relaxation:
    """The box relaxed around the ion held at ``position`` (3,) Å (the model's own by default), its centre of mass held.

    Displacements are (p, 3, n1, n2, n3). tolerance: largest force left (meV/Å, weighted with √(m̄/m)), by default as in `mdlite.physics.relax`. Raises
    RunError if that is not reached.
    """
    place = np.array(model.ion.position if position is None else arguments.vector("position", position))
    crystal = model.box.crystal
    own = crystal.blocks[(crystal.first == crystal.second) & ~crystal.cells.any(axis=1)]
    stiffest = float(np.linalg.eigvalsh(own).max())
    return relaxed(_Box(model, place), 3 * model.box.n_atoms, 0.5 * stiffest * model.length, tolerance)


def saddle(model: CrystalModel, start: ArrayLike, along: ArrayLike, farthest: float) -> np.ndarray | None:
    """A place (3,), Å, where the rigid crystal's energy is stationary and falls in one direction only, up along the mode nearest to ``along`` from
    ``start``; None if there is none within ``farthest`` Å."""
    begin, way = np.array(start, float), np.array(along, float) / np.linalg.norm(along)
    place = begin.copy()
    for _ in range(100):
        now = rigid(model, place)
        values, modes = np.linalg.eigh(now.stiffness)
        size = np.linalg.norm(now.gradient)
        if size <= 1e-9 * (1.0 + np.abs(values).max()):
            return place if np.sum(values < 0.0) == 1 else None
        up = int(np.argmax(np.abs(way @ modes)))
        sign = np.where(np.arange(3) == up, 1.0, -1.0)
        move = modes @ (sign * (modes.T @ now.gradient) / np.abs(values).clip(min=1e-6 * np.abs(values).max()))
        place = place + move * min(1.0, 0.1 / np.linalg.norm(move))
        way = modes[:, up] * np.sign(way @ modes[:, up])
        if not np.linalg.norm(place - begin) <= farthest:
            return None
    return None
