"""Response G_{κκ'n}(t) = -dW/dt of an infinite crystal at many times and for many pairs of atoms at once, and its cache on disk.

A function of D is a sum over its Chebyshev moments (`mdlite.crystals.moments`), f(D) = Σ c_n T_n(1 - 2D/Ω²); for the motion up to a time t that are
n < Ωt/2 and a little more.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import fft

from mdlite.crystals import moments
from mdlite.crystals.crystal import Crystal
from mdlite.errors import InputError
from mdlite.machine import available_memory
from mdlite.physics.propagator import cache_path, read_cached, write_cached

MOST_BYTES = 4e9
"""Of a table, with the moments that it is made of."""
BYTES = 60.0
"""An atom of the box."""
MOST_SECONDS = 7200.0
RATE, REST = 4e10, 1e-8
"""Multiply-adds a second on two ordinary cores, and seconds for an atom and step beside them."""
TOLD = 4.0
"""Seconds that are not worth a line."""
CHUNK = 512
"""Pairs whose response is found at once."""

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
    Raises InputError for a table of more than 4 GB, for more than the machine has free, for what takes longer than two hours, and for an unstable step.
    """
    omega, time = moments.top(crystal), dt * n_steps
    if kind.startswith("verlet") and omega * dt >= 2.0:
        raise InputError(
            f"run.dt = {dt:g}: must be below {2.0 / omega:.3g} ps, the longest step of velocity Verlet in this crystal"
        )
    count, groups = highest_order(omega, time), _groups(crystal, pairs)
    _require_memory(crystal, pairs, groups, n_steps, count, time)
    takes = seconds(crystal, pairs, time)
    if takes > MOST_SECONDS:
        raise InputError(
            f"memory.window = {time:g}: the response of this crystal would take about {takes / 3600.0:.2g} hours, and as the fourth power of the window; give a "
            "shorter one"
        )
    if takes > TOLD and notice is not None:
        notice(f"the response of the crystal for {time:g} ps: computed once (about {takes:.0f} s), then kept")
    coefficients = _coefficients(omega, dt, n_steps, kind, count)
    out = np.empty((len(pairs), 9, n_steps + 1))
    for group in groups:
        sums = _moments(crystal, group.pairs, count, time).reshape(-1, 9, count)
        for rows, where, turn in group.parts:
            both = np.kron(turn, turn)
            for part in np.array_split(np.arange(len(rows)), -(-len(rows) // CHUNK)):
                own = both @ sums[where[part]]
                out[rows[part]] = (own.reshape(-1, count) @ coefficients).reshape(len(part), 9, -1)
    return out


class Group(NamedTuple):
    """Pairs whose second atoms are alike: those that are computed (their second atom one and the same), and for each of the second atoms the rows that it
    has, which of the computed pairs stands for each, and how their blocks are turned."""

    pairs: np.ndarray
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _groups(crystal: Crystal, pairs: np.ndarray) -> list[Group]:
    source, operation = moments.representatives(crystal)
    turns = moments.operations(crystal).cartesian
    out = []
    for representative in np.unique(source[pairs[:, 1]]):
        rows = [np.flatnonzero(pairs[:, 1] == atom) for atom in np.flatnonzero(source == representative)]
        rows = [part for part in rows if len(part)]
        used = [int(operation[pairs[part[0], 1]]) for part in rows]
        back = [moments.preimages(crystal, g, pairs[part]) for g, part in zip(used, rows)]
        computed, where = np.unique(np.concatenate(back), axis=0, return_inverse=True)
        pieces = np.split(where.ravel(), np.cumsum([len(part) for part in rows])[:-1])
        out.append(Group(computed, [(part, piece, turns[g]) for part, piece, g in zip(rows, pieces, used)]))
    return out


def _require_memory(crystal: Crystal, pairs: np.ndarray, groups: list[Group], n_steps: int, count: int, time: float) -> None:
    table = 72.0 * (len(pairs) * (n_steps + 1) + 2 * max(len(group.pairs) for group in groups) * count)
    if table > MOST_BYTES:
        raise InputError(
            f"memory.window = {time:g}: the table of the response for {len(pairs)} pairs of atoms would take {table / 1e9:.3g} GB; give a shorter window, "
            "a longer run.dt, or a smaller sphere of atoms"
        )
    kept = all(_kept(_path(crystal, group.pairs, count)) for group in groups)
    atoms, free = 0.0 if kept else _atoms(crystal, pairs, time), available_memory()
    needed = table + BYTES * atoms
    if free is not None and needed > free:
        raise InputError(
            f"memory.window = {time:g}: the response of this crystal is found in a box of {atoms:.0f} atoms, and needs {needed / 1e9:.3g} GB, of which "
            f"{free / 1e9:.3g} GB are free; give a shorter window"
        )


def _atoms(crystal: Crystal, pairs: np.ndarray, time: float) -> float:
    """Of the box in which the moments are found."""
    farthest = np.abs(pairs[:, 2:]).max(axis=0)
    return crystal.n_basis * float(np.prod([float(n) for n in moments.box_size(crystal, farthest, time)]))


def seconds(crystal: Crystal, pairs: np.ndarray, time: float) -> float:
    """What the moments of a table up to ``time`` (ps) take that are not in the cache, about."""
    count = highest_order(moments.top(crystal), time)
    missing = [group for group in _groups(crystal, pairs) if not _kept(_path(crystal, group.pairs, count))]
    if not missing:
        return 0.0
    runs = sum(len(moments.frame(crystal, int(group.pairs[0, 1])).directions) for group in missing)
    return runs * count * _atoms(crystal, pairs, time) * (9.0 * len(crystal.first) / crystal.n_basis / RATE + REST)


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
    """As `moments.moments`, (m, 3, 3, count), from the cache where they are there."""
    path = _path(crystal, pairs, count)
    found = read_cached(path, (len(pairs), 3, 3, count)) if _kept(path) else None
    if found is None:
        found = moments.moments(crystal, pairs, count, time)
        write_cached(path, found)
    return found


def _path(crystal: Crystal, pairs: np.ndarray, count: int) -> Path | None:
    return cache_path("crystal-response", (digest_of(crystal), moments.top(crystal), count, pairs.tobytes()))


def _kept(path: Path | None) -> bool:
    return path is not None and path.is_file()


@functools.lru_cache(maxsize=8)
def digest_of(crystal: Crystal) -> str:
    """Of all that decides how a crystal moves."""
    parts = (crystal.cell, crystal.positions, crystal.masses, crystal.first, crystal.second, crystal.cells, crystal.blocks)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
