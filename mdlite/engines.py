"""Which engine a configuration asks for, and the kernels that it needs, compiled before the clock starts."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mdlite.absorbing import AbsorbingEngine
from mdlite.config import Config
from mdlite.echofree import EchoFreeEngine
from mdlite.edge import open_edge
from mdlite.ensemble import EnsembleEngine, ModesEngine, moving_crystal, starting_positions
from mdlite.guard import Guard, heat
from mdlite.integrators import INTEGRATORS
from mdlite.kernels.jit import CACHE_FOLDER, compiled
from mdlite.memory import MemoryEngine
from mdlite.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.patch import PatchEngine, PatchEnsembleEngine
from mdlite.reference import ReferenceEngine, ReplicaEngine, require_memory
from mdlite.sections import RunSection, ThermalSection
from mdlite.thermal import thermal_state
from mdlite.timelocal import TimeLocalEngine

OWN_KERNELS = ("reference", "echo-free", "absorbing", "memory-kernel", "patch", "implicit")
"""Methods and boundaries with kernels of their own; the other rungs share theirs."""


def make_engine(config: Config, restored: bool = False):
    """The engine that a configuration asks for. Raises InputError (memory, divergent response).

    restored: a saved state will be put in, so that no thermal state need be drawn.
    """
    if config.method == "memory-kernel":
        return _memory_engine(config, restored)
    run, lattice = config.run, config.lattice
    if config.method == "reference" and lattice.boundary == "echo-free":
        return EchoFreeEngine(config.to_model(), run.dt, config.n_steps, run.sample_every, run.record_atoms)
    if config.method == "reference" and lattice.boundary == "absorbing":
        return AbsorbingEngine(config.to_model(), run.dt, lattice.absorber_width, run.sample_every, run.record_atoms)
    finite, size = config.response == "finite", config.patch.size
    return _engine(config.to_model(), config.method, config.run, config.thermal, finite, restored, size)


def _memory_engine(config: Config, restored: bool) -> MemoryEngine:
    run, thermal, model, crystal = config.run, config.thermal, config.to_model(), None
    if thermal is not None:
        _, (state,) = _thermal_states(model.lattice, thermal, restored)
        crystal = moving_crystal(model.lattice, *state, run.dt)
    window, memory = config.memory_window, config.memory
    dressed = memory.start == "dressed"
    guard = _guard(model, config.method, run, thermal)
    return MemoryEngine(model, run.dt, window, run.sample_every, run.record_atoms, memory.kernel, crystal, dressed, guard)


def _guard(model: Model, method: str, run: RunSection, thermal: ThermalSection | None) -> Guard:
    """What an ion may not do, by the settings alone: the same for a run in pieces."""
    hot = 0.0 if thermal is None else heat(model.lattice, thermal.scale, thermal.statistics)
    return Guard(model, method, run.dt, hot, INTEGRATORS[run.integrator].turn)


def _engine(
    model: Model,
    method: str,
    run: RunSection,
    thermal: ThermalSection | None,
    finite: bool = False,
    restored: bool = False,
    patch_size: int = 12,
):
    guard = _guard(model, method, run, thermal)
    if thermal is None:
        if method == "reference":
            return ReferenceEngine(model, run.dt, run.sample_every, run.record_atoms, integrator=run.integrator)
        if method == "patch":
            return PatchEngine(model, run.dt, patch_size, run.sample_every, run.record_atoms)
        return TimeLocalEngine(model, method, run.dt, run.sample_every, run.record_atoms, finite)
    generators, states = _thermal_states(model.lattice, thermal, restored)
    if method == "reference":
        states = [(u, at_rest_as_a_whole(model, v)) for u, v in states]
        if len(states) == 1:
            return ReferenceEngine(
                model, run.dt, run.sample_every, run.record_atoms, *states[0], integrator=run.integrator, guard=guard
            )
        return ReplicaEngine(model, run.dt, states, run.sample_every, run.integrator, guard)
    positions = np.stack([starting_positions(model, thermal.ions, rng) for rng in generators])
    if method == "patch":
        return PatchEnsembleEngine(model, run.dt, states, positions, patch_size, run.sample_every, guard=guard)
    engine = ModesEngine if thermal.motion == "modes" else EnsembleEngine
    return engine(model, method, run.dt, states, positions, run.sample_every, finite, guard)


def at_rest_as_a_whole(model: Model, velocity: np.ndarray) -> np.ndarray:
    """Velocities (3, Nx, Ny, Nz), Å/ps, of a crystal that takes up what momentum the ion starts with, so that the two together stay where they are.

    Otherwise the periodic crystal would drift with M v/(M + m N³) for ever; along a frozen axis nothing is changed.
    """
    mass = np.array(model.ion.mass)
    push = np.where(np.isfinite(mass), mass, 0.0) * np.array(model.ion.velocity)
    return velocity - (push / (model.lattice.mass * model.lattice.n_atoms))[:, None, None, None] if push.any() else velocity


def _thermal_states(lattice: Lattice, thermal: ThermalSection, restored: bool) -> tuple[list[np.random.Generator], list]:
    """The generator of every lattice, and the (displacement, velocity) drawn from it, or zeros for a state that will be ``restored``.

    Raises InputError if they do not fit into memory.
    """
    require_memory(lattice, thermal.lattices)
    generators = [np.random.default_rng(seed) for seed in lattice_seeds(thermal.seed, thermal.lattices)]
    if restored:
        return generators, [(np.zeros((3, *lattice.size)),) * 2] * thermal.lattices
    return generators, [thermal_state(lattice, thermal.scale, thermal.statistics, rng) for rng in generators]


def lattice_seeds(seed: int, count: int) -> list[list[int]]:
    """What `numpy.random.default_rng` gets for each of ``count`` lattices: [seed], [seed, 1], [seed, 2] ..."""
    return [[seed]] + [[seed, n] for n in range(1, count)]


def kernels_of(config: Config) -> str:
    """What `prepare` has to be told for this configuration: its method, or the boundary of an explicit lattice that is not periodic."""
    other = config.method == "reference" and config.lattice.boundary != "periodic"
    return config.lattice.boundary if other else config.method


def prepare(
    methods: Iterable[str],
    notice: Callable[[str], None] | None = None,
    thermal: ThermalSection | None = None,
    in_place: bool | None = None,
) -> float:
    """Load the kernels that these methods need, or compile them if this machine has not yet: returns the seconds spent compiling.

    notice gets a line before the first time, and another when something was compiled. in_place: which way of stepping the reference's lattice
    (`mdlite.reference.wavefront`) is needed; None: both.
    """
    nothing = Potential("gaussian", (0.0, 1.0))
    model = Model(Lattice(size=(3, 3, 3)), Ion(position=(1.5, 1.5, 1.5)), Interaction(nothing, Shell(1)))
    room = Lattice(size=(8, 3, 3))  # enough for two steps in one pass
    sphere = replace(model, lattice=room, interaction=Interaction(nothing, Cutoff(2.0)))  # whose guard is a kernel of its own
    steps = RunSection(dt=1e-3, duration=1e-3)
    if thermal is not None:
        thermal = thermal.model_copy(update={"lattices": min(2, thermal.lattices), "ions": 1})
    begin, before = time.perf_counter(), compiled()
    notice = notice or (lambda line: None)
    kinds = {m if m in OWN_KERNELS else "rigid" for m in methods}
    ways = (False, True) if in_place is None else (in_place,)
    markers = _markers(kinds, thermal, ways)
    if not all(marker.exists() for marker in markers):
        notice("preparing the kernels: they are compiled once for this machine, then cached ...")
    for method in sorted(kinds):
        if method == "memory-kernel":
            crystal = None if thermal is None else moving_crystal(model.lattice, *[np.zeros((3, 3, 3, 3))] * 2, 1e-3)
            _touch(MemoryEngine(model, 1e-3, 2e-3, crystal=crystal))
        elif method == "echo-free":
            _touch(EchoFreeEngine(model, 1e-3, 1))
        elif method == "absorbing":
            _touch(AbsorbingEngine(model, 1e-3, 1))
        elif method == "reference" and (thermal is None or thermal.lattices == 1):
            for way in ways:
                _touch(ReferenceEngine(sphere, 1e-3, in_place=way))
        elif method == "patch":
            _touch_patch(model, thermal)
        else:
            _touch(_engine(sphere if method == "reference" else model, method, steps, thermal))
    with contextlib.suppress(OSError):
        for marker in markers:
            marker.touch()
    seconds = time.perf_counter() - begin
    fresh = compiled() - before
    if fresh == 0:
        return 0.0
    notice(f"compiled {fresh} kernels in {seconds:.1f} s")
    return seconds


def prepare_all(notice: Callable[[str], None]) -> tuple[str, float]:
    """The kernels of every method, with and without a thermal lattice, and of snapshots: the folder they are in, and the seconds spent compiling."""
    thermal = ThermalSection(energy=25.0)
    seconds = prepare((*OWN_KERNELS, "time-local"), notice)
    for lattices in (1, 2):
        seconds += prepare(
            ("reference", "patch", "time-local", "implicit"), notice, thermal.model_copy(update={"lattices": lattices})
        )
    seconds += prepare(("memory-kernel",), notice, thermal)
    seconds += prepare(("time-local", "implicit"), notice, thermal.model_copy(update={"motion": "modes"}))
    begin, before = time.perf_counter(), compiled()
    engine = ReferenceEngine(
        Model(Lattice(size=(3, 3, 3)), Ion(), Interaction(Potential("gaussian", (0.0, 1.0)), Shell(1))), 1e-3
    )
    for number in (np.float64, np.float32):
        engine.snapshot(None, number, True)
    return CACHE_FOLDER, seconds + (time.perf_counter() - begin if compiled() > before else 0.0)


def _markers(kinds: set[str], thermal: ThermalSection | None, ways: tuple[bool, ...]) -> list[Path]:
    """Files beside the compiled kernels that say that these have been prepared there before."""
    import numba

    names = kinds - {"reference"}
    if "reference" in kinds:
        names |= {f"reference-{'in-place' if way else 'in-turn'}" for way in ways}
    which = "" if thermal is None else f"-{thermal.motion}-{thermal.lattices}x"
    versions = f"python{platform.python_version()}-numba{numba.__version__}"
    return [Path(CACHE_FOLDER) / f"ready-{name}{which}-{versions}" for name in sorted(names)]


def _touch_patch(model: Model, thermal: ThermalSection | None) -> None:
    """The patch's kernels, with an edge that need not be fitted first."""
    bounds = open_edge(model.lattice, 8, 1e-3)
    if thermal is None:
        return _touch(PatchEngine(model, 1e-3, 8, bounds=bounds))
    nothing = (np.zeros((3, *model.lattice.size)),) * 2
    positions = np.zeros((thermal.lattices, 1, 3)) + model.ion.position
    return _touch(PatchEnsembleEngine(model, 1e-3, [nothing] * thermal.lattices, positions, 8, bounds=bounds))


def _touch(engine) -> None:
    """Call every kernel of an engine once."""
    engine.advance(1)
    engine.sample()
    engine.budget()
    engine.fault()
