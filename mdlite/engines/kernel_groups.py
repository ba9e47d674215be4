"""Groups of kernels, each compiled by calling once what an engine calls, on the smallest crystal that there is.

Every method brings its own (`Group`, in `GROUPS`, from the module of its name); here is what they share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.model import DEFAULT, CrystalModel
from mdlite.kernels import blocks, moments
from mdlite.kernels.peak import multiply_add
from mdlite.kernels.triad import triad
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell

STEP = 1e-3
"""ps"""


class Group(NamedTuple):
    """Kernels that are compiled together."""

    touch: Callable[[], object]
    kernels: str
    """Their names, as they are in the cache; a number tells apart what one of them is compiled for (``advance:2``)."""
    seconds: float
    """To compile them, on the machine where they were measured, when it was quiet."""

    @property
    def names(self) -> frozenset[str]:
        """Of the kernels: those of several groups are compiled once."""
        return frozenset(self.kernels.split())


def small_model() -> Model:
    """One ion among eight atoms."""
    return Model(Lattice(size=(3, 3, 3)), Ion(position=(1.5, 1.5, 1.5)), Interaction(Potential("gaussian", (0.0, 1.0)), Shell(1)))


def small_room() -> Model:
    """Enough for two steps in one pass, with a sphere of atoms, whose guard is a kernel of its own."""
    model = small_model()
    return replace(model, lattice=Lattice(size=(8, 3, 3)), interaction=Interaction(model.interaction.potential, Cutoff(2.0)))


def small_crystal() -> CrystalModel:
    """One ion among the atoms of one cell, with a sphere."""
    model = small_model()
    box = Box(as_crystal(model.lattice), (3, 3, 3))
    return CrystalModel(box, model.ion, {DEFAULT: model.interaction.potential}, Cutoff(2.0))


def at_rest(lattices: int, model: Model) -> list[tuple[np.ndarray, np.ndarray]]:
    """The states of so many crystals."""
    return [(np.zeros((3, *model.lattice.size)),) * 2] * lattices


def call_all(engine, steps: int = 1) -> None:
    """Call every kernel of an engine."""
    engine.advance(steps)
    engine.sample()
    engine.budget()
    engine.fault()


def call_moments() -> None:
    """The response of the infinite crystal."""
    moments.chebyshev_moments(4, 0.1, 0.1, np.zeros((1, 5), np.int64), 1, np.empty((moments.GROUPS, 1, 1)))


def _relaxation() -> None:
    from mdlite.physics.relax import relax

    relax(small_room())


def _crystal() -> None:
    """The step of any crystal: one atom a cell."""
    box = Box(as_crystal(small_model().lattice), (1, 1, 1))
    u, v = box.fields()
    blocks.kick(u, v, box.stencil, box.kicks(STEP))
    blocks.drift(u, v, box.stencil, STEP)


GROUPS: dict[str, Group] = {
    "crystal": Group(_crystal, "blocks.kick blocks.drift", 2.0),
    "peak": Group(lambda: multiply_add(np.ones(8), 1), "peak.multiply_add", 0.5),
    "relaxation": Group(_relaxation, "coupling.coupled_forces springs.fill_halo springs.spring_forces", 2.5),
    "triad": Group(lambda: triad(*np.ones((3, 8)), 2.0), "triad.triad", 0.5),
}
"""By name; a method's `mdlite.engines.registry.Method.groups` says which of them a configuration needs."""
