"""Mean square displacement and velocity autocorrelation of trajectories, and how long an ion remembers its velocity."""

from __future__ import annotations

import numpy as np

from mdlite.analysis import brownian
from mdlite.analysis.statistics import FEW, group_means
from mdlite.errors import InputError

USUAL = 1.0, 12.0
"""ps, lags of a fit where a run allows for them: those of the source paper."""
ENOUGH = 2_000_000
"""Frames × ions that are looked at for the memory of the velocity."""
LENGTH = 8
"""A run must be so many times longer than the first lag of a fit."""
BLOCK_LENGTH = 10
"""And a part in time of it, so many times."""
AGREE, CLOSE = 3.0, 0.02
"""Standard errors, or else the relative difference, by which the slope from the first lag to twice that may differ from the next
one, to four times it."""


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
            moment = (squares - cross[:lags] - back) / count
            out[..., a, b] = out[..., b, a] = (
                np.maximum(moment, 0.0) if a == b else moment
            )  # rounding leaves less than nothing of nothing
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


def memory_of(position: np.ndarray) -> int:
    """How many frames an ion of (frames, ions, 3) remembers its velocity, by the autocorrelation of its displacements from frame to frame.

    The number of lags that were looked at, a quarter of the run, if it does so for longer, or if the run is too short to tell.
    """
    moves = np.diff(_some(position), axis=0)
    lags = max(1, len(moves) // 4)
    return brownian.memory(velocity_autocorrelation(moves, lags), 3.0 * moves.shape[1] * len(moves)) if len(moves) > 1 else 1


def _some(position: np.ndarray) -> np.ndarray:
    """Every n-th ion of a large ensemble, enough to tell how long it remembers."""
    return position[:, :: max(1, position[..., 0].size // ENOUGH)]


def choose(position: np.ndarray, step: float, remembered: int, parts: int) -> tuple[int, int] | str:
    """The lags (frames) of a fit of the mean square displacement: from where the ion has forgotten its velocity and the slope no longer changes.

    parts: in time, that the run is to be cut into if it is long enough. A text that says why not, for a run too short.
    """
    frames, position = len(position), _some(position)
    first = max(remembered, 1, min(round(USUAL[0] / step), frames // (2 * BLOCK_LENGTH)))
    while True:
        if frames < LENGTH * first:
            known = remembered < max(1, (frames - 1) // 4)
            long = (
                f"its velocity for {remembered * step:.2g} ps"
                if known
                else f"its velocity for longer than {remembered * step:.2g} ps"
            )
            if first > remembered:
                long = f"where it came from for longer than {first * step / 2:.2g} ps"
            return (
                f"the run is too short for a diffusive regime: the ion remembers {long}, and D takes {LENGTH} times that at least"
            )
        pieces = min(parts, frames // (BLOCK_LENGTH * first))
        length = frames // pieces if pieces >= FEW else frames
        last = max(2 * first, min(round(USUAL[1] / step), int(0.4 * length)))
        if frames < 2 * LENGTH * first or _agrees(position, first):
            return first, last
        first *= 2


def _agrees(position: np.ndarray, first: int) -> bool:
    """Whether the slope between one and two first lags is that between two and four, by what they can differ by chance."""
    lags = first * np.array([1, 2, 4])
    curve = np.trace(mean_square_displacement(position, 4 * first + 1), axis1=2, axis2=3).mean(axis=1)
    early, later = np.array([-1.0, 1.0, 0.0]) / first, np.array([0.0, -0.5, 0.5]) / first
    slope, step = max((0.5 * early + 0.5 * later) @ curve[lags], 0.0), 1.0
    total = brownian.covariance(
        np.add(*brownian.model(curve, lags, step, (curve[first] - slope * first, slope))), lags, len(position)
    )
    chance = np.sqrt((later - early) @ total @ (later - early) / position.shape[1])
    return abs((later - early) @ curve[lags]) < max(AGREE * chance, CLOSE * slope)
