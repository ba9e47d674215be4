"""Response G_{κκ'n}(t) = -dW/dt of an infinite crystal at many times and for many pairs of atoms at once, and its cache on disk.

A function of D is a sum over Chebyshev polynomials, f(D) = Σ c_n T_n(1 - 2D/Ω²), and T_n of a unit displacement follows from T_{n-1} and T_{n-2} by one
product with D in real space: leap-frog with the step 2/Ω, the longest that is stable, by the kernel of the explicit crystal. One such motion has the
moments of all atoms that answer a source, so that the work does not grow with the number of pairs. The motion up to a time t needs n < Ωt/2 and a
little more, in a periodic box that no wave of that time goes around.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import fft

from mdlite.crystals import dynamics
from mdlite.crystals.box import LANES, Box
from mdlite.crystals.crystal import Crystal
from mdlite.errors import InputError
from mdlite.kernels import blocks
from mdlite.machine import available_memory
from mdlite.physics.propagator import cache_path, read_cached, write_cached

MOST_BYTES = 4e9
MOST_SECONDS = 7200.0
RATE = 1.2e10
"""Multiply-adds a second, on two ordinary cores."""
TOLD = 4.0
"""Seconds that are not worth a line."""
EXPONENT = 16.0
"""A bound for what a box cuts off is exp(-EXPONENT); the response there is smaller by orders of magnitude (1e-15 of its largest element)."""
DECAYS = np.geomspace(0.1, 4.0, 12)
"""Per cell, at which waves ahead of the front are looked at."""
ABOVE = 1.0 + 1e-4
"""Of Ω over the highest frequency that was found."""

Notice = Callable[[str], None]


def pairs_within(crystal: Crystal, radius: float) -> np.ndarray:
    """Pairs (m, 5) of atoms at most ``radius`` (Å) from each other: κ, κ', n1, n2, n3; of two that are each other's reverse, one."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(crystal.cell), axis=0)
    span = np.ceil(radius / heights).astype(int) + 1 + int(np.ceil(np.ptp(crystal.positions, axis=0).max()))
    cells = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in span], indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for first in range(crystal.n_basis):
        for second in range(first, crystal.n_basis):
            apart = (cells + crystal.positions[second] - crystal.positions[first]) @ crystal.cell
            near = cells[np.einsum("na,na->n", apart, apart) <= radius**2]
            found.append(np.column_stack([np.full(len(near), first), np.full(len(near), second), near]))
    return one_of_two(np.concatenate(found))


def pairs_between(sites: np.ndarray) -> np.ndarray:
    """Pairs (m, 5) of the atoms of a list (s, 4), each n1, n2, n3, κ, as `pairs_within`."""
    a, b = (x.ravel() for x in np.meshgrid(np.arange(len(sites)), np.arange(len(sites)), indexing="ij"))
    return one_of_two(np.column_stack([sites[a, 3], sites[b, 3], sites[b, :3] - sites[a, :3]]))


