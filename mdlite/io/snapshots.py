"""Snapshots of the lattice in a run's file: a chunk or a few to each, compressed on several threads where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
from isal import isal_zlib

from mdlite.io.checksums import Checksums
from mdlite.io.layout import SNAPSHOT_PATHS

COMPRESSION_LEVEL = 1
CHUNK_PARTS = 4
"""Chunks to a compressed snapshot, for as many threads."""


def storage(shape: tuple[int, ...], compressed: bool) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Chunks and filters of the dataset of an array with rows of ``shape``, (atoms, ...)."""
    if not compressed:
        return (1, *shape), {}
    filters = {"shuffle": True, "compression": "gzip", "compression_opts": COMPRESSION_LEVEL}
    return (1, -(-shape[0] // CHUNK_PARTS), *shape[1:]), filters


class SnapshotWriter:
    """Appends snapshots in chunks of its own making: HDF5 would compress on one thread, and five times slower."""

    def __init__(self, file: h5py.File, sums: Checksums):
        self._file, self._sums = file, sums
        self._pool: ThreadPoolExecutor | None = None

    def append(self, arrays: dict[str, np.ndarray]) -> None:
        """One snapshot, arrays (1, atoms, ...), by the names of `mdlite.io.layout.SNAPSHOT_PATHS`."""
        for name, values in arrays.items():
            self._append(SNAPSHOT_PATHS[name][0] + "/value", values)

    def _append(self, place: str, values: np.ndarray) -> None:
        data = self._file[place]
        row = len(data)
        data.resize(row + 1, axis=0)
        self._sums.add(place, values)
        step = data.chunks[1]
        parts: Iterable[Any] = [values[0, begin : begin + step] for begin in range(0, values.shape[1], step)]
        if data.compression:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(min(CHUNK_PARTS, os.cpu_count() or 1))
            planes = [_planes(part, step) for part in parts]
            parts = self._pool.map(lambda bytes_: isal_zlib.compress(bytes_, COMPRESSION_LEVEL), planes)
        for n, part in enumerate(parts):
            data.id.write_direct_chunk((row, n * step, *[0] * (data.ndim - 2)), part)

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()


def _planes(part: np.ndarray, rows: int) -> np.ndarray:
    """The bytes of a chunk of ``rows`` rows (the last ones zero where the part has fewer), shuffled as HDF5 does."""
    from mdlite.kernels.snapshot import shuffle  # numba, which no reader needs

    if len(part) < rows:
        part = np.concatenate([part, np.zeros((rows - len(part), *part.shape[1:]), part.dtype)])
    numbers = part.reshape(-1).view(f"<u{part.itemsize}")
    planes = np.empty((part.itemsize, len(numbers)), np.uint8)
    shuffle(numbers, planes)
    return planes
