"""Pydantic's errors in the words of this project: ``field = value: what would be right``."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel


def explain(error: dict[str, Any], root: type[BaseModel]) -> str:
    """One pydantic error as ``field = value: what would be right``."""
    loc = list(error["loc"])
    if loc[:1] == ["interaction"] and len(loc) > 2:
        del loc[2]  # the kind that pydantic puts into the path
    if loc[-1:] and isinstance(loc[-1], int) and loc[0] in ("lattice", "ion"):
        del loc[-1]  # one message for a vector, not one per component
    name = ".".join(str(part) for part in loc) or "configuration"
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{name} = {_short(error['input'])}: unknown key{_suggest(loc, root)}"
    if kind == "missing" and isinstance(error["loc"][-1], int):
        return f"{name} = {_short(error['input'])}: must be a list of three{_hint(loc, root)}"
    if kind == "union_tag_invalid":
        given = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        return f"{name}.kind = {given!r}: must be one of {error['ctx']['expected_tags']}"
    if kind == "missing":
        return f"{name}: is missing and must be given{_hint(loc, root)}"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = message[0].lower() + message[1:]
    return f"{name} = {_short(error['input'])}: {message}{_hint(loc, root)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _section(loc: list, root: type[BaseModel]) -> type[BaseModel] | None:
    """The section that a path of keys leads into, or None."""
    section: Any = root
    for part in loc:
        field = next((f for n, f in section.model_fields.items() if part in (n, f.alias)), None)
        section = field.annotation if field is not None else None
        section = next((kind for kind in get_args(section) if isinstance(kind, type) and issubclass(kind, BaseModel)), section)
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return None
    return section


def _suggest(loc: list, root: type[BaseModel]) -> str:
    """What the user may have meant by an unknown key."""
    section = _section(loc[:-1], root)
    if section is None:
        return ""
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known keys are {', '.join(known)}"


def _hint(loc: list, root: type[BaseModel]) -> str:
    """The description of a field, so that a wrong value is answered with what it should be."""
    while loc and isinstance(loc[-1], int):
        loc = loc[:-1]
    section = _section(loc[:-1], root) if loc else None
    if section is None:
        return ""
    field = next((f for n, f in section.model_fields.items() if loc[-1] in (n, f.alias)), None)
    return f" ({field.description})" if field is not None and field.description else ""
