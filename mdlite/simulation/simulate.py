"""A run from its configuration: where it begins, its engine, its recorder, and how it ends."""

from __future__ import annotations

import contextlib
import platform
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import mdlite
from mdlite import arguments, terminal
from mdlite.analysis import losses
from mdlite.config import Config, config_of, introduction
from mdlite.engines import registry
from mdlite.engines.build import lattice_seeds, make_engine, prepare_for
from mdlite.errors import InputError, RunError
from mdlite.io import checkpoint, outputs, recorder, resuming
from mdlite.io.checkpoint import Saved
from mdlite.simulation.loop import Loop
from mdlite.simulation.observers import Observer, require_observers
from mdlite.simulation.progress import Progress, callbacks
from mdlite.simulation.recorders import MemoryRecorder, Recorder
from mdlite.simulation.result import Run
from mdlite.simulation.stopping import Stopper
from mdlite.simulation.users import require_kept, salvaged, watched
from mdlite.simulation.watchers import budget_interval, snapshot_arrays


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
    config: Config | str | Path | dict[str, Any],
    output: str | Path | None = None,
    progress: Callable[[Progress], None] | bool | None = None,
    force: bool = False,
    notice: Callable[[str], None] | None = None,
    resume: bool = False,
    max_walltime: float | None = None,
    introduce: bool = True,
    observers: Sequence[Observer] = (),
) -> Run:
    """Integrate a configuration and return the run; with ``output`` it is also written to that H5MD file while it goes.

    config: a Config, a TOML file, the name of a built-in case, or its tables as a dict.
    progress is called after every compiled chunk (and its ``close()``, if it has one, at the end, however it comes), notice with a
    line of text where the user should know why nothing moves; progress=True shows a bar, and the notices. resume: go on from the last
    checkpoint of ``output``, or from the end of a finished run to a longer ``run.duration``, with the bits that one uninterrupted run
    would have; begin where there is nothing yet.
    introduce: notice first gets what the configuration comes to (masses, temperature), and what in it looks like a mistake of units.
    observers: look at the run at steps of their own choice, and may pause it (`Observer`); ``facts["status"]`` then gives their reason. If one of them
    fails, a checkpoint is written, and the run can be resumed once it is mended.
    max_walltime: stop cleanly, with a checkpoint, before so many seconds have passed since the call; ``facts["status"]`` says so.
    Ions that a run has lost (`mdlite.analysis.losses`) are told at its end, by a notice, or a RuntimeWarning without one, and listed in ``facts["run_aways"]``.
    Raises InputError before anything is written, RunError if the state becomes unusable (what was recorded stays in ``output``),
    Interrupted (a KeyboardInterrupt) on SIGINT or SIGTERM, once a checkpoint is written; a note of the exception says what ``output`` keeps.
    """
    config = config_of(config)
    arguments.of_a_job(output, progress, notice, force=force, resume=resume, introduce=introduce)
    max_walltime = arguments.seconds("max_walltime", max_walltime)
    deadline = None if max_walltime is None else time.monotonic() + max_walltime
    progress, notice = callbacks(config.method, progress, notice)
    if resume and force:
        raise InputError("resume and force: one continues a run, the other replaces it; give one of them")
    wanted = require_observers(observers)
    if output is None and (resume or max_walltime is not None):
        raise InputError("output: is missing; only a run with a file can be stopped and resumed")
    path = None if output is None else outputs.check_output(output, force or resume, outputs.HDF5)
    with contextlib.nullcontext() if path is None else checkpoint.exclusive(path):
        saved = None if path is None else _beginning(config, path, force, resume, notice or (lambda line: None))
        if path is not None and saved is not None and saved.ends(config.n_steps):
            _give_back(wanted, saved, notice or (lambda line: None))
            return Run.load(path)
        if introduce and notice is not None:
            introduction.tell(config, notice)
        return _run(config, path, saved, progress, notice, deadline, resume, wanted)


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


def _give_back(wanted: list, saved: Saved, tell: Callable[[str], None]) -> None:
    """Give observers what the file of a complete run has kept of them. Raises InputError if it is of others."""
    if wanted:
        watched(wanted, saved.observers, tell)
    if wanted and not saved.observers:
        tell("the file keeps nothing of what its observers remember: those that were given stay as they are")


