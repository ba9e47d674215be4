"""What D and the ion's temperature depend on, besides the physics: ``python scripts/diffusion_sensitivity.py [--quick]``

The diffusion case at k_BT = 25 meV, with one setting changed at a time: choice of atoms, time step, statistics of the start, size of the
lattice, how the lattice moves. A row for each variant and method: kinetic temperature of the ion over k_BT, D (Å²/ps), energy drift of the
reference (meV/ns for each ion). Errors are the scatter between twelve lattices. Prints the table. 15 minutes on two cores; --quick: four
lattices, short runs, larger errors.
"""

import argparse

import mdlite
from mdlite.protocols import diffusion
from mdlite.report import motion

CUTOFF = {"kind": "cutoff", "radius": 6.0, "switch_width": 1.0}
VARIANTS = {
    "as in the paper": {},
    "shell, e = 2": {"interaction.atoms": {"kind": "shell", "extent": 2}},
    "cut-off at 6 Å": {"interaction.atoms": CUTOFF},
    "step of 2.5 fs": {"run.dt": 0.0025, "run.sample_every": 40},
    "classical start": {"thermal.statistics": "classical"},
    "N = 14": {"lattice.size": 14},
    "N = 30": {"lattice.size": 30},
}


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs")
    quick = parser.parse_args().quick
    base = {
        "run.sample_every": 20,
        "thermal.lattices": 4 if quick else 12,
        "run.duration": 60.0 if quick else 1000.0,
        "validate.ensemble_duration": 40.0 if quick else 120.0,
    }
    print("variant            method       T_ion/T            D (Å²/ps)          drift (meV/ns)")
    for label, changes in VARIANTS.items():
        config = mdlite.load_case("diffusion", **base | changes)
        for method in ("reference", "time-local"):
            run = mdlite.run(diffusion.setting(config, method))
            found = motion.describe(run, config.validate_.equilibration, config.validate_.fit)
            temperature = diffusion.pm(found["temperature_ratio"], found["temperature_ratio_error"])
            value = diffusion.pm(found["diffusion_A2_per_ps"], found["diffusion_error_A2_per_ps"])
            drift = found["energy_drift_meV_per_ns"]
            print(
                f"{label:<18} {method:<12} {temperature:<18} {value:<18} {'' if drift is None else f'{drift:+.3g}'}", flush=True
            )


if __name__ == "__main__":
    main()
