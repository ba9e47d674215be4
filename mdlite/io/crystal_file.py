"""A crystal as a file of its own, for machines that have nothing but mdlite: as it is used and as it was read, its charges, and the facts about it.

The layout, under one group: attributes ``format``, ``version``, ``made_by``, ``source``, ``settings``, ``facts`` (JSON) and ``checksum``; groups
``crystal``, ``raw`` (the arrays of `mdlite.crystals.crystal.Crystal`) and ``polar`` (those of `mdlite.crystals.material.Polar`), with their units.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import mdlite
from mdlite.crystals import crystal as crystals
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.material import Polar
from mdlite.crystals.sources import Loaded
from mdlite.errors import InputError
from mdlite.io import outputs, seal
from mdlite.io.checksums import integral
from mdlite.io.layout import CRYSTAL
from mdlite.io.reading import DAMAGED, MOST_EXPANSION, refusal

FORMAT, VERSION = "mdlite crystal", 1
UNITS = {
    "cell": "Angstrom",
    "positions": "cell",
    "masses": "meV ps^2/Angstrom^2",
    "first": "",
    "second": "",
    "cells": "",
    "blocks": "meV/Angstrom^2",
    "charges": "e",
    "dielectric": "",
    "matrix": "",
    "violation": "e",
}
ROUNDING = 1e-9
"""Of the largest force constant: by what corrected ones may differ between machines."""
ARRAYS = ("cell", "positions", "masses", "first", "second", "cells", "blocks")


def check(path: str | Path, force: bool) -> None:
    """Raises InputError unless a crystal can be written there; a file that is one is replaced, any other only with ``force``."""
    outputs.check_output(path, force or is_crystal(path), outputs.HDF5)


def is_crystal(path: str | Path) -> bool:
    """Whether a file of ours is there."""
    try:
        if not outputs.is_file(path) or not seal.is_sealed(Path(path)):
            return False
        with h5py.File(path, "r") as f:
            return f.attrs.get("format") == FORMAT
    except DAMAGED:
        return False


def write(path: str | Path, loaded: Loaded) -> None:
    """Write the file, whole or not at all. Raises RunError."""

    def fill(place: Path) -> None:
        with h5py.File(place, "w") as f:
            store(f, loaded)
        seal.seal(place, [])  # all of it

    outputs.write(path, fill)


def store(group: h5py.Group, loaded: Loaded) -> None:
    """Write a crystal into a group of a file."""
    attributes = {
        "source": loaded.source,
        "settings": json.dumps(loaded.settings),
        "facts": json.dumps(loaded.facts),
        "species": json.dumps(list(loaded.crystal.species)),
    }
    arrays = {f"crystal/{name}": getattr(loaded.crystal, name) for name in ARRAYS}
    arrays |= {f"raw/{name}": getattr(loaded.raw, name) for name in ARRAYS}
    if loaded.polar is not None:
        arrays |= {f"polar/{name}": np.asarray(value) for name, value in loaded.polar._asdict().items()}
    for place, values in arrays.items():
        squeezed = {"compression": "gzip", "shuffle": True} if np.ndim(values) and np.size(values) > 1000 else {}
        group.create_dataset(place, data=values, **squeezed).attrs["unit"] = UNITS[place.split("/")[1]]
    group.attrs.update({"format": FORMAT, "version": VERSION, "made_by": f"mdlite {mdlite.__version__}", **attributes})
    group.attrs["checksum"] = _sum(arrays, attributes)


def read(path: str | Path) -> Loaded:
    """The crystal of a file, or of a finished run's. Raises InputError where it is none of ours, damaged, or newer than this program.

    HDF5 sees no file but a sealed one that is whole (`mdlite.io.seal`).
    """
    name = f"crystal.file = {str(path)!r}"
    foreign = InputError(
        f"{name}: is no file of `mdlite crystal`, or it is damaged; of phonopy, name the yaml or the folder that force_constants.hdf5 lies in"
    )
    try:
        if not seal.is_sealed(Path(path)):
            raise foreign
        with h5py.File(path, "r") as f:
            if CRYSTAL in f:
                return fetch(f[CRYSTAL], name)
            if "mdlite" in f:
                raise InputError(
                    f"{name}: is a run in a [lattice], which has no crystal; `mdlite info {Path(path).name}` shows what it holds"
                )
            if f.attrs.get("format") != FORMAT:
                raise foreign
            return fetch(f, name)
    except InputError:
        raise
    except DAMAGED:
        raise foreign from None


def of_run(path: str | Path) -> Loaded | None:
    """The crystal in a run's file, or None where it is of a [lattice]. Raises InputError where it is damaged."""
    with refusal(Path(path)), h5py.File(path, "r") as f:
        return fetch(f[CRYSTAL], Path(path).name) if CRYSTAL in f else None


