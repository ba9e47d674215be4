"""Built-in crystals: the tables cell, atoms and springs of each, with its source, as TOML files in this folder."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from mdlite import arguments

FILES = resources.files("mdlite") / "crystals" / "library"


def names() -> list[str]:
    """Of the built-in crystals."""
    return sorted(file.name.removesuffix(".toml") for file in FILES.iterdir() if file.name.endswith(".toml"))


def text(name: str) -> str:
    """The TOML text of a built-in crystal. Raises InputError for another name."""
    arguments.choice("crystal", name, names())
    return FILES.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    """Its tables: what `mdlite.crystals.springs.from_springs` takes. Raises InputError for another name."""
    return tomllib.loads(text(name))
