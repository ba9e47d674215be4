"""What looks at every run: budgets, snapshots, progress, checkpoints, and the observers that a user gives. A chunk of steps ends where one of them wants it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdlite.config import Config
from mdlite.errors import InputError, Interrupted, RunError
from mdlite.simulation import memories
from mdlite.simulation.monitors import DriftMonitor
from mdlite.simulation.progress import Progress
from mdlite.simulation.recorders import Recorder
from mdlite.simulation.stopping import Stopper
from mdlite.simulation.view import View

SHELL_HINT = ", but a shell's force jumps between cells: use atoms of kind cutoff, or raise the tolerance"


@dataclass
class Clock:
    """What a run has taken so far, s: steps, budgets and snapshots; checkpoints; its last chunk of steps alone."""

    seconds: float = 0.0
    checkpoints: float = 0.0
    chunk: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done inside."""
        begin = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - begin


class Watcher:
    """Called wherever a chunk of steps ends. every: steps between the places where one has to end; None: it takes them as they come."""

    every: int | None = None

    def next_step(self, step: int) -> int | None:
        """The first step after ``step`` at which a chunk has to end."""
        return None if self.every is None else (step // self.every + 1) * self.every

    def due(self, step: int) -> bool:
        """Whether a step is one of those."""
        return self.every is not None and step % self.every == 0

    def observe(self, step: int, view: View) -> str | None:
        """Look at the run; why it should pause, or None."""
        raise NotImplementedError


class Budgets(Watcher):
    """Energy budgets, at the last step as well, and whether the energy drifts. Raises RunError if it does."""

    def __init__(self, config: Config, engine, recorder: Recorder, clock: Clock):
        self.every = budget_interval(config)
        self._config, self._engine, self._recorder, self._clock = config, engine, recorder, clock
        self._drift = DriftMonitor(config.run.energy_tolerance)
        self.drift: float | None = None
        interaction: Any = config.interaction
        self._shell = interaction.atoms.kind == "shell"

    def recall(self) -> None:
        """Take in the budgets that a run to be continued has taken."""
        if budgets := self._recorder.budgets():
            self._drift.recall(budgets)

    def observe(self, step: int, view: View) -> str | None:
        """See `Watcher`."""
        if not self.due(step) and step != self._config.n_steps:
            return None
        with self._clock.running():
            values = self._engine.budget()
            if values is None:
                return None
            self._recorder.budget(step, values)
            sound = self._drift.update(values)
            self.drift = self._drift.relative
        if not np.isfinite(self.drift):
            raise RunError(
                f"the energy is no longer finite at t = {view.time:g} ps; try a shorter run.dt (now {self._config.run.dt:g} ps)"
            )
        if not sound:
            raise RunError(
                f"the energy has drifted by {self.drift:.2g} of itself at t = {view.time:g} ps, beyond "
                f"run.energy_tolerance = {self._drift.tolerance:g}; a shorter run.dt (now {self._config.run.dt:g} ps) is the usual cure"
                + (SHELL_HINT if self._shell else "")
            )
        return None


class Snapshots(Watcher):
    """Snapshots of the lattice, every so many frames."""

    def __init__(self, config: Config, engine, recorder: Recorder, clock: Clock):
        self.every = None if config.snapshots is None else config.snapshots.every * config.run.sample_every
        self._config, self._engine, self._recorder, self._clock = config, engine, recorder, clock

    def observe(self, step: int, view: View) -> str | None:
        """See `Watcher`."""
        if self.due(step):
            with self._clock.running():
                self._recorder.snapshot(step, snapshot_arrays(self._engine, self._config))
        return None


class Telling(Watcher):
    """Tells the user, after every chunk, how far the run is."""

    def __init__(self, progress: Callable[[Progress], None] | None, total: int, clock: Clock, budgets: Budgets):
        self._progress, self._total, self._clock, self._budgets = progress, total, clock, budgets

    def observe(self, step: int, view: View) -> str | None:
        """See `Watcher`."""
        if self._progress is not None:
            self._progress(Progress(step, self._total, self._clock.seconds, self._budgets.drift))
        return None


class Checkpointing(Watcher):
    """Checkpoints by steps, by time, when a signal has come and when time runs out; pauses the run then. Raises Interrupted on a signal.

    kept: what else stands in a checkpoint, the run's facts so far and what users' observers remember.
    """

    def __init__(self, config: Config, engine, recorder: Recorder, clock: Clock, kept: Callable[[], tuple[dict, dict]]):
        self.every = config.run.checkpoint_steps
        self._config, self._engine, self._recorder, self._clock, self._kept = config, engine, recorder, clock, kept
        self._saved_at, self._last_cost = time.monotonic(), 0.0
        self.stopper: Stopper | None = None
        self.written = False

    def begin(self, stopper: Stopper | None) -> None:
        """The run begins; ``stopper`` says when it has to end, None for a run that is not kept."""
        self.stopper, self._saved_at = stopper, time.monotonic()

    def observe(self, step: int, view: View) -> str | None:
        """See `Watcher`."""
        if self.stopper is None or step == self._config.n_steps:
            return None
        out_of_time = self.stopper.deadline is not None and self.stopper.out_of_time(3.0 * self._clock.chunk + 2.0 * self._cost())
        late = time.monotonic() - self._saved_at > self._config.run.checkpoint_every
        if late or out_of_time or self.due(step) or self.stopper.signal is not None:
            self.write()
        if self.stopper.signal is not None:
            raise Interrupted(f"interrupted at t = {view.time:g} ps, checkpoint written", self.stopper.signal)
        return "out of wall-clock time" if out_of_time else None

    def write(self) -> None:
        """Write a checkpoint of the present step."""
        begin = time.perf_counter()
        facts, observers = self._kept()
        self._recorder.checkpoint(self._engine.step, self._engine.state(), facts, observers)
        self.written = True
        self._saved_at, self._last_cost = time.monotonic(), time.perf_counter() - begin
        self._clock.checkpoints += self._last_cost

    def _cost(self) -> float:
        """Seconds that the next checkpoint will take, about: as the last one, or by what a slow disk writes."""
        return self._last_cost or 0.1 + sum(array.nbytes for array in self._engine.state().values()) / 2e8


class Watched(Watcher):
    """A user's observer. Every step is shown to it once, whatever the run's interruptions; what goes wrong in it is a RunError that names it."""

    def __init__(self, name: str, every: int, observer: Any):
        self.name, self.every, self._observer = name, every, observer
        self.seen = -1

    def observe(self, step: int, view: View) -> str | None:
        """See `Watcher`."""
        if not self.due(step) or step <= self.seen:
            return None
        try:
            reason = self._observer.observe(step, view)
        except Exception as error:
            raise RunError(
                f"observer {self.name}: failed at t = {view.time:g} ps (step {step}): {type(error).__name__}: {error}"
            ) from error
        if reason is not None and not isinstance(reason, str):
            raise RunError(
                f"observer {self.name}: returned {reason!r:.60} at t = {view.time:g} ps; a text pauses the run, None lets it go on"
            )
        self.seen = step
        return reason if reason is None else f"{self.name}: {reason}"

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps of it. Raises RunError if the observer fails."""
        try:
            state = self._observer.state()
            if not isinstance(state, dict):
                raise TypeError(f"state(): is of type {type(state).__name__}; a table of what to keep, by name, is wanted")
            return {"name": self.name, "seen": self.seen, "state": state}
        except Exception as error:
            raise RunError(f"observer {self.name}: cannot be kept: {type(error).__name__}: {error}") from error

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on from what `memory` gave. Raises InputError if the observer fails."""
        try:
            self._observer.restore(memory["state"])
        except Exception as error:
            raise InputError(
                f"observer {self.name}: cannot take over its state of the checkpoint: {type(error).__name__}: {error}"
            ) from error
        self.seen = memory["seen"]


def watched(
    observers: Sequence[tuple[str, int, Any]], saved: dict[str, np.ndarray], tell: Callable[[str], None]
) -> list[Watched]:
    """Users' observers (as `mdlite.simulation.observers.require_observers` gives them), with what they remember of a run to be continued.

    tell: called with a line for the user. Raises InputError for others than those that the run had.
    """
    found = [Watched(*one) for one in observers]
    try:
        before = memories.unpacked(saved)
        names = [memory["name"] for memory in before]
    except (ValueError, KeyError, TypeError):
        raise InputError("checkpoint: what its observers remember is damaged; give --force to start again") from None
    now = [one.name for one in found]
    if before and found and names != now:
        raise InputError(f"observers = [{', '.join(now)}]: the run was begun with [{', '.join(names)}]; give the same, or none")
    if before and not found:
        tell(f"the run was begun with observers ({', '.join(names)}): it goes on without them, and what they remember is dropped")
    for one, memory in zip(found, before):
        one.recall(memory)
    return found


def remembered(observers: Sequence[Watched]) -> dict[str, np.ndarray]:
    """What users' observers remember, for a checkpoint. Raises RunError if one of them fails, or wants to keep what cannot be kept."""
    try:
        return memories.packed([one.memory() for one in observers])
    except TypeError as error:
        raise RunError(str(error)) from None


def snapshot_arrays(engine, config: Config) -> dict[str, np.ndarray]:
    """A snapshot of the engine's lattice as the configuration asks for it, arrays (1, atoms, ...); empty if it does not."""
    wanted = config.snapshots
    return {} if wanted is None else engine.snapshot(wanted.extent, np.dtype(wanted.precision).type, wanted.velocities)


def budget_interval(config: Config) -> int:
    """Steps between energy budgets: run.energy_every, or the power of two that gives 100 to 200 of them.

    So the steps of a longer run are among those of a shorter one that it continues.
    """
    return config.run.energy_every or 1 << max(0, math.ceil(math.log2(config.n_steps / 200)))
