"""Kinetic temperature of ions, their approach to it, and Arrhenius lines."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from mdlite.analysis.statistics import block_means, group_means, inefficiency, mean_and_error, student
from mdlite.errors import InputError

LEAN = 8.0
"""Degrees of freedom that the mean relative error of all temperatures counts for against that of one."""


class Thermalisation(NamedTuple):
    """Approach to a temperature: plateau (meV) and time constant (ps), each with its standard error."""

    plateau: float
    plateau_error: float
    time: float
    time_error: float


class Arrhenius(NamedTuple):
    """Fit of D = D0 exp(-barrier/k_BT): ln D0 (D0 in Å²/ps) and the barrier (meV), each with its standard error.

    chi_square: of the fit, for each degree of freedom; NaN for two points. Well above 1, D does not follow a straight line to within its
    errors, and those of the fit are too small by the root of it. The intervals hold the truth with 95 %.
    """

    log_prefactor: float
    log_prefactor_error: float
    barrier: float
    barrier_error: float
    chi_square: float
    log_prefactor_interval: tuple[float, float] = (float("nan"), float("nan"))
    barrier_interval: tuple[float, float] = (float("nan"), float("nan"))


def kinetic_temperature(
    velocity: np.ndarray, mass: np.ndarray, blocks: int = 10, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Kinetic temperature <M v²> (meV) of (frames, ions, 3) velocities in Å/ps, and its standard error: [mean of the axes, x, y, z].

    mass (3,): an infinite one freezes its axis, which gets NaN. The error is the scatter of `temperature_samples`, NaN where there is only one.
    """
    return mean_and_error(temperature_samples(velocity, mass, blocks, groups))


def temperature_samples(velocity: np.ndarray, mass: np.ndarray, blocks: int = 10, groups: np.ndarray | None = None) -> np.ndarray:
    """Independent samples of the kinetic temperature, (samples, 4) in meV, see `kinetic_temperature`.

    groups (ions,): a label for every ion, such as its lattice; each label gives a sample. A single label gives up to ``blocks`` of them, means over blocks
    of time that are longer than the energy's correlation time. Without groups all ions are independent; they give ``blocks`` samples, or are cut in
    time where they are fewer.
    """
    moving = np.isfinite(mass)
    energy = np.where(moving, mass, np.nan) * velocity**2
    energy = np.concatenate([energy[..., moving].mean(axis=2)[..., None], energy], axis=2)
    if groups is not None and len(np.unique(groups)) > 1:
        return group_means(energy.mean(axis=0), groups)
    if groups is None and energy.shape[1] >= blocks:
        return np.stack([part.mean(axis=(0, 1)) for part in np.array_split(energy.swapaxes(0, 1), blocks)])
    return block_means(energy.mean(axis=1), blocks)


def thermalisation(time: np.ndarray, temperature: np.ndarray) -> Thermalisation:
    """Fit of T(t) = plateau + (start - plateau) e^{-t/τ} to temperatures (n,) in meV at ``time`` (n,) in ps.

    Raises InputError for fewer than five points; a fit that does not converge gives NaN.
    """
    if len(time) < 5:
        raise InputError(f"time: has {len(time)} points, a fit of the thermalisation needs five at least")

    def model(t, plateau, start, rate):
        return plateau + (start - plateau) * np.exp(-t * rate)

    late = temperature[len(time) // 2 :].mean()
    reached = np.argmax(temperature >= temperature[0] + 0.63 * (late - temperature[0]))
    guess = (late, temperature[0], 1.0 / max(time[reached] - time[0], time[1] - time[0]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            best, covariance = curve_fit(model, time - time[0], temperature, guess)
    except (RuntimeError, OptimizeWarning):
        return Thermalisation(*[float("nan")] * 4)
    residual = temperature - model(time - time[0], *best)
    errors = np.sqrt(np.diag(covariance) * inefficiency(residual))  # neighbours in time are not independent
    return Thermalisation(float(best[0]), float(errors[0]), float(1.0 / best[2]), float(errors[2] / best[2] ** 2))


def arrhenius(
    thermal_energy: np.ndarray, value: np.ndarray, error: np.ndarray, samples: np.ndarray | int | None = None
) -> Arrhenius:
    """Weighted line through ln D against 1/k_BT: thermal_energy (n,) in meV, D and its standard error (n,) in Å²/ps.

    samples: how many independent values each D is the mean of, if its error is their scatter. The error of a few is itself poorly known, and a point whose few
    happen to agree would have all the weight: relative errors then lean on their mean over the temperatures, and intervals on Student's t.
    Raises InputError for fewer than two temperatures, or a D or an error that is not positive.
    """
    thermal_energy, value, error = (np.asarray(x, float) for x in (thermal_energy, value, error))
    if len(np.unique(thermal_energy)) < 2:
        raise InputError(f"temperatures = {thermal_energy.tolist()}: an Arrhenius fit needs two at least")
    if not (np.all(value > 0.0) and np.all(error > 0.0)):
        raise InputError("D and its error: must be positive at every temperature for an Arrhenius fit")
    design = np.stack([np.ones_like(value), -1.0 / thermal_energy], axis=1)
    relative, known = (error / value) ** 2, np.inf  # ln D has the error σ/D
    if samples is not None:
        freedom = np.broadcast_to(np.asarray(samples, float) - 1.0, value.shape)
        known = float(freedom.sum())
        common = float(freedom @ relative) / known
        relative = (freedom * relative + LEAN * common) / (freedom + LEAN)
    weight = 1.0 / relative
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    best = covariance @ (design.T @ (weight * np.log(value)))
    errors = np.sqrt(np.diag(covariance))
    residual = np.log(value) - design @ best
    freedom = len(value) - 2
    chi_square = float(weight @ residual**2) / freedom if freedom > 0 else float("nan")
    half = student(known) * errors
    held = [(float(b - h), float(b + h)) for b, h in zip(best, half)]
    return Arrhenius(float(best[0]), float(errors[0]), float(best[1]), float(errors[1]), chi_square, *held)
