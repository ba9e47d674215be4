"""What came out of a run: figures, numbers, facts, other programs' files. Heavy modules are imported inside the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from mdlite.cli.help import RESULTS, about
from mdlite.cli.options import Force, Json, RunFile
from mdlite.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(**about(RESULTS, "plot run.h5 -o run.pdf"))(plot)
    app.command(**about(RESULTS, "analyse ions.h5 --skip 5 --fit 1,12"))(analyse)
    app.command(**about(RESULTS, "info run.h5"))(info)
    app.command(**about(RESULTS, "export run.h5 -o run.xyz --species Na,S"))(export)


def plot(
    file: RunFile,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PNG", help="The figure; default: FILE with .png.")
    ] = None,
    force: Force = False,
) -> None:
    """Plot a run: position, velocity, energies."""
    from mdlite.report import lattice_report, plots
    from mdlite.simulation import simulate

    result = simulate.Run.load(file)
    if len(result.time) < 2:
        raise InputError(
            f"file = {str(file)!r}: holds fewer than two frames, there is nothing to plot; {result.shortfall or 'the run is complete'}"
        )
    target = file.with_suffix(".png") if output is None else output
    lattice_report.check_figure(target, force, {"the run itself": file})
    lattice_report.save_figure(plots.run_overview(result), target)
    if result.shortfall is not None:
        print(result.shortfall)
    print(f"figure: {target}")


def analyse(
    file: RunFile,
    skip: Annotated[
        float | None, typer.Option(metavar="PS", help="Left out at the start, ps; default: a tenth of the run.")
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="PS,PS", help="Lags between which D is fitted, ps; default: found in the run, or 1,12 in a long one."
        ),
    ] = None,
    selection: Annotated[
        bool, typer.Option("--selection", help="Average over what is left of a run that lost many of its ions by its step.")
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all numbers and curves as JSON; - for standard output.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="PNG", help="The figure; default: FILE with -motion.png.")
    ] = None,
    force: Force = False,
) -> None:
    """How the ions of a run move: temperature, diffusion, hops, distribution of displacements."""
    from mdlite.protocols import validate as validation
    from mdlite.report import lattice_report, motion, plots_thermal
    from mdlite.simulation import simulate

    result = simulate.Run.load(file)
    target = file.with_name(f"{file.stem}-motion.png") if output is None else output
    lattice_report.check_figure(target, force, {"the run itself": file})
    numbers = Json(json_file, "diffusion_A2_per_ps", force, {"the figure (-o)": target, "the run itself": file})
    left_out = motion.default_skip(result) if skip is None else skip
    lags = motion.parse_fit(fit) if fit else motion.default_fit(result, left_out)
    found = motion.describe(result, left_out, lags, selection)
    lattice_report.save_figure(plots_thermal.run_motion(result, found), target)
    numbers.put(validation.plain(found), lambda: f"{motion.text(result, found)}\nfigure: {target}", indent=1)


def info(file: RunFile) -> None:
    """What a file holds: how the run ended, versions, arrays, settings."""
    from mdlite.report import run_info
    from mdlite.simulation import result as runs

    print(run_info.text(runs.Run.load(file)))


def export(
    file: RunFile,
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="What to write; default: FILE with .xyz, or -lattice.h5."),
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", help="extxyz, for ASE and OVITO, or h5md-lattice, for MDAnalysis.")
    ] = "extxyz",
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Take each n-th frame.")] = 1,
    species: Annotated[
        str | None,
        typer.Option(
            metavar="ION,ATOM",
            help="Labels of the ion and of the framework's atoms; default: Li,S, in a crystal the elements by their masses; its atoms always have theirs.",
        ),
    ] = None,
    lattice: Annotated[
        bool, typer.Option("--lattice/--no-lattice", help="Of a run with snapshots take these, or every frame of the ion.")
    ] = True,
    force: Force = False,
) -> None:
    """Write a run for other programs."""
    from mdlite.io import export as exporting
    from mdlite.simulation import result as runs

    labels = exporting.parse_request(format_name, species)
    result = runs.Run.load(file)
    target = file.with_name(file.stem + exporting.FORMATS[format_name]) if output is None else output
    options = {"every": every, "species": labels, "lattice": lattice} if format_name == "extxyz" else {}
    frames = exporting.save(result, target, format_name, force, **options)
    print(f"{target}: {frames} frames" + (f", {result.shortfall}" if result.shortfall else ""))
