"""The environment that numba reads when it is imported: looked at before, so that a slip in it gets a line, not a traceback.

Called by the package `mdlite.kernels` before anything in it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mdlite import machine
from mdlite.errors import InputError

LAYERS = ("default", "safe", "threadsafe", "forksafe", "tbb", "omp", "workqueue")
CHOICES = ("NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY", "NUMBA_NUM_THREADS")
MOST_THREADS = 1024


def check() -> None:
    """Raises InputError for a value of numba's variables that numba, or mdlite, cannot work with."""
    _threads()
    _layer()
    if _number("NUMBA_DISABLE_JIT", 0, 1, "0, or nothing") == 1:
        raise InputError(
            "NUMBA_DISABLE_JIT = '1': mdlite's kernels run only when they are compiled; take it out of the environment"
        )


def started(launch: Callable[[], str]) -> str:
    """What ``launch``, which starts numba's threads, says. Raises InputError where numba cannot."""
    try:
        return launch()
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        chosen = [f"{name} = {os.environ[name]!r}" for name in CHOICES if os.environ.get(name)]
        raise InputError(
            f"{', '.join(chosen) or 'numba'}: its threads cannot be started ({reason}); take the variable out of the "
            "environment, or name a layer that "
            "is installed: omp, workqueue, or tbb after pip install tbb"
        ) from None


def _number(variable: str, least: int, most: int, right: str) -> int | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise InputError(f"{variable} = {text!r}: must be {right}")
    return value


def _threads() -> None:
    cores = machine.cores()
    most = max(MOST_THREADS, cores)
    right = f"a whole number of threads, best {cores}, the cores that this process may use (or take it out of the environment)"
    _number("NUMBA_NUM_THREADS", 1, most, right)


def _layer() -> None:
    text = os.environ.get("NUMBA_THREADING_LAYER", "").strip()
    if text and text not in LAYERS:
        raise InputError(
            f"NUMBA_THREADING_LAYER = {text!r}: must be one of {', '.join(LAYERS)}; or take it out of the environment"
        )
