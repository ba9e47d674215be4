"""The memory kernel against explicit lattices, at T = 0 and at a temperature, and its own convergence."""

import dataclasses
import itertools

import numba
import numpy as np
import pytest

import mdlite
from mdlite.engines import echofree, memory
from mdlite.engines.echofree import EchoFreeEngine, mirrors
from mdlite.engines.memory import MemoryEngine
from mdlite.engines.reference import ReferenceEngine
from mdlite.errors import InputError
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.physics.thermal import thermal_state

LATTICE = Lattice(size=(40, 40, 40))
CAGED = Ion((0.7, 0.9, 1.1), (1.4, 1.5, 1.6), (9.0, 7.0, 5.0))
FAST = Ion((0.7, 0.7, 0.7), (1.5, 1.4, 1.3), (14.0, 11.0, 6.0))
LINE = Sites(tuple((0, 0, n) for n in range(5)))
TRAPPED = Model(
    LATTICE, Ion((np.inf, np.inf, 0.7), (0.0, 0.0, 7.5), (0.0, 0.0, 7.5)), Interaction(Potential("yukawa", (150.0, 0.5)), LINE)
)
STRONG = Potential("yukawa", (4000.0, 0.5))
CASES = {
    "sites": TRAPPED,
    "cutoff": Model(LATTICE, CAGED, Interaction(STRONG, Cutoff(5.0))),
    "shell-wandering": Model(LATTICE, FAST, Interaction(Potential("yukawa", (1200.0, 0.5)), Shell(1))),
}


@pytest.mark.parametrize("name", CASES)
def test_memory_and_explicit_lattice_are_one(name):
    """With Verlet's own response the ion of a periodic lattice is followed to rounding, until the echo and not after."""
    model, dt = CASES[name], 0.005
    echo = min(model.echo_time, 1.8)
    n = round(1.3 * echo / dt)
    engine = MemoryEngine(model, dt, n * dt, record_atoms=True, kind="verlet")
    _, found = engine.advance(n)
    _, true = ReferenceEngine(model, dt, record_atoms=True).advance(n)
    before = dt * np.arange(n) < 0.8 * echo
    assert np.ptp(true.position[before], axis=0).max() > 1.0
    for one, other, bound in (
        (found.position, true.position, 1e-11),
        (found.velocity, true.velocity, 1e-9),
        (found.force, true.force, 1e-7),
    ):
        assert np.abs(one - other)[before].max() < bound
    assert np.abs(found.atom_position - true.atom_position)[before].max() < 1e-11
    if name == "sites":
        assert np.abs(found.position - true.position)[-1].max() > 1e-6
    if name == "shell-wandering":
        assert len(np.unique(np.floor(true.position[before] / 3.0), axis=0)) >= 4 and engine.facts()["memory_slots"] > 16


def test_memory_in_a_thermal_crystal_is_the_thermal_lattice():
    """r = r_H + response: the explicit lattice from the same thermal state, to rounding until the echo."""
    model = Model(Lattice(size=(24, 24, 24)), CAGED, Interaction(STRONG, Shell(1)))
    state = thermal_state(model.lattice, 25.0, "quantum", np.random.default_rng(2))
    n = 160
    engine = MemoryEngine(model, 0.005, 1.0, kind="verlet", states=[state])
    pieces = [engine.advance(k)[1].position for k in (1, 2, 60, n - 63)]
    _, true = ReferenceEngine(model, 0.005, displacement=state[0], velocity=state[1]).advance(n)
    distance = np.abs(np.concatenate(pieces) - true.position).max(axis=1)
    assert distance[: round(0.8 * model.echo_time / 0.005)].max() < 1e-11


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["sites", "shell-wandering"])
def test_a_dressed_start(name):
    """An explicit lattice that starts displaced by -W(0) ∇U everywhere: the same path, until what the box cuts off comes in."""
    model, n = dataclasses.replace(CASES[name], lattice=Lattice(size=(20, 20, 20))), 36
    engine = MemoryEngine(model, 0.005, 0.5, record_atoms=True, kind="verlet", dressed=True)
    box = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    recoil = mdlite.response.static_recoil(model.lattice, box - 10).reshape(20, 20, 20, 3, 3)
    u = np.zeros((8000, 3))
    for s, f in zip(*engine.held):
        u -= recoil[tuple(((box - s + 10) % 20).T)] @ f
    displacement = np.ascontiguousarray(u.T.reshape(3, 20, 20, 20))
    _, true = ReferenceEngine(
        model, 0.005, record_atoms=True, displacement=displacement, velocity=np.zeros_like(displacement)
    ).advance(n)
    _, found = engine.advance(n)
    assert np.abs(found.position - true.position).max() < 1e-10
    assert np.abs(found.atom_position - true.atom_position).max() < 1e-8
    bare = MemoryEngine(model, 0.005, 0.5, kind="verlet").advance(n)[1]
    assert np.abs(found.position - bare.position).max() > 1e-4


