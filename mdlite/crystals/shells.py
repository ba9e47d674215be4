"""Shells of neighbours: all pairs of atoms of two species at one distance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mdlite.errors import InputError

SAME = 1e-3
"""Å; distances nearer to each other than this are one."""
MEANT = 0.01
"""Å; from the distance that is given to the one that is meant."""
FARTHEST = 20.0
"""Å, of neighbours."""
SHOWN = 6
"""Distances in a message."""


class Structure(NamedTuple):
    """Where atoms sit: cell (3, 3), Å; positions, fractional (p, 3); masses (p,), meV ps²/Å²; species of each."""

    cell: np.ndarray
    positions: np.ndarray
    masses: np.ndarray
    species: tuple[str, ...]


class Shell(NamedTuple):
    """All pairs from an atom of the first to one of the second species at one distance (of one species: both ways), and their springs.

    number: among the distances of these species, from 1. first, second (b,), cells (b, 3): the pairs, vectors (b, 3) between them, Å.
    matrices (b, 3, 3), meV/Å², and owner (b,), the name of the spring that gave each, empty so far: to be filled.
    """

    species: tuple[str, str]
    number: int
    distance: float
    first: np.ndarray
    second: np.ndarray
    cells: np.ndarray
    vectors: np.ndarray
    matrices: np.ndarray
    owner: np.ndarray

    def rows(self, pairs: np.ndarray) -> np.ndarray:
        """Which of the shell's pairs each of (n, 5), atoms and cells, is; -1 for none."""
        own = np.column_stack([self.first, self.second, self.cells])
        low = np.minimum(own.min(axis=0), pairs.min(axis=0))
        span = np.maximum(own.max(axis=0), pairs.max(axis=0)) - low + 1
        code, wanted = (np.ravel_multi_index(tuple((keys - low).T), tuple(span)) for keys in (own, pairs))
        order = np.argsort(code)
        place = order[np.searchsorted(code, wanted, sorter=order).clip(max=len(code) - 1)]
        return np.where(code[place] == wanted, place, -1)


class _Pairs(NamedTuple):
    """Pairs of two species in ascending order of distance, and where each shell begins, with the end of the last."""

    first: np.ndarray
    second: np.ndarray
    cells: np.ndarray
    vectors: np.ndarray
    distances: np.ndarray
    edges: list[int]


def numbered(structure: Structure, a: str, b: str, number: int, name: str) -> Shell:
    """Shell ``number``, from 1, of species a and b. Raises InputError, which names ``name``, where it lies too far away."""
    radius = 2.0 * (np.linalg.det(structure.cell) / len(structure.species)) ** (1.0 / 3.0)
    while True:
        radius = min(1.4 * radius, FARTHEST)
        pairs = _within(structure, a, b, radius)
        if len(pairs.edges) - 1 > number or (radius == FARTHEST and len(pairs.edges) - 1 == number):  # the last may not be whole
            return _cut(pairs, (a, b), number)
        if radius == FARTHEST:
            raise InputError(
                f"{name} = {number}: {a} and {b} have {len(pairs.edges) - 1} distances within {FARTHEST:g} Angstrom; give a smaller shell"
            )


def at(structure: Structure, a: str, b: str, distance: float, name: str) -> Shell:
    """The shell of species a and b at a distance, Å. Raises InputError, which names ``name``, where there is none, or are several."""
    if distance > FARTHEST:
        raise InputError(f"{name} = {distance:g}: must be {FARTHEST:g} Angstrom or less")
    pairs = _within(structure, a, b, distance + 10.0 * MEANT)
    there = pairs.distances[pairs.edges[:-1]]
    near = np.flatnonzero(np.abs(there - distance) <= MEANT)
    exact = np.flatnonzero(np.abs(there - distance) <= SAME)
    found = exact if len(exact) == 1 else near
    if len(found) == 1:
        return _cut(pairs, (a, b), int(found[0]) + 1)
    if len(found):
        between = ", ".join(f"{r:.4f}" for r in there[found])
        raise InputError(
            f"{name} = {distance:g}: may be any of the distances {between} Angstrom of {a} and {b}; give more digits, or a shell"
        )
    wider = _within(structure, a, b, min(2.0 * distance + 5.0, FARTHEST))
    every = wider.distances[wider.edges[:-1]]
    nearest = ", ".join(f"{r:.4f}" for r in np.sort(every[np.argsort(np.abs(every - distance))[:SHOWN]]))
    raise InputError(f"{name} = {distance:g}: no {a} and {b} are so far apart; near it are {nearest} Angstrom")


def _within(structure: Structure, a: str, b: str, radius: float) -> _Pairs:
    """All pairs nearer than ``radius``, an atom with itself left out."""
    species = np.array(structure.species)
    i, j = (part.ravel() for part in np.meshgrid(np.flatnonzero(species == a), np.flatnonzero(species == b), indexing="ij"))
    apart = structure.positions[j] - structure.positions[i]
    away = np.round(apart)  # cells between the two as they are given
    apart -= away
    heights = radius * np.linalg.norm(np.linalg.inv(structure.cell), axis=0)
    axes = [np.arange(np.floor(-h - d.max()), np.ceil(h - d.min()) + 1, dtype=np.int64) for h, d in zip(heights, apart.T)]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    kept = []
    for number, between in enumerate(apart):  # bounded memory
        vectors = (cells + between) @ structure.cell
        squares = np.einsum("ij,ij->i", vectors, vectors)
        near = np.flatnonzero((squares < radius**2) & (squares > SAME**2))
        kept.append((np.full(len(near), number), near, vectors[near], np.sqrt(squares[near])))
    pair, near, vectors, distances = (np.concatenate(part) for part in zip(*kept))
    order, away = np.argsort(distances, kind="stable"), away.astype(np.int64)
    distances, edges = distances[order], [0]
    while edges[-1] < len(distances):
        edges.append(int(np.searchsorted(distances, distances[edges[-1]] + SAME, side="right")))
    return _Pairs(i[pair][order], j[pair][order], (cells[near] - away[pair])[order], vectors[order], distances, edges)


def _cut(pairs: _Pairs, species: tuple[str, str], number: int) -> Shell:
    rows = slice(pairs.edges[number - 1], pairs.edges[number])
    count = rows.stop - rows.start
    return Shell(
        species,
        number,
        float(pairs.distances[rows].mean()),
        pairs.first[rows],
        pairs.second[rows],
        pairs.cells[rows],
        pairs.vectors[rows],
        np.zeros((count, 3, 3)),
        np.full(count, "", dtype=object),
    )
