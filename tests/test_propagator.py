"""The response of the infinite crystal by Chebyshev moments, against matrix polynomials, quadrature and an explicit lattice."""

import numpy as np
import pytest

from mdlite.errors import InputError
from mdlite.kernels.stencil import kick_drift
from mdlite.physics import propagator, response
from mdlite.physics.model import Lattice
from mdlite.physics.phonons import dynamical_matrix

LATTICES = [Lattice(), Lattice(mass=2.0, k1=300.0, k2=400.0)]
VECTORS = np.array([[0, 0, 0], [1, 0, 0], [2, 1, 0], [2, 2, 1], [3, 2, 1]])


@pytest.mark.parametrize("lattice", LATTICES, ids=["default", "stiff-k2"])
def test_moments_against_matrix_polynomials(lattice):
    """T_n of the dynamical matrix by matrix products, averaged over a whole grid with another number of points."""
    count, n = 12, 19
    axes = 2.0 * np.pi * np.arange(n) / n
    theta = np.stack(np.meshgrid(axes, axes, axes, indexing="ij"), axis=-1).reshape(-1, 3)
    x = 2.0 * dynamical_matrix(lattice, theta) / lattice.omega_max**2 - np.eye(3)
    before, now = x, np.broadcast_to(np.eye(3), x.shape)
    found = propagator.moments(lattice, VECTORS, count)
    for order in range(count):
        for row, d in enumerate(VECTORS):
            mean = np.einsum("nab,n->ab", now, np.exp(1j * theta @ d)) / len(theta)
            exact = [mean[a, b] for a, b in propagator.COMPONENTS]
            assert np.abs(found[order, row] - exact).max() < 1e-14
        before, now = now, 2.0 * x @ now - before


@pytest.mark.parametrize("lattice", LATTICES, ids=["default", "stiff-k2"])
def test_response_is_the_derivative_of_the_recoil_kernel(lattice):
    """G = -dW/dt, by central differences of the quadrature over the zone."""
    table = propagator.response_table(lattice, VECTORS, 0.005, 200)
    h, times = 1e-4, np.array([0.05, 0.35, 1.0 - 1e-4])
    ends = [response.recoil_kernel(lattice, VECTORS, times + s) for s in (h, -h)]
    slope = (ends[1] - ends[0]) / (2.0 * h)
    exact = propagator.response_table(lattice, VECTORS, 1e-4, 9999)[..., np.round(times / 1e-4).astype(int)]
    for c, (a, b) in enumerate(propagator.COMPONENTS):
        assert np.abs(exact[:, c] - slope[..., a, b]).max() < 2e-7 * np.abs(slope).max() / h * 1e-3
    assert np.abs(table[:, :, [10, 70]] - exact[..., :2]).max() < 1e-16


def test_its_integral_is_the_static_response():
    dt = 0.002
    table = propagator.response_table(Lattice(), [[0, 0, 0], [1, 0, 0]], dt, 4000)
    weights = np.full(4001, dt)
    weights[[0, -1]] = 0.5 * dt
    integral = table[:, 0] @ weights
    left = response.recoil_kernel(Lattice(), [[0, 0, 0], [1, 0, 0]], [0.0, 8.0])[..., 0, 0]
    # trapezoidal rule with its end correction: G'(0) = 1/m on the atom itself, 0 elsewhere
    corrected = integral + dt**2 / 12.0 * np.array([1.0 / Lattice().mass, 0.0])
    assert np.abs(corrected - (left[:, 0] - left[:, 1])).max() < 2e-9


def test_verlet_response_is_an_explicit_lattice_s():
    """An impulse on one atom of a lattice stepped by the kernel, before its sound has gone around."""
    lattice, dt = Lattice(size=(22, 22, 22)), 0.005
    table = propagator.response_table(lattice, VECTORS, dt, 60, "verlet")
    springs = lattice.springs()
    u, v, after = (lattice.field() for _ in range(3))
    v[2, 9, 9, 10] = 1.0 / lattice.mass
    kick_drift(u, v, after, springs, 0.0, dt)
    u, after = after, u
    for step in range(1, 60):
        for row, d in enumerate(VECTORS):
            found = u[:, 9 + d[0], 9 + d[1], 10 + d[2]]
            assert np.abs(found - table[row, [4, 3, 2], step]).max() < 1e-15
        kick_drift(u, v, after, springs, dt, dt)
        u, after = after, u


def test_the_cache_is_used_and_never_trusted(tmp_path, monkeypatch):
    monkeypatch.setenv("MDLITE_CACHE_DIR", str(tmp_path / "own" / "cache"))
    wanted = (Lattice(), [[1, 0, 0]], 0.01, 30)
    first = propagator.response_table(*wanted)
    (file,) = (tmp_path / "own" / "cache").iterdir()
    monkeypatch.setattr(propagator, "_compute", lambda *_: pytest.fail("computed again"))
    assert propagator.response_table(*wanted).tobytes() == first.tobytes()
    monkeypatch.undo()
    monkeypatch.setenv("MDLITE_CACHE_DIR", str(tmp_path / "own" / "cache"))
    whole = file.read_bytes()
    np.save(file, first[..., :-1])
    too_short = file.read_bytes()
    np.save(file, first * np.nan)
    for spoilt in (b"", whole[:200], whole[:-8], b"nonsense" * 100, too_short, file.read_bytes()):
        file.write_bytes(spoilt)
        assert propagator.response_table(*wanted).tobytes() == first.tobytes()
        assert file.read_bytes() == whole
    assert len(list(file.parent.iterdir())) == 1  # no half-written ones beside it
    monkeypatch.setenv("MDLITE_CACHE_DIR", str(file / "not-a-folder"))
    assert propagator.response_table(*wanted).tobytes() == first.tobytes()
    with pytest.raises(InputError, match=r"memory\.window = 1000 ps: .* GB"):
        propagator.response_table(Lattice(), VECTORS, 1e-5, 10**8)
