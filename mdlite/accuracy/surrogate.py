"""Smooth functions through the errors that the map of validity has measured, and intervals that hold for kinds of situation that they have not seen.

A Gaussian process (Matérn 3/2, a length for each coordinate, by its likelihood) over logarithms of the numbers of `mdlite.accuracy.groups`. A *kind* is a potential in
a kind of motion. Every kind has been foreseen by a fit that has not seen it, and what it was off by there, over what points of other kinds nearby were
off by, is the score of normalised conformal prediction: the quantile of the scores, all kinds of motion on a line (or in space) counting alike, times the
misses nearby, is the interval.
Where even that fails, an estimate is outside (``far``).
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from mdlite.accuracy.groups import Groups
from mdlite.engines import registry

HELD = 0.8
"""Part of the cases that an interval is to hold."""
NEAR = 16
"""Points nearby whose misses set the width of an interval."""
LEAST_MISS = 1e-3
"""In the scale of `to_scale`; no two runs agree better."""
SPACE = 1.01
RESOLUTION = 1e-4
"""Of a relative error; nothing finer is told."""
SCALE = 0.1
"""Relative error at which the scale of signed errors turns from linear to logarithmic."""
LARGEST, SMALLEST = 10.0, 1e-5
LEAST, MOST = 1e-6, 1e3
"""Of a number whose logarithm is taken."""
FOLDS = 10
"""Of points that are all of one kind."""
FEWEST = 8
"""Points that a fit needs."""
LONG = 0.04
"""How much long lengths are preferred, per squared logarithm."""
LEAST_LOSS = 1e-4
"""Of the kinetic energy; of less the exact run's own error is a part."""
LEARNT = 400
"""Points from whose likelihood the lengths come."""
METHODS = registry.names(measured=True)
KINDS = {"cold": ("energy_loss", "force", "path"), "thermal": ("temperature", "diffusion")}
"""Kinds of point, and the errors that they have."""
GROUND = ("compliance", "rapidity", "loss", "mass_ratio", "yielding", "shift", "softening", "encounters", "company", "directions")
COORDINATES = {
    "energy_loss": (*GROUND, "dissipated", "spent"),
    "force": GROUND,
    "path": (*GROUND, "drag", "detour"),
    "temperature": ("compliance", "rapidity", "loss"),
    "diffusion": ("compliance", "rapidity", "loss"),
}
"""Numbers of `mdlite.accuracy.groups` over which each quantity is fitted."""
SIGNED = {"softening": (0.05, 5.0), "drag": (0.05, 5.0), "spent": (0.05, 3.0)}
"""Those that have a sign: where their scale turns from linear to logarithmic, and where it ends."""
LIMIT = 0.1
"""Expected error beyond which a run by the time-local method is warned of."""
WINDOW, ENOUGH = 0.05, 0.65
"""Part of the points whose coverage is looked at together, and how much of it is still that of HELD (two standard errors of fifty points)."""


class Fit:
    """A Gaussian process from coordinates (points, d) to values (points,)."""

    def __init__(self, x: np.ndarray, y: np.ndarray, settings: np.ndarray | None = None):
        self.x, self._mean = x, float(y.mean())
        self.settings = self._learnt(x, y - self._mean) if settings is None else settings
        matrix = self._kernel(x, x) + np.diag(np.full(len(y), np.exp(2.0 * self.settings[-1])))
        self._weights = cho_solve(cho_factor(matrix, lower=True), y - self._mean)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self._mean + self._kernel(x, self.x) @ self._weights

    def _kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        length = np.exp(self.settings[:-2])
        square = (
            np.sum((a / length) ** 2, axis=1)[:, None] + np.sum((b / length) ** 2, axis=1) - 2.0 * (a / length) @ (b / length).T
        )
        distance = np.sqrt(3.0 * np.maximum(square, 0.0))
        return np.exp(2.0 * self.settings[-2]) * (1.0 + distance) * np.exp(-distance)

    @staticmethod
    def _learnt(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Logarithms of the lengths, of the values' spread and of the noise, that make these values likely."""
        some = np.random.default_rng(0).permutation(len(y))[:LEARNT]
        x, y, spread, d = x[some], y[some], np.log(y.std() + LEAST), x.shape[1]
        apart = (x[:, None] - x[None]) ** 2

        def cost(settings: np.ndarray) -> tuple[float, np.ndarray]:
            parts = apart * np.exp(-2.0 * settings[:d])
            distance = np.sqrt(3.0 * parts.sum(axis=2))
            fall = np.exp(2.0 * settings[d] - distance)
            smooth, noise = (1.0 + distance) * fall, np.exp(2.0 * settings[d + 1])
            factor = cho_factor(smooth + (noise + 1e-8) * np.eye(len(y)), lower=True)
            weights, inverse = cho_solve(factor, y), cho_solve(factor, np.eye(len(y)))
            slope = inverse - np.outer(weights, weights)
            lengths = 1.5 * np.einsum("ij,ij,ijk->k", slope, fall, parts) + LONG * (settings[:d] - 2.0)
            gradient = np.array([*lengths, np.sum(slope * smooth), noise * np.trace(slope)])
            value = 0.5 * y @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * LONG * np.sum((settings[:d] - 2.0) ** 2)
            return float(value), gradient

        start = np.array([1.0] * d + [spread, spread - 1.6])
        bounds = [(-1.0, 6.0)] * d + [(-9.0, 5.0)] * 2
        return minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}).x


