"""Protocol ``map``: where the time-local method may be used, and where its better rungs.

Sweeps of task ``compare`` (`mdlite.accuracy_map.points`): head-on collisions with one atom over a grid of speed, range and strength (the paper's
reflection); every
potential in collisions, trapped and thrown in three dimensions, at Sobol points; and thermal ensembles. Their errors, and the dimensionless numbers of
`mdlite.accuracy.groups`, go into ``validity.json``, from which `mdlite.validity` estimates.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.accuracy import groups, surrogate
from mdlite.accuracy_map import plots, report, thermal
from mdlite.accuracy_map import points as map_points
from mdlite.config import Config, load
from mdlite.engines import patch_edge
from mdlite.errors import InputError, RunError
from mdlite.io import outputs
from mdlite.protocols.base import Job, Outcome
from mdlite.report import verdict
from mdlite.simulation import simulate
from mdlite.sweeps import comparison, plan, results, running

if TYPE_CHECKING:
    import pandas


COLD = ("grid", *map_points.MOTIONS)
FOLDERS = (*COLD, "thermal")
"""In which the sweeps are."""
FILES = ("validity.json", *[f"{name}.csv" for name in FOLDERS])
FIGURES = ("map.png", "methods.png", "groups.png", "estimate.png", "thermal.png")
RESUMED = (*FOLDERS, *FILES, *FIGURES)
"""What a map that was stopped has left; it goes on with that."""
RATIOS = (170.0 / 520.0, 0.2, 0.6, 0.1, 0.8)
"""k2/k1 of the crystals."""
MOST_FAILED = 0.1
GRID_SHARE = 3
"""Of the grid's points every third goes into the estimate: those of a grid say little that is new."""
SIZES: dict[str, dict[str, Any]] = {
    "quick": {
        "ratios": RATIOS[:1],
        "speeds": [2.0, 5.0, 10.0],
        "ranges": [0.35, 0.5],
        "strengths": [14000.0],
        "collisions": 1,
        "trapped": 2,
        "throws": 1,
        "thermal": {"thermal.ions": 2, "thermal.lattices": 4, "run.duration": 30.0},
        "temperatures": [10.0, 25.0],
        "barriers": [4000.0],
        "ensembles": 0,
    },
    "coarse": {
        "ratios": RATIOS[:3],
        "speeds": [1.0, 2.0, 5.0, 10.0, 20.0, 30.0],
        "ranges": [0.2, 0.35, 0.5, 0.8],
        "strengths": [150.0, 1500.0, 14000.0],
        "collisions": 16,
        "trapped": 16,
        "throws": 16,
        "thermal": {"thermal.ions": 4, "run.duration": 50.0},
        "temperatures": [10.0, 25.0, 50.0],
        "barriers": [4000.0],
        "ensembles": 3,
    },
    "full": {
        "ratios": RATIOS,
        "speeds": np.geomspace(0.5, 32.0, 13).tolist(),
        "ranges": np.geomspace(0.15, 0.8, 9).tolist(),
        "strengths": [150.0, 1500.0, 14000.0],
        "collisions": 64,
        "trapped": 80,
        "throws": 51,
        "thermal": {"thermal.ions": 6, "run.duration": 80.0},
        "temperatures": [5.0, 10.0, 15.0, 25.0, 35.0, 50.0],
        "barriers": [2000.0, 4000.0, 8000.0],
        "ensembles": 11,
    },
}
"""Points of the grid, and of each potential in each kind of motion; ensembles of a grid, and of each potential."""


def check(config: Config) -> None:
    """Raises InputError unless the configuration is one that the map's points can be made from."""
    base, given = load("map").to_dict(), config.to_dict()
    free = ("title", "validate", "method")
    for key in sorted({*base, *given} - set(free)):
        if base.get(key) != given.get(key):
            raise InputError(
                f"{key} = {given.get(key)!r}: the map makes its points itself, from the case map; only validate.map and validate.map_seed can be chosen "
                "(errors of one configuration: mdlite validity, or a sweep with task compare)"
            )


def settings(config: Config) -> list[Config]:
    """What will be run, at T = 0 and at a temperature."""
    return [one for base in ("reflection", "diffusion") for one in comparison.settings(load(base))]


