"""The step of any crystal against loops over blocks, exact normal modes and conservation laws."""

import numpy as np
import pytest

import made_up
from mdlite.crystals import dynamics
from mdlite.crystals.box import Box
from mdlite.errors import InputError
from mdlite.kernels import blocks

SIZES = [(3, 4, 9), (1, 2, 3), (5, 3, 16), (2, 7, 17), (4, 1, 1)]


def random_box(size, seed=0):
    box = Box(made_up.triclinic(), size)
    u, v = box.fields()
    rng = np.random.default_rng(seed)
    box.displacements(u)[...] = 0.01 * rng.standard_normal(box.displacements(u).shape)
    blocks.drift(u, v, box.stencil, 0.0)  # fills the halo
    box.velocities(v)[...] = rng.standard_normal(box.velocities(v).shape)
    return box, u, v


def flat(box, atoms):
    """(p, 3, n1, n2, n3) in the order of `made_up.hessian`."""
    return np.moveaxis(atoms, (0, 1), (3, 4)).ravel()


@pytest.mark.parametrize("size", SIZES)
def test_forces_are_those_of_a_loop_over_blocks(size):
    box, u, v = random_box(size)
    before = box.velocities(v).copy()
    blocks.kick(u, v, box.stencil, box.kicks(0.3))
    force = -made_up.hessian(box.crystal, size) @ flat(box, box.displacements(u))
    exact = force * np.repeat(np.tile(0.3 / box.crystal.masses, np.prod(size)), 3)
    assert np.abs(flat(box, box.velocities(v) - before) - exact).max() < 1e-12 * np.abs(exact).max()


@pytest.mark.parametrize("size", SIZES)
def test_drift_moves_every_atom_and_what_is_around_the_box(size):
    box, u, v = random_box(size)
    before = box.displacements(u).copy()
    blocks.drift(u, v, box.stencil, 0.7)
    assert np.allclose(box.displacements(u), before + 0.7 * box.velocities(v), rtol=1e-15, atol=1e-16)
    shape, (rows, cells) = box._shapes[0], box._halo
    whole = u.reshape(-1, 3, *shape[1:])
    wrapped = np.take(
        np.take(box.displacements(u), np.arange(-rows, size[1] + rows) % size[1], axis=3),
        np.arange(-cells, size[2] + cells) % size[2],
        axis=4,
    )
    assert np.array_equal(whole[..., : size[2] + 2 * cells], wrapped)


def test_velocities_beyond_the_atoms_stay_zero():
    box, u, v = random_box((3, 4, 9))
    blocks.kick(u, v, box.stencil, box.kicks(0.3))
    assert not v.reshape(*box._shapes[1])[..., 9:].any()


def test_the_whole_crystal_feels_no_force_and_keeps_its_momentum():
    box, u, v = random_box((4, 3, 11))
    box.displacements(u)[...] = np.array([0.3, -1.1, 0.7])[:, None, None, None]
    blocks.drift(u, 0.0 * v, box.stencil, 0.0)
    still = np.zeros_like(v)
    blocks.kick(u, still, box.stencil, box.kicks(1.0))
    assert np.abs(still).max() < 1e-11 * np.abs(box.crystal.blocks).max() / box.crystal.masses.min()
    box, u, v = random_box((4, 3, 11))
    mass = box.crystal.masses[:, None, None, None, None]
    momentum, size = (mass * box.velocities(v)).sum(axis=(0, 2, 3, 4)), np.abs(mass * box.velocities(v)).sum()
    for _ in range(200):
        blocks.kick(u, v, box.stencil, box.kicks(0.002))
        blocks.drift(u, v, box.stencil, 0.002)
    assert np.abs((mass * box.velocities(v)).sum(axis=(0, 2, 3, 4)) - momentum).max() < 1e-12 * size


@pytest.mark.parametrize("branch", [0, 4, 8])
def test_every_normal_mode_turns_as_velocity_verlet_turns_it(branch):
    """u_n = u_0 cos(nφ) with sin(φ/2) = Ω dt/2, exactly."""
    size, cell = (3, 4, 5), np.array([1, 2, 1])
    box, u, v = random_box(size)
    q = cell / np.array(size)
    squares, modes = np.linalg.eigh(dynamics.dynamical_matrix(box.crystal, q))
    omega, dt, steps = np.sqrt(squares[branch]), 0.004, 137
    where = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"))
    wave = np.exp(2j * np.pi * np.einsum("c,cijk->ijk", q, where))
    shape = modes[:, branch].reshape(-1, 3, 1, 1, 1) / np.sqrt(box.crystal.masses)[:, None, None, None, None]
    start = (shape * wave).real
    box.displacements(u)[...] = start
    v[...] = 0.0
    blocks.drift(u, v, box.stencil, 0.0)
    blocks.kick(u, v, box.stencil, box.kicks(0.5 * dt))
    for _ in range(steps - 1):
        blocks.drift(u, v, box.stencil, dt)
        blocks.kick(u, v, box.stencil, box.kicks(dt))
    blocks.drift(u, v, box.stencil, dt)
    phi = 2.0 * np.arcsin(0.5 * omega * dt)
    assert np.abs(box.displacements(u) - start * np.cos(steps * phi)).max() < 1e-11 * np.abs(start).max()


def test_bits_do_not_depend_on_threads():
    import numba

    found = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        box, u, v = random_box((5, 3, 16))
        for _ in range(20):
            blocks.kick(u, v, box.stencil, box.kicks(0.002))
            blocks.drift(u, v, box.stencil, 0.002)
        found.append((u, v))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(np.array_equal(a, b) for a, b in zip(*found))


def test_a_size_that_is_none():
    for size in ((0, 2, 2), (2, 2), (2.5, 2, 2)):
        with pytest.raises(InputError, match=r"crystal\.size"):
            Box(made_up.triclinic(), size)
    assert Box(made_up.triclinic(), (32, 32, 32)).bytes_per_atom < 80.0
