"""Response G_d(t) = -dW_d/dt of the infinite crystal on a grid of times, exact to rounding, and its cache on disk.

A function f of the dynamical matrix D is a sum over the Chebyshev moments of D (`mdlite.kernels.moments`), with the cosine coefficients of
f(Ω cos ϑ/2): f(D) = Σ c_n T_n(2D/Ω² - 1). For the motion up to a time t these vanish (faster than any power) beyond n = Ω t/2, so the moments
below that number are all there is to know, and they are finite sums.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import multiprocessing
import os
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import fft

import mdlite
from mdlite.errors import InputError
from mdlite.kernels import cache as kept
from mdlite.kernels import moments as kernels
from mdlite.physics.model import Lattice

COMPONENTS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
"""xx, yy, zz, yz, xz, xy"""
MOST_BYTES = 4e9
HIGHEST_ORDER = 1600
"""Of a moment that is computed on request; their number makes the grid as well, so that twice as many take sixteen times as long."""
QUICK = 150
"""Moments that are had in a fraction of a second."""
PACKED = "crystal.npz"


class Packed(NamedTuple):
    """What the package brings along for the usual crystal, so that nobody has to wait for it (``python scripts/default_crystal.py`` makes it)."""

    moments: dict[tuple[int, ...], np.ndarray]  # by component, as `_channels`; those between atoms on a line, for 30 ps
    count: int
    edge: np.ndarray  # of a patch of 12³ atoms, as `mdlite.engines.patch_edge` keeps it
    edge_version: int


@functools.cache
def _packed() -> tuple[float, Packed]:
    with np.load(Path(__file__).with_name(PACKED), allow_pickle=False) as file:
        moments = dict(zip(map(tuple, file["channels"].tolist()), file["moments"].T))
        return float(file["ratio"]), Packed(moments, len(file["moments"]), file["edge"], int(file["edge_version"]))


def packed(ratio: float) -> Packed | None:
    """What the package has for a crystal with k2/k1 = ``ratio``, or None; it is missing while it is made."""
    try:
        own, found = _packed()
    except OSError:
        return None
    return found if own == ratio else None


def pack(path: Path, ratio: float, displacements: np.ndarray, count: int, edge: np.ndarray, version: int) -> None:
    """Write what `packed` reads, for a crystal with k2/k1 = ``ratio``."""
    channels = list(_channels(displacements))
    lattice = Lattice((3, 3, 3), 1.0, 1.0, 1.0, ratio)
    table = moments(lattice, displacements, count)
    column = {
        (*d, *_same(d, a, b)): (n, COMPONENTS.index((a, b)))
        for n, d in enumerate(map(tuple, displacements.tolist()))
        for a, b in COMPONENTS
        if _exists(d, a, b)
    }
    values = np.stack([table[:, *column[channel]] for channel in channels], axis=1)
    np.savez(path, ratio=ratio, channels=np.array(channels), moments=values, edge=edge, edge_version=version)


def canonical(displacements: np.ndarray) -> np.ndarray:
    """Lattice vectors (n, 3) by the one of their 48 images with x >= y >= z >= 0."""
    return -np.sort(-np.abs(np.asarray(displacements, np.int64).reshape(-1, 3)), axis=1)


def highest_order(lattice: Lattice, time: float) -> int:
    """Number of moments beyond which the motion up to ``time`` (ps) has coefficients below 1e-17."""
    half = 0.5 * lattice.omega_max * time
    return int(half + 7.0 * max(half, 1.0) ** (1.0 / 3.0)) + 24


def moments(lattice: Lattice, displacements: np.ndarray, count: int) -> np.ndarray:
    """Moments 0 .. count - 1 at canonical lattice vectors (n, 3): (count, n, 6), the components in the order of COMPONENTS."""
    wanted = _channels(displacements)
    known = packed(lattice.k2 / lattice.k1)
    if known is not None and wanted.keys() <= known.moments.keys() and count <= known.count:
        return _spread({channel: known.moments[channel][:count] for channel in wanted}, displacements, count)
    channels = np.array(list(wanted), np.int64)
    size = 2 * ((count + int(np.max(displacements)) + 2) // 2 + 1)
    scale = 4.0 / (lattice.mass * lattice.omega_max**2)
    partial = np.empty((kernels.GROUPS, count, len(channels)))
    kernels.chebyshev_moments(size, scale * lattice.k1, scale * lattice.k2, channels, count, partial)
    return _spread(dict(zip(wanted, partial.sum(axis=0).T)), displacements, count)


def _channels(displacements: np.ndarray) -> dict[tuple[int, ...], None]:
    """The different ones among the components at canonical lattice vectors (n, 3): (x, y, z, a, b)."""
    return {(*d, *_same(d, a, b)): None for d in map(tuple, displacements.tolist()) for a, b in COMPONENTS if _exists(d, a, b)}


def _spread(sums: dict[tuple[int, ...], np.ndarray], displacements: np.ndarray, count: int) -> np.ndarray:
    """Moments of the different components as `moments` returns them."""
    out = np.zeros((count, len(displacements), 6))
    for n, d in enumerate(map(tuple, displacements.tolist())):
        for c, (a, b) in enumerate(COMPONENTS):
            if _exists(d, a, b):
                out[:, n, c] = sums[(*d, *_same(d, a, b))]
    return out


def _exists(d, a: int, b: int) -> bool:
    """By reflection, component ab vanishes at d unless d has both of these coordinates."""
    return a == b or (d[a] != 0 and d[b] != 0)


def _same(d, a: int, b: int) -> tuple[int, int]:
    """The first of the components that permutations of equal coordinates of d make of ab: they are all equal."""
    swaps = [p for p in itertools.permutations(range(3)) if all(d[n] == d[p[n]] for n in range(3))]
    return min(tuple(sorted((p[a], p[b]))) for p in swaps)


def _function(lattice: Lattice, kind: str, times: np.ndarray, omega: np.ndarray, dt: float) -> np.ndarray:
    """The function of Ω that a kind stands for, (times, nodes). dt: the step of velocity Verlet, for whose kinds the times are multiples of it."""
    t = times[:, None]
    if kind == "exact":  # sin(Ωt)/(mΩ)
        return t * np.sinc(omega * t / np.pi) / lattice.mass
    if kind == "exact-fall":  # (1 - cos Ωt)/(mΩ²)
        return 0.5 * t**2 * np.sinc(0.5 * omega * t / np.pi) ** 2 / lattice.mass
    phi, steps = 2.0 * np.arcsin(0.5 * omega * dt), np.round(t / dt)  # what velocity Verlet makes of Ω dt
    if kind == "verlet-fall":
        return 2.0 * np.sin(0.5 * steps * phi) ** 2 / (lattice.mass * omega**2)
    return dt * np.sin(steps * phi) / np.sin(phi) / lattice.mass


def response_table(lattice: Lattice, displacements: np.ndarray, dt: float, n_steps: int, kind: str = "exact") -> np.ndarray:
    """G_d(n dt) for n = 0 .. n_steps at canonical lattice vectors (m, 3): (m, 6, n_steps + 1), Å²/(meV ps), components as COMPONENTS.

    ``verlet`` gives the response that velocity Verlet with that step has instead, which an explicit lattice would follow bit for bit but for
    rounding; ``exact-fall`` and ``verlet-fall`` give W_d(0) - W_d(t), Å²/meV, likewise. Read from the cache where it is there.
    Raises InputError if the table would take more than 4 GB.
    """
    displacements = np.asarray(displacements, np.int64).reshape(-1, 3)
    needed = 8 * (n_steps + 1) * (6 * len(displacements) + 4 * highest_order(lattice, dt * n_steps))
    if needed > MOST_BYTES:
        raise InputError(
            f"memory.window = {dt * n_steps:g} ps: the table of the response for {len(displacements)} pairs of atoms would take "
            f"{needed / 1e9:.3g} GB; give a shorter window, a longer run.dt, or fewer atoms"
        )
    path = _cache_path(lattice, displacements, dt, n_steps, kind)
    found = read_cached(path, (len(displacements), 6, n_steps + 1))
    if found is None:
        found = _compute(lattice, displacements, dt * np.arange(n_steps + 1), kind, dt)
        write_cached(path, found)
    return found


def is_quick(lattice: Lattice, displacements: np.ndarray, dt: float, n_steps: int, kind: str) -> bool:
    """Whether `response_table` at canonical lattice vectors takes a moment only: from the cache, by packed moments, or because it is short."""
    count, known = highest_order(lattice, dt * n_steps), packed(lattice.k2 / lattice.k1)
    brought = known is not None and count <= known.count and _channels(displacements).keys() <= known.moments.keys()
    return count <= QUICK or brought or _cache_path(lattice, displacements, dt, n_steps, kind).is_file()


def fall(lattice: Lattice, displacements: np.ndarray, times: np.ndarray) -> np.ndarray:
    """W_d(0) - W_d(t) at canonical lattice vectors (m, 3) and any times (T,) >= 0 in ps: (m, T, 3, 3), Å²/meV.

    Raises InputError for a time that would take hours.
    """
    if highest_order(lattice, float(times.max(initial=0.0))) > HIGHEST_ORDER:
        latest = 2.0 * HIGHEST_ORDER / lattice.omega_max
        raise InputError(
            f"times: reach {times.max():g} ps; must be within {0.9 * latest:.2g} ps here (the work grows as the fourth power of the time)"
        )
    found = _compute(lattice, displacements, times, "exact-fall")
    out = np.empty((len(displacements), len(times), 3, 3))
    for c, (a, b) in enumerate(COMPONENTS):
        out[..., a, b] = out[..., b, a] = found[:, c]
    return out


def transformed(lattice: Lattice, displacements: np.ndarray, waves: np.ndarray, dt: float, kind: str = "exact") -> np.ndarray:
    """Σ_n waves[:, n] G_d(n dt) at any lattice vectors d (m, 3), from waves (f, n_steps + 1): complex (f, m, 3, 3)."""
    displacements = np.asarray(displacements, np.int64).reshape(-1, 3)
    unique, row = np.unique(canonical(displacements), axis=0, return_inverse=True)
    hat = np.tensordot(waves, response_table(lattice, unique, dt, waves.shape[1] - 1, kind), axes=(1, 2))  # (f, rows, 6)
    out = np.empty((len(waves), len(displacements), 3, 3), complex)
    for n, (d, r) in enumerate(zip(displacements, row.reshape(-1))):
        order = np.argsort(np.argsort(-np.abs(d), kind="stable"), kind="stable")
        for a in range(3):
            for b in range(3):
                low, high = sorted((order[a], order[b]))
                sign = 1.0 if a == b else float(np.sign(d[a]) * np.sign(d[b]))
                out[:, n, a, b] = sign * hat[:, r, COMPONENTS.index((low, high))]
    return out


def _compute(lattice: Lattice, displacements: np.ndarray, times: np.ndarray, kind: str, dt: float = 0.0) -> np.ndarray:
    """A function of D at every time (ps): (m, 6, T), components as COMPONENTS."""
    count = highest_order(lattice, float(times.max(initial=0.0)))
    nodes = fft.next_fast_len(2 * count)
    angle = np.pi * (np.arange(nodes) + 0.5) / nodes
    omega = lattice.omega_max * np.cos(0.5 * angle)
    sums = moments(lattice, displacements, count)
    out = np.empty((len(displacements), 6, len(times)))
    for part in np.array_split(np.arange(len(times)), -(-len(times) // 500)):
        coefficients = fft.dct(_function(lattice, kind, times[part], omega, dt), type=2, axis=1)[:, :count] / nodes
        coefficients[:, 0] *= 0.5
        out[..., part] = np.tensordot(sums, coefficients, axes=(0, 1))
    return out


def cache_folder() -> Path | None:
    """Where tables are kept: $MDLITE_CACHE_DIR, mdlite in the user's cache folder, or a temporary folder (then with a warning); None: nowhere."""
    return _place(os.environ.get("MDLITE_CACHE_DIR"), kept.user_folder())


