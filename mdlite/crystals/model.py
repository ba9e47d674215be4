"""The ion in a box of any crystal: which atoms it meets, and by which potential."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mdlite import arguments
from mdlite.crystals import dynamics
from mdlite.crystals.box import Box
from mdlite.crystals.crystal import Crystal, divided, images
from mdlite.errors import InputError
from mdlite.physics.interaction import Cutoff, Interaction, Potential, potential_row
from mdlite.physics.model import Ion

DEFAULT = "default"
"""The species whose potential is that of all that have none of their own."""


@dataclass(frozen=True)
class CrystalSites:
    """A fixed list of interacting atoms, each n1, n2, n3, κ; never another periodic image of them."""

    sites: tuple[tuple[int, int, int, int], ...]
    moving = False
    switch_start = math.inf
    cutoff = math.inf

    def __post_init__(self):
        if not self.sites or len(set(self.sites)) < len(self.sites):
            arguments.refuse(
                "interaction.atoms.sites", self.sites, "a list that has every atom once, each as n1, n2, n3, atom of the cell"
            )


@dataclass(frozen=True, eq=False)
class CrystalModel:
    """A box, the ion, and their pair potentials by species: all the physics of one run.

    potentials: by species, with ``default`` for the others. atoms: a `Cutoff` or `CrystalSites`. Raises InputError for a species without a
    potential, sites that are not in the box, and a sphere that does not fit into it.
    """

    box: Box
    ion: Ion
    potentials: Mapping[str, Potential]
    atoms: Cutoff | CrystalSites

    def __post_init__(self):
        crystal = self.box.crystal
        for name in self.potentials:
            if name not in (DEFAULT, *crystal.species):
                known = ", ".join(sorted(set(crystal.species)))
                raise InputError(f"interaction.potentials.{name}: the crystal has no such species, only {known}")
        for species in dict.fromkeys(crystal.species):
            if species not in self.potentials and DEFAULT not in self.potentials:
                raise InputError(
                    f"interaction.potentials.{species}: is missing; give one for every species of the crystal, or interaction.potential for all others"
                )
        if isinstance(self.atoms, CrystalSites):
            self._check_sites(self.atoms)
        elif self.atoms.radius > self.longest_radius:
            raise InputError(
                f"interaction.atoms.radius = {self.atoms.radius:g}: must be at most {self.longest_radius:.6g} Angstrom here, half the least distance "
                "between the faces of the box; give a larger crystal.size"
            )

    def _check_sites(self, atoms: CrystalSites) -> None:
        limits = (*self.box.size, self.box.crystal.n_basis)
        for site in atoms.sites:
            if len(site) != 4 or any(not 0 <= n < limit for n, limit in zip(site, limits)):
                raise InputError(
                    f"interaction.atoms.sites = {list(site)}: is not in the crystal; must be n1, n2, n3 of 0 to size - 1, size = {list(self.box.size)}, and "
                    f"an atom of the cell, 0 to {limits[3] - 1}"
                )

    @cached_property
    def length(self) -> float:
        """What an ion may not cross half of in a step: the distance of the nearest atoms, Å."""
        return nearest_distance(self.box.crystal)

    @property
    def crystal_mass(self) -> float:
        """Of all atoms of the box, meV ps²/Å²."""
        return self.box.crystal.cell_mass * float(np.prod(self.box.size))

    @property
    def lightest(self) -> float:
        """Mass of the lightest atom, meV ps²/Å²."""
        return float(self.box.crystal.masses.min())

    @property
    def pair_potentials(self) -> tuple[Potential, ...]:
        """All of them."""
        return tuple(self.potentials[name] for name in self.kinds)

    def bare(self, position: np.ndarray) -> np.ndarray:
        """φ (n,), meV, without a switch, of the ion at ``position`` (3,) with every candidate on its site."""
        distance, species = np.linalg.norm(self.apart(position), axis=1), np.array(self.box.crystal.species)[self.offsets[:, 3]]
        out = np.zeros(len(distance))
        for name in set(species.tolist()):
            mine = species == name
            out[mine] = self.potentials[self.kinds[self._kind(name)]].evaluate(distance[mine])[0]
        return out

    def heat(self, velocity: np.ndarray) -> float:
        """Mean of m v² over the components of atoms (p, 3, n1, n2, n3), meV: k_BT of a classical crystal."""
        square = np.asarray(velocity) ** 2 * self.box.crystal.masses[:, None, None, None, None]
        return float(np.mean(square))

    @property
    def longest_radius(self) -> float:
        """Half the least distance between opposite faces of the box, Å."""
        return 0.5 * float(np.min(1.0 / np.linalg.norm(np.linalg.inv(self.box.edges), axis=0)))

    @cached_property
    def allowance(self) -> float:
        """How far an atom may be from its site before a sphere could miss it, Å: half the distance of the nearest atoms."""
        return 0.5 * self.length

    def too_far(self, largest: float) -> str | None:
        """Whether an atom that is ``largest`` (Å) from its site can be overlooked by the sphere, or None."""
        if largest < self.allowance:
            return None
        return (
            f"an atom is {largest:.3g} Å from its site, more than half the distance of the nearest atoms, and the sphere around the ion could miss it; the "
            "crystal is too hot, or too soft, for that"
        )

    @cached_property
    def offsets(self) -> np.ndarray:
        """Candidate atoms, from the ion's cell or the origin, int64 (n, 4)."""
        if isinstance(self.atoms, CrystalSites):
            return np.array(self.atoms.sites, np.int64)
        return sites_near_cell(self.box.crystal, self.atoms.radius + self.allowance)

    @cached_property
    def kinds(self) -> list[str]:
        """The names under which the potentials stand."""
        return sorted(self.potentials)

    def _kind(self, species: str) -> int:
        return self.kinds.index(species if species in self.potentials else DEFAULT)

    def interaction(self, species: str) -> Interaction:
        """With an atom of that species: energy, gradient and Hessian of pairs, with the sphere's switch."""
        atoms = self.atoms if isinstance(self.atoms, Cutoff) else Cutoff(1e9, 1.0)
        return Interaction(self.potentials[self.kinds[self._kind(species)]], atoms)

    def law(self, n: int) -> Interaction:
        """With candidate n."""
        return self.interaction(self.box.crystal.species[self.offsets[n, 3]])

    @property
    def omega_max(self) -> float:
        """Highest angular frequency, rad/ps."""
        return dynamics.omega_max(self.box.crystal)

    @property
    def edges(self) -> np.ndarray:
        """Vectors of the periodic box as rows, (3, 3), Å."""
        return self.box.edges

    def coupling(self):
        """The interaction as `mdlite.kernels.site_coupling.SiteCoupling`."""
        from mdlite.kernels.site_coupling import SiteCoupling

        crystal = self.box.crystal
        chosen = [self.potentials[name] for name in self.kinds]
        params = np.zeros((len(chosen), max(len(potential.params) for potential in chosen)))
        for row, potential in zip(params, chosen):
            row[: len(potential.params)] = potential.params
        kinds = np.array([self._kind(species) for species in crystal.species], np.int64)
        return SiteCoupling(
            sites=self.offsets,
            places=np.ascontiguousarray(crystal.sites(self.offsets)),
            kinds=kinds[self.offsets[:, 3]],
            forms=np.array([potential_row(potential.kind) for potential in chosen], np.int64),
            params=params,
            switch_start=float(self.atoms.switch_start),
            cutoff=float(self.atoms.cutoff),
            cell=np.ascontiguousarray(crystal.cell),
            inverse=np.ascontiguousarray(np.linalg.inv(crystal.cell)),
            moving=bool(self.atoms.moving),
        )

    def candidate_sites(self, position: np.ndarray) -> np.ndarray:
        """Candidate atoms (..., n, 4) for the ion at ``position`` (..., 3), Å; not wrapped."""
        position = arguments.vectors("position", position)
        sites = np.broadcast_to(self.offsets, (*position.shape[:-1], *self.offsets.shape)).copy()
        if self.atoms.moving:
            sites[..., :3] += np.floor(position @ np.linalg.inv(self.box.crystal.cell)).astype(np.int64)[..., None, :]
        return sites

    def apart(self, position: np.ndarray) -> np.ndarray:
        """r - R (..., n, 3) in Å from the ion at ``position`` (..., 3) to its candidate atoms on their sites."""
        position = arguments.vectors("position", position, finite=True)
        return self.box.crystal.sites(self.candidate_sites(position)) - position[..., None, :]

    @property
    def echo_time(self) -> float:
        """When the ion's own sound, back around the periodic box, first meets an interacting atom, ps."""
        inverse = np.linalg.inv(self.box.edges)
        heights = 1.0 / np.linalg.norm(inverse, axis=0)  # across the faces
        if isinstance(self.atoms, Cutoff):
            extents = np.full(3, 2.0 * self.atoms.radius)
        else:
            extents = np.ptp(self.box.crystal.sites(self.offsets) @ inverse, axis=0) * heights
        return max(0.0, float(np.min(heights - extents))) / dynamics.fastest_sound(self.box.crystal)


