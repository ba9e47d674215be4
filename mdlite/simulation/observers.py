"""Observers: what looks at a run at steps of its own choice.

`mdlite.run(config, observers=[...])` takes a user's; frames, budgets, snapshots, checkpoints and progress are those of every run
(`mdlite.simulation.watchers`).
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import arguments, terminal
from mdlite.config import Config, config_of
from mdlite.errors import InputError

if TYPE_CHECKING:
    from mdlite.simulation.view import View


class Observer:
    """Looks at a run every so many steps, from its first step on: a subclass with `observe`, or one made of a function.

    every: steps between calls (`steps` gives those of a time in ps), read once, when the run begins; it must not change on the way. observe: called
    with the step and a `mdlite.simulation.view.View`, whose arrays may be kept, while the view ends with the call; returns None, or a text, and then the
    run is paused with that reason, to go on when it is resumed (at its last step there is nothing to pause: ``facts["asked_at_the_end"]`` keeps
    the reason).

    What an observer has to remember when a run is interrupted and resumed it gives as `state`, and gets back by `restore`, of a complete run as well;
    of every step it is called once. An exception of its own ends the run with a RunError; of a run with a file a checkpoint is written first, and when
    it is resumed, the observer mended, that step is shown to it again: so what it remembers should be changed last.
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
        """What to keep in a checkpoint: arrays, numbers, text, None, and lists and tables of these, by name. By default nothing.

        Called when a run with a file begins, which is refused if this cannot be kept, and for every checkpoint; never without a file.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave, before the run goes on."""

    @staticmethod
    def steps(config: Config | str | Path | dict[str, Any], time: float) -> int:
        """The number of steps nearest to ``time`` (ps), 1 at least; config: as `mdlite.run` takes it. Raises InputError for what is no time."""
        dt = config_of(config).run.dt
        given = time[()] if isinstance(time, np.ndarray) else time
        if isinstance(given, bool) or not isinstance(given, numbers.Real) or not 0.0 < given <= arguments.LARGEST:
            raise InputError(f"time = {terminal.shown(time)}: must be a positive number of picoseconds")
        return max(1, round(float(given) / dt))


def require_observers(observers: Sequence[Any]) -> list[tuple[str, int, Any]]:
    """The name, the interval (steps) and the object of every observer. Raises InputError, saying what is wanted, for what is none."""
    if not isinstance(observers, list | tuple):
        raise InputError(
            f"observers = {terminal.shown(observers)}: must be a list of observers, such as [mdlite.Observer(100, function)]"
        )
    found = []
    for n, one in enumerate(observers):
        where, name = f"observers[{n}]", name_of(one)
        if isinstance(one, type):
            raise InputError(f"{where} = {name}: is a class; give an object of it, {name}(...)")
        if not hasattr(one, "every") and not hasattr(one, "observe"):
            raise InputError(
                f"{where} = {terminal.shown(one)}: is no observer; mdlite.Observer(every=100, observe=function) makes one of a function"
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


def interval_of(every: Any) -> int:
    """A whole number of steps, or 0 if it is none."""
    try:
        return 0 if isinstance(every, bool) else max(0, operator.index(every))
    except TypeError:
        return 0


def _interval(one: Any, where: str) -> int:
    every = getattr(one, "every", None)
    steps = interval_of(every)
    if steps < 1:
        raise InputError(
            f"{where}: every = {terminal.shown(every)}: must be a whole number of steps, 1 or more; mdlite.Observer.steps(config, 0.1) gives those of "
            "0.1 ps"
        )
    return steps
