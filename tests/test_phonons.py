"""Dispersion against phonopy, sound and density of states against exact results."""

import numpy as np
import pytest

from independent import spring_matrix
from mdlite.errors import InputError
from mdlite.physics import phonons
from mdlite.physics.model import Lattice

LATTICE = Lattice(mass=3.7, spacing=2.8, k1=410.0, k2=133.0)


def test_dispersion_against_phonopy():
    phonopy = pytest.importorskip("phonopy")
    atoms = pytest.importorskip("phonopy.structure.atoms")
    cell = atoms.PhonopyAtoms(
        symbols=["Si"], cell=LATTICE.spacing * np.eye(3), scaled_positions=[[0, 0, 0]], masses=[LATTICE.mass]
    )
    n = 4
    crystal = phonopy.Phonopy(cell, supercell_matrix=np.diag([n, n, n]), primitive_matrix=np.eye(3), log_level=0)
    matrix = spring_matrix((n, n, n), LATTICE.k1, LATTICE.k2).reshape(3, n**3, 3, n**3)
    places = np.round(crystal.supercell.scaled_positions * n).astype(int) % n
    order = places @ np.array([n * n, n, 1])
    crystal.force_constants = np.ascontiguousarray(matrix[:, order][:, :, :, order].transpose(1, 3, 0, 2))
    rng = np.random.default_rng(5)
    q = np.concatenate([rng.uniform(-0.5, 0.5, (40, 3)), [[0.5, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5], [0.01, 0, 0]]])
    theirs = []
    for point in q:
        crystal.dynamical_matrix.run(point)
        theirs.append(np.sqrt(np.linalg.eigvalsh(crystal.dynamical_matrix.dynamical_matrix).clip(min=0.0)))
    ours = phonons.frequencies(LATTICE, 2.0 * np.pi * q)
    assert np.abs(ours / np.array(theirs) - 1.0).max() < 1e-6


def test_grid_frequencies_are_those_of_the_spring_matrix():
    size = (3, 4, 5)
    squares = np.linalg.eigvalsh(spring_matrix(size, LATTICE.k1, LATTICE.k2) / LATTICE.mass)
    axes = [2.0 * np.pi * np.arange(n) / n for n in size]
    theta = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    ours = np.sort(phonons.frequencies(LATTICE, theta).ravel() ** 2)
    assert np.abs(ours - squares).max() < 1e-11 * squares.max()


def test_sound_is_the_slope_at_gamma():
    for direction in ([1, 0, 0], [1, 1, 0], [1, 1, 1], [3, -2, 5]):
        unit = np.array(direction) / np.linalg.norm(direction)
        h = 1e-4
        slope = phonons.frequencies(LATTICE, h * unit) / h * LATTICE.spacing
        assert phonons.sound_speeds(LATTICE, direction) == pytest.approx(slope, rel=1e-7)
    assert phonons.sound_speeds(LATTICE, [1, 0, 0])[2] == pytest.approx(LATTICE.sound_speed, rel=1e-14)
    assert Lattice().sound_speed == pytest.approx(47.026, abs=1e-3)


def test_highest_frequency():
    rng = np.random.default_rng(6)
    anywhere = phonons.frequencies(LATTICE, rng.uniform(-np.pi, np.pi, (20000, 3))).max()
    assert anywhere < LATTICE.omega_max
    assert phonons.frequencies(LATTICE, [np.pi, 0, 0])[2] == pytest.approx(LATTICE.omega_max, rel=1e-14)


def test_density_of_states_moments():
    """∫ g = 3; ∫ g Ω² is the trace of the on-site force constants over the mass; g ∝ Ω² at low Ω with Debye's prefactor."""
    omega, g = phonons.density_of_states(LATTICE)
    width = omega[1] - omega[0]
    assert np.sum(g) * width == pytest.approx(3.0, rel=1e-12)
    trace = 3.0 * (2.0 * LATTICE.k1 + 4.0 * LATTICE.k2) / LATTICE.mass
    assert np.sum(g * (omega**2 + width**2 / 12)) * width == pytest.approx(trace, rel=1e-3)
    from mdlite.physics.response import loss_matrix

    # L = (a³/16π² m) ∫ dΩ̂ Σ_s ê ê/c³, so Debye's ∫ dΩ̂ Σ_s 1/c³ is 16π² m tr L / a³
    debye = (
        LATTICE.spacing**3 / (2 * np.pi) ** 3 * 16 * np.pi**2 * LATTICE.mass * np.trace(loss_matrix(LATTICE)) / LATTICE.spacing**3
    )
    low = (omega > 0.08 * LATTICE.omega_max) & (omega < 0.16 * LATTICE.omega_max)
    assert np.sum(g[low]) == pytest.approx(np.sum(debye * omega[low] ** 2), rel=0.05)


def test_dispersion_along_a_path():
    bands = phonons.dispersion(LATTICE, "GXMGR", points=10)
    assert bands["omega"].shape == (41, 3) and len(bands["corners"]) == 5
    assert bands["labels"] == ["Γ", "X", "M", "Γ", "R"]
    assert np.allclose(bands["omega"][10], phonons.frequencies(LATTICE, [np.pi, 0, 0]))
    own = phonons.dispersion(LATTICE, [[0, 0, 0], [np.pi, 0, 0]], points=10)
    assert np.allclose(own["omega"], bands["omega"][:11])


@pytest.mark.parametrize("path", ["G", "GZ", [[0, 0, 0]], [[0, 0], [1, 1]], [[0, 0, 0], [np.nan, 0, 0]]])
def test_bad_paths(path):
    with pytest.raises(InputError, match="path"):
        phonons.dispersion(LATTICE, path)
