"""The time-local rungs against an independent integration of [16-20] in plain NumPy and SciPy."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, root

from independent import time_local_force, yukawa
from mdlite import analysis
from mdlite.engines.timelocal import RUNGS, TimeLocalEngine, adiabatic_energy
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.physics.response import loss_matrix, recoil_kernel

LATTICE = Lattice(size=(10, 10, 10))
STRENGTH, LENGTH = 1500.0, 0.5
POTENTIAL = Potential("yukawa", (STRENGTH, LENGTH))
PHI, SLOPE, CURVATURE = yukawa(STRENGTH, LENGTH)
CAGED = Ion((0.7, 0.9, 1.1), (10.7, 10.4, 10.5), (5.0, -3.0, 4.0))  # stays in the cell (3, 3, 3)
CORNERS = np.array([[i, j, k] for i in (3, 4) for j in (3, 4) for k in (3, 4)])
LINE = Model(
    LATTICE,
    Ion((np.inf, np.inf, 0.7), (0.0, 0.0, 10.5), (0.0, 0.0, 7.5)),
    Interaction(Potential("yukawa", (150.0, 0.5)), Sites(tuple((0, 0, n) for n in range(8)))),
)


def caged(atoms=None, ion=CAGED):
    return Model(LATTICE, ion, Interaction(POTENTIAL, atoms or Shell(1)))


def medium(sites, method):
    """Pair matrices W[j, k] (n, n, 3, 3) and L as the rung has them."""
    difference = (sites[:, None] - sites[None]).reshape(-1, 3)
    recoil = recoil_kernel(LATTICE, difference)[:, 0].reshape(len(sites), len(sites), 3, 3)
    loss = loss_matrix(LATTICE)
    return (0.0 if method == "rigid" else 1.0) * recoil, (1.0 if method == "time-local" else 0.0) * loss


def exact_path(method, sites, ion, duration, slope=SLOPE, curvature=CURVATURE):
    recoil, loss = medium(sites, method)

    def rates(_, y):
        force, _, _ = time_local_force(y[:3], y[3:], 3.0 * sites, recoil, loss, slope, curvature)
        return np.concatenate([y[3:], force * ion.inverse_mass])

    start = np.concatenate([ion.position, ion.velocity])
    return solve_ivp(rates, (0.0, duration), start, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]


@pytest.mark.parametrize("method", ["time-local", "static", "rigid"])
def test_path_in_three_dimensions(method):
    """Error below 1e-8 Å at a short step, and second order on the way there."""
    duration = 0.4
    exact = exact_path(method, CORNERS, CAGED, duration)
    steps, errors = np.array([2e-3, 1e-3, 5e-4, 1e-5]), []
    for dt in steps:
        engine = TimeLocalEngine(caged(), method, dt)
        engine.advance(round(duration / dt))
        assert np.all(np.floor(engine.ion.position / 3.0) == 3)
        errors.append(np.abs(engine.ion.position - exact[:3]).max())
    assert errors[-1] < 1e-8
    order = np.polyfit(np.log(steps[:3]), np.log(errors[:3]), 1)[0]
    assert order == pytest.approx(2.0, abs=0.1)


def test_effective_positions_are_those_of_the_formulae():
    engine = TimeLocalEngine(caged(), "time-local", 1e-3, record_atoms=True)
    _, frames = engine.sample()
    recoil, loss = medium(CORNERS, "time-local")
    force, atoms, shifted = time_local_force(
        np.array(CAGED.position), np.array(CAGED.velocity), 3.0 * CORNERS, recoil, loss, SLOPE, CURVATURE
    )
    assert np.allclose(frames.force[0], force, rtol=1e-11)
    assert np.abs(frames.atom_position[0] - atoms).max() < 1e-13
    assert np.abs(frames.effective_position[0] - shifted).max() < 1e-13
    assert np.abs(shifted - CAGED.position).max() > 1e-4


def test_frozen_axes_are_shifted_but_not_accelerated():
    ion = Ion((np.inf, 0.7, np.inf), (10.7, 10.4, 10.5), (0.0, 3.0, 0.0))
    engine = TimeLocalEngine(caged(ion=ion), "time-local", 1e-3)
    engine.advance(100)
    _, frames = engine.sample()
    assert frames.position[0, 0] == 10.7 and frames.position[0, 2] == 10.5 and frames.position[0, 1] != 10.4
    assert np.abs(frames.effective_position[0] - frames.position[0])[[0, 2]].max() > 1e-7


@pytest.mark.parametrize("sign", [1.0, 0.0, -1.0])
def test_loss_damps_and_heats_by_its_sign(sign):
    """On a straight line: + L damps, L = 0 conserves (the force depends on the position alone), - L heats."""
    loss = sign * loss_matrix(LATTICE)
    drifts = []
    for dt in (1e-3, 5e-4):
        engine = TimeLocalEngine(LINE, "time-local", dt, loss=loss)
        _, frames = engine.advance(round(6.0 / dt))
        passed = analysis.crossings(dt * np.arange(len(frames.position)), frames.position[:, 2], frames.velocity[:, 2], 10.5)
        chosen = [0, 1] if sign < 0 else [5, 10, 15]  # a heated ion soon breaks out
        drifts.append(np.log(np.abs(passed.velocity[chosen] / 7.5)))
    if sign == 0.0:
        assert np.abs(drifts[0]).max() < 1e-3
        assert np.abs(drifts[1]).max() < 0.3 * np.abs(drifts[0]).max()  # the integrator's error, second order
    else:
        assert np.all(np.diff(-sign * drifts[1]) > 0.05)
        assert np.all(-sign * drifts[1] > 0.1)


def test_late_decay_is_that_of_the_linearised_equation():
    """The small-amplitude decay rate and frequency follow from the force's derivatives in R and Ṙ at the trap's centre."""
    sites = np.array([(0, 0, n) for n in range(8)])
    recoil, loss = medium(sites, "time-local")
    _, slope, curvature = yukawa(150.0, 0.5)

    def force(z, v):
        return time_local_force(np.array([0, 0, z]), np.array([0, 0, v]), 3.0 * sites, recoil, loss, slope, curvature)[0][2]

    stiffness = -(force(10.5 + 1e-4, 0) - force(10.5 - 1e-4, 0)) / 2e-4 / 0.7
    friction = -(force(10.5, 1e-3) - force(10.5, -1e-3)) / 2e-3 / 0.7
    engine = TimeLocalEngine(LINE, "time-local", 5e-4)
    _, frames = engine.advance(80000)
    time = 5e-4 * np.arange(len(frames.position))
    passed = analysis.crossings(time, frames.position[:, 2], frames.velocity[:, 2], 10.5)
    fit = analysis.fit_decay(passed.time, passed.velocity**2, (30.0, 40.0))
    assert fit.rate == pytest.approx(friction, rel=1e-4)
    period = analysis.mean_period(passed.time, (30.0, 40.0))
    assert period == pytest.approx(2 * np.pi / np.sqrt(stiffness - 0.25 * friction**2), rel=1e-4)


def test_implicit_closure_by_an_independent_solver():
    """[16] with the adiabatic velocity: all unknowns (ξ, w, x) by SciPy's root finder."""
    sites, n = 3.0 * CORNERS, len(CORNERS)
    recoil, loss = medium(CORNERS, "time-local")
    position, velocity = np.array(CAGED.position), np.array(CAGED.velocity)

    def terms(xi, shift):
        d = sites + xi - position - shift
        rho = np.linalg.norm(d, axis=1)
        unit = d / rho[:, None]
        hessian = CURVATURE(rho)[:, None, None] * unit[:, :, None] * unit[:, None]
        hessian += (SLOPE(rho) / rho)[:, None, None] * (np.eye(3) - unit[:, :, None] * unit[:, None])
        return SLOPE(rho)[:, None] * unit, hessian

    def equations(y):
        xi, w, shift = y[: 3 * n].reshape(n, 3), y[3 * n : 6 * n].reshape(n, 3), y[6 * n :] * 1e-3
        gradient, hessian = terms(xi, shift)
        pull = np.einsum("kab,kb->ka", hessian, w)
        first = xi + np.einsum("jkab,kb->ja", recoil, gradient)
        second = w + np.einsum("jkab,kb->ja", recoil, pull) - velocity
        return np.concatenate([first.ravel(), second.ravel(), shift - loss @ pull.sum(axis=0)])

    solution = root(equations, np.concatenate([np.zeros(3 * n), np.tile(velocity, n), np.zeros(3)]), tol=1e-13).x
    shift = solution[6 * n :] * 1e-3
    gradient, _ = terms(solution[: 3 * n].reshape(n, 3), shift)
    engine = TimeLocalEngine(caged(), "implicit", 1e-3, record_atoms=True)
    _, frames = engine.sample()
    assert np.abs(frames.atom_position[0] - sites - solution[: 3 * n].reshape(n, 3)).max() < 1e-9
    assert np.abs(frames.effective_position[0] - position - shift).max() < 1e-9
    assert np.allclose(frames.force[0], gradient.sum(axis=0), rtol=1e-6)
    first_order = TimeLocalEngine(caged(), "time-local", 1e-3, record_atoms=True).sample()[1]
    assert np.abs(first_order.atom_position - frames.atom_position).max() > 5e-5  # the closure does matter here


