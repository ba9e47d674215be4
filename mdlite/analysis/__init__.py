"""Analysis of trajectories: numpy in, numpy out. Units: Å, ps, meV; positions and velocities are (frames, ions, 3), unwrapped.

Its names are imported when they are first used, and with them what of SciPy they need: an engine that uses one module of it does not wait for that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see
    from mdlite.analysis.correlations import cut, mean_square_displacement, velocity_autocorrelation
    from mdlite.analysis.hopping import Hops, dwell_cells, dwell_sites, hops, nearest_sites, non_gaussian, site_hops, van_hove
    from mdlite.analysis.oscillation import Crossings, Decay, crossings, decay_against_energy, fit_decay, mean_period
    from mdlite.analysis.places import find_sites, rests
    from mdlite.analysis.statistics import block_means, bootstrap, group_means, inefficiency, interval, mean_and_error
    from mdlite.analysis.thermometry import (
        Arrhenius,
        Thermalisation,
        arrhenius,
        kinetic_temperature,
        temperature_samples,
        thermalisation,
    )
    from mdlite.analysis.transport import Diffusion, diffusion, green_kubo, green_kubo_samples, limited_by_hops, nothing

_NAMES = {
    "correlations": (
        "cut",
        "mean_square_displacement",
        "velocity_autocorrelation",
    ),
    "hopping": (
        "Hops",
        "dwell_cells",
        "dwell_sites",
        "hops",
        "nearest_sites",
        "non_gaussian",
        "site_hops",
        "van_hove",
    ),
    "oscillation": (
        "Crossings",
        "Decay",
        "crossings",
        "decay_against_energy",
        "fit_decay",
        "mean_period",
    ),
    "places": (
        "find_sites",
        "rests",
    ),
    "statistics": (
        "block_means",
        "bootstrap",
        "group_means",
        "inefficiency",
        "interval",
        "mean_and_error",
    ),
    "thermometry": (
        "Arrhenius",
        "Thermalisation",
        "arrhenius",
        "kinetic_temperature",
        "temperature_samples",
        "thermalisation",
    ),
    "transport": (
        "Diffusion",
        "diffusion",
        "green_kubo",
        "green_kubo_samples",
        "limited_by_hops",
        "nothing",
    ),
}
"""The public names, by the module that they are in."""

__all__ = [
    "Arrhenius",
    "Crossings",
    "Decay",
    "Diffusion",
    "Hops",
    "Thermalisation",
    "arrhenius",
    "block_means",
    "bootstrap",
    "crossings",
    "cut",
    "decay_against_energy",
    "diffusion",
    "dwell_cells",
    "dwell_sites",
    "find_sites",
    "fit_decay",
    "green_kubo",
    "green_kubo_samples",
    "group_means",
    "hops",
    "inefficiency",
    "interval",
    "kinetic_temperature",
    "limited_by_hops",
    "mean_and_error",
    "mean_period",
    "mean_square_displacement",
    "nearest_sites",
    "non_gaussian",
    "nothing",
    "rests",
    "site_hops",
    "temperature_samples",
    "thermalisation",
    "van_hove",
    "velocity_autocorrelation",
]


def __getattr__(name: str) -> Any:
    for module, names in _NAMES.items():
        if name in names:
            return getattr(importlib.import_module(f"mdlite.analysis.{module}"), name)
    raise AttributeError(f"module 'mdlite.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
