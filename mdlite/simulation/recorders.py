"""Where a run's numbers go: frames, budgets, snapshots, checkpoints and the closing facts, as they come.

`MemoryRecorder` keeps them as arrays, `mdlite.io.recorder.FileRecorder` writes them to an H5MD file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Recorder(Protocol):
    """What the run loop and `mdlite.run` need of a recorder."""

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Append frames: step numbers (F,) and arrays whose first axis is F."""

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """Append one energy budget."""

    def budgets(self) -> Mapping[str, np.ndarray]:
        """The budgets that are there, arrays ``energy_...`` (budgets, ...); empty where none are taken."""

    def snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Append one snapshot of the lattice, arrays (1, atoms, ...)."""

    def checkpoint(
        self, step: int, state: dict[str, np.ndarray], facts: dict[str, Any], observers: dict[str, np.ndarray] | None = None
    ) -> None:
        """Keep what the run needs to go on from ``step``: the state of its engine and of its observers, and its facts so far."""

    def close(
        self,
        facts: dict[str, Any],
        state: dict[str, np.ndarray] | None = None,
        observers: dict[str, np.ndarray] | None = None,
    ) -> None:
        """The run is over, in whatever way ``facts['status']`` says. state, observers: as of a checkpoint, to be kept."""

    def data(self) -> Mapping[str, np.ndarray]:
        """All arrays by name, once it is closed."""


class MemoryRecorder:
    """Keeps everything in memory; nothing goes on from there, so checkpoints are not kept. dt: time step, ps."""

    def __init__(self, dt: float):
        self._dt = dt
        self._parts: dict[str, list] = defaultdict(list)
        self.facts: dict[str, Any] = {}

    def frames(self, steps: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """See `Recorder`."""
        self._parts["step"].append(steps)
        self._parts["time"].append(steps * self._dt)
        for name, values in arrays.items():
            self._parts[name].append(values)

    def budget(self, step: int, values: dict[str, Any]) -> None:
        """See `Recorder`."""
        self._parts["energy_step"].append([step])
        self._parts["energy_time"].append([step * self._dt])
        for name, value in values.items():
            self._parts[f"energy_{name}"].append(np.asarray(value)[None])

    def budgets(self) -> dict[str, np.ndarray]:
        """See `Recorder`."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items() if name.startswith("energy_")}

    def snapshot(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """See `Recorder`."""
        for name, value in {"lattice_step": [step], "lattice_time": [step * self._dt], **arrays}.items():
            self._parts[name].append(value)

    def checkpoint(
        self, step: int, state: dict[str, np.ndarray], facts: dict[str, Any], observers: dict[str, np.ndarray] | None = None
    ) -> None:
        """See `Recorder`; nothing is kept."""

    def close(
        self,
        facts: dict[str, Any],
        state: dict[str, np.ndarray] | None = None,
        observers: dict[str, np.ndarray] | None = None,
    ) -> None:
        """See `Recorder`."""
        self.facts = dict(facts)

    def data(self) -> dict[str, np.ndarray]:
        """See `Recorder`."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}
