"""What error to expect of the time-local method and its better rungs, before a run: `validity`.

The map of validity (`mdlite validate map`) has measured errors at many points. Here they are interpolated over the dimensionless groups of
`mdlite.groups`: thin-plate splines through the logarithms of κ, ν and η (SciPy), smoothed, in a scale in which an error and its sign both count.
How far that is to be trusted is measured too, at points left out of the fit; the interval around an estimate is what such points had nearby.
"""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from scipy.interpolate import RBFInterpolator

from mdlite import groups
from mdlite.config import Config
from mdlite.errors import InputError, RunError
from mdlite.groups import Groups

FOLDS = 10
NEAR = 16
"""Points left out nearby, from whose misses the interval is taken."""
NORMAL_80 = 1.2816
SCALE = 0.1
"""Relative error at which the scale of signed errors turns from linear to logarithmic."""
LARGEST, SMALLEST = 10.0, 1e-5
LEAST = 1e-6
"""Of a group, whose logarithm is taken."""
FAR = 0.75
"""Distance from the nearest point of the map, in standard deviations of its points, beyond which an estimate is a guess."""
LIMIT = 0.1
"""Expected error beyond which a run by the time-local method is warned of."""
NAMES = {
    "energy_loss": "energy lost",
    "force": "peak force",
    "path": "path (rms, of v/ω)",
    "temperature": "ion temperature",
    "diffusion": "D",
}
METHODS = ("time-local", "implicit", "patch")
KINDS = {"cold": ("energy_loss", "force", "path"), "thermal": ("temperature", "diffusion")}
"""Kinds of point, and the errors that they have."""
SMOOTHING = {"cold": 0.01, "thermal": 10.0}
FEWEST = 8
"""Points that a fit needs."""


@dataclass(frozen=True)
class Expected:
    """A relative error: the middle of the estimate, and the ends of its 80 % interval. A path's has no sign."""

    error: float
    low: float
    high: float

    @property
    def size(self) -> float:
        """The root mean square that the error is expected to have."""
        spread = 0.5 * (self.high - self.low) / NORMAL_80
        return float(np.hypot(self.error, spread)) if self.low < 0.0 else max(abs(self.error), spread)

    def __str__(self) -> str:
        sign = "+" if self.low < 0.0 else ""
        error, low, high = (
            f"{float(f'{100 * value:.2g}'):{sign}g}" for value in (self.error, self.low, self.high)
        )  # no exponents
        return f"{error} % ({low} to {high})"


@dataclass(frozen=True)
class Estimate:
    """What to expect: ``groups`` of the configuration, ``expected[method][quantity]``, and whether it lies ``outside`` the map."""

    groups: Groups
    expected: dict[str, dict[str, Expected]]
    outside: bool

    @property
    def worst(self) -> float:
        """The largest of the errors expected of the time-local method."""
        return self._worst("time-local")

    def _worst(self, method: str) -> float:
        return max((one.size for one in self.expected[method].values()), default=LARGEST)

    @property
    def verdict(self) -> str:
        """One line: whether to use the time-local method, and what instead."""
        if not self.expected["time-local"]:
            return "the map has too few points of this kind to say anything"
        if self.outside:
            return "outside the map: the figures are a guess; compare with method patch, or by mdlite validate"
        if self.worst <= LIMIT:
            return f"time-local is good to {_percent(self.worst)}"
        best = min(METHODS, key=self._worst)
        size = self._worst(best)
        return f"time-local is expected to be up to {_percent(self.worst)} off; take method {best}, up to {_percent(size)}"

    def __str__(self) -> str:
        lines = [
            f"compliance κ = {self.groups.compliance:.3g}, rapidity ν = {self.groups.rapidity:.3g}, loss η = {self.groups.loss:.3g}",
            "expected relative error, with the interval that holds 80 %:",
        ]
        for method, found in self.expected.items():
            lines += [f"  {method:<12}{NAMES[quantity]:<30}{one}" for quantity, one in found.items()]
        return "\n".join([*lines, self.verdict])


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %" if value < 1.0 else "100 % or more"


