"""Analysis of trajectories: numpy in, numpy out. Units: Å, ps, meV."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mdlite.errors import InputError


class Crossings(NamedTuple):
    """Passages of one coordinate through a plane: times (n,) in ps and velocities (n,) in Å/ps there."""

    time: np.ndarray
    velocity: np.ndarray


class Decay(NamedTuple):
    """Exponential decay E ∝ exp(-rate t) fitted to ln E: rate and its standard error in 1/ps, and how many points were used."""

    rate: float
    error: float
    points: int


def crossings(time: np.ndarray, x: np.ndarray, v: np.ndarray, level: float) -> Crossings:
    """Where x(t) passes ``level``, from samples x (n,) in Å and v (n,) in Å/ps at ``time`` (n,) in ps.

    Between samples x is the cubic that has both positions and both velocities (error of the time ∝ step⁴); its root is found by
    Newton iteration safeguarded by bisection.
    """
    y = np.asarray(x, float) - level
    index = np.nonzero((y[:-1] * y[1:] < 0.0) | ((y[1:] == 0.0) & (y[:-1] != 0.0)))[0]
    h = time[index + 1] - time[index]
    a, b = y[index], y[index + 1]
    c, d = v[index] * h, v[index + 1] * h
    low, high = np.zeros(len(index)), np.ones(len(index))
    s = a / (a - b)
    for _ in range(60):
        value, slope = _hermite(a, b, c, d, s)
        same = np.sign(value) == np.sign(a)
        low, high = np.where(same, s, low), np.where(same, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = s - value / slope
        s = np.where((newton > low) & (newton < high), newton, 0.5 * (low + high))
    return Crossings(time[index] + s * h, _hermite(a, b, c, d, s)[1] / h)


def _hermite(a, b, c, d, s):
    """Value and slope at s in [0, 1] of the cubic with end values a, b and end slopes c, d."""
    cubic = 2.0 * (a - b) + c + d
    square = 3.0 * (b - a) - 2.0 * c - d
    return a + s * (c + s * (square + s * cubic)), c + s * (2.0 * square + 3.0 * s * cubic)


def fit_decay(time: np.ndarray, energy: np.ndarray, window: tuple[float, float]) -> Decay:
    """Least-squares line through ln E against t inside ``window`` (ps); NaN with fewer than three points."""
    use = (time >= window[0]) & (time <= window[1]) & (energy > 0.0)
    t, y = time[use], np.log(energy[use])
    if len(t) < 3:
        return Decay(float("nan"), float("nan"), len(t))
    slope, offset = np.polyfit(t, y, 1)
    residual = y - offset - slope * t
    error = np.sqrt(residual @ residual / (len(t) - 2) / np.sum((t - t.mean()) ** 2))
    return Decay(float(-slope), float(error), len(t))


def mean_period(crossing_time: np.ndarray, window: tuple[float, float]) -> float:
    """Mean period (ps) of the crossings inside ``window``: two crossings to a period; NaN with fewer than three."""
    t = crossing_time[(crossing_time >= window[0]) & (crossing_time <= window[1])]
    return float(2.0 * (t[-1] - t[0]) / (len(t) - 1)) if len(t) >= 3 else float("nan")


def decay_against_energy(time: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local decay rate of an oscillation over each full period: (energies, rates), both (n - 2,), meV and 1/ps.

    From passages n and n + 2, which have the same direction: rate = ln(E_n/E_{n+2})/(t_{n+2} - t_n), at the geometric mean energy.
    """
    if len(time) < 3:
        return np.empty(0), np.empty(0)
    return np.sqrt(energy[:-2] * energy[2:]), np.log(energy[:-2] / energy[2:]) / (time[2:] - time[:-2])


class Diffusion(NamedTuple):
    """Diffusion coefficient D and its standard error (Å²/ps), the tensor (3, 3), and how many independent blocks the error is from."""

    value: float
    error: float
    tensor: np.ndarray
    blocks: int