@functools.lru_cache(maxsize=4)
def box_of(crystal: Crystal, size: tuple[int, int, int], matrix: tuple[tuple[int, int, int], ...] | None) -> Box:
    """``size`` cells of a crystal, or of its larger cell ``matrix``."""
    return Box(crystal if matrix is None else crystal.supercell(matrix), size)


def sites_of(crystal: Crystal, matrix: tuple[tuple[int, int, int], ...] | None, sites: Iterable[Sequence[int]]) -> CrystalSites:
    """Atoms given by primitive cell and κ, as those of the larger cell ``matrix``."""
    given = np.array(sites, np.int64).reshape(-1, 4)
    if matrix is not None:
        inner = {tuple(cell): n for n, cell in enumerate(images(np.array(matrix)).tolist())}
        outer, rest = divided(given[:, :3], np.array(matrix))
        place = np.array([inner[tuple(cell)] for cell in rest.tolist()])
        given = np.column_stack([outer, place * crystal.n_basis + given[:, 3]])
    return CrystalSites(tuple((i, j, k, atom) for i, j, k, atom in given.tolist()))


def nearest_distance(crystal: Crystal) -> float:
    """Of two atoms of a crystal, Å."""
    steps = np.array(list(itertools.product(range(-2, 3), repeat=3)))
    apart = crystal.positions[:, None, None] - crystal.positions[None, :, None]
    distance = np.linalg.norm((steps + apart - np.round(apart)) @ crystal.cell, axis=-1)
    return float(distance[distance > 1e-9].min())


