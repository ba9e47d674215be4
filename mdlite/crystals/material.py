"""What a file says about a crystal, before anything is done to it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mdlite.crystals.crystal import Crystal


class Polar(NamedTuple):
    """Charges that a crystal's displaced atoms carry.

    charges: Born effective charges (p, 3, 3), e; row: component of the polarization, column: of the displacement; their sum over the
    atoms is zero. dielectric: tensor of the clamped crystal (3, 3). matrix: the supercell of the file in cells of the crystal, (3, 3)
    whole numbers, rows. violation: by how much the file's charges missed a sum of zero, e (largest component).
    """

    charges: np.ndarray
    dielectric: np.ndarray
    matrix: np.ndarray
    violation: float = 0.0


class Material(NamedTuple):
    """A crystal as read (force constants not corrected), its charges if the file has any, and where it comes from."""

    crystal: Crystal
    polar: Polar | None = None
    source: str = ""
