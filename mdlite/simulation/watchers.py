"""What looks at every run: budgets, snapshots, progress and checkpoints (users' observers: `mdlite.simulation.users`). A chunk of steps ends where one
of them wants it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mdlite.config import Config
from mdlite.errors import Interrupted, RunError
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

    @contextlib.contextmanager
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
                + (SHELL_HINT if self._config.interaction.atoms.kind == "shell" else "")
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

    facts: the run's so far. memory: what users' observers remember; ``memory(True)`` leaves out what cannot be kept, where ``memory(False)`` raises
    RunError. written: whether there is a checkpoint.
    """

    def __init__(
        self, config: Config, engine, recorder: Recorder, clock: Clock, facts: Callable[[], dict], memory: Callable[[bool], dict]
    ):
        self.every = config.run.checkpoint_steps
        self._config, self._engine, self._recorder, self._clock = config, engine, recorder, clock
        self._facts, self._memory = facts, memory
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
        """Write a checkpoint of the present step, unless the run is not kept. Raises RunError if an observer cannot be kept."""
        if self.stopper is None:
            return
        try:
            memory = self._memory(False)
        except RunError:
            if not self.written:
                self.salvage()
            raise
        self._write(memory)

    def salvage(self) -> None:
        """The same when an observer has failed: the run can go on from here, with what can be kept of the observers."""
        if self.stopper is not None:
            with contextlib.suppress(RunError):  # a full disk; what the observer has raised matters more
                self._write(self._memory(True))

    def _write(self, memory: dict[str, np.ndarray]) -> None:
        begin = time.perf_counter()
        self._recorder.checkpoint(self._engine.step, self._engine.state(), self._facts(), memory)
        self.written = True
        self._saved_at, self._last_cost = time.monotonic(), time.perf_counter() - begin
        self._clock.checkpoints += self._last_cost

    def _cost(self) -> float:
        """Seconds that the next checkpoint will take, about: as the last one, or by what a slow disk writes."""
        return self._last_cost or 0.1 + sum(array.nbytes for array in self._engine.state().values()) / 2e8


def snapshot_arrays(engine, config: Config) -> dict[str, np.ndarray]:
    """A snapshot of the engine's lattice as the configuration asks for it, arrays (1, atoms, ...); empty if it does not."""
    wanted = config.snapshots
    return {} if wanted is None else engine.snapshot(wanted.extent, np.dtype(wanted.precision).type, wanted.velocities)


def budget_interval(config: Config) -> int:
    """Steps between energy budgets: run.energy_every, or the power of two that gives 100 to 200 of them.

    So the steps of a longer run are among those of a shorter one that it continues.
    """
    return config.run.energy_every or 1 << max(0, math.ceil(math.log2(config.n_steps / 200)))
