"""What `mdlite info` says of a run's file: how the run ended first, its settings last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdlite.units import counted, with_kelvin, with_terahertz

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

FIRST = ("status", "steps", "run_seconds", "energy_drift")
"""Facts that stand on lines before all others."""


def text(run: Run) -> str:
    """Status, what was run, frames; versions and other facts; arrays; settings as TOML."""
    lines = [_line("status", run.facts.get("status", "unknown")), *_subject(run)]
    lines.append(_line("frames", f"{len(run.time)}, t = {run.time[0]:g} to {run.time[-1]:g} ps" if len(run.time) else "none"))
    lines += [_line(name, run.facts[name]) for name in FIRST[1:] if name in run.facts]
    lines += [_line(name, value) for name, value in run.facts.items() if name not in FIRST]
    lines.append("arrays:")
    lines += [f"  {name:26}{shape}" for name, shape in run.shapes().items()]
    return "\n".join([*lines, "", "settings:", run.config.to_toml()])


def _subject(run: Run) -> list[str]:
    """Method, crystal, ions and temperature, in the units that people compare with."""
    config = run.config
    size = " × ".join(map(str, config.cells))
    found = [_line("title", config.title)] if config.title else []
    found.append(_line("method", f"{config.method}, {counted(config.n_ions, 'ion')}"))
    top = f"Omega_max = {with_terahertz(config.to_model().omega_max)}"
    if config.crystal is None:
        found.append(_line("lattice", f"{size} atoms, {config.lattice.spacing:g} Å apart, {top}"))
    else:
        crystal = config.load_crystal()
        found.append(_line("crystal", f"{size} cells of {crystal.crystal.n_basis} atoms, {crystal.source}, {top}"))
    thermal = config.thermal
    if thermal is not None:
        number = counted(thermal.lattices, "lattice")
        found.append(_line("temperature", f"k_BT = {with_kelvin(thermal.scale)}, {thermal.statistics} start, {number}"))
    else:
        found.append(_line("temperature", "T = 0"))
    return found


def _line(name: str, value: Any) -> str:
    return f"{name + ':':22}{value}"