def _run(
    config: Config,
    path: Path | None,
    saved: Saved | None,
    progress,
    notice,
    deadline: float | None,
    resumable: bool,
    wanted: list,
) -> Run:
    """`run`, once it is clear where it begins. wanted: observers, as `require_observers` gives them."""
    users = watched(wanted, {} if saved is None else saved.observers, notice or (lambda line: None))
    if path is not None:
        require_kept(users)
    started = time.perf_counter()
    compile_seconds = prepare_for([config], notice)
    engine = _announced(config, notice, saved)
    setup_seconds = time.perf_counter() - started - compile_seconds
    facts = _facts(config, saved) | {"compile_seconds": compile_seconds, "setup_seconds": setup_seconds}
    recording = _recorder(config, path, facts, engine, saved, resumable)
    loop = Loop(config, engine, recording, progress, facts, users)
    if saved is not None:
        loop.recall(saved.facts["facts"])
    state, memory = None, None
    lines: list[str] = []
    try:
        with Stopper(deadline) if path is not None else contextlib.nullcontext() as stopper:
            loop.go(stopper)
        facts["status"] = loop.status
        if path is not None and loop.status == "complete" and config.run.keep_state:
            memory, lines = salvaged(users)
            state = engine.state() if engine.extendable else None
    except BaseException as error:
        facts["status"] = _ending(error, loop, path, engine.time)
        raise
    finally:
        facts |= engine.facts()
        facts |= loop.facts()
        recording.close(facts, state, memory)
        if hasattr(progress, "close"):
            progress.close()
    if notice is not None and loop.status == "complete":
        if alone := loop.encounters.alone:
            notice(introduction.alone(config, len(alone)))
        if loop.asked is not None:
            notice(f"the run is complete; at its last step it was to pause: {loop.asked}")
    for line in lines:
        _say(f"{line}; the run is complete, and its file does not keep what this observer remembers", notice)
    for line in losses.lines(facts, config.method):
        _say(line, notice)
    return Run(config, facts, recording.data()) if path is None else Run.load(path)


def _ending(error: BaseException, loop: Loop, path: Path | None, time: float) -> str:
    """The status of a run that an exception ends, t in ps; a note for one of the user's own."""
    if loop.status == "complete":  # and what came was too late to change that
        return loop.status
    if isinstance(error, RunError):
        return f"stopped: {error}"
    if not isinstance(error, KeyboardInterrupt):
        return f"stopped: {terminal.of_error(error)}"
    if path is not None and loop.saved:
        error.add_note(f"{path} keeps what was recorded, --resume goes on from the last checkpoint")
    elif path is not None:
        error.add_note(f"{path} has been begun, and keeps nothing yet")
    return f"interrupted at t = {time:g} ps"


def _facts(config: Config, saved: Saved | None) -> dict[str, Any]:
    """What a run's record says at its beginning, or where it goes on."""
    thermal = config.thermal
    facts = environment() | {"status": "running"}
    if thermal is not None:
        facts["seeds"] = lattice_seeds(thermal.seed, thermal.lattices)
    if saved is None:
        return facts
    before = saved.facts["facts"]
    again = {"step": saved.step} | {name: facts[name] for name in ("started", "version", "numba")}
    kept = {name: before[name] for name in ("started", "version") if name in before}
    return facts | {"resumed": [*before.get("resumed", []), again]} | kept


def _say(line: str, notice: Callable[[str], None] | None) -> None:
    """A line that must be seen, also where nobody listens for notices."""
    if notice is None:
        warnings.warn(line, RuntimeWarning, stacklevel=4)
    else:
        notice(line)


def _recorder(config: Config, path: Path | None, facts: dict[str, Any], engine, saved: Saved | None, resumable: bool) -> Recorder:
    """Where the run's numbers go. Raises InputError if the disk has not room for them."""
    if path is None:
        return MemoryRecorder(config.run.dt)
    if saved is not None:
        return recorder.FileRecorder.reopen(path, config, saved, budget_interval(config))
    streams = {
        "frames": engine.sample()[1].arrays(engine.model, config.run.record_atoms),
        "budget": engine.budget() or {},
        "snapshot": snapshot_arrays(engine, config),
    }
    recorder.require_space(path, config, streams["frames"], streams["snapshot"], engine.state())
    return recorder.FileRecorder.create(path, config, facts, streams, resumable)


def _announced(config: Config, notice: Callable[[str], None] | None, saved: Saved | None):
    """The engine, with a line for the user before one that may take long to make, and one if it has something to say."""
    tell = notice or (lambda line: None)
    if notice is not None:
        for line in registry.find(config.method).notices(config, resumed=saved is not None):
            notice(line)
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
    announcement = engine.announcement()
    if announcement is not None:
        tell(announcement)
    return engine
