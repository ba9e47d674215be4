"""Energy, gradient and Hessian of pairs: against mpmath, finite differences, and the forces of the kernels; and those who use them."""

import dataclasses
import itertools
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

from mdlite import InputError
from mdlite.accuracy import groups
from mdlite.engines.reference import ReferenceEngine
from mdlite.kernels import medium
from mdlite.kernels.potentials import FORMS
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential, Shell, Sites
from mdlite.sweeps import comparison

POTENTIALS = {
    "yukawa": ((4000.0, 0.5), lambda p, r: p[0] * mpmath.exp(-r / p[1]) / r),
    "gaussian": ((300.0, 0.8), lambda p, r: p[0] * mpmath.exp(-(r**2) / (2 * p[1] ** 2))),
    "lennard-jones": ((20.0, 2.1), lambda p, r: 4 * p[0] * ((p[1] / r) ** 12 - (p[1] / r) ** 6)),
    "born-mayer": ((900.0, 0.35), lambda p, r: p[0] * mpmath.exp(-r / p[1])),
}
CUTOFF = Cutoff(4.0, 1.5)
DISTANCES = {"inside": (0.9, 1.7, 2.49), "in the switch": (2.6, 3.1, 3.9), "beyond": (4.01, 5.0, 7.0)}
DIRECTIONS = np.array([[1.0, 0.0, 0.0], [0.6, -0.8, 0.0], [-2.0, 3.0, 6.0]]) / np.array([[1.0], [1.0], [7.0]])


def exact(kind, d, cutoff):
    """φ of a pair as a function of d, with the switch 1 - 10x³ + 15x⁴ - 6x⁵ of a cut-off."""
    params, form = POTENTIALS[kind]
    rho = mpmath.sqrt(sum(x**2 for x in d))
    phi = form([mpmath.mpf(p) for p in params], rho)
    if cutoff is None:
        return phi
    x = (rho - (cutoff.radius - cutoff.switch_width)) / cutoff.switch_width
    x = min(max(x, mpmath.mpf(0)), mpmath.mpf(1))
    return phi * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5)


def derivatives(kind, d, cutoff):
    """Energy, gradient and Hessian by mpmath's own differentiation, at 50 digits."""
    with mpmath.workdps(50):
        point = [mpmath.mpf(float(x)) for x in d]

        def order(*axes):
            counts = tuple(axes.count(axis) for axis in range(3))
            return float(mpmath.diff(lambda *place: exact(kind, place, cutoff), point, counts, h=mpmath.mpf(10) ** -15))

        hessian = [[order(a, b) for b in range(3)] for a in range(3)]
        return float(exact(kind, point, cutoff)), [order(a) for a in range(3)], hessian


def test_every_potential_is_tested():
    assert [row[0] for row in FORMS] == list(POTENTIALS)


@pytest.mark.parametrize("where", DISTANCES)
@pytest.mark.parametrize("kind", POTENTIALS)
def test_against_exact_derivatives(kind, where):
    for atoms in (CUTOFF, Shell(1)):
        interaction = Interaction(Potential(kind, POTENTIALS[kind][0]), atoms)
        d = np.array([rho * way for rho, way in itertools.product(DISTANCES[where], DIRECTIONS)])
        found = interaction.expand(d)
        scale = np.abs(interaction.potential.evaluate(np.array([DISTANCES[where][0]])))[:, 0]
        for n, place in enumerate(d):
            expected = derivatives(kind, place, atoms if isinstance(atoms, Cutoff) else None)
            for value, true, size in zip((found.energy[n], found.gradient[n], found.hessian[n]), expected, scale):
                assert np.allclose(value, true, rtol=1e-11, atol=1e-13 * size), (place, value, true)
        if where == "beyond" and atoms is CUTOFF:
            assert not found.energy.any() and not found.gradient.any() and not found.hessian.any()


