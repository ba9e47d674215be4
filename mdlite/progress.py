"""How a run tells the user where it is: a live line on a terminal, plain lines elsewhere, nothing with ``quiet``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdlite.simulate import Progress

PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.1


class Reporter:
    """Progress and notices on standard error."""

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()

    def notice(self, line: str) -> None:
        """One line of text, unless quiet."""
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)

    def __call__(self, label: str):
        """The progress callback for one run."""
        if self.quiet:
            return None
        return _Live(label) if self.live else _Plain(label)


def describe(state: Progress, seconds: float) -> str:
    """Steps, rate, time to go and relative energy drift, in one line."""
    rate = state.done / seconds if seconds > 0 else 0.0
    to_go = (state.total - state.done) / rate if rate > 0 else 0.0
    drift = "" if state.drift is None else f", energy drift {state.drift:+.1e}"
    left = f"{to_go:.0f} s to go" if state.done < state.total else f"{seconds:.1f} s"
    return f"{100.0 * state.done / state.total:3.0f} %  {state.done}/{state.total} steps, {rate:.3g} steps/s, {left}{drift}"


class _Plain:
    """A line when a run begins to take long, every ten seconds, and at its end."""

    def __init__(self, label: str):
        self.label, self.begin = label, time.monotonic()
        self.last = self.begin

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        if now - self.last >= PLAIN_SECONDS or state.done == state.total:
            self.last = now
            print(f"{self.label}: {describe(state, now - self.begin)}", file=sys.stderr, flush=True)


class _Live:
    """A rich progress bar."""

    def __init__(self, label: str):
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("[bold]{task.description:12}"), BarColumn(bar_width=30), TextColumn("{task.fields[text]}"))
        self.bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False)
        self.task = self.bar.add_task(label, total=None, text="")
        self.begin = time.monotonic()
        self.last = 0.0
        self.bar.start()

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        finished = state.done == state.total
        if not finished and now - self.last < LIVE_SECONDS:
            return
        self.last = now
        self.bar.update(self.task, completed=state.done, total=state.total, text=describe(state, now - self.begin))
        self.bar.refresh()
        if finished:
            self.close()

    def close(self) -> None:
        """Give the terminal's cursor back."""
        self.bar.stop()
