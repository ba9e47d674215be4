"""What `mdlite phonons` finds of a [crystal]: numbers as JSON, as text and as a figure. Of a [lattice], see `lattice_report`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mdlite.config import Medium
from mdlite.crystals import bands as zone
from mdlite.crystals import crystal as crystals
from mdlite.crystals import dynamics, response
from mdlite.crystals.crystal import Crystal
from mdlite.errors import InputError
from mdlite.report import phonons_request, plots_crystal
from mdlite.report.phonons_request import Request
from mdlite.units import BOLTZMANN, TURN, counted, terahertz, with_terahertz

UNITS = {
    **phonons_request.UNITS,
    "dispersion.q": "reciprocal cell vectors",
    "dispersion.distance": "1/Angstrom",
    "dispersion.frequencies_THz": "THz",
    "density_of_states.frequency_THz": "THz",
    "density_of_states.g": "1/THz per atom, 3 modes in all",
    "mean_square_displacement": "Angstrom^2",
    "temperature": "K",
}
USUAL = 300.0
"""K, of thermal displacements where no temperature is given."""
NOTHING = 1e-9
"""Of the largest number beside it."""
DIGITS = 1e-6
"""To which thermal displacements are computed."""
PLOT_END, PLOT_POINTS, PLOT_SECONDS, MOST_PLOTTED = 2.0, 161, 1.0, 4


def collect(
    medium: Medium,
    request: Request,
    path: str | None = None,
    finite: bool = False,
    notice: Callable[[str], object] = lambda line: None,
) -> tuple[dict[str, Any], Any]:
    """All numbers as plain JSON values, and the figure. notice: gets a line before what takes its time.

    Raises InputError (a pair, a path that is none).
    """
    assert medium.loaded is not None
    crystal = medium.loaded.crystal
    phonons_request.require_pairs(crystal, request)
    way = zone.path_of(crystal, path)
    pairs = request.pairs or {f"{n}:{n}:0,0,0": (n, n, 0, 0, 0) for n in _different(crystal)}
    shaky = "unstable" in medium.loaded.facts
    notice(f"W of {counted(len(pairs), 'pair')} of atoms")
    if shaky:
        kernel: dict[str, Any] = dict.fromkeys(pairs)
    else:
        kernel = _finite(medium, pairs, request.times) if finite else phonons_request.recoil(crystal, pairs, request.times)
    notice("bands, density of states, thermal displacements")
    lines, states = zone.bands(crystal, way), zone.density_of_states(crystal)
    lowest, highest = dynamics.extremes(crystal)
    found = {
        "loss_matrix": phonons_request.loss(crystal),
        "recoil_kernel": kernel,
        "times": list(request.times),
        "crystal": medium.loaded.source,
        "lattice": f"finite, {_box(medium)}, without q = 0" if finite else "infinite",
        "frequencies_THz": phonons_request.frequencies(crystal, request.qpoints or zone.corners_of(way)),
        "omega_max": highest.frequency,
        "omega_max_THz": terahertz(highest.frequency),
        "frequency_min_THz": terahertz(lowest.frequency) if shaky else 0.0,
        "unstable": medium.loaded.facts.get("unstable"),
        "sound": phonons_request.sound(crystal, request.directions),
        "mean_square_displacement": None if shaky else _displacements(crystal, medium.energy),
        "dispersion": {
            "path": way.kind,
            "labels": lines.labels,
            "corners": lines.corners,
            "q": lines.q.tolist(),
            "distance": lines.distance.tolist(),
            "frequencies_THz": (lines.frequencies / TURN).tolist(),
        },
        "density_of_states": {
            "frequency_THz": (states.omega / TURN).tolist(),
            "g": (states.g * TURN).tolist(),
            "shares": {name: (share * TURN).tolist() for name, share in states.shares.items()},
        },
        "units": UNITS,
    }
    title = "/".join(medium.loaded.source.split("/")[-2:])
    return found, plots_crystal.phonons(lines, states, None if shaky else _plot_kernel(crystal, pairs), title)


def _different(crystal: Crystal) -> list[int]:
    """The first atom of every species."""
    return [crystal.species.index(name) for name in dict.fromkeys(crystal.species)]


def _box(medium: Medium) -> str:
    shown = " x ".join(map(str, medium.size))
    return f"{shown} cells" + (f" of matrix {[list(row) for row in medium.matrix]}" if medium.matrix else "")


def _finite(medium: Medium, pairs: dict[str, tuple[int, ...]], times: Sequence[float]) -> dict[str, Any]:
    """W(t) of the periodic box, by pair."""
    crystal = dynamics.general(medium.crystal)
    wanted = np.array(list(pairs.values()))
    response.pairs_of(wanted, crystal.n_basis)
    count = float(np.prod(medium.size)) * (1.0 if medium.matrix is None else np.linalg.det(np.array(medium.matrix, float)))
    if count * (3 * crystal.n_basis) ** 3 > response.MOST_WORK / 12.0:
        raise InputError(
            f"crystal.size = {list(medium.size)}: the recoil kernel of a finite crystal of this size would take hours; give a smaller one"
        )
    if medium.matrix is not None:
        whole = np.array(medium.matrix)
        inner = {tuple(cell): n for n, cell in enumerate(crystals.images(whole).tolist())}
        outer, rest = crystals.divided(wanted[:, 2:], whole)
        base = inner[(0, 0, 0)] * crystal.n_basis
        other = np.array([inner[tuple(cell)] for cell in rest.tolist()]) * crystal.n_basis
        wanted = np.column_stack([base + wanted[:, 0], other + wanted[:, 1], outer])
        crystal = crystal.supercell(whole)
    return dict(zip(pairs, response.grid_recoil(crystal, medium.size, wanted, times).tolist()))


def _plot_kernel(crystal: Crystal, pairs: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """A third of the trace of W(t) of the first pairs, until sound has gone around a box that takes a few seconds."""
    shown = dict(list(pairs.items())[:MOST_PLOTTED])
    wanted = list(shown.values())
    heights = 2.0 * np.pi / np.linalg.norm(crystal.reciprocal, axis=1)
    cells = 2.0 * PLOT_SECONDS / (3e-5 + 1e-8 * (3 * crystal.n_basis) ** 3)
    edge = min((cells * crystal.volume) ** (1 / 3), 40.0 * heights.min())
    size = np.maximum(1, np.round(edge / heights)).astype(int)
    clear = float((size * heights).min()) - 0.5 * crystal.reach
    time = np.linspace(0.0, min(PLOT_END, max(clear, 0.3 * edge) / dynamics.fastest_sound(crystal)), PLOT_POINTS)
    swing = response.grid_recoil(crystal, size.tolist(), wanted, time)
    whole = time**2 / (2.0 * np.prod(size) * crystal.cell_mass)  # of the box's motion as a whole, which the grid leaves out
    still = response.static_recoil(crystal, wanted, 1e-6)
    fall = np.trace(swing[:, :1] - swing, axis1=2, axis2=3) / 3.0 + whole
    return {"time": time, "values": {text: np.trace(w) / 3.0 - f for text, w, f in zip(shown, still, fall)}}


def _displacements(crystal: Crystal, energy: float | None) -> dict[str, Any]:
    """<u²> of every atom, Å², at the configuration's temperature or the usual one."""
    from mdlite.crystals import thermal

    scale = USUAL * BOLTZMANN if energy is None else energy
    return {
        "temperature": scale / BOLTZMANN,
        "quantum": thermal.displacement_tensors(crystal, scale, "quantum", DIGITS).tolist(),
        "classical": thermal.displacement_tensors(crystal, scale, "classical", DIGITS).tolist(),
    }


