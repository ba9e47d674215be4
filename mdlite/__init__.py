"""mdlite: molecular dynamics of mobile ions in a vibrating crystal.

The explicit harmonic lattice with the ion in it (reference), and the time-local equation of motion of the ion alone beside it.
Units: meV, Å, ps. Heavy parts are imported when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import Any

from mdlite import extensions, former

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "config",
    "load": "config",
    "Model": "physics.model",
    "Lattice": "physics.model",
    "Ion": "physics.model",
    "Potential": "physics.model",
    "Interaction": "physics.model",
    "Sites": "physics.model",
    "Shell": "physics.model",
    "Cutoff": "physics.model",
    "InputError": "errors",
    "RunError": "errors",
    "Run": "simulation.result",
    "run": "simulation.simulate",
    "validate": "protocols.validate",
    "sweep": "sweeps.running",
    "collect": "sweeps.results",
    "validity": "accuracy.estimate",
}
_MODULES = {"config": "config", "analysis": "analysis", "units": "units", **former.MODULES}
"""Modules that can be used as attributes of the package: ``mdlite.response`` is `mdlite.physics.response`."""

_PROTOCOLS = ("rungs", "reflection", "barriers", "framework", "diffusion", "arrhenius", "ladder")

__all__ = ["__version__", "load_case", *_PUBLIC]

former.install()
extensions.register("notebook", "mdlite.report.notebook")
extensions.register("plots", "mdlite.report.plots")
extensions.register("protocol map", "mdlite.accuracy_map.map")
for _name in _PROTOCOLS:
    extensions.register(f"protocol {_name}", f"mdlite.protocols.{_name}")


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"mdlite.{_PUBLIC[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"mdlite.{_MODULES[name]}")
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
