"""What a user asks for: TOML → pydantic → frozen model. Every error names the field, its value and what would be right."""

from mdlite.config.configuration import Config, parse, unit_of
from mdlite.config.given import case_names, case_text, parse_override, read_text, set_key, wall_time
from mdlite.config.loading import Medium, config_of, load, load_lattice, load_medium

__all__ = [
    "Config",
    "Medium",
    "case_names",
    "case_text",
    "config_of",
    "load",
    "load_lattice",
    "load_medium",
    "parse",
    "parse_override",
    "read_text",
    "set_key",
    "unit_of",
    "wall_time",
]
