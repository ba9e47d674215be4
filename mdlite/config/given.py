"""What users give before it is a configuration: built-in cases, texts of files, dotted keys, ``key=value`` overrides, lengths of time."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from mdlite import arguments
from mdlite.config import textfile
from mdlite.config.explain import short
from mdlite.config.values import seconds
from mdlite.errors import InputError

AXES = ("x", "y", "z")
CASES = resources.files("mdlite") / "config" / "cases"


def case_names() -> list[str]:
    """Names of the built-in cases."""
    return sorted(f.name.removesuffix(".toml") for f in CASES.iterdir() if f.name.endswith(".toml"))


def case_text(name: str) -> str:
    """The TOML text of a built-in case."""
    return CASES.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def read_text(source: str | Path) -> str:
    """TOML text of a configuration file, or of the built-in case of that name. Raises InputError if there is neither."""
    arguments.path("config", source, f"the name of a TOML file or a built-in case ({', '.join(case_names())})")
    path = Path(source)
    try:
        if not path.is_file() and str(source) in case_names():
            return case_text(str(source))
    except (OSError, ValueError) as error:  # a name that no file can have
        told = getattr(error, "strerror", None) or error
        raise InputError(f"config = {short(str(source))}: cannot be read as text: {told}") from None
    return textfile.read(path, "config", case_names(), f"no built-in case of that name ({', '.join(case_names())})")


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is TOML, and a bare word stands for a string. Raises InputError."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
        raise InputError(f"--set {text!r}: must be key=value with a dotted key, such as run.dt=0.001")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        if key.endswith(".file") and value[:1] not in ('"', "'", ""):
            return key, value
        if re.fullmatch(r"[A-Za-z][\w-]*|\d+(\.\d+)?(s|min|h|d)", value):
            return key, value
        raise InputError(
            f'--set {text!r}: {value!r} is not a TOML value (a number such as 0.1, a [list], or a "string")'
        ) from None


def wall_time(text: str, name: str) -> float:
    """A length of wall-clock time such as 90s, 5min, 2h or 1:30:00, in seconds. Raises InputError that names ``name``."""
    try:
        value = seconds(text)
        if 0.0 < value <= 1e9:
            return value
    except ValueError:
        pass
    raise InputError(f"{name} = {text!r}: must be a time such as 90s, 5min, 2h or 1:30:00")


def set_key(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dicts, making tables on the way; ``ion.velocity.z`` sets a component of a vector that is there.

    Raises InputError where the way is blocked by a value.
    """
    *tables, last = key.split(".")
    for n, name in enumerate(tables):
        owner, data = data, data.setdefault(name, {})
        if isinstance(data, list | tuple) and len(data) == 3 and n == len(tables) - 1 and last in AXES:
            owner[name] = [value if axis == last else component for axis, component in zip(AXES, data)]
            return
        if not isinstance(data, dict):
            raise InputError(f"{key}: {name} is a value, not a table with keys of its own")
    data[last] = value
