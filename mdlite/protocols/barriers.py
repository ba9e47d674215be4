"""Protocol ``barriers``: energy of the ion at a cube centre and a face centre, with the framework rigid and relaxed.

The relaxation minimises over every atom of the lattice (`mdlite.physics.relax`); W(0) alone gives the same energy by a second route
(`mdlite.engines.timelocal.adiabatic_energy`), for this lattice and for the infinite one. In a [crystal]: `mdlite.protocols.crystal_barriers`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mdlite.config import Config
from mdlite.engines.timelocal import adiabatic_energy
from mdlite.errors import InputError
from mdlite.physics.relax import relax
from mdlite.protocols import crystal_barriers
from mdlite.protocols.base import Job, Outcome
from mdlite.report import markdown, plots, verdict

OWN_START = True
"""ion.position plays no part."""
PLACES = {"cube centre": (0.5, 0.5, 0.5), "face centre": (0.5, 0.5, 1.0)}
"""In units of the lattice constant."""

VARIANTS: tuple[dict[str, Any], ...] = (
    {"kind": "shell", "extent": 1},
    {"kind": "shell", "extent": 2},
    {"kind": "cutoff", "radius": 6.0, "switch_width": 1.0},
)
PATH_POINTS = 61


def _label(atoms: dict[str, Any]) -> str:
    return {"shell": "shell, e = {extent}", "cutoff": "cut-off at {radius:g} Å", "sites": "fixed sites"}[atoms["kind"]].format(
        **atoms
    )


def check(config: Config) -> None:
    """Raises InputError unless the response exists and the chosen atoms move with the ion."""
    if config.crystal is not None:
        crystal_barriers.check(config)
        return
    config.to_model().lattice.require_rigidity("the relaxation")
    if config.interaction.atoms.kind == "sites":
        raise InputError(
            'interaction.atoms.kind = "sites": the barriers protocol moves the ion, so the atoms must move with it: shell or cutoff'
        )
    for atoms in _variants(config):
        config.replace(**{"interaction.atoms": atoms, "method": "implicit"})


def _variants(config: Config) -> list[dict[str, Any]]:
    """The configured atoms first, then the others that fit into the lattice, for comparison."""
    own = config.interaction.atoms.model_dump()
    smallest = min(config.lattice.size)
    fits = [
        v
        for v in VARIANTS
        if (2 * v["extent"] <= smallest if v["kind"] == "shell" else 2 * v["radius"] <= smallest * config.lattice.spacing)
    ]
    return [own, *(v for v in fits if v != own)]


def settings(config: Config) -> list[Config]:
    """What will be run: the ion is held, and the crystal relaxed."""
    return [config.replace(method="implicit" if config.crystal is None else "reference")]


def compare(config: Config, job: Job) -> Outcome:
    """Relax at both places, for the configured atoms and the other ways of choosing them."""
    if config.crystal is not None:
        return crystal_barriers.compare(config, job)
    entries = []
    for atoms in _variants(config):
        model = config.replace(**{"interaction.atoms": atoms}).to_model()
        places = {}
        for place, fraction in PLACES.items():
            if job.notice is not None:
                job.notice(f"relaxing the lattice: {_label(atoms)}, ion at the {place}")
            places[place] = _place(model, np.array(fraction) * config.lattice.spacing)
        differences = {
            k: places["face centre"][k] - places["cube centre"][k]
            for k in ("unrelaxed_meV", "relaxed_meV", "relaxed_infinite_meV")
        }
        entries.append({"atoms": atoms, "label": _label(atoms), "places": places, "barrier": differences})
    path = _path(config)
    return Outcome(
        {"variants": entries, "path": path},
        _body(config, entries),
        {"barriers.png": lambda: plots.barriers(path, entries)},
        verdict=verdict.barriers(entries),
    )


def _place(model, position) -> dict[str, Any]:
    begin = time.perf_counter()
    result = relax(model, position)
    middle = time.perf_counter()
    by_kernel = adiabatic_energy(model, position, finite=True)[0]
    end = time.perf_counter()
    return {
        "position_A": position,
        "unrelaxed_meV": result.unrelaxed,
        "relaxed_meV": result.energy,
        "elastic_meV": result.elastic,
        "residual_force_meV_per_A": result.residual_force,
        "largest_displacement_A": float(np.abs(result.displacement).max()),
        "relaxed_by_recoil_kernel_meV": by_kernel,
        "relax_seconds": middle - begin,
        "recoil_kernel_seconds": end - middle,
        "relaxed_infinite_meV": adiabatic_energy(model, position)[0],
    }


def _path(config: Config) -> dict[str, Any]:
    """Energies along the line from a cube centre through a face centre to the next cube centre, infinite lattice."""
    smooth = {"kind": "cutoff", "radius": min(6.0, 0.5 * min(config.lattice.size) * config.lattice.spacing)}
    model = config.replace(**{"interaction.atoms": smooth}).to_model()
    fraction = np.linspace(0.5, 1.5, PATH_POINTS)
    positions = config.lattice.spacing * np.stack([np.full_like(fraction, 0.5), np.full_like(fraction, 0.5), fraction], axis=1)
    unrelaxed = model.interaction.energy(model.apart(positions)).sum(axis=1)
    relaxed = np.array([adiabatic_energy(model, p)[0] for p in positions])
    return {"atoms": _label(smooth), "z_A": positions[:, 2], "unrelaxed_meV": unrelaxed, "relaxed_meV": relaxed}


def _body(config: Config, entries: list[dict[str, Any]]) -> str:
    header = ["atoms", "place", "unrelaxed (meV)", "relaxed (meV)", "by W(0) of this lattice (meV)", "infinite lattice (meV)"]
    header += ["elastic part (meV)", "largest displacement (Å)", "residual force (meV/Å)"]
    keys = ("unrelaxed_meV", "relaxed_meV", "relaxed_by_recoil_kernel_meV", "relaxed_infinite_meV", "elastic_meV")
    rows, barrier_rows = [], []
    for entry in entries:
        for place, p in entry["places"].items():
            cells = [f"{p[k]:.7g}" for k in keys]
            rows.append(
                [entry["label"], place, *cells, p["largest_displacement_A"], markdown.number(p["residual_force_meV_per_A"], 2)]
            )
        barrier_rows.append(
            [entry["label"], *(f"{entry['barrier'][k]:.7g}" for k in ("unrelaxed_meV", "relaxed_meV", "relaxed_infinite_meV"))]
        )
    size = " × ".join(str(n) for n in config.lattice.size)
    return "\n\n".join(
        [
            f"The ion is held at a cube centre and at a face centre of a lattice of {size} atoms, and all atoms are relaxed around it (L-BFGS, then "
            "Newton steps with conjugate gradients). The first choice of atoms is the configured one. The lattice is periodic and its centre of "
            "mass is held. *By W(0)* is the same minimum from the recoil kernel alone, over the interacting atoms only.",
            markdown.table(header, rows),
            "## Barrier between the two places",
            markdown.table(["atoms", "unrelaxed (meV)", "relaxed (meV)", "relaxed, infinite lattice (meV)"], barrier_rows),
            "At a face centre a shell with e = 1 takes the corners of one of the two cells only (the one above), which leaves a force on "
            "the ion there; e = 2 and the cut-off show what the farther atoms add.",
        ]
    )