class Truth(NamedTuple):
    """What is fitted of the time-local method's force and energy lost is not the error but the truth: what the method makes of a case is known, it is run.

    The true value is ``unit`` times the exponential of what is fitted; own: the time-local method's.
    """

    own: np.ndarray
    unit: np.ndarray

    def error(self, value: np.ndarray) -> np.ndarray:
        """The method's relative error."""
        with np.errstate(over="ignore"):
            return np.clip(self.own / (self.unit * np.exp(value)) - 1.0, -LARGEST, LARGEST)


def truth(quantity: str, numbers: dict[str, np.ndarray]) -> Truth | None:
    """What the time-local method makes of a quantity, and what it is measured by, from columns of `mdlite.accuracy.groups`; None for what it is not run for."""
    if quantity == "force" and "hardest" in numbers:
        drag = np.nan_to_num(numbers["drag"], nan=MOST)  # it ran away: a file has no number for that
        return Truth(numbers["hardest"] * np.exp(np.minimum(drag, 100.0)), numbers["hardest"])
    if quantity == "energy_loss" and "spent" in numbers:
        spent = np.nan_to_num(numbers["spent"], nan=-MOST, neginf=-MOST)
        return Truth(numbers["liveliest"] * spent, numbers["liveliest"] * -np.expm1(-numbers["dissipated"]))
    return None


