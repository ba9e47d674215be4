"""What `mdlite crystal` finds of a crystal: numbers as JSON, and as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mdlite.crystals import dynamics, response, sumrules
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.material import Material
from mdlite.crystals.sources import Loaded
from mdlite.errors import InputError
from mdlite.machine import cores
from mdlite.report import phonons_request
from mdlite.report.phonons_report import matrix, without_rounding
from mdlite.units import DALTON, terahertz

UNITS = {
    "cell": "Angstrom",
    "volume": "Angstrom^3",
    "positions": "cell vectors",
    "masses": "meV ps^2/Angstrom^2",
    "masses_Da": "Da",
    "reach": "Angstrom",
    "frequency_max_THz": "THz",
    "frequency_min_THz": "THz",
    "sound": "Angstrom/ps",
    "elastic_constants_GPa": "GPa",
    "loss_matrix": "Angstrom^2 ps/meV",
    "recoil_kernel": "Angstrom^2/meV",
    "corrections": "of the largest force constant",
    "estimate.memory": "bytes",
    "estimate.rate": "multiply-adds/s",
    "estimate.seconds_per_step": "s",
}
SIZE = (32, 32, 32)
"""Cells, of the estimate unless another size is asked for."""
ATOM_BYTES, BLOCK_BYTES = 80, 72
TELLING = 0.05
"""Relative difference by dipoles that is a warning."""


def collect(
    loaded: Loaded, rate: float, size: Sequence[int] | None = None, notice: Callable[[str], object] = lambda line: None
) -> dict[str, Any]:
    """All numbers as plain JSON values. The lowest frequency of what is loaded is that of sound at Γ, 0. rate: multiply-adds of a step, a second.

    Raises InputError where W(0) or L does not converge.
    """
    crystal = loaded.crystal
    lowest, highest = dynamics.extremes(crystal)
    notice(f"W(0) of {crystal.n_basis} atoms")
    pairs = [(n, n, 0, 0, 0) for n in range(crystal.n_basis)]
    unstable = "unstable" in loaded.facts
    on_site = [None] * len(pairs) if unstable else response.static_recoil(crystal, pairs).tolist()
    return {
        "source": loaded.source,
        "cell": crystal.cell.tolist(),
        "volume": crystal.volume,
        "species": list(crystal.species),
        "masses": crystal.masses.tolist(),
        "masses_Da": (crystal.masses / DALTON).tolist(),
        "positions": crystal.positions.tolist(),
        "space_group": _space_group(crystal),
        "neighbours": crystal.neighbours.tolist(),
        "reach": crystal.reach,
        "frequency_max_THz": terahertz(highest.frequency),
        "frequency_min_THz": terahertz(lowest.frequency) if unstable else 0.0,
        "sound": phonons_request.sound(crystal),
        "elastic_constants_GPa": dynamics.elastic_constants(crystal).tolist(),
        "huang_residual": sumrules.huang(crystal),
        "loss_matrix": phonons_request.loss(crystal),
        "recoil_kernel": {f"{n}:{n}:0,0,0": [w] for n, w in enumerate(on_site)},
        "settings": loaded.settings,
        **loaded.facts,
        "with_dipoles": _with_dipoles(loaded),
        "estimate": estimate(crystal, size or SIZE, rate),
        "units": UNITS,
    }


def _space_group(crystal: Crystal) -> str | None:
    from mdlite.crystals import symmetry

    try:
        found = symmetry.of_atoms(crystal.cell, crystal.positions, crystal.species, crystal.masses)
    except (InputError, ImportError):
        return None
    return f"{found.symbol} ({found.number})"


def _with_dipoles(loaded: Loaded) -> dict[str, Any] | None:
    """Sound and L with the dipoles of the Born charges, of q much smaller than the supercell's; None without Born charges."""
    if loaded.polar is None or "unstable" in loaded.facts:
        return None
    from mdlite.crystals import dipoles

    which: sumrules.Which = "translation" if loaded.settings["corrections"] == "translation" else "all"
    polar = dipoles.with_dipoles(Material(loaded.raw, loaded.polar, loaded.source), which)
    speeds = {text: polar.sound_speeds([float(x) for x in text.split(",")]).tolist() for text in phonons_request.DIRECTIONS}
    return {"sound": speeds, "loss_matrix": polar.loss_matrix.tolist()}


