"""Engine of the time-local rungs (`mdlite.kernels.timelocal`): the ion alone in an effective medium, T = 0."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mdlite.crystals.model import CrystalModel
from mdlite.engines.base import Engine, Setup
from mdlite.engines.frames import LoneFrames
from mdlite.errors import RunError
from mdlite.kernels import conjugate, timelocal
from mdlite.kernels.medium import ROWS
from mdlite.kernels.types import Frames, Medium, MediumIon, MediumWork
from mdlite.kernels.vectors import WIDTH
from mdlite.physics import response
from mdlite.physics.model import Cutoff, Lattice, Model, Shell, Sites, aligned_zeros
from mdlite.physics.symmetry import components


@functools.lru_cache(maxsize=8)
def _recoil(lattice: Lattice, atoms: Sites | Shell | Cutoff, finite: bool) -> tuple[np.ndarray, np.ndarray]:
    """W(0) for every difference of two candidates' sites, (n_unique, 3, 3), and which of them a pair has, (n, n)."""
    offsets = atoms.offsets(lattice.spacing)
    difference = (offsets[:, None, :] - offsets[None, :, :]).reshape(-1, 3)
    unique, where = np.unique(difference, axis=0, return_inverse=True)
    recoil = np.ascontiguousarray(response.recoil_kernel(lattice, unique, finite=finite)[:, 0])
    return recoil, where.reshape(len(offsets), len(offsets)).astype(np.int64)


def medium(model: Model, method: str, finite: bool = False) -> Medium:
    """W(0) between the candidate atoms, and L, as a rung of ``method`` sees them; finite: W of this N, not the infinite lattice's."""
    loss = np.zeros((3, 3))
    if method == "rigid":
        return Medium(np.zeros(0), loss, None)
    if method in ("time-local", "implicit"):
        loss = response.loss_matrix(model.lattice)
    reply = _reply(*_recoil(model.lattice, model.interaction.atoms, finite))
    return Medium(reply, loss, True if method == "implicit" else None)


