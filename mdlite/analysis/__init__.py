"""Analysis of trajectories: numpy in, numpy out. Units: Å, ps, meV; positions and velocities are (frames, ions, 3), unwrapped."""

from mdlite.analysis.correlations import cut, mean_square_displacement, velocity_autocorrelation
from mdlite.analysis.hopping import Hops, dwell_cells, hops, non_gaussian, van_hove
from mdlite.analysis.oscillation import Crossings, Decay, crossings, decay_against_energy, fit_decay, mean_period
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
    "non_gaussian",
    "nothing",
    "temperature_samples",
    "thermalisation",
    "van_hove",
    "velocity_autocorrelation",
]
