"""Which atoms take part."""

import numpy as np
import pytest

from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites


def model(atoms, position=(0.0, 0.0, 0.0)):
    return Model(Lattice(size=(12, 12, 12)), Ion(position=position), Interaction(Potential("gaussian", (1.0, 1.0)), atoms))


@pytest.mark.parametrize("extent", [1, 2, 3])
def test_shell_is_the_corners_around_the_cell(extent):
    position = np.array([7.1, -0.2, 35.9])
    sites = model(Shell(extent)).candidate_sites(position)
    assert len(sites) == len(np.unique(sites, axis=0)) == (2 * extent) ** 3
    cell = np.floor(position / 3.0)
    assert np.all(sites.min(axis=0) == cell + 1 - extent) and np.all(sites.max(axis=0) == cell + extent)


def test_cutoff_misses_no_site_in_reach():
    radius, rng = 5.3, np.random.default_rng(0)
    chosen = model(Cutoff(radius))
    for position in rng.uniform(-20.0, 20.0, (200, 3)):
        sites = {tuple(s) for s in chosen.candidate_sites(position)}
        cell = np.floor(position / 3.0).astype(int)
        near = cell + np.array([[i, j, k] for i in range(-4, 6) for j in range(-4, 6) for k in range(-4, 6)])
        inside = near[np.linalg.norm(3.0 * near - position, axis=1) < radius + 1.5 - 1e-9]
        assert {tuple(s) for s in inside} <= sites


def test_sites_stay_where_they_are():
    sites = ((0, 0, 0), (1, 2, 3))
    assert np.array_equal(model(Sites(sites)).candidate_sites([50.0, 0.0, 0.0]), sites)


def test_frozen_axes_have_no_kinetic_energy():
    ion = Ion(mass=(np.inf, 2.0, 3.0))
    assert ion.kinetic_energy([7.0, 1.0, 2.0]) == pytest.approx(1.0 + 6.0)
    assert np.array_equal(ion.inverse_mass, [0.0, 0.5, 1.0 / 3.0])
