"""Time-local ions in a thermal crystal, against the ion alone, exact mode evolution, and an independent integration."""

import dataclasses

import numba
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mdlite
from independent import spring_matrix, yukawa
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine, starting_positions
from mdlite.engines.reference import ReferenceEngine, ReplicaEngine
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.errors import InputError, RunError
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.physics.modes import ModeMotion
from mdlite.physics.response import loss_matrix, recoil_kernel
from mdlite.physics.thermal import thermal_state

LATTICE = Lattice(size=(4, 5, 6))
ION = Ion((0.7, 0.9, 1.1), (4.7, 4.4, 4.5), (3.0, -2.0, 2.5))
MODEL = Model(LATTICE, ION, Interaction(Potential("yukawa", (1500.0, 0.5)), Shell(1)))
STATE = thermal_state(LATTICE, 10.0, "classical", np.random.default_rng(3))
STILL = (np.zeros((3, *LATTICE.size)), np.zeros((3, *LATTICE.size)))


def exact_motion(state):
    """u(t), v(t) of the free crystal by its normal modes, as a function of time; rigid shifts included."""
    squares, modes = np.linalg.eigh(spring_matrix(LATTICE.size, LATTICE.k1, LATTICE.k2) / LATTICE.mass)
    omega = np.sqrt(squares.clip(min=1e-12))
    a, b = (modes.T @ field.ravel() for field in state)

    def at(t):
        c, s = np.cos(omega * t), np.sin(omega * t)
        u, v = modes @ (a * c + b / omega * s), modes @ (b * c - a * omega * s)
        return u.reshape(3, *LATTICE.size), v.reshape(3, *LATTICE.size)

    return at


def test_the_crystal_is_that_of_the_reference_without_an_ion():
    engine = EnsembleEngine(MODEL, "rigid", 0.005, [STATE], [ION.position])
    nothing = dataclasses.replace(MODEL, interaction=Interaction(Potential("gaussian", (0.0, 1.0)), Shell(1)))
    reference = ReferenceEngine(nothing, 0.005, displacement=STATE[0], velocity=STATE[1])
    for steps in (1, 2, 5, 100):
        engine.advance(steps)
        reference.advance(steps)
        u, v, _, _ = reference.synchronous()
        rate = LATTICE.atoms(engine.crystals.after[0] - engine.crystals.before[0]) / 0.01
        assert np.abs(LATTICE.atoms(engine.crystals.u[0]) - u).max() < 1e-12
        assert np.abs(rate - v).max() < 1e-11


def test_homogeneous_motion_by_two_routes():
    """The lattice kernel against exact modes: the error after 1 ps is second order in the step."""
    exact, errors = exact_motion(STATE)(1.0)[0], []
    for dt in (0.004, 0.002, 0.001):
        engine = EnsembleEngine(MODEL, "rigid", dt, [STATE], [ION.position])
        engine.advance(round(1.0 / dt))
        errors.append(np.abs(LATTICE.atoms(engine.crystals.u[0]) - exact).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1)


def test_modes_move_the_crystal_exactly():
    """200 exact steps of 5 fs against the normal modes of the spring matrix, a drifting crystal included."""
    state = (STATE[0] + 0.02, STATE[1] + 0.3)
    motion = ModeMotion(LATTICE, *state, 0.005)
    for _ in range(200):
        crystal = motion.step()
    u, v = exact_motion(state)(1.0)
    assert np.abs(LATTICE.atoms(crystal.u) - u).max() < 1e-11
    assert np.abs(LATTICE.atoms(crystal.after - crystal.before) / 0.01 - v).max() < 1e-10


def test_ions_are_driven_alike_by_both_routes():
    """Time-local ions in the lattice kernel's crystal and in the exact one: the difference is second order in the step."""
    differences = []
    for dt in (0.002, 0.001, 0.0005):
        ends = []
        for kind in (EnsembleEngine, ModesEngine):
            engine = kind(MODEL, "time-local", dt, [STATE], [ION.position])
            engine.advance(round(0.3 / dt))
            ends.append(engine.ions.position[0, 0])
        differences.append(np.abs(ends[1] - ends[0]).max())
    assert 1e-9 < differences[-1] < 1e-4
    assert np.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.2)
    assert np.log2(differences[1] / differences[2]) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("method", ["time-local", "implicit", "static", "rigid"])
