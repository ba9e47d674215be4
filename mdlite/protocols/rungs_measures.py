"""What the protocol `rungs` measures, by the kind of motion that the true ion has.

An ``oscillation`` goes to and fro through a plane, along one axis and often enough before the echo: its energy at every passage, the decay rate of
that energy, the period. Anything else is ``free``: distance of the paths, when they part, and the energy that is left to the ion. Passages of a
plane say nothing of an ion that comes by another way each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis
from mdlite.protocols.rungs_report import APART, percent

if TYPE_CHECKING:
    from mdlite.simulation.simulate import Run

OSCILLATION, FREE = "oscillation", "free"
SIDEWAYS = 0.05
"""Of the amplitude along its axis: what an oscillation may move across it."""
ENERGY_TIMES = 10
"""Times at which the energy left to the ion is compared."""
ENERGY_WINDOW = 0.3
"""ps, over which it is averaged before each of them, or less in a short run."""


def kind_of_motion(truth: Run, axis: int, level: float, echo: float) -> str:
    """``oscillation`` or ``free``, of the run that all others are compared with."""
    spread = np.ptp(truth.position[:, 0], axis=0)
    straight = np.all(np.delete(spread, axis) <= SIDEWAYS * spread[axis])
    passed = analysis.crossings(truth.time, truth.position[:, 0, axis], truth.velocity[:, 0, axis], level)
    energy, _ = analysis.decay_against_energy(passed.time, passed.velocity**2)
    before = energy[passed.time[2:] <= echo]
    return OSCILLATION if straight and len(before) >= 3 and np.all(np.diff(before) < 0.0) else FREE


def windows(duration: float, echo: float) -> dict[str, tuple[float, float]]:
    """Time windows (ps) for the fits: the later half of the time before the echo, and if there is one, as long again after it."""
    end = min(echo, duration)
    found = {"before_echo": (0.5 * end, end)}
    if echo < duration:
        found["after_echo"] = (echo, min(2.0 * echo, duration))
    return found


def oscillation(run: Run, axis: int, level: float, spans: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Crossings, decay rates and periods of one run."""
    passed = analysis.crossings(run.time, run.position[:, 0, axis], run.velocity[:, 0, axis], level)
    energy = 0.5 * run.config.ion.mass[axis] * passed.velocity**2
    rate_energy, rate = analysis.decay_against_energy(passed.time, energy)
    fits = {name: analysis.fit_decay(passed.time, energy, span) for name, span in spans.items()}
    return {
        "crossing_time_ps": passed.time,
        "crossing_kinetic_energy_meV": energy,
        "decay_against_energy": {"energy_meV": rate_energy, "rate_per_ps": rate},
        "decay_rate_per_ps": {name: fit.rate for name, fit in fits.items()},
        "decay_rate_error_per_ps": {name: fit.error for name, fit in fits.items()},
        "period_ps": {name: analysis.mean_period(passed.time, span) for name, span in spans.items()},
    }


def ion_energy(run: Run) -> dict[str, np.ndarray]:
    """Kinetic energy of the ion and its energy with its atoms (meV), each mean over the last part of ten equal times."""
    energy = run.ion_kinetic[:, 0] + run.interaction[:, 0]
    end = run.config.run.duration
    times = end * np.arange(1, ENERGY_TIMES + 1) / ENERGY_TIMES
    width = min(ENERGY_WINDOW, end / ENERGY_TIMES)
    inside = [(run.time > t - width) & (run.time <= t * (1.0 + 1e-12)) for t in times]
    return {"time_ps": times, "energy_meV": np.array([energy[chosen].mean() if chosen.any() else np.nan for chosen in inside])}


def entry(run: Run) -> dict[str, Any]:
    """What every run has: the ion's energy against time, cost, drift."""
    return {
        "ion_energy": ion_energy(run),
        "seconds": run.facts["run_seconds"],
        "setup_seconds": run.facts["setup_seconds"],
        "seconds_per_ps": run.facts["run_seconds"] / run.config.run.duration,
        "energy_drift": run.facts["energy_drift"],
    }


def path_differences(run: Run, truth: Run, echo: float) -> dict[str, Any]:
    """How far a run's ion is from the true one, Å, also over how far that one goes (rms from its mean place), %, and when they part."""
    distance = np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1)
    goes = float(np.sqrt(np.mean(np.sum((truth.position[:, 0] - truth.position[:, 0].mean(axis=0)) ** 2, axis=1))))
    apart = np.nonzero(distance > APART)[0]
    found: dict[str, Any] = {"rms_position_A": {}, "max_position_A": {}, "rms_position_percent": {}}
    found["apart_at_ps"] = float(run.time[apart[0]]) if len(apart) else None
    duration = run.config.run.duration
    spans = ({"until_echo": echo} if echo < duration else {}) | {"whole": duration}
    for name, end in spans.items():
        inside = distance[run.time <= end * (1.0 + 1e-12)]
        found["rms_position_A"][name] = float(np.sqrt(np.mean(inside**2)))
        found["max_position_A"][name] = float(inside.max())
        found["rms_position_percent"][name] = 100.0 * found["rms_position_A"][name] / goes if goes else float("nan")
    return found


def oscillation_differences(entry: dict[str, Any], truth: dict[str, Any], spans) -> dict[str, Any]:
    """What a run's rates, periods and energies at the passages are off by, in %."""
    shared = min(len(entry["crossing_time_ps"]), len(truth["crossing_time_ps"]))
    energy, true_energy = entry["crossing_kinetic_energy_meV"][:shared], truth["crossing_kinetic_energy_meV"][:shared]
    found: dict[str, Any] = {"crossing_kinetic_energy_percent": 100.0 * (energy / true_energy - 1.0)}
    for key in ("decay_rate_per_ps", "period_ps"):
        name = key.replace("_per_ps", "").replace("_ps", "") + "_percent"
        found[name] = {span: percent(entry[key][span], truth[key][span]) for span in spans}
    return found


def rates_at_equal_energy(entries: dict[str, Any], yardstick: str, echo: float) -> dict[str, Any]:
    """Decay rates (1/ps) of all runs at the same kinetic energies (meV): the rate depends on the amplitude, and at equal times they have unequal
    ones. Energies are five between the true ion's first full period and its last before the echo; empty if it has not three."""
    truth = entries[yardstick]
    before = truth["crossing_time_ps"][2:] <= echo
    energy, rate = (truth["decay_against_energy"][key][before] for key in ("energy_meV", "rate_per_ps"))
    if len(energy) < 3 or np.any(np.diff(energy) >= 0.0):
        return {}
    chosen = np.geomspace(0.9 * energy[0], 1.1 * energy[-1], 5)
    found: dict[str, Any] = {"energy_meV": chosen, "rate_per_ps": {}, "difference_percent": {}}
    true_rate = np.interp(-chosen, -energy, rate)
    for name, one in entries.items():
        own_energy, own_rate = (one["decay_against_energy"][key] for key in ("energy_meV", "rate_per_ps"))
        if name == "reference":  # a lattice, whose echo may turn its energy up again
            kept = one["crossing_time_ps"][2:] <= echo
            own_energy, own_rate = own_energy[kept], own_rate[kept]
        if name == yardstick:
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
