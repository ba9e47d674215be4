"""A crystal relaxed around a held ion, and ways from void to void, against dense minimisation, [lattice]'s engines and geometry."""

import itertools

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

import made_up
from mdlite.crystals import library, passages, relax, springs
from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.model import CrystalModel
from mdlite.engines.crystal_medium import adiabatic_energy as medium_energy
from mdlite.engines.timelocal import adiabatic_energy
from mdlite.physics.interaction import Cutoff, Interaction, Potential
from mdlite.physics.model import Ion, Lattice, Model
from mdlite.physics.relax import relax as relax_lattice

YUKAWA, MAYER = Potential("yukawa", (300.0, 0.6)), Potential("born-mayer", (40000.0, 0.25))


def triclinic(size, radius=3.9):
    ion = Ion(mass=0.7, position=(3.0, 2.0, 2.4))
    return CrystalModel(Box(made_up.triclinic(), size), ion, {"Li": MAYER, "default": YUKAWA}, Cutoff(radius, 1.0))


def cubic():
    lattice, ion = Lattice(size=(8, 7, 8)), Ion(position=(1.5, 1.5, 3.0))
    atoms = Cutoff(4.5, 1.0)
    general = CrystalModel(Box(as_crystal(lattice), lattice.size), ion, {"default": YUKAWA}, atoms)
    return Model(lattice, ion, Interaction(YUKAWA, atoms)), general


