"""The atoms near an ion in an effective medium, eight side by side: what the simple cubic lattice and any other crystal do differently.

A kernel says ``law_of(coupling, at)``, and by the coupling's type numba pastes in what is meant: a `types.Coupling` has one potential, and its n
candidates fill the first n lanes; the lanes of a `SiteLanes` are sorted by species, so that all of a vector have one potential, and the last vector
of each species may not be full.
"""

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from mdlite.kernels.coupling import cell_of
from mdlite.kernels.jit import bare
from mdlite.kernels.site_coupling import Law, ion_cell
from mdlite.kernels.vectors import WIDTH


class SiteLanes(NamedTuple):
    """The interaction of the ion with the atoms of any crystal, in P lanes: as `types.Coupling`, with S potentials."""

    offsets: np.ndarray  # float64 (P, 3): where each lane's atom stands, from the corner of the cell that is counted from, Å
    sites: np.ndarray  # int64 (P, 4): its cell, within the periodic box, and which atom of that it is
    counts: np.ndarray  # int64 (P/8,): lanes of a vector that are atoms
    laws: np.ndarray  # int64 (P/8,): which potential
    forms: np.ndarray  # int64 (S,): rows of potentials.FORMS
    params: np.ndarray  # float64 (S, ·): their parameters
    switch_start: float  # Å, where the switching to zero begins (infinity: no switching)
    cutoff: float  # Å, where the potentials have become zero (infinity: never)
    cell: np.ndarray  # float64 (3, 3): vectors of the cell as rows, Å
    inverse: np.ndarray  # float64 (3, 3): of that matrix
    moving: bool  # offsets count from the ion's cell (True) or from the origin (False)
    spacing: float  # Å, the distance of the nearest atoms


class FreeBox(NamedTuple):
    """The homogeneous motion of a box of any crystal (no ion in it) at step n, in flat arrays as `blocks` has them."""

    u: np.ndarray  # displacements at step n, Å, halo valid
    before: np.ndarray  # velocities at step n - 1/2, Å/ps
    after: np.ndarray  # at step n + 1/2
    size: np.ndarray  # int64 (3,), of `blocks.Stencil`, as the others
    halo: np.ndarray  # int64 (2,)
    u_plane: int
    u_pitch: int
    v_plane: int
    v_pitch: int


class SiteMedium(NamedTuple):
    """The effective medium of the time-local equations for the lanes of a `SiteLanes`: as `types.Medium`."""

    reply: np.ndarray  # float64, flat (P, P/8, 9, 8): W_jk(0), Å²/meV, by k and vectors of j; xx, xy, xz, yx, ... zz
    loss: np.ndarray  # float64 (3, 3), L, Å² ps/meV
    implicit: object  # None or True, as in `types.Medium`
    lanes: np.ndarray  # int64 (n,): the lane of every candidate
    width: int  # P


def is_a(kind, bundle):
    """Whether numba's type ``kind`` is that of a bundle."""
    return getattr(kind, "instance_class", None) is bundle


@bare
def lanes_width(count):
    """Length of a row of lanes for ``count`` atoms: whole vectors."""
    return (count + WIDTH - 1) // WIDTH * WIDTH


def home_cell(coupling, position):
    """Cell that the candidates count from: the ion's, or the origin's for fixed ones."""
    raise NotImplementedError


@overload(home_cell, inline="always")
def _home_cell(coupling, position):
    if is_a(coupling, SiteLanes):
        return lambda coupling, position: ion_cell(coupling, position)
    return lambda coupling, position: cell_of(coupling, position)


def law_of(coupling, at):
    """The potential of the vector that begins at lane ``at``, as `potentials.switched` takes it."""
    raise NotImplementedError


@overload(law_of, inline="always")
def _law_of(coupling, at):
    if is_a(coupling, SiteLanes):
        return lambda coupling, at: Law(
            coupling.forms[coupling.laws[at // WIDTH]],
            coupling.params[coupling.laws[at // WIDTH]],
            coupling.switch_start,
            coupling.cutoff,
        )
    return lambda coupling, at: coupling


def in_use(coupling, at, left):
    """How many lanes of the vector that begins at lane ``at`` are atoms; left: what there are from there to the last lane."""
    raise NotImplementedError


@overload(in_use, inline="always")
def _in_use(coupling, at, left):
    if is_a(coupling, SiteLanes):
        return lambda coupling, at, left: coupling.counts[at // WIDTH]
    return lambda coupling, at, left: left


def row_length(medium, count):
    """Length of a row of lanes for ``count`` candidates."""
    raise NotImplementedError


@overload(row_length, inline="always")
def _row_length(medium, count):
    if is_a(medium, SiteMedium):
        return lambda medium, count: medium.width
    return lambda medium, count: lanes_width(count)


def lane_of(medium, n):
    """The lane of candidate n."""
    raise NotImplementedError


@overload(lane_of, inline="always")
def _lane_of(medium, n):
    if is_a(medium, SiteMedium):
        return lambda medium, n: medium.lanes[n]
    return lambda medium, n: n
