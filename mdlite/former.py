"""Public modules under the names that they had while all modules lay flat: ``import mdlite.response`` gives `mdlite.physics.response`."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from types import CodeType, ModuleType
from typing import Any

MODULES = {
    "model": "physics.model",
    "phonons": "physics.phonons",
    "response": "physics.response",
    "thermal": "physics.thermal",
    "relax": "physics.relax",
    "reference": "engines.reference",
    "timelocal": "engines.timelocal",
    "ensemble": "engines.ensemble",
    "groups": "accuracy.groups",
    "linear": "accuracy.small_oscillations",
    "storage": "io.recorder",
    "motion": "report.motion",
    "plots": "report.plots",
    "validation": "protocols.validate",
    "measures": "sweeps.measures",
    "comparison": "sweeps.comparison",
}
"""Former name within mdlite, and present one."""


class _Finder:
    """Imports a module by its former name: the very module, not a second copy."""

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        return importlib.machinery.ModuleSpec(fullname, self) if package == "mdlite" and name in MODULES else None

    def create_module(self, spec) -> ModuleType:
        module = importlib.import_module(f"mdlite.{MODULES[spec.name.partition('.')[2]]}")
        self._own = module.__spec__
        return module

    def get_code(self, fullname: str) -> CodeType | None:
        """For ``python -m``."""
        own = f"mdlite.{MODULES[fullname.partition('.')[2]]}"
        loader: Any = importlib.import_module(own).__loader__
        return loader.get_code(own)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own  # the import system has put the former name's there


def install() -> None:
    """Have Python find the former names."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
