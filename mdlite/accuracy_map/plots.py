"""Figures of the map of validity."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from mdlite.accuracy.estimate import NAMES
from mdlite.accuracy.surrogate import KINDS, METHODS, Surrogates
from mdlite.report.plots import Figure

if TYPE_CHECKING:
    import pandas

STRENGTH, RANGE, SPEED = "interaction.potential.strength", "interaction.potential.range", "ion.velocity.z"
LEVELS = (0.01, 0.1, 0.5)
NORM = LogNorm(1e-3, 1.0)
QUANTITIES = KINDS["cold"]


def _figure(rows: int, columns: int, size: tuple[float, float], shared: bool = False):
    """A figure with a grid of axes, (rows, columns)."""
    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, sharex=shared, sharey=shared, squeeze=False)


def _plane(axes, points: pandas.DataFrame, column: str):
    """|error| over speed and range, with the contours of LEVELS."""
    square = points.pivot_table(index=RANGE, columns=SPEED, values=column, dropna=False)
    stopped = points.pivot_table(index=RANGE, columns=SPEED, values=column.split(".")[0] + ".stopped", dropna=False) > 0
    error = np.clip(np.abs(square.to_numpy(float)), 1e-4, 1.0)
    error[stopped.to_numpy(bool)] = 1.0
    speed, width = square.columns.to_numpy(float), square.index.to_numpy(float)
    picture = axes.pcolormesh(speed, width, error, norm=NORM, cmap="viridis", shading="nearest")
    if np.isfinite(error).all():
        lines = axes.contour(speed, width, np.log10(error), levels=np.log10(LEVELS), colors="white", linewidths=1.4)
        axes.clabel(lines, fmt={np.log10(level): f"{100 * level:g} %" for level in LEVELS}, fontsize=8)
    axes.set(xscale="log", yscale="log")
    axes.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.set_yticks([0.2, 0.3, 0.5, 0.8], ["0.2", "0.3", "0.5", "0.8"])
    axes.minorticks_off()
    return picture


def planes(collisions: pandas.DataFrame, method: str) -> Figure:
    """Errors of a method in head-on collisions over speed and range, for every strength (columns) and quantity (rows)."""
    strengths = sorted(collisions[STRENGTH].unique())
    figure, grid = _figure(3, len(strengths), (3.3 * len(strengths) + 1.2, 8.2), True)
    for row, quantity in zip(grid, QUANTITIES):
        for axes, strength in zip(row, strengths):
            picture = _plane(axes, collisions[collisions[STRENGTH] == strength], f"{method}.{quantity}")
            axes.set_title(f"{NAMES[quantity].split(' (')[0]}, U$_0$ = {strength:g} meV Å", fontsize=9)
    _label(figure, grid, picture, f"{method}: error in head-on collisions at T = 0, M = 0.7")
    return figure


def methods(collisions: pandas.DataFrame) -> Figure:
    """The same for every method, at the middle strength."""
    strengths = sorted(collisions[STRENGTH].unique())
    chosen = collisions[collisions[STRENGTH] == strengths[len(strengths) // 2]]
    figure, grid = _figure(3, 3, (11.1, 8.2), True)
    for row, quantity in zip(grid, QUANTITIES):
        for axes, method in zip(row, METHODS):
            picture = _plane(axes, chosen, f"{method}.{quantity}")
            axes.set_title(f"{method}: {NAMES[quantity].split(' (')[0]}", fontsize=9)
    _label(
        figure, grid, picture, f"error in head-on collisions at T = 0, U$_0$ = {strengths[len(strengths) // 2]:g} meV Å, M = 0.7"
    )
    return figure


def _label(figure, grid, picture, title: str) -> None:
    for axes in grid[-1]:
        axes.set_xlabel("speed (Å/ps)")
    for axes in grid[:, 0]:
        axes.set_ylabel("range λ (Å)")
    bar = figure.colorbar(picture, ax=grid, extend="both", label="|relative error|", shrink=0.7)
    bar.set_ticks([1e-3, 1e-2, 1e-1, 1.0], labels=["0.1 %", "1 %", "10 %", "100 %"])
    figure.suptitle(title, fontsize=11)


def collapse(tables: dict[str, pandas.DataFrame]) -> Figure:
    """Errors of the time-local method over the groups κ and ν, with a mark for every kind of motion."""
    figure, (grid,) = _figure(1, 3, (13.5, 4.4), True)
    for axes, quantity in zip(grid, QUANTITIES):
        for (name, whole), marker in zip(tables.items(), ("s", "o", "^")):
            table = whole[(whole["loss"] > 0.0) & (whole["compliance"] > 0.0)]
            error = np.abs(table[f"time-local.{quantity}"].to_numpy(float))
            error = np.where(table["time-local.stopped"] > 0, 1.0, error)
            known = np.isfinite(error)
            picture = axes.scatter(
                table["compliance"][known],
                table["rapidity"][known],
                c=np.clip(error[known], 1e-4, 1.0),
                norm=NORM,
                marker=marker,
                s=22,
                linewidths=0,
                label=name,
            )
        axes.set(xscale="log", yscale="log", xlabel="compliance κ ~ W(0) φ''", title=NAMES[quantity])
        axes.set_xlim(1e-3, 12.0)
        axes.set_ylim(0.02, 20.0)
    grid[0].set_ylabel("rapidity ν = ω L / W(0)")
    grid[0].legend(loc="lower left", fontsize=8)
    bar = figure.colorbar(picture, ax=grid, extend="both", label="|relative error| of time-local")
    bar.set_ticks([1e-3, 1e-2, 1e-1, 1.0], labels=["0.1 %", "1 %", "10 %", "100 %"])
    return figure


def foreseen(surrogates: dict[str, Surrogates]) -> Figure:
    """Errors foreseen of kinds left out of the fit, against the true ones."""
    known = {kind: one for kind, one in surrogates.items() if one.known}
    figure, grid = _figure(1, len(known), (5.0 * len(known), 4.6))
    for axes, (kind, one) in zip(grid[0], known.items()):
        for (method, quantity), errors in one.known.items():
            if method == "time-local":
                axes.scatter(100 * errors.error, 100 * errors.foreseen, s=12, label=NAMES[quantity])
        axes.axline((0.0, 0.0), slope=1.0, color="0.6", linewidth=1.0, zorder=0)
        axes.set(
            xscale="symlog", yscale="symlog", xlabel="true error of time-local (%)", ylabel="foreseen, its kind left out (%)"
        )
        axes.set_xscale("symlog", linthresh=10)
        axes.set_yscale("symlog", linthresh=10)
        axes.set(xlim=(-1100, 1100), ylim=(-1100, 1100), title="T = 0" if kind == "cold" else "temperature")
        axes.legend(fontsize=8)
    return figure


def thermal(points: pandas.DataFrame) -> Figure:
    """Temperature and diffusion of every method against the lattice's temperature, for every strength (the base's mass, range and crystal)."""
    plain = points[points["ion.mass"].isna()] if "ion.mass" in points else points
    plain = plain.assign(strength=[json.loads(text)["strength"] for text in plain["interaction.potential"]])
    figure, ((left, right),) = _figure(1, 2, (10.5, 4.2))
    strengths = sorted(plain["strength"].unique())
    for method, marker in zip(METHODS, ("o", "s", "^")):
        for n, strength in enumerate(strengths):
            own = plain[plain["strength"] == strength].sort_values("thermal.energy")
            for axes, quantity in ((left, "temperature"), (right, "diffusion")):
                if quantity == "diffusion" and method == "patch":
                    continue
                axes.errorbar(
                    own["thermal.energy"],
                    1.0 + own[f"{method}.{quantity}"],
                    own[f"{method}.{quantity}_error"],
                    fmt=marker + "-",
                    color=f"C{METHODS.index(method)}",
                    alpha=0.35 + 0.65 * n / max(1, len(strengths) - 1),
                    markersize=4,
                    label=f"{method}, U$_0$ = {strength:g}",
                )
    for axes, label in ((left, "T$_{ion}$ / T"), (right, "D / D of the patch")):
        axes.axhline(1.0, color="0.6", linewidth=1.0, zorder=0)
        axes.set(xlabel="k$_B$T (meV)", ylabel=label)
    left.legend(fontsize=6, ncols=3)
    right.set_ylim(0.0, 2.0)
    return figure