def test_a_crystal_at_rest_gives_the_lone_ion(method):
    alone = TimeLocalEngine(MODEL, method, 0.002)
    alone.advance(200)
    engine = EnsembleEngine(MODEL, method, 0.002, [STILL], [ION.position])
    engine.advance(200)
    assert np.abs(engine.ions.position[0, 0] - alone.ion.position).max() < 1e-11
    assert np.abs(engine.ions.velocity[0, 0] - alone.ion.velocity).max() < 1e-10


def test_thermal_path_against_an_independent_integration():
    """[18-20] with exact r_H(t) and ṙ_H(t), by DOP853: second order in the step."""
    corners = np.array([[i, j, k] for i in (1, 2) for j in (1, 2) for k in (1, 2)])
    index, motion = tuple(corners.T), exact_motion(STATE)
    _, slope, curvature = yukawa(1500.0, 0.5)
    difference = (corners[:, None] - corners[None]).reshape(-1, 3)
    recoil = recoil_kernel(LATTICE, difference)[:, 0].reshape(8, 8, 3, 3)
    loss = loss_matrix(LATTICE)

    def rates(t, y):
        u, v = motion(t)
        home = 3.0 * corners + np.stack([u[c][index] for c in range(3)], axis=1)
        home_velocity = np.stack([v[c][index] for c in range(3)], axis=1)
        d = home - y[:3]
        rho = np.linalg.norm(d, axis=1)
        n = d / rho[:, None]
        gradient = slope(rho)[:, None] * n
        hessian = curvature(rho)[:, None, None] * n[:, :, None] * n[:, None]
        hessian += (slope(rho) / rho)[:, None, None] * (np.eye(3) - n[:, :, None] * n[:, None])
        power = np.einsum("kab,kb->a", hessian, y[3:] - home_velocity)
        r = home - np.einsum("jkab,kb->ja", recoil, gradient) - y[:3] - loss @ power
        rho = np.linalg.norm(r, axis=1)
        return np.concatenate([y[3:], ((slope(rho) / rho)[:, None] * r).sum(axis=0) * ION.inverse_mass])

    start = np.concatenate([ION.position, ION.velocity])
    exact = solve_ivp(rates, (0.0, 0.4), start, method="DOP853", rtol=1e-10, atol=1e-11).y[:3, -1]
    errors = []
    for dt in (0.002, 0.001, 0.0005):
        engine = EnsembleEngine(MODEL, "time-local", dt, [STATE], [ION.position])
        engine.advance(round(0.4 / dt))
        assert np.all(np.floor(engine.ions.position[0, 0] / 3.0) == 1)
        errors.append(np.abs(engine.ions.position[0, 0] - exact).max())
    assert errors[-1] < 2e-6
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("method", ["time-local", "implicit"])
def test_ions_do_not_know_of_each_other_threads_or_pieces(method):
    model = dataclasses.replace(MODEL, interaction=Interaction(Potential("yukawa", (1500.0, 0.5)), Cutoff(4.5)))
    positions = starting_positions(model, 70, np.random.default_rng(1))
    assert np.array_equal(positions[0], ION.position) and len(np.unique(positions, axis=0)) > 30

    def end(chosen, pieces):
        engine = EnsembleEngine(model, method, 0.005, [STATE], positions[chosen])
        for n in pieces:
            engine.advance(n)
        return engine.ions.position.tobytes() + engine.ions.velocity.tobytes()

    whole = end(slice(None), [22])
    assert end(slice(None), [1, 1, 7, 13]) == whole
    numba.set_num_threads(1)
    assert end(slice(None), [22]) == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    all_rows = np.frombuffer(whole).reshape(2, 70, 3)
    assert end(slice(7, 9), [22]) == all_rows[:, 7:9].tobytes()


