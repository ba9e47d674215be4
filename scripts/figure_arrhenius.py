"""The Arrhenius figure of the paper: ``python scripts/figure_arrhenius.py [--quick] [-o FOLDER]``

D against 1/k_BT with the fitted lines for U0 = 4000 and 8000 meV Å, by the full lattice (N = 20, quantum start) and by time-local ions: a trajectory of 3000 ps
at each of seven temperatures, as the paper has it, D and its error as in figure_msd.py; and D over that of the full lattice. Eight minutes, 0.3 GB and
0.4 GB of disk on two cores, half of it shared with figure_msd.py; the runs stay in the folder, what is there is not done again, what was stopped goes
on. --quick: 120 ps. With twelve lattices instead of one, other rungs and a report: `mdlite validate arrhenius`; by the patch: patch_arrhenius.py.
"""

import common
import numpy as np

from mdlite.protocols import arrhenius, diffusion
from mdlite.report import plots
from mdlite.report.plots import Figure

STRENGTHS = {4000.0: {"ls": "-"}, 8000.0: {"ls": "--", "mfc": "none"}}  # meV Å
METHODS = {"reference": "full lattice", "time-local": "time-local"}


def column(entries: list[dict], method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k_BT (meV), D and its error (Å²/ps); NaN where no D is seen."""
    found = [entry["methods"][method] for entry in entries]
    value, error = (np.array([one[f"diffusion{part}_A2_per_ps"] for one in found]) for part in ("", "_error"))
    return np.array([entry["thermal_energy_meV"] for entry in entries]), np.where(value > 0.0, value, np.nan), error


def draw(lines: list[dict]) -> Figure:
    """D with its lines, and the time-local ion's D over the full lattice's."""
    figure = Figure(figsize=(11.5, 4.8))
    left, right = figure.subplots(1, 2)
    for line in lines:
        look = {"capsize": 2, "ms": 5} | STRENGTHS[line["strength"]]
        for method, name in METHODS.items():
            colour, (energy, value, error) = plots.style(method)["color"], column(line["points"], method)
            label = f"{name}, U$_0$ = {line['strength']:g} meV Å"
            left.errorbar(1.0 / energy, value, error, fmt="o", color=colour, **look | {"ls": "none", "label": label})
            if method in line["fits"]:
                fit = line["fits"][method]
                left.plot(
                    1.0 / energy, np.exp(fit["log_prefactor"] - fit["barrier"] / energy), color=colour, lw=1.0, ls=look["ls"]
                )
        _, truth, spread = column(line["points"], "reference")
        ratio = value / truth
        label = f"U$_0$ = {line['strength']:g} meV Å"
        right.errorbar(energy, ratio, ratio * np.hypot(error / value, spread / truth), fmt="o", color=colour, label=label, **look)
    left.set(xlabel="1/$k_BT$ (1/meV)", ylabel="D (Å²/ps)", yscale="log")
    right.axhline(1.0, color="0.5", lw=0.8)
    right.set(xlabel="$k_BT$ (meV)", ylabel="D of time-local ions / D of the full lattice", yscale="log")
    for ax in (left, right):
        ax.legend(fontsize=8)
    return figure


def main(folder, quick: bool) -> None:
    """Run what is not there yet, fit, draw."""
    lines = []
    for strength in STRENGTHS:
        entries = [common.diffusion_entry(folder, quick, METHODS, strength, energy) for energy in common.TEMPERATURES]
        lines.append({"strength": strength, "points": entries, "fits": arrhenius.fits(entries)})
        for method, fit in lines[-1]["fits"].items():
            prefactor, barrier = (diffusion.pm(fit[key], fit[f"{key}_error"]) for key in ("log_prefactor", "barrier"))
            paper = arrhenius.PUBLISHED[method] if strength == arrhenius.PUBLISHED_STRENGTH else None
            said = f" (the paper: {paper[0]} ± {paper[1]})" if paper else ""
            print(
                f"U0 {strength:g}, {method}: ln D0 (Å²/ps) {prefactor}{said}, barrier {barrier} meV, χ² {fit['chi_square']:.2g}"
            )
    common.save(draw(lines), folder, "figure-arrhenius", {"lines": lines, "published_log_prefactor": arrhenius.PUBLISHED})


if __name__ == "__main__":
    common.launch(main, "figure-diffusion")
