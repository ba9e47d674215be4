"""The rungs in any crystal against dense and general solvers, the explicit crystal, and the simple cubic engine."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import lu_factor, lu_solve
from scipy.optimize import root

import made_up
from dense_medium import ION, RADIUS, SIZE, Dense, model
from mdlite.crystals import library, recoil_table, response, springs
from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.dynamics import dynamical_matrix
from mdlite.crystals.model import CrystalModel, CrystalSites
from mdlite.engines import crystal_medium
from mdlite.engines.base import Setup
from mdlite.engines.crystal import CrystalEngine
from mdlite.engines.crystal_medium import CrystalMediumEngine
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.kernels import blocks
from mdlite.physics.interaction import Cutoff, Interaction, Potential, Sites
from mdlite.physics.model import Ion, Lattice, Model

RUNGS = ("time-local", "implicit", "static", "rigid")


def engine(found, method, dt=1e-3, finite=True, **setup):
    return CrystalMediumEngine(Setup(found, dt, method=method, **setup), finite=finite)


@pytest.fixture(scope="module")
def dense():
    return Dense()


@pytest.mark.parametrize("method", ["time-local", "static", "rigid"])
def test_a_throw_follows_the_equations_to_second_order_and_1e_8(dense, method):
    factors = {"time-local": (1.0, 1.0), "static": (1.0, 0.0), "rigid": (0.0, 0.0)}[method]
    found, duration = model(), 0.3

    def rates(_, y):
        return np.concatenate([y[3:], dense.first_order(y[:3], y[3:], *factors) * found.ion.inverse_mass])

    start = np.concatenate([found.ion.position, found.ion.velocity])
    exact = solve_ivp(rates, (0.0, duration), start, "DOP853", rtol=1e-12, atol=1e-13, max_step=0.003).y[:, -1]
    inverse = np.linalg.inv(found.box.crystal.cell)
    assert np.any(np.floor(exact[:3] @ inverse) != np.floor(start[:3] @ inverse))
    errors = []
    for dt in (1e-3, 5e-4, 5e-6):
        run = engine(found, method, dt, sample_every=2**40)
        run.advance(round(duration / dt))
        errors.append(np.abs(np.concatenate([run.ion.position, run.ion.velocity]) - exact).max(initial=0.0) / np.abs(exact).max())
    assert errors[-1] < 1e-8, errors
    assert errors[0] / errors[1] == pytest.approx(4.0, abs=0.5)


def test_the_implicit_force_is_that_of_a_dense_solution(dense):
    """[16] with the adiabatic velocity, by Newton's method with dense matrices, and SciPy's root finder for the shift."""
    found = model()
    position, velocity = np.array(ION.position), np.array(ION.velocity)
    near = np.linalg.norm(dense.near(position), axis=1) < RADIUS + 0.5  # the others never feel the ion
    dense = dense.part(near)
    d, n = dense.near(position), len(dense.sites)
    xi = np.zeros((n, 3))

    def off(shift):
        for _ in range(4):
            _, gradient, hessian = dense.law(d + xi - shift)
            stiff = np.zeros((n, 3, n, 3))
            stiff[np.arange(n), :, np.arange(n)] = hessian
            factors = lu_factor(np.eye(3 * n) + dense.recoil @ stiff.reshape(3 * n, 3 * n))
            xi.ravel()[:] -= lu_solve(factors, (xi + dense.answer(gradient)).ravel())
        relative = lu_solve(factors, np.tile(velocity, n)).reshape(n, 3)
        return shift - dense.loss @ np.einsum("nab,nb->a", hessian, relative)

    shift = root(off, np.zeros(3), tol=1e-14).x
    assert np.abs(off(shift)).max() < 1e-13
    _, gradient, _ = dense.law(d + xi - shift)
    run = engine(found, "implicit", record_atoms=True)
    _, frames = run.sample()
    assert np.abs(frames.effective_position[0] - position - shift).max() < 1e-11
    assert np.abs(shift).max() > 1e-4 and np.abs(xi).max() > 1e-3
    assert frames.force[0] == pytest.approx(gradient.sum(axis=0), rel=1e-9)
    cells = found.candidate_sites(position)
    index = np.ravel_multi_index((*(cells[:, :3] % SIZE).T, cells[:, 3]), (*SIZE, 3))
    close = np.linalg.norm(found.apart(position), axis=1) < RADIUS
    own = (np.cumsum(near) - 1)[index[close]]
    assert np.abs(frames.atom_position[0, close] - position - d[own] - xi[own]).max() < 1e-11
    first = engine(found, "time-local").force_at(position, velocity)
    assert np.abs(first - frames.force[0]).max() > 1e-3 * np.abs(first).max()  # the closure does matter here


def test_static_is_the_response_of_an_explicit_crystal_to_a_held_ion(dense):
    """To the forces on undisplaced atoms (static), and self-consistently (implicit): then all atoms of the explicit crystal have one acceleration."""
    held = Ion(mass=np.inf, position=ION.position)
    position, found = np.array(held.position), model(ion=held)
    cells = found.candidate_sites(position)
    index = np.ravel_multi_index((*(cells[:, :3] % SIZE).T, cells[:, 3]), (*SIZE, 3))
    near = np.linalg.norm(found.apart(position), axis=1) < RADIUS  # the image of others may be another one
    weight = np.kron(dense.masses, np.eye(3))
    factors = lu_factor(np.block([[dense.hessian, weight.T], [weight, np.zeros((3, 3))]]))

    def response_to(gradient):
        return lu_solve(factors, np.concatenate([-gradient.ravel(), np.zeros(3)]))[:-3].reshape(-1, 3)

    d = dense.near(position)
    u = response_to(dense.law(d)[1])
    _, frames = engine(found, "static", record_atoms=True).sample()
    assert np.abs(frames.atom_position[0] - position - d[index] - u[index])[near].max() < 1e-11 < 1e-3 < np.abs(u).max()
    for _ in range(40):
        u = response_to(dense.law(d + u)[1])
    rest = crystal_medium.relaxed(found, finite=True)
    assert np.abs(rest.displacement - u[index])[near].max() < 1e-10
    explicit = CrystalEngine(Setup(found, 1e-3))
    explicit.box.displacements(explicit.u)[...] = np.moveaxis(u.reshape(*SIZE, 3, 3), (3, 4), (0, 1))
    blocks.drift(explicit.u, explicit.v, explicit.stencil, 0.0)
    explicit.v[:] = 0.0
    explicit._shift(explicit.v, explicit.ion, 1.0)
    acceleration = explicit.box.velocities(explicit.v)
    assert (
        np.abs(acceleration - acceleration.mean(axis=(0, 2, 3, 4), keepdims=True)[0]).max()
        < 1e-8 * np.abs(explicit.ion.force).max()
    )
    assert rest.interaction == pytest.approx(dense.law(d + u)[0].sum(), rel=1e-10)
    total, interaction = crystal_medium.adiabatic_energy(found, finite=True)
    assert total - interaction == pytest.approx(0.5 * u.ravel() @ dense.hessian @ u.ravel(), rel=1e-8)


@pytest.mark.parametrize("atoms", [None, CrystalSites(((0, 0, 0, 0), (1, 0, 0, 1), (1, 1, 0, 2), (0, 1, 0, 0), (1, 1, 1, 2)))])
def test_the_adiabatic_force_is_the_gradient_of_the_adiabatic_energy(atoms):
    found, h = model(atoms, size=(5, 5, 4)), 1e-3
    place = np.array(ION.position)
    force = engine(found, "implicit", finite=atoms is None).force_at(place, np.zeros(3))
    for axis in range(3):
        energies = [
            crystal_medium.adiabatic_energy(found, place + n * h * np.eye(3)[axis], atoms is None)[0] for n in (-2, -1, 1, 2)
        ]
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * h)
        assert -slope == pytest.approx(force[axis], rel=1e-6, abs=1e-6)


def test_a_rigid_crystal_conserves_the_ions_energy_to_second_order():
    def drift(dt):
        _, frames = engine(model(), "rigid", dt, sample_every=round(0.01 / dt)).advance(round(0.4 / dt))
        return np.ptp(ION.kinetic_energy(frames.velocity) + frames.interaction)

    coarse, fine = drift(1e-3), drift(5e-4)
    assert fine < 0.5 and coarse / fine == pytest.approx(4.0, abs=0.4)


@pytest.mark.parametrize("method", RUNGS)
def test_the_simple_cubic_crystal_is_the_lattice(method):
    lattice, ion = Lattice((10, 10, 10)), Ion((0.7,) * 3, (11.5, 10.4, 10.5), (16.0, -13.0, 15.0))
    potential = Potential("yukawa", (100.0, 0.5))
    for atoms, ours in ((Cutoff(4.4, 1.0),) * 2, (Sites(((3, 3, 3), (4, 3, 4))), CrystalSites(((3, 3, 3, 0), (4, 3, 4, 0))))):
        cubic = TimeLocalEngine(Setup(Model(lattice, ion, Interaction(potential, atoms)), 2e-3, method=method, record_atoms=True))
        general = CrystalModel(Box(as_crystal(lattice), lattice.size), ion, {"default": potential}, ours)
        general = CrystalMediumEngine(Setup(general, 2e-3, method=method, record_atoms=True))
        _, expected = cubic.advance(150)
        _, found = general.advance(150)
        assert np.floor(expected.position[-1, 0] / 3.0) != np.floor(expected.position[0, 0] / 3.0)
        for name in ("position", "velocity", "force", "interaction", "effective_position"):
            exact = getattr(expected, name)
            assert np.abs(getattr(found, name) - exact).max() < 1e-11 * np.abs(exact).max(), name
        order, other = np.lexsort(np.round(cubic._work.atoms, 6).T), np.lexsort(np.round(general._work.atoms, 6).T)
        assert np.abs(cubic._work.atoms[order] - general._work.atoms[other]).max() < 1e-10
    assert general.guard.limits == pytest.approx(cubic.guard.limits)


@pytest.mark.parametrize("method", RUNGS)
def test_whole_or_in_pieces_the_bits_are_the_same(method):
    found = model()
    whole = engine(found, method, 2e-3)
    whole.advance(150)
    parts = engine(found, method, 2e-3, sample_every=7, record_atoms=True)
    parts.advance(41)
    parts.sample()
    again = engine(found, method, 2e-3, sample_every=7, record_atoms=True)
    again.restore(41, {name: array.copy() for name, array in parts.state().items()})
    again.advance(10)
    again.advance(99)
    assert all(np.array_equal(array, again.state()[name]) for name, array in whole.state().items())
    assert again.fault() is None and again.budget() is None


@pytest.mark.parametrize("method", RUNGS)
def test_the_force_is_continuous_where_the_candidates_change(method):
    inverse = np.linalg.inv(np.array(made_up.TRICLINIC))
    found = engine(model(), method)
    for axis in range(3):
        face = np.array(ION.position) @ inverse
        face[axis] = 1.0
        here, there = (
            found.force_at((face + side * np.eye(3)[axis]) @ np.array(made_up.TRICLINIC), ION.velocity)
            for side in (-1e-11, 1e-11)
        )
        assert np.abs(here - there).max() < 1e-7 * np.abs(here).max()


def test_each_candidate_has_the_potential_of_its_species_and_a_lane():
    found = model()
    coupling, lanes = crystal_medium.site_lanes(found)
    species = np.array(found.box.crystal.species)[found.offsets[:, 3]]
    assert len(set(lanes.tolist())) == len(found.offsets) == coupling.counts.sum() and len(coupling.offsets) % 8 == 0
    assert np.array_equal(coupling.offsets[lanes], found.box.crystal.sites(found.offsets))
    laws = np.array(found.kinds)[coupling.laws[lanes // 8]]
    assert np.array_equal(laws, np.where(species == "Li", "Li", "default"))
    assert np.all(lanes % 8 < coupling.counts[lanes // 8])


def test_the_table_of_responses_is_kept_and_has_every_pair(monkeypatch, tmp_path):
    monkeypatch.setenv("MDLITE_CACHE_DIR", str(tmp_path))
    crystal, rng = made_up.triclinic(), np.random.default_rng(2)
    sites = np.unique(np.column_stack([rng.integers(-1, 2, (6, 3)), rng.integers(0, 3, 6)]), axis=0)
    pairs = [(a[3], b[3], *(b[:3] - a[:3])) for a in sites for b in sites]
    for size in (None, (3, 4, 3)):
        table = recoil_table.recoil_table(crystal, sites, size)
        exact = response.static_recoil(crystal, pairs) if size is None else response.grid_recoil(crystal, size, pairs)[:, 0]
        assert np.abs(table - exact.reshape(table.shape)).max() < 1e-10 * np.abs(exact).max()
        flat = table.swapaxes(1, 2).reshape(3 * len(sites), -1)
        assert np.array_equal(flat, flat.T) and np.linalg.eigvalsh(flat)[0] > 0.0
        assert np.abs(table - table.swapaxes(2, 3)).max() > 1e-4 * np.abs(table).max()
    assert len(list(tmp_path.glob("recoil-*.npy"))) == 2
    monkeypatch.setattr(response, "static_recoil", None)
    kept = recoil_table.recoil_table(made_up.triclinic(), sites)
    assert np.array_equal(kept, recoil_table.recoil_table(crystal, sites))


def test_the_user_is_told_of_a_long_computation(monkeypatch, tmp_path):
    monkeypatch.setenv("MDLITE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(recoil_table, "SLOW", 0.0)
    told, few = [], model(CrystalSites(((0, 0, 0, 0), (1, 0, 0, 1))))
    for _ in range(2):
        CrystalMediumEngine(Setup(few, 1e-3, method="static"), notice=told.append)
    assert len(told) == 1 and "W(0) for 3 pairs" in told[0]


def at_equilibrium(found):
    """Displacements (p, 3, n1, n2, n3) of a crystal that has adapted to the ion, W(0) applied by Fourier transforms."""
    box, position = found.box, np.array(found.ion.position)
    crystal, size = box.crystal, np.array(box.size)
    q = np.stack(np.meshgrid(*(np.arange(n) / n for n in size), indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.linalg.inv(dynamical_matrix(crystal, q[1:]))
    root = np.sqrt(crystal.masses).repeat(3)
    sites, apart = found.candidate_sites(position), found.apart(position)
    place = (sites[:, 3], slice(None), *(sites[:, :3] % size).T)
    u = np.zeros((crystal.n_basis, 3, *size))
    for _ in range(12):
        force = np.zeros_like(u)
        for name in set(crystal.species):
            own = np.array(crystal.species)[sites[:, 3]] == name
            force[tuple(p if isinstance(p, slice) else p[own] for p in place)] = -found.interaction(name).gradient(
                (apart + u[place])[own]
            )
        wave = np.moveaxis(np.fft.fftn(force, axes=(2, 3, 4)), (0, 1), (3, 4)).reshape(len(q), -1) / root
        wave[1:] = np.einsum("qab,qb->qa", inverse, wave[1:])
        wave[0] = 0.0
        u = np.moveaxis(np.fft.ifftn((wave / root).reshape(*size, crystal.n_basis, 3), axes=(0, 1, 2)).real, (3, 4), (0, 1))
    return u


@pytest.mark.thorough
def test_lithium_in_silicons_void_follows_the_explicit_crystal():
    """Yukawa 3000 meV Å, 0.5 Å, 7 Å/ps, 0.5 ps, from rest and from equilibrium: within half a per cent of the way from the void."""
    crystal = springs.from_springs(**library.read("silicon"))
    void = np.full(3, 0.5) @ crystal.cell
    ion = Ion("Li", tuple(void), tuple(7.0 * np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0)))
    found = CrystalModel(Box(crystal, (24, 24, 24)), ion, {"Si": Potential("yukawa", (3000.0, 0.5))}, Cutoff(5.0, 1.0))
    assert found.echo_time > 0.5
    start = at_equilibrium(found)
    rest = crystal_medium.relaxed(found, finite=True).displacement
    sites = found.candidate_sites(void)
    assert (
        np.abs(start[sites[:, 3], :, *(sites[:, :3] % 24).T] - rest)[np.linalg.norm(found.apart(void), axis=1) < 5.0].max() < 1e-9
    )
    errors = {}
    for states in ((), ((start, np.zeros_like(start)),)):
        _, exact = CrystalEngine(Setup(found, 1e-3, states=states)).advance(501)
        farthest = np.linalg.norm(exact.position - void, axis=1).max()
        assert farthest > 0.7
        for method in RUNGS:
            _, frames = CrystalMediumEngine(Setup(found, 1e-3, method=method)).advance(501)
            errors[method, len(states)] = np.linalg.norm(frames.position - exact.position, axis=1).max() / farthest
    for n in (0, 1):
        assert errors["time-local", n] < 0.006 and errors["implicit", n] < 0.006
        assert errors["time-local", n] < 0.5 * errors["static", n] < 0.5 * errors["rigid", n] < 0.04
