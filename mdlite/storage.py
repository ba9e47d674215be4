"""Runs on disk, H5MD 1.1 (the only module that uses h5py).

``particles/ion`` holds position and velocity, (frames, ions, 3), with the box; ``particles/trajectory`` is another name for it.
``observables`` holds what has one value per frame. All else (energy budgets, effective positions, atoms, the configuration as
TOML, versions) is under ``mdlite``. Units stand in ``unit`` attributes.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdlite.config import Config
from mdlite.errors import InputError

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

BUDGET_UNITS = {"time": "ps", "framework_momentum": "meV ps Angstrom-1", "ion_momentum": "meV ps Angstrom-1"}
WRITE_SECONDS = 2.0


def check_output(path: str | Path, force: bool) -> Path:
    """The path, if a file can be written there. Raises InputError if it exists (unless ``force``) or can not be written."""
    path = Path(path)
    if len(path.name.encode()) > 255:
        raise InputError(f"output = {str(path)[:60] + '...'!r}: the name is longer than 255 bytes")
    if path.is_dir():
        raise InputError(f"output = {str(path)!r}: is a folder; give the name of a file")
    if path.exists() and not force:
        raise InputError(f"output = {str(path)!r}: exists; choose another name, or give --force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"output = {str(path)!r}: the folder {str(path.parent)!r} does not exist; make it first")
    try:
        if path.exists():
            path.open("r+b").close()
        else:
            path.open("xb").close()
            path.unlink()
    except OSError as error:
        raise InputError(f"output = {str(path)!r}: can not be written: {error.strerror or error}") from None
    return path


def require_space(path: Path, config: Config) -> None:
    """Raise InputError if the disk has not room for a run's frames and budgets (generously counted)."""
    frames = config.n_steps // config.run.sample_every + 2
    atoms = len(config.to_model().offsets) if config.run.record_atoms else 0
    needed = 1.1 * frames * 8 * (6 + 16 * config.n_ions + 8 * atoms) + 2e5
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise InputError(
            f"output = {str(path)!r}: the run needs about {needed / 1e6:.3g} MB, the disk has {free / 1e6:.3g} MB left; "
            "raise run.sample_every or write elsewhere"
        )


