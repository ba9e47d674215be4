"""Vectors of eight against NumPy and the scalar kernels."""

import math

import mpmath
import numpy as np
import pytest
from numba import njit

from mdlite.kernels import potentials
from mdlite.kernels import vectors as v
from mdlite.kernels.types import Coupling


@njit
def exponentials(x, out):
    for n in range(0, len(x), v.WIDTH):
        v.store(out, n, math.exp(v.load(x, n)))


def test_exponential_to_one_unit_in_the_last_place():
    x = np.concatenate([np.linspace(-700.0, 10.0, 4000), np.random.default_rng(1).uniform(-3.0, 3.0, 4000)])
    out = np.empty_like(x)
    exponentials(x, out)
    with mpmath.workdps(40):
        exact = [mpmath.exp(mpmath.mpf(value)) for value in x]
        worst = max(abs((mpmath.mpf(found) - e) / e) for found, e in zip(out, exact))
    assert worst < 2.3e-16
    exponentials(np.full(8, -1e6), out)
    assert np.all(out[:8] < 1e-300)  # beyond the smallest normal number it stays there


@njit
def combined(a, b, out):
    x, y = v.load(a, 0), v.load(b, 0)
    v.store(out, 0, v.following(x, y))
    v.store(out, 8, v.preceding(x, y))
    v.store(out, 16, v.keep(x, 3))
    v.store(out, 24, v.fma(x, y, 2.0 - x / 3.0))
    v.store(out, 32, v.lesser(v.greater(x, y), v.splat(4.5)))
    v.store(out, 40, v.where_zero(x - 3.0, y, v.nearest(x * 0.4)))
    return v.total(x), v.largest(x * -1.0)


def test_lanes():
    a, b, out = np.arange(1.0, 9.0), np.linspace(-2.0, 7.0, 8), np.empty(48)
    assert combined(a, b, out) == (36.0, 8.0)
    rows = out.reshape(6, 8)
    assert np.array_equal(rows[0], [*a[1:], b[0]]) and np.array_equal(rows[1], [a[7], *b[:7]])
    assert np.array_equal(rows[2], [1, 2, 3, 0, 0, 0, 0, 0])
    assert np.allclose(rows[3], a * b + 2.0 - a / 3.0, rtol=1e-15)
    assert np.array_equal(rows[4], np.minimum(np.maximum(a, b), 4.5))
    assert np.array_equal(rows[5], np.where(a == 3.0, b, np.rint(0.4 * a)))


@njit
def switched_eight(coupling, rho, out):
    phi, slope, curvature = potentials.switched_lanes(coupling, v.load(rho, 0))
    v.store(out, 0, phi)
    v.store(out, 8, slope)
    v.store(out, 16, curvature)


@pytest.mark.parametrize("form, params", [(0, (4000.0, 0.5)), (1, (300.0, 0.9)), (2, (3.0, 2.0)), (3, (500.0, 0.4))])
@pytest.mark.parametrize("start, cutoff", [(math.inf, math.inf), (2.0, 3.0)])
def test_potentials_eight_at_a_time(form, params, start, cutoff):
    offsets = np.zeros((1, 3), np.int64)
    coupling = Coupling(form, np.array(params), start, cutoff, offsets, offsets, False, 3.0, np.full(3, 9))
    rho, out = np.array([0.4, 1.0, 1.9, 2.0, 2.3, 2.9, 3.0, 7.0]), np.empty(24)
    switched_eight(coupling, rho, out)
    expected = np.array([potentials.switched(coupling, r) for r in rho]).T
    assert np.allclose(out.reshape(3, 8), expected, rtol=3e-15, atol=1e-300)
