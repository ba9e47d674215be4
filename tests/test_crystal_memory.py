"""The memory kernel in any crystal, against explicit crystals, against that of [lattice], and its response against sums over the zone."""

import dataclasses
import itertools

import numba
import numpy as np
import pytest

import made_up
from mdlite.crystals import library, moments, propagator, response, springs, symmetry
from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.model import CrystalModel, CrystalSites
from mdlite.engines import crystal_memory, memory
from mdlite.engines.base import Setup
from mdlite.engines.crystal import CrystalEngine
from mdlite.engines.crystal_memory import CrystalMemoryEngine
from mdlite.engines.memory import MemoryEngine
from mdlite.errors import InputError, RunError
from mdlite.physics import propagator as cubic
from mdlite.physics.interaction import Cutoff, Interaction, Potential, Sites
from mdlite.physics.model import Ion, Lattice, Model
from mdlite.physics.symmetry import canonical, from_canonical, matrices

YUKAWA, MAYER = Potential("yukawa", (300.0, 0.6)), Potential("born-mayer", (40000.0, 0.25))
LATTICE = Lattice(size=(12, 12, 12))
FAST = Ion((0.7, 0.7, 0.7), (1.5, 1.4, 1.3), (14.0, 11.0, 6.0))
STRONG = Potential("yukawa", (1200.0, 0.5))
FOUR = ("position", "velocity", "force", "interaction")


@pytest.fixture(scope="module")
def triclinic():
    return made_up.triclinic()


@pytest.fixture(scope="module")
def silicon():
    return springs.from_springs(**library.read("silicon"))


@pytest.fixture
def no_cache(monkeypatch):
    monkeypatch.setattr(propagator, "cache_path", lambda *_: None)


def wandering(crystal, size=(3, 3, 3), atoms=None):
    """Thrown so fast that it crosses cells."""
    ion = Ion(mass=0.7, position=(3.0, 2.0, 2.4), velocity=(26.0, -19.0, 15.0))
    return CrystalModel(Box(crystal, size), ion, {"Li": MAYER, "default": YUKAWA}, atoms or Cutoff(3.9, 1.0))


def both(atoms, ours, kind="exact", window=0.4):
    """The engines of [lattice] and of its crystal."""
    one = MemoryEngine(Setup(Model(LATTICE, FAST, Interaction(STRONG, atoms)), dt=0.005), window, kind=kind)
    model = CrystalModel(Box(as_crystal(LATTICE), LATTICE.size), FAST, {"default": STRONG}, ours)
    return one, CrystalMemoryEngine(Setup(model, dt=0.005), window, kind=kind)


# ----- the response


@pytest.mark.parametrize("kind", ["exact", "verlet", "exact-fall", "verlet-fall"])
def test_the_response_of_the_simple_cubic_crystal(kind, no_cache):
    pairs = propagator.pairs_within(as_crystal(LATTICE), 9.0)
    found = propagator.response_table(as_crystal(LATTICE), pairs, 0.005, 100, kind)
    unique, row = np.unique(canonical(pairs[:, 2:]), axis=0, return_inverse=True)
    table = cubic.response_table(LATTICE, unique, 0.005, 100, kind)
    turned = from_canonical(matrices(np.moveaxis(table[row.ravel()], 1, 0)), pairs[:, 2:])
    exact = np.moveaxis(turned, 1, -1).reshape(len(pairs), 9, -1)
    assert np.abs(found - exact).max() < 1e-13 * np.abs(exact).max()


def test_the_response_against_a_sum_over_the_zone(triclinic, silicon, no_cache):
    steps = np.array([0, 3, 17, 40])
    for crystal in (triclinic, silicon):
        pairs = propagator.pairs_within(crystal, 7.0)[::9]
        found = propagator.response_table(crystal, pairs, 0.003, 40)[..., steps]
        exact = np.moveaxis(response.propagator(crystal, pairs, 0.003 * steps), 1, -1).reshape(found.shape)
        assert np.abs(found - exact).max() < 1e-11 * np.abs(exact).max()


def test_operations_save_motions_and_change_nothing(silicon, no_cache, monkeypatch):
    pairs = propagator.pairs_within(silicon, 6.0)
    assert len(propagator._groups(silicon, pairs)) == 1 and len(moments.frame(silicon, 0).directions) == 1
    found = propagator.response_table(silicon, pairs, 0.005, 20)
    alone = symmetry.of_crystal(silicon).chosen(np.array([0]))
    moments.frame.cache_clear()
    monkeypatch.setattr(moments, "operations", lambda crystal: alone)
    assert len(propagator._groups(silicon, pairs)) == 2 and len(moments.frame(silicon, 0).directions) == 3
    plain = propagator.response_table(silicon, pairs, 0.005, 20)
    moments.frame.cache_clear()
    assert np.abs(found - plain).max() < 1e-13 * np.abs(plain).max()


