"""The reference engine against exact results, conservation laws and another integrator."""

import numba
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from independent import pair_force, spring_matrix, yukawa
from mdlite.engines.reference import ReferenceEngine
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites

NOTHING = Interaction(Potential("gaussian", (0.0, 1.0)), Sites(((0, 0, 0),)))
THROWN = Ion(mass=(0.7, 0.7, 0.7), position=(10.7, 10.4, 10.5), velocity=(5.0, -3.0, 4.0))
SMOOTH = Interaction(Potential("yukawa", (1500.0, 0.5)), Cutoff(6.0, 2.0))


def model(size=(8, 9, 10), interaction=SMOOTH, ion=THROWN):
    return Model(Lattice(size=size), ion, interaction)


def test_every_normal_mode_obeys_the_dispersion_of_velocity_verlet():
    """sin(Ω' δt/2) = Ω δt/2 for all 648 modes of N = 6, from three consecutive states of a random start."""
    size, dt, lattice = (6, 6, 6), 0.005, Lattice(size=(6, 6, 6))
    squares, modes = np.linalg.eigh(spring_matrix(size, lattice.k1, lattice.k2) / lattice.mass)
    omega = np.sqrt(squares.clip(min=0.0))
    rng = np.random.default_rng(3)
    amplitude = 0.1 * rng.choice([-1.0, 1.0], len(omega))
    u0, v0 = (modes @ amplitude).reshape(3, *size), np.zeros((3, *size))
    engine = ReferenceEngine(model(size, NOTHING), dt, displacement=u0, velocity=v0)
    n = 40
    states = []
    for steps in (n - 1, 1, 1):
        engine.advance(steps)
        states.append(modes.T @ engine.synchronous()[0].ravel())
    exact = 2.0 * np.arcsin(0.5 * omega * dt)  # Ω' δt
    assert np.abs(states[1] - amplitude * np.cos(n * exact)).max() < 1e-10 * 0.1
    measurable = np.abs(states[1]) > 0.01
    assert measurable.sum() > 500
    cosine = 0.5 * (states[0] + states[2])[measurable] / states[1][measurable]
    found = np.sqrt(np.maximum(0.5 * (1.0 - cosine), 0.0))  # sin(Ω' δt/2)
    assert np.abs(found**2 - (0.5 * omega[measurable] * dt) ** 2).max() < 1e-12
    stiff = omega[measurable] > 5.0
    assert stiff.sum() > 500
    assert np.abs(found[stiff] / (0.5 * omega[measurable][stiff] * dt) - 1.0).max() < 1e-10


def test_total_momentum_is_constant():
    """Over 40 ps in which the whole crystal drifts by 0.06 Å: the springs must not hold it back in the last bit."""
    engine = ReferenceEngine(model(), 0.005)
    start = engine.budget()
    engine.advance(8000)
    end = engine.budget()
    total = [b["framework_momentum"] + b["ion_momentum"] for b in (start, end)]
    assert np.abs(total[0] - np.array(THROWN.mass) * THROWN.velocity).max() < 1e-12
    assert np.abs(total[1] - total[0]).max() < 1e-12
    assert np.abs(end["framework_momentum"]).max() > 0.1  # it did go somewhere


@pytest.mark.parametrize(
    "atoms", [Cutoff(6.0, 2.0), Sites(((3, 3, 3), (3, 3, 4), (4, 3, 3), (3, 4, 3), (4, 4, 4)))], ids=["cutoff", "sites"]
)
def test_energy_error_is_second_order(atoms):
    errors, steps = [], np.array([0.004, 0.002, 0.001, 0.0005])
    for dt in steps:
        engine = ReferenceEngine(model(interaction=Interaction(Potential("yukawa", (1500.0, 0.5)), atoms)), dt)
        energies = []
        for _ in range(40):
            b = engine.budget()
            energies.append(b["elastic"] + b["framework_kinetic"] + b["interaction"] + b["ion_kinetic"])
            engine.advance(round(0.02 / dt))
        errors.append(np.abs(np.array(energies) - energies[0]).max())
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(2.0, abs=0.1)


def test_time_reversal_returns_to_the_start():
    there = ReferenceEngine(model(), 0.005)
    there.advance(1000)
    u, v, position, velocity = there.synchronous()
    assert np.abs(u).max() > 1e-3
    turned = Ion(THROWN.mass, tuple(position), tuple(-velocity))
    back = ReferenceEngine(model(ion=turned), 0.005, displacement=u, velocity=-v)
    back.advance(1000)
    u, v, position, velocity = back.synchronous()
    assert np.abs(u).max() < 1e-9
    assert np.abs(v).max() < 1e-9
    assert np.abs(position - THROWN.position).max() < 1e-9
    assert np.abs(velocity + THROWN.velocity).max() < 1e-9


