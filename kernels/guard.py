"""When an ion can no longer be followed: one criterion for the ions of every method, applied at the step where it happens.

An ion is given up only for what makes its state wrong. It may be as fast as its energy allows.
"""

import math

from mdlite.kernels.jit import bare

SOUND, INFINITE, CONTACT, ENERGY, CROSSING = 0, 1, 2, 3, 4
"""Causes: none; not finite; an atom met too closely for the step; more energy than it can have come by; more than half a cell in one step."""
KINETIC, SPEED, STIFFNESS, LIMITS = 3, 4, 5, 6
"""Of ``limits``, float64 (6,): the mass per axis (0 where frozen); the most kinetic or interaction energy, meV; the highest speed, Å/ps; the largest
|φ''|, meV/Å². See `mdlite.engines.guard`."""


@bare
def cause_to_stop(limits, vx, vy, vz, energy, stiffest):
    """SOUND, or why an ion of this velocity (Å/ps), interaction energy (meV) and |φ''| (meV/Å²) is to be stopped."""
    x, y, z = vx * vx, vy * vy, vz * vz
    if not (x + y + z < math.inf and abs(energy) < math.inf):
        return INFINITE
    if stiffest > limits[STIFFNESS]:
        return CONTACT
    kinetic = 0.5 * (limits[0] * x + limits[1] * y + limits[2] * z)
    if kinetic > limits[KINETIC] or energy > limits[KINETIC]:
        return ENERGY
    if x + y + z > limits[SPEED] * limits[SPEED]:
        return CROSSING
    return SOUND
