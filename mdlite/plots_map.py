"""Figures of the map of validity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from mdlite.estimate import KINDS, METHODS, NAMES, Surrogates, from_scale
from mdlite.groups import Groups
from mdlite.plots import Figure

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


def collapse(tables: dict[str, pandas.DataFrame], surrogates: Surrogates) -> Figure:
    """Errors of the time-local method over the groups κ and ν: points of both experiments, and the contours of the estimate."""
    figure, (grid,) = _figure(1, 3, (13.5, 4.4), True)
    for axes, quantity in zip(grid, QUANTITIES):
        for name, marker in (("collisions", "s"), ("trapped", "o")):
            table = tables[name][tables[name]["loss"] > 0.0]
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
        _foreseen_contours(axes, surrogates, quantity, tables)
        axes.set(xscale="log", yscale="log", xlabel="compliance κ ~ W(0) φ''", title=NAMES[quantity])
        axes.set_xlim(1e-3, 4.0)
        axes.set_ylim(0.02, 8.0)
    grid[0].set_ylabel("rapidity ν = ω L / W(0)")
    grid[0].legend(loc="lower left", fontsize=8)
    bar = figure.colorbar(picture, ax=grid, extend="both", label="|relative error| of time-local")
    bar.set_ticks([1e-3, 1e-2, 1e-1, 1.0], labels=["0.1 %", "1 %", "10 %", "100 %"])
    return figure


def _foreseen_contours(axes, surrogates: Surrogates, quantity: str, tables) -> None:
    """Where the estimate is 10 and 50 %, at the loss that points there have on the median."""
    if ("time-local", quantity) not in surrogates.known:
        return
    kappa, nu = np.geomspace(1e-3, 4.0, 60), np.geomspace(0.02, 8.0, 50)
    trapped = tables["trapped"]
    typical = float(np.median(trapped["loss"] / trapped["compliance"]))
    error = np.full((len(nu), len(kappa)), np.nan)
    for i, n in enumerate(nu):
        for j, k in enumerate(kappa):
            x = surrogates.place(Groups(k, n, typical * k))
            if surrogates.distance(x) < 1.0:
                error[i, j] = abs(from_scale(surrogates.fit("time-local", quantity)(x[None]), quantity)[0])
    lines = axes.contour(kappa, nu, np.log10(np.maximum(error, 1e-4)), levels=np.log10(LEVELS), colors="0.3", linewidths=1.2)
    axes.clabel(lines, fmt={np.log10(level): f"{100 * level:g} %" for level in LEVELS}, fontsize=8)


def foreseen(surrogates: dict[str, Surrogates]) -> Figure:
    """Errors foreseen at points left out of the fit, against the true ones."""
    known = {kind: one for kind, one in surrogates.items() if one.known}
    figure, grid = _figure(1, len(known), (5.0 * len(known), 4.6))
    for axes, (kind, one) in zip(grid[0], known.items()):
        for method, quantity in one.known:
            if method == "time-local":
                guessed, true = one.left_out(method, quantity)
                axes.scatter(100 * true, 100 * guessed, s=12, label=NAMES[quantity])
        axes.axline((0.0, 0.0), slope=1.0, color="0.6", linewidth=1.0, zorder=0)
        axes.set(xscale="symlog", yscale="symlog", xlabel="true error of time-local (%)", ylabel="foreseen, point left out (%)")
        axes.set_xscale("symlog", linthresh=10)
        axes.set_yscale("symlog", linthresh=10)
        axes.set(xlim=(-1100, 1100), ylim=(-1100, 1100), title="T = 0" if kind == "cold" else "temperature")
        axes.legend(fontsize=8)
    return figure


def thermal(points: pandas.DataFrame) -> Figure:
    """Temperature and diffusion of every method against the lattice's temperature, for every strength (the base's mass, range and crystal)."""
    others = [c for c in ("ion.mass", RANGE, "lattice.k2") if c in points.columns]
    plain = points[points[others].isna().all(axis=1)] if others else points
    figure, ((left, right),) = _figure(1, 2, (10.5, 4.2))
    strengths = sorted(plain[STRENGTH].unique())
    for method, marker in zip(METHODS, ("o", "s", "^")):
        for n, strength in enumerate(strengths):
            own = plain[plain[STRENGTH] == strength].sort_values("thermal.energy")
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
