"""The sites between which the ions of a run in a [crystal] hop, and what there is to say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mdlite import analysis
from mdlite.errors import InputError

if TYPE_CHECKING:
    from mdlite.crystals.crystal import Crystal
    from mdlite.simulation.result import Run

AT_VOID = 0.5
"""Å: a place where ions rest that is nearer than this to the middle of a void is that void."""
SHOWN = 6
"""Sites that are told one by one."""


class Places(NamedTuple):
    """Sites of a crystal's cell.

    cell: short vectors as rows (3, 3), Å. sites: (s, 3), fractional in it. radii: of the voids that they are, (s,), Å, NaN for one that is no void.
    found: whether ions rest there; where they rest nowhere, the sites are all voids.
    """

    cell: np.ndarray
    sites: np.ndarray
    radii: np.ndarray
    found: bool

    @property
    def apart(self) -> float:
        """Least distance of two sites, Å."""
        return float(analysis.nearest_sites(self.cell, self.sites).min())


def places(run: Run, time: np.ndarray, position: np.ndarray) -> Places:
    """Where ions at ``position`` (F, ions, 3), Å, dwell: the places where they rest (`mdlite.analysis.find_sites`), moved to the voids that they are at."""
    from mdlite.crystals import voids

    crystal = _crystal(run)
    cell = voids.reduced(crystal.cell)
    inverse = np.linalg.inv(cell)
    try:
        empty = voids.voids(crystal)
    except InputError:
        empty = ()
    centres = np.array([void.place for void in empty]).reshape(-1, 3) @ inverse
    radii = np.array([void.radius for void in empty])
    sites, _ = analysis.find_sites(analysis.rests(float(time[1] - time[0]), position), cell)
    if not len(sites):
        there = centres if len(centres) else position[0] @ inverse
        known = radii if len(centres) else np.full(len(there), np.nan)
        return Places(cell, there - np.floor(there), known, False)
    own = np.full(len(sites), np.nan)
    for n, site in enumerate(sites):
        apart = centres - site
        distance = np.linalg.norm((apart - np.round(apart)) @ cell, axis=1)
        if len(distance) and distance.min() < AT_VOID:
            nearest = int(np.argmin(distance))
            sites[n], own[n] = centres[nearest] - np.floor(centres[nearest]), radii[nearest]
    return Places(cell, sites, own, True)


def _crystal(run: Run) -> Crystal:
    return run.config.to_crystal()


def table(run: Run, chosen: Places, position: np.ndarray) -> list[dict[str, Any]]:
    """The sites: fractional position in the crystal's primitive cell, radius of the void (Å) or None, share of the ions' time. Those where ions were, the
    most visited first."""
    dwelt = analysis.dwell_sites(position, chosen.cell, chosen.sites)[..., 3]
    share = np.bincount(dwelt.ravel(), minlength=len(chosen.sites)) / dwelt.size
    where = chosen.sites @ chosen.cell @ np.linalg.inv(_crystal(run).cell)
    where = np.round(where - np.floor(np.round(where, 6)), 6) + 0.0
    return [
        {
            "position": where[n].tolist(),
            "void_radius_A": float(chosen.radii[n]) if np.isfinite(chosen.radii[n]) else None,
            "share": float(share[n]),
        }
        for n in np.argsort(-share, kind="stable")
        if share[n] > 0.0
    ]


def principal(found: analysis.Diffusion) -> dict[str, Any]:
    """Principal values of D's tensor, Å²/ps, the largest first, each with its standard error, and their axes as rows."""
    if not np.isfinite(found.tensor).all():
        nothing = np.full(3, np.nan)
        return {"values_A2_per_ps": nothing, "errors_A2_per_ps": nothing, "axes": np.full((3, 3), np.nan)}
    values, vectors = np.linalg.eigh(found.tensor)
    axes = vectors.T[::-1]
    axes = axes * np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])[:, None]
    along = np.einsum("ka,nab,kb->nk", axes, found.tensors, axes)
    _, errors = analysis.mean_and_error(along)
    return {"values_A2_per_ps": values[::-1], "errors_A2_per_ps": errors, "axes": axes}


def lines(motion: dict[str, Any]) -> list[str]:
    """The sites in words."""
    from mdlite.units import counted

    sites = motion["sites"]
    told = []
    for site in sites[:SHOWN]:
        radius = site["void_radius_A"]
        what = "no void" if radius is None else f"void of {radius:.2f} Å"
        told.append(f"({', '.join(f'{x:.3f}' for x in site['position'])}) {what}, {100 * site['share']:.1f} % of the time")
    if len(sites) > SHOWN:
        told.append(f"and {len(sites) - SHOWN} more")
    head = (
        f"{counted(len(sites), 'place')} in the primitive cell where ions rest"
        if motion["sites_found"]
        else ("ions rest nowhere for a picosecond; hops are between voids")
    )
    return [f"sites               {head}", *(f"  {line}" for line in told)]
