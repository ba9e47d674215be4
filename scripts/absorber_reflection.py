"""What the absorbing layer throws back: ``python scripts/absorber_reflection.py [--quick]``

A table of the part of a wave packet's energy that returns from the layer or gets through it, along [100] at normal incidence, for longitudinal and
transverse waves, by the layer's width (sites on either side of the seam) and the wavelength (sites). A minute; --quick takes ten seconds.
"""

import argparse

from mdlite import Lattice
from mdlite.engines import absorbing


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer widths and wavelengths")
    quick = parser.parse_args().quick
    widths, lengths = ((8, 16), (6.0, 12.0)) if quick else ((8, 12, 16, 24, 32), (6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0))
    print("width  wave           " + "".join(f"λ = {length:<9g}" for length in lengths))
    for width in widths:
        for name, transverse in (("longitudinal", False), ("transverse", True)):
            found = [absorbing.reflection(Lattice(), width, length, transverse) for length in lengths]
            print(f"{width:<6} {name:<14} " + "".join(f"{r:<13.1e}" for r in found), flush=True)


if __name__ == "__main__":
    main()
