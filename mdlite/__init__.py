"""mdlite: molecular dynamics of mobile ions in a vibrating crystal.

The explicit harmonic lattice with the ion in it (reference), and the time-local equation of motion of the ion alone beside it.
Units: meV, Å, ps. Heavy parts are imported when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "config",
    "load": "config",
    "Model": "model",
    "Lattice": "model",
    "Ion": "model",
    "Potential": "model",
    "Interaction": "model",
    "Sites": "model",
    "Shell": "model",
    "Cutoff": "model",
    "InputError": "errors",
    "RunError": "errors",
    "Run": "runs",
    "run": "simulate",
    "validate": "validation",
    "sweep": "sweeps",
    "collect": "collection",
    "validity": "estimate",
}
_MODULES = (
    "config",
    "phonons",
    "response",
    "analysis",
    "reference",
    "timelocal",
    "ensemble",
    "thermal",
    "motion",
    "relax",
    "groups",
    "measures",
    "comparison",
    "validation",
    "plots",
    "storage",
    "units",
)

__all__ = ["__version__", "load_case", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"mdlite.{_PUBLIC[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"mdlite.{name}")
    raise AttributeError(f"module 'mdlite' has no attribute {name!r}")


def load_case(name: str, **overrides: Any) -> Any:
    """Built-in case ``name`` as a Config, with keys replaced by dotted name: ``load_case("trapped", **{"lattice.size": 40})``.

    Raises InputError for an unknown case or an unsound value.
    """
    from mdlite import config

    loaded = config.load(name)
    return loaded.replace(**overrides) if overrides else loaded


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
