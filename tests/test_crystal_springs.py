"""Crystals from springs: against closed forms, against phonopy, against `[lattice]`, and against what was measured; what is refused."""

import itertools
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pytest

import crystals
from mdlite import InputError, Lattice, elements
from mdlite.crystals import dynamics, library, sumrules, symmetry
from mdlite.crystals.springs import from_springs
from mdlite.physics import phonons
from mdlite.units import TURN

RNG = np.random.default_rng(18)
Q = RNG.random((50, 3))
GPA = 0.1602176634  # of meV/Å³


def fcc(a):
    return 0.5 * a * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])


def bcc(a):
    return 0.5 * a * np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])


def hexagonal(a, c):
    return np.array([[a, 0.0, 0.0], [-0.5 * a, 0.5 * np.sqrt(3.0) * a, 0.0], [0.0, 0.0, c]])


def atoms(*given):
    return [{"species": species, "position": list(position)} for species, *position in given]


def spring(a, b, shell, longitudinal, transverse=0.0):
    return {"species": [a, b], "shell": shell, "longitudinal": longitudinal, "transverse": transverse}


def general(a, b, shell, bond, matrix):
    return {"species": [a, b], "shell": shell, "bond": list(bond), "matrix": np.asarray(matrix).tolist()}


def reduced(cell, q):
    """Of q in units of 2π/Å."""
    return np.asarray(q) @ np.asarray(cell).T


def squares(crystal, a, q):
    """Ω² at q in units of 2π/a."""
    return dynamics.squares(crystal, reduced(crystal.cell, np.asarray(q) / a))


ALUMINIUM = atoms(("Al", 0, 0, 0))
DIAMOND = atoms(("Si", 0, 0, 0), ("Si", 0.25, 0.25, 0.25))
QUARTER = 1.35775
"""Of silicon's lattice constant, Å."""


def test_fcc_against_closed_forms():
    a, k = 4.05, 1000.0
    crystal = from_springs(fcc(a), ALUMINIUM, [spring("Al", "Al", 1, k)])
    m = elements.mass("Al")
    assert crystal.neighbours.tolist() == [12] and crystal.masses == m
    np.testing.assert_allclose(squares(crystal, a, [1, 0, 0]) * m / k, [4.0, 4.0, 8.0], rtol=1e-12)
    np.testing.assert_allclose(squares(crystal, a, [0.5, 0.5, 0.5]) * m / k, [2.0, 2.0, 8.0], rtol=1e-12)
    c = dynamics.elastic_constants(crystal) / GPA * a / k
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [2.0, 1.0, 1.0], rtol=1e-12)


def test_bcc_against_closed_forms():
    a, k, k2 = 2.87, 900.0, 400.0
    crystal = from_springs(bcc(a), atoms(("Fe", 0, 0, 0)), [spring("Fe", "Fe", 1, k), spring("Fe", "Fe", 2, k2)])
    m = elements.mass("Fe")
    assert crystal.neighbours.tolist() == [14]
    np.testing.assert_allclose(squares(crystal, a, [1, 0, 0]) * m, [16.0 * k / 3.0] * 3, rtol=1e-12)
    np.testing.assert_allclose(squares(crystal, a, [0.5, 0.5, 0.5]) * m, [8.0 * k / 3.0 + 4.0 * k2] * 3, rtol=1e-12)
    at_n = np.sort([4.0 * k2, 16.0 * k / 3.0 + 4.0 * k2, 8.0 * k / 3.0])  # [1-10], [110], [001]
    np.testing.assert_allclose(squares(crystal, a, [0.5, 0.5, 0]) * m, at_n, rtol=1e-12)
    c = dynamics.elastic_constants(crystal) / GPA * a
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [2 * k / 3 + 2 * k2, 2 * k / 3, 2 * k / 3], rtol=1e-12)


def test_diamond_against_closed_forms():
    """One matrix α, β for the nearest neighbours (Born)."""
    alpha, beta, a = 3300.0, 2300.0, 4 * QUARTER
    matrix = np.full((3, 3), beta) + (alpha - beta) * np.eye(3)
    crystal = from_springs(fcc(a), DIAMOND, [general("Si", "Si", 1, [QUARTER] * 3, matrix)])
    m = elements.mass("Si")
    np.testing.assert_allclose(squares(crystal, a, [0, 0, 0])[3:] * m, [8.0 * alpha] * 3, rtol=1e-12)
    at_x = np.repeat([4.0 * (alpha - beta), 4.0 * alpha, 4.0 * (alpha + beta)], 2)
    np.testing.assert_allclose(squares(crystal, a, [1, 0, 0]) * m, at_x, rtol=1e-12)
    c = dynamics.elastic_constants(crystal) / GPA * a
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [alpha, 2 * beta - alpha, alpha - beta**2 / alpha], rtol=1e-9)


