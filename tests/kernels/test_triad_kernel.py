import numpy as np

from mdlite.kernels.triad import triad


def test_triad():
    b, c = np.random.default_rng(1).normal(size=(2, 1001))
    a = np.full(1001, np.nan)
    triad(a, b, c, 2.0)
    assert np.array_equal(a, b + 2.0 * c)
