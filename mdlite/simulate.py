"""The run loop: one engine, one recorder, one compiled call at a time."""

from __future__ import annotations

import platform
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import mdlite
from mdlite import storage
from mdlite.config import Config, parse
from mdlite.engines import lattice_seeds, make_engine, prepare
from mdlite.errors import RunError
from mdlite.observers import DriftMonitor, MemoryRecorder, budget_interval, frame_arrays

CHUNK_SECONDS = 0.1
MAX_CHUNK_FRAMES = 4096
SHELL_HINT = ", but a shell's force jumps between cells: use atoms of kind cutoff, or raise the tolerance"


@dataclass(frozen=True)
class Progress:
    """What a running simulation tells: steps done of all, seconds of stepping, relative energy drift (None: not defined)."""

    done: int
    total: int
    seconds: float
    drift: float | None


@dataclass(frozen=True)
class Run:
    """A finished run. Arrays have one row per frame; vectors of the ion are (frames, ions, 3). Units: Å, ps, meV.

    config: its settings. facts: versions, threads, timing, status. data: all arrays by name (see ARCHITECTURE.md, Files).
    """

    config: Config
    facts: dict[str, Any]
    data: dict[str, np.ndarray] = field(repr=False)

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(f"this run has no {name!r}; it has {', '.join(sorted(self.__dict__.get('data', {})))}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.data})

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {values.shape}" for name, values in self.data.items())
        return f"<Run {self.config.method!r}, {self.facts.get('status')}: {arrays}>"

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run from its file. Raises InputError if it is not one."""
        toml, facts, data = storage.read(path)
        return cls(parse(tomllib.loads(toml)), facts, data)

    @property
    def total_energy(self) -> np.ndarray:
        """Total energy at the budgets' times, meV (reference runs)."""
        return self.energy_elastic + self.energy_framework_kinetic + self.energy_interaction + self.energy_ion_kinetic


def environment() -> dict[str, Any]:
    """Versions, machine and threads: what a reader needs to repeat a run."""
    import h5py
    import numba
    import scipy

    return {
        "version": mdlite.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "h5py": h5py.__version__,
        "threads": numba.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def run(
    config: Config,
    output: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    force: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Run:
    """Integrate a configuration and return the run; with ``output`` it is also written to that H5MD file while it goes.

    progress is called after every compiled chunk (and its ``close()``, if it has one, at the end, however it comes), notice with a
    line of text where the user should know why nothing moves.
    Raises InputError before anything is written, RunError if the state becomes unusable (what was recorded stays in ``output``).
    """
    if output is not None:
        storage.check_output(output, force)
    started = time.perf_counter()
    other = config.method == "reference" and config.lattice.boundary != "periodic"
    compile_seconds = prepare([config.lattice.boundary if other else config.method], notice, config.thermal)
    engine = _announced(config, notice)
    thermal = config.thermal
    seeds = {} if thermal is None else {"seeds": lattice_seeds(thermal.seed, thermal.lattices)}
    facts = (
        environment()
        | seeds
        | {
            "status": "running",
            "compile_seconds": compile_seconds,
            "setup_seconds": time.perf_counter() - started - compile_seconds,
        }
    )
    recorder = MemoryRecorder(config.run.dt) if output is None else storage.FileRecorder(output, config, facts, force)
    loop = _Loop(config, engine, recorder, progress)
    try:
        loop.go()
        facts["status"] = "complete"
    except RunError as error:
        facts["status"] = f"stopped: {error}"
        raise
    except KeyboardInterrupt:
        facts["status"] = f"interrupted at t = {engine.time:g} ps"
        raise
    finally:
        facts |= engine.facts()
        facts |= {"steps": engine.step, "run_seconds": loop.seconds, "energy_drift": loop.drift_value}
        recorder.close(facts)
        if hasattr(progress, "close"):
            progress.close()
    if output is not None:
        return Run.load(output)
    return Run(config, facts, recorder.data())


def _announced(config: Config, notice: Callable[[str], None] | None):
    """The engine, with a line for the user before one that may take long to make, and one if it has something to say."""
    tell = notice or (lambda line: None)
    if config.method == "memory-kernel":
        tell("the response of the infinite crystal: computed once (some 10 s for 30 ps), then kept")
    engine = make_engine(config)
    line = engine.announcement()
    if line is not None:
        tell(line)
    return engine


class _Loop:
    """Steps to the next budget or the next look at the clock, whichever is nearer; hands over what comes; guards the state."""

    def __init__(self, config, engine, recorder, progress):
        self.config, self.engine, self.recorder, self.progress = config, engine, recorder, progress
        self.seconds = 0.0
        self.drift = DriftMonitor(config.run.energy_tolerance)
        self.drift_value: float | None = None
        self.total = config.n_steps
        self.every = budget_interval(config)
        self.longest = max(1, MAX_CHUNK_FRAMES // config.n_ions) * config.run.sample_every

    def go(self) -> None:
        """Run to the end; raises RunError where the state becomes unusable."""
        chunk = 1
        self._budget()
        while self.engine.step < self.total:
            to_budget = self.every - self.engine.step % self.every
            n = min(chunk, to_budget, self.total - self.engine.step, self.longest)
            begin = time.perf_counter()
            steps, raw = self.engine.advance(n)
            self._hand_over(steps, raw)
            spent = time.perf_counter() - begin
            self.seconds += spent
            chunk = max(1, min(4 * chunk, int(n * CHUNK_SECONDS / max(spent, 1e-9))))
            if self.engine.step % self.every == 0 or self.engine.step == self.total:
                self._budget()
            self._guard()
            self._tell()
        self._hand_over(*self.engine.sample())

    def _hand_over(self, steps, raw) -> None:
        self.recorder.frames(steps, frame_arrays(raw, self.engine.model, self.config.run.record_atoms))

    def _budget(self) -> None:
        begin = time.perf_counter()
        values = self.engine.budget()
        if values is None:
            return
        self.recorder.budget(self.engine.step, values)
        sound = self.drift.update(values)
        self.drift_value = self.drift.relative
        self.seconds += time.perf_counter() - begin
        if not np.isfinite(self.drift.relative):
            raise RunError(
                f"the energy is no longer finite at t = {self.engine.time:g} ps; try a shorter run.dt (now {self.config.run.dt:g} ps)"
            )
        if not sound:
            raise RunError(
                f"the energy has drifted by {self.drift.relative:.2g} of itself at t = {self.engine.time:g} ps, beyond "
                f"run.energy_tolerance = {self.drift.tolerance:g}; a shorter run.dt (now {self.config.run.dt:g} ps) is the usual cure"
                + (SHELL_HINT if self.config.interaction.atoms.kind == "shell" else "")
            )

    def _guard(self) -> None:
        fault = self.engine.fault()
        if fault is not None:
            raise RunError(f"stopped at t = {self.engine.time:g} ps (run.dt = {self.config.run.dt:g} ps): {fault}")

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(Progress(self.engine.step, self.total, self.seconds, self.drift_value))
