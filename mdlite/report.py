"""Markdown for the reports of `mdlite validate`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mdlite.config import Config

NUMERIC_OR_NONE = re.compile(r"[-+]?(\d|inf\b|nan\b)|–?$")
"""How the cells of a column of numbers begin."""
CAPTIONS = {
    "arrhenius": "diffusion against 1/k_BT, and over the reference's",
    "barriers": "energy along the path from cube centre to cube centre",
    "decay": "kinetic energy at the passages of the centre, and decay rate against that energy",
    "deflection": "deflection of the atom",
    "difference": "distance from the reference ion",
    "energy-budget": "energy budget of the reference",
    "force": "force on the ion",
    "framework": "dispersion, and recoil kernel of an atom on itself",
    "ladder": "error against cost",
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


def measured(value: float, error: float, digits: int = 4) -> str:
    """A value ± its standard error, which is given to two digits, and the value as far; to ``digits`` where there is no error."""
    if value is None or np.isnan(value):
        return "–"
    if error is None or not np.isfinite(error) or error <= 0.0:
        return f"{number(value, digits)} ± {number(error, 2)}"
    decimals = 1 - math.floor(math.log10(error))
    if decimals > 8:
        return f"{value:.{digits}g} ± {error:.2g}"
    shown = max(decimals, 0)
    return f"{round(value, decimals) + 0.0:.{shown}f} ± {round(error, decimals):.{shown}f}"


def percent(value: float | None) -> str:
    """A relative difference in %, with its sign; three digits of it once it is large."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:+.2f}" if abs(value) < 100.0 else f"{value:+.3g}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, columns of numbers to the right; cells that are not strings go through `number`."""
    cells = [[(cell if isinstance(cell, str) else number(cell)).replace("|", "\\|") for cell in row] for row in rows]
    columns = list(zip(*cells)) or [()] * len(header)
    rule = ["---:" if any(column) and all(map(NUMERIC_OR_NONE.match, column)) else "---" for column in columns]
    return "\n".join("| " + " | ".join(row) + " |" for row in [[name.replace("|", "\\|") for name in header], rule, *cells])


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
