"""What the commands share: their common arguments, and what a signal does to them."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mdlite.cli.help import Grouped, complete_config
from mdlite.errors import InputError, Interrupted

Source = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG", help="A TOML file, or the name of a built-in case (see `mdlite cases`).", autocompletion=complete_config
    ),
]
RunFile = Annotated[Path, typer.Argument(metavar="FILE", help="A run written by `mdlite run`.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key with a TOML value; repeatable.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only errors.")]


def require_whole(arguments: list[str]) -> None:
    """Raise InputError for a --set whose value the shell has cut at its spaces, or at what it takes for a list of its own."""
    for n, text in enumerate(arguments):
        if text == "--set" and n + 1 < len(arguments):
            first, rest = n + 1, arguments[n + 1]
        elif text.startswith("--set="):
            first, rest = n, text.removeprefix("--set=")
        else:
            continue
        last = first
        while _open(rest) > 0 and last + 1 < len(arguments) and not arguments[last + 1].startswith("--"):
            last += 1
            rest += " " + arguments[last]
        if last > first and _open(rest) == 0:
            raise InputError(f"--set {arguments[first]}: the shell has cut it at its spaces; quote it: --set {shlex.quote(rest)}")


def _open(text: str) -> int:
    """How many brackets and braces of a text are not closed."""
    return sum(text.count(c) for c in "[{") - sum(text.count(c) for c in "]}")


class Ended(Exception):
    """Ended by a signal, with a line that says what is left. Exit code 128 + ``signal``."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal


@contextmanager
def interruptible(message: str | Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an exception of ours, because the command line's library would swallow one and the system the other.

    message: what is left, or a function that finds out.
    """

    def terminate(number, frame):
        raise Interrupted("terminated", number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        left = message if isinstance(message, str) else message()
        raise Ended(f"{str(error) or 'interrupted'}; {left}", getattr(error, "signal", signal.SIGINT)) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def kept(output: Path, words: str, found: Callable[[], bool]) -> Callable[[], str]:
    """For `interruptible`: ``words`` if by then something has been written to ``output`` and ``found()``, otherwise what is there instead."""
    before = _mark(output)

    def message() -> str:
        now = _mark(output)
        if now is None or (output.is_dir() and not any(output.iterdir())):
            return "nothing has been written yet"
        if now == before and not found():
            return f"{output} is as it was before"
        return words if found() else f"{output} has been begun, and keeps nothing yet"

    return message


def _mark(path: Path) -> tuple[int, int, int] | None:
    """By which a file is known to be the same and unchanged; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class Group(Grouped):
    """Commands that say what a signal has done to them, where they do not say it better themselves."""

    def invoke(self, ctx):
        """Run the command."""
        with interruptible("nothing was finished"):
            try:
                return super().invoke(ctx)
            except BrokenPipeError:  # a reader such as head has seen enough
                raise typer.Exit from None
