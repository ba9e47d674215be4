"""What every engine has: a step count, and frames sampled by its kernels, as numpy arrays; and what engines are made from."""

from __future__ import annotations

from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from mdlite.engines import frames
from mdlite.engines.frames import AnyFrames, LoneFrames
from mdlite.engines.guard import Guard
from mdlite.kernels.types import IonState
from mdlite.physics.integrators import INTEGRATORS

Kind = TypeVar("Kind", bound=AnyFrames)
"""Of frames."""


@dataclass(frozen=True)
class Setup:
    """What any engine is made from: the physics, the steps, and where several crystals or ions begin."""

    model: Any
    """The ion and its crystal: a `mdlite.physics.model.Model`, or a `mdlite.crystals.model.CrystalModel`."""
    dt: float
    """Time step, ps."""
    sample_every: int = 1
    """Steps between frames."""
    record_atoms: bool = False
    """Candidate atoms in every frame."""
    method: str = ""
    """Name in the configuration, for engines that have several; of others their own."""
    states: Sequence[tuple[Any, Any]] = ()
    """(u, v) of each of L crystals at t = 0, (3, Nx, Ny, Nz) in Å and Å/ps; none: one at rest on its sites."""
    positions: Any = None
    """Where ions start, (L, I, 3) in Å, or (I, 3) in one crystal; None: the model's ion alone."""
    n_steps: int = 0
    """Of the whole run, for engines that have to know."""
    integrator: str = "velocity-verlet"
    """One of `mdlite.physics.integrators`."""
    guard: Guard | None = None
    """What an ion may not do; None: what would be wrong in crystals that begin in ``states``."""


def ion_at_start(model: Any) -> IonState:
    """The model's ion of an explicit crystal, with no force yet."""
    return IonState(
        position=np.array(model.ion.position),
        velocity=np.array(model.ion.velocity),
        inverse_mass=model.ion.inverse_mass,
        force=np.zeros(3),
        atom_force=np.zeros((len(model.offsets), 3)),
        stiffest=np.zeros(1),
    )


class _ByParts(ABCMeta):
    """Makes an engine from a `Setup` and, by keyword, what it alone has; or, by hand, from the parts of both: ``ReferenceEngine(model, 0.005)``."""

    parts: tuple[str, ...]

    def __call__(cls, *given: Any, **named: Any) -> Any:
        if given and isinstance(given[0], Setup):
            return super().__call__(*given, **named)
        if len(given) > len(cls.parts):
            raise TypeError(f"{cls.__name__} takes {len(cls.parts)} parts: {', '.join(cls.parts)}")
        named = dict(zip(cls.parts, given)) | named
        start = [named.pop(name, None) for name in ("displacement", "velocity")]
        if any(field is not None for field in start):
            named["states"] = [tuple(0.0 if field is None else field for field in start)]
        known = {field.name for field in fields(Setup)}
        own = {name: value for name, value in named.items() if name not in known}
        return super().__call__(Setup(**{name: value for name, value in named.items() if name in known}), **own)


class Engine(ABC, Generic[Kind], metaclass=_ByParts):
    """One contract: `advance` takes steps in one compiled call and returns the frames on the way, `sample` the present one.

    It is made from a `Setup`, and keywords of its own.
    """

    method: str
    shown: type = LoneFrames
    """What its frames are."""
    corner: tuple[int, int, int] = (0, 0, 0)
    """Lattice indices of the first atom that `synchronous` gives."""
    extendable = True
    """Whether a finished run can go on to a longer duration from its `state`."""
    parts: ClassVar[tuple[str, ...]] = ("model", "dt", "sample_every", "record_atoms")
    """Of a `Setup`, and own ones, in the order in which an engine made by hand takes them."""

    def __init__(self, setup: Setup):
        self.model, self.dt, self.sample_every = setup.model, setup.dt, setup.sample_every
        self.method = setup.method or self.method
        turn = INTEGRATORS[setup.integrator].turn
        self.guard = setup.guard or Guard.among(setup.model, self.method, setup.dt, setup.states, turn)
        self.n_recorded = len(setup.model.offsets) if setup.record_atoms else 0
        self.step = 0

    @property
    def time(self) -> float:
        """Present time, ps."""
        return self.step * self.dt

    def advance(self, n_steps: int) -> tuple[np.ndarray, Kind]:
        """Take n_steps steps; returns the step numbers (F,) and frames sampled on the way, the step reached not among them."""
        first = -(-self.step // self.sample_every) * self.sample_every
        steps = np.arange(first, self.step + n_steps, self.sample_every, dtype=np.int64)
        out = self._allocate(len(steps))
        self._take(n_steps, out)
        self.step += n_steps
        return steps, self.shown(*out)

    def sample(self) -> tuple[np.ndarray, Kind]:
        """The present step as one frame; the state is not changed."""
        out = self._allocate(1)
        self._record(out)
        return np.array([self.step]), self.shown(*out)

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

    def synchronous(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
        """Copies of u, v of the framework (Å, Å/ps) and R, Ṙ of the ion (Å, Å/ps), all at the present step, for engines of an explicit lattice;
        of others, None."""
        return None

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
        """Room for frames, as the kernels write them (`mdlite.engines.frames`)."""
        return frames.lone(rows, self.n_recorded)

    @abstractmethod
    def _take(self, n_steps: int, out: Any) -> None:
        """Take n_steps steps from self.step and write the sampled frames into ``out``."""

    @abstractmethod
    def _record(self, out: Any) -> None:
        """Write the present step into row 0 of ``out``."""
