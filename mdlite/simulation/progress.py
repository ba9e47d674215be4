"""How a run tells the user where it is: a live bar on a terminal or in a notebook, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

PLAIN_SECONDS = 10.0
LIVE_SECONDS = 0.1
NOTEBOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Progress:
    """What a running simulation tells: steps done of all, seconds of stepping, relative energy drift (None: not defined)."""

    done: int
    total: int
    seconds: float
    drift: float | None


def in_notebook() -> bool:
    """Whether a Jupyter kernel shows what is displayed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def callbacks(
    label: str, progress: Callable[[Progress], None] | bool | None, notice: Callable[[str], None] | None
) -> tuple[Callable[[Progress], None] | None, Callable[[str], None] | None]:
    """The callbacks that a run gets: for ``progress`` True those of a `Reporter`, for False none."""
    if progress is not True:
        return progress or None, notice
    reporter = Reporter()
    return reporter(label), notice or reporter.notice


class Notices:
    """Called with a line of text, prints it."""

    def __init__(self, quiet: bool, notebook: bool, live: bool):
        self._quiet, self._notebook = quiet, notebook
        self.counter = _Counter if live and not notebook else None
        """What shows how many of a number of things are done, or None: called with (done, total), and ``close`` at the end."""

    def __call__(self, line: str) -> None:
        if not self._quiet:
            print(line, file=sys.stdout if self._notebook else sys.stderr, flush=True)


class _Counter:
    """A number in the last line of a terminal, and the seconds so far."""

    def __init__(self, total: int):
        self._begin = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        print(f"\r\x1b[K  {done} of {total} done, {time.monotonic() - self._begin:.0f} s", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the line away."""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Reporter:
    """Progress and notices on standard error, or in the output of a notebook's cell."""

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self.notebook = not quiet and in_notebook()
        self.live = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self.notice = Notices(quiet, self.notebook, self.live)

    def __call__(self, label: str):
        """The progress callback for one run."""
        if self.quiet:
            return None
        return _Notebook(label) if self.notebook else _Live(label) if self.live else _Plain(label)


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
        self.label, self.last = label, 0.0
        self.bar: Any = None

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


class _Notebook:
    """A bar in the output of a notebook's cell, drawn again in place."""

    def __init__(self, label: str):
        self.label, self.last = label, 0.0
        self.handle: Any = None
        self.pending: Progress | None = None

    def __call__(self, state: Progress) -> None:
        now = time.monotonic()
        if state.done < state.total and now - self.last < NOTEBOOK_SECONDS:
            self.pending = state
            return
        self.last, self.pending = now, None
        self._show(_Drawn(self.label, state))

    def _show(self, drawn: _Drawn) -> None:
        from IPython.display import display

        if self.handle is None:
            self.handle = display(drawn, display_id=True)
        else:
            self.handle.update(drawn)

    def close(self) -> None:
        """Draw how far the run came."""
        if self.pending is not None:
            self._show(_Drawn(self.label, self.pending))
            self.pending = None


class _Drawn:
    """A state of a run as a notebook shows it, or as text."""

    def __init__(self, label: str, state: Progress):
        self.label, self.state = label, state

    def __repr__(self) -> str:
        return f"{self.label}: {describe(self.state)}"

    def _repr_html_(self) -> str:
        bar = (
            f'<progress value="{self.state.done}" max="{self.state.total}" style="width:12em; vertical-align:middle"></progress>'
        )
        text = f'<code style="background:none; white-space:pre-wrap">{escape(describe(self.state))}</code>'
        return f"<div>{escape(self.label)} {bar} {text}</div>"
