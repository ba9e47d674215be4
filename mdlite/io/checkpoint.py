"""Checkpoints beside an output, and the lock that keeps two processes from one output.

``run.h5.checkpoints/`` holds the last two, ``0.npz`` and ``1.npz`` in turn, each with all that a run needs to go on (configuration, version,
seeds, step, state, how long the output was), and the undo journals that take the output back to them (`mdlite.io.journal`). A checkpoint is
written beside, flushed to the disk and renamed, so there is never half of one; its zip archive carries a checksum of every array.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mdlite import atomic
from mdlite.errors import BusyError
from mdlite.io.journal import roll_back
from mdlite.io.outputs import check_output, writing

try:
    import fcntl
except ImportError:  # no such locks here
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
KINDS = ("state", "observers")
"""Of arrays in a checkpoint: with which their names begin."""
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class Saved:
    """A checkpoint: ``facts`` of the run so far and of this point (see `Checkpoints.save`), the engine's ``state``, and that of ``observers``."""

    facts: dict[str, Any]
    state: dict[str, np.ndarray]
    observers: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """The step at which the run goes on."""
        return self.facts["step"]

    @property
    def complete(self) -> bool:
        """Whether this is the end of a finished run."""
        return self.facts.get("complete", False)

    def ends(self, n_steps: int) -> bool:
        """Whether a run of so many steps is finished here."""
        return self.complete and self.step == n_steps


class Checkpoints:
    """The checkpoints of one output."""

    def __init__(self, output: Path):
        self.output = output
        self.folder = output.with_name(output.name + ".checkpoints")

    def exist(self) -> bool:
        """Whether there is anything."""
        return self.folder.is_dir() and any(self.folder.glob("*.npz"))

    def begin(self, run: str) -> None:
        """Note that a run has begun that has no checkpoint yet, and that may begin again when it is resumed. Raises OSError."""
        Path(os.path.realpath(self.folder)).mkdir(exist_ok=True)
        self._begun.write_text(run)

    def begun(self, run: str) -> bool:
        """Whether `begin` was the last that was heard of a run here."""
        with contextlib.suppress(OSError, ValueError):
            return not self.exist() and self._begun.read_text() == run
        return False

    @property
    def _begun(self) -> Path:
        return self.folder / "begun"

    def clear(self) -> None:
        """Remove all of them, and their folder, unless that is a link to one elsewhere."""
        if self.folder.is_symlink():
            for place in self.folder.glob("*"):
                place.unlink()
        elif self.folder.is_dir():
            shutil.rmtree(self.folder)

    def undo(self, number: int) -> Path:
        """The undo journal of checkpoint ``number``."""
        return self.folder / f"{number % 2}.undo"

    def save(
        self, facts: dict[str, Any], state: dict[str, np.ndarray], observers: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> None:
        """Write checkpoint facts["number"] in the place of the last but one. Raises OSError; the last one is never touched.

        facts: ``run`` (identity, hex), ``number``, ``step``, ``size`` (of the output, bytes), ``config`` (TOML), and anything else.
        """
        Path(os.path.realpath(self.folder)).mkdir(exist_ok=True)
        place = self.folder / f"{facts['number'] % 2}.npz"
        text = json.dumps({"format": FORMAT} | facts).encode()
        with atomic.replacing(place, place.with_suffix(".tmp")) as unfinished, unfinished.open("wb") as file:
            named: dict[str, Any] = {f"{kind}_{name}": a for kind, of in zip(KINDS, (state, observers)) for name, a in of.items()}
            np.savez(file, facts=np.frombuffer(text, np.uint8), **named)

    def latest(self) -> Saved | None:
        """The last checkpoint that is whole, or None."""
        found = [saved for place in self.folder.glob("[01].npz") if (saved := _read(place)) is not None]
        return max(found, key=lambda saved: saved.facts["number"], default=None)

    def restore_output(self, saved: Saved) -> None:
        """Take the output back to where it was at a checkpoint. Raises OSError."""
        journals = [self.undo(0), self.undo(1)]
        facts = saved.facts
        roll_back(self.output, journals, bytes.fromhex(facts["run"]), facts["number"], facts["size"])
        for journal in journals:
            journal.unlink(missing_ok=True)


def _read(place: Path) -> Saved | None:
    try:
        with np.load(place, allow_pickle=False) as archive:
            facts = json.loads(archive["facts"].tobytes())
            if facts["format"] != FORMAT or not isinstance(facts["number"], int):
                return None
            arrays = [
                {name.removeprefix(f"{kind}_"): archive[name] for name in archive.files if name.startswith(f"{kind}_")}
                for kind in KINDS
            ]
            return Saved(facts, *arrays)
    except UNREADABLE:
        return None


@contextlib.contextmanager
def exclusive(output: Path) -> Iterator[None]:
    """Hold the right to write an output; a file ``.lock`` beside it says who does. Raises BusyError, an InputError, if another process has it.

    The lock is the system's: it goes with the process, however that ends, and a file that is left over holds nobody back.
    """
    path = output.with_name(output.name + ".lock")
    file = None
    while file is None and fcntl is not None:
        check_output(path, force=True)
        with writing(path):
            file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read(200).strip() or "another process"
            file.close()
            raise BusyError(f"output = {str(output)!r}: is being written by {owner}; choose another name, or wait") from None
        except OSError:  # a file system without locks
            break
        with contextlib.suppress(OSError):
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                break
        file.close()  # its owner removed it in the meantime: again
        file = None
    try:
        if file is not None:
            with writing(output):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
                file.flush()
        yield
    finally:
        if file is not None:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a full disk
                file.close()
