"""Symplectic integrators of the explicit lattice: compositions of kicks and drifts, each pair one pass over the lattice.

With m ü = F(u), one step is kick b_1, drift a_1, kick b_2, ... drift a_s, kick b_{s+1} (in parts of dt; the same forwards and backwards). The last
kick and the first of the next step are taken together, so velocities are kept as they are before it, ``half`` = b_1 dt behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Integrator:
    """One composition. kicks (s + 1,), drifts (s,): parts of dt, in their order.

    order: of its error in dt. limit: a step must be below limit/Ω_max. turn: how many times the angle that a vibration turns in a step of
    velocity Verlet may be turned in one of this, for the ion against an atom.
    """

    kicks: tuple[float, ...]
    drifts: tuple[float, ...]
    order: int
    limit: float
    turn: float

    @property
    def stages(self) -> int:
        """Passes over the lattice, and evaluations of the force, in one step."""
        return len(self.drifts)

    def clock(self, dt: float):
        """`mdlite.kernels.types.Clock` of steps of dt (ps)."""
        from mdlite.kernels.types import Clock

        kicks = np.array(self.kicks)
        kicks[0] += kicks[-1]
        return Clock(dt * kicks[:-1], dt * np.array(self.drifts), dt * self.kicks[0])


def _around(*half: float, middle: float | None = None) -> tuple[float, ...]:
    """Coefficients that read the same forwards and backwards."""
    return (*half, *(() if middle is None else (middle,)), *half[::-1])


_KICKS_4 = (0.0829844064174052, 0.396309801498368, -0.0390563049223486)
_DRIFTS_4 = (0.245298957184271, 0.604872665711080)
_KICKS_6 = (0.0414649985182624, 0.198128671918067, -0.0400061921041533, 0.0752539843015807, -0.0115113874206879)
_DRIFTS_6 = (0.123229775946271, 0.290553797799558, -0.127049212625417, -0.246331761062075, 0.357208872795928)

INTEGRATORS = {
    "velocity-verlet": Integrator((0.5, 0.5), (1.0,), 2, 2.0, 1.0),
    "blanes-moan-4": Integrator(
        _around(*_KICKS_4, middle=1.0 - 2.0 * sum(_KICKS_4)), _around(*_DRIFTS_4, 0.5 - sum(_DRIFTS_4)), 4, 3.16, 2.0
    ),
    "blanes-moan-6": Integrator(
        _around(*_KICKS_6, 0.5 - sum(_KICKS_6)), _around(*_DRIFTS_6, middle=1.0 - 2.0 * sum(_DRIFTS_6)), 6, 3.1, 3.0
    ),
}
"""velocity Verlet, and of Blanes and Moan (J. Comput. Appl. Math. 142, 313, 2002) the Runge-Kutta-Nyström splittings of order four in six stages
and of order six in eleven."""
