"""Vibrations of any crystal, against dense matrices of boxes, small q, strained energies, and the simple cubic lattice."""

import numpy as np
import pytest

import made_up
from mdlite.crystals import dynamics
from mdlite.crystals.crystal import crystal
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.sumrules import corrected
from mdlite.errors import InputError
from mdlite.physics import phonons
from mdlite.physics.model import Lattice
from mdlite.units import TURN, terahertz

CUBIC = Lattice(size=(5, 6, 7), spacing=2.8, mass=3.1, k1=480.0, k2=150.0)


@pytest.mark.parametrize("size", [(3, 3, 4), (1, 2, 3)])
def test_d_on_a_boxs_grid_is_the_boxs_own_even_where_the_stencil_reaches_around(size):
    found = made_up.triclinic()
    root = np.repeat(np.tile(np.sqrt(found.masses), np.prod(size)), 3)
    exact = np.linalg.eigvalsh(made_up.hessian(found, size) / root[:, None] / root)
    grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in size], indexing="ij"), axis=-1).reshape(-1, 3)
    ours = np.sort(dynamics.squares(found, grid).ravel())
    assert np.abs(ours - exact).max() < 1e-12 * exact.max()


def test_d_is_hermitian_and_its_conjugate_at_the_opposite():
    found, q = made_up.triclinic(), np.array([[0.11, 0.27, -0.4], [0.5, 0.1, 0.3]])
    d = dynamics.dynamical_matrix(found, q)
    assert np.abs(d - d.conj().swapaxes(-1, -2)).max() < 1e-12 * np.abs(d).max()
    assert np.abs(d.conj() - dynamics.dynamical_matrix(found, -q)).max() < 1e-12 * np.abs(d).max()


def test_sound_is_that_of_small_q():
    found = made_up.triclinic()
    for direction in ([1, 0, 0], [0.3, -0.5, 0.8], [-1, 1, 2]):
        n = np.array(direction) / np.linalg.norm(direction)
        reduced = n @ found.cell.T / TURN
        for size, close in ((4e-3, 3e-5), (1e-3, 2e-6)):
            measured = dynamics.frequencies(found, size * reduced)[:3] / size
            assert dynamics.sound_speeds(found, direction) == pytest.approx(measured, rel=close)


def test_elastic_constants_are_those_of_a_strained_box():
    """Energy of a strain, the cell's atoms relaxed: bond by bond."""
    found, volume = made_up.triclinic(), abs(np.linalg.det(made_up.TRICLINIC))
    bonds = list(made_up.bonds(made_up.TRICLINIC, made_up.PLACES, 4.0, 900.0))
    cell, places = np.array(made_up.TRICLINIC), np.array(made_up.PLACES)
    p, rows, constants = len(places), [], []
    for i, j, n, along, k in bonds:
        x = (np.array(n) + places[j] - places[i]) @ cell
        strain = [along[a] * x[b] if a == b else along[a] * x[b] + along[b] * x[a] for a, b in dynamics.VOIGT]
        inner = np.zeros((p, 3))
        inner[j] += along
        inner[i] -= along
        rows.append([0.5 * s if a != b else s for s, (a, b) in zip(strain, dynamics.VOIGT)] + inner.ravel().tolist())
        constants.append(k)
    rows, constants = np.array(rows), np.array(constants)
    h = (rows * constants[:, None]).T @ rows / volume
    exact = h[:6, :6] - h[:6, 6:] @ np.linalg.pinv(h[6:, 6:], rcond=1e-10) @ h[6:, :6]
    assert dynamics.elastic_constants(found) == pytest.approx(dynamics.GIGAPASCAL * exact, abs=1e-10 * np.abs(exact).max())


def test_elastic_constants_and_sound_agree():
    found = made_up.triclinic()
    c, n = dynamics.elastic_constants(found) / dynamics.GIGAPASCAL, np.array([0.2, 0.7, -0.4])
    n /= np.linalg.norm(n)
    full = np.zeros((3, 3, 3, 3))
    for a, (i, j) in enumerate(dynamics.VOIGT):
        for b, (k, m) in enumerate(dynamics.VOIGT):
            full[i, j, k, m] = full[j, i, k, m] = full[i, j, m, k] = full[j, i, m, k] = c[a, b]
    christoffel = np.einsum("icjd,c,d->ij", full, n, n) * found.volume / found.cell_mass
    assert dynamics.acoustic_tensor(found, n) == pytest.approx(christoffel, rel=1e-9, abs=1e-9 * np.trace(christoffel))


