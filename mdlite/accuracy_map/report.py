"""The report of the map of validity: numbers and tables."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.accuracy.conformal import HELD, LIMIT
from mdlite.accuracy.estimate import NAMES
from mdlite.accuracy.surrogate import KINDS, METHODS, Surrogates
from mdlite.accuracy_map.points import MOTIONS
from mdlite.report import markdown

if TYPE_CHECKING:
    import pandas

COMPLIANCE = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, np.inf)
RAPIDITY = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, np.inf)
FEWEST = 3
"""Points in a cell of the table."""
SMALL = (0.1, 0.35)
"""κ and ν below which the error is a law of two terms, for an ion that meets one atom at a time: ..."""
ALONE = 0.1
"""... how far its company (`mdlite.accuracy.groups`) is from 1."""
SETTLED = 0.05
LEAST_LOSS = 1e-3
"""meV; of less the exact run's own error is a part."""


def percent(value: float) -> str:
    """A fraction in %, two digits of it."""
    return f"{100 * value:.2g}" if value < 0.995 else f"{100 * value:.0f}"


def typical(values: pandas.Series) -> float:
    """Root mean square of relative errors, those beyond 1 (and methods that stopped) as 1."""
    return float(np.sqrt(np.mean(np.minimum(np.abs(values.fillna(1.0)), 1.0) ** 2)))


def settled(thermal: pandas.DataFrame) -> pandas.Series:
    """Whether the patch, which has no error of its own in T_ion, has come to the crystal's temperature in the run: else no method can be judged."""
    return thermal["patch.temperature"].abs() <= np.maximum(SETTLED, 3.0 * thermal["patch.temperature_error"])


def cells(points: pandas.DataFrame, column: str) -> list[dict[str, Any]]:
    """The typical error in every cell of COMPLIANCE × RAPIDITY that has points enough."""
    found = []
    for low, high in itertools.pairwise(COMPLIANCE):
        for slow, fast in itertools.pairwise(RAPIDITY):
            inside = points[points["compliance"].between(low, high, "left") & points["rapidity"].between(slow, fast, "left")]
            if len(inside) >= FEWEST:
                found.append(
                    {"compliance": [low, high], "rapidity": [slow, fast], "points": len(inside), "error": typical(inside[column])}
                )
    return found


def summary(tables: dict[str, pandas.DataFrame], surrogates: dict[str, Surrogates]) -> dict[str, Any]:
    """Everything that the report shows."""
    import pandas

    drawn = pandas.concat([tables[name] for name in MOTIONS], ignore_index=True)
    drawn = drawn[drawn["loss"] > 0.0]
    cold = pandas.concat([tables["grid"], drawn], ignore_index=True)
    quantities = KINDS["cold"]
    thermal = tables["thermal"].assign(settled=settled(tables["thermal"]))
    return {
        "points": {name: len(table) for name, table in tables.items()},
        "cells": {f"{m}.{q}": cells(cold, f"{m}.{q}") for m in METHODS for q in quantities},
        "law": {m: law(cold, m) for m in METHODS[:2]},
        "shares": {f"{m}.{q}": _shares(drawn, m, q) for m in METHODS for q in quantities},
        "by_mass": _grouped(drawn, "mass_ratio", [0.0, 0.1, 0.3, 1.0, 3.0, np.inf], quantities),
        "by_k2": _grouped(drawn, "lattice.k2", [0.0, 80.0, 140.0, 240.0, 360.0, np.inf], quantities),
        "thermal": thermal[
            [
                c
                for c in thermal.columns
                if c.split(".")[0] in (*METHODS, "thermal", "interaction", "ion", "lattice") or "." not in c
            ]
        ]
        .drop(columns=["point", "status"])
        .to_dict("records"),
        "cross_validation": {kind: one.cross_validation() for kind, one in surrogates.items()},
        "coverage": {
            kind: {".".join(key): errors.coverage() for key, errors in one.known.items() if key[0] == METHODS[0]}
            for kind, one in surrogates.items()
        },
        "far": {kind: one.far for kind, one in surrogates.items()},
    }


def law(points: pandas.DataFrame, method: str) -> dict[str, float] | None:
    """a and b of error = a κ + b ν² for the energy lost to one atom at a time, by least squares over the points with small groups; None with too few."""
    small = (points["compliance"] < SMALL[0]) & (points["rapidity"] < SMALL[1]) & ((points["company"] - 1.0).abs() < ALONE)
    near = points[small & (points["exact.energy_loss"] > LEAST_LOSS) & points[f"{method}.energy_loss"].notna()]
    if len(near) < 3 * FEWEST:
        return None
    x = np.column_stack([near["compliance"], near["rapidity"] ** 2])
    error = near[f"{method}.energy_loss"].to_numpy(float)
    (a, b), *_ = np.linalg.lstsq(x, error, rcond=None)
    miss = error - x @ (a, b)
    return {
        "kappa": float(a),
        "nu_squared": float(b),
        "rms_miss": float(np.sqrt(np.mean(miss**2))),
        "rms_error": typical(near[f"{method}.energy_loss"]),
        "points": len(near),
    }


