"""Where in a run's file every array stands, and its unit."""

from __future__ import annotations

FRAME_PATHS = {
    "position": ("particles/ion/position", "Angstrom"),
    "velocity": ("particles/ion/velocity", "Angstrom ps-1"),
    "force": ("observables/ion_force", "meV Angstrom-1"),
    "interaction": ("observables/interaction_energy", "meV"),
    "ion_kinetic": ("observables/ion_kinetic_energy", "meV"),
    "effective_position": ("mdlite/effective_position", "Angstrom"),
    "atom_site": ("mdlite/atom_site", "lattice indices, not wrapped"),
    "atom_position": ("mdlite/atom_position", "Angstrom"),
    "atom_velocity": ("mdlite/atom_velocity", "Angstrom ps-1"),
}
"""Where each array of the frames goes, and its unit; steps and times are hard links to those of position."""

SNAPSHOT_PATHS = {
    "lattice_position": ("particles/lattice/position", "Angstrom"),
    "lattice_velocity": ("particles/lattice/velocity", "Angstrom ps-1"),
    "lattice_id": ("particles/lattice/id", "(x Ny + y) Nz + z of the site x, y, z"),
}
"""The same for snapshots of the lattice, on their own steps."""

ENERGY = "mdlite/energy"
STATE = "mdlite/state"
CRYSTAL = "mdlite/crystal"
"""The crystal of a run in a [crystal], see `mdlite.io.crystal_file`."""
OBSERVERS = "mdlite/observers"
END = "mdlite/end"
"""The last frame of a run whose duration is no multiple of the time between frames: arrays of one row, by their names."""
BUDGET_UNITS = {"time": "ps", "framework_momentum": "meV ps Angstrom-1", "ion_momentum": "meV ps Angstrom-1"}


def places(stream: str) -> dict[str, str]:
    """Every array that a file can hold as frames or snapshots, by its name, and where: the streams that share their steps come together."""
    frames = {"step": f"{FRAME_PATHS['position'][0]}/step", "time": f"{FRAME_PATHS['position'][0]}/time"}
    frames |= {name: f"{place}/value" for name, (place, _) in FRAME_PATHS.items()}
    lattice = {f"lattice_{name}": f"{SNAPSHOT_PATHS['lattice_position'][0]}/{name}" for name in ("step", "time")}
    lattice |= {name: f"{place}/value" for name, (place, _) in SNAPSHOT_PATHS.items()}
    return {"frames": frames, "snapshots": lattice}[stream]


def unit(name: str) -> str:
    """The unit of a run's array, empty where it has none."""
    if name.endswith(("time", "step")):
        return "ps" if name.endswith("time") else ""
    if name.startswith("energy_"):
        return BUDGET_UNITS.get(name.removeprefix("energy_"), "meV")
    return (FRAME_PATHS | SNAPSHOT_PATHS).get(name, ("", ""))[1]
