"""Pydantic's errors in the words of this project: ``field = value: what would be right``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

VECTORS = ("lattice", "crystal", "ion")
"""Tables whose keys with several numbers are vectors or matrices."""
MOST_LINES = 20
"""Of one answer; what else is wrong is only counted."""
ABSORBING = (
    "there is none in a [crystal], whose explicit box is periodic; for an ion whose sound does not come back take method = "
    '"memory-kernel" (exact) or "patch"'
)
LATTICE_ONLY = {"crystal.boundary": ABSORBING, "crystal.absorber_width": ABSORBING}
"""What is said of keys that a [lattice] alone has."""
KINDS = {
    "int_type": "must be a valid integer",
    "int_from_float": "must be a valid integer",
    "float_type": "must be a valid number",
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
"""What would be right, by the type of pydantic's error."""


def told(errors: Sequence[Mapping[str, Any]], root: type[BaseModel]) -> list[str]:
    """One line for each fault; those of one list count as one."""
    lists: dict[tuple, list[Mapping[str, Any]]] = {}
    for error in errors:
        loc = error["loc"]
        first = next((n for n, part in enumerate(loc) if isinstance(part, int)), len(loc))
        lists.setdefault((loc[:first], error["type"] if first == len(loc) else None), []).append(error)
    lines = []
    for same in lists.values():
        parts = len({error["loc"] for error in same}) - 1
        vector = parts and same[0]["loc"][0] in VECTORS
        shown = next((error for error in same if error["type"] == "extra_forbidden"), same[0])
        lines.append(explain(shown, root) + (f" (and {parts} more there)" if parts and not vector else ""))
    return list(dict.fromkeys(lines))


def shortened(lines: list[str]) -> list[str]:
    """The first lines, and how many others there are."""
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} more"]


def explain(error: Mapping[str, Any], root: type[BaseModel]) -> str:
    """One pydantic error as ``field = value: what would be right``."""
    loc = [part for part in error["loc"] if part != "[key]"]
    if loc[:1] == ["interaction"] and len(loc) > 2:
        kind_at = 3 if loc[1] == "potentials" else 2
        del loc[kind_at : kind_at + 1]  # which pydantic puts into the path
    while loc[-1:] and isinstance(loc[-1], int) and loc[0] in VECTORS and len(loc) > 2:
        del loc[-1]  # one message for a vector, not one per component
    name, kind = dotted(loc) or "configuration", error["type"]
    if kind == "extra_forbidden" and name in LATTICE_ONLY:
        return f"{name} = {short(error['input'])}: {LATTICE_ONLY[name]}"
    if kind == "extra_forbidden":
        return f"{name} = {short(error['input'])}: unknown key{_suggest(loc, root)}"
    if (kind == "missing" and isinstance(error["loc"][-1], int)) or (kind in ("tuple_type", "too_long") and _is_tuple(loc, root)):
        return f"{name} = {short(error['input'])}: {_list_of_three(error['input'], loc, root)}{_hint(loc, root)}"
    if kind == "missing":
        return f"{name}: is missing and must be given{_hint(loc, root)}"
    if kind == "union_tag_invalid":
        given = error["input"].get("kind") if isinstance(error["input"], dict) else error["input"]
        expected = str(error["ctx"]["expected_tags"])
        return f"{name}.kind = {short(given)}: must be one of {expected}{did_you_mean(given, _quoted(expected))}"
    if kind == "union_tag_not_found":
        return f"{name}.kind: is missing and must be given"
    message = _message(error)
    return f"{name} = {short(error['input'])}: {message}{_hint(loc, root)}"


