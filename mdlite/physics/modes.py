"""The free crystal's motion r_H(t) by its normal modes, exact to rounding: the second route beside the lattice kernel.

One step is a 3 × 3 turn of every Bloch amplitude (`mdlite.kernels.modes`) and six inverse FFTs, whatever the length of the step. The
lattice kernel is an order of magnitude cheaper at the same step (`bench/`), with frequencies that are (Ω dt)²/24 too high (0.1 % at
the top of the band for 5 fs); this route shows what that matters.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from mdlite.kernels import modes as kernels
from mdlite.kernels.types import Crystal
from mdlite.physics.model import Lattice
from mdlite.physics.phonons import dynamical_matrix


class ModeMotion:
    """A free crystal that steps by dt (ps), exactly, from displacement and velocity (3, Nx, Ny, Nz) in Å and Å/ps.

    amplitudes: of its Bloch waves at the present step, displacement and velocity, complex (2, 3, Nx, Ny, Nz // 2 + 1).
    """

    def __init__(self, lattice: Lattice, displacement: np.ndarray, velocity: np.ndarray, dt: float):
        self.lattice, self.dt = lattice, dt
        nx, ny, nz = lattice.size
        axes = (2.0 * np.pi * np.arange(nx) / nx, 2.0 * np.pi * np.arange(ny) / ny, 2.0 * np.pi * np.arange(nz // 2 + 1) / nz)
        theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        squares, vectors = np.linalg.eigh(dynamical_matrix(lattice, theta))
        omega = np.sqrt(squares.clip(min=0.0))

        def function_of_modes(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray((vectors * values[..., None, :]) @ np.swapaxes(vectors, -1, -2))

        self._cosine = function_of_modes(np.cos(omega * dt))
        self._sine = function_of_modes(dt * np.sinc(omega * dt / np.pi))
        self._force = function_of_modes(-omega * np.sin(omega * dt))
        self.amplitudes = np.stack([fft.rfftn(field, axes=(1, 2, 3)) for field in (displacement, velocity)])
        self._crystal = Crystal(*(lattice.field() for _ in range(4)))
        self._to_sites()

    def step(self) -> Crystal:
        """The crystal one step later, in arrays that the next call overwrites."""
        kernels.propagate(*self.amplitudes, self._cosine, self._sine, self._force)
        self._to_sites()
        return self._crystal

    @property
    def crystal(self) -> Crystal:
        """The present crystal; ``before`` and ``after`` are u ∓ dt v, so that their difference over 2 dt is the exact velocity."""
        return self._crystal

    def _to_sites(self) -> None:
        u, v = (fft.irfftn(field, s=self.lattice.size, axes=(1, 2, 3)) for field in self.amplitudes)
        for array, values in zip(self._crystal, (u - self.dt * v, u, u + self.dt * v, v)):
            self.lattice.atoms(array)[...] = values
