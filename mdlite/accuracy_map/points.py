"""The points of the map of validity at T = 0: a grid of collisions for the figure, and draws of every potential in every kind of motion.

Rows for the list of a sweep. What is drawn (Sobol points) is strength, range, speed and mass, how long the ion is followed, and of a throw the place and
direction; the crystals (k2/k1) and the atoms that the ion meets come in turn. Each point gets the step and the duration that its path in a rigid
lattice asks for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mdlite import analysis
from mdlite.accuracy import groups
from mdlite.config import Config, load
from mdlite.engines.base import Setup
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.errors import InputError
from mdlite.kernels.potentials import FORMS

STRENGTH, RANGE = "interaction.potential.strength", "interaction.potential.range"
BASES = {"grid": "reflection", "collisions": "reflection", "trapped": "map", "throws": "throw"}
"""The case that the points of each kind of motion change."""
DRAWN = {
    "yukawa": ((30.0, 14000.0), (0.15, 0.8)),
    "gaussian": ((100.0, 10000.0), (0.2, 0.9)),
    "lennard-jones": ((1.0, 300.0), (0.9, 2.6)),
    "born-mayer": ((500.0, 200000.0), (0.12, 0.5)),
}
"""Bounds of each potential's two parameters, in the order and the units of `mdlite.kernels.potentials.FORMS`; all are drawn in their logarithms."""
SPEEDS, MASSES = (0.5, 30.0), (0.05, 30.0)
"""Å/ps, and meV ps²/Å²."""
ENCOUNTERS, FEWEST = (0.5, 8.0), 0.3
"""How long an ion is followed (`mdlite.accuracy.groups`), and how many encounters must be left when it is not followed so long ..."""
LONGEST, FARTHEST = 3.0, 2
"""... because that would take longer (ps) or lead it farther (cells): the response of the infinite crystal would take minutes."""
LARGEST_COMPLIANCE = 10.0
"""Beyond, nothing is to be learnt: [17] is a first order in it."""
CAGE = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
SURROUNDINGS = (
    {"kind": "shell", "extent": 1},
    {"kind": "cutoff", "radius": 4.0, "switch_width": 1.0},
    {"kind": "shell", "extent": 1},
    {"kind": "cutoff", "radius": 3.5, "switch_width": 0.5},
    {"kind": "shell", "extent": 1},
    {"kind": "cutoff", "radius": 4.0, "switch_width": 1.5},
    {"kind": "shell", "extent": 1},
    {"kind": "cutoff", "radius": 4.0, "switch_width": 0.5},
)
"""Atoms that a thrown ion meets, in turn."""
OFF_CENTRE = 0.8
"""Å along each axis, of a throw's start from the cube's centre, of every other throw."""
START, LENGTH = 24.0, 1.5
"""Ranges before the atom where a collision of the grid starts, and its length in free flights to the atom, as in the paper."""
FREE, LATER = 1e-5, 1.3
"""Of a drawn one: interaction over kinetic energy where it starts, and how much later it ends than the rigid ion is back there."""
PERIODS = 1.3
"""At least, of a trapped ion."""
STEPS_PER_RANGE, STEPS_PER_PERIOD, MOST_STEPS = 60, 150, 6000
TURN, TOLERANCE = 0.25, 0.01
"""Radians in a step of the stiffest encounter, and drift of the rigid ion's energy over the kinetic, that a point may have."""
SHORTEST_STEP = 5e-5
FINE = {"run.dt": SHORTEST_STEP}
"""A step that no start is too stiff for, until a point has its own."""
BATCH, MOST_TRIED = 64, 60
"""Draws at a time, and draws for every point wanted."""


def grid(size: dict[str, Any]) -> list[dict[str, Any]]:
    """Head-on collisions over strength, range and speed."""
    rows = []
    for strength, width, speed in itertools.product(size["strengths"], size["ranges"], size["speeds"]):
        dt = _step(width / speed / STEPS_PER_RANGE)
        rows.append(
            {
                STRENGTH: strength,
                RANGE: width,
                "ion.velocity.z": speed,
                "ion.position.z": -START * width,
                "run.dt": dt,
                "run.duration": dt * round(LENGTH * START * width / speed / dt),
                "lattice.size": 20,
            }
        )
    return rows