def test_whole_system_against_dop853():
    """N = 8, 2 ps: the error against an independent high-order integration of all 1539 coordinates is second order in δt."""
    size, sites = (8, 8, 8), ((3, 3, 3), (3, 3, 4), (3, 4, 3), (4, 3, 3), (4, 4, 3), (4, 3, 4), (3, 4, 4), (4, 4, 4))
    lattice = Lattice(size=size)
    matrix = spring_matrix(size, lattice.k1, lattice.k2) / lattice.mass
    matrix[np.abs(matrix) < 1e-12] = 0.0
    from scipy.sparse import csr_matrix

    sparse = csr_matrix(matrix)
    _, slope, _ = yukawa(1500.0, 0.5)
    index = tuple(np.array(sites).T)
    homes = 3.0 * np.array(sites)
    n = 3 * 512

    def rates(_, y):
        u, v, position, velocity = y[:n], y[n : 2 * n], y[2 * n : 2 * n + 3], y[2 * n + 3 :]
        a = -(sparse @ u)
        field = u.reshape(3, *size)
        on_atoms, on_ion = pair_force(homes + np.stack([field[c][index] for c in range(3)], axis=1), position, slope)
        for c in range(3):
            a.reshape(3, *size)[c][index] += on_atoms[:, c] / lattice.mass
        return np.concatenate([v, a, velocity, on_ion / 0.7])

    start = np.concatenate([np.zeros(2 * n), THROWN.position, THROWN.velocity])
    exact = solve_ivp(rates, (0.0, 2.0), start, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    steps, errors = np.array([0.002, 0.001, 0.0005]), []
    for dt in steps:
        interaction = Interaction(Potential("yukawa", (1500.0, 0.5)), Sites(sites))
        engine = ReferenceEngine(model(size, interaction), dt)
        engine.advance(round(2.0 / dt))
        u, v, position, velocity = engine.synchronous()
        errors.append([np.abs(u.ravel() - exact[:n]).max(), np.abs(position - exact[2 * n : 2 * n + 3]).max()])
        last = np.concatenate([u.ravel(), v.ravel(), position, velocity])
    errors = np.array(errors)
    orders = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert orders == pytest.approx([2.0, 2.0], abs=0.1)
    assert errors[-1].max() < 2e-4
    assert np.abs(last - exact).max() < 1e-2


def test_shell_follows_the_ion_across_a_cell_face():
    """With a shell, the ion feels the corners of the cell that it is in, wherever the periodic box puts them."""
    ion = Ion((np.inf,) * 3, (-1.1, 25.9, 40.0), (0.0,) * 3)
    engine = ReferenceEngine(model(interaction=Interaction(Potential("yukawa", (1500.0, 0.5)), Shell(1)), ion=ion), 0.001)
    cell = np.floor(np.array(ion.position) / 3.0)
    corners = 3.0 * (cell + np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]))
    phi, slope, _ = yukawa(1500.0, 0.5)
    _, frames = engine.sample()
    assert frames.interaction[0] == pytest.approx(phi(np.linalg.norm(corners - ion.position, axis=1)).sum(), rel=1e-13)
    assert np.allclose(frames.force[0], pair_force(corners, np.array(ion.position), slope)[1], rtol=1e-12)


def test_frozen_axes_stay():
    ion = Ion((np.inf, 0.7, np.inf), (10.7, 10.4, 10.5), (0.0, 3.0, 0.0))
    engine = ReferenceEngine(model(ion=ion), 0.005)
    engine.advance(200)
    _, frames = engine.sample()
    assert frames.position[0, 0] == 10.7 and frames.position[0, 2] == 10.5 and frames.position[0, 1] != 10.4


def _bits(engine, pieces):
    out = []
    for n in pieces:
        out.append(engine.advance(n)[1])
    u, v, position, velocity = engine.synchronous()
    frames = np.concatenate([f.position for f in out]).tobytes() + np.concatenate([f.velocity for f in out]).tobytes()
    return frames, u.tobytes() + v.tobytes() + position.tobytes() + velocity.tobytes()


def test_bits_do_not_depend_on_pieces_sampling_or_threads():
    whole = _bits(ReferenceEngine(model(), 0.005), [101])
    assert _bits(ReferenceEngine(model(), 0.005), [1, 17, 3, 80]) == whole
    assert _bits(ReferenceEngine(model(), 0.005, sample_every=7, record_atoms=True), [101])[1] == whole[1]
    numba.set_num_threads(1)
    assert _bits(ReferenceEngine(model(), 0.005), [101]) == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


def test_echo_time_counts_with_the_fastest_sound():
    assert model((100, 100, 100)).echo_time == pytest.approx((300.0 - 12.0) / 47.0258, rel=1e-5)
    stiff = Lattice(k1=400.0, k2=610.0)
    from mdlite.physics.phonons import sound_speeds

    rng = np.random.default_rng(1)
    fastest = max(sound_speeds(stiff, d)[2] for d in [*rng.normal(size=(500, 3)), [1, 1, 1]])
    assert stiff.sound_speed == pytest.approx(fastest, rel=1e-12)


def test_recorded_atoms_are_the_synchronous_state():
    engine = ReferenceEngine(model(), 0.002, record_atoms=True)
    engine.advance(50)
    _, frames = engine.sample()
    u, v, position, _ = engine.synchronous()
    sites = engine.model.candidate_sites(position)
    index = tuple((sites % np.array(engine.model.lattice.size)).T)
    expected = 3.0 * sites + np.stack([u[c][index] for c in range(3)], axis=1)
    assert np.abs(frames.atom_position[0] - expected).max() < 1e-12
    assert np.abs(frames.atom_velocity[0] - np.stack([v[c][index] for c in range(3)], axis=1)).max() < 1e-12
