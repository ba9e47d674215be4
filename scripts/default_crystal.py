"""What the package brings along for the usual crystal: ``python scripts/default_crystal.py [--quick] [-o FOLDER]``

The Chebyshev moments of its dynamical matrix between atoms on a line, for 30 ps, and the edge of a patch of 12³ atoms, as crystal.npz, which belongs
beside `mdlite/physics/propagator.py`. To be made again with `mdlite.engines.patch_edge.VERSION`. A minute on two cores, from an empty cache; --quick: for 1 ps.
"""

import common
import numpy as np

import mdlite
from mdlite.engines import patch_edge
from mdlite.physics import propagator

SITES = 8
"""Atoms on the line, as in the case `trapped`."""


def main(folder, quick: bool) -> None:
    """Compute, write."""
    lattice = mdlite.load_case("trapped").to_model().lattice
    count = propagator.highest_order(lattice, 1.0 if quick else 30.0)
    line = np.array([(n, 0, 0) for n in range(SITES)])
    ratio = lattice.k2 / lattice.k1
    found = np.concatenate([np.ravel(part) for part in patch_edge.fit(ratio, patch_edge.PACKED_SIZE)])
    propagator.pack(folder / propagator.PACKED, ratio, line, count, found, patch_edge.VERSION)
    print(folder / propagator.PACKED)


if __name__ == "__main__":
    common.launch(main)
