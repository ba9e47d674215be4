"""Bands along a path through the zone, and the density of states with the species' shares, of any harmonic crystal."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mdlite.crystals import dynamics
from mdlite.crystals.crystal import Crystal
from mdlite.errors import InputError
from mdlite.units import terahertz

EXAMPLE = '"0,0,0 0.5,0,0.5"'
SECONDS = 2.0
"""That a density of states may take, about, on one core."""
MOST_POINTS = 2**16
GREEK = {"GAMMA": "Γ", "DELTA": "Δ", "LAMBDA": "Λ", "SIGMA": "Σ", "THETA": "Θ"}


class Path(NamedTuple):
    """A path through the zone: straight lines, each from one corner to another. labels: (segments, 2); q: (segments, 2, 3), reduced.

    kind: where it comes from, for the reader.
    """

    labels: list[tuple[str, str]]
    q: np.ndarray
    kind: str


class Bands(NamedTuple):
    """Frequencies along a path: q (n, 3) reduced; distance (n,), 1/Å; frequencies (n, 3p), rad/ps, imaginary ones as their negative size.

    breaks: first points of the segments that do not begin where the one before ends. corners, labels: of the ends of the segments.
    """

    q: np.ndarray
    distance: np.ndarray
    frequencies: np.ndarray
    breaks: list[int]
    corners: list[float]
    labels: list[str]


class States(NamedTuple):
    """omega (bins,): centres, rad/ps. g (bins,): density per atom, ps/rad, ∫ g dΩ = 3. shares (species, bins): each species' part of it."""

    omega: np.ndarray
    g: np.ndarray
    shares: dict[str, np.ndarray]


def path_of(crystal: Crystal, wanted: str | None = None) -> Path:
    """The path that a text gives: labels of the standard path, such as ``GAMMA-X-U|K-GAMMA`` or ``GXWL``, or triples of reduced coordinates,
    ``0,0,0 0.5,0,0.5``; by default seekpath's standard path, or where it is not installed one to the corners of the reduced cell. Raises InputError.
    """
    text = (wanted or "").strip()
    if "," in text:
        corners = [_triple(part, text) for part in text.split()]
        if len(corners) < 2:
            raise InputError(f"--path {text!r}: must be at least two triples of numbers, such as {EXAMPLE}")
        return _joined([[(_shown(q), q) for q in corners]], "given")
    points, pieces = _standard(crystal) or _own(crystal)
    kind = (
        "standard path (seekpath)"
        if "GAMMA" in points
        else "to the corners of the reduced cell (install seekpath for the standard path)"
    )
    if not text:
        return _joined([[(label, points[label]) for label in piece] for piece in pieces], kind)
    found = [_letters(piece, points, text) for piece in text.split("|")]
    return _joined([[(label, points[label]) for label in piece] for piece in found], "given")


def _triple(text: str, whole: str) -> np.ndarray:
    try:
        q = np.array([float(part) for part in text.split(",")])
    except ValueError:
        q = np.empty(0)
    if q.shape != (3,) or not np.isfinite(q).all():
        raise InputError(f"--path {whole!r}: {text!r} is no triple of numbers; must be reduced coordinates such as {EXAMPLE}")
    return q


def _letters(text: str, points: dict[str, np.ndarray], whole: str) -> list[str]:
    """Labels in a text: separated by spaces or hyphens, or letters one after the other."""
    names = {"G": "GAMMA", "Γ": "GAMMA", "Γ ": "GAMMA"} | {label: label for label in points}
    words = [word for word in re.split(r"[\s-]+", text.strip()) if word]
    if len(words) == 1 and words[0].upper() not in names:
        words = re.findall(r"[A-ZΓ](?:_\d)?", words[0].upper())
    found = [names.get(word.upper(), "") for word in words]
    if len(found) < 2 or not all(label in points for label in found):
        raise InputError(
            f"--path {whole!r}: must be at least two of the labels {', '.join(points)} with hyphens between, or reduced coordinates such as {EXAMPLE}"
        )
    return found


def _joined(pieces: Sequence[Sequence[tuple[str, np.ndarray]]], kind: str) -> Path:
    """A path of pieces, each a chain of corners (label, q)."""
    lines = [pair for piece in pieces for pair in itertools.pairwise(piece)]
    return Path([(a[0], b[0]) for a, b in lines], np.array([[a[1], b[1]] for a, b in lines], float), kind)


def _standard(crystal: Crystal) -> tuple[dict[str, np.ndarray], list[list[str]]] | None:
    """Points and chains of seekpath's standard path, in reduced coordinates of this cell; None where it is not installed."""
    try:
        import seekpath
    except ImportError:
        return None
    kinds = sorted(set(crystal.species))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = seekpath.get_path_orig_cell((crystal.cell, crystal.positions, [1 + kinds.index(s) for s in crystal.species]))
        except Exception:  # whatever a structure makes of spglib
            return None
    pieces: list[list[str]] = []
    for a, b in found["path"]:
        if pieces and pieces[-1][-1] == a:
            pieces[-1].append(b)
        else:
            pieces.append([a, b])
    return {label: np.array(q, float) for label, q in found["point_coords"].items()}, pieces


