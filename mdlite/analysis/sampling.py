"""Frames at equal distances in time, which every analysis of lags takes for granted."""

from __future__ import annotations

import numpy as np

from mdlite.errors import InputError

TOLERANCE = 1e-6
"""Relative difference of two steps that rounding explains."""


def step_of(time: np.ndarray, what: str = "time") -> float:
    """The time between frames (ps), ``time`` (F,) in ps; NaN for fewer than two. Raises InputError unless all steps are equal."""
    time = np.asarray(time, float)
    if len(time) < 2:
        return float("nan")
    steps = np.diff(time)
    off = np.flatnonzero(~(np.abs(steps - steps[0]) <= TOLERANCE * abs(steps[0])))
    if len(off) or not steps[0] > 0.0:
        n = int(off[0]) if len(off) else 0
        hint = "; leave out the last frame" if n == len(steps) - 1 and n > 0 else ""
        raise InputError(
            f"{what}: must be frames at equal distances; it begins with steps of {steps[0]:g} ps, and frame {n + 1}, at t = {time[n + 1]:g} ps, "
            f"is {steps[n]:g} ps after the one before it{hint}"
        )
    return float(steps[0])


def off_grid(step: np.ndarray, every: int) -> bool:
    """Whether the last frame of a run, at the step numbers ``step`` (F,), is not one of those that come ``every`` so many steps.

    A run has a frame at its end whatever its duration; one off the grid is no frame for lags.
    """
    return len(step) > 1 and bool(step[-1] % every)