def same(one: Loaded, other: Loaded) -> bool:
    """Whether two crystals are the same: as they were read to the bit, as they are used but for the rounding of another machine."""
    if one.settings != other.settings or one.raw.species != other.raw.species:
        return False
    if not all(np.array_equal(getattr(one.raw, name), getattr(other.raw, name)) for name in ARRAYS):
        return False
    used, others = one.crystal.blocks, other.crystal.blocks
    return used.shape == others.shape and bool(np.abs(used - others).max() <= ROUNDING * np.abs(used).max())


def fetch(group: h5py.Group, name: str) -> Loaded:
    """The crystal in a group of a file; name: for messages. Raises InputError."""
    version = int(group.attrs["version"])
    if version > VERSION:
        raise InputError(
            f"{name}: is of version {version}, made by {group.attrs['made_by']}; this mdlite reads {VERSION}; update it"
        )
    attributes = {key: str(group.attrs[key]) for key in ("source", "settings", "facts", "species")}
    places = [f"{part}/{array}" for part in ("crystal", "raw") for array in ARRAYS]
    places += [f"polar/{array}" for array in Polar._fields] if "polar" in group else []
    arrays = {place: _values(group[place]) for place in places}
    if int(group.attrs["checksum"]) != _sum(arrays, attributes):
        raise InputError(f"{name}: is damaged, its checksum is another; make it again with `mdlite crystal`")
    species = tuple(map(str, json.loads(attributes["species"])))
    polar = None
    if "polar" in group:
        polar = Polar(
            arrays["polar/charges"], arrays["polar/dielectric"], arrays["polar/matrix"], float(arrays["polar/violation"])
        )
    return Loaded(
        _crystal(arrays, "crystal", species),
        _crystal(arrays, "raw", species),
        polar,
        attributes["source"],
        json.loads(attributes["settings"]),
        json.loads(attributes["facts"]),
    )


def _crystal(arrays: dict[str, np.ndarray], part: str, species: tuple[str, ...]) -> Crystal:
    cell, positions, masses, first, second, cells, blocks = (arrays[f"{part}/{name}"] for name in ARRAYS)
    crystals.check_atoms(crystals.checked_cell(cell), positions, species)
    return Crystal(cell, positions, masses, species, first, second, cells, blocks)


def _values(dataset: h5py.Dataset) -> np.ndarray:
    """The numbers of a dataset. Raises ValueError for one that claims more than its file can hold."""
    if dataset.dtype.kind not in "fi" or dataset.size * dataset.dtype.itemsize > MOST_EXPANSION * dataset.id.get_storage_size():
        raise ValueError(dataset.name)
    return dataset[()]


def _sum(arrays: dict[str, Any], attributes: dict[str, str]) -> int:
    """Checksum of everything in a file, by name."""
    total = integral(np.frombuffer(json.dumps(attributes, sort_keys=True).encode(), np.uint8))
    for place in sorted(arrays):
        total = integral(np.frombuffer(f"{place}{np.shape(arrays[place])}".encode(), np.uint8), total)
        total = integral(np.atleast_1d(arrays[place]), total)
    return total
