"""Reference engine with an absorbing layer (`mdlite.kernels.absorbing`), for long runs at T = 0 that can accept a stated reflection."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite.engines.reference import ReferenceEngine
from mdlite.kernels import absorbing as kernels
from mdlite.kernels import springs as spring_kernels
from mdlite.kernels.stencil import kick_drift
from mdlite.kernels.types import Frames
from mdlite.physics.model import Lattice, Model

STRENGTH = 10.0
"""Damping integrated over a passage through the layer at the longitudinal sound speed: less lets short waves through, more throws long ones
back (``scripts/absorber_reflection.py``)."""


def layer_factors(
    lattice: Lattice, centre: np.ndarray, width: int, dt: float, strength: float = STRENGTH
) -> tuple[np.ndarray, ...]:
    """Factors (N_x,), (N_y,), (N_z,) by which a step of dt (ps) damps velocities: 1 but for ``width`` sites on either side of the seam.

    The seam lies half a box from ``centre`` (lattice indices). The rate grows with the square of the depth, up to 3 strength c/(2 width a).
    """
    peak = 1.5 * strength * lattice.sound_speed / (width * lattice.spacing)
    out = []
    for n, middle in zip(lattice.size, centre):
        away = np.abs((np.arange(n) - middle + 0.5 * n) % n - 0.5 * n)  # 0 at the centre, n/2 at the seam
        depth = np.clip((away - (0.5 * n - width)) / width, 0.0, 1.0)
        out.append(np.exp(-dt * peak * depth**2))
    return tuple(out)


def reflection(
    lattice: Lattice, width: int, wavelength: float, transverse: bool, dt: float = 0.005, strength: float = STRENGTH
) -> float:
    """Part of the energy of a wave packet along [100] that comes back from the layer or through it; wavelength in sites.

    A packet three wavelengths wide (one standard deviation), sent once into a layer with ``width`` sites on either side of the seam.
    """
    spread, k = 3.0 * wavelength, 2.0 * np.pi / wavelength
    clear = int(12 * spread)
    size = (clear + 2 * width, 3, 3)
    strip = Lattice(size, lattice.spacing, lattice.mass, lattice.k1, lattice.k2)
    stiff = 4.0 * (lattice.k2 if transverse else lattice.k1 + 2.0 * lattice.k2) / lattice.mass
    omega = np.sqrt(stiff) * np.sin(0.5 * k)
    group = 0.5 * np.sqrt(stiff) * np.cos(0.5 * k)  # sites/ps
    x = np.arange(size[0]) - 0.5 * size[0]
    envelope = np.exp(-0.5 * (x / spread) ** 2)
    u, v, after = (strip.field() for _ in range(3))
    c = 1 if transverse else 0
    strip.atoms(u)[c] = (envelope * np.cos(k * x))[:, None, None]
    strip.atoms(v)[c] = ((omega * np.sin(k * x) + group * x / spread**2 * np.cos(k * x)) * envelope)[:, None, None]
    springs = strip.springs()
    spring_kernels.fill_halo(u, springs)
    factors = layer_factors(strip, 0.5 * np.array(size), width, dt, strength)
    factors = (factors[0], np.ones(3), np.ones(3))
    partial = np.empty((size[0], 5))

    def energy() -> float:
        spring_kernels.lattice_sums(u, v, springs, 0.0, partial)
        return float(partial[:, :2].sum())

    before = energy()
    for _ in range(round((clear + 2 * width) / group / dt)):
        kernels.absorb(v, *factors)
        kick_drift(u, v, after, springs, dt, dt)
        u, after = after, u
    return energy() / before


class AbsorbingEngine(ReferenceEngine):
    """As `ReferenceEngine` from a framework at rest, with a damped layer of ``width`` sites on either side of the box's seam."""

    def __init__(self, model: Model, dt: float, width: int, sample_every: int = 1, record_atoms: bool = False):
        super().__init__(model, dt, sample_every, record_atoms, in_place=False)
        sites = model.candidate_sites(self.ion.position)
        self.width = width
        self._centre = sites.min(axis=0) + 0.5 * np.ptp(sites, axis=0)
        self._layer = layer_factors(model.lattice, self._centre, width, dt)

    def _take(self, n_steps: int, out: Frames) -> None:
        steps = (self.step, n_steps, self.sample_every)
        kernels.advance(self.lattice, self._u_next, self.springs, self.coupling, self.ion, self.dt, steps, self._layer, out)
        self._turn(n_steps)

    def budget(self) -> None:
        """None: the layer takes energy away."""
        return None

    def fault(self) -> str | None:
        """What makes the present state unusable, or None."""
        fault = super().fault()
        if fault is not None:
            return fault
        reach = np.abs(self.model.candidate_sites(self.ion.position) - self._centre).max(axis=0)
        if np.any(reach > 0.5 * np.array(self.model.lattice.size) - self.width):
            return "the ion has come to the absorbing layer; a larger lattice.size gives it more room"
        return None

    def facts(self) -> dict[str, Any]:
        """The layer's width."""
        return {"absorber_width": self.width}
