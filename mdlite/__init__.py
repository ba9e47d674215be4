"""mdlite: molecular dynamics of mobile ions in a vibrating crystal.

The explicit harmonic lattice with the ion in it (reference), and the time-local equation of motion of the ion alone beside it.
Units: meV, Å, ps. Heavy parts are imported when they are first used, so that the command line answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mdlite import extensions, former

if TYPE_CHECKING:  # what editors and type checkers see, of _PUBLIC and _MODULES
    from mdlite import analysis as analysis
    from mdlite import config as config
    from mdlite import units as units
    from mdlite.accuracy import groups as groups
    from mdlite.accuracy import small_oscillations as linear  # noqa: F401
    from mdlite.accuracy.estimate import validity as validity
    from mdlite.config import Config as Config
    from mdlite.config import load as load
    from mdlite.engines import ensemble as ensemble
    from mdlite.engines import reference as reference
    from mdlite.engines import timelocal as timelocal
    from mdlite.errors import InputError as InputError
    from mdlite.errors import RunError as RunError
    from mdlite.io import recorder as storage  # noqa: F401
    from mdlite.physics import model as model
    from mdlite.physics import phonons as phonons
    from mdlite.physics import relax as relax
    from mdlite.physics import response as response
    from mdlite.physics import thermal as thermal
    from mdlite.physics.interaction import Cutoff as Cutoff
    from mdlite.physics.interaction import Interaction as Interaction
    from mdlite.physics.interaction import Potential as Potential
    from mdlite.physics.interaction import Shell as Shell
    from mdlite.physics.interaction import Sites as Sites
    from mdlite.physics.model import Ion as Ion
    from mdlite.physics.model import Lattice as Lattice
    from mdlite.physics.model import Model as Model
    from mdlite.protocols import validate as validation  # noqa: F401
    from mdlite.protocols.validate import validate as validate
    from mdlite.report import motion as motion
    from mdlite.report import plots as plots
    from mdlite.simulation.observers import Observer as Observer
    from mdlite.simulation.result import Run as Run
    from mdlite.simulation.simulate import run as run
    from mdlite.sweeps import comparison as comparison
    from mdlite.sweeps import measures as measures
    from mdlite.sweeps.results import collect as collect
    from mdlite.sweeps.running import sweep as sweep

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "config",
    "load": "config",
    "Model": "physics.model",
    "Lattice": "physics.model",
    "Ion": "physics.model",
    "Potential": "physics.interaction",
    "Interaction": "physics.interaction",
    "Sites": "physics.interaction",
    "Shell": "physics.interaction",
    "Cutoff": "physics.interaction",
    "InputError": "errors",
    "RunError": "errors",
    "Run": "simulation.result",
    "Observer": "simulation.observers",
    "run": "simulation.simulate",
    "validate": "protocols.validate",
    "sweep": "sweeps.running",
    "collect": "sweeps.results",
    "validity": "accuracy.estimate",
}
_MODULES = {"config": "config", "analysis": "analysis", "units": "units", **former.MODULES}
"""Modules that can be used as attributes of the package: ``mdlite.response`` is `mdlite.physics.response`."""

_PACKAGES = (
    "accuracy",
    "accuracy_map",
    "analysis",
    "cli",
    "config",
    "crystals",
    "engines",
    "io",
    "kernels",
    "physics",
    "protocols",
    "report",
    "simulation",
    "sweeps",
)
"""Imported when they are first used, as attributes too."""

_PROTOCOLS = ("rungs", "reflection", "barriers", "framework", "diffusion", "arrhenius", "ladder")

__all__ = ["__version__", "load_case", *_PUBLIC]

former.install()
extensions.register("notebook", "mdlite.report.notebook")
extensions.register("plots", "mdlite.report.plots")
extensions.register("own methods", "mdlite.engines.methods")
extensions.register("stored crystal", "mdlite.io.crystal_file")
extensions.register("written crystal", "mdlite.config.loading:crystal_table")
extensions.register("validity", "mdlite.accuracy.estimate")
extensions.register("protocol map", "mdlite.accuracy_map.map")
for _name in _PROTOCOLS:
    extensions.register(f"protocol {_name}", f"mdlite.protocols.{_name}")


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"mdlite.{_PUBLIC[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"mdlite.{_MODULES[name]}")
    if name in _PACKAGES:
        return importlib.import_module(f"mdlite.{name}")
    raise AttributeError(f"module 'mdlite' has no attribute {name!r}")


def load_case(name: str, **overrides: Any) -> Config:
    """Built-in case ``name`` as a Config, with keys replaced by dotted name: ``load_case("trapped", **{"lattice.size": 40})``.

    Raises InputError for an unknown case or an unsound value.
    """
    from mdlite import config

    loaded = config.load(name)
    return loaded.replace(**overrides) if overrides else loaded


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *_PACKAGES})