def test_a_dressed_crystal_holds_an_ion_at_rest():
    """The ion held (infinite mass): nothing moves, and the energy is that of the relaxed framework."""
    held = dataclasses.replace(CASES["cutoff"], ion=Ion((np.inf,) * 3, (1.4, 1.5, 1.6), (0.0,) * 3))
    engine = MemoryEngine(held, 0.005, 1.0, record_atoms=True, dressed=True)
    _, frames = engine.advance(200)
    assert np.abs(frames.atom_position - frames.atom_position[0]).max() < 2e-5  # second order in the step
    assert frames.interaction[0] == pytest.approx(mdlite.timelocal.adiabatic_energy(held)[1], rel=1e-9)


@pytest.mark.thorough
def test_order_of_convergence():
    """The exact response: second order in the step; and both responses have the same limit."""
    ends = {}
    for kind in ("exact", "verlet"):
        values = []
        for dt in (0.004, 0.002, 0.001):
            engine = MemoryEngine(CASES["cutoff"], dt, 1.0, kind=kind)
            engine.advance(round(1.0 / dt))
            values.append(engine.ion.position.copy())
        change = [np.abs(b - a).max() for a, b in itertools.pairwise(values)]
        assert np.log2(change[0] / change[1]) == pytest.approx(2.0, abs=0.15)
        extrapolated = [(4.0 * b - a) / 3.0 for a, b in itertools.pairwise(values)]
        ends[kind] = (16.0 * extrapolated[1] - extrapolated[0]) / 15.0
    assert np.abs(ends["exact"] - ends["verlet"]).max() < 1e-6


@pytest.mark.parametrize("name", ["sites", "shell-wandering"])
def test_bits_do_not_depend_on_pieces_sampling_or_threads(name, monkeypatch):
    monkeypatch.setattr(memory, "SPARE_STEPS", 37)  # the history is moved often

    def end(pieces, sample_every=1):
        engine = MemoryEngine(CASES[name], 0.005, 0.8, sample_every)
        frames = [engine.advance(n)[1].position for n in pieces]
        return np.concatenate(frames).tobytes(), engine.ion.position.tobytes() + engine.ion.velocity.tobytes()

    whole = end([301])
    assert end([1, 99, 201]) == whole
    assert end([300, 1], 7)[1] == whole[1]
    numba.set_num_threads(1)
    assert end([301]) == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    monkeypatch.undo()
    assert end([301]) == whole


def test_a_shorter_window_forgets_little_and_says_how_much():
    whole, short = (MemoryEngine(TRAPPED, 0.005, window) for window in (6.0, 2.0))
    far = np.abs(whole.advance(1200)[1].position - short.advance(1200)[1].position).max()
    assert 1e-8 < far < 0.02
    assert 0.0 < short.facts()["memory_truncation"] < 0.05 and short.facts()["memory_window_ps"] == pytest.approx(2.0)
    exact = mdlite.response.recoil_kernel(LATTICE, [[0, 0, 0]], [0.0, 2.0])[0, :, 0, 0]
    assert short.facts()["memory_truncation"] == pytest.approx(abs(exact[1] / exact[0]), abs=2e-3)


@pytest.mark.thorough(only=("cutoff",))
@pytest.mark.parametrize("name", ["sites", "cutoff", "shell-wandering"])
def test_without_echoes_against_the_memory_kernel(name):
    """Two independent ways to the infinite crystal, at the same step: to 1e-12 Å over a time in which a box of this size would echo."""
    model, n = CASES[name], 500
    engine = EchoFreeEngine(model, 0.005, n)
    _, lattice = engine.advance(n)
    _, memory = MemoryEngine(model, 0.005, 2.5, kind="verlet").advance(n)
    grows = 1e4 if name == "shell-wandering" else 1.0  # an ion that bounces about forgets its start
    assert np.abs(lattice.position - memory.position).max() < 3e-12 * grows
    assert np.abs(lattice.velocity - memory.velocity).max() < 1e-10 * grows
    assert engine.fault() is None and np.prod(engine.plan.size) > 2e4


def test_without_a_margin_there_is_an_error():
    n = 500
    memory = MemoryEngine(TRAPPED, 0.005, 2.5, kind="verlet").advance(n)[1].position
    errors = [np.abs(EchoFreeEngine(TRAPPED, 0.005, n, margin=m).advance(n)[1].position - memory).max() for m in (-6.0, 1.0, 5.0)]
    assert errors[0] > 1e-5 > errors[1] > 1e-9 > errors[2] or errors[0] > errors[1] > 10.0 * errors[2]


