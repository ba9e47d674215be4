"""The commands that run one configuration. Heavy modules are imported inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdlite.cli.help import RUNNING, about
from mdlite.cli.options import Force, Overrides, Quiet, Source, interruptible, kept, noted
from mdlite.errors import RunError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        **about(
            RUNNING,
            "run trapped -o trapped.h5",
            "run mine.toml -o mine.h5 --set run.dt=0.001 --set 'ion.velocity=[0, 0, 2.0]'",
            "run mine.toml -o mine.h5 --resume --duration 60",
        )
    )(run)
    app.command(
        **about(RUNNING, "validate trapped -o out/trapped", "validate throw --reference memory-kernel --set lattice.size=40")
    )(validate)


def run(
    source: Source,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="HDF5 (H5MD) file to write.")],
    overrides: Overrides = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from the last checkpoint, or from the end to a longer --duration; begin if there is nothing."
        ),
    ] = False,
    duration: Annotated[
        float | None, typer.Option(metavar="PS", help="Length of the run, ps (the same as --set run.duration).")
    ] = None,
    max_walltime: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Stop with a checkpoint before this much time has passed: 90s, 5min, 2h, 1:30:00."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Integrate one configuration and write its trajectory."""
    from mdlite import config
    from mdlite.analysis import losses
    from mdlite.io import outputs
    from mdlite.simulation import simulate
    from mdlite.simulation.progress import Reporter

    chosen = [*(overrides or ()), *([] if duration is None else [f"run.duration={duration!r}"])]
    settings = config.load(source, chosen)
    limit = None if max_walltime is None else config.wall_time(max_walltime, "--max-walltime")
    reporter = Reporter(quiet)
    outputs.require_apart(output, {"the configuration": outputs.existing(source)})
    with interruptible(noted(output)):
        result = simulate.run(settings, output, reporter(settings.method), force, reporter.notice, resume, limit)
    reporter.notice(f"{output}: {len(result.time)} frames, {result.facts.get('run_seconds', 0.0):.2f} s")
    if result.facts.get("status") != "complete":
        reporter.notice(f"{result.facts.get('status')}; --resume goes on from there")
    elif losses.of(result.facts, "step"):
        raise RunError(f"{output}: {losses.lines(result.facts, settings.method)[0]}")


def validate(
    source: Source,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder for runs and report; default: validation-CONFIG.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to compare with: periodic, echo-free, absorbing or memory-kernel (the same as --set validate.reference).",
        ),
    ] = None,
    ladder: Annotated[
        bool,
        typer.Option(
            "--ladder",
            help="Every rung, and periodic lattices of several sizes, against the infinite crystal, with linear response.",
        ),
    ] = False,
    overrides: Overrides = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Run the reference and the approximations side by side; leave one folder with a report."""
    from mdlite import config
    from mdlite.protocols import validate as validation
    from mdlite.simulation.progress import Reporter

    chosen = list(overrides or ())
    if ladder:
        chosen.append("validate.ladder=true")
    if ladder or reference is not None:
        chosen.append(f"validate.reference={reference or 'memory-kernel'}")
    settings = config.load(source, chosen, start=False)
    folder = output or Path(f"validation-{Path(source).stem}")
    reporter = Reporter(quiet)
    words = f"{folder} has the runs that were finished, and no report"
    with interruptible(kept(folder, words, ".h5")):
        validation.validate(settings, folder, force, reporter, reporter.notice)
    reporter.notice(f"report: {folder / 'report.html'} (report.md has the same without the figures inside)")