def test_a_mirror_leaves_two_motions(no_cache, monkeypatch):
    """An atom on a mirror: two directions, from which the third follows."""
    found = made_up.springs([[3.1, 0.0, 0.4], [0.0, 3.6, 0.0], [0.0, 0.0, 4.0]], [[0, 0, 0], [0.4, 0.5, 0.55]], [0.7, 1.7])
    assert len(moments.operations(found).atoms) == 2 and len(moments.frame(found, 1).directions) == 2
    pairs = propagator.pairs_within(found, 6.0)
    exact = np.moveaxis(response.propagator(found, pairs, [0.0, 0.06]), 1, -1).reshape(len(pairs), 9, -1)
    assert np.abs(propagator.response_table(found, pairs, 0.06, 1) - exact).max() < 1e-11 * np.abs(exact).max()


def test_pairs_are_there_once_and_their_reverse_is_the_transpose(triclinic, no_cache):
    pairs = propagator.pairs_within(triclinic, 5.0)
    back = np.column_stack([pairs[:, 1], pairs[:, 0], -pairs[:, 2:]])
    known = set(map(tuple, pairs.tolist()))
    assert len(known) == len(pairs) and sum(tuple(pair) in known for pair in back.tolist()) == 3  # atoms with themselves
    grid = np.array(list(itertools.product(range(-4, 5), repeat=3)))
    for atom, other in itertools.product(range(3), repeat=2):
        apart = (grid + triclinic.positions[other] - triclinic.positions[atom]) @ triclinic.cell
        for cell in grid[np.linalg.norm(apart, axis=1) <= 5.0].tolist():
            assert (atom, other, *cell) in known or (other, atom, *(-n for n in cell)) in known
    one, other = (propagator.response_table(triclinic, some, 0.01, 5) for some in (pairs, back))
    assert np.abs(one.reshape(-1, 3, 3, 6) - other.reshape(-1, 3, 3, 6).swapaxes(1, 2)).max() < 1e-13 * np.abs(one).max()


def test_moments_are_kept_for_every_step(triclinic, tmp_path, monkeypatch):
    monkeypatch.setattr(propagator, "cache_path", lambda name, key: tmp_path / f"{name}-{hash(key)}.npy")
    monkeypatch.setattr(propagator, "TOLD", 0.0)
    told, pairs = [], propagator.pairs_within(triclinic, 4.0)
    first = propagator.response_table(triclinic, pairs, 0.01, 10, notice=told.append)
    assert len(told) == 1 and "computed once" in told[0]
    monkeypatch.setattr(moments, "_motion", None)
    again = propagator.response_table(triclinic, pairs, 0.005, 20, notice=told.append)
    assert np.abs(again[..., ::2] - first).max() < 1e-14 * np.abs(first).max() and len(told) == 1
    stiffer = triclinic.with_blocks(1.1 * triclinic.blocks)
    with pytest.raises(TypeError):
        propagator.response_table(stiffer, pairs, 0.01, 10)


# ----- the ion


@pytest.mark.parametrize("kind", ["exact", "verlet"])
@pytest.mark.parametrize(
    ("atoms", "ours"),
    [
        (Cutoff(5.0, 1.0), Cutoff(5.0, 1.0)),
        (Sites(((0, 0, 0), (1, 0, 0), (1, 1, 0))), CrystalSites(((0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0)))),
    ],
    ids=["cutoff", "sites"],
)
def test_the_simple_cubic_crystal_is_the_lattice(atoms, ours, kind, monkeypatch):
    """Longer than the window, and with histories that are moved often: both forget the same."""
    monkeypatch.setattr(memory, "SPARE_STEPS", 23)
    monkeypatch.setattr(crystal_memory, "SPARE_STEPS", 37)
    one, other = both(atoms, ours, kind)
    (_, expected), (_, found) = one.advance(200), other.advance(200)
    for name in FOUR:
        exact = getattr(expected, name)
        assert np.abs(getattr(found, name) - exact).max() < 1e-11 * max(np.abs(exact).max(), 1.0), name
    assert other.facts()["memory_truncation"] == pytest.approx(one.facts()["memory_truncation"], abs=1e-5)
    longer = both(atoms, ours, kind, window=1.0)[1].advance(200)[1]
    assert np.abs(longer.position - found.position).max() > 1e-9


