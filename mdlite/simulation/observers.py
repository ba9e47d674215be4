"""What a run records, and when. A recorder gets frames and budgets; where it puts them is its own affair.

Frames of the ion (every ``run.sample_every`` steps), energy budgets (every ``run.energy_every``), snapshots of the lattice, and the closing
facts. `MemoryRecorder` keeps them as arrays, `mdlite.io.storage.FileRecorder` writes them to an H5MD file as they come.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mdlite.config import Config
from mdlite.physics.model import Model

UNFELT = 1e-9
"""meV/Å, meV, and relative change of a velocity: less is nothing."""

BUDGET_SCALARS = ("elastic", "framework_kinetic", "interaction", "ion_kinetic")


class Recorder(Protocol):
    """Where a run's numbers go."""

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Append frames: step numbers (F,) and arrays whose first axis is F."""

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """Append one energy budget."""

    def snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Append one snapshot of the lattice, arrays (1, atoms, ...)."""

    def close(self, facts: dict[str, Any], state: dict[str, np.ndarray] | None = None) -> None:
        """The run is over, in whatever way ``facts['status']`` says; state: the engine's, to be kept."""


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

    def snapshot(self, step, arrays):
        """See Recorder."""
        for name, value in {"lattice_step": [step], "lattice_time": [step * self._dt], **arrays}.items():
            self._parts[name].append(value)

    def close(self, facts, state=None):
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


def snapshot_arrays(engine, config: Config) -> dict[str, np.ndarray]:
    """A snapshot of the engine's lattice as the configuration asks for it, arrays (1, atoms, ...); empty if it does not."""
    wanted = config.snapshots
    return {} if wanted is None else engine.snapshot(wanted.extent, np.dtype(wanted.precision).type, wanted.velocities)


def budget_interval(config: Config) -> int:
    """Steps between energy budgets: run.energy_every, or the power of two that gives 100 to 200 of them.

    So the steps of a longer run are among those of a shorter one that it continues.
    """
    return config.run.energy_every or 1 << max(0, math.ceil(math.log2(config.n_steps / 200)))


class Encounters:
    """Which ions have met no atom so far: no force, no energy, and a velocity that never changed from frame to frame."""

    def __init__(self):
        self._alone: np.ndarray | None = None
        self._velocity: np.ndarray | None = None

    def take(self, arrays: dict[str, np.ndarray]) -> None:
        """Take in frames, as `frame_arrays` gives them."""
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
        parts = parts.reshape(*parts.shape[:2], -1)
        if parts.shape[1]:
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
