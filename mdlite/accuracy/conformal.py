"""How far a fit holds: intervals that are calibrated on kinds of situation which the fit has not seen.

Every kind of point has been foreseen by a fit without it. What it was off by there, over what points of other kinds nearby were off by, is the score of
normalised conformal prediction: the quantile of the scores, all kinds of motion on a line (or in space) counting alike, times the misses nearby, is
the interval.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mdlite.accuracy.regression import LARGEST, LOWEST, RATIOS, Fit, from_scale

HELD = 0.8
"""Part of the cases that an interval is to hold."""
NEAR = 16
"""Points nearby whose misses set the width of an interval."""
LEAST_MISS = 1e-3
"""In the scale of `mdlite.accuracy.regression.to_scale`; no two runs agree better."""
RESOLUTION = 1e-4
"""Of a relative error; nothing finer is told."""
LIMIT = 0.1
"""Expected error beyond which a run by the time-local method is warned of."""


class Truth(NamedTuple):
    """What is fitted is not an error but the truth, where it is known what a method makes of a case: ``unit`` times the exponential of what is fitted.

    own: the method's own value. unit: what the true one is measured by.
    """

    own: np.ndarray
    unit: np.ndarray

    def error(self, value: np.ndarray) -> np.ndarray:
        """The method's relative error, where ``value`` is fitted."""
        with np.errstate(over="ignore"):
            return np.clip(self.own / (self.unit * np.exp(value)) - 1.0, -LARGEST, LARGEST)


class Errors:
    """The errors of a method in one quantity: the smooth function through them, and how far it holds.

    x, y: coordinates of the points, and the values fitted; error: true relative errors; own: `Truth` of the points, or None where the errors themselves are
    fitted, in the scale of `mdlite.accuracy.regression.to_scale`. kinds: of the points. wide: whether the ion moves in space, not on a line. learnt:
    what `facts` gave, or None to find it out.
    """

    def __init__(
        self, quantity: str, rows: np.ndarray, x: np.ndarray, error: np.ndarray, y: np.ndarray, own, kinds, wide, learnt=None
    ):
        self.quantity, self.rows, self.x, self.error, self.y = quantity, rows, x, error, y
        self.own, self.kinds, self.wide = own, kinds, wide
        self._fit: Fit | None = None
        self._weights: np.ndarray | None = None
        if learnt is None:
            self._fit = Fit(x, y)
            self.settings = self._fit.settings
            self.middle, self.miss = self._foresee()
        else:
            self.settings, self.middle, self.miss = (np.array(learnt[name], float) for name in ("settings", "middle", "miss"))
            self._weights = np.array(learnt["weights"], float)
        self.scores = np.abs(y - self.middle) / self.miss
        self._widths = {
            wide: _width(self.scores[chosen], kinds[chosen]) for wide, chosen in self._classes(np.ones(len(y), bool)).items()
        }

    def _classes(self, among: np.ndarray) -> dict[bool, np.ndarray]:
        """Points among some that set the width of the intervals for motion on a line (False) and in space (True): of that class, where it has two
        kinds at least."""
        chosen = {wide: among & (self.wide == wide) for wide in (False, True)}
        return {wide: those if len(set(self.kinds[those])) > 1 else among for wide, those in chosen.items()}

    def facts(self) -> dict[str, Any]:
        """What has taken long to find out, for a file: settings of the fit; of every point its weight in
        the fit, what fits without its kind foresee, and what these miss nearby."""
        rounded = np.round(self.settings, 4)
        return {
            "settings": rounded.tolist(),
            "middle": [float(f"{v:.4g}") for v in self.middle],
            "miss": [float(f"{v:.3g}") for v in self.miss],
            "weights": [float(f"{v:.10g}") for v in Fit(self.x, self.y, rounded).weights],
        }

    @property
    def fit(self) -> Fit:
        """The smooth function."""
        if self._fit is None:
            self._fit = Fit(self.x, self.y, self.settings, self._weights)
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
        if self.quantity != "energy_loss":  # no force, temperature or D is below zero
            found = np.maximum(found, LOWEST if self.quantity in RATIOS else -1.0)
        return np.array([found[0], *np.sort(found[1:], axis=0)])

    def held(self) -> np.ndarray:
        """Whether every point's error lay in its interval when neither the fit nor the width of the intervals had seen its kind."""
        width = np.empty(len(self.y))
        for kind in np.unique(self.kinds):
            for wide, those in self._classes(self.kinds != kind).items():
                width[(self.kinds == kind) & (self.wide == wide)] = _width(self.scores[those], self.kinds[those])
        _, low, high = self._ends(self.middle, width * self.miss, self.own)
        error = np.clip(self.error, LOWEST if self.quantity in RATIOS else -LARGEST, LARGEST)
        return (low - RESOLUTION <= error) & (error <= high + RESOLUTION)

    def coverage(self) -> dict[str, float]:
        """Fraction of every kind's points that lay in their interval, without that kind."""
        held = self.held()
        return {str(kind): float(held[self.kinds == kind].mean()) for kind in np.unique(self.kinds)}

    def cross_validation(self) -> dict[str, float]:
        """How well points of kinds left out of the fit were foreseen.

        points; median_miss and p90_miss: of the difference, where the true error is below 1, as a fraction; verdict_right: fraction of points of which it
        is foreseen whether the error is below LIMIT; rms_error of the true errors below 1, to compare with; held: fraction in the interval, on the
        mean over the kinds.
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


def _width(scores: np.ndarray, kinds: np.ndarray) -> float:
    """The score that HELD of the cases do not exceed, every kind with the same weight."""
    names, number, count = np.unique(kinds, return_inverse=True, return_counts=True)
    weight = 1.0 / (count[number] * len(names))
    order = np.argsort(scores, kind="stable")
    reached = int(np.searchsorted(np.cumsum(weight[order]), HELD))
    return float(scores[order[min(reached, len(scores) - 1)]])


def _nearby(x: np.ndarray, missed: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Root mean square of what the NEAR nearest points were off by."""
    found = np.empty(len(places))
    for n, place in enumerate(places):
        near = np.argsort(np.sum((x - place) ** 2, axis=1), kind="stable")[:NEAR]
        found[n] = np.sqrt(np.mean(missed[near] ** 2)) + LEAST_MISS
    return found
