"""Sweeps: many independent runs, one folder a point, which survive whatever kills them.

``DIR/sweep.toml`` (as it was given), ``DIR/manifest.json`` (every point with its values, written once), ``DIR/points/00000/`` with
``point.toml``, a configuration that `mdlite run` takes, and then ``run.h5`` and ``result.json``, or ``error.json``. What is done and what
failed stands in those folders alone, so nothing can disagree.
"""

from __future__ import annotations

import concurrent.futures
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

import mdlite
from mdlite import arguments
from mdlite.config import Config, introduction
from mdlite.engines import registry
from mdlite.errors import InputError, RunError
from mdlite.io import checkpoint, outputs
from mdlite.machine import reason
from mdlite.sweeps import plan as axes
from mdlite.sweeps import pool
from mdlite.sweeps.manifest import manifest, point_folder, read_manifest
from mdlite.sweeps.point import perform, record_error, result_of, write_json
from mdlite.sweeps.progress import Table

if TYPE_CHECKING:
    import xarray

SOURCE = "sweep.toml"
OWN = re.compile(r"points|sweep\.toml|manifest\.json\.lock|(manifest\.json(\.lock)?|sweep\.toml|mdlite)\.\d+\.tmp")
"""What a sweep whose folder was not finished leaves there."""
TRIES = 2
"""How often a point that fails is tried in one call."""
LOOK_SECONDS = 0.25


@dataclass
class State:
    """Where a sweep is. points: how many; done, failed: names; running: names with the time they began (of `time.monotonic`, s)."""

    points: int
    workers: int = 0
    done: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    done_before: int = 0

    @property
    def seconds(self) -> float:
        """Since the sweep began or went on."""
        return time.monotonic() - self.began

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the points done so far; None before the first."""
        fresh = len(self.done) - self.done_before + len(self.failed)
        if fresh == 0:
            return None
        return self.seconds / fresh * (self.points - len(self.done) - len(self.failed))


@dataclass(frozen=True)
class Sweep:
    """A sweep that has ended. folder; points: names; failed: what went wrong, by the points' names."""

    folder: Path
    points: list[str]
    failed: dict[str, str]

    def collect(self) -> xarray.Dataset:
        """All results, see `mdlite.collect`."""
        from mdlite.sweeps.results import collect

        return collect(self.folder)

    def __repr__(self) -> str:
        done = len(self.points) - len(self.failed)
        return f"<Sweep {str(self.folder)!r}: {done} of {len(self.points)} points done, {len(self.failed)} failed>"


def sweep(
    source: str | Path | Config | dict[str, Any],
    output: str | Path,
    workers: int | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
    overrides: list[str] | tuple[str, ...] = (),
    progress: Callable[[State], None] | bool | None = None,
    notice: Callable[[str], None] | None = None,
    prepare: bool = False,
) -> Sweep:
    """Run every point of a sweep in the folder ``output``.

    source: a TOML file, or its content as a dict (see `mdlite.sweeps.plan`), whose ``base`` may be a Config; a Config alone is a
    sweep of one point. Called again it goes on: what is done is left alone, what was interrupted resumes, what failed is tried
    again (twice in a call). workers, threads: processes, and numba threads in each; by default as many one-thread processes as
    there are cores. scheduler: the address of a Dask scheduler whose workers see the folder under the same path, or ``local``.
    prepare: only write the points' folders, for a job array. progress is called with a `State` several times a second (and its
    ``close()``, if it has one, at the end); True shows a table. Raises InputError before anything is written (all refused points
    in one message; a folder that holds something else; no scheduler), KeyboardInterrupt on Ctrl-C, when the points at work have
    written a checkpoint.
    """
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None:
            arguments.whole(name, value, 1)
    arguments.of_a_job(output, progress, notice, needed=True, prepare=prepare)
    if scheduler is not None:
        arguments.instance("scheduler", scheduler, str, 'the address of a Dask scheduler, such as "tcp://HOST:PORT", or "local"')
    if progress is True:
        progress = Table()
    plan = axes.load(source, overrides)
    if prepare and plan.task != "run":
        raise InputError(
            f'prepare: is for task = "run", whose points `mdlite run` does; task = "{plan.task}" needs the sweep itself'
        )
    folder = outputs.check_folder(output, "sweep")
    wanted = manifest(plan)
    own = Path(source) if isinstance(source, str | Path) else None
    _require_own(folder, plan, wanted, own)
    workers, threads = pool.shares(len(plan.points), workers, threads)
    crew = None if prepare else _crew(scheduler, workers, threads)
    finished = False
    try:
        if crew is not None:
            _require_known(plan, crew)
        outputs.make_folder(folder, output)
        with checkpoint.exclusive(folder / "manifest.json"):
            _require_own(folder, plan, wanted, own)  # again, now that nobody else can write
            _write(folder, plan, wanted, own)
            done = {p.name for p in plan.points if crew is not None and result_of(point_folder(folder, p.name)) is not None}
            state = State(len(plan.points), crew.workers if crew else 0, done, done_before=len(done))
            if crew is not None:
                if notice is not None and plan.task != "medium":
                    introduction.tell(plan.points[0].config, lambda line: notice(f"first point: {line}"))
                _compile(notice, plan, state)
                _go(folder, plan, crew, threads, state, progress)
        finished = True
    finally:
        if crew is not None:
            crew.close(stop=not finished)
        close = getattr(progress, "close", None)
        if close is not None:
            close()
    return Sweep(folder, [point.name for point in plan.points], state.failed)


