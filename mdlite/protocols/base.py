"""What every protocol of `mdlite validate` works with: how it runs things, what it gives back, and the list of protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mdlite.analysis import losses
from mdlite.config import Config, rules
from mdlite.engines import registry
from mdlite.errors import InputError, RunError
from mdlite.simulation import simulate

NO_CRYSTAL = "Not yet in a [crystal]"


@dataclass
class Outcome:
    """What a protocol found: numbers for summary.json, the report's body in Markdown, figures by file name, and names of other files that it wrote.

    verdict: the sentences that the report begins with, which method is right here and at what price.
    """

    summary: dict[str, Any]
    body: str
    figures: dict[str, Callable[[], Any]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    verdict: str = field(kw_only=True)


@dataclass(frozen=True)
class Job:
    """How a protocol runs things: the folder for its files, whether they may be replaced, and whom to tell."""

    folder: Path
    force: bool = False
    progress: Callable[[str], Callable[[simulate.Progress], None] | None] = lambda label: None
    notice: Callable[[str], None] | None = None

    def run(self, config: Config, label: str) -> simulate.Run:
        """One run, written to ``label``.h5 in the folder. Raises RunError, with the label, if it has to stop, or loses so many ions by its step that
        what is left is a selection."""
        config = config.replace(**{"run.keep_state": False})  # a lattice's last state would be most of the folder
        try:
            run = simulate.run(
                config, self.folder / f"{label}.h5", self.progress(label), self.force, self.notice, introduce=False
            )
        except RunError as error:
            raise RunError(f"{label}: {error}") from None
        biased = losses.bias(run.facts, config.method)
        if biased is not None:
            raise RunError(f"{label}: {biased}")
        return run

    def attempt(self, config: Config, label: str, failures: dict[str, str]) -> simulate.Run | None:
        """As `run`, for an approximation: if it has to stop, that is a result, noted in ``failures`` and told, and None comes back."""
        try:
            return self.run(config, label)
        except (RunError, InputError) as error:
            failures[label] = str(error).removeprefix(f"{label}: ")
            if self.notice is not None:
                self.notice(f"{error} (the validation goes on without it)")
            return None


def sound(config: Config) -> Config:
    """The same, after all rules of its method: a changed copy of a configuration with a [crystal] has not been asked them. Raises InputError."""
    if config.crystal is not None and (faults := rules.faults(config, start=False)):
        raise InputError("\n".join(faults))
    return config


def of_default(
    chosen: list[str], default: tuple[str, ...], config: Config, setting: Callable[[Config, str], Config]
) -> tuple[list[str], dict[str, str]]:
    """The methods to run of those that are ``chosen``, and why others are left out: of the ``default`` list, where there is a [crystal], those whose
    ``setting`` it refuses."""
    if config.crystal is None or tuple(chosen) != default:
        return list(chosen), {}
    left_out: dict[str, str] = {}
    for method in chosen:
        if not registry.find(method).crystals:
            left_out[method] = NO_CRYSTAL
            continue
        try:
            setting(config, method)
        except InputError as error:
            left_out[method] = " ".join(str(error).split())
    return [method for method in chosen if method not in left_out], left_out


def plain(value: Any) -> Any:
    """Values as JSON has them: arrays as lists, NaN and infinities as null and strings."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float | np.floating):
        number = float(value)
        if np.isnan(number):
            return None
        return number if np.isfinite(number) else str(number)
    return value.item() if isinstance(value, np.generic) else value