class FileRecorder:
    """Writes a run to an H5MD file while it goes, every two seconds (see `mdlite.observers.Recorder`)."""

    def __init__(self, path: str | Path, config: Config, facts: dict[str, Any], force: bool = False):
        path = check_output(path, force)
        require_space(path, config)
        try:
            self._file = h5py.File(path, "w")
        except OSError as error:
            raise InputError(f"output = {str(path)!r}: can not be written: {error}") from None
        self._dt = config.run.dt
        self._frames: list[dict[str, np.ndarray]] = []
        self._budgets: list[dict[str, Any]] = []
        self._last_write = -math.inf  # the first frames go to the disk at once
        f = self._file
        h5md = f.create_group("h5md")
        h5md.attrs["version"] = np.array([1, 1], np.int32)
        h5md.create_group("author").attrs["name"] = "mdlite user"
        creator = h5md.create_group("creator")
        creator.attrs["name"], creator.attrs["version"] = "mdlite", facts["version"]
        own = f.create_group("mdlite")
        own.attrs["config"] = config.to_toml()
        own.attrs["facts"] = json.dumps(facts)
        position = self._element("particles/ion/position", (config.n_ions, 3), np.float64, "Angstrom")
        position.create_dataset("step", (0,), np.int64, maxshape=(None,), chunks=(1024,))
        position.create_dataset("time", (0,), np.float64, maxshape=(None,), chunks=(1024,)).attrs["unit"] = "ps"
        self._box(np.array(config.lattice.size) * config.lattice.spacing)
        f["particles/trajectory"] = f["particles/ion"]
        f.flush()

    def _element(self, name: str, shape: tuple, dtype, unit: str) -> h5py.Group:
        """A time-dependent H5MD element with an empty ``value`` that grows along its first axis."""
        group = self._file.create_group(name)
        rows = int(np.clip(65536 // max(1, int(np.prod(shape)) * 8), 1, 1024))
        value = group.create_dataset("value", (0, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape))
        value.attrs["unit"] = unit
        return group

    def _box(self, edges: np.ndarray) -> None:
        box = self._file["particles/ion"].create_group("box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic"] * 3
        element = self._element("particles/ion/box/edges", (3,), np.float64, "Angstrom")
        self._link_time(element)
        self._edges = edges

    def _link_time(self, element: h5py.Group) -> None:
        for name in ("step", "time"):
            element[name] = self._file["particles/ion/position"][name]

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Take frames; see `mdlite.observers.Recorder`."""
        if len(steps):
            self._frames.append({"step": steps, **arrays})
            self._write_when_due()

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """Take one energy budget; see `mdlite.observers.Recorder`."""
        self._budgets.append({"step": np.int64(step), "time": step * self._dt, **values})
        self._write_when_due()

    def _write_when_due(self) -> None:
        if time.monotonic() - self._last_write > WRITE_SECONDS:
            self._write()
            self._last_write = time.monotonic()

    def _write(self) -> None:
        """Everything taken so far to the file, frames first, and the file to the disk."""
        if self._frames:
            self._write_frames({name: np.concatenate([part[name] for part in self._frames]) for name in self._frames[0]})
            self._frames.clear()
        group = self._file.require_group("mdlite/energy") if self._budgets else None
        for name in self._budgets[0] if self._budgets else ():
            values = np.stack([np.asarray(budget[name]) for budget in self._budgets])
            if name not in group:
                shape = values.shape[1:]
                data = group.create_dataset(name, (0, *shape), values.dtype, maxshape=(None, *shape), chunks=(256, *shape))
                if name != "step":
                    data.attrs["unit"] = BUDGET_UNITS.get(name, "meV")
            _append(group[name], values)
        self._budgets.clear()
        self._file.flush()

    def _write_frames(self, arrays: dict[str, np.ndarray]) -> None:
        steps = arrays.pop("step")
        for name, values in arrays.items():
            path, unit = FRAME_PATHS[name]
            if path not in self._file:
                self._link_time(self._element(path, values.shape[1:], values.dtype, unit))
            _append(self._file[path]["value"], values)
        _append(self._file["particles/ion/box/edges/value"], np.broadcast_to(self._edges, (len(steps), 3)))
        position = self._file["particles/ion/position"]
        _append(position["step"], steps)
        _append(position["time"], steps * self._dt)

    def close(self, facts: dict[str, Any]) -> None:
        """Write what is left and the closing facts, and close the file."""
        self._write()
        self._file["mdlite"].attrs["facts"] = json.dumps(facts)
        self._file.close()


def _append(dataset: h5py.Dataset, values: np.ndarray) -> None:
    n = dataset.shape[0]
    dataset.resize(n + len(values), axis=0)
    dataset[n:] = values


def read(path: str | Path) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """A run's configuration (TOML), facts and arrays, named as the recorders name them. Raises InputError if it is not ours."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"file = {str(path)!r}: {'is not a regular file' if path.exists() else 'no such file'}")
    try:
        with h5py.File(path, "r") as f:
            own = f["mdlite"]
            toml, facts = str(own.attrs["config"]), json.loads(own.attrs["facts"])
            data = {"step": f["particles/ion/position/step"][:], "time": f["particles/ion/position/time"][:]}
            for name, (place, _) in FRAME_PATHS.items():
                if place in f:
                    data[name] = f[place]["value"][:]
            for name, values in (own["energy"] if "energy" in own else {}).items():
                data[f"energy_{name}"] = values[:]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"file = {str(path)!r}: is not an mdlite run (an H5MD file written by `mdlite run`), or it is damaged"
        ) from error
    return toml, facts, data
