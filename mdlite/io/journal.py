"""A file that HDF5 writes into and that is valid on the disk at every moment.

HDF5 changes its metadata in place, piece by piece: a process that dies in between leaves a file that cannot be opened, and a full disk
one that cannot even be closed. Here a write behind the committed end goes to the disk at once (nothing refers to it yet), and a write
before it waits in memory for `JournaledFile.commit`, which applies them in an order of which every prefix is a valid file: the end of the
file in the superblock, new nodes and data, index nodes from the root down, and last the object headers, which say how long a dataset is.

Power failure keeps no order. So the pages that commits change after a `JournaledFile.mark` are first saved in an undo journal, and
`roll_back` takes the file back to the mark, whatever part of the later writes has reached the disk.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

PAGE = 4096
SHARED = 1 << 20
"""Bytes from which two threads write together."""
_HEADER = struct.Struct("<8s16sqq")  # magic, run, number of the mark, size of the file at the mark
_RECORD = struct.Struct("<qII")  # offset, length, checksum
_MAGIC = b"mdl-undo"


class JournaledFile:
    """The file object that h5py writes to (driver ``fileobj``). Nothing that HDF5 does is final before `commit`.

    path: an existing file, or one to be made with ``new``. After a failed write to the disk every later one is dropped, so that HDF5 can
    close its file in peace, and `commit` raises the OSError: the disk keeps the last commit.
    """

    def __init__(self, path: str | Path, new: bool = False):
        self._raw = Path(path).open("x+b" if new else "r+b", buffering=0)  # noqa: SIM115
        self._fd = self._raw.fileno()
        self._at = 0
        self._size = self.committed = os.fstat(self._fd).st_size
        self._pending: list[tuple[int, bytes]] = []
        self._failure: OSError | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._undo: Path | None = None
        self._undo_file: BinaryIO | None = None
        self._marked = 0
        self._saved: set[int] = set()

    # what h5py calls

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer) -> int:
        """As of any file: what was written, committed or not."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            got = os.preadv(self._fd, [view[done:]], self._at + done)
            if got == 0:
                break
            done += got
        view[done:] = bytes(len(view) - done)
        for offset, data in self._pending:
            low, high = max(offset, self._at), min(offset + len(data), self._at + len(view))
            if low < high:
                view[low - self._at : high - self._at] = data[low - offset : high - offset]
        self._at += len(view)
        return len(view)

    def read(self, count: int) -> bytes:
        """As of any file."""
        buffer = bytearray(count)
        self.readinto(buffer)
        return bytes(buffer)

    def write(self, data) -> int:
        """As of any file; before the committed end it waits for the commit."""
        view = memoryview(data).cast("B")
        inside = max(0, min(len(view), self.committed - self._at))
        if inside:
            self._pending.append((self._at, bytes(view[:inside])))
        if inside < len(view) and self._failure is None:
            try:
                self._put(self._at + inside, view[inside:])
            except OSError as error:
                self._failure = error
        self._at += len(view)
        self._size = max(self._size, self._at)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """As of any file; takes effect with the commit."""
        self._size = self._at if size is None else size
        return self._size

    def flush(self) -> None:
        """Nothing: see `commit`."""

    # what we call

    def commit(self, durable: bool = False) -> None:
        """Bring everything to the disk, in safe order; with ``durable``, through all caches. Raises the first OSError since the last commit."""
        if self._failure is None:
            try:
                self._apply(durable)
            except OSError as error:
                self._failure = error
        if self._failure is not None:
            raise self._failure
        self._pending.clear()
        self.committed = self._size

    def mark(self, undo: Path, run: bytes, number: int) -> None:
        """From now on save every page in ``undo`` before it is changed (a file that is made when needed)."""
        self._close_undo()
        undo.unlink(missing_ok=True)
        self._undo, self._header, self._marked = undo, (run, number), self.committed
        self._saved = set()

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self._close_undo()
        if self._pool is not None:
            self._pool.shutdown()
        self._raw.close()

    def _apply(self, durable: bool) -> None:
        if os.fstat(self._fd).st_size < self._size:
            os.ftruncate(self._fd, self._size)
        self._save_pages()
        for offset, data in sorted(self._pending, key=self._order):
            ends = [*range(PAGE - offset % PAGE, len(data), PAGE), len(data)]
            for begin, end in reversed(list(zip([0, *ends], ends))):  # a page at a time, the last one first
                self._put(offset + begin, data[begin:end])
        if self._size >= self._marked:
            os.ftruncate(self._fd, self._size)
        if durable:
            os.fsync(self._fd)

    def _put(self, offset: int, data) -> None:
        view = memoryview(data)
        if len(view) < SHARED:
            self._put_part(offset, view)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(2)
        half = len(view) // 2
        other = self._pool.submit(self._put_part, offset + half, view[half:])
        self._put_part(offset, view[:half])
        other.result()

    def _put_part(self, offset: int, view: memoryview) -> None:
        while len(view):
            done = os.pwrite(self._fd, view, offset)
            view, offset = view[done:], offset + done

    def _order(self, write: tuple[int, bytes]) -> tuple[int, int]:
        """Superblock, data, new and old index nodes (higher levels first), all other metadata: later addresses first."""
        offset, data = write
        if offset == 0:
            return 0, 0
        if data[:4] == b"TREE":
            fresh = os.pread(self._fd, 4, offset) != b"TREE"
            return (1, 0) if fresh else (2, -data[5])
        return (3, -offset) if (data[:1] == b"\x01" and data[1:2] == b"\0") or data[:4] == b"SNOD" else (1, 0)

    def _save_pages(self) -> None:
        """Append to the undo journal what the pending writes are about to change."""
        if self._undo is None:
            return
        pages = {n for offset, data in self._pending for n in range(offset // PAGE, (offset + len(data) - 1) // PAGE + 1)}
        fresh = sorted(n for n in pages - self._saved if n * PAGE < self._marked)
        if not fresh:
            return
        if self._undo_file is None:
            self._undo_file = self._undo.open("xb")
            self._undo_file.write(_HEADER.pack(_MAGIC, *self._header, self._marked))
        for n in fresh:
            old = os.pread(self._fd, min(PAGE, self._marked - n * PAGE), n * PAGE)
            self._undo_file.write(_RECORD.pack(n * PAGE, len(old), zlib.crc32(old)) + old)
        self._undo_file.flush()
        os.fsync(self._undo_file.fileno())
        self._saved.update(fresh)

    def _close_undo(self) -> None:
        if self._undo_file is not None:
            with contextlib.suppress(OSError):
                self._undo_file.close()
        self._undo_file = self._undo = None


def roll_back(path: Path, journals: list[Path], run: bytes, number: int, size: int) -> None:
    """Take a file back to mark ``number`` of ``run``, where its size was ``size``. Can be repeated. Raises OSError.

    journals: those that may hold pages of this mark or a later one; others are passed over, and so is what a crash has left incomplete.
    """
    found = []
    for journal in journals:
        with contextlib.suppress(FileNotFoundError):
            data = journal.read_bytes()
            if len(data) >= _HEADER.size:
                magic, owner, later, _ = _HEADER.unpack_from(data)
                if magic == _MAGIC and owner == run and later >= number:
                    found.append((later, data))
    with path.open("r+b", buffering=0) as file:
        for _, data in sorted(found, reverse=True, key=lambda item: item[0]):
            for offset, old in _records(data):
                os.pwrite(file.fileno(), old, offset)
        os.ftruncate(file.fileno(), size)
        os.fsync(file.fileno())


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = _HEADER.size
    while at + _RECORD.size <= len(data):
        offset, length, checksum = _RECORD.unpack_from(data, at)
        old = data[at + _RECORD.size : at + _RECORD.size + length]
        if len(old) < length or zlib.crc32(old) != checksum:
            return
        yield offset, old
        at += _RECORD.size + length
