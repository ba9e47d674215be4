"""What error to expect of the time-local method and its better rungs, before a run: `validity`.

The map of validity (`mdlite validate map`) has measured errors at many points; `mdlite.accuracy.surrogate` has put smooth functions through them,
`mdlite.accuracy.conformal` has found out how far these hold for kinds of situation that they have not seen. Where not even that is known, the
estimate says that it is outside.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mdlite import arguments
from mdlite.accuracy import groups
from mdlite.accuracy.conformal import HELD, LIMIT
from mdlite.accuracy.groups import Groups
from mdlite.accuracy.regression import LARGEST
from mdlite.accuracy.surrogate import KINDS, METHODS, Surrogates
from mdlite.config import Config, config_of
from mdlite.errors import InputError, RunError

NAMES = {
    "energy_loss": "energy lost",
    "force": "peak force",
    "path": "path (rms, of v/ω)",
    "temperature": "ion temperature",
    "diffusion": "D",
}
LONGER = 2.0
"""Times as many encounters as any point of the map has had: beyond, what depends on the length of the run is a guess."""


@dataclass(frozen=True)
class Expected:
    """A relative error: the middle of the estimate, and the ends of its 80 % interval. A path's has no sign. sure: whether the interval is known to hold."""

    error: float
    low: float
    high: float
    signed: bool = True
    sure: bool = True

    @property
    def size(self) -> float:
        """The largest error in the interval."""
        return max(abs(self.low), abs(self.high))

    def __str__(self) -> str:
        digits = _decimals(self.high - self.low)
        error, low, high = (percent(value, digits, self.signed) for value in (self.error, self.low, self.high))
        if not self.sure:
            return f"perhaps {error} %"
        if low == high:
            return f"{error} %"
        return f"{error} % ({100 * HELD:.0f} %: {low} to {high} %)"


def _decimals(width: float) -> int:
    """Of figures in % whose interval is so wide (a fraction)."""
    return min(2, max(0, math.ceil(-math.log10(max(100.0 * width, 1e-9)))))


def percent(value: float, decimals: int = 0, signed: bool = True) -> str:
    """A fraction in %, with its sign, to two significant digits from 100 on; beyond the largest that the map knows, so."""
    if abs(value) >= 0.995 * LARGEST:
        return f"{'over' if value > 0.0 else 'under'} {100 * math.copysign(LARGEST, value):{'+' if signed else ''}.0f}"
    number = 100.0 * value
    if abs(number) >= 99.5:
        number, decimals = float(f"{number:.2g}"), 0
    text = f"{number:{'+' if signed else ''}.{decimals}f}"
    return text.lstrip("+-") if float(text) == 0.0 else text


@dataclass(frozen=True)
class Estimate:
    """What to expect: ``groups`` of the configuration, ``expected[method][quantity]``, and why it lies ``outside`` the map, if it does."""

    groups: Groups
    expected: dict[str, dict[str, Expected]]
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def outside(self) -> bool:
        """Whether the map has nothing like this, so that no interval is known to hold."""
        return bool(self.reasons)

    @property
    def worst(self) -> float:
        """The largest of the errors that the time-local method may have."""
        return self._worst("time-local")[0]

    def _worst(self, method: str) -> tuple[float, str]:
        found = self.expected[method]
        told = {name: one for name, one in found.items() if one.sure} or found
        return max(((one.size, NAMES[name].split(" (")[0]) for name, one in told.items()), default=(LARGEST, ""))

    @property
    def verdict(self) -> str:
        """One line: whether to use the time-local method, and what instead."""
        if not self.expected["time-local"]:
            return "the map has too few points of this kind to say anything"
        if self.outside:
            return f"outside the map ({'; '.join(self.reasons)}): the figures are a guess; compare with method patch, or by mdlite validate"
        size, name = self._worst("time-local")
        if size == 0.0:
            return "time-local: no force on the ion ever changes, and nothing can be off"
        if size <= LIMIT:
            return f"time-local is good to {_size(size)} ({name})"
        told = f"time-local: {name} may be off by {_size(size, 'up to ')}"
        best = min(METHODS, key=lambda method: self._worst(method)[0])
        if best == METHODS[0]:
            return f"{told}; compare with method patch, or by mdlite validate"
        return f"{told}; take method {best}, off by {_size(self._worst(best)[0], 'up to ')}"

    def __str__(self) -> str:
        lines = [
            f"compliance κ = {self.groups.compliance:.3g}, rapidity ν = {self.groups.rapidity:.3g}, loss η = {self.groups.loss:.3g}",
            f"expected relative error, with the interval that holds {100 * HELD:.0f} %:"
            if not self.outside
            else "relative error, a guess:",
        ]
        for method, found in self.expected.items():
            lines += [f"  {method:<12}{NAMES[quantity]:<22}{one}" for quantity, one in found.items()]
        return "\n".join([*lines, *self.remarks, self.verdict])


