"""The run loop: one engine, one recorder, one compiled call at a time."""

from __future__ import annotations

import contextlib
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import mdlite
from mdlite.accuracy import estimate
from mdlite.analysis import losses
from mdlite.config import Config, introduction
from mdlite.engines import memory, patch_edge
from mdlite.engines.build import lattice_seeds, make_engine, prepare_for
from mdlite.errors import InputError, Interrupted, RunError
from mdlite.io import checkpoint, outputs, resuming, storage
from mdlite.io.checkpoint import Saved
from mdlite.simulation.observers import DriftMonitor, Encounters, MemoryRecorder, budget_interval, frame_arrays, snapshot_arrays
from mdlite.simulation.progress import callbacks
from mdlite.simulation.result import Run
from mdlite.simulation.stopping import Stopper

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


def environment() -> dict[str, Any]:
    """Versions, machine and threads: what a reader needs to repeat a run."""

    import numba
    import scipy

    return {
        "version": mdlite.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "h5py": version("h5py"),
        "threads": numba.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def run(
    config: Config,
    output: str | Path | None = None,
    progress: Callable[[Progress], None] | bool | None = None,
    force: bool = False,
    notice: Callable[[str], None] | None = None,
    resume: bool = False,
    max_walltime: float | None = None,
    introduce: bool = True,
) -> Run:
    """Integrate a configuration and return the run; with ``output`` it is also written to that H5MD file while it goes.

    progress is called after every compiled chunk (and its ``close()``, if it has one, at the end, however it comes), notice with a
    line of text where the user should know why nothing moves; progress=True shows a bar, and the notices. resume: go on from the last
    checkpoint of ``output``, or from the end of a finished run to a longer ``run.duration``, with the bits that one uninterrupted run
    would have; begin where there is nothing yet.
    introduce: notice first gets what the configuration comes to (masses, temperature), and what in it looks like a mistake of units.
    max_walltime: stop cleanly, with a checkpoint, before so many seconds have passed since the call; ``facts["status"]`` says so.
    Ions that a run has lost (`mdlite.analysis.losses`) are told at its end, by a notice, or a RuntimeWarning without one, and listed in ``facts["run_aways"]``.
    Raises InputError before anything is written, RunError if the state becomes unusable (what was recorded stays in ``output``),
    Interrupted (a KeyboardInterrupt) on SIGINT or SIGTERM, once a checkpoint is written.
    """
    deadline = None if max_walltime is None else time.monotonic() + max_walltime
    progress, notice = callbacks(config.method, progress, notice)
    if resume and force:
        raise InputError("resume and force: one continues a run, the other replaces it; give one of them")
    if output is None:
        if resume or max_walltime is not None:
            raise InputError("output: is missing; only a run with a file can be stopped and resumed")
        if introduce and notice is not None:
            introduction.tell(config, notice)
        return _run(config, None, None, progress, notice, deadline)
    path = outputs.check_output(output, force or resume, outputs.HDF5)
    with checkpoint.exclusive(path):
        saved = _beginning(config, path, force, resume, notice or (lambda line: None))
        if saved is not None and saved.ends(config.n_steps):
            return Run.load(path)
        if introduce and notice is not None:
            introduction.tell(config, notice)
        return _run(config, path, saved, progress, notice, deadline, resume)


def _beginning(config: Config, path: Path, force: bool, resume: bool, tell: Callable[[str], None]) -> Saved | None:
    """Where a run to a file goes on, or None: at the beginning."""
    checkpoints = checkpoint.Checkpoints(path)
    if resume:
        saved = resuming.find(path, config)
        if saved is None:
            tell("there is no checkpoint: the run begins at the beginning")
        elif saved.ends(config.n_steps):
            tell(f"{path}: is complete; a longer run.duration would extend it")
        else:
            tell(f"going on from t = {saved.step * config.run.dt:g} ps, step {saved.step}")
        return saved
    outputs.check_output(path, force)  # again, now that nobody else can make it
    if checkpoints.exist() and not force:
        raise InputError(
            f"output = {str(path)!r}: has checkpoints of an earlier run in {checkpoints.folder}; give --force to discard them, or another name"
        )
    return None


def _run(
    config: Config, path: Path | None, saved: Saved | None, progress, notice, deadline: float | None, resumable: bool = False
) -> Run:
    """`run`, once it is clear where it begins."""
    started = time.perf_counter()
    compile_seconds = prepare_for([config], notice)
    engine = _announced(config, notice, saved)
    thermal = config.thermal
    seeds = {} if thermal is None else {"seeds": lattice_seeds(thermal.seed, thermal.lattices)}
    setup_seconds = time.perf_counter() - started - compile_seconds
    facts = environment() | seeds | {"status": "running", "compile_seconds": compile_seconds, "setup_seconds": setup_seconds}
    if saved is not None:
        before = saved.facts["facts"]
        again = {"step": saved.step, "started": facts["started"], "version": facts["version"], "numba": facts["numba"]}
        facts |= {"resumed": [*before.get("resumed", []), again]} | {k: before[k] for k in ("started", "version") if k in before}
    recorder = _recorder(config, path, facts, engine, saved, resumable)
    loop = _Loop(config, engine, recorder, progress, facts)
    if saved is not None:
        loop.recall(saved.facts["facts"])
    state = None
    try:
        with Stopper(deadline) if path is not None else contextlib.nullcontext() as stopper:
            loop.go(stopper)
        facts["status"] = loop.status
        if loop.status == "complete" and config.run.keep_state and engine.extendable:
            state = engine.state()
        if notice is not None and loop.status == "complete" and (alone := loop.encounters.alone):
            notice(introduction.alone(config, len(alone)))
    except RunError as error:
        facts["status"] = f"stopped: {error}"
        raise
    except KeyboardInterrupt:
        facts["status"] = f"interrupted at t = {engine.time:g} ps"
        raise
    finally:
        facts |= engine.facts()
        facts |= loop.facts()
        recorder.close(facts, state)
        if hasattr(progress, "close"):
            progress.close()
    for line in losses.lines(facts, config.method):
        _say(line, notice)
    if path is not None:
        return Run.load(path)
    return Run(config, facts, recorder.data())


def _say(line: str, notice: Callable[[str], None] | None) -> None:
    """A line that must be seen, also where nobody listens for notices."""
    if notice is None:
        warnings.warn(line, RuntimeWarning, stacklevel=4)
    else:
        notice(line)


def _recorder(config: Config, path: Path | None, facts: dict[str, Any], engine, saved: Saved | None, resumable: bool):
    """Where the run's numbers go. Raises InputError if the disk has not room for them."""
    if path is None:
        return MemoryRecorder(config.run.dt)
    if saved is not None:
        return storage.FileRecorder.reopen(path, config, saved, budget_interval(config))
    streams = {
        "frames": frame_arrays(engine.sample()[1], engine.model, config.run.record_atoms),
        "budget": engine.budget() or {},
        "snapshot": snapshot_arrays(engine, config),
    }
    storage.require_space(path, config, streams["frames"], streams["snapshot"], engine.state())
    return storage.FileRecorder.create(path, config, facts, streams, resumable)


def _announced(config: Config, notice: Callable[[str], None] | None, saved: Saved | None):
    """The engine, with a line for the user before one that may take long to make, and one if it has something to say."""
    tell = notice or (lambda line: None)
    if config.method == "memory-kernel" and not memory.is_quick(
        config.to_model(), config.run.dt, config.memory_window, config.memory.kernel
    ):
        tell("the response of the infinite crystal: computed once (some 10 s for 30 ps), then kept")
    if config.method == "patch" and not patch_edge.is_known(config.lattice.k2 / config.lattice.k1, config.patch.size):
        tell("the edge of the patch: fitted once for this k2/k1 and size (half a minute), then kept")
    if config.method == "time-local" and notice is not None and saved is None:
        line = estimate.warning(config)
        if line is not None:
            tell(line)
    if saved is None and config.n_steps > config.run.sample_every and config.n_steps % config.run.sample_every:
        last = config.n_steps // config.run.sample_every * config.run.sample_every * config.run.dt
        tell(
            f"run.duration = {config.run.duration:g}: is no multiple of run.sample_every × run.dt; frames at equal distances end at {last:g} ps, the last "
            "one is left out of analyses and of what other programs read"
        )
    engine = make_engine(config, restored=saved is not None)
    if saved is not None:
        try:
            engine.restore(saved.step, saved.state)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"checkpoint: is damaged, or from another version of mdlite: {error}; give --force to start again"
            ) from None
    line = engine.announcement()
    if line is not None:
        tell(line)
    return engine