def test_simple_cubic_is_the_lattice():
    """Shells 1 and 2 without transverse constants: D(q) of `[lattice]`."""
    lattice = Lattice(mass="Si", k1=520.0, k2=170.0)
    given = [{"species": "X", "position": [0, 0, 0], "mass": "Si"}]
    crystal = from_springs(3.0 * np.eye(3), given, [spring("X", "X", 1, 520.0), spring("X", "X", 2, 170.0)])
    assert crystal.neighbours.tolist() == [18]
    own, other = dynamics.dynamical_matrix(crystal, Q), phonons.dynamical_matrix(lattice, TURN * Q)
    np.testing.assert_allclose(own, other, rtol=0.0, atol=1e-12 * lattice.omega_max**2)


def test_a_matrix_is_spread_as_the_literature_has_it():
    """The dynamical matrix of an fcc metal with general forces to the first and third shell, written out (as in Svensson et al. 1967)."""
    a, m = 3.615, elements.mass("Cu")
    one = [[820.0, 925.0, 0.0], [925.0, 820.0, 0.0], [0.0, 0.0, -90.0]]
    three = [[40.0, 24.0, 24.0], [24.0, 20.0, 12.0], [24.0, 12.0, 20.0]]
    given = [
        general("Cu", "Cu", 1, [-a / 2, 0, a / 2], np.array(one)[[0, 2, 1]][:, [0, 2, 1]] * [[1, 1, -1], [1, 1, 1], [-1, 1, 1]])
    ]
    given.append(general("Cu", "Cu", 3, [a, a / 2, a / 2], three))
    crystal = from_springs(fcc(a), atoms(("Cu", 0, 0, 0)), given)
    assert crystal.neighbours.tolist() == [12 + 24]
    q = RNG.random((20, 3)) * 2 - 1  # units of 2π/a
    x, y, z = (np.pi * q).T  # q a/2
    cos, sin = np.cos, np.sin
    d = np.zeros((20, 3, 3))
    for i, (u, v, w) in enumerate([(x, y, z), (y, z, x), (z, x, y)]):
        j = (i + 1) % 3
        d[:, i, i] = 4 * 820.0 * (2 - cos(u) * cos(v) - cos(u) * cos(w)) + 4 * -90.0 * (1 - cos(v) * cos(w))
        d[:, i, i] += 8 * 40.0 * (1 - cos(2 * u) * cos(v) * cos(w))
        d[:, i, i] += 8 * 20.0 * (2 - cos(2 * v) * cos(u) * cos(w) - cos(2 * w) * cos(u) * cos(v))
        off = 4 * 925.0 * sin(u) * sin(v) + 8 * 12.0 * cos(2 * w) * sin(u) * sin(v)
        off += 8 * 24.0 * (sin(2 * u) * sin(v) + sin(2 * v) * sin(u)) * cos(w)
        d[:, i, j] = d[:, j, i] = off
    found = dynamics.dynamical_matrix(crystal, reduced(crystal.cell, q / a))
    np.testing.assert_allclose(found * m, d, rtol=0.0, atol=1e-11 * np.abs(d).max())


