"""A run as Python sees it: settings, facts, and arrays, in memory or in its file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import reading
from mdlite.config import Config, parse

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Run:
    """A finished run. Arrays have one row per frame; vectors of the ion are (frames, ions, 3). Units: Å, ps, meV.

    config: its settings. facts: versions, threads, timing, status. data: all arrays by name (see ARCHITECTURE.md, Files); those of a run in
    a file are read when they are first asked for.
    """

    config: Config
    facts: dict[str, Any]
    data: Mapping[str, np.ndarray] = field(repr=False)

    def __getattr__(self, name: str) -> np.ndarray:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(f"this run has no {name!r}; it has {', '.join(sorted(self.__dict__.get('data', {})))}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.data})

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name} {shape}" for name, shape in self.shapes().items())
        return f"<Run {self.config.method!r}, {self.facts.get('status')}: {arrays}>"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every array, without reading it from a file."""
        if isinstance(self.data, reading.Contents):
            return self.data.shapes()
        return {name: values.shape for name, values in self.data.items()}

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """A run from its file. Raises InputError if it is not one."""
        contents = reading.Contents(path)
        with reading.refusal(contents.path):
            return cls(parse(tomllib.loads(contents.toml)), contents.facts, contents)

    @property
    def total_energy(self) -> np.ndarray:
        """Total energy at the budgets' times, meV (reference runs)."""
        return self.energy_elastic + self.energy_framework_kinetic + self.energy_interaction + self.energy_ion_kinetic

    def to_xarray(self) -> xarray.Dataset:
        """The run as an xarray Dataset: coordinates in ps, a ``units`` attribute on every variable, settings and facts as attributes."""
        from mdlite import export

        return export.dataset(self)
