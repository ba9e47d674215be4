"""The explicit crystal and the ion in it, against a general solver, conservation laws, and the simple cubic engine."""

import numpy as np
import pytest
from scipy import sparse
from scipy.integrate import solve_ivp

import made_up
from mdlite.crystals import library, springs
from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.model import CrystalModel, CrystalSites, distance_to_cell, sites_near_cell
from mdlite.engines.base import Setup
from mdlite.engines.crystal import CrystalEngine, CrystalReplicas
from mdlite.engines.reference import ReferenceEngine
from mdlite.errors import InputError
from mdlite.physics.interaction import Cutoff, Interaction, Potential, Sites
from mdlite.physics.model import Ion, Lattice, Model

YUKAWA, MAYER = Potential("yukawa", (300.0, 0.6)), Potential("born-mayer", (40000.0, 0.25))


def triclinic(size=(4, 4, 3), atoms=None, **ion):
    placed = {"mass": 0.7, "position": (3.0, 2.0, 2.4), "velocity": (6.0, -9.0, 5.0)} | ion
    return CrystalModel(
        Box(made_up.triclinic(), size), Ion(**placed), {"Li": MAYER, "default": YUKAWA}, atoms or Cutoff(3.9, 1.0)
    )


def direct(model, duration, states=None):
    """u, v (flat), R, Ṙ at the end, by DOP853 with a sparse matrix and a loop over all atoms."""
    box, crystal = model.box, model.box.crystal
    masses = np.repeat(np.tile(crystal.masses, np.prod(box.size)), 3)
    hessian = sparse.csr_array(made_up.hessian(crystal, box.size))
    grid = np.stack(np.meshgrid(*map(np.arange, box.size), indexing="ij"), axis=-1).reshape(-1, 3)
    places = np.concatenate([(grid[:, None] + crystal.positions) @ crystal.cell]).reshape(-1, 3)
    laws = [model.interaction(name) for name in crystal.species] * len(grid)
    count = 3 * len(places)

    def rate(_, y):
        u, v, r, w = y[:count].reshape(-1, 3), y[count : 2 * count], y[2 * count : 2 * count + 3], y[-3:]
        force, pull = -(hessian @ u.ravel()).reshape(-1, 3), np.zeros(3)
        for n, law in enumerate(laws):
            away = (places[n] - r) @ np.linalg.inv(box.edges)
            home = places[n] - np.round(away) @ box.edges
            for image in np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ box.edges:
                d = home + image + u[n] - r
                if d @ d < 3.9**2:
                    gradient = law.gradient(d)
                    force[n] -= gradient
                    pull += gradient
        return np.concatenate([v, force.ravel() / masses, w, pull * model.ion.inverse_mass])

    start = np.concatenate([np.zeros(2 * count) if states is None else states, model.ion.position, model.ion.velocity])
    return solve_ivp(rate, (0.0, duration), start, "DOP853", rtol=1e-10, atol=1e-11).y[:, -1], count


def moved(model, dt, steps, **setup):
    engine = CrystalEngine(Setup(model, dt=dt, sample_every=2**40, **setup))
    engine.advance(steps)
    return engine.synchronous()


def flat(atoms):
    return np.moveaxis(atoms, (0, 1), (3, 4)).ravel()


@pytest.mark.thorough
def test_a_throw_follows_the_equations_of_motion_to_second_order():
    model = triclinic(size=(3, 3, 2))
    exact, count = direct(model, 0.16)
    errors = []
    for steps in (80, 160):
        u, v, r, w = moved(model, 0.16 / steps, steps)
        errors.append(
            [
                np.abs(flat(u) - exact[:count]).max(),
                np.abs(flat(v) - exact[count : 2 * count]).max(),
                np.abs(r - exact[-6:-3]).max(),
                np.abs(w - exact[-3:]).max(),
            ]
        )
    assert np.abs(exact[-6:-3] - model.ion.position).max() > 0.3 and np.abs(exact[:count]).max() > 0.01
    ratio = np.array(errors[0]) / np.array(errors[1])
    assert np.all((ratio > 3.7) & (ratio < 4.3)), (errors, ratio)
    assert errors[1][2] < 2e-4


@pytest.mark.parametrize("integrator, order", [("velocity-verlet", 2), ("blanes-moan-4", 4)])
def test_energy_is_conserved_to_the_integrators_order(integrator, order):
    near = CrystalSites(tuple((i, j, k, atom) for i in (0, 1) for j in (0, 1) for k in (0, 1) for atom in range(3)))

    def drift(dt):  # no switch, whose third derivative jumps
        engine = CrystalEngine(Setup(triclinic(atoms=near), dt=dt, sample_every=2**40, integrator=integrator))
        total = []
        for _ in range(8):
            budget = engine.budget()
            total.append(sum(budget[name] for name in ("elastic", "framework_kinetic", "interaction", "ion_kinetic")))
            engine.advance(round(0.02 / dt))
        return np.ptp(total)

    coarse, fine = drift(0.002), drift(0.001)
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.35)
    assert fine < 0.5