@pytest.mark.parametrize("kind", POTENTIALS)
def test_against_finite_differences(kind):
    """Of its own energy, also across the ends of the switch."""
    interaction, h = Interaction(Potential(kind, POTENTIALS[kind][0]), CUTOFF), 1e-4
    d = np.concatenate([rho * DIRECTIONS for rho in (1.3, 2.5, 3.2, 4.0, 5.0)])
    steps = h * np.eye(3)
    gradient = (interaction.energy(d[:, None] + steps) - interaction.energy(d[:, None] - steps)) / (2.0 * h)
    hessian = (interaction.gradient(d[:, None] + steps) - interaction.gradient(d[:, None] - steps)) / (2.0 * h)
    assert np.allclose(interaction.gradient(d), gradient, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())
    assert np.allclose(interaction.hessian(d), hessian, rtol=1e-5, atol=1e-5 * np.abs(hessian).max())


def test_shapes_and_what_happens_on_an_atom():
    interaction = Interaction(Potential("gaussian", (300.0, 0.8)), CUTOFF)
    d = np.random.default_rng(1).normal(size=(4, 5, 3))
    assert [part.shape for part in interaction.expand(d)] == [(4, 5), (4, 5, 3), (4, 5, 3, 3)]
    assert np.array_equal(interaction.hessian(d)[2, 3], interaction.hessian(d[2, 3]))
    energy, gradient, hessian = interaction.expand(np.zeros(3))
    assert energy == 300.0 and not gradient.any() and np.allclose(hessian, -300.0 / 0.64 * np.eye(3))
    assert interaction.energy(np.zeros((0, 3))).shape == (0,)
    energy, gradient, _ = Interaction(Potential("yukawa", (1.0, 1.0)), Shell(1)).expand(np.zeros(3))
    assert np.isinf(energy) and not gradient.any()


@pytest.mark.parametrize("kind", POTENTIALS)
@pytest.mark.parametrize("atoms", [Cutoff(5.0, 2.0), Shell(1), Sites(((1, 1, 1), (1, 2, 2), (2, 2, 1)))], ids=str)
def test_the_kernels_have_the_same_bits(kind, atoms):
    """Terms of every pair; and the force and the energy of the engine's first frame, by another kernel."""
    interaction = Interaction(Potential(kind, POTENTIALS[kind][0]), atoms)
    model = Model(Lattice(6), Ion(position=(4.7, 4.4, 4.1)), interaction)
    d = model.candidate_sites(np.array(model.ion.position)) * model.lattice.spacing - model.ion.position
    energy, gradient, hessian = interaction.expand(d)
    for n, place in enumerate(d):
        phi, pull, bend = medium.pair_terms(model.coupling(), *place)
        assert energy[n] == phi and np.array_equal(gradient[n], pull * place)
        assert np.array_equal(hessian[n], pull * np.eye(3) + bend * np.outer(place, place))
    engine = ReferenceEngine(model, 0.001)
    frames = engine.sample()[1]
    assert np.allclose(np.ravel(frames.force), gradient.sum(axis=0), rtol=1e-13, atol=1e-13 * np.abs(gradient).max())
    assert float(np.ravel(frames.interaction)[0]) == pytest.approx(energy.sum(), rel=1e-13)


def at_the_edge(small_case, **overrides):
    """An ion that meets, at its start, only the faint end of a cut-off."""
    return small_case(
        **{
            "ion.position": [1.5, 1.5, 1.5],
            "interaction.potential": {"kind": "born-mayer", "strength": 3e4, "range": 0.5},
            "interaction.atoms": {"kind": "cutoff", "radius": 2.602, "switch_width": 1.0},
        }
        | overrides
    )


def test_a_start_that_the_switch_makes_free_is_bare(small_case, monkeypatch):
    """The exact run starts bare where the ion starts free: forces at the start have the switch, and end with the cut-off."""
    config = at_the_edge(small_case)
    model = config.to_model()
    engine = ReferenceEngine(dataclasses.replace(model, lattice=Lattice(8)), 0.001)
    found = comparison._start_forces(config)
    assert np.allclose(-found, engine.ion.atom_force, rtol=1e-13, atol=1e-13)
    unswitched = model.interaction.potential.evaluate(np.array([1.5 * 3**0.5]))[1, 0]
    largest = np.linalg.norm(found, axis=1).max()
    assert 0.0 < largest < comparison.FREE * abs(unswitched)
    monkeypatch.setattr(comparison, "_attempt", lambda config: pytest.fail("a dressed start is not wanted"))
    bare = SimpleNamespace(force=np.array([[[0.0, 0.0, abs(unswitched)]]]))
    assert comparison._dressed(config, bare) is bare
    beyond = at_the_edge(small_case, **{"interaction.atoms.radius": 2.59})
    assert not comparison._start_forces(beyond).any() and comparison._dressed(beyond, bare) is bare


