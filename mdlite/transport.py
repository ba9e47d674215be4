"""Diffusion, ion temperature and Arrhenius lines from trajectories (see `mdlite.analysis`)."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import OptimizeWarning, curve_fit

from mdlite.errors import InputError
from mdlite.statistics import bootstrap, group_means, mean_and_error


class Diffusion(NamedTuple):
    """Diffusion coefficient D with its standard error and 95 % bootstrap interval, Å²/ps; its tensor (3, 3) likewise.

    samples: D of each of the independent groups or blocks that the errors are from.
    """

    value: float
    error: float
    interval: tuple[float, float]
    tensor: np.ndarray
    tensor_error: np.ndarray
    samples: np.ndarray


class Thermalisation(NamedTuple):
    """Approach to a temperature: plateau (meV) and time constant (ps), each with its standard error."""

    plateau: float
    plateau_error: float
    time: float
    time_error: float


class Arrhenius(NamedTuple):
    """Fit of D = D0 exp(-barrier/k_BT): ln D0 (D0 in Å²/ps) and the barrier (meV), each with its standard error.

    chi_square: of the fit, for each degree of freedom; NaN for two points. Well above 1, D does not follow a straight line to within its
    errors, and those of the fit are too small by the root of it.
    """

    log_prefactor: float
    log_prefactor_error: float
    barrier: float
    barrier_error: float
    chi_square: float


def mean_square_displacement(position: np.ndarray, lags: int) -> np.ndarray:
    """<ΔR_a ΔR_b> over all time origins for 0 .. lags - 1 frames, (frames, ions, 3) in Å → (lags, ions, 3, 3) in Å², by FFT.

    Its trace is the mean square displacement. Σ over origins of (x_{k+n} - x_k)(y_{k+n} - y_k) is a sum of squares, which follows
    by recursion, less two correlations (the FFT method of Kneller et al., Comput. Phys. Commun. 91, 191 (1995)).
    Raises InputError for more lags than frames.
    """
    frames, ions, _ = position.shape
    if not 1 <= lags <= frames:
        raise InputError(f"lags = {lags}: must be between 1 and the number of frames, {frames}")
    x = position - position.mean(axis=0)  # less cancellation
    out = np.empty((lags, ions, 3, 3))
    transform = np.fft.rfft(x, n=2 * frames, axis=0)
    count = (frames - np.arange(lags))[:, None]
    for a in range(3):
        for b in range(a, 3):
            cross = np.fft.irfft(transform[..., a].conj() * transform[..., b], n=2 * frames, axis=0)
            back = np.concatenate([cross[:1], cross[:-lags:-1]])  # negative lags
            total = np.cumsum(np.concatenate([np.zeros((1, ions)), x[..., a] * x[..., b]]), axis=0)
            squares = total[frames - np.arange(lags)] + total[-1] - total[:lags]
            out[..., a, b] = out[..., b, a] = (squares - cross[:lags] - back) / count
    return out


def cut(values: np.ndarray, frames: int) -> np.ndarray:
    """A long trajectory in pieces of ``frames`` frames, each counted as an ion of its own: (F, ions, 3) → (frames, pieces × ions, 3).

    The paper's way to an ensemble; pieces share their ends' frames with nobody, what is left over at the end is dropped.
    Raises InputError for a trajectory shorter than one piece.
    """
    pieces = len(values) // frames if frames > 0 else 0
    if pieces == 0:
        raise InputError(f"pieces of {frames} frames: the trajectory has {len(values)}; give a shorter piece or a longer run")
    kept = values[: pieces * frames].reshape(pieces, frames, *values.shape[1:])
    return np.moveaxis(kept, 0, 1).reshape(frames, -1, 3)


def diffusion(
    time: np.ndarray, position: np.ndarray, fit: tuple[float, float], blocks: int = 10, groups: np.ndarray | None = None
) -> Diffusion:
    """D from the slope of the mean square displacement over 6, fitted for lags in ``fit`` (ps).

    time (F,) in ps, evenly spaced; position (F, ions, 3) in Å, unwrapped. groups (ions,): a label for every ion; those of one label count
    as one sample, and the errors are the scatter between labels. Without groups (or with only one), between ``blocks`` groups of ions;
    with fewer ions than blocks, the trajectories are cut into as many parts in time. All parts must be longer than the fit.
    Raises InputError for a fit that the trajectory is too short for.
    """
    step = time[1] - time[0] if len(time) > 1 else np.nan
    parts, labels = position, None if groups is None or len(np.unique(groups)) < 2 else np.asarray(groups)
    if labels is None:
        if position.shape[1] < blocks:
            parts = cut(position, max(1, len(position) // -(-blocks // position.shape[1])))
        labels = np.arange(parts.shape[1]) * blocks // parts.shape[1]
    first, last = np.ceil(fit[0] / step - 1e-9), np.floor(fit[1] / step + 1e-9)
    if not (0 <= first < last < len(parts)):
        pieces = len(position) // len(parts)
        raise InputError(
            f"fit = {fit[0]:g} to {fit[1]:g} ps: must hold two frames ({step:g} ps apart) and be shorter than the {len(parts) * step:g} ps "
            f"that {'the run lasts' if pieces <= 1 else f'each of {pieces} parts of the run lasts'}; run for longer, or fit less"
        )
    lag = np.arange(int(first), int(last) + 1)
    moments = mean_square_displacement(parts, int(last) + 1)[lag]  # (lags, parts, 3, 3)
    t = lag * step - np.mean(lag * step)
    tensors = group_means(np.einsum("l,lpab->pab", t, moments) / (2.0 * t @ t), labels)
    samples = np.trace(tensors, axis1=1, axis2=2) / 3.0
    value, error = mean_and_error(samples)
    return Diffusion(float(value), float(error), bootstrap(samples), *mean_and_error(tensors), samples)


def velocity_autocorrelation(velocity: np.ndarray, lags: int, groups: np.ndarray | None = None) -> np.ndarray:
    """<v(0)·v(t)> over all time origins and ions for 0 .. lags - 1 frames, (frames, ions, 3) in Å/ps → (lags,) in Å²/ps².

    With groups, a label for every ion: one row for each group, (groups, lags). Raises InputError for more lags than frames.
    """
    frames = len(velocity)
    if not 1 <= lags <= frames:
        raise InputError(f"lags = {lags}: must be between 1 and the number of frames, {frames}")
    transform = np.fft.rfft(velocity, n=2 * frames, axis=0)
    power = np.fft.irfft(np.abs(transform) ** 2, n=2 * frames, axis=0)[:lags].sum(axis=2) / (frames - np.arange(lags))[:, None]
    return power.mean(axis=1) if groups is None else group_means(power, groups, axis=1)


def green_kubo(time: np.ndarray, velocity: np.ndarray, until: float, groups: np.ndarray | None = None) -> tuple[float, float]:
    """D = ⅓∫<v(0)·v(t)>dt up to ``until`` (ps), and its standard error, Å²/ps, from (F, ions, 3) velocities in Å/ps.

    Trapezoidal rule over the frames, which must resolve the ion's vibrations (two frames a period at least). groups: a label for every
    ion; the error is the scatter between groups (default: between ions). Raises InputError for a run shorter than ``until``.
    """
    step = time[1] - time[0] if len(time) > 1 else np.nan
    lags = round(until / step) + 1 if len(time) > 1 else 0
    if not 2 <= lags <= len(time):
        raise InputError(
            f"until = {until:g} ps: must be at least the {step:g} ps between frames and shorter than the {time[-1] - time[0]:g} ps of the run"
        )
    labels = np.arange(velocity.shape[1]) if groups is None else groups
    samples = trapezoid(velocity_autocorrelation(velocity, lags, labels), dx=step, axis=1) / 3.0
    value, error = mean_and_error(samples)
    return float(value), float(error)


def kinetic_temperature(
    velocity: np.ndarray, mass: np.ndarray, blocks: int = 10, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Kinetic temperature <M v²> (meV) of (frames, ions, 3) velocities in Å/ps, and its standard error: [mean of the axes, x, y, z].

    mass (3,): an infinite one freezes its axis, which gets NaN. groups (ions,): a label for every ion, such as its lattice; the error is
    the scatter between labels. Without groups (or with only one), between blocks of ions, or of time where ions are fewer.
    """
    moving = np.isfinite(mass)
    energy = np.where(moving, mass, np.nan) * velocity**2
    energy = np.concatenate([energy[..., moving].mean(axis=2)[..., None], energy], axis=2)
    if groups is not None and len(np.unique(groups)) > 1:
        return mean_and_error(group_means(energy.mean(axis=0), groups))
    parts = energy.swapaxes(0, 1) if energy.shape[1] >= blocks else energy
    return mean_and_error([part.mean(axis=(0, 1)) for part in np.array_split(parts, blocks)])


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
    errors = np.sqrt(np.diag(covariance))
    return Thermalisation(float(best[0]), float(errors[0]), float(1.0 / best[2]), float(errors[2] / best[2] ** 2))


