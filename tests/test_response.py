"""W and L by routes that share nothing with the library's."""

import numpy as np
import pytest

from independent import spring_matrix
from mdlite.errors import InputError
from mdlite.physics.model import Lattice
from mdlite.physics.phonons import dynamical_matrix
from mdlite.physics.response import loss_matrix, recoil_kernel, static_recoil

LATTICE = Lattice()
VECTORS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 3], [-2, 1, 0], [3, -1, 2]])


def direct_sum(lattice, n, displacements, function):
    """Mean over the whole N³ grid without q = 0 of Σ_s ê ê† f(Ω²) e^{iq·d} / m, by brute force."""
    axis = 2.0 * np.pi * np.arange(n) / n
    total = np.zeros((len(displacements), 3, 3), complex)
    for x in axis:
        y, z = np.meshgrid(axis, axis, indexing="ij")
        theta = np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=1)
        theta = theta[np.any(theta != 0.0, axis=1)]
        squares, modes = np.linalg.eigh(dynamical_matrix(lattice, theta))
        tensor = np.einsum("nis,ns,njs->nij", modes, function(squares), modes)
        total += np.einsum("dn,nij->dij", np.exp(1j * displacements @ theta.T), tensor)
    assert np.abs(total.imag).max() < 1e-9 * np.abs(total).max()
    return total.real / n**3 / lattice.mass


def test_check_values():
    assert loss_matrix(LATTICE)[0, 0] == pytest.approx(3.29077e-5, rel=2e-6)
    assert recoil_kernel(LATTICE, [[0, 0, 0]], [0.0, 0.1])[0, :, 0, 0] == pytest.approx([9.48247e-4, 5.80e-7], rel=2e-3)
    assert static_recoil(LATTICE, [[0, 0, 0]])[0, 0, 0] == pytest.approx(9.48247e-4, rel=2e-6)


def test_static_recoil_by_extrapolation_of_finite_lattices():
    """W_N = W + A/N + B/N³ + C/N⁵ + ...: eliminating the powers one by one gives W to 10 digits, without any quadrature."""
    sizes = [20, 24, 28, 36, 44, 52, 64, 80]
    values = np.array([direct_sum(LATTICE, n, VECTORS, lambda s: 1.0 / s) for n in sizes])
    powers = np.array([0, 1, 3, 5, 7, 9, 11, 13])
    design = (1.0 / np.array(sizes, float))[:, None] ** powers
    fitted = np.linalg.solve(design * 20.0**powers, values.reshape(len(sizes), -1))[0].reshape(len(VECTORS), 3, 3)
    assert np.abs(fitted - static_recoil(LATTICE, VECTORS)).max() < 1e-10 * 9.48e-4


def test_static_recoil_is_the_inverse_of_the_spring_matrix():
    """Σ_d' V_{d-d'} W_{d'} = δ_{d,0}, the springs taken from the loop over bonds."""
    size = (5, 5, 5)
    matrix = spring_matrix(size, LATTICE.k1, LATTICE.k2).reshape(3, *size, 3, *size)
    near = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    blocks = [matrix[:, 2, 2, 2, :, 2 + i, 2 + j, 2 + k] for i, j, k in near]
    for d in ([0, 0, 0], [1, 0, 0], [2, 1, -1]):
        recoil = static_recoil(LATTICE, near + np.array(d))
        product = sum(block @ w for block, w in zip(blocks, recoil))
        assert np.abs(product - (np.eye(3) if d == [0, 0, 0] else 0.0)).max() < 1e-10