def test_the_field_along_a_path_is_that_of_the_pairs(small_case):
    """Of the groups, without the switch, as those in the map; through the table of many distances, too."""
    model = at_the_edge(small_case, **{"interaction.atoms.radius": 4.5, "interaction.atoms.switch_width": 2.5}).to_model()
    for count in (5, groups.TABLE):
        position = np.linspace([1.2, 1.4, 1.1], [1.9, 4.6, 1.6], count)
        gradient, hessian = groups._field(model, position)
        d = model.apart(position)
        exact = model.interaction.expand(d, switch=False)
        assert np.allclose(gradient, exact.gradient, rtol=1e-4, atol=1e-6 * np.abs(gradient).max())
        assert np.allclose(hessian, exact.hessian, rtol=1e-4, atol=1e-6 * np.abs(hessian).max())
        assert not gradient[np.linalg.norm(d, axis=-1) >= 4.5].any()


@pytest.mark.parametrize(
    "wrong", [None, "near", 3.0, [1.0, 2.0], np.ones((2, 4)), [1j, 0.0, 0.0], [[1.0], [1.0, 2.0]], [True] * 3], ids=str
)
def test_what_is_no_vectors(wrong):
    model = Model(Lattice(12), Ion(), Interaction(Potential("yukawa", (1.0, 1.0)), Shell(1)))
    interaction = model.interaction
    for name, functions in {
        "d": (interaction.energy, interaction.gradient, interaction.hessian, interaction.expand),
        "position": (model.apart, model.candidate_sites),
        "velocity": (model.ion.kinetic_energy,),
    }.items():
        for function in functions:
            with pytest.raises(InputError, match=rf"^{name} = .*: must be (finite )?numbers of shape \(\.\.\., 3\)$"):
                function(wrong)


def test_places_that_are_none():
    model = Model(Lattice(12), Ion(), Interaction(Potential("yukawa", (1.0, 1.0)), Shell(1)))
    for wrong in ([np.nan, 0.0, 0.0], [[0.0, 0.0, 0.0], [0.0, np.inf, 0.0]]):
        with pytest.raises(InputError, match=r"^position = .*: must be finite numbers of shape \(\.\.\., 3\)$"):
            model.apart(wrong)


@pytest.mark.parametrize("atoms", [Shell(1), CUTOFF], ids=["shell", "cutoff"])
@pytest.mark.parametrize("kind", POTENTIALS)
def test_the_ends_of_space(kind, atoms):
    """On top of an atom: the limit of the energy, no force, and a Hessian where φ'' is finite. Infinitely far: nothing at all."""
    interaction = Interaction(Potential(kind, POTENTIALS[kind][0]), atoms)
    strength = POTENTIALS[kind][0][0]
    energy, gradient, hessian = interaction.expand(np.zeros(3))
    assert energy == interaction.energy([0, 0, 0]) == (np.inf if kind in ("yukawa", "lennard-jones") else strength)
    assert not gradient.any()
    if np.isinf(energy):
        assert np.isnan(hessian).all()
    else:
        assert np.array_equal(hessian, hessian[0, 0] * np.eye(3))
    for far in ([np.inf, 0.0, 0.0], [1.0, -np.inf, np.inf], [1e200, 1e200, 0.0]):
        energy, gradient, hessian = interaction.expand(far)
        assert energy == 0.0 and not gradient.any() and not hessian.any()
    assert np.isnan(interaction.energy([np.nan, 0.0, 0.0]))
    close = interaction.expand([1e-60, 0.0, 0.0])
    assert close.energy > 0.0 and (kind in ("gaussian", "born-mayer") or close.energy >= 1e59)


def test_repulsion_without_end_has_its_sign():
    interaction = Interaction(Potential("yukawa", (-1.0, 1.0)), Shell(1))
    assert interaction.energy(np.zeros((2, 3))).tolist() == [-np.inf, -np.inf]
