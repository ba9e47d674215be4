"""The dot product against the exactly rounded sum."""

import math

import numpy as np
import pytest

from mdlite.kernels.sums import BLOCK, dot


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 200, 1003])
def test_dot(length):
    rng = np.random.default_rng(length)
    a, b = rng.normal(size=(2, length)) * 10.0 ** rng.integers(-6, 6, (2, length))
    # x y = fl(x y) + e with e exact by Dekker's splitting is not needed: 64 bits of long double hold what the bound asks for
    exact = math.fsum((np.longdouble(a) * np.longdouble(b)).tolist())
    assert abs(dot(a, b) - exact) <= (length + 2) * 2.0**-53 * float(np.abs(a) @ np.abs(b))


def test_whole_numbers_are_exact_wherever_they_stand():
    a = np.zeros(77)
    for place in range(77):
        a[:] = 0.0
        a[place] = 3.0
        assert dot(a, np.arange(77.0)) == 3.0 * place
