"""Many one-thread points against fewer points with two threads each, in a sweep: ``python bench/sweep_threads.py``.

Points of one kind are run by two workers with one thread, and by one worker with two, in turn, three times; the median of the ratio of the times is
printed for each kind. It is why `mdlite sweep` gives every worker one thread.
"""

import statistics
import tempfile
import time
from pathlib import Path

import mdlite

KINDS = {
    "reference, N = 20": ({"lattice.size": 20, "run.duration": 15.0}, 8),
    "reference, N = 60": ({"lattice.size": 60, "run.duration": 3.0}, 8),
    "reference, N = 100": ({"lattice.size": 100, "run.duration": 2.0}, 4),
    "time-local": ({"method": "time-local", "run.duration": 30.0}, 16),
    "memory-kernel": ({"method": "memory-kernel", "run.duration": 20.0}, 4),
}


def seconds(changes: dict, count: int, workers: int, threads: int) -> float:
    """Wall-clock time of the points, from the moment at which the first is done by each worker's own clock: start-up left out."""
    speeds = [5.0 + 0.1 * n for n in range(count)]
    sweep = {"base": "trapped", "set": {**changes, "run.keep_state": False}, "grid": {"ion.velocity.z": speeds}}
    marks = []
    with tempfile.TemporaryDirectory() as folder:
        mdlite.sweep(
            sweep,
            Path(folder) / "s",
            workers,
            threads,
            progress=lambda state: marks.append((len(state.done), time.perf_counter())),
        )
    first = next(mark for mark in marks if mark[0] >= workers)
    return (marks[-1][1] - first[1]) / (count - first[0])


def main() -> None:
    """Run every kind both ways."""
    for name, (changes, count) in KINDS.items():
        pairs = [(seconds(changes, count, 2, 1), seconds(changes, count, 1, 2)) for _ in range(3)]
        ratio = statistics.median(two / one for one, two in pairs)
        one, two = (statistics.median(pair[n] for pair in pairs) for n in (0, 1))
        print(f"{name:20} 2 x 1 thread {one:7.3f} s a point, 1 x 2 threads {two:7.3f} s, ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
