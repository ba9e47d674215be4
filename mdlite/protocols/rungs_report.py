"""The report of the protocol `rungs`, in Markdown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mdlite.config import Config, method_names
from mdlite.report import markdown, verdict
from mdlite.report.markdown import METHODS
from mdlite.units import with_terahertz

APART = 0.1
"""Å; a rung's ion is apart from the reference's once it is this far from it."""


def percent(value: float, reference: float) -> float:
    """Relative difference in %, NaN from nothing."""
    return 100.0 * (value / reference - 1.0) if reference else float("nan")


TRUTH = {
    "periodic": "the explicit periodic {box} (velocity Verlet)",
    "echo-free": "the explicit lattice without echoes, that is the infinite crystal (velocity Verlet)",
    "absorbing": "the explicit {box} with an absorbing layer across its seam (velocity Verlet)",
    "memory-kernel": "the exact non-local equation in the infinite crystal, with the response that velocity Verlet has at this step",
}


def _introduction(config: Config, summary: dict[str, Any]) -> list[str]:
    truth = TRUTH[config.validate_.reference].format(box=markdown.box(config))
    others = [name for name in summary["rungs"] if name != "reference"]
    against = f"against {verdict.names(others)}, " if others else "alone, "
    first = f"`reference`, {truth}, {against}from the same start, with the same step of {config.run.dt:g} ps, for {config.run.duration:g} ps."
    adapted = [name for name in others if name in METHODS and METHODS[name][2].startswith("adapted")]
    if adapted:
        first += (
            " The crystal of "
            f"{'an explicit' if 'periodic' in TRUTH[config.validate_.reference] or 'lattice' in truth else 'the exact'} run starts at rest "
            f"and undisplaced, so it rings while it adapts to the ion; that of {verdict.names(adapted)} is adapted from the start."
        )
    parts = [first, *_yardstick(summary)]
    echo = summary["echo_time_ps"]
    if math.isfinite(echo):
        reached = (
            "From then on its ion is no longer that of the infinite crystal; the figures shade that time."
            if echo < config.run.duration
            else "The run ends before that."
        )
        parts.append(f"**Echo.** {_echo(config, echo)}. {reached}")
    return parts


def _echo(config: Config, echo: float) -> str:
    """When it comes, and how that time comes about."""
    if config.crystal is None:
        return f"The lattice is periodic: the ion's own sound comes back after (N - extent) a/c = {echo:.3f} ps"
    return (
        f"The box is periodic: the ion's own sound comes back after {echo:.3f} ps (the least distance of its faces, less the extent of the ion's atoms, over "
        "the fastest sound of all directions)"
    )


def _yardstick(summary: dict[str, Any]) -> list[str]:
    """Why errors are not given against the reference, where they are not."""
    if summary["yardstick"] == "reference":
        return []
    return [
        f"**Errors are against `{summary['yardstick']}`**, which solves the infinite crystal exactly, at the same step of "
        "velocity Verlet as the lattice: "
        "so they hold for the whole run, and the row of the reference shows what its finite size does."
    ]


def body(config: Config, summary: dict[str, Any]) -> str:
    """The report but for its verdict; every section only of what was run, and only where the motion gives it a meaning."""
    entries = summary["rungs"]
    parts = [*_introduction(config, summary)]
    parts += [f"**{name} stopped.** {reason}" for name, reason in summary["stopped"].items()]
    parts += left_out(summary["left_out"])
    parts += ["## The methods", markdown.methods_table(list(entries))]
    if summary["echoes"]:
        rows = [[name, echo["echo_time_ps"], echo["leaves_at_ps"]] for name, echo in summary["echoes"].items()]
        header = ["lattice", "echo due (ps)", "leaves the infinite crystal's ion by 1e-9 Å at (ps)"]
        parts += ["## Finite size", markdown.table(header, rows)]
    if summary["linear_response"]:
        parts += _linear_section(summary["linear_response"])
    if summary["rates_at_equal_energy"]:
        parts += _decay_section(summary)
    else:
        parts += [_why_free(summary), *_energy_section(entries, summary["yardstick"])]
    parts += _path_section(config, summary)
    if summary["rates_at_equal_energy"]:
        plane = f"{summary['axis']} = {summary['centre_A']:g} Å"
        parts += [f"## Kinetic energy at each passage of {plane} (meV)", _crossing_table(summary)]
    if summary["energy_budget"] is not None:
        parts += ["## Energy budget of the reference (meV)", _budget_table(summary["energy_budget"])]
    return "\n\n".join(parts)


def left_out(reasons: dict[str, str]) -> list[str]:
    """A paragraph for every reason why methods were left out."""
    together = {reason: [name for name, own in reasons.items() if own == reason] for reason in reasons.values()}
    return [
        f"**{', '.join(names)} {'was' if len(names) == 1 else 'were'} left out.** {reason}." for reason, names in together.items()
    ]


def _why_free(summary: dict[str, Any]) -> str:
    before = " before the echo" if math.isfinite(summary["echo_time_ps"]) else ""
    return (
        f"The ion does not swing to and fro along one axis through {summary['axis']} = {summary['centre_A']:g} Å often "
        f"enough{before} for a decay rate or a "
        "period: what counts is how far its path is from the true one, when they part, and what energy it has left."
    )


def _energy_section(entries: dict[str, Any], yardstick: str) -> list[str]:
    """The energy that is left to every ion at ten times."""
    true = entries[yardstick]["ion_energy"]
    order = [yardstick, *(name for name in entries if name != yardstick)]
    rows = []
    for n, t in enumerate(true["time_ps"]):
        cells = []
        for name in order:
            value = entries[name]["ion_energy"]["energy_meV"][n]
            off = "" if name == yardstick else f" ({round(value - true['energy_meV'][n], 2) + 0.0:+.2f})"
            cells.append("–" if np.isnan(value) else f"{value:.2f}{off}")
        rows.append([f"{t:.4g}", *cells])
    said = "Kinetic energy of the ion and its energy with its atoms, mean over the time just before, and in brackets the difference from the first column. "
    return [
        "## Energy left to the ion (meV)",
        markdown.table(["t (ps)", *order], rows),
        said + "What is lost has gone into the crystal as sound.",
    ]


def _path_section(config: Config, summary: dict[str, Any]) -> list[str]:
    entries, yardstick = summary["rungs"], summary["yardstick"]
    if len(entries) < 2:
        return ["## Cost", _error_table(entries, False)]
    echo = summary["echo_time_ps"] < config.run.duration
    table = _error_table(entries, echo)
    return [
        f"## Paths against that of `{yardstick}`",
        table,
        "RMS: root mean square distance of the two ions, also in % of how far the true one goes (rms from its mean place). "
        f"Apart: when they are first more than {APART} Å apart.",
    ]


def _linear_section(modes: dict[str, Any]) -> list[str]:
    """Small oscillations: rates, and which of the two approximations makes the error."""
    true = modes.get("exact")
    rows = []
    for name, mode in modes.items():
        off = "" if true is None or name == "exact" else markdown.percent(percent(mode["rate_per_ps"], true["rate_per_ps"]))
        period_off = "" if true is None or name == "exact" else markdown.percent(percent(mode["period_ps"], true["period_ps"]))
        rows.append([name, markdown.number(mode["rate_per_ps"] + 0.0, 5), off, markdown.number(mode["period_ps"], 6), period_off])
    parts = [
        "## Small oscillations, by linear response",
        markdown.table(["", "rate (1/ps)", "error (%)", "period (ps)", "error (%)"], rows),
    ]
    if true is not None and {"implicit", "time-local"} <= set(modes):
        friction = percent(modes["implicit"]["rate_per_ps"], true["rate_per_ps"])
        closure = percent(modes["time-local"]["rate_per_ps"], modes["implicit"]["rate_per_ps"])
        greater = "friction taken at ω → 0" if abs(friction) > abs(closure) else "first-order step in the force"
        parts.append(
            "No time stepping: the complex frequency from the response Ĝ(ω) of the infinite crystal. `implicit` differs from "
            "the exact one only in that the "
            f"friction is taken at ω → 0 instead of at the ion's own {with_terahertz(true['omega_rad_per_ps'], 3)}: that alone changes the rate by "
            f"{markdown.percent(friction)} %. `time-local` differs from `implicit` in that forces are expanded to first order "
            "about the undisturbed lattice: that changes "
            f"it by another {markdown.percent(closure)} %. **Here the {greater} is the greater error.**"
        )
    return parts


def _decay_section(summary: dict[str, Any]) -> list[str]:
    entries, yardstick = summary["rungs"], summary["yardstick"]
    parts = ["## Decay rate at equal energy (1/ps)", _rate_table(summary["rates_at_equal_energy"])]
    echo = "after_echo" in summary["windows_ps"]
    until = f"those that `{yardstick}` has{' before the echo of the reference' if echo else ''}."
    parts.append(
        "From the kinetic energy at passages one period apart. The rate depends on the amplitude, so this is the fair comparison; the "
        f"energies are {until}"
    )
    for span, (start, end) in summary["windows_ps"].items():
        spoilt = ", where the echo spoils the reference" if span == "after_echo" else ""
        parts += [f"## Decay and period from {start:.2f} to {end:.2f} ps{spoilt}", _decay_table(entries, span)]
    said = (
        "Decay rate: of the kinetic energy at the passages, from a line through ln E against t, ± its standard error. At equal times a "
        "method that decays too slowly has more energy left, where the rate is higher: this flatters it."
    )
    lossless = [name for name in method_names.lossless() if name in entries]
    if lossless:
        said += f" {verdict.names(lossless)} {'has' if len(lossless) == 1 else 'have'} no loss; their passage energies scatter by the error of the time step."
    return [*parts, said]


def _rate_table(rates: dict[str, Any]) -> str:
    rows = []
    for name, values in rates["rate_per_ps"].items():
        if name in method_names.lossless():
            continue
        off = rates["difference_percent"].get(name)
        cells = [
            markdown.number(v) if off is None or np.isnan(v) else f"{markdown.number(v)} ({markdown.percent(off[n])} %)"
            for n, v in enumerate(values)
        ]
        rows.append([name, *cells])
    return markdown.table(["method", *(f"at {e:.3g} meV" for e in rates["energy_meV"])], rows)


def _decay_table(entries: dict[str, Any], span: str) -> str:
    rows = []
    for name, entry in entries.items():
        rate, error = entry["decay_rate_per_ps"][span], entry["decay_rate_error_per_ps"][span]
        off = entry.get("difference")
        shown = markdown.measured(rate, error)
        rate_off = markdown.percent(off["decay_rate_percent"][span]) if off and name not in method_names.lossless() else ""
        period_off = markdown.percent(off["period_percent"][span]) if off else ""
        rows.append([name, shown, rate_off, markdown.number(entry["period_ps"][span], 5), period_off])
    return markdown.table(["method", "rate (1/ps)", "error (%)", "period (ps)", "error (%)"], rows)


def _error_table(entries: dict[str, Any], echo: bool) -> str:
    """Distances, drift and cost; ``echo``: also of the time before it alone."""
    compared = any("difference" in entry for entry in entries.values())
    early = ["RMS until echo (Å)", "RMS until echo (%)", "largest until echo (Å)"] if echo else []
    whole = ["RMS, whole run (Å)"] if echo else ["RMS (Å)", "RMS (%)", "largest (Å)"]
    header = ["method", *([*early, *whole, "apart at (ps)"] if compared else []), "energy drift", "cost (ms per ps)"]
    rows = []

    for name, entry in entries.items():
        off, cells = entry.get("difference"), []
        for span in (("until_echo",) if echo else ("whole",)) if compared else ():
            keys = ("rms_position_A", "rms_position_percent", "max_position_A")
            cells += [markdown.short(off[key][span]) for key in keys] if off else [""] * 3
        if echo:
            cells.append(markdown.short(off["rms_position_A"]["whole"]) if off else "")
        if compared:
            cells.append("never" if off and off["apart_at_ps"] is None else markdown.number(off["apart_at_ps"], 3) if off else "")
        rows.append([name, *cells, markdown.number(entry["energy_drift"], 2), markdown.short(1e3 * entry["seconds_per_ps"])])
    return markdown.table(header, rows)


def _crossing_table(summary: dict[str, Any], most: int = 20) -> str:
    entries, yardstick = summary["rungs"], summary["yardstick"]
    truth = entries[yardstick]
    others = [name for name in entries if name != yardstick]
    count = len(truth["crossing_time_ps"])
    rows = []
    for n in range(min(count, most)):
        row = [str(n + 1), f"{truth['crossing_time_ps'][n]:.4f}", f"{truth['crossing_kinetic_energy_meV'][n]:.5g}"]
        for name in others:
            entry = entries[name]
            energies = entry["crossing_kinetic_energy_meV"]
            if n >= min(len(energies), count):
                row.append("–")
            elif name in method_names.lossless():
                row.append(f"{energies[n]:.4g}")
            else:
                row.append(f"{energies[n]:.5g} ({markdown.percent(entry['difference']['crossing_kinetic_energy_percent'][n])} %)")
        rows.append(row)
    header = ["passage", f"t of {yardstick} (ps)", yardstick, *others]
    more = f"\n\n{count - most} more passages are in `summary.json`." if count > most else ""
    return markdown.table(header, rows) + more


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
    return markdown.table(list(names.values()), rows)