def _size(value: float, before: str = "") -> str:
    """How large an error may be: ``up to 38 %``."""
    if value >= 0.995 * LARGEST:
        return f"more than {100 * LARGEST:.0f} %"
    return f"{before}{percent(value, 0 if value >= 0.0095 else 1, False)} %" if value >= 0.0005 else f"{before}0.1 %"


def validity(config: Config | str | Path | dict[str, Any], data: str | Path | None = None) -> Estimate:
    """The errors to expect of a configuration (a Config, a TOML file, a built-in case, or its tables as a dict), in milliseconds, without its run.

    At T = 0: of the energy lost (in a period, a collision, or the run), the peak force, and the path over ``run.duration``; at a temperature: of the ion's
    temperature and D. data: a ``validity.json`` that `mdlite validate map` has made, or None for the one in the package. Raises InputError
    for a [crystal], of which the map knows nothing, for a crystal without W(0) (k2 = 0), or a file that is no map, RunError if the ion meets atoms too hard to be followed.
    """
    config = config_of(config)
    if config.crystal is not None:
        raise InputError(
            "crystal: the map of validity was measured in simple cubic crystals of [lattice]'s kind, and knows nothing of this one; compare with an exact "
            "run: mdlite validate, protocol rungs"
        )
    if data is not None:
        arguments.path("data", data)
    made = None if data is None or not Path(data).is_file() else Path(data).stat().st_mtime_ns
    return _estimate(config, groups.probe(config), _map(None if data is None else str(data), made))


@functools.lru_cache(maxsize=4)
def _map(path: str | None, made: int | None) -> dict[str, Surrogates]:
    if path is None:
        text = resources.files("mdlite.accuracy").joinpath("validity.json").read_text(encoding="utf-8")
    else:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"data = {path!r}: cannot be read: {error}") from None
    try:
        content = json.loads(text)
        return {kind: Surrogates(content["points"][kind], kind, content["learnt"][kind]) for kind in KINDS}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"data = {path!r}: is not a map of validity (validity.json of mdlite validate map)") from None


def _estimate(config: Config, found: Groups, surrogates: dict[str, Surrogates]) -> Estimate:
    chosen = surrogates["cold" if config.thermal is None else "thermal"]
    if not found.loss > 0.0:  # no force ever changes: nothing can be wrong
        return Estimate(found, {m: {q: Expected(0.0, 0.0, 0.0, q != "path") for q in chosen.quantities} for m in METHODS})
    reasons: list[str] = []
    remarks: list[str] = []
    vague: tuple[str, ...] = ()
    potential = config.interaction.potential
    forms = {kind.split("/")[0] for kind in chosen.kinds if "/" in kind}
    if forms and potential.kind not in forms:
        reasons.append(f"it has no {potential.kind} potential")
    if getattr(potential, "strength", 1.0) < 0.0:
        reasons.append("its potentials repel")
    if chosen.distance(found) > chosen.far:
        reasons.append("no point of it is near")
    if config.thermal is None and found.whole_run > LONGER * chosen.longest:
        vague = ("path",) if config.validate_.centre is not None else ("path", "force", "energy_loss")
        told = " and ".join(NAMES[name].split(" (")[0] for name in vague)
        remarks.append(
            f"the run has {found.whole_run:.0f} encounters, the map's have {chosen.longest:.0f} at most: {told} of so long a run is a guess"
        )
    expected: dict[str, dict[str, Expected]] = {}
    for method in METHODS:
        names = [q for q in chosen.quantities if (method, q) in chosen.known]
        expected[method] = {
            q: Expected(*chosen.expect(method, q, found), q != "path", not reasons and q not in vague) for q in names
        }
    return Estimate(found, expected, tuple(reasons), tuple(remarks))


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
