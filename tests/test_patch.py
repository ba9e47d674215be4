"""The scattered field on a patch: against the explicit lattice, the exact non-local equation, the response of the infinite
crystal, and statistics."""

import dataclasses

import numpy as np
import pytest

import mdlite
from mdlite import analysis
from mdlite.engines import patch_edge
from mdlite.engines.patch import PatchEngine, PatchEnsembleEngine
from mdlite.engines.reference import ReferenceEngine
from mdlite.kernels import patch as kernels
from mdlite.physics import propagator
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.physics.thermal import thermal_state

LATTICE = Lattice(size=(14, 14, 14))
CHAIN = Interaction(Potential("yukawa", (150.0, 0.5)), Sites(tuple((6, 6, z) for z in range(4, 10))))
BOUND = Model(LATTICE, Ion((0.7, 0.9, 1.1), (18.2, 17.9, 19.6), (2.0, -1.0, 6.0)), CHAIN)
FLYING = Model(
    Lattice(size=(60, 60, 60)),
    Ion((0.7,) * 3, (91.5, 91.5, 91.5), (22.0, 13.0, 7.0)),
    Interaction(Potential("yukawa", (4000.0, 0.5)), Cutoff(5.0, 1.0)),
)


def path(engine, steps):
    """Positions of the ion at every step, (steps, 3)."""
    return engine.advance(steps)[1].position


def test_without_an_edge_it_is_the_periodic_lattice():
    """A patch as large as the lattice, with no edge, does what the reference does, echoes included."""
    bounds = patch_edge.open_edge(LATTICE, 14, 0.005)
    found, true = path(PatchEngine(BOUND, 0.005, 14, bounds=bounds), 600), path(ReferenceEngine(BOUND, 0.005), 600)
    assert np.abs(found - true).max() < 1e-11
    assert np.ptp(true, axis=0).min() > 0.1


def test_the_field_of_a_thermal_crystal_splits_into_free_and_scattered():
    """r_H + δr is the reference's crystal, at any time, because the springs are linear."""
    state = thermal_state(LATTICE, 25.0, "classical", np.random.default_rng(5))
    true = path(ReferenceEngine(BOUND, 0.005, 1, False, *state), 300)
    bounds = patch_edge.open_edge(LATTICE, 14, 0.005)
    engine = PatchEnsembleEngine(BOUND, 0.005, [state], np.array([BOUND.ion.position]), 14, bounds=bounds)
    found = path(engine, 300)[:, 0, 0]
    assert np.abs(found - true).max() < 1e-10
    cold = path(ReferenceEngine(BOUND, 0.005), 300)
    assert np.abs(cold - true).max() > 0.05  # the crystal's motion matters here


def test_an_ensemble_in_a_crystal_at_rest_is_so_many_single_ions():
    nothing = (np.zeros((3, *LATTICE.size)),) * 2
    model = dataclasses.replace(FLYING, lattice=LATTICE, ion=Ion((0.7,) * 3, (19.5, 19.5, 19.5), (22.0, 13.0, 7.0)))
    starts = np.array([[19.5, 19.5, 19.5], [22.5, 10.5, 4.5]])
    single = path(PatchEngine(model, 0.005, 8), 100)
    for states, positions in (([nothing], starts), ([nothing] * 2, np.stack([starts, starts]))):
        engine = PatchEnsembleEngine(model, 0.005, states, positions, 8)
        found = np.concatenate([engine.advance(n)[1].position for n in (33, 66, 1)])
        assert np.abs(found[..., 0, :] - single[:, None]).max() < 1e-12
        assert np.abs(found[..., 1, :] - starts[1] + starts[0] - single[:, None]).max() < 1e-11


def test_moving_the_patch_with_the_ion_loses_nothing_that_matters():
    """Until sound has been to the edge of a large patch, an ion that hops between cells is that of a larger lattice, to 1e-8 Å."""
    size, steps = 40, 170
    engine = PatchEngine(FLYING, 0.005, size, bounds=patch_edge.open_edge(FLYING.lattice, size, 0.005))
    start = engine.state()["corner"].copy()
    found = path(engine, steps)
    assert np.abs(engine.state()["corner"] - start).sum() >= 2
    assert np.abs(found - path(ReferenceEngine(FLYING, 0.005), steps)).max() < 1e-8


def test_a_patch_of_the_usual_size_follows_an_ion_through_hops():
    true = path(ReferenceEngine(FLYING, 0.005), 200)
    found = path(PatchEngine(FLYING, 0.005, 12), 200)
    assert np.linalg.norm(found - true, axis=1).max() < 0.02
    local = mdlite.timelocal.TimeLocalEngine(FLYING, "time-local", 0.005)
    assert np.linalg.norm(path(local, 200) - true, axis=1).max() > 0.5


