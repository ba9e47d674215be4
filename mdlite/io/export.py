"""A run for other programs: extended XYZ (ASE, OVITO), and an xarray Dataset (and pandas through it)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from mdlite import atomic, elements
from mdlite.analysis.sampling import off_grid
from mdlite.errors import InputError
from mdlite.io.h5md import link_lattice
from mdlite.io.layout import unit
from mdlite.io.outputs import HDF5, XYZ, check_output, writing
from mdlite.units import DALTON

if TYPE_CHECKING:
    import xarray

    from mdlite.simulation.result import Run

FORMATS = {"extxyz": ".xyz", "h5md-lattice": "-lattice.h5"}
"""Formats, and how the names of their files end."""
ENDINGS = {"extxyz": XYZ, "h5md-lattice": HDF5}
ASE_VELOCITY = (1e-3 * DALTON) ** 0.5
"""One Å/ps in ASE's unit of velocity, √(eV/Da)."""
LABELS = ("Li", "S")
"""Of the ion and the atoms of a [lattice], unless others are asked for."""
UNKNOWN = "X"
"""What ASE calls an atom of no element."""


def write_extxyz(run: Run, file: TextIO, every: int = 1, species: tuple[str, str] | None = None, lattice: bool = True) -> int:
    """Frames of a run as extended XYZ; returns how many. The first particles are the ions, the others the atoms of the lattice's snapshots.

    Columns: species, pos (Å), velo (Å/ps; OVITO calls it Velocity), momenta (ASE's unit) and masses (Da), so that ASE's get_velocities() is right. The comment
    line has the box, Time (ps) and the ions' energies (meV). every: take each n-th frame. species: labels of the ion and of an atom, by
    default Li and S; in a [crystal] the atoms have those of their elements, and the ion by default that of its mass.
    lattice: of a run with snapshots take these, ions and atoms together, and not the frames between. A last frame off the grid of the others is
    left out, as programs that read them take their distances for equal. Raises InputError if there is nothing.
    """
    snapshots = lattice and "lattice_position" in run.data
    even = len(run.time) - int(off_grid(run.step, run.config.run.sample_every))
    rows = _snapshot_frames(run) if snapshots else np.arange(even)
    chosen = np.arange(len(rows))[::every]
    if len(chosen) == 0:
        raise InputError("file: holds no frames to export")
    mass = np.array(run.config.ion.mass)
    ion_mass = float(mass[np.isfinite(mass)].min()) if np.isfinite(mass).any() else 1.0
    if species is None:
        species = LABELS if run.config.crystal is None else (elements.of_mass(ion_mass) or UNKNOWN, UNKNOWN)
    box = " ".join(f"{x:.10g}" for row in run.config.to_model().edges for x in row)
    kinds, weights = _atoms(run, species[1]) if snapshots else ([], np.empty(0))
    for n in chosen:
        frame = rows[n]
        position, velocity = run.position[frame], run.velocity[frame]
        masses = np.full(len(position), ion_mass)
        names = [species[0]] * len(position)
        if snapshots:
            atoms = run.lattice_position[n].astype(float)
            moves = run.lattice_velocity[n].astype(float) if "lattice_velocity" in run.data else np.zeros_like(atoms)
            position, velocity = np.concatenate([position, atoms]), np.concatenate([velocity, moves])
            which = run.lattice_id[n] % len(kinds) if "lattice_id" in run.data else np.arange(len(atoms)) % len(kinds)
            masses = np.concatenate([masses, weights[which]])
            names += [kinds[kind] for kind in which]
        file.write(
            f'{len(position)}\nLattice="{box}" Properties=species:S:1:pos:R:3:velo:R:3:momenta:R:3:masses:R:1 pbc="T T T" '
            f"Time={run.time[frame]:.12g} Step={run.step[frame]} interaction_meV={run.interaction[frame].sum():.12g} "
            f"ion_kinetic_meV={run.ion_kinetic[frame].sum():.12g}\n"
        )
        dalton = masses / DALTON
        columns = np.column_stack([position, velocity, dalton[:, None] * velocity * ASE_VELOCITY, dalton])
        lines = (f"{name} " + " ".join(f"{x:.15g}" for x in row) for name, row in zip(names, columns))
        file.write("\n".join(lines) + "\n")
    return len(chosen)


