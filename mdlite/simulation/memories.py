"""What users' observers remember (`Observer.state`), as arrays for a checkpoint and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

KINDS = "biufc"
"""Of arrays that are kept: truth values and numbers."""
ARRAY = "array of the checkpoint"
TOLD = "told"


def packed(memories: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What observers remember, tables with their ``name`` and ``state``, as arrays: those in the states by number, and a text, in bytes, that says
    where each belongs; none for no observers.

    Raises TypeError, naming it, for what cannot be kept.
    """
    arrays: dict[str, np.ndarray] = {}
    told = [one | {"state": _plain(one["state"], f"observer {one['name']}: state()", arrays)} for one in memories]
    return {TOLD: np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays} if memories else {}


def unpacked(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The same tables. Raises ValueError or KeyError if they are damaged."""

    def look(table: dict[str, Any]) -> Any:
        return arrays[table[ARRAY]].copy() if table.keys() == {ARRAY} else table

    return json.loads(arrays[TOLD].tobytes(), object_hook=look) if arrays else []


def _plain(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON has it; arrays in it are moved to ``arrays``."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in KINDS:
        name = str(len(arrays))
        arrays[name] = value.copy()
        return {ARRAY: name}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{n}]", arrays) for n, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{where}[{key!r}]", arrays) for key, item in value.items()}
    what = "a table with keys that are no text" if isinstance(value, dict) else f"of type {type(value).__name__}"
    raise TypeError(f"{where}: is {what}; arrays of numbers, numbers, text, None, and lists and tables of these can be kept")
