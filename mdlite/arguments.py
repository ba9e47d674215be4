"""What a caller has given, checked: every fault is one InputError, ``name = value: what would be right``."""

from __future__ import annotations

import difflib
import math
import numbers
import os
import reprlib
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from mdlite.errors import InputError

if TYPE_CHECKING:
    import numpy as np

LARGEST, SMALLEST = 1e30, 1e-30
"""Of any number in any unit; beyond, powers and products of them leave what a float can hold."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 80


def refuse(name: str, value: Any, right: str) -> NoReturn:
    """Raise InputError: ``name = value: must be right``."""
    try:
        shown = _short.repr(value)
    except Exception:  # whatever somebody's own repr does
        shown = f"<{type(value).__name__}>"
    raise InputError(f"{name} = {' '.join(shown.split())}: must be {right}")


def plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's own, also within tables and lists; all else as it is. A table within itself stays as it is."""
    try:
        return _plain(value)
    except RecursionError:
        return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(inner) for inner in value)
    numpy = sys.modules.get("numpy")  # whoever has given a number of numpy has imported it
    return value.tolist() if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) else value


def scalar(value: Any) -> Any:
    """The number in an array without dimensions; all else as it is."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def number(name: str, value: Any, *, positive: bool = False, negative: bool = True, infinite: bool = False) -> float:
    """A finite number within LARGEST, as a float; ``positive``: above SMALLEST, too; ``negative``, ``infinite``: whether it may be."""
    right = "a positive number" if positive else "a finite number" if negative else "a finite number, 0 or more"
    right += (", or infinity" if infinite else ", finite") if positive else ""
    given, value = value, scalar(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        refuse(name, given, right)
    try:
        found = float(value)
    except OverflowError:
        found = math.nan
    if infinite and found == math.inf:
        return found
    if not math.isfinite(found) or (positive and found <= 0.0) or (not negative and found < 0.0):
        refuse(name, value, right)
    if abs(found) > LARGEST or (positive and found < SMALLEST):
        refuse(name, value, f"{right}, from {SMALLEST:g} to {LARGEST:g}" if positive else f"{right}, within {LARGEST:g}")
    return found


def whole(name: str, value: Any, least: int | None = None, right: str | None = None) -> int:
    """A whole number, ``least`` or more, as an int; ``right``: what it is."""
    right = right or ("a whole number" if least is None else f"a whole number, {least} or more")
    given, value = value, scalar(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or (least is not None and value < least):
        refuse(name, given, right)
    return int(value)


def sequence(name: str, value: Any, right: str) -> list[Any]:
    """The members of a list, tuple or array."""
    if isinstance(value, str | bytes | dict) or not isinstance(value, Iterable):
        refuse(name, value, right)
    try:
        return list(value)
    except TypeError:  # an array without dimensions
        refuse(name, value, right)


def vector(name: str, value: Any, **kind: bool) -> tuple[float, float, float]:
    """Three numbers as floats; ``kind``: as `number` takes."""
    right = "three numbers, such as (0.0, 0.0, 1.0)"
    given = sequence(name, value, right)
    if len(given) != 3:
        refuse(name, value, right)
    x, y, z = (number(f"{name} {axis}", component, **kind) for axis, component in zip("xyz", given))
    return x, y, z


def vectors(name: str, value: Any, finite: bool = False) -> np.ndarray:
    """Any number of vectors, (..., 3), as an array of floats."""
    import numpy as np

    right = f"{'finite ' if finite else ''}numbers of shape (..., 3)"
    try:
        given = np.asarray(value)
    except ValueError:  # lists of different lengths
        refuse(name, value, right)
    if given.dtype.kind not in "fiu" or given.shape[-1:] != (3,):
        refuse(name, value, right)
    if finite and not np.isfinite(given).all():
        refuse(name, value, right)
    return given.astype(float, copy=False)


def indices(name: str, value: Any, least: int | None = None) -> tuple[int, int, int]:
    """Three whole numbers, each ``least`` or more, as ints."""
    right = "three whole numbers" + ("" if least is None else f", {least} or more")
    given = sequence(name, value, right)
    if len(given) != 3:
        refuse(name, value, right)
    try:
        x, y, z = (whole(name, component, least) for component in given)
    except InputError:
        refuse(name, value, right)
    return x, y, z


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """One of some words."""
    if isinstance(value, str) and value in options:
        return value
    close = difflib.get_close_matches(value, options, 1) if isinstance(value, str) else []
    refuse(name, value, f"one of {', '.join(options)}" + (f"; did you mean {close[0]}?" if close else ""))


def instance(name: str, value: Any, kinds: type | tuple[type, ...], right: str) -> None:
    """Something of a type, or of one of several."""
    if not isinstance(value, kinds):
        refuse(name, value, right)


def flag(name: str, value: Any) -> None:
    """True or False."""
    instance(name, value, bool, "True or False")


def path(name: str, value: Any, what: str = "the name of a file") -> None:
    """Something that can be a path: a text or a `pathlib.Path`."""
    if isinstance(value, bytes) or not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        refuse(name, value, f"{what}, a text or a pathlib.Path")
    if isinstance(value, str) and not value.strip():
        raise InputError(f"{name} = {value!r}: is empty, which is no name; must be {what}")


def function(name: str, value: Any, right: str, others: Sequence[Any] = (None,)) -> None:
    """Something that can be called, or one of ``others``; ``right``: what it gets."""
    if not callable(value) and not any(value is other for other in others):
        refuse(name, value, right)


def flags(**values: Any) -> None:
    """True or False, each of them."""
    for name, value in values.items():
        flag(name, value)


def of_a_job(output: Any, progress: Any, notice: Any, needed: bool = False, **switches: Any) -> None:
    """What a run, a validation and a sweep have in common: where they write (``needed``: they must), what they report to, and switches."""
    if output is not None or needed:
        path("output", output, "the name of a file or folder")
    flags(**switches)
    function("progress", progress, "True for a bar, or a function that is called with the progress", (None, True, False))
    function("notice", notice, "a function that is called with a line of text")


def seconds(name: str, value: Any) -> float | None:
    """A length of wall-clock time, as a number above 0, or None."""
    if value is None:
        return None
    right = "a positive number of seconds"
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0.0 < float(value) < math.inf:
        refuse(name, value, right)
    return float(value)


def texts(name: str, value: Any, right: str) -> None:
    """A list of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        refuse(name, value, right)
