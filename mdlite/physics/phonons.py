"""Lattice dynamics: dynamical matrix [21], dispersion, density of states, sound.

Wave vectors are given as the dimensionless θ = q a (radians per site, one Brillouin zone is -π < θ ≤ π per axis).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mdlite.errors import InputError
from mdlite.physics.model import Lattice

SPECIAL_POINTS = {
    "G": (0.0, 0.0, 0.0),
    "X": (np.pi, 0.0, 0.0),
    "M": (np.pi, np.pi, 0.0),
    "R": (np.pi, np.pi, np.pi),
}
"""Γ, X, M and R of the simple cubic zone, θ = q a."""

DEFAULT_PATH = "GXMGR"


def dynamical_matrix(lattice: Lattice, theta: np.ndarray) -> np.ndarray:
    """D(q) [21] at θ = q a, shape (..., 3) → (..., 3, 3), rad²/ps². Real and symmetric."""
    theta = np.asarray(theta, float)
    c, s = np.cos(theta), np.sin(theta)
    half = np.sin(0.5 * theta)
    one_minus = 2.0 * half * half  # 1 - cos θ without cancellation near Γ
    near, far = 2.0 * lattice.k1 / lattice.mass, 2.0 * lattice.k2 / lattice.mass
    d = np.empty((*theta.shape, 3))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for other in range(3):
            if other != i:
                d[..., i, other] = far * s[..., i] * s[..., other]
        # 2 - c_i c_j - c_i c_k, with 1 - c_i c_j = (1 - c_i) + c_i (1 - c_j)
        pairs = 2.0 * one_minus[..., i] + c[..., i] * (one_minus[..., j] + one_minus[..., k])
        d[..., i, i] = near * one_minus[..., i] + far * pairs
    return d


def acoustic_tensor(lattice: Lattice, direction: np.ndarray) -> np.ndarray:
    """D̂(q̂) = lim D(q)/q², q → 0 along unit vectors ``direction`` (..., 3) → (..., 3, 3), Å²/ps² (squared sound speeds)."""
    n = np.asarray(direction, float)
    outer = n[..., :, None] * n[..., None, :]
    squares = n * n
    near = lattice.k1 * squares
    far = lattice.k2 * (squares.sum(axis=-1, keepdims=True) + squares)
    d = 2.0 * lattice.k2 * outer
    for i in range(3):
        d[..., i, i] = near[..., i] + far[..., i]
    return d * lattice.spacing**2 / lattice.mass


def frequencies(lattice: Lattice, theta: np.ndarray) -> np.ndarray:
    """Angular frequencies Ω (rad/ps) of the three branches at θ = q a, (..., 3) → (..., 3), ascending."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(dynamical_matrix(lattice, theta)), 0.0))


def sound_speeds(lattice: Lattice, direction: Sequence[float]) -> np.ndarray:
    """The three sound speeds (Å/ps, ascending) along ``direction`` (need not be normalised)."""
    n = np.asarray(direction, float)
    length = np.linalg.norm(n)
    if not np.isfinite(length) or length == 0.0:
        raise InputError(f"direction = {list(direction)}: must be a finite vector other than zero")
    return np.sqrt(np.linalg.eigvalsh(acoustic_tensor(lattice, n / length)).clip(min=0.0))


def path_points(path: str | Sequence[Sequence[float]]) -> tuple[list[str], np.ndarray]:
    """Corner labels and θ (n, 3) of a path: letters out of G (Γ), X, M, R, or explicit θ = q a triples."""
    if isinstance(path, str):
        letters = path.upper().replace("Γ", "G").replace("-", "")
        bad = sorted(set(letters) - set(SPECIAL_POINTS))
        if bad or len(letters) < 2:
            raise InputError(f"path = {path!r}: must be at least two of the letters G, X, M, R, such as {DEFAULT_PATH}")
        return ["Γ" if c == "G" else c for c in letters], np.array([SPECIAL_POINTS[c] for c in letters])
    corners = np.asarray(path, float)
    if corners.ndim != 2 or corners.shape[1] != 3 or len(corners) < 2 or not np.isfinite(corners).all():
        raise InputError(f"path = {path!r}: must be at least two triples of finite numbers θ = q a")
    return [f"({x:.3g}, {y:.3g}, {z:.3g})" for x, y, z in corners], corners


def dispersion(lattice: Lattice, path: str | Sequence[Sequence[float]] = DEFAULT_PATH, points: int = 100) -> dict:
    """Frequencies along straight segments between the corners of ``path``, ``points`` to a segment.

    Returns a dict: ``theta`` (n, 3) and ``distance`` (n,), both in units of 1/a; ``omega`` (n, 3), rad/ps; ``corners``, the distances
    of the corners, and ``labels``. Raises InputError for a path that is none.
    """
    labels, corners = path_points(path)
    pieces = [np.linspace(a, b, points, endpoint=False) for a, b in itertools.pairwise(corners)]
    theta = np.concatenate([*pieces, corners[-1:]])
    distance = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(theta, axis=0), axis=1))])
    return {
        "theta": theta,
        "distance": distance,
        "omega": frequencies(lattice, theta),
        "corners": distance[::points],
        "labels": labels,
    }


def density_of_states(lattice: Lattice, bins: int = 200, samples: int = 2**19) -> tuple[np.ndarray, np.ndarray]:
    """Phonon density of states g(Ω), normalised to 3 modes per atom: ∫ g dΩ = 3.

    A histogram over a Sobol sequence (``samples`` points, a power of two) in one octant of the zone; the others follow by symmetry.
    Returns the bin centres (bins,) in rad/ps and g (bins,) in ps/rad per atom.
    """
    from scipy.stats import qmc

    edges = np.linspace(0.0, lattice.omega_max * 1.02, bins + 1)
    counts = np.zeros(bins)
    theta = np.pi * qmc.Sobol(3, scramble=False).random(samples)
    for piece in np.array_split(theta, max(1, samples // 2**16)):  # bounded memory
        counts += np.histogram(frequencies(lattice, piece), edges)[0]
    return 0.5 * (edges[1:] + edges[:-1]), counts / (samples * np.diff(edges))
