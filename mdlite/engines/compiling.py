"""Kernels compiled before the clock starts, in one phase that says how far it is.

Numba compiles on one core; so where there are several cores, and several groups of kernels (`mdlite.engines.kernel_groups`) to compile, helper processes
share these, into the cache that this process then reads. A file beside the compiled kernels lists those of a group; only when all of them are
there, whole, is the group ready.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from mdlite import atomic
from mdlite.engines import registry
from mdlite.engines.helpers import Helpers
from mdlite.engines.kernel_groups import GROUPS
from mdlite.kernels import cache, jit
from mdlite.machine import cores

MOST_HELPERS = 8
START_SECONDS = 1.5
"""For a helper to begin."""
Notice = Callable[[str], None]


_loaded: set[str] = set()
_one_at_a_time = threading.RLock()


def all_groups() -> list[str]:
    """Names of all groups of kernels, those of every method among them."""
    registry.names()  # whose modules bring their groups
    return list(GROUPS)


def compile_groups(names: Iterable[str], notice: Notice | None = None) -> float:
    """Load these groups of kernels, or compile them if this machine has not yet: returns the seconds spent compiling.

    notice gets a line before, and another after something was compiled; if it has a ``counter``, as that of `mdlite.simulation.progress.Reporter` has, also
    how far it is in between.
    """
    with _one_at_a_time:
        all_groups()
        wanted = [name for name in dict.fromkeys(names) if name not in _loaded]
        tell = notice or (lambda line: None)
        _say_how(notice)
        missing = [name for name in wanted if not _ready(name)]
        begin, before, done = time.perf_counter(), jit.compiled(), 0
        announced = _to_compile(missing)
        with _Count(announced, _estimate(missing, announced), notice) as count:
            if missing:
                done = _with_helpers(missing, count)
            with jit.counting(count.one_more):
                for name in wanted:
                    GROUPS[name].touch()
                    _loaded.add(name)
                    if name in missing:
                        _note_down(name)
        done += jit.compiled() - before
        seconds = time.perf_counter() - begin
        for line in cache.complaints():
            tell(line)
        if done == 0:
            return 0.0
        tell(f"compiled {done} kernels in {seconds:.1f} s")
        return seconds


class _Count:
    """What the user sees of the compilation: a line at the beginning, and a number that moves where one can be shown."""

    def __init__(self, kernels: int, seconds: float, notice: Notice | None):
        self.total, self.done = kernels, 0
        self._before = _kept() if kernels else {}
        counter = getattr(notice, "counter", None)
        self._show = counter(self.total) if counter is not None and kernels else None
        if kernels and notice is not None:
            notice(f"compiling {self.total} kernels, about {seconds:.0f} s, once for this machine ...")

    def __enter__(self) -> _Count:
        return self

    def __exit__(self, *_) -> None:
        if self._show is not None:
            self._show.close()

    def one_more(self) -> None:
        """A kernel has been compiled."""
        self.done += 1
        self.total = max(self.total, self.done)
        self.look()

    def by_helpers(self) -> None:
        """A helper has compiled one, which another may have compiled as well."""
        self.done = sum(self._before.get(name) != when for name, when in _kept().items())
        self.look()

    def look(self) -> None:
        """Show how far it is."""
        if self._show is not None:
            self._show(self.done, self.total)


def _workers(groups: int) -> int:
    """Processes that share the work, 1 if it is done here."""
    able = jit.CACHE_FOLDER is not None and sys.executable and multiprocessing.parent_process() is None
    return max(1, min(groups, cores(), jit.get_num_threads(), MOST_HELPERS)) if able else 1


def _to_compile(missing: list[str]) -> int:
    """How many kernels these groups lack: each once, however many of them want it."""
    if not missing:
        return 0
    lists = {name: _listed(name) for name in GROUPS}
    kept = _names(name for name, files in lists.items() if files or name in _loaded)
    new = _names(name for name in missing if not lists[name]) - kept
    spoilt = {file for name in missing for file in lists[name] if cache.read(Path(jit.CACHE_FOLDER) / file) is None}
    return len(new) + len(spoilt)


def _names(groups: Iterable[str]) -> frozenset[str]:
    """The kernels of these groups, each once."""
    return frozenset().union(*(GROUPS[name].names for name in groups))


def _estimate(missing: list[str], kernels: int) -> float:
    """Seconds to compile so many kernels of these groups."""
    if not missing:
        return 0.0
    each, workers = [GROUPS[name].seconds for name in missing], _workers(len(missing))
    left = min(1.0, kernels / len(_names(missing)))  # of what they would take in an empty cache
    return left * sum(each) if workers == 1 else START_SECONDS + left * max(*each, sum(each) / workers)


def _with_helpers(missing: list[str], count: _Count) -> int:
    """Have the groups compiled by helpers if that is quicker: returns how many kernels were."""
    workers = _workers(len(missing))
    if workers == 1:
        return 0
    longest_first = sorted(missing, key=lambda name: -GROUPS[name].seconds)
    with Helpers(workers, Path(jit.CACHE_FOLDER).parent) as helpers:
        helpers.work(longest_first, count.by_helpers, count.look)
    count.by_helpers()
    return count.done


def serve() -> None:
    """What a helper does: the groups whose names come in, with a line out for every kernel, and for every group."""
    out = sys.stdout
    all_groups()
    with jit.counting(lambda: print("kernel", file=out, flush=True)):
        for line in sys.stdin:
            GROUPS[line.strip()].touch()
            print("group", file=out, flush=True)


def _say_how(notice: Notice | None) -> None:
    """Tell once if the cache is not where it should be (a notice, or for those who asked for none a warning), and of threads that are in each other's way."""
    line, jit.CACHE_NOTE = jit.CACHE_NOTE, None
    if line is not None and multiprocessing.parent_process() is None:
        if notice is None:
            warnings.warn(line, stacklevel=5)
        else:
            notice(line)
    if notice is None:
        return
    if jit.get_num_threads() > cores() and "threads" not in _loaded:
        notice(
            f"{jit.get_num_threads()} threads share {cores()} cores, which is slow: NUMBA_NUM_THREADS={cores()} would be right"
        )
        _loaded.add("threads")
    if jit.LAYER == "workqueue" and threading.current_thread() is not threading.main_thread():
        notice(
            "numba's workqueue layer cannot be shared: runs in several threads of this process take turns (libgomp or tbb would let them overlap)"
        )


