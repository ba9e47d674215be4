"""Speed of the kernels: ``python -m pytest bench --benchmark-columns=median,iqr,rounds``. Rates stand in extra_info (--benchmark-json)."""

import numpy as np
import pytest

import mdlite
from mdlite.ensemble import EnsembleEngine, starting_positions
from mdlite.reference import ReferenceEngine
from mdlite.thermal import thermal_state
from mdlite.timelocal import TimeLocalEngine


@pytest.mark.parametrize("size", [20, 40, 60, 100, 160], ids=lambda n: f"N={n}")
def test_reference_step(benchmark, size):
    model = mdlite.load_case("trapped", **{"lattice.size": size}).to_model()
    engine = ReferenceEngine(model, 0.005, sample_every=2**62)
    steps = max(2, 2 * (10**7 // size**3))
    engine.advance(2)
    benchmark(engine.advance, steps)
    benchmark.extra_info["atom_steps_per_s"] = size**3 * steps / benchmark.stats["median"]


@pytest.mark.parametrize("size", [20, 100], ids=lambda n: f"N={n}")
def test_reference_energies(benchmark, size):
    engine = ReferenceEngine(mdlite.load_case("trapped", **{"lattice.size": size}).to_model(), 0.005)
    engine.budget()
    benchmark(engine.budget)


@pytest.mark.parametrize("method", ["time-local", "implicit", "static", "rigid"])
@pytest.mark.parametrize(
    "atoms", [{"kind": "shell", "extent": 1}, {"kind": "cutoff", "radius": 5.0}], ids=["8-atom-shell", "cutoff-5A"]
)
def test_ion_step(benchmark, method, atoms):
    overrides = {"ion.mass": 0.7, "ion.position": [1.3, 1.6, 1.5], "ion.velocity": [2.0, 3.0, 4.0], "interaction.atoms": atoms}
    engine = TimeLocalEngine(mdlite.load_case("trapped", **overrides).to_model(), method, 0.001, sample_every=2**62)
    engine.advance(10)
    steps = 100 if method == "implicit" else 2000
    benchmark(engine.advance, steps)
    benchmark.extra_info["us_per_step"] = 1e6 * benchmark.stats["median"] / steps


@pytest.mark.parametrize("ions", [1, 100, 10_000], ids=lambda n: f"ions={n}")
def test_thermal_ion_step(benchmark, ions):
    atoms = {"kind": "shell", "extent": 1}
    overrides = {"ion.mass": 0.7, "ion.position": [1.5, 1.5, 1.5], "ion.velocity": [0.0, 0.0, 0.0], "interaction.atoms": atoms}
    potential = {"kind": "yukawa", "strength": 4000.0, "range": 0.5}
    model = mdlite.load_case(
        "trapped", **overrides, **{"interaction.potential": potential, "lattice.size": 22 if ions > 8000 else 20}
    ).to_model()
    rng = np.random.default_rng(1)
    state = thermal_state(model.lattice, 25.0, "classical", rng)
    engine = EnsembleEngine(model, "time-local", 0.005, [state], starting_positions(model, ions, rng), sample_every=2**62)
    steps = max(3, 30_000 // (ions + 30))
    engine.advance(3)
    benchmark(engine.advance, steps)
    benchmark.extra_info["us_per_ion_step"] = 1e6 * benchmark.stats["median"] / steps / ions
