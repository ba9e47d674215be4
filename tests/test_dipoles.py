"""Crystals with dipoles: Ewald's sum against known lattices, itself and phonopy; sound, L; stencils of finite reach."""

import numpy as np
import pytest

import crystals
from mdlite import InputError
from mdlite.crystals import dipoles, dynamics, phonopy_files, response, stencil, sumrules
from mdlite.crystals.crystal import crystal as make
from mdlite.crystals.ewald import COULOMB, Ewald, mean_field, smooth
from mdlite.crystals.material import Material, Polar
from mdlite.units import TURN

QPOINTS = np.random.default_rng(18).random((20, 3)) - 0.5
DIRECTIONS = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 0.4, -0.7]])
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1)[:, None]


def springs(cell, positions, masses, reach, strength):
    """A crystal of central springs between all atoms within reach, whose constant falls with the distance."""
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    vectors = (steps + (positions[None] - positions[:, None])[:, :, None]) @ cell
    distance = np.linalg.norm(vectors, axis=-1)
    first, second, step = np.nonzero((distance < reach) & (distance > 1e-9))
    x, r = vectors[first, second, step], distance[first, second, step]
    k = strength * np.exp(-2.0 * (r - r.min())) / r**2
    blocks = -k[:, None, None] * x[:, :, None] * x[:, None, :]
    own = np.zeros((len(positions), 3, 3))
    np.add.at(own, first, -blocks)
    atoms = np.arange(len(positions))
    return make(
        cell,
        positions,
        masses,
        ["A", "B", "C", "D"][: len(positions)],
        np.concatenate([first, atoms]),
        np.concatenate([second, atoms]),
        np.concatenate([steps[step], np.zeros((len(atoms), 3), int)]),
        np.concatenate([blocks, own]),
    )


@pytest.fixture(scope="module")
def zincblende():
    """A piezoelectric crystal of springs and charges, as if its springs were what a supercell of 3 x 3 x 3 cells has seen."""
    cell = 2.7 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    short = springs(cell, np.array([[0.0, 0.0, 0.0], [0.25, 0.25, 0.25]]), [6.0, 3.0], 4.0, 9000.0)
    charges = np.array([1.8, -1.8])[:, None, None] * np.eye(3)
    return Material(short, Polar(charges, 4.0 * np.eye(3), 3 * np.eye(3, dtype=int)), "zincblende")


@pytest.fixture(scope="module")
def low():
    """Triclinic, three atoms, tensors of no symmetry."""
    rng = np.random.default_rng(2)
    cell = np.array([[4.0, 0.1, 0.2], [0.7, 4.4, -0.3], [-0.5, 0.6, 5.0]])
    short = springs(cell, np.array([[0.0, 0.0, 0.0], [0.45, 0.52, 0.1], [0.2, 0.15, 0.55]]), [4.0, 2.0, 3.0], 4.4, 9000.0)
    charges = rng.normal(size=(3, 3, 3)) * 0.4 + np.array([2.0, -1.0, -1.0])[:, None, None] * np.eye(3)
    charges -= charges.mean(axis=0)
    dielectric = np.array([[3.0, 0.3, -0.2], [0.3, 4.0, 0.1], [-0.2, 0.1, 5.0]])
    return Material(short, Polar(charges, dielectric, np.array([[3, 0, 1], [0, 3, 0], [0, 1, 3]])), "low")


# Ewald's sum


def test_the_field_of_a_cubic_lattice_of_dipoles_is_lorentz():
    """One dipole a cell, of e Å: its neighbours hold it by -4π/3v in transverse waves, 8π/3v in longitudinal ones."""
    cell, alpha = 3.0 * np.eye(3), 4.0
    ewald = Ewald(cell, np.zeros((1, 3)), np.eye(3)[None], np.eye(3), alpha)
    itself = smooth(np.zeros((1, 3)), alpha, np.eye(3))[0]
    found = (ewald.force_constants(np.zeros(3), [0.0, 0.0, 1.0])[0].real + ewald.own[0] - itself) * 27.0 / COULOMB
    assert np.allclose(found, 4.0 * np.pi / 3.0 * np.diag([-1.0, -1.0, 2.0]), rtol=0.0, atol=1e-10)