def one_of_two(pairs: np.ndarray) -> np.ndarray:
    """Of pairs (m, 5) each once, and only one of those that are each other's reverse: G_{κ'κ(-n)} = G_{κκ'n}ᵀ."""
    back = np.column_stack([pairs[:, 1], pairs[:, 0], -pairs[:, 2:]])
    change = pairs - back
    first = np.take_along_axis(change, (change != 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.unique(np.where((first > 0)[:, None], back, pairs), axis=0)


def highest_order(omega: float, time: float) -> int:
    """Number of moments beyond which the motion up to ``time`` (ps) has coefficients below 1e-17."""
    half = 0.5 * omega * time
    return int(half + 7.0 * max(half, 1.0) ** (1.0 / 3.0)) + 24


def response_table(
    crystal: Crystal, pairs: np.ndarray, dt: float, n_steps: int, kind: str = "exact", notice: Notice | None = None
) -> np.ndarray:
    """G_{κκ'n} at 0 .. n_steps steps of dt (ps) for pairs (m, 5): (m, 9, n_steps + 1), Å²/(meV ps), components xx, xy, xz, yx, ...

    ``verlet``: the response that velocity Verlet with that step has, which an explicit crystal follows to rounding; ``exact-fall`` and
    ``verlet-fall``: W(0) - W(t), Å²/meV. Moments are read from the cache where they are there; else ``notice`` is told how long they take.
    Raises InputError for a table of more than 4 GB or than the machine has free, for what takes longer than an hour, and for an unstable step.
    """
    omega, time = _top(crystal), dt * n_steps
    if kind.startswith("verlet") and omega * dt >= 2.0:
        raise InputError(
            f"run.dt = {dt:g}: must be below {2.0 / omega:.3g} ps, the longest step of velocity Verlet in this crystal"
        )
    count = highest_order(omega, time)
    atoms = crystal.n_basis * float(np.prod([float(n) for n in _box_size(crystal, _farthest(pairs), time)]))
    needed = 72.0 * (len(pairs) * (n_steps + 1) + _most_targets(pairs) * count) + 60.0 * atoms
    free = available_memory()
    if needed > (MOST_BYTES if free is None else min(MOST_BYTES, free)):
        raise InputError(
            f"memory.window = {time:g} ps: the table of the response for {len(pairs)} pairs of atoms would take {needed / 1e9:.3g} GB, with the crystal "
            "that it is found in; give a shorter window, a longer run.dt, or a smaller sphere of atoms"
        )
    takes = seconds(crystal, pairs, time)
    if takes > MOST_SECONDS:
        raise InputError(
            f"memory.window = {time:g} ps: the response of this crystal would take about {takes / 3600.0:.2g} hours, as its fourth power; give a shorter window"
        )
    if takes > TOLD and notice is not None:
        notice(f"the response of the crystal for {time:g} ps: computed once (about {takes:.0f} s), then kept")
    coefficients = _coefficients(omega, dt, n_steps, kind, count)
    out = np.empty((len(pairs), 9, n_steps + 1))
    for source in np.unique(pairs[:, 1]):
        rows = np.flatnonzero(pairs[:, 1] == source)
        sums = _moments(crystal, pairs[rows], count, time)
        for part in np.array_split(np.arange(len(rows)), -(-len(rows) // 512)):
            flat = np.ascontiguousarray(sums[:, part].reshape(count, -1).T)
            out[rows[part]] = (flat @ coefficients).reshape(len(part), 9, -1)
    return out


def seconds(crystal: Crystal, pairs: np.ndarray, time: float) -> float:
    """What the moments of a table up to ``time`` (ps) take that are not in the cache, about."""
    count = highest_order(_top(crystal), time)
    missing = [s for s in np.unique(pairs[:, 1]) if not _kept(_path(crystal, pairs[pairs[:, 1] == s], count))]
    atoms = float(np.prod([float(n) for n in _box_size(crystal, _farthest(pairs), time)])) * crystal.n_basis
    return 3.0 * len(missing) * count * atoms * 9.0 * len(crystal.first) / crystal.n_basis / RATE


def _most_targets(pairs: np.ndarray) -> int:
    return int(np.bincount(pairs[:, 1]).max())


def _farthest(pairs: np.ndarray) -> np.ndarray:
    """Cells, along each cell vector, between the atoms of pairs."""
    return np.abs(pairs[:, 2:]).max(axis=0)


@functools.lru_cache(maxsize=8)
def _top(crystal: Crystal) -> float:
    """Ω (rad/ps)."""
    return ABOVE * dynamics.omega_max(crystal)


def _coefficients(omega: float, dt: float, n_steps: int, kind: str, count: int) -> np.ndarray:
    """c_n of a function of D at 0 .. n_steps steps, (count, n_steps + 1)."""
    nodes = fft.next_fast_len(2 * count)
    frequency = omega * np.sin(0.5 * np.pi * (np.arange(nodes) + 0.5) / nodes)
    out = np.empty((count, n_steps + 1))
    for part in np.array_split(np.arange(n_steps + 1), -(-(n_steps + 1) // 500)):
        found = fft.dct(_function(kind, frequency, part[:, None], dt), type=2, axis=1)[:, :count] / nodes
        found[:, 0] *= 0.5
        out[:, part] = found.T
    return out


def _function(kind: str, omega: np.ndarray, steps: np.ndarray, dt: float) -> np.ndarray:
    """The function of Ω that a kind stands for, (steps, nodes)."""
    time = dt * steps
    if kind == "exact":  # sin(Ωt)/Ω
        return time * np.sinc(omega * time / np.pi)
    if kind == "exact-fall":  # (1 - cos Ωt)/Ω²
        return 0.5 * time**2 * np.sinc(0.5 * omega * time / np.pi) ** 2
    phi = 2.0 * np.arcsin(0.5 * omega * dt)  # what velocity Verlet makes of Ω dt
    if kind == "verlet-fall":
        return 2.0 * np.sin(0.5 * steps * phi) ** 2 / omega**2
    return dt * np.sin(steps * phi) / np.sin(phi)


def _moments(crystal: Crystal, pairs: np.ndarray, count: int, time: float) -> np.ndarray:
    """T_n(1 - 2D/Ω²)/√(m m') for pairs (m, 5) that share the second atom: (count, m, 3, 3)."""
    path = _path(crystal, pairs, count)
    found = read_cached(path, (count, len(pairs), 3, 3)) if _kept(path) else None
    if found is None:
        found = _motion(crystal, pairs, count, _box_size(crystal, _farthest(pairs), time))
        write_cached(path, found)
    return found


def _motion(crystal: Crystal, pairs: np.ndarray, count: int, size: tuple[int, ...]) -> np.ndarray:
    """The moments, by leap-frog in a box of ``size`` cells whose first cell has the second atom of the pairs."""
    box, step = Box(crystal, size), 2.0 / _top(crystal)
    source = int(pairs[0, 1])
    u, v = box.fields()
    atoms = box.displacements(u)
    i, j, k = (np.mod(-pairs[:, 2 + axis], size[axis])[:, None] for axis in range(3))
    target = (pairs[:, :1], np.arange(3)[None], i, j, k)
    out = np.empty((count, len(pairs), 3, 3))
    for component in range(3):
        u[...], v[...] = 0.0, 0.0
        atoms[source, component, 0, 0, 0] = 1.0 / crystal.masses[source]
        blocks.drift(u, v, box.stencil, 0.0)  # fills the halo
        for n in range(count):
            out[n, ..., component] = atoms[target]
            blocks.kick(u, v, box.stencil, box.kicks(step if n else 0.5 * step))
            blocks.drift(u, v, box.stencil, step)
    return out


def _box_size(crystal: Crystal, farthest: np.ndarray, time: float) -> tuple[int, ...]:
    """Cells of a box in which nothing comes around within ``time`` (ps) to atoms within ``farthest`` (3,) cells."""
    ahead = [_front(crystal, axis, time) for axis in range(3)]
    size = [max(1, int(np.ceil(n + d))) for n, d in zip(ahead, farthest)]
    if size[2] >= 2 * LANES:
        size[2] = LANES * -(-size[2] // LANES)
    return tuple(size)


def _front(crystal: Crystal, axis: int, time: float) -> float:
    """Cells along a cell vector within which the response at ``time`` is, but for exp(-EXPONENT) of it.

    A wave that falls as exp(-k n) from cell to cell grows no faster than exp(g t), g(k) the largest imaginary part of a frequency at complex q.
    """
    bounds = (EXPONENT + _growth(crystal)[axis] * time) / DECAYS
    return float(bounds.min())


@functools.lru_cache(maxsize=8)
def _growth(crystal: Crystal) -> list[np.ndarray]:
    """g(k) (1/ps) at the `DECAYS` along each of the three cell vectors."""
    cells, where = np.unique(crystal.cells, axis=0, return_inverse=True)
    p, root = crystal.n_basis, np.sqrt(crystal.masses)
    matrices = np.zeros((len(cells), p, 3, p, 3))
    scaled = crystal.blocks / (root[crystal.first] * root[crystal.second])[:, None, None]
    matrices[where.ravel(), crystal.first, :, crystal.second, :] = scaled
    flat = matrices.reshape(len(cells), -1)
    grid = 6 if p <= 3 else 4 if p <= 10 else 2
    q, _ = dynamics.zone_grid((grid,) * 3)
    found = []
    for axis in range(3):
        rates = []
        for decay in DECAYS:
            phases = np.exp(2j * np.pi * (q @ cells.T) - decay * cells[:, axis])
            d = (phases @ flat).reshape(len(q), 3 * p, 3 * p)
            rates.append(float(np.abs(np.sqrt(np.linalg.eigvals(d)).imag).max()))
        found.append(np.array(rates))
    return found


def _path(crystal: Crystal, pairs: np.ndarray, count: int) -> Path | None:
    return cache_path("crystal-response", (_digest(crystal), _top(crystal), count, pairs.tobytes()))


def _kept(path: Path | None) -> bool:
    return path is not None and path.is_file()


@functools.lru_cache(maxsize=8)
def _digest(crystal: Crystal) -> str:
    """Of all that decides how a crystal moves."""
    parts = (crystal.cell, crystal.positions, crystal.masses, crystal.first, crystal.second, crystal.cells, crystal.blocks)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
