"""The command line: its commands, from the modules beside, which import heavy ones inside them, so that ``mdlite --help`` answers at once.

Exit codes: 0; 2 bad input; 1 a run that had to stop, or lost ions by its step; 130 interrupted (Ctrl-C); 143 terminated.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import Annotated

import typer

from mdlite import __version__, terminal
from mdlite.cli import before, crystal, machine, results, runs, sweep
from mdlite.cli.options import Ended, Group, require_whole
from mdlite.errors import InputError, RunError
from mdlite.machine import reason

app = typer.Typer(
    name="mdlite",
    help="Molecular dynamics of a mobile ion in a harmonic crystal: the explicit crystal, and the time-local ion beside it.",
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


for commands in (runs, crystal, before, results, machine, sweep):
    commands.register(app)


def main() -> None:
    """Entry point: turns our errors into one line each and an exit code, and sees to it that what was printed has come out."""
    terminal.prepare()
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    code = _run()
    wrong = terminal.finish()
    if wrong is not None and code == 0:
        code = _complain(f"standard output cannot be written: {wrong}", 1)
    sys.exit(code)


def _run() -> int:
    """The command; returns its exit code."""
    try:
        require_whole(sys.argv[1:])
        app(prog_name="mdlite")
    except SystemExit as end:
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":  # by the command line's library, when the reader has gone away
            return 0
        return end.code if isinstance(end.code, int) else 0 if end.code is None else _complain(end.code, 1)
    except InputError as error:
        return _complain(error, 2)
    except RunError as error:
        return _complain(error, 1)
    except Ended as error:
        return _complain(error, 128 + error.signal)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:
        return 0
    except OSError as error:
        return _complain(f"{error.filename!r}: {reason(error)}" if error.filename else reason(error), 1)
    except MemoryError as error:
        return _complain(f"out of memory {error}", 1)
    return 0


def _complain(error: object, code: int) -> int:
    with contextlib.suppress(OSError):
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
    return code