def test_memory_and_explicit_crystal_are_one(triclinic):
    """With Verlet's own response the ion, and every atom that it can touch, to rounding; and what the ion has lost is in the crystal."""
    dt, n = 0.002, 60
    explicit = CrystalEngine(Setup(wandering(triclinic, (15, 14, 11)), dt, record_atoms=True))
    start = explicit.budget()
    _, expected = explicit.advance(n)
    engine = CrystalMemoryEngine(Setup(wandering(triclinic), dt, record_atoms=True), n * dt, kind="verlet")
    _, found = engine.advance(n)
    for name, bound in zip(FOUR, (1e-13, 1e-11, 1e-9, 1e-9)):
        assert np.abs(getattr(found, name) - getattr(expected, name)).max() < bound, name
    assert np.abs(found.atom_position - expected.atom_position).max() < 1e-11
    cells = np.unique(np.floor(found.position @ np.linalg.inv(triclinic.cell)), axis=0)
    assert len(cells) >= 3 and engine.facts()["memory_slots"] > engine.memory.count[1]
    few = CrystalMemoryEngine(Setup(wandering(triclinic), dt), n * dt, kind="verlet")
    assert np.array_equal(few.advance(n)[1].position, found.position)  # without the atoms that are only shown
    assert few.memory.count[1] < engine.memory.count[1]
    budget, mass = explicit.budget(), 0.7
    given = budget["elastic"] + budget["framework_kinetic"]
    lost = start["ion_kinetic"] + start["interaction"] - 0.5 * mass * (few.ion.velocity @ few.ion.velocity) - few.ion.energy[0]
    assert given > 5.0 and lost == pytest.approx(given, rel=1e-2)  # second order in the step


def test_order_of_convergence(triclinic):
    """The exact response: second order in the step; and both responses have the same limit."""
    near = CrystalSites(tuple((i, j, k, atom) for i in (0, 1) for j in (0, 1) for k in (0, 1) for atom in range(3)))
    ends = {}
    for kind in ("exact", "verlet"):
        values = []
        for dt in (0.002, 0.001, 0.0005):
            engine = CrystalMemoryEngine(Setup(wandering(triclinic, atoms=near), dt), 0.1, kind=kind)
            engine.advance(round(0.1 / dt))
            values.append(engine.ion.position.copy())
        change = [np.abs(b - a).max() for a, b in itertools.pairwise(values)]
        assert np.log2(change[0] / change[1]) == pytest.approx(2.0, abs=0.1)
        extrapolated = [(4.0 * b - a) / 3.0 for a, b in itertools.pairwise(values)]
        ends[kind] = (16.0 * extrapolated[1] - extrapolated[0]) / 15.0
    assert np.abs(ends["exact"] - ends["verlet"]).max() < 1e-8


def test_lithium_in_silicon(silicon):
    """Thrown out of the tetrahedral void at 7 Å/ps, in a box before its echo."""
    void, along = np.full(3, 0.5) @ silicon.cell, np.array([1.0, 0.7, 0.4])
    ion = Ion("Li", tuple(void), tuple(7.0 * along / np.linalg.norm(along)))
    model = CrystalModel(Box(silicon, (16, 16, 16)), ion, {"Si": Potential("yukawa", (3000.0, 0.5))}, Cutoff(5.0, 1.0))
    n = 56
    assert n * 0.005 < model.echo_time
    _, expected = CrystalEngine(Setup(model, 0.005)).advance(n)
    _, found = CrystalMemoryEngine(Setup(model, 0.005), n * 0.005, kind="verlet").advance(n)
    assert np.linalg.norm(expected.position[-1] - void) > 0.2
    assert np.abs(found.position - expected.position).max() < 1e-11 and np.abs(found.force - expected.force).max() < 1e-9


