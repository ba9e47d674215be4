"""Arrhenius lines by the patch alone, quantum and classical start side by side: ``python scripts/patch_arrhenius.py out [--quick]``

200 ions, twenty in each of ten thermal lattices, for 3000 ps at each of seven temperatures and with either start (case `arrhenius`, U0 = 4000
meV Å). Four to eight minutes a run on two cores, 170 MB each; a run that is there is not done again, one that was stopped goes on. Leaves
arrhenius.json and arrhenius.png in the folder. --quick: 60 ps, three temperatures, 50 ions, with errors to match.
"""

import argparse
import json
from pathlib import Path

import common
import numpy as np

import mdlite
from mdlite import analysis
from mdlite.report import motion
from mdlite.report.markdown import measured
from mdlite.report.plots import Figure
from mdlite.simulation.progress import Reporter

ENERGIES = (25.0, 10.0, 50.0, 15.0, 30.0, 20.0, 40.0)  # meV, the most telling ones first
STARTS = ("quantum", "classical")
KEPT = (
    "temperature_ratio",
    "temperature_ratio_error",
    "diffusion_A2_per_ps",
    "diffusion_error_A2_per_ps",
    "us_per_ion_step",
    "seconds",
)


def point(folder: Path, start: str, energy: float, changes: dict, reporter: Reporter) -> dict:
    """One run, and its numbers."""
    keys = {
        "thermal.statistics": start,
        "thermal.energy": energy,
        "thermal.lattices": 10,
        "thermal.ions": 20,
        "run.sample_every": 40,
    }
    config = mdlite.load_case("arrhenius", **keys | changes).replace(method="patch")
    name = f"{start}-{energy:g}meV"
    run = mdlite.run(config, folder / f"{name}.h5", reporter(name), notice=reporter.notice, resume=True)
    found = motion.describe(run, config.validate_.equilibration, config.validate_.fit)
    row = {"start": start, "energy_meV": energy, "run_aways": len(found["run_aways"])} | {key: found[key] for key in KEPT}
    print(
        f"{start:<10} {energy:5g} meV   T_ion/T {measured(row['temperature_ratio'], row['temperature_ratio_error'])}   "
        f"D {measured(row['diffusion_A2_per_ps'], row['diffusion_error_A2_per_ps'])} Å²/ps   run-aways {row['run_aways']}   "
        f"{row['us_per_ion_step']:.2f} µs per ion-step",
        flush=True,
    )
    return row


def line(rows: list[dict]) -> dict:
    """The Arrhenius fit of one start."""
    energy, value, error = (np.array([row[key] for row in rows]) for key in ("energy_meV", *KEPT[2:4]))
    return analysis.arrhenius(energy, value, error)._asdict()


def main() -> None:
    """Run everything that is not there yet, fit, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for the runs and the result")
    parser.add_argument("--quick", action="store_true", help="three temperatures, short runs")
    arguments = parser.parse_args()
    with common.errors():
        calculate(common.writable(arguments.output), arguments.quick)


def calculate(folder: Path, quick: bool) -> None:
    """Everything that is not there yet, the fits and the figure."""
    changes = {"run.duration": 60.0, "thermal.ions": 5} if quick else {}
    reporter = Reporter(quiet=False)
    rows = [
        point(folder, start, energy, changes, reporter) for energy in (ENERGIES[:3] if quick else ENERGIES) for start in STARTS
    ]
    figure = Figure()
    axes = figure.subplots()
    lines = {}
    for start in STARTS:
        own = [row for row in rows if row["start"] == start]
        lines[start] = line(own)
        fit, inverse = lines[start], np.array([1.0 / row["energy_meV"] for row in own])
        value, error = (np.array([row[key] for row in own]) for key in KEPT[2:4])
        shown = axes.errorbar(inverse, value, error, fmt="o", label=f"{start} start")
        axes.plot(inverse, np.exp(fit["log_prefactor"] - fit["barrier"] * inverse), color=shown[0].get_color())
        print(
            f"{start}: ln D0 (Å²/ps) {measured(fit['log_prefactor'], fit['log_prefactor_error'])}, barrier "
            f"{measured(fit['barrier'], fit['barrier_error'])} meV, χ² per degree of freedom {fit['chi_square']:.2f}"
        )
    axes.set(yscale="log", xlabel="1 / k$_B$T (1/meV)", ylabel="D (Å²/ps)", title="Diffusion by the patch, U0 = 4000 meV Å")
    axes.legend()
    figure.savefig(folder / "arrhenius.png", dpi=150)
    (folder / "arrhenius.json").write_text(json.dumps({"points": rows, "lines": lines}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
