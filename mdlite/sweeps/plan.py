"""The points of a sweep: a base configuration, and axes over any of its keys (``SWEEP.toml``).

    base = "trapped"                 a built-in case, or a TOML file beside the sweep's
    [set]                            changes for all points
    [grid]   key = [values], or key = { start, stop, count, scale }     every combination
    [zip]    key = [values]                                             in step with each other
    [[list]] key = value                                                one by one
    [random] count, key = { low, high, scale, integer }                 Sobol points

The blocks that are there multiply, and ``replicas`` multiplies them once more. Keys are dotted (``"run.dt"``, or tables of tables); a quoted
one takes whole tables as values; ``ion.velocity.z`` is a component.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError

from mdlite import arguments, config
from mdlite.config import Config, textfile
from mdlite.config.explain import explain, shortened, told
from mdlite.config.values import Count, Number, Section
from mdlite.errors import InputError
from mdlite.sweeps import bases, medium, repeats

MOST_POINTS = 100_000
BLOCKS = ("grid", "zip", "list", "random")


def _task(value: Any) -> Any:
    if isinstance(value, str) and value not in ("run", "validate", "compare", "medium"):
        raise ValueError("must be 'run', 'validate' or 'compare', or 'medium' (a crystal's numbers, without a run)")
    return value


Task = Annotated[Literal["run", "validate", "compare", "medium"], BeforeValidator(_task)]


class SweepSection(Section):
    """The content of a sweep's file."""

    title: str = ""
    base: bases.Base = Field(description="a built-in case, a TOML file beside the sweep's, or a configuration's tables")
    task: Task = Field("run", description="what every point does")
    replicas: Count = Field(1, description="of every point, each with a seed of its own")
    seed: int = Field(1, ge=0, lt=2**63, strict=True, description="of random axes and of replicas")
    set_: dict[str, Any] = Field({}, alias="set", description="changes for all points")
    grid: dict[str, Any] = Field({}, description="keys with lists of values, or with start, stop, count")
    zip_: dict[str, Any] = Field({}, alias="zip", description="keys with lists of equal length")
    list_: list[dict[str, Any]] = Field([], alias="list", description="points one by one")
    random: dict[str, Any] = Field({}, description="count, and keys with low and high")


class Span(Section):
    """Values at equal distances, or at equal ratios."""

    start: Number
    stop: Number
    count: Count
    scale: Literal["linear", "log"] = "linear"
    integer: bool = Field(False, strict=True)


class Range(Section):
    """What a random axis draws from."""

    low: Number
    high: Number
    scale: Literal["linear", "log"] = "linear"
    integer: bool = Field(False, strict=True)


@dataclass(frozen=True)
class Axis:
    """One dimension of a sweep. name: the key of a grid's axis, else the block's. rows: what each of its values sets."""

    name: str
    rows: list[dict[str, Any]]

    @property
    def keys(self) -> list[str]:
        """The keys that it sets."""
        return list(dict.fromkeys(key for row in self.rows for key in row))


@dataclass(frozen=True)
class Point:
    """One point: its name (a number), its place on every axis (the replica last), what it sets, and its configuration."""

    name: str
    index: tuple[int, ...]
    values: dict[str, Any]
    config: Config


@dataclass(frozen=True)
class Plan:
    """A sweep, expanded and checked. axes: without the replicas, which are the last number of every point's index."""

    title: str
    task: str
    replicas: int
    axes: list[Axis]
    points: list[Point]
    source: dict[str, Any] = field(repr=False, default_factory=dict)


def load(source: str | Path | Config | dict[str, Any], overrides: list[str] | tuple[str, ...] = ()) -> Plan:
    """Read a sweep (a TOML file, its content as a dict, or a Config, which is one of one point), expand it, and check every point.

    overrides: ``key=value`` texts for the base, stronger than its ``[set]``. Raises InputError with one line for every fault, all points that
    the model refuses included.
    """
    arguments.texts("overrides", overrides, 'a list of texts, such as ["run.dt=0.001"]')
    if isinstance(source, Config):
        source = {"base": source}
    if isinstance(source, dict):
        data = arguments.plain(source)
        folder, data = Path(), data | ({"base": bases.plain(data["base"])} if "base" in data else {})
    else:
        arguments.path("sweep", source, "a TOML file with a base and axes, its content as a dict, or a Config")
        path = Path(source)
        folder = path.parent
        if str(source) in config.case_names() and not path.exists():
            raise InputError(f"sweep = {str(source)!r}: is a built-in case; the file of a sweep names it: base = {str(source)!r}")
        data = textfile.toml(textfile.read(path, "sweep"), f"sweep = {str(path)!r}")
        if "base" not in data and data.keys() & {"lattice", "ion", "interaction", "run"}:
            raise InputError(
                f"sweep = {str(path)!r}: is the configuration of one run, not a sweep; `mdlite run {path} -o FILE.h5` runs it, and a sweep "
                f'names it: base = "{path.name}"'
            )
    try:
        sweep = SweepSection.model_validate(data)
    except ValidationError as error:
        raise InputError("\n".join(shortened(told(error.errors(include_url=False), SweepSection)))) from None
    if sweep.task == "medium":
        start, point = medium.base(*bases.tables(sweep.base, folder)), medium.settings
    else:
        start, point = bases.start(sweep.base, folder).to_dict(), _point
    changes = _flat(sweep.set_) | bases.given(overrides)
    axes = _axes(sweep)
    return Plan(
        sweep.title,
        sweep.task,
        sweep.replicas,
        axes,
        _points(sweep, functools.partial(point, start, folder), changes, axes),
        data,
    )


