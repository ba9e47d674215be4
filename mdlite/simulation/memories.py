"""What users' observers remember (`Observer.state`), as arrays for a checkpoint and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mdlite import terminal

KINDS = "biufc"
"""Of arrays that are kept: truth values and numbers."""
MOST_BITS = 10_000
"""Of an integer: Python writes no more than 4300 digits."""
ARRAY = "array of the checkpoint"
"""The one name in a table that stands for an array. A user's own name of that kind is marked by one more apostrophe."""
TOLD = "told"


def packed(memories: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What observers remember, tables with their ``name`` and ``state``, as arrays: those in the states by number, and a text, in bytes, that says
    where each belongs; none for no observers.

    Raises TypeError, naming it, for what cannot be kept.
    """
    arrays: dict[str, np.ndarray] = {}
    told = [one | {"state": _whole(one["state"], f"observer {one['name']}: state()", arrays)} for one in memories]
    return {TOLD: np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays} if memories else {}


def unpacked(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The same tables. Raises ValueError or KeyError if they are damaged."""

    def look(table: dict[str, Any]) -> Any:
        if table.keys() == {ARRAY}:
            return arrays[table[ARRAY]].copy()
        return {key[:-1] if _marked(key) and key != ARRAY else key: value for key, value in table.items()}

    return json.loads(arrays[TOLD].tobytes(), object_hook=look) if arrays else []


def _marked(key: str) -> bool:
    """Whether a name is `ARRAY`, with any number of apostrophes."""
    return key.rstrip("'") == ARRAY


def _whole(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    try:
        return _plain(value, where, arrays)
    except RecursionError:
        raise TypeError(f"{where}: is nested too deeply, or holds itself") from None
    except TypeError:
        raise
    except Exception as error:  # of somebody's own kind of list, table or array
        raise TypeError(f"{where}: {terminal.of_error(error)}") from error


def _plain(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON has it; arrays in it are moved to ``arrays``."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: is a masked array; give its data and its mask")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise TypeError(f"{where}: is an integer of thousands of digits")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in KINDS:
        name = str(len(arrays))
        arrays[name] = value.copy()
        return {ARRAY: name}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{n}]", arrays) for n, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key + "'" * _marked(key): _plain(item, f"{where}[{key!r}]", arrays) for key, item in value.items()}
    what = "a table with keys that are no text" if isinstance(value, dict) else f"of type {type(value).__name__}"
    raise TypeError(f"{where}: is {what}; arrays of numbers, numbers, text, None, and lists and tables of these can be kept")