def text(medium: Medium, found: dict[str, Any]) -> str:
    """The main numbers, for a terminal."""
    assert medium.loaded is not None
    crystal = medium.loaded.crystal
    top = found["omega_max"]
    lines = [
        f"crystal            {found['crystal']}: {', '.join(crystal.species[:12])}{' ...' if crystal.n_basis > 12 else ''}",
        f"Omega_max          {with_terahertz(top, 8)}; stable for dt < {2 / top:.6f} ps",
        "frequencies        (THz)",
    ]
    width = max(map(len, found["frequencies_THz"]))
    for name, values in found["frequencies_THz"].items():
        rows = [values[n : n + 6] for n in range(0, len(values), 6)]
        for n, row in enumerate(rows):
            lines.append(f"  {name if n == 0 else '':{width}}  " + "  ".join(f"{x + 0.0:10.6f}" for x in row))
    lines += [f"                   path: {found['dispersion']['path']}", "sound              (Å/ps, ascending)"]
    lines += [f"  [{name}]".ljust(21) + "  ".join(f"{x:11.6f}" for x in speeds) for name, speeds in found["sound"].items()]
    if found["loss_matrix"] is not None:
        lines += matrix("loss matrix L      (Å² ps/meV)", found["loss_matrix"])
    if found["unstable"] is not None:
        return "\n".join([*lines, f"warning: {found['unstable']}"])
    lines.append(f"recoil kernel W    (Å²/meV; {found['lattice']})")
    for pair, kernel in found["recoil_kernel"].items():
        for t, w in zip(found["times"], kernel):
            lines += matrix(f"  {pair}, t = {t:g} ps", w)
    moved = found["mean_square_displacement"]
    lines.append(f"<u²>               (Å²; {moved['temperature']:.4g} K: xx, yy, zz, yz, xz, xy; quantum, and classical below)")
    for n, (species, quantum, classical) in enumerate(zip(crystal.species, moved["quantum"], moved["classical"])):
        lines += [f"  {f'{n} {species}':8}" + _six(quantum), " " * 10 + _six(classical)]
    return "\n".join(lines)


def matrix(head: str, rows: Sequence[Sequence[float]], digits: int = 10) -> list[str]:
    """Lines of a matrix under a heading."""
    return [head, *("    " + "  ".join(f"{x: .{digits}e}" for x in row) for row in without_rounding(rows))]


def without_rounding(values: Any) -> np.ndarray:
    """Numbers to be read, those that are nothing but the rounding of others as zeros."""
    found = np.array(values, float)
    found[np.abs(found) < NOTHING * np.abs(found).max(initial=0.0)] = 0.0
    return found


def _six(tensor: Sequence[Sequence[float]]) -> str:
    tidy = without_rounding(tensor)
    return "  ".join(f"{tidy[i, j]: .6f}" for i, j in dynamics.VOIGT)