def _own(crystal: Crystal) -> tuple[dict[str, np.ndarray], list[list[str]]]:
    """Γ and the corners of the cell spanned by the shortest reciprocal vectors, by their reduced coordinates, and a path through them."""
    rows = _shortest(crystal.reciprocal)
    corners = [np.array(c) @ rows for c in ((0.5, 0, 0), (0.5, 0.5, 0), (0.5, 0.5, 0.5), (0, 0, 0.5))]
    zero = np.zeros(3)
    points = {_shown(q): q + 0.0 for q in (zero, *corners)}
    gamma, x, m, r, z = points
    return points, [[gamma, x, m, gamma, z, r, gamma]]


def _shortest(vectors: np.ndarray) -> np.ndarray:
    """Whole numbers (3, 3) that combine the rows into three short ones that span the same lattice."""
    rows = np.eye(3, dtype=int)
    for _ in range(100):
        order = np.argsort(np.linalg.norm(rows @ vectors, axis=1), kind="stable")
        rows = rows[order]
        whole = np.array(list(itertools.product((-1, 0, 1), repeat=2)))
        candidates = rows[2] + whole @ rows[:2]
        length = np.linalg.norm(candidates @ vectors, axis=1)
        pair = np.array([rows[1] + n * rows[0] for n in (-1, 0, 1)])
        along = np.linalg.norm(pair @ vectors, axis=1)
        new = np.array(
            [
                rows[0],
                pair[np.argmin(along - 1e-9 * (np.arange(3) == 1))],
                candidates[np.argmin(length - 1e-9 * (np.arange(9) == 4))],
            ]
        )
        if np.array_equal(new, rows):
            break
        rows = new if abs(round(np.linalg.det(new))) == 1 else np.array([new[0], rows[1], new[2]])
    return rows


def _shown(q: np.ndarray) -> str:
    if not np.any(q):
        return "Γ"
    return "(" + " ".join(f"{x + 0.0:.4g}" for x in q) + ")"


def pretty(label: str) -> str:
    """A label as one writes it: Γ for GAMMA, subscripts as such."""
    name, _, index = label.partition("_")
    return GREEK.get(name, name) + (f"$_{{{index}}}$" if index else "")


def bands(crystal: Crystal, path: Path, points: int = 60) -> Bands:
    """The frequencies along a path, some ``points`` to a segment of average length, 2 at least."""
    length = np.linalg.norm((path.q[:, 1] - path.q[:, 0]) @ crystal.reciprocal, axis=1)
    counts = np.maximum(2, np.round(points * length / length.mean()).astype(int)) if length.any() else np.full(len(length), 2)
    q: list[np.ndarray] = []
    distance: list[float] = []
    breaks: list[int] = []
    corners, labels = [0.0], [pretty(path.labels[0][0])]
    start = 0.0
    for n, (count, span) in enumerate(zip(counts, length)):
        broken = n > 0 and not np.allclose(path.q[n, 0], path.q[n - 1, 1])
        if broken:
            breaks.append(len(q))
            labels[-1] += "|" + pretty(path.labels[n][0])
        first = 0 if n == 0 or broken else 1
        fraction = np.linspace(0.0, 1.0, count + 1)[first:]
        q += list(path.q[n, 0] + fraction[:, None] * (path.q[n, 1] - path.q[n, 0]))
        distance += list(start + fraction * span)
        start += span
        corners.append(start)
        labels.append(pretty(path.labels[n][1]))
    where = np.array(q)
    return Bands(where, np.array(distance), dynamics.frequencies(crystal, where), breaks, corners, labels)


def corners_of(path: Path) -> dict[str, np.ndarray]:
    """Every corner of a path once: q by label."""
    return {label: q for pair, ends in zip(path.labels, path.q) for label, q in zip(pair, ends)}


def density_of_states(crystal: Crystal, bins: int = 200, samples: int | None = None) -> States:
    """The density of states, a histogram over a Sobol sequence in half the zone; -q has the frequencies and the shares of q.

    samples: a power of two; by default as many as a few seconds allow.
    """
    from scipy.stats import qmc

    size = 3 * crystal.n_basis
    if samples is None:
        samples = 2 ** int(np.clip(np.log2(SECONDS / (2e-5 + 1e-8 * size**3)), 9, np.log2(MOST_POINTS)))
    top = dynamics.omega_max(crystal) * 1.02
    edges = np.linspace(min(0.0, 1.02 * dynamics.extremes(crystal)[0].frequency), top, bins + 1)
    kinds = list(dict.fromkeys(crystal.species))
    member = np.array([[s == kind for s in crystal.species] for kind in kinds], float)
    q = qmc.Sobol(3, scramble=False).random(samples) * np.array([0.5, 1.0, 1.0])

    def part(_: slice, d: np.ndarray) -> np.ndarray:
        squares, modes = np.linalg.eigh(d)
        omega = dynamics.signed_root(squares).ravel()
        weight = (np.abs(modes.reshape(len(d), -1, 3, size)) ** 2).sum(axis=2)  # (q, atom, mode)
        share = np.einsum("ka,qas->kqs", member, weight).reshape(len(kinds), -1)
        return np.stack([np.histogram(omega, edges, weights=row)[0] for row in share])

    counts = np.sum(dynamics.over_zone(crystal, q, part, width=4 * size**2), axis=0)
    shares = counts / (samples * np.diff(edges) * crystal.n_basis)
    return States(0.5 * (edges[1:] + edges[:-1]), shares.sum(axis=0), dict(zip(kinds, shares)))


def frequencies_thz(crystal: dynamics.Medium, q: np.ndarray) -> list[float]:
    """All branches at one q, THz, ascending; imaginary ones as their negative size."""
    return [terahertz(float(x)) for x in dynamics.frequencies(crystal, q)]
