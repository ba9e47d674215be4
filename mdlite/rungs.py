"""Protocol ``rungs``: the same experiment by the explicit lattice and by the time-local rungs.

Meant for an ion that goes to and fro along one axis (`trapped`): its kinetic energy each time it passes its starting point, the
decay rate of that energy, the period. For any other motion, the differences of the trajectories and the energy budget remain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis, plots, report
from mdlite.config import Config

if TYPE_CHECKING:
    from mdlite.simulate import Run
    from mdlite.validation import Job, Outcome


def check(config: Config) -> None:
    """Raises InputError for a configuration that this protocol can not use."""
    for method in config.validate_.rungs:
        config.replace(method=method)


def windows(duration: float, echo: float) -> dict[str, tuple[float, float]]:
    """Time windows (ps) for the fits: the later half of the time before the echo, as long again after it, the later half of all."""
    end = min(echo, duration)
    found = {"before_echo": (0.5 * end, end)}
    if echo < duration:
        found["after_echo"] = (echo, min(2.0 * echo, duration))
    found["late"] = (0.5 * duration, duration)
    return found


def oscillation_axis(config: Config) -> int:
    """The axis along which the ion starts."""
    return int(np.argmax(np.abs(config.ion.velocity)))


def describe(run: Run, axis: int, level: float, spans: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Crossings, decay rates and periods of one run."""
    passed = analysis.crossings(run.time, run.position[:, 0, axis], run.velocity[:, 0, axis], level)
    mass = run.config.ion.mass[axis]
    energy = 0.5 * mass * passed.velocity**2
    fits = {name: analysis.fit_decay(passed.time, energy, span) for name, span in spans.items()}
    return {
        "crossing_time_ps": passed.time,
        "crossing_kinetic_energy_meV": energy,
        "decay_rate_per_ps": {name: fit.rate for name, fit in fits.items()},
        "decay_rate_error_per_ps": {name: fit.error for name, fit in fits.items()},
        "period_ps": {name: analysis.mean_period(passed.time, span) for name, span in spans.items()},
        "seconds": run.facts["run_seconds"],
        "seconds_per_ps": run.facts["run_seconds"] / run.config.run.duration,
        "energy_drift": run.facts["energy_drift"],
    }


def _percent(value: float, reference: float) -> float:
    return 100.0 * (value / reference - 1.0) if reference else float("nan")


def differences(entry: dict[str, Any], reference: dict[str, Any], run: Run, truth: Run, spans) -> dict[str, Any]:
    """What a rung gets wrong against the reference: rates, periods and crossing energies in %, positions in Å."""
    shared = min(len(entry["crossing_time_ps"]), len(reference["crossing_time_ps"]))
    energy, true_energy = entry["crossing_kinetic_energy_meV"][:shared], reference["crossing_kinetic_energy_meV"][:shared]
    found: dict[str, Any] = {
        "crossing_kinetic_energy_percent": 100.0 * (energy / true_energy - 1.0),
        "rms_position_A": {},
        "max_position_A": {},
    }
    for key in ("decay_rate_per_ps", "period_ps"):
        found[key.replace("_per_ps", "").replace("_ps", "") + "_percent"] = {
            name: _percent(entry[key][name], reference[key][name]) for name in spans
        }
    distance = np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1)
    for name, span in {"until_echo": (0.0, spans["before_echo"][1]), "whole": (0.0, run.config.run.duration)}.items():
        inside = distance[(run.time >= span[0]) & (run.time <= span[1])]
        found["rms_position_A"][name] = float(np.sqrt(np.mean(inside**2)))
        found["max_position_A"][name] = float(inside.max())
    return found


def budget(run: Run) -> dict[str, np.ndarray]:
    """The reference's energies at its budgets' times, meV."""
    names = ("time", "elastic", "framework_kinetic", "interaction", "ion_kinetic")
    return {name: run.data[f"energy_{name}"] for name in names} | {"total": run.total_energy}


def compare(config: Config, job: Job) -> Outcome:
    """Run the reference and the rungs side by side and compare them."""
    from mdlite.validation import Outcome

    truth = job.run(config.replace(method="reference"), "reference")
    runs = {"reference": truth}
    for method in config.validate_.rungs:
        runs[method] = job.run(config.replace(method=method), method)
    echo = config.to_model().echo_time
    spans = windows(config.run.duration, echo)
    axis = oscillation_axis(config)
    level = config.ion.position[axis]
    entries = {name: describe(run, axis, level, spans) for name, run in runs.items()}
    for name, entry in entries.items():
        if name != "reference":
            entry["difference"] = differences(entry, entries["reference"], runs[name], truth, spans)
    summary = {
        "echo_time_ps": echo,
        "windows_ps": spans,
        "axis": "xyz"[axis],
        "centre_A": level,
        "rungs": entries,
        "energy_budget": budget(truth),
    }
    figures = {
        "trajectory.png": lambda: plots.rung_trajectories(runs, axis, echo),
        "decay.png": lambda: plots.rung_decay(entries, spans, echo),
        "energy-budget.png": lambda: plots.energy_budget(truth),
        "difference.png": lambda: plots.rung_differences(runs, echo),
    }
    if len(entries["reference"]["crossing_time_ps"]) < 3:
        del figures["decay.png"]
    return Outcome(summary, _body(config, summary), figures)


