"""The figure of mean square displacements: ``python scripts/figure_msd.py [--quick] [-o FOLDER]``

Mean square displacement against lag at seven temperatures, U0 = 4000 meV Å, in lattices of N = 20 with a quantum start: by the full lattice, by the ion with its
patch and by time-local ions. Trajectories of 3000 ps are cut into 250 pieces of 12 ps; D is the slope beyond 1 ps over 6, its error from ten bins of 25.
Bands: that standard error; dotted: the fitted slopes. Six minutes, 0.3 GB and 0.3 GB of disk on two cores, and once half a minute for the edge of the
patch. The runs stay in the folder, which figure_arrhenius.py and figure_paths.py share: what is there is not done again, what was stopped goes
on. --quick: 120 ps.
"""

import common
import numpy as np
from matplotlib import colormaps

from mdlite.report.plots import Figure

STRENGTH = 4000.0  # meV Å
METHODS = {"reference": "full lattice", "patch": "patch", "time-local": "time-local"}


def main(folder, quick: bool) -> None:
    """Run what is not there yet, draw."""
    entries = [common.diffusion_entry(folder, quick, METHODS, STRENGTH, energy) for energy in common.TEMPERATURES]
    figure = Figure(figsize=(13, 5))
    axes = figure.subplots(1, len(METHODS), sharey=True)
    for entry, colour in zip(entries, colormaps["plasma"](np.linspace(0.0, 0.85, len(entries)))):
        for ax, method in zip(axes, METHODS):
            found = entry["methods"][method]
            lag, square, error = (np.array(curve)[1:] for curve in found["curves"].values())
            ax.loglog(lag, square, color=colour, lw=1.3, label=f"{entry['thermal_energy_meV']:g} meV")
            ax.fill_between(lag, np.maximum(square - error, 0.01 * square), square + error, color=colour, alpha=0.2, lw=0)
            fitted = lag >= found["fit_ps"][0]
            line = square[fitted].mean() + 6.0 * found["diffusion_A2_per_ps"] * (lag[fitted] - lag[fitted].mean())
            ax.plot(lag[fitted], np.where(line > 0.0, line, np.nan), ":", color="black", lw=1.0)
    for ax, name in zip(axes, METHODS.values()):
        ax.set(xlabel="lag (ps)", title=name)
        ax.axvline(1.0, color="0.85", lw=0.8, zorder=-1)
    axes[0].set(ylabel="mean square displacement (Å²)")
    axes[0].legend(*(reversed(half) for half in axes[0].get_legend_handles_labels()), title="$k_BT$", fontsize=8)
    common.save(figure, folder, "figure-msd", {"strength_meV_A": STRENGTH, "points": entries})


if __name__ == "__main__":
    common.launch(main, "figure-diffusion")
