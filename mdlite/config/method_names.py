"""Names of methods as a configuration has them, and what upper floors ask of the registry (`mdlite.engines.registry`) without knowing engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from mdlite.engines import registry

FOREIGN = "foreign"
"""As the context of a validation: methods of which only the name is known are taken, for files from elsewhere."""


class _OneOf:
    """A text that is one of the names that ``known`` gives when it is asked: a Literal that can grow, with the same errors and the same schema."""

    def __init__(self, known: Callable[[], tuple[str, ...]]):
        self.known = known

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"enum": list(self.known()), "type": "string"}

    def _checked(self, value: Any, info: core_schema.ValidationInfo) -> str:
        names = self.known()
        named = isinstance(value, str) and registry.NAME.fullmatch(value) is not None
        if isinstance(value, str) and (value in names or (named and info.context == FOREIGN and value not in registry.names())):
            return value
        *most, last = map(repr, names)
        told = {"expected": f"{', '.join(most)} or {last}" if most else last}
        if named and value not in registry.names():
            told["otherwise"] = f"; {value!r} is not registered in this process: {registry.HOW}"
        raise PydanticCustomError("literal_error", "Input should be {expected}", told)


MethodName = Annotated[str, _OneOf(registry.names)]
"""Of any method."""
RungName = Annotated[str, _OneOf(registry.comparable)]
"""Of a method that the explicit lattice can be compared with."""


def require_modules() -> None:
    """Raise InputError where a module that should bring methods cannot be imported: pydantic would take it for a fault of some key."""
    registry.names()


def unknown(names: Iterable[str]) -> bool:
    """Whether there is a name among them that is not registered."""
    return not set(names) <= set(registry.names())


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
