"""Fig. 1 of the paper, the lattice alone: ``python scripts/figure_framework.py [--quick] [-o FOLDER]``

Dispersion along Γ-X-M-Γ-R, recoil kernel W_11(t)/W_11(0) for 2 ps, and histograms of |u| and |u̇| over the atoms of thermal states at k_BT = 10⁻³, 5, 25
and 50 meV (N = 60) with the Gaussian prediction. Reads what `mdlite validate framework` finds. 10 s and 0.6 GB on two cores; --quick: N = 20.
"""

import common
import numpy as np

import mdlite
from mdlite.report.plots import Figure


def lattice_panels(bands, response, summary) -> None:
    """Dispersion, and the recoil kernel."""
    curves = summary["dispersion"]
    bands.plot(curves["distance"], curves["omega"], color="tab:blue", lw=1.2)
    for corner in curves["corners"]:
        bands.axvline(corner, color="0.8", lw=0.8, zorder=-1)
    bands.set_xticks(curves["corners"], curves["labels"])
    bands.set(ylabel="Ω (rad/ps)", xlim=(0, curves["distance"][-1]), ylim=(0, None), title="dispersion")
    time, kernel = np.array(summary["kernel"]["time_ps"]), np.array(summary["kernel"]["xx_A2_per_meV"])
    response.plot(time, kernel / kernel[0], color="tab:blue", lw=1.2)
    response.axhline(0.0, color="0.6", lw=0.8, zorder=-1)
    response.set(xlabel="t (ps)", ylabel="W$_{11}$(t) / W$_{11}$(0)", xlim=(0, 2), title="recoil kernel of an atom on itself")


def histogram(ax, entry, name: str, unit: str, label: str) -> None:
    """Sampled lengths, and those of a vector of three Gaussian components with the exact variance."""
    edges, sigma = np.array(entry[name][f"edges_{unit}"]), entry[name][f"exact_rms_{unit}"]
    x = np.linspace(0.0, edges[-1], 300)
    ax.stairs(entry[name]["density"], edges, fill=True, color="tab:blue", alpha=0.4, label="sampled")
    gauss = np.sqrt(2.0 / np.pi) * x**2 / sigma**3 * np.exp(-0.5 * (x / sigma) ** 2)
    ax.plot(x, gauss, color="black", lw=1.0, label="Gaussian")
    ax.set(xlabel=label, xlim=(0, edges[-1]), ylim=(0, None), title=f"$k_BT$ = {entry['thermal_energy_meV']:g} meV")


def main(folder, quick: bool) -> None:
    """Validate, draw."""
    config = mdlite.load_case("framework", **({"lattice.size": 20, "thermal.lattices": 2} if quick else {}))
    summary = common.validated(config, folder / "framework")
    states = summary["states"]
    figure = Figure(figsize=(12, 9.5))
    grid = figure.add_gridspec(3, len(states), height_ratios=(1.5, 1, 1))
    half = len(states) // 2
    lattice_panels(figure.add_subplot(grid[0, :half]), figure.add_subplot(grid[0, half:]), summary)
    rows = (("displacement", "A", "|u| (Å)", "density (1/Å)"), ("velocity", "A_per_ps", "|u̇| (Å/ps)", "density (ps/Å)"))
    for row, (name, unit, label, density) in enumerate(rows, start=1):
        axes = [figure.add_subplot(grid[row, n]) for n in range(len(states))]
        for ax, entry in zip(axes, states):
            histogram(ax, entry, name, unit, label)
        axes[0].set_ylabel(density)
        axes[-1].legend(fontsize=8)
    keys = ("omega_max_rad_per_ps", "loss_A2_ps_per_meV", "sound_speeds_A_per_ps", "kernel", "dispersion", "states")
    omega_x = summary["dispersion"]["omega"][summary["dispersion"]["distance"].index(summary["dispersion"]["corners"][1])]
    common.save(figure, folder, "figure-framework", {key: summary[key] for key in keys} | {"omega_at_X_rad_per_ps": omega_x})


if __name__ == "__main__":
    common.launch(main)