def dense(model, place):
    """Energy and displacements (p, 3, n1, n2, n3) of the box around the ion at ``place``, by BFGS over all atoms and images, its centre of mass held."""
    box, crystal = model.box, model.box.crystal
    hessian = made_up.hessian(crystal, box.size)
    grid = np.stack(np.meshgrid(*map(np.arange, box.size), indexing="ij"), axis=-1).reshape(-1, 3)
    sites = ((grid[:, None] + crystal.positions) @ crystal.cell).reshape(-1, 3)
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    away = (sites - place) @ np.linalg.inv(box.edges)
    images = ((away - np.round(away))[:, None] + steps) @ box.edges
    near = [(n, image) for n, row in enumerate(images) for image in row if np.linalg.norm(image) < 5.0]
    atoms, start = np.array([n for n, _ in near]), np.array([image for _, image in near])
    species = np.array(crystal.species)[atoms % crystal.n_basis]
    free = np.linalg.svd(np.kron(np.tile(crystal.masses, len(grid))[None], np.eye(3)))[2][3:].T  # Σ m u = 0

    def value(y):
        u = (free @ y).reshape(-1, 3)
        pulled = (hessian @ u.ravel()).reshape(-1, 3)
        energy = 0.5 * np.sum(u * pulled)
        for name in set(crystal.species):
            mine = species == name
            pairs = model.interaction(name).expand(start[mine] + u[atoms[mine]])
            energy += pairs.energy.sum()
            np.add.at(pulled, atoms[mine], pairs.gradient)
        return energy, free.T @ pulled.ravel()

    found = minimize(value, np.zeros(free.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
    u = (free @ found.x).reshape(*box.size, crystal.n_basis, 3)
    return found.fun, np.moveaxis(u, (3, 4), (0, 1))


def test_a_box_relaxes_to_the_minimum_over_all_of_its_atoms():
    model = triclinic((3, 3, 2), 3.5)
    place = np.array([3.0, 2.0, 2.4])
    energy, u = dense(model, place)
    found = relax.relax(model)
    assert found.elastic > 1.0 and np.abs(u).max() > 0.05
    assert found.energy == pytest.approx(energy, abs=1e-8)
    assert np.abs(found.displacement - u).max() < 1e-6
    assert found.unrelaxed == pytest.approx(relax.rigid(model, place).energy, rel=1e-13)
    (by_recoil,) = relax.adiabatic(model, [place], finite=True)
    assert by_recoil.energy == pytest.approx(energy, abs=1e-8) and by_recoil.elastic == pytest.approx(found.elastic, abs=1e-8)
    i, j, k = (by_recoil.sites[:, :3] % np.array(model.box.size)).T
    moved = np.stack([u[by_recoil.sites[:, 3], c, i, j, k] for c in range(3)], axis=1)
    assert np.abs(by_recoil.displacement - moved).max() < 1e-6


def test_the_simple_cubic_crystal_relaxes_like_the_lattice():
    lattice, general = cubic()
    places = [(1.5, 1.5, 1.5), (1.5, 1.5, 3.0), (1.2, 1.7, 2.6)]
    for place in places:
        exact, found = relax_lattice(lattice, place), relax.relax(general, place)
        for name in ("energy", "interaction", "elastic", "unrelaxed"):
            assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=1e-9)
        assert np.abs(found.displacement[0] - exact.displacement).max() < 1e-8
        assert np.abs(found.ion_force - exact.ion_force).max() < 1e-7
    for finite in (True, False):
        energies = [adiabatic_energy(lattice, place, finite=finite)[0] for place in places]
        assert [one.energy for one in relax.adiabatic(general, places, finite)] == pytest.approx(energies, rel=1e-8)


def test_large_boxes_come_to_the_infinite_crystal():
    (infinite,) = relax.adiabatic(triclinic((4, 4, 3)), [(3.0, 2.0, 2.4)])
    off = [relax.adiabatic(triclinic((n, n, n)), [(3.0, 2.0, 2.4)], finite=True)[0].energy - infinite.energy for n in (4, 8)]
    assert off[0] > 1.0 and abs(2.0 * off[1] - off[0]) < 0.1 * off[0]  # as 1/N: the strain of a force in a box


def test_gradient_and_stiffness_of_the_rigid_energy():
    model, place, h = triclinic((4, 4, 3)), np.array([3.0, 2.0, 2.4]), 1e-4
    now = relax.rigid(model, place)
    steps = h * np.eye(3)
    slope = [(relax.rigid(model, place + s).energy - relax.rigid(model, place - s).energy) / (2 * h) for s in steps]
    bend = [(relax.rigid(model, place + s).gradient - relax.rigid(model, place - s).gradient) / (2 * h) for s in steps]
    assert np.abs(now.gradient - slope).max() < 1e-5 * np.abs(slope).max()
    assert np.abs(now.stiffness - bend).max() < 1e-5 * np.abs(bend).max()


def test_the_cube_centres_of_the_simple_cubic_crystal_and_the_faces_between():
    _, general = cubic()
    kinds, every = passages.kinds_of(general)
    (kind,) = kinds
    assert kind.holds and kind.per_cell == len(every) == 1 and np.allclose(kind.place, 1.5)
    (one,) = passages.passages_of(general, kinds, every)
    one = passages.with_saddle(general, one)
    assert one.length == pytest.approx(3.0) and sorted(np.abs(np.round((one.saddle - 1.5) / 1.5, 6))) == [0.0, 0.0, 1.0]
    assert np.abs(one.window - one.saddle).max() < 1e-5


@pytest.mark.parametrize("name, counts, state", [("copper", [1, 2], "minimum"), ("silicon", [2, 4], "falls one way")])
def test_voids_of_known_crystals(name, counts, state):
    """The octahedral and tetrahedral voids of fcc, joined through triangles of atoms; the tetrahedral ones of diamond, through hexagons."""
    crystal = springs.from_springs(**library.read(name))
    model = CrystalModel(Box(crystal, (5, 5, 5)), Ion(position=(0.9, 0.9, 0.9)), {"default": YUKAWA}, Cutoff(4.5, 1.0))
    kinds, every = passages.kinds_of(model)
    assert [kind.per_cell for kind in kinds] == counts and kinds[0].holds and kinds[1].state == state
    one = passages.with_saddle(model, passages.passages_of(model, kinds, every)[0])
    distance = np.sort(np.linalg.norm(model.apart(one.saddle), axis=1))
    edge = np.sort(np.linalg.norm(model.box.crystal.cell, axis=1))[0] * np.sqrt(2.0)
    if name == "copper":
        assert one.kinds == (0, 1) and one.length == pytest.approx(np.sqrt(3.0) / 4.0 * edge)
        assert np.ptp(distance[:3]) < 1e-5 and distance[0] == pytest.approx(edge / np.sqrt(6.0), rel=1e-2)
    else:
        assert one.kinds == (0, 0) and one.length == pytest.approx(np.sqrt(3.0) / 4.0 * edge)
        assert np.ptp(distance[:6]) < 1e-6 and distance[0] == pytest.approx(np.sqrt(11.0) / 8.0 * edge)


def test_a_saddle_is_one():
    model = triclinic((4, 4, 3))
    kinds, every = passages.kinds_of(model)
    ways = [passages.with_saddle(model, one) for one in passages.passages_of(model, kinds, every)]
    found = [one for one in ways if one.saddle is not None]
    assert len(found) >= 2
    for one in found:
        now = relax.rigid(model, one.saddle)
        assert np.abs(now.gradient).max() < 1e-5 and np.sum(np.linalg.eigvalsh(now.stiffness) < 0.0) == 1
        assert now.energy <= one.window_energy + 1e-9  # the straight path goes no lower
        assert all(now.energy > kinds[n].energy for n in one.kinds)
        mode = np.linalg.eigh(now.stiffness)[1][:, 0]
        slid = [
            solve_ivp(lambda _, x: -relax.rigid(model, x).gradient, (0.0, 1.0), one.saddle + step * mode, "LSODA").y[:, -1]
            for step in (0.02, -0.02)
        ]
        assert min(np.abs(np.array(pair) - one.ends).max() for pair in (slid, slid[::-1])) < 1e-3


def test_the_time_local_engine_has_the_same_equilibrium():
    crystal = springs.from_springs(**library.read("silicon"))
    place = (2.6, 2.8, 2.5)
    model = CrystalModel(
        Box(crystal, (5, 5, 5)), Ion(position=place), {"default": Potential("yukawa", (6000.0, 0.6))}, Cutoff(4.0, 1.0)
    )
    (found,) = relax.adiabatic(model, [place])
    assert found.energy == pytest.approx(medium_energy(model, place)[0], rel=1e-8) and found.elastic > 1.0
