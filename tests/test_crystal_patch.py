"""The patch of any crystal: never gives energy, agrees with the memory kernel as closely as it says, follows its ion."""

import dataclasses
import functools

import numba
import numpy as np
import pytest

import made_up
import mdlite
from mdlite.config import parse
from mdlite.crystals import response
from mdlite.crystals.box import Box
from mdlite.crystals.cubic import as_crystal
from mdlite.crystals.model import CrystalModel, CrystalSites
from mdlite.engines import crystal_layer
from mdlite.engines.base import Setup
from mdlite.engines.crystal import CrystalEngine
from mdlite.engines.crystal_layer import Fit
from mdlite.engines.crystal_medium import CrystalMediumEngine
from mdlite.engines.crystal_memory import CrystalMemoryEngine
from mdlite.engines.crystal_patch import OPEN, CrystalPatchEngine
from mdlite.errors import InputError
from mdlite.kernels import blocks
from mdlite.kernels import crystal_patch as kernels
from mdlite.physics.interaction import Cutoff, Potential
from mdlite.physics.model import Ion, Lattice

YUKAWA, MAYER = Potential("yukawa", (300.0, 0.6)), Potential("born-mayer", (40000.0, 0.25))
STRONG = Fit(60.0, 400.0, 0.4, 0.4, 0.0, 0.0, 0.0, 0.0)
DT, LONG = 2e-3, 4e-3


@functools.cache
def triclinic():
    return made_up.triclinic()


def model(atoms=None, **ion):
    placed = {"mass": 0.7, "position": (3.0, 2.0, 2.4), "velocity": (9.0, -14.0, 8.0)} | ion
    return CrystalModel(Box(triclinic(), (8, 8, 7)), Ion(**placed), {"Li": MAYER, "default": YUKAWA}, atoms or Cutoff(3.0, 1.0))


def force(box, u):
    """-Φu of a field (p, 3, n1, n2, n3) by a loop over blocks."""
    crystal, out = box.crystal, np.zeros(u.shape)
    for own, other, cell, block in zip(crystal.first, crystal.second, crystal.cells, crystal.blocks):
        there = np.roll(u[other], tuple(-cell), axis=(1, 2, 3))
        out[own] -= np.einsum("ab,bijk->aijk", block, there)
    return out


def test_a_free_step_is_the_equation_of_motion_with_damping_and_hold():
    crystal, rng = triclinic(), np.random.default_rng(1)
    box = Box(crystal, (5, 6, 9))
    layer, (u, v) = crystal_layer.layer(box, DT, STRONG, (2, -1, 12)), box.fields()
    box.displacements(u)[...], box.velocities(v)[...] = 0.05 * rng.standard_normal((2, 3, 3, *box.size))
    blocks.drift(u, v, box.stencil, 0.0)
    x, w = box.displacements(u).copy(), box.velocities(v).copy()
    cell = (np.int64(1), np.int64(4), np.int64(-5))
    kernels.brake(u, v, box.stencil, layer, cell)
    blocks.kick(u, v, box.stencil, box.kicks(DT))
    kernels.ease(u, v, box.stencil, layer, cell)
    new = box.velocities(v)
    s = np.roll(crystal_layer.profile(crystal, box.size, 0.4), (3, 3, 7), axis=(1, 2, 3))[:, None]  # centre + cell
    inverse = 1.0 / crystal.masses[:, None, None, None, None]
    change = force(box, x) * inverse - 60.0 * s * 0.5 * (w + new) - 400.0 * s * x
    assert np.abs(new - w - DT * change).max() < 1e-12


def test_energy_only_falls_and_an_open_patch_keeps_it():
    """That of leap-frog, which it conserves to rounding without a layer."""
    crystal, rng = triclinic(), np.random.default_rng(2)
    box = Box(crystal, (5, 5, 6))
    begin = 0.05 * rng.standard_normal((2, 3, 3, *box.size))
    masses, cell = crystal.masses[:, None, None, None, None], (np.int64(0), np.int64(0), np.int64(0))
    for found, kept in ((OPEN, True), (STRONG, False)):
        layer, (u, v) = crystal_layer.layer(box, DT, found), box.fields()
        box.displacements(u)[...], box.velocities(v)[...] = begin
        blocks.drift(u, v, box.stencil, 0.0)
        hold = found.hold * crystal_layer.profile(crystal, box.size, found.held)[:, None] * masses
        energy = []
        for _ in range(300):
            before = box.displacements(u).copy()
            kernels.brake(u, v, box.stencil, layer, cell)
            blocks.kick(u, v, box.stencil, box.kicks(DT))
            kernels.ease(u, v, box.stencil, layer, cell)
            blocks.drift(u, v, box.stencil, DT)
            x, w = box.displacements(u), box.velocities(v)
            energy.append(0.5 * np.sum(masses * w * w) + 0.5 * np.sum(x * (hold * before - force(box, before))))
        if kept:
            assert np.ptp(energy) < 1e-11 * energy[0]
        else:
            assert np.diff(energy).max() < 1e-12 * energy[0] and energy[-1] < 0.5 * energy[0]


