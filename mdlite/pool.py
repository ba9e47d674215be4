"""Where the points of a sweep run: spawned processes of this machine, or the workers of a Dask scheduler. Both are `concurrent.futures` executors.

Processes are spawned, not forked: a forked child that enters a parallel kernel is killed by GNU OpenMP.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import math
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mdlite import terminal
from mdlite.errors import InputError, Interrupted, RunError

SCHEDULER_SECONDS = 10.0
COUNT_SECONDS = 2.0
LAST_WORDS_SECONDS = 120.0
"""For a worker whose parent has died to write a checkpoint."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(points: int, workers: int | None, threads: int | None) -> tuple[int, int]:
    """How many worker processes, and threads for each: as many as there are cores with a thread each, unless there are fewer points."""
    if workers is None:
        workers = max(1, min(points, cores() // (threads or 1)))
    return workers, threads or max(1, cores() // workers)


class Local:
    """Spawned processes of this machine, each an executor of its own: one that dies takes only its own point with it."""

    def __init__(self, workers: int, threads: int):
        self.workers, self._threads = workers, threads
        self._executors = [self._open() for _ in range(workers)]
        self._futures: list[concurrent.futures.Future | None] = [None] * workers

    def _open(self) -> concurrent.futures.ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return concurrent.futures.ProcessPoolExecutor(1, context, _begin, (self._threads,))

    def submit(self, function: Callable, *arguments: Any) -> concurrent.futures.Future:
        """As `concurrent.futures.Executor.submit`, for the first process that is free (at least one must be); in place of a dead one a new one."""
        n = next(n for n, future in enumerate(self._futures) if future is None or future.done())
        with _interrupts_held():
            try:
                self._futures[n] = self._executors[n].submit(_work, function, *arguments)
            except concurrent.futures.process.BrokenProcessPool:
                self._executors[n].shutdown(wait=True)
                self._executors[n] = self._open()
                self._futures[n] = self._executors[n].submit(_work, function, *arguments)
        return self._futures[n]

    def close(self, stop: bool) -> None:
        """End the workers; with ``stop`` at once: those at work write a checkpoint first."""
        if stop:
            for executor in self._executors:
                for process in list((executor._processes or {}).values()):
                    process.terminate()
        for executor in self._executors:
            executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C waits meanwhile, and processes that are started here never see it: it is the parent's, which then terminates them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(threads: int) -> None:
    """What a worker does first, before numba is imported. It heeds SIGTERM only while it works, so that idle ones end in order."""
    os.environ["NUMBA_NUM_THREADS"] = str(threads)
    terminal.prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with the parent, however it ended: a run at work is asked to write a checkpoint first."""
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
    end = time.monotonic() + LAST_WORDS_SECONDS
    while _at_work.is_set() and time.monotonic() < end:
        time.sleep(0.05)
    os._exit(1)


_at_work = threading.Event()


def _work(function: Callable, *arguments: Any) -> Any:
    """Call a function in a worker, and let SIGTERM interrupt it."""

    def stop(number: int, _frame) -> None:
        raise Interrupted("terminated", number)

    _at_work.set()
    try:
        signal.signal(signal.SIGTERM, stop)
        return function(*arguments)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _at_work.clear()


class Dask:
    """The workers of a Dask distributed scheduler; address: ``tcp://host:port``, or ``local`` for a cluster on this machine's loopback.

    A point whose worker dies is given to another one. Raises InputError if Dask is not installed, or no scheduler answers.
    """

    def __init__(self, address: str, workers: int):
        if address != "local" and not re.fullmatch(r"(tcp|tls|ws|wss|ucx)://\S+:\d+", address):
            raise InputError(f"scheduler = {address!r}: must be an address such as tcp://10.0.0.5:8786, or local")
        try:
            import distributed
        except ImportError:
            raise InputError(
                f"scheduler = {address!r}: needs Dask distributed, which is not installed: pip install 'mdlite[sweep]'"
            ) from None
        self._cluster = None
        if address == "local":
            self._cluster = distributed.LocalCluster(
                n_workers=workers, processes=True, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
            )
        try:
            self._client = distributed.Client(self._cluster or address, timeout=SCHEDULER_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError, TimeoutError) as error:
            raise InputError(
                f"scheduler = {address!r}: no Dask scheduler answers there ({type(error).__name__}); start one with `dask scheduler`, and give "
                "the address that it prints, such as tcp://10.0.0.5:8786, or local"
            ) from None
        self._executor = self._client.get_executor(pure=False)
        self._counted = -math.inf
        self._count = 0

    @property
    def workers(self) -> int:
        """How many there are now, or were two seconds ago; they come and go. Raises RunError if the scheduler is gone."""
        if time.monotonic() - self._counted > COUNT_SECONDS:
            try:
                self._count, self._counted = len(self._client.nthreads()), time.monotonic()
            except (OSError, TimeoutError) as error:
                raise RunError(
                    f"the Dask scheduler is gone ({type(error).__name__}); the same command goes on from here"
                ) from None
        return self._count

    def submit(self, function: Callable, *arguments: Any) -> concurrent.futures.Future:
        """As `concurrent.futures.Executor.submit`."""
        return self._executor.submit(function, *arguments)

    def close(self, stop: bool) -> None:
        """Leave the scheduler, and with ``stop`` take back what has not begun."""
        self._executor.shutdown(wait=not stop)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def make(scheduler: str | None, workers: int, threads: int) -> Local | Dask:
    """The pool for a sweep. Raises InputError."""
    return Local(workers, threads) if scheduler is None else Dask(scheduler, workers)
