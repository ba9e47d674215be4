"""Speed of any crystal's step: ``python -m pytest bench/test_crystal.py``. Diamond with force constants as far as those of calculations reach.

Printed: millions of atom-steps a second, the share of the machine's multiply-adds (measured in turn with it), and how many times faster it is
than SciPy's sparse product with the same matrix.
"""

import itertools
import time

import numpy as np
import pytest
from peers import crystal_matrix

from mdlite.crystals.box import Box
from mdlite.crystals.crystal import crystal
from mdlite.engines.speed import crystal_rate

EDGE = 5.43
REACH = 7.7
"""Å"""


def diamond():
    """Two atoms a cell; springs whose constants fall off fast."""
    cell, places = 0.5 * EDGE * (1.0 - np.eye(3)), np.array([[0.0] * 3, [0.25] * 3])
    rows = []
    for n in itertools.product(range(-5, 6), repeat=3):
        for i, j in itertools.product(range(2), repeat=2):
            x = (np.array(n) + places[j] - places[i]) @ cell
            d = np.linalg.norm(x)
            if 0.0 < d < REACH:
                block = 6000.0 * (2.35 / d) ** 8 * np.outer(x, x) / d**2
                rows += [(i, j, n, -block), (i, i, (0, 0, 0), block)]
    first, second, cells, values = map(np.array, zip(*rows))
    return crystal(cell, places, [2.9, 2.9], ["Si", "Si"], first, second, cells, values)


@pytest.mark.parametrize("size", [16, 32])
def test_diamond(size):
    box = Box(diamond(), (size,) * 3)
    product, x = crystal_matrix(box), np.random.default_rng(0).standard_normal(3 * box.n_atoms)
    v, seconds, rates = np.zeros_like(x), [], []
    for _ in range(3):
        rates.append(crystal_rate(box, repeats=2))
        begin = time.perf_counter()
        v += 1e-3 * (product @ x)
        x += 1e-3 * v
        seconds.append(time.perf_counter() - begin)
    each, share = (np.median([rate[key] for rate in rates]) for key in ("seconds", "peak_share"))
    print(
        f"\n{size}³ cells, {box.neighbours:.0f} blocks an atom, {box.bytes_per_atom:.0f} bytes an atom: {box.n_atoms / each / 1e6:.1f} million "
        f"atom-steps/s, {100 * share:.0f} % of the multiply-adds, {np.median(seconds) / each:.0f} times SciPy's CSR"
    )
