"""Names of methods as a configuration has them, and what upper floors ask of the registry (`mdlite.engines.registry`) without knowing engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from mdlite.engines import registry


class _OneOf:
    """A text that is one of the names that ``known`` gives when it is asked: a Literal that can grow, with the same errors and the same schema."""

    def __init__(self, known: Callable[[], tuple[str, ...]]):
        self.known = known

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(self.known()), "type": "string"}

    def _checked(self, value: Any) -> str:
        names = self.known()
        if isinstance(value, str) and value in names:
            return value
        *most, last = map(repr, names)
        expected = f"{', '.join(most)} or {last}" if most else last
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})


MethodName = Annotated[str, _OneOf(registry.names)]
"""Of any method."""
RungName = Annotated[str, _OneOf(registry.comparable)]
"""Of a method that the explicit lattice can be compared with."""


def default_rungs() -> list[str]:
    """What is compared with the reference unless the user says otherwise, the most accurate first."""
    return list(registry.rungs())


def thermal_rungs() -> list[str]:
    """The same of the protocols at a temperature."""
    return list(registry.rungs(thermal_rung=True))


def lossless() -> tuple[str, ...]:
    """Methods whose ion never loses energy."""
    return registry.names(lossless=True)


def about(name: str) -> tuple[str, str, str] | None:
    """What a method that reports have no words for says of itself: what it solves, and that equation and start are not known; None: it is no method."""
    if name not in registry.names():
        return None
    said = (registry.find(name).__doc__ or name).strip().splitlines()[0]
    return said.rstrip("."), "–", "–"
