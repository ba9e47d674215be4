"""One point of a sweep, in whatever process it runs: ``FOLDER/point.toml`` becomes ``run.h5`` and ``result.json``, or ``error.json``.

A point that is there is not done again, one that was interrupted goes on from its checkpoint. Safe to call twice for the same folder at the
same time: the second call waits for the first.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any

from mdlite import atomic
from mdlite.errors import BusyError, InputError, RunError
from mdlite.io.outputs import is_file, regular

RESULT, ERROR = "result.json", "error.json"
RESERVED = ("point", "replica", "status", "error")
"""Names that a table of points gives to what is no result."""
PATIENCE = 60.0
"""s, for another process that writes the same point, such as one whose sweep was killed, to end."""
_ONE_AT_A_TIME = threading.Lock()
"""A process runs one point at a time, whatever its number of threads: the kernels take theirs."""


def result_of(folder: Path) -> dict[str, Any] | None:
    """The content of ``result.json``, or None where it is not there, or damaged (`damage_of`)."""
    content = read_json(folder / RESULT)
    return content if content is not None and _fault(content) is None else None


def damage_of(folder: Path) -> str | None:
    """What is wrong with a ``result.json`` that is there, or None."""
    path = folder / RESULT
    if not path.exists():
        return None
    content = read_json(path)
    fault = "is not a table of numbers" if content is None else _fault(content)
    return fault and f"{str(path)!r}: {fault}; remove the file, and `mdlite sweep` makes it again"


def _fault(result: dict[str, Any]) -> str | None:
    """What is wrong with a result: numbers or null by name, one at least."""
    for name, value in result.items():
        if name in RESERVED:
            return f"{name} = {_short(value)}: is not the name of a number"
        with contextlib.suppress(OverflowError):  # a whole number that no float can hold
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and float(value) is not None):
                continue
        return f"{name} = {_short(value)}: must be a number, or null"
    return None if result else "is empty"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def error_of(folder: Path) -> dict[str, Any] | None:
    """The content of ``error.json``: how often the point was tried, and what it said; or None."""
    return read_json(folder / ERROR)


def read_json(path: Path) -> dict[str, Any] | None:
    """The table in a JSON file, or None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if is_file(path) else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def record_error(folder: Path, message: str) -> str:
    """Leave in ``error.json`` what went wrong, and how often; returns it. Raises OSError."""
    before = (error_of(folder) or {}).get("tries", 0)
    write_json(folder / ERROR, {"tries": before + 1 if isinstance(before, int) else 1, "error": message})
    return message


def write_json(path: Path, content: Any) -> None:
    """A JSON file that is there whole, or not at all. Raises OSError, InputError where there can be no file."""
    with atomic.replacing(regular(path)) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def perform(folder: str, task: str, threads: int) -> str | None:
    """Do the point in ``folder`` with so many threads; returns None, or what went wrong, which is then also in ``error.json``.

    Raises Interrupted on SIGINT or SIGTERM, with a checkpoint written; OSError where the folder cannot be written.
    """
    place = Path(folder)
    if not (place / "point.toml").is_file():
        raise OSError(f"{place / 'point.toml'} is not there: every worker must see the sweep's folder under the same path")
    with _ONE_AT_A_TIME:
        if result_of(place) is not None:
            return None
        _take_threads(threads)
        try:
            found = _patiently(place, task)
        except (InputError, RunError, MemoryError, ArithmeticError) as error:
            message = f"{type(error).__name__}: {error}" if isinstance(error, MemoryError | ArithmeticError) else str(error)
            return record_error(place, message)
        write_json(place / RESULT, found)
        (place / ERROR).unlink(missing_ok=True)
        return None


def _take_threads(threads: int) -> None:
    import numba

    from mdlite.kernels import jit  # noqa: F401  starts numba's threads

    numba.set_num_threads(max(1, min(threads, numba.config.NUMBA_NUM_THREADS)))  # type: ignore[attr-defined]


def _patiently(place: Path, task: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return TASKS[task](place)
        except BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            if (found := result_of(place)) is not None:
                return found


def _run(place: Path) -> dict[str, Any]:
    """The numbers of `mdlite.sweeps.measures`."""
    from mdlite import config
    from mdlite.simulation import simulate
    from mdlite.sweeps import measures

    return measures.measure(simulate.run(config.load(place / "point.toml"), place / "run.h5", resume=True))


def _validate(place: Path) -> dict[str, Any]:
    """Every single number of the validation's summary, by dotted name (its unit is in the name)."""
    from mdlite import config
    from mdlite.io import checkpoint
    from mdlite.protocols import validate

    folder = place / "validation"
    with checkpoint.exclusive(folder):
        summary = validate.validate(config.load(place / "point.toml"), folder, force=True)
    skipped = ("environment", "settings", "files", "title", "protocol")
    return _numbers({key: value for key, value in validate.plain(summary).items() if key not in skipped})


def _compare(place: Path) -> dict[str, Any]:
    """The numbers of `mdlite.sweeps.comparison`."""
    from mdlite import config
    from mdlite.sweeps import comparison

    return comparison.compare(config.load(place / "point.toml"))


def _medium(place: Path) -> dict[str, Any]:
    """The numbers of `mdlite.sweeps.medium`."""
    from mdlite import config
    from mdlite.sweeps import medium

    return medium.measure(config.load(place / "point.toml", start=False, medium=True))


def _numbers(value: Any, name: str = "") -> dict[str, float | None]:
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _numbers(inner, f"{name}.{key}" if name else key).items()}
    return {name: value} if value is None or (isinstance(value, int | float) and not isinstance(value, bool)) else {}


TASKS = {"run": _run, "validate": _validate, "compare": _compare, "medium": _medium}
