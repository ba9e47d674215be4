"""What a user asks for: TOML → pydantic → frozen model. Every error names the field, its value and what would be right."""

from mdlite.config.configuration import (
    Config,
    case_names,
    case_text,
    load,
    load_lattice,
    parse,
    parse_override,
    read_text,
    set_key,
    unit_of,
    wall_time,
)

__all__ = [
    "Config",
    "case_names",
    "case_text",
    "load",
    "load_lattice",
    "parse",
    "parse_override",
    "read_text",
    "set_key",
    "unit_of",
    "wall_time",
]