def test_the_sum_in_reciprocal_space_is_that_of_smooth_pairs(low):
    """Charges added up pair by pair in real space, at a small α, where a Gaussian's tail is all that is left of the difference of two α."""
    polar, crystal = low.polar, low.crystal
    one, two = (Ewald(crystal.cell, crystal.places, polar.charges, polar.dielectric, alpha) for alpha in (3.0, 1.6))
    steps = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    p = crystal.n_basis
    total = np.zeros((len(QPOINTS), p, 3, p, 3), complex)
    for a, b in np.ndindex(p, p):
        x = (steps + crystal.positions[b] - crystal.positions[a]) @ crystal.cell
        tensor = smooth(x, 3.0, polar.dielectric) - smooth(x, 1.6, polar.dielectric)
        blocks = np.einsum("ma,nml,lb->nab", polar.charges[a], tensor, polar.charges[b])
        total[:, a, :, b, :] = np.einsum("qn,nij->qij", np.exp(1j * TURN * QPOINTS @ steps.T), blocks)
    for a in range(p):
        total[:, a, :, a, :] -= one.own[a] - two.own[a]
    found = one.force_constants(QPOINTS) - two.force_constants(QPOINTS)
    assert np.abs(found - total.reshape(found.shape)).max() < 1e-9 * np.abs(found).max()


