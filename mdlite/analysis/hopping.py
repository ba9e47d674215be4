"""How an ion gets about: the cells that it dwells in, its hops between them, and the distribution of its displacements."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mdlite.analysis.sampling import step_of
from mdlite.analysis.statistics import EXACT_COUNT, count_interval, group_means, interval, mean_and_error
from mdlite.errors import InputError

DIRECTIONS = ("face", "edge", "corner")
"""What the two cells of a hop share, if they touch."""
CORE = 0.3
"""Radius of a site's core, in units of the distance to the nearest other site: below ½, cores do not touch."""
ALIKE = 0.1
"""Å: distances of hops that differ by less are one kind."""
MOST_KINDS = 5
"""Of hops that are told apart by their distance."""


class Hops(NamedTuple):
    """Hops of ions between cells of the lattice, or between the sites of a crystal.

    count: hops seen. rate: hops per ion and time, 1/ps, with its standard error (no less than that of a count) and 95 % interval.
    dwell: its inverse, the mean stay in a cell, ps: all time over all hops, so that stays which the run cuts off are counted
    right; NaN for no hop, when only the interval of the rate says something, that it is below 3.7 in the time of all ions. time:
    that time, ps. correlation: <h_n·h_{n+1}>/<h²> of successive hops h: -1 if each undoes the last one, 0 if they forget. shares:
    part of the hops to a cell that shares a face, an edge, a corner, and to one farther away; between sites, by the distance ("2.35 Å").
    diffusion: rate <h²>/6, Å²/ps, what D would be if hops forgot.
    """

    count: int  # type: ignore[assignment]  # in place of the tuple's method
    rate: float
    rate_error: float
    dwell: float
    correlation: float
    shares: dict[str, float]
    diffusion: float
    rate_interval: tuple[float, float]
    time: float


def dwell_cells(position: np.ndarray, spacing: float, core: float = 0.25) -> np.ndarray:
    """The cell (3,) that each ion dwells in, for every frame, from its core to the core of another: (frames, ions, 3) → the same.

    An ion has come to a cell when it is within ``core`` × spacing of its centre along every axis, and keeps it until it comes to
    another: a ride to the border and back is no hop. Until its first core an ion counts as there already.
    """
    cell = np.floor(position / spacing)
    inside = np.all(np.abs(position / spacing - cell - 0.5) < core, axis=2)
    frame = np.arange(len(position))[:, None]
    latest = np.maximum.accumulate(np.where(inside, frame, np.argmax(inside, axis=0)), axis=0)
    return np.take_along_axis(cell, latest[..., None], axis=0).astype(np.int64)


def hops(time: np.ndarray, position: np.ndarray, spacing: float, groups: np.ndarray | None = None, core: float = 0.25) -> Hops:
    """Hops between cells, see `Hops`, of (F, ions, 3) positions in Å at ``time`` (F,) in ps; frames at most a tenth of a ps apart.

    groups: a label for every ion; the error of the rate is the scatter between groups (default: between ions). core: see `dwell_cells`.
    Raises InputError for fewer than two frames.
    """
    _require_two(time)
    return _hops(time, dwell_cells(position, spacing, core), spacing, groups, _by_contact)


def dwell_sites(position: np.ndarray, cell: np.ndarray, sites: np.ndarray, core: float = CORE) -> np.ndarray:
    """The site that each ion dwells in, for every frame, from its core to the core of another: (frames, ions, 3) in Å → (frames, ions, 4)
    whole numbers n1, n2, n3 and the number of the site.

    cell: vectors of a short cell as rows (3, 3), Å. sites: (s, 3), fractional. An ion has come to a site when it is within ``core`` × the
    distance of that site to the nearest other (`nearest_sites`), and keeps it until it comes to another. Until its first core an ion counts as there
    already; one that never comes to any stays at the nearest.
    """
    reach = core * nearest_sites(cell, sites)
    share = position @ np.linalg.inv(cell)
    found = np.zeros((*position.shape[:2], 4), np.int64)
    inside, least = np.zeros(position.shape[:2], bool), np.full(position.shape[:2], np.inf)
    for n, (site, radius) in enumerate(zip(sites, reach)):
        apart = share - site
        home = np.round(apart)
        distance = np.linalg.norm((apart - home) @ cell, axis=-1)
        within = distance < radius
        taken = within | (~inside & (distance < least))
        found[taken, :3], found[taken, 3] = home[taken], n
        inside |= within
        least = np.minimum(least, distance)
    frame = np.arange(len(position))[:, None]
    latest = np.maximum.accumulate(np.where(inside, frame, np.argmax(inside, axis=0)), axis=0)
    return np.take_along_axis(found, latest[..., None], axis=0)


