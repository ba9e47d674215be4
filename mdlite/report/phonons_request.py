"""What is asked of `mdlite phonons`, for any kind of crystal: q points, pairs of atoms, directions, times; and the answers as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mdlite.crystals import dynamics, response
from mdlite.errors import InputError
from mdlite.physics.model import Lattice
from mdlite.units import terahertz

LATEST = 20.0
"""ps"""
UNITS = {
    "loss_matrix": "Angstrom^2 ps/meV",
    "recoil_kernel": "Angstrom^2/meV",
    "frequencies_THz": "THz",
    "sound": "Angstrom/ps",
    "omega_max": "rad/ps",
    "omega_max_THz": "THz",
    "times": "ps",
}
DIRECTIONS = ("1,0,0", "0,1,0", "0,0,1", "1,1,0", "1,1,1")


class Request(NamedTuple):
    """By the text that was given: qpoints (3 reduced coordinates), pairs (κ, κ', n1, n2, n3), directions (3 Cartesian components); times, ps."""

    qpoints: dict[str, np.ndarray]
    pairs: dict[str, tuple[int, ...]]
    directions: dict[str, np.ndarray]
    times: list[float]


def parse(
    qpoints: Sequence[str] | None = None,
    pairs: Sequence[str] | None = None,
    directions: Sequence[str] | None = None,
    times: str = "0",
) -> Request:
    """The options of the command line. Raises InputError."""
    return Request(
        {text: _numbers("--qpoint", text, "three numbers, reduced coordinates, such as 0.5,0.5,0") for text in qpoints or ()},
        {text: _pair(text) for text in pairs or ()},
        {text: _direction(text) for text in directions or ()},
        instants(times),
    )


def instants(text: str) -> list[float]:
    """Times from a text such as ``0,0.05,0.1``. Raises InputError."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [float("nan")]
    if not np.isfinite(found).all():
        raise InputError(f"--times {text!r}: must be finite numbers (ps) with commas between, such as 0,0.05,0.1")
    if max(map(abs, found)) > LATEST:
        raise InputError(
            f"--times {text!r}: must be within {LATEST:g} ps; later, mdlite.physics.response.recoil_kernel takes half a minute and more"
        )
    return found


def _numbers(option: str, text: str, right: str) -> np.ndarray:
    try:
        found = np.array([float(part) for part in text.split(",")])
    except ValueError:
        found = np.empty(0)
    if found.shape != (3,) or not np.isfinite(found).all() or np.abs(found).max() > 1e6:
        raise InputError(f"{option} {text!r}: must be {right}")
    return found


def _direction(text: str) -> np.ndarray:
    right = "three numbers, Cartesian, not all zero, such as 1,1,0"
    found = _numbers("--direction", text, right)
    if not found.any():
        raise InputError(f"--direction {text!r}: must be {right}")
    return found


def _pair(text: str) -> tuple[int, ...]:
    own, _, rest = text.partition(":")
    other, _, cell = rest.partition(":")
    try:
        found = (int(own), int(other), *(int(part) for part in cell.split(",")))
    except ValueError:
        found = ()
    if len(found) != 5:
        raise InputError(
            f"--pair {text!r}: must be two atoms and three whole numbers, such as 0:1:1,-1,2 (atom 0 in cell 0, atom 1 in cell (1, -1, 2))"
        )
    return found


def require_pairs(medium: dynamics.Medium, request: Request) -> None:
    """Raise InputError for a pair of atoms that the crystal has not."""
    count = 1 if isinstance(medium, Lattice) else medium.n_basis
    for text, pair in request.pairs.items():
        try:
            response.pairs_of([pair], count)
        except InputError as error:
            raise InputError(f"--pair {text!r}: {str(error).partition(': ')[2]}") from None


def frequencies(medium: dynamics.Medium, qpoints: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """All branches by q, THz, ascending; imaginary ones as their negative size."""
    return {text: [terahertz(float(x)) for x in dynamics.frequencies(medium, q)] for text, q in qpoints.items()}


def sound(medium: dynamics.Medium, directions: dict[str, np.ndarray] | None = None) -> dict[str, list[float]]:
    """The three speeds by direction, Å/ps, ascending; by default along `DIRECTIONS`."""
    wanted = directions or {text: _direction(text) for text in DIRECTIONS}
    return {text: dynamics.sound_speeds(medium, n.tolist()).tolist() for text, n in wanted.items()}


def loss(medium: dynamics.Medium) -> list[list[float]] | None:
    """L, Å² ps/meV; None of a crystal in which sound does not move."""
    try:
        return response.loss_matrix(medium).tolist()
    except InputError:
        return None


def recoil(medium: dynamics.Medium, pairs: dict[str, tuple[int, ...]], times: Sequence[float]) -> dict[str, Any]:
    """W(t) of the infinite crystal by pair: one 3 × 3 for each time, Å²/meV."""
    if not pairs:
        return {}
    return dict(zip(pairs, response.recoil_kernel(medium, list(pairs.values()), times).tolist()))
