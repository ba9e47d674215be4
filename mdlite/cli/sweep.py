"""The commands of sweeps. Heavy modules are imported inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdlite.cli.help import RESULTS, RUNNING, about
from mdlite.cli.options import Overrides, Quiet, interruptible, kept
from mdlite.errors import RunError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(**about(RUNNING, "sweep sweep.toml -o out/sweep", "sweep sweep.toml -o out/sweep --dry-run"))(sweep)
    app.command(**about(RESULTS, "collect out/sweep"))(collect)


def sweep(
    source: Annotated[str, typer.Argument(metavar="SWEEP", help="A TOML file: a base and axes over its keys.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the sweep; the same one again goes on.")
    ],
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes (default: one for each core).")] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Threads of each (default: a fair share, one).")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, tcp://HOST:PORT, or local (needs mdlite[sweep]).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the points, and write nothing.")] = False,
    prepare: Annotated[bool, typer.Option("--prepare", help="Write the points' folders and run none, for a job array.")] = False,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Run every point of a sweep, in parallel, and go on where an earlier call was stopped."""
    from mdlite.simulation.progress import Reporter
    from mdlite.sweeps import plan, running
    from mdlite.sweeps.progress import Table

    if dry_run:
        for point in plan.load(source, overrides or ()).points:
            print(point.name, *(f"{key}={value!r}" for key, value in point.values.items()))
        return
    reporter = Reporter(quiet)
    words = f"the same command goes on, {output} keeps what is done"
    with interruptible(kept(output, words, lambda: any(output.glob("*")))):
        found = running.sweep(
            source, output, workers, threads, scheduler, overrides or (), None if quiet else Table(), reporter.notice, prepare
        )
    if prepare:
        reporter.notice(f"{output}: {len(found.points)} points, none run")
        return
    if found.failed:
        name = next(iter(found.failed))
        raise RunError(
            f"{len(found.failed)} of {len(found.points)} points failed, each twice; first {output / 'points' / name / 'error.json'}: {found.failed[name]}"
        )
    reporter.notice(f"{output}: {len(found.points)} points done; `mdlite collect {output}` gathers them")


def collect(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.")],
    quiet: Quiet = False,
) -> None:
    """Gather the results of a sweep into results.nc (NetCDF, for xarray) and results.csv; of replicas also the means, averages.nc and .csv."""
    from mdlite.sweeps import results

    paths = results.save(folder)
    if not quiet:
        print(results.summary(folder))
        print(f"results: {paths[0]}, {', '.join(path.name for path in paths[1:])}")
