"""W, G and L of any crystal by routes that share nothing with the library's, and of the simple cubic lattice."""

import itertools

import numpy as np
import pytest

import made_up
from mdlite.crystals import dynamics, response
from mdlite.crystals.cubic import as_crystal
from mdlite.errors import InputError
from mdlite.physics import propagator
from mdlite.physics import response as cubic
from mdlite.physics.model import Lattice
from mdlite.units import TURN

LATTICE = Lattice()
PAIRS = np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 0, 0, 0], [2, 0, 1, -1, 1], [0, 2, -1, 1, -1]])


def brute_force(found, n, pairs):
    """Mean of D⁻¹ over the whole n³ grid without q = 0, term by term as the formula has it."""
    grid = np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[1:]
    inverse = np.linalg.inv(dynamics.dynamical_matrix(found, grid))
    out = []
    for own, other, *cell in pairs:
        blocks = inverse[:, 3 * own : 3 * own + 3, 3 * other : 3 * other + 3]
        out.append(
            np.einsum("q,qab->ab", np.exp(-1j * TURN * grid @ cell), blocks).real
            / n**3
            / np.sqrt(found.masses[own] * found.masses[other])
        )
    return np.array(out)


def test_static_recoil_by_extrapolation_of_finite_grids():
    """W_N = W + A/N + B/N³ + C/N⁵ + ..., so that the powers are eliminated one by one."""
    found = made_up.triclinic()
    sizes = np.array([10, 12, 15, 18, 22, 27, 33, 40])
    values = np.array([brute_force(found, n, PAIRS) for n in sizes])
    powers = np.array([[1.0, *(float(n) ** -(2 * k + 1) for k in range(len(sizes) - 1))] for n in sizes])
    exact = np.tensordot(np.linalg.inv(powers)[0], values, axes=1)
    ours = response.static_recoil(found, PAIRS)
    assert np.abs(ours - exact).max() < 1e-8 * np.abs(exact).max()


def test_a_pair_from_the_other_atom_is_the_transpose():
    ours = response.static_recoil(made_up.triclinic(), [[2, 0, 1, -1, 1], [0, 2, -1, 1, -1]])
    assert ours[0] == pytest.approx(ours[1].T, abs=1e-13)


def test_the_response_in_time_is_that_of_a_large_box():
    """Dense V of a box around which no wave comes in that time: cos √D t by its eigenvectors."""
    found, size, times = made_up.triclinic(), (6, 6, 5), np.array([0.0, 0.01, 0.02])
    p = found.n_basis
    root = np.repeat(np.tile(np.sqrt(found.masses), np.prod(size)), 3)
    squares, modes = np.linalg.eigh(made_up.hessian(found, size) / root[:, None] / root)
    omega = np.sqrt(squares.clip(min=0.0))
    falls = response.static_recoil(found, PAIRS)[:, None] - response.recoil_kernel(found, PAIRS, times)
    rates = response.propagator(found, PAIRS, times)
    for n, (own, other, *cell) in enumerate(PAIRS):
        a, b = 3 * own, 3 * (np.ravel_multi_index(np.array(cell) % size, size) * p + other)
        for values, exact in (
            (falls[n], 0.5 * times[:, None] ** 2 * np.sinc(omega * times[:, None] / TURN) ** 2),
            (rates[n], times[:, None] * np.sinc(omega * times[:, None] / np.pi)),
        ):
            direct = np.einsum("as,ts,bs->tab", modes[a : a + 3], exact, modes[b : b + 3]) / np.sqrt(
                found.masses[own] * found.masses[other]
            )
            assert np.abs(values - direct).max() < 1e-7 * max(
                np.abs(rates[:, 1:]).max() if values is rates[n] else np.abs(falls).max(), 1e-30
            )


def test_the_response_at_later_times_by_a_direct_sum_over_a_finer_grid():
    found, t = made_up.triclinic(), 0.3
    exact = response._mean(found, (40, 40, 40), PAIRS, lambda omega: response._rate(omega, np.array([t])))
    ours = response.propagator(found, PAIRS, [t])
    assert np.abs(ours - exact).max() < 1e-9 * np.abs(exact).max()


def test_the_rate_is_the_derivative():
    found, t, h = made_up.triclinic(), 0.1, 1e-3
    w = response.recoil_kernel(found, PAIRS, [t - h, t + h, t - 2 * h, t + 2 * h])
    slope = (8.0 * (w[:, 1] - w[:, 0]) - (w[:, 3] - w[:, 2])) / (12.0 * h)
    g = response.propagator(found, PAIRS, [t])[:, 0]
    assert np.abs(slope + g).max() < 1e-6 * np.abs(g).max()


