"""Protocol ``rungs``: the same experiment by the explicit lattice and by the time-local rungs.

What is compared depends on the motion (`mdlite.protocols.rungs_measures`): for an ion that goes to and fro along one axis
(`trapped`) its kinetic energy each time it passes the centre, the decay rate of that energy, the period; for any other (`throw`)
the distance of the paths and the energy left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.accuracy import small_oscillations
from mdlite.config import Config
from mdlite.engines import registry
from mdlite.errors import InputError
from mdlite.protocols import rungs_measures as measures
from mdlite.protocols import rungs_report
from mdlite.protocols.base import Job, Outcome, of_default, sound
from mdlite.report import plots, verdict
from mdlite.simulation.watchers import budget_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from mdlite.physics.model import Model
    from mdlite.simulation.simulate import Run


EXACT = "memory-kernel"
"""The method that solves the exact equation in the infinite crystal."""
FRAME, BUDGET = 0.02, 0.08
"""ps between frames and between energy budgets, at most."""


def check(config: Config) -> None:
    """Raises InputError for a configuration that this protocol cannot use."""
    if config.crystal is not None:
        _check_crystal(config)
    true_setting(config)
    rungs_of(config)


def _check_crystal(config: Config) -> None:
    chosen = config.validate_
    if chosen.reference not in ("periodic", EXACT):
        raise InputError(
            f'validate.reference = "{chosen.reference}": is for a [lattice]; in a [crystal] give "periodic" or "{EXACT}"'
        )
    if chosen.ladder:
        raise InputError(
            "validate.ladder = true: its linear response, and its periodic lattices, are those of the simple cubic [lattice]; take it out in a [crystal]"
        )


def settings(config: Config) -> list[Config]:
    """What will be run."""
    more = [config.replace(method=method) for method in _linear_methods()] if config.validate_.ladder else []
    return [true_setting(config), *rungs_of(config)[0].values(), *more]


def oscillation_axis(config: Config, truth: Run) -> int:
    """The axis along which the ion starts, or, if it starts at rest, the one along which it goes farthest."""
    start = np.abs(config.ion.velocity)
    return int(np.argmax(start if start.any() else np.ptp(truth.position[:, 0], axis=0)))


def fine_sampling(config: Config) -> Config:
    """At least a frame every 20 fs, so that no passage goes unseen, and budgets enough to see the energies swing (unless
    run.energy_every is given)."""
    most, budget = (max(1, int(time / config.run.dt)) for time in (FRAME, BUDGET))
    usual = min(budget_interval(config), budget) if config.run.energy_every is None else config.run.energy_every
    return config.replace(**{"run.sample_every": min(config.run.sample_every, most), "run.energy_every": usual})


def true_setting(config: Config) -> Config:
    """The run that all others are compared with."""
    if config.validate_.reference == "memory-kernel":
        return _setting(config, EXACT)
    if config.crystal is not None:
        return sound(config.replace(method="reference"))
    return config.replace(method="reference", **{"lattice.boundary": config.validate_.reference})


def echo_of(config: Config) -> float:
    """When the reference's echo comes, ps: never in the infinite crystal, nor, but for a stated reflection, through an absorbing layer."""
    return config.to_model().echo_time if config.validate_.reference == "periodic" else math.inf


def rungs_of(config: Config) -> tuple[dict[str, Config], dict[str, str]]:
    """What is compared with the reference, by name: the rungs, and for a ladder periodic lattices of several sizes; and why a rung is left out.

    Left out is what the default list has of the exact method and the patch, where it cannot run or takes too long, and of methods that do not
    take a [crystal], where there is one. Raises InputError for any
    other rung that cannot run.
    """
    found: dict[str, Config] = {}
    if config.validate_.ladder:
        for size in config.validate_.sizes:
            found[f"periodic-{size}"] = config.replace(
                method="reference", **{"lattice.size": size, "lattice.boundary": "periodic"}
            )
    by_itself = tuple(config.validate_.rungs) == registry.rungs()
    chosen, left_out = of_default(config.validate_.rungs, registry.rungs(), config, _setting)
    for method in chosen:
        if method == EXACT and config.validate_.reference == EXACT:
            continue  # it is the reference
        long = registry.find(method).takes_long(config)
        if by_itself and long is not None:
            left_out[method] = long
            continue
        try:
            found[method] = _setting(config, method)
        except InputError as error:
            if not by_itself or not registry.find(method).costly or (config.crystal is None and config.lattice.k2 == 0.0):
                raise
            left_out[method] = " ".join(str(error).split())
    return found, left_out


def _setting(config: Config, method: str) -> Config:
    """One rung's run, with the step's error of the lattice where it can have that."""
    return sound(config.replace(method=method, **registry.find(method).beside_a_lattice))


def _linear_methods() -> tuple[str, ...]:
    """Rungs whose small oscillations a ladder lists."""
    return registry.names(linear=True)