def _flat(table: dict[str, Any], leaf=lambda value: False, prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys; a table under a quoted dotted key, or one that ``leaf`` knows, is a value."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and not leaf(value) and "." not in key:
            new = _flat(value, leaf, f"{prefix}{key}.")
        else:
            new = {prefix + key: value}
        if twice := found.keys() & new.keys():
            raise InputError(f"{min(twice)}: is given twice, in quotes and in a table; give it once")
        found |= new
    return found


def _read(kind: type[Span] | type[Range], value: Any, name: str) -> Any:
    """A table of numbers as a Span or Range. Raises InputError."""
    try:
        read: Any = kind.model_validate(value)
    except ValidationError as error:
        raise InputError("\n".join(shortened([f"{name}.{explain(e, kind)}" for e in error.errors()]))) from None
    low, high = (read.start, read.stop) if kind is Span else (read.low, read.high)
    if read.scale == "log" and not (low > 0.0 and high > 0.0):
        raise InputError(f'{name} = {value!r}: scale = "log" needs positive numbers')
    if kind is Range and not low < high:
        raise InputError(f"{name} = {value!r}: low must be below high")
    return read


def _between(span: Span | Range, fraction: np.ndarray) -> list[Any]:
    """Values at fractions of the way from one end to the other."""
    low, high = (span.start, span.stop) if isinstance(span, Span) else (span.low, span.high)
    if span.integer and isinstance(span, Span):
        return [round(v) for v in _between(span.model_copy(update={"integer": False}), fraction)]
    if span.integer:  # every whole number of the range has the same share
        wider = span.model_copy(update={"integer": False, "low": float(np.ceil(low)), "high": float(np.floor(high) + 1.0)})
        return [min(int(np.floor(v)), int(np.floor(high))) for v in _between(wider, fraction)]
    values = low * (high / low) ** fraction if span.scale == "log" else low + (high - low) * fraction
    values[fraction == 1.0] = high
    return [float(v) for v in values]


def _values(value: Any, name: str) -> list[Any]:
    """The values of one key. Raises InputError."""
    if isinstance(value, dict):
        span = _read(Span, value, name)
        if span.count > MOST_POINTS:
            raise InputError(f"{name}.count = {span.count}: must be {MOST_POINTS} or less")
        value = _between(span, np.linspace(0.0, 1.0, span.count))
    if not isinstance(value, list) or not value:
        raise InputError(f"{name} = {value!r}: must be a list of values, or {{ start, stop, count }}")
    texts = [repr(v) for v in value]
    if len(set(texts)) < len(texts) and not name.startswith("zip"):
        twice = next(text for n, text in enumerate(texts) if text in texts[:n])
        raise InputError(f"{name}: lists {twice} twice; list each value once")
    return value


def _axes(sweep: SweepSection) -> list[Axis]:
    """The axes of a sweep, in the order of BLOCKS. Raises InputError."""
    axes = []
    for key, value in _flat(sweep.grid, lambda table: "start" in table).items():
        axes.append(Axis(key, [{key: v} for v in _values(value, f"grid {key}")]))
    paired = {key: _values(v, f"zip {key}") for key, v in _flat(sweep.zip_, lambda table: "start" in table).items()}
    lengths = {key: len(values) for key, values in paired.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"zip: its lists must have equal lengths, not {', '.join(f'{n} ({key})' for key, n in lengths.items())}")
    if paired:
        axes.append(Axis("zip", [dict(zip(paired, row)) for row in zip(*paired.values())]))
    if sweep.list_:
        axes.append(Axis("list", [_flat(row) for row in sweep.list_]))
    if sweep.random:
        axes.append(_random(sweep))
    keys = [key for axis in axes for key in axis.keys]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"{key}: stands on more than one axis; vary it once")
        if (inner := next((other for other in keys if other.startswith(f"{key}.")), None)) is not None:
            raise InputError(f"{key} and {inner}: both are varied, and the one is a part of the other; vary one of them")
    if "thermal.seed" in keys and sweep.replicas > 1:
        raise InputError(
            f"replicas = {sweep.replicas}: give every replica a thermal.seed; take that key off the axes, or replicas out"
        )
    count = sweep.replicas * int(np.prod([len(axis.rows) for axis in axes], dtype=object))
    if count > MOST_POINTS:
        raise InputError(f"sweep: has {count} points, {MOST_POINTS} at most; make its axes shorter")
    return axes


