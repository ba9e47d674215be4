"""The commands about crystals. Heavy modules are imported inside the commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from mdlite.cli.help import BEFORE, about, complete_crystal
from mdlite.cli.options import Force, Json, JsonFile, Overrides
from mdlite.errors import InputError

PATIENCE = 1.0
"""s, before a line says what takes its time."""
CrystalSource = Annotated[
    str,
    typer.Argument(
        metavar="CRYSTAL",
        help="What phonopy reads (a yaml, or a folder), a file of this command, a TOML file, or a built-in crystal.",
        autocompletion=complete_crystal,
    ),
]
AnySource = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A TOML file, a built-in case, or what `mdlite crystal` takes.",
        autocompletion=complete_crystal,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        **about(
            BEFORE,
            "phonons trapped --set lattice.spacing=4.0",
            "phonons mine.toml --displacement 1,1,0 --times 0,0.05,0.1 --json -",
            "phonons phonopy_params.yaml --qpoint 0.5,0.5,0 --pair 0:1:1,-1,2 --direction 1,1,0",
        )
    )(phonons)
    app.command(
        **about(BEFORE, "crystal phonopy_params.yaml -o mine.h5", "crystal silicon --json -", "crystal mine.h5 --size 20,20,20")
    )(crystal)


def patient() -> Callable[[str], None]:
    """A callback for lines about what is being done, which prints them once `PATIENCE` has passed."""
    begun = time.monotonic()
    held: list[str] = []

    def notice(line: str) -> None:
        held.append(line)
        if time.monotonic() - begun > PATIENCE:
            print(f"{line} ...", file=sys.stderr, flush=True)

    return notice


def phonons(
    source: AnySource,
    displacement: Annotated[
        list[str] | None, typer.Option(metavar="I,J,K", help="Of a [lattice]: lattice vector of the recoil kernel; repeatable.")
    ] = None,
    qpoint: Annotated[
        list[str] | None, typer.Option(metavar="Q,Q,Q", help="Frequencies at this q, reduced coordinates; repeatable.")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PAIR",
            help="Atoms of the recoil kernel: 0:1:1,-1,2 for atom 0 in cell 0 and atom 1 in cell (1, -1, 2); repeatable.",
        ),
    ] = None,
    direction: Annotated[
        list[str] | None, typer.Option(metavar="X,Y,Z", help="Sound along this Cartesian direction; repeatable.")
    ] = None,
    times: Annotated[str, typer.Option(metavar="T,T,...", help="Times of the recoil kernel, ps.")] = "0",
    path: Annotated[
        str | None,
        typer.Option(
            metavar="CORNERS",
            help='Of the bands: labels such as GXMGR or GAMMA-X-U|K-GAMMA, or reduced coordinates "0,0,0 0.5,0,0".',
        ),
    ] = None,
    finite: Annotated[
        bool, typer.Option("--finite", help="Recoil kernel of the periodic crystal of this size, not the infinite one.")
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write all numbers as JSON; - for standard output.")
    ] = None,
    output: Annotated[str, typer.Option("-o", "--output", metavar="PNG", help="The figure.")] = "phonons.png",
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Bands, density of states, sound, recoil kernel W and loss matrix L of the crystal."""
    from mdlite import config
    from mdlite.io import outputs
    from mdlite.report import lattice_report, phonons_report, phonons_request

    displacements, instants = lattice_report.parse_request(displacement, times)
    request = phonons_request.parse(qpoint, pair, direction, times)
    lattice_report.check_figure(output, force, {"the configuration": outputs.existing(source)})
    numbers = Json(json_file, "loss_matrix", force, {"the figure (-o)": output})
    notice = patient()
    medium = config.load_medium(source, overrides or (), notice)
    if medium.lattice is not None:
        lattice = medium.lattice
        shown = displacements if displacement or not pair else []
        found, figure = lattice_report.collect(lattice, shown, instants, path, finite, request)
        told = lambda: lattice_report.text(lattice, found)  # noqa: E731
    else:
        if displacement:
            raise InputError(
                f"--displacement {displacement[0]!r}: is for a [lattice]; of a crystal give --pair 0:0:{displacement[0]}"
            )
        found, figure = phonons_report.collect(medium, request, path, finite, notice)
        told = lambda: phonons_report.text(medium, found)  # noqa: E731
    lattice_report.save_figure(figure, output)
    numbers.put(found, lambda: f"{told()}\nfigure: {output}", indent=1)


def crystal(
    source: CrystalSource,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write the crystal as a file that needs nothing else.")
    ] = None,
    json_file: JsonFile = None,
    corrections: Annotated[
        str | None, typer.Option(metavar="RULES", help="Sum rules made exact: all, or translation to compare with phonopy.")
    ] = None,
    dipoles: Annotated[
        float | None, typer.Option(metavar="RADIUS", help="Stencil of this radius that holds the dipoles of Born charges, Å.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="N,N,N", help="Cells, for the estimate of memory and speed.")] = None,
    overrides: Overrides = None,
    force: Force = False,
) -> None:
    """Read a crystal, make its force constants obey the sum rules, and tell what it is."""
    from mdlite import config
    from mdlite.engines import speed
    from mdlite.io import crystal_file, outputs
    from mdlite.report import crystal_report

    cells = None if size is None else _size(size)
    changes = [f"crystal.corrections={corrections}"] if corrections is not None else []
    changes += [f"crystal.dipoles={dipoles}"] if dipoles is not None else []
    if output is not None:
        crystal_file.check(output, force)
        outputs.require_apart(output, {"what is read": outputs.existing(source)})
    numbers = Json(json_file, "loss_matrix", force, {"the crystal (-o)": output})
    notice = patient()
    medium = config.load_medium(source, [*(overrides or ()), *changes], notice, crystals=True)
    if medium.loaded is None:
        raise InputError(
            f"crystal = {source!r}: is the simple cubic [lattice] of a configuration; `mdlite phonons` tells what it is"
        )
    found = crystal_report.collect(medium.loaded, speed.multiply_add_rate(medium.loaded.crystal, notice), cells, notice)
    for line in crystal_report.warnings(found):
        print(line, file=sys.stderr)
    if output is not None:
        crystal_file.write(output, medium.loaded)
    written = f"\ncrystal: {output}" if output is not None else ""
    numbers.put(found, lambda: crystal_report.text(found) + written, indent=1)


def _size(text: str) -> tuple[int, int, int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) == 1:
        found *= 3
    if len(found) != 3 or not all(1 <= n <= 100_000 for n in found):
        raise InputError(f"--size {text!r}: must be three whole numbers, 1 or more, such as 20,20,20")
    return found[0], found[1], found[2]