def yardstick_of(config: Config, runs: dict[str, Run]) -> str:
    """Which run the others are measured by: the reference, or, where that has an echo or a layer that reflects, the exact equation if it was run."""
    finite = config.validate_.reference in ("periodic", "absorbing")
    return EXACT if finite and EXACT in runs else "reference"


def echo_onset(run: Run, truth: Run) -> dict[str, float | None]:
    """When a periodic lattice's ion leaves that of the infinite crystal by more than 1e-9 Å, and when its echo is due, ps."""
    apart = np.nonzero(np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1) > 1e-9)[0]
    return {"echo_time_ps": run.config.to_model().echo_time, "leaves_at_ps": float(run.time[apart[0]]) if len(apart) else None}


def _centred(config: Config, axis: int, level: float) -> Model:
    """The model with the ion at rest in the middle of its oscillation."""
    position = [level if c == axis else x for c, x in enumerate(config.ion_position)]
    return config.cartesian().replace(**{"ion.position": position, "ion.velocity": [0.0, 0.0, 0.0]}).to_model()


def compare(config: Config, job: Job) -> Outcome:
    """Run the reference and the rungs side by side and compare them. Raises RunError if the reference itself has to stop."""
    config = fine_sampling(config)
    runs = {"reference": job.run(true_setting(config), "reference")}
    failures: dict[str, str] = {}
    wanted, left_out = rungs_of(config)
    for name, setting in wanted.items():
        run = job.attempt(setting, name, failures)
        if run is not None:
            runs[name] = run
    yardstick = yardstick_of(config, runs)
    axis = oscillation_axis(config, runs[yardstick])
    level = config.ion_position[axis] if config.validate_.centre is None else config.validate_.centre
    summary: dict[str, Any] = {
        "truth": config.validate_.reference,
        "yardstick": yardstick,
        "axis": "xyz"[axis],
        "centre_A": level,
    }
    summary |= {"stopped": failures, "left_out": left_out} | numbers(config, runs, yardstick, axis, level)
    summary["linear_response"] = _linear(config, runs, axis, level)
    summary |= verdict.rungs(summary)
    return Outcome(summary, rungs_report.body(config, summary), figures(runs, summary), verdict=summary["verdict"])


def numbers(config: Config, runs: dict[str, Run], yardstick: str, axis: int, level: float) -> dict[str, Any]:
    """Everything that is measured, for summary.json."""
    reference, truth, echo = runs["reference"], runs[yardstick], echo_of(config)
    spans = measures.windows(config.run.duration, echo)
    kind = measures.kind_of_motion(truth, axis, level, echo)
    swings = kind == measures.OSCILLATION
    entries = {name: measures.entry(run) for name, run in runs.items()}
    for name, entry in entries.items():
        if swings:
            entry |= measures.oscillation(runs[name], axis, level, spans)
    for name, entry in entries.items():
        if name != yardstick:
            entry["difference"] = measures.path_differences(runs[name], truth, echo)
            if swings:
                entry["difference"] |= measures.oscillation_differences(entry, entries[yardstick], spans)
    return {
        "kind": kind,
        "echo_time_ps": echo,
        "windows_ps": spans if swings else {},
        "rungs": entries,
        "rates_at_equal_energy": measures.rates_at_equal_energy(entries, yardstick, echo) if swings else {},
        "energy_budget": measures.budget(reference) if "energy_elastic" in reference.data else None,
        "echoes": {name: echo_onset(run, truth) for name, run in runs.items() if name.startswith("periodic")},
    }


def _linear(config: Config, runs: dict[str, Run], axis: int, level: float) -> dict[str, Any]:
    """Small oscillations of a ladder, of those rungs that were run."""
    chosen = [name for name in _linear_methods() if name in runs]
    return small_oscillations.modes(_centred(config, axis, level), axis, chosen) if config.validate_.ladder else {}


def figures(runs: dict[str, Run], summary: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figures that this kind of motion has something to show in."""
    entries, echo, axis = summary["rungs"], summary["echo_time_ps"], "xyz".index(summary["axis"])
    duration = runs["reference"].config.run.duration
    found = {"trajectory.png": lambda: plots.rung_trajectories(runs, axis, echo)}
    if summary["rates_at_equal_energy"]:
        found["decay.png"] = lambda: plots.rung_decay(entries, duration, echo)
    else:
        found["ion-energy.png"] = lambda: plots.rung_energies(entries, echo)
    if summary["energy_budget"] is not None:
        found["energy-budget.png"] = lambda: plots.energy_budget(runs["reference"], echo)
    if len(runs) > 1:
        found["difference.png"] = lambda: plots.rung_differences(runs, echo, summary["yardstick"])
    sizes = {name: run for name, run in runs.items() if name.startswith("periodic")}
    if sizes:
        found["finite-size.png"] = lambda: plots.finite_size(sizes, runs[summary["yardstick"]])
    return found
