"""The kernels in groups, each compiled by calling once what an engine calls, on the smallest crystal that there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mdlite.engines.absorbing import AbsorbingEngine
from mdlite.engines.echofree import EchoFreeEngine
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine, moving_crystal
from mdlite.engines.memory import MemoryEngine
from mdlite.engines.patch import PatchEngine, PatchEnsembleEngine
from mdlite.engines.patch_edge import open_edge, patch_lattice
from mdlite.engines.reference import ReferenceEngine, ReplicaEngine
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.kernels import moments
from mdlite.kernels import patch as patch_kernels
from mdlite.kernels.triad import triad
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell

STEP = 1e-3
"""ps"""


class Group(NamedTuple):
    """Kernels that are compiled together."""

    touch: Callable[[], None]
    kernels: int
    seconds: float  # on the machine where they were measured


class _NotStarted(ReferenceEngine):
    """Without the kernels that only the start needs."""

    def _half_step_back(self) -> None:
        pass


def _model() -> Model:
    return Model(Lattice(size=(3, 3, 3)), Ion(position=(1.5, 1.5, 1.5)), Interaction(Potential("gaussian", (0.0, 1.0)), Shell(1)))


def _room() -> Model:
    """Enough for two steps in one pass, with a sphere of atoms, whose guard is a kernel of its own."""
    model = _model()
    return replace(model, lattice=Lattice(size=(8, 3, 3)), interaction=Interaction(model.interaction.potential, Cutoff(2.0)))


def _nothing(lattices: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Crystals at rest, and the place of an ion in each."""
    return [(np.zeros((3, 3, 3, 3)),) * 2] * lattices, np.full((lattices, 1, 3), 1.5)


def _all_of(engine) -> None:
    """Call every kernel of an engine once."""
    engine.advance(1)
    engine.sample()
    engine.budget()
    engine.fault()


def _reference() -> None:
    engine = ReferenceEngine(_room(), STEP, in_place=False)
    engine.sample()
    engine.budget()
    engine.fault()


def _snapshot() -> None:
    from mdlite.kernels.snapshot import shuffle

    engine = ReferenceEngine(_model(), STEP, in_place=False)
    for number in (np.float64, np.float32):
        engine.snapshot(None, number, True)
        size = np.dtype(number).itemsize
        shuffle(np.zeros(4, f"<u{size}"), np.empty((size, 4), np.uint8))


def _memory(thermal: bool) -> None:
    _moments()
    states, _ = _nothing(1)
    crystal = moving_crystal(_model().lattice, *states[0], STEP) if thermal else None
    _all_of(MemoryEngine(_model(), STEP, 2.0 * STEP, crystal=crystal))


def _relaxation() -> None:
    from mdlite.physics.relax import relax

    relax(_room())


def _moments() -> None:
    moments.chebyshev_moments(4, 0.1, 0.1, np.zeros((1, 5), np.int64), 1, np.empty((moments.GROUPS, 1, 1)))


def _edge() -> None:
    _moments()
    lattice = _model().lattice
    history = np.zeros((2, *patch_lattice(lattice, 8).field_shape))
    patch_kernels.impulse(np.full(3, 3), 0, open_edge(lattice, 8, STEP), STEP, history)


def _patches(lattices: int) -> None:
    states, positions = _nothing(lattices)
    _all_of(PatchEnsembleEngine(_model(), STEP, states, positions, 8, bounds=open_edge(_model().lattice, 8, STEP)))


def _ensemble(kind: type[EnsembleEngine], method: str, lattices: int) -> None:
    states, positions = _nothing(lattices)
    _all_of(kind(_model(), method, STEP, states, positions))


def _replicas() -> None:
    _all_of(ReplicaEngine(_room(), STEP, [(np.zeros((3, 8, 3, 3)),) * 2] * 2))


GROUPS: dict[str, Group] = {
    "reference": Group(_reference, 8, 5.1),
    "reference-in-turn": Group(lambda: _NotStarted(_room(), STEP, in_place=False).advance(1) and None, 2, 2.8),
    "reference-in-place": Group(lambda: _NotStarted(_room(), STEP, in_place=True).advance(1) and None, 3, 6.0),
    "replicas": Group(_replicas, 10, 7.5),
    "echo-free": Group(lambda: _all_of(EchoFreeEngine(_model(), STEP, 1)), 6, 3.5),
    "absorbing": Group(lambda: _all_of(AbsorbingEngine(_model(), STEP, 1)), 7, 4.3),
    "relaxation": Group(_relaxation, 4, 2.5),
    "snapshot": Group(_snapshot, 8, 6.8),
    "memory-kernel": Group(lambda: _memory(False), 8, 6.4),
    "memory-kernel-thermal": Group(lambda: _memory(True), 10, 7.9),
    "edge": Group(_edge, 2, 2.3),
    "patch": Group(lambda: _all_of(PatchEngine(_model(), STEP, 8, bounds=open_edge(_model().lattice, 8, STEP))), 5, 2.5),
    "patches-1": Group(lambda: _patches(1), 8, 7.0),
    "patches-2": Group(lambda: _patches(2), 8, 9.8),
    "time-local": Group(lambda: _all_of(TimeLocalEngine(_model(), "rigid", STEP)), 6, 2.0),
    "implicit": Group(lambda: _all_of(TimeLocalEngine(_model(), "implicit", STEP)), 6, 5.4),
    "triad": Group(lambda: triad(*np.ones((3, 8)), 2.0), 1, 0.5),
    **{
        f"{name}-{method}-{count}": Group(
            lambda kind=kind, method=method, count=count: _ensemble(kind, "rigid" if method == "time-local" else method, count),
            6 if kind is EnsembleEngine else 4,
            8.0,
        )
        for name, kind in (("ensemble", EnsembleEngine), ("modes", ModesEngine))
        for method in ("time-local", "implicit")
        for count in (1, 2)
    },
}
"""By name; seconds are of a quiet core. `mdlite.engines.build.groups_of` says which a configuration needs."""
