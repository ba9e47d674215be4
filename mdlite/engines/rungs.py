"""Methods ``time-local``, ``implicit``, ``static`` and ``rigid``: the ion alone in an effective medium, at T = 0 or in crystals that move freely."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mdlite import extensions
from mdlite.crystals import recoil_table
from mdlite.engines.base import Engine, Setup
from mdlite.engines.crystal_ensemble import CrystalEnsembleEngine
from mdlite.engines.crystal_medium import CrystalMediumEngine
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine
from mdlite.engines.kernel_groups import GROUPS, STEP, Group, at_rest, call_all, small_crystal, small_model
from mdlite.engines.registry import Method
from mdlite.engines.timelocal import TimeLocalEngine

if TYPE_CHECKING:
    from mdlite.config import Config


class Rung(Method):
    """One approximation of the medium (`mdlite.engines.timelocal.medium`)."""

    thermal = many_lattices = many_ions = True
    medium = crystals = True
    most_atoms = 2000
    kernels = "time-local"
    """Of the group whose kernels it has."""

    def engine(self, setup: Setup, config: Config) -> Engine:
        """See `Method.engine`."""
        finite = config.response == "finite"
        if config.crystal is not None:
            return (CrystalMediumEngine if config.thermal is None else CrystalEnsembleEngine)(setup, finite=finite)
        if config.thermal is None:
            return TimeLocalEngine(setup, finite=finite)
        return (ModesEngine if config.thermal.motion == "modes" else EnsembleEngine)(setup, finite=finite)

    def groups(self, config: Config) -> list[str]:
        """See `Method.groups`."""
        thermal = config.thermal
        if config.crystal is not None:
            return [f"crystal-{self.kernels}" if thermal is None else f"crystal-ensemble-{self.kernels}"]
        if thermal is None:
            return [self.kernels]
        motion = "modes" if thermal.motion == "modes" else "ensemble"
        return [f"{motion}-{self.kernels}-{1 if thermal.lattices == 1 else 2}"]

    def faults(self, config: Config) -> Iterator[str]:
        """See `Method.faults`."""
        yield from super().faults(config)
        thermal = config.thermal
        if config.crystal is None or thermal is None:
            return
        if thermal.motion == "modes":
            yield 'thermal.motion = "modes": is for a [lattice]; a [crystal] moves by the explicit crystal\'s steps, "verlet"'
        if thermal.ions > math.prod(config.cells):
            yield f"thermal.ions = {thermal.ions}: crystal.size = {list(config.cells)} has fewer cells to start from; give fewer ions, or more thermal.lattices"

    def notices(self, config: Config, resumed: bool) -> Iterator[str]:
        """See `Method.notices`."""
        if config.crystal is None or config.response == "finite" or self.name == "rigid":
            return
        model = config.to_crystal_model()
        line = recoil_table.announcement(model.box.crystal, model.offsets)
        if line is not None:
            yield line


class TimeLocal(Rung):
    """Forces to first order about the undisturbed crystal [17-20]."""

    name, rung = "time-local", 40
    needs_response = linear = measured = thermal_rung = True

    def groups(self, config: Config) -> list[str]:
        """See `Method.groups`; at a temperature, also an ion that is thrown to see what error to expect."""
        return super().groups(config) + ([] if config.thermal is None or config.crystal is not None else [self.kernels])

    def notices(self, config: Config, resumed: bool) -> Iterator[str]:
        """What error to expect, where it is large."""
        yield from super().notices(config, resumed)
        line = None if resumed or config.crystal is not None else extensions.find("validity").warning(config)
        if line is not None:
            yield line


class Implicit(Rung):
    """Displacement and velocity of the medium found self-consistently [16]."""

    name, rung = "implicit", 30
    needs_response = linear = measured = thermal_rung = True
    most_atoms = 500
    kernels = "implicit"
    no_number = "the implicit equation has no solution within reach, {place}"


class Static(Rung):
    """A crystal that follows the ion at once, without loss: L = 0."""

    name, rung = "static", 50
    needs_response = linear = lossless = True


class Rigid(Rung):
    """A crystal that never answers the ion: L = 0 and W(0) = 0."""

    name, rung = "rigid", 60
    lossless = True


METHODS = (TimeLocal(), Implicit(), Static(), Rigid())


def _alone(method: str) -> None:
    call_all(TimeLocalEngine(Setup(small_model(), STEP, method=method)))


def _in_crystal(method: str) -> None:
    call_all(CrystalMediumEngine(Setup(small_crystal(), STEP, method=method), finite=True))


def _thermal_crystal(method: str) -> None:
    model = small_crystal()
    state = (np.zeros((model.box.crystal.n_basis, 3, *model.box.size)),) * 2
    setup = Setup(model, STEP, method=method, states=[state], positions=np.full((1, 1, 3), 1.5))
    call_all(CrystalEnsembleEngine(setup, finite=True), steps=2)


def _crystals(kind: type[EnsembleEngine], method: str, lattices: int) -> None:
    model, places = small_model(), np.full((lattices, 1, 3), 1.5)
    call_all(kind(Setup(model, STEP, method=method, states=at_rest(lattices, model), positions=places)), steps=2)


GROUPS |= {
    "time-local": Group(
        lambda: _alone("rigid"),
        "guard.cause_to_stop potentials.evaluate timelocal.advance timelocal.force_at_rest timelocal.record timelocal.show_atoms",
        2.0,
    ),
    "implicit": Group(
        lambda: _alone("implicit"),
        "guard.cause_to_stop potentials.evaluate timelocal.advance:2 timelocal.force_at_rest:2 timelocal.record timelocal.show_atoms:2",
        5.4,
    ),
    "crystal-time-local": Group(
        lambda: _in_crystal("rigid"),
        "guard.cause_to_stop potentials.evaluate timelocal.advance:3 timelocal.force_at_rest:3 timelocal.record timelocal.show_atoms:3",
        2.3,
    ),
    "crystal-implicit": Group(
        lambda: _in_crystal("implicit"),
        "guard.cause_to_stop potentials.evaluate timelocal.advance:4 timelocal.force_at_rest:4 timelocal.record timelocal.show_atoms:4",
        6.0,
    ),
}


def _kernels(motion: str, rung: type[Rung], count: int) -> str:
    """Names of the kernels of ions in crystals."""
    kind = ":2" if rung is Implicit else ""
    found = ["ensemble.record", "potentials.evaluate", f"ensemble.evaluate_ions{kind}", f"ensemble.move_ions{kind}"]
    if motion == "modes":
        found += ["modes.propagate"] + (["ensemble.record:2"] if count > 1 else [])
    else:
        found += ["springs.fill_halo", "stencil.kick_drift", f"ensemble.{'advance' if count == 1 else 'advance_all'}{kind}"]
    return " ".join(found)


GROUPS |= {
    f"crystal-ensemble-{rung.kernels}": Group(
        partial(_thermal_crystal, "implicit" if rung is Implicit else "rigid"),
        "blocks.drift blocks.kick crystal_ensemble.copy ensemble.record potentials.evaluate "
        f"crystal_ensemble.advance:{kind - 2} ensemble.evaluate_ions:{kind} ensemble.move_ions:{kind}",
        12.0,
    )
    for kind, rung in ((3, TimeLocal), (4, Implicit))
}
GROUPS |= {
    f"{motion}-{rung.kernels}-{count}": Group(
        partial(_crystals, kind, "implicit" if rung is Implicit else "rigid", count), _kernels(motion, rung, count), 8.0
    )
    for motion, kind in (("ensemble", EnsembleEngine), ("modes", ModesEngine))
    for rung in (TimeLocal, Implicit)
    for count in (1, 2)
}
