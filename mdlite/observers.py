"""What a run records, and when. A recorder gets frames and budgets; where it puts them is its own affair.

Three streams: frames of the ion (every ``run.sample_every`` steps), energy budgets (every ``run.energy_every``), and the closing
facts. `MemoryRecorder` keeps them as arrays, `mdlite.storage.FileRecorder` writes them to an H5MD file as they come.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, Protocol

import numpy as np

from mdlite.config import Config
from mdlite.model import Model

BUDGET_SCALARS = ("elastic", "framework_kinetic", "interaction", "ion_kinetic")


class Recorder(Protocol):
    """Where a run's numbers go."""

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Append frames: step numbers (F,) and arrays whose first axis is F."""

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """Append one energy budget."""

    def close(self, facts: dict[str, Any]) -> None:
        """The run is over, in whatever way ``facts['status']`` says."""


class MemoryRecorder:
    """Keeps everything in memory; `data` gives one dict of arrays when the run is over."""

    def __init__(self, dt: float):
        self._dt = dt
        self._parts: dict[str, list] = defaultdict(list)
        self.facts: dict[str, Any] = {}

    def frames(self, steps, arrays):
        """See Recorder."""
        self._parts["step"].append(steps)
        self._parts["time"].append(steps * self._dt)
        for name, values in arrays.items():
            self._parts[name].append(values)

    def budget(self, step, values):
        """See Recorder."""
        self._parts["energy_step"].append([step])
        self._parts["energy_time"].append([step * self._dt])
        for name, value in values.items():
            self._parts[f"energy_{name}"].append(np.asarray(value)[None])

    def close(self, facts):
        """See Recorder."""
        self.facts = dict(facts)

    def data(self) -> dict[str, np.ndarray]:
        """All arrays, concatenated."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def frame_arrays(raw, model: Model, record_atoms: bool) -> dict[str, np.ndarray]:
    """The arrays of kernel frames as they are stored: vectors of the ion get an axis for it, (F, 1, 3); atoms stay (F, n, 3)."""
    if raw.position.ndim == 4:  # an ensemble: (F, lattices, ions of each, 3)
        rows, lattices, each, _ = raw.position.shape
        out = {name: array.reshape(rows, lattices * each, *array.shape[3:]) for name, array in raw._asdict().items()}
        return out | {"ion_kinetic": model.ion.kinetic_energy(out["velocity"])}
    out = {name: getattr(raw, name)[:, None] for name in ("position", "velocity", "force", "effective_position")}
    out["interaction"] = raw.interaction[:, None]
    out["ion_kinetic"] = model.ion.kinetic_energy(raw.velocity)[:, None]
    if record_atoms:
        out["atom_site"] = np.broadcast_to(model.candidate_sites(raw.position), raw.atom_position.shape).astype(np.int32)
        out["atom_position"] = raw.atom_position
        if np.isfinite(raw.atom_velocity).any():
            out["atom_velocity"] = raw.atom_velocity
    return out


def budget_interval(config: Config) -> int:
    """Steps between energy budgets: run.energy_every, or as many as give about 600 of them."""
    return config.run.energy_every or max(1, math.ceil(config.n_steps / 600))


class DriftMonitor:
    """Relative energy drift: the change of the total since the first budget over the largest sum of absolute parts so far.

    Of several lattices, the one that drifts most.
    """

    def __init__(self, tolerance: float):
        self.tolerance = tolerance
        self.relative = 0.0
        self._first: np.ndarray | None = None
        self._scale = 0.0

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
