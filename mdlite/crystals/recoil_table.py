"""W(0) between all of some atoms of a crystal: computed once, kept on disk.

It depends on which atoms of the cell two atoms are and on the cells between them, not on where they are; and W_jk = W_kjᵀ, so that half of the
pairs will do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from mdlite.crystals import response
from mdlite.crystals.crystal import Crystal
from mdlite.physics.propagator import cache_path, read_cached, write_cached

Notice = Callable[[str], None]
Size = tuple[int, int, int]
SLOW = 3.0
"""Seconds, of which the user is told."""
_KEPT: WeakKeyDictionary[Crystal, dict[tuple[Size | None, bytes], np.ndarray]] = WeakKeyDictionary()


def recoil_table(crystal: Crystal, sites: np.ndarray, size: Size | None = None, notice: Notice | None = None) -> np.ndarray:
    """W_jk(0), Å²/meV, of the atoms ``sites`` (n, 4), each n1, n2, n3, κ: (n, n, 3, 3).

    size: cells of a periodic box instead of the infinite crystal. notice gets a line before what takes more than some seconds.
    Raises InputError as `mdlite.crystals.response.static_recoil`.
    """
    pairs, which, turned = _pairs(np.asarray(sites, np.int64))
    kept, key = _KEPT.setdefault(crystal, {}), (size, pairs.tobytes())
    if key not in kept:
        kept[key] = _found(crystal, size, pairs, notice)
    table = kept[key][which]
    table[turned] = table[turned].swapaxes(-1, -2)
    own = np.arange(len(table))
    table[own, own] = 0.5 * (table[own, own] + table[own, own].swapaxes(-1, -2))
    return table


def announcement(crystal: Crystal, sites: np.ndarray) -> str | None:
    """What to tell before `recoil_table` of the infinite crystal takes its time; None where it does not."""
    pairs = _pairs(np.asarray(sites, np.int64))[0]
    path = _path(crystal, None, pairs)
    kept = (None, pairs.tobytes()) in _KEPT.get(crystal, {}) or (path is not None and path.is_file())
    if kept or _seconds(crystal, pairs) <= SLOW:
        return None
    return f"the crystal's response W(0) for {len(pairs)} pairs of atoms: computed once (some {_seconds(crystal, pairs):.0f} s), then kept"


def _pairs(sites: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different pairs (m, 5), which of them two atoms are (n, n), and whether they are it the other way around (n, n)."""
    n = len(sites)
    apart = sites[None, :, :3] - sites[:, None, :3]
    first, second = np.broadcast_to(sites[:, None, 3:], (n, n, 1)), np.broadcast_to(sites[None, :, 3:], (n, n, 1))
    there = np.concatenate([first, second, apart], axis=-1)
    back = np.concatenate([second, first, -apart], axis=-1)
    step = there - back
    leading = np.take_along_axis(step, (step != 0).argmax(axis=-1)[..., None], axis=-1)[..., 0]
    turned = leading < 0
    pairs, which = np.unique(np.where(turned[..., None], back, there).reshape(-1, 5), axis=0, return_inverse=True)
    return pairs, which.reshape(n, n), turned


def _path(crystal: Crystal, size: Size | None, wanted: np.ndarray) -> Path | None:
    parts = (crystal.masses, crystal.first, crystal.second, crystal.cells, crystal.blocks, wanted)
    return cache_path("recoil", (size, *(hashlib.sha256(np.ascontiguousarray(part).data).hexdigest() for part in parts)))


def _found(crystal: Crystal, size: Size | None, wanted: np.ndarray, notice: Notice | None) -> np.ndarray:
    """W(0) of pairs (m, 3, 3), from the cache if it is there."""
    path = _path(crystal, size, wanted)
    found = read_cached(path, (len(wanted), 3, 3))
    if found is not None:
        return found
    if size is not None:
        found = response.grid_recoil(crystal, size, wanted)[:, 0]
    else:
        if notice is not None and _seconds(crystal, wanted) > SLOW:
            notice(f"computing the crystal's response W(0) for {len(wanted)} pairs of atoms, once for this crystal ...")
        found = response.static_recoil(crystal, wanted)
    found = np.ascontiguousarray(found)
    write_cached(path, found)
    return found


def _seconds(crystal: Crystal, pairs: np.ndarray) -> float:
    """What `mdlite.crystals.response.static_recoil` takes, roughly."""
    points = 1.5 * (30.0 + 2.0 * float(np.abs(pairs[:, 2:]).max(initial=0))) ** 3
    return points * (4e-9 * (3.0 * crystal.n_basis) ** 3 + 1e-7 * len(pairs))
