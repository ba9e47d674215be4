"""Where an ion rests in the voids of a rigid crystal, which of these places are neighbours, and the window on the straight path between two of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from mdlite.crystals import relax
from mdlite.crystals.model import CrystalModel
from mdlite.crystals.voids import EQUAL, SAME, Void, voids

POINTS = 81
"""Of a straight path, before its highest is refined."""
ALIKE = 1e-6
"""Energies that differ by less than this share of them, or by as many meV, are those of equivalent places."""
HIGHEST = 1e6
"""meV; beyond, the ion is in an atom."""
STATIONARY = 1e-4
"""Å: where the ion's force is less than its stiffness times this, it is at rest."""
REACH = 3.0
"""Times the distance of the nearest place: how far neighbours are looked for."""
SLIDE = 0.02
"""Å off a saddle, whence the ion slides down."""
MINIMUM = "minimum"
STATES = (MINIMUM, "falls one way", "falls two ways", "maximum")
STEPS = np.array(list(itertools.product(range(-2, 3), repeat=3)))


class Kind(NamedTuple):
    """Equivalent places of rest. void: one of the voids that they are in. place: where the energy of the rigid crystal is least about it, or the void
    itself where it is stationary there, (3,), Å. count: in a cell. energy: of the rigid crystal, meV. state: of the ion there, by its stiffness."""

    void: Void
    place: np.ndarray
    per_cell: int
    energy: float
    state: str

    @property
    def holds(self) -> bool:
        """Whether the ion rests there."""
        return self.state == MINIMUM


class Passage(NamedTuple):
    """From a place of rest of one kind to a neighbouring one of another, or of the same.

    kinds: their numbers. ends: places (2, 3), Å. window: the highest point of the rigid crystal's energy on the straight path, (3,), Å, and its energy,
    meV. saddle: the saddle point of that energy that is found from there within a quarter of the path's length, if it joins the two ends; or None.
    """

    kinds: tuple[int, int]
    ends: np.ndarray
    window: np.ndarray
    window_energy: float
    saddle: np.ndarray | None

    @property
    def top(self) -> np.ndarray:
        """Its saddle, or its window where there is none."""
        return self.window if self.saddle is None else self.saddle

    @property
    def length(self) -> float:
        """Of the straight path, Å."""
        return float(np.linalg.norm(self.ends[1] - self.ends[0]))


def kinds_of(model: CrystalModel) -> tuple[list[Kind], list[tuple[np.ndarray, int]]]:
    """Where an ion rests in the voids of the crystal of a model's box, equivalent places as one kind, those of the largest voids first; and every such
    place in a cell (3,), Å, with the number of its kind. Places are equivalent by their energies and the radii of their voids."""
    found: list[Kind] = []
    every: list[tuple[np.ndarray, int]] = []
    for void in voids(model.box.crystal):
        place = _rest(model, void)
        now = relax.rigid(model, place)
        if not abs(now.energy) < HIGHEST or any(_apart(model, place, other) < SAME for other, _ in every):
            continue
        alike = (
            n for n, kind in enumerate(found) if _same(kind.energy, now.energy) and abs(kind.void.radius - void.radius) < EQUAL
        )
        number = next(alike, len(found))
        if number == len(found):
            found.append(Kind(void, place, 0, now.energy, state_of(now)))
        found[number] = found[number]._replace(per_cell=found[number].per_cell + 1)
        every.append((place, number))
    return found, every


def _rest(model: CrystalModel, void: Void) -> np.ndarray:
    """Where the ion comes to rest from a void, if that is within the void; the void itself if it is stationary, or if not."""
    begin = relax.rigid(model, void.place)
    if not np.linalg.norm(begin.gradient) > STATIONARY * (1.0 + np.abs(begin.stiffness).max()):
        return void.place
    found = _downhill(model, void.place)
    return found if np.linalg.norm(found - void.place) < void.radius else void.place


def _downhill(model: CrystalModel, start: np.ndarray) -> np.ndarray:
    """The minimum of the rigid crystal's energy below a place, by short steps."""
    stiff = 1.0 + np.abs(relax.rigid(model, start).stiffness).max()
    options = {"gtol": 1e-3 * STATIONARY * stiff, "initial_trust_radius": 0.05, "max_trust_radius": 0.1, "maxiter": 1000}

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        now = relax.rigid(model, x)
        return now.energy, now.gradient

    return minimize(
        value, start, jac=True, hess=lambda x: relax.rigid(model, x).stiffness, method="trust-exact", options=options
    ).x


