"""What the scripts that draw figures share: arguments, the folder, one line for an error, saving, and the runs that several of them read."""

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

import mdlite
from mdlite import terminal
from mdlite.protocols import diffusion, validate
from mdlite.simulation.progress import Reporter

PIECE, PIECES, BINS = 12.0, 250, 10
"""ps of one piece of a thermal trajectory, pieces of a full run, and bins of pieces for the errors, as in the paper."""
IONS = {"reference": 1, "patch": 1, "time-local": 4}
"""Ions in the thermal lattice: a time-local one may run away, and costs next to nothing."""
TEMPERATURES = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
"""k_BT, meV."""
STEM = Path(sys.argv[0]).stem.replace("_", "-")
REPORTER = Reporter()


def launch(main, folder: str = STEM) -> None:
    """``main(folder, quick)`` with the arguments of the command line; errors in one line, exit codes as of `mdlite`.

    folder: where the results go by default, under out/; with --quick its name ends in -quick.
    """
    parser = argparse.ArgumentParser(
        description=sys.modules["__main__"].__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small lattices and short runs, to see that it works")
    parser.add_argument("-o", "--output", type=Path, help=f"folder for all that is written; default: out/{folder}[-quick]")
    chosen = parser.parse_args()
    terminal.prepare()
    with errors():
        output = writable(chosen.output or Path("out") / (f"{folder}-quick" if chosen.quick else folder))
        main(output, chosen.quick)


def writable(folder: Path) -> Path:
    """Make the folder. Raises InputError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise mdlite.InputError(f"output = {str(folder)!r}: cannot be written: {error.strerror or error}") from None
    return folder


@contextlib.contextmanager
def errors():
    """What goes wrong inside as one line on standard error, with the exit codes of `mdlite`."""
    try:
        yield
    except mdlite.InputError as error:
        fail(error, 2)
    except (mdlite.RunError, OSError, MemoryError) as error:
        fail(error, 1)
    except KeyboardInterrupt as error:
        fail(f"{str(error) or 'interrupted'}; the same command goes on with what is done", 128 + getattr(error, "signal", 2))


def fail(message: object, code: int) -> None:
    """The line, and out."""
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(code)


def save(figure, folder: Path, name: str, numbers: dict) -> None:
    """``name``.png, and ``name``.json with the numbers that it shows."""
    figure.savefig(folder / f"{name}.png", dpi=150)
    (folder / f"{name}.json").write_text(json.dumps(validate.plain(numbers), indent=1) + "\n", encoding="utf-8")
    print(f"{folder / name}.png and .json")


def validated(config: mdlite.Config, folder: Path) -> dict:
    """What `mdlite.validate` has found for this configuration: from its summary.json if it is there, otherwise by running it."""
    settings = json.loads(json.dumps(validate.plain(config.to_dict())))
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        done = summary["settings"] == settings and all((folder / name).exists() for name in summary["files"])
    except (OSError, ValueError, KeyError):
        done = False
    if not done:
        mdlite.validate(config, folder, force=True, progress=REPORTER, notice=REPORTER.notice)
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def thermal_run(folder: Path, quick: bool, method: str, strength: float, energy: float) -> mdlite.Run:
    """Ions in one thermal lattice of N = 20 for 251 pieces of 12 ps (of which the first is for them to warm up), as of case `arrhenius`.

    A file for each method, strength (meV Å) and k_BT (meV): what is there is not done again, what was stopped goes on.
    """
    keys = {
        "interaction.potential.strength": strength,
        "thermal.energy": energy,
        "thermal.lattices": 1,
        "run.sample_every": 10,
        "run.duration": PIECE * (1 + (BINS if quick else PIECES)),
        "validate.ions": {name: IONS[name] for name in IONS if name != "reference"},
    }
    config = mdlite.load_case("arrhenius", **keys)
    config = diffusion.setting(config.replace(**{"validate.ensemble_duration": config.run.duration}), method)
    name = f"{method}-U{strength:g}-{energy:g}meV"
    return mdlite.run(config, folder / f"{name}.h5", REPORTER(name), notice=quiet, resume=True)


def quiet(line: str) -> None:
    """Notices of a run, but for those that every run has: that it begins, or is done, or that the time-local method errs, which is what is shown."""
    if not any(known in line for known in ("no checkpoint", "is complete", "expected errors")):
        REPORTER.notice(line)


def diffusion_entry(folder: Path, quick: bool, methods, strength: float, energy: float) -> dict:
    """Mean square displacement and D of every method at one temperature, as the paper has them: from pieces of 12 ps, the slope beyond 1 ps
    over 6, its error from ten bins of pieces; in the form of the protocol `diffusion`."""
    found = {}
    for method in methods:
        run = thermal_run(folder, quick, method, strength, energy)
        mdlite.losses.require(run.facts, method, selection=False)
        gone = [entry["ion"] for entry in run.facts.get("run_aways", [])]
        kept = np.setdiff1d(np.arange(run.position.shape[1]), gone)
        step = run.time[1] - run.time[0]
        frames = round(PIECE / step)
        pieces = mdlite.analysis.cut(run.position[frames:, kept], frames)
        fit = (1.0, PIECE - step)
        result = mdlite.analysis.diffusion(run.time[:frames], pieces, fit, BINS, weights="equal")
        square = np.trace(mdlite.analysis.mean_square_displacement(pieces, frames), axis1=2, axis2=3)
        square, error = mdlite.analysis.mean_and_error([part.mean(axis=1) for part in np.array_split(square, BINS, axis=1)])
        curves = {
            "lag_ps": step * np.arange(frames),
            "mean_square_displacement_A2": square,
            "mean_square_displacement_error_A2": error,
        }
        values = {"diffusion_A2_per_ps": result.value, "diffusion_error_A2_per_ps": result.error, "fit_ps": fit}
        found[method] = values | {"pieces": pieces.shape[1], "run_aways": len(gone), "curves": curves}
        print(f"U0 {strength:g}, {energy:g} meV, {method}: D {diffusion.pm(result.value, result.error)} Å²/ps", flush=True)
    return {"thermal_energy_meV": energy, "methods": found}