def _reply(recoil: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """W_{j-k}(0), a symmetric matrix, as ``Medium.reply`` wants it."""
    n = len(pair)
    out = aligned_zeros(n * 6 * lanes(n)).reshape(n, 6, lanes(n))
    for row, component in enumerate(components(recoil)):
        out[:, row, :n] = component[pair.T]
    return out.reshape(-1)


def lanes(n: int) -> int:
    """Room for n atoms side by side, in vectors."""
    return -(-n // WIDTH) * WIDTH


def work_arrays(n: int, implicit: bool, width: int = 0) -> MediumWork:
    """Scratch space for n candidate atoms in rows of ``width`` lanes (0: as many as n atoms side by side take)."""
    rows = conjugate.ROWS if implicit else ROWS
    return MediumWork(aligned_zeros(rows * (width or lanes(n))), *(np.zeros((n, 3)) for _ in range(4)), shift=np.zeros((7, 3)))


def guess_room(n: int, method: str) -> int:
    """Length of ``MediumIon.guess`` for n candidate atoms, or lanes."""
    return 6 * lanes(n) + 10 if method == "implicit" else 0


def medium_ion(model: Model, method: str, width: int = 0) -> MediumIon:
    """The model's ion at its start, as a rung of ``method`` wants it, with no force yet. width: as in `work_arrays`."""
    return MediumIon(
        position=np.array(model.ion.position),
        velocity=np.array(model.ion.velocity),
        inverse_mass=model.ion.inverse_mass,
        force=np.zeros(3),
        effective=np.array(model.ion.position),
        energy=np.zeros(1),
        stiffest=np.zeros(1),
        guess=np.zeros(guess_room(width or len(model.offsets), method)),
    )


def ion_state(ion) -> dict[str, np.ndarray]:
    """What of a `MediumIon` or an `Ensemble` decides how it moves on."""
    return {name: getattr(ion, name) for name in ("position", "velocity", "force", "effective", "energy", "guess")}


class Equilibrium(NamedTuple):
    """The framework at rest in equilibrium with an ion that is held, by W(0) alone, for the n candidate atoms."""

    displacement: np.ndarray  # (n, 3), Å
    gradient: np.ndarray  # (n, 3), ∇_r U, meV/Å
    hessian: np.ndarray  # (n, 3, 3), of φ, meV/Å²
    interaction: float  # U, meV


class Surroundings(NamedTuple):
    """The atoms near an ion, and the medium between them."""

    coupling: Any
    medium: Any
    width: int  # lanes that the candidates take
    lane: np.ndarray  # (n,), of every candidate


class TimeLocalEngine(Engine[LoneFrames]):
    """The ion in the effective medium, by one of the methods of `mdlite.engines.rungs`.

    setup: ``method`` says which; the frames' atoms are r_eff. finite: take W(0) from the periodic lattice of this size. loss: replaces the model's
    L, (3, 3) in Å² ps/meV.
    Raises InputError if W(0) and L are needed and diverge (k2 = 0).
    """

    parts: ClassVar[tuple[str, ...]] = ("model", "method", "dt", "sample_every", "record_atoms", "finite", "loss")

    def __init__(self, setup: Setup, finite: bool = False, loss=None):
        super().__init__(setup)
        self.coupling, self.medium, self.width, self.lane = self._surroundings(finite)
        if loss is not None:
            self.medium = self.medium._replace(loss=np.array(loss, float))
        self.ion = medium_ion(self.model, self.method, self.width)
        self._work = work_arrays(len(self.model.offsets), self.method == "implicit", self.width)
        timelocal.force_at_rest(self.coupling, self.medium, self.ion, self._work, 0.0)
        timelocal.show_atoms(self.medium, self._work)

    def _surroundings(self, finite: bool) -> Surroundings:
        """The candidates and the medium between them."""
        n = len(self.model.offsets)
        return Surroundings(self.model.coupling(), medium(self.model, self.method, finite), lanes(n), np.arange(n))

    def force_at(self, position, velocity) -> np.ndarray:
        """The force (3,) in meV/Å on the ion at ``position`` (3,) Å with ``velocity`` (3,) Å/ps in the crystal that has adapted to it; the ion is put there.

        The implicit rung's iteration takes no first guess and goes on to the end, so that differences of forces mean something.
        """
        self.ion.position[:], self.ion.velocity[:], self.ion.guess[:] = position, velocity, 0.0
        timelocal.force_at_rest(self.coupling, self.medium, self.ion, self._work, 0.0)
        return self.ion.force.copy()

    def state(self) -> dict[str, np.ndarray]:
        """The ion's position (Å), velocity (Å/ps), force (meV/Å), R_eff (Å) and U (meV), and r_eff of its atoms (n, 3), Å."""
        return ion_state(self.ion) | {"atoms": self._work.atoms}

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        timelocal.advance(self.coupling, self.medium, self.ion, self._work, self.dt, plan, out)

    def _record(self, out: Frames) -> None:
        timelocal.record(out, 0, self.ion, self._work.atoms)

    def equilibrium(self) -> Equilibrium:
        """Of the implicit rung: the atoms as the last force found them, for an ion at rest."""
        rows = self._work.lanes.reshape(conjugate.ROWS, -1)[:, self.lane]
        away, pull, bend = rows[conjugate.APART :][:3].T, rows[conjugate.PULL], rows[conjugate.BEND]
        hessian = bend[:, None, None] * away[:, :, None] * away[:, None, :] + pull[:, None, None] * np.eye(3)
        displacement = rows[conjugate.SHIFT :][:3].T.copy()
        return Equilibrium(displacement, pull[:, None] * away, hessian, float(self.ion.energy[0]))

    def fault(self) -> str | None:
        """What makes the present state unusable, or None."""
        return self.guard.fault(self.ion, float(self.ion.energy[0]))


def relaxed(
    model: Model | CrystalModel, position=None, finite: bool = False, kind: type[TimeLocalEngine] = TimeLocalEngine
) -> Equilibrium:
    """The equilibrium with the ion held at ``position`` (3,) Å (the model's own by default), by an engine of that kind.

    Raises RunError where the iteration finds none.
    """
    place = tuple(model.ion.position if position is None else position)
    ion = dataclasses.replace(model.ion, position=place, velocity=(0.0, 0.0, 0.0))
    engine = kind(Setup(dataclasses.replace(model, ion=ion), dt=1e-6, method="implicit"), finite=finite)
    fault = engine.fault()
    if fault is not None:
        raise RunError(fault)
    return engine.equilibrium()


def adiabatic_energy(
    model: Model | CrystalModel, position=None, finite: bool = False, kind: type[TimeLocalEngine] = TimeLocalEngine
) -> tuple[float, float]:
    """Energy (meV) of the ion held at ``position`` (3,) Å with the framework statically relaxed, by W(0) alone: (total, interaction).

    The displacements obey ξ = -W(0) ∇_r U(s + ξ, R), whose elastic energy is ½ gᵀ W(0) g = -½ Σ g·ξ. Infinite lattice, or with
    ``finite`` the periodic one of this size. Independent of `mdlite.physics.relax`, which minimises over every atom. Raises RunError where the
    iteration finds no solution.
    """
    held = relaxed(model, position, finite, kind)
    return held.interaction - 0.5 * float(np.sum(held.gradient * held.displacement)), held.interaction
