"""Protocol ``map``: where the time-local method may be used, and where its better rungs.

Three sweeps of task ``compare``: head-on collisions with one atom over a grid of speed, range and strength (the paper's reflection); an ion between
two atoms of a line (the paper's trapped ion) at Sobol points of strength, range, speed and mass, in three crystals; and thermal ensembles. Their
errors, and the dimensionless groups of `mdlite.groups`, go into ``validity.json``, from which `mdlite.validity` estimates.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import (
    analysis,
    axes,
    collection,
    comparison,
    edge,
    estimate,
    groups,
    map_report,
    outputs,
    plots_map,
    simulate,
    sweeps,
    verdict,
)
from mdlite.config import Config, load
from mdlite.errors import InputError, RunError
from mdlite.timelocal import TimeLocalEngine

if TYPE_CHECKING:
    import pandas

    from mdlite.validation import Job, Outcome

FOLDERS = ("collisions", "trapped", "thermal")
"""In which the sweeps are."""
FILES = ("validity.json", *[f"{name}.csv" for name in FOLDERS])
FIGURES = ("map.png", "methods.png", "groups.png", "estimate.png", "thermal.png")
RESUMED = (*FOLDERS, *FILES, *FIGURES)
"""What a map that was stopped has left; it goes on with that."""
STRENGTH, RANGE = "interaction.potential.strength", "interaction.potential.range"
RATIOS = (170.0 / 520.0, 0.2, 0.6)
"""k2/k1 of the crystals."""
LOW, HIGH = (30.0, 0.15, 0.5, 0.2), (14000.0, 0.8, 20.0, 14.0)
"""Bounds of the trapped points: strength (meV Å), range (Å), speed (Å/ps), mass."""
LARGEST_COMPLIANCE = 3.0
"""Beyond, nothing is to be learnt: [17] is a first order in it."""
START, LENGTH = 24.0, 1.5
"""Ranges before the atom where a collision starts, and its length in free flights to the atom, as in the paper."""
PERIODS = 2.3
MOST_FAILED = 0.1
STEPS_PER_RANGE, STEPS_PER_PERIOD = 60, 150
SHORTEST_STEP = 5e-5
SIZES: dict[str, dict[str, Any]] = {
    "quick": {
        "ratios": RATIOS[:1],
        "speeds": [2.0, 5.0, 10.0],
        "ranges": [0.35, 0.5],
        "strengths": [14000.0],
        "trapped": 12,
        "thermal": {"thermal.ions": 2, "thermal.lattices": 4, "run.duration": 30.0},
        "temperatures": [10.0, 25.0],
        "barriers": [4000.0],
        "others": [],
    },
    "coarse": {
        "ratios": RATIOS,
        "speeds": [1.0, 2.0, 5.0, 10.0, 20.0, 30.0],
        "ranges": [0.2, 0.35, 0.5, 0.8],
        "strengths": [150.0, 1500.0, 14000.0],
        "trapped": 96,
        "thermal": {"thermal.ions": 6, "run.duration": 50.0},
        "temperatures": [10.0, 25.0, 50.0],
        "barriers": [2000.0, 4000.0, 8000.0],
        "others": [],
    },
    "full": {
        "ratios": RATIOS,
        "speeds": np.geomspace(0.5, 32.0, 13).tolist(),
        "ranges": np.geomspace(0.15, 0.8, 9).tolist(),
        "strengths": [150.0, 500.0, 1500.0, 5000.0, 14000.0],
        "trapped": 512,
        "thermal": {"thermal.ions": 6, "run.duration": 60.0},
        "temperatures": [5.0, 10.0, 15.0, 25.0, 35.0, 50.0],
        "barriers": [1000.0, 2000.0, 4000.0, 8000.0],
        "others": [{"ion.mass": m} for m in (0.2, 2.0, 7.0)]
        + [{RANGE: w} for w in (0.3, 0.8)]
        + [{"lattice.k2": 520.0 * r} for r in RATIOS[1:]],
    },
}


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
    """Run the three sweeps, going on where they are, and judge."""
    from mdlite.validation import Outcome

    size, say = SIZES[config.validate_.map], job.notice or (lambda line: None)
    for ratio in size["ratios"]:
        if not edge.is_known(ratio, config.patch.size):
            say(f"the edge of the patch for k2/k1 = {ratio:.3g}: fitted once (half a minute), then kept")
            edge.fit(ratio, config.patch.size)
    rows = (collisions(size), trapped(config, size["trapped"], size["ratios"]), thermal(size))
    tables = {}
    for name, base, points in zip(FOLDERS, ("reflection", "map", "diffusion"), rows):
        sweep: dict[str, Any] = {"title": f"map of validity, {name}", "base": base, "task": "compare", "list": points}
        if job.force:
            _clear(job.folder / name, sweep)
        swept = sweeps.sweep(sweep, job.folder / name, progress=_told(job.progress(name)), notice=job.notice)
        if swept.failed:
            line = f"{name}: {len(swept.failed)} of {len(swept.points)} points failed, first: {next(iter(swept.failed.values()))}"
            if len(swept.failed) > MOST_FAILED * len(swept.points):
                raise RunError(line)
            say(line)
        found = collection.table(job.folder / name)
        tables[name] = found[found["status"] == "done"]
    judged = tables | {"thermal": tables["thermal"][map_report.settled(tables["thermal"])]}
    points = {"cold": _columns(judged, ("collisions", "trapped")), "thermal": _columns(judged, ("thermal",))}
    surrogates = {kind: estimate.Surrogates(points[kind], kind) for kind in points}
    guessed = {
        k: {".".join(key): [float(f"{v:.4g}") for v in values] for key, values in one.guessed.items()}
        for k, one in surrogates.items()
    }
    content = {"size": config.validate_.map, "points": points, "guessed": guessed}
    outputs.write(job.folder / "validity.json", json.dumps(content) + "\n")
    for name, found in tables.items():
        outputs.write(job.folder / f"{name}.csv", found.to_csv(index=False))
    summary = map_report.summary(tables, surrogates)
    figures = {
        "map.png": lambda: plots_map.planes(tables["collisions"], "time-local"),
        "methods.png": lambda: plots_map.methods(tables["collisions"]),
        "groups.png": lambda: plots_map.collapse(tables, surrogates["cold"]),
        "estimate.png": lambda: plots_map.foreseen(surrogates),
        "thermal.png": lambda: plots_map.thermal(judged["thermal"]),
    }
    return Outcome(
        summary | {"size": config.validate_.map},
        map_report.body(summary),
        figures,
        list(FILES),
        verdict=verdict.validity_map(summary["shares"]),
    )


def _clear(folder: Path, sweep: dict[str, Any]) -> None:
    """Remove the points of another map."""
    if (folder / "manifest.json").exists():
        wanted = sweeps.manifest(axes.load(sweep))["fingerprint"]
        if sweeps.read_manifest(folder)["fingerprint"] != wanted:
            shutil.rmtree(folder)


def _told(progress: Callable | None):
    """A run's progress callback as a sweep's."""
    if progress is None:
        return None

    def tell(state: sweeps.State) -> None:
        seconds = max(1e-3, state.seconds)
        progress(simulate.Progress(len(state.done) + len(state.failed), state.points, seconds, None))

    tell.close = getattr(progress, "close", lambda: None)
    return tell


def collisions(size: dict[str, Any]) -> list[dict[str, Any]]:
    """The grid of head-on collisions, as rows of a sweep's list."""
    rows = []
    for strength, width, speed in itertools.product(size["strengths"], size["ranges"], size["speeds"]):
        dt = _step(width / speed / STEPS_PER_RANGE)
        rows.append(
            {
                STRENGTH: strength,
                RANGE: width,
                "ion.velocity.z": speed,
                "ion.position.z": -START * width,
                "run.dt": dt,
                "run.duration": dt * round(LENGTH * START * width / speed / dt),
                "lattice.size": 20,
            }
        )
    return rows


