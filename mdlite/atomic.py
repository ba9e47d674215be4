"""Files that are there whole or not at all, also after a power failure: written beside, flushed to the disk, renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def beside(path: Path) -> Path:
    """The name under which this process writes a file until it is whole."""
    return path.with_name(f"{path.name}.{os.getpid()}.tmp")


@contextlib.contextmanager
def replacing(target: Path, unfinished: Path | None = None) -> Iterator[Path]:
    """Give the path to write to; it takes the place of ``target`` once its content is on the disk, and goes if anything is raised meanwhile.

    unfinished: that path, in the same folder; by default `beside` the target. What is left there of an earlier attempt is removed.
    Raises OSError.
    """
    unfinished = unfinished or beside(target)
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        _sync(unfinished)
        unfinished.replace(target)
    except BaseException:  # also a second Ctrl-C
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # not every system can
        _sync(target.parent)


def _sync(path: Path) -> None:
    """Bring what the system keeps of a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