def _message(error: Mapping[str, Any]) -> str:
    """What would be right, for an error about a single value."""
    kind, given = error["type"], error["input"]
    if kind in KINDS:
        message = KINDS[kind]
        if kind in ("int_type", "float_type") and isinstance(given, str) and _is_number(given):
            return f"must be a number, without quotes: {given.strip()}"
        if kind in ("int_type", "int_from_float") and isinstance(given, float) and given.is_integer() and abs(given) < 1e15:
            return f"{message}: {int(given)}"
        if kind == "float_type" and isinstance(given, int) and not isinstance(given, bool):
            return "is too large"
        if kind == "string_type" and isinstance(given, int | float):
            return f'{message}: "{given}"'
        return message
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "literal_error":
        return (
            message[0].lower()
            + message[1:]
            + did_you_mean(given, _quoted(error["ctx"]["expected"]), error["ctx"].get("otherwise", ""))
        )
    return message[0].lower() + message[1:]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _list_of_three(given: Any, loc: list, root: type[BaseModel]) -> str:
    """What would be right in place of something that is no list of three."""
    number = given.strip() if isinstance(given, str) and _is_number(given) else None
    if loc[:2] == ["interaction", "atoms"]:
        return "must be a list of three whole numbers for every atom, such as [[0, 0, 0], [0, 0, 1]]; in a [crystal] of four"
    if loc[-1:] in (["cell"], ["matrix"]):
        return "must be three rows of three numbers"
    if loc[0] == "crystal" and loc[-1] == "species":
        return 'must be a list of two species, such as ["Na", "Cl"]'
    if loc[-1:] == ["fit"]:
        return "must be a list of two"
    if isinstance(given, list) or loc[-1:] not in (["size"], ["mass"]):
        return "must be a list of three" + (f" numbers, such as [0, 0, {number}]" if number else "")
    return "must be a number, or a list of three" + (f"; without quotes: {number}" if number else "")


def dotted(loc: Iterable[Any]) -> str:
    """The name of a key by its path."""
    return ".".join(str(part) for part in loc)


def short(value: Any) -> str:
    """A value on one short line, whatever it is."""
    try:
        text = repr(value).lower() if isinstance(value, bool) else repr(value)
    except (RecursionError, ValueError):  # tables in tables without end; an integer of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(given: Any, known: Iterable[str], otherwise: str = "") -> str:
    """``; did you mean NAME?`` where one of the known names is close to what was given, else ``otherwise``."""
    plain = {re.sub(r"[\W_]", "", name).lower(): name for name in known}
    word = re.sub(r"[\W_]", "", str(given)[:80]).lower()
    close = difflib.get_close_matches(word, plain, n=1, cutoff=0.7) if word else []
    return f"; did you mean {plain[close[0]]}?" if close else otherwise


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def sections(kind: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Fields of a section that are tables, by the name that a file has; of a table that comes in kinds, every kind."""
    for name, field in kind.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield field.alias or name, part


def all_keys(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every dotted key below a section, tables left out."""
    tables = list(sections(kind))
    for name, field in kind.model_fields.items():
        if (field.alias or name) not in dict(tables):
            yield prefix + (field.alias or name)
    for name, table in tables:
        yield from all_keys(table, f"{prefix}{name}.")


def _field(loc: list, root: type[BaseModel]):
    """The field that a path of keys leads to, or None."""
    while loc and isinstance(loc[-1], int):
        loc = loc[:-1]
    section = _section(loc[:-1], root) if loc else None
    return section and next((f for n, f in section.model_fields.items() if loc[-1] in (n, f.alias)), None)


def _is_tuple(loc: list, root: type[BaseModel]) -> bool:
    field = _field(loc, root)
    return field is not None and "tuple" in str(field.annotation)


def _section(loc: list, root: type[BaseModel]) -> type[BaseModel] | None:
    """The section that a path of keys leads into, or None."""
    section: Any = root
    for part in (part for part in loc if not isinstance(part, int)):
        field = next((f for n, f in section.model_fields.items() if part in (n, f.alias)), None)
        section = field.annotation if field is not None else None
        section = next((kind for kind in get_args(section) if isinstance(kind, type) and issubclass(kind, BaseModel)), section)
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return None
    return section


def _suggest(loc: list, root: type[BaseModel]) -> str:
    """What the user may have meant by an unknown key: one of its section, or of another."""
    section, last = _section(loc[:-1], root), str(loc[-1])
    known = [field.alias or name for name, field in section.model_fields.items()] if section is not None else []
    elsewhere = sorted({key for key in all_keys(root) if key.rsplit(".", 1)[-1] == last})
    elsewhere = [key for key in elsewhere if not key.startswith("crystal.")] or elsewhere
    here = did_you_mean(last, known)
    if here or not elsewhere:
        return here or (f"; known keys are {', '.join(known)}" if known else "")
    return f"; did you mean {' or '.join(elsewhere[:3])}?"


def _hint(loc: list, root: type[BaseModel]) -> str:
    """The description of a field, so that a wrong value is answered with what it should be."""
    field = _field(loc, root)
    return f" ({field.description})" if field is not None and field.description else ""
