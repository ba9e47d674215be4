"""TOML files as users have them: with a byte order mark, in another encoding, of another format, or no text at all."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mdlite.config.explain import did_you_mean, short
from mdlite.errors import InputError

MOST_BYTES = 64 * 2**20
MOST_DEPTH = 60
"""Of tables and lists in each other."""


def read(path: Path, what: str, known: Iterable[str] = (), also: str = "") -> str:
    """Text of a TOML file. what: ``config`` or ``sweep``, for messages. known: other names that would do. also: what else there is not.

    Raises InputError.
    """
    name = f"{what} = {short(str(path))}"
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        beside = {found.name: None for found in path.parent.glob("*.toml")} if path.parent.is_dir() else {}
        near = did_you_mean(path.name, {**dict.fromkeys(known), **beside})
        raise InputError(f"{name}: no such file{f', and {also}' if also else ''}{near}") from None
    except IsADirectoryError:
        raise InputError(f"{name}: cannot be read as text: it is a folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read as text: {getattr(error, 'strerror', None) or error}") from None
    if fault := _no_text(data, path):
        raise InputError(f"{name}: cannot be read as text: {fault}")
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _no_text(data: bytes, path: Path) -> str | None:
    """Why these bytes are no UTF-8 text, or None."""
    if len(data) > MOST_BYTES:
        return f"it is larger than {MOST_BYTES >> 20} MB"
    if data.startswith(b"\x89HDF\r\n"):
        return f"it is an HDF5 file, such as a run's; `mdlite info {path.name}` shows what it holds"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it is in UTF-16; save it as UTF-8"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f"it is not UTF-8 (byte 0x{data[error.start]:02x} in line {line}); save it as UTF-8"
    if "\0" in text:
        return f"it holds a zero byte (line {text.count(chr(10), 0, text.index(chr(0))) + 1}); is it a text?"
    return None


def toml(text: str, name: str) -> dict[str, Any]:
    """The content of a TOML text. name: ``config = 'FILE'``, for messages. Raises InputError."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{name}: is not valid TOML: its tables or lists are nested too deep") from None
    except ValueError as error:  # a TOMLDecodeError is one, and so is an integer of 5000 digits
        raise InputError(f"{name}: is not valid TOML: {_other_format(text) or _where(text, str(error))}") from None
    if _depth(data) > MOST_DEPTH:
        raise InputError(f"{name}: its tables or lists are nested deeper than {MOST_DEPTH} levels")
    return data


def _depth(data: Any) -> int:
    """How deep tables and lists are nested, without recursion."""
    level, depth = [data], 0
    while level and depth <= MOST_DEPTH + 1:
        depth += 1
        inner = [value for outer in level for value in (outer.values() if isinstance(outer, dict) else outer)]
        level = [value for value in inner if isinstance(value, dict | list)]
    return depth


def _other_format(text: str) -> str | None:
    """What to do about a text in another format than TOML, or None."""
    shown = "in TOML a table begins with [lattice] on a line of its own, and below it stands size = 40 (`mdlite cases trapped` prints a whole one)"
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return f"it is JSON; {shown}"
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and re.match(r"(---\s*$|%YAML|[\w.-]+\s*:(\s|$))", lines[0]):
        return f"it looks like YAML; {shown}"
    return None


def _where(text: str, message: str) -> str:
    """A parser's message with the line that it is about, and what a value without quotes wants."""
    match = re.search(r"at line (\d+), column", message)
    if match is None:
        return message
    lines = text.splitlines()
    line = lines[int(match[1]) - 1].strip() if int(match[1]) <= len(lines) else ""
    bare = re.fullmatch(r"([\w.\"-]+)\s*=\s*([A-Za-z][\w-]*)\s*(#.*)?", line)
    if bare and bare[2].lower() in ("true", "false"):
        hint = f"; write {bare[2].lower()}"
    elif bare and bare[2].lower() not in ("inf", "nan"):
        hint = f'; a text needs quotes: {bare[1]} = "{bare[2]}"'
    else:
        hint = ""
    return f"{message}: {short(line)}{hint}"
