"""The figure of diffusion paths: ``python scripts/figure_paths.py [--quick] [-o FOLDER]``

Paths of ions in thermal lattices of N = 20, U0 = 4000 meV Å, at k_BT = 10, 25 and 50 meV, projected on the xy plane, unfolded:
the ion of the full lattice, and time-local ions in the same lattice moving freely, all from the centre of their cell at rest, for
120 ps; the grid is that of the cells. Two minutes, 0.3 GB and 0.1 GB of disk on two cores; the runs are those of figure_msd.py
and figure_arrhenius.py, in the same folder by default, where what is there is not done again and what was stopped goes on.
--quick: shorter runs, 60 ps shown.
"""

import common
import numpy as np

from mdlite.report.plots import Figure

STRENGTH = 4000.0  # meV Å
ENERGIES = (10.0, 25.0, 50.0)  # meV
METHODS = {"reference": "full lattice", "time-local": "time-local"}
SHADES = ("tab:red", "tab:orange", "tab:pink", "tab:brown")


def main(folder, quick: bool) -> None:
    """Run what is not there yet, draw."""
    shown = 60.0 if quick else 120.0
    figure = Figure(figsize=(12, 8.4))
    axes = figure.subplots(len(METHODS), len(ENERGIES))
    numbers = []
    for energy, column in zip(ENERGIES, axes.T):
        low, high = np.zeros(2), np.zeros(2)
        for ax, (method, name) in zip(column, METHODS.items()):
            run = common.thermal_run(folder, quick, method, STRENGTH, energy)
            spacing, early = run.config.lattice.spacing, run.time <= shown
            path = (run.position[early] - np.array(run.config.ion_position)) / spacing
            path -= np.round(path[0])  # every ion from the same cell
            for ion in reversed(range(path.shape[1])):
                colour = "black" if method == "reference" else SHADES[ion % len(SHADES)]
                ax.plot(*path[:, ion, :2].T, color=colour, lw=0.5, alpha=0.8)
                ax.plot(*path[-1, ion, :2], "o", color=colour, ms=5, mec="white", mew=0.6)
            ax.plot(0, 0, "+", color="tab:blue", ms=10, mew=2)
            ax.set_title(f"{name}, $k_BT$ = {energy:g} meV", fontsize=11)
            low, high = np.minimum(low, path[..., :2].min(axis=(0, 1))), np.maximum(high, path[..., :2].max(axis=(0, 1)))
            cells = np.linalg.norm(spacing * path[-1], axis=1)
            away = [entry["ion"] for entry in run.facts.get("run_aways", []) if entry["time_ps"] <= shown]
            numbers.append(
                {"method": method, "energy_meV": energy, "shown_ps": shown, "end_distance_A": cells, "run_aways": away}
            )
        half, middle = np.ceil(0.5 * np.max(high - low) + 0.5) + 0.5, np.round(0.5 * (low + high))
        for ax in column:
            ax.set(
                xlim=middle[0] + np.array([-half, half]),
                ylim=middle[1] + np.array([-half, half]),
                aspect="equal",
                xlabel="x / a",
                ylabel="y / a",
            )
            ax.set_xticks(middle[0] + np.arange(-half, half + 1.0), minor=True)
            ax.set_yticks(middle[1] + np.arange(-half, half + 1.0), minor=True)
            ax.grid(which="minor", color="0.85", lw=0.4)
            ax.tick_params(which="minor", length=0)
            ax.set_axisbelow(True)
    figure.suptitle(f"{shown:g} ps from + to •, a = {spacing:g} Å", fontsize=11)
    common.save(figure, folder, "figure-paths", {"strength_meV_A": STRENGTH, "spacing_A": spacing, "paths": numbers})


if __name__ == "__main__":
    common.launch(main, "figure-diffusion")
