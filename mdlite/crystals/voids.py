"""Voids: places from which the nearest atoms are farther than from anywhere around. The centre of the largest empty sphere is one."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import ArrayLike

from mdlite import arguments
from mdlite.crystals import dynamics
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.dynamics import Medium
from mdlite.errors import InputError

TOUCHING = 1e-3
"""Å: atoms that are farther than the nearest by less than this touch the sphere too."""
SAME = 1e-2
"""Å: two centres nearer to each other are one."""
EQUAL = 1e-4
"""Å: radii that differ by less are equal."""
INSIDE = 1e-6
"""How far within the hull of the directions to its atoms a maximum lies."""
ROUNDED = 6
"""Decimals of the fractional coordinates by which equal voids are ordered."""


@dataclasses.dataclass(frozen=True, eq=False)
class Void:
    """The centre of an empty sphere that cannot grow.

    position: fractional, within the cell, (3,). place: the same in Å, (3,). radius: distance to the nearest atoms, Å. neighbours: these
    atoms, (m, 4) whole numbers n1, n2, n3, κ.
    """

    position: np.ndarray
    place: np.ndarray
    radius: float
    neighbours: np.ndarray


def largest_void(medium: Medium) -> Void:
    """The void of the largest radius; of equal ones that with the smallest fractional coordinates, the first counting most."""
    return voids(medium)[0]


@functools.lru_cache(maxsize=8)
def voids(medium: Medium) -> tuple[Void, ...]:
    """All voids of the cell, the largest first, equal ones by their fractional coordinates. Raises InputError for a crystal that has none."""
    crystal = dynamics.general(medium)
    lattice = reduced(crystal.cell)
    farthest = (
        0.5 * np.linalg.norm(lattice, axis=1).sum()
    )  # from an atom, anywhere: half the sum of the edges is beyond half the diagonal
    found: list[tuple[float, np.ndarray]] = []
    for vertex in _vertices(crystal, lattice, farthest):
        centre = _refined(crystal, vertex, farthest)
        if centre is not None:
            found.append(centre)
    ordered = _ordered(crystal, _merged(crystal, found))
    if not ordered:
        raise InputError("crystal: no void is found in it; give the ion's position")
    return tuple(ordered)


def near(medium: Medium, place: ArrayLike, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Atoms within ``radius`` (Å) of a ``place`` (3,), Å: (m, 4) whole numbers n1, n2, n3, κ, and their distances (m,), Å, the nearest first."""
    crystal = dynamics.general(medium)
    radius = arguments.number("radius", radius, positive=True)
    centre = np.array(arguments.vector("place", place)) @ np.linalg.inv(crystal.cell)
    reach = radius * np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)  # in each fractional coordinate
    low = np.floor(centre - reach - crystal.positions.max(axis=0)).astype(int)
    high = np.ceil(centre + reach - crystal.positions.min(axis=0)).astype(int)
    cells = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high)], indexing="ij"), axis=-1).reshape(-1, 3)
    apart = np.linalg.norm((cells[:, None] + crystal.positions - centre) @ crystal.cell, axis=-1)
    cell, atom = np.nonzero(apart <= radius)
    distance = apart[cell, atom]
    sites = np.column_stack([cells[cell], atom])
    order = np.lexsort((*sites.T[::-1], np.round(distance, 6)))
    return sites[order], distance[order]


def reduced(cell: np.ndarray) -> np.ndarray:
    """Short vectors of the same lattice, (3, 3): each as short as taking whole multiples of another away makes it."""
    vectors = np.array(cell, float)
    for _ in range(100):
        before = vectors.copy()
        for i, j in ((i, j) for i in range(3) for j in range(3) if i != j):
            share = vectors[i] @ vectors[j] / (vectors[j] @ vectors[j])
            if abs(share) > 0.5 + 1e-9:
                vectors[i] -= np.round(share) * vectors[j]
        if np.array_equal(vectors, before):
            break
    return vectors


def _vertices(crystal: Crystal, lattice: np.ndarray, farthest: float) -> np.ndarray:
    """Voronoi vertices of the periodic crystal in one cell of ``lattice``, some several times, (n, 3), Å."""
    from scipy.spatial import Voronoi

    inverse = np.linalg.inv(lattice)
    inner = crystal.places @ inverse
    inner -= np.floor(inner)
    reach = 1.01 * farthest * np.linalg.norm(inverse, axis=0)
    steps = [np.arange(-int(np.ceil(r)), int(np.ceil(r)) + 1) for r in reach]
    shifts = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    images = (inner + shifts[:, None]).reshape(-1, 3)
    kept = np.all((images > -reach) & (images < 1.0 + reach), axis=1)
    vertices = Voronoi(images[kept] @ lattice).vertices
    share = vertices @ inverse
    return vertices[np.all((share > -0.01) & (share < 1.01), axis=1)]


def _refined(crystal: Crystal, place: np.ndarray, farthest: float) -> tuple[float, np.ndarray] | None:
    """Radius and place of a Voronoi vertex from the atoms that it touches; None for one that is no maximum."""
    from scipy.spatial import ConvexHull, QhullError

    for _ in range(2):
        sites, distance = near(crystal, place, 1.01 * farthest)
        touching = crystal.sites(sites[distance < distance[0] + TOUCHING])
        apart = touching - place
        if len(touching) < 4:
            return None
        # |x - p_i|² equal for all: 2 (p_i - p_0)·x = |p_i|² - |p_0|², here from the place that is known
        rows, right = 2.0 * (apart[1:] - apart[0]), (apart[1:] ** 2).sum(axis=1) - (apart[0] ** 2).sum()
        place = place + np.linalg.lstsq(rows, right, rcond=1e-9)[0]
    directions = touching - place
    radius = float(np.linalg.norm(directions, axis=1).min())
    try:
        hull = ConvexHull(directions / radius)
    except QhullError:  # all in a plane
        return None
    return (radius, place) if hull.equations[:, -1].max() < -INSIDE else None


def _merged(crystal: Crystal, found: list[tuple[float, np.ndarray]]) -> list[tuple[float, np.ndarray]]:
    """Radii and fractional positions in the cell, the larger of any that coincide."""
    kept: list[tuple[float, np.ndarray]] = []
    inverse = np.linalg.inv(crystal.cell)
    for radius, place in sorted(found, key=lambda one: -one[0]):
        position = place @ inverse
        position -= np.floor(np.round(position, ROUNDED))
        position[np.abs(position) < 10.0**-ROUNDED] = 0.0
        apart = [np.linalg.norm((position - other - np.round(position - other)) @ crystal.cell) for _, other in kept]
        if min(apart, default=np.inf) > SAME:
            kept.append((radius, position))
    return kept


def _ordered(crystal: Crystal, found: list[tuple[float, np.ndarray]]) -> list[Void]:
    """Voids, the largest first, equal ones by their fractional coordinates."""
    radii = np.array([radius for radius, _ in found])
    rank = np.concatenate([[0], np.cumsum(-np.diff(radii) > EQUAL)]) if len(radii) else radii
    keys = [(int(n), *(np.round(position, ROUNDED) + 0.0).tolist()) for n, (_, position) in zip(rank, found)]
    made = []
    for n in sorted(range(len(found)), key=keys.__getitem__):
        radius, position = found[n]
        place = position @ crystal.cell
        made.append(Void(position, place, radius, near(crystal, place, radius + TOUCHING)[0]))
    return made
