"""The lattice kernel against a loop over bonds, on boxes that are not cubes."""

import numba
import numpy as np
import pytest

from independent import spring_forces, spring_matrix
from mdlite.kernels import springs, stencil
from mdlite.physics.model import Lattice

K1, K2, MASS = 520.0, 170.0, 3.5


def constants(field):
    return Lattice(field.shape[1:], 3.0, MASS, K1, K2).springs()


def padded(field):
    lattice = Lattice(field.shape[1:])
    out = lattice.field()
    lattice.atoms(out)[...] = field
    springs.fill_halo(out, lattice.springs())
    return out


@pytest.fixture(params=[(4, 5, 6), (3, 3, 3), (7, 3, 4), (3, 4, 7), (4, 3, 14), (3, 3, 23)], ids=str)
def displacement(request):
    return 0.1 * np.random.default_rng(7).normal(size=(3, *request.param))


def atoms(field, like):
    return Lattice(like.shape[1:]).atoms(field)


def test_force_is_that_of_every_bond(displacement):
    expected, _ = spring_forces(displacement, K1, K2)
    out = np.zeros_like(padded(displacement))
    springs.spring_forces(padded(displacement), constants(displacement), out)
    assert np.abs(atoms(out, displacement) - expected).max() < 1e-12 * np.abs(expected).max()


def test_energy_and_momentum_sums(displacement):
    velocity = np.random.default_rng(8).normal(size=displacement.shape)
    force, energy = spring_forces(displacement, K1, K2)
    half_kick = 0.002
    synchronous = velocity + half_kick * force / MASS
    partial = np.empty((displacement.shape[1], 5))
    springs.lattice_sums(padded(displacement), padded(velocity), constants(displacement), half_kick, partial)
    sums = partial.sum(axis=0)
    assert sums[0] == pytest.approx(energy, rel=1e-12)
    assert sums[1] == pytest.approx(0.5 * MASS * np.sum(synchronous**2), rel=1e-12)
    expected = MASS * synchronous.sum(axis=(1, 2, 3))
    assert np.abs(sums[2:] - expected).max() < 1e-12 * MASS * np.abs(synchronous).sum()


def test_kick_drift_is_leap_frog(displacement):
    velocity = np.random.default_rng(9).normal(size=displacement.shape)
    force, _ = spring_forces(displacement, K1, K2)
    u, v = padded(displacement), padded(velocity)
    v[..., 0] = v[..., displacement.shape[3] + 1] = 0.0  # as the engine keeps it
    following = np.full_like(u, np.nan)
    stencil.kick_drift(u, v, following, constants(displacement), 0.003, 0.005)
    expected_v = velocity + 0.003 * force / MASS
    expected = padded(displacement + 0.005 * expected_v)
    assert np.abs(atoms(v, displacement) - expected_v).max() < 1e-12
    assert np.abs(following - expected).max() < 1e-13  # halo and zeros included
    assert not v[..., 0].any() and not v[..., displacement.shape[3] + 1 :].any()


def test_kick_is_the_kick_of_kick_drift(displacement):
    velocity = np.random.default_rng(9).normal(size=displacement.shape)
    u, v, other, unused = padded(displacement), padded(velocity), padded(velocity), padded(displacement)
    springs.kick(u, v, constants(displacement), 0.003)
    stencil.kick_drift(u, other, unused, constants(displacement), 0.003, 0.0)
    assert np.abs(atoms(v, displacement) - atoms(other, displacement)).max() < 1e-14
    assert np.array_equal(unused, u)


def test_a_crystal_shifted_as_a_whole_feels_rounding_only(displacement):
    shifted = np.empty(displacement.shape)
    shifted[...] = np.array([0.1, -2.7, 1.0 / 3.0])[:, None, None, None]
    u, v = padded(shifted), padded(np.zeros(displacement.shape))
    stencil.kick_drift(u, v, np.empty_like(u), constants(displacement), 0.005, 0.005)
    assert np.abs(v).max() < 1e-16  # a kick of 5 fs to an atom 2.7 Å away from its neighbours would be 10 Å/ps


def test_matrix_and_loop_agree(displacement):
    matrix = spring_matrix(displacement.shape[1:], K1, K2)
    expected, _ = spring_forces(displacement, K1, K2)
    assert np.abs(-matrix @ displacement.ravel() - expected.ravel()).max() < 1e-11


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(11)
    shape = (3, 9, 8, 11)
    start_u, start_v = padded(0.1 * rng.normal(size=shape)), padded(rng.normal(size=shape))
    results = []
    for threads in sorted({1, numba.config.NUMBA_NUM_THREADS}):
        numba.set_num_threads(threads)
        u, v, following, partial = start_u.copy(), start_v.copy(), np.empty_like(start_u), np.empty((9, 5))
        for _ in range(10):
            stencil.kick_drift(u, v, following, constants(np.empty(shape)), 0.005, 0.005)
            u, following = following, u
        springs.lattice_sums(u, v, constants(np.empty(shape)), 0.0025, partial)
        results.append(u.tobytes() + v.tobytes() + partial.tobytes())
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(result == results[0] for result in results)


def test_largest_displacement_and_a_nan_that_stays(displacement):
    u, partial = padded(displacement), np.empty((displacement.shape[1], 5))
    springs.largest_squares(u, constants(displacement), partial)
    assert np.allclose(partial[:, 0], np.sum(displacement**2, axis=0).max(axis=(1, 2)), rtol=1e-14)
    u[1, 1, 0, 1] = np.nan
    springs.largest_squares(u, constants(displacement), partial)
    assert np.isnan(partial[1, 0]) and not np.isnan(partial[[0, 2], 0]).any()
