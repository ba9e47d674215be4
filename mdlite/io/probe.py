"""Opens a file as `mdlite.io.reading` does, in a process of its own, so that a file that harms HDF5 harms nobody else."""

from __future__ import annotations

import contextlib
import sys


def rows(count: int) -> list[int]:
    """Rows of an array that a look at its index touches: the first, the last, and some between."""
    return sorted({*range(0, count, max(1, count // 64)), count - 1}) if count else []


def main() -> None:
    """Exit code 0 if the file named on the command line opens and shows some of every array, 1 if not."""
    import h5py

    from mdlite.io import reading, seal

    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (seal.MOST_MEMORY,) * 2)
    path = sys.argv[1]
    reading.Contents(path, probed=True)
    with h5py.File(path, "r") as f:

        def look(name, item):
            if isinstance(item, h5py.Dataset) and item.ndim:
                for row in rows(len(item)):
                    item[row]

        f.visititems(look)


if __name__ == "__main__":
    main()
