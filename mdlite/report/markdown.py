"""Markdown for the reports of `mdlite validate`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from mdlite.config import Config, method_names

NUMERIC_OR_NONE = re.compile(r"[-+]?(\d|inf\b|nan\b)|(–|never)?$")
"""How the cells of a column of numbers begin."""
METHODS = {
    "reference": ("every atom and the ion, step by step", "m ü = -V u - ∇_r U, M R̈ = -∇_R U", "at rest on its sites"),
    "memory-kernel": (
        "the exact equation of the ion in the infinite crystal, which remembers every earlier force",
        "r = r_H - ∫ G(t - t') ∇_r U dt', G = -dW/dt, W of [10]",
        "at rest on its sites",
    ),
    "patch": (
        "the ion with the field δr that it radiates, on a piece of crystal that travels with it and absorbs at its edge",
        "m δr̈ = -V δr - ∇_r U(r_H + δr, R)",
        "at rest on its sites",
    ),
    "implicit": (
        "the ion in an effective medium, its displacement and velocity found self-consistently",
        "[16]",
        "adapted to the ion",
    ),
    "time-local": (
        "the ion in an effective medium, forces to first order about the undisturbed crystal",
        "[17-20]",
        "adapted to the ion",
    ),
    "static": ("a crystal that follows the ion at once, without loss", "[18, 19], L = 0", "adapted to the ion"),
    "rigid": ("a crystal that never answers the ion", "[18], L = 0 and W(0) = 0", "undisturbed for ever"),
}
"""What each method solves, by which equation (numbers: arXiv:2504.06595), and how its crystal starts."""
CAPTIONS = {
    "arrhenius": "diffusion against 1/k_BT, and over the reference's",
    "bands": "bands, and the density of states",
    "barriers": "energy along the path from cube centre to cube centre",
    "passage": "energy along the passage with the lowest window",
    "decay": "kinetic energy at the passages of the centre, and decay rate against that energy",
    "deflection": "deflection of the atom",
    "difference": "distance from the reference ion",
    "energy-budget": "energy budget of the reference",
    "force": "force on the ion",
    "framework": "dispersion, and recoil kernel of an atom on itself",
    "ladder": "error against cost",
    "groups": "errors over the groups κ and ν",
    "ion-energy": "energy left to the ion",
    "map": "errors of the time-local method in head-on collisions",
    "msd": "mean square displacement, and velocity autocorrelation",
    "temperatures": "temperature of the ion over its lattice's, and diffusion against the ion's own temperature",
    "temperature": "kinetic temperature of the ion, from rest",
    "thermal-states": "lengths of displacement and velocity, sampled and Gaussian",
    "trajectory": "trajectories",
    "van-hove": "distribution of displacements (van Hove)",
}
"""What figures show, by the name of their file without ``.png``; of other figures that name says it."""


def number(value: Any, digits: int = 4) -> str:
    """A value for a table: numbers to ``digits`` significant ones, a dash where there is none."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}g}"
    return str(value)


def measured(value: float, error: float | None, digits: int = 4) -> str:
    """A value ± its standard error, which is given to two digits, and the value as far; the value alone, to ``digits``, where there is no error.

    The one way in which an error is printed anywhere.
    """
    if value is None or np.isnan(value):
        return "–"
    if error is None or not np.isfinite(error):
        return number(value, digits)
    if error <= 0.0:
        return f"{number(value, digits)} ± {number(error, 2)}"
    decimals = _decimals(error)
    if decimals > 8:
        return f"{value:.{digits}g} ± {error:.2g}"
    return f"{_rounded(value, decimals)} ± {_rounded(error, decimals)}"


