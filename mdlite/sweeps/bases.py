"""What the points of a sweep begin with: a built-in case, a file, or tables; and ``--set`` of the command."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from mdlite import config
from mdlite.config import Config, textfile
from mdlite.errors import InputError


def plain(base: Any) -> Any:
    """A base as a TOML file can have it: a Config as its tables, a path as text."""
    if isinstance(base, Config):
        return tomllib.loads(base.to_toml())
    return str(base) if isinstance(base, Path) else base


def _base(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError("must be a built-in case, the name of a TOML file, or a table with a configuration's keys")
    return value


Base = Annotated[Any, BeforeValidator(_base), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]


def start(base: str | dict[str, Any], folder: Path) -> Config:
    """The configuration that all points begin with. Raises InputError."""
    if isinstance(base, dict):
        return config.parse(base, folder=folder)
    return config.load(_place(base, folder))


def _place(base: str, folder: Path) -> str | Path:
    """The file of a base, or the name of a built-in case. Raises InputError."""
    if not base.strip():
        raise InputError(f"base = {base!r}: must be a built-in case ({', '.join(config.case_names())}) or a TOML file")
    file = folder / base
    return file if file.is_file() else base


def tables(base: str | dict[str, Any], folder: Path) -> tuple[dict[str, Any], Path]:
    """The tables that all points begin with, as they are given, and the folder that paths in them are relative to. Raises InputError."""
    if isinstance(base, dict):
        return base, folder
    place = _place(base, folder)
    return textfile.toml(config.read_text(place), f"config = {str(place)!r}"), Path(place).parent


def given(overrides: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """Overrides by their keys; a path in them is relative to the working directory, not to the sweep's file. Raises InputError."""
    found = dict(config.parse_override(text) for text in overrides)
    file = found.get("crystal.file")
    return found | {"crystal.file": str(Path(file).absolute())} if isinstance(file, str) and file.strip() else found
