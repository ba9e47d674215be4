"""Protocol ``rungs``: the same experiment by the explicit lattice and by the time-local rungs.

Meant for an ion that goes to and fro along one axis (`trapped`): its kinetic energy each time it passes the centre, the
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


APART = 0.1
"""Å; a rung's ion is apart from the reference's once it is this far from it."""


def check(config: Config) -> None:
    """Raises InputError for a configuration that this protocol can not use."""
    for method in ("reference", *config.validate_.rungs):
        config.replace(method=method)


def windows(duration: float, echo: float) -> dict[str, tuple[float, float]]:
    """Time windows (ps) for the fits: the later half of the time before the echo, and if there is one, as long again after it."""
    end = min(echo, duration)
    found = {"before_echo": (0.5 * end, end)}
    if echo < duration:
        found["after_echo"] = (echo, min(2.0 * echo, duration))
    return found


def oscillation_axis(config: Config, truth: Run) -> int:
    """The axis along which the ion starts, or, if it starts at rest, the one along which it goes farthest."""
    start = np.abs(config.ion.velocity)
    return int(np.argmax(start if start.any() else np.ptp(truth.position[:, 0], axis=0)))


def fine_sampling(config: Config) -> Config:
    """At least a frame every 20 fs, so that no passage goes unseen."""
    most = max(1, int(0.02 / config.run.dt))
    return config.replace(**{"run.sample_every": min(config.run.sample_every, most)})


def describe(run: Run, axis: int, level: float, spans: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Crossings, decay rates and periods of one run."""
    passed = analysis.crossings(run.time, run.position[:, 0, axis], run.velocity[:, 0, axis], level)
    mass = run.config.ion.mass[axis]
    energy = 0.5 * mass * passed.velocity**2
    rate_energy, rate = analysis.decay_against_energy(passed.time, energy)
    fits = {name: analysis.fit_decay(passed.time, energy, span) for name, span in spans.items()}
    return {
        "crossing_time_ps": passed.time,
        "crossing_kinetic_energy_meV": energy,
        "decay_against_energy": {"energy_meV": rate_energy, "rate_per_ps": rate},
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
    """What a rung gets wrong against the reference: rates, periods and passage energies in %, positions in Å."""
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
    apart = np.nonzero(distance > APART)[0]
    found["apart_at_ps"] = float(run.time[apart[0]]) if len(apart) else None
    for name, end in {"until_echo": spans["before_echo"][1], "whole": run.config.run.duration}.items():
        inside = distance[run.time <= end * (1.0 + 1e-12)]
        found["rms_position_A"][name] = float(np.sqrt(np.mean(inside**2)))
        found["max_position_A"][name] = float(inside.max())
    return found


def rates_at_equal_energy(entries: dict[str, Any], echo: float) -> dict[str, Any]:
    """Decay rates (1/ps) of all rungs at the same kinetic energies (meV): the rate depends on the amplitude, and at equal times the
    rungs have unequal ones. Energies are five between the reference's first full period and its last before the echo; empty
    if it has not three."""
    truth = entries["reference"]
    before = truth["crossing_time_ps"][2:] <= echo
    energy, rate = (truth["decay_against_energy"][key][before] for key in ("energy_meV", "rate_per_ps"))
    if len(energy) < 3 or np.any(np.diff(energy) >= 0.0):
        return {}
    chosen = np.geomspace(0.9 * energy[0], 1.1 * energy[-1], 5)
    found: dict[str, Any] = {"energy_meV": chosen, "rate_per_ps": {}, "difference_percent": {}}
    true_rate = np.interp(-chosen, -energy, rate)
    for name, entry in entries.items():
        own_energy, own_rate = (entry["decay_against_energy"][key] for key in ("energy_meV", "rate_per_ps"))
        if name == "reference":
            found["rate_per_ps"][name] = true_rate
        elif len(own_energy) >= 2 and np.all(np.diff(own_energy) < 0.0):
            mine = np.interp(-chosen, -own_energy, own_rate, left=np.nan, right=np.nan)
            found["rate_per_ps"][name] = mine
            found["difference_percent"][name] = 100.0 * (mine / true_rate - 1.0)
    return found


def budget(run: Run) -> dict[str, np.ndarray]:
    """The reference's energies at its budgets' times, meV."""
    names = ("time", "elastic", "framework_kinetic", "interaction", "ion_kinetic")
    return {name: run.data[f"energy_{name}"] for name in names} | {"total": run.total_energy}


def compare(config: Config, job: Job) -> Outcome:
    """Run the reference and the rungs side by side and compare them. Raises RunError if the reference itself has to stop."""
    from mdlite.validation import Outcome

    config = fine_sampling(config)
    truth = job.run(config.replace(method="reference"), "reference")
    runs, failures = {"reference": truth}, {}
    for method in config.validate_.rungs:
        run = job.attempt(config.replace(method=method), method, failures)
        if run is not None:
            runs[method] = run
    echo = config.to_model().echo_time
    spans = windows(config.run.duration, echo)
    axis = oscillation_axis(config, truth)
    level = config.ion.position[axis] if config.validate_.centre is None else config.validate_.centre
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
        "stopped": failures,
        "rates_at_equal_energy": rates_at_equal_energy(entries, echo),
        "energy_budget": budget(truth),
    }
    figures = {
        "trajectory.png": lambda: plots.rung_trajectories(runs, axis, echo),
        "decay.png": lambda: plots.rung_decay(entries, config.run.duration, echo),
        "energy-budget.png": lambda: plots.energy_budget(truth, echo),
        "difference.png": lambda: plots.rung_differences(runs, echo),
    }
    if not summary["rates_at_equal_energy"]:
        del figures["decay.png"]
    return Outcome(summary, _body(config, summary), figures)


def _body(config: Config, summary: dict[str, Any]) -> str:
    entries, echo = summary["rungs"], summary["echo_time_ps"]
    size = " × ".join(str(n) for n in config.lattice.size)
    reached = echo < config.run.duration
    parts = [
        f"The explicit lattice of {size} atoms (`reference`, velocity Verlet) against the ion alone in an effective medium, from the "
        f"same start, with the same step of {config.run.dt:g} ps, for {config.run.duration:g} ps. The lattice starts at rest and "
        "undisplaced, so it rings while it adapts to the ion; the rungs have the adapted framework from the start.",
        f"**Echo.** The lattice is periodic: the ion's own sound comes back after (N - extent) a/c = {echo:.3f} ps. "
        + (
            "From then on the reference is no longer the infinite crystal's, which the rungs describe; the figures shade that time."
            if reached
            else "The run ends before that."
        ),
    ]
    parts += [f"**{name} stopped.** {reason}" for name, reason in summary["stopped"].items()]
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
    parts += ["## Energy budget of the reference (meV)", _budget_table(summary["energy_budget"])]
    return "\n\n".join(parts)


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
            report.number(v) if off is None else f"{report.number(v)} ({report.percent(off[n])} %)" for n, v in enumerate(values)
        ]
        rows.append([name, *cells])
    return report.table(["rung", *(f"at {e:.3g} meV" for e in rates["energy_meV"])], rows)


def _decay_table(entries: dict[str, Any], span: str) -> str:
    rows = []
    for name, entry in entries.items():
        rate, error = entry["decay_rate_per_ps"][span], entry["decay_rate_error_per_ps"][span]
        off = entry.get("difference")
        shown = "–" if np.isnan(rate) else f"{rate:.4g} ± {error:.1g}"
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
    rows = [[f"{energies[key][n]:.6g}" for key in names] for n in chosen]
    return report.table(list(names.values()), rows)
