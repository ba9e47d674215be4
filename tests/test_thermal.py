"""Thermal states against exact ensemble averages; statistical assertions at five standard errors (false alarms below 1e-6 each)."""

import numpy as np
import pytest
from scipy import stats

from independent import spring_matrix
from mdlite.physics.model import Lattice
from mdlite.physics.thermal import thermal_state, variances
from mdlite.units import BOLTZMANN, HBAR

SIZE = (4, 5, 6)
LATTICE = Lattice(size=SIZE)
CASES = [(25.0, "quantum"), (25.0, "classical"), (1e-3, "quantum"), (5.0, "quantum")]


@pytest.fixture(scope="module")
def modes():
    """Frequencies (rad/ps) and real normal modes without the rigid shifts, from the bonds."""
    squares, vectors = np.linalg.eigh(spring_matrix(SIZE, LATTICE.k1, LATTICE.k2) / LATTICE.mass)
    return np.sqrt(squares[3:]), vectors[:, 3:]


def exact_covariances(modes, energy, statistics):
    """<u uᵀ> and <v vᵀ> of all coordinates, as matrix functions of V."""
    omega, vectors = modes
    mean = 0.5 / np.tanh(0.5 * HBAR * omega / energy) if statistics == "quantum" else energy / (HBAR * omega)
    return ((vectors * (HBAR / LATTICE.mass * mean * omega**p)) @ vectors.T for p in (-1, 1))


@pytest.fixture(scope="module", params=CASES, ids=str)
def sample(request):
    energy, statistics = request.param
    rng = np.random.default_rng(11)
    states = [thermal_state(LATTICE, energy, statistics, rng) for _ in range(600)]
    u, v = (np.array([state[n].reshape(-1) for state in states]) for n in range(2))
    return energy, statistics, u, v


def within_five_errors(samples, exact):
    mean, error = samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert np.all(np.abs(mean - exact) < 5.0 * error + 1e-15), (mean, exact, error)


def test_variances_per_component(sample, modes):
    energy, statistics, u, v = sample
    exact_u, exact_v = exact_covariances(modes, energy, statistics)
    within_five_errors((u**2).mean(axis=1), np.trace(exact_u) / u.shape[1])
    within_five_errors((v**2).mean(axis=1), np.trace(exact_v) / u.shape[1])
    found = variances(LATTICE, energy, statistics)
    assert found == pytest.approx((np.trace(exact_u) / u.shape[1], np.trace(exact_v) / u.shape[1]), rel=1e-10)


def test_correlations_at_several_separations(sample, modes):
    """<u_i u_j> and <v_i v_j> averaged over all equivalent pairs, five separations, xx and xy and zz components."""
    energy, statistics, u, v = sample
    for values, exact in zip((u, v), exact_covariances(modes, energy, statistics)):
        fields, exact = values.reshape(-1, 3, *SIZE), exact.reshape(3, *SIZE, 3, *SIZE)
        for d in ((1, 0, 0), (0, 0, 2), (1, 1, 0), (1, -1, 2), (2, 2, 3)):
            shifted = np.roll(fields, tuple(-n for n in d), axis=(2, 3, 4))
            for a, b in ((0, 0), (0, 1), (2, 2)):
                expected = exact[(a, 0, 0, 0, b, *(n % m for n, m in zip(d, SIZE)))]
                within_five_errors((fields[:, a] * shifted[:, b]).mean(axis=(1, 2, 3)), expected)


def test_displacements_and_velocities_are_uncorrelated_and_nothing_drifts(sample):
    _, _, u, v = sample
    within_five_errors((u * v).mean(axis=1), 0.0)
    for values in (u, v):
        assert np.abs(values.reshape(len(values), 3, -1).mean(axis=2)).max() < 1e-12 * np.abs(values).max()


@pytest.mark.parametrize("energy, statistics", CASES, ids=str)
def test_occupations_have_their_distribution(energy, statistics, modes):
    """a + i ȧ/Ω of the Bloch amplitude a gives ζ of one mode back: n is an integer (Bose, geometric), or n + ½ exponential."""
    rng, q, branch = np.random.default_rng(5), (1, 2, 0), 2
    from mdlite.physics.phonons import dynamical_matrix

    theta = 2.0 * np.pi * np.array(q) / SIZE
    squares, vectors = np.linalg.eigh(dynamical_matrix(LATTICE, theta))
    omega, vector = np.sqrt(squares[branch]), vectors[:, branch]
    wave = np.exp(-1j * sum(t * n for t, n in zip(theta, np.meshgrid(*map(np.arange, SIZE), indexing="ij"))))
    drawn = []
    for _ in range(1500):
        u, v = thermal_state(LATTICE, energy, statistics, rng)
        a, rate = (np.einsum("c,cxyz,xyz->", vector, field, wave) * np.sqrt(LATTICE.mass / LATTICE.n_atoms) for field in (u, v))
        drawn.append(np.abs(a + 1j * rate / omega) ** 2 * omega / (2.0 * HBAR))
    drawn = np.array(drawn)
    x = np.exp(-HBAR * omega / energy)
    if statistics == "quantum":
        n = np.round(drawn - 0.5).astype(int)
        assert np.abs(drawn - 0.5 - n).max() < 1e-8 and n.min() >= 0
        for most in range(3):
            below, chance = (n <= most).mean(), 1.0 - x ** (most + 1)
            assert abs(below - chance) < 5.0 * np.sqrt(chance * (1.0 - chance) / len(n)) + 1e-9
    else:
        assert stats.kstest(drawn * HBAR * omega / energy, "expon").pvalue > 1e-5


def test_the_seed_decides_everything():
    one, two, other = (thermal_state(LATTICE, 25.0, "quantum", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one[0].tobytes() == two[0].tobytes() and one[1].tobytes() == two[1].tobytes()
    assert np.abs(one[0] - other[0]).max() > 0.01


def test_boltzmann_constant():
    assert pytest.approx(25.0, rel=0.01) == BOLTZMANN * 290.0