def _crew(scheduler: str | None, workers: int, threads: int) -> Any:
    """Where the points are worked on. Raises InputError."""
    if scheduler is None:
        return pool.Local(workers, threads)
    from mdlite.sweeps.pool_dask import Dask

    return Dask(scheduler, workers)


def _require_known(plan: axes.Plan, crew: Any) -> None:
    """Raise InputError if a worker does not know a method that the points take: one that only this process has registered."""
    configs = [point.config for point in plan.points]
    wanted = {config.method for config in configs}
    if plan.task != "run":
        wanted |= {name for config in configs for name in config.validate_.rungs}
    own = registry.from_outside(sorted(wanted))
    for answer in crew.ask(registry.names) if own else ():
        if isinstance(answer, InputError):
            raise answer
        if missing := [name for name in own if isinstance(answer, BaseException) or name not in answer]:
            raise InputError(
                f"method = {missing[0]!r}: is not registered in the sweep's workers; name the module that registers it in the environment, "
                f"{registry.VARIABLE}=PACKAGE.MODULE, or make it an entry point of the group {registry.GROUP}"
            )


def _require_own(folder: Path, plan: axes.Plan, wanted: dict[str, Any], own: Path | None) -> None:
    """Raise InputError if the folder holds anything but this sweep, whose file ``own`` may stand in it."""
    if not folder.is_dir():
        return
    if all(OWN.fullmatch(path.name) for path in folder.iterdir()):
        there = folder / SOURCE
        if there.is_file() and not _is_source(there, own) and there.read_bytes() != tomli_w.dumps(plan.source).encode():
            raise InputError(f"output = {str(folder)!r}: has a {SOURCE} that is not this sweep's; choose another folder")
        return
    if not (folder / "manifest.json").exists():
        raise InputError(f"output = {str(folder)!r}: is not empty, and not the folder of a sweep; choose another")
    found = read_manifest(folder)
    if found["fingerprint"] != wanted["fingerprint"]:
        raise InputError(
            f"output = {str(folder)!r}: holds another sweep ({found['title'] or 'untitled'}, {len(found['points'])} points, not the same "
            f"{len(wanted['points'])} configurations; written by mdlite {found['version']}, this is {mdlite.__version__}); choose another folder"
        )


def _is_source(there: Path, own: Path | None) -> bool:
    return own is not None and there.exists() and own.exists() and there.samefile(own)


def _write(folder: Path, plan: axes.Plan, wanted: dict[str, Any], own: Path | None) -> None:
    """Make the points' folders and configurations, those that are missing or damaged, and then the manifest. Raises InputError."""
    with outputs.writing(folder):
        for point in plan.points:
            place, text = point_folder(folder, point.name), point.config.to_toml()
            place.mkdir(parents=True, exist_ok=True)
            file = place / "point.toml"
            if not file.is_file() or file.read_bytes() != text.encode():
                outputs.write(file, text)
        if not (folder / "manifest.json").exists():
            if not _is_source(folder / SOURCE, own):
                outputs.write(folder / SOURCE, tomli_w.dumps(plan.source))
            write_json(folder / "manifest.json", wanted)


def _compile(notice: Callable[[str], None] | None, plan: axes.Plan, state: State) -> None:
    """Compile here what the points need, so that the workers do not all do it at once."""
    from mdlite.engines import build
    from mdlite.sweeps import comparison

    if plan.task in ("validate", "medium"):
        return
    configs = [point.config for point in plan.points if point.name not in state.done]
    if plan.task == "compare":
        configs = [one for config in configs for one in comparison.settings(config)]
    build.prepare_for(configs, notice)


def _go(folder: Path, plan: axes.Plan, crew, threads: int, state: State, progress) -> None:
    """Give points to the crew, never more at once than it has workers, until all are done or have failed."""
    waiting = [point.name for point in reversed(plan.points) if point.name not in state.done]
    tries: dict[str, int] = {}
    futures: dict[concurrent.futures.Future, str] = {}
    tell = progress or (lambda state: None)
    while waiting or futures:
        while waiting and len(futures) < crew.workers:
            name = waiting.pop()
            place = point_folder(folder, name).resolve()
            futures[crew.submit(perform, str(place), plan.task, threads)] = name
            tries[name] = tries.get(name, 0) + 1
            state.running[name] = time.monotonic()
        if not futures:  # no worker has come yet
            time.sleep(LOOK_SECONDS)
        state.workers = crew.workers
        ended, _ = concurrent.futures.wait(futures, LOOK_SECONDS, concurrent.futures.FIRST_COMPLETED)
        for future in ended:
            name = futures.pop(future)
            del state.running[name]
            error = _outcome(crew, future, point_folder(folder, name))
            if error is None:
                state.done.add(name)
            elif tries[name] < TRIES:
                waiting.insert(0, name)
            else:
                state.failed[name] = error
        tell(state)
    if len(state.done) == state.done_before:  # there was nothing to do
        tell(state)


def _outcome(crew, future: concurrent.futures.Future, place: Path) -> str | None:
    """None for a point that is done, or what went wrong, which is left in ``error.json`` if the worker could not.

    Raises RunError where that cannot be left, or if the crew is gone: then no point can go on.
    """
    error = crew.failure(future)
    if error is None:
        return future.result()
    if result_of(place) is not None:
        return None
    try:
        return record_error(place, error)
    except OSError as fault:
        raise RunError(f"output = {str(place)!r}: cannot be written: {reason(fault)}; {pool.GO_ON}") from None
    except InputError as fault:
        raise RunError(f"{fault}; {pool.GO_ON}") from None
