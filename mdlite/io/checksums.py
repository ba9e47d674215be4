"""Checksums of what a run's file holds: of every array while it grows, and of what stands in attributes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from isal.isal_zlib import crc32


def integral(array: np.ndarray, before: int = 0) -> int:
    """Checksum of an array's bytes, carried on from ``before``."""
    return crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), before)


def settings_sum(toml: str, facts: dict[str, Any], run: str) -> int:
    """Checksum of what stands in a file's attributes."""
    return crc32(json.dumps([toml, facts, run], sort_keys=True).encode())


class Checksums:
    """How many rows every array has so far, and the checksum of their bytes, by its place in the file."""

    def __init__(self, told: dict[str, Any] | None = None):
        self._of = {place: tuple(total) for place, total in (told or {}).items() if place != "settings"}

    def add(self, place: str, values: np.ndarray) -> None:
        """Rows were appended to an array."""
        rows, total = self._of.get(place, (0, 0))
        self._of[place] = rows + len(values), integral(values, total)

    def replace(self, place: str, values: np.ndarray) -> None:
        """An array holds these values, or is a single one."""
        self._of[place] = len(np.atleast_1d(values)), integral(values)

    def told(self) -> dict[str, tuple[int, int]]:
        """Rows and checksum by place, for JSON."""
        return dict(self._of)