@functools.lru_cache
def _place(own: str | None, usual: Path | None) -> Path | None:
    folder, note = kept.place("MDLITE_CACHE_DIR", own, [usual and usual / "mdlite"], "tables of the crystal's response")
    if note is not None and multiprocessing.parent_process() is None:
        warnings.warn(note, stacklevel=2)
    return folder


def _cache_path(lattice: Lattice, displacements: np.ndarray, dt: float, n_steps: int, kind: str) -> Path | None:
    return cache_path("response", (lattice.mass, lattice.k1, lattice.k2, dt, n_steps, kind, displacements.tolist()))


def cache_path(name: str, key: tuple) -> Path | None:
    """The file of a table that is ``key``'s, or None where nothing can be kept."""
    folder = cache_folder()
    digest = hashlib.sha256(repr((mdlite.__version__, *key)).encode()).hexdigest()[:24]
    return folder and folder / f"{name}-{digest}.npy"


def read_cached(path: Path | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """The table in a cache file, or None unless it is there, whole, unchanged, and of that shape."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
            seal = file.read()
    except Exception:  # whatever is wrong with it, it can be computed
        return None
    sound = found.shape == shape and found.dtype == np.float64 and seal == _seal(found)
    return found if sound and np.isfinite(found).all() else None


def write_cached(path: Path | None, table: np.ndarray) -> None:
    """Write beside and rename, so that no reader ever sees half a table; a cache that can not be written is done without."""
    if path is None:
        return
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            beside = Path(file.name)
            np.lib.format.write_array(file, np.ascontiguousarray(table), allow_pickle=False)
            file.write(_seal(table))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError, AttributeError):
            beside.unlink()


def _seal(table: np.ndarray) -> bytes:
    """A checksum of the numbers, which stands behind them."""
    return hashlib.sha256(np.ascontiguousarray(table)).digest()
