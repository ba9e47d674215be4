"""The tables of the protocols `diffusion` and `arrhenius`, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mdlite.analysis.statistics import FEW, student
from mdlite.config import Config
from mdlite.report import markdown
from mdlite.report.ratios import pm, quotient, ratio_cell, value_cell
from mdlite.units import DIFFUSION_UNITS, with_kelvin

COMPONENTS = {"xx": (0, 0), "yy": (1, 1), "zz": (2, 2), "yz": (1, 2), "xz": (0, 2), "xy": (0, 1)}

TABLE_TEXT = (
    "T_ion: kinetic temperature <M v²>/3 after equilibration. D: slope of the mean square displacement over 6 for lags of {first:g} to {last:g} ps. "
    "Errors: standard errors from the scatter between {lattices} lattices, one sample each; the interval that holds the truth "
    "with 95 % is ± {half:.2g} of "
    "them (Student's t). `<`: D is not resolved, it is below that with 95 %. Thermalisation: time constant of the approach to "
    "that temperature from rest."
)
FEW_TEXT = " **With fewer than four lattices the standard errors themselves are uncertain by half and more: go by the intervals, or take more lattices.**"


def table_text(config: Config) -> str:
    """What the columns of `table` are, and how many samples stand behind its errors."""
    lattices, (first, last) = config.thermal_state.lattices, config.validate_.fit
    said = TABLE_TEXT.format(first=first, last=last, lattices=lattices, half=student(lattices - 1))
    return said + (FEW_TEXT if lattices < FEW else "")


HOP_TEXT = (
    "A hop ends when the ion comes within a quarter of the lattice constant of another cell's centre. Correlation: <h_n·h_n+1>/<h²> of "
    "successive hops, positive if the ion flies on, negative if it turns back. Hops beyond the touching cells are flights on which no frame "
    "fell near a centre."
)
SITE_HOP_TEXT = (
    "Hops are between the sites that the ion was seen to rest at (`mdlite analyse`): a hop ends when it comes within the core of another site. Correlation: "
    "<h_n·h_n+1>/<h²> of successive hops, positive if the ion flies on, negative if it turns back."
)
TENSOR_TEXT = "Cartesian components, ± their standard errors from the scatter between boxes; D is a third of the trace."
CRYSTAL_COST_TEXT = (
    "Ion-step: one step of one ion, its share of the crystal included. Energy drift: of the total energy of a box."
)
COST_TEXT = (
    "Ion-step: one step of one ion, its share of the lattice included. Energy drift: of the total energy of a reference lattice; with a `shell` the "
    "force jumps as the ion crosses a face, with a `cutoff` it does not."
)


def rows_of(entries: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    """(entry, method, its numbers) for every temperature and method, for tables."""
    for entry in entries:
        for method, found in entry["methods"].items():
            yield entry, method, found


def table(entries: list[dict[str, Any]]) -> str:
    """T_ion, D and their ratios to the reference."""
    rows = []
    for entry, method, found in rows_of(entries):
        truth = entry["methods"]["reference"]
        own = method == "reference"
        settle = found["thermalisation"]
        rows.append(
            [
                with_kelvin(entry["thermal_energy_meV"]),
                method,
                pm(found["temperature_ratio"], found["temperature_ratio_error"]),
                "" if own else pm(*quotient(found, truth, "temperature", "meV")),
                value_cell(found),
                "" if own else ratio_cell(found, truth),
                pm(found["green_kubo_A2_per_ps"], found["green_kubo_error_A2_per_ps"]),
                pm(settle["time"], settle["time_error"], 3),
                f"{len(found['run_aways'])} of {found['ions'] + len(found['run_aways'])}",
            ]
        )
    header = ["k_BT", "method", "T_ion/T", "over reference", f"D ({DIFFUSION_UNITS})", "over reference", "D, Green-Kubo (Å²/ps)"]
    return markdown.table([*header, "thermalisation (ps)", "run-aways"], rows)


def tensor_table(entry: dict[str, Any]) -> str:
    """The components of D of every method."""
    rows = []
    for method, found in entry["methods"].items():
        value, error = (
            np.asarray(found[key], float) for key in ("diffusion_tensor_A2_per_ps", "diffusion_tensor_error_A2_per_ps")
        )
        rows.append([method, *(pm(value[i, j], error[i, j]) for i, j in COMPONENTS.values())])
    return markdown.table(["method", *COMPONENTS], rows)


def hop_table(entries: list[dict[str, Any]]) -> str:
    """Hop rates and what follows on a hop."""
    rows = []
    for entry, method, found in rows_of(entries):
        hops = found["hops"]
        shares = [_shares(hops["shares"])]
        cells = [pm(hops["rate"], hops["rate_error"]), hops["dwell"], markdown.number(hops["correlation"], 3), hops["diffusion"]]
        rows.append([f"{entry['thermal_energy_meV']:g}", method, *cells, *shares])
    header = ["k_BT (meV)", "method", "hops (1/ps)", "dwell (ps)", "correlation", "D of uncorrelated hops (Å²/ps)"]
    contact = any("face" in found["hops"]["shares"] for _, _, found in rows_of(entries))
    return markdown.table([*header, "over face / edge / corner / farther (%)" if contact else "by distance (%)"], rows)


def _shares(shares: dict[str, float]) -> str:
    """Of hops by what two cells share, or by the distance of two sites."""
    if "face" in shares:
        return " / ".join(f"{100.0 * shares[name]:.1f}" for name in ("face", "edge", "corner", "farther"))
    return ", ".join(f"{name}: {100.0 * share:.1f}" for name, share in shares.items()) or "–"


def cost_table(entries: list[dict[str, Any]]) -> str:
    """Seconds, µs per ion-step, and the energy drift."""
    rows = []
    for entry, method, found in rows_of(entries):
        truth = entry["methods"]["reference"]["us_per_ion_step"]
        drift = found["energy_drift_meV_per_ns"]
        cells = [
            found["seconds"],
            found["us_per_ion_step"],
            truth / found["us_per_ion_step"],
            "" if drift is None else f"{drift:+.3g}",
        ]
        rows.append([f"{entry['thermal_energy_meV']:g}", method, *cells])
    return markdown.table(
        ["k_BT (meV)", "method", "seconds", "µs per ion-step", "cheaper than reference", "energy drift (meV/ns)"], rows
    )


def run_away_section(entries: list[dict[str, Any]], most: int = 20) -> str:
    """Every ion that ran away, with its state when it was stopped; empty if none did."""
    rows = []
    for entry, method, found in rows_of(entries):
        for away in found["run_aways"]:
            place = ", ".join(f"{x:.2f}" for x in away["position_A"])
            speed = float(np.linalg.norm(away["velocity_A_per_ps"]))
            row = [f"{entry['thermal_energy_meV']:g}", method, str(away["ion"]), f"{away['time_ps']:.3f}", place, speed]
            rows.append([*row, away.get("cause", "step"), away.get("reason", "")])
    if not rows:
        return ""
    header = ["k_BT (meV)", "method", "ion", "stopped at (ps)", "position (Å)", "speed (Å/ps)", "lost by", "reason"]
    more = f"\n\n{len(rows) - most} more are in `summary.json`." if len(rows) > most else ""
    return (
        "## Run-aways\n\nIons that could not be followed any more: stopped, and left out of every average. Lost by the "
        "method: its expansion about the "
        "free lattice exploded in a close encounter. Lost by the step: a shorter one would have kept them.\n\n"
        + markdown.table(header, rows[:most])
        + more
    )
