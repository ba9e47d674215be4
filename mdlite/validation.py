"""Validation: pairs of runs, their differences, and a folder that can go into an appendix.

`validate` runs the protocol that a configuration names (``rungs``, ``reflection``, ``barriers``), each in a module of its own that
returns an `Outcome`; this module turns it into ``summary.json``, ``report.md``, ``report.html`` and figures. Nothing is
overwritten without ``force``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mdlite import checks, echo, engines, html, losses, outputs, report, simulate
from mdlite.config import Config
from mdlite.errors import InputError, RunError
from mdlite.progress import Reporter
from mdlite.reference import require_memory

ENDINGS = (".h5", ".png", ".md", ".html", ".json", ".csv")
"""Of the files in a validation's folder."""


@dataclass
class Outcome:
    """What a protocol found: numbers for summary.json, the report's body in Markdown, figures by file name, and names of other files that it wrote.

    verdict: the sentences that the report begins with, which method is right here and at what price.
    """

    summary: dict[str, Any]
    body: str
    figures: dict[str, Callable[[], Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    verdict: str = field(kw_only=True)


@dataclass(frozen=True)
class Job:
    """How a protocol runs things: the folder for its files, whether they may be replaced, and whom to tell."""

    folder: Path
    force: bool = False
    progress: Callable[[str], Callable[[simulate.Progress], None] | None] = lambda label: None
    notice: Callable[[str], None] | None = None

    def run(self, config: Config, label: str) -> simulate.Run:
        """One run, written to ``label``.h5 in the folder. Raises RunError, with the label, if it has to stop, or loses so many ions by its step that
        what is left is a selection."""
        config = config.replace(**{"run.keep_state": False})  # a lattice's last state would be most of the folder
        try:
            found = simulate.run(
                config, self.folder / f"{label}.h5", self.progress(label), self.force, self.notice, introduce=False
            )
        except RunError as error:
            raise RunError(f"{label}: {error}") from None
        biased = losses.bias(found.facts, config.method)
        if biased is not None:
            raise RunError(f"{label}: {biased}")
        return found

    def attempt(self, config: Config, label: str, failures: dict[str, str]) -> simulate.Run | None:
        """As `run`, for an approximation: if it has to stop, that is a result, noted in ``failures`` and told, and None comes back."""
        try:
            return self.run(config, label)
        except (RunError, InputError) as error:
            failures[label] = str(error).removeprefix(f"{label}: ")
            if self.notice is not None:
                self.notice(f"{error} (the validation goes on without it)")
            return None


def prepare_folder(output: str | Path, force: bool, resumed: Sequence[str] = ()) -> Path:
    """Make the folder. With ``force``, what an earlier validation left there is removed, and nothing else.

    resumed: names in it that an unfinished validation has left and goes on with. Raises InputError if it holds anything (without ``force``), is a file, or can not be made.
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


def validate(
    config: Config,
    output: str | Path,
    force: bool = False,
    progress: Callable[[str], Callable[[simulate.Progress], None] | None] | bool | None = None,
    notice: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run the comparison that ``config.validate_.protocol`` names and write one folder: runs, figures, report.md, summary.json.

    report.html is the same report with the figures inside. progress(label) gives the callback for the run of that name;
    progress=True shows bars, and the notices. Returns the content of summary.json. Raises InputError before anything is computed,
    RunError if a run had to stop.
    """
    if progress is True:
        progress = Reporter()
        notice = notice or progress.notice
    name = config.validate_.protocol
    protocol = importlib.import_module(f"mdlite.{name}")
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
    if own:  # its ion starts where the protocol says, or there is none
        config = config.replace(**{"ion.position": [0.5 * config.lattice.spacing] * 3}) if checks.start_faults(config) else config
    elif faults := checks.start_faults(config):
        raise InputError("\n".join(faults))
    protocol.check(config)
    require_memory(config.to_model().lattice)
    folder = prepare_folder(output, force, getattr(protocol, "RESUMED", ()))
    say = notice or (lambda line: None)
    echo.tell(config, say)
    compile_seconds = engines.prepare_for(protocol.settings(config), notice)
    outcome = protocol.compare(config, Job(folder, force, progress or (lambda label: None), notice))
    say("writing the figures and the report")
    for name, draw in outcome.figures.items():
        outputs.write(folder / name, lambda place, draw=draw: draw().savefig(place, dpi=html.DPI, format="png"))
    facts = simulate.environment() | {"compile_seconds": compile_seconds}
    summary = {"title": config.title, "protocol": config.validate_.protocol, "verdict": outcome.verdict, "environment": facts}
    summary |= outcome.summary
    summary["settings"] = config.to_dict()
    summary["files"] = sorted(
        {p.name for p in folder.glob("*.h5")} | {*outcome.figures, *outcome.files, "report.md", "report.html", "summary.json"}
    )
    outputs.write(folder / "summary.json", json.dumps(plain(summary), indent=2) + "\n")
    text = report.page(config, facts, f"{outcome.verdict}\n\n{outcome.body}", list(outcome.figures))
    outputs.write(folder / "report.md", text)
    pictures = {figure: (folder / figure).read_bytes() for figure in outcome.figures}
    outputs.write(folder / "report.html", html.page(config.title or "Validation", text, pictures))
    return summary


def plain(value: Any) -> Any:
    """Values as JSON has them: arrays as lists, NaN and infinities as null and strings."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float | np.floating):
        number = float(value)
        if np.isnan(number):
            return None
        return number if np.isfinite(number) else str(number)
    return value.item() if isinstance(value, np.generic) else value
