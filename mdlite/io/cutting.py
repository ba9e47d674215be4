"""A run's file cut back to a step from which the run goes on, and its checksums taken anew."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from mdlite.io.checksums import Checksums, integral
from mdlite.io.layout import END, ENERGY, OBSERVERS, STATE, places


def cut(file: h5py.File, step: int, energy_every: int, told: dict[str, Any]) -> Checksums:
    """Keep what stands before ``step``; budgets that a longer run does not take are left out, and what only a finished run has.

    told: the checksums that the arrays had. Raises ValueError if an array is no longer what it was.
    """
    sums = Checksums()
    for stream in ("frames", "snapshots"):
        found = {place: file[place] for place in places(stream).values() if place in file}
        if found:
            steps = next(iter(found.values()))[:]
            _keep(found, slice(int(np.searchsorted(steps, step))), told, sums)
            edges = file[next(iter(found)).replace("position/step", "box/edges/value")]
            edges.resize(len(next(iter(found.values()))), axis=0)
    if ENERGY in file:
        steps = file[ENERGY]["step"][:]
        keep = np.flatnonzero((steps < step) & (steps % energy_every == 0))
        _keep({f"{ENERGY}/{name}": data for name, data in file[ENERGY].items()}, keep, told, sums)
    for place in (STATE, END, OBSERVERS):
        if place in file:
            del file[place]
    file["mdlite"].attrs.modify("checksums", "{}")
    return sums


def _keep(found: dict[str, h5py.Dataset], rows: slice | np.ndarray, told: dict[str, Any], sums: Checksums) -> None:
    """Keep some rows of datasets, and take their checksums."""
    for place, data in found.items():
        values = data[:]
        if place in told and told[place] != [len(values), integral(values)]:
            raise ValueError("checksum")
        kept = values[rows]
        if len(kept) < len(values):
            data.resize(len(kept), axis=0)
            if not isinstance(rows, slice):
                data[:] = kept
        sums.replace(place, kept)
