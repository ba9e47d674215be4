"""Reading a run's file: its settings and facts, and its arrays when they are asked for, each against its checksum."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdlite.errors import InputError
from mdlite.io import seal
from mdlite.io.checksums import integral, settings_sum
from mdlite.io.layout import END, ENERGY, OBSERVERS, STATE, places

DAMAGED = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError, IndexError)
MOST_EXPANSION = 1100
"""The most that deflate can shrink data; a file that claims more is damaged."""


@contextmanager
def refusal(path: Path) -> Iterator[None]:
    """Turn what HDF5 and numpy say of a damaged or foreign file into an InputError."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"file = {str(path)!r}: no such file") from None
    except DAMAGED as error:
        raise InputError(
            f"file = {str(path)!r}: is not an mdlite run (an H5MD file written by `mdlite run`), or it is damaged"
        ) from error


def _require_file(path: Path) -> None:
    """Raise InputError where there is no file."""
    try:
        if path.is_file():
            return
        what = "is not a regular file" if path.exists() else "no such file"
    except (OSError, ValueError) as error:  # a name that no file can have
        raise InputError(f"file = {str(path)[:57]!r}...: {getattr(error, 'strerror', None) or error}") from None
    raise InputError(f"file = {str(path)!r}: {what}")


class Contents(Mapping):
    """The arrays of a run's file by name, read when they are first asked for. Raises InputError where the file is not one, or damaged.

    toml: the configuration. facts: as the run left them. run: its identity, hex. It is pickled as the place of its file, without the arrays.
    """

    def __init__(self, path: str | Path, probed: bool = False):
        self.path = Path(path)
        _require_file(self.path)
        if self.path.suffix.lower() == ".toml":
            raise InputError(
                f"file = {str(self.path)!r}: is not an mdlite run but a configuration; `mdlite run {self.path} -o FILE.h5` makes a run of one"
            )
        self._kept: dict[str, np.ndarray] = {}
        with refusal(self.path):
            if not probed:
                seal.require_sound(self.path)
        with refusal(self.path), h5py.File(self.path, "r") as f:
            own = f["mdlite"].attrs
            self.toml, self.facts, self.run = str(own["config"]), json.loads(own["facts"]), str(own["run"])
            self._sums = json.loads(own["checksums"]) if "checksums" in own else {}
            if not isinstance(self.facts, dict) or not isinstance(self._sums, dict):
                raise TypeError("facts")
            if self._sums and self._sums["settings"] != settings_sum(self.toml, self.facts, self.run):
                raise ValueError("settings")
            self._place: dict[str, str] = {}
            self._rows: dict[str, int] = {}
            for stream in ("frames", "snapshots"):
                found = {name: place for name, place in places(stream).items() if place in f}
                self._add(f, found)
            self._end = {name: f"{END}/{name}" for name in places("frames") if f"{END}/{name}" in f and name in self._place}
            for place in self._end.values():
                _require_sound(f[place])
            budgets = {"energy_" + name: f"{ENERGY}/{name}" for name in (f[ENERGY] if ENERGY in f else ())}
            self._add(f, budgets)
            if not {"step", "time", "position", "velocity"} <= self._place.keys():
                raise KeyError("position")
            self._last = {place: list(f[place]) if place in f else [] for place in (STATE, OBSERVERS)}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"path": self.path.absolute(), "_kept": {}}

    def _add(self, f: h5py.File, found: dict[str, str]) -> None:
        """Take in a stream, as long as the shortest of its arrays: of a run that was killed, some may have a frame more."""
        for place in found.values():
            _require_sound(f[place])
        rows = min((len(f[place]) for place in found.values()), default=0)
        self._place |= found
        self._rows |= dict.fromkeys(found, rows)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._kept:
            place = self._place[name]
            with refusal(self.path), h5py.File(self.path, "r") as f:
                values = f[place][: self._rows[name]]
                self._require_sum(place, values)
                if name in self._end:
                    last = f[self._end[name]][:]
                    self._require_sum(self._end[name], last)
                    values = np.concatenate([values, last])
            self._kept[name] = values
        return self._kept[name]

    def _require_sum(self, place: str, values: np.ndarray) -> None:
        if place in self._sums and self._sums[place] != [len(values), integral(values)]:
            raise ValueError("checksum")

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every array, without reading it."""
        with refusal(self.path), h5py.File(self.path, "r") as f:
            return {name: (self._rows[name] + (name in self._end), *f[place].shape[1:]) for name, place in self._place.items()}

    def state(self) -> dict[str, np.ndarray]:
        """The engine's state at the end of a finished run, empty if it was not kept."""
        return self._whole(STATE)

    def observers(self) -> dict[str, np.ndarray]:
        """That of its observers."""
        return self._whole(OBSERVERS)

    def _whole(self, place: str) -> dict[str, np.ndarray]:
        with refusal(self.path), h5py.File(self.path, "r") as f:
            out = {}
            for name in self._last[place]:
                _require_sound(f[f"{place}/{name}"])
                out[name] = f[f"{place}/{name}"][()]
                if self._sums.get(f"{place}/{name}", [])[1:] != [integral(out[name])]:
                    raise ValueError("checksum")
            return out


def _require_sound(dataset: h5py.Dataset) -> None:
    """Raise ValueError for a dataset that claims more than its file can hold: reading it would take all memory."""
    if dataset.dtype.kind not in "fiubc":
        raise ValueError(dataset.name)
    chunk = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize if dataset.chunks else 0
    stored = dataset.id.get_storage_size() * (MOST_EXPANSION if dataset.compression else 1)
    if dataset.size * dataset.dtype.itemsize > stored + chunk:
        raise ValueError(dataset.name)
