"""Which engine a configuration asks for, and the kernels that it needs, compiled before the clock starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlite.engines import patch_edge
from mdlite.engines.absorbing import AbsorbingEngine
from mdlite.engines.compiling import compile_groups
from mdlite.engines.echofree import EchoFreeEngine
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine, moving_crystal, starting_positions
from mdlite.engines.guard import Guard, heat
from mdlite.engines.kernel_groups import GROUPS
from mdlite.engines.memory import MemoryEngine
from mdlite.engines.patch import PatchEngine, PatchEnsembleEngine
from mdlite.engines.reference import ReferenceEngine, ReplicaEngine, require_memory, wavefront
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.kernels import jit
from mdlite.physics.integrators import INTEGRATORS
from mdlite.physics.model import Lattice, Model
from mdlite.physics.thermal import thermal_state

if TYPE_CHECKING:
    from mdlite.config import Config
    from mdlite.config.sections import RunSection, ThermalSection


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


def groups_of(config: Config) -> list[str]:
    """Names of the kernels, in `mdlite.engines.kernel_groups.GROUPS`, that a run of this configuration needs."""
    thermal = config.thermal
    in_place = wavefront(config.to_model()) is not None if kernels_of(config) == "reference" else None
    found = _groups(kernels_of(config), thermal, in_place)
    if config.method == "patch" and not patch_edge.is_known(config.lattice.k2 / config.lattice.k1, config.patch.size):
        found.append("edge")
    if config.method == "memory-kernel" and config.memory.start == "dressed":
        found.append("implicit")
    if config.method == "time-local" and thermal is not None:
        found.append("time-local")  # the ion that is thrown to see what error to expect
    return [*found, "snapshot"] if config.snapshots is not None else found


def _groups(kind: str, thermal: ThermalSection | None, in_place: bool | None) -> list[str]:
    """The groups for what `kernels_of` says. in_place: which way of stepping a lattice; None: both."""
    if kind == "reference":
        if thermal is not None and thermal.lattices > 1:
            return ["reference", "replicas"]
        ways = {True: ["reference-in-place"], False: ["reference-in-turn"]}
        return ["reference", *(ways[in_place] if in_place is not None else ways[True] + ways[False])]
    if kind in ("echo-free", "absorbing"):
        return [kind]
    if kind == "memory-kernel":
        return [kind if thermal is None else "memory-kernel-thermal"]
    count = 1 if thermal is None or thermal.lattices == 1 else 2
    if kind == "patch":
        return ["patch"] if thermal is None else [f"patches-{count}"]
    rung = "implicit" if kind == "implicit" else "time-local"
    return [rung] if thermal is None else [f"{'modes' if thermal.motion == 'modes' else 'ensemble'}-{rung}-{count}"]


def prepare(
    methods: Iterable[str],
    notice: Callable[[str], None] | None = None,
    thermal: ThermalSection | None = None,
    in_place: bool | None = None,
) -> float:
    """`mdlite.engines.compiling.compile_groups` for methods (or boundaries of an explicit lattice) by name. in_place: which way of stepping the reference's
    lattice (`mdlite.engines.reference.wavefront`) is needed; None: both."""
    return compile_groups([name for method in methods for name in _groups(method, thermal, in_place)], notice)


def prepare_for(configs: Iterable[Config], notice: Callable[[str], None] | None = None) -> float:
    """`mdlite.engines.compiling.compile_groups` for all that runs of these configurations need."""
    return compile_groups([name for config in configs for name in groups_of(config)], notice)


def prepare_all(notice: Callable[[str], None] | None = None) -> tuple[Path | None, float]:
    """Every kernel: the folder they are in, or None, and the seconds spent compiling."""
    return jit.CACHE_FOLDER, compile_groups(GROUPS, notice)
