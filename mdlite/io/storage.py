"""Runs on disk, H5MD 1.1 (with `mdlite.io.reading` the only module that uses h5py).

``particles/ion`` holds position and velocity, (frames, ions, 3), with the box; ``particles/trajectory`` is another name for it;
``particles/lattice`` holds snapshots of the framework. ``observables`` holds what has one value per frame. All else (energy budgets,
effective positions, atoms, the configuration as TOML, versions, the last state) is under ``mdlite``. Units stand in ``unit`` attributes.
Frames are at equal distances in time, as other programs take for granted; a last one that is not on that grid stands in ``mdlite/end``.

All datasets are made at the start and only grow, so that every commit of `mdlite.io.journal` leaves a file that opens.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib

from mdlite.config import Config
from mdlite.errors import InputError, RunError
from mdlite.io import seal
from mdlite.io.checkpoint import Checkpoints, Saved
from mdlite.io.journal import JournaledFile, beside, sync_folder
from mdlite.io.outputs import check_output as check_output  # also known by this name
from mdlite.io.outputs import writing
from mdlite.io.reading import (
    BUDGET_UNITS,
    END,
    ENERGY,
    FRAME_PATHS,
    SNAPSHOT_PATHS,
    STATE,
    integral,
    places,
    refusal,
    settings_sum,
    unit,
)
from mdlite.machine import require_disk

WRITE_SECONDS = 2.0
CHUNK_BYTES = 65536
COMPRESSION_LEVEL = 1
CHUNK_PARTS = 4
"""Chunks to a compressed snapshot, for as many threads."""


def require_space(path: Path, config: Config, frame: dict[str, np.ndarray], snapshot: dict[str, np.ndarray], state: dict) -> None:
    """Raise InputError if the disk has not room for a run's frames, budgets and snapshots, its last state and two checkpoints."""
    frames = config.n_steps // config.run.sample_every + 2
    needed = 1.1 * frames * (16 + sum(a[0].nbytes for a in frame.values())) + 2e5
    if snapshot:
        needed += 1.1 * (frames // config.snapshots.every + 2) * sum(a.nbytes for a in snapshot.values())
    with writing(path):
        require_disk(path, needed + 3.0 * sum(a.nbytes for a in state.values()))


class FileRecorder:
    """Writes a run to an H5MD file while it goes, every two seconds (see `mdlite.simulation.observers.Recorder`). Made by `create` or `reopen`.

    What can not be written raises a RunError; the file then holds what the last commit brought.
    """

    def __init__(self, path: Path, ledger: JournaledFile, file: h5py.File, config: Config, run: str):
        self.path, self.run = path, run
        self._ledger, self._file = ledger, file
        self._dt, self._every = config.run.dt, config.run.sample_every
        self._edges = np.array(config.lattice.size) * config.lattice.spacing
        self._compressed = config.snapshots is not None and config.snapshots.compress
        self._frames: list[dict[str, np.ndarray]] = []
        self._end: dict[str, np.ndarray] = {}
        self._budgets: list[dict[str, Any]] = []
        self._pictures: list[int] = []
        self._sums: dict[str, tuple[int, int]] = {}
        self._last_write = -math.inf  # the first frames go to the disk at once
        self._checkpoints, self._number = Checkpoints(path), 0
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def create(
        cls, path: Path, config: Config, facts: dict[str, Any], streams: dict[str, dict], resumable: bool = False
    ) -> FileRecorder:
        """A new file, which takes the name only when it is whole. streams: frames (1, ...), a budget and a snapshot, as they will come.

        resumable: until its first checkpoint, resuming may begin it again. Checkpoints of what was there are removed.
        """
        unfinished = beside(path)
        try:
            unfinished.unlink(missing_ok=True)
            ledger = JournaledFile(unfinished, new=True)
            file = h5py.File(ledger, "w")
            self = cls(path, ledger, file, config, uuid.uuid4().hex)
            self._build(config, facts, streams)
            self._file.flush()
            ledger.commit(durable=True)
            self._checkpoints.clear()
            if resumable:
                self._checkpoints.begin(self.run)
            unfinished.replace(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise InputError(f"output = {str(path)!r}: can not be written: {error.strerror or error}") from None
        sync_folder(path.parent)
        return self

    def _build(self, config: Config, facts: dict[str, Any], streams: dict[str, dict]) -> None:
        f = self._file
        h5md = f.create_group("h5md")
        h5md.attrs["version"] = np.array([1, 1], np.int32)
        h5md.create_group("author").attrs["name"] = "mdlite user"
        creator = h5md.create_group("creator")
        creator.attrs["name"], creator.attrs["version"] = "mdlite", facts["version"]
        own = f.create_group("mdlite").attrs
        own["config"], own["facts"], own["run"] = config.to_toml(), json.dumps(facts), self.run
        own["checksums"] = "{}"
        self._stream(FRAME_PATHS, streams["frames"])
        self._box("particles/ion", "particles/ion/position")
        f["particles/trajectory"] = f["particles/ion"]
        if streams["budget"]:
            group = f.create_group(ENERGY)
            for name, value in {"step": np.int64(0), "time": 0.0, **streams["budget"]}.items():
                value = np.asarray(value)
                data = group.create_dataset(
                    name, (0, *value.shape), value.dtype, maxshape=(None, *value.shape), chunks=(256, *value.shape)
                )
                if name != "step":
                    data.attrs["unit"] = BUDGET_UNITS.get(name, "meV")
        if streams["snapshot"]:
            self._stream(SNAPSHOT_PATHS, streams["snapshot"])
            self._box("particles/lattice", "particles/lattice/position")

    def _stream(self, where: dict[str, tuple[str, str]], arrays: dict[str, np.ndarray]) -> None:
        """The elements of frames or snapshots (arrays with one row each), with step and time at the first, and links to them at the others."""
        master = None
        for name, values in arrays.items():
            element = self._element(where[name][0], values.shape[1:], values.dtype, where[name][1])
            if master is None:
                master = element
                element.create_dataset("step", (0,), np.int64, maxshape=(None,), chunks=(1024,))
                element.create_dataset("time", (0,), np.float64, maxshape=(None,), chunks=(1024,)).attrs["unit"] = "ps"
            else:
                self._link_time(element, master.name)

    def _element(self, name: str, shape: tuple, dtype, unit: str) -> h5py.Group:
        """A time-dependent H5MD element with an empty ``value`` that grows along its first axis."""
        group = self._file.create_group(name)
        row = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        chunks, filters = (int(np.clip(CHUNK_BYTES // row, 1, 1024)), *shape), {}
        if name.startswith("particles/lattice/") and "box" not in name:
            chunks = (1, *shape)
            if self._compressed and "velocity" not in name:
                chunks = (1, -(-shape[0] // CHUNK_PARTS), *shape[1:])
                filters = {"shuffle": True, "compression": "gzip", "compression_opts": COMPRESSION_LEVEL}
        value = group.create_dataset("value", (0, *shape), dtype, maxshape=(None, *shape), chunks=chunks, **filters)
        value.attrs["unit"] = unit
        return group

    def _box(self, particles: str, master: str) -> None:
        box = self._file[particles].create_group("box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic"] * 3
        self._link_time(self._element(f"{particles}/box/edges", (3,), np.float64, "Angstrom"), master)

    def _link_time(self, element: h5py.Group, master: str) -> None:
        for name in ("step", "time"):
            element[name] = self._file[master][name]

    @classmethod
    def reopen(cls, path: Path, config: Config, saved: Saved, energy_every: int) -> FileRecorder:
        """An existing file, cut to what stands before the saved step; budgets that a longer run does not take are left out.

        Raises InputError if what stands there is no longer what the checkpoint left.
        """
        with refusal(path):
            seal.strip(path)
            ledger = JournaledFile(path)
            self = cls(path, ledger, h5py.File(ledger, "r+"), config, saved.facts["run"])
            self._number = saved.facts["number"]
            told = saved.facts.get("checksums") or json.loads(self._file["mdlite"].attrs["checksums"])
            if saved.complete:  # its last state is about to leave the file
                self._sums = {place: tuple(total) for place, total in told.items() if place != "settings"}
                self._save(saved.step, saved.state, saved.facts["facts"])
            self._protect()
            self._trim(saved, energy_every, told)
            self._file["mdlite"].attrs.modify("config", config.to_toml())
            self._commit(durable=True)
        return self

    def _trim(self, saved: Saved, energy_every: int, told: dict[str, Any]) -> None:
        f, self._sums = self._file, {}
        for stream in ("frames", "snapshots"):
            found = {place: f[place] for place in places(stream).values() if place in f}
            if found:
                steps = next(iter(found.values()))[:]
                self._cut(found, slice(int(np.searchsorted(steps, saved.step))), told)
                edges = f[next(iter(found)).replace("position/step", "box/edges/value")]
                edges.resize(len(next(iter(found.values()))), axis=0)
        if ENERGY in f:
            steps = f[ENERGY]["step"][:]
            keep = np.flatnonzero((steps < saved.step) & (steps % energy_every == 0))
            self._cut({f"{ENERGY}/{name}": data for name, data in f[ENERGY].items()}, keep, told)
        for place in (STATE, END):
            if place in f:
                del f[place]
        f["mdlite"].attrs.modify("checksums", "{}")

    def _cut(self, found: dict[str, h5py.Dataset], keep: slice | np.ndarray, told: dict[str, Any]) -> None:
        """Keep some rows of datasets, and take their checksums."""
        for place, data in found.items():
            values = data[:]
            if place in told and told[place] != [len(values), integral(values)]:
                raise ValueError("checksum")
            kept = values[keep]
            if len(kept) < len(values):
                data.resize(len(kept), axis=0)
                if not isinstance(keep, slice):
                    data[:] = kept
            self._sums[place] = len(kept), integral(kept)

    def budgets(self) -> dict[str, np.ndarray]:
        """The budgets in the file, named as `mdlite.io.reading.Contents` names them."""
        return {f"energy_{name}": data[:] for name, data in self._file.get(ENERGY, {}).items()}

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Take frames; see `mdlite.simulation.observers.Recorder`."""
        if len(steps) == 1 and steps[0] % self._every:  # the last one, off the grid of the others
            self._end = {"step": steps, "time": steps * self._dt, **arrays}
        elif len(steps):
            self._frames.append({"step": steps, **arrays})
            self._write_when_due()

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """Take one energy budget; see `mdlite.simulation.observers.Recorder`."""
        self._budgets.append({"step": np.int64(step), "time": step * self._dt, **values})
        self._write_when_due()

    def snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Write one snapshot, arrays with one row; see `mdlite.simulation.observers.Recorder`."""
        for name, values in arrays.items():
            self._append_snapshot(SNAPSHOT_PATHS[name][0] + "/value", values)
        self._pictures.append(step)
        self._write_when_due()

    def _append_snapshot(self, place: str, values: np.ndarray) -> None:
        """One row in chunks of our own making: HDF5 would compress on one thread, and five times slower."""
        data = self._file[place]
        row = len(data)
        data.resize(row + 1, axis=0)
        self._sum(place, values)
        step = data.chunks[1]
        parts = [values[0, begin : begin + step] for begin in range(0, values.shape[1], step)]
        if data.compression:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(min(CHUNK_PARTS, os.cpu_count() or 1))
            planes = [_planes(part, step) for part in parts]
            parts = self._pool.map(lambda bytes_: isal_zlib.compress(bytes_, COMPRESSION_LEVEL), planes)
        for n, part in enumerate(parts):
            data.id.write_direct_chunk((row, n * step, *[0] * (data.ndim - 2)), part)

    def _write_when_due(self) -> None:
        if time.monotonic() - self._last_write > WRITE_SECONDS:
            self._write()
            self._commit()
            self._last_write = time.monotonic()

    def _write(self) -> None:
        """Everything taken so far to the file, frames first."""
        if self._frames:
            arrays = {name: np.concatenate([part[name] for part in self._frames]) for name in self._frames[0]}
            self._frames.clear()
            steps = arrays.pop("step")
            for name, values in arrays.items():
                self._append(FRAME_PATHS[name][0] + "/value", values)
            self._append_steps("particles/ion", steps)
        if self._pictures:
            self._append_steps("particles/lattice", np.array(self._pictures))
            self._pictures.clear()
        if self._budgets:
            for name in self._budgets[0]:
                self._append(f"{ENERGY}/{name}", np.stack([np.asarray(budget[name]) for budget in self._budgets]))
            self._budgets.clear()

    def _append_steps(self, particles: str, steps: np.ndarray) -> None:
        self._append(f"{particles}/box/edges/value", np.broadcast_to(self._edges, (len(steps), 3)))
        self._append(f"{particles}/position/step", steps)
        self._append(f"{particles}/position/time", steps * self._dt)

    def _append(self, place: str, values: np.ndarray) -> None:
        data = self._file[place]
        n = len(data)
        data.resize(n + len(values), axis=0)
        data[n:] = values
        if "/box/" not in place:
            self._sum(place, np.asarray(values, data.dtype))

    def _sum(self, place: str, values: np.ndarray) -> None:
        rows, total = self._sums.get(place, (0, 0))
        self._sums[place] = rows + len(values), integral(values, total)

    def _commit(self, durable: bool = False) -> None:
        try:
            self._file.flush()
            self._ledger.commit(durable)
        except OSError as error:
            raise RunError(
                f"output = {str(self.path)!r}: can not be written any more: {error.strerror or error}; the file keeps what was there before, "
                "and --resume goes on from the last checkpoint"
            ) from None

    def checkpoint(self, step: int, state: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        """Write a checkpoint of the run at ``step``, of which every earlier frame is taken. Raises RunError if there is no room."""
        self._write()
        self._commit(durable=True)
        self._save(step, state, facts)
        self._protect()

    def _save(self, step: int, state: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        self._number += 1
        told = {
            "run": self.run,
            "number": self._number,
            "step": step,
            "size": self._ledger.committed,
            "checksums": self._sums,
            "config": self._file["mdlite"].attrs["config"],
            "facts": facts,
        }
        try:
            self._checkpoints.save(told, state)
        except OSError as error:
            raise RunError(f"checkpoint of {str(self.path)!r}: can not be written: {error.strerror or error}") from None

    def _protect(self) -> None:
        """From now on keep what the output was at the last checkpoint."""
        self._ledger.mark(self._checkpoints.undo(self._number), bytes.fromhex(self.run), self._number)

    def close(self, facts: dict[str, Any], state: dict[str, np.ndarray] | None = None) -> None:
        """Write what is left, the closing facts and, of a complete run, its state; close the file. Raises RunError if they can not be written."""
        try:
            self._write()
            self._conclude(facts, state or {})
            extents = _extents(self._file)
            self._commit(durable=True)
            self._file.close()
            self._ledger.commit()
            seal.seal(self.path, extents)
        except OSError as error:
            gone = "the file was removed while the run went on" if not self.path.exists() else error.strerror or error
            raise RunError(f"output = {str(self.path)!r}: can not be finished: {gone}") from None
        finally:
            with contextlib.suppress(RuntimeError, OSError):
                self._file.close()
            self._ledger.close()
            if self._pool is not None:
                self._pool.shutdown()
        if facts["status"] == "complete":
            self._checkpoints.clear()

    def _conclude(self, facts: dict[str, Any], state: dict[str, np.ndarray]) -> None:
        own = self._file["mdlite"].attrs
        for place, arrays in ((END, self._end), (STATE, state)):
            for name, array in arrays.items():
                self._file[f"{place}/{name}"] = array
                self._sums[f"{place}/{name}"] = len(np.atleast_1d(array)), integral(array)
        for name in self._end:
            if unit(name):
                self._file[f"{END}/{name}"].attrs["unit"] = unit(name)
        own.modify("facts", json.dumps(facts))
        own.modify("checksums", json.dumps(self._sums | {"settings": settings_sum(own["config"], facts, self.run)}))


def _extents(file: h5py.File) -> list[tuple[int, int]]:
    """Where in the file the data of arrays stand: (offset, size)."""
    found: list[tuple[int, int]] = []

    def look(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            if item.chunks:
                item.id.chunk_iter(lambda chunk: found.append((chunk.byte_offset, chunk.size)))
            elif (offset := item.id.get_offset()) is not None:
                found.append((offset, item.id.get_storage_size()))

    file.flush()
    file.visititems(look)
    return found


def _planes(part: np.ndarray, rows: int) -> np.ndarray:
    """The bytes of a chunk of ``rows`` rows (the last ones zero where the part has fewer), shuffled as HDF5 does."""
    from mdlite.kernels.snapshot import shuffle  # numba, which no reader needs

    if len(part) < rows:
        part = np.concatenate([part, np.zeros((rows - len(part), *part.shape[1:]), part.dtype)])
    numbers = part.reshape(-1).view(f"<u{part.itemsize}")
    planes = np.empty((part.itemsize, len(numbers)), np.uint8)
    shuffle(numbers, planes)
    return planes


def link_lattice(source: Path, target: Path, folder: Path) -> None:
    """A file of links, to stand in ``folder``, in which the lattice of a run's file is the only particles. Raises OSError."""
    where = os.path.relpath(source.resolve(), folder.resolve())
    with h5py.File(target, "x") as f:
        for name in ("lattice", "trajectory"):
            f[f"particles/{name}"] = h5py.ExternalLink(where, "/particles/lattice")
