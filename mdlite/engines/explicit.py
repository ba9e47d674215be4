"""Method ``reference``: every atom and the ion, step by step, in a periodic lattice, one without echoes, or one with an absorbing layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mdlite.engines.absorbing import AbsorbingEngine
from mdlite.engines.base import Engine, Setup
from mdlite.engines.blocking import wavefront
from mdlite.engines.crystal import CrystalEngine, CrystalReplicas
from mdlite.engines.echofree import EchoFreeEngine
from mdlite.engines.kernel_groups import GROUPS, STEP, Group, at_rest, call_all, small_crystal, small_model, small_room
from mdlite.engines.reference import ReferenceEngine
from mdlite.engines.registry import Method
from mdlite.engines.replicas import ReplicaEngine
from mdlite.physics.model import Model

if TYPE_CHECKING:
    from mdlite.config import Config


def at_rest_as_a_whole(model: Model, velocity: np.ndarray) -> np.ndarray:
    """Velocities (..., 3, Nx, Ny, Nz), Å/ps, of a crystal that takes up what momentum the ion starts with, so that the two together stay where they are.

    Otherwise the periodic crystal would drift with M v/(M + m N³) for ever; along a frozen axis nothing is changed.
    """
    mass = np.array(model.ion.mass)
    push = np.where(np.isfinite(mass), mass, 0.0) * np.array(model.ion.velocity)
    return velocity - (push / model.crystal_mass)[:, None, None, None] if push.any() else velocity


class Reference(Method):
    """The explicit lattice; ``lattice.boundary`` chooses between its three kinds."""

    name = "reference"
    thermal = many_lattices = thermal_atoms = True
    explicit = steps_atoms = crystals = True

    def engine(self, setup: Setup, config: Config) -> Engine:
        """See `Method.engine`."""
        boundary = config.boundary
        if boundary == "echo-free":
            return EchoFreeEngine(setup)
        if boundary == "absorbing":
            return AbsorbingEngine(setup, width=config.lattice.absorber_width)
        states = [(u, at_rest_as_a_whole(setup.model, v)) for u, v in setup.states]
        setup = dataclasses.replace(setup, states=states)
        if config.crystal is not None:
            return CrystalReplicas(setup) if len(states) > 1 else CrystalEngine(setup)
        return ReplicaEngine(setup) if len(states) > 1 else ReferenceEngine(setup)

    def groups(self, config: Config) -> list[str]:
        """See `Method.groups`."""
        if config.crystal is not None:
            return ["crystal-reference"]
        if config.lattice.boundary != "periodic":
            needed: list[str] = [config.lattice.boundary]
        elif config.thermal is not None and config.thermal.lattices > 1:
            needed = ["reference", "replicas"]
        else:
            in_place = wavefront(config.to_model()) is not None
            needed = ["reference", "reference-in-place" if in_place else "reference-in-turn"]
        return [*needed, "snapshot"] if config.snapshots is not None else needed

    def faults(self, config: Config) -> Iterator[str]:
        """See `Method.faults`."""
        yield from super().faults(config)
        thermal, boundary = config.thermal, config.boundary
        if thermal is None:
            return
        if thermal.motion == "modes":
            yield 'thermal.motion = "modes": is for time-local ions; the lattice of method = "reference" feels its ion and has no free modes'
        if boundary != "periodic":
            yield (
                f'lattice.boundary = "{boundary}": is for a crystal at rest, T = 0; at a temperature take method = "memory-kernel", or '
                'boundary = "periodic"'
            )

    def integrates(self, config: Config) -> bool:
        """See `Method.integrates`."""
        return config.boundary == "periodic"

    def takes_snapshots(self, config: Config) -> bool:
        """See `Method.takes_snapshots`."""
        return config.boundary != "echo-free" and (config.thermal is None or config.thermal.lattices == 1)


class _NotStarted(ReferenceEngine):
    """Without the kernels that only the start needs."""

    def half_step_back(self) -> None:
        """Nothing."""


def _start() -> None:
    engine = ReferenceEngine(Setup(small_room(), STEP), in_place=False)
    engine.sample()
    engine.budget()
    engine.fault()


def _steps(in_place: bool) -> None:
    _NotStarted(Setup(small_room(), STEP), in_place=in_place).advance(1)


def _snapshot() -> None:
    from mdlite.kernels.snapshot import shuffle

    engine = ReferenceEngine(Setup(small_model(), STEP), in_place=False)
    for number in (np.float64, np.float32):
        engine.snapshot(None, number, True)
        size = np.dtype(number).itemsize
        shuffle(np.zeros(4, f"<u{size}"), np.empty((size, 4), np.uint8))


def _crystal() -> None:
    model = small_crystal()
    call_all(CrystalEngine(Setup(model, STEP, record_atoms=True)))


GROUPS |= {
    "crystal-reference": Group(
        _crystal,
        "blocks.drift blocks.kick crystal.advance crystal.sample crystal.shift_time crystal.sums guard.cause_to_stop potentials.evaluate",
        6.0,
    ),
    "reference": Group(
        _start,
        "guard.cause_to_stop potentials.evaluate springs.displacement_sums springs.kick springs.largest_squares "
        "springs.lattice_sums reference.energies reference.half_step_back reference.sample",
        5.1,
    ),
    "reference-in-turn": Group(lambda: _steps(False), "stencil.kick_drift reference.advance", 2.8),
    "reference-in-place": Group(lambda: _steps(True), "wavefront.advance wavefront.close_seams wavefront.sweep", 6.0),
    "replicas": Group(
        lambda: call_all(ReplicaEngine(Setup(small_room(), STEP, states=at_rest(2, small_room())))),
        "guard.cause_to_stop potentials.evaluate springs.displacement_sums springs.fill_halo springs.kick "
        "springs.largest_squares springs.lattice_sums reference.advance_replicas reference.energies "
        "reference.half_step_back reference.sample",
        7.5,
    ),
    "echo-free": Group(
        lambda: call_all(EchoFreeEngine(Setup(small_model(), STEP, n_steps=1))),
        "echofree.advance echofree.kick_drift_region guard.cause_to_stop potentials.evaluate reference.half_kick_back reference.sample",
        3.5,
    ),
    "absorbing": Group(
        lambda: call_all(AbsorbingEngine(Setup(small_model(), STEP), width=1)),
        "absorbing.absorb absorbing.advance guard.cause_to_stop potentials.evaluate springs.displacement_sums "
        "springs.kick stencil.kick_drift reference.half_step_back reference.sample",
        4.3,
    ),
    "snapshot": Group(
        _snapshot,
        "snapshot.free_atoms snapshot.free_atoms:2 snapshot.pulled_atoms snapshot.pulled_atoms:2 snapshot.shuffle "
        "snapshot.shuffle:2 springs.kick reference.half_step_back",
        6.8,
    ),
}
