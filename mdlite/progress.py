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


def describe(state: Progress) -> str:
    """Steps done, rate, time to go and relative energy drift, in one short line."""
    rate = state.done / state.seconds if state.seconds > 0 else 0.0
    left = f"{state.seconds:.1f} s"
    if state.done < state.total:
        left = f"{(state.total - state.done) / rate:.0f} s to go" if rate > 0 and state.seconds > 0.5 else "..."
    drift = "" if state.drift is None else f"  drift {state.drift:+.0e}"
    return f"{100.0 * state.done / state.total:3.0f} %  {rate:.3g} steps/s  {left}{drift}"


class _Plain:
    """A line every ten seconds, and one at the end."""

    def __init__(self, label: str):
        self.label, self.last = label, time.monotonic()

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        if now - self.last >= PLAIN_SECONDS or state.done == state.total:
            self.last = now
            print(f"{self.label}: {describe(state)}", file=sys.stderr, flush=True)


class _Live:
    """A rich progress bar, from the first step on; ``close`` gives the terminal back."""

    def __init__(self, label: str):
        self.label, self.bar, self.last = label, None, 0.0

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        if state.done < state.total and now - self.last < LIVE_SECONDS:
            return
        self.last = now
        if self.bar is None:
            self._open()
        self.bar.update(self.task, completed=state.done, total=state.total, text=describe(state))
        self.bar.refresh()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        columns = (
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=14),
            TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True)),
        )
        self.bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False)
        self.task = self.bar.add_task(self.label, total=None, text="")
        self.bar.start()

    def close(self) -> None:
        """Stop the bar and show the cursor again."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
