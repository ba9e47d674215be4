"""Multiply-adds as fast as the cores can do them, which bounds the step of a crystal (`blocks`)."""

from numba import prange

from mdlite.kernels.jit import bare, parallel
from mdlite.kernels.vectors import WIDTH, fma, load, store

CHAINS = 12
"""Independent of each other, so that none waits for the last result."""


@bare
def _chains(numbers, at, count):
    """``count`` multiply-adds of twelve vectors."""
    x = load(numbers, at)
    a, b, c, d, e, f, g, h, i, j, k, m = x, x, x, x, x, x, x, x, x, x, x, x
    for _ in range(count):
        a, b, c, d = fma(x, a, x), fma(x, b, x), fma(x, c, x), fma(x, d, x)
        e, f, g, h = fma(x, e, x), fma(x, f, x), fma(x, g, x), fma(x, h, x)
        i, j, k, m = fma(x, i, x), fma(x, j, x), fma(x, k, x), fma(x, m, x)
    store(numbers, at, a + b + c + d + e + f + g + h + i + j + k + m)


@parallel
def multiply_add(numbers, count):
    """``count`` × CHAINS × 8 multiply-adds by each thread. Contract: numbers, flat, eight for each thread, are written."""
    for thread in prange(numbers.shape[0] // WIDTH):
        _chains(numbers, WIDTH * thread, count)
