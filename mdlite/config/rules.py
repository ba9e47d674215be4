"""What pydantic cannot see: rules between fields, each told as ``field = value: what would be right``."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from mdlite.config import crystal_rules
from mdlite.engines import registry
from mdlite.physics.integrators import INTEGRATORS
from mdlite.physics.model import MOST_TURN

if TYPE_CHECKING:
    from mdlite.config.configuration import Config
    from mdlite.engines.registry import Method

HIGHEST_ENERGY = 1e9
"""meV; an ion that starts with more (a million eV) sits on top of an atom."""

SHORTEST_MEMORY = 0.5
"""ps; a shorter memory cuts off part of the lattice's own vibrations."""


MOST_CELLS = 1e9
"""From the origin to the ion."""


def faults(config: Config, start: bool = True, medium: bool = False) -> list[str]:
    """Every rule between fields that the configuration breaks, one line each; empty if it is sound.

    start: also whether the ion can start where it is, for what lets it start there. medium: the method need not take a [crystal].
    """
    method = registry.told(config.method)
    if config.crystal is not None:
        found = crystal_rules.faults(config, medium)
        if not found and not medium:
            found = [
                *_stepping(config, method),
                *_snapshots(config, method),
                *_validation(config),
                *_frozen(config),
                *_memory(config),
            ]
            found += [*_together(config), *_recorded(config, method), *method.faults(config)]
            found = found or [*crystal_rules.model_faults(config)] or [*_candidates(config, method)]
        return found or (start_faults(config) if start and not medium else [])
    if config.interaction.potentials or config.interaction.potential is None:
        return [
            "interaction.potentials: are for the species of a [crystal]; in a [lattice] all atoms are alike: give interaction.potential"
        ]
    found = [*_stepping(config, method), *_thermal(config, method), *_snapshots(config, method), *_validation(config)]
    near = [*_ion(config), *_atoms(config)]
    if not near:
        near = [*_memory(config), *_absorber(config), *method.faults_of_atoms(config)]
    found += [*near, *method.faults(config)]
    if not found:
        found = [*_candidates(config, method)]
    if method.needs_response and config.lattice.k2 == 0.0:
        found.append(
            f'lattice.k2 = 0: method = "{config.method}" needs W(0) and L, which diverge without next-nearest neighbour springs '
            "(the axes are independent chains); give k2 > 0"
        )
    return found or (start_faults(config) if start else [])


def _stepping(config: Config, method: Method):
    run = config.run
    omega = config.to_lattice().omega_max if config.crystal is None else crystal_rules.omega_max(config)
    lattice_moves = method.steps_atoms or config.thermal is not None
    if run.integrator != "velocity-verlet" and not method.integrates(config):
        yield (
            f'run.integrator = "{run.integrator}": is for method = "reference" with lattice.boundary = "periodic" only; '
            'everything else is stepped by "velocity-verlet"'
        )
    limit = INTEGRATORS[run.integrator].limit
    if lattice_moves and run.dt >= limit / omega:
        yield f"run.dt = {run.dt:g}: must be below {limit:g}/Omega_max = {limit / omega:.6g} ps, the stability limit of {run.integrator} here"
    steps = run.duration / run.dt
    if steps > 1e15:
        yield f"run.duration = {run.duration:g}: is {steps:.3g} steps of run.dt = {run.dt:g}; give a shorter duration or a longer step"
    elif round(steps) < 1 or abs(steps - round(steps)) > 1e-6 * max(1.0, 1e-6 * steps):
        nearest = run.dt * max(1, round(steps))
        yield f"run.duration = {run.duration:g}: must be a whole number of steps of run.dt = {run.dt:g}; the nearest is {nearest:.12g}"


def _thermal(config: Config, method: Method):
    thermal = config.thermal
    if thermal is None:
        return
    yield from crystal_rules.temperature(thermal)
    if config.lattice.k2 == 0.0:
        yield "lattice.k2 = 0: modes without restoring force have no thermal state; give k2 > 0"
    yield from _together(config)
    if thermal.ions > config.to_lattice().n_atoms:
        yield (
            f"thermal.ions = {thermal.ions}: lattice.size = {list(config.lattice.size)} has {config.to_lattice().n_atoms} cells, and ions "
            "that start in the same cell would move alike; give fewer ions, or more thermal.lattices"
        )
    yield from _recorded(config, method)