def _atoms(run: Run, label: str) -> tuple[list[str], np.ndarray]:
    """Labels and masses of the atoms of a cell: in a [crystal] their elements, X for a species that is none."""
    if run.config.crystal is None:
        return [label], np.array([run.config.lattice.mass])
    crystal = run.config.to_crystal_model().box.crystal
    return [elements.symbol(name) or UNKNOWN for name in crystal.species], crystal.masses


def _snapshot_frames(run: Run) -> np.ndarray:
    """For every snapshot the frame of the ion at the same step."""
    return np.searchsorted(run.step, run.lattice_step)


def dataset(run: Run) -> xarray.Dataset:
    """See `mdlite.simulation.result.Run.to_xarray`."""
    import xarray

    variables: dict[str, Any] = {}
    for name, values in run.data.items():
        which = "budget_time" if name.startswith("energy_") else "snapshot_time" if name.startswith("lattice_") else "time"
        whole = name == "atom_site" and values.shape[-1] == 4  # n1, n2, n3 and the atom of the cell
        dims = _dimensions(name, which, values.ndim, "site" if whole else "axis")
        if name in ("time", "energy_time", "lattice_time"):
            variables[which] = (which, values, {"units": "ps"})
        else:
            variables[name] = (dims, values, {"units": unit(name)} if unit(name) else {})
    found = xarray.Dataset(
        variables,
        attrs={"method": run.config.method, "status": run.facts.get("status", "unknown"), "settings": run.config.to_toml()},
    )
    axes = {"axis": ["x", "y", "z"]} if "axis" in found.sizes else {}
    axes |= {"site": ["n1", "n2", "n3", "atom"]} if "site" in found.sizes else {}
    return found.set_coords([n for n in ("time", "budget_time", "snapshot_time") if n in found]).assign_coords(axes)


def _dimensions(name: str, first: str, count: int, last: str = "axis") -> tuple[str, ...]:
    """The names of an array's dimensions; last: of numbers of one particle."""
    inner: tuple[str, ...]
    if first == "budget_time":
        vector = name.endswith("momentum")
        inner = ("lattice",) * (count - 1 - vector) + ("axis",) * vector
    else:
        many = {"atom": "atom", "latt": "lattice_atom"}.get(name[:4], "ion")
        inner = (many, last)[: count - 1]
    return (first, *inner)


def parse_request(format_name: str, species: str | None) -> tuple[str, str] | None:
    """The labels of ion and atom, from what the command line got; None for the usual ones. Raises InputError."""
    if format_name not in FORMATS:
        raise InputError(f"--format = {format_name!r}: must be one of {', '.join(FORMATS)}")
    if species is None:
        return None
    labels = tuple(species.split(","))
    if len(labels) != 2 or not all(re.fullmatch(r"[A-Za-z]\w*", label) for label in labels):
        raise InputError(f"--species = {species!r}: must be two names, ION,ATOM, such as Li,S")
    return labels


def save(run: Run, path: str | Path, format_name: str, force: bool, **options: Any) -> int:
    """Write a run in one of FORMATS, with the options of `write_extxyz` for that; returns how many frames it has.

    ``h5md-lattice`` is a small file of links into the run's own, in which MDAnalysis, which opens the first particles that it finds, finds the
    lattice. The file takes its name when it is whole. Raises InputError if it exists (unless ``force``) or cannot be written.
    """
    if format_name == "h5md-lattice" and "lattice_position" not in run.data:
        raise InputError("--format = 'h5md-lattice': the run has no snapshots of the lattice; give it a [snapshots] table")
    source = getattr(run.data, "path", None)
    if format_name == "h5md-lattice" and source is None:
        raise InputError("--format = 'h5md-lattice': links into the run's file, and this run has none; write it to one")
    path = check_output(path, force, ENDINGS[format_name], {"the run itself": source})
    with writing(path), atomic.replacing(path) as unfinished:
        if source is not None and format_name == "h5md-lattice":
            link_lattice(source, unfinished, path.parent)
            return len(run.lattice_time)
        with unfinished.open("x", encoding="utf-8") as file:
            return write_extxyz(run, file, **options)