def estimate(crystal: Crystal, size: Sequence[int], rate: float) -> dict[str, Any]:
    """What a step of the explicit crystal takes here: memory, and time by 9 multiply-adds for every pair of neighbours. rate: of these, a second."""
    atoms = crystal.n_basis * int(np.prod(np.array(size, dtype=object)))
    adds = 9 * (int(crystal.neighbours.sum()) + crystal.n_basis) * (atoms // crystal.n_basis)
    return {
        "size": list(size),
        "atoms": atoms,
        "memory": ATOM_BYTES * atoms + BLOCK_BYTES * len(crystal.blocks),
        "multiply_adds_per_step": adds,
        "rate": rate,
        "seconds_per_step": adds / rate,
        "cores": cores(),
        "is": "from a smaller box, measured just now",
    }


def warnings(found: dict[str, Any]) -> list[str]:
    """A line for what the reader should know before the numbers are used."""
    other = found["with_dipoles"]
    unstable = [f"warning: {found['unstable']}"] if "unstable" in found else []
    if other is None or found["loss_matrix"] is None:
        return unstable
    loss = _difference(found["loss_matrix"], other["loss_matrix"])
    sound = max(_difference(found["sound"][text], other["sound"][text]) for text in found["sound"])
    if max(loss, sound) <= TELLING:
        return unstable
    return [
        *unstable,
        f"warning: the dipoles of the Born charges change sound by up to {sound:.0%} and L by up to {loss:.0%}; force constants of a supercell "
        "cut them off (crystal.dipoles, --dipoles RADIUS)",
    ]


def _difference(one: Any, other: Any) -> float:
    """The largest difference, over the largest element of the first."""
    a, b = np.array(one), np.array(other)
    return float(np.abs(a - b).max() / np.abs(a).max())


def text(found: dict[str, Any]) -> str:
    """For a terminal."""
    lines = [
        f"crystal            {found['source']}",
        f"space group        {found['space_group'] or 'not found'}; {len(found['species'])} atoms in a cell of {found['volume']:.6g} Å³",
        "cell               (Å)",
        *("    " + "  ".join(f"{x + 0.0:12.7f}" for x in row) for row in found["cell"]),
        "atoms              (κ, species, mass in Da, place in the cell, neighbours)",
    ]
    for n, (species, mass, place, count) in enumerate(
        zip(found["species"], found["masses_Da"], found["positions"], found["neighbours"])
    ):
        lines.append(f"  {n:3d} {species:4} {mass:9.4f}  " + " ".join(f"{x + 0.0:10.6f}" for x in place) + f"  {count:5d}")
    lines += [f"reach              {found['reach']:.4f} Å", *_changes(found)]
    lines += [
        f"Omega_max          {found['frequency_max_THz']:.6f} THz; {'unstable' if 'unstable' in found else 'stable, no imaginary frequency in the zone'}",
        "sound              (Å/ps, ascending)",
        *_sound(found["sound"]),
        f"elastic constants  (GPa{', without dipoles' if found['with_dipoles'] is not None else ''}; xx, yy, zz, yz, xz, xy; Huang's conditions are missed by {found['huang_residual']:.1e})",
        *("    " + "  ".join(f"{x:10.4f}" for x in row) for row in without_rounding(found["elastic_constants_GPa"])),
    ]
    if found["loss_matrix"] is not None:
        lines += matrix("loss matrix L      (Å² ps/meV)", found["loss_matrix"])
    if found["with_dipoles"] is not None:
        lines += ["with dipoles       (Born charges, q → 0): sound (Å/ps)", *_sound(found["with_dipoles"]["sound"])]
        lines += matrix("                   L (Å² ps/meV)", found["with_dipoles"]["loss_matrix"])
    if "unstable" in found:
        return "\n".join(lines)
    lines.append("recoil kernel W(0) (Å²/meV; of every atom on itself: xx, yy, zz, yz, xz, xy)")
    for n, kernel in enumerate(found["recoil_kernel"].values()):
        values = without_rounding([kernel[0][i][j] for i, j in dynamics.VOIGT])
        lines.append(f"  {n:3d} {found['species'][n]:4} " + "  ".join(f"{x: .6e}" for x in values))
    return "\n".join([*lines, _estimate_text(found["estimate"])])


def _sound(speeds: dict[str, list[float]]) -> list[str]:
    return [f"  [{name}]".ljust(21) + "  ".join(f"{x:11.6f}" for x in values) for name, values in speeds.items()]


def _changes(found: dict[str, Any]) -> list[str]:
    """What was done to the force constants."""
    made = found["corrections"]
    missed = ", ".join(f"{rule} by {made['before'][rule]:.1e}" for rule in ("permutation", "translation", "rotation"))
    if made["kind"] == "none":
        return [f"sum rules          springs, not corrected; missed: {missed}"]
    rules = "" if made["kind"] == "all" else " (without rotation)"
    lines = [
        f"sum rules          missed as read: {missed}",
        f"                   made exact{rules}; largest change of a force constant {made['change']:.1e} of the largest",
    ]
    if "tolerance" in found:
        cut = found["tolerance"]
        lines.append(
            f"tolerance          {cut['tolerance']:g}: {cut['dropped']} of {cut['of']} blocks dropped; frequencies changed by up to "
            f"{cut['largest_change_of_a_frequency_THz']:.3g} THz"
        )
    if "dipoles" in found:
        lines.append(f"dipoles            in the stencil, to {found['dipoles']['radius']:g} Å")
    return lines


def _estimate_text(made: dict[str, Any]) -> str:
    shown = " x ".join(map(str, made["size"]))
    memory, seconds = made["memory"], made["seconds_per_step"]
    scale, unit = (2**30, "GB") if memory >= 2**30 else (2**20, "MB")
    pace = f"{seconds:.3g} s" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"
    return f"explicit crystal   {shown} cells ({made['atoms']} atoms): {memory / scale:.3g} {unit}, about {pace} a step on {made['cores']} cores (measured on a smaller box)"
