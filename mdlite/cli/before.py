"""What helps before a run: the crystal, the error to expect, cases, keys and schema of a configuration. Heavy modules are imported inside the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mdlite.cli.help import BEFORE, about
from mdlite.cli.options import Force, Json, Overrides, Source
from mdlite.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        **about(
            BEFORE,
            "phonons trapped --set lattice.spacing=4.0",
            "phonons mine.toml --displacement 1,1,0 --times 0,0.05,0.1 --json -",
        )
    )(phonons)
    app.command(**about(BEFORE, "validity trapped", "validity mine.toml --set thermal.energy=25.0"))(validity)
    app.command(**about(BEFORE, "cases", "cases trapped -o mine.toml"))(cases)
    app.command(**about(BEFORE, "keys thermal", "keys ion.mass", "keys interaction --json"))(keys)
    app.command(**about(BEFORE, "schema"))(schema)


def phonons(
    source: Source,
    displacement: Annotated[
        list[str] | None, typer.Option(metavar="I,J,K", help="Lattice vector of the recoil kernel; repeatable.")
    ] = None,
    times: Annotated[str, typer.Option(metavar="T,T,...", help="Times of the recoil kernel for --json, ps.")] = "0",
    path: Annotated[str, typer.Option(metavar="LETTERS", help="Path of the dispersion, letters of G X M R.")] = "GXMGR",
    finite: Annotated[
        bool, typer.Option("--finite", help="Recoil kernel of the periodic lattice of this size, not the infinite one.")
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all numbers as JSON; - for standard output.")
    ] = None,
    output: Annotated[str, typer.Option("-o", "--output", metavar="PNG", help="The figure.")] = "phonons.png",
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Dispersion, density of states, sound, recoil kernel W and loss matrix L of the lattice."""
    from mdlite import config
    from mdlite.io import outputs
    from mdlite.report import lattice_report

    lattice = config.load_lattice(source, overrides or ())
    wanted = lattice_report.parse_request(displacement, times)
    lattice_report.check_figure(output, force, {"the configuration": outputs.existing(source)})
    numbers = Json(json_file, "loss_matrix", force, {"the figure (-o)": output})
    found, figure = lattice_report.collect(lattice, *wanted, path, finite)
    lattice_report.save_figure(figure, output)
    numbers.put(found, lambda: f"{lattice_report.text(lattice, found)}\nfigure: {output}", indent=1)


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