@pytest.fixture
def quick(monkeypatch):
    """Layers that are found in a moment."""
    monkeypatch.setattr(crystal_layer, "STARTS", ((0.7, 0.7),))
    monkeypatch.setattr(crystal_layer, "CROSSINGS", 1.3)
    monkeypatch.setattr(crystal_layer, "USUAL", 8)
    crystal_layer.fit.cache_clear()
    yield
    crystal_layer.fit.cache_clear()


def throw(found, size, steps, dt=LONG, **more):
    engine = CrystalPatchEngine(Setup(found, dt), size, **more)
    _, frames = engine.advance(steps)
    return engine, frames


def test_a_throw_is_that_of_the_infinite_crystal_as_closely_as_the_patch_says(quick):
    found = model()
    _, truth = CrystalMemoryEngine(Setup(found, LONG, n_steps=125), 0.5, kind="verlet").advance(125)
    _, rigid = CrystalMediumEngine(Setup(found, LONG, method="rigid")).advance(125)
    yields = np.abs(rigid.position - truth.position).max()
    errors = []
    for size in (8, 12):
        engine, patch = throw(found, size, 125)
        away = np.abs(patch.position - truth.position)
        assert away[: round(0.1 / LONG)].max() < 1e-9  # before anything has come back
        errors.append(away.max())
        assert errors[-1] < engine.fit.response_error * yields
        for error in (engine.fit.static_error, engine.fit.friction_error, engine.fit.response_error):
            assert f"{100.0 * error:.2g} %" in engine.announcement()
        assert engine.fault() is None
    assert yields > 0.1 and errors[1] < 0.5 * errors[0], (yields, errors)


def test_what_a_patch_says_of_itself(quick):
    """W(0) and L of the finished layer by a dense solver."""
    crystal, size = triclinic(), 8
    found, box = crystal_layer.fit(crystal, size), Box(crystal, crystal_layer.box_size(crystal, size))
    cells = int(np.prod(box.size))
    masses = np.repeat(crystal.masses, 3 * cells)
    hold, damping = (
        number * masses * np.repeat(crystal_layer.profile(crystal, box.size, start).ravel(), 3)
        for number, start in ((found.hold, found.held), (found.damping, found.damped))
    )
    push = np.zeros((3, cells, 3, 3))
    push[:, 0] = np.eye(3) / 3.0
    push = push.reshape(-1, 3)
    stiff = made_up.hessian(crystal, box.size).reshape(cells, 3, 3, cells, 3, 3)
    stiff = stiff.transpose(1, 0, 2, 4, 3, 5).reshape(9 * cells, 9 * cells)
    moved = np.linalg.solve(stiff + np.diag(hold), push)
    pairs = [(a, b, 0, 0, 0) for a in range(3) for b in range(3)]
    static, loss = response.static_recoil(crystal, pairs).mean(axis=0), response.loss_matrix(crystal)
    for own, exact, told in (
        (push.T @ moved, static, found.static_error),
        (moved.T @ (damping[:, None] * moved), loss, found.friction_error),
    ):
        assert np.trace(own) == pytest.approx(np.trace(exact), rel=3e-3)
        assert np.abs(own - exact).max() / np.abs(exact).max() == pytest.approx(told, abs=2e-3)
    assert crystal_layer.is_known(crystal, size)


def test_an_ion_that_crosses_cells_takes_its_patch_along(quick):
    found = model(velocity=(60.0, -45.0, 50.0), position=(3.0, 2.0, 2.4))
    _, truth = CrystalMemoryEngine(Setup(found, LONG, n_steps=60), 0.24, kind="verlet").advance(60)
    engine, patch = throw(found, 10, 60)
    cells = np.floor(truth.position @ np.linalg.inv(triclinic().cell))
    assert np.ptp(cells, axis=0).max() >= 2
    assert np.abs(patch.position - truth.position).max() < 2e-3
    assert np.array_equal(found.candidate_sites(patch.position[-1])[0, :3] - found.offsets[0, :3], cells[-1])
    far, _ = throw(dataclasses.replace(found, ion=dataclasses.replace(found.ion, position=shifted(found))), 10, 60)
    assert far.ion.position - shifted(found) == pytest.approx(engine.ion.position - found.ion.position, abs=1e-9)