def test_mirrors_are_exact(monkeypatch):
    """The quarter of the crystal with its mirrors, against the whole; and a problem that has none."""
    assert mirrors(TRAPPED).tolist() == [True, True]
    aside = dataclasses.replace(TRAPPED, ion=dataclasses.replace(TRAPPED.ion, position=(0.1, 0.0, 7.5)))
    assert mirrors(aside).tolist() == [False, True] and mirrors(CASES["cutoff"]).tolist() == [False, False]
    quarter = EchoFreeEngine(TRAPPED, 0.005, 300)
    frames = quarter.advance(300)[1].position
    monkeypatch.setattr(echofree, "mirrors", lambda model: np.zeros(2, bool))
    whole = EchoFreeEngine(TRAPPED, 0.005, 300)
    assert np.prod(quarter.plan.size) < 0.4 * np.prod(whole.plan.size)
    assert np.abs(whole.advance(300)[1].position - frames).max() < 1e-12


def test_without_echoes_bits_and_frames():
    def end(pieces):
        engine = EchoFreeEngine(CASES["cutoff"], 0.005, 200, record_atoms=True)
        frames = [engine.advance(n)[1] for n in pieces]
        joined = (np.concatenate([getattr(f, name) for f in frames]) for name in ("position", "atom_position"))
        return b"".join(array.tobytes() for array in joined), engine.ion.position.tobytes()

    whole = end([200])
    assert end([1, 20, 179]) == whole
    numba.set_num_threads(1)
    assert end([200]) == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


def test_what_the_machine_has_no_room_for():
    with pytest.raises(
        InputError, match=r"run\.duration = 500: without an echo this takes a box of .* GB, more than this machine has"
    ):
        EchoFreeEngine(TRAPPED, 0.005, 100_000)
    engine = EchoFreeEngine(CASES["cutoff"], 0.005, 100)
    engine.ion.position[0] += 150.0
    engine.advance(3)
    assert "has come farther than its energy" in engine.fault()


BASE = {"method": "memory-kernel", "run.duration": 1.0}


def test_runs_and_their_files(tmp_path):
    config = mdlite.load_case("trapped", **BASE)
    kept, written = mdlite.run(config), mdlite.run(config, tmp_path / "m.h5")
    assert kept.position.tobytes() == written.position.tobytes() and written.facts["memory_window_ps"] == 1.0
    free = mdlite.run(config.replace(method="reference", **{"lattice.boundary": "echo-free"}), tmp_path / "e.h5")
    assert np.abs(free.position - mdlite.run(config.replace(**{"memory.kernel": "verlet"})).position).max() < 1e-12
    assert free.facts["mirrors"] == [True, True] and "energy_elastic" not in free.data
    hot = mdlite.load_case(
        "diffusion", **BASE | {"lattice.size": 12, "thermal.lattices": 1, "thermal.ions": 1, "memory.window": 0.6}
    )
    assert np.isfinite(mdlite.run(hot).position).all()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"memory.window": 0.1}, r"memory\.window = 0\.1: must be at least 0\.5 ps"),
        ({"memory.window": -1.0}, r"memory\.window = -1\.0: must be greater than 0"),
        ({"memory.start": "dressed", "thermal": {"energy": 5.0}}, r'memory\.start = "dressed": is an equilibrium at T = 0'),
        ({"memory.kernel": "fast"}, r"memory\.kernel = 'fast': must be 'exact' or 'verlet'"),
        ({"lattice.k2": 0.0}, r'lattice\.k2 = 0: method = "memory-kernel" needs W\(0\) and L'),
        ({"thermal": {"energy": 5.0, "lattices": 2}}, r"thermal\.lattices = 2, thermal\.ions = 1: .* one ion in one lattice"),
        (
            {"method": "reference", "lattice.boundary": "echo-free", "thermal": {"energy": 5.0}},
            r'"echo-free": is for a crystal at rest',
        ),
        ({"validate.ladder": True}, r"validate\.ladder = true: compares with the infinite crystal"),
        (
            {"validate.reference": "echo-free", "validate.protocol": "barriers"},
            r'are for validate\.protocol = "rungs", not "barriers"',
        ),
    ],
)
def test_bad_input(changes, message):
    with pytest.raises(InputError, match=message):
        mdlite.load_case("trapped", **BASE | changes)


@pytest.mark.parametrize("name", ["cutoff", "sites"])
def test_the_synchronous_state_without_echoes(name):
    """That of a periodic lattice before its echo, atom by atom; before a mirror there are images only."""
    model, n = CASES[name], 60
    engine = EchoFreeEngine(model, 0.005, n)
    engine.advance(n // 2)
    true = ReferenceEngine(model, 0.005)
    true.advance(n // 2)
    found, expected = engine.synchronous(), true.synchronous()
    for one, other in zip(found[2:], expected[2:]):
        assert np.abs(one - other).max() < 1e-11 and np.abs(other).max() > 1.0
    first = [2 if mirrored else 4 for mirrored in (*engine.plan.mirror, False)]
    indices = [engine.plan.low[c] + np.arange(first[c], engine.plan.size[c] - 4) for c in range(3)]
    there = np.ix_(*(index % 40 for index in indices))
    inside = tuple(slice(start, -4) for start in first)
    for one, other in zip(found[:2], expected[:2]):
        assert np.abs(one[:, *inside] - other[:, *there]).max() < 1e-9 < 1e-4 < np.abs(other).max()  # the precursor
