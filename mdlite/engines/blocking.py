"""How a lattice is laid out in memory, and how a large one is cut into pieces that fit the cores' caches."""

from __future__ import annotations

import math

import numpy as np

from mdlite.errors import InputError
from mdlite.kernels import wavefront as kernels
from mdlite.kernels.jit import get_num_threads
from mdlite.kernels.types import Wavefront
from mdlite.machine import available_memory, core_cache
from mdlite.physics.model import Lattice, Model, aligned_zeros

CACHE_SHARE = 0.6
"""Part of a core's cache that a tile's rows may take."""
BEYOND_CACHE = 8
"""From so many times the cores' own caches on, fetching a plane in advance pays (measured: N = 100 to 400 gain 4 to 14 %, N = 40 loses 7 %)."""
STREAMS = 8
"""Fields of a plane that are in use at a time: three planes of u, three in between, two of v."""


def wavefront(model: Model, in_place: bool | None = None) -> Wavefront | None:
    """How a large lattice is cut for two steps in one pass, without its ``room``; None: it takes turns between two arrays of displacements.

    in_place: True or False to decide it, None for what is faster: in place where the lattice fills
    the caches, and the candidates are in so few planes that most threads get a chunk.
    """
    lattice, threads, cache = model.lattice, get_num_threads(), core_cache()
    planes, rows = lattice.size[0], lattice.size[1]
    lowest = int(model.offsets[:, 0].min())
    held = int(np.ptp(model.offsets[:, 0])) + 2
    chunks = min(threads, planes // (held + 3))
    small = 24 * math.prod(lattice.field_shape) <= threads * cache
    if in_place is False or chunks == 0 or (in_place is None and (small or 2 * chunks < threads)):
        return None
    fit = int(CACHE_SHARE * cache / (8 * 3 * lattice.field_shape[3] * STREAMS))
    tiles = -(-rows // max(fit, 4))
    beyond = 16 * math.prod(lattice.field_shape) > BEYOND_CACHE * threads * cache
    return Wavefront(
        np.empty(0), chunks, max(-(-rows // tiles), 2), held, lowest, math.prod(lattice.field_shape[2:]) if beyond else 0
    )


def with_room(lattice: Lattice, front: Wavefront) -> Wavefront:
    """A cut with the room that its passes need."""
    return front._replace(room=aligned_zeros(kernels.room_needed(lattice.field_shape, front)))


def arrays_needed(lattice: Lattice, front: Wavefront | None) -> float:
    """How many arrays like the displacements a lattice takes."""
    if front is None:
        return 3.0
    return 2.0 + kernels.room_needed(lattice.field_shape, front) / math.prod(lattice.field_shape)


def require_memory(lattice: Lattice, copies: int = 1, fields: float = 3.0) -> None:
    """Raise InputError if ``copies`` of the lattice, with so many arrays each, do not fit into the memory that this machine has left."""
    needed, present = 8.0 * fields * math.prod(lattice.field_shape) * copies, available_memory()
    if present is not None and needed > present:
        raise InputError(
            f"lattice.size = {list(lattice.size)}{f', {copies} lattices' if copies > 1 else ''}: needs {needed / 1e9:.3g} GB, this machine "
            f"has {present / 1e9:.3g} GB left; at most {int((present / 8.0 / 3.0 / fields / copies) ** (1 / 3))} atoms a side fit"
        )
