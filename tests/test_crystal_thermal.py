"""Thermal states of any crystal against explicit matrices, phonopy and [lattice]; statistical assertions at five standard errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import crystals
from made_up import hessian, springs, triclinic
from mdlite.crystals import cubic, dynamics, response, thermal
from mdlite.crystals.dynamics import dynamical_matrix
from mdlite.errors import InputError
from mdlite.physics import thermal as cubic_thermal
from mdlite.physics.model import Lattice
from mdlite.units import BOLTZMANN, HBAR

SIZE = (3, 4, 1)
CASES = [(25.0, "quantum"), (25.0, "classical"), (0.0, "quantum"), (5.0, "quantum")]
LATTICE = Lattice(size=(4, 5, 6))


def rock_salt(a=5.6):
    """Springs to 6 unlike and 12 like neighbours."""
    return springs(0.5 * a * (1.0 - np.eye(3)), [[0, 0, 0], [0.5] * 3], [2.4, 3.7], 0.75 * a)


def explicit(of, size):
    """M^-1/2 V M^-1/2 of a periodic box, coordinates in the order κ, component, n1, n2, n3: (3pN, 3pN), rad²/ps²."""
    p, count = of.n_basis, np.prod(size)
    matrix = hessian(of, size).reshape(count, p, 3, count, p, 3).transpose(1, 2, 0, 4, 5, 3)
    root = np.sqrt(np.repeat(of.masses, 3 * count))
    return matrix.reshape((3 * p * count,) * 2) / np.outer(root, root)


@pytest.fixture(scope="module")
def low():
    return triclinic()


@pytest.fixture(scope="module")
def modes(low):
    """Squares of frequencies and real normal modes of the box, from its explicit matrix, without the three of the box as a whole."""
    squares, vectors = np.linalg.eigh(explicit(low, SIZE))
    return squares[3:], vectors[:, 3:]


def exact(modes, masses, energy, statistics):
    """<u uᵀ> and <v vᵀ> of all coordinates, as matrix functions of the explicit matrix."""
    omega, vectors = np.sqrt(modes[0]), modes[1]
    root = np.sqrt(np.repeat(masses, len(vectors) // len(masses)))
    with np.errstate(divide="ignore"):
        mean = 0.5 / np.tanh(0.5 * HBAR * omega / energy) if statistics == "quantum" else energy / (HBAR * omega)
    return [(vectors * (HBAR * mean * omega**power)) @ vectors.T / np.outer(root, root) for power in (-1, 1)]


def on_site(matrix, p, size):
    """The blocks (p, 3, 3) of a matrix of all coordinates that belong to the atoms of the first cell."""
    whole = matrix.reshape(p, 3, np.prod(size), p, 3, np.prod(size))
    return np.array([whole[k, :, 0, k, :, 0] for k in range(p)])


@pytest.mark.parametrize("energy, statistics", CASES, ids=str)
def test_variances_are_those_of_the_explicit_matrix(low, modes, energy, statistics):
    found = thermal.variances(low, SIZE, energy, statistics)
    for ours, matrix in zip(found, exact(modes, low.masses, energy, statistics)):
        assert ours == pytest.approx(on_site(matrix, 3, SIZE), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("energy, statistics", CASES, ids=str)
def test_states_have_these_variances_and_every_mode_its_energy(low, modes, energy, statistics):
    rng = np.random.default_rng(7)
    states = [thermal.thermal_state(low, SIZE, energy, statistics, rng) for _ in range(400)]
    u, v = (np.array([state[n].reshape(-1) for state in states]) for n in range(2))
    root = np.sqrt(np.repeat(low.masses, u.shape[1] // 3))
    for values, matrix in zip((u, v), exact(modes, low.masses, energy, statistics)):
        for products, right in ((values**2, np.diag(matrix)), (values[:, :-1] * values[:, 1:], np.diag(matrix, 1))):
            mean, error = products.mean(axis=0), products.std(axis=0, ddof=1) / np.sqrt(len(products))
            assert np.all(np.abs(mean - right) < 5.0 * error + 1e-15)
    omega = np.sqrt(modes[0])
    kinetic, elastic = 0.5 * ((v * root) @ modes[1]) ** 2, 0.5 * (omega * ((u * root) @ modes[1])) ** 2
    right = 0.5 * HBAR * omega * thermal.mean_occupation(omega, energy, statistics)
    for values in (kinetic, elastic):
        assert np.all(np.abs(values.mean(axis=0) - right) < 5.0 * values.std(axis=0, ddof=1) / np.sqrt(len(values)) + 1e-12)
    correlation = (u * v).mean(axis=0)
    assert np.all(np.abs(correlation) < 5.0 * (u * v).std(axis=0, ddof=1) / np.sqrt(len(u)) + 1e-15)


def waves(of, size, field):
    """Bloch amplitudes √m Σ u e^{-2πi q·n}/√N of a field (p, 3, ...): (3p, n1, n2, n3)."""
    scaled = field * np.sqrt(of.masses)[:, None, None, None, None]
    return np.fft.fftn(scaled, axes=(2, 3, 4)).reshape(3 * of.n_basis, *size) / np.sqrt(np.prod(size))


@pytest.mark.parametrize("size", [(3, 4, 1), (1, 1, 5), (2, 3, 4), (1, 1, 1), (5, 2, 2)])
@pytest.mark.parametrize("statistics", ("quantum", "classical"))
def test_u_and_v_belong_to_one_motion_of_every_mode(low, size, statistics):
    """a + i ȧ/Ω of a Bloch amplitude a gives back ζ, whose |ζ|² Ω/2ħ is n + ½ with n whole; and ζ turns as e^{-iΩt}: of the free motion, exact."""
    u, v = thermal.thermal_state(low, size, 25.0, statistics, np.random.default_rng(3))
    assert u.shape == v.shape == (3, 3, *size) and u.dtype == np.float64
    a, rate = waves(low, size, u), waves(low, size, v)
    found = []
    for cell in np.ndindex(*size):
        squares, vectors = np.linalg.eigh(dynamical_matrix(low, np.array(cell) / size))
        skip = 3 if not any(cell) else 0
        omega, own = np.sqrt(squares[skip:]), vectors[:, skip:].conj().T
        zeta = own @ a[(slice(None), *cell)] + 1j * (own @ rate[(slice(None), *cell)]) / omega
        if np.all((2 * np.array(cell)) % size == 0):  # -q is q: ζ of a real vector, as numpy's need not be
            zeta = np.abs(own @ a[(slice(None), *cell)]) + 1j * np.abs(own @ rate[(slice(None), *cell)]) / omega
        found += (np.abs(zeta) ** 2 * omega / (2.0 * HBAR)).tolist()
    assert len(found) == 9 * np.prod(size) - 3 and min(found) > 0.0
    if statistics == "quantum":
        n = np.array(found) - 0.5
        assert n == pytest.approx(np.round(n), abs=1e-8) and n.min() > -1e-8


@pytest.mark.parametrize("size", [(3, 4, 1), (2, 2, 2), (1, 1, 1)])
def test_nothing_drifts(low, size):
    u, v = thermal.thermal_state(low, size, 25.0, "quantum", np.random.default_rng(3))
    for field in (u, v):
        assert np.abs(np.einsum("k,kcxyz->c", low.masses, field)).max() < 1e-12 * np.abs(field).sum()
        assert np.abs(field).max() > 0.0  # the optical modes of q = 0 are there


def test_occupations_have_their_distribution(low):
    rng, cell, branch = np.random.default_rng(5), (1, 2, 0), 4
    squares, vectors = np.linalg.eigh(dynamical_matrix(low, np.array(cell) / SIZE))
    omega, own, energy = np.sqrt(squares[branch]), vectors[:, branch].conj(), 10.0
    drawn = {"quantum": [], "classical": []}
    for statistics, values in drawn.items():
        for _ in range(600):
            u, v = thermal.thermal_state(low, SIZE, energy, statistics, rng)
            a, rate = (own @ waves(low, SIZE, field)[(slice(None), *cell)] for field in (u, v))
            values.append(np.abs(a + 1j * rate / omega) ** 2 * omega / (2.0 * HBAR))
    n = np.round(np.array(drawn["quantum"]) - 0.5)
    below, chance = (n == 0).mean(), 1.0 - np.exp(-HBAR * omega / energy)
    assert abs(below - chance) < 5.0 * np.sqrt(chance * (1.0 - chance) / len(n))
    assert stats.kstest(np.array(drawn["classical"]) * HBAR * omega / energy, "expon").pvalue > 1e-5


def test_the_seed_decides_everything_and_rounding_nothing():
    """Degenerate vectors are those that the matrix decides: other ones that an eigensolver could have found give the same."""
    of = rock_salt()
    one, two, other = (thermal.thermal_state(of, (4, 4, 4), 25.0, "quantum", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one[0].tobytes() == two[0].tobytes() and one[1].tobytes() == two[1].tobytes()
    assert np.abs(one[0] - other[0]).max() > 0.01
    q = np.array([[0.0, 0.0, 0.0], [0.25, 0.0, 0.25], [0.1, 0.2, 0.3], [0.5, 0.5, 0.5], [0.1, 0.1, 0.1]])
    squares, vectors = np.linalg.eigh(dynamical_matrix(of, q))
    rng, turned = np.random.default_rng(1), vectors.copy()
    for n, row in enumerate(squares):
        for value in np.unique(np.round(row, 6)):
            same = np.flatnonzero(np.abs(row - value) < 1e-4)
            turned[n][:, same] = turned[n][:, same] @ stats.unitary_group.rvs(len(same), random_state=rng).reshape(len(same), -1)
    assert np.abs(turned - vectors).max() > 0.1
    settled = thermal.settled(squares, vectors)
    assert settled == pytest.approx(thermal.settled(squares, turned), abs=1e-7)
    assert thermal.settled(squares, vectors.conj()) == pytest.approx(settled.conj(), abs=1e-7)
    d = dynamical_matrix(of, q)
    assert (settled * squares[:, None]) @ settled.conj().swapaxes(1, 2) == pytest.approx(d, abs=1e-8 * np.abs(d).max())


def test_the_number_of_cores_changes_no_bit(monkeypatch):
    def state():
        return thermal.thermal_state(rock_salt(), (8, 8, 9), 25.0, "quantum", np.random.default_rng(1))

    before = state()
    monkeypatch.setattr(dynamics, "cores", lambda: 1)
    assert all(one.tobytes() == other.tobytes() for one, other in zip(before, state()))


def test_states_do_not_depend_on_how_many_are_diagonalised_at_once_but_for_the_draws(low, monkeypatch):
    whole = thermal.variances(low, (4, 5, 6), 25.0, "quantum")
    monkeypatch.setattr(thermal, "MOST_NUMBERS", 81 * 7)
    for one, other in zip(whole, thermal.variances(low, (4, 5, 6), 25.0, "quantum")):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-15)
    u, _ = thermal.thermal_state(low, (4, 5, 6), 25.0, "quantum", np.random.default_rng(1))
    assert np.isfinite(u).all() and u.std() > 0.01


@pytest.mark.parametrize("energy, statistics", [(25.0, "quantum"), (25.0, "classical"), (1e-3, "quantum")], ids=str)
def test_lattice_as_a_crystal(energy, statistics):
    for size in ((4, 5, 6), (5, 5, 5)):
        right = cubic_thermal.variances(replace(LATTICE, size=size), energy, statistics)
        for medium in (cubic.as_crystal(LATTICE), LATTICE):
            for tensor, mean in zip(thermal.variances(medium, size, energy, statistics), right):
                assert np.trace(tensor[0]) / 3.0 == pytest.approx(mean, rel=1e-11)
                if size[0] == size[2]:
                    assert tensor == pytest.approx(mean * np.eye(3)[None], rel=1e-11, abs=1e-11 * mean)
    ours = thermal.thermal_state(LATTICE, LATTICE.size, energy, statistics, np.random.default_rng(1))
    theirs = cubic_thermal.thermal_state(LATTICE, energy, statistics, np.random.default_rng(1))
    assert all(one[0].tobytes() == other.tobytes() for one, other in zip(ours, theirs))


def test_a_supercell_in_a_smaller_box_is_the_same_crystal(low):
    """And so are its variances, atom by atom, whichever cells describe it."""
    larger = low.supercell([[1, 0, 1], [0, 2, 0], [-1, 0, 1]])
    box = thermal.variances(larger, (2, 2, 3), 25.0, "quantum")
    folded = low.supercell([[2, 0, 2], [0, 4, 0], [-3, 0, 3]])
    for one, other in zip(box, thermal.variances(folded, (1, 1, 1), 25.0, "quantum")):
        assert one[:3] == pytest.approx(other[:3], rel=1e-9)


@pytest.mark.parametrize("energy, statistics", [(25.0, "classical"), (25.0, "quantum"), (0.0, "quantum")], ids=str)
def test_displacements_of_the_infinite_crystal_are_the_limit_of_boxes(energy, statistics):
    """A box of N³ lacks A/N (classical), or A/N² (quantum, T = 0), besides smaller terms, which two or three sizes tell."""
    of = rock_salt()
    found = thermal.displacement_tensors(of, energy, statistics, 1e-9)
    sizes = np.array([10, 14, 20, 28])
    boxes = np.array([thermal.variances(of, (n, n, n), energy, statistics)[0][0, 0, 0] for n in sizes])
    powers = [0, 1, 3, 5] if energy else [0, 2, 4, 6]
    limit = np.linalg.solve(sizes[:, None] ** -np.array(powers, float), boxes)[0]
    assert found[0, 0, 0] == pytest.approx(limit, rel=1e-5)
    assert found == pytest.approx(found[:, :1, :1] * np.eye(3), abs=1e-12)
    rough = thermal.displacement_tensors(of, energy, statistics)
    assert rough == pytest.approx(found, abs=thermal.TOLERANCE * found.max())


def test_classical_displacements_are_the_recoil_kernel(low):
    """k_B T W_κκ(0), which `response` computes by inversion; and of [lattice] by cubic symmetry."""
    pairs = [[k, k, 0, 0, 0] for k in range(3)]
    assert thermal.displacement_tensors(low, 25.0, "classical", 1e-9) == pytest.approx(
        25.0 * response.static_recoil(low, pairs), rel=1e-7
    )
    right = 25.0 * response.static_recoil(LATTICE, pairs[:1])
    assert thermal.displacement_tensors(LATTICE, 25.0, "classical", 1e-9) == pytest.approx(right, rel=1e-8, abs=1e-12)


REAL = [pytest.param("si", (4, 4, 4), id="si"), pytest.param("li2o", (3, 4, 4), id="li2o")]
REAL += [pytest.param("li3po4", (2, 3, 3), id="li3po4", marks=pytest.mark.thorough)]


@pytest.mark.parametrize("name, size", REAL)
def test_displacements_against_phonopy(name, size):
    """The box's grid with Γ, whose three rigid motions phonopy's cut-off leaves out; before the correction of sum rules that phonopy knows not."""
    files = pytest.importorskip("mdlite.crystals.phonopy_files")
    of, theirs = files.read(crystals.params(name)).crystal, crystals.phonopy_of(name)
    theirs.run_mesh(size, with_eigenvectors=True, is_mesh_symmetry=False, is_gamma_center=True)
    theirs.run_thermal_displacement_matrices(temperatures=[0.0, 300.0], freq_min=0.05)
    matrices = np.real(theirs.thermal_displacement_matrices.thermal_displacement_matrices)
    for temperature, right in zip((0.0, 300.0), matrices):
        found = thermal.variances(of, size, BOLTZMANN * temperature, "quantum")[0]
        assert found == pytest.approx(right, rel=2e-6, abs=2e-6 * right.max())


def test_what_has_no_thermal_state_is_told(low):
    for wrong, right in (
        ((low, (0, 1, 1), 1.0, "quantum"), "size"),
        ((low, (1, 1, 1), -1.0, "quantum"), "energy = -1"),
        ((low, (1, 1, 1), 1.0, "bose"), "statistics"),
    ):
        with pytest.raises(InputError, match=right):
            thermal.variances(*wrong)
    unstable = low.with_blocks(-low.blocks)
    for work in (thermal.variances, lambda *a: thermal.thermal_state(*a, np.random.default_rng(1))):
        with pytest.raises(InputError, match=r"crystal: has no thermal state, its lowest frequency at q = \(0, 0, 0\) is -\d"):
            work(unstable, (2, 2, 2), 1.0, "quantum")
    with pytest.raises(InputError, match="no thermal state"):
        thermal.displacement_tensors(unstable, 1.0, "quantum")


def test_memory_is_told(low):
    """Four fields, two of them as half a spectrum, and a batch of eigenvectors."""
    most = [thermal.state_memory(low, (100, 100, n)) for n in (100, 200)]
    assert most[1] - most[0] == pytest.approx(1e6 * (3 * 24 * 4 + 70), rel=0.01)
