"""Method ``patch`` in any crystal at T = 0 (`mdlite.kernels.crystal_patch`): the ion in a piece of crystal that travels with it and absorbs at its seam."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.crystals.box import Box
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.model import CrystalModel
from mdlite.engines import crystal_layer
from mdlite.engines.base import Engine, Setup, ion_at_start
from mdlite.engines.crystal_layer import Fit
from mdlite.engines.frames import LoneFrames
from mdlite.engines.kernel_groups import GROUPS, STEP, Group, call_all, small_crystal
from mdlite.errors import InputError
from mdlite.kernels import crystal as crystal_kernels
from mdlite.kernels import crystal_patch as kernels
from mdlite.kernels.types import Frames

if TYPE_CHECKING:
    from mdlite.config import Config

LAYER = 1
"""Cells at least that a patch has beside the ion's atoms."""
OPEN = Fit(0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
"""No layer: a periodic piece of the crystal."""


def least_size(crystal: Crystal, offsets: np.ndarray, smallest: int, largest: int) -> int | None:
    """The smallest even patch.size that holds candidates ``offsets`` (n, 4) and a layer, or None if ``largest`` does not."""
    needed = np.ptp(offsets[:, :3], axis=0) + 1 + LAYER
    return next((n for n in range(smallest, largest + 2, 2) if np.all(crystal_layer.box_size(crystal, n) >= needed)), None)


class CrystalPatchEngine(Engine[LoneFrames]):
    """One ion in a crystal that is at rest but for what the ion radiates (T = 0); the model is a `mdlite.crystals.model.CrystalModel`.

    size: of the patch, in atoms along an edge (`mdlite.engines.crystal_layer.box_size`). fit: its layer, or None for the one that is found.
    Raises InputError for thermal states, a patch that does not hold the ion's atoms, and a step that the held atoms do not bear.
    """

    method = "patch"
    parts = ("model", "dt", "size", "sample_every", "record_atoms", "fit", "guard")

    def __init__(self, setup: Setup, size: int, fit: Fit | None = None):
        super().__init__(setup)
        if setup.states:
            raise InputError('method = "patch": is at T = 0 in a [crystal]; take out thermal, or use method = "reference"')
        model: CrystalModel = setup.model
        crystal, offsets = model.box.crystal, model.offsets[:, :3]
        if least_size(crystal, model.offsets, size, size) is None:
            raise InputError(f"patch.size = {size}: is too small to hold the ion's atoms, and a layer around them")
        self.size, self._fitted = size, fit is None
        self.fit = crystal_layer.fit(crystal, size) if fit is None else fit
        limit = 2.0 / np.sqrt(model.omega_max**2 + self.fit.hold)
        if setup.dt >= limit:
            raise InputError(
                f"run.dt = {setup.dt:g}: must be below {limit:.6g} ps, which the atoms at the edge of the patch bear"
            )
        self.box = Box(crystal, crystal_layer.box_size(crystal, size))
        middle = np.zeros(3, np.int64) if model.atoms.moving else (offsets.min(axis=0) + offsets.max(axis=0)) // 2
        a, b, c = middle.tolist()
        self.layer = crystal_layer.layer(self.box, setup.dt, self.fit, (a, b, c))
        self.stencil, self.coupling, self.inverse_masses = self.box.stencil, model.coupling(), 1.0 / crystal.masses
        self.u, self.v = self.box.fields()
        self.ion = ion_at_start(model)
        crystal_kernels.shift_time(self.u, self.v, self.stencil, self.coupling, self.ion, -0.5 * setup.dt, self.inverse_masses)

    def state(self) -> dict[str, np.ndarray]:
        """u (Å) and v (Å/ps, half a step behind) of the patch as the kernels keep them, wrapped; position (Å) and velocity (Å/ps) of the ion."""
        return {"u": self.u, "v": self.v, "position": self.ion.position, "velocity": self.ion.velocity}

    def _take(self, n_steps: int, out: Frames) -> None:
        plan = (self.step, n_steps, self.sample_every)
        kernels.advance(
            self.u, self.v, self.stencil, self.layer, self.coupling, self.ion, self.dt, self.inverse_masses, plan, out
        )

    def _record(self, out: Frames) -> None:
        crystal_kernels.sample(self.u, self.v, self.stencil, self.coupling, self.ion, 0.5 * self.dt, self.inverse_masses, out)

    def fault(self) -> str | None:
        """What makes the present state unusable, or None: the ion's own (`guard`), or an atom too far from its site for the sphere around the ion."""
        fault = self.guard.fault(self.ion)
        if fault is not None or not self.coupling.moving:
            return fault
        return self.model.too_far(float(np.abs(self.box.displacements(self.u)).max()))

    def announcement(self) -> str | None:
        """How far the patch is from the infinite crystal."""
        if not self._fitted:
            return None
        found, atoms = self.fit, self.box.n_atoms
        return (
            f"a patch of {' × '.join(map(str, self.box.size))} cells ({atoms} atoms) gives way to a steady force (W(0)) right to {_percent(found.static_error)}, "
            f"has the friction of slow motion (L) to {_percent(found.friction_error)}, and what lies between (W(t), root mean square over {found.window:.2g} ps) "
            f'to {_percent(found.response_error)}; a larger patch.size is better, method = "memory-kernel" exact'
        )

    def facts(self) -> dict[str, Any]:
        """The patch, and how far it is from the infinite crystal."""
        if not self._fitted:
            return {"patch_size": self.size}
        return {
            "patch_size": self.size,
            "patch_cells": list(self.box.size),
            "patch_static_error": self.fit.static_error,
            "patch_friction_error": self.fit.friction_error,
            "patch_response_error": self.fit.response_error,
            "patch_response_window_ps": self.fit.window,
        }


def faults(config: Config, largest: int) -> Iterator[str]:
    """Rules between keys that a configuration with a [crystal] breaks. largest: patch.size that there can be."""
    if config.thermal is not None:
        yield 'thermal: method = "patch" is for T = 0 in a [crystal]; take the [thermal] table out, or use method = "reference"'
    try:
        model = config.to_crystal_model()
    except InputError:
        return  # which is told by itself
    size = config.patch.size
    if least_size(model.box.crystal, model.offsets, size, size) is None:
        least = least_size(model.box.crystal, model.offsets, size, largest)
        cure = f"give {least}" if least else f"{largest} is the most, and too small; give fewer atoms, or another method"
        yield f"patch.size = {size}: is too small to hold the ion's atoms and a layer around them; {cure}"


def notices(config: Config) -> Iterator[str]:
    """What the user should know before the layer is looked for."""
    if not crystal_layer.is_known(config.to_crystal_model().box.crystal, config.patch.size):
        yield "the layer of the patch: found once for this crystal and size (seconds, or minutes for a large cell), then kept"


def _percent(share: float) -> str:
    return f"{max(100.0 * share, 0.1):.2g} %"


def _touch() -> None:
    GROUPS["crystal"].touch()
    model = small_crystal()
    engine = CrystalPatchEngine(Setup(model, STEP), 12, fit=OPEN)
    call_all(engine)
    places, room = np.zeros(1, np.int64), np.empty((1, 3))
    kernels.coast(engine.u, engine.v, engine.stencil, engine.layer, STEP, engine.inverse_masses, places, room)


GROUPS |= {
    "crystal-patch": Group(
        _touch,
        "blocks.drift blocks.kick crystal.sample crystal.shift_time crystal_patch.advance crystal_patch.coast guard.cause_to_stop potentials.evaluate",
        9.0,
    ),
}
