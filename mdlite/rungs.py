"""Protocol ``rungs``: the same experiment by the explicit lattice and by the time-local rungs.

Meant for an ion that goes to and fro along one axis (`trapped`): its kinetic energy each time it passes the centre, the
decay rate of that energy, the period. For any other motion, the differences of the trajectories and the energy budget remain.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis, linear, plots, rungs_report
from mdlite.config import Config

if TYPE_CHECKING:
    from mdlite.model import Model
    from mdlite.simulate import Run
    from mdlite.validation import Job, Outcome


LINEAR = ("time-local", "implicit", "static")
"""Rungs whose small oscillations a ladder lists."""


def check(config: Config) -> None:
    """Raises InputError for a configuration that this protocol can not use."""
    true_setting(config)
    rungs_of(config)


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
            name: rungs_report.percent(entry[key][name], reference[key][name]) for name in spans
        }
    distance = np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1)
    apart = np.nonzero(distance > rungs_report.APART)[0]
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


def true_setting(config: Config) -> Config:
    """The run that all others are compared with."""
    if config.validate_.reference == "memory-kernel":
        return config.replace(method="memory-kernel", **{"memory.kernel": "verlet"})  # the step's error is that of the lattices
    return config.replace(method="reference", **{"lattice.boundary": config.validate_.reference})


def echo_of(config: Config) -> float:
    """When the reference's echo comes, ps: never in the infinite crystal, nor, but for a stated reflection, through an absorbing layer."""
    return config.to_model().echo_time if config.validate_.reference == "periodic" else math.inf


def rungs_of(config: Config) -> dict[str, Config]:
    """What is compared with the reference, by name: the rungs, and for a ladder periodic lattices of several sizes."""
    found = {}
    if config.validate_.ladder:
        for size in config.validate_.sizes:
            found[f"periodic-{size}"] = config.replace(
                method="reference", **{"lattice.size": size, "lattice.boundary": "periodic"}
            )
    return found | {method: config.replace(method=method) for method in config.validate_.rungs}


def echo_onset(run: Run, truth: Run) -> dict[str, float | None]:
    """When a periodic lattice's ion leaves that of the infinite crystal by more than 1e-9 Å, and when its echo is due, ps."""
    apart = np.nonzero(np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1) > 1e-9)[0]
    return {"echo_time_ps": run.config.to_model().echo_time, "leaves_at_ps": float(run.time[apart[0]]) if len(apart) else None}


def _centred(config: Config, axis: int, level: float) -> Model:
    """The model with the ion at rest in the middle of its oscillation."""
    position = [level if c == axis else x for c, x in enumerate(config.ion.position)]
    return config.replace(**{"ion.position": position, "ion.velocity": [0.0, 0.0, 0.0]}).to_model()


def compare(config: Config, job: Job) -> Outcome:
    """Run the reference and the rungs side by side and compare them. Raises RunError if the reference itself has to stop."""
    from mdlite.validation import Outcome

    config = fine_sampling(config)
    truth = job.run(true_setting(config), "reference")
    runs, failures = {"reference": truth}, {}
    for name, setting in rungs_of(config).items():
        run = job.attempt(setting, name, failures)
        if run is not None:
            runs[name] = run
    echo = echo_of(config)
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
        "energy_budget": budget(truth) if "energy_elastic" in truth.data else None,
        "truth": config.validate_.reference,
        "echoes": {name: echo_onset(run, truth) for name, run in runs.items() if name.startswith("periodic")},
        "linear_response": linear.modes(_centred(config, axis, level), axis, list(LINEAR)) if config.validate_.ladder else {},
    }
    figures = {
        "trajectory.png": lambda: plots.rung_trajectories(runs, axis, echo),
        "decay.png": lambda: plots.rung_decay(entries, config.run.duration, echo),
        "energy-budget.png": lambda: plots.energy_budget(truth, echo),
        "difference.png": lambda: plots.rung_differences(runs, echo),
    }
    if not summary["rates_at_equal_energy"]:
        del figures["decay.png"]
    if summary["energy_budget"] is None:
        del figures["energy-budget.png"]
    if config.validate_.ladder:
        sizes = {name: run for name, run in runs.items() if name.startswith("periodic")}
        figures["finite-size.png"] = lambda: plots.finite_size(sizes, truth)
    return Outcome(summary, rungs_report.body(config, summary), figures)