def test_momentum_is_conserved():
    engine = CrystalEngine(Setup(triclinic(), dt=0.002, sample_every=2**40))
    engine.advance(200)
    budget = engine.budget()
    total, start = budget["framework_momentum"] + budget["ion_momentum"], 0.7 * np.array([6.0, -9.0, 5.0])
    assert np.abs(budget["framework_momentum"]).max() > 1.0
    assert np.abs(total - start).max() < 1e-12 * 200 * np.abs(start).max()


def test_the_simple_cubic_crystal_is_the_lattice():
    lattice = Lattice(size=(9, 8, 10))
    ion = Ion(position=(4.1, 3.9, 4.6), velocity=(11.0, -7.0, 9.0))
    rng = np.random.default_rng(4)
    u, v = 0.02 * rng.standard_normal((2, 3, *lattice.size))
    for atoms, ours in (
        (Cutoff(6.0, 1.0), Cutoff(6.0, 1.0)),
        (Sites(((1, 1, 1), (2, 1, 1))), CrystalSites(((1, 1, 1, 0), (2, 1, 1, 0)))),
    ):
        cubic = ReferenceEngine(
            Setup(Model(lattice, ion, Interaction(YUKAWA, atoms)), dt=0.005, states=[(u, v)], record_atoms=True)
        )
        general = CrystalEngine(
            Setup(
                CrystalModel(Box(as_crystal(lattice), lattice.size), ion, {"default": YUKAWA}, ours),
                dt=0.005,
                states=[(u[None], v[None])],
                record_atoms=True,
            )
        )
        _, expected = cubic.advance(100)
        _, found = general.advance(100)
        for name in ("position", "velocity", "force", "interaction"):
            exact = getattr(expected, name)
            assert np.abs(getattr(found, name) - exact).max() < 1e-11 * np.abs(exact).max(), name
        assert np.abs(general.synchronous()[0][0] - cubic.synchronous()[0]).max() < 1e-11
        for name, exact in cubic.budget().items():
            assert general.budget()[name] == pytest.approx(exact, rel=1e-10, abs=1e-9), name
        for name in ("atom_position", "atom_velocity"):
            near = np.sort(np.round(getattr(found, name)[-1, :, 0], 7))
            assert np.isin(np.sort(np.round(getattr(expected, name)[-1, :, 0], 7)), near).mean() > 0.99 or len(near) < len(
                getattr(expected, name)[-1]
            )
    assert general.guard.limits == pytest.approx(cubic.guard.limits)


def test_whole_or_in_pieces_sampled_or_not_the_bits_are_the_same():
    model = triclinic()
    whole = moved(model, 0.002, 60)
    engine = CrystalEngine(Setup(model, dt=0.002, sample_every=7, record_atoms=True))
    engine.advance(13)
    engine.budget()
    engine.sample()
    saved = {name: array.copy() for name, array in engine.state().items()}
    again = CrystalEngine(Setup(model, dt=0.002, sample_every=7, record_atoms=True))
    again.restore(13, saved)
    again.advance(47)
    for a, b in zip(whole, again.synchronous()):
        assert np.array_equal(a, b)


def test_lithium_in_silicon_feels_its_four_neighbours():
    crystal = springs.from_springs(**library.read("silicon"))
    void = np.array([0.5, 0.5, 0.5]) @ crystal.cell
    model = CrystalModel(Box(crystal, (8, 8, 8)), Ion(mass="Li", position=tuple(void)), {"Si": MAYER}, Cutoff(4.0, 1.0))
    distance = np.sort(np.linalg.norm(model.apart(void), axis=1))
    edge = np.linalg.norm(crystal.cell[0]) * np.sqrt(2.0)
    assert distance[:4] == pytest.approx([np.sqrt(3.0) / 4.0 * edge] * 4) and distance[4:10] == pytest.approx([0.5 * edge] * 6)
    engine = CrystalEngine(Setup(model, dt=0.002))
    _, frames = engine.advance(4)
    assert np.abs(frames.position - void).max() < 1e-12
    pushed = engine.synchronous()[0]
    assert np.count_nonzero(np.abs(pushed).max(axis=1) > 0.5 * np.abs(pushed).max()) == 4


def test_candidates_are_all_atoms_that_the_sphere_can_reach_from_anywhere_in_the_cell():
    crystal, radius = made_up.triclinic(), 3.0
    sites = {tuple(site) for site in sites_near_cell(crystal, radius).tolist()}
    points = np.random.default_rng(0).uniform(0, 1, (4000, 3)) @ crystal.cell
    grid = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    near = set()
    for atom in range(3):
        places = crystal.sites(np.column_stack([grid, np.full(len(grid), atom)]))
        distance = np.linalg.norm(places[:, None] - points[None], axis=-1).min(axis=1)
        near |= {(*cell, atom) for cell in map(tuple, grid[distance < radius].tolist())}
    assert near <= sites
    assert len(sites) <= 1.15 * len(near)