def test_static_recoil_obeys_the_crystal_symmetry():
    one, other = static_recoil(LATTICE, [[3, -1, 2], [-1, 2, 3]])
    rotation = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # (3, -1, 2) → (-1, 2, 3)
    assert np.allclose(rotation @ one @ rotation.T, other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("time", [0.05, 0.3, 1.0])
def test_kernel_of_the_infinite_lattice_until_the_echo(time):
    """W_N(t) - W_N(0) has no finite-size error but the missing q = 0 mode, -t²/(2 m N³), until sound has gone around."""
    n, lattice = 44, Lattice(size=(44, 44, 44))
    change = direct_sum(lattice, n, VECTORS, lambda s: (np.cos(np.sqrt(s) * time) - 1.0) / s)
    expected = change - 0.5 * time**2 / (lattice.mass * n**3) * np.eye(3)
    found = recoil_kernel(LATTICE, VECTORS, [0.0, time])
    assert np.abs(found[:, 1] - found[:, 0] - expected).max() < 1e-11 * 9.48e-4


def test_finite_kernel_on_a_box_that_is_no_cube():
    lattice = Lattice(size=(4, 5, 6))
    matrix = spring_matrix(lattice.size, lattice.k1, lattice.k2)
    squares, modes = np.linalg.eigh(matrix / lattice.mass)
    keep = squares > 1e-6
    for time in (0.0, 0.07):
        kernel = (modes[:, keep] * np.cos(np.sqrt(squares[keep]) * time) / squares[keep]) @ modes[:, keep].T / lattice.mass
        kernel = kernel.reshape(3, *lattice.size, 3, *lattice.size)
        for d in ([0, 0, 0], [1, 0, 0], [1, -1, 2]):
            expected = kernel[:, d[0], d[1], d[2], :, 0, 0, 0]
            found = recoil_kernel(lattice, [d], [time], finite=True)[0, 0]
            assert np.abs(found - expected).max() < 1e-12 * np.abs(kernel).max()


def test_finite_size_error_is_one_over_n():
    """W_N - W = A/N + O(1/N³), with the same A for every pair."""
    infinite = static_recoil(LATTICE, VECTORS)[:, 0, 0]
    sizes = np.array([16, 32, 64])
    errors = np.array([recoil_kernel(Lattice(size=(n,) * 3), VECTORS, finite=True)[:, 0, 0, 0] - infinite for n in sizes])
    scaled = errors * sizes[:, None]
    spread = np.ptp(scaled, axis=1)  # of A over the pairs: falls as 1/N²
    assert spread[-1] < 0.01 * np.abs(scaled[-1]).max()
    assert np.log2(spread[:-1] / spread[1:]) == pytest.approx([2.0, 2.0], abs=0.3)
    assert scaled[-1, 0] / 20 == pytest.approx(-0.035 * infinite[0], rel=0.02)
    orders = np.log2(np.abs(errors[:-1, 0] / errors[1:, 0]))
    assert orders == pytest.approx([1.0, 1.0], abs=0.01)
    remainder = errors[:, 0] - scaled[-1, 0] / sizes
    assert np.abs(remainder[0]) < 1e-3 * np.abs(errors[0, 0])


def test_loss_matrix_by_cube_faces_and_a_resolvent():
    """10 digits by another way at every step: the acoustic tensor from the bonds, D̂ = Σ (k/2m) n nᵀ (q̂·d)² over neighbours d; the
    sphere by the faces of a cube; and D̂^{-3/2} = (4/π) ∫_0^∞ (D̂ + s²)^{-2} ds with s ∝ tan φ."""
    x, w = np.polynomial.legendre.leggauss(48)
    a, b = np.meshgrid(x, x, indexing="ij")
    weight = np.outer(w, w) / (1.0 + a**2 + b**2) ** 1.5
    angle, w_angle = np.polynomial.legendre.leggauss(80)
    angle, w_angle = 0.25 * np.pi * (angle + 1.0), 0.25 * np.pi * w_angle
    steps = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    steps = steps[np.isin(np.abs(steps).sum(axis=1), (1, 2))]
    lengths = np.abs(steps).sum(axis=1)
    constants = np.where(lengths == 1, LATTICE.k1, LATTICE.k2)
    total, scale = np.zeros((3, 3)), LATTICE.sound_speed / 2
    for axis in range(3):
        q = np.empty((*a.shape, 3))
        q[..., axis], q[..., axis - 1], q[..., axis - 2] = 1.0, a, b
        q /= np.linalg.norm(q, axis=-1, keepdims=True)
        along = (q @ steps.T * LATTICE.spacing) ** 2
        tensor = np.einsum("abd,d,di,dj->abij", along, 0.5 * constants / lengths / LATTICE.mass, steps, steps)
        power = np.zeros_like(tensor)
        for phi, w_phi in zip(angle, w_angle):
            inverse = np.linalg.inv(tensor + (scale * np.tan(phi)) ** 2 * np.eye(3))
            power += 4.0 / np.pi * inverse @ inverse * (w_phi * scale / np.cos(phi) ** 2)
        total += 2.0 * np.einsum("ab,abij->ij", weight, power)
    expected = LATTICE.spacing**3 / (16.0 * np.pi**2 * LATTICE.mass) * total
    assert np.abs(loss_matrix(LATTICE) - expected).max() < 1e-11 * expected[0, 0]


def test_loss_matrix_of_an_isotropic_crystal():
    """k1 = k2 makes long waves isotropic: L = (1/12πρ)(1/c_l³ + 2/c_t³)."""
    lattice = Lattice(k1=300.0, k2=300.0, mass=2.0, spacing=2.5)
    c_l, c_t = (lattice.spacing * np.sqrt(k / lattice.mass) for k in (900.0, 300.0))
    expected = (1.0 / c_l**3 + 2.0 / c_t**3) / (12.0 * np.pi * lattice.mass / lattice.spacing**3)
    assert np.abs(loss_matrix(lattice) - expected * np.eye(3)).max() < 1e-12 * expected


def test_loss_matrix_is_the_time_integral_of_the_kernel():
    """∫_0^T W_d dt tends to the same L for every pair (slowly, so loosely; a smooth cut-off averages the tail)."""
    times = np.linspace(0.0, 3.0, 241)
    kernel = recoil_kernel(LATTICE, [[0, 0, 0], [1, 1, 0]], times)
    window = np.cos(0.5 * np.pi * times / times[-1]) ** 2
    integral = np.trapezoid(kernel * window[None, :, None, None], times, axis=1)
    loss = loss_matrix(LATTICE)
    assert np.abs(integral - loss).max() < 0.02 * loss[0, 0]


@pytest.mark.parametrize("function", [loss_matrix, lambda lattice: recoil_kernel(lattice, [[0, 0, 0]])])
def test_chains_have_no_response(function):
    with pytest.raises(InputError, match=r"lattice\.k2 = 0"):
        function(Lattice(k2=0.0))


@pytest.mark.thorough
def test_near_chains_are_refused_rather_than_wrong():
    with pytest.raises(InputError, match="loss matrix does not converge"):
        loss_matrix(Lattice(k2=1e-6))
    with pytest.raises(InputError, match="recoil kernel does not converge"):
        recoil_kernel(Lattice(k2=1e-6), [[0, 0, 0]])


def test_long_and_many_times_by_a_lattice_too_large_for_an_echo():
    """W_N(t) - W_N(0) + t²/(2 m N³) of an N³ lattice, by its modes one by one, is that of the infinite crystal while Ωt is well below 2N."""
    n, vectors = 140, VECTORS[[0, 2, 6]]
    times = np.array([0.0, 6.5, -2.5, 7.0, 0.004])
    finite = recoil_kernel(Lattice(size=(n,) * 3), vectors, times, finite=True)
    expected = finite - finite[:, :1] - 0.5 * times[:, None, None] ** 2 / (LATTICE.mass * n**3) * np.eye(3)
    every = recoil_kernel(LATTICE, vectors[:1], np.arange(0.0, 20.0, 0.02))  # a thousand times, in seconds
    found = recoil_kernel(LATTICE, vectors, times)
    assert np.abs(found - found[:, :1] - expected).max() < 1e-11 * 9.48e-4
    assert np.abs(every[0, [325, 125, 350]] - found[0, [1, 2, 3]]).max() < 1e-11 * 9.48e-4


def test_times_in_any_order():
    times = np.array([0.3, -0.1, 0.0, 1.2, 0.3, -0.3])
    found = recoil_kernel(LATTICE, VECTORS, times)
    for n, time in enumerate(times):
        assert np.allclose(found[:, n], recoil_kernel(LATTICE, VECTORS, [abs(time)])[:, 0], rtol=0, atol=1e-17)
    assert recoil_kernel(LATTICE, VECTORS, []).shape == (len(VECTORS), 0, 3, 3)


def test_nothing_happens_outside_the_cone_of_sound():
    far = [[24, 0, 0], [20, 20, 0]]
    kernel = recoil_kernel(LATTICE, far, [0.0, 0.3])
    assert LATTICE.sound_speed * 0.3 < 0.25 * 24 * LATTICE.spacing
    assert np.abs(kernel[:, 1] - kernel[:, 0]).max() < 1e-14 * 9.48e-4


def test_many_times_of_a_finite_lattice_are_those_one_by_one():
    lattice, times = Lattice(size=(6, 7, 9)), np.linspace(-2.0, 30.0, 300)
    found = recoil_kernel(lattice, VECTORS, times, finite=True)
    for n in range(0, 300, 13):
        one = recoil_kernel(lattice, VECTORS, [times[n]], finite=True)[:, 0]
        assert np.abs(found[:, n] - one).max() < 1e-13 * np.abs(found).max()


@pytest.mark.parametrize(
    "vectors, times, finite, message",
    [
        ([[0, 0, 0]], [1e5], False, r"times: reach 100000 ps; must be within \d+ ps here"),
        ([[0, 0, 0]], [np.nan], False, "times: must be finite"),
        ([[0, 0, 0]], [np.inf], True, "times: must be finite"),
        ([[0, 0, 0.5]], [0.0], False, "must be lattice vectors"),
        ([[0, 0]], [0.0], False, "must be lattice vectors"),
        ([[0, 0, 10**400]], [0.0], False, "must be lattice vectors"),
        ([[0, 0, 10**30]], [0.0], False, "is too far"),
        ([[0, 0, 150]], [0.0], False, r"displacements: \[0, 0, 150\] is too far"),
    ],
)
def test_what_would_take_hours_or_is_no_number_is_refused(vectors, times, finite, message):
    with pytest.raises(InputError, match=message):
        recoil_kernel(LATTICE, vectors, times, finite=finite)
    with pytest.raises(InputError, match="this size would take hours"):
        recoil_kernel(Lattice(size=(3000,) * 3), [[0, 0, 0]], [0.0], finite=True)