def trapped(config: Config, count: int, ratios: Sequence[float]) -> list[dict[str, Any]]:
    """Trapped ions at Sobol points, the crystals (k2/k1) in turn, as rows of a sweep's list; points whose compliance is beyond all hope are passed over."""
    from scipy.stats import qmc

    low, high = np.log(LOW), np.log(HIGH)
    draws = qmc.Sobol(len(LOW), seed=np.random.default_rng(config.validate_.map_seed))
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        for n, (strength, width, speed, mass) in enumerate(np.exp(low + (high - low) * draws.random(64)).tolist()):
            values = {STRENGTH: strength, RANGE: width, "ion.velocity.z": speed, "ion.mass.z": mass}
            row = _timed(config, values | {"lattice.k2": config.lattice.k1 * ratios[n % len(ratios)]}, width / speed)
            if row is not None:
                rows.append(row)
    return rows[:count]


def _timed(config: Config, row: dict[str, Any], passage: float) -> dict[str, Any] | None:
    """A row with step and duration that its period in a rigid lattice asks for; None for a point that is passed over."""
    dt = _step(passage / STEPS_PER_RANGE)
    while dt >= SHORTEST_STEP:
        model = config.replace(**row).to_model()
        _, path = TimeLocalEngine(model, "rigid", dt).advance(groups.LONGEST)
        z, v = path.position[:, 2], path.velocity[:, 2]
        total = model.ion.kinetic_energy(path.velocity) + path.interaction
        passed = analysis.crossings(dt * np.arange(len(z)), z, v, config.ion.position[2]).time
        sound = np.ptp(total) < groups.TOLERANCE * total[0]
        if not sound or len(passed) < 2 or passed[1] < STEPS_PER_PERIOD * dt:
            if sound and len(passed) < 2:
                return None  # longer than the probe
            dt *= 0.5
            continue
        end = int(passed[1] / dt) + 2
        found = groups.along(model, path.position[:end], path.velocity[:end], dt)
        if found.compliance > LARGEST_COMPLIANCE:
            return None
        return row | {
            "run.dt": dt,
            "run.duration": dt * round(PERIODS * float(passed[1]) / dt),
            "validate.centre": config.ion.position[2],
        }
    return None


