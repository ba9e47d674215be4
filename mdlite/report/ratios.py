"""Numbers of one method beside those of another: ratios with their errors, and the cells of tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite.analysis.statistics import pooled_freedom, student
from mdlite.report import markdown


def quotient(found: dict[str, Any], truth: dict[str, Any], name: str, unit: str) -> tuple[float, float]:
    """A number of one method over that of another, and its standard error."""
    a, b = (entry[f"{name}_{unit}"] for entry in (found, truth))
    relative = [entry[f"{name}_error_{unit}"] / entry[f"{name}_{unit}"] for entry in (found, truth)]
    return a / b, a / b * float(np.hypot(*relative))


def margin_of(found: dict[str, Any], truth: dict[str, Any], name: str, unit: str, level: float = 0.95) -> float:
    """Half width of the interval that holds their `quotient` with probability ``level``, by Student's t: few lattices make it wide."""
    both = (found, truth)
    relative = [entry[f"{name}_error_{unit}"] / entry[f"{name}_{unit}"] for entry in both]
    freedom = pooled_freedom(relative, [entry[f"{name}_samples"] - 1 for entry in both])
    return student(freedom, level) * quotient(found, truth, name, unit)[1]


def resolved(found: dict[str, Any]) -> bool:
    """Whether a method's D is known to be more than zero."""
    return bool(np.isfinite(found["diffusion_A2_per_ps"]) and not np.isfinite(found.get("diffusion_limit_A2_per_ps", np.nan)))


def value_cell(found: dict[str, Any]) -> str:
    """D ± its standard error for a table, or what it does not exceed."""
    limit = found.get("diffusion_limit_A2_per_ps", np.nan)
    return f"< {limit:.2g}" if np.isfinite(limit) else pm(found["diffusion_A2_per_ps"], found["diffusion_error_A2_per_ps"])


def ratio_cell(found: dict[str, Any], truth: dict[str, Any]) -> str:
    """D over the reference's for a table."""
    if not resolved(truth):
        return "–"
    limit = found.get("diffusion_limit_A2_per_ps", np.nan)
    return (
        f"< {limit / truth['diffusion_A2_per_ps']:.2g}"
        if np.isfinite(limit)
        else pm(*quotient(found, truth, "diffusion", "A2_per_ps"), digits=3)
    )


def pm(value: float, error: float, digits: int = 4) -> str:
    """value ± error for a table."""
    return markdown.measured(value, error, digits)
