"""Figures of crystals of any kind: bands in THz along a labelled path, the density of states beside, the recoil kernel below."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mdlite.crystals.bands import Bands, States
from mdlite.report.plots import Figure
from mdlite.units import TURN, with_kelvin

COLOURS = ("tab:red", "tab:blue", "tab:green", "tab:orange", "tab:purple", "tab:brown")


def phonons(bands: Bands, states: States, kernel: dict[str, Any] | None, title: str = "") -> Figure:
    """Bands, density of states with the species' shares, and W(t): kernel has ``time`` (T,), ps, and ``values``: (T,) by label."""
    rows = 1 if kernel is None else 2
    figure = Figure(figsize=(10, 4.2 * rows))
    grid = figure.add_gridspec(rows, 4)
    left = figure.add_subplot(grid[0, :3])
    right = figure.add_subplot(grid[0, 3], sharey=left)
    draw_bands(left, bands)
    draw_states(right, states)
    if kernel is not None:
        _draw_kernel(figure.add_subplot(grid[1, :]), kernel)
    if title:
        figure.suptitle(title.replace("$", r"\$"), fontsize=11, wrap=True)
    return figure


def _draw_kernel(below, kernel: dict[str, Any]) -> None:
    for label, values in kernel["values"].items():
        below.plot(kernel["time"], values, label=label)
    below.axhline(0.0, color="0.6", lw=0.8)
    below.set(xlabel="t (ps)", ylabel="W(t) (Å²/meV)", xlim=(0, kernel["time"][-1]))
    below.legend(fontsize=8)


def barriers(path: dict[str, Any], way: dict[str, Any], places: dict[str, Any]) -> Figure:
    """Energy of the ion along a passage, the crystal rigid and in equilibrium with it, and the places of the table that it has."""
    figure = Figure(figsize=(8, 4.2))
    ax = figure.subplots()
    distance = np.array(path["distance_A"])
    marks = ((distance[0], way["from"]), (distance[len(distance) // 2], way["window"]), (distance[-1], way["to"]))
    for key, colour, label in (("unrelaxed_meV", "tab:gray", "rigid"), ("relaxed_meV", "tab:red", "relaxed, infinite crystal")):
        ax.plot(distance, path[key], color=colour, label=label)
        values = [places[name][key] for _, name in marks]
        ax.plot([x for x, _ in marks], values, "o", color=colour, mfc="none", label=f"{key.removesuffix('_meV')}, this box")
    bottom, top = ax.get_ylim()
    for x, name in marks:
        ax.axvline(x, color="0.85", lw=0.8, zorder=-1)
        ax.annotate(name, (x, 0.98), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=8)
    ax.set(xlabel="along the passage (Å)", ylabel="energy (meV)", ylim=(bottom, top + 0.12 * (top - bottom)))
    ax.legend(fontsize=8)
    return figure


def thermal_states(entries: list[dict[str, Any]]) -> Figure:
    """Lengths of displacements and velocities over the exact root mean square of a component, by species, with the Gaussian prediction."""
    figure = Figure(figsize=(9, 0.6 + 2.4 * len(entries)))
    axes = figure.subplots(len(entries), 2, squeeze=False)
    for row, entry in zip(axes, entries):
        edges = entry["edges_over_rms"]
        x = np.linspace(0.0, edges[-1], 300)
        for ax, (name, label) in zip(row, (("displacement", "|u|"), ("velocity", "|u̇|"))):
            for colour, (species, found) in zip(np.resize(COLOURS, len(entry["species"])), entry["species"].items()):
                ax.stairs(found[name]["density"], edges, color=str(colour), label=species)
            ax.plot(x, np.sqrt(2.0 / np.pi) * x**2 * np.exp(-0.5 * x**2), color="black", lw=1.0, label="Gaussian")
            ax.set(xlabel=f"{label} over rms of a component", xlim=(0, edges[-1]))
            ax.set_title(with_kelvin(entry["thermal_energy_meV"]), fontsize=9)
        row[0].set_ylabel("density")
    axes[0, 0].legend(fontsize=8)
    return figure


def draw_bands(ax, bands: Bands) -> None:
    """Frequencies in THz along the path, imaginary ones below zero, with its corners and gaps where it jumps."""
    edges = [0, *bands.breaks, len(bands.q)]
    for first, last in itertools.pairwise(edges):
        ax.plot(bands.distance[first:last], bands.frequencies[first:last] / TURN, color="tab:blue", lw=1.1)
    for corner in bands.corners:
        ax.axvline(corner, color="0.8", lw=0.8, zorder=-1)
    ax.axhline(0.0, color="0.6", lw=0.8, zorder=-1)
    long = max(len(label) for label in bands.labels) > 6
    ax.set_xticks(bands.corners, bands.labels, **({"rotation": 30, "ha": "right", "fontsize": 8} if long else {}))
    lowest = float(bands.frequencies.min()) / TURN
    ax.set(ylabel="frequency (THz)", xlim=(0, bands.distance[-1]), ylim=(1.05 * lowest if lowest < -0.01 else 0.0, None))


def draw_states(ax, states: States) -> None:
    """Density of states per THz and atom, upright beside the bands, and the part of every species."""
    frequency = states.omega / TURN
    ax.fill_betweenx(frequency, TURN * states.g, color="0.85")
    ax.plot(TURN * states.g, frequency, color="0.3", lw=0.9, label="all")
    if len(states.shares) > 1:
        for colour, (name, share) in zip(np.resize(COLOURS, len(states.shares)), states.shares.items()):
            ax.plot(TURN * share, frequency, color=str(colour), lw=0.9, label=name)
        ax.legend(fontsize=8)
    ax.set(xlabel="modes per atom\nand THz", xlim=(0, None))
    ax.tick_params(labelleft=False)