def test_the_distance_to_a_cell_against_a_general_solver():
    from scipy.optimize import lsq_linear

    cell, points = np.array(made_up.TRICLINIC), np.random.default_rng(0).uniform(-3, 4, (30, 3))
    exact = [np.sqrt(2.0 * lsq_linear(cell.T, p @ cell, bounds=(0, 1), tol=1e-14).cost) for p in points]
    assert distance_to_cell(cell, points) == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize(
    ("potentials", "atoms", "told"),
    [
        ({"Li": YUKAWA}, Cutoff(3.0, 1.0), r"interaction\.potentials\.O: is missing"),
        ({"default": YUKAWA, "Na": YUKAWA}, Cutoff(3.0, 1.0), r"potentials\.Na: the crystal has no such species"),
        ({"default": YUKAWA}, Cutoff(30.0, 1.0), r"radius = 30: must be at most \d"),
        ({"default": YUKAWA}, CrystalSites(((0, 0, 0, 3),)), r"sites = \[0, 0, 0, 3\]: is not in the crystal"),
        ({"default": YUKAWA}, CrystalSites(((4, 0, 0, 0),)), r"sites = \[4, 0, 0, 0\]: is not in the crystal"),
    ],
)
def test_what_cannot_be(potentials, atoms, told):
    with pytest.raises(InputError, match=told):
        CrystalModel(Box(made_up.triclinic(), (4, 4, 3)), Ion(), potentials, atoms)


def test_atoms_too_far_from_their_sites_and_ions_too_fast_are_faults():
    engine = CrystalEngine(Setup(triclinic(), dt=0.002))
    assert engine.fault() is None
    engine.box.displacements(engine.u)[1, 0, 0, 0, 0] = 2.0
    assert "from its site" in engine.fault()
    fast = CrystalEngine(Setup(triclinic(velocity=(4000.0, 0.0, 0.0)), dt=0.002))
    fast.advance(3)
    assert fast.fault() is not None


def test_replicas_have_the_bits_of_each_alone():
    model = triclinic()
    rng = np.random.default_rng(8)
    states = [tuple(0.02 * rng.standard_normal((2, 3, 3, *model.box.size))) for _ in range(2)]
    several = CrystalReplicas(Setup(model, dt=0.002, sample_every=5, states=states))
    steps, found = several.advance(23)
    assert steps.tolist() == [0, 5, 10, 15, 20]
    for n, state in enumerate(states):
        alone = CrystalEngine(Setup(model, dt=0.002, sample_every=5, states=[state]))
        _, frames = alone.advance(23)
        assert np.array_equal(found.position[:, n, 0], frames.position)
        assert several.budget()["elastic"][n] == alone.budget()["elastic"]
    again = CrystalReplicas(Setup(model, dt=0.002, sample_every=5, states=states))
    again.restore(23, {name: array.copy() for name, array in several.state().items()})
    assert np.array_equal(again.advance(7)[1].position, several.advance(7)[1].position)


def test_a_snapshot_is_every_atom_or_those_around_the_ion():
    engine = CrystalEngine(Setup(triclinic(), dt=0.002))
    engine.advance(30)
    u, v, _, _ = engine.synchronous()
    whole = engine.snapshot(None, np.float64, True)
    crystal, size = engine.box.crystal, engine.box.size
    row = (np.ravel_multi_index((1, 3, 2), size)) * 3 + 2
    assert whole["lattice_position"][0, row] == pytest.approx(crystal.sites([1, 3, 2, 2]) + u[2, :, 1, 3, 2])
    assert whole["lattice_velocity"][0, row] == pytest.approx(v[2, :, 1, 3, 2])
    part = engine.snapshot(1, np.float32, False)
    assert (
        part["lattice_position"].dtype == np.float32
        and part["lattice_position"].shape == (1, 24, 3)
        and "lattice_velocity" not in part
    )
    away = (part["lattice_position"][0] - whole["lattice_position"][0, part["lattice_id"][0]]) @ np.linalg.inv(engine.box.edges)
    assert np.abs(away - np.round(away)).max() < 1e-6


@pytest.mark.parametrize("shift", [0, 3, -4])
def test_atoms_given_far_from_their_cell_are_as_near_each_other(shift):
    table = library.read("silicon")
    table["atoms"][1]["position"] = [0.25 + shift, 0.25, 0.25 - shift]
    crystal = springs.from_springs(**table)
    void = np.array([0.5, 0.5, 0.5]) @ crystal.cell
    model = CrystalModel(Box(crystal, (8, 8, 8)), Ion(position=tuple(void)), {"Si": MAYER}, Cutoff(4.0, 1.0))
    assert model.length == pytest.approx(np.sqrt(3.0) / 4.0 * 5.431, abs=1e-3)
    assert np.sort(np.linalg.norm(model.apart(void), axis=1))[:4] == pytest.approx([model.length] * 4)
