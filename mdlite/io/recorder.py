"""Writes a run to its H5MD file (`mdlite.io.h5md`) while it goes: what comes is gathered, written and committed every two seconds."""

from __future__ import annotations

import contextlib
import json
import math
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdlite import atomic
from mdlite.config import Config
from mdlite.errors import RunError
from mdlite.io import crystal_file, cutting, h5md, seal
from mdlite.io.checkpoint import Checkpoints, Saved
from mdlite.io.checksums import Checksums, settings_sum
from mdlite.io.journal import JournaledFile
from mdlite.io.layout import CRYSTAL, END, ENERGY, FRAME_PATHS, OBSERVERS, STATE, unit
from mdlite.io.outputs import writing
from mdlite.io.reading import Contents, refusal
from mdlite.io.snapshots import SnapshotWriter
from mdlite.machine import require_disk

WRITE_SECONDS = 2.0


def require_space(path: Path, config: Config, frame: dict[str, np.ndarray], snapshot: dict[str, np.ndarray], state: dict) -> None:
    """Raise InputError if the disk has not room for a run's frames, budgets and snapshots, its last state and two checkpoints."""
    frames = config.n_steps // config.run.sample_every + 2
    needed = 1.1 * frames * (16 + sum(a[0].nbytes for a in frame.values())) + 2e5
    if snapshot and config.snapshots is not None:
        needed += 1.1 * (frames // config.snapshots.every + 2) * sum(a.nbytes for a in snapshot.values())
    with writing(path):
        require_disk(path, needed + 3.0 * sum(a.nbytes for a in state.values()))


class FileRecorder:
    """A `mdlite.simulation.recorders.Recorder` that writes to a file. Made by `create` or `reopen`.

    What cannot be written raises a RunError; the file then holds what the last commit brought.
    """

    def __init__(self, path: Path, ledger: JournaledFile, file: h5py.File, config: Config, run: str):
        self.path, self.run = path, run
        self._ledger, self._file = ledger, file
        self._dt, self._every = config.run.dt, config.run.sample_every
        edges = config.to_model().edges
        self._edges = np.diag(edges) if config.crystal is None else edges
        self._frames: list[dict[str, np.ndarray]] = []
        self._end: dict[str, np.ndarray] = {}
        self._budgets: list[dict[str, Any]] = []
        self._pictures: list[int] = []
        self._keep_sums(Checksums())
        self._last_write = -math.inf  # the first frames go to the disk at once
        self._checkpoints, self._number = Checkpoints(path), 0

    def _keep_sums(self, sums: Checksums) -> None:
        self._sums, self._snapshots = sums, SnapshotWriter(self._file, sums)

    @classmethod
    def create(
        cls, path: Path, config: Config, facts: dict[str, Any], streams: dict[str, dict], resumable: bool = False
    ) -> FileRecorder:
        """A new file, which takes the name only when it is whole. streams: frames (1, ...), a budget and a snapshot, as they will come.

        resumable: until its first checkpoint, resuming may begin it again. Checkpoints of what was there are removed.
        """
        compressed = config.snapshots is not None and config.snapshots.compress
        with writing(path), atomic.replacing(path) as unfinished:
            ledger = JournaledFile(unfinished, new=True)
            self = cls(path, ledger, h5py.File(ledger, "w"), config, uuid.uuid4().hex)
            basis = None
            if config.crystal is not None:
                crystal = config.to_crystal_model().box.crystal
                basis = crystal.species, crystal.masses
            h5md.build(self._file, config.to_toml(), facts, self.run, streams, compressed, self._edges.shape, basis)
            if config.crystal is not None:
                crystal_file.store(self._file.create_group(CRYSTAL), config.load_crystal())
            self._file.flush()
            ledger.commit()
            self._checkpoints.clear()
            if resumable:
                self._checkpoints.begin(self.run)
        return self

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
                self._keep_sums(Checksums(told))
                self._save(saved.step, saved.state, saved.facts["facts"], saved.observers)
            self._protect()
            self._keep_sums(cutting.cut(self._file, saved.step, energy_every, told))
            self._file["mdlite"].attrs.modify("config", config.to_toml())
            self._commit(durable=True)
        return self

    def budgets(self) -> dict[str, np.ndarray]:
        """The budgets in the file, named as `mdlite.io.reading.Contents` names them."""
        return {f"energy_{name}": data[:] for name, data in self._file.get(ENERGY, {}).items()}

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Take frames."""
        if len(steps) == 1 and steps[0] % self._every:  # the last one, off the grid of the others
            self._end = {"step": steps, "time": steps * self._dt, **arrays}
        elif len(steps):
            self._frames.append({"step": steps, **arrays})
            self._write_when_due()

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """Take one energy budget."""
        self._budgets.append({"step": np.int64(step), "time": step * self._dt, **values})
        self._write_when_due()

    def snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Write one snapshot, arrays with one row."""
        self._snapshots.append(arrays)
        self._pictures.append(step)
        self._write_when_due()

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
        self._append(f"{particles}/box/edges/value", np.broadcast_to(self._edges, (len(steps), *self._edges.shape)))
        self._append(f"{particles}/position/step", steps)
        self._append(f"{particles}/position/time", steps * self._dt)

    def _append(self, place: str, values: np.ndarray) -> None:
        data = self._file[place]
        n = len(data)
        data.resize(n + len(values), axis=0)
        data[n:] = values
        if "/box/" not in place:
            self._sums.add(place, np.asarray(values, data.dtype))

    def _commit(self, durable: bool = False) -> None:
        try:
            self._file.flush()
            self._ledger.commit(durable)
        except OSError as error:
            raise RunError(
                f"output = {str(self.path)!r}: cannot be written any more: {error.strerror or error}; the file keeps what was there before, "
                "and --resume goes on from the last checkpoint"
            ) from None

    def checkpoint(
        self, step: int, state: dict[str, np.ndarray], facts: dict[str, Any], observers: dict[str, np.ndarray] | None = None
    ) -> None:
        """Write a checkpoint of the run at ``step``, of which every earlier frame is taken. Raises RunError if there is no room."""
        self._write()
        self._commit(durable=True)
        self._save(step, state, facts, observers or {})
        self._protect()

    def _save(self, step: int, state: dict[str, np.ndarray], facts: dict[str, Any], observers: dict[str, np.ndarray]) -> None:
        self._number += 1
        told = {
            "run": self.run,
            "number": self._number,
            "step": step,
            "size": self._ledger.committed,
            "checksums": self._sums.told(),
            "config": self._file["mdlite"].attrs["config"],
            "facts": facts,
        }
        try:
            self._checkpoints.save(told, state, observers)
        except OSError as error:
            raise RunError(f"checkpoint of {str(self.path)!r}: cannot be written: {error.strerror or error}") from None

    def _protect(self) -> None:
        """From now on keep what the output was at the last checkpoint."""
        self._ledger.mark(self._checkpoints.undo(self._number), bytes.fromhex(self.run), self._number)

    def close(
        self,
        facts: dict[str, Any],
        state: dict[str, np.ndarray] | None = None,
        observers: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Write what is left, the closing facts and, of a complete run, its state and that of its observers; close the file.

        Raises RunError if they cannot be written.
        """
        try:
            self._write()
            self._conclude(facts, {END: self._end, STATE: state or {}, OBSERVERS: observers or {}})
            extents = h5md.extents(self._file)
            self._commit(durable=True)
            self._file.close()
            self._ledger.commit()
            seal.seal(self.path, extents)
        except OSError as error:
            gone = "the file was removed while the run went on" if not self.path.exists() else error.strerror or error
            raise RunError(f"output = {str(self.path)!r}: cannot be finished: {gone}") from None
        finally:
            with contextlib.suppress(RuntimeError, OSError):
                self._file.close()
            self._ledger.close()
            self._snapshots.close()
        if facts["status"] == "complete":
            self._checkpoints.clear()

    def _conclude(self, facts: dict[str, Any], last: dict[str, dict[str, np.ndarray]]) -> None:
        own = self._file["mdlite"].attrs
        for place, arrays in last.items():
            for name, array in arrays.items():
                self._file[f"{place}/{name}"] = array
                self._sums.replace(f"{place}/{name}", array)
        for name in self._end:
            if unit(name):
                self._file[f"{END}/{name}"].attrs["unit"] = unit(name)
        own.modify("facts", json.dumps(facts))
        sums = self._sums.told() | {"settings": settings_sum(own["config"], facts, self.run)}
        own.modify("checksums", json.dumps(sums))

    def data(self) -> Mapping[str, np.ndarray]:
        """All arrays of the file, once it is closed, read when they are first asked for."""
        return Contents(self.path)