def _shares(points: pandas.DataFrame, method: str, quantity: str) -> dict[str, float]:
    """Fractions of the points where an error is below 1, 10 and 50 %, and where the method had to stop."""
    error = np.abs(points[f"{method}.{quantity}"].to_numpy(float))
    known = np.isfinite(error) | (points[f"{method}.stopped"] > 0).to_numpy()
    found = {f"below_{int(100 * level)}_percent": float(np.mean(error[known] < level)) for level in (0.01, 0.1, 0.5)}
    return found | {"stopped": float(points[f"{method}.stopped"].mean())}


def _grouped(points: pandas.DataFrame, key: str, edges: list[float], quantities: tuple[str, ...]) -> list[dict[str, Any]]:
    """Typical errors of the time-local method by ranges of a key, for points of moderate compliance."""
    found = []
    moderate = points[points["compliance"] < COMPLIANCE[4]]
    for low, high in itertools.pairwise(edges):
        inside = moderate[moderate[key].between(low, high, "left")]
        if len(inside):
            errors = {q: typical(inside[f"time-local.{q}"]) for q in quantities}
            found.append({"range": [low, high], "points": len(inside), "rapidity": float(inside["rapidity"].median())} | errors)
    return found


def _between(pair: list[float]) -> str:
    low, high = pair
    if not np.isfinite(high):
        return f"{low:g} and more"
    return f"{low:g} to {high:g}" if low > 0.0 else f"below {high:g}"


def _square(found: list[dict[str, Any]]) -> str:
    """A table of typical errors in %, compliance to the right, rapidity downwards."""
    value = {(c["compliance"][0], c["rapidity"][0]): percent(c["error"]) for c in found}
    columns = [low for low in COMPLIANCE[:-1] if any(key[0] == low for key in value)]
    rows = [low for low in RAPIDITY[:-1] if any(key[1] == low for key in value)]
    names = {low: _between([low, high]) for ends in (COMPLIANCE, RAPIDITY) for low, high in itertools.pairwise(ends)}
    names |= {low: _between([low, high]) for low, high in itertools.pairwise(COMPLIANCE)}
    header = ["ν \\ κ", *[names[low] for low in columns]]
    slow = {low: _between([low, high]) for low, high in itertools.pairwise(RAPIDITY)}
    return markdown.table(header, [[slow[r], *[value.get((c, r), "–") for c in columns]] for r in rows])


def body(summary: dict[str, Any]) -> str:
    """The report's body in Markdown."""
    count = summary["points"]
    parts = [
        f"A grid of {count['grid']} collisions; {count['collisions']} collisions, {count['trapped']} trapped ions and {count['throws']} throws of every potential, drawn; "
        f"{count['thermal']} thermal ensembles. At T = 0 the truth is the exact non-local "
        "equation in the infinite crystal, at a temperature equipartition (T_ion) and the patch (D). κ (compliance), ν (rapidity) and η (loss) are the groups "
        "of `mdlite.accuracy.groups`, from the ion's path in a rigid lattice.",
    ]
    for quantity, name in (("energy_loss", "energy lost"), ("force", "peak force"), ("path", "path")):
        parts.append(
            f"## Time-local: {name}\n\nTypical error (root mean square; those beyond 100 % count as 100), %:\n\n{_square(summary['cells'][f'time-local.{quantity}'])}"
        )
    parts += [
        _law(summary["law"]),
        _methods(summary),
        _masses(summary),
        _thermal(summary["thermal"]),
        _left_out(summary["cross_validation"]),
        coverage(summary["coverage"]),
    ]
    return "\n\n".join(parts)


def _law(found: dict[str, dict[str, float] | None]) -> str:
    lines = [
        f"- `{method}`: error = {one['kappa']:+.2f} κ {one['nu_squared']:+.2f} ν², which misses {one['points']} points by {100 * one['rms_miss']:.2g} % "
        f"rms (their errors: {100 * one['rms_error']:.2g} %)."
        for method, one in found.items()
        if one is not None
    ]
    told = "\n".join(lines) or "Too few points."
    return f"## Small groups\n\nEnergy lost by ions that meet one atom at a time, κ below {SMALL[0]:g} and ν below {SMALL[1]:g}, fitted:\n\n{told}"