def compare(config: Config, job: Job) -> Outcome:
    """Run the sweeps, going on where they are, and judge."""
    size, say = SIZES[config.validate_.map], job.notice or (lambda line: None)
    for ratio in size["ratios"]:
        if not patch_edge.is_known(ratio, config.patch.size):
            say(f"the edge of the patch for k2/k1 = {ratio:.3g}: fitted once (half a minute), then kept")
            patch_edge.fit(ratio, config.patch.size)
    tables = {name: _swept(name, config, size, job, say) for name in FOLDERS}
    judged = tables | {"thermal": tables["thermal"][report.settled(tables["thermal"])]}
    say("fitting the errors, and what holds for kinds that the fits have not seen (a minute)")
    points = {"cold": _columns(judged, COLD), "thermal": _columns(judged, ("thermal",))}
    surrogates = {kind: surrogate.Surrogates(points[kind], kind) for kind in points}
    content = {"size": config.validate_.map, "points": points, "learnt": {k: one.learnt() for k, one in surrogates.items()}}
    outputs.write(job.folder / "validity.json", json.dumps(content) + "\n")
    for name, found in tables.items():
        outputs.write(job.folder / f"{name}.csv", found.to_csv(index=False))
    summary = report.summary(tables, surrogates)
    figures = {
        "map.png": lambda: plots.planes(tables["grid"], "time-local"),
        "methods.png": lambda: plots.methods(tables["grid"]),
        "groups.png": lambda: plots.collapse({name: tables[name] for name in map_points.MOTIONS}),
        "estimate.png": lambda: plots.foreseen(surrogates),
        "thermal.png": lambda: plots.thermal(judged["thermal"]),
    }
    return Outcome(
        summary | {"size": config.validate_.map},
        report.body(summary),
        figures,
        list(FILES),
        verdict=verdict.validity_map(summary["shares"]),
    )


def _swept(name: str, config: Config, size: dict[str, Any], job: Job, say: Callable[[str], None]) -> pandas.DataFrame:
    """The results of one of the FOLDERS, made where they are not there. Raises RunError where too many points fail."""
    if name == "thermal":
        base, points = thermal.BASE, thermal.rows(size, config.validate_.map_seed)
    else:
        base = map_points.BASES[name]
        points = map_points.grid(size) if name == "grid" else map_points.drawn(name, size, config.validate_.map_seed)
    sweep: dict[str, Any] = {"title": f"map of validity, {name}", "base": base, "task": "compare", "list": points}
    if job.force:
        _clear(job.folder / name, sweep)
    swept = running.sweep(sweep, job.folder / name, progress=_told(job.progress(name)), notice=job.notice)
    if swept.failed:
        line = f"{name}: {len(swept.failed)} of {len(swept.points)} points failed, first: {next(iter(swept.failed.values()))}"
        if len(swept.failed) > MOST_FAILED * len(swept.points):
            raise RunError(line)
        say(line)
    found = results.table(job.folder / name)
    return found[found["status"] == "done"]


def _clear(folder: Path, sweep: dict[str, Any]) -> None:
    """Remove the points of another map."""
    if (folder / "manifest.json").exists():
        wanted = running.manifest(plan.load(sweep))["fingerprint"]
        if running.read_manifest(folder)["fingerprint"] != wanted:
            shutil.rmtree(folder)


def _told(progress: Callable | None):
    """A run's progress callback as a sweep's."""
    if progress is None:
        return None
    tell = progress

    class Tell:
        close = staticmethod(getattr(tell, "close", lambda: None))

        def __call__(self, state: running.State) -> None:
            seconds = max(1e-3, state.seconds)
            tell(simulate.Progress(len(state.done) + len(state.failed), state.points, seconds, None))

    return Tell()


def _columns(tables: dict[str, pandas.DataFrame], names: tuple[str, ...]) -> dict[str, list]:
    """The numbers of some sweeps' points, a list for each, None where there is none, and their kinds; points without groups are left out."""
    import pandas

    parts = [tables[name].assign(kind=_kinds(tables[name], name)) for name in names]
    found = pandas.concat([part[::GRID_SHARE] if name == "grid" else part for name, part in zip(names, parts)], ignore_index=True)
    kept = found[found["loss"] > 0.0]
    numbers = [c for c in kept.columns if c in groups.Groups._fields or c.split(".")[0] in ("exact", *surrogate.METHODS)]
    columns: dict[str, list] = {
        c: [None if v is None or not np.isfinite(v) else float(f"{v:.5g}") for v in kept[c]] for c in numbers
    }
    return columns | {"kind": kept["kind"].tolist()}


def _kinds(table: pandas.DataFrame, name: str) -> list[str]:
    """The kind of every point of a sweep: its potential and its motion."""
    motion = "collisions" if name == "grid" else name
    if "interaction.potential" not in table:
        return [f"yukawa/{motion}"] * len(table)
    given = table["interaction.potential"]
    return [f"{json.loads(text)['kind'] if isinstance(text, str) else 'yukawa'}/{motion}" for text in given]