def _together(config: Config):
    thermal = config.thermal
    if thermal is not None and thermal.ions > 1 and config.interaction.atoms.kind == "sites":
        yield f"thermal.ions = {thermal.ions}: with fixed sites all ions would start in one place; use a shell or a cutoff"


def _recorded(config: Config, method: Method):
    thermal = config.thermal
    if thermal is not None and config.run.record_atoms and (not method.thermal_atoms or thermal.lattices > 1):
        yield "run.record_atoms = true: atoms are recorded for a single thermal reference lattice only; set it to false"


def _memory(config: Config):
    window = config.memory.window
    if window is not None and window < SHORTEST_MEMORY:
        yield f"memory.window = {window:g}: must be at least {SHORTEST_MEMORY:g} ps, which the crystal's response needs to settle"


def _absorber(config: Config):
    if config.lattice.boundary == "absorbing":
        room = min(config.lattice.size) - int(np.ptp(config.to_model().offsets, axis=0).max()) - 3
        if 2 * config.lattice.absorber_width > room:
            yield (
                f"lattice.absorber_width = {config.lattice.absorber_width}: the layer takes twice that of a box whose smallest edge is "
                f"{min(config.lattice.size)}, and must leave room for the ion's atoms; give {max(1, room // 2)} or less, or a larger box"
            )


def _snapshots(config: Config, method: Method):
    wanted = config.snapshots
    if wanted is None:
        return
    if not method.takes_snapshots(config):
        yield (
            'snapshots: are taken of one explicit lattice, method = "reference" with lattice.boundary = "periodic" or "absorbing" and '
            "thermal.lattices = 1; take the [snapshots] table out"
        )
    elif wanted.extent is not None and 2 * wanted.extent > min(config.cells):
        yield (
            f"snapshots.extent = {wanted.extent}: the block is {2 * wanted.extent} atoms wide and must fit into the lattice, whose smallest "
            f"size is {min(config.cells)}; give {min(config.cells) // 2} or less"
        )


def _validation(config: Config):
    if config.validate_.reference != "periodic" or config.validate_.ladder:
        if config.validate_.protocol != "rungs":
            yield f'validate.reference and validate.ladder: are for validate.protocol = "rungs", not "{config.validate_.protocol}"'
        if config.validate_.ladder and config.validate_.reference == "periodic":
            yield 'validate.ladder = true: compares with the infinite crystal; set validate.reference to "memory-kernel" or "echo-free"'
    first, last = config.validate_.fit
    if not first < last:
        yield f"validate.fit = {[first, last]}: the first lag must be below the last"
    for name in ("rungs", "ranges", "speeds", "energies"):
        values = getattr(config.validate_, name)
        if len(set(values)) < len(values):
            yield f"validate.{name} = {list(values)}: lists one of them twice; list each once"


def _candidates(config: Config, method: Method):
    most = method.most_atoms
    if most is not None and len(config.to_model().offsets) > most:
        yield (
            f'interaction.atoms: takes {len(config.to_model().offsets)} atoms near the ion, method = "{config.method}" at most {most}; '
            "give a smaller extent or radius, or fewer sites"
        )


def _frozen(config: Config):
    for axis, mass, speed in zip("xyz", config.ion.mass, config.ion.velocity):
        if math.isinf(mass) and speed != 0.0:
            yield f"ion.velocity {axis} = {speed:g}: must be 0, because the infinite ion.mass freezes this axis"


def _ion(config: Config):
    yield from _frozen(config)
    cells = max(map(abs, config.ion_position)) / config.lattice.spacing
    if cells > MOST_CELLS:
        yield f"ion.position = {_list(config.ion.position)}: lies {cells:.1g} cells from the origin; must be within {MOST_CELLS:g}"


