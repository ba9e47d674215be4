"""The lattice kernel against a loop over bonds, on boxes that are not cubes."""

import numba
import numpy as np
import pytest

from independent import spring_forces, spring_matrix
from mdlite.kernels import springs
from mdlite.kernels.types import Springs

CONSTANTS = Springs(520.0, 170.0, 3.5)


def padded(field):
    out = np.zeros((*field.shape[:-1], field.shape[-1] + 2))
    out[..., 1:-1] = field
    springs.fill_halo(out)
    return out


@pytest.fixture(params=[(4, 5, 6), (3, 3, 3), (7, 3, 4)], ids=str)
def displacement(request):
    return 0.1 * np.random.default_rng(7).normal(size=(3, *request.param))


def test_force_is_that_of_every_bond(displacement):
    expected, _ = spring_forces(displacement, CONSTANTS.k1, CONSTANTS.k2)
    out = np.zeros_like(padded(displacement))
    springs.spring_forces(padded(displacement), CONSTANTS, out)
    assert np.abs(out[..., 1:-1] - expected).max() < 1e-12 * np.abs(expected).max()


def test_energy_and_momentum_sums(displacement):
    velocity = np.random.default_rng(8).normal(size=displacement.shape)
    force, energy = spring_forces(displacement, CONSTANTS.k1, CONSTANTS.k2)
    half_kick = 0.002
    synchronous = velocity + half_kick * force / CONSTANTS.mass
    partial = np.empty((displacement.shape[1], 5))
    springs.lattice_sums(padded(displacement), padded(velocity), CONSTANTS, half_kick, partial)
    sums = partial.sum(axis=0)
    assert sums[0] == pytest.approx(energy, rel=1e-12)
    assert sums[1] == pytest.approx(0.5 * CONSTANTS.mass * np.sum(synchronous**2), rel=1e-12)
    expected = CONSTANTS.mass * synchronous.sum(axis=(1, 2, 3))
    assert np.abs(sums[2:] - expected).max() < 1e-12 * CONSTANTS.mass * np.abs(synchronous).sum()


def test_kick_drift_is_leap_frog(displacement):
    velocity = np.random.default_rng(9).normal(size=displacement.shape)
    force, _ = spring_forces(displacement, CONSTANTS.k1, CONSTANTS.k2)
    u, v = padded(displacement), padded(velocity)
    following = np.empty_like(u)
    springs.kick_drift(u, v, following, CONSTANTS, 0.003, 0.005)
    expected_v = velocity + 0.003 * force / CONSTANTS.mass
    assert np.abs(v[..., 1:-1] - expected_v).max() < 1e-12
    assert np.abs(following[..., 1:-1] - displacement - 0.005 * expected_v).max() < 1e-13
    assert np.array_equal(following[..., 0], following[..., -2])
    assert np.array_equal(following[..., -1], following[..., 1])


def test_matrix_and_loop_agree(displacement):
    matrix = spring_matrix(displacement.shape[1:], CONSTANTS.k1, CONSTANTS.k2)
    expected, _ = spring_forces(displacement, CONSTANTS.k1, CONSTANTS.k2)
    assert np.abs(-matrix @ displacement.ravel() - expected.ravel()).max() < 1e-11


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(11)
    start_u, start_v = padded(0.1 * rng.normal(size=(3, 9, 8, 11))), padded(rng.normal(size=(3, 9, 8, 11)))
    results = []
    for threads in sorted({1, numba.config.NUMBA_NUM_THREADS}):
        numba.set_num_threads(threads)
        u, v, following, partial = start_u.copy(), start_v.copy(), np.empty_like(start_u), np.empty((9, 5))
        for _ in range(10):
            springs.kick_drift(u, v, following, CONSTANTS, 0.005, 0.005)
            u, following = following, u
        springs.lattice_sums(u, v, CONSTANTS, 0.0025, partial)
        results.append(u.tobytes() + v.tobytes() + partial.tobytes())
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert all(result == results[0] for result in results)


def test_largest_displacement_and_a_nan_that_stays(displacement):
    u, partial = padded(displacement), np.empty((displacement.shape[1], 5))
    springs.largest_squares(u, partial)
    assert np.allclose(partial[:, 0], np.sum(displacement**2, axis=0).max(axis=(1, 2)), rtol=1e-14)
    u[1, 1, 0, 1] = np.nan
    springs.largest_squares(u, partial)
    assert np.isnan(partial[1, 0]) and not np.isnan(partial[[0, 2], 0]).any()
