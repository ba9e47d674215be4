"""What a finished run comes to in a sweep: a few numbers with units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.analysis import losses
from mdlite.errors import InputError, RunError
from mdlite.report import motion

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

UNITS = {
    "final_kinetic_energy": "meV",
    "energy_loss": "meV",
    "largest_force": "meV/Angstrom",
    "largest_speed": "Angstrom/ps",
    "decay_rate": "1/ps",
    "period": "ps",
    "temperature": "meV",
    "temperature_error": "meV",
    "temperature_samples": "",
    "diffusion": "Angstrom^2/ps",
    "diffusion_error": "Angstrom^2/ps",
    "diffusion_samples": "",
    "diffusion_limit": "Angstrom^2/ps",
    "run_aways": "",
    "lost_by_step": "",
    "energy_drift": "",
    "seconds": "s",
}
"""Every number of `measure`, and its unit."""


def measure(run: Run) -> dict[str, float | None]:
    """The numbers of a run, by the names in UNITS; None where one has no meaning.

    Raises RunError for a run that lost more ions by its step than averages bear (`mdlite.analysis.losses`): its point has failed.
    At T = 0: kinetic energy at the end; energy that the ion (kinetic and interaction) has lost; largest force and speed; decay rate of its
    kinetic energy and period, from passages of validate.centre (or of the start) in the later half. At a temperature: what `mdlite analyse` says, with
    how many independent samples stand behind each error; ``diffusion_limit``: what D does not exceed (95 %) where it is not resolved.
    """
    found: dict[str, Any] = {"seconds": run.facts.get("run_seconds"), "energy_drift": run.facts.get("energy_drift")}
    if run.config.thermal is not None:
        found |= _thermal(run)
    else:
        found |= motion.at_rest(run)
    return {name: None if found.get(name) is None or not np.isfinite(found[name]) else float(found[name]) for name in UNITS}


def _thermal(run: Run) -> dict[str, Any]:
    if (found := losses.bias(run.facts, run.config.method)) is not None:
        raise RunError(found)
    skip = motion.default_skip(run)
    counts = {"run_aways": len(run.facts.get("run_aways", [])), "lost_by_step": len(losses.of(run.facts, "step"))}
    try:
        told = motion.describe(run, skip, motion.default_fit(run, skip))
    except InputError:  # too short for that
        return counts
    return counts | {
        "temperature": told["temperature_meV"],
        "temperature_error": told["temperature_error_meV"],
        "temperature_samples": told["temperature_samples"],
        "diffusion": told["diffusion_A2_per_ps"],
        "diffusion_error": told["diffusion_error_A2_per_ps"],
        "diffusion_samples": told["diffusion_samples"],
        "diffusion_limit": told["diffusion_limit_A2_per_ps"],
    }
