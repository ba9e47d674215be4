"""Speed of the kernels: ``python -m pytest bench --benchmark-columns=median,iqr,rounds``. Rates stand in extra_info (--benchmark-json)."""

import numpy as np
import pytest

import mdlite
from mdlite.engines.echofree import EchoFreeEngine
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine, starting_positions
from mdlite.engines.memory import MemoryEngine
from mdlite.engines.reference import ReferenceEngine, ReplicaEngine
from mdlite.engines.timelocal import TimeLocalEngine
from mdlite.physics.thermal import thermal_state


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


def thermal_model(size: int):
    overrides = {
        "ion.mass": 0.7,
        "ion.position": [1.5, 1.5, 1.5],
        "ion.velocity": [0.0, 0.0, 0.0],
        "interaction.atoms": {"kind": "shell", "extent": 1},
        "interaction.potential": {"kind": "yukawa", "strength": 4000.0, "range": 0.5},
        "lattice.size": size,
    }
    return mdlite.load_case("trapped", **overrides).to_model()


def thermal_states(model, count: int):
    return [thermal_state(model.lattice, 25.0, "classical", np.random.default_rng(n)) for n in range(count)]


@pytest.mark.parametrize(
    "method, lattices, ions, kind",
    [
        ("time-local", 1, 1, EnsembleEngine),
        ("time-local", 1, 1, ModesEngine),
        ("time-local", 1, 100, EnsembleEngine),
        ("time-local", 2, 5000, EnsembleEngine),
        ("time-local", 12, 32, EnsembleEngine),
        ("implicit", 12, 2, EnsembleEngine),
    ],
    ids=["lone", "lone-by-modes", "100", "10000-in-2", "384-in-12", "implicit-24-in-12"],
)
def test_thermal_ion_step(benchmark, method, lattices, ions, kind):
    """An ion-step of an ensemble at N = 20, its share of the crystals included."""
    model = thermal_model(20)
    positions = np.stack([starting_positions(model, ions, np.random.default_rng(n)) for n in range(lattices)])
    engine = kind(model, method, 0.005, thermal_states(model, lattices), positions, sample_every=2**62)
    steps = max(3, 20_000 // (lattices * (ions + 30))) if kind is EnsembleEngine and method == "time-local" else 100
    engine.advance(3)
    benchmark(engine.advance, steps)
    benchmark.extra_info["us_per_ion_step"] = 1e6 * benchmark.stats["median"] / steps / (lattices * ions)


@pytest.mark.parametrize("size, lattices", [(20, 1), (20, 12), (60, 1), (60, 4)], ids=lambda n: str(n))
def test_thermal_reference_step(benchmark, size, lattices):
    """A step of the explicit lattice with its ion, alone and as replicas: size, lattices."""
    model = thermal_model(size)
    states = thermal_states(model, lattices)
    engine = ReplicaEngine(model, 0.005, states, 2**62)
    if lattices == 1:
        engine = ReferenceEngine(model, 0.005, 2**62, False, *states[0])
    steps = max(3, 20 * 10**6 // (size**3 * lattices))
    engine.advance(3)
    benchmark(engine.advance, steps)
    benchmark.extra_info["us_per_ion_step"] = 1e6 * benchmark.stats["median"] / steps / lattices


@pytest.mark.parametrize("seconds", [10.0, 30.0], ids=lambda t: f"{t:g}ps")
def test_memory_kernel_trapped(benchmark, seconds):
    """The trapped ion with its memory, the response table at hand."""
    model = mdlite.load_case("trapped").to_model()
    MemoryEngine(model, 0.005, seconds)
    steps = round(seconds / 0.005)
    benchmark.pedantic(lambda engine: engine.advance(steps), setup=lambda: ((MemoryEngine(model, 0.005, seconds),), {}), rounds=3)
    benchmark.extra_info["s_per_ps"] = benchmark.stats["median"] / seconds


def test_echo_free_trapped(benchmark):
    """12 ps of the trapped ion in the lattice without echoes."""
    model = mdlite.load_case("trapped").to_model()
    EchoFreeEngine(model, 0.005, 2).advance(2)
    run = lambda engine: engine.advance(2400)  # noqa: E731
    benchmark.pedantic(run, setup=lambda: ((EchoFreeEngine(model, 0.005, 2400),), {}), rounds=2)
