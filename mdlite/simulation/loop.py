"""The run loop: one compiled call after another, to the next step at which something wants to look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from mdlite.config import Config
from mdlite.errors import RunError
from mdlite.simulation.monitors import Encounters
from mdlite.simulation.progress import Progress
from mdlite.simulation.recorders import Recorder
from mdlite.simulation.stopping import Stopper
from mdlite.simulation.users import Watched, remembered, salvaged
from mdlite.simulation.view import View
from mdlite.simulation.watchers import Budgets, Checkpointing, Clock, Snapshots, Telling, Watcher

CHUNK_SECONDS = 0.1
MAX_CHUNK_FRAMES = 4096


class Loop:
    """Takes the engine from where it is to the run's end, and hands over what comes.

    users: observers that the user gave. status: how it ended, afterwards. asked: why a user's observer wanted it to pause at its last step, or None.
    encounters: ions that have met nothing.
    """

    def __init__(
        self,
        config: Config,
        engine,
        recorder: Recorder,
        progress: Callable[[Progress], None] | None,
        facts: dict[str, Any],
        users: Sequence[Watched] = (),
    ):
        self.config, self.engine, self.recorder = config, engine, recorder
        self.status, self.total = "running", config.n_steps
        self.asked: str | None = None
        self.encounters, self._clock = Encounters(), Clock()
        self._budgets = Budgets(config, engine, recorder, self._clock)
        self._snapshots = Snapshots(config, engine, recorder, self._clock)
        self._users = users
        self._telling = Telling(progress, self.total, self._clock, self._budgets)
        self._checkpoints = Checkpointing(
            config,
            engine,
            recorder,
            self._clock,
            lambda: facts | self.facts(),
            lambda salvage: salvaged(users)[0] if salvage else remembered(users),
        )
        self._longest = max(1, MAX_CHUNK_FRAMES // config.n_ions) * config.run.sample_every

    def go(self, stopper: Stopper | None) -> None:
        """Run to the end, or until the stopper or a user's observer wants it to pause.

        Raises RunError where the state becomes unusable or an observer fails (of a run that is kept a checkpoint is written first, whatever the
        observer raised), Interrupted on a signal.
        """
        self._checkpoints.begin(stopper)
        self._look(self._budgets, self._snapshots)
        asked, chunk, late = self._ask(), 1, None
        while asked is None and late is None and self.engine.step < self.total:
            n = min(chunk, self._longest, self._next_step() - self.engine.step)
            begin = time.perf_counter()
            self._hand_over(*self.engine.advance(n))
            spent = self._clock.chunk = time.perf_counter() - begin
            self._clock.seconds += spent
            chunk = max(1, min(4 * chunk, int(n * CHUNK_SECONDS / max(spent, 1e-9))))
            self._look(self._budgets, self._snapshots)
            self._guard()
            asked = self._ask()
            self._look(self._telling)
            late = self._look(self._checkpoints)
        if self.engine.step == self.total:
            self._hand_over(*self.engine.sample())
            self.status, self.asked = "complete", asked
            return
        self.status = f"paused at t = {self.engine.time:g} ps: {asked or late}"
        if asked is not None:
            self._checkpoints.write()
            self._hand_over(*self.engine.sample())  # when the run goes on, it is taken again

    @property
    def saved(self) -> bool:
        """Whether a checkpoint has been written."""
        return self._checkpoints.written

    def facts(self) -> dict[str, Any]:
        """What the run's record should say of the loop."""
        return {
            "steps": self.engine.step,
            "run_seconds": self._clock.seconds,
            "checkpoint_seconds": self._clock.checkpoints,
            "energy_drift": self._budgets.drift,
        } | {name: value for name, value in (("met_no_atom", self.encounters.alone), ("asked_at_the_end", self.asked)) if value}

    def recall(self, facts: dict[str, Any]) -> None:
        """Take over what the run had spent, and how its energy had drifted, until it was stopped."""
        self._clock.seconds, self._clock.checkpoints = facts.get("run_seconds", 0.0), facts.get("checkpoint_seconds", 0.0)
        self.encounters.recall(facts.get("met_no_atom", []), self.config.n_ions)
        self._budgets.recall()
        self._checkpoints.written = True

    def _next_step(self) -> int:
        """Where the next chunk has to end at the latest."""
        step = self.engine.step
        wanted = (one.next_step(step) for one in (self._budgets, self._snapshots, self._checkpoints, *self._users))
        return min([self.total, *(n for n in wanted if n is not None)])

    def _look(self, *watchers: Watcher) -> str | None:
        """Show the present step to some of them, all in any case; why the run should pause, or None."""
        view = View(self.engine, self.config)
        try:
            reasons = [reason for one in watchers if (reason := one.observe(view.step, view)) is not None]
        finally:
            view.close()
        return "; ".join(reasons) if reasons else None

    def _ask(self) -> str | None:
        """Show the present step to users' observers; why the run should pause, or None."""
        try:
            return self._look(*self._users)
        except BaseException:  # also KeyboardInterrupt: the engine is sound, only the observer is not
            self._checkpoints.salvage()
            raise

    def _hand_over(self, steps, frames) -> None:
        arrays = frames.arrays(self.engine.model, self.config.run.record_atoms)
        self.encounters.take(arrays)
        self.recorder.frames(steps, arrays)

    def _guard(self) -> None:
        fault = self.engine.fault()
        if fault is not None:
            raise RunError(f"stopped at t = {self.engine.time:g} ps (run.dt = {self.config.run.dt:g} ps): {fault}")