def _apart(model: CrystalModel, one: np.ndarray, other: np.ndarray) -> float:
    """Distance of two places or of their images, Å."""
    away = (one - other) @ np.linalg.inv(model.box.crystal.cell)
    return float(np.linalg.norm((away - np.round(away)) @ model.box.crystal.cell))


def state_of(now: relax.Rigid) -> str:
    """What an ion at a place does in the rigid crystal."""
    if np.linalg.norm(now.gradient) > STATIONARY * (1.0 + np.abs(now.stiffness).max()):
        return f"pushed, {np.linalg.norm(now.gradient):.3g} meV/Å"
    return STATES[int(np.sum(np.linalg.eigvalsh(now.stiffness) < 0.0))]


def passages_of(model: CrystalModel, kinds: list[Kind], every: list[tuple[np.ndarray, int]]) -> list[Passage]:
    """Passages between neighbouring places of rest (`kinds_of`), equivalent ones once, those of the lowest windows first.

    Two are neighbours if no other is in or on the sphere that has their distance as a diameter. Left out are those without a window, the energy
    between them being nowhere higher than at an end, and those through an atom.
    """
    crystal = model.box.crystal
    ends = [(place, number) for place, number in every if kinds[number].holds]
    if not ends:
        return []
    centres = (np.array([place for place, _ in ends])[:, None] + STEPS @ crystal.cell).reshape(-1, 3)
    numbers = np.repeat([number for _, number in ends], len(STEPS))
    found: list[Passage] = []
    for n, kind in enumerate(kinds):
        for end, other in _neighbours(kind.place, centres, numbers) if kind.holds else ():
            passage = _passage(model, (n, other), kind.place, end)
            if passage is not None and not any(_alike(passage, one) for one in found):
                found.append(passage)
    found.sort(key=lambda one: (round(one.window_energy, 6), one.length))
    return found


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= ALIKE * max(1.0, abs(a), abs(b))


def _neighbours(place: np.ndarray, centres: np.ndarray, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Places of neighbours, and their kinds."""
    apart = centres - place
    distance = np.linalg.norm(apart, axis=1)
    order = np.argsort(distance, kind="stable")[1:]
    near = order[distance[order] <= REACH * distance[order[0]]]
    for n in near:
        middle, radius = place + 0.5 * apart[n], 0.5 * distance[n]
        between = np.linalg.norm(centres[near] - middle, axis=1) < radius * (1.0 + 1e-6)
        if not between[near != n].any():
            yield centres[n], int(numbers[n])


def _passage(model: CrystalModel, kinds: tuple[int, int], start: np.ndarray, end: np.ndarray) -> Passage | None:
    def energy(share: float) -> float:
        return relax.rigid(model, start + share * (end - start)).energy

    shares = np.linspace(0.0, 1.0, POINTS)
    values = np.array([energy(share) for share in shares])
    top = int(np.argmax(values))
    if top in (0, POINTS - 1):
        return None
    span = (shares[top - 1], shares[top + 1])
    if not values[top] < HIGHEST:
        return None
    best = minimize_scalar(lambda share: -energy(share), bounds=span, method="bounded", options={"xatol": 1e-9})
    return Passage(kinds, np.array([start, end]), start + best.x * (end - start), -float(best.fun), None)


def _alike(a: Passage, b: Passage) -> bool:
    return sorted(a.kinds) == sorted(b.kinds) and abs(a.length - b.length) < 1e-3 and _same(a.window_energy, b.window_energy)


def with_saddle(model: CrystalModel, one: Passage) -> Passage:
    """The passage with its saddle, if one is found from which the ion slides to either end."""
    found = relax.saddle(model, one.window, one.ends[1] - one.ends[0], 0.25 * one.length)
    if found is None:
        return one
    way = np.linalg.eigh(relax.rigid(model, found).stiffness)[1][:, 0]
    slid = [_downhill(model, found + step * way) for step in (SLIDE, -SLIDE)]
    off = min(max(np.linalg.norm(a - b) for a, b in zip(pair, one.ends)) for pair in (slid, slid[::-1]))
    return one._replace(saddle=found) if off < SAME else one