class _Loop:
    """Steps to the next budget, snapshot, checkpoint or look at the clock, whichever is nearest; hands over what comes; guards the state."""

    def __init__(self, config: Config, engine, recorder, progress, facts: dict[str, Any]):
        self.config, self.engine, self.recorder, self.progress = config, engine, recorder, progress
        self._facts = facts
        self.status = "running"
        self.seconds = self.checkpoint_seconds = self._last_cost = 0.0
        self.drift = DriftMonitor(config.run.energy_tolerance)
        self.encounters = Encounters()
        self.drift_value: float | None = None
        self.total = config.n_steps
        self.every = budget_interval(config)
        self.pictures = config.snapshots.every * config.run.sample_every if config.snapshots is not None else None
        self.longest = max(1, MAX_CHUNK_FRAMES // config.n_ions) * config.run.sample_every

    def go(self, stopper: Stopper | None) -> None:
        """Run to the end, or until the stopper wants it; raises RunError where the state becomes unusable, Interrupted on a signal."""
        chunk, self._saved_at = 1, time.monotonic()
        self._record_here()
        while self.engine.step < self.total:
            n = min(chunk, self.longest, self.total - self.engine.step, *self._distances())
            begin = time.perf_counter()
            self._hand_over(*self.engine.advance(n))
            spent = time.perf_counter() - begin
            self.seconds += spent
            chunk = max(1, min(4 * chunk, int(n * CHUNK_SECONDS / max(spent, 1e-9))))
            self._record_here()
            self._guard()
            self._tell()
            if stopper is not None and self.engine.step < self.total and self._stops(stopper, spent):
                return
        self._hand_over(*self.engine.sample())
        self.status = "complete"

    def facts(self) -> dict[str, Any]:
        """What the run's record should say of the loop."""
        return {
            "steps": self.engine.step,
            "run_seconds": self.seconds,
            "checkpoint_seconds": self.checkpoint_seconds,
            "energy_drift": self.drift_value,
        } | ({"met_no_atom": self.encounters.alone} if self.encounters.alone else {})

    def recall(self, facts: dict[str, Any]) -> None:
        """Take over what the run had spent, and how its energy had drifted, until it was stopped."""
        self.seconds, self.checkpoint_seconds = facts.get("run_seconds", 0.0), facts.get("checkpoint_seconds", 0.0)
        self.encounters.recall(facts.get("met_no_atom", []), self.config.n_ions)
        budgets = self.recorder.budgets()
        if budgets:
            self.drift.recall(budgets)

    def _distances(self) -> list[int]:
        """Steps to the next budget, snapshot and checkpoint that are due at a step."""
        intervals = (self.every, self.pictures, self.config.run.checkpoint_steps)
        return [every - self.engine.step % every for every in intervals if every is not None]

    def _record_here(self) -> None:
        """The budget and the snapshot of the present step, if they are due."""
        step = self.engine.step
        if step % self.every == 0 or step == self.total:
            self._budget()
        if self.pictures is not None and step % self.pictures == 0:
            begin = time.perf_counter()
            self.recorder.snapshot(step, snapshot_arrays(self.engine, self.config))
            self.seconds += time.perf_counter() - begin

    def _hand_over(self, steps, raw) -> None:
        arrays = frame_arrays(raw, self.engine.model, self.config.run.record_atoms)
        self.encounters.take(arrays)
        self.recorder.frames(steps, arrays)

    def _stops(self, stopper: Stopper, spent: float) -> bool:
        """Write a checkpoint if one is due; True if there is no time for more. Raises Interrupted if a signal has come."""
        step, every = self.engine.step, self.config.run.checkpoint_steps
        out_of_time = stopper.deadline is not None and stopper.out_of_time(3.0 * spent + 2.0 * self._checkpoint_cost())
        due = time.monotonic() - self._saved_at > self.config.run.checkpoint_every or (every is not None and step % every == 0)
        if due or out_of_time or stopper.signal is not None:
            self._checkpoint()
        if stopper.signal is not None:
            raise Interrupted(f"interrupted at t = {self.engine.time:g} ps, checkpoint written", stopper.signal)
        if out_of_time:
            self.status = f"paused at t = {self.engine.time:g} ps: out of wall-clock time"
        return out_of_time

    def _checkpoint_cost(self) -> float:
        """Seconds that the next checkpoint will take, about: as the last one, or by what a slow disk writes."""
        return self._last_cost or 0.1 + sum(array.nbytes for array in self.engine.state().values()) / 2e8

    def _checkpoint(self) -> None:
        begin = time.perf_counter()
        self.recorder.checkpoint(self.engine.step, self.engine.state(), self._facts | self.facts())
        self._saved_at, self._last_cost = time.monotonic(), time.perf_counter() - begin
        self.checkpoint_seconds += self._last_cost

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
