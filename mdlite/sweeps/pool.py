"""Where the points of a sweep run: spawned processes of this machine, or the workers of a Dask scheduler. Both are `concurrent.futures` executors.

Processes are spawned, not forked: a forked child that enters a parallel kernel is killed by GNU OpenMP.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from mdlite import terminal
from mdlite.errors import InputError, Interrupted
from mdlite.machine import cores, open_file_limit

OWN_FILES, FILES_OF_A_WORKER = 12, 8
"""Open at a time, in the process that has the workers."""
GO_ON = "what is done is kept, the same command goes on"
LAST_WORDS_SECONDS = 120.0
"""For a worker whose parent has died to write a checkpoint."""


def shares(points: int, workers: int | None, threads: int | None) -> tuple[int, int]:
    """How many worker processes, and threads for each: as many as there are cores with a thread each, unless there are fewer points."""
    if workers is None:
        workers = max(1, min(points, cores() // (threads or 1)))
    return workers, threads or max(1, cores() // workers)


class Local:
    """Spawned processes of this machine, each an executor of its own: one that dies takes only its own point with it."""

    def __init__(self, workers: int, threads: int):
        limit, needed = open_file_limit(), OWN_FILES + FILES_OF_A_WORKER * workers
        if limit is not None and limit < needed:
            raise InputError(
                f"workers = {workers}: need {needed} open files, this shell allows {limit} (ulimit -n); allow more, or give fewer --workers"
            )
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
                future = self._executors[n].submit(_work, function, *arguments)
            except concurrent.futures.process.BrokenProcessPool:
                self._executors[n].shutdown(wait=True)
                self._executors[n] = self._open()
                future = self._executors[n].submit(_work, function, *arguments)
        self._futures[n] = future
        return future

    def ask(self, function: Callable[[], Any]) -> list[Any]:
        """What a worker answers, or the exception that it raises."""
        future = self.submit(function)
        error = future.exception()
        return [future.result() if error is None else error]

    def failure(self, future: concurrent.futures.Future) -> str | None:
        """What went wrong with a future that has ended, or None."""
        return told(future.exception())

    def close(self, stop: bool) -> None:
        """End the workers; with ``stop`` at once: those at work write a checkpoint first."""
        if stop:
            for executor in self._executors:
                for process in list((executor._processes or {}).values()):
                    process.terminate()
        for executor in self._executors:
            executor.shutdown(wait=True, cancel_futures=True)


def told(error: BaseException | None) -> str | None:
    """What a worker's exception says."""
    if isinstance(error, concurrent.futures.process.BrokenProcessPool):
        return "its process was killed: by a signal, or by the system for lack of memory (fewer --workers need less)"
    return None if error is None else f"{type(error).__name__}: {error}".strip(": ")


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
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
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