def test_implicit_is_second_order_and_equals_time_local_for_a_weak_potential():
    paths = [TimeLocalEngine(caged(), "implicit", dt) for dt in (2e-3, 1e-3, 5e-4, 1e-4)]
    for engine in paths:
        engine.advance(round(0.4 / engine.dt))
    errors = [np.abs(p.ion.position - paths[-1].ion.position).max() for p in paths[:-1]]
    assert np.polyfit(np.log([2e-3, 1e-3, 5e-4]), np.log(errors), 1)[0] == pytest.approx(2.0, abs=0.15)
    differences = []
    for strength in (30.0, 3.0):
        weak = dataclasses.replace(caged(), interaction=Interaction(Potential("yukawa", (strength, 0.5)), Shell(1)))
        shifts = [
            TimeLocalEngine(weak, m, 1e-3).ion.force - TimeLocalEngine(weak, "rigid", 1e-3).ion.force
            for m in ("implicit", "time-local")
        ]
        differences.append(np.abs(shifts[0] - shifts[1]).max() / np.abs(shifts[1]).max())
    assert differences[1] < 0.15 * differences[0] < 0.01  # one order in the potential apart


def test_adiabatic_force_is_the_gradient_of_the_adiabatic_energy():
    model = caged(Cutoff(5.0, 2.0))
    force = TimeLocalEngine(
        dataclasses.replace(model, ion=dataclasses.replace(CAGED, velocity=(0.0,) * 3)), "implicit", 1.0
    ).ion.force
    h = 1e-3
    for axis in range(3):
        shift = h * np.eye(3)[axis]
        energies = [adiabatic_energy(model, np.array(CAGED.position) + n * shift)[0] for n in (-2, -1, 1, 2)]
        slope = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * h)
        assert -slope == pytest.approx(force[axis], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("method", RUNGS)
def test_bits_do_not_depend_on_pieces_or_sampling(method):
    whole = TimeLocalEngine(caged(Cutoff(5.0)), method, 2e-3)
    whole.advance(301)
    parts = TimeLocalEngine(caged(Cutoff(5.0)), method, 2e-3, sample_every=7, record_atoms=True)
    for n in (1, 100, 200):
        parts.advance(n)
    assert (
        whole.ion.position.tobytes() + whole.ion.velocity.tobytes() == parts.ion.position.tobytes() + parts.ion.velocity.tobytes()
    )


@pytest.mark.parametrize("method", RUNGS)
def test_a_cutoff_ion_crosses_cells_smoothly(method):
    """The force is continuous where the candidate atoms change."""
    forces = []
    for z in (12.0 - 1e-9, 12.0 + 1e-9):
        ion = Ion((0.7,) * 3, (10.6, 10.4, z), (5.0, -3.0, 4.0))
        forces.append(TimeLocalEngine(caged(Cutoff(5.0), ion), method, 1e-3).ion.force)
    assert np.abs(forces[0] - forces[1]).max() < 1e-5
    assert np.abs(forces[0]).max() > 1.0


def test_infinite_and_finite_response_differ_by_the_finite_size_term():
    small = caged()
    infinite = TimeLocalEngine(small, "static", 1e-3, record_atoms=True).sample()[1]
    finite = TimeLocalEngine(small, "static", 1e-3, record_atoms=True, finite=True).sample()[1]
    assert 1e-6 < np.abs(infinite.atom_position - finite.atom_position).max() < 1e-2


@pytest.mark.parametrize(
    "length, speed, distance", [(0.2, -10.0, 0.7), (0.5, -20.0, 1.5), (0.5, -30.0, 1.2), (0.2, -30.0, 0.9), (0.5, 5.0, 1.5)]
)
def test_implicit_shift_of_a_fast_ion_by_a_bracketing_root_finder(length, speed, distance):
    """One hard atom on a line: x = L H/(1 + W H) v with the atom relaxed, found by bisection; plain iteration would diverge."""
    _, slope, curvature = yukawa(14000.0, length)
    recoil, loss = recoil_kernel(LATTICE, [[0, 0, 0]])[0, 0, 2, 2], loss_matrix(LATTICE)[2, 2]

    def mismatch(x):
        ion = x - distance
        xi = brentq(lambda u: u + recoil * slope(abs(u - ion)) * np.sign(u - ion), 0.0, 5.0, xtol=1e-15)
        hessian = curvature(abs(xi - ion))
        return x - loss * hessian / (1.0 + recoil * hessian) * speed

    exact = brentq(mismatch, -3.0, 0.0, xtol=1e-15) if speed < 0 else brentq(mismatch, 0.0, 0.2, xtol=1e-15)
    ion = Ion((np.inf, np.inf, 0.7), (0.0, 0.0, -distance), (0.0, 0.0, speed))
    engine = TimeLocalEngine(
        Model(LATTICE, ion, Interaction(Potential("yukawa", (14000.0, length)), Sites(((0, 0, 0),)))), "implicit", 1e-3
    )
    assert engine.fault() is None
    assert engine.ion.effective[2] + distance == pytest.approx(exact, abs=1e-10)