def sites_near_cell(crystal: Crystal, radius: float) -> np.ndarray:
    """All atoms (n1, n2, n3, κ) nearer than ``radius`` (Å) to any point of cell 0, int64 (n, 4)."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)
    reach = np.ceil(radius / heights).astype(int) + 1
    axes = [np.arange(-n, n + 2) for n in reach]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = crystal.positions - np.floor(crystal.positions)
    home = cells[:, None] - np.floor(crystal.positions).astype(np.int64)
    distance = distance_to_cell(crystal.cell, cells[:, None] + inside)
    cell, atom = np.nonzero(distance < radius)
    return np.column_stack([home[cell, atom], atom]).astype(np.int64)


def distance_to_cell(cell: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distance (...) in Å from fractional points (..., 3) to the parallelepiped of cell 0.

    The nearest point of it has every coordinate at 0, at 1 or free: the least distance of the 27 cases whose free ones lie within.
    """
    metric = cell @ cell.T
    best = np.full(points.shape[:-1], np.inf)
    for fixed in itertools.product((0.0, 1.0, None), repeat=3):
        free = [axis for axis in range(3) if fixed[axis] is None]
        held = [axis for axis in range(3) if fixed[axis] is not None]
        offset = np.zeros(points.shape)
        for axis in held:
            offset[..., axis] = points[..., axis] - fixed[axis]
        if free:
            inner = metric[np.ix_(free, free)]
            offset[..., free] = -offset[..., held] @ np.linalg.solve(inner, metric[np.ix_(free, held)]).T if held else 0.0
        nearest = points - offset
        within = np.all((nearest >= -1e-12) & (nearest <= 1.0 + 1e-12), axis=-1)
        square = np.einsum("...a,ab,...b->...", offset, metric, offset)
        best = np.where(within, np.minimum(best, square), best)
    return np.sqrt(best.clip(min=0.0))
