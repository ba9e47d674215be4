"""The springs of the built-in crystal silicon: ``python scripts/silicon_springs.py [--quick] [-o FOLDER]``

A valence force field of six constants (Tubino, Piseri, Zerbi, J. Chem. Phys. 56, 1022 (1972)) is fitted to measured elastic constants, the
Raman frequency and phonons at X and L; its force constants, which reach the fifth shell, become silicon.toml, which belongs into
`mdlite/crystals/library`. Prints what came out beside what was measured. A few seconds; --quick: a rougher fit.
"""

import itertools

import common
import numpy as np
from scipy.optimize import least_squares

from mdlite import elements
from mdlite.crystals import crystal, dynamics, shells, springs
from mdlite.units import TURN

A = 5.431
"""Å, at room temperature."""
CELL = 0.5 * A * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
ATOMS = [{"species": "Si", "position": [0.0, 0.0, 0.0]}, {"species": "Si", "position": [0.25, 0.25, 0.25]}]
POSITIONS = np.array([atom["position"] for atom in ATOMS])
BOND = A * np.sqrt(3.0) / 4.0
ELASTIC = {"C11": (0, 0, 165.78), "C12": (0, 1, 63.94), "C44": (3, 3, 79.62)}
"""GPa, 298 K: McSkimin, Abrahams, J. Appl. Phys. 35, 2161 (1964). Row and column of C, value."""
PHONONS = {
    "Γ, optical": ((0.0, 0.0, 0.0), 5, 15.57, 0.003),
    "X, TA": ((1.0, 0.0, 0.0), 0, 4.49, 0.02),
    "X, LA and LO": ((1.0, 0.0, 0.0), 2, 12.32, 0.04),
    "X, TO": ((1.0, 0.0, 0.0), 4, 13.90, 0.04),
    "L, TA": ((0.5, 0.5, 0.5), 0, 3.43, 0.02),
    "L, LA": ((0.5, 0.5, 0.5), 2, 11.35, 0.04),
    "L, LO": ((0.5, 0.5, 0.5), 3, 12.60, 0.04),
    "L, TO": ((0.5, 0.5, 0.5), 4, 14.68, 0.04),
}
"""Point (2π/a), branch, THz, and the relative error that the fit is content with. Γ: Raman, 519.5 cm⁻¹, Parker, Feldman, Ashkin, Phys. Rev. 155, 712
(1967). X, L: neutrons, Dolling, Inelastic Scattering of Neutrons in Solids and Liquids II (IAEA, Vienna 1963) p. 37; Nilsson, Nelin, Phys. Rev. B 6,
3777 (1972)."""
ELASTIC_ERROR = 0.002
CONSTANTS = ("stretch", "stretch-stretch", "bend", "stretch-bend", "bend-bend", "bend-bend, coplanar")
START = (9000.0, 150.0, 200.0, 250.0, 0.0, 180.0)
"""meV/Å²; angles are multiplied by the bond's length."""
REACH = 5
"""Shells."""
COSINE = -1.0 / 3.0
SINE = np.sqrt(1.0 - COSINE**2)


def place(atom):
    """Of an atom (κ, cell), Å."""
    return (np.array(atom[1]) + POSITIONS[atom[0]]) @ CELL


def neighbours(atom):
    """The four that an atom is bound to."""
    cells = itertools.product((-1, 0, 1), repeat=3)
    others = [(1 - atom[0], tuple(int(a + b) for a, b in zip(atom[1], cell))) for cell in cells]
    return [other for other in others if abs(np.linalg.norm(place(other) - place(atom)) - BOND) < 1e-6]


def unit(a, b):
    """From one atom to another."""
    return (place(b) - place(a)) / np.linalg.norm(place(b) - place(a))


def stretch(a, b):
    """Change of a bond's length, as what each atom's displacement adds to it."""
    return [(a, -unit(a, b)), (b, unit(a, b))]


def bend(i, apex, k):
    """Change of an angle times the bond's length."""
    one, two = unit(apex, i), unit(apex, k)
    first, last = (COSINE * one - two) / SINE, (COSINE * two - one) / SINE
    return [(i, first), (k, last), (apex, -first - last)]


def terms():
    """For every constant its terms in the energy of a cell: two internal coordinates and a factor."""
    found = {name: [] for name in CONSTANTS}
    for apex in ((0, (0, 0, 0)), (1, (0, 0, 0))):
        bound = neighbours(apex)
        pairs = list(itertools.combinations(bound, 2))
        for i, k in pairs:
            angle = bend(i, apex, k)
            found["bend"].append((angle, angle, 0.5))
            found["stretch-stretch"].append((stretch(apex, i), stretch(apex, k), 1.0))
            found["stretch-bend"] += [(stretch(apex, end), angle, 1.0) for end in (i, k)]
        for one, two in itertools.combinations(pairs, 2):
            if set(one) & set(two):
                found["bend-bend"].append((bend(one[0], apex, one[1]), bend(two[0], apex, two[1]), 1.0))
    first = (0, (0, 0, 0))
    for second in neighbours(first):
        found["stretch"].append((stretch(first, second), stretch(first, second), 0.5))
        for i, k in itertools.product(neighbours(first), neighbours(second)):  # a chain i, first, second, k
            if i != second and np.allclose(unit(second, k), -unit(first, i)):
                found["bend-bend, coplanar"].append((bend(i, first, second), bend(first, second, k), 1.0))
    return found