def shifted(found):
    """Where the ion starts, some whole cells away."""
    return tuple(np.array(found.ion.position) + np.array([-7, 5, 12]) @ triclinic().cell)


@pytest.mark.parametrize("atoms", [Cutoff(3.4, 1.0), CrystalSites(((5, 5, 4, 0), (6, 5, 4, 1), (5, 6, 5, 2)))])
def test_whole_or_in_pieces_sampled_or_not_on_any_threads_the_bits_are_the_same(atoms):
    place = tuple(triclinic().sites([5, 5, 4, 1]) + 0.9) if isinstance(atoms, CrystalSites) else (3.0, 2.0, 2.4)
    found = model(atoms, position=place, velocity=(30.0, -20.0, 25.0))
    whole, _ = throw(found, 10, 60, DT, fit=STRONG)
    engine = CrystalPatchEngine(Setup(found, DT, sample_every=7, record_atoms=True), 10, fit=STRONG)
    engine.advance(13)
    engine.sample()
    saved = {name: array.copy() for name, array in engine.state().items()}
    again = CrystalPatchEngine(Setup(found, DT, sample_every=7, record_atoms=True), 10, fit=STRONG)
    again.restore(13, saved)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        again.advance(47)
    finally:
        numba.set_num_threads(threads)
    for name, array in whole.state().items():
        assert np.array_equal(array, again.state()[name]), name


def test_before_anything_comes_back_it_is_the_explicit_crystal():
    """Of a simple cubic one, and with fixed sites."""
    crystal = as_crystal(Lattice())
    ion = Ion(mass=14.0, position=(6.1, 5.9, 6.6), velocity=(11.0, -7.0, 9.0))
    for atoms in (Cutoff(3.5, 1.0), CrystalSites(((5, 5, 5, 0), (6, 6, 6, 0), (6, 5, 6, 0)))):
        found = CrystalModel(Box(crystal, (12, 12, 12)), ion, {"default": Potential("yukawa", (3000.0, 0.6))}, atoms)
        explicit = CrystalEngine(Setup(found, DT, record_atoms=True))
        patch = CrystalPatchEngine(Setup(found, DT, record_atoms=True), 12, fit=STRONG._replace(held=0.7, damped=0.7))
        (_, expected), (_, shown) = explicit.advance(60), patch.advance(60)
        assert patch.box.size == (12, 12, 12)
        for name in ("position", "velocity", "force", "interaction", "atom_position", "atom_velocity"):
            exact = getattr(expected, name)
            assert np.abs(getattr(shown, name) - exact).max() < 1e-7 * np.abs(exact).max(), name


def test_what_cannot_be():
    with pytest.raises(InputError, match="is at T = 0 in a"):
        CrystalPatchEngine(Setup(model(), DT, states=[(0.0, 0.0)]), 8, fit=OPEN)
    with pytest.raises(InputError, match=r"patch\.size = 8: is too small to hold the ion's atoms"):
        CrystalPatchEngine(Setup(model(Cutoff(9.0, 1.0)), DT), 8, fit=OPEN)
    with pytest.raises(InputError, match=r"run\.dt = 0\.02: must be below 0\.0\d+ ps"):
        CrystalPatchEngine(Setup(model(), 0.02), 8, fit=STRONG._replace(hold=1e5))


SILICON = {
    "method": "patch",
    "crystal": {"name": "silicon", "size": 12},
    "ion": {"mass": "Li", "position": [0.5, 0.5, 0.5], "coordinates": "fractional", "velocity": [3.0, 4.0, 5.0]},
    "interaction": {
        "potential": {"kind": "born-mayer", "strength": 2.5e5, "range": 0.3},
        "atoms": {"kind": "cutoff", "radius": 4.0, "switch_width": 1.0},
    },
    "run": {"duration": 0.02, "dt": 0.002},
}


def test_a_configuration_runs_and_says_what_is_wrong(tmp_path, quick):
    lines = []
    run = mdlite.run(parse(SILICON | {"patch": {"size": 8}}), tmp_path / "x.h5", notice=lines.append)
    assert any("steady force" in line for line in lines), lines
    assert run.position.shape == (11, 1, 3)
    wide = {"kind": "cutoff", "radius": 9.0, "switch_width": 1.0}
    for change, line in (
        ({"thermal": {"temperature": 300.0}}, 'thermal: method = "patch" is for T = 0 in a [crystal]'),
        (
            {"patch": {"size": 8}, "interaction": SILICON["interaction"] | {"atoms": wide}},
            "patch.size = 8: is too small to hold the ion's atoms and a layer around them; give 1",
        ),
    ):
        with pytest.raises(InputError) as caught:
            parse(SILICON | change)
        assert line in str(caught.value)