def test_bits_do_not_depend_on_pieces_sampling_or_threads(triclinic, monkeypatch):
    """The table and the slots grow on the way, and a run goes on from a state before or after."""
    monkeypatch.setattr(crystal_memory, "SPARE_STEPS", 17)
    monkeypatch.setattr(crystal_memory, "AMPLE", 0.0)

    def made(sample_every=1):
        return CrystalMemoryEngine(Setup(wandering(triclinic), 0.002, sample_every), 0.06)

    def end(engine, pieces):
        frames = [engine.advance(n)[1].position for n in pieces]
        return np.concatenate(frames), engine.ion.position.tobytes() + engine.ion.velocity.tobytes()

    first = made()
    start, slots = first.reach, len(first.memory.site)
    frames, whole = end(first, [90])
    assert first.reach > start and first.fault() is None and slots == len(first.memory.site)
    for pieces, every in (([1, 30, 59], 1), ([89, 1], 7)):
        assert end(made(every), pieces)[1] == whole
    numba.set_num_threads(1)
    assert end(made(), [90])[1] == whole
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    for before in (1, 40, 80):
        engine = made(4)
        engine.advance(before)
        engine.sample()
        saved = {name: array.copy() for name, array in engine.state().items()}
        again = made(3)
        again.restore(before, saved)
        rest, last = end(again, [90 - before])
        assert last == whole and np.array_equal(rest, frames[-(-before // 3) * 3 :: 3])
    with pytest.raises(ValueError, match="the state holds"):
        made().restore(3, saved | {"more": np.zeros(1)})


def test_more_slots_than_at_first(triclinic):
    engine, other = (CrystalMemoryEngine(Setup(wandering(triclinic), 0.002), 0.06) for _ in range(2))
    few = {
        name: getattr(engine.memory, name)[: int(engine.memory.count[0])].copy()
        for name in ("site", "force", "begin", "end", "held")
    }
    engine.memory = engine.memory._replace(**few)
    assert np.array_equal(engine.advance(60)[1].position, other.advance(60)[1].position)
    assert len(engine.memory.site) > len(few["site"])


def test_atoms_too_far_from_their_sites_are_a_fault(triclinic):
    engine = CrystalMemoryEngine(Setup(wandering(triclinic), 0.002), 0.02)
    assert engine.fault() is None
    engine._work.displacement[3, 1] = 2.0
    assert "from its site" in engine.fault()


def test_what_it_has_not(triclinic, silicon, monkeypatch):
    model = wandering(triclinic)
    with pytest.raises(InputError, match=r'"memory-kernel": is at T = 0 in a \[crystal\]'):
        CrystalMemoryEngine(Setup(model, 0.002, states=[(0.0, 0.0)]), 0.1)
    with pytest.raises(InputError, match=r'memory\.start = "dressed": is for a \[lattice\]'):
        CrystalMemoryEngine(Setup(model, 0.002), 0.1, dressed=True)
    with pytest.raises(InputError, match=r"run\.dt = 0\.1: must be below 0\.\d+ ps"):
        CrystalMemoryEngine(Setup(model, 0.1), 0.2, kind="verlet")
    lithium = dataclasses.replace(model, box=Box(silicon, (8, 8, 8)), potentials={"default": YUKAWA})
    with pytest.raises(
        InputError, match=r"memory\.window = 50: the response of this crystal is found in a box of \d+ atoms, and needs \d+ GB"
    ):
        CrystalMemoryEngine(Setup(lithium, 0.005), 50.0)
    with pytest.raises(
        InputError, match=r"memory\.window = 1: the table of the response for \d+ pairs of atoms would take .* GB"
    ):
        CrystalMemoryEngine(Setup(lithium, 2e-6), 1.0)
    monkeypatch.setattr(propagator, "MOST_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"memory\.window = 2: the response of this crystal would take about \S+ hours"):
        CrystalMemoryEngine(Setup(lithium, 0.005), 2.0)


def test_an_ion_that_wanders_too_far_for_the_memory(triclinic, monkeypatch):
    monkeypatch.setattr(crystal_memory, "AMPLE", 0.0)
    engine = CrystalMemoryEngine(Setup(wandering(triclinic), 0.002), 0.1)
    monkeypatch.setattr(propagator, "MOST_BYTES", 1.0)
    with pytest.raises(
        RunError, match=r"the ion has touched atoms more than \S+ Å apart within the window: memory\.window = 0\.1: the table"
    ):
        engine.advance(100)


def test_how_long_it_takes_is_known_before(silicon, tmp_path, monkeypatch):
    ion = Ion("Li", tuple(np.full(3, 0.5) @ silicon.cell), (7.0, 0.0, 0.0))
    model = CrystalModel(Box(silicon, (16, 16, 16)), ion, {"default": YUKAWA}, Cutoff(4.0, 1.0))
    monkeypatch.setattr(propagator, "cache_path", lambda name, key: tmp_path / f"{name}-{hash(key)}.npy")
    assert 1.0 < crystal_memory.seconds(model, 0.005, 3.0) < 1000.0
    assert 0.0 < crystal_memory.seconds(model, 0.005, 0.1) < 1.0
    CrystalMemoryEngine(Setup(model, 0.005), 0.1)
    assert crystal_memory.seconds(model, 0.005, 0.1) == 0.0


def test_an_ion_that_has_run_away_ends_the_run_for_that(triclinic):
    """On top of an atom; no table follows it."""
    model = wandering(triclinic)
    ion = dataclasses.replace(model.ion, position=tuple(triclinic.places[0] + 1e-6))
    engine = CrystalMemoryEngine(Setup(dataclasses.replace(model, ion=ion), 0.002), 0.02)
    with pytest.raises(RunError, match="the ion has"):
        engine.advance(50)
    assert "the ion has" in engine.fault()
