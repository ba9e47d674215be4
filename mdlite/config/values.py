"""Values of keys, with their bounds: numbers, masses, lengths of time; and what all tables have in common."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from mdlite import elements
from mdlite.arguments import LARGEST, SMALLEST


def _bounded(value: float) -> float:
    if abs(value) > LARGEST:
        raise ValueError(f"must be within {LARGEST:g}")
    return value + 0.0  # -0.0 is 0.0: one value, one text in a file


def _in_range(value: float) -> float:
    if not SMALLEST <= value <= LARGEST:
        raise ValueError(f"must be from {SMALLEST:g} to {LARGEST:g}")
    return value


def _mass(value: float) -> float:
    return value if value == float("inf") else _in_range(value)


Number = Annotated[float, Field(strict=True, allow_inf_nan=False), AfterValidator(_bounded)]
NotNegative = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0), AfterValidator(_bounded)]
Coordinate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9), AfterValidator(_bounded)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0), AfterValidator(_in_range)]
Tolerance = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
MassNumber = Annotated[float, Field(strict=True, gt=0), AfterValidator(_mass)]


def _weighed(value: Any) -> Any:
    """An element, an isotope or a number with its unit as a number."""
    return elements.parsed(value) if isinstance(value, str) and not elements.is_number(value) else value


_MASS_SCHEMA = WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "format": "mass"}]})
Mass = Annotated[Positive, BeforeValidator(_weighed), _MASS_SCHEMA]
"""meV ps²/Å²; what is given may be an element, an isotope, or a number with its unit (`mdlite.elements`)."""
IonMass = Annotated[MassNumber, BeforeValidator(_weighed), _MASS_SCHEMA]
"""The same, and infinity."""
MASS_TEXTS = 'or a text: "Li", "6Li", "7.016 Da"'
"""For the description of a mass."""


def triple(value: Any) -> Any:
    """One number stands for three equal ones."""
    return [value] * 3 if isinstance(value, int | float) and not isinstance(value, bool) else value


def mass_triple(value: Any) -> Any:
    """One mass stands for three equal ones."""
    return [value] * 3 if isinstance(value, str) and not elements.is_number(value) else triple(value)


Count = Annotated[int, Field(strict=True, ge=1, le=10**15)]


class Section(BaseModel):
    """A table of the configuration: unknown keys are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __hash__(self) -> int:
        return hash(
            json.dumps(self.model_dump(by_alias=True), sort_keys=True)
        )  # lists and tables in it have no hash of their own


def seconds(value: Any) -> Any:
    """A length of wall-clock time such as 90, "90s", "5min", "2h", "1d" or "1:30:00", in seconds."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)?", text):
        return float(match[1]) * {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}[match[2]]
    if match := re.fullmatch(r"(\d+):(\d\d):(\d\d)", text):
        return 3600.0 * int(match[1]) + 60.0 * int(match[2]) + float(match[3])
    raise ValueError('must be a time such as "90s", "5min", "2h" or "1:30:00"')


Seconds = Annotated[float, BeforeValidator(seconds), Field(strict=True, allow_inf_nan=False, gt=0, le=1e9)]
