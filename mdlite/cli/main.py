"""The command line. Heavy modules are imported inside the commands, so that ``mdlite --help`` answers at once.

Exit codes: 0; 2 bad input; 1 a run that had to stop, or lost ions by its step; 130 interrupted (Ctrl-C); 143 terminated.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from mdlite import __version__, terminal
from mdlite.cli import sweep
from mdlite.cli.help import BEFORE, MACHINE, RESULTS, RUNNING, about
from mdlite.cli.options import Ended, Force, Group, Overrides, Quiet, RunFile, Source, interruptible, kept, require_whole
from mdlite.errors import InputError, RunError
from mdlite.machine import reason

app = typer.Typer(
    name="mdlite",
    help="Molecular dynamics of a mobile ion in a simple cubic crystal of springs: the explicit lattice, and the time-local ion beside it.",
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


@app.command(
    **about(
        RUNNING,
        "run trapped -o trapped.h5",
        "run mine.toml -o mine.h5 --set run.dt=0.001 --set 'ion.velocity=[0, 0, 2.0]'",
        "run mine.toml -o mine.h5 --resume --duration 60",
    )
)
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
    from mdlite.io import checkpoint, outputs
    from mdlite.simulation import simulate
    from mdlite.simulation.progress import Reporter

    chosen = [*(overrides or ()), *([] if duration is None else [f"run.duration={duration!r}"])]
    settings = config.load(source, chosen)
    limit = None if max_walltime is None else config.wall_time(max_walltime, "--max-walltime")
    reporter = Reporter(quiet)
    outputs.require_apart(output, {"the configuration": outputs.existing(source)})
    words = f"{output} keeps what was recorded, --resume goes on from the last checkpoint"
    place = Path(output)
    with interruptible(kept(place, words, lambda: checkpoint.Checkpoints(place.resolve()).exist())):
        result = simulate.run(settings, output, reporter(settings.method), force, reporter.notice, resume, limit)
    reporter.notice(f"{output}: {len(result.time)} frames, {result.facts.get('run_seconds', 0.0):.2f} s")
    if result.facts.get("status") != "complete":
        reporter.notice(f"{result.facts.get('status')}; --resume goes on from there")
    elif losses.of(result.facts, "step"):
        raise RunError(f"{output}: {losses.lines(result.facts, settings.method)[0]}")


@app.command(
    **about(RUNNING, "validate trapped -o out/trapped", "validate throw --reference memory-kernel --set lattice.size=40")
)
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
    with interruptible(kept(folder, words, lambda: any(folder.glob("*.h5")))):
        validation.validate(settings, folder, force, reporter, reporter.notice)
    reporter.notice(f"report: {folder / 'report.html'} (report.md has the same without the figures inside)")


@app.command(
    **about(
        BEFORE, "phonons trapped --set lattice.spacing=4.0", "phonons mine.toml --displacement 1,1,0 --times 0,0.05,0.1 --json -"
    )
)
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
    if json_file not in (None, "-"):
        lattice_report.check_json(json_file, "loss_matrix", force, {"the figure (-o)": output})
    found, figure = lattice_report.collect(lattice, *wanted, path, finite)
    lattice_report.save_figure(figure, output)
    if json_file == "-":
        print(json.dumps(found))
    else:
        print(lattice_report.text(lattice, found))
        print(f"figure: {output}")
    if json_file not in (None, "-"):
        outputs.write(json_file, json.dumps(found, indent=1) + "\n")


@app.command(**about(BEFORE, "validity trapped", "validity mine.toml --set thermal.energy=25.0"))
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


@app.command(**about(RESULTS, "plot run.h5 -o run.pdf"))
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


@app.command(**about(RESULTS, "analyse ions.h5 --skip 5 --fit 1,12"))
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
    from mdlite.io import outputs
    from mdlite.protocols import validate as validation
    from mdlite.report import lattice_report, motion, plots_thermal
    from mdlite.simulation import simulate

    result = simulate.Run.load(file)
    target = file.with_name(f"{file.stem}-motion.png") if output is None else output
    lattice_report.check_figure(target, force, {"the run itself": file})
    if json_file not in (None, "-"):
        apart = {"the figure (-o)": target, "the run itself": file}
        lattice_report.check_json(json_file, "diffusion_A2_per_ps", force, apart)
    left_out = motion.default_skip(result) if skip is None else skip
    lags = motion.parse_fit(fit) if fit else motion.default_fit(result, left_out)
    found = motion.describe(result, left_out, lags, selection)
    lattice_report.save_figure(plots_thermal.run_motion(result, found), target)
    if json_file == "-":
        print(json.dumps(validation.plain(found)))
        return
    print(motion.text(result, found))
    print(f"figure: {target}")
    if json_file is not None:
        outputs.write(json_file, json.dumps(validation.plain(found), indent=1) + "\n")


@app.command(**about(RESULTS, "info run.h5"))
def info(file: RunFile) -> None:
    """What a file holds: how the run ended, versions, arrays, settings."""
    from mdlite.report import run_info
    from mdlite.simulation import result as runs

    print(run_info.text(runs.Run.load(file)))


@app.command(**about(RESULTS, "export run.h5 -o run.xyz --species Na,S"))
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
    species: Annotated[str, typer.Option(metavar="ION,ATOM", help="Labels of the ion and of the framework's atoms.")] = "Li,S",
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


@app.command(**about(BEFORE, "cases", "cases trapped -o mine.toml"))
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


@app.command(**about(BEFORE, "keys thermal", "keys ion.mass", "keys interaction --json"))
def keys(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="Only keys that begin so: a table, or a dotted key.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The keys of a configuration: values, unit, default, and what each is."""
    from mdlite.config import keys as listing

    print(json.dumps(listing.chosen(prefix), indent=1, ensure_ascii=False) if as_json else listing.text(prefix))


