"""Masses by element: ``"Li"``, isotopes ``"6Li"``, ``"D"``, and numbers with a unit, ``"6.94 Da"``."""

from __future__ import annotations

import difflib
import re
from typing import Any

from mdlite import arguments
from mdlite.errors import InputError
from mdlite.units import DALTON

NEUTRONS = {"D": "2H", "T": "3H"}
"""Isotopes with a symbol of their own."""
RIGHT = 'an element such as "Li", an isotope such as "6Li" or "D", or a number with its unit such as "6.94 Da"'


def mass(text: str, name: str = "mass", besides: str = "") -> float:
    """Mass of an atom, meV ps²/Å²: an element's standard atomic weight, an isotope's mass, or a number of Da (u, amu).

    besides: what else would be right. Raises InputError, which names ``name``, for what is none of them.
    """
    try:
        return parsed(text, besides)
    except ValueError as error:
        raise InputError(f"{name} = {text!r}: {error}") from None


def parsed(text: str, besides: str = "") -> float:
    """`mass`; raises ValueError that says only what would be right."""
    plain = text.strip()
    if is_number(plain):
        raise ValueError(f'must be a number, without quotes: {plain}; or with its unit, "{plain} Da"')
    if match := re.fullmatch(r"([-+\d.eE]+)\s*(Da|u|amu)", plain):
        return _daltons(match[1])
    plain = NEUTRONS.get(plain, plain)
    match = re.fullmatch(r"(\d{0,3})([A-Z][a-z]?)", plain)
    known = _symbols()
    if match is None or match[2] not in known:
        named = [symbol for symbol, element in known.items() if element.name == plain.lower()]
        close = named or difflib.get_close_matches(plain.lstrip("0123456789").capitalize(), known, 3, 0.5)
        raise ValueError(f"must be {besides}{RIGHT}" + (f"; did you mean {' or '.join(close)}?" if close else ""))
    element = known[match[2]]
    if not match[1]:
        return float(element.mass) * DALTON
    isotopes = element.isotopes
    if int(match[1]) not in isotopes:
        raise ValueError(f"is no known isotope; those of {match[2]} are {isotopes[0]}{match[2]} to {isotopes[-1]}{match[2]}")
    return float(element[int(match[1])].mass) * DALTON


def species_mass(species: str) -> float | None:
    """Mass of the element or isotope that a species' name begins with, meV ps²/Å²: of ``"O1"``, ``"Fe_up"``, ``"6Li"``; None where it begins with none."""
    match = re.match(r"(\d{0,3}[A-Z][a-z]?)(?![A-Za-z])", species.strip())
    try:
        return None if match is None else parsed(match[1])
    except ValueError:
        return None


def symbol(species: str) -> str | None:
    """The element that a species' name begins with: O of ``"O1"``, Li of ``"6Li"``, H of ``"D"``; None where it begins with none."""
    match = re.match(r"(\d{0,3}[A-Z][a-z]?)(?![A-Za-z])", species.strip())
    if match is None:
        return None
    plain = NEUTRONS.get(match[1], match[1]).lstrip("0123456789")
    return plain if plain in _symbols() else None


def of_mass(mass: float) -> str | None:
    """The element that an atom of that mass (meV ps²/Å²) is, by standard weights or else isotopes; None where it is no element's."""
    weight = mass / DALTON
    known = _symbols()
    close = [(abs(element.mass - weight), name) for name, element in known.items() if abs(element.mass - weight) < 1e-3 * weight]
    if not close:
        all_isotopes = ((abs(element[n].mass - weight), name) for name, element in known.items() for n in element.isotopes)
        close = [(apart, name) for apart, name in all_isotopes if apart < 1e-5 * weight]
    return min(close)[1] if close else None


def number_of(value: Any, name: str = "mass", besides: str = "") -> Any:
    """A text as `mass` has it, those in a list one by one; all else as it is. Raises InputError."""
    if isinstance(value, str):
        return mass(value, name, besides)
    if isinstance(value, list | tuple):
        return [mass(part, name, besides) if isinstance(part, str) else part for part in value]
    return value


def is_number(text: str) -> bool:
    """Whether a text is a number without a unit."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _daltons(digits: str) -> float:
    try:
        number = float(digits)
    except ValueError:
        raise ValueError(f"must be {RIGHT}") from None
    if not arguments.SMALLEST <= number * DALTON <= arguments.LARGEST:
        raise ValueError(
            "must be greater than 0" if number <= 0.0 else f"must be from {arguments.SMALLEST:g} to {arguments.LARGEST:g}"
        )
    return number * DALTON


def _symbols() -> dict[str, Any]:
    """The elements by their symbols, from hydrogen."""
    import periodictable

    return {element.symbol: element for element in periodictable.elements if element.number > 0}