class Errors:
    """The errors of a method in one quantity: the smooth function through them, and how far it holds.

    x, y: coordinates of the points, and the values fitted; error: true relative errors; own: `Truth` of the points, or None where the errors themselves are
    fitted, in the scale of `to_scale`. kinds: of the points. wide: whether the ion moves in space, not on a line. learnt: what `facts` gave, or None to find it out.
    """

    def __init__(
        self, quantity: str, rows: np.ndarray, x: np.ndarray, error: np.ndarray, y: np.ndarray, own, kinds, wide, learnt=None
    ):
        self.quantity, self.rows, self.x, self.error, self.y = quantity, rows, x, error, y
        self.own, self.kinds, self.wide = own, kinds, wide
        self._fit: Fit | None = None
        if learnt is None:
            self._fit = Fit(x, y)
            self.settings = self._fit.settings
            self.middle, self.miss = self._foresee()
        else:
            self.settings, self.middle, self.miss = (np.array(learnt[name], float) for name in ("settings", "middle", "miss"))
        self.scores = np.abs(y - self.middle) / self.miss
        self._widths = {
            wide: _width(self.scores[chosen], kinds[chosen]) for wide, chosen in self._classes(np.ones(len(y), bool)).items()
        }

    def _classes(self, among: np.ndarray) -> dict[bool, np.ndarray]:
        """Points among some that set the width of the intervals for motion on a line (False) and in space (True): of that class, where it has two kinds at least."""
        chosen = {wide: among & (self.wide == wide) for wide in (False, True)}
        return {wide: those if len(set(self.kinds[those])) > 1 else among for wide, those in chosen.items()}

    def facts(self) -> dict[str, Any]:
        """What has taken long to find out, for a file: settings of the fit; of every point, what fits without its kind foresee, and what these miss nearby."""
        return {
            "settings": [round(float(v), 4) for v in self.settings],
            "middle": [float(f"{v:.4g}") for v in self.middle],
            "miss": [float(f"{v:.3g}") for v in self.miss],
        }

    @property
    def fit(self) -> Fit:
        """The smooth function."""
        if self._fit is None:
            self._fit = Fit(self.x, self.y, self.settings)
        return self._fit

    def _foresee(self) -> tuple[np.ndarray, np.ndarray]:
        middle, miss = np.empty((2, len(self.y)))
        for kind in np.unique(self.kinds):
            out = self.kinds == kind
            middle[out] = Fit(self.x[~out], self.y[~out], self.settings)(self.x[out])
        off = np.abs(self.y - middle)
        for kind in np.unique(self.kinds):
            out = self.kinds == kind
            miss[out] = _nearby(self.x[~out], off[~out], self.x[out])
        return middle, miss

    def relative(self, value: np.ndarray, own: Truth | None) -> np.ndarray:
        """Relative errors from values of the fit."""
        return from_scale(value, self.quantity) if own is None else own.error(value)

    @property
    def foreseen(self) -> np.ndarray:
        """Relative errors as fits without the points' kinds foresee them."""
        return self.relative(self.middle, self.own)

    def expect(self, x: np.ndarray, wide: bool, own: Truth | None) -> tuple[float, float, float]:
        """The relative error expected at a place (d,) of motion in space, or on a line, and the ends of its interval."""
        middle, half = self.fit(x[None])[0], self._widths[wide] * _nearby(self.x, np.abs(self.y - self.middle), x[None])[0]
        return self._ends(np.array([middle]), np.array([half]), own)[:, 0].tolist()

    def _ends(self, middle: np.ndarray, half: np.ndarray, own: Truth | None) -> np.ndarray:
        """The error, and the ends of its interval, (3, points)."""
        found = np.array([self.relative(middle + sign * half, own) for sign in (0.0, -1.0, 1.0)])
        if self.quantity != "energy_loss":
            found = np.maximum(found, -1.0)  # no force, temperature or D is below zero
        return np.array([found[0], *np.sort(found[1:], axis=0)])

    def held(self) -> np.ndarray:
        """Whether every point's error lay in its interval when neither the fit nor the width of the intervals had seen its kind."""
        width = np.empty(len(self.y))
        for kind in np.unique(self.kinds):
            for wide, those in self._classes(self.kinds != kind).items():
                width[(self.kinds == kind) & (self.wide == wide)] = _width(self.scores[those], self.kinds[those])
        _, low, high = self._ends(self.middle, width * self.miss, self.own)
        error = np.clip(self.error, -LARGEST, LARGEST)
        return (low - RESOLUTION <= error) & (error <= high + RESOLUTION)

    def coverage(self) -> dict[str, float]:
        """Fraction of every kind's points that lay in their interval, without that kind."""
        held = self.held()
        return {str(kind): float(held[self.kinds == kind].mean()) for kind in np.unique(self.kinds)}

    def cross_validation(self) -> dict[str, float]:
        """How well points of kinds left out of the fit were foreseen.

        points; median_miss and p90_miss: of the difference, where the true error is below 1, as a fraction; verdict_right: fraction of points of which it
        is foreseen whether the error is below LIMIT; rms_error of the true errors below 1, to compare with; held: fraction in the interval, on the mean over the kinds.
        """
        guessed, true = self.foreseen, self.error
        small = np.abs(true) < 1.0
        miss = np.abs(guessed - true)[small]
        return {
            "points": len(true),
            "median_miss": float(np.median(miss)),
            "p90_miss": float(np.quantile(miss, 0.9)),
            "rms_error": float(np.sqrt(np.mean(true[small] ** 2))),
            "verdict_right": float(np.mean((np.abs(guessed) < LIMIT) == (np.abs(true) < LIMIT))),
            "held": float(np.mean(list(self.coverage().values()))),
        }


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
        own, y = None, to_scale(error, quantity)
        if method == METHODS[0] and (own := truth(quantity, self._numbers)) is not None:
            true = np.array([np.nan if v is None else v for v in points[f"exact.{quantity}"]], float)
            with np.errstate(invalid="ignore", divide="ignore"):
                y = np.log(true / own.unit)
        rows = np.flatnonzero(np.isfinite(error) & np.isfinite(y))
        if len(rows) >= FEWEST and len(set(self.kinds[rows])) > 1:
            own = None if own is None else Truth(own.own[rows], own.unit[rows])
            x, kinds = self.places[quantity][rows], self.kinds[rows]
            wide = _wide(self._numbers.get("directions", np.ones(len(error)))[rows])
            self.known[method, quantity] = Errors(quantity, rows, x, error[rows], y[rows], own, kinds, wide, learnt)

    def learnt(self) -> dict[str, Any]:
        """What has taken long to find out, for a file."""
        return {".".join(key): one.facts() for key, one in self.known.items()} | {"far": self.far}

    def expect(self, method: str, quantity: str, found: Groups) -> tuple[float, float, float]:
        """The relative error expected of a configuration, and the ends of its interval."""
        one = self.known[method, quantity]
        own = None if one.own is None else truth(quantity, {name: np.array([value]) for name, value in found._asdict().items()})
        return tuple(one.expect(self.place(found, quantity), bool(_wide(found.directions)), own))

    def distance(self, found: Groups) -> float:
        """From the nearest point, in standard deviations of the points in the coordinates of the last quantity's fits."""
        return float(np.linalg.norm(self.places[self.quantities[-1]] - self.place(found, self.quantities[-1]), axis=1).min())

    def _far(self) -> float:
        """The distance from points of other kinds up to which the intervals of the time-local method hold as they should: beyond, coverage is not earned.

        Points of all kinds in the order of their distance, WINDOW of them at a time: the first window that holds less than ENOUGH of them ends it, or the last.
        """
        places = self.places[self.quantities[-1]]
        away = np.array([np.linalg.norm(places[self.kinds != kind] - x, axis=1).min() for kind, x in zip(self.kinds, places)])
        pairs = [(away[one.rows], one.held()) for (method, _), one in self.known.items() if method == METHODS[0]]
        if not pairs:
            return 0.0
        distance, held = (np.concatenate(column) for column in zip(*pairs))
        order = np.argsort(distance, kind="stable")
        distance, held = distance[order], held[order]
        width = max(FEWEST, round(WINDOW * len(held)))
        share = np.convolve(held, np.full(width, 1.0 / width), "valid")
        failed = np.flatnonzero(share < ENOUGH)
        failed = failed[
            failed > len(share) // 2
        ]  # that a window among the nearer half fails is the intervals' fault, not the distance's
        return float(distance[failed[0] + width // 2] if len(failed) else distance[-(width // 2) - 1])

    def cross_validation(self) -> dict[str, dict[str, float]]:
        """See `Errors.cross_validation`, by ``method.quantity``."""
        return {".".join(key): one.cross_validation() for key, one in self.known.items()}


def _width(scores: np.ndarray, kinds: np.ndarray) -> float:
    """The score that HELD of the cases do not exceed, every kind with the same weight."""
    names, number, count = np.unique(kinds, return_inverse=True, return_counts=True)
    weight = 1.0 / (count[number] * len(names))
    order = np.argsort(scores, kind="stable")
    reached = int(np.searchsorted(np.cumsum(weight[order]), HELD))
    return float(scores[order[min(reached, len(scores) - 1)]])


def _wide(directions):
    """Whether forces in so many directions (`mdlite.accuracy.groups`) are those of an ion that moves in space."""
    return np.asarray(directions) > SPACE


def _nearby(x: np.ndarray, missed: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Root mean square of what the NEAR nearest points were off by."""
    found = np.empty(len(places))
    for n, place in enumerate(places):
        near = np.argsort(np.sum((x - place) ** 2, axis=1), kind="stable")[:NEAR]
        found[n] = np.sqrt(np.mean(missed[near] ** 2)) + LEAST_MISS
    return found


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


def to_scale(error: np.ndarray, quantity: str) -> np.ndarray:
    """Relative errors in the scale of the fits: logarithmic for a path, linear up to SCALE and then logarithmic for signed ones."""
    if quantity == "path":
        return np.log(np.clip(error, SMALLEST, LARGEST))
    return np.arcsinh(np.clip(error, -LARGEST, LARGEST) / SCALE)


def from_scale(value: np.ndarray, quantity: str) -> np.ndarray:
    """The inverse of `to_scale`."""
    found = np.exp(value) if quantity == "path" else SCALE * np.sinh(value)
    return np.clip(found, -LARGEST, LARGEST)