def arrhenius(thermal_energy: np.ndarray, value: np.ndarray, error: np.ndarray) -> Arrhenius:
    """Weighted line through ln D against 1/k_BT: thermal_energy (n,) in meV, D and its standard error (n,) in Å²/ps.

    Raises InputError for fewer than two temperatures, or a D or an error that is not positive.
    """
    thermal_energy, value, error = (np.asarray(x, float) for x in (thermal_energy, value, error))
    if len(np.unique(thermal_energy)) < 2:
        raise InputError(f"temperatures = {thermal_energy.tolist()}: an Arrhenius fit needs two at least")
    if not (np.all(value > 0.0) and np.all(error > 0.0)):
        raise InputError("D and its error: must be positive at every temperature for an Arrhenius fit")
    design = np.stack([np.ones_like(value), -1.0 / thermal_energy], axis=1)
    weight = (value / error) ** 2  # ln D has the error σ/D
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    best = covariance @ (design.T @ (weight * np.log(value)))
    errors = np.sqrt(np.diag(covariance))
    residual = np.log(value) - design @ best
    freedom = len(value) - 2
    chi_square = float(weight @ residual**2) / freedom if freedom > 0 else float("nan")
    return Arrhenius(float(best[0]), float(errors[0]), float(best[1]), float(errors[1]), chi_square)
