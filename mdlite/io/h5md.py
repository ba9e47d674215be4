"""The making of a run's file, H5MD 1.1: groups, growing elements, boxes, units.

``particles/ion`` holds position and velocity, (frames, ions, 3), with the box; ``particles/trajectory`` is another name for it;
``particles/lattice`` holds snapshots of the framework, in a [crystal] with the species and masses of its atoms. ``observables`` holds what has one value per frame. All else (energy budgets,
effective positions, atoms, the configuration as TOML, versions, the last state) is under ``mdlite``. Units stand in ``unit`` attributes.
Frames are at equal distances in time, as other programs take for granted; a last one that is not on that grid stands in ``mdlite/end``.

All datasets are made at the start and only grow, so that every commit of `mdlite.io.journal` leaves a file that opens.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mdlite.io import snapshots
from mdlite.io.layout import BUDGET_UNITS, ENERGY, FRAME_PATHS, SNAPSHOT_PATHS
from mdlite.units import DALTON

CHUNK_BYTES = 65536


def build(
    file: h5py.File,
    toml: str,
    facts: dict[str, Any],
    run: str,
    streams: dict[str, dict],
    compressed: bool,
    edges: tuple[int, ...] = (3,),
    basis: tuple[Sequence[str], np.ndarray] | None = None,
) -> None:
    """Everything that an empty file needs. streams: frames (1, ...), a budget and a snapshot, as they will come; run: its identity, hex.

    compressed: whether the positions of snapshots are. edges: shape of the box's, (3,), or (3, 3) of a box of any shape.
    basis: species and masses (meV ps²/Å²) of the atoms of a cell, in the order in which snapshots repeat them.
    """
    h5md = file.create_group("h5md")
    h5md.attrs["version"] = np.array([1, 1], np.int32)
    h5md.create_group("author").attrs["name"] = "mdlite user"
    creator = h5md.create_group("creator")
    creator.attrs["name"], creator.attrs["version"] = "mdlite", facts["version"]
    own = file.create_group("mdlite").attrs
    own["config"], own["facts"], own["run"] = toml, json.dumps(facts), run
    own["checksums"] = "{}"
    _stream(file, FRAME_PATHS, streams["frames"], compressed)
    _box(file, "particles/ion", edges)
    file["particles/trajectory"] = file["particles/ion"]
    if streams["budget"]:
        _budgets(file.create_group(ENERGY), streams["budget"])
    if streams["snapshot"]:
        _stream(file, SNAPSHOT_PATHS, streams["snapshot"], compressed)
        _box(file, "particles/lattice", edges)
        if basis is not None:
            atoms = next(iter(streams["snapshot"].values())).shape[1]
            _species(file["particles/lattice"], *basis, atoms)


def _species(group: h5py.Group, names: Sequence[str], masses: np.ndarray, atoms: int) -> None:
    """H5MD's elements ``species``, an enumeration of the names, and ``mass``, the same in all snapshots: (atoms,)."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names))}
    repeats = atoms // len(names)
    kinds = np.tile([numbers[name] for name in names], repeats).astype(np.int32)
    group.create_dataset("species", data=kinds, dtype=h5py.enum_dtype(numbers, np.int32), compression="gzip", shuffle=True)
    mass = group.create_dataset("mass", data=np.tile(masses, repeats) / DALTON, compression="gzip", shuffle=True)
    mass.attrs["unit"] = "u"
    if "id" in group:
        group["id/value"].attrs["unit"] = "((n1 N2 + n2) N3 + n3) p + k of atom k of cell n1, n2, n3"


def _budgets(group: h5py.Group, budget: dict[str, Any]) -> None:
    for name, value in {"step": np.int64(0), "time": 0.0, **budget}.items():
        value = np.asarray(value)
        shape = value.shape
        data = group.create_dataset(name, (0, *shape), value.dtype, maxshape=(None, *shape), chunks=(256, *shape))
        if name != "step":
            data.attrs["unit"] = BUDGET_UNITS.get(name, "meV")


def _stream(file: h5py.File, where: dict[str, tuple[str, str]], arrays: dict[str, np.ndarray], compressed: bool) -> None:
    """The elements of frames or snapshots (arrays with one row each), with step and time at the first, and links to them at the others."""
    master = None
    for name, values in arrays.items():
        place, unit = where[name]
        element = _element(file, place, values.shape[1:], values.dtype, unit, compressed)
        if master is None:
            master = element
            element.create_dataset("step", (0,), np.int64, maxshape=(None,), chunks=(1024,))
            element.create_dataset("time", (0,), np.float64, maxshape=(None,), chunks=(1024,)).attrs["unit"] = "ps"
        else:
            _link_time(file, element, master.name)


def _element(file: h5py.File, name: str, shape: tuple, dtype, unit: str, compressed: bool = False) -> h5py.Group:
    """A time-dependent H5MD element with an empty ``value`` that grows along its first axis."""
    group = file.create_group(name)
    row = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    chunks: tuple[int, ...] = (int(np.clip(CHUNK_BYTES // row, 1, 1024)), *shape)
    filters: dict[str, Any] = {}
    if name.startswith("particles/lattice/") and "box" not in name:
        chunks, filters = snapshots.storage(shape, compressed and "velocity" not in name)
    value = group.create_dataset("value", (0, *shape), dtype, maxshape=(None, *shape), chunks=chunks, **filters)
    value.attrs["unit"] = unit
    return group


def _box(file: h5py.File, particles: str, edges: tuple[int, ...]) -> None:
    box = file[particles].create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = ["periodic"] * 3
    _link_time(file, _element(file, f"{particles}/box/edges", edges, np.float64, "Angstrom"), f"{particles}/position")


def _link_time(file: h5py.File, element: h5py.Group, master: str) -> None:
    for name in ("step", "time"):
        element[name] = file[master][name]


def extents(file: h5py.File) -> list[tuple[int, int]]:
    """Where in the file the data of arrays stand: (offset, size)."""
    found: list[tuple[int, int]] = []

    def look(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            if item.chunks:
                item.id.chunk_iter(lambda chunk: found.append((chunk.byte_offset, chunk.size)))
            elif (offset := item.id.get_offset()) is not None:
                found.append((offset, item.id.get_storage_size()))

    file.flush()
    file.visititems(look)
    return found


def link_lattice(source: Path, target: Path, folder: Path) -> None:
    """A file of links, to stand in ``folder``, in which the lattice of a run's file is the only particles. Raises OSError."""
    where = os.path.relpath(source.resolve(), folder.resolve())
    with h5py.File(target, "x") as f:
        for name in ("lattice", "trajectory"):
            f[f"particles/{name}"] = h5py.ExternalLink(where, "/particles/lattice")
