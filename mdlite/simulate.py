"""The run loop: one engine, one recorder, one compiled call at a time."""

from __future__ import annotations

import contextlib
import platform
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import mdlite
from mdlite import storage
from mdlite.absorbing import AbsorbingEngine
from mdlite.config import Config, parse
from mdlite.echofree import EchoFreeEngine
from mdlite.ensemble import EnsembleEngine, ModesEngine, moving_crystal, starting_positions
from mdlite.errors import RunError
from mdlite.kernels.jit import CACHE_FOLDER, compiled
from mdlite.memory import MemoryEngine
from mdlite.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.observers import DriftMonitor, MemoryRecorder, budget_interval, frame_arrays
from mdlite.reference import ReferenceEngine, ReplicaEngine, require_memory
from mdlite.sections import RunSection, ThermalSection
from mdlite.thermal import thermal_state
from mdlite.timelocal import TimeLocalEngine

OWN_KERNELS = ("reference", "echo-free", "absorbing", "memory-kernel", "implicit")
"""Methods and boundaries with kernels of their own; the other rungs share theirs."""
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


def make_engine(config: Config):
    """The engine that a configuration asks for. Raises InputError (memory, divergent response)."""
    if config.method == "memory-kernel":
        return _memory_engine(config)
    run, lattice = config.run, config.lattice
    if config.method == "reference" and lattice.boundary == "echo-free":
        return EchoFreeEngine(config.to_model(), run.dt, config.n_steps, run.sample_every, run.record_atoms)
    if config.method == "reference" and lattice.boundary == "absorbing":
        return AbsorbingEngine(config.to_model(), run.dt, lattice.absorber_width, run.sample_every, run.record_atoms)
    return _engine(config.to_model(), config.method, config.run, config.thermal, config.response == "finite")


def _memory_engine(config: Config) -> MemoryEngine:
    run, thermal, model, crystal = config.run, config.thermal, config.to_model(), None
    if thermal is not None:
        require_memory(model.lattice)
        state = thermal_state(model.lattice, thermal.scale, thermal.statistics, np.random.default_rng(thermal.seed))
        crystal = moving_crystal(model.lattice, *state, run.dt)
    return MemoryEngine(model, run.dt, config.memory_window, run.sample_every, run.record_atoms, config.memory.kernel, crystal)


def _engine(model: Model, method: str, run: RunSection, thermal: ThermalSection | None, finite: bool = False):
    if thermal is None:
        if method == "reference":
            return ReferenceEngine(model, run.dt, run.sample_every, run.record_atoms)
        return TimeLocalEngine(model, method, run.dt, run.sample_every, run.record_atoms, finite)
    require_memory(model.lattice, thermal.lattices)
    generators = [np.random.default_rng(seed) for seed in lattice_seeds(thermal.seed, thermal.lattices)]
    states = [thermal_state(model.lattice, thermal.scale, thermal.statistics, rng) for rng in generators]
    if method == "reference":
        if len(states) == 1:
            return ReferenceEngine(model, run.dt, run.sample_every, run.record_atoms, *states[0])
        return ReplicaEngine(model, run.dt, states, run.sample_every)
    positions = np.stack([starting_positions(model, thermal.ions, rng) for rng in generators])
    engine = ModesEngine if thermal.motion == "modes" else EnsembleEngine
    return engine(model, method, run.dt, states, positions, run.sample_every, finite)


def lattice_seeds(seed: int, count: int) -> list[list[int]]:
    """What `numpy.random.default_rng` gets for each of ``count`` lattices: [seed], [seed, 1], [seed, 2] ..."""
    return [[seed]] + [[seed, n] for n in range(1, count)]


def prepare(methods: Iterable[str], notice: Callable[[str], None] | None = None, thermal: ThermalSection | None = None) -> float:
    """Load the kernels that these methods need, or compile them if this machine has not yet: returns the seconds spent compiling.

    notice gets a line before the first time, and another when something was compiled.
    """
    nothing = Potential("gaussian", (0.0, 1.0))
    model = Model(Lattice(size=(3, 3, 3)), Ion(position=(1.5, 1.5, 1.5)), Interaction(nothing, Shell(1)))
    sphere = replace(model, interaction=Interaction(nothing, Cutoff(2.0)))  # whose guard is a kernel of its own
    steps = RunSection(dt=1e-3, duration=1e-3)
    if thermal is not None:
        thermal = thermal.model_copy(update={"lattices": min(2, thermal.lattices), "ions": 1})
    begin, before = time.perf_counter(), compiled()
    notice = notice or (lambda line: None)
    kinds = {m if m in OWN_KERNELS else "rigid" for m in methods}
    marker = _marker(kinds, thermal)
    if not marker.exists():
        notice("preparing the kernels: they are compiled once for this machine, then cached ...")
    for method in sorted(kinds):
        if method == "memory-kernel":
            crystal = None if thermal is None else moving_crystal(model.lattice, *[np.zeros((3, 3, 3, 3))] * 2, 1e-3)
            _touch(MemoryEngine(model, 1e-3, 2e-3, crystal=crystal))
        elif method == "echo-free":
            _touch(EchoFreeEngine(model, 1e-3, 1))
        elif method == "absorbing":
            _touch(AbsorbingEngine(model, 1e-3, 1))
        else:
            _touch(_engine(sphere if method == "reference" else model, method, steps, thermal))
    with contextlib.suppress(OSError):
        marker.touch()
    seconds = time.perf_counter() - begin
    fresh = compiled() - before
    if fresh == 0:
        return 0.0
    notice(f"compiled {fresh} kernels in {seconds:.1f} s")
    return seconds


def _marker(kinds: set[str], thermal: ThermalSection | None) -> Path:
    """A file beside the compiled kernels that says that these have been prepared there before."""
    import numba

    which = "" if thermal is None else f"-{thermal.motion}-{thermal.lattices}x"
    versions = f"python{platform.python_version()}-numba{numba.__version__}"
    return Path(CACHE_FOLDER) / f"ready-{'-'.join(sorted(kinds))}{which}-{versions}"


def _touch(engine) -> None:
    """Call every kernel of an engine once."""
    engine.advance(1)
    engine.sample()
    engine.budget()
    engine.fault()


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
