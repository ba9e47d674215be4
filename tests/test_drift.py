"""A periodic crystal as a whole: it stays in place where the physics allows that, and is watched where it does not."""

import dataclasses

import numpy as np
import pytest

import mdlite
from mdlite.engines.reference import ReferenceEngine
from mdlite.errors import RunError
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell, Sites

LATTICE = Lattice(size=(6, 5, 7))
MODEL = Model(
    LATTICE, Ion((0.7,) * 3, (7.5, 7.5, 7.5), (10.0, 0.0, -3.0)), Interaction(Potential("yukawa", (4000.0, 0.5)), Shell(1))
)
THERMAL = {"lattice.size": 6, "thermal.energy": 25.0, "thermal.statistics": "classical", "thermal.seed": 3, "thermal.ions": 1}


@pytest.mark.parametrize("lattices", [1, 2])
def test_a_thermal_crystal_does_not_drift(lattices):
    """The crystal takes up the momentum that the ion starts with: nothing moves as a whole, however fast the ion was thrown."""
    wanted = THERMAL | {"ion.velocity": [10.0, 0.0, -3.0], "thermal.lattices": lattices, "run.duration": 60.0}
    run = mdlite.run(mdlite.load_case("diffusion", **wanted).replace(method="reference"))
    total = np.abs(run.energy_framework_momentum + run.energy_ion_momentum).reshape(-1)
    assert total.max() < 1e-9
    assert run.velocity[0, 0].tolist() == [10.0, 0.0, -3.0]


def test_a_start_without_momentum_is_left_alone():
    from mdlite.engines.build import at_rest_as_a_whole

    v = np.random.default_rng(1).normal(size=(3, *LATTICE.size))
    assert at_rest_as_a_whole(dataclasses.replace(MODEL, ion=Ion()), v) is v
    held = dataclasses.replace(MODEL, ion=Ion((np.inf, 0.7, 0.7), (7.5,) * 3, (0.0, 2.0, 0.0)))
    moved = at_rest_as_a_whole(held, v)
    assert np.array_equal(moved[0], v[0]) and np.array_equal(moved[2], v[2])
    assert 3.5 * (moved - v)[1].sum() == pytest.approx(-0.7 * 2.0)


def test_a_shell_in_a_drifting_crystal_is_stopped():
    velocity = np.zeros((3, *LATTICE.size))
    velocity[1] = 0.5
    engine = ReferenceEngine(
        dataclasses.replace(MODEL, ion=Ion((0.7,) * 3, (7.5,) * 3, (0.0, 0.5, 0.0))),
        0.005,
        displacement=0.0 * velocity,
        velocity=velocity,
    )
    engine.advance(100)
    assert engine.fault() is None and engine.drift() == pytest.approx(0.25, rel=1e-6)
    engine.advance(30)
    assert "the whole crystal has drifted by 0.325 Å" in engine.fault()


def test_a_run_at_rest_that_drifts_ends_with_the_cause():
    """T = 0, where the crystal begins at rest by definition: a small one drifts, and the run says so."""
    wanted = {
        "lattice.size": 4,
        "ion.mass": 0.7,
        "ion.position": [1.5, 1.5, 1.5],
        "ion.velocity": [9.0, 1.0, 2.0],
        "interaction.atoms": {"kind": "shell"},
    }
    config = mdlite.load_case("trapped", **wanted, **{"run.duration": 60.0, "run.energy_tolerance": 1.0})
    with pytest.raises(RunError, match=r"the whole crystal has drifted by 0.3.* Å from its sites; the atoms of a shell"):
        mdlite.run(config)


def test_fixed_atoms_drift_with_their_ion():
    """Galileo: the ion amid fixed atoms does the same in a crystal that moves with it, for many cells."""
    sites = Sites(tuple((i, j, k) for i in (2, 3) for j in (2, 3) for k in (2, 3)))
    model = dataclasses.replace(
        MODEL,
        interaction=Interaction(Potential("yukawa", (4000.0, 0.5)), sites),
        ion=Ion((0.7,) * 3, (7.5,) * 3, (2.0, 1.0, 0.5)),
    )
    still = ReferenceEngine(model, 0.005)
    boost = np.array([4.0, -3.0, 2.0])
    fast = dataclasses.replace(model, ion=dataclasses.replace(model.ion, velocity=tuple(boost + model.ion.velocity)))
    u = np.zeros((3, *LATTICE.size))
    moving = ReferenceEngine(fast, 0.005, displacement=u, velocity=u + boost[:, None, None, None])
    for engine in (still, moving):
        engine.advance(600)
    assert moving.fault() is None and moving.drift() > 12.0
    assert np.abs(moving.ion.position - 3.0 * boost - still.ion.position).max() < 1e-9
