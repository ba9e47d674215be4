"""The normal distribution that thermal displacements and velocities are compared with."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

BINS = 80
LARGEST = 4.5
"""Of the histograms, in standard deviations of a component."""


def gaussian_norm(x: np.ndarray) -> np.ndarray:
    """Cumulative distribution of the length of a vector of three standard normal components."""
    return erf(x / np.sqrt(2.0)) - np.sqrt(2.0 / np.pi) * x * np.exp(-0.5 * x * x)
