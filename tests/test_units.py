"""The engines know no unit: lengths, times and energies scaled by powers of two give the same paths, to the last bit."""

import numpy as np
import pytest

from mdlite.accuracy import small_oscillations
from mdlite.engines import patch_edge, timelocal
from mdlite.engines.ensemble import EnsembleEngine, ModesEngine
from mdlite.engines.memory import MemoryEngine
from mdlite.engines.patch import PatchEngine, PatchEnsembleEngine
from mdlite.engines.reference import ReferenceEngine
from mdlite.engines.replicas import ReplicaEngine
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.physics.relax import relax
from mdlite.physics.thermal import thermal_state

SIZE, STEPS = (6, 6, 7), 300
STATE = thermal_state(Lattice(size=SIZE), 25.0, "classical", np.random.default_rng(8))
STILL = np.zeros((3, *SIZE))


class Scaled:
    """Everything that a run is made of, with lengths times 2^length, times 2^time, energies 2^energy (energy even: masses have exact roots)."""

    def __init__(self, length=0, time=0, energy=0, atoms="shell"):
        self.length, self.time, self.energy = 2.0**length, 2.0**time, 2.0**energy
        mass, stiff = self.energy * self.time**2 / self.length**2, self.energy / self.length**2
        self.speed = self.length / self.time
        lattice = Lattice(SIZE, 3.0 * self.length, 3.5 * mass, 520.0 * stiff, 170.0 * stiff)
        start = tuple(x * self.length for x in (8.1, 7.3, 7.9))
        ion = Ion((0.7 * mass, 0.8 * mass, 0.9 * mass), start, tuple(v * self.speed for v in (4.0, -3.0, 5.0)))
        where = Shell(1) if atoms == "shell" else Cutoff(4.5 * self.length, 1.0 * self.length)
        potential = Potential("yukawa", (1500.0 * self.energy * self.length, 0.5 * self.length))
        self.model, self.dt = Model(lattice, ion, Interaction(potential, where)), 0.005 * self.time
        self.states = [tuple(field * scale for field, scale in zip(STATE, (self.length, self.speed)))]

    def engine(self, method):
        model, dt, start = self.model, self.dt, np.array([self.model.ion.position])
        if method == "reference":
            return ReferenceEngine(model, dt)
        if method == "replicas":
            return ReplicaEngine(model, dt, self.states)
        if method == "patch":
            return PatchEngine(model, dt, 8, bounds=patch_edge.open_edge(model.lattice, 8, dt))
        if method == "patches":
            return PatchEnsembleEngine(model, dt, self.states, start, 8, bounds=patch_edge.open_edge(model.lattice, 8, dt))
        if method == "memory-kernel":
            return MemoryEngine(model, dt, 2.0 * self.time)
        if method == "modes":
            return ModesEngine(model, "time-local", dt, self.states, start)
        name, _, many = method.partition(" ")
        return EnsembleEngine(model, name, dt, self.states, start) if many else timelocal.TimeLocalEngine(model, name, dt)

    def path(self, method):
        engine = self.engine(method)
        _, frames = engine.advance(STEPS)
        assert engine.fault() is None
        return frames.position.reshape(STEPS, 3) / self.length, frames.velocity.reshape(STEPS, 3) / self.speed


METHODS = ["reference", "replicas", "patch", "patches", "memory-kernel", "modes"]
METHODS += ["time-local", "implicit", "static", "rigid", "time-local ensemble", "implicit ensemble"]


@pytest.mark.thorough(only=("memory-kernel-cutoff", "modes-cutoff", "modes-shell"))
@pytest.mark.parametrize("atoms", ["shell", "cutoff"])
@pytest.mark.parametrize("method", METHODS)
def test_no_method_knows_the_units(method, atoms):
    """Bit by bit where only sums and products are scaled; W(0), L and modes come from LAPACK and powers, which round as they like."""
    place, speed = Scaled(atoms=atoms).path(method)
    assert np.ptp(place, axis=0).min() > 0.5
    for scales in ((7, -5, 8), (-9, 4, -6)):
        found = Scaled(*scales, atoms=atoms).path(method)
        if method in ("reference", "replicas", "patch", "patches", "rigid"):
            assert found[0].tobytes() == place.tobytes() and found[1].tobytes() == speed.tobytes()
        else:
            assert np.abs(found[0] - place).max() < 1e-10 and np.abs(found[1] - speed).max() < 1e-8


def test_nor_do_small_oscillations_and_relaxation():
    """The finite differences, the length of the response and the forces at which an iteration ends are the crystal's own."""
    sites = Sites(tuple((3, 3, n) for n in range(2, 5)))

    def found(*scales):
        scaled = Scaled(*scales)
        a, place = scaled.length, (9.0 * scaled.length, 9.0 * scaled.length, 10.5 * scaled.length)
        ion = Ion((np.inf, np.inf, scaled.model.ion.mass[0]), place)
        weak = Potential("yukawa", (150.0 * scaled.energy * a, 0.5 * a))
        model = Model(scaled.model.lattice, ion, Interaction(weak, sites))
        modes = (
            small_oscillations.rung_mode(model, "time-local", 2),
            small_oscillations.rung_mode(model, "implicit", 2),
            small_oscillations.exact_mode(model, 2),
        )
        held = relax(model)
        rates = [x * scaled.time for mode in modes for x in (mode.omega, mode.rate)]
        return np.array([*rates, held.energy / scaled.energy, *(held.ion_force * a / scaled.energy)])

    own = found()
    assert found(-9, 6, -16) == pytest.approx(own, rel=1e-6, abs=1e-6)