def validity(config: Config, data: str | Path | None = None) -> Estimate:
    """The errors to expect of a configuration, in milliseconds and without its run.

    At T = 0: of the energy lost (in a period, or a collision), the peak force, and the path over ``run.duration``; at a temperature: of the ion's
    temperature and D. data: a ``validity.json`` that `mdlite validate map` has made, or None for the one in the package. Raises InputError
    for a crystal without W(0) (k2 = 0) or a file that is no map, RunError if the ion meets atoms too hard to be followed.
    """
    made = None if data is None or not Path(data).is_file() else Path(data).stat().st_mtime_ns
    return _estimate(groups.probe(config), config.thermal is not None, _map(None if data is None else str(data), made))


@functools.lru_cache(maxsize=4)
def _map(path: str | None, made: int | None) -> dict[str, Surrogates]:
    if path is None:
        text = resources.files("mdlite").joinpath("validity.json").read_text(encoding="utf-8")
    else:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"data = {path!r}: can not be read: {error}") from None
    try:
        content = json.loads(text)
        return {kind: Surrogates(content["points"][kind], kind, content["guessed"][kind]) for kind in KINDS}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"data = {path!r}: is not a map of validity (validity.json of mdlite validate map)") from None


def _estimate(found: Groups, thermal: bool, surrogates: dict[str, Surrogates]) -> Estimate:
    chosen = surrogates["thermal" if thermal else "cold"]
    if not found.loss > 0.0:  # no force ever changes: nothing can be wrong
        nothing = Expected(0.0, 0.0, 0.0)
        return Estimate(found, {m: dict.fromkeys(chosen.quantities, nothing) for m in METHODS}, False)
    x = chosen.place(found)
    expected = {m: {q: chosen.expect(m, q, x) for q in chosen.quantities if (m, q) in chosen.known} for m in METHODS}
    return Estimate(found, expected, found.compliance < 0.0 or chosen.distance(x) > FAR)


