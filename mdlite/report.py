"""Markdown for the reports of `mdlite validate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdlite.config import Config


def number(value: Any, digits: int = 4) -> str:
    """A value for a table: numbers to ``digits`` significant ones, a dash where there is none."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}g}"
    return str(value)


def percent(value: float | None) -> str:
    """A relative difference in %, with its sign; three digits of it once it is large."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:+.2f}" if abs(value) < 100.0 else f"{value:+.3g}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; cells that are not strings go through `number`."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for row in rows:
        lines.append("| " + " | ".join(cell if isinstance(cell, str) else number(cell) for cell in row) + " |")
    return "\n".join(lines)


def page(config: Config, facts: dict[str, Any], body: str, figures: Sequence[str]) -> str:
    """The whole report: title, body, figures, settings as TOML, versions."""
    pictures = "\n\n".join(f"![{name.removesuffix('.png').replace('-', ' ')}]({name})" for name in figures)
    versions = table(["what", "value"], [[key.replace("_", " "), value] for key, value in facts.items()])
    return f"""# {config.title or "Validation"}

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