def _body(config: Config, summary: dict[str, Any]) -> str:
    entries, spans, echo = summary["rungs"], summary["windows_ps"], summary["echo_time_ps"]
    size = " × ".join(str(n) for n in config.lattice.size)
    reached = echo < config.run.duration
    parts = [
        f"The explicit lattice of {size} atoms (`reference`, velocity Verlet) against the ion alone in an effective medium, from the "
        f"same start, with the same step of {config.run.dt:g} ps, for {config.run.duration:g} ps. The lattice starts at rest and "
        "undisplaced, so it rings while it adapts to the ion; the rungs have the adapted framework from the start.",
        f"**Echo.** The lattice is periodic: the ion's own sound comes back after (N - extent) a/c = {echo:.3f} ps. "
        + (
            "From then on the reference is no longer the infinite crystal's, which the rungs describe; the figures mark it."
            if reached
            else "The run ends before that."
        ),
        "## Decay and period",
        _decay_table(entries, spans),
        "Decay rate: of the ion's kinetic energy at its passages through the starting point, from a line through ln E against t, ± its "
        "standard error. Windows: " + "; ".join(f"{k.replace('_', ' ')} {a:.2f}–{b:.2f} ps" for k, (a, b) in spans.items()) + ".",
        "## Trajectories against the reference",
        _error_table(entries),
        "## Kinetic energy at each passage (meV)",
        _crossing_table(entries),
        "## Energy budget of the reference (meV)",
        _budget_table(summary["energy_budget"]),
    ]
    return "\n\n".join(parts)


def _decay_table(entries: dict[str, Any], spans) -> str:
    header = ["rung"]
    for name in spans:
        label = name.replace("_", " ")
        header += [f"rate {label} (1/ps)", "error (%)", f"period {label} (ps)", "error (%)"]
    rows = []
    for name, entry in entries.items():
        row = [name]
        for span in spans:
            off = entry.get("difference", {})
            row += [
                f"{report.number(entry['decay_rate_per_ps'][span])} ± {report.number(entry['decay_rate_error_per_ps'][span], 1)}",
                report.percent(off["decay_rate_percent"][span]) if off else "",
                report.number(entry["period_ps"][span], 5),
                report.percent(off["period_percent"][span]) if off else "",
            ]
        rows.append(row)
    return report.table(header, rows)


def _error_table(entries: dict[str, Any]) -> str:
    header = ["rung", "RMS until echo (Å)", "largest until echo (Å)", "RMS, whole run (Å)", "energy drift", "cost (s per ps)"]
    rows = []
    for name, entry in entries.items():
        off = entry.get("difference")
        distances = (
            [off["rms_position_A"]["until_echo"], off["max_position_A"]["until_echo"], off["rms_position_A"]["whole"]]
            if off
            else [""] * 3
        )
        rows.append([name, *distances, entry["energy_drift"], entry["seconds_per_ps"]])
    return report.table(header, rows)


def _crossing_table(entries: dict[str, Any], most: int = 40) -> str:
    truth = entries["reference"]
    count = len(truth["crossing_time_ps"])
    rows = []
    for n in range(min(count, most)):
        row = [str(n + 1), f"{truth['crossing_time_ps'][n]:.4f}", f"{truth['crossing_kinetic_energy_meV'][n]:.5g}"]
        for entry in list(entries.values())[1:]:
            energies = entry["crossing_kinetic_energy_meV"]
            off = entry["difference"]["crossing_kinetic_energy_percent"]
            row.append(f"{energies[n]:.5g} ({off[n]:+.1f} %)" if n < min(len(energies), count) else "–")
        rows.append(row)
    header = ["passage", "t of reference (ps)", "reference", *list(entries)[1:]]
    more = f"\n\n{count - most} more passages are in `summary.json`." if count > most else ""
    return report.table(header, rows) + more if rows else "The ion does not pass its starting point again."


def _budget_table(energies: dict[str, np.ndarray]) -> str:
    chosen = np.unique(np.linspace(0, len(energies["time"]) - 1, 11).astype(int))
    names = {
        "time": "t (ps)",
        "ion_kinetic": "ion kinetic",
        "interaction": "interaction",
        "framework_kinetic": "framework kinetic",
    }
    names |= {"elastic": "elastic", "total": "total"}
    rows = [[f"{energies[key][n]:.6g}" for key in names] for n in chosen]
    return report.table(list(names.values()), rows)
