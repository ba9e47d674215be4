"""Reading a run's file: its settings and facts, and its arrays when they are asked for, each against its checksum."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal.isal_zlib import crc32

from mdlite.errors import InputError
from mdlite.io import seal

FRAME_PATHS = {
    "position": ("particles/ion/position", "Angstrom"),
    "velocity": ("particles/ion/velocity", "Angstrom ps-1"),
    "force": ("observables/ion_force", "meV Angstrom-1"),
    "interaction": ("observables/interaction_energy", "meV"),
    "ion_kinetic": ("observables/ion_kinetic_energy", "meV"),
    "effective_position": ("mdlite/effective_position", "Angstrom"),
    "atom_site": ("mdlite/atom_site", "lattice indices, not wrapped"),
    "atom_position": ("mdlite/atom_position", "Angstrom"),
    "atom_velocity": ("mdlite/atom_velocity", "Angstrom ps-1"),
}
"""Where each array of the frames goes, and its unit; steps and times are hard links to those of position."""

SNAPSHOT_PATHS = {
    "lattice_position": ("particles/lattice/position", "Angstrom"),
    "lattice_velocity": ("particles/lattice/velocity", "Angstrom ps-1"),
    "lattice_id": ("particles/lattice/id", "(x Ny + y) Nz + z of the site x, y, z"),
}
"""The same for snapshots of the lattice, on their own steps."""

ENERGY = "mdlite/energy"
STATE = "mdlite/state"
END = "mdlite/end"
"""The last frame of a run whose duration is no multiple of the time between frames: arrays of one row, by their names."""
BUDGET_UNITS = {"time": "ps", "framework_momentum": "meV ps Angstrom-1", "ion_momentum": "meV ps Angstrom-1"}
DAMAGED = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError, IndexError)
MOST_EXPANSION = 1100
"""The most that deflate can shrink data; a file that claims more is damaged."""


def places(path: str) -> dict[str, str]:
    """Every array that a file can hold as frames or snapshots, by its name, and where: the streams that share their steps come together."""
    frames = {"step": f"{FRAME_PATHS['position'][0]}/step", "time": f"{FRAME_PATHS['position'][0]}/time"}
    frames |= {name: f"{place}/value" for name, (place, _) in FRAME_PATHS.items()}
    lattice = {f"lattice_{name}": f"{SNAPSHOT_PATHS['lattice_position'][0]}/{name}" for name in ("step", "time")}
    lattice |= {name: f"{place}/value" for name, (place, _) in SNAPSHOT_PATHS.items()}
    return {"frames": frames, "snapshots": lattice}[path]


def unit(name: str) -> str:
    """The unit of a run's array, empty where it has none."""
    if name.endswith(("time", "step")):
        return "ps" if name.endswith("time") else ""
    if name.startswith("energy_"):
        return BUDGET_UNITS.get(name.removeprefix("energy_"), "meV")
    return (FRAME_PATHS | SNAPSHOT_PATHS).get(name, ("", ""))[1]


def integral(array: np.ndarray, before: int = 0) -> int:
    """Checksum of an array's bytes, carried on from ``before``."""
    return crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), before)


@contextmanager
def refusal(path: Path) -> Iterator[None]:
    """Turn what HDF5 and numpy say of a damaged or foreign file into an InputError."""
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"file = {str(path)!r}: is not an mdlite run (an H5MD file written by `mdlite run`), or it is damaged"
        ) from error


class Contents(Mapping):
    """The arrays of a run's file by name, read when they are first asked for. Raises InputError where the file is not one, or damaged.

    toml: the configuration. facts: as the run left them. run: its identity, hex.
    """

    def __init__(self, path: str | Path, probed: bool = False):
        self.path = Path(path)
        if not self.path.is_file():
            what = "is not a regular file" if self.path.exists() else "no such file"
            raise InputError(f"file = {str(self.path)!r}: {what}")
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
            self._place, self._rows = {}, {}
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
            self.state_names = list(f[STATE]) if STATE in f else []

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
        with refusal(self.path), h5py.File(self.path, "r") as f:
            out = {}
            for name in self.state_names:
                _require_sound(f[f"{STATE}/{name}"])
                out[name] = f[f"{STATE}/{name}"][()]
                if self._sums.get(f"{STATE}/{name}", [])[1:] != [integral(out[name])]:
                    raise ValueError("checksum")
            return out


def settings_sum(toml: str, facts: dict[str, Any], run: str) -> int:
    """Checksum of what stands in a file's attributes."""
    return crc32(json.dumps([toml, facts, run], sort_keys=True).encode())


def _require_sound(dataset: h5py.Dataset) -> None:
    """Raise ValueError for a dataset that claims more than its file can hold: reading it would take all memory."""
    if dataset.dtype.kind not in "fiubc":
        raise ValueError(dataset.name)
    chunk = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize if dataset.chunks else 0
    stored = dataset.id.get_storage_size() * (MOST_EXPANSION if dataset.compression else 1)
    if dataset.size * dataset.dtype.itemsize > stored + chunk:
        raise ValueError(dataset.name)
