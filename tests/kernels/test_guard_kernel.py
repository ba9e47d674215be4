"""Why an ion is stopped, cause by cause and in their order."""

import math

import numpy as np
import pytest

from mdlite.kernels.guard import CONTACT, CROSSING, ENERGY, INFINITE, KINETIC, LIMITS, SOUND, SPEED, STIFFNESS, cause_to_stop

BOUNDS = np.zeros(LIMITS)
BOUNDS[:3] = 2.0, 0.5, 0.0  # masses; the third axis is frozen
BOUNDS[KINETIC], BOUNDS[SPEED], BOUNDS[STIFFNESS] = 100.0, 30.0, 1e4


@pytest.mark.parametrize(
    "velocity, energy, stiffest, cause",
    [
        ((9.9, 0.0, 0.0), 0.0, 1e4, SOUND),  # ½ 2 v² = 98
        ((10.1, 0.0, 0.0), 0.0, 0.0, ENERGY),
        ((0.0, 19.9, 0.0), 0.0, 0.0, SOUND),  # ½ ½ v² = 99
        ((0.0, 20.1, 0.0), 0.0, 0.0, ENERGY),
        ((0.0, 0.0, 29.9), 99.0, 0.0, SOUND),  # a frozen axis has no energy, but a speed
        ((0.0, 0.0, 30.1), 0.0, 0.0, CROSSING),
        ((0.0, 0.0, 0.0), 100.1, 0.0, ENERGY),
        ((0.0, 0.0, 0.0), -1e9, 0.0, SOUND),
        ((99.0, 99.0, 99.0), 1e9, 1.1e4, CONTACT),  # what has happened first is told
        ((math.nan, 0.0, 0.0), 0.0, 1e9, INFINITE),
        ((0.0, 1e200, 0.0), 0.0, 0.0, INFINITE),
        ((0.0, 0.0, 0.0), math.nan, 0.0, INFINITE),
        ((0.0, 0.0, 0.0), -math.inf, 0.0, INFINITE),
    ],
)
def test_causes(velocity, energy, stiffest, cause):
    assert cause_to_stop(BOUNDS, *velocity, energy, stiffest) == cause
