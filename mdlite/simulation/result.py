"""A run as Python sees it: settings, facts, and arrays, in memory or in its file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import arguments, extensions
from mdlite.config import Config, parse
from mdlite.crystals import sources
from mdlite.errors import InputError
from mdlite.io import crystal_file, layout, reading

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

LARGEST_PICTURED = 2e8
"""Bytes of arrays that may be read for the picture in a notebook."""


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

    def _repr_html_(self) -> str:
        units = {name: layout.unit(name) for name in self.shapes()}
        return extensions.find("notebook").run_html(self, units, self._picture())

    def _picture(self) -> bytes | None:
        """The overview as a small PNG; None where there is nothing to see, or too much to read."""
        shapes = self.shapes()
        if shapes["time"][0] < 2 or 8.0 * sum(map(np.prod, shapes.values())) > LARGEST_PICTURED:
            return None
        plots = extensions.find("plots")
        return plots.png(plots.run_overview(self, (7.0, 5.6)), extensions.find("notebook").PICTURE_DPI)

    def plot(self) -> Figure:
        """Position, velocity and energies against time, as a Matplotlib figure. Raises InputError for fewer than two frames."""
        if len(self.time) < 2:
            raise InputError(
                f"run: holds fewer than two frames, there is nothing to plot; its status: {self.facts.get('status')}"
            )
        return extensions.find("plots").run_overview(self)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every array, without reading it from a file."""
        if isinstance(self.data, reading.Contents):
            return self.data.shapes()
        return {name: values.shape for name, values in self.data.items()}

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """A run from its file. Raises InputError if it is not one."""
        arguments.path("file", path, "the name of a run's file")
        contents = reading.Contents(path)
        with reading.refusal(contents.path):
            config = parse(tomllib.loads(contents.toml), start=False, foreign=True)
        if config.crystal is not None and (own := crystal_file.of_run(contents.path)) is not None:
            sources.adopt(config.crystal.values(), own)
        return cls(config, contents.facts, contents)

    @property
    def recorded(self) -> float:
        """How much of the run there is, ps: all of a complete one, else up to the last frame."""
        if self.facts.get("status") == "complete":
            return self.config.run.duration
        return float(self.time[-1]) if len(self.time) else 0.0

    @property
    def shortfall(self) -> str | None:
        """A line that says how much of the run there is, and why it is not all; None for a complete one."""
        status = self.facts.get("status", "it does not say how it ended")
        if status == "complete":
            return None
        why = "going on, or killed" if status == "running" else status
        return f"not a finished run ({why}): {self.recorded:g} of {self.config.run.duration:g} ps are there"

    @property
    def total_energy(self) -> np.ndarray:
        """Total energy at the budgets' times, meV (reference runs)."""
        return self.energy_elastic + self.energy_framework_kinetic + self.energy_interaction + self.energy_ion_kinetic

    def to_xarray(self) -> xarray.Dataset:
        """The run as an xarray Dataset: coordinates in ps, a ``units`` attribute on every variable, settings and facts as attributes."""
        from mdlite.io import export

        return export.dataset(self)
