"""This machine: speed, what limits it, kernels compiled beforehand. Heavy modules are imported inside the commands."""

from __future__ import annotations

from typing import Annotated

import typer

from mdlite.cli.help import MACHINE, about
from mdlite.cli.options import Json, JsonFile
from mdlite.errors import RunError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("bench-kernel", **about(MACHINE, "bench-kernel --size 100 --steps 200"))(bench_kernel)
    app.command(**about(MACHINE, "doctor"))(doctor)
    app.command(**about(MACHINE, "precompile"))(precompile)


def bench_kernel(
    size: Annotated[int, typer.Option(metavar="N", help="Atoms along each side.")] = 100,
    steps: Annotated[int, typer.Option(metavar="N", help="Time steps.")] = 200,
    json_file: JsonFile = None,
) -> None:
    """Speed of the reference's lattice kernel on this machine: one lattice, no sampling, after warm-up."""
    from mdlite.engines import speed
    from mdlite.simulation.progress import Reporter

    numbers = Json(json_file, "atom_steps_per_s")
    found = speed.kernel_rate(size, steps, Reporter().notice)
    rate = f"{found['atom_steps_per_s'] / 1e6:.0f} million atom-steps/s with {found['threads']} threads"
    numbers.put(found, lambda: f"{rate}, {size}³ atoms, {steps} steps")


def doctor(json_file: JsonFile = None) -> None:
    """What this machine is, how fast mdlite runs on it, what limits it, and what to change (takes some ten seconds)."""
    from mdlite.engines import speed
    from mdlite.simulation.progress import Reporter

    numbers = Json(json_file, "atom_steps_per_s")
    speed.prepare(Reporter().notice)
    found = speed.examine()
    numbers.put(found, lambda: speed.report(found))


def precompile() -> None:
    """Compile all kernels now, into the cache that every later run on this kind of machine reads (a minute or two)."""
    from mdlite.engines import build
    from mdlite.simulation.progress import Reporter

    folder, seconds = build.prepare_all(Reporter().notice)
    if folder is None:
        raise RunError("the kernels were compiled, but nothing can be kept: there is no folder that can be written")
    print(f"all kernels are ready in {folder}" + (f", {seconds:.0f} s" if seconds else ""))
