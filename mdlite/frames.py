"""Frames: what an engine hands over for every sampled step, as numpy arrays."""

from __future__ import annotations

import numpy as np

from mdlite.kernels.types import Frames


def allocate(rows: int, n_atoms: int) -> Frames:
    """Room for ``rows`` frames with ``n_atoms`` recorded atoms each (0: none); NaN until written."""
    shapes = {
        "position": (rows, 3),
        "velocity": (rows, 3),
        "force": (rows, 3),
        "interaction": (rows,),
        "effective_position": (rows, 3),
        "atom_position": (rows, n_atoms, 3),
        "atom_velocity": (rows, n_atoms, 3),
    }
    return Frames(**{name: np.full(shape, np.nan) for name, shape in shapes.items()})


def sampled_steps(first: int, count: int, sampling: int) -> np.ndarray:
    """The multiples of ``sampling`` among the ``count`` step numbers from ``first``, int64."""
    return np.arange(-(-first // sampling) * sampling, first + count, sampling, dtype=np.int64)