class Surrogates:
    """The fits of one kind of point, ``cold`` (T = 0) or ``thermal``.

    points: a column for every number of `mdlite.comparison.compare`, and ``spread``, 1 for points that lie as if at random (those of a grid foresee each
    other too well: an interval is never narrower than what the others nearby had). guessed: what `foresee` has found for them, or None to do that now (seconds).
    """

    def __init__(self, points: dict[str, list[float | None]], kind: str, guessed: dict[str, list[float]] | None = None):
        self.quantities, self.kind = KINDS[kind], kind
        raw = np.log(np.maximum(np.abs(np.array([points[name] for name in Groups._fields], float).T), LEAST))
        if kind == "thermal":
            raw = raw[:, 1:]  # κ adds nothing there
        self._middle, self._width = raw.mean(axis=0), np.maximum(raw.std(axis=0), LEAST)
        self.x = (raw - self._middle) / self._width
        self.known: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self._spread: dict[tuple[str, str], np.ndarray] = {}
        self._fits: dict[tuple[str, str], RBFInterpolator] = {}
        for method, quantity in itertools.product(METHODS, self.quantities):
            if (method, quantity) != ("patch", "diffusion"):  # with which the others are compared
                self._take(method, quantity, points)
        if guessed is None:
            self.guessed = {key: self.foresee(*key) for key in self.known}
        else:
            self.guessed = {key: np.array(guessed[".".join(key)]) for key in self.known}

    def _take(self, method: str, quantity: str, points: dict[str, list[float | None]]) -> None:
        """The points where a method's error is known, on the scale of the fits; where it had to stop, the largest there is."""
        stopped = np.array(points[f"{method}.stopped"], float) > 0.0
        error = np.array([np.nan if v is None else v for v in points[f"{method}.{quantity}"]], float)
        error[stopped] = LARGEST
        there = np.isfinite(error)
        if there.sum() >= FEWEST:
            self.known[method, quantity] = self.x[there], to_scale(error[there], quantity)
            spread = np.array(points.get("spread", np.ones(len(there))), bool)[there]
            self._spread[method, quantity] = spread if spread.any() else np.ones_like(spread)

    def fit(self, method: str, quantity: str) -> RBFInterpolator:
        """The smooth function through the errors of a method, from a place to the scale of `to_scale`."""
        key = method, quantity
        if key not in self._fits:
            self._fits[key] = self._interpolator(*self.known[key])
        return self._fits[key]

    def _interpolator(self, x: np.ndarray, y: np.ndarray) -> RBFInterpolator:
        return RBFInterpolator(x, y, smoothing=SMOOTHING[self.kind], kernel="thin_plate_spline", degree=1)

    def foresee(self, method: str, quantity: str) -> np.ndarray:
        """What fits to nine tenths of the points say of the other tenth, for every point, on the scale of the fits."""
        x, y = self.known[method, quantity]
        guessed, folds = np.empty(len(y)), np.random.default_rng(0).permutation(len(y)) % FOLDS
        for fold in np.unique(folds):
            out = folds == fold
            guessed[out] = self._interpolator(x[~out], y[~out])(x[out])
        return guessed

    def left_out(self, method: str, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """Relative errors as they were foreseen at points left out of the fit, and as they are."""
        return from_scale(self.guessed[method, quantity], quantity), from_scale(self.known[method, quantity][1], quantity)

    def place(self, found: Groups) -> np.ndarray:
        """Where a configuration is among the points."""
        return (np.log(np.maximum(np.abs(found[-self.x.shape[1] :]), LEAST)) - self._middle) / self._width

    def distance(self, x: np.ndarray) -> float:
        """From the nearest point."""
        return float(np.linalg.norm(self.x - x, axis=1).min())

    def expect(self, method: str, quantity: str, x: np.ndarray) -> Expected:
        """The error expected at a place."""
        places, y = self.known[method, quantity]
        missed = self.guessed[method, quantity] - y
        middle = float(self.fit(method, quantity)(x[None])[0])
        distance = np.linalg.norm(places - x, axis=1)
        misses = []
        for chosen in (np.ones(len(places), bool), self._spread[method, quantity]):
            near = np.argsort(np.where(chosen, distance, np.inf))[: min(NEAR, int(chosen.sum()))]
            misses.append(np.sqrt(np.mean(missed[near] ** 2)))
        spread = NORMAL_80 * float(max(misses))
        ends = from_scale(np.array([middle, middle - spread, middle + spread]), quantity)
        error, low, high = (
            ends if quantity == "energy_loss" else np.maximum(ends, -1.0)
        ).tolist()  # no force, temperature or D is below zero
        return Expected(error, low, high)

    def cross_validation(self) -> dict[str, dict[str, float]]:
        """How well points left out of the fit were foreseen, by ``method.quantity``; of those that lie at random, since a grid's foresee each other too well.

        points; median_miss and p90_miss: of the difference, where the true error is below 1, as a fraction; verdict_right: fraction of points of which it
        is foreseen whether the error is below LIMIT; rms of the true errors below 1, to compare with.
        """
        found = {}
        for method, quantity in self.known:
            guessed, true = (values[self._spread[method, quantity]] for values in self.left_out(method, quantity))
            small = np.abs(true) < 1.0
            miss = np.abs(guessed - true)[small]
            found[f"{method}.{quantity}"] = {
                "points": len(true),
                "median_miss": float(np.median(miss)),
                "p90_miss": float(np.quantile(miss, 0.9)),
                "rms_error": float(np.sqrt(np.mean(true[small] ** 2))),
                "verdict_right": float(np.mean((np.abs(guessed) < LIMIT) == (np.abs(true) < LIMIT))),
            }
        return found


def to_scale(error: np.ndarray, quantity: str) -> np.ndarray:
    """Relative errors in the scale of the fits: logarithmic for a path, linear up to SCALE and then logarithmic for signed ones."""
    if quantity == "path":
        return np.log(np.clip(error, SMALLEST, LARGEST))
    return np.arcsinh(np.clip(error, -LARGEST, LARGEST) / SCALE)


def from_scale(value: np.ndarray, quantity: str) -> np.ndarray:
    """The inverse of `to_scale`."""
    found = np.exp(value) if quantity == "path" else SCALE * np.sinh(value)
    return np.clip(found, -LARGEST, LARGEST)


def warning(config: Config) -> str | None:
    """A line for a user who is about to run the time-local method where it is not good; None where it is, or where nothing can be said."""
    try:
        found = validity(config)
    except (InputError, RunError):
        return None
    if not found.expected["time-local"] or (found.worst <= LIMIT and not found.outside):
        return None
    parts = [f"{NAMES[quantity]} {one}" for quantity, one in found.expected["time-local"].items()]
    return f"warning: expected errors: {'; '.join(parts)}; {found.verdict}"