@pytest.mark.thorough(only=("trapped-heavy",))
@pytest.mark.parametrize("case", ["trapped", "trapped-heavy"])
def test_late_decay_rate_against_the_exact_equation(case):
    config = mdlite.load_case(case)
    rates = []
    for one in (config.replace(method="patch"), config.replace(method="memory-kernel", **{"memory.kernel": "verlet"})):
        run = mdlite.run(one)
        passed = analysis.crossings(run.time, run.position[:, 0, 2], run.velocity[:, 0, 2], 10.5)
        end = config.run.duration
        rates.append(analysis.fit_decay(passed.time, passed.velocity**2, (0.5 * end, end)).rate)
    assert rates[0] == pytest.approx(rates[1], rel=0.01)
    assert run.facts["status"] == "complete"


def response(lattice, size, dt, omega, steps=3000):
    """Ĝ(ω) of a patch from an impulse along x on a middle atom, at that atom and at the one next to it along x, by the kernel."""
    bounds = patch_edge.edge(lattice, size, dt)
    history = np.zeros((steps + 1, *patch_edge.patch_lattice(lattice, size).field_shape))
    first = size // 2 - 1
    kernels.impulse(np.full(3, first), 0, bounds, dt, history)
    waves = dt * np.exp(1j * np.outer(omega, dt * np.arange(steps + 1)))
    return waves @ history[:, 0, first : first + 2, first, first + 1], history


def test_friction_of_the_patch_against_that_of_the_infinite_crystal():
    """At frequencies that the fit has not seen, with another step, mass and lattice constant, to the error that it states."""
    lattice = Lattice((12, 12, 12), 4.0, 2.5, 700.0, 700.0 * 170.0 / 520.0)
    dt = 0.1 / lattice.omega_max
    omega = lattice.omega_max * np.linspace(0.03, 0.5, 41)
    found, history = response(lattice, 12, dt, omega, 6000)
    steps = 8000
    fading = np.cos(0.5 * np.pi * np.clip(2.0 * np.arange(steps + 1) / steps - 1.0, 0.0, 1.0)) ** 2
    waves = dt * fading * np.exp(1j * np.outer(omega, dt * np.arange(steps + 1)))
    true = propagator.transformed(lattice, [[0, 0, 0], [1, 0, 0]], waves, dt, "verlet")[..., 0, 0]
    error = (found.imag - true.imag) / true.imag[:, :1]
    stated = patch_edge.fit(170.0 / 520.0, 12)
    assert np.abs(error).max() < 1.5 * stated.friction_error < 0.06
    assert np.sqrt((error**2).mean()) < 0.012
    assert np.abs(found - true).max() < 0.03 * np.abs(true).max()
    assert np.abs(history[-1]).max() < 1e-3 * np.abs(history).max()  # what has been radiated is gone


def test_the_edge_takes_and_never_gives():
    """Every number of a fit is that of a passive medium, and the middle is the crystal."""
    found = patch_edge.fit(170.0 / 520.0, 12)
    where, depth = patch_edge.classes(12)
    assert len(np.unique(where)) == len(depth) == 6 * 21
    assert found.damping.min() >= 0.0 and found.stiffness.min() >= 0.0 and found.inertia.min() >= patch_edge.LIGHTEST
    middle = depth < patch_edge.CORE
    assert not found.damping[middle].any() and not found.stiffness[middle].any() and (found.inertia[middle] == 1.0).all()
    assert (found.damping[~middle] > 0.0).any() and found.common_error < found.friction_error < 0.05