def nearest_sites(cell: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Distance of each of the ``sites`` (s, 3), fractional, to the nearest other one, images of itself among them: (s,), Å."""
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    apart = sites[:, None] - sites
    distance = np.linalg.norm((apart - np.round(apart))[:, :, None] @ cell + steps @ cell, axis=-1)
    distance[np.arange(len(sites)), np.arange(len(sites)), len(steps) // 2] = np.inf  # itself
    return distance.min(axis=(1, 2))


def site_hops(
    time: np.ndarray,
    position: np.ndarray,
    cell: np.ndarray,
    sites: np.ndarray,
    groups: np.ndarray | None = None,
    core: float = CORE,
) -> Hops:
    """Hops between sites of a crystal, as `hops` has them between cells; cell, sites, core: see `dwell_sites`. Raises InputError."""
    _require_two(time)
    dwelt = dwell_sites(position, cell, sites, core)
    return _hops(time, (dwelt[..., :3] + sites[dwelt[..., 3]]) @ cell, 1.0, groups, _by_distance)


def _require_two(time: np.ndarray) -> None:
    if len(time) < 2:
        raise InputError(f"time: has {len(time)} frames, hops need two at least")


def _hops(
    time: np.ndarray,
    places: np.ndarray,
    unit: float,
    groups: np.ndarray | None,
    kinds: Callable[[np.ndarray], dict[str, float]],
) -> Hops:
    """Hops between places (F, ions, 3), in units of ``unit`` Å; kinds: the shares of hops (n, 3)."""
    steps = np.diff(places, axis=0)
    moved = np.abs(steps).max(axis=2) > 1e-6
    duration = time[-1] - time[0]
    rates = moved.sum(axis=0) / duration
    labels = np.arange(len(rates)) if groups is None else groups
    error, spread = _rate_error(group_means(rates, labels), int(moved.sum()), duration * len(rates))
    frame, ion = np.nonzero(moved)
    order = np.lexsort((frame, ion))  # each ion's hops in sequence
    frame, ion = frame[order], ion[order]
    h = steps[frame, ion].astype(float)
    square = np.mean(np.sum(h * h, axis=1)) if len(h) else np.nan
    follows = ion[1:] == ion[:-1]
    correlation = np.mean(np.sum(h[1:] * h[:-1], axis=1)[follows]) / square if follows.any() else np.nan
    return Hops(
        count=len(h),
        rate=float(rates.mean()),
        rate_error=error,
        dwell=float(1.0 / rates.mean()) if len(h) else float("nan"),
        correlation=float(correlation),
        shares=kinds(h),
        diffusion=float(rates.mean() * square * unit**2 / 6.0) if len(h) else 0.0,
        rate_interval=spread,
        time=float(duration * len(rates)),
    )


def _by_contact(h: np.ndarray) -> dict[str, float]:
    """Shares of hops (n, 3), in cells, by what the two cells have in common."""
    reach, axes = np.abs(h).max(axis=1, initial=0.0), np.count_nonzero(h, axis=1)
    shares = {name: float(np.mean((reach == 1) & (axes == n + 1))) if len(h) else np.nan for n, name in enumerate(DIRECTIONS)}
    return shares | {"farther": float(np.mean(reach > 1)) if len(h) else np.nan}


def _by_distance(h: np.ndarray) -> dict[str, float]:
    """Shares of hops (n, 3), Å, by how far they go, the nearest first."""
    length = np.sort(np.linalg.norm(h, axis=1))
    kinds = np.split(length, 1 + np.nonzero(np.diff(length) > ALIKE)[0]) if len(length) else []
    shares = {f"{kind.mean():.2f} Å": len(kind) / len(length) for kind in kinds[:MOST_KINDS]}
    rest = sum(len(kind) for kind in kinds[MOST_KINDS:])
    return shares | ({"farther": rest / len(length)} if rest else {})


def _rate_error(samples: np.ndarray, count: int, time: float) -> tuple[float, tuple[float, float]]:
    """Standard error and 95 % interval of a rate, 1/ps: from the scatter of independent ``samples``, and no less than that of
    ``count`` hops in ``time`` ps."""
    _, scatter = mean_and_error(samples)
    floor = np.sqrt(max(count, 1)) / time
    error = float(np.fmax(scatter, floor))
    fewest, most = count_interval(count)
    counted = (fewest / time, most / time)
    if len(samples) < 2:
        return error, counted
    low, high = interval(samples)
    if count <= EXACT_COUNT:
        low, high = min(low, counted[0]), max(high, counted[1])
    return error, (max(0.0, low), high)


def _displacements(time: np.ndarray, position: np.ndarray, lag: float) -> np.ndarray:
    """Displacements over ``lag`` (ps), from every frame that has one: (origins, ions, 3)."""
    step = step_of(time)
    frames = round(lag / step) if len(time) > 1 else 0
    if not 1 <= frames < len(position):
        raise InputError(
            f"lag = {lag:g} ps: must be at least the {step:g} ps between frames and shorter than the {time[-1] - time[0]:g} ps of the run"
        )
    return position[frames:] - position[:-frames]


def van_hove(time: np.ndarray, position: np.ndarray, lags: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Self part of the van Hove function, 4πr² G_s(r, t): probability density (1/Å) of |R(t) - R(0)|, for ``lags`` (L,) in ps.

    time (F,) in ps, evenly spaced; position (F, ions, 3) in Å; edges (B + 1,) of the bins in Å. Returns (L, B); the integral of a row is
    the part of displacements inside the bins. Raises InputError for a lag that the run has no two frames for.
    """
    found = []
    for lag in lags:
        distance = np.linalg.norm(_displacements(time, position, lag), axis=2)
        counts, _ = np.histogram(distance, edges)
        found.append(counts / (distance.size * np.diff(edges)))
    return np.array(found)


def non_gaussian(time: np.ndarray, position: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Non-Gaussian parameter α(t) = 3<r⁴>/(5<r²>²) - 1 for ``lags`` (L,) in ps; 0 for Gaussian displacements, positive for hops, NaN for ions that have not moved."""
    found = []
    for lag in lags:
        square = np.sum(_displacements(time, position, lag) ** 2, axis=2)
        found.append(0.6 * np.mean(square**2) / np.mean(square) ** 2 - 1.0 if square.any() else np.nan)
    return np.array(found)
