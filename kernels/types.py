"""Argument bundles: what a kernel takes together, so that no kernel has fifteen loose arguments."""

from typing import NamedTuple

import numpy as np


class Springs(NamedTuple):
    """Constants of the harmonic lattice, and how much of a stored row is atoms."""

    k1: float  # nearest-neighbour spring constant, meV/Å²
    k2: float  # next-nearest-neighbour spring constant, meV/Å²
    mass: float  # mass of a framework atom, meV ps²/Å²
    length: int  # Nz, atoms in a row


class LatticeState(NamedTuple):
    """Displacements and velocities of the framework in leap-frog form.

    Each is float64 of shape (3, Nx, Ny, P), P the multiple of eight that Nz + 2 fits in; ``[c, i, j, k + 1]`` is component c of the atom at site
    (i, j, k). The first cell of a row and the one behind its atoms are a periodic halo of the displacements; what follows, and the halo in the
    velocities, is zero.
    """

    u: np.ndarray  # Å, at step n, halo valid
    v: np.ndarray  # Å/ps, at step n - 1/2


class Clock(NamedTuple):
    """A step as kicks and drifts that follow each other, see `mdlite.physics.integrators`; velocity Verlet has one of each."""

    kicks: np.ndarray  # (s,), ps; the first includes the last one of the step before
    drifts: np.ndarray  # (s,), ps
    half: float  # ps, the kick that makes velocities synchronous


class Wavefront(NamedTuple):
    """Room for the displacements between two steps, and how the lattice is cut, see `wavefront`."""

    room: np.ndarray  # float64, flat
    chunks: int  # parts of the lattice along i, one for each thread
    rows: int  # rows of a tile
    held: int  # planes of the ion's seam behind it: those of its candidates, and one more
    lowest: int  # the lowest plane of the candidates, counted as their offsets are
    ahead: int  # from a row to the same one of the next plane, which is then fetched from memory in advance; 0: it is not


class Coupling(NamedTuple):
    """The interaction of the ion with the framework: potential, switching, and which atoms take part."""

    form: int  # row of potentials.FORMS
    params: np.ndarray  # float64 (n_params,), the potential's own parameters
    switch_start: float  # Å, where the switching to zero begins (infinity: no switching)
    cutoff: float  # Å, where the potential has become zero (infinity: never)
    offsets: np.ndarray  # int64 (n, 3), lattice indices of the candidate atoms
    places: np.ndarray  # int64 (n, 3), the same within the periodic lattice: offsets modulo size
    moving: bool  # the offsets count from the ion's cell (True) or from the origin (False)
    spacing: float  # Å
    size: np.ndarray  # int64 (3,), atoms along each axis of the periodic lattice


class IonState(NamedTuple):
    """The mobile ion in leap-frog form, with the forces between it and the n candidate atoms of a Coupling."""

    position: np.ndarray  # (3,), at step n, Å
    velocity: np.ndarray  # (3,), at step n - 1/2, Å/ps
    inverse_mass: np.ndarray  # (3,), 0 on a frozen axis
    force: np.ndarray  # (3,), on the ion, meV/Å
    atom_force: np.ndarray  # (n, 3), on the atoms, meV/Å
    stiffest: np.ndarray  # (1,), the largest |φ''| met so far, meV/Å²


class MediumIon(NamedTuple):
    """The ion of the time-local rungs: everything at the same step."""

    position: np.ndarray  # (3,), R, Å
    velocity: np.ndarray  # (3,), Ṙ, Å/ps
    inverse_mass: np.ndarray  # (3,), 0 on a frozen axis
    force: np.ndarray  # (3,), -∇_R U(r_eff, R_eff), meV/Å
    effective: np.ndarray  # (3,), R_eff, Å
    energy: np.ndarray  # (1,), U(r_eff, R_eff), meV
    stiffest: np.ndarray  # (1,), the largest |φ''| met so far, meV/Å²
    guess: np.ndarray  # flat (6 P + 10,), first guess of the implicit rung, see `implicit.recall`; of no length for the others


class Medium(NamedTuple):
    """The effective medium of the time-local equations for the n candidate atoms of a Coupling."""

    reply: np.ndarray  # float64, flat (n, 6, P): W_{j-k}(0), Å²/meV, by k; xx, yy, zz, yz, xz, xy; j up to a multiple of eight
    loss: np.ndarray  # float64 (3, 3), L, Å² ps/meV
    implicit: object  # None: first order [18-20]; True: self-consistent [16]. By its type numba compiles the one that is wanted


class MediumWork(NamedTuple):
    """Scratch space for n candidate atoms; nothing in it carries over from step to step. ``atoms`` is a result: what a force was evaluated with.

    The time-local rungs work in ``lanes``: vectors of atoms side by side, see `medium` and `implicit`.
    """

    lanes: np.ndarray  # float64, flat (12, P), or (41, P) for the implicit rung
    atoms: np.ndarray  # (n, 3), r_eff, Å (for the implicit rung without the common shift, see there)
    home: np.ndarray  # (n, 3), r_H, Å
    home_velocity: np.ndarray  # (n, 3), ṙ_H, Å/ps
    displacement: np.ndarray  # (n, 3), Å
    shift: np.ndarray  # (7, 3): rows of the solver for the loss shift, see implicit.py