class Arrhenius(NamedTuple):
    """Fit of D = D0 exp(-barrier/k_BT): ln D0 (D0 in Å²/ps) and the barrier (meV), each with its standard error."""

    log_prefactor: float
    log_prefactor_error: float
    barrier: float
    barrier_error: float


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


def diffusion(time: np.ndarray, position: np.ndarray, fit: tuple[float, float], blocks: int = 10) -> Diffusion:
    """D from the slope of the mean square displacement over 6, fitted for lags in ``fit`` (ps).

    time (F,) in ps, evenly spaced; position (F, ions, 3) in Å, unwrapped. The error is the scatter of D between ``blocks`` groups of
    ions; with fewer ions than blocks, the trajectories are cut into as many parts in time. All parts must be longer than the fit.
    Raises InputError for a fit that the trajectory is too short for.
    """
    step = time[1] - time[0] if len(time) > 1 else np.nan
    parts = position
    if position.shape[1] < blocks:
        parts = cut(position, len(position) // -(-blocks // position.shape[1]))
    first, last = np.ceil(fit[0] / step - 1e-9), np.floor(fit[1] / step + 1e-9)
    if not (0 <= first < last < len(parts)):
        raise InputError(
            f"fit = {fit[0]:g} to {fit[1]:g} ps: must hold two frames ({step:g} ps apart) and be shorter than the {len(parts) * step:g} ps "
            f"that each of the {blocks} blocks has; run for longer, or fit less"
        )
    lag = np.arange(int(first), int(last) + 1)
    moments = mean_square_displacement(parts, int(last) + 1)[lag]  # (lags, parts, 3, 3)
    t = lag * step - np.mean(lag * step)
    tensors = np.einsum("l,lpab->pab", t, moments) / (2.0 * t @ t)
    groups = np.array([group.mean(axis=0) for group in np.array_split(tensors, blocks)])
    values = np.trace(groups, axis1=1, axis2=2) / 3.0
    tensor = tensors.mean(axis=0)
    return Diffusion(float(np.trace(tensor)) / 3.0, float(values.std(ddof=1) / np.sqrt(blocks)), tensor, blocks)


def velocity_autocorrelation(velocity: np.ndarray, lags: int) -> np.ndarray:
    """<v(0)·v(t)> over all time origins and ions for 0 .. lags - 1 frames, (frames, ions, 3) in Å/ps → (lags,) in Å²/ps².

    Its integral over 3 is D (Green-Kubo). Raises InputError for more lags than frames.
    """
    frames = len(velocity)
    if not 1 <= lags <= frames:
        raise InputError(f"lags = {lags}: must be between 1 and the number of frames, {frames}")
    transform = np.fft.rfft(velocity, n=2 * frames, axis=0)
    power = np.fft.irfft(np.abs(transform) ** 2, n=2 * frames, axis=0)[:lags]
    return power.sum(axis=2).mean(axis=1) / (frames - np.arange(lags))


def kinetic_temperature(velocity: np.ndarray, mass: np.ndarray, blocks: int = 10) -> tuple[float, float]:
    """Kinetic temperature <M v²> per moving axis (meV) of (frames, ions, 3) velocities in Å/ps, and its standard error.

    mass (3,), infinite axes left out. The error is the scatter between blocks of ions, or of time where ions are fewer. Ions that share
    one lattice are not quite independent: repeat with other seeds for an error that knows of it.
    """
    moving = np.isfinite(mass)
    energy = (np.asarray(mass)[moving] * velocity[..., moving] ** 2).mean(axis=-1)
    parts = energy if energy.shape[1] < blocks else energy.T
    means = np.array([part.mean() for part in np.array_split(parts, blocks)])
    return float(energy.mean()), float(means.std(ddof=1) / np.sqrt(blocks))


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
    intercept, barrier = covariance @ (design.T @ (weight * np.log(value)))
    errors = np.sqrt(np.diag(covariance))
    return Arrhenius(float(intercept), float(errors[0]), float(barrier), float(errors[1]))
