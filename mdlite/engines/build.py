"""The engine that a configuration asks for, and the kernels that it needs, compiled before the clock starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlite.engines import registry
from mdlite.engines.base import Engine, Setup
from mdlite.engines.blocking import require_memory
from mdlite.engines.compiling import all_groups, compile_groups
from mdlite.engines.ensemble import starting_positions
from mdlite.engines.guard import Guard, heat
from mdlite.errors import InputError
from mdlite.kernels import jit
from mdlite.physics.integrators import INTEGRATORS
from mdlite.physics.thermal import thermal_state

if TYPE_CHECKING:
    from mdlite.config import Config
    from mdlite.config.sections import ThermalSection
    from mdlite.crystals.box import Box


def make_engine(config: Config, restored: bool = False) -> Engine:
    """The engine that a configuration asks for. Raises InputError (memory, divergent response; a method's that is no engine).

    restored: a saved state will be put in, so that no thermal state need be drawn.
    """
    engine = registry.find(config.method).engine(setup_of(config, restored), config)
    if not isinstance(engine, Engine):
        raise InputError(
            f"method = {config.method!r}: its engine(setup, config) returned {engine!r}; must return an Engine (mdlite.engines.base)"
        )
    return engine


def setup_of(config: Config, restored: bool = False) -> Setup:
    """What every engine of this configuration is made from. Raises InputError if its crystals do not fit into memory."""
    run, thermal, model = config.run, config.thermal, config.to_model()
    states: list = []
    positions = None
    if thermal is not None:
        generators, states = _thermal_states(config, restored)
        if registry.find(config.method).many_ions:
            positions = np.stack([starting_positions(model, thermal.ions, rng) for rng in generators])
    return Setup(
        model,
        run.dt,
        run.sample_every,
        run.record_atoms,
        method=config.method,
        states=states,
        positions=positions,
        n_steps=config.n_steps,
        integrator=run.integrator,
        guard=guard_of(config),
    )


def guard_of(config: Config) -> Guard:
    """What an ion may not do, by the settings alone: the same for a run in pieces."""
    thermal, model = config.thermal, config.to_model()
    hot = 0.0 if thermal is None else heat(model, thermal.scale, thermal.statistics)
    return Guard(model, config.method, config.run.dt, hot, INTEGRATORS[config.run.integrator].turn)


def _thermal_states(config: Config, restored: bool) -> tuple[list[np.random.Generator], list]:
    """The generator of every lattice, and the (displacement, velocity) drawn from it, or zeros for a state that will be ``restored``.

    Raises InputError if they do not fit into memory.
    """
    thermal = config.thermal_state
    generators = [np.random.default_rng(seed) for seed in lattice_seeds(thermal.seed, thermal.lattices)]
    if config.crystal is not None:
        return generators, _crystal_states(config.to_crystal_model().box, thermal, generators, restored)
    lattice = config.to_lattice()
    require_memory(lattice, thermal.lattices)
    if restored:
        return generators, [(np.zeros((3, *lattice.size)),) * 2] * thermal.lattices
    return generators, [thermal_state(lattice, thermal.scale, thermal.statistics, rng) for rng in generators]


def _crystal_states(box: Box, thermal: ThermalSection, generators: list[np.random.Generator], restored: bool) -> list:
    """The same of a [crystal]."""
    from mdlite.crystals import thermal as crystal_thermal

    if restored:
        return [(np.zeros((box.crystal.n_basis, 3, *box.size)),) * 2] * thermal.lattices
    each = thermal.scale, thermal.statistics
    return [crystal_thermal.thermal_state(box.crystal, box.size, *each, rng) for rng in generators]


def lattice_seeds(seed: int, count: int) -> list[list[int]]:
    """What `numpy.random.default_rng` gets for each of ``count`` lattices: [seed], [seed, 1], [seed, 2] ..."""
    return [[seed]] + [[seed, n] for n in range(1, count)]


def groups_of(config: Config) -> list[str]:
    """Names of the kernels, in `mdlite.engines.kernel_groups.GROUPS`, that a run of this configuration needs."""
    return registry.find(config.method).groups(config)


def prepare_for(configs: Iterable[Config], notice: Callable[[str], None] | None = None) -> float:
    """`mdlite.engines.compiling.compile_groups` for all that runs of these configurations need."""
    return compile_groups([name for config in configs for name in groups_of(config)], notice)


def prepare_all(notice: Callable[[str], None] | None = None) -> tuple[Path | None, float]:
    """Every kernel: the folder they are in, or None, and the seconds spent compiling."""
    return jit.CACHE_FOLDER, compile_groups(all_groups(), notice)
