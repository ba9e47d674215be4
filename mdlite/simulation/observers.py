"""Observers: what looks at a run at steps of its own choice.

`mdlite.run(config, observers=[...])` takes a user's; frames, budgets, snapshots, checkpoints and progress are those of every run
(`mdlite.simulation.watchers`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mdlite.config import Config
from mdlite.errors import InputError

if TYPE_CHECKING:
    from mdlite.simulation.view import View


class Observer:
    """Looks at a run every so many steps, from its first step on: a subclass with `observe`, or one made of a function.

    every: steps between calls (`steps` gives those of a time in ps). observe: called with the step and a `mdlite.simulation.view.View`; returns None, or a
    text, and then the run is paused with that reason, to go on when it is resumed. What an observer has to remember when a run is interrupted and
    resumed it gives as `state`, and gets back by `restore`; of every step it is called once. An exception of its own ends the run with a RunError.
    """

    every: int

    def __init__(self, every: int, observe: Callable[[int, View], str | None] | None = None):
        self.every = every
        if observe is not None:
            vars(self)["observe"] = observe

    def observe(self, step: int, view: View) -> str | None:
        """Look at the run; return None, or why it should pause. To be given by a subclass."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What to keep in a checkpoint: arrays, numbers, text, None, and lists and tables of these, by name. By default nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave, before the run goes on."""

    @staticmethod
    def steps(config: Config, time: float) -> int:
        """The number of steps nearest to ``time`` (ps), 1 at least. Raises InputError for what is no time."""
        if isinstance(time, bool) or not isinstance(time, int | float) or not 0.0 < time < math.inf:
            raise InputError(f"time = {time!r}: must be a positive number of picoseconds")
        return max(1, round(time / config.run.dt))


def require_observers(observers: Sequence[Any]) -> list[tuple[str, int, Any]]:
    """The name, the interval (steps) and the object of every observer. Raises InputError, saying what is wanted, for what is none."""
    if not isinstance(observers, list | tuple):
        raise InputError(
            f"observers = {_short(observers)}: must be a list of observers, such as [mdlite.Observer(100, function)]"
        )
    found = []
    for n, one in enumerate(observers):
        where, name = f"observers[{n}]", name_of(one)
        if isinstance(one, type):
            raise InputError(f"{where} = {name}: is a class; give an object of it, {name}(...)")
        if not hasattr(one, "every") and not hasattr(one, "observe"):
            raise InputError(
                f"{where} = {_short(one)}: is no observer; mdlite.Observer(every=100, observe=function) makes one of a function"
            )
        _require_methods(one, f"{where} ({name})")
        found.append((name, _interval(one, f"{where} ({name})"), one))
    return found


def name_of(observer: Any) -> str:
    """How an observer is called in messages and checkpoints: by its class, or by the function that it was made of."""
    if type(observer) is Observer:
        return getattr(observer.observe, "__name__", type(observer.observe).__name__)
    return (observer if isinstance(observer, type) else type(observer)).__name__


def _require_methods(one: Any, where: str) -> None:
    for name, call in {"observe": "observe(step, view)", "state": "state()", "restore": "restore(state)"}.items():
        if not callable(getattr(one, name, None)) or (name == "observe" and _inherits(one, name)):
            raise InputError(f"{where}: has no method {call}; a subclass of mdlite.Observer needs only observe(step, view)")
    for name, other in (("state", "restore"), ("restore", "state")):
        if isinstance(one, Observer) and not _inherits(one, name) and _inherits(one, other):
            raise InputError(f"{where}: has a {name} method of its own and no {other}; a run that is resumed needs both")


def _inherits(one: Any, name: str) -> bool:
    """Whether a method is the one of `Observer` itself."""
    return getattr(getattr(one, name), "__func__", None) is getattr(Observer, name)


def _interval(one: Any, where: str) -> int:
    every = getattr(one, "every", None)
    try:
        steps = 0 if isinstance(every, bool) else operator.index(every)  # type: ignore[arg-type]
    except TypeError:
        steps = 0
    if steps < 1:
        raise InputError(
            f"{where}: every = {_short(every)}: must be a whole number of steps, 1 or more; mdlite.Observer.steps(config, 0.1) gives those of 0.1 ps"
        )
    return steps


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
