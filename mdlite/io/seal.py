"""A seal at the end of a finished HDF5 file: a checksum of its structure, looked at before HDF5 is.

HDF5 trusts what it reads of a file's structure; a few wrong bytes there can make it loop for ever or crash the process. The seal stands
behind the end of the file, where HDF5 does not look: which parts of the file are the data of arrays (they have checksums of their own),
and a checksum of all the rest. A file without one (of a run that was killed, or somebody else's) is first opened in a process that may die.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
from isal.isal_zlib import crc32

_TAIL = struct.Struct("<qII16s")  # number of extents, checksum of the structure, checksum of extents and the fields before, magic
_MAGIC = b"mdlite seal  1\r\n"
PATIENCE = 60.0
"""Seconds that opening an unsealed file may take."""
MOST_MEMORY = 8 * 2**30


def seal(path: Path, extents: list[tuple[int, int]]) -> None:
    """Append a seal to a file that is closed; extents: (offset, size) of all array data in it. Raises OSError."""
    merged = _merged(sorted(extents))
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        table = np.array(merged, "<i8").tobytes()
        structure = _structure(file, merged, size)
        file.seek(size)
        head = struct.pack("<qI", len(merged), structure)
        file.write(table + head + struct.pack("<I16s", crc32(table + head), _MAGIC))
        file.flush()
        os.fsync(file.fileno())


def _merged(extents: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring extents as one."""
    out: list[tuple[int, int]] = []
    for offset, size in extents:
        if out and out[-1][0] + out[-1][1] == offset:
            out[-1] = (out[-1][0], out[-1][1] + size)
        elif size:
            out.append((offset, size))
    return out


def _structure(file, extents, size: int) -> int:
    """Checksum of a file but for some extents."""
    total = at = 0
    for offset, length in [*extents, (size, 0)]:
        while at < offset:
            file.seek(at)
            part = file.read(min(offset - at, 1 << 20))
            if not part:
                raise ValueError("an extent lies outside the file")
            total, at = crc32(part, total), at + len(part)
        at = max(at, offset + length)
    return total


def _find(file) -> tuple[list[tuple[int, int]], int, int] | None:
    """The extents, the structure's checksum and the size of the sealed file, or None if there is no seal. Raises ValueError for a broken one."""
    size = file.seek(0, os.SEEK_END)
    if size < _TAIL.size:
        return None
    file.seek(size - _TAIL.size)
    tail = file.read(_TAIL.size)
    count, structure, own, magic = _TAIL.unpack(tail)
    if magic != _MAGIC:
        return None
    begin = size - _TAIL.size - 16 * count
    if count < 0 or begin < 0:
        raise ValueError("seal")
    file.seek(begin)
    table = file.read(16 * count)
    if crc32(table + tail[:12]) != own:
        raise ValueError("seal")
    return [(int(a), int(b)) for a, b in np.frombuffer(table, "<i8").reshape(-1, 2)], structure, begin


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def is_sealed(path: Path) -> bool:
    """Whether a file has a seal. Raises ValueError if its structure is not what was sealed."""
    with path.open("rb") as file:
        found = _find(file)
        if found is None:
            return False
        extents, structure, size = found
        if _structure(file, extents, size) != structure:
            raise ValueError("structure")
        return True


def require_sound(path: Path) -> None:
    """Raise ValueError if the file's structure is not what was sealed, or, unsealed, cannot be opened without harm."""
    if is_sealed(path):
        return
    if not is_hdf5(path):
        raise ValueError("not HDF5")
    line = [sys.executable, "-P", "-m", "mdlite.io.probe", str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(line, capture_output=True, timeout=PATIENCE, env=environment, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise ValueError("endless") from None
    if done.returncode:
        raise ValueError("cannot be opened")


def strip(path: Path) -> None:
    """Take the seal off a file that is about to change. Raises OSError."""
    with path.open("r+b") as file:
        found = _find(file)
        if found is not None:
            file.truncate(found[2])
