"""What the commands share: their common arguments, and what a signal does to them."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mdlite.cli_help import complete_config
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
def interruptible(message: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an exception of ours, because the command line's library would swallow one and the system the other."""

    def terminate(number, frame):
        raise Interrupted("terminated", number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except Interrupted as error:
        raise Ended(f"{error}; {message}", error.signal) from None
    except KeyboardInterrupt:
        raise Ended(f"interrupted; {message}", signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)
