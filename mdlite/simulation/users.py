"""Users' observers during a run: when each is called, what becomes of what goes wrong in it, and what a checkpoint keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mdlite import terminal
from mdlite.errors import InputError, RunError
from mdlite.simulation import memories
from mdlite.simulation.observers import interval_of
from mdlite.simulation.view import View
from mdlite.simulation.watchers import Watcher


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
                f"observer {self.name}: failed at t = {view.time:g} ps (step {step}): {terminal.of_error(error)}"
            ) from error
        self.seen = step
        if reason is not None and not (isinstance(reason, str) and reason.strip()):
            raise RunError(
                f"observer {self.name}: returned {terminal.shown(reason)} at t = {view.time:g} ps; a text pauses the run, None lets it go on"
            )
        if changed := self._changed():
            raise RunError(f"observer {self.name}: {changed} at t = {view.time:g} ps; it can not change on the way")
        return reason if reason is None else f"{self.name}: {terminal.one_line(reason)}"

    def _changed(self) -> str:
        """What to say of an interval that is no longer what it was; empty if it is."""
        every = getattr(self._observer, "every", None)
        return (
            ""
            if interval_of(every) == self.every
            else f"every was {self.every} when the run began, and is {terminal.shown(every)}"
        )

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps of it. Raises RunError if the observer fails."""
        try:
            state = self._observer.state()
            if not isinstance(state, dict):
                raise TypeError(f"state(): is of type {type(state).__name__}; a table of what to keep, by name, is wanted")
            return {"name": self.name, "seen": self.seen, "state": state}
        except Exception as error:
            raise RunError(f"observer {self.name}: cannot be kept: {terminal.of_error(error)}") from error

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on from what `memory` gave. Raises InputError if the observer fails."""
        try:
            self._observer.restore(memory["state"])
        except Exception as error:
            raise InputError(
                f"observer {self.name}: cannot take over its state of the checkpoint: {terminal.of_error(error)}"
            ) from error
        if changed := self._changed():
            raise InputError(f"observer {self.name}: {changed} after restore(state); give it when the observer is made")
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
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("checkpoint: what its observers remember is damaged; give --force to start again") from None
    now = [one.name for one in found]
    if before and found and names != now:
        raise InputError(f"observers = [{', '.join(now)}]: the run was begun with [{', '.join(names)}]; give the same, or none")
    if before and not found:
        tell(f"the run was begun with observers ({', '.join(names)}): it goes on without them, and what they remember is dropped")
    for one, memory in zip(found, before):
        if "lost" in memory:
            tell(f"observer {one.name}: what it remembers was not kept ({memory['lost']}); it goes on with what it has now")
            one.seen = memory["seen"]
        else:
            one.recall(memory)
    return found


def require_kept(observers: Sequence[Watched]) -> None:
    """Raise InputError if one of them cannot be kept, as it is when the run begins."""
    try:
        remembered(observers)
    except RunError as error:
        raise InputError(str(error)) from error.__cause__


def remembered(observers: Sequence[Watched]) -> dict[str, np.ndarray]:
    """What users' observers remember, for a checkpoint. Raises RunError if one of them cannot be kept."""
    try:
        return memories.packed([one.memory() for one in observers])
    except TypeError as error:
        raise RunError(str(error)) from error.__cause__


def salvaged(observers: Sequence[Watched]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The same, with a line for each that cannot be kept: the steps that it has seen are kept all the same."""
    kept, lines = [], []
    for one in observers:
        try:
            memory = one.memory()
            memories.packed([memory])
        except (RunError, TypeError) as error:
            memory = {"name": one.name, "seen": one.seen, "state": {}, "lost": str(error)}
            lines.append(str(error))
        kept.append(memory)
    return memories.packed(kept), lines
