"""The reflection figures of the paper: an ion thrown at one atom, T = 0: ``python scripts/figure_reflection.py [--quick] [-o FOLDER]``

Deflection of the atom and force on the ion against time, for ranges of 0.2 and 0.5 Å, on four rungs: the full lattice (N = 50), and the time-local
right-hand side along its path with r and ṙ of the full run, with ṙ = 0, and with r = r_H and ṙ = 0. One figure for 2 and 10 Å/ps, one for 20 and 30 Å/ps.
Reads the runs of `mdlite validate reflection`. 20 s and 0.3 GB on two cores; --quick: N = 24, the first figure only.
"""

import common
import numpy as np

import mdlite
from mdlite.protocols import reflection
from mdlite.report import plots
from mdlite.report.plots import Figure

LABELS = {"deflection": "deflection of the atom (Å)", "force": "force on the ion (meV/Å)"}
FIGURES = {"figure-reflection": (2.0, 10.0), "figure-reflection-fast": (20.0, 30.0)}  # Å/ps


def curves_of(run: mdlite.Run) -> dict:
    """Time (ps), and deflection (Å) and force (meV/Å) along z on the four rungs."""
    model = run.config.to_model()
    site = model.candidate_sites(run.position[0, 0])[0] * model.lattice.spacing
    full = {"deflection": run.atom_position[:, 0] - site, "force": run.force[:, 0]}
    rungs = {"full": full} | reflection.along_path(model, run)
    return {"time": run.time, "rungs": {name: {key: rung[key][:, 2] for key in LABELS} for name, rung in rungs.items()}}


def panel(ax, data: dict, quantity: str) -> None:
    """One quantity on all rungs around the collision; what leaves the frame is named with its peak."""
    time, full = data["time"], data["rungs"]["full"][quantity]
    low, high = min(full.min(), 0.0), max(full.max(), 0.0)
    margin = 0.5 * (high - low)
    for name, curve in data["rungs"].items():
        ax.plot(time, curve[quantity], **plots.style(name))
    peaks = {name: np.abs(curve[quantity]).max() for name, curve in data["rungs"].items()}
    off = [f"{name}: {peak:.2g}" for name, peak in peaks.items() if peak > max(-low, high) + margin]
    if off:
        y, side = (0.03, "bottom") if high > -low else (0.97, "top")
        box = {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1.5}
        ax.text(
            0.97, y, "off scale, largest\n" + "\n".join(off), transform=ax.transAxes, ha="right", va=side, fontsize=7, bbox=box
        )
    ax.set_ylim(low - margin, high + margin)


def window(data: dict) -> tuple[float, float]:
    """Of the collision, ps: where deflection or force of the full run is above a twentieth of its peak, and somewhat more."""
    full = [np.abs(data["rungs"]["full"][quantity]) for quantity in LABELS]
    strong = data["time"][np.any([curve > 0.05 * curve.max() for curve in full], axis=0)]
    middle, half = strong.mean(), 0.6 * np.ptp(strong)
    return max(0.0, middle - half), min(data["time"][-1], middle + half)


def draw(found: dict, speeds) -> Figure:
    """A row for each quantity, a column for each range and speed."""
    ranges = sorted({width for width, _ in found})
    figure = Figure(figsize=(15, 7))
    axes = figure.subplots(2, len(ranges) * len(speeds), sharex="col")
    for column, (width, speed) in enumerate((w, s) for w in ranges for s in speeds):
        for ax, quantity in zip(axes[:, column], LABELS):
            panel(ax, found[width, speed], quantity)
        axes[0, column].set_xlim(window(found[width, speed]))
        axes[0, column].set_title(f"range {width:g} Å, {speed:g} Å/ps")
        axes[1, column].set_xlabel("time (ps)")
    for row, label in zip(axes, LABELS.values()):
        row[0].set_ylabel(label)
    names = ["full lattice", *(f"{name}: {said.replace('r_H', '$r_H$')}" for name, said in reflection.RUNGS.items())]
    figure.legend(axes[0, 0].get_lines(), names, loc="outside upper center", ncols=len(names), fontsize=9, frameon=False)
    return figure


def main(folder, quick: bool) -> None:
    """Validate, read the runs, draw."""
    figures = dict(list(FIGURES.items())[:1]) if quick else FIGURES
    speeds = [speed for pair in figures.values() for speed in pair]
    config = mdlite.load_case("reflection", **{"validate.speeds": speeds} | ({"lattice.size": 24} if quick else {}))
    summary = common.validated(config, folder / "reflection")
    for name, pair in figures.items():
        points = [point for point in summary["points"] if point["speed_A_per_ps"] in pair]
        files = {
            (p["range_A"], p["speed_A_per_ps"]): f"reference-range-{p['range_A']:g}-speed-{p['speed_A_per_ps']:g}.h5"
            for p in points
        }
        found = {key: curves_of(mdlite.Run.load(folder / "reflection" / file)) for key, file in files.items()}
        common.save(draw(found, pair), folder, name, {"points": points})


if __name__ == "__main__":
    common.launch(main)
