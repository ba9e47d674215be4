"""The forces between the ion and the atoms near it, against NumPy and against differences of the energy."""

import numpy as np
import pytest

from independent import yukawa
from mdlite.kernels.coupling import coupled_forces
from mdlite.kernels.types import IonState
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites

LATTICE = Lattice((5, 6, 7))
PLACES = [(1.3, 1.6, 1.4), (-0.4, 17.9, -43.7)]  # the second beyond the box, on both sides of it
ATOMS = [Shell(1), Shell(2), Cutoff(4.5, 1.0), Sites(((0, 0, 0), (2, 7, -14)))]


def model_of(atoms, place):
    return Model(LATTICE, Ion((0.7,) * 3, place), Interaction(Potential("yukawa", (900.0, 0.6)), atoms))


def ion_of(model):
    n = len(model.offsets)
    return IonState(
        np.array(model.ion.position), np.zeros(3), np.ones(3), np.full(3, np.nan), np.full((n, 3), np.nan), np.zeros(1)
    )


def displaced(seed=3):
    u = 0.2 * np.random.default_rng(seed).normal(size=(3, *LATTICE.size))
    field = LATTICE.field()
    LATTICE.atoms(field)[...] = u
    return u, field


def pair_energies(model, position, u):
    """φ S of every candidate by the formulae."""
    sites = model.candidate_sites(np.array(model.ion.position))  # those that are met do not change with small steps
    index = tuple((sites % np.array(LATTICE.size)).T)
    r = LATTICE.spacing * sites + u[:, index[0], index[1], index[2]].T
    rho = np.linalg.norm(r - position, axis=1)
    phi = yukawa(900.0, 0.6)[0](rho)
    atoms = model.interaction.atoms
    if np.isfinite(atoms.cutoff):
        x = np.clip((rho - atoms.switch_start) / atoms.switch_width, 0.0, 1.0)
        phi = phi * (1.0 - 10.0 * x**3 + 15.0 * x**4 - 6.0 * x**5)
    return phi


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("atoms", ATOMS, ids=lambda a: f"{type(a).__name__}-{len(a.offsets(3.0))}")
def test_energy_and_forces(atoms, place):
    model = model_of(atoms, place)
    (u, field), ion, h = displaced(), ion_of(model), 1e-5
    energy = coupled_forces(model.coupling(), field, ion, None, None)
    phi = pair_energies(model, ion.position, u)
    assert energy == pytest.approx(phi.sum(), rel=1e-13, abs=1e-300)
    for c in range(3):
        e = h * np.eye(3)[c]
        slope = [pair_energies(model, ion.position + s * e, u) for s in (1, -1)]
        per_atom = (slope[1] - slope[0]) / (2.0 * h)  # -∂φ/∂R of every pair: the force on the ion
        scale = 1e-8 * max(1.0, np.abs(per_atom).max())
        assert ion.force[c] == pytest.approx(per_atom.sum(), abs=scale)
        assert np.abs(ion.atom_force[:, c] + per_atom).max() < scale


def test_a_patch_in_a_crystal_is_the_crystal():
    """Displacements of the crystal and of the patch add up, wherever the patch lies on the periodic crystal."""
    model = model_of(Shell(1), PLACES[1])
    (home, home_field), whole, split = displaced(), ion_of(model), ion_of(model)
    patch = Lattice((6, 6, 6))
    corner = np.floor(whole.position / 3.0).astype(np.int64) - 2
    scattered = 0.05 * np.random.default_rng(4).normal(size=(3, 6, 6, 6))
    field = patch.field()
    patch.atoms(field)[...] = scattered
    both = home.copy()
    for n in np.ndindex(2, 2, 2):  # the eight candidates
        inside, site = np.array(n) + 2, (np.array(n) + corner + 2) % np.array(LATTICE.size)
        both[(slice(None), *site)] += scattered[(slice(None), *inside)]
    together = LATTICE.field()
    LATTICE.atoms(together)[...] = both
    energy = coupled_forces(model.coupling(), together, whole, None, None)
    assert coupled_forces(model.coupling(), field, split, corner, home_field) == pytest.approx(energy, rel=1e-12)
    for name in ("force", "atom_force", "stiffest"):
        assert np.allclose(getattr(split, name), getattr(whole, name), rtol=1e-11, atol=1e-11)
    assert not np.isnan(whole.atom_force).any()


def test_an_atom_met_exactly_pulls_in_no_direction():
    model = Model(
        LATTICE, Ion((0.7,) * 3, (3.0, 3.0, 3.0)), Interaction(Potential("gaussian", (300.0, 0.9)), Sites(((1, 1, 1),)))
    )
    ion = ion_of(model)
    assert coupled_forces(model.coupling(), LATTICE.field(), ion, None, None) == 300.0
    assert not ion.force.any() and not ion.atom_force.any()