def _methods(summary: dict[str, Any]) -> str:
    rows = [
        [name.split(".")[0], NAMES[name.split(".")[1]], *[f"{100 * share:.0f}" for share in shares.values()]]
        for name, shares in summary["shares"].items()
    ]
    return "## Methods\n\nShare of the points at T = 0, %, where the error is below:\n\n" + markdown.table(
        ["method", "quantity", "1 %", "10 %", "50 %", "method had to stop"], rows
    )


def _masses(summary: dict[str, Any]) -> str:
    parts = []
    for title, key in (("ion's mass over an atom's", "by_mass"), ("k2, meV/Å² (k1 = 520)", "by_k2")):
        rows = [[_between(r["range"]), r["points"], r["rapidity"]] + [percent(r[q]) for q in KINDS["cold"]] for r in summary[key]]
        parts.append(markdown.table([title, "points", "median ν", "energy lost", "peak force", "path"], rows))
    return "## Mass and crystal\n\nTypical errors of the time-local method, %, drawn points with κ below 0.3:\n\n" + "\n\n".join(
        parts
    )


def _thermal(rows: list[dict[str, Any]]) -> str:
    header = ["k_BT (meV)", "potential", "M", "k2", "κ", "ν", "barrier/k_BT"]
    header += [f"T_ion/T, {m}" for m in METHODS] + [f"D/D(patch), {m}" for m in METHODS[:2]]
    lines = []
    for row in sorted(rows, key=lambda row: (_given(row.get("ion.mass")), row["thermal.energy"])):
        kind, *numbers = json.loads(row["interaction.potential"]).values()
        own = [row[key] if _given(row.get(key)) else value for key, value in (("ion.mass", 0.7), ("lattice.k2", 170.0))]
        line = [
            markdown.short(row["thermal.energy"]),
            f"{kind} {', '.join(markdown.short(n) for n in numbers)}" + ("" if row["settled"] else " †"),
            *[markdown.short(value) for value in own],
            *[markdown.short(row[name]) for name in ("compliance", "rapidity", "barrier")],
        ]
        for quantity, methods in (("temperature", METHODS), ("diffusion", METHODS[:2])):
            for method in methods:
                value, error = row.get(f"{method}.{quantity}"), row.get(f"{method}.{quantity}_error")
                line.append(f"{1 + value:.2f} ± {error:.2f}" if value is not None and _given(value) else "–")
        lines.append(line)
    note = "\n\n† The patch has not come to T within the run: these points judge nobody and are left out of the fits."
    return (
        "## Temperature\n\nClassical start, so that every ion should have T_ion = T; D where that of the patch is resolved:\n\n"
        + markdown.table(header, lines)
        + ("" if all(r["settled"] for r in rows) else note)
    )


def _given(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and np.isnan(value))


def _left_out(found: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for kind, entries in found.items():
        for name, one in entries.items():
            method, quantity = name.split(".")
            rows.append(
                [
                    method,
                    NAMES[quantity] + (" (thermal)" if kind == "thermal" else ""),
                    one["points"],
                    percent(one["rms_error"]),
                ]
                + [percent(one[key]) for key in ("median_miss", "p90_miss")]
                + [f"{100 * one['verdict_right']:.0f}", f"{100 * one['held']:.0f}"]
            )
    return (
        "## How well `mdlite.validity` foresees this\n\nCross-validation: every kind of point (a potential in a kind of motion) is foreseen by fits that have not "
        "seen that kind. Misses are absolute differences of relative errors, in percentage points, over the points whose error is below 100 %; then how often it is "
        f"right about an error being below {100 * LIMIT:.0f} %, and how often the error lies in the {100 * HELD:.0f} % interval.\n\n"
        + markdown.table(
            [
                "method",
                "quantity",
                "points",
                "rms error, %",
                "median miss",
                "90 % miss by less than",
                "right about 10 %, %",
                "in the interval, %",
            ],
            rows,
        )
    )


def coverage(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """How often the intervals hold the errors of the time-local method, for every kind held out."""
    parts = []
    for entries in found.values():
        kinds = sorted({kind for one in entries.values() for kind in one})
        rows = [
            [*kind.split("/"), *[f"{100 * one[kind]:.0f}" if kind in one else "–" for one in entries.values()]] for kind in kinds
        ]
        rows.append(["mean", "", *[f"{100 * np.mean(list(one.values())):.0f}" for one in entries.values()]])
        if kinds:
            header = ["potential", "motion", *[NAMES[name.split(".")[1]].split(" (")[0] for name in entries]]
            parts.append(markdown.table(header, rows))
    return (
        f"### Kinds held out\n\nHow often the {100 * HELD:.0f} % interval holds the time-local method's error, in %, when neither the fit nor the width of the intervals "
        "has seen the kind:\n\n" + "\n\n".join(parts)
    )
