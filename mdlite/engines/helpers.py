"""Processes that compile for this one.

They are started as programs of their own, not by `multiprocessing`, which would run a script without ``if __name__ == "__main__"`` once more; Ctrl-C
does not reach them, and they end with this process.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 0.25


class Helpers:
    """``count`` helpers that keep what they compile under ``folder``. A context; at its end they are gone."""

    def __init__(self, count: int, folder: Path):
        code = f"import sys; sys.path[:] = {sys.path!r}; from mdlite.engines import compiling; compiling.serve()"
        environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "NUMBA_NUM_THREADS": "1"}
        self._said: queue.SimpleQueue[tuple[subprocess.Popen, str]] = queue.SimpleQueue()
        self._running: list[subprocess.Popen] = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                helper = subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    encoding="utf-8",
                    start_new_session=True,
                )
                self._running.append(helper)
                threading.Thread(target=self._listen, args=(helper,), daemon=True).start()

    def _listen(self, helper: subprocess.Popen) -> None:
        assert helper.stdout is not None  # a pipe
        for line in helper.stdout:
            self._said.put((helper, line.strip()))
        self._said.put((helper, "end"))

    def __enter__(self) -> Helpers:
        return self

    def __exit__(self, *_) -> None:
        for helper in self._running:
            helper.kill()
        for helper in self._running:
            helper.wait()
            with contextlib.suppress(OSError):
                if helper.stdin is not None:
                    helper.stdin.close()

    def work(self, groups: list[str], one_more: Callable[[], None], look: Callable[[], None]) -> int:
        """Give out the groups in this order: returns how many kernels were compiled. A group whose helper dies is left undone.

        one_more is called after every kernel, look several times a second.
        """
        waiting, busy, compiled = list(groups), 0, 0
        for helper in self._running:
            busy += self._give(helper, waiting)
        while busy:
            try:
                helper, line = self._said.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                look()
                continue
            if line == "kernel":
                compiled += 1
                one_more()
            elif line == "group":
                busy += self._give(helper, waiting) - 1
            elif line == "end":
                busy -= 1
        return compiled

    @staticmethod
    def _give(helper: subprocess.Popen, waiting: list[str]) -> int:
        """Hand the next group to a helper: 1, or 0 if there is none."""
        if not waiting:
            return 0
        assert helper.stdin is not None  # a pipe
        with contextlib.suppress(OSError):
            helper.stdin.write(waiting.pop(0) + "\n")
            helper.stdin.flush()
        return 1
