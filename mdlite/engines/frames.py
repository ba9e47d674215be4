"""Frames as engines return them: the kernels' arrays, with one way to become what is recorded."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mdlite.kernels import types
from mdlite.physics.model import Model


class AnyFrames(Protocol):
    """Sampled frames of any engine, a row each."""

    position: np.ndarray
    velocity: np.ndarray

    def arrays(self, model: Model, record_atoms: bool) -> dict[str, np.ndarray]:
        """The arrays as they are stored: vectors of ions (F, ions, 3), Å, Å/ps, meV/Å; their energies (F, ions), meV; atoms (F, n, 3)."""


class LoneFrames(types.Frames):
    """Frames of one ion: vectors (F, 3), its recorded atoms (F, n, 3)."""

    __slots__ = ()

    def arrays(self, model: Model, record_atoms: bool) -> dict[str, np.ndarray]:
        """See `AnyFrames`: vectors get an axis for the ion."""
        out = {name: getattr(self, name)[:, None] for name in ("position", "velocity", "force", "effective_position")}
        out["interaction"] = self.interaction[:, None]
        out["ion_kinetic"] = model.ion.kinetic_energy(self.velocity)[:, None]
        if record_atoms:
            out["atom_site"] = _sites(model, self.position)
            out["atom_position"] = self.atom_position
            if np.isfinite(self.atom_velocity).any():
                out["atom_velocity"] = self.atom_velocity
        return out


def _sites(model: Model, position: np.ndarray) -> np.ndarray:
    """Indices of the candidates (F, n, 3), in a [crystal] (F, n, 4), for the ion at (F, 3)."""
    sites = model.candidate_sites(position)
    return np.broadcast_to(sites, (len(position), *sites.shape[-2:])).astype(np.int32)


class ManyFrames(types.EnsembleFrames):
    """Frames of I ions in each of L lattices: vectors (F, L, I, 3)."""

    __slots__ = ()

    def arrays(self, model: Model, record_atoms: bool) -> dict[str, np.ndarray]:
        """See `AnyFrames`: the first lattice's ions, then the next one's. ``record_atoms`` plays no part."""
        rows, lattices, each, _ = self.position.shape
        out = {name: array.reshape(rows, lattices * each, *array.shape[3:]) for name, array in self._asdict().items()}
        return out | {"ion_kinetic": model.ion.kinetic_energy(out["velocity"])}


def lone(rows: int, n_atoms: int) -> types.Frames:
    """Room for the kernels to write ``rows`` frames with ``n_atoms`` recorded atoms each (0: none); NaN until written."""
    shapes = {
        "position": (rows, 3),
        "velocity": (rows, 3),
        "force": (rows, 3),
        "interaction": (rows,),
        "effective_position": (rows, 3),
        "atom_position": (rows, n_atoms, 3),
        "atom_velocity": (rows, n_atoms, 3),
    }
    return types.Frames(**{name: np.full(shape, np.nan) for name, shape in shapes.items()})


def many(rows: int, lattices: int, ions: int) -> types.EnsembleFrames:
    """Room for the kernels to write ``rows`` frames of so many ions in each lattice."""
    shape = (rows, lattices, ions)
    return types.EnsembleFrames(np.empty((*shape, 3)), np.empty((*shape, 3)), np.empty(shape))
