"""Analysis of trajectories: numpy in, numpy out. Units: Å, ps, meV; positions and velocities are (frames, ions, 3), unwrapped."""

from mdlite.hopping import Hops, dwell_cells, hops, non_gaussian, van_hove
from mdlite.oscillation import Crossings, Decay, crossings, decay_against_energy, fit_decay, mean_period
from mdlite.statistics import bootstrap, group_means, mean_and_error
from mdlite.transport import (
    Arrhenius,
    Diffusion,
    Thermalisation,
    arrhenius,
    cut,
    diffusion,
    green_kubo,
    kinetic_temperature,
    mean_square_displacement,
    thermalisation,
    velocity_autocorrelation,
)

__all__ = [
    "Arrhenius",
    "Crossings",
    "Decay",
    "Diffusion",
    "Hops",
    "Thermalisation",
    "arrhenius",
    "bootstrap",
    "crossings",
    "cut",
    "decay_against_energy",
    "diffusion",
    "dwell_cells",
    "fit_decay",
    "green_kubo",
    "group_means",
    "hops",
    "kinetic_temperature",
    "mean_and_error",
    "mean_period",
    "mean_square_displacement",
    "non_gaussian",
    "thermalisation",
    "van_hove",
    "velocity_autocorrelation",
]
