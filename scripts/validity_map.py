"""The map of validity: where the time-local method may be used: ``python scripts/validity_map.py out [--full | --quick]``

Errors of the time-local method, and of `implicit` and `patch`, of every potential in collisions, trapped, thrown and at a temperature, over speed, range,
strength, masses and k2/k1; heat maps with the contours of 1, 10 and 50 %, the dimensionless groups that order them, and the data from which `mdlite.validity`
estimates. The folder gets report.html, map.png, groups.png, estimate.png and validity.json. Ten minutes on two cores; --full an hour, --quick two minutes.
Called again after a stop it goes on.
"""

import argparse
import json
from pathlib import Path

import common

import mdlite
from mdlite.simulation.progress import Reporter


def main() -> None:
    """Make or continue the map, and print how well errors are foreseen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for the points, the report and the figures")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_const", const="full", dest="size", help="every point: an hour")
    size.add_argument("--quick", action="store_const", const="quick", dest="size", help="a few points: two minutes")
    arguments = parser.parse_args()
    reporter = Reporter()
    config = mdlite.load_case("map", **{"validate.map": arguments.size or "coarse"})
    with common.errors():
        found = mdlite.validate(config, arguments.output, progress=reporter, notice=reporter.notice)
    print(json.dumps(found["cross_validation"], indent=1))
    print(f"report: {arguments.output / 'report.html'}")


if __name__ == "__main__":
    main()
