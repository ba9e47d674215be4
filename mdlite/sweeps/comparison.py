"""Task ``compare`` of a sweep: one experiment by the best method there is and by cheaper ones, and what these get wrong.

At T = 0 the truth is the exact non-local equation in the infinite crystal (memory kernel), at a temperature equipartition (T_ion, classical
start) and the patch. Nothing but the numbers is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis
from mdlite.accuracy import groups
from mdlite.accuracy.foretaste import FREE
from mdlite.accuracy.surrogate import METHODS
from mdlite.analysis import losses
from mdlite.config import Config
from mdlite.engines.timelocal import adiabatic_energy
from mdlite.errors import RunError
from mdlite.report import motion
from mdlite.simulation import simulate

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

MOST_UNSURE = 0.3
"""Relative standard error of a D that others are measured by."""
LEAST = 1e-3
"""Of the kinetic energy; less cannot be told from what the run's own error loses."""


def compare(config: Config) -> dict[str, float | None]:
    """The groups (`mdlite.accuracy.groups`) of a configuration, and the relative errors of METHODS by ``method.quantity``; None where there is none.

    T = 0: ``energy_loss`` (of the first period between passages of validate.centre, or in the run), ``force`` (the largest on the ion),
    ``path`` (rms distance of the positions where the force acts, weighted by its square, over the length of `mdlite.accuracy.groups.length`). At a
    temperature: ``temperature`` and
    ``diffusion`` with their ``_error``; no ``diffusion`` where the patch has not resolved it. ``method.stopped`` is 1 for a method that had to stop.
    Raises RunError if the truth has to.
    """
    groups.require(config)
    own = groups.probe(config)
    return own._asdict() | (_at_rest(config, own) if config.thermal is None else _thermal(config))


def settings(config: Config) -> list[Config]:
    """What `compare` will run."""
    methods = METHODS if config.thermal is not None else ("memory-kernel", *METHODS)
    return [config.replace(method=method) for method in methods]


def _attempt(config: Config) -> Run | None:
    """A run, or None for a method that has to stop, or is left with a selection of its ions."""
    try:
        run = simulate.run(config, notice=lambda line: None)
    except RunError:
        return None
    return None if losses.bias(run.facts, config.method) else run


def _at_rest(config: Config, own: groups.Groups) -> dict[str, Any]:
    bare = simulate.run(config.replace(method="memory-kernel"))
    dressed = _dressed(config, bare)
    speed = float(np.linalg.norm(bare.velocity[:, 0], axis=1).max())
    scale = groups.length(config.to_model(), own, speed) if own.rapidity > 0.0 else np.inf
    found: dict[str, Any] = {f"exact.{key}": value for key, value in _facts(dressed, dressed).items()}
    for method in METHODS:
        truth = bare if method == "patch" else dressed
        run = _attempt(config.replace(method=method))
        found[f"{method}.stopped"] = float(run is None)
        if run is not None:
            found |= {f"{method}.{key}": value for key, value in _errors(run, truth, scale).items()}
    return found


def _dressed(config: Config, bare: Run) -> Run:
    """The exact run from the crystal in equilibrium with the ion, which the time-local rungs take for granted (the patch begins bare).

    The bare one where the ion starts free of force, or where there is no such equilibrium.
    """
    force = np.linalg.norm(bare.force[:, 0], axis=1)
    pushed = max(np.linalg.norm(rows) for rows in _start_forces(config))
    if pushed < FREE * force.max():
        return bare
    return _attempt(config.replace(method="memory-kernel", **{"memory.start": "dressed"})) or bare


def _start_forces(config: Config) -> np.ndarray:
    """∇_r U of the candidate atoms at the ion's start, (A, 3) in meV/Å."""
    model = config.to_model()
    return model.interaction.gradient(model.apart(np.array(model.ion.position)))


def _facts(run: Run, truth: Run) -> dict[str, float | None]:
    """Energy lost by the ion, meV, and the largest force on it, meV/Å; the loss where the true ion has one."""
    return {"energy_loss": _loss(run, truth), "force": float(np.linalg.norm(run.force[:, 0], axis=1).max())}


