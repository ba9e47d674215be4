"""The thermal points of the map of validity: ensembles of ions in crystals at a temperature, for a figure and drawn for every potential.

Classical starts, so that every ion should have T_ion = T. What is drawn (Sobol points) is temperature, barrier (from cube centre to cube centre in a rigid
lattice), range and mass; the crystals (k2/k1) come in turn. Passed over is what would not come to the crystal's temperature within the run.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from mdlite.accuracy import groups
from mdlite.accuracy.foretaste import Path
from mdlite.config import Config, load
from mdlite.errors import RunError
from mdlite.kernels.potentials import FORMS

BASE = "diffusion"
RANGES = {"yukawa": (0.3, 0.8), "gaussian": (0.5, 1.1), "lennard-jones": (1.7, 2.5), "born-mayer": (0.2, 0.5)}
"""Å, of each potential's length."""
TEMPERATURES, BARRIERS, MASSES = (5.0, 50.0), (0.5, 8.0), (0.2, 10.0)
"""meV, k_BT, meV ps²/Å²; all drawn in their logarithms."""
SLOWEST = 0.25
"""1/ps, at which an ion must lose its energy to the crystal at least, to have its temperature after the time that is left out."""
LARGEST_COMPLIANCE = 1.5
TURN, SHORTEST_STEP = 0.35, 1e-3
HOTTEST = 4.0
"""k_BT along each axis, of the ions that a step must do for."""
BATCH, MOST_TRIED = 64, 60
"""Draws at a time, and draws for every ensemble wanted."""


def common(size: dict[str, Any]) -> dict[str, Any]:
    """What all ensembles share."""
    return {"thermal.statistics": "classical", "thermal.lattices": 12, "validate.equilibration": 15.0, **size["thermal"]}


def rows(size: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """All ensembles: those of the grid, then the drawn ones."""
    return grid(size) + drawn(size, seed)


def grid(size: dict[str, Any]) -> list[dict[str, Any]]:
    """Ensembles over temperature and strength, for the paper's potential and ion."""
    pairs = itertools.product(size["temperatures"], size["barriers"])
    return [
        common(size) | {"thermal.energy": t, "interaction.potential": {"kind": "yukawa", "strength": u, "range": 0.5}}
        for t, u in pairs
    ]


def drawn(size: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """So many ensembles of each potential as ``size`` says; the potentials in turn."""
    each = [_accepted(form, name, size, np.random.default_rng([seed, form, 9])) for form, (name, *_) in enumerate(FORMS)]
    return [row for turn in itertools.zip_longest(*each) for row in turn if row is not None]


def _accepted(form: int, name: str, size: dict[str, Any], seeds: np.random.Generator) -> list[dict[str, Any]]:
    from scipy.stats import qmc

    low, high = np.log(np.array([TEMPERATURES, BARRIERS, RANGES[name], MASSES]).T)
    draws, parameters = qmc.Sobol(4, seed=seeds), FORMS[form][1]
    base = load(BASE).replace(**{"method": "time-local"})
    found: list[dict[str, Any]] = []
    for place in itertools.chain.from_iterable(draws.random(BATCH) for _ in range(0, MOST_TRIED * size["ensembles"], BATCH)):
        if len(found) == size["ensembles"]:
            break
        energy, height, width, mass = np.exp(low + (high - low) * place).tolist()
        potential = {"kind": name, parameters[0][0]: 1.0, parameters[1][0]: width}
        row = {
            "thermal.energy": energy,
            "ion.mass": mass,
            "lattice.k2": base.lattice.k1 * size["ratios"][len(found) % len(size["ratios"])],
        }
        unit = rise(base.replace(**{"interaction.potential": potential}))
        if not unit > 0.0:
            continue
        potential[parameters[0][0]] = height * energy / unit
        made = _timed(base, common(size) | row | {"interaction.potential": potential})
        if made is not None:
            found.append(made)
    return found


def rise(config: Config) -> float:
    """The barrier on the way from the ion's start to the next cube, in a rigid lattice, meV."""
    model = config.to_model()
    places = np.array(model.ion.position) + np.linspace(0.0, 0.5, 9)[:, None] * [0.0, 0.0, model.lattice.spacing * (1.0 - 1e-9)]
    d = model.candidate_sites(places) * model.lattice.spacing - places[:, None]
    energy = model.interaction.potential.evaluate(np.linalg.norm(d, axis=2))[0].sum(axis=1)
    return float(energy.max() - energy[0])


def _timed(base: Config, row: dict[str, Any]) -> dict[str, Any] | None:
    """A row with the step that its hottest ions ask for, unless it is passed over."""
    try:
        config = base.replace(**row)
        numbers = groups.probe(config)
    except RunError:
        return None
    if not SLOWEST <= numbers.dissipated / groups.THERMAL_PS < np.inf or not 0.0 < numbers.compliance <= LARGEST_COMPLIANCE:
        return None
    model, dt = config.to_model(), config.run.dt
    speed = np.sqrt(HOTTEST * config.thermal_state.scale * model.ion.inverse_mass)
    for _ in range(3):
        path = Path(
            replace(model, ion=replace(model.ion, velocity=tuple((speed * [1.0, 0.8, 0.6]).tolist()))),
            "rigid",
            dt,
            round(2.0 / dt),
        )
        fastest = np.sqrt(path.engine.ion.stiffest[0] * (model.ion.inverse_mass.max() + 1.0 / model.lattice.mass))
        if fastest * dt <= TURN:
            return row | {"run.dt": dt, "run.sample_every": round(0.05 / dt)}
        dt *= 0.5
    return None
