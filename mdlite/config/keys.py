"""Every key of a configuration or of a sweep, as a table: what values it takes, its unit, its default, what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from mdlite.config.explain import did_you_mean
from mdlite.errors import InputError

PRETTY = (("Angstrom", "Å"), ("^-1", "⁻¹"), ("^12", "¹²"), ("^2", "²"), ("^3", "³"), ("k_B T", "k_BT"))
UNITS = ("meV ps²/Å²", "meV/Å²", "meV Å", "Å/ps", "meV", "Å", "ps", "K", "1/Å")


class Key(NamedTuple):
    """A key: its name in its table, the values it takes, its unit, its default and what it is, each as text."""

    name: str
    values: str
    unit: str
    default: str
    about: str


class Table(NamedTuple):
    """A table: its dotted path, empty at the top; of one that comes in kinds, which; what it is; its keys."""

    path: str
    kind: str
    about: str
    keys: list[Key]


def pretty(text: str) -> str:
    """A description with units as one writes them."""
    for plain, shown in PRETTY:
        text = text.replace(plain, shown)
    return " ".join(text.split())


def values(schema: dict[str, Any]) -> str:
    """What values a field of a JSON schema takes, in words."""
    if "$ref" in schema:
        return "table"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(values(s) for s in schema["anyOf"] if s.get("type") != "null"))
    if "oneOf" in schema:
        return "table, by its kind"
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(value) for value in schema["enum"])
    name = schema.get("type")
    if name == "array":
        if "prefixItems" in schema:
            words = {2: "two", 3: "three"}
            return f"{words[len(schema['prefixItems'])]} × {values(schema['prefixItems'][0])}"
        return f"list of {values(schema['items'])}"
    if name == "object":
        return "table"
    if schema.get("format") == "mass":
        return "element"
    word = {"integer": "whole number", "number": "number", "boolean": "true, false", "string": "text"}.get(str(name), "any")
    if name in ("integer", "number"):
        if schema.get("exclusiveMinimum") == 0:
            return word + " > 0"
        if "minimum" in schema and abs(schema["minimum"]) < 1e9:
            return f"{word} ≥ {schema['minimum']:g}"
    return word


def split_unit(text: str) -> tuple[str, str]:
    """Unit and rest of a description that has its unit behind a comma, or is nothing else."""
    for name in UNITS:
        if text == name:
            return name, ""
        for found in (f", {name}", f" in {name}"):
            head, comma, rest = text.partition(found)
            if comma and (not rest or rest[0] in ";,"):
                return name, head + rest
    return "", text


def _default(field: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = field.get("default")
    return "" if value is None or isinstance(value, dict) or "$ref" in field else json.dumps(value)


def tables(schema: dict[str, Any], path: str = "", kind: str = "", definitions: dict[str, Any] | None = None) -> Iterator[Table]:
    """The table that a JSON schema describes, and those in it."""
    definitions = definitions or schema.get("$defs", {})
    required, rows, inner = schema.get("required", []), [], []
    for name, field in schema.get("properties", {}).items():
        kinds = [field, *field.get("anyOf", []), field.get("items", {})]
        references = [(k["$ref"], "") for k in kinds if "$ref" in k]
        by_kind = [k["discriminator"] for k in kinds if "discriminator" in k]
        references += [(ref, value) for one in by_kind for value, ref in one.get("mapping", {}).items()]
        for reference, value in references:
            target = definitions[reference.rsplit("/", 1)[1]]
            if "properties" in target:
                inner.append((target, f"{path}.{name}".lstrip("."), value))
        table = references and not by_kind and "items" not in field
        if table or (references and "default" not in field and name not in required):
            continue
        unit, about = split_unit(pretty(field.get("description", "")))
        rows.append(Key(name, values(field), unit, _default(field, name in required), about))
    yield Table(path, kind, pretty(schema.get("description", "")), rows)
    for target, below, value in inner:
        yield from tables(target, below, value, definitions)


def configuration() -> list[Table]:
    """All tables of a configuration."""
    from mdlite.config.configuration import Config

    schema = Config.model_json_schema()
    schema.pop("description", None)
    return list(tables(schema))


def chosen(prefix: str = "") -> list[dict[str, str]]:
    """The keys whose dotted name is ``prefix`` or begins with it: of each its name, kind, values, unit, default and what it is.

    Raises InputError where there are none.
    """
    found = []
    for table in configuration():
        for key in table.keys:
            name = f"{table.path}.{key.name}".lstrip(".")
            found.append({"key": name, "kind": table.kind} | dict(zip(("values", "unit", "default", "about"), key[1:])))
    prefix = prefix.strip().strip(".[]")
    here = [row for row in found if not prefix or row["key"] == prefix or row["key"].startswith(prefix + ".")]
    here = here or [row for row in found if row["key"].startswith(prefix)]
    if here:
        return here
    names = {row["key"] for row in found}
    last = sorted(name for name in names if name.rsplit(".", 1)[-1] == prefix.rsplit(".", 1)[-1])
    last = [name for name in last if not name.startswith("crystal.")] or last
    near = f"; did you mean {' or '.join(last)}?" if last else did_you_mean(prefix, {*names, *_paths(names)})
    tables_there = ", ".join(sorted({name.split(".")[0] for name in names}, key=lambda name: (name == "crystal", name)))
    raise InputError(f"prefix = {prefix!r}: no key begins so{near or f'; there are {tables_there}'}")


def _paths(names: set[str]) -> set[str]:
    """Tables that these keys stand in."""
    return {name.rsplit(".", 1)[0] for name in names if "." in name}


def text(prefix: str = "") -> str:
    """`chosen` for a terminal: a key, its values, unit and default on a line, what it is on the next."""
    lines, before = [], None
    for row in chosen(prefix):
        head = row["key"].rpartition(".")[0], row["kind"]
        if row["kind"] and head != before:
            lines.append(f'{head[0]}, kind = "{row["kind"]}":')
        before = head
        default = {"required": "required", "": "no default"}.get(row["default"], f"default {row['default']}")
        lines.append("  ".join(part for part in (row["key"], row["values"], row["unit"], default) if part))
        if row["about"]:
            lines.append(f"    {row['about']}")
    return "\n".join(lines)
