"""What a configuration comes to, in one line before a run, and what in it looks as if other units had been meant."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mdlite.config.configuration import Config
from mdlite.engines import registry
from mdlite.units import DALTON, kelvin, terahertz

HEAVIEST = 210.0
"""Da; bismuth, the heaviest element that does not decay, has 209."""
LIGHTEST = 0.9
"""Da"""
ELEMENTS = {
    "hydrogen": 1.008,
    "lithium": 6.94,
    "oxygen": 15.999,
    "fluorine": 18.998,
    "sodium": 22.990,
    "magnesium": 24.305,
    "sulphur": 32.06,
    "chlorine": 35.45,
    "potassium": 39.098,
    "copper": 63.546,
    "bromine": 79.904,
    "rubidium": 85.468,
    "silver": 107.868,
    "iodine": 126.904,
    "caesium": 132.905,
}
"""Da; ions that move in crystals, and atoms that these are made of."""
SAME = 1e-3
"""Relative difference below which a mass is taken for that of an element."""
HOTTEST = 3000.0
"""K"""
SPACINGS = (1.0, 20.0)
"""Å"""
FREQUENCIES = (0.3, 200.0)
"""THz"""
DECIDING = ("spacing", "mass", "k1", "k2")
"""Keys of [lattice] that decide what crystal it is."""


def line(config: Config) -> str:
    """Masses in Da, spacing, highest frequency, temperature, method and length of a run, and what of the crystal is left to defaults."""
    lattice = config.lattice
    if config.crystal is None:
        crystal = f"atoms {_dalton(lattice.mass)}, {_digits(lattice.spacing)} Å apart"
    else:
        crystal = _formula(config)
    parts = [
        f"ion {_mass(config.ion.mass)}",
        f"{crystal}, Ω_max {_frequency(config):.3g} THz",
        f"T = {_digits(_kelvin(config))} K" if config.thermal is not None else "T = 0",
        f"{config.method}{_box(config)}, {config.n_steps} steps of {config.run.dt:.4g} ps",
    ]
    left = [name for name in DECIDING if name not in lattice.model_fields_set] if config.crystal is None else []
    if left:
        shown = ", ".join(f"{name} = {getattr(lattice, name):g}" for name in left)
        parts.append(f"by default: lattice {shown}")
    return "; ".join(parts)


def doubts(config: Config) -> list[str]:
    """A line for everything that looks as if other units had been meant; all of it is allowed."""
    return [f"warning: {line}" for line in (*_masses(config), *_temperature(config), *_crystal(config))]


def tell(config: Config, notice) -> None:
    """Both to a callback that takes a line of text."""
    for text in (line(config), *doubts(config)):
        notice(text)


def alone(config: Config, count: int) -> str:
    """A line for a run of which so many ions have met no atom."""
    who = "the ion has" if config.n_ions == 1 else f"{count} of {config.n_ions} ions have"
    return (
        f"warning: {who} met no atom in the whole run, and flew on at the same velocity: interaction.atoms must be where the ion goes, "
        "and interaction.potential must reach and be strong enough"
    )


def _digits(value: float) -> str:
    """Four digits, and no exponent where one reads the number as well."""
    return f"{value:.4g}" if not 1e4 <= value < 1e7 else f"{value:.0f}"


def _dalton(mass: float) -> str:
    return f"{_digits(mass / DALTON)} Da"


def _mass(mass: tuple[float, float, float]) -> str:
    """The mass of an ion, and along which axes it can move."""
    free = {axis: m for axis, m in zip("xyz", mass) if math.isfinite(m)}
    if not free:
        return "held in place"
    if len(set(free.values())) > 1:
        return ", ".join(f"{_dalton(m)} along {axis}" for axis, m in free.items())
    text = _dalton(next(iter(free.values())))
    return text if len(free) == 3 else f"{text} along {' and '.join(free)} only"


def _frequency(config: Config) -> float:
    return terahertz(config.to_model().omega_max)


def _formula(config: Config) -> str:
    """The atoms of a cell: ``crystal Li3 P O4``."""
    species = config.to_crystal().species
    counts = {name: species.count(name) for name in dict.fromkeys(species)}
    return "crystal " + " ".join(f"{name}{count if count > 1 else ''}" for name, count in counts.items())


def _kelvin(config: Config) -> float:
    return kelvin(config.thermal_state.scale)


def _box(config: Config) -> str:
    """The explicit lattice, where there is one."""
    explicit = registry.told(config.method).explicit
    if explicit and config.boundary == "echo-free":
        return ", no box"
    if not explicit and config.thermal is None:
        return ""
    size = config.cells
    shown = f"{size[0]}³" if len(set(size)) == 1 else " × ".join(map(str, size))
    return f", {shown} {'atoms' if config.crystal is None else 'cells'}" + (
        f", {config.n_ions} ions" if config.n_ions > 1 else ""
    )


def _masses(config: Config) -> Iterator[str]:
    ion = next((m for m in config.ion.mass if math.isfinite(m)), None)
    lattice = None if config.crystal is not None else config.lattice.mass
    for key, mass in (("ion.mass", ion), ("lattice.mass", lattice)):
        if mass is None:
            continue
        element = next((name for name, own in ELEMENTS.items() if abs(mass / own - 1.0) < SAME), None)
        given = f"{key} = {mass:g} is {_dalton(mass)}"
        meant = f'in Da? {mass:g} Da would be {key} = {mass * DALTON:.4g}, or "{mass:g} Da"'
        if element is not None:
            yield f"{given}, and {mass:g} Da is the mass of {element}: was it meant {meant}"
        elif mass / DALTON > HEAVIEST:
            yield f"{given}, more than an atom of bismuth: was it meant {meant}"
        elif mass / DALTON < LIGHTEST:
            yield f"{given}, less than an atom of hydrogen; a mass of 1 is 9.64853 Da"


def _temperature(config: Config) -> Iterator[str]:
    thermal = config.thermal
    if thermal is None or _kelvin(config) <= HOTTEST:
        return
    if thermal.energy is not None:
        yield (
            f"thermal.energy = {thermal.energy:g} meV is {_digits(_kelvin(config))} K, hotter than any solid: was it meant in K? "
            f"That would be thermal.temperature = {thermal.energy:g}"
        )
    else:
        yield f"thermal.temperature = {thermal.temperature:g} K is hotter than any solid"


def _crystal(config: Config) -> Iterator[str]:
    if config.crystal is not None:
        return
    spacing, frequency = config.lattice.spacing, _frequency(config)
    if not SPACINGS[0] <= spacing <= SPACINGS[1]:
        yield f"lattice.spacing = {spacing:g} Å: atoms of a crystal are some 2 to 6 Å apart"
    if not FREQUENCIES[0] <= frequency <= FREQUENCIES[1]:
        yield (
            f"lattice.k1, k2 and mass make Ω_max = {frequency:.3g} THz; crystals have 1 to 50, and k1 is in meV/Å² "
            "(1 N/m is 62.4, 1 eV/Å² is 1000)"
        )
