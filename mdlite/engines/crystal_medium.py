"""The rungs static, rigid, time-local and implicit in any crystal: the ion alone in an effective medium, T = 0.

As `mdlite.engines.timelocal`, with the same kernels; the candidates are atoms of any kind, and W(0) is a full 3 × 3 matrix for each pair of them.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mdlite.crystals import response
from mdlite.crystals.model import CrystalModel
from mdlite.crystals.recoil_table import Notice, recoil_table
from mdlite.engines import timelocal
from mdlite.engines.base import Setup
from mdlite.engines.timelocal import Equilibrium, Surroundings, TimeLocalEngine
from mdlite.kernels.candidates import SiteLanes, SiteMedium
from mdlite.kernels.vectors import WIDTH
from mdlite.physics.model import aligned_zeros


def site_lanes(model: CrystalModel) -> tuple[SiteLanes, np.ndarray]:
    """The interaction with the candidate atoms side by side, and the lane (n,) of each: sorted by potential, each beginning with a new vector.

    A lane that is no atom stands where the last one of its potential does.
    """
    sites = model.coupling()
    members = [np.flatnonzero(sites.kinds == kind) for kind in range(len(sites.forms))]
    vectors = [-(-len(own) // WIDTH) for own in members]
    first = WIDTH * np.cumsum([0, *vectors[:-1]])
    lanes = np.empty(len(sites.kinds), np.int64)
    atoms = [np.zeros(0, np.int64)]
    for own, begin, count in zip(members, first, vectors):
        lanes[own] = begin + np.arange(len(own))
        atoms.append(np.pad(own, (0, WIDTH * count - len(own)), mode="edge") if count else own)
    order = np.concatenate(atoms)
    left = [len(own) - WIDTH * n for own, count in zip(members, vectors) for n in range(count)]
    coupling = SiteLanes(
        offsets=np.ascontiguousarray(sites.places[order]),
        sites=np.ascontiguousarray(sites.sites[order] % np.array([*model.box.size, model.box.crystal.n_basis])),
        counts=np.minimum(np.array(left, np.int64), WIDTH),
        laws=np.repeat(np.arange(len(vectors)), vectors),
        forms=sites.forms,
        params=sites.params,
        switch_start=sites.switch_start,
        cutoff=sites.cutoff,
        cell=sites.cell,
        inverse=sites.inverse,
        moving=sites.moving,
        spacing=float(model.length),
    )
    return coupling, lanes


def site_medium(
    model: CrystalModel, method: str, lanes: np.ndarray, width: int, finite: bool = False, notice: Notice | None = None
) -> SiteMedium:
    """W(0) between the candidate atoms in their lanes of ``width``, and L, as a rung of ``method`` sees them; the rest as `mdlite.engines.timelocal.medium`."""
    loss, implicit, crystal = np.zeros((3, 3)), True if method == "implicit" else None, model.box.crystal
    if method == "rigid":
        return SiteMedium(np.zeros(0), loss, None, lanes, width)
    if method in ("time-local", "implicit"):
        loss = np.ascontiguousarray(response.loss_matrix(crystal))
    table = recoil_table(crystal, model.offsets, model.box.size if finite else None, notice)
    return SiteMedium(_reply(table, lanes, width), loss, implicit, lanes, width)


def _reply(table: np.ndarray, lanes: np.ndarray, width: int) -> np.ndarray:
    """W_jk(0), (n, n, 3, 3), as ``SiteMedium.reply`` wants it."""
    out = aligned_zeros(9 * width * width)
    vectors = out.reshape(width, width // WIDTH, 9, WIDTH)
    vectors[lanes[:, None], lanes // WIDTH, :, lanes % WIDTH] = table.swapaxes(0, 1).reshape(len(lanes), len(lanes), 9)
    return out


def surroundings(model: CrystalModel, method: str, finite: bool = False, notice: Notice | None = None) -> Surroundings:
    """What the kernels need of a rung of ``method``."""
    coupling, lanes = site_lanes(model)
    width = len(coupling.offsets)
    return Surroundings(coupling, site_medium(model, method, lanes, width, finite, notice), width, lanes)


class CrystalMediumEngine(TimeLocalEngine):
    """The ion in the effective medium of any crystal, by one of the methods of `mdlite.engines.rungs`; the model is a `CrystalModel`.

    As `TimeLocalEngine`. finite: take W(0) from the periodic box of this size. notice gets a line if W(0) takes a while.
    Raises InputError if W(0) and L are needed and do not converge.
    """

    parts: ClassVar[tuple[str, ...]] = (*TimeLocalEngine.parts, "notice")

    def __init__(self, setup: Setup, finite: bool = False, loss=None, notice: Notice | None = None):
        self._notice = notice
        super().__init__(setup, finite, loss)

    def _surroundings(self, finite: bool) -> Surroundings:
        return surroundings(self.model, self.method, finite, self._notice)


def relaxed(model: CrystalModel, position=None, finite: bool = False) -> Equilibrium:
    """As `mdlite.engines.timelocal.relaxed`."""
    return timelocal.relaxed(model, position, finite, CrystalMediumEngine)


def adiabatic_energy(model: CrystalModel, position=None, finite: bool = False) -> tuple[float, float]:
    """As `mdlite.engines.timelocal.adiabatic_energy`."""
    return timelocal.adiabatic_energy(model, position, finite, CrystalMediumEngine)