def _step(longest: float) -> float:
    """5 fs, or a power of two less, so that points share their response tables."""
    return 0.005 * 2.0 ** -max(0, int(np.ceil(np.log2(0.005 / longest))))


def thermal(size: dict[str, Any]) -> list[dict[str, Any]]:
    """Thermal ensembles, classical so that every ion should have T_ion = T, as rows of a sweep's list."""
    common = {"thermal.statistics": "classical", "thermal.lattices": 12, "validate.equilibration": 5.0, **size["thermal"]}
    pairs = list(itertools.product(size["temperatures"], size["barriers"]))
    rows = [common | {"thermal.energy": t, STRENGTH: u} for t, u in pairs]
    return rows + [
        common | {"thermal.energy": t, STRENGTH: 4000.0} | other for t in size["temperatures"][1::2] for other in size["others"]
    ]


def _columns(tables: dict[str, pandas.DataFrame], names: tuple[str, ...]) -> dict[str, list[float | None]]:
    """The numbers of some sweeps' points, a list for each, None where there is none; points without groups are left out."""
    import pandas

    found = pandas.concat([tables[name].assign(spread=float(name != "collisions")) for name in names], ignore_index=True)
    kept = found[found["loss"] > 0.0]
    numbers = [
        c for c in kept.columns if c in (*groups.Groups._fields, "spread") or c.split(".")[0] in ("exact", *estimate.METHODS)
    ]
    return {c: [None if v is None or not np.isfinite(v) else float(f"{v:.5g}") for v in kept[c]] for c in numbers}