@app.command(**about(BEFORE, "schema"))
def schema() -> None:
    """The JSON Schema of a configuration, with units."""
    from mdlite.config import Config

    print(json.dumps(Config.model_json_schema(), indent=2))


@app.command("bench-kernel", **about(MACHINE, "bench-kernel --size 100 --steps 200"))
def bench_kernel(
    size: Annotated[int, typer.Option(metavar="N", help="Atoms along each side.")] = 100,
    steps: Annotated[int, typer.Option(metavar="N", help="Time steps.")] = 200,
    json_file: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output.")] = None,
) -> None:
    """Speed of the reference's lattice kernel on this machine: one lattice, no sampling, after warm-up."""
    from mdlite.engines import speed
    from mdlite.io import outputs
    from mdlite.report import lattice_report
    from mdlite.simulation.progress import Reporter

    if json_file not in (None, "-"):
        lattice_report.check_json(json_file, "atom_steps_per_s")
    found = speed.kernel_rate(size, steps, Reporter().notice)
    if json_file == "-":
        print(json.dumps(found))
        return
    print(
        f"{found['atom_steps_per_s'] / 1e6:.0f} million atom-steps/s with {found['threads']} threads, {size}³ atoms, {steps} steps"
    )
    if json_file is not None:
        outputs.write(json_file, json.dumps(found) + "\n")


@app.command(**about(MACHINE, "doctor"))
def doctor(
    json_file: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON; - for standard output.")] = None,
) -> None:
    """What this machine is, how fast mdlite runs on it, what limits it, and what to change (takes some ten seconds)."""
    from mdlite.engines import speed
    from mdlite.io import outputs
    from mdlite.report import lattice_report
    from mdlite.simulation.progress import Reporter

    if json_file not in (None, "-"):
        lattice_report.check_json(json_file, "atom_steps_per_s")
    speed.prepare(Reporter().notice)
    found = speed.examine()
    if json_file == "-":
        print(json.dumps(found))
        return
    print(speed.report(found))
    if json_file is not None:
        outputs.write(json_file, json.dumps(found) + "\n")


@app.command(**about(MACHINE, "precompile"))
def precompile() -> None:
    """Compile all kernels now, into the cache that every later run on this kind of machine reads (a minute or two)."""
    from mdlite.engines import build
    from mdlite.simulation.progress import Reporter

    folder, seconds = build.prepare_all(Reporter().notice)
    if folder is None:
        raise RunError("the kernels were compiled, but nothing can be kept: there is no folder that can be written")
    print(f"all kernels are ready in {folder}" + (f", {seconds:.0f} s" if seconds else ""))


sweep.register(app)


def main() -> None:
    """Entry point: turns our errors into one line each and an exit code, and sees to it that what was printed has come out."""
    terminal.prepare()
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    code = _run()
    wrong = terminal.finish()
    if wrong is not None and code == 0:
        code = _complain(f"standard output can not be written: {wrong}", 1)
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