@pytest.mark.thorough
def test_the_jacobian_of_the_fit():
    """Where nothing rings for long, the derivatives that it assumes are those that differences give."""
    fitting = patch_edge._Fitting(0.3, 8)
    n = len(fitting.depth)
    p = np.concatenate([np.full(n, 1.5), np.full(n, 0.3), np.full(n, 1.2)])
    jacobian, h = fitting._jacobian(fitting._field(p)), 1e-4
    for unknown in (n // 2, n + n // 3, 2 * n + n // 4):
        step = h * np.eye(3 * n)[unknown]
        slope = (fitting._residual(fitting._field(p + step)) - fitting._residual(fitting._field(p - step))) / (2.0 * h)
        assert np.abs(slope - jacobian[:, unknown]).max() < 0.05 * np.abs(slope).max()


@pytest.mark.thorough
def test_detailed_balance_in_a_classical_crystal():
    """The ion takes the crystal's temperature, its velocities are Gaussian and independent of each other, and energy flows neither way."""
    model = Model(
        Lattice(size=(12, 12, 12)), Ion((0.7,) * 3, (1.5, 1.5, 1.5)), Interaction(Potential("yukawa", (4000.0, 0.5)), Shell(1))
    )
    rng = np.random.default_rng(11)
    states = [thermal_state(model.lattice, 25.0, "classical", rng) for _ in range(8)]
    starts = 1.5 + 3.0 * rng.integers(0, 12, (8, 12, 3))
    engine = PatchEnsembleEngine(model, 0.005, states, starts, 10, sample_every=40)
    engine.advance(1500)
    frames = engine.advance(6000)[1]
    velocity = frames.velocity  # (frames, lattices, ions, 3)
    assert (engine.ions.stopped < 0).all()
    heat = 0.7 * (velocity**2).mean(axis=(0, 2, 3)) / 25.0
    spread = heat.std(ddof=1) / np.sqrt(len(heat))
    assert abs(heat.mean() - 1.0) < 4.0 * max(spread, 0.005) < 0.1
    fourth = (velocity**4).mean() / (velocity**2).mean() ** 2
    assert fourth == pytest.approx(3.0, abs=0.12)
    crossed = (
        (velocity[..., 0] ** 2 * velocity[..., 1] ** 2).mean() / (velocity[..., 0] ** 2).mean() / (velocity[..., 1] ** 2).mean()
    )
    assert crossed == pytest.approx(1.0, abs=0.05)
    half = len(velocity) // 2
    kinetic = 0.35 * (velocity**2).sum(axis=-1)
    flow = kinetic[half:].mean(axis=(0, 2)) - kinetic[:half].mean(axis=(0, 2))
    assert abs(flow.mean()) < 4.0 * max(flow.std(ddof=1) / np.sqrt(len(flow)), 0.2)


def test_bad_patches_are_refused():
    for override, words in (
        ({"patch.size": 9}, "patch.size = 9: must be an even number, such as 10"),
        ({"patch.size": 6}, "patch.size = 6: .*8"),
        ({"lattice.k2": 0.0}, "lattice.k2 = 0"),
        ({"run.dt": 0.025}, "run.dt = 0.025: must be below 0.5/Omega_max = 0.0159"),
        ({"interaction.atoms": {"kind": "sites", "sites": [[0, 0, 0], [0, 0, 30]]}}, "patch.size = 12: .*24 is the most"),
        ({"interaction.atoms": {"kind": "cutoff", "radius": 17.0}}, "patch.size = 12: .*give 14"),
    ):
        with pytest.raises(mdlite.InputError, match=words):
            mdlite.load_case("trapped", **override).replace(method="patch")
    with pytest.raises(mdlite.InputError, match=r"thermal\.motion"):
        mdlite.load_case("diffusion", **{"thermal.motion": "modes"}).replace(method="patch")


def test_a_stopped_ion_keeps_its_last_state_through_a_checkpoint():
    state = thermal_state(LATTICE, 25.0, "classical", np.random.default_rng(2))
    model = dataclasses.replace(FLYING, lattice=LATTICE, ion=Ion((0.7,) * 3, (19.5, 19.5, 19.5), (22.0, 13.0, 7.0)))
    starts = np.array([[19.5, 19.5, 19.5], [22.5, 10.5, 4.5]])

    def make():
        return PatchEnsembleEngine(model, 0.005, [state], starts, 8, bounds=patch_edge.open_edge(LATTICE, 8, 0.005))

    engine = make()
    engine.advance(40)
    engine.ions.stopped[0, 1] = engine.step
    frozen = engine.sample()[1]
    kept = {name: array.copy() for name, array in engine.state().items()}
    other = make()
    other.restore(engine.step, kept)
    ours, theirs = engine.advance(30)[1], other.advance(30)[1]
    for name in ("position", "velocity", "interaction"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
        assert np.array_equal(getattr(ours, name)[-1, 0, 1], getattr(frozen, name)[0, 0, 1]), name
    assert np.allclose(engine.facts()["run_aways"][0]["velocity_A_per_ps"], frozen.velocity[0, 0, 1], rtol=1e-14)
    assert np.ptp(ours.position[:, 0, 0], axis=0).max() > 0.1


def test_a_patch_that_can_not_hold_the_atoms_is_refused():
    wide = dataclasses.replace(FLYING, interaction=Interaction(Potential("yukawa", (4000.0, 0.5)), Cutoff(11.0, 1.0)))
    with pytest.raises(mdlite.InputError, match="at least 10"):
        PatchEngine(wide, 0.005, 8, bounds=patch_edge.open_edge(wide.lattice, 8, 0.005))