def test_the_simple_cubic_lattice():
    general, q = as_crystal(CUBIC), np.random.default_rng(5).uniform(-1, 1, (40, 3))
    exact = phonons.dynamical_matrix(CUBIC, TURN * q)
    assert np.abs(dynamics.dynamical_matrix(general, q) - exact).max() < 1e-13 * CUBIC.omega_max**2
    assert np.array_equal(dynamics.dynamical_matrix(CUBIC, q), exact)
    n = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [2 / 3, 1 / 3, 2 / 3]])
    assert dynamics.acoustic_tensor(general, n) == pytest.approx(phonons.acoustic_tensor(CUBIC, n), rel=1e-12, abs=1e-9)
    assert dynamics.omega_max(general) == pytest.approx(CUBIC.omega_max, rel=1e-12)
    assert dynamics.fastest_sound(general) == pytest.approx(CUBIC.sound_speed, rel=3e-3)
    lowest, _ = dynamics.extremes(CUBIC)
    assert lowest.frequency == 0.0 and not lowest.q.any()


def test_the_highest_frequency_is_found_between_the_points_of_a_grid():
    found = made_up.triclinic()
    _, top = dynamics.extremes(found)
    q = np.random.default_rng(6).uniform(-0.5, 0.5, (20000, 3))
    assert dynamics.frequencies(found, q)[:, -1].max() <= top.frequency * (1 + 1e-9)
    assert dynamics.frequencies(found, top.q)[-1] == pytest.approx(top.frequency, rel=1e-12)


def unstable(pull):
    """A chain of planes whose second neighbours push apart: unstable between Γ and the zone's end."""
    cubic = as_crystal(CUBIC)
    cells = np.array([[2, 0, 0], [-2, 0, 0], [0, 0, 0]])
    block = pull * np.diag([1.0, 1.0, 1.0])
    return crystal(
        cubic.cell,
        cubic.positions,
        cubic.masses,
        cubic.species,
        np.concatenate([cubic.first, [0, 0, 0]]),
        np.concatenate([cubic.second, [0, 0, 0]]),
        np.concatenate([cubic.cells, cells]),
        np.concatenate([cubic.blocks, [block, block, -2.0 * block]]),
    )


def test_unstable_crystals_are_refused_with_frequency_and_q():
    dynamics.require_stable(unstable(20.0))
    with pytest.raises(InputError, match=r"is unstable, its lowest frequency is -\d\.\d+ THz \(imaginary\) at q = \(") as refused:
        dynamics.require_stable(unstable(120.0), "crystal.file = 'x'")
    assert "SSCHA" in str(refused.value) and str(refused.value).startswith("crystal.file = 'x': ")
    lowest, _ = dynamics.extremes(unstable(120.0))
    q = np.stack([np.linspace(-0.5, 0.5, 4001), np.zeros(4001), np.zeros(4001)], axis=1)
    assert lowest.frequency == pytest.approx(dynamics.frequencies(unstable(120.0), q)[:, 0].min(), rel=1e-6)
    assert terahertz(lowest.frequency) < -0.1


def test_sound_that_is_imaginary_in_one_direction_is_found():
    noise = np.random.default_rng(3).standard_normal((len(made_up.triclinic().blocks), 3, 3))
    found = made_up.triclinic()
    broken, _ = corrected(found.with_blocks(found.blocks + 0.02 * np.abs(found.blocks).max() * noise), "translation")
    with pytest.raises(InputError, match="is unstable"):
        dynamics.require_stable(broken)


def test_a_loose_atom_has_no_sound():
    found = made_up.triclinic()
    loose = found.with_blocks(np.where(((found.first == 0) | (found.second == 0))[:, None, None], 0.0, found.blocks))
    with pytest.raises(InputError, match="no restoring force"):
        dynamics.sound_speeds(loose, [1, 0, 0])


def test_directions_that_are_none():
    for direction in ([0, 0, 0], [1, float("nan"), 0], [1, 0]):
        with pytest.raises(InputError, match="direction"):
            dynamics.sound_speeds(made_up.triclinic(), direction)
