"""What lower floors of the package use of upper ones without importing them: things by name, registered from above.

`mdlite/__init__.py` registers the package's own, by the name of their module, so that nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

_REGISTERED: dict[str, Any] = {}


def register(name: str, thing: Any) -> None:
    """Have ``thing`` found under ``name``; a text such as ``package.module:attribute`` or ``package.module`` is imported when it is first asked for."""
    _REGISTERED[name] = thing


def find(name: str) -> Any:
    """What is registered under a name. Raises LookupError if nothing is."""
    if name not in _REGISTERED:
        raise LookupError(f"{name!r} is not registered; there are: {', '.join(names())}")
    thing = _REGISTERED[name]
    if isinstance(thing, str):
        module, _, attribute = thing.partition(":")
        thing = importlib.import_module(module)
        thing = getattr(thing, attribute) if attribute else thing
    return thing


def names() -> list[str]:
    """Everything that is registered."""
    return sorted(_REGISTERED)
