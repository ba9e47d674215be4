"""The errors that the map of validity has measured, as functions of logarithms of the numbers of `mdlite.accuracy.groups`, for every method and quantity.

A *kind* is a potential in a kind of motion: `mdlite.accuracy.conformal` calibrates the intervals on kinds that the fits have not seen. Where even
that fails, an
estimate is outside (``far``).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mdlite.accuracy.conformal import Errors, Truth
from mdlite.accuracy.groups import Groups
from mdlite.accuracy.regression import LARGEST, to_scale
from mdlite.engines import registry

SPACE = 1.01
"""Directions (`mdlite.accuracy.groups`) beyond which an ion moves in space, not on a line."""
LEAST, MOST = 1e-6, 1e3
"""Of a number whose logarithm is taken."""
FOLDS = 10
"""Of points that are all of one kind."""
FEWEST = 8
"""Points that a fit needs."""
LEAST_LOSS = 1e-4
"""Of the kinetic energy; of less the exact run's own error is a part."""
METHODS = registry.names(measured=True)
KINDS = {"cold": ("energy_loss", "force", "path"), "thermal": ("temperature", "diffusion")}
"""Kinds of point, and the errors that they have."""
GROUND = ("compliance", "rapidity", "loss", "mass_ratio", "yielding", "shift", "softening", "encounters", "company", "directions")
COORDINATES = {
    "energy_loss": (*GROUND, "dissipated", "spent"),
    "force": GROUND,
    "path": (*GROUND, "drag", "detour"),
    "temperature": ("compliance", "rapidity", "loss", "mass_ratio", "shift"),
    "diffusion": ("compliance", "rapidity", "barrier", "company"),
}
"""Numbers of `mdlite.accuracy.groups` over which each quantity is fitted."""
SIGNED = {"softening": (0.05, 5.0), "drag": (0.05, 5.0), "spent": (0.05, 3.0)}
"""Those that have a sign: where their scale turns from linear to logarithmic, and where it ends."""
ACTIVATED = (-4.0, 2.0)
"""Logarithms between which the law of activation is taken at its word."""
WINDOW, ENOUGH = 0.05, 0.65
"""Part of the points whose coverage is looked at together, and how much of it is still that of HELD (two standard errors of fifty points)."""


def truth(quantity: str, numbers: dict[str, np.ndarray]) -> Truth | None:
    """What the time-local method makes of a quantity, and what it is measured by, from columns of `mdlite.accuracy.groups`; None for what is not known.

    An ion that ran away, or whose loss cannot be told, has the largest error.
    """
    if quantity == "force" and "hardest" in numbers:
        drag = np.nan_to_num(numbers["drag"], nan=MOST)  # it ran away: a file has no number for that
        return Truth(numbers["hardest"] * np.exp(np.minimum(drag, 100.0)), numbers["hardest"])
    if quantity == "energy_loss" and "spent" in numbers:
        spent = np.nan_to_num(numbers["spent"], nan=MOST, posinf=MOST)  # it ran away
        return Truth(numbers["liveliest"] * spent, numbers["liveliest"] * -np.expm1(-numbers["dissipated"]))
    return None


def activated(numbers: dict[str, np.ndarray], ratio: np.ndarray) -> Truth:
    """What D would be, over the true one, if ions at ``ratio`` of the crystal's temperature crossed the same barriers as often as their own
    temperature lets them."""
    barrier = np.clip(np.nan_to_num(numbers["barrier"], nan=MOST, posinf=MOST), 0.0, MOST)
    slower = np.exp(np.clip(0.5 * np.log(ratio) - barrier * (1.0 / ratio - 1.0), *ACTIVATED))
    return Truth(slower, np.ones_like(slower))