def drawn(motion: str, size: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """So many points of each potential as ``size`` says, in one kind of motion; the potentials in turn."""
    rows = []
    for form, (name, *_) in enumerate(FORMS):
        make, low, high = MOTIONS[motion]
        bounds = np.log(np.array([*DRAWN[name], SPEEDS, MASSES, ENCOUNTERS]).T)
        seeds = np.random.default_rng([seed, form, list(MOTIONS).index(motion)])
        rows.append(_accepted(motion, name, size[motion], size["ratios"], (*bounds, low, high, make), seeds))
    return [row for turn in itertools.zip_longest(*rows) for row in turn if row is not None]


def _accepted(motion, name, count, ratios: Sequence[float], plan, seeds) -> list[dict[str, Any]]:
    """Draws of one potential, but for those that are passed over."""
    from scipy.stats import qmc

    low, high, first, last, make = plan
    base = load(BASES[motion]).replace(**{"lattice.size": 20})
    draws = qmc.Sobol(len(low) + len(first), seed=seeds)
    parameters = next(row[1] for row in FORMS if row[0] == name)
    rows: list[dict[str, Any]] = []
    for _ in range(0, MOST_TRIED * count, BATCH):
        for place in draws.random(BATCH):
            one, two, speed, mass, encounters = np.exp(low + (high - low) * place[: len(low)]).tolist()
            other = np.array(first) + (np.array(last) - first) * place[len(low) :]
            n = len(rows)
            row = {
                "interaction.potential": {"kind": name, parameters[0][0]: one, parameters[1][0]: two},
                "lattice.k2": base.lattice.k1 * ratios[n % len(ratios)],
            }
            try:
                made = make(base, row, Draw(n, two, speed, mass, encounters, other))
            except InputError:  # an atom at the start too stiff for any step
                continue
            if made is not None:
                rows.append(made)
            if len(rows) == count:
                return rows
    return rows


class Draw(NamedTuple):
    """A draw: its number, the potential's length (Å), the ion's speed (Å/ps) and mass, how many encounters, and numbers of the motion's own."""

    number: int
    length: float
    speed: float
    mass: float
    encounters: float
    other: np.ndarray


def _collision(base: Config, row: dict[str, Any], draw: Draw) -> dict[str, Any] | None:
    """Head-on, from where the potential is next to nothing."""
    row |= {"ion.mass": [np.inf, np.inf, draw.mass], "ion.velocity.z": draw.speed}
    energy = 0.5 * draw.mass * draw.speed**2
    potential = base.replace(**row, **FINE).to_model().interaction.potential
    far = np.geomspace(0.2, 60.0, 400)
    strong = np.abs(potential.evaluate(far)[0]) > FREE * energy
    if strong[-1] or not strong.any():
        return None
    row["ion.position.z"] = -float(far[np.flatnonzero(strong)[-1] + 1])
    found = _followed(base, row, draw)
    if found is None:
        return None
    z = found.position[:, 2]
    out = np.flatnonzero(np.abs(z[1:]) > abs(z[0]))
    if not len(out) or LATER * out[0] > MOST_STEPS:
        return None
    return _kept(base, row, found, int(out[0]) + 1, LATER * out[0] * found.dt)


def _trapped(base: Config, row: dict[str, Any], draw: Draw) -> dict[str, Any] | None:
    """On a line between eight atoms of it, or, every third, in the cage of a cube."""
    row |= {"ion.mass": [np.inf, np.inf, draw.mass], "ion.velocity.z": draw.speed}
    if draw.number % 3 == 2:
        row |= {"ion.position": [1.5, 1.5, 1.5], "interaction.atoms": {"kind": "sites", "sites": [list(s) for s in CAGE]}}
    centre = row.get("ion.position", base.ion_position)[2]
    row["validate.centre"] = float(centre)
    found = _followed(base, row, draw)
    if found is None:
        return None
    passed = analysis.crossings(
        found.dt * np.arange(len(found.position)), found.position[:, 2], found.velocity[:, 2], centre
    ).time
    if len(passed) < 2:
        return None
    period = float(passed[1])
    end = max(found.until(draw.encounters), PERIODS * period)
    if end > min(LONGEST, MOST_STEPS * found.dt) or period < STEPS_PER_PERIOD * found.dt:
        return None
    return _kept(base, row, found, int(period / found.dt) + 2, end)


def _throw(base: Config, row: dict[str, Any], draw: Draw) -> dict[str, Any] | None:
    """Anywhere, in the cage of a cube or with all atoms within some distance."""
    cosine, turn, *place = draw.other
    sine = np.sqrt(1.0 - cosine**2)
    way = np.array([sine * np.cos(turn), sine * np.sin(turn), cosine])
    offset = OFF_CENTRE * np.array(place) * (draw.number // len(SURROUNDINGS) % 2)
    row |= {
        "interaction.atoms": SURROUNDINGS[draw.number % len(SURROUNDINGS)],
        "ion.mass": [draw.mass] * 3,
        "ion.velocity": (draw.speed * way).tolist(),
        "ion.position": (1.5 + offset).tolist(),
    }
    found = _followed(base, row, draw)
    if found is None:
        return None
    end = found.until(draw.encounters)
    return None if end == 0.0 else _kept(base, row, found, round(end / found.dt) + 1, end)


MOTIONS: dict[str, tuple[Callable, tuple[float, ...], tuple[float, ...]]] = {
    "collisions": (_collision, (), ()),
    "trapped": (_trapped, (), ()),
    "throws": (_throw, (-1.0, 0.0, -1.0, -1.0, -1.0), (1.0, 2.0 * np.pi, 1.0, 1.0, 1.0)),
}
"""What makes a point, and the bounds of its draw's own numbers."""


class _Followed(NamedTuple):
    """A path in the rigid lattice, and the step that it needs (ps)."""

    config: Config
    dt: float
    position: np.ndarray
    velocity: np.ndarray

    def until(self, encounters: float) -> float:
        """The time after so many encounters, or the last before LONGEST and FARTHEST, ps; 0 if that is too early."""
        met = groups.encounters(self.config.to_model(), self.position, self.velocity, self.dt)
        cell = np.floor(self.position / self.config.lattice.spacing)
        left = np.flatnonzero(np.any(np.abs(cell - cell[0]) > FARTHEST, axis=1))
        last = min(round(LONGEST / self.dt), len(met), int(left[0]) - 1 if len(left) else len(met))
        enough = np.flatnonzero(met[:last] >= encounters)
        end = int(enough[0]) + 1 if len(enough) else last
        return end * self.dt if end > 0 and met[end - 1] >= FEWEST else 0.0


def _followed(base: Config, row: dict[str, Any], draw: Draw) -> _Followed | None:
    """MOST_STEPS of the rigid ion with a step that conserves its energy and follows its stiffest encounter, or None."""
    dt = _step(draw.length / draw.speed / STEPS_PER_RANGE)
    config = base.replace(**row, **FINE)
    model = config.to_model()
    while dt >= SHORTEST_STEP:
        engine = TimeLocalEngine(Setup(model, dt, method="rigid"))
        _, path = engine.advance(MOST_STEPS)
        kinetic = model.ion.kinetic_energy(path.velocity)
        total = kinetic + path.interaction
        fastest = np.sqrt(engine.ion.stiffest[0] * (1.0 / draw.mass + 1.0 / model.lattice.mass))
        if np.isfinite(total).all() and np.ptp(total) <= TOLERANCE * kinetic.max() and fastest * dt <= TURN:
            return _Followed(config, dt, path.position, path.velocity)
        dt *= 0.5
    return None


def _kept(base: Config, row: dict[str, Any], found: _Followed, first: int, end: float) -> dict[str, Any] | None:
    """The row with its step and duration, or None where its compliance in the ``first`` steps is larger than LARGEST_COMPLIANCE."""
    own = groups.along(found.config.to_model(), found.position[:first], found.velocity[:first], found.dt)
    if not own.loss > 0.0 or abs(own.compliance) > LARGEST_COMPLIANCE:
        return None
    return row | {"run.dt": found.dt, "run.duration": found.dt * round(end / found.dt)}


def _step(longest: float) -> float:
    """5 fs, or a power of two less, so that points share their response tables."""
    return 0.005 * 2.0 ** -max(0, int(np.ceil(np.log2(0.005 / longest))))
