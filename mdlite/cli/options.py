"""What the commands share: their common arguments, and what a signal does to them."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

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
JsonFile = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output.")]
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
def interruptible(message: Callable[[KeyboardInterrupt], str]) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an exception of ours, because the command line's library would swallow one and the system the other.

    message: says, of the exception, what is left.
    """

    def terminate(number, frame):
        raise Interrupted("terminated", number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        raise Ended(f"{str(error) or 'interrupted'}; {message(error)}", getattr(error, "signal", signal.SIGINT)) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def noted(output: str | Path) -> Callable[[KeyboardInterrupt], str]:
    """For `interruptible`: what a run notes on the exception, or, where it had not come to its file yet, what is there."""
    there = os.path.exists(output)  # noqa: PTH110 (no name is too long for it)

    def message(error: KeyboardInterrupt) -> str:
        before = f"{output} is as it was before" if there else "nothing has been written yet"
        return "; ".join(getattr(error, "__notes__", [])) or before

    return message


def kept(folder: Path, words: str, ending: str) -> Callable[[KeyboardInterrupt], str]:
    """For `interruptible`: ``words`` if there are files in ``folder`` that end so, otherwise what is there instead. A folder of many runs is its own
    record of what was done."""
    before = set(folder.glob("*"))

    def message(error: KeyboardInterrupt) -> str:
        now = set(folder.glob("*"))
        if any(path.name.endswith(ending) for path in now):
            return words
        if not now:
            return "nothing has been written yet"
        return f"{folder} is as it was before" if now == before else f"{folder} has been begun, and keeps nothing yet"

    return message


class Group(Grouped):
    """Commands that say what a signal has done to them, where they do not say it better themselves."""

    def invoke(self, ctx):
        """Run the command."""
        with interruptible(lambda error: "nothing was finished"):
            try:
                return super().invoke(ctx)
            except BrokenPipeError:  # a reader such as head has seen enough
                raise typer.Exit from None


class Json:
    """Where the numbers of a command go with ``--json FILE``: into a file, to standard output in place of the text, or nowhere.

    key: one that all its files have, so that its own are replaced. force, apart: as of `mdlite.io.outputs.check_output`. Raises InputError where there can
    be no file.
    """

    def __init__(self, file: str | None, key: str, force: bool = False, apart: Mapping[str, str | Path | None] | None = None):
        from mdlite.report import lattice_report

        self._printed = file == "-"
        self._file = None if self._printed else file
        if self._file is not None:
            lattice_report.check_json(self._file, key, force, apart)

    def put(self, numbers: dict[str, Any], text: Callable[[], str], indent: int | None = None) -> None:
        """Print the text, or the numbers in its place; write the numbers where they are wanted. Raises RunError."""
        from mdlite.io import outputs

        print(json.dumps(numbers) if self._printed else text())
        if self._file is not None:
            outputs.write(self._file, json.dumps(numbers, indent=indent) + "\n")
