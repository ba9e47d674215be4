"""What every engine has: a step count, and frames sampled by its kernels, as numpy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from mdlite.engines.guard import Guard
from mdlite.kernels.types import Frames
from mdlite.physics.model import Model


def allocate(rows: int, n_atoms: int) -> Frames:
    """Room for ``rows`` frames with ``n_atoms`` recorded atoms each (0: none); NaN until written."""
    shapes = {
        "position": (rows, 3),
        "velocity": (rows, 3),
        "force": (rows, 3),
        "interaction": (rows,),
        "effective_position": (rows, 3),
        "atom_position": (rows, n_atoms, 3),
        "atom_velocity": (rows, n_atoms, 3),
    }
    return Frames(**{name: np.full(shape, np.nan) for name, shape in shapes.items()})


class Engine(ABC):
    """One contract: `advance` takes steps in one compiled call and returns the frames on the way, `sample` the present one.

    model: the physics. method: its name in the configuration. dt: time step, ps. sample_every: steps between frames. guard: what the ion may not
    do, by default that of an ion in a crystal at rest.
    """

    extendable = True
    """Whether a finished run can go on to a longer duration from its `state`."""

    def __init__(
        self, model: Model, method: str, dt: float, sample_every: int, record_atoms: bool = False, guard: Guard | None = None
    ):
        self.model, self.method, self.dt, self.sample_every = model, method, dt, sample_every
        self.guard = guard or Guard(model, method, dt)
        self.n_recorded = len(model.offsets) if record_atoms else 0
        self.step = 0

    @property
    def time(self) -> float:
        """Present time, ps."""
        return self.step * self.dt

    def advance(self, n_steps: int) -> tuple[np.ndarray, Any]:
        """Take n_steps steps; returns the step numbers (F,) and frames sampled on the way, the step reached not among them."""
        first = -(-self.step // self.sample_every) * self.sample_every
        steps = np.arange(first, self.step + n_steps, self.sample_every, dtype=np.int64)
        out = self._allocate(len(steps))
        self._take(n_steps, out)
        self.step += n_steps
        return steps, out

    def sample(self) -> tuple[np.ndarray, Any]:
        """The present step as one frame; the state is not changed."""
        out = self._allocate(1)
        self._record(out)
        return np.array([self.step]), out

    def budget(self) -> dict[str, Any] | None:
        """Energies (meV) and momenta (meV ps/Å) of the present step; None where the medium's energy is not part of the state."""
        return None

    def restore(self, step: int, state: dict[str, np.ndarray]) -> None:
        """Go on from ``step`` with what `state` gave there (of an engine of the same configuration). Raises ValueError if it does not fit."""
        own = self.state()
        if own.keys() != state.keys():
            raise ValueError(f"the state holds {sorted(state)}, not {sorted(own)}")
        for name, array in own.items():
            if array.shape != state[name].shape or array.dtype != state[name].dtype:
                raise ValueError(f"{name} is {state[name].dtype} {state[name].shape}, not {array.dtype} {array.shape}")
        for name, array in own.items():
            array[...] = state[name]
        self.step = step

    def snapshot(self, extent: int | None, dtype: type, velocities: bool) -> dict[str, np.ndarray]:
        """The framework's atoms at the present step, (1, atoms, ...), for the engines of one explicit lattice; of others, none."""
        return {}

    def announcement(self) -> str | None:
        """What the user should know before a long run starts, or None."""
        return None

    def facts(self) -> dict[str, Any]:
        """What the run's record should say of this engine when it is over."""
        return {}

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything that, with the step, decides how the run goes on: the engine's own arrays, not copies."""

    @abstractmethod
    def fault(self) -> str | None:
        """What makes the present state unusable, or None."""

    def _allocate(self, rows: int) -> Any:
        return allocate(rows, self.n_recorded)

    @abstractmethod
    def _take(self, n_steps: int, out: Any) -> None:
        """Take n_steps steps from self.step and write the sampled frames into ``out``."""

    @abstractmethod
    def _record(self, out: Any) -> None:
        """Write the present step into row 0 of ``out``."""