CRYSTALS = {
    "fcc": (fcc(3.6), atoms(("Cu", 0, 0, 0)), [spring("Cu", "Cu", 1, 1500.0, -80.0), spring("Cu", "Cu", 2, 70.0, 10.0)]),
    "hcp": (
        hexagonal(3.2, 5.1),
        atoms(("Mg", 1 / 3, 2 / 3, 0.25), ("Mg", 2 / 3, 1 / 3, 0.75)),
        [spring("Mg", "Mg", 1, 600.0), spring("Mg", "Mg", 2, 500.0), spring("Mg", "Mg", 3, 40.0), spring("Mg", "Mg", 4, 90.0)],
    ),
    "CsCl": (4.12 * np.eye(3), atoms(("Cs", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)), [spring("Cl", "Cs", 1, 700.0, -20.0), spring("Cs", "Cs", 1, 90.0), spring("Cl", "Cl", 2, 30.0, 5.0)]),
    "rock salt": (
        fcc(5.64),
        atoms(("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)),
        [spring("Na", "Cl", 1, 900.0, -60.0), {"species": ["Cl", "Cl"], "distance": 3.988, "longitudinal": 200.0}, spring("Na", "Na", 1, 50.0)],
    ),
    "fluorite": (
        fcc(5.46),
        atoms(("Ca", 0, 0, 0), ("F", 0.25, 0.25, 0.25), ("F", 0.75, 0.75, 0.75)),
        [spring("Ca", "F", 1, 2500.0, 100.0), spring("F", "F", 1, 500.0, -30.0), spring("F", "F", 2, 100.0), spring("Ca", "Ca", 1, 250.0)],
    ),
    "diamond": (fcc(5.43), DIAMOND, [spring("Si", "Si", 1, 8000.0, 700.0), spring("Si", "Si", 2, 500.0, 60.0)]),
}  # fmt: skip


def of_phonopy(cell, given, springs, size):
    """Frequencies (THz) by phonopy at Q, from the same springs put pair by pair into the force constants of a supercell."""
    phonopy = pytest.importorskip("phonopy")
    structure = pytest.importorskip("phonopy.structure.atoms")
    symbols = [atom["species"] for atom in given]
    unit = structure.PhonopyAtoms(symbols=symbols, cell=cell, scaled_positions=[atom["position"] for atom in given])
    unit.masses = [elements.mass(symbol) / 0.1036426966 for symbol in symbols]
    found = phonopy.Phonopy(unit, np.diag([size] * 3), primitive_matrix=np.eye(3), log_level=0)
    big = found.supercell
    apart = big.scaled_positions[None] - big.scaled_positions[:, None]
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    vectors = (apart[:, :, None] - np.round(apart[:, :, None]) + steps) @ big.cell  # (N, N, 27, 3)
    distance = np.linalg.norm(vectors, axis=-1)
    names = np.array(big.symbols)
    k = np.zeros((*apart.shape[:2], 3, 3))
    for one in springs:
        a, b = one["species"]
        alike = ((names[:, None] == a) & (names[None] == b)) | ((names[:, None] == b) & (names[None] == a))
        wanted = one.get("distance") or distinct(distance[alike])[one["shell"] - 1]
        pair, other, image = np.nonzero(alike[:, :, None] & (np.abs(distance - wanted) < 0.01))
        n = vectors[pair, other, image] / distance[pair, other, image][:, None]
        outer = n[:, :, None] * n[:, None]
        kt = one.get("transverse", 0.0)
        np.add.at(k, (pair, other), one["longitudinal"] * outer + kt * (np.eye(3) - outer))
    k[np.arange(len(names)), np.arange(len(names))] -= k.sum(axis=1)
    found.force_constants = -1e-3 * k
    found.run_qpoints(Q)
    return found.qpoints.frequencies


def distinct(distances):
    """Different ones, ascending, 0 left out."""
    sorted_ = np.sort(distances.ravel())
    return sorted_[np.diff(sorted_, prepend=0.0) > 1e-3]


@pytest.mark.parametrize("name", CRYSTALS)
def test_against_phonopy(name):
    cell, given, springs = CRYSTALS[name]
    crystal = from_springs(cell, given, springs)
    theirs = of_phonopy(cell, given, springs, 5 if len(given) == 1 else 4)
    np.testing.assert_allclose(dynamics.frequencies(crystal, Q) / TURN, theirs, rtol=0.0, atol=2e-6)  # constants of nature


@pytest.mark.parametrize("name", CRYSTALS)
def test_sum_rules_and_symmetry_hold(name):
    crystal = from_springs(*CRYSTALS[name])
    assert max(sumrules.violations(crystal)[:3]) < 1e-12
    structure = symmetry.of_atoms(crystal.cell, crystal.positions, crystal.species)
    assert len(symmetry.of_crystal(crystal, 1e-10).rotations) == len(structure.rotations)


def test_an_axial_spring_is_its_matrix():
    """In every crystal, for every shell: the matrix of one bond, spread by symmetry, against each bond's own."""
    for cell, given, springs in CRYSTALS.values():
        crystal = from_springs(cell, given, springs)
        matrices = []
        for one in springs:
            of_one = from_springs(cell, given, [one | {"transverse": 0.0}])  # only the pairs are wanted
            row = next(
                n
                for n in range(len(of_one.first))
                if of_one.vectors[n].any() and of_one.species[of_one.first[n]] == one["species"][0]
            )
            n = of_one.vectors[row] / np.linalg.norm(of_one.vectors[row])
            outer, kt = np.outer(n, n), one.get("transverse", 0.0)
            where = {key: one[key] for key in ("species", "shell", "distance") if key in one}
            matrix = one["longitudinal"] * outer + kt * (np.eye(3) - outer)
            matrices.append(where | {"bond": of_one.vectors[row].tolist(), "matrix": matrix.tolist()})
        again = from_springs(cell, given, matrices)
        np.testing.assert_allclose(again.blocks, crystal.blocks, rtol=0.0, atol=1e-11 * np.abs(crystal.blocks).max())


ZINC = np.array([[900.0, 300.0, 300.0], [300.0, 900.0, 300.0], [300.0, 300.0, 900.0]])
SKEW = np.array([[60.0, 20.0, 35.0], [20.0, 60.0, 35.0], [-35.0, -35.0, -40.0]])
"""Of a bond 110 in diamond: not symmetric."""


def test_a_bond_may_be_given_from_either_end():
    cell, given = fcc(5.41), atoms(("Zn", 0, 0, 0), ("S", 0.25, 0.25, 0.25))
    bond = np.full(3, 5.41 / 4)
    one = from_springs(cell, given, [general("Zn", "S", 1, bond, ZINC), general("Zn", "Zn", 1, [2.705, 2.705, 0], SKEW)])
    other = from_springs(cell, given, [general("S", "Zn", 1, -bond, ZINC.T), general("Zn", "Zn", 1, [-2.705, -2.705, 0], SKEW.T)])
    np.testing.assert_allclose(one.blocks, other.blocks, rtol=0.0, atol=1e-12 * ZINC.max())
    assert one.neighbours.tolist() == [16, 4]
    row = next(
        n for n in range(len(one.first)) if one.first[n] == one.second[n] and np.allclose(one.vectors[n], [2.705, 2.705, 0])
    )
    np.testing.assert_allclose(one.blocks[row], -SKEW)  # Φ = -K


def test_a_larger_cell_is_the_same_crystal():
    """The primitive and the cubic cell of rock salt: the same frequencies at a reciprocal vector of the cubic cell."""
    a, springs = 5.64, CRYSTALS["rock salt"][2]
    corners = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
    given = atoms(*[("Na", *c) for c in corners], *[("Cl", *((np.array(c) + 0.5) % 1)) for c in corners])
    cubic, primitive = from_springs(a * np.eye(3), given, springs), from_springs(*CRYSTALS["rock salt"])
    q = RNG.random(3)
    folded = [
        dynamics.frequencies(primitive, reduced(primitive.cell, (q + g) / a))
        for g in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    np.testing.assert_allclose(dynamics.frequencies(cubic, q), np.sort(np.concatenate(folded)), rtol=1e-9)


def test_orbits_of_a_shell_have_matrices_of_their_own():
    """Bonds of one length along and across the layers of a tetragonal crystal."""
    across, along = np.diag([9.0, 2.0, 3.0]), np.diag([4.0, 4.0, 7.0])
    crystal = from_springs(
        *LAYERS, [general("Si", "Si", 1, [3, 0, 0], across), general("Si", "Si", 1, [0, 0, -3], along), spring("Si", "C", 1, 5.0)]
    )
    of = {tuple(np.round(v, 9)): -b for a, v, b in zip(crystal.first, crystal.vectors, crystal.blocks) if a == 0}
    np.testing.assert_allclose(of[0.0, -3.0, 0.0], np.diag([2.0, 9.0, 3.0]), atol=1e-14)
    np.testing.assert_allclose(of[0.0, 0.0, 3.0], along, atol=1e-14)


def test_one_bond_of_sublattices_that_are_not_equal():
    """Two kinds of carbon in graphite have the same bond: both get the matrix."""
    cell, given = (
        hexagonal(2.46, 6.7),
        atoms(("C", 0, 0, 0.25), ("C", 0, 0, 0.75), ("C", 1 / 3, 2 / 3, 0.25), ("C", 2 / 3, 1 / 3, 0.75)),
    )
    crystal = from_springs(cell, given, [general("C", "C", 2, [2.46, 0, 0], np.diag([9.0, 2.0, 3.0]))])
    assert crystal.neighbours.tolist() == [6] * 4


def test_atoms_may_be_given_in_any_cell():
    """Fractional positions outside 0 to 1: the same crystal, its pairs counted from where the atoms are."""
    cell, given, springs = CRYSTALS["fluorite"]
    moved = [
        atom | {"position": (np.array(atom["position"]) + shift).tolist()}
        for atom, shift in zip(given, ([0, 0, 0], [7, -3, 0], [0, 250, -1]))
    ]
    one, other = from_springs(cell, given, springs), from_springs(cell, moved, springs)
    np.testing.assert_allclose(dynamics.frequencies(other, Q), dynamics.frequencies(one, Q), rtol=1e-9, atol=1e-6)
    assert other.reach == pytest.approx(one.reach) and np.array_equal(other.neighbours, one.neighbours)
    structure = symmetry.of_atoms(cell, other.positions, other.species)
    assert len(symmetry.of_crystal(other, 1e-9).rotations) == len(structure.rotations) == 48


def test_labels_and_masses():
    given = [{"species": "Fe_up", "position": [0, 0, 0]}, {"species": "Fe_down", "position": [0.5, 0.5, 0.5], "mass": "57Fe"}]
    crystal = from_springs(
        2.87 * np.eye(3),
        given,
        [spring("Fe_up", "Fe_down", 1, 900.0), spring("Fe_up", "Fe_up", 1, 300.0), spring("Fe_down", "Fe_down", 1, 300.0)],
    )
    assert crystal.masses.tolist() == [elements.mass("Fe"), elements.mass("57Fe")] and crystal.species == ("Fe_up", "Fe_down")
    without = [atom | {"mass": None} for atom in atoms(("Al", 0, 0, 0))]  # a key without a value is absent
    assert from_springs(fcc(4.05), without, [spring("Al", "Al", 1, 1.0)]).masses == elements.mass("Al")


SIMPLE = (3.0 * np.eye(3), [{"species": "X", "position": [0.0, 0.0, 0.0], "mass": 3.5}])
SILICON = (fcc(4 * QUARTER), DIAMOND)
ZINCBLENDE = (fcc(5.41), atoms(("Zn", 0, 0, 0), ("S", 0.25, 0.25, 0.25)))
HCP = CRYSTALS["hcp"][:2]
LAYERS = (3.0 * np.eye(3), atoms(("Si", 0, 0, 0), ("C", 0.5, 0.5, 0)))
CUBE = np.diag([5.0, 1.0, 1.0])

WRONG = {
    "no springs": (SIMPLE, [], "springs: is empty; give at least one"),
    "no list": (SIMPLE, {"shell": 1}, "springs = {'shell': 1}: must be a list of tables"),
    "no table": (SIMPLE, [3], "springs.0 = 3: must be a table"),
    "unknown key": (SIMPLE, [{"species": ["X", "X"], "shel": 1, "longitudinal": 1.0}], "springs.0.shel: unknown key; did you mean shell?"),
    "unknown species": (SILICON, [spring("Si", "Ge", 1, 1.0)], "springs.0.species = ['Si', 'Ge']: there is no Ge; the atoms are Si"),
    "one species": (SIMPLE, [{"species": ["X"], "shell": 1, "longitudinal": 1.0}], "springs.0.species = ['X']: must be the names of two species"),
    "neither shell nor distance": (SIMPLE, [{"species": ["X", "X"], "longitudinal": 1.0}], "springs.0: has neither shell and distance"),
    "both": (SIMPLE, [spring("X", "X", 1, 1.0) | {"distance": 3.0}], "springs.0: has both shell and distance; give one of the two"),
    "both forms": (SIMPLE, [spring("X", "X", 1, 1.0) | {"matrix": CUBE}], "give longitudinal and transverse, or bond and matrix"),
    "no constant": (SIMPLE, [{"species": ["X", "X"], "shell": 1}], "springs.0: longitudinal, or bond and matrix, are missing"),
    "no longitudinal": (SIMPLE, [{"species": ["X", "X"], "shell": 1, "transverse": 2.0}], "springs.0: longitudinal, or bond and matrix, are missing"),
    "no bond": (SIMPLE, [{"species": ["X", "X"], "shell": 1, "matrix": CUBE}], "springs.0: bond is missing"),
    "no matrix": (SIMPLE, [{"species": ["X", "X"], "shell": 1, "bond": [3, 0, 0]}], "springs.0: matrix is missing"),
    "matrix of another shape": (SIMPLE, [general("X", "X", 1, [3, 0, 0], np.eye(2))], "springs.0.matrix = "),
    "a matrix's row": (SIMPLE, [general("X", "X", 1, [3, 0, 0], np.ones((3, 2)))], "springs.0.matrix row 0 = [1.0, 1.0]: must be three numbers"),
    "not finite": (SIMPLE, [spring("X", "X", 1, float("nan"))], "springs.0.longitudinal = nan: must be a finite number"),
    "shell 0": (SIMPLE, [spring("X", "X", 0, 1.0)], "springs.0.shell = 0: must be a whole number, 1 or more"),
    "shell 1.5": (SIMPLE, [spring("X", "X", 1.5, 1.0)], "springs.0.shell = 1.5: must be a whole number"),
    "far shell": (SIMPLE, [spring("X", "X", 900, 1.0)], "springs.0.shell = 900: X and X have 38 distances within 20 Angstrom; give a smaller shell"),
    "far distance": (SIMPLE, [{"species": ["X", "X"], "distance": 60.0, "longitudinal": 1.0}], "must be 20 Angstrom or less"),
    "no pair": (SIMPLE, [{"species": ["X", "X"], "distance": 3.2, "longitudinal": 1.0}], "springs.0.distance = 3.2: no X and X are so far apart; near it are 3.0000, 4.2426"),
    "several distances": (
        (np.diag([3.0, 3.008, 3.5]), SIMPLE[1]),
        [{"species": ["X", "X"], "distance": 3.004, "longitudinal": 1.0}],
        "springs.0.distance = 3.004: may be any of the distances 3.0000, 3.0080 Angstrom of X and X; give more digits",
    ),
    "twice": (SIMPLE, [spring("X", "X", 1, 1.0), {"species": ["X", "X"], "distance": 3.0, "longitudinal": 2.0}], "springs.1 (X-X, distance = 3): its bonds have a spring already, springs.0"),
    "twice, the other way": (ZINCBLENDE, [spring("Zn", "S", 1, 1.0), spring("S", "Zn", 1, 1.0)], "springs.1 (S-Zn, shell = 1): its bonds have a spring already, springs.0"),
    "twice, by matrices": (SILICON, [general("Si", "Si", 1, s * np.full(3, QUARTER), np.eye(3)) for s in (1, -1)], "springs.1 (Si-Si, shell = 1): its bonds have a spring already"),
    "no bond of the shell": (SIMPLE, [general("X", "X", 1, [3, 0.2, 0], CUBE)], "springs.0.bond = [3.0, 0.2, 0.0]: is no bond of springs.0 (X-X, shell = 1); the nearest is [3.0, 0.0, 0.0]"),
    "matrix without the bond's symmetry": (
        SIMPLE,
        [general("X", "X", 1, [3, 0, 0], [[5.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])],
        "is changed by 0.5 meV/Angstrom^2 by the symmetry of its bond in Pm-3m; the nearest that is not is [[5.0, 0.0, 0.0], [0.0, 1.5, 0.0], [0.0, 0.0, 1.5]]",
    ),
    "several orbits": (
        LAYERS,
        [general("Si", "Si", 1, [3.0, 0.0, 0.0], np.diag([9.0, 2.0, 3.0]))],
        "springs.0: 2 of the 6 bonds Si-Si at 3.0000 Angstrom are not equal by symmetry to those that have a matrix; give a spring with bond and "
        "matrix for each kind, the next for bond = [0.0, 0.0, -3.0]",
    ),
    "several orbits, one axial": (
        LAYERS,
        [general("Si", "Si", 1, [3.0, 0.0, 0.0], np.diag([9.0, 2.0, 3.0])), spring("Si", "Si", 1, 9.0)],
        "springs.1 (Si-Si, shell = 1): its bonds have a spring already, springs.0",
    ),
    "rotation": (
        (hexagonal(3.19, 5.19), atoms(("Ga", 1 / 3, 2 / 3, 0), ("Ga", 2 / 3, 1 / 3, 0.5), ("N", 1 / 3, 2 / 3, 0.37), ("N", 2 / 3, 1 / 3, 0.87))),
        [spring("Ga", "N", 1, 900.0, 50.0)],
        "springs: break the rotational sum rule at atom 0 (Ga), by ",
    ),
    "rotation, one bond": (
        (hexagonal(3.0, 4.0), [{"species": "A", "position": [0, 0, 0], "mass": 1.0}, {"species": "B", "position": [0.25, 0.125, 0.375], "mass": 2.0}]),
        [spring("A", "B", 1, 9.0, 2.0)],
        "of the largest block; the transverse constants must vanish, or the sum of k_t x over the "
        "atom's bonds (x from the atom to its neighbour) must, here [1.125, 0.649519, 3.0] meV/Angstrom",  # 2 x of the one bond
    ),
    "turning by itself": (
        (hexagonal(3.0, 4.0), [{"species": "A", "position": [0, 0, 0], "mass": 1.0}, {"species": "B", "position": [0.31, 0.11, 0.47], "mass": 2.0}]),
        [general("A", "B", 1, np.array([0.31, 0.11, 0.47]) @ hexagonal(3.0, 4.0), [[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])],
        "springs: the matrices at atom 0 (A) add up to one that is not symmetric, by ",
    ),
    "nothing holds": (SIMPLE, [spring("X", "X", 1, 0.0)], "springs: hold no atom, all their constants are 0"),
    "far away": ((SIMPLE[0], atoms(("Si", 0, 1e9, 0))), [], "atoms.0.position = [0.0, 1000000000.0, 0.0]: must be fractional coordinates, within 1000"),
    "no mass": ((SIMPLE[0], [{"species": "X", "position": [0, 0, 0]}]), [spring("X", "X", 1, 1.0)], "atoms.0.species = 'X': begins with no element, so that it needs a mass; give atoms.0.mass too"),
    "wrong mass": ((SIMPLE[0], [{"species": "X", "position": [0, 0, 0], "mass": "Xx"}]), [], "atoms.0.mass = 'Xx': must be an element"),
    "no position": ((SIMPLE[0], [{"species": "Si"}]), [], "atoms.0.position = None: must be three numbers"),
    "no name": ((SIMPLE[0], [{"species": 3, "position": [0, 0, 0]}]), [], 'atoms.0.species = 3: must be the name of a species, such as "Si"'),
    "unknown key of an atom": ((SIMPLE[0], [{"species": "Si", "positon": [0, 0, 0]}]), [], "atoms.0.positon: unknown key; did you mean position?"),
    "on top of each other": ((SIMPLE[0], atoms(("Si", 0, 0, 0), ("Si", 1, 0, 0.05))), [], "atoms: atoms 0 (Si) and 1 (Si) are 0.15 Angstrom apart"),
    "no atoms": ((SIMPLE[0], []), [], "atoms: 0 species for 0 positions"),
    "left-handed": ((np.diag([3.0, 3.0, -3.0]), ALUMINIUM), [], "is left-handed"),
    "flat": ((np.ones((3, 3)), ALUMINIUM), [], "is flat"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name):
    (cell, given), springs, right = WRONG[name]
    with pytest.raises(InputError) as caught:
        from_springs(cell, given, springs)
    assert right in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"crystal\."):
        from_springs(cell, given, springs, "crystal.")


def test_digits_that_were_rounded_are_made_symmetric():
    """A hexagonal bond's matrix with four digits, as tables have them."""
    cell, given = HCP
    matrix = [[500.0, 0.0, 0.0], [0.0, 60.0, 0.0], [0.0, 0.0, 20.0]]
    turn = np.array([[np.cos(TURN / 3), -np.sin(TURN / 3), 0], [np.sin(TURN / 3), np.cos(TURN / 3), 0], [0, 0, 1]])
    rounded = np.round(turn @ matrix @ turn.T, 2)
    bond = np.round(turn @ [3.2, 0, 0], 4)
    exact, other = (
        from_springs(cell, given, [general("Mg", "Mg", 2, b, m)]) for b, m in (([3.2, 0, 0], matrix), (bond, rounded))
    )
    np.testing.assert_allclose(other.blocks, exact.blocks, rtol=0.0, atol=0.02)
    assert len(symmetry.of_crystal(other, 1e-12).rotations) == 24


def test_the_library():
    assert {"silicon", "copper"} <= set(library.names())
    for name in library.names():
        tables = library.read(name)
        assert set(tables) == {"cell", "atoms", "springs"} and library.text(name).startswith("# ")
        crystal = from_springs(**tables)
        dynamics.require_stable(crystal)
        assert max(sumrules.violations(crystal)) < 1e-12
    with pytest.raises(InputError, match="did you mean silicon"):
        library.read("silcon")


def frequencies(crystal, a, q):
    return dynamics.frequencies(crystal, reduced(crystal.cell, np.array(q) / a)) / TURN


def test_silicon_is_as_measured():
    crystal = from_springs(**library.read("silicon"))
    c = dynamics.elastic_constants(crystal)
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [165.78, 63.94, 79.62], rtol=1e-3)
    assert frequencies(crystal, 5.431, [0, 0, 0])[5] == pytest.approx(15.57, rel=1e-3)
    at_x, at_l = frequencies(crystal, 5.431, [1, 0, 0]), frequencies(crystal, 5.431, [0.5, 0.5, 0.5])
    np.testing.assert_allclose(at_x[[0, 2, 4]], [4.49, 12.32, 13.90], rtol=0.025)
    np.testing.assert_allclose(at_l[[0, 3, 4]], [3.43, 12.60, 14.68], rtol=0.025)
    assert at_l[2] == pytest.approx(11.35, rel=0.09)
    assert crystal.neighbours.tolist() == [28, 28]


def test_silicon_against_density_functional_theory():
    """The whole zone; PBEsol has the transverse acoustic branches 10 % lower than they were measured, and so lower than the springs'."""
    theirs = crystals.phonopy_of("si")
    crystal = from_springs(**library.read("silicon"))
    a = (4.0 * theirs.primitive.volume) ** (1.0 / 3.0)
    q = RNG.random((200, 3)) * 2.0 - 1.0  # units of 2π/a
    theirs.run_qpoints(q / a @ theirs.primitive.cell.T)
    apart = frequencies(crystal, 5.431, q) - theirs.qpoints.frequencies
    rms = np.sqrt(np.mean(apart**2, axis=0))
    assert rms.max() < 0.85 and np.sqrt(np.mean(apart**2)) < 0.55


def test_silicon_is_what_its_script_makes(tmp_path, monkeypatch, capsys):
    folder = Path(__file__).resolve().parent.parent / "scripts"
    monkeypatch.syspath_prepend(str(folder))
    script = runpy.run_path(str(folder / "silicon_springs.py"))
    script["main"](tmp_path, True)
    made, kept = (springs_of(text) for text in ((tmp_path / "silicon.toml").read_text(encoding="utf-8"), library.text("silicon")))
    np.testing.assert_allclose(made.blocks, kept.blocks, rtol=0.0, atol=1e-4 * np.abs(kept.blocks).max())
    assert "C44" in capsys.readouterr().out
    _, medium = script["fitted"](1e-4)  # from the energy's terms, without any symmetry
    np.testing.assert_allclose(dynamics.frequencies(made, Q), dynamics.frequencies(medium, Q), rtol=1e-5)


def springs_of(text):
    return from_springs(**tomllib.loads(text))


NICKLOW = {
    (1, 1, 0): (13.278, 13.278, -1.351, 0.0, 0.0, 14.629),
    (2, 0, 0): (-0.041, -0.198, -0.198, 0.0, 0.0, 0.0),
    (2, 1, 1): (0.742, 0.284, 0.284, 0.153, 0.306, 0.306),
    (2, 2, 0): (0.350, 0.350, -0.327, 0.0, 0.0, 0.677),
    (3, 1, 0): (-0.195, -0.006, 0.017, 0.0, 0.0, -0.071),
    (2, 2, 2): (-0.137, -0.137, -0.137, -0.135, -0.135, -0.135),
}
"""Copper at 49 K, Nicklow et al., Phys. Rev. 164, 922 (1967): xx, yy, zz, yz, xz, xy of a bond (a/2), N/m."""


def test_copper_is_as_measured():
    """Elastic constants at 300 K (Overton, Gaffney, Phys. Rev. 98, 969 (1955)); phonons against another laboratory's fit, of colder copper."""
    a, crystal = 3.615, from_springs(**library.read("copper"))
    c = dynamics.elastic_constants(crystal)
    np.testing.assert_allclose([c[0, 0], c[0, 1], c[3, 3]], [168.4, 121.4, 75.4], rtol=0.01)
    cold = [
        general("Cu", "Cu", n + 1, 0.5 * a * np.array(bond), 62.41509 * np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
        for n, (bond, (xx, yy, zz, yz, xz, xy)) in enumerate(NICKLOW.items())
    ]
    other = from_springs(fcc(a), atoms(("Cu", 0, 0, 0)), cold)
    np.testing.assert_allclose(dynamics.frequencies(crystal, Q), dynamics.frequencies(other, Q), rtol=0.05)
    assert frequencies(crystal, a, [1, 0, 0])[2] == pytest.approx(7.23, abs=0.01) and crystal.neighbours.tolist() == [86]
