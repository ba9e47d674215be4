"""What helps before a run: the error to expect, cases, keys and schema of a configuration. Heavy modules are imported inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mdlite.cli.help import BEFORE, about
from mdlite.cli.options import Force, Overrides, Source
from mdlite.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(**about(BEFORE, "validity trapped", "validity mine.toml --set thermal.energy=25.0"))(validity)
    app.command(**about(BEFORE, "cases", "cases trapped -o mine.toml"))(cases)
    app.command(**about(BEFORE, "keys thermal", "keys ion.mass", "keys interaction --json"))(keys)
    app.command(**about(BEFORE, "schema"))(schema)


def validity(
    source: Source,
    overrides: Overrides = None,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="validity.json of a map of your own; default: the one in the package.")
    ] = None,
) -> None:
    """What error to expect of the time-local method and its better rungs for a configuration, without running it."""
    from mdlite import config
    from mdlite.accuracy import estimate

    print(estimate.validity(config.load(source, overrides or ()), data))


def cases(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this one.")] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Copy it to a file, to be changed.")
    ] = None,
    force: Force = False,
) -> None:
    """List the built-in cases, print one, or copy one to a file."""
    import tomllib

    from mdlite import config
    from mdlite.io import outputs

    if name is None:
        for case in config.case_names():
            print(f"{case:14}{tomllib.loads(config.read_text(case)).get('title', '')}")
        return
    if name not in config.case_names():
        raise InputError(f"case = {name!r}: is not built in; there are {', '.join(config.case_names())}")
    if output is None:
        print(config.case_text(name), end="")
        return
    outputs.write(outputs.check_output(output, force, outputs.TOML), config.case_text(name))
    print(f"{output}: copy of the built-in case {name}")


def keys(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Only keys that begin so: a table, or a dotted key.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The keys of a configuration: values, unit, default, and what each is."""
    from mdlite.config import keys as listing

    print(json.dumps(listing.chosen(prefix), indent=1, ensure_ascii=False) if as_json else listing.text(prefix))


def schema() -> None:
    """The JSON Schema of a configuration, with units."""
    from mdlite.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))