def _list_of(name: str) -> Path:
    return Path(jit.CACHE_FOLDER) / f"ready-{name}-{cache.machine()}"


def _ready(name: str) -> bool:
    """Whether the group has been compiled for this machine, and all its files are sound."""
    files = _listed(name)
    return bool(files) and all(cache.read(Path(jit.CACHE_FOLDER) / file) is not None for file in files)


def _listed(name: str) -> list[str]:
    """The files of a group that has been compiled for this machine, sound or not; none if it has not."""
    if jit.CACHE_FOLDER is None:
        return []
    try:
        files = json.loads(_list_of(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [file for file in files if isinstance(file, str)] if isinstance(files, list) else []


def _kept() -> dict[str, int]:
    """Every compiled kernel in the cache, and when it was written."""
    if jit.CACHE_FOLDER is None:
        return {}
    found = {}
    for path in Path(jit.CACHE_FOLDER).glob("*.kernel"):
        with contextlib.suppress(OSError):
            found[path.name] = path.stat().st_mtime_ns
    return found


def _note_down(name: str) -> None:
    if jit.CACHE_FOLDER is not None:
        with contextlib.suppress(OSError), atomic.replacing(_list_of(name)) as unfinished:
            unfinished.write_text(json.dumps(cache.used()), encoding="utf-8")
