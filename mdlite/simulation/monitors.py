"""What the run loop keeps an eye on: ions that have met nothing, and the drift of the energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

UNFELT = 1e-9
"""meV/Å, meV, and relative change of a velocity: less is nothing."""

BUDGET_SCALARS = ("elastic", "framework_kinetic", "interaction", "ion_kinetic")


class Encounters:
    """Which ions have met no atom so far: no force, no energy, and a velocity that never changed from frame to frame."""

    def __init__(self) -> None:
        self._alone: np.ndarray | None = None
        self._velocity: np.ndarray | None = None

    def take(self, arrays: dict[str, np.ndarray]) -> None:
        """Take in frames, as `mdlite.engines.frames` gives them."""
        velocity = arrays["velocity"]
        if not len(velocity):
            return
        if self._velocity is None:
            self._velocity = velocity[0].copy()
        if self._alone is None:
            self._alone = np.ones(velocity.shape[1], bool)
        kept = np.abs(velocity - self._velocity).max(axis=(0, 2)) <= UNFELT * (1.0 + np.abs(self._velocity).max(axis=1))
        self._alone &= kept
        for name in {"force", "interaction"} & arrays.keys():  # ensembles record neither
            felt = np.abs(arrays[name]).reshape(*velocity.shape[:2], -1).max(axis=(0, 2))
            self._alone &= felt <= UNFELT  # False where there is a NaN

    def recall(self, alone: list[int], ions: int) -> None:
        """Take over what a run to be continued had found."""
        self._alone = np.isin(np.arange(ions), alone)

    @property
    def alone(self) -> list[int]:
        """Numbers of these ions."""
        return [] if self._alone is None else np.flatnonzero(self._alone).tolist()


class DriftMonitor:
    """Relative energy drift: the change of the total since the first budget over the largest sum of absolute parts so far.

    Of several lattices, the one that drifts most.
    """

    def __init__(self, tolerance: float):
        self.tolerance = tolerance
        self.relative = 0.0
        self._first: np.ndarray | None = None
        self._scale = 0.0

    def recall(self, data: Mapping[str, np.ndarray]) -> None:
        """Take in the budgets that a run to be continued has taken, arrays ``energy_...`` (budgets, ...)."""
        parts = np.array([data[f"energy_{name}"] for name in BUDGET_SCALARS])
        if parts.shape[1]:
            parts = parts.reshape(*parts.shape[:2], -1)
            self._first = parts[:, 0].sum(axis=0)
            self._scale = np.abs(parts).sum(axis=0).max(axis=0)

    def update(self, values: dict[str, Any]) -> bool:
        """Take in a budget; False once the drift is beyond the tolerance, or not a number."""
        parts = np.array([np.atleast_1d(values[name]) for name in BUDGET_SCALARS])  # (parts, lattices)
        total = parts.sum(axis=0)
        if self._first is None:
            self._first = total
        self._scale = np.maximum(self._scale, np.abs(parts).sum(axis=0))
        with np.errstate(invalid="ignore", divide="ignore"):
            drift = np.where(self._scale == 0.0, 0.0, (total - self._first) / self._scale)
        self.relative = float(drift[np.argmax(np.abs(drift))])  # NaN counts as the largest
        return abs(self.relative) <= self.tolerance
