"""Does the time-local ion take its lattice's temperature, and how fast does it diffuse? ``python scripts/thermalisation.py [--quick]``

For every k_B T (meV) a table row: kinetic temperature of the ion over that of the lattice, and D (Å²/ps), for the explicit lattice (several
seeds, one after the other) and for ensembles of the time-local rungs (several lattices). Errors are the scatter between seeds, so they know
that ions share a lattice. Classical start, N = 20, U0 = 4000 meV Å, λ = 0.5 Å, shell of 8 atoms: the paper's diffusion settings.
About 20 minutes; --quick takes two.
"""

import argparse

import numpy as np

import mdlite
from mdlite import analysis

SETTINGS = {
    "method": "reference",
    "lattice": {"size": [20, 20, 20]},
    "ion": {"mass": 0.7, "position": [1.5, 1.5, 1.5]},
    "interaction": {"potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5}, "atoms": {"kind": "shell", "extent": 1}},
    "thermal": {"energy": 25.0, "statistics": "classical"},
    "run": {"dt": 0.005, "duration": 100.0, "sample_every": 20, "energy_tolerance": 0.05},
}
EQUILIBRATION = 10.0  # ps, left out
FIT = (1.0, 6.0)  # ps


def measure(config: mdlite.Config, seeds: range) -> tuple[np.ndarray, np.ndarray, int]:
    """T_ion/T and D with their standard errors over seeds, (2,) each, and how many ions ran away."""
    temperatures, values, gone = [], [], 0
    for seed in seeds:
        run = mdlite.run(config.replace(**{"thermal.seed": seed}))
        stopped = [entry["ion"] for entry in run.facts.get("run_aways", [])]
        gone += len(stopped)
        late = run.time >= EQUILIBRATION
        velocity, position = (np.delete(run.data[name][late], stopped, axis=1) for name in ("velocity", "position"))
        temperature, _ = analysis.kinetic_temperature(velocity, np.array(config.ion.mass))
        temperatures.append(temperature / config.thermal.scale)
        values.append(analysis.diffusion(run.time[late], position, FIT).value)
    both = np.array([temperatures, values])
    mean, error = both.mean(axis=1), both.std(axis=1, ddof=1) / np.sqrt(len(seeds))
    return np.array([mean[0], error[0]]), np.array([mean[1], error[1]]), gone


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three temperatures, short runs")
    quick = parser.parse_args().quick
    energies = (10.0, 25.0, 50.0) if quick else (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0)
    base = mdlite.config.parse(SETTINGS)
    plans = {
        "reference": (base.replace(**{"run.duration": 400.0 if quick else 3000.0}), range(6 if quick else 8)),
        "time-local": (
            base.replace(method="time-local", **{"thermal.ions": 200, "run.duration": 40.0 if quick else 200.0}),
            range(4),
        ),
        "implicit": (base.replace(method="implicit", **{"thermal.ions": 8, "run.duration": 40.0 if quick else 200.0}), range(4)),
    }
    print("k_BT (meV)  method       T_ion/T            D (Å²/ps)          run-aways")
    for energy in energies:
        for method, (config, seeds) in plans.items():
            temperature, value, gone = measure(config.replace(**{"thermal.energy": energy}), seeds)
            cells = (f"{x[0]:.4g} ± {x[1]:.2g}" for x in (temperature, value))
            print(f"{energy:<11g} {method:<12} " + " ".join(f"{c:<18}" for c in cells) + f" {gone}", flush=True)


if __name__ == "__main__":
    main()
