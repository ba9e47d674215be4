"""Points of a sweep that are the same run, however their numbers are written."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from mdlite.config import Config

if TYPE_CHECKING:
    from mdlite.sweeps.plan import Axis, Point


def key(config: Config) -> bytes:
    """Equal for equal configurations, however their numbers were written."""
    return hashlib.sha256(re.sub(r"-0\.0(?=[,\]}])", "0.0", config.cartesian().model_dump_json()).encode()).digest()


def told(pairs: list[tuple[Point, Point]], axes: list[Axis]) -> list[str]:
    """A line for every two points that are the same run, but for whole numbers that were drawn at random twice."""
    return [_line(*pair) for pair in pairs if not _drawn_twice(*pair, axes)]


def _drawn_twice(one: Point, other: Point, axes: list[Axis]) -> bool:
    """Whether two points differ in nothing but which draw they are: whole numbers drawn at random come again."""
    apart = {axis.name for axis, n, m in zip(axes, one.index, other.index) if n != m}
    return apart == {"random"} and repr(one.values) == repr(other.values)


def _line(one: Point, other: Point) -> str:
    keys = [key for key in one.values.keys() | other.values.keys() if repr(one.values.get(key)) != repr(other.values.get(key))]
    values = ", ".join(f"{key} = {_value(one, key)} and {_value(other, key)}" for key in sorted(keys))
    return f"points {one.name} and {other.name} are the same run{f' ({values})' if values else ''}; list each value once"


def _value(point: Point, key: str) -> str:
    return repr(point.values[key]) if key in point.values else "as in the base"