class Surrogates:
    """All fits of one kind of point, ``cold`` (T = 0) or ``thermal``: ``known[method, quantity]`` is an `Errors`.

    points: a column for every number of `mdlite.sweeps.comparison.compare`, and ``kind``, what may be foreseen only by others (random FOLDS without it).
    learnt: what an instance has found out (`learnt`), or None to do that now (a minute).
    """

    def __init__(self, points: dict[str, list], kind: str, learnt: dict[str, Any] | None = None):
        self.quantities, self.kind = KINDS[kind], kind
        count = len(points["loss"])
        self._numbers = {
            name: np.array([np.nan if v is None else v for v in points[name]], float) for name in Groups._fields if name in points
        }
        self.kinds = np.array(points.get("kind") or (np.random.default_rng(0).permutation(count) % FOLDS).astype(str))
        self.longest = max(self._numbers.get("encounters", [np.inf]), default=np.inf)
        self._scales: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.places = {quantity: self._placed(quantity) for quantity in self.quantities}
        self.known: dict[tuple[str, str], Errors] = {}
        for method, quantity in itertools.product(METHODS, self.quantities):
            if (method, quantity) != ("patch", "diffusion"):  # with which the others are compared
                self._take(method, quantity, points, None if learnt is None else learnt.get(f"{method}.{quantity}"))
        self.far = self._far() if learnt is None else learnt["far"]

    def names(self, quantity: str) -> tuple[str, ...]:
        """The coordinates of a quantity that the points have."""
        return tuple(name for name in COORDINATES[quantity] if name in self._numbers)

    def _placed(self, quantity: str) -> np.ndarray:
        """Every point's coordinates in standard deviations from the middle."""
        names = self.names(quantity)
        raw = _scaled(np.array([self._numbers[name] for name in names]).T, names)
        self._scales[quantity] = (raw.mean(axis=0), np.maximum(raw.std(axis=0), LEAST)) if len(raw) else (np.zeros(1), np.ones(1))
        return (raw - self._scales[quantity][0]) / self._scales[quantity][1]

    def place(self, found: Groups, quantity: str) -> np.ndarray:
        """Where a configuration is among the points."""
        names, (middle, width) = self.names(quantity), self._scales[quantity]
        return (_scaled(np.array([getattr(found, name) for name in names], float), names) - middle) / width

    def _take(self, method: str, quantity: str, points: dict[str, list], learnt: dict[str, Any] | None) -> None:
        """The points where a method's error is known; where it had to stop, it is the largest there is."""
        stopped = np.array(points[f"{method}.stopped"], float) > 0.0
        error = np.array([np.nan if v is None else v for v in points[f"{method}.{quantity}"]], float)
        error[stopped] = LARGEST
        if quantity == "energy_loss" and "liveliest" in self._numbers:
            lost = np.array([np.nan if v is None else v for v in points["exact.energy_loss"]], float)
            error[~(lost > LEAST_LOSS * self._numbers["liveliest"])] = np.nan
        own, y = self._known(method, quantity), to_scale(error, quantity)
        if quantity == "diffusion" and own is not None:
            y = np.log(own.own) - y
        elif own is not None:
            true = np.array([np.nan if v is None else v for v in points[f"exact.{quantity}"]], float)
            with np.errstate(invalid="ignore", divide="ignore"):
                y = np.log(true / own.unit)
        rows = np.flatnonzero(np.isfinite(error) & np.isfinite(y))
        if len(rows) >= FEWEST and len(set(self.kinds[rows])) > 1:
            own = None if own is None else Truth(own.own[rows], own.unit[rows])
            x, kinds = self.places[quantity][rows], self.kinds[rows]
            wide = _wide(self._numbers.get("directions", np.ones(len(error)))[rows])
            self.known[method, quantity] = Errors(quantity, rows, x, error[rows], y[rows], own, kinds, wide, learnt)

    def _known(self, method: str, quantity: str) -> Truth | None:
        """What is known of a method at the points without their errors: its own result, or what its temperature, as foreseen, does to its D."""
        if quantity == "diffusion" and "barrier" in self._numbers and (method, "temperature") in self.known:
            one, ratio = self.known[method, "temperature"], np.ones(len(self.kinds))
            ratio[one.rows] += one.foreseen
            return activated(self._numbers, ratio)
        return truth(quantity, self._numbers) if method == METHODS[0] else None

    def learnt(self) -> dict[str, Any]:
        """What has taken long to find out, for a file."""
        return {".".join(key): one.facts() for key, one in self.known.items()} | {"far": self.far}

    def expect(self, method: str, quantity: str, found: Groups) -> tuple[float, float, float]:
        """The relative error expected of a configuration, and the ends of its interval."""
        one, own = self.known[method, quantity], None
        if one.own is not None:
            numbers = {name: np.array([value]) for name, value in found._asdict().items()}
            if quantity == "diffusion":
                own = activated(numbers, np.array([1.0 + self.expect(method, "temperature", found)[0]]))
            else:
                own = truth(quantity, numbers)
        middle, low, high = one.expect(self.place(found, quantity), bool(_wide(found.directions)), own)
        return middle, low, high

    def distance(self, found: Groups) -> float:
        """From the nearest point, in standard deviations of the points in the coordinates of the last quantity's fits."""
        return float(np.linalg.norm(self.places[self.quantities[-1]] - self.place(found, self.quantities[-1]), axis=1).min())

    def _far(self) -> float:
        """The distance from points of other kinds up to which the intervals of the time-local method hold as they should: beyond, coverage is not earned.

        Points of all kinds in the order of their distance, WINDOW of them at a time: the first window that holds less than ENOUGH of them ends it, or the last.
        """
        known = [one for (method, _), one in self.known.items() if method == METHODS[0]]
        if not known:
            return 0.0
        places = self.places[self.quantities[-1]]
        away = np.array([np.linalg.norm(places[self.kinds != kind] - x, axis=1).min() for kind, x in zip(self.kinds, places)])
        pairs = [(away[one.rows], one.held()) for one in known]
        distance, held = (np.concatenate(column) for column in zip(*pairs))
        order = np.argsort(distance, kind="stable")
        distance, held = distance[order], held[order]
        width = max(FEWEST, round(WINDOW * len(held)))
        share = np.convolve(held, np.full(width, 1.0 / width), "valid")
        failed = np.flatnonzero(share < ENOUGH)
        failed = failed[failed > len(share) // 2]  # in the nearer half it is the intervals' fault, not the distance's
        return float(distance[failed[0] + width // 2] if len(failed) else distance[-(width // 2) - 1])

    def cross_validation(self) -> dict[str, dict[str, float]]:
        """See `Errors.cross_validation`, by ``method.quantity``."""
        return {".".join(key): one.cross_validation() for key, one in self.known.items()}


def _wide(directions):
    """Whether forces in so many directions (`mdlite.accuracy.groups`) are those of an ion that moves in space."""
    return np.asarray(directions) > SPACE


def _scaled(numbers: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Numbers of `mdlite.accuracy.groups` (..., names) in the scales of the coordinates; what is not known counts as the largest."""
    numbers = np.nan_to_num(numbers, nan=MOST, posinf=MOST, neginf=-MOST)
    columns = [
        np.arcsinh(np.clip(column, -SIGNED[name][1], SIGNED[name][1]) / SIGNED[name][0])
        if name in SIGNED
        else np.log(np.clip(np.abs(column), LEAST, MOST))
        for name, column in zip(names, np.moveaxis(numbers, -1, 0))
    ]
    return np.stack(columns, axis=-1) if columns else numbers
