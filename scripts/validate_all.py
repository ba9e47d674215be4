"""Validate every built-in case into one folder: ``python scripts/validate_all.py out [--quick]``.

The full run takes about six minutes on two cores; --quick uses small lattices and short runs (a minute), to see that it works. `arrhenius` is
left out: `mdlite validate arrhenius` does it, and takes longer than all of these.
"""

import argparse
from pathlib import Path

import common

import mdlite

QUICK = {
    "trapped": {"lattice.size": 30, "run.duration": 3.0},
    "trapped-heavy": {"lattice.size": 30, "run.duration": 6.0},
    "reflection": {"lattice.size": 20, "validate.ranges": [0.5], "validate.speeds": [2.0, 10.0]},
    "barriers": {"lattice.size": 14},
    "framework": {"lattice.size": 20},
    "diffusion": {"run.duration": 40.0, "validate.ensemble_duration": 24.0, "validate.rungs": ["time-local"]},
}


def main() -> None:
    """Parse the arguments and run the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder to make; a case that is there already is an error")
    parser.add_argument("--quick", action="store_true", help="small lattices, short runs")
    arguments = parser.parse_args()
    for name, quick in QUICK.items():
        config = mdlite.load_case(name, **(quick if arguments.quick else {}))
        with common.errors():
            mdlite.validate(config, arguments.output / name, notice=print)
        print(f"{name}: {arguments.output / name / 'report.md'}")


if __name__ == "__main__":
    main()