def _loss(run: Run, truth: Run) -> float | None:
    """What the ion loses in its first period, where ``validate.centre`` is given, else in the run; None where that cannot be told."""
    axis = int(np.argmax(np.ptp(truth.position[:, 0], axis=0)))
    start = float(run.ion_kinetic[0, 0])
    if run.config.validate_.centre is not None:
        if _return(truth, axis) is None:
            return None
        speed = _return(run, axis)
        return start if speed is None else start - 0.5 * float(run.config.ion.mass[axis]) * speed**2
    if np.all(abs(truth.interaction[[0, -1], 0]) < FREE * start):
        energy = run.ion_kinetic[:, 0] + run.interaction[:, 0]
        return float(energy[0] - energy[-1])
    try:
        lost = _relaxed_energy(run, 0) - _relaxed_energy(run, -1)
    except RunError:
        return None
    return lost if run is not truth or lost > LEAST * run.ion_kinetic[:, 0].max() else None


def _relaxed_energy(run: Run, frame: int) -> float:
    """Kinetic energy of the ion, and what it and the crystal would have if that were in equilibrium with it there, meV."""
    return float(run.ion_kinetic[frame, 0]) + adiabatic_energy(run.config.to_model(), run.position[frame, 0])[0]


def _return(run: Run, axis: int) -> float | None:
    """Speed at which an ion that starts in the plane validate.centre first passes it again in the same direction, Å/ps; None if it does not."""
    centre, v = run.config.validate_.centre, run.velocity[:, 0, axis]
    if centre is None:
        return None
    passed = analysis.crossings(run.time, run.position[:, 0, axis], v, centre)
    same = passed.velocity[np.sign(passed.velocity) == np.sign(v[0])]
    return float(same[0]) if len(same) and run.position[0, 0, axis] == centre else None


def _errors(run: Run, truth: Run, scale: float) -> dict[str, float | None]:
    mine, true = _facts(run, truth), _facts(truth, truth)
    out: dict[str, float | None] = {}
    for key in ("energy_loss", "force"):
        own, right = mine[key], true[key]
        out[key] = None if own is None or not right else own / right - 1.0
    apart = np.sum((run.position[:, 0] - truth.position[:, 0]) ** 2, axis=1)
    weight = np.sum(truth.force[:, 0] ** 2, axis=1)
    out["path"] = float(np.sqrt(np.sum(weight * apart) / weight.sum()) / scale) if weight.any() else None
    return out


def _thermal(config: Config) -> dict[str, Any]:
    told = {}
    for method in METHODS:
        run = _attempt(config.replace(method=method))
        told[method] = None if run is None else motion.describe(run, config.validate_.equilibration)
    patch = told["patch"]
    if patch is None:
        raise RunError(
            "the patch had to stop, or lost ions by its step, and there is nothing to compare with; a shorter run.dt is the usual cure"
        )
    classical = config.thermal_state.statistics == "classical"
    true = {
        "temperature": (config.thermal_state.scale, 0.0)
        if classical
        else (patch["temperature_meV"], patch["temperature_error_meV"]),
        "diffusion": (patch["diffusion_A2_per_ps"], patch["diffusion_error_A2_per_ps"]) if _resolved(patch) else (None, None),
    }
    found: dict[str, Any] = {f"exact.{name}": value for name, (value, _) in true.items()}
    for method, seen in told.items():
        found[f"{method}.stopped"] = float(seen is None)
        if seen is None:
            continue
        found[f"{method}.run_aways"] = float(len(seen["run_aways"]))
        for name, key in (("temperature", "temperature_{}meV"), ("diffusion", "diffusion_{}A2_per_ps")):
            value, error, (base, known) = seen[key.format("")], seen[key.format("error_")], true[name]
            if base is not None and np.isfinite(value):
                found[f"{method}.{name}"] = value / base - 1.0
                found[f"{method}.{name}_error"] = float(np.hypot(error, value / base * known)) / base
    return found


def _resolved(told: dict[str, Any]) -> bool:
    """Whether an ensemble has a D that others can be measured by."""
    value, error = told["diffusion_A2_per_ps"], told["diffusion_error_A2_per_ps"]
    return not np.isfinite(told["diffusion_limit_A2_per_ps"]) and value > 0.0 and error <= MOST_UNSURE * value
