"""Asking a run to stop at its next chance: SIGINT and SIGTERM, and a limit on wall-clock time."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """While entered, the first signal is noted, not obeyed; a second one is obeyed at once. Signals reach the main thread only.

    deadline: of `time.monotonic`, s, or None. signal: the one that came, or None.
    """

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        self._give_back()

    def _note(self, number: int, _frame) -> None:
        self.signal = number
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def out_of_time(self, needed: float) -> bool:
        """Whether the deadline is nearer than ``needed`` seconds."""
        return self.deadline is not None and time.monotonic() + needed > self.deadline
