"""What the commands share: their common arguments, and what a signal does to them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from mdlite.errors import Interrupted

Source = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A TOML file, or the name of a built-in case (see `mdlite cases`).")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key with a TOML value; repeatable.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, only errors.")]


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