def model(by_name):
    """One crystal for each constant, of which 1 meV/Å² alone is not zero; all have the same pairs."""
    pairs, blocks = [], []
    for number, name in enumerate(CONSTANTS):
        for one, two, factor in by_name[name]:
            for (a, u), (b, v) in itertools.product(one, two):
                for (p, x), (q, y) in (((a, u), (b, v)), ((b, v), (a, u))):
                    pairs.append((number, p[0], q[0], *np.subtract(q[1], p[1])))
                    blocks.append(factor * np.outer(x, y))
    pairs, blocks = np.array(pairs), np.array(blocks)
    masses = [elements.mass("Si")] * 2
    return [
        crystal.crystal(
            CELL, POSITIONS, masses, ["Si", "Si"], *pairs[:, 1:3].T, pairs[:, 3:], blocks * (pairs[:, 0] == number)[:, None, None]
        )
        for number in range(len(CONSTANTS))
    ]


def measured(medium):
    """Elastic constants (GPa) and frequencies (THz) of a crystal, by the names of what was measured."""
    c = dynamics.elastic_constants(medium)
    q = np.array([point for point, *_ in PHONONS.values()]) / A @ CELL.T
    omega = dynamics.frequencies(medium, q) / TURN
    found = {name: float(c[i, j]) for name, (i, j, _) in ELASTIC.items()}
    return found | {name: float(omega[n, branch]) for n, (name, (_, branch, *_)) in enumerate(PHONONS.items())}


def fitted(tolerance):
    """The constants, meV/Å², and their crystal."""
    units = model(terms())
    target = {name: (value, ELASTIC_ERROR) for name, (*_, value) in ELASTIC.items()}
    target |= {name: (value, error) for name, (*_, value, error) in PHONONS.items()}

    def made(constants):
        return units[0].with_blocks(sum(x * one.blocks for x, one in zip(constants, units)))

    def residuals(scaled):
        found = measured(made(1000.0 * scaled))
        return [(found[name] / value - 1.0) / error for name, (value, error) in target.items()]

    best = 1000.0 * least_squares(residuals, np.array(START) / 1000.0, xtol=tolerance, ftol=tolerance).x
    return best, made(best)


def tables(medium):
    """Bond and matrix of every shell, from the first atom, as the springs of a configuration."""
    structure = springs.read_atoms(CELL, ATOMS)
    rows = list(zip(medium.first.tolist(), medium.second.tolist(), map(tuple, medium.cells.tolist())))
    found = []
    for number in range(1, REACH + 1):
        shell = shells.numbered(structure, "Si", "Si", number, "shell")
        row = max(np.flatnonzero(shell.first == 0), key=lambda n: tuple(np.round(shell.vectors[n], 6)))
        pair = (0, int(shell.second[row]), tuple(shell.cells[row].tolist()))
        matrix = -medium.blocks[rows.index(pair)] if pair in rows else np.zeros((3, 3))
        if np.abs(matrix).max() > 1e-6:
            bond, rounded = (np.round(part, digits) + 0.0 for part, digits in ((shell.vectors[row], 5), (matrix, 3)))
            found.append({"species": ["Si", "Si"], "shell": number, "bond": bond.tolist(), "matrix": rounded.tolist()})
    return found


def deviations(medium):
    """Of what a crystal has from what was measured, %."""
    wanted = {name: value for name, (*_, value) in ELASTIC.items()} | {name: value for name, (*_, value, _) in PHONONS.items()}
    return {name: 100.0 * (value / wanted[name] - 1.0) for name, value in measured(medium).items()}


def text(found, constants, off):
    """The TOML file. off: `deviations`."""
    lines = [
        "# Silicon at room temperature, diamond structure: a valence force field of six constants fitted by scripts/silicon_springs.py to elastic",
        "# constants (McSkimin, Abrahams 1964), the Raman frequency (Parker, Feldman, Ashkin 1967) and phonons at X and L (Dolling 1963; Nilsson,",
        "# Nelin 1972). meV/Å²: " + "; ".join(f"{name} {x:.2f}" for name, x in zip(CONSTANTS, constants)) + ".",
        "# From what was measured it differs by (%): "
        + "; ".join(f"{name} {round(part, 1) + 0.0:+.1f}" for name, part in off.items())
        + ".",
        f"cell = {np.round(CELL, 6).tolist()}  # Å, a = {A}",
        "atoms = [",
        *(f'    {{ species = "{atom["species"]}", position = {atom["position"]} }},' for atom in ATOMS),
        "]",
    ]
    for spring in found:
        lines += [
            "",
            "[[springs]]",
            'species = ["Si", "Si"]',
            f"shell = {spring['shell']}",
            f"bond = {spring['bond']}",
            "matrix = [",
        ]
        lines += [*(f"    {row}," for row in spring["matrix"]), "]"]
    return "\n".join(lines) + "\n"


def main(folder, quick: bool) -> None:
    """Fit, write, compare."""
    constants, medium = fitted(1e-4 if quick else 1e-12)
    found = tables(medium)
    again = springs.from_springs(CELL, ATOMS, found)
    off = deviations(again)
    file = folder / "silicon.toml"
    file.write_text(text(found, constants, off), encoding="utf-8")
    for name, x in zip(CONSTANTS, constants):
        print(f"{name:24s} {x:10.2f} meV/Å²")
    for name, value in measured(again).items():
        print(f"{name:24s} {value:8.2f}  from what was measured {off[name]:+5.1f} %")
    _, high = dynamics.extremes(again)
    print(
        f"neighbours {again.neighbours.tolist()}, within {again.reach:.2f} Å; highest frequency {high.frequency / TURN:.2f} THz"
    )
    dynamics.require_stable(again)
    print(file)


if __name__ == "__main__":
    common.launch(main)
