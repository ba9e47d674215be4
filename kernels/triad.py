"""The STREAM triad, which measures how fast memory is read and written."""

from numba import prange

from mdlite.kernels.jit import parallel


@parallel
def triad(a, b, c, factor):
    """a = b + factor c for three flat arrays of one length. Contract: a is written."""
    for n in prange(a.shape[0]):
        a[n] = b[n] + factor * c[n]