def span(low: float, high: float) -> str:
    """An interval, ``low to high``, to two digits of its width."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "–"
    decimals = _decimals(high - low) if high > low else 4
    if decimals > 8:
        return f"{low:.2g} to {high:.2g}"
    return f"{_rounded(low, decimals)} to {_rounded(high, decimals)}"


def _decimals(error: float) -> int:
    """The place of the second digit of an error, counted from the point."""
    return 1 - math.floor(math.log10(float(f"{error:.2g}")))


def _rounded(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}"


def percent(value: float | None) -> str:
    """A relative difference in %, with its sign, to two digits (three from 100 on), and never finer than a hundredth."""
    if value is None or np.isnan(value):
        return "–"
    if not np.isfinite(value):
        return f"{value:+}"
    size = abs(value)
    decimals = 0 if size >= 9.95 else 1 if size >= 0.995 else 2
    shown = f"{value:+.{decimals}f}" if size < 999.5 else f"{float(f'{value:.3g}'):+.0f}"
    return "0" if float(shown) == 0.0 else shown


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, columns of numbers to the right; cells that are not strings go through `number`."""
    cells = [[(cell if isinstance(cell, str) else number(cell)).replace("|", "\\|") for cell in row] for row in rows]
    columns = list(zip(*cells)) or [()] * len(header)
    rule = ["---:" if any(column) and all(map(NUMERIC_OR_NONE.match, column)) else "---" for column in columns]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[name.replace("|", "\\|") for name in header], rule, *cells])


def short(value: float | None) -> str:
    """Two significant digits, and never a power of ten for a large number."""
    return number(value, 2) if value is None or not abs(value) >= 99.5 else f"{float(f'{value:.2g}'):.0f}"


def methods_table(names: Sequence[str], start: bool = True) -> str:
    """What each of these methods solves; ``start``: also how its crystal is at t = 0."""
    known = {name: METHODS.get(name) or method_names.about(name) for name in names}
    rows = [[f"`{name}`", *about[: 3 if start else 2]] for name, about in known.items() if about is not None]
    header = ["method", "solves", "equation"] + (["crystal at the start"] if start else [])
    return table(header, rows) + "\n\nNumbers in brackets are equations of arXiv:2504.06595; docs/theory.md derives them."


def box(config: Config) -> str:
    """The crystal and the size of its box: ``lattice of 10 × 10 × 10 atoms``, ``box of 6 × 6 × 6 cells (432 atoms) of silicon, Si2``."""
    size = " × ".join(map(str, config.cells))
    if config.crystal is None:
        return f"lattice of {size} atoms"
    section, species = config.crystal, config.to_crystal().species
    counts = {name: species.count(name) for name in dict.fromkeys(species)}
    formula = "".join(f"{name}{count if count > 1 else ''}" for name, count in counts.items())
    known = section.name if section.name is not None else section.file and f"`{PurePath(section.file).name}`"
    times = 1 if section.matrix is None else round(np.linalg.det(np.array(section.matrix)))
    atoms = math.prod(config.cells) * times * len(species)
    each = "" if times == 1 else f" of {times} primitive ones"
    return f"box of {size} cells{each} ({atoms} atoms) of {f'{known}, ' if known else ''}{formula}"


def plain_text(text: str) -> str:
    """Text of the user's as Markdown that shows just that, on one line."""
    return re.sub(r"([\\`*\[\]<>#|~&!]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _caption(name: str) -> str:
    stem = name.removesuffix(".png")
    if stem.startswith("msd-U"):
        return f"mean square displacement, strength {stem.removeprefix('msd-U')}"
    return CAPTIONS.get(stem, stem.replace("-", " "))


def page(config: Config, facts: dict[str, Any], body: str, figures: Sequence[str]) -> str:
    """The whole report: title, body, figures, settings as TOML, versions."""
    pictures = "\n\n".join(f"![{_caption(name)}]({name})" for name in figures)
    names = {"version": "mdlite", "compile_seconds": "compilation (s)"}
    versions = table(["what", "value"], [[names.get(key, key.replace("_", " ")), value] for key, value in facts.items()])
    return f"""# {plain_text(config.title) or "Validation"}

{body.strip()}

## Figures

{pictures}

## Settings

Units: Å, ps, meV; mass in meV ps²/Å² (1 is 9.64853 Da).

```toml
{config.to_toml().strip()}
```

## Versions and machine

{versions}

All numbers of this page are in `summary.json`; the runs are the HDF5 (H5MD) files beside it.
"""