@pytest.mark.parametrize("engine", [EnsembleEngine, ModesEngine])
def test_several_crystals_are_so_many_single_ones(engine):
    """Three crystals side by side, with two ions each, in pieces and on one thread: the bits of three engines alone."""
    states = [thermal_state(LATTICE, 10.0, "quantum", np.random.default_rng([3, n])) for n in range(3)]
    positions = np.stack([starting_positions(MODEL, 2, np.random.default_rng(n)) for n in range(3)])

    def together(pieces):
        together = engine(MODEL, "time-local", 0.005, states, positions, sample_every=4)
        parts = [together.advance(n) for n in pieces]
        frames = np.concatenate([out.position for _, out in parts])
        return together.ions.position.tobytes() + together.ions.velocity.tobytes() + frames.tobytes()

    whole = together([22])
    assert together([1, 1, 7, 13]) == whole
    numba.set_num_threads(1)
    assert together([22]) == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    singles = []
    for state, start in zip(states, positions):
        single = engine(MODEL, "time-local", 0.005, [state], start)
        single.advance(22)
        singles.append(single.ions.position[0])
    assert np.stack(singles).tobytes() == whole[: 3 * 2 * 3 * 8]


def test_replicas_are_so_many_reference_lattices():
    """Frames, budgets and end states of three replicas, cut into pieces: the bits of three engines alone."""
    states = [thermal_state(LATTICE, 10.0, "classical", np.random.default_rng([5, n])) for n in range(3)]
    replicas = ReplicaEngine(MODEL, 0.005, states, sample_every=3)
    parts = [replicas.advance(n)[1] for n in (1, 4, 8)]
    last = replicas.sample()[1]
    for n, state in enumerate(states):
        single = ReferenceEngine(MODEL, 0.005, 3, displacement=state[0], velocity=state[1])
        _, frames = single.advance(13)
        for name in ("position", "velocity", "interaction"):
            found = np.concatenate([getattr(part, name)[:, n, 0] for part in parts])
            assert found.tobytes() == getattr(frames, name).tobytes(), name
        assert last.position[0, n, 0].tobytes() == single.sample()[1].position[0].tobytes()
        assert replicas.replicas[n].lattice.u.tobytes() == single.lattice.u.tobytes()
        budget = single.budget()
        assert all(np.array_equal(values[n], budget[name]) for name, values in replicas.budget().items())
    assert replicas.fault() is None
    replicas.replicas[1].ion.position[0] = np.nan
    assert replicas.fault().startswith("lattice 1: ")


def test_a_run_away_is_stopped_counted_and_told():
    positions = np.array([ION.position, [4.5, 4.5, 5.9999], ION.position])
    engine = EnsembleEngine(MODEL, "rigid", 0.005, [STILL], positions)
    engine.ions.velocity[0, 2] = 1e6
    engine.advance(10)
    gone = engine.facts()["run_aways"]
    assert [entry["ion"] for entry in gone] == [2] and gone[0]["time_ps"] == 0.005
    assert engine.fault() is None and engine.facts()["ions"] == 3
    last = engine.ions.position[0, 2].copy()
    engine.advance(10)
    assert np.array_equal(engine.ions.position[0, 2], last)
    engine.ions.stopped[:] = 1
    assert (
        engine.fault().startswith("every ion has run away; ")
        and "1 of 3 ions (33 %) was lost by the rigid method" in engine.fault()
    )


