"""How a sweep tells the user where it is: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from mdlite.simulation.progress import LIVE_SECONDS, PLAIN_SECONDS

if TYPE_CHECKING:
    from mdlite.sweeps.running import State

SHOWN = 8
"""Running and failed points that the table lists."""


def describe(state: State) -> str:
    """Done, running, failed and time to go, in one short line."""
    if state.workers == 0 and len(state.done) + len(state.failed) < state.points:
        return f"{len(state.done)} of {state.points} done, waiting for workers: the scheduler has none"
    left = state.seconds_left
    when = "done" if len(state.done) + len(state.failed) == state.points else f"{span(left)} to go" if left is not None else "..."
    return f"{len(state.done)} of {state.points} done, {len(state.running)} running, {len(state.failed)} failed, {when}"


def span(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    if seconds < 6000.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h"


class Table:
    """The progress callback of a sweep, on standard error."""

    def __init__(self) -> None:
        self.live, self.last, self.screen = sys.stderr.isatty(), 0.0, None

    def __call__(self, state: State) -> None:
        now, ended = time.monotonic(), len(state.done) + len(state.failed) == state.points
        if not ended and now - self.last < (LIVE_SECONDS if self.live else PLAIN_SECONDS):
            return
        self.last = now
        if not self.live:
            print(f"sweep: {describe(state)}", file=sys.stderr, flush=True)
            return
        if self.screen is None:
            from rich.console import Console
            from rich.live import Live

            self.screen = Live(console=Console(stderr=True), auto_refresh=False)
            self.screen.start()
        self.screen.update(_picture(state, now), refresh=True)

    def close(self) -> None:
        """Leave the last table on the screen, and give the terminal back."""
        if self.screen is not None:
            self.screen.stop()
            self.screen = None


def _picture(state: State, now: float):
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid("point", "state", "time", box=None, pad_edge=False)
    for name, began in sorted(state.running.items(), key=lambda item: item[1])[:SHOWN]:
        grid.add_row(name, "running", span(now - began))
    for name, error in list(state.failed.items())[-SHOWN:]:
        grid.add_row(name, Text("failed", style="red"), Text(error.splitlines()[0], overflow="ellipsis", no_wrap=True))
    bar = ProgressBar(total=state.points, completed=len(state.done) + len(state.failed), width=40)
    return Group(bar, Text(describe(state)), grid)