def _atoms(config: Config):
    atoms, size = config.interaction.atoms, config.lattice.size
    if atoms.kind == "sites":
        yield from _sites(atoms.sites, size)
        return
    if atoms.kind == "shell":
        reach, key = float(atoms.extent), f"extent = {atoms.extent}"
        if 2 * atoms.extent > min(size):
            yield (
                f"interaction.atoms.extent = {atoms.extent}: the shell is {2 * atoms.extent} atoms wide and must fit into the lattice, "
                f"whose smallest size is {min(size)}; give {min(size) // 2} or less"
            )
            return
    else:
        reach, key = atoms.radius / config.lattice.spacing, f"radius = {atoms.radius:g}"
        half = 0.5 * min(size) * config.lattice.spacing
        if atoms.switch_width > atoms.radius:
            yield f"interaction.atoms.switch_width = {atoms.switch_width:g}: must be at most the radius, {atoms.radius:g} Angstrom"
        if atoms.radius > half:
            yield f"interaction.atoms.radius = {atoms.radius:g}: must be at most half the smallest box edge, {half:g} Angstrom"
            return
    if 8.0 * reach**3 > crystal_rules.MOST_ATOMS:
        yield f"interaction.atoms.{key}: takes {8.0 * reach**3:.1g} atoms or so near the ion; must be {crystal_rules.MOST_ATOMS} at most"


def _sites(sites: list[tuple[int, ...]], size: tuple[int, int, int]):
    if other := next((site for site in sites if len(site) != 3), None):
        yield f"interaction.atoms.sites = {list(other)}: must be three whole numbers in a [lattice]; the fourth, κ, is for a [crystal]"
        return
    outside = [site for site in sites if any(not 0 <= n < limit for n, limit in zip(site, size))]
    if outside:
        more = f", and so do {len(outside) - 1} more of the {len(sites)}" if len(outside) > 1 else ""
        yield (
            f"interaction.atoms.sites = {list(outside[0])}: lies outside the lattice{more}; each index must be 0 to size - 1, "
            f"size = {list(size)}"
        )
    twice = [site for site, times in Counter(sites).items() if times > 1]
    if twice:
        more = f" (and so are {len(twice) - 1} more)" if len(twice) > 1 else ""
        yield f"interaction.atoms.sites = {list(twice[0])}: is listed more than once{more}; list every atom once"


def start_faults(config: Config) -> list[str]:
    """The ion must not start on top of an atom, nor so close to one that the first step is wrong."""
    model = config.to_model()
    position = np.array(model.ion.position)
    sites = model.candidate_sites(position)
    distance = np.linalg.norm(model.apart(position), axis=1)
    nearest = int(np.argmin(distance))
    if not distance[nearest] < model.atoms.cutoff:
        return []
    phi, slope, curvature = map(float, model.law(nearest).pairs(distance[nearest]))
    where = f"ion.position = {_list(config.ion.position)}: is"
    atom = f"the atom at site {sites[nearest].tolist()}"
    if not all(map(math.isfinite, (phi, slope, curvature))) or abs(phi) > HIGHEST_ENERGY:
        if distance[nearest] > 0.5 * model.length:
            return [
                f"interaction.potential: is {phi:.3g} meV where the ion starts, {distance[nearest]:.3g} Angstrom from {atom}; "
                "its parameters are far too large"
            ]
        return [f"{where} on top of {atom} ({distance[nearest]:.3g} Angstrom away, potential {phi:.3g} meV); start farther away"]
    turn = INTEGRATORS[config.run.integrator].turn * MOST_TURN
    fastest = math.sqrt(abs(curvature) * (float(model.ion.inverse_mass.max()) + 1.0 / model.lightest))
    if fastest * config.run.dt <= turn:
        return []
    return [
        f"{where} {distance[nearest]:.3g} Angstrom from {atom}, where the two would vibrate at {fastest:.3g} rad/ps, "
        f"{fastest * config.run.dt:.2g} rad in a step of run.dt = {config.run.dt:g}, {turn:g} at most; move the ion away from the atom"
    ]


def _list(vector: tuple[float, ...]) -> list[float]:
    """A vector with as many digits as one reads."""
    return [float(f"{x:.6g}") for x in vector]
