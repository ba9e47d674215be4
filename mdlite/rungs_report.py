"""The report of the protocol `rungs`, in Markdown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdlite import plots, report
from mdlite.config import Config

APART = 0.1
"""Å; a rung's ion is apart from the reference's once it is this far from it."""


def percent(value: float, reference: float) -> float:
    """Relative difference in %, NaN from nothing."""
    return 100.0 * (value / reference - 1.0) if reference else float("nan")


TRUTH = {
    "periodic": "the explicit periodic lattice of {size} atoms (velocity Verlet)",
    "echo-free": "the explicit lattice without echoes, that is the infinite crystal (velocity Verlet)",
    "absorbing": "the explicit lattice of {size} atoms with an absorbing layer across its seam (velocity Verlet)",
    "memory-kernel": "the exact non-local equation in the infinite crystal, with the response that velocity Verlet has at this step",
}


def _introduction(config: Config, echo: float) -> list[str]:
    truth = TRUTH[config.validate_.reference].format(size=" × ".join(str(n) for n in config.lattice.size))
    first = (
        f"`reference`, {truth}, against the ion alone in an effective medium, from the same start, with the same step of {config.run.dt:g} ps, for "
        f"{config.run.duration:g} ps. The lattice starts at rest and undisplaced, so it rings while it adapts to the ion; the rungs have the adapted "
        "framework from the start."
    )
    if math.isinf(echo):
        return [first]
    reached = (
        "From then on the reference is no longer the infinite crystal's, which the rungs describe; the figures shade that time."
        if echo < config.run.duration
        else "The run ends before that."
    )
    return [
        first,
        f"**Echo.** The lattice is periodic: the ion's own sound comes back after (N - extent) a/c = {echo:.3f} ps. {reached}",
    ]


def body(config: Config, summary: dict[str, Any]) -> str:
    entries = summary["rungs"]
    parts = _introduction(config, summary["echo_time_ps"])
    parts += [f"**{name} stopped.** {reason}" for name, reason in summary["stopped"].items()]
    if summary["echoes"]:
        rows = [[name, echo["echo_time_ps"], echo["leaves_at_ps"]] for name, echo in summary["echoes"].items()]
        header = ["lattice", "echo due (ps)", "leaves the infinite crystal's ion by 1e-9 Å at (ps)"]
        parts += ["## Finite size", report.table(header, rows)]
    if summary["linear_response"]:
        parts += _linear_section(summary["linear_response"])
    if summary["rates_at_equal_energy"]:
        parts += _decay_section(summary)
    else:
        parts.append(
            f"The reference ion does not swing to and fro through {summary['axis']} = {summary['centre_A']:g} Å often enough before the "
            "echo for a decay rate or a period."
        )
    parts += ["## Trajectories against the reference", _error_table(entries)]
    parts.append(f"Apart: when the ion is first more than {APART} Å from the reference's.")
    if len(entries["reference"]["crossing_time_ps"]):
        plane = f"{summary['axis']} = {summary['centre_A']:g} Å"
        parts += [f"## Kinetic energy at each passage of {plane} (meV)", _crossing_table(summary)]
    if summary["energy_budget"] is not None:
        parts += ["## Energy budget of the reference (meV)", _budget_table(summary["energy_budget"])]
    return "\n\n".join(parts)


def _linear_section(modes: dict[str, Any]) -> list[str]:
    """Small oscillations: rates, and which of the two approximations makes the error."""
    true = modes.get("exact")
    rows = []
    for name, mode in modes.items():
        off = "" if true is None or name == "exact" else report.percent(percent(mode["rate_per_ps"], true["rate_per_ps"]))
        period_off = "" if true is None or name == "exact" else report.percent(percent(mode["period_ps"], true["period_ps"]))
        rows.append([name, report.number(mode["rate_per_ps"] + 0.0, 5), off, report.number(mode["period_ps"], 6), period_off])
    parts = [
        "## Small oscillations, by linear response",
        report.table(["", "rate (1/ps)", "error (%)", "period (ps)", "error (%)"], rows),
    ]
    if {"exact", "implicit", "time-local"} <= set(modes):
        friction = percent(modes["implicit"]["rate_per_ps"], true["rate_per_ps"])
        closure = percent(modes["time-local"]["rate_per_ps"], modes["implicit"]["rate_per_ps"])
        greater = "friction taken at ω → 0" if abs(friction) > abs(closure) else "first-order step in the force"
        parts.append(
            "No time stepping: the complex frequency from the response Ĝ(ω) of the infinite crystal. `implicit` differs from the exact one only in that the "
            f"friction is taken at ω → 0 instead of at the ion's own {true['omega_rad_per_ps']:.3g} rad/ps: that alone changes the rate by "
            f"{friction:+.1f} %. `time-local` differs from `implicit` in that forces are expanded to first order about the undisturbed lattice: that changes "
            f"it by another {closure:+.1f} %. **Here the {greater} is the greater error.**"
        )
    return parts


def _decay_section(summary: dict[str, Any]) -> list[str]:
    parts = ["## Decay rate at equal energy (1/ps)", _rate_table(summary["rates_at_equal_energy"])]
    parts.append(
        "From the kinetic energy at passages one period apart. The rate depends on the amplitude, so this is the fair comparison; the "
        "energies are those that the reference has before the echo."
    )
    for span, (start, end) in summary["windows_ps"].items():
        spoilt = ", where the echo spoils the reference" if span == "after_echo" else ""
        parts += [f"## Decay and period from {start:.2f} to {end:.2f} ps{spoilt}", _decay_table(summary["rungs"], span)]
    parts.append(
        "Decay rate: of the kinetic energy at the passages, from a line through ln E against t, ± its standard error. At equal times a "
        "rung that decays too slowly has more energy left, where the rate is higher: this flatters it. Rungs without loss "
        "(`static`, `rigid`) do not decay; their passage energies scatter by the error of the time step."
    )
    return parts


def _rate_table(rates: dict[str, Any]) -> str:
    rows = []
    for name, values in rates["rate_per_ps"].items():
        if name in plots.LOSSLESS:
            continue
        off = rates["difference_percent"].get(name)
        cells = [
            report.number(v) if off is None or np.isnan(v) else f"{report.number(v)} ({report.percent(off[n])} %)"
            for n, v in enumerate(values)
        ]
        rows.append([name, *cells])
    return report.table(["rung", *(f"at {e:.3g} meV" for e in rates["energy_meV"])], rows)


def _decay_table(entries: dict[str, Any], span: str) -> str:
    rows = []
    for name, entry in entries.items():
        rate, error = entry["decay_rate_per_ps"][span], entry["decay_rate_error_per_ps"][span]
        off = entry.get("difference")
        shown = report.measured(rate, error)
        rate_off = report.percent(off["decay_rate_percent"][span]) if off and name not in plots.LOSSLESS else ""
        period_off = report.percent(off["period_percent"][span]) if off else ""
        rows.append([name, shown, rate_off, report.number(entry["period_ps"][span], 5), period_off])
    return report.table(["rung", "rate (1/ps)", "error (%)", "period (ps)", "error (%)"], rows)


def _error_table(entries: dict[str, Any]) -> str:
    header = [
        "rung",
        "RMS until echo (Å)",
        "largest until echo (Å)",
        "RMS, whole run (Å)",
        "apart at (ps)",
        "energy drift",
        "cost (s per ps)",
    ]
    rows = []
    for name, entry in entries.items():
        off = entry.get("difference")
        distances = [""] * 4
        if off:
            distances = [off["rms_position_A"]["until_echo"], off["max_position_A"]["until_echo"], off["rms_position_A"]["whole"]]
            distances.append(off["apart_at_ps"])
        rows.append([name, *distances, entry["energy_drift"], entry["seconds_per_ps"]])
    return report.table(header, rows)


def _crossing_table(summary: dict[str, Any], most: int = 20) -> str:
    entries = summary["rungs"]
    truth = entries["reference"]
    count = len(truth["crossing_time_ps"])
    rows = []
    for n in range(min(count, most)):
        row = [str(n + 1), f"{truth['crossing_time_ps'][n]:.4f}", f"{truth['crossing_kinetic_energy_meV'][n]:.5g}"]
        for name, entry in list(entries.items())[1:]:
            energies = entry["crossing_kinetic_energy_meV"]
            if n >= min(len(energies), count):
                row.append("–")
            elif name in plots.LOSSLESS:
                row.append(f"{energies[n]:.4g}")
            else:
                row.append(f"{energies[n]:.5g} ({report.percent(entry['difference']['crossing_kinetic_energy_percent'][n])} %)")
        rows.append(row)
    header = ["passage", "t of reference (ps)", "reference", *list(entries)[1:]]
    more = f"\n\n{count - most} more passages are in `summary.json`." if count > most else ""
    return report.table(header, rows) + more


def _budget_table(energies: dict[str, np.ndarray]) -> str:
    chosen = np.unique(np.linspace(0, len(energies["time"]) - 1, 11).astype(int))
    names = {
        "time": "t (ps)",
        "ion_kinetic": "ion kinetic",
        "interaction": "interaction",
        "framework_kinetic": "framework kinetic",
    }
    names |= {"elastic": "elastic", "total": "total"}
    largest = max(np.abs(energies[key]).max() for key in names if key != "time")
    digits = min(max(5 - math.floor(math.log10(largest)), 0), 12) if largest > 0.0 else 0
    rows = [[f"{energies['time'][n]:.6g}", *(f"{energies[key][n]:.{digits}f}" for key in list(names)[1:])] for n in chosen]
    return report.table(list(names.values()), rows)
