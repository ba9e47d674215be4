"""What `mdlite phonons` finds: numbers as JSON, as text and as a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import mdlite
from mdlite.errors import InputError
from mdlite.io import outputs
from mdlite.physics import phonons, response
from mdlite.physics.model import Lattice
from mdlite.report import phonons_request, plots
from mdlite.report.phonons_request import Request
from mdlite.units import TURN, terahertz, with_terahertz

UNITS = {
    **phonons_request.UNITS,
    "frequencies": "rad/ps",
    "sound_speeds": "Angstrom/ps",
    "dispersion.distance": "1/spacing",
    "dispersion.theta": "1/spacing",
    "dispersion.omega": "rad/ps",
    "density_of_states.omega": "rad/ps",
    "density_of_states.g": "ps/rad per atom, 3 modes in all",
}
DIRECTIONS = {"100": (1, 0, 0), "110": (1, 1, 0), "111": (1, 1, 1)}
DEFAULT_DISPLACEMENTS = ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1))
FARTHEST = 64
PLOT_TIMES = np.linspace(0.0, 2.0, 201)


def parse_request(displacements: list[str] | None, times: str) -> tuple[list[tuple[int, int, int]], list[float]]:
    """Lattice vectors and times (ps) from text such as ``1,1,0`` and ``0,0.05,0.1``. Raises InputError."""
    found = []
    for text in displacements or []:
        try:
            vector = [int(part) for part in text.split(",")]
        except ValueError:
            vector = []
        if len(vector) == 3 and max(map(abs, vector)) > FARTHEST:
            raise InputError(f"--displacement {text!r}: must be within {FARTHEST} sites; farther, the quadrature takes minutes")
        if len(vector) != 3:
            raise InputError(f"--displacement {text!r}: must be three whole numbers, such as 1,1,0")
        found.append((vector[0], vector[1], vector[2]))
    return found or list(DEFAULT_DISPLACEMENTS), phonons_request.instants(times)


def collect(
    lattice: Lattice, displacements, times, path: str | None, finite: bool, request: Request | None = None
) -> tuple[dict[str, Any], Any]:
    """All numbers as plain JSON values, and the figure. request: what is asked besides, in the terms of any crystal, whose atom is 0.

    Raises InputError (k2 = 0, a path that is none).
    """
    asked = request or phonons_request.parse()
    phonons_request.require_pairs(lattice, asked)
    shown = {",".join(map(str, d)): tuple(d) for d in displacements} | {text: pair[2:] for text, pair in asked.pairs.items()}
    kernel = response.recoil_kernel(lattice, list(shown.values()), times, finite)
    displacements = list(dict.fromkeys(shown.values()))
    bands = phonons.dispersion(lattice, _corners(path))
    omega, density = phonons.density_of_states(lattice)
    frequencies = {name: phonons.frequencies(lattice, theta).tolist() for name, theta in phonons.SPECIAL_POINTS.items()}
    found = {
        "loss_matrix": response.loss_matrix(lattice).tolist(),
        "recoil_kernel": {text: w.tolist() for text, w in zip(shown, kernel)},
        "times": list(times),
        "lattice": f"finite, {' x '.join(map(str, lattice.size))}, without q = 0" if finite else "infinite",
        "frequencies": {"Γ": frequencies["G"]} | frequencies,
        "frequencies_THz": {name: [terahertz(x) for x in values] for name, values in frequencies.items()}
        | phonons_request.frequencies(lattice, asked.qpoints),
        "omega_max": lattice.omega_max,
        "omega_max_THz": terahertz(lattice.omega_max),
        "sound": phonons_request.sound(lattice, asked.directions),
        "sound_speeds": {name: phonons.sound_speeds(lattice, d).tolist() for name, d in DIRECTIONS.items()},
        "dispersion": {key: value if isinstance(value, list) else value.tolist() for key, value in bands.items()},
        "density_of_states": {"omega": omega.tolist(), "g": density.tolist()},
        "units": UNITS,
    }
    return found, plots.phonons(bands, (omega, density), _plot_kernel(lattice, displacements, finite))


def _corners(path: str | None) -> str | list[list[float]]:
    """A path as `mdlite.physics.phonons.dispersion` takes it, of letters, or of triples of reduced coordinates."""
    if path is None or "," not in path:
        return phonons.DEFAULT_PATH if path is None else path
    try:
        return [[TURN * float(x) for x in corner.split(",")] for corner in path.split()]
    except ValueError:
        raise InputError(f'path = {path!r}: must be triples of numbers, reduced coordinates, such as "0,0,0 0.5,0,0"') from None


def _plot_kernel(lattice: Lattice, displacements, finite: bool) -> dict[str, Any]:
    """W_xx and, where it is another, W_zz against time."""
    kernel = response.recoil_kernel(lattice, displacements, PLOT_TIMES, finite)
    values = {}
    for d, w in zip(displacements, kernel):
        name = f"d = ({', '.join(map(str, d))})"
        values[f"{name}, xx"] = w[:, 0, 0]
        if not np.allclose(w[:, 0, 0], w[:, 2, 2]):
            values[f"{name}, zz"] = w[:, 2, 2]
    return {"time": PLOT_TIMES, "values": values}


def text(lattice: Lattice, found: dict[str, Any]) -> str:
    """The main numbers, for a terminal."""
    lines = [
        f"Omega_max          {with_terahertz(lattice.omega_max, 8)}; stable for dt < {2 / lattice.omega_max:.6f} ps",
        "frequencies        (rad/ps, and in brackets THz)",
    ]
    for name in ("G", "X", "M", "R"):
        lines.append(
            f"  {'Γ' if name == 'G' else name}                "
            + "  ".join(f"{x:11.6f}" for x in found["frequencies"][name])
            + "   ("
            + "  ".join(f"{terahertz(x):9.6f}" for x in found["frequencies"][name])
            + ")"
        )
    lines += [
        f"  {name:16} {'':35}   (" + "  ".join(f"{x:9.6f}" for x in values) + ")"
        for name, values in found["frequencies_THz"].items()
        if name not in found["frequencies"]
    ]
    lines.append("sound              (Å/ps; transverse, transverse, longitudinal)")
    for name, speeds in found["sound_speeds"].items():
        lines.append(f"  [{name}]            " + "  ".join(f"{x:11.6f}" for x in speeds))
    lines += [
        f"  [{name}]".ljust(21) + "  ".join(f"{x:11.6f}" for x in speeds)
        for name, speeds in found["sound"].items()
        if name not in phonons_request.DIRECTIONS
    ]
    loss = np.array(found["loss_matrix"])
    lines.append(f"loss matrix L      {loss[0, 0]:.10e} Å² ps/meV times the identity")
    lines.append(f"recoil kernel W    (Å²/meV; {found['lattice']})")
    for d, kernel in found["recoil_kernel"].items():
        for t, w in zip(found["times"], kernel):
            w = np.array(w)
            lines.append(f"  d = ({d}), t = {t:g} ps")
            lines += ["    " + "  ".join(f"{x + 0.0: .10e}" for x in row) for row in w]
    return "\n".join(lines)


def check_json(path: str | Path, key: str, force: bool = False, apart: Mapping[str, str | Path | None] | None = None) -> None:
    """Raises InputError unless a JSON file can be written there; one that has ``key``, as ours have, is replaced. apart: see
    `outputs.check_output`."""
    try:
        ours = outputs.is_file(path) and key in json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        ours = False
    outputs.check_output(path, force or ours, outputs.JSON, apart)


def check_figure(path: str | Path, force: bool, apart: Mapping[str, str | Path | None] | None = None) -> None:
    """Raises InputError unless a figure can be saved there; a PNG made by mdlite is replaced, any other file only with ``force``."""
    outputs.check_output(path, force or _is_ours(path), outputs.FIGURE, apart)


def save_figure(figure, path: str | Path) -> None:
    """Save a figure, a PNG with our name in it so that it may be made again. Raises RunError."""
    kind = Path(path).suffix.lower().removeprefix(".")
    metadata = {"Software": f"mdlite {mdlite.__version__}"} if kind == "png" else None
    outputs.write(path, lambda place: figure.savefig(place, dpi=150, format=kind, metadata=metadata))


def _is_ours(path: str | Path) -> bool:
    from PIL import Image

    if not outputs.is_file(path):
        return False
    try:
        with Image.open(path) as image:
            return str(getattr(image, "text", {}).get("Software", "")).startswith("mdlite")
    except (OSError, SyntaxError, ValueError):
        return False
