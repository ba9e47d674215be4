"""Validation: pairs of runs, their differences, and a folder that can go into an appendix.

`validate` runs the protocol that a configuration names (``rungs``, ``reflection``, ``barriers``), each in a module of its own that
returns an `Outcome`; this module turns it into ``summary.json``, ``report.md``, ``report.html`` and figures. Nothing is
overwritten without ``force``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mdlite import arguments, extensions
from mdlite.config import Config, config_of, introduction, rules
from mdlite.engines import build
from mdlite.engines.blocking import require_memory
from mdlite.errors import InputError
from mdlite.io import outputs
from mdlite.protocols.base import Job, plain, sound
from mdlite.report import html, markdown
from mdlite.simulation import simulate
from mdlite.simulation.progress import Reporter

ENDINGS = (".h5", ".png", ".md", ".html", ".json", ".csv")
"""Of the files in a validation's folder."""

LATTICE_ONLY = {
    "reflection": "throws the ion along an edge of the simple cubic [lattice] at one atom",
    "arrhenius": "has one potential, whose strength it varies, in a [lattice]; a sweep over thermal.temperature gives D(T) of a [crystal]",
    "ladder": "weighs all methods in experiments of its own in the [lattice]",
    "map": "measures the errors of methods over crystals of [lattice]'s kind",
}
"""Protocols that do not take a [crystal], and why."""


def prepare_folder(output: str | Path, force: bool, resumed: Sequence[str] = ()) -> Path:
    """Make the folder. With ``force``, what an earlier validation left there is removed, and nothing else.

    resumed: names in it that an unfinished validation has left and goes on with. Raises InputError if it holds anything (without
    ``force``), is a file, or cannot be made.
    """
    folder = outputs.check_folder(output, "validate")
    if folder.is_dir() and any(path.name not in resumed for path in folder.iterdir()) and not force:
        raise InputError(f"output = {str(output)!r}: is not empty; choose another folder, or give --force to replace its files")
    outputs.make_folder(folder, output)
    outputs.require_plain(folder, ENDINGS)
    with outputs.writing(output):
        for name in _earlier_files(folder):
            (folder / name).unlink(missing_ok=True)
    return folder


def _earlier_files(folder: Path) -> list[str]:
    """Names of the files that an earlier validation says it wrote into the folder."""
    try:
        names = list(json.loads((folder / "summary.json").read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name in names if isinstance(name, str) and Path(name).name == name and Path(name).suffix in ENDINGS]


def _middle(config: Config) -> dict[str, Any]:
    """Where an ion can be: the middle of a cell, or the largest void of a [crystal]."""
    if config.crystal is None:
        place = [0.5 * config.lattice.spacing] * 3
    else:
        from mdlite.crystals.voids import largest_void

        place = largest_void(config.to_crystal()).place.tolist()
    return {"ion.position": place, "ion.coordinates": "cartesian"}


def _save_figure(draw: Callable[[], Any], place: Path) -> None:
    draw().savefig(place, dpi=html.DPI, format="png")


def validate(
    config: Config | str | Path | dict[str, Any],
    output: str | Path,
    force: bool = False,
    progress: Callable[[str], Callable[[simulate.Progress], None] | None] | bool | None = None,
    notice: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run the comparison that ``config.validate_.protocol`` names and write one folder: runs, figures, report.md, summary.json.

    config: a Config, a TOML file, the name of a built-in case, or its tables as a dict.
    report.html is the same report with the figures inside. progress(label) gives the callback for the run of that name;
    progress=True shows bars, and the notices. Returns the content of summary.json. Raises InputError before anything is computed,
    RunError if a run had to stop.
    """
    config = config_of(config, start=False)
    arguments.of_a_job(output, progress, notice, needed=True, force=force)
    if progress is True:
        progress = Reporter()
        notice = notice or progress.notice
    name = config.validate_.protocol
    if config.crystal is not None and name in LATTICE_ONLY:
        raise InputError(
            f'validate.protocol = "{name}": {LATTICE_ONLY[name]}; in a [crystal] take "rungs", "barriers", "framework" or "diffusion"'
        )
    protocol = extensions.find(f"protocol {name}")
    if config.thermal is not None and not getattr(protocol, "THERMAL", False):
        raise InputError(
            f'thermal: validate.protocol = "{name}" compares at T = 0; take the [thermal] table out, or use mdlite run'
        )
    if config.thermal is None and getattr(protocol, "THERMAL", False):
        raise InputError(f'thermal: is missing; validate.protocol = "{name}" compares in a thermal lattice')
    if config.run.integrator != "velocity-verlet":
        raise InputError(
            f'run.integrator = "{config.run.integrator}": validations compare at the same step and scheme, "velocity-verlet"; take it out, or use mdlite run'
        )
    own = getattr(protocol, "OWN_START", False)
    sound(config)
    if own:  # its ion starts where the protocol says, or there is none
        config = config.replace(**_middle(config)) if rules.start_faults(config) else config
    elif faults := rules.start_faults(config):
        raise InputError("\n".join(faults))
    protocol.check(config)
    if config.crystal is None:
        require_memory(config.to_model().lattice)
    folder = prepare_folder(output, force, getattr(protocol, "RESUMED", ()))
    say = notice or (lambda line: None)
    introduction.tell(config, say)
    compile_seconds = build.prepare_for(protocol.settings(config), notice)
    outcome = protocol.compare(config, Job(folder, force, progress or (lambda label: None), notice))
    say("writing the figures and the report")
    for name, draw in outcome.figures.items():
        outputs.write(folder / name, functools.partial(_save_figure, draw))
    facts = simulate.environment() | {"compile_seconds": compile_seconds}
    summary = {"title": config.title, "protocol": config.validate_.protocol, "verdict": outcome.verdict, "environment": facts}
    summary |= outcome.summary
    summary["settings"] = config.to_dict()
    summary["files"] = sorted(
        {p.name for p in folder.glob("*.h5")} | {*outcome.figures, *outcome.files, "report.md", "report.html", "summary.json"}
    )
    outputs.write(folder / "summary.json", json.dumps(plain(summary), indent=2) + "\n")
    text = markdown.page(config, facts, f"{outcome.verdict}\n\n{outcome.body}", list(outcome.figures))
    outputs.write(folder / "report.md", text)
    pictures = {figure: (folder / figure).read_bytes() for figure in outcome.figures}
    outputs.write(folder / "report.html", html.page(config.title or "Validation", text, pictures))
    return summary
