"""The absorbing layer: what it throws back, and an ion in it against the infinite crystal."""

import numpy as np
import pytest

import mdlite
from mdlite.engines import absorbing
from mdlite.errors import InputError
from mdlite.physics.model import Lattice


@pytest.mark.thorough
def test_reflection_falls_with_the_width_and_rises_with_the_wavelength():
    table = {
        (width, length, wave): absorbing.reflection(Lattice(), width, length, wave)
        for width in (8, 16)
        for length in (6.0, 12.0)
        for wave in (False, True)
    }
    assert table[16, 12.0, False] < 1e-3 and table[16, 12.0, True] < 1e-3
    for wave in (False, True):
        assert table[16, 12.0, wave] < 0.1 * table[8, 12.0, wave] and table[16, 6.0, wave] < 0.5 * table[16, 12.0, wave]
    # it depends on the wavelength over the width alone, once that is long against a site
    assert absorbing.reflection(Lattice(), 16, 24.0, False) == pytest.approx(table[8, 12.0, False], rel=0.2)


def test_without_damping_everything_comes_back():
    assert absorbing.reflection(Lattice(), 8, 12.0, False, strength=0.0) == pytest.approx(1.0, abs=1e-3)


def test_an_ion_beyond_the_echo():
    """Trapped at N = 40: after the echo the periodic lattice is off by 3e-3 Å, with the layer by a small part of that."""
    base = mdlite.load_case("trapped", **{"lattice.size": 44, "run.duration": 5.0, "lattice.absorber_width": 16})
    true = mdlite.run(base.replace(method="memory-kernel", **{"memory.kernel": "verlet"})).position
    runs = {name: mdlite.run(base.replace(**{"lattice.boundary": name})) for name in ("periodic", "absorbing")}
    off = {name: np.abs(run.position - true).max() for name, run in runs.items()}
    assert off["absorbing"] < 0.15 * off["periodic"] and off["periodic"] > 2e-3
    early = runs["absorbing"].time < 1.0
    assert np.abs(runs["absorbing"].position - true)[early].max() < 1e-5  # before much sound has been to the layer and back
    assert runs["absorbing"].facts["absorber_width"] == 16 and "energy_elastic" not in runs["absorbing"].data


def test_bits_do_not_depend_on_pieces():
    model = mdlite.load_case("trapped", **{"lattice.size": 20}).to_model()
    ends = []
    for pieces in ([50], [1, 30, 19]):
        engine = absorbing.AbsorbingEngine(model, 0.005, 5)
        ends.append(np.concatenate([engine.advance(n)[1].position for n in pieces]).tobytes() + engine.lattice.v.tobytes())
    assert ends[0] == ends[1]


def test_the_layer_stays_clear_of_the_ion():
    with pytest.raises(InputError, match=r"lattice\.absorber_width = 16: .* give 5 or less, or a larger box"):
        mdlite.load_case("trapped", **{"lattice.size": 20, "lattice.boundary": "absorbing"})
    config = mdlite.load_case("barriers", **{"lattice.size": 20, "lattice.boundary": "absorbing", "lattice.absorber_width": 5})
    engine = absorbing.AbsorbingEngine(config.to_model(), 0.005, 5)
    assert engine.fault() is None
    engine.ion.position[2] += 18.0
    assert "has come to the absorbing layer" in engine.fault()
    with pytest.raises(InputError, match=r'"absorbing": is for a crystal at rest'):
        config.replace(thermal={"energy": 5.0})