BASE = {
    "method": "time-local",
    "lattice": {"size": [8, 8, 8]},
    "ion": {"position": [1.5, 1.5, 1.5]},
    "interaction": {"potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5}, "atoms": {"kind": "shell"}},
    "thermal": {"energy": 25.0, "statistics": "classical", "ions": 40},
    "run": {"dt": 0.005, "duration": 1.0, "sample_every": 10},
}


def test_runs_of_an_ensemble_in_memory_and_in_a_file(tmp_path):
    config = mdlite.config.parse(BASE)
    kept, written = mdlite.run(config), mdlite.run(config, tmp_path / "e.h5")
    assert kept.position.shape == (21, 40, 3) and kept.interaction.shape == kept.ion_kinetic.shape == (21, 40)
    for name, values in kept.data.items():
        assert np.array_equal(values, written.data[name]), name
    assert written.facts["ions"] == 40 and written.facts["run_aways"] == []
    assert written.facts["seeds"] == [[150]]
    other = mdlite.run(config.replace(**{"thermal.seed": 151}))
    assert not np.array_equal(kept.position[-1], other.position[-1])
    with pytest.raises(RunError, match="every ion has run away"):
        mdlite.run(config.replace(**{"ion.velocity": [1e5, 0.0, 0.0]}))


def test_a_thermal_reference_keeps_its_energy_and_the_ion_s_temperature():
    """Classical start: the ion's kinetic temperature is the lattice's. 16 seeds × 8 ps; the error counts each seed once."""
    base = mdlite.config.parse(BASE).replace(
        method="reference", **{"thermal.ions": 1, "run.duration": 10.0, "interaction.atoms": {"kind": "cutoff", "radius": 6.0}}
    )
    temperatures = []
    for seed in range(16):
        run = mdlite.run(base.replace(**{"thermal.seed": seed}))
        assert abs(run.facts["energy_drift"]) < 1e-3
        temperatures.append(2.0 / 3.0 * run.ion_kinetic[run.time > 2.0].mean() / 25.0)
    error = np.std(temperatures, ddof=1) / 4.0
    assert error < 0.2 and abs(np.mean(temperatures) - 1.0) < 5.0 * error


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("thermal.energy", -1.0, r"thermal\.energy = -1\.0: must be greater than 0"),
        ("thermal.temperature", 290.0, r"thermal\.energy = 25 and thermal\.temperature = 290: give one of the two"),
        ("thermal", {}, r"thermal\.energy: is missing; give thermal\.energy in meV or thermal\.temperature in K"),
        ("thermal.statistics", "fermi", r"thermal\.statistics = 'fermi': must be 'quantum' or 'classical'"),
        ("thermal.seed", -1, r"thermal\.seed = -1: must be greater than or equal to 0"),
        ("thermal.ions", 0, r"thermal\.ions = 0: must be greater"),
        ("thermal.ions", 513, r"thermal\.ions = 513: lattice\.size = \[8, 8, 8\] has 512 cells"),
        ("thermal.lattices", 0, r"thermal\.lattices = 0: must be greater"),
        ("method", "reference", r"thermal\.ions = 40: method = \"reference\" has one ion"),
        ("interaction.atoms", {"kind": "sites", "sites": [[0, 0, 0]]}, r"with fixed sites all ions would start in one place"),
        ("lattice.k2", 0.0, r"lattice\.k2 = 0: modes without restoring force"),
        ("run.dt", 0.1, r"run\.dt = 0\.1: must be below 2/Omega_max"),
        ("run.record_atoms", True, r"run\.record_atoms = true: "),
    ],
)
def test_bad_thermal_input(key, value, message):
    with pytest.raises(InputError, match=message):
        mdlite.config.parse(BASE).replace(**{key: value})


def test_modes_are_for_free_crystals():
    with pytest.raises(InputError, match=r'thermal\.motion = "modes": is for time-local ions'):
        mdlite.config.parse(BASE).replace(method="reference", **{"thermal.ions": 1, "thermal.motion": "modes"})


def test_validation_at_temperature_is_refused(tmp_path):
    with pytest.raises(InputError, match='protocol = "rungs" compares at T = 0'):
        mdlite.validate(mdlite.config.parse(BASE), tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_implicit_ions_go_on_where_the_crystal_gives_way():
    """Hot ions in a hard potential: the self-consistent equation has steps where the atoms' equilibrium vanishes, and no ion is lost there."""
    config = mdlite.load_case(
        "diffusion",
        **{"thermal.energy": 60.0, "interaction.potential.strength": 8000.0, "lattice.size": 8, "run.duration": 20.0},
        **{"thermal.lattices": 2, "thermal.ions": 40},
    ).replace(method="implicit")
    run = mdlite.run(config)
    assert run.facts["run_aways"] == [] and np.isfinite(run.position).all()
    assert 0.5 < 0.7 * (run.velocity[50:] ** 2).mean() / 60.0 < 1.2