def test_a_periodic_box():
    """W of a box by the pseudo-inverse of its dense V."""
    found, size = made_up.triclinic(), (3, 2, 3)
    exact = np.linalg.pinv(made_up.hessian(found, size), rcond=1e-10)
    moved = response.grid_recoil(found, size, PAIRS)[:, 0]
    masses = np.tile(found.masses, np.prod(size))
    # rigid motion is taken out with the masses' weights in one, without them in the other
    share = np.repeat(masses, 3) / masses.sum()
    project = np.eye(len(share)) - np.kron(np.ones((len(masses), 1)), np.kron(masses / masses.sum(), np.eye(3)).reshape(3, -1))
    exact = project @ exact @ project.T
    for n, (own, other, *cell) in enumerate(PAIRS):
        a, b = 3 * own, 3 * (np.ravel_multi_index(np.array(cell) % size, size) * 3 + other)
        assert moved[n] == pytest.approx(exact[a : a + 3, b : b + 3], abs=1e-12 * np.abs(exact).max())


def test_loss_is_the_late_response():
    """L = ∫ (t-average of W): by mean speeds over random directions, from small q alone."""
    found = made_up.triclinic()
    rng = np.random.default_rng(2)
    n = rng.standard_normal((40000, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    size = 1e-3
    d = dynamics.dynamical_matrix(found, size * n @ found.cell.T / TURN)
    squares, modes = np.linalg.eigh(d)
    power = squares[:, :3] ** -1.5 * size**3
    atom = 1  # any: all move together
    vectors = modes[:, 3 * atom : 3 * atom + 3, :3] / np.sqrt(found.masses[atom])
    exact = found.volume / (4.0 * np.pi) * np.einsum("qas,qs,qbs->ab", vectors, power, vectors.conj()).real / len(n)
    ours = response.loss_matrix(found)
    assert ours == pytest.approx(exact, abs=0.01 * np.abs(exact).max())
    assert np.linalg.eigvalsh(ours).min() > 0.0
    assert np.abs(ours - ours.T).max() < 1e-13 * ours.max()


def test_the_loss_matrix_turns_with_the_crystal():
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", [0.3, 1.1, -0.7]).as_matrix()
    found = made_up.triclinic()
    turned = made_up.springs(np.array(made_up.TRICLINIC) @ turn.T, made_up.PLACES, made_up.MASSES)
    assert response.loss_matrix(turned) == pytest.approx(turn @ response.loss_matrix(found) @ turn.T, abs=1e-16)
    assert response.static_recoil(turned, PAIRS) == pytest.approx(turn @ response.static_recoil(found, PAIRS) @ turn.T, abs=1e-13)


def test_the_simple_cubic_lattice():
    general = as_crystal(LATTICE)
    vectors = np.array(list(itertools.product((0, 1), (0, 1), (-1, 0, 2))))
    pairs = np.concatenate([np.zeros((len(vectors), 2), int), vectors], axis=1)
    exact = cubic.recoil_kernel(LATTICE, vectors, [0.0, 0.05, 0.3])
    ours = response.recoil_kernel(general, pairs, [0.0, 0.05, 0.3])
    assert np.abs(ours - exact).max() < 1e-11 * np.abs(exact).max()
    assert np.array_equal(response.recoil_kernel(LATTICE, pairs, [0.0, 0.05, 0.3]), exact)
    assert response.loss_matrix(general) == pytest.approx(
        cubic.loss_matrix(LATTICE), abs=1e-11 * cubic.loss_matrix(LATTICE)[0, 0]
    )
    assert np.array_equal(response.loss_matrix(LATTICE), cubic.loss_matrix(LATTICE))
    g = response.propagator(LATTICE, [[0, 0, 0, 0, 0]], [0.0, 0.1, 0.2])[0, :, 0, 0]
    assert g == pytest.approx(propagator.response_table(LATTICE, np.zeros((1, 3), int), 0.1, 2)[0, 0], abs=1e-9 * g.max())
    box = Lattice(size=(4, 5, 6))
    finite = cubic.recoil_kernel(box, vectors[:4], [0.0, 0.1], finite=True)
    assert response.grid_recoil(as_crystal(box), box.size, pairs[:4], [0.0, 0.1]) == pytest.approx(
        finite, abs=1e-11 * finite.max()
    )


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([[0, 3, 0, 0, 0]], r"pair \[0, 3, 0, 0, 0\]: the cell has atoms 0 to 2"),
        ([[0, 1, 0.5, 0, 0]], "whole numbers"),
        ([[0, 1, 2]], "five whole numbers"),
        ([[0, 1, 99, 0, 0]], "too far apart"),
    ],
)
def test_pairs_that_are_none(pairs, told):
    with pytest.raises(InputError, match=told):
        response.static_recoil(made_up.triclinic(), pairs)


def test_times_that_are_none_or_too_late():
    with pytest.raises(InputError, match="finite numbers"):
        response.recoil_kernel(made_up.triclinic(), PAIRS, [float("inf")])
    with pytest.raises(InputError, match="would take hours"):
        response.propagator(made_up.triclinic(), PAIRS, [1000.0])