def _random(sweep: SweepSection) -> Axis:
    """Sobol points, scrambled with the sweep's seed."""
    from scipy.stats import qmc

    keys = _flat(sweep.random, lambda table: "low" in table)
    count = keys.pop("count", None)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_POINTS:
        raise InputError(f"random.count = {count!r}: must be how many points are drawn, a whole number from 1 to {MOST_POINTS}")
    ranges = {key: _read(Range, value, f"random {key}") for key, value in keys.items()}
    if not ranges:
        raise InputError('random: names no key; give one at least, such as "run.dt" = { low = 0.001, high = 0.005 }')
    drawn = qmc.Sobol(len(ranges), seed=np.random.default_rng(sweep.seed)).random_base2(max(0, (count - 1).bit_length()))[:count]
    columns = [_between(span, drawn[:, n].copy()) for n, span in enumerate(ranges.values())]
    return Axis("random", [dict(zip(ranges, row)) for row in zip(*columns)])


def replica_seed(seed: int, point: int, replica: int) -> int:
    """The thermal seed of a replica: independent for all points and replicas of a sweep."""
    return int(np.random.SeedSequence(seed, spawn_key=(point, replica)).generate_state(1, np.uint64)[0] >> 1)


def _points(
    sweep: SweepSection, make: Callable[[dict[str, Any]], Config], changes: dict[str, Any], axes: list[Axis]
) -> list[Point]:
    """Every point, made of what it changes, in the order of its index. Raises InputError that lists what the model refuses, and where, and points that are the same run."""
    points: list[Point] = []
    faults: dict[str, list[str]] = {}
    seen: dict[Any, int] = {}
    twins: list[tuple[int, int]] = []
    for number, place in enumerate(itertools.product(*[range(len(axis.rows)) for axis in axes])):
        values = {k: v for axis, n in zip(axes, place) for k, v in axis.rows[n].items()}
        names = [f"{len(points) + replica:05d}" for replica in range(sweep.replicas)]
        made: list[Any] = [None] * sweep.replicas  # where the model refuses a point; then there is no plan
        try:
            base = make(changes | values)
            first = seen.setdefault(repeats.key(base), len(points))
            twins += [(first, len(points))] if first < len(points) else []
            made = [base if sweep.replicas == 1 else _replica(base, sweep, number, n) for n in range(sweep.replicas)]
        except InputError as error:
            for line in str(error).splitlines():
                faults.setdefault(line, []).extend(names)
        points += [Point(name, (*place, n), values, one) for n, (name, one) in enumerate(zip(names, made))]
    if faults:
        raise InputError("\n".join(shortened([f"{line}{_where(names, points)}" for line, names in faults.items()])))
    if same := repeats.told([(points[n], points[m]) for n, m in twins], axes):
        raise InputError("\n".join(shortened(same)))
    return points


def _point(start: dict[str, Any], folder: str | Path, changes: dict[str, Any]) -> Config:
    data = copy.deepcopy(start)
    for key, value in changes.items():
        config.set_key(data, key, value)
    return config.parse(data, folder=folder)


def _replica(point: Config, sweep: SweepSection, number: int, replica: int) -> Config:
    if point.thermal is None:
        raise InputError(
            f"replicas = {sweep.replicas}: without a [thermal] table all replicas would be the same run; take it out"
        )
    return point.replace(**{"thermal.seed": replica_seed(sweep.seed, number, replica)})


def _where(names: list[str], points: list[Point]) -> str:
    """Which points a fault concerns, for the end of its line."""
    if len(names) == len(points):
        return " (at every point)"
    first = ", ".join(f"{key} = {value!r}" for key, value in points[int(names[0])].values.items())
    return f" (at {len(names)} of {len(points)} points, first at {names[0]}: {first})"