class Memory(NamedTuple):
    """What the infinite crystal remembers of the ion, in S slots, one for each atom that it has touched within the window of L steps."""

    table: np.ndarray  # float64 (rows, 6, L + 1), G_d at 0 .. L steps, the latest first, Å²/(meV ps); xx, yy, zz, yz, xz, xy
    lookup: np.ndarray  # int64 (reach + 1,) * 3, the row of d for d_x >= d_y >= d_z >= 0, or -1
    site: np.ndarray  # int64 (S, 3), lattice indices, not wrapped
    force: np.ndarray  # float64 (S, 3, H), ∇_r U of past steps from ``origin`` on (halved at step 0), meV/Å
    begin: np.ndarray  # int64 (S,), first step with a force
    end: np.ndarray  # int64 (S,), the step after the last one with a force
    held: np.ndarray  # bool (S,), a candidate at present
    slot: np.ndarray  # int64 (n,), the slot of every candidate
    count: np.ndarray  # int64 (1,), slots in use
    origin: np.ndarray  # int64 (1,), the step that force[..., 0] belongs to
    start_site: np.ndarray  # int64 (A, 3), atoms that the ion held displaced before t = 0 (A = 0: a bare start)
    start_force: np.ndarray  # float64 (A, 3), ∇_r U of them then, meV/Å
    start_table: np.ndarray  # float64 (rows, 6, L + 1), W_d at 0 .. L steps, Å²/meV


class Crystal(NamedTuple):
    """The homogeneous motion of the framework (no ion in it) around step n, each an array as in LatticeState."""

    before: np.ndarray  # displacements at step n - 1, Å
    u: np.ndarray  # at step n
    after: np.ndarray  # at step n + 1
    v: np.ndarray  # velocities at step n + 1/2, Å/ps


class Ensemble(NamedTuple):
    """I independent ions of the time-local rungs, each row as in MediumIon."""

    position: np.ndarray  # (I, 3), Å
    velocity: np.ndarray  # (I, 3), Å/ps
    inverse_mass: np.ndarray  # (3,)
    force: np.ndarray  # (I, 3), meV/Å
    effective: np.ndarray  # (I, 3), Å
    energy: np.ndarray  # (I,), meV
    stiffest: np.ndarray  # (I,), meV/Å²
    guess: np.ndarray  # (I, 6 P + 10), or (I, 0)
    stopped: np.ndarray  # int64 (I,), the step at which the ion was stopped, or -1
    cause: np.ndarray  # int64 (I,), why, see `guard`
    limits: np.ndarray  # (6,), what none of them may exceed, see `guard`


class Edge(NamedTuple):
    """What the atoms of a patch do beside obeying their springs, v' = keep v + push (spring kick) - hold u: flat arrays like a field.

    1, 1 and 0 in the core, where the patch is the crystal itself; see `mdlite.engines.patch_edge`.
    """

    keep: np.ndarray  # 1
    push: np.ndarray  # 1
    hold: np.ndarray  # 1/ps
    k1: float  # of the springs, as in `Springs`
    k2: float
    mass: float
    length: int


class Patches(NamedTuple):
    """I independent ions, each with the field δr that it radiates on a patch of N³ atoms that travels with it; leap-frog as in IonState."""

    position: np.ndarray  # (I, 3), Å
    velocity: np.ndarray  # (I, 3), Å/ps, at step n - 1/2
    inverse_mass: np.ndarray  # (3,)
    force: np.ndarray  # (I, 3), meV/Å
    atom_force: np.ndarray  # (I, n, 3), meV/Å
    energy: np.ndarray  # (I,), U, meV
    stiffest: np.ndarray  # (I, 1), the largest |φ''| met so far, meV/Å²
    corner: np.ndarray  # int64 (I, 3), lattice indices of the patch's first atom
    u: np.ndarray  # (I, 3, N, N, P), δr, Å
    v: np.ndarray  # (I, 3, N, N, P), Å/ps, at step n - 1/2
    stopped: np.ndarray  # int64 (I,), the step at which the ion was stopped, or -1
    cause: np.ndarray  # int64 (I,), why, see `guard`
    limits: np.ndarray  # (6,), what none of them may exceed, see `guard`


class EnsembleFrames(NamedTuple):
    """Where an ensemble is recorded: one row per sampled step."""

    position: np.ndarray  # (F, I, 3), Å
    velocity: np.ndarray  # (F, I, 3), Å/ps
    interaction: np.ndarray  # (F, I), U(r_eff, R_eff), or U(r, R) of patches, meV


class Frames(NamedTuple):
    """Where a kernel records the ion: one row per sampled step."""

    position: np.ndarray  # (F, 3), R, Å
    velocity: np.ndarray  # (F, 3), dR/dt, Å/ps
    force: np.ndarray  # (F, 3), force on the ion, meV/Å
    interaction: np.ndarray  # (F,), U, meV
    effective_position: np.ndarray  # (F, 3), R_eff [20] (R itself in the reference, the memory kernel and the patch), Å
    atom_position: np.ndarray  # (F, n, 3) or (F, 0, 3): candidate atoms (r_eff [19] of the time-local rungs), Å
    atom_velocity: np.ndarray  # (F, n, 3) or (F, 0, 3): their velocities (reference only), Å/ps