def test_the_mean_of_the_field_over_directions():
    """Its sum over cells at q = 0 is (4π e²/v) times the mean of q q/(q ε q) over directions in which lengths are measured by ε."""
    dielectric = np.diag([2.0, 3.0, 5.0])
    x = np.stack(np.meshgrid(*[np.arange(-12, 13) * 0.5] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    total = mean_field(x, 1.5, dielectric).sum(axis=0) * 0.125 / COULOMB
    assert np.allclose(total, 4.0 * np.pi / 3.0 * np.linalg.inv(dielectric), rtol=1e-6)


def test_dipoles_obey_the_symmetries_of_force_constants(low):
    ewald = dipoles.with_dipoles(low, None).ewald
    q = np.array([[0.1, 0.2, -0.3]])
    found = ewald.force_constants(q)[0]
    assert np.abs(found - found.conj().T).max() < 1e-9 * np.abs(found).max()
    assert np.abs(found.conj() - ewald.force_constants(-q)[0]).max() < 1e-9 * np.abs(found).max()
    assert np.abs(found - ewald.force_constants(q + np.array([1, -2, 3]))[0]).max() < 1e-9 * np.abs(found).max()
    at_rest = ewald.force_constants(np.zeros(3))[0].real.reshape(3, 3, 3, 3).sum(axis=2)
    assert np.abs(at_rest + at_rest.transpose(0, 2, 1)).max() < 1e-9 * np.abs(found).max()


# dynamics


@pytest.mark.parametrize("name", ["zincblende", "low"])
def test_nothing_depends_on_alpha_and_the_supercell_keeps_its_own_waves(name, request):
    material = request.getfixturevalue(name)
    crystal, polar = material.crystal, material.polar
    exact = dipoles.with_dipoles(material, None)
    other = Ewald(crystal.cell, crystal.places, polar.charges, polar.dielectric, 1.3 * exact.ewald.alpha)
    again = dipoles.PolarCrystal(dipoles.without_dipoles(crystal, polar, other), other)
    scale = np.abs(dynamics.squares(crystal, QPOINTS)).max()
    assert np.abs(exact.dynamical_matrix(QPOINTS) - again.dynamical_matrix(QPOINTS)).max() < 1e-7 * scale
    own = np.random.default_rng(1).integers(-4, 5, (20, 3)) @ np.linalg.inv(polar.matrix).T
    own = own[np.abs(own - np.round(own)).max(axis=1) > 1e-9]
    assert np.abs(exact.dynamical_matrix(own) - dynamics.dynamical_matrix(crystal, own)).max() < 1e-9 * scale


@pytest.mark.parametrize("name", ["zincblende", "low"])
def test_the_limit_at_gamma_and_sound_are_those_of_small_q(name, request):
    exact = dipoles.with_dipoles(request.getfixturevalue(name))
    for n in DIRECTIONS:
        small = 1e-3 * n @ exact.short.cell.T / TURN
        limit, near = exact.frequencies(np.zeros(3), n), exact.frequencies(small)
        assert np.allclose(near[3:], limit[3:], rtol=1e-3)
        assert np.allclose(near[:3] / 1e-3, exact.sound_speeds(n), rtol=1e-5)
    assert np.abs(exact.acoustic_tensor(DIRECTIONS) - exact.acoustic_tensor(DIRECTIONS, field=0.0)).max() > 1.0  # piezoelectric


def test_short_range_and_dipoles_obey_the_sum_rules_together(low):
    """Neither does alone; the change of the force constants is the least that gets there, so that of a second time is none."""
    exact = dipoles.with_dipoles(low)
    coupling = exact.ewald.expansion()[0]
    np.add.at(coupling, exact.short.first, np.einsum("nab,nc->nabc", exact.short.blocks, exact.short.vectors))
    largest = np.abs(low.crystal.blocks).max()
    assert np.abs(coupling - coupling.transpose(0, 1, 3, 2)).max() < 1e-10 * largest
    assert sumrules.violations(exact.short).rotation > 1e-3
    root = np.sqrt(np.repeat(low.crystal.masses, 3))
    at_rest = (exact.dynamical_matrix(np.zeros(3)).real * (root[:, None] * root)).reshape(3, 3, 3, 3)
    assert np.abs(at_rest.sum(axis=2)).max() < 1e-10 * largest
    plain = dipoles.with_dipoles(low, "translation")
    assert np.abs(plain.short.blocks - dipoles.with_dipoles(low, None).short.blocks).max() < 0.1 * largest


@pytest.mark.thorough(quick=2)
@pytest.mark.parametrize("name", ["aln", "nacl", "li2o", "li3n", "si"])
def test_frequencies_with_dipoles_are_phonopys(name):
    phonon = crystals.phonopy_of(name, dipoles=True)
    exact = dipoles.with_dipoles(phonopy_files.read(crystals.params(name)), None)
    near = 1e-3 * DIRECTIONS @ exact.short.cell.T / TURN
    for q in (np.random.default_rng(5).random((50, 3)) - 0.5, near):
        phonon.run_qpoints(q)
        assert np.abs(exact.frequencies(q) / TURN - phonon.qpoints.frequencies).max() < 1e-5


def test_sound_and_loss_with_dipoles():
    """Those of li2o by phonopy at small q; aln is unstable there in phonopy, which does not know the rotational sum rule."""
    li2o = dipoles.with_dipoles(phonopy_files.read(crystals.params("li2o")))
    assert li2o.sound_speeds([1, 0, 0]) == pytest.approx([54.2705, 54.2705, 101.0540], abs=1e-3)
    assert li2o.loss_matrix == pytest.approx(2.26622e-6 * np.eye(3), abs=1e-11)
    aln = dipoles.with_dipoles(phonopy_files.read(crystals.params("aln")))
    assert aln.sound_speeds([0, 0, 1]) == pytest.approx([55.8218, 55.8218, 109.1926], abs=1e-3)
    assert np.diag(aln.loss_matrix) == pytest.approx([1.37563e-6, 1.37563e-6, 1.36362e-6], abs=1e-11)
    silicon = phonopy_files.read(crystals.params("si"))  # whose charges are zero
    assert dipoles.with_dipoles(silicon).loss_matrix == pytest.approx(response.loss_matrix(silicon.crystal), rel=1e-9)


# stencils


@pytest.mark.parametrize("name", ["zincblende", "low"])
def test_a_stencil_is_the_crystal_less_the_field_of_long_waves(name, request):
    """At a radius where nothing is cut off, and before sound is fitted."""
    exact = dipoles.with_dipoles(request.getfixturevalue(name))
    radius, sharpness = 13.0, 5.5
    found = stencil.screened(exact, radius, 0.0, sharpness)
    alpha = sharpness / radius * np.linalg.det(exact.ewald.dielectric) ** (1.0 / 6.0)
    ewald = exact.ewald
    left_out = Ewald(ewald.cell, ewald.places, ewald.charges, ewald.dielectric, alpha)
    root = np.sqrt(np.repeat(found.masses, 3))
    q = np.concatenate([np.zeros((1, 3)), QPOINTS])
    expected = exact.dynamical_matrix(q) - left_out.force_constants(q) / (root[:, None] * root)
    matrices = dynamics.dynamical_matrix(found, q)
    change = (matrices - matrices[0]) - (expected - expected[0])  # each atom's own block is made from the sum rule later
    assert np.abs(change).max() < 1e-8 * np.abs(expected).max()


@pytest.mark.parametrize("radius", [6.0, 9.0])
def test_sum_rules_of_a_stencil_hold(low, radius):
    found = stencil.stencil(low, radius)
    after = sumrules.violations(found)
    assert max(after.permutation, after.translation, after.rotation) < 1e-10
    assert found.reach <= max(radius, dipoles.with_dipoles(low).short.reach) + 1e-9


def test_fitting_sound_leaves_the_centre_and_the_rules(low):
    """A crystal's sound fitted to that of a stiffer one, which is a quadratic form, is exactly that."""
    exact = dipoles.with_dipoles(low)
    crystal = sumrules.corrected(stencil.screened(exact, 6.0, 0.5, 2.5))[0]
    found = stencil.sound_fitted(crystal, lambda n: 1.1 * dynamics.acoustic_tensor(crystal, n))
    assert np.allclose(
        dynamics.acoustic_tensor(found, DIRECTIONS), 1.1 * dynamics.acoustic_tensor(crystal, DIRECTIONS), rtol=1e-9
    )
    centre = np.zeros(3)
    assert np.allclose(dynamics.squares(found, centre), dynamics.squares(crystal, centre), atol=1e-8)
    after = sumrules.violations(found)
    assert max(after.permutation, after.translation, after.rotation) < 1e-10


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize(("name", "radius"), [("li2o", 6.0), ("nacl", 8.0)])
def test_sound_and_loss_of_stencils_are_those_with_dipoles(name, radius):
    material = phonopy_files.read(crystals.params(name))
    exact, found = dipoles.with_dipoles(material), stencil.stencil(material, radius)
    for n in DIRECTIONS:
        assert dynamics.sound_speeds(found, n) == pytest.approx(exact.sound_speeds(n), rel=1e-6)
    assert response.loss_matrix(found) == pytest.approx(exact.loss_matrix, rel=1e-6, abs=1e-12)
    assert found.neighbours.max() < 170
    dynamics.require_stable(found)


def test_sound_with_dipoles_and_the_files_own_neighbours():
    material = phonopy_files.read(crystals.params("li2o"))
    exact, found = dipoles.with_dipoles(material), stencil.with_sound(material)
    assert np.array_equal(found.neighbours, material.crystal.neighbours)
    assert response.loss_matrix(found) == pytest.approx(exact.loss_matrix, rel=1e-6, abs=1e-12)
    assert np.abs(found.blocks - material.crystal.blocks).max() < 2e-3 * np.abs(found.blocks).max()


def test_a_piezoelectric_stencil_comes_as_near_as_a_quadratic_form_can():
    material = phonopy_files.read(crystals.params("aln"))
    exact, found = dipoles.with_dipoles(material), stencil.stencil(material, 8.0)
    lost = exact.acoustic_tensor(DIRECTIONS, field=0.0)
    truth = exact.acoustic_tensor(DIRECTIONS)
    assert np.abs(dynamics.acoustic_tensor(found, DIRECTIONS) - truth).max() < np.abs(lost - truth).max()
    assert np.diag(response.loss_matrix(found)) == pytest.approx(np.diag(exact.loss_matrix), rel=0.01)
    dynamics.require_stable(found)


def test_a_crystal_without_charges_is_refused(zincblende):
    bare = Material(zincblende.crystal, None, "some.yaml")
    for function in (dipoles.with_dipoles, lambda material: stencil.stencil(material, 8.0)):
        with pytest.raises(InputError, match="has no Born charges"):
            function(bare)
    for radius in (0.0, -1.0, float("nan"), "8"):
        with pytest.raises(InputError, match="dipoles = "):
            stencil.stencil(zincblende, radius)
    with pytest.raises(InputError, match="must be smaller"):
        stencil.stencil(zincblende, 200.0)
    with pytest.raises(InputError, match="direction"):
        dipoles.with_dipoles(zincblende).sound_speeds([0.0, 0.0, 0.0])
