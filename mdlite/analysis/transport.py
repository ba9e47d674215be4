"""Diffusion coefficients from trajectories: by the mean square displacement, by hops, by the velocity (see `mdlite.analysis`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid

from mdlite.analysis import brownian
from mdlite.analysis.correlations import LENGTH, choose, cut, mean_square_displacement, memory_of, velocity_autocorrelation
from mdlite.analysis.sampling import step_of
from mdlite.analysis.statistics import (
    EXACT_COUNT,
    FEW,
    LEVEL,
    count_interval,
    count_limit,
    group_means,
    interval,
    mean_and_error,
    student,
)
from mdlite.errors import InputError


class Diffusion(NamedTuple):
    """Diffusion coefficient D with its standard error and 95 % interval, Å²/ps; its tensor (3, 3) likewise.

    samples: D of each of the independent groups or blocks that the errors are from; of a single one the error is that of the fit.
    tensors: the tensor of each, (samples, 3, 3).
    fit: lags of the fit, ps. limit: where D is not resolved, that is where 0 is in the interval, what it does not exceed with 95
    %, otherwise NaN. memory: how long the ion remembers its velocity, ps. note: what there is to say of the fit. Where a run is
    too short for a diffusive regime all numbers are NaN.
    """

    value: float
    error: float
    interval: tuple[float, float]
    tensor: np.ndarray
    tensor_error: np.ndarray
    samples: np.ndarray
    fit: tuple[float, float] = (float("nan"), float("nan"))
    limit: float = float("nan")
    memory: float = float("nan")
    note: str = ""
    tensors: np.ndarray = np.empty((0, 3, 3))


def diffusion(
    time: np.ndarray,
    position: np.ndarray,
    fit: tuple[float, float] | None = None,
    blocks: int = 10,
    groups: np.ndarray | None = None,
    weights: str = "generalised",
) -> Diffusion:
    """D from the slope of the mean square displacement over 6, fitted for lags in ``fit`` (ps), or by default beyond the memory
    of the ion's velocity.

    time (F,) in ps, evenly spaced; position (F, ions, 3) in Å, unwrapped. weights: "generalised", by the covariance of the lags
    (`mdlite.analysis.brownian`), or "equal", for every lag alike, as in the source paper. groups (ions,): a label for every ion;
    those of one label count as one sample, and the errors are the scatter between labels; of a single label, between up to
    ``blocks`` parts in time. Without groups all ions are independent, and the errors are the scatter between ``blocks`` groups of
    ions; with fewer ions than blocks, the trajectories are cut into parts in time as well. Parts are longer than twice the fit;
    where there are too few, the error is what the covariance of the lags says. Raises InputError for a fit that the trajectory is
    too short for.
    """
    step = step_of(time)
    remembered = memory_of(position)
    if fit is None:
        chosen = choose(position, step, remembered, _lone(position, groups, blocks))
        if isinstance(chosen, str):
            return nothing(remembered * step, chosen)
        first, last = chosen
    else:
        first, last = _frames_of(fit, step, len(position))
    parts, labels = _parts(position, groups, blocks, 2 * last, FEW if fit is None else 2)
    equal = weights == "equal"
    moments = mean_square_displacement(parts, last + 1)
    lag = np.arange(first, last + 1) if equal else brownian.lags_between(first, last)
    each = parts.shape[1] // len(np.unique(labels))
    if equal:
        t = step * (lag - lag.mean())
        weight = t / (t @ t)
    else:
        curve = np.trace(moments, axis1=2, axis2=3).mean(axis=1)
        weight = brownian.slope(curve, lag, len(parts), step, each).weights
    tensors = group_means(np.einsum("l,lpab->pab", weight, moments[lag]) / 2.0, labels)
    found = _judged(tensors, moments, (first, last), len(parts), step, equal)
    early = first < 0.5 * remembered or (first < remembered and last < 4 * remembered)
    note = (
        f"the fit begins at {first * step:.3g} ps, within the {remembered * step:.3g} ps that the ion remembers its velocity"
        if early
        else ""
    )
    return found._replace(fit=fit or (first * step, last * step), memory=remembered * step, note=note)


def _lone(position: np.ndarray, groups: np.ndarray | None, blocks: int) -> int:
    """How many parts in time are wanted, where there are not enough independent groups of ions: of each ion, or of all together."""
    if groups is None:
        return -(-blocks // position.shape[1]) if position.shape[1] < blocks else 1
    return blocks if len(np.unique(groups)) < 2 else 1


def _frames_of(fit: tuple[float, float], step: float, frames: int) -> tuple[int, int]:
    """The lags of a fit in frames. Raises InputError."""
    first, last = np.ceil(fit[0] / step - 1e-9), np.floor(fit[1] / step + 1e-9)
    if not (0 <= first < last < frames):
        raise InputError(
            f"fit = {fit[0]:g} to {fit[1]:g} ps: must hold two frames ({step:g} ps apart) and be shorter than the {frames * step:g} ps "
            "that the run lasts; run for longer, or fit less"
        )
    return int(first), int(last)


def _parts(
    position: np.ndarray, groups: np.ndarray | None, blocks: int, shortest: int, fewest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Trajectories, and the number of the independent sample that each belongs to; cut in time where that gives ``fewest`` samples at least."""
    if groups is not None and len(np.unique(groups)) > 1:
        return position, np.asarray(groups)
    ions = position.shape[1]
    pieces = max(1, min(_lone(position, groups, blocks), len(position) // max(1, shortest)))
    if groups is None:
        count = min(blocks, pieces * ions)
        if pieces > 1 and count < fewest:
            pieces, count = 1, ions
        parts = cut(position, len(position) // pieces) if pieces > 1 else position
        return parts, np.arange(parts.shape[1]) * count // parts.shape[1]
    if pieces < fewest:
        return position, np.zeros(ions, int)
    return cut(position, len(position) // pieces), np.repeat(np.arange(pieces), ions)


def _judged(tensors: np.ndarray, moments: np.ndarray, fit: tuple[int, int], frames: int, step: float, equal: bool) -> Diffusion:
    """D with error, interval and limit from the samples' tensors (samples, 3, 3); of a single one by the covariance of the lags."""
    samples = np.trace(tensors, axis1=1, axis2=2) / 3.0
    value, error = (float(x) for x in mean_and_error(samples))
    if len(samples) > 1:
        low, high = interval(samples)
        most = max(value, 0.0) + student(len(samples) - 1, 2.0 * LEVEL - 1.0) * error
    else:
        curve = np.trace(moments, axis1=2, axis2=3).mean(axis=1)
        lag = np.unique(np.round(np.linspace(*fit, brownian.MOST_LAGS)).astype(int)) if equal else brownian.lags_between(*fit)
        known = brownian.slope(curve, lag, frames, step, moments.shape[1], equal)
        slope = 6.0 * max(value, 0.0)
        v = known.variance
        error = float(np.sqrt(max(v[0] + v[1] * slope + v[2] * slope**2, 0.0))) / 6.0
        windows = max(2.0, 3.0 * moments.shape[1] * frames / max(1, fit[0]) - 2.0)  # independent ones, at the first lag
        low, high = (x / 6.0 for x in brownian.score_interval(known, 6.0 * value, student(windows)))
        most = brownian.score_interval(known, slope, student(windows, 2.0 * LEVEL - 1.0))[1] / 6.0
    tensor, tensor_error = mean_and_error(tensors)
    limit = float("nan") if low > 0.0 else most
    return Diffusion(
        value,
        error,
        (max(low, 0.0), max(high, most if low <= 0.0 else 0.0)),
        tensor,
        tensor_error,
        samples,
        limit=limit,
        tensors=tensors,
    )


def nothing(memory: float, note: str) -> Diffusion:
    """No D, and why."""
    nan = float("nan")
    return Diffusion(nan, nan, (nan, nan), np.full((3, 3), nan), np.full((3, 3), nan), np.empty(0), memory=memory, note=note)


def limited_by_hops(found: Diffusion, count: int, quantum: float) -> Diffusion:
    """``found`` with what the number of hops says of its error: D can be known no better than that count, which is Poisson's.

    quantum: D that one hop would be, <h²> a²/(6 × time of all ions), Å²/ps. With no hop the limit is three of them, whatever the
    fit says of an ion that only vibrates; where there is no fit D is then 0 ± one of them. With fewer than four D is never
    resolved. More than `statistics.EXACT_COUNT` hops change nothing.
    """
    if count > EXACT_COUNT or (count and not np.isfinite(found.value)):
        return found
    value = found.value if np.isfinite(found.value) else 0.0
    error = float(np.fmax(found.error, quantum * np.sqrt(max(count, 1))))
    low, high = (quantum * n for n in count_interval(count))
    if count == 0:
        return found._replace(value=value, error=error, interval=(low, high), limit=quantum * count_limit(0))
    scale, half = max(value, 0.0) / (quantum * count), student(np.inf) * error
    low = min(found.interval[0], scale * low) if value > half else 0.0  # a hop and its return are no diffusion
    high = max(found.interval[1], scale * high, value + half)
    limit = float("nan") if low > 0.0 else float(np.fmax(found.limit, quantum * count_limit(count)))
    return found._replace(error=error, interval=(low, high), limit=limit)


def green_kubo(time: np.ndarray, velocity: np.ndarray, until: float, groups: np.ndarray | None = None) -> tuple[float, float]:
    """D = ⅓∫<v(0)·v(t)>dt up to ``until`` (ps), and its standard error, Å²/ps, from (F, ions, 3) velocities in Å/ps.

    Trapezoidal rule over the frames, which must resolve the ion's vibrations (two frames a period at least). The error is the scatter of
    `green_kubo_samples`, NaN where there is only one. Raises InputError for a run shorter than ``until``.
    """
    value, error = mean_and_error(green_kubo_samples(time, velocity, until, groups))
    return float(value), float(error)


def green_kubo_samples(
    time: np.ndarray, velocity: np.ndarray, until: float, groups: np.ndarray | None = None, blocks: int = 10
) -> np.ndarray:
    """Independent samples of `green_kubo`, (samples,) in Å²/ps.

    groups: a label for every ion, each label gives a sample (default: each ion); a single label, or ion, gives up to ``blocks`` of them, from
    consecutive parts of the run that are at least eight times as long as ``until``. Raises InputError for a run shorter than ``until``.
    """
    step = step_of(time)
    lags = round(until / step) + 1 if len(time) > 1 else 0
    if not 2 <= lags <= len(time):
        raise InputError(
            f"until = {until:g} ps: must be at least the {step:g} ps between frames and shorter than the {time[-1] - time[0]:g} ps of the run"
        )
    labels = np.arange(velocity.shape[1]) if groups is None else np.asarray(groups)
    if len(np.unique(labels)) < 2:
        pieces = int(np.clip(len(velocity) // (LENGTH * (lags - 1)), 1, blocks))
        labels = np.repeat(np.arange(pieces), velocity.shape[1])
        velocity = cut(velocity, len(velocity) // pieces)
    return trapezoid(velocity_autocorrelation(velocity, lags, labels), dx=step, axis=1) / 3.0
