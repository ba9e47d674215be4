"""Rules between the keys of a configuration that has a [crystal]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mdlite.config import crystal_section
from mdlite.engines import registry
from mdlite.errors import InputError

if TYPE_CHECKING:
    from mdlite.config.configuration import Config
    from mdlite.config.sections import SitesSection, ThermalSection

MOST_ATOMS = 1_000_000
"""That can be near one ion, by any method."""
INSTEAD = 'mdlite phonons, mdlite crystal and sweeps with task = "medium" do'


def faults(config: Config, medium: bool) -> list[str]:
    """Every rule that it breaks, one line each. medium: the method need not take a [crystal]."""
    assert config.crystal is not None
    if found := list(two_crystals(config.lattice is not None)):
        return found
    if not medium and (refused := refusal(config)):
        return [refused]
    found = list(crystal_section.faults(config.crystal))
    if config.thermal is not None:
        found += temperature(config.thermal)
    if config.run.duration / config.run.dt > 1e15:
        found.append(f"run.duration = {config.run.duration:g}: must be 1e15 steps of run.dt = {config.run.dt:g} at most")
    return found or list(_atoms(config))


def omega_max(config: Config) -> float:
    """The highest angular frequency of its crystal, rad/ps."""
    from mdlite.crystals import dynamics

    return dynamics.omega_max(config.to_crystal())


def model_faults(config: Config) -> Iterator[str]:
    """What is wrong with the ion's atoms and potentials in its crystal."""
    try:
        config.to_model()
    except InputError as error:
        yield str(error)


def refusal(config: Config) -> str | None:
    """Why the method cannot run in this crystal, or None."""
    if config.crystal is None or registry.told(config.method).crystals:
        return None
    return f'method = "{config.method}": does not take a [crystal] yet; {INSTEAD}'


def two_crystals(lattice: bool) -> Iterator[str]:
    """A line where there is a [lattice] beside a [crystal]."""
    if lattice:
        yield "crystal and lattice: give one of the two; [lattice] is the simple cubic crystal of springs, [crystal] any other"


def temperature(thermal: ThermalSection) -> Iterator[str]:
    """What is wrong with how the temperature is given."""
    if thermal.energy is not None and thermal.temperature is not None:
        yield f"thermal.energy = {thermal.energy:g} and thermal.temperature = {thermal.temperature:g}: give one of the two, meV or K"
    if thermal.energy is None and thermal.temperature is None:
        yield "thermal.energy: is missing; give thermal.energy in meV or thermal.temperature in K"


def _atoms(config: Config) -> Iterator[str]:
    atoms = config.interaction.atoms
    if atoms.kind == "shell":
        yield 'interaction.atoms.kind = "shell": is for the simple cubic [lattice]; in a [crystal] give "cutoff" with a radius, or "sites"'
    elif atoms.kind == "cutoff" and atoms.switch_width > atoms.radius:
        yield f"interaction.atoms.switch_width = {atoms.switch_width:g}: must be at most the radius, {atoms.radius:g} Angstrom"
    elif atoms.kind == "sites":
        yield from _sites(config, atoms)
    elif (near := _within(config, atoms.radius)) > MOST_ATOMS:
        yield f"interaction.atoms.radius = {atoms.radius:g}: takes {near:.1g} atoms or so near the ion; must be {MOST_ATOMS} at most"


def _within(config: Config, radius: float) -> float:
    """How many atoms a sphere holds, roughly; 0 of a crystal that cannot be had."""
    try:
        crystal = config.to_crystal()
    except InputError:  # which is told elsewhere
        return 0.0
    return 4.2 * radius**3 * crystal.n_basis / crystal.volume


def _sites(config: Config, atoms: SitesSection) -> Iterator[str]:
    from mdlite.crystals.crystal import divided

    key, section = "interaction.atoms.sites", config.crystal
    assert section is not None
    if other := next((site for site in atoms.sites if len(site) != 4), None):
        yield f"{key} = {list(other)}: must be four whole numbers in a [crystal]: three of the primitive cell, and the atom's number κ in it"
        return
    try:
        count = config.to_crystal().n_basis
    except InputError as error:
        yield str(error)
        return
    if other := next((site for site in atoms.sites if not 0 <= site[3] < count), None):
        yield f"{key} = {list(other)}: has atom κ = {other[3]}; must be 0 to {count - 1}, the crystal has {count} atoms in its primitive cell"
        return
    box = np.diag(section.size) @ np.array(section.matrix or np.eye(3, dtype=int))
    outer, places = divided(np.array(atoms.sites)[:, :3], box)
    outside = [site for site in atoms.sites if any(not 0 <= n < limit for n, limit in zip(site, section.size))]
    if section.matrix is None and outside:
        yield f"{key} = {list(outside[0])}: lies outside the crystal; each index must be 0 to size - 1, size = {list(section.size)}"
    if section.matrix is not None and outer.any():
        first = int(np.flatnonzero(outer.any(axis=1))[0])
        image = [*places[first].tolist(), atoms.sites[first][3]]
        yield f"{key} = {list(atoms.sites[first])}: lies outside the crystal; its image within it is {image}"
    twice = Counter((*place, site[3]) for place, site in zip(places.tolist(), atoms.sites)).most_common(1)[0]
    if twice[1] > 1:
        yield f"{key} = {list(twice[0])}: is listed more than once; list every atom once"
