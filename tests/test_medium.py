"""Task medium of a sweep, and the small oscillations behind it, against groups of a path, sums over pairs of atoms, and known crystals."""

import itertools

import numpy as np
import pytest

import crystals
import mdlite
from made_up import triclinic
from mdlite.accuracy import groups
from mdlite.config import Config
from mdlite.crystals import dynamics, response, rigid_ion, voids
from mdlite.errors import InputError
from mdlite.physics.interaction import Cutoff, Interaction, Potential, Shell
from mdlite.physics.model import Ion, Lattice, Model
from mdlite.sweeps import medium, plan, results

ION = {"mass": 0.7}
INTERACTION = {
    "potential": {"kind": "yukawa", "strength": 3000.0, "range": 0.5},
    "atoms": {"kind": "cutoff", "radius": 5.0, "switch_width": 1.5},
}
BASE = {"ion": ION, "interaction": INTERACTION}
YUKAWA = Interaction(Potential("yukawa", (3000.0, 0.5)), Cutoff(5.0, 1.5))
CUBIC = {
    "cell": [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]],
    "atoms": [{"species": "X", "position": [0.0, 0.0, 0.0], "mass": 3.5}],
    "springs": [
        {"species": ["X", "X"], "shell": 1, "longitudinal": 520.0},
        {"species": ["X", "X"], "shell": 2, "longitudinal": 170.0},
    ],
}
FCC = """
cell = [[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]]
atoms = [{ species = "Al", position = [0.0, 0.0, 0.0] }]
springs = [{ species = ["Al", "Al"], shell = 1, longitudinal = 900.0 }]
"""
ROCK_SALT = """
cell = [[0.0, 2.8, 2.8], [2.8, 0.0, 2.8], [2.8, 2.8, 0.0]]
atoms = [{ species = "Na", position = [0.0, 0.0, 0.0] }, { species = "Cl", position = [0.5, 0.5, 0.5] }]
springs = [
    { species = ["Na", "Cl"], shell = 1, longitudinal = 500.0 },
    { species = ["Na", "Na"], shell = 1, longitudinal = 120.0 },
    { species = ["Cl", "Cl"], shell = 1, longitudinal = 160.0 },
]
"""


def measured(crystal=None, **changes):
    return medium.measure(medium.settings(medium.base(BASE | (crystal or {}), ""), "", changes))


def lattice_model(place, mass=(0.7, 0.7, 0.7)):
    return Model(Lattice(size=(20, 20, 20)), Ion(mass=mass, position=tuple(place)), YUKAWA)


@pytest.mark.parametrize("place", ([1.5, 1.5, 1.5], [1.4, 1.55, 1.62]))
def test_groups_of_a_small_swing_in_a_lattice(place):
    """`mdlite.accuracy.groups` of a sinusoidal path of tiny amplitude along each axis of the oscillation."""
    model = lattice_model(place)
    found = rigid_ion.rest(model.lattice, YUKAWA, model.ion.mass, place)
    assert len(found.swings) == 3
    for swing in found.swings:
        omega, steps = np.sqrt(swing.square), 2000
        t = 2.0 * np.pi / omega * np.arange(steps) / steps
        position = np.array(place) + 1e-5 * np.sin(omega * t)[:, None] * swing.direction
        velocity = 1e-5 * omega * np.cos(omega * t)[:, None] * swing.direction
        told = groups.along(model, position, velocity, t[1])
        assert swing.compliance == pytest.approx(told.compliance, rel=1e-5)
        assert swing.rapidity == pytest.approx(
            told.rapidity, rel=1e-3
        )  # of S's rate, which is not one frequency away from symmetry
    assert found.recoil == pytest.approx(response.static_recoil(model.lattice, [[0, 0, 0, 0, 0]])[0], rel=1e-7, abs=1e-12)


def test_the_stiffness_is_that_of_the_force():
    of, place, h = triclinic(), np.array([1.1, 2.3, 2.9]), 1e-5
    found = rigid_ion.rest(of, YUKAWA, [0.7, 1.4, 0.9], place)

    def force(at):
        return YUKAWA.expand(of.sites(voids.near(of, at, 8.0)[0]) - at).gradient.sum(axis=0)

    assert found.force == pytest.approx(force(place), rel=1e-12)
    numeric = np.array([(force(place - h * e) - force(place + h * e)) / (2 * h) for e in np.eye(3)])
    assert found.stiffness == pytest.approx(numeric, rel=1e-6, abs=1e-6 * np.abs(numeric).max())
    for swing in found.swings:
        assert found.stiffness @ swing.direction == pytest.approx(
            swing.square * np.array([0.7, 1.4, 0.9]) * swing.direction, abs=1e-8 * np.abs(numeric).max()
        )


def test_compliance_by_a_sum_over_all_pairs_of_atoms():
    of, place = triclinic(), np.array([1.1, 2.3, 2.9])
    near = Interaction(YUKAWA.potential, Cutoff(3.6, 1.5))
    found = rigid_ion.rest(of, near, 0.7 * np.ones(3), place)
    sites = found.sites
    pairs = [[a[3], b[3], *(b[:3] - a[:3])] for a, b in itertools.product(sites, repeat=2)]
    recoil = response.static_recoil(of, pairs, 1e-9).reshape(len(sites), len(sites), 3, 3)
    hessian = near.expand(of.sites(sites) - place, switch=False).hessian
    yielded = np.einsum("kab,klbc,lcd->ad", hessian, recoil, hessian)
    loss = response.loss_matrix(of)
    stable = [swing for swing in found.swings if swing.square > 0.0]
    assert stable and all(np.isnan(swing.compliance) for swing in found.swings if swing.square <= 0.0)
    for swing in stable:
        force = hessian.sum(axis=0) @ swing.direction
        assert swing.compliance == pytest.approx(force @ yielded @ swing.direction / (force @ force), rel=1e-7)
        along = force / np.linalg.norm(force)
        nearest = voids.near(of, place, 5.0)[0][0, 3]
        own = response.static_recoil(of, [[nearest, nearest, 0, 0, 0]])[0]
        assert swing.rapidity == pytest.approx(along @ loss @ along / (along @ own @ along) * np.sqrt(swing.square), rel=1e-6)


def test_frozen_axes_do_not_swing_and_a_saddle_is_told():
    lattice = Lattice(size=(20, 20, 20))
    found = rigid_ion.rest(lattice, YUKAWA, [np.inf, np.inf, 0.7], [1.5, 1.5, 1.5])
    assert [swing.direction.tolist() for swing in found.swings] == [[0.0, 0.0, 1.0]]
    assert rigid_ion.rest(lattice, YUKAWA, [np.inf] * 3, [1.5, 1.5, 1.5]).swings == []
    face = rigid_ion.rest(lattice, YUKAWA, [0.7] * 3, [1.5, 1.5, 0.0])  # between two cubes
    assert [swing.square > 0.0 for swing in face.swings] == [False, True, True]
    assert np.isnan(face.swings[0].compliance) and np.isnan(face.swings[0].rapidity)
    assert np.abs(face.swings[0].direction) == pytest.approx([0, 0, 1], abs=1e-9)


def test_what_no_ion_can_be_told_of():
    with pytest.raises(InputError, match="cutoff"):
        rigid_ion.rest(Lattice(), Interaction(YUKAWA.potential, Shell(1)), [0.7] * 3, [1.5] * 3)
    with pytest.raises(InputError, match=r"radius = 2: no atom .* nearest is 2\.598"):
        rigid_ion.rest(Lattice(), Interaction(YUKAWA.potential, Cutoff(2.0, 1.0)), [0.7] * 3, [1.5] * 3)
    with pytest.raises(InputError, match="an atom is there"):
        rigid_ion.rest(Lattice(), YUKAWA, [0.7] * 3, [3.0] * 3)


def test_a_crystal_of_springs_has_the_lattices_numbers():
    lattice, crystal = measured({"lattice": {"size": 10}}), measured({"crystal": CUBIC})
    assert lattice.keys() == crystal.keys() == medium.UNITS.keys()
    for name in lattice.keys() - {"seconds", "frequency_optical"}:
        assert crystal[name] == pytest.approx(lattice[name], rel=1e-7, abs=1e-12), name
    assert crystal["frequency_optical"] is None
    assert lattice["loss_xx"] == pytest.approx(3.29077e-5, rel=1e-5) and lattice["recoil"] == pytest.approx(9.48247e-4, rel=1e-5)
    assert lattice["sound_fastest"] == pytest.approx(Lattice().sound_speed, rel=1e-6)
    assert lattice["void_radius"] == pytest.approx(1.5 * np.sqrt(3)) and lattice["ion_axes"] == 3
    assert lattice["compliance_least"] == pytest.approx(lattice["compliance_most"])


@pytest.mark.parametrize(
    "springs, right",
    [
        ([{"species": ["X", "X"], "shell": 1, "longitudinal": 520.0}], "restoring force|unstable"),  # chains
        ([{"species": ["X", "X"], "shell": 1, "longitudinal": -520.0}], "unstable"),
        ([{"species": ["X", "Y"], "shell": 1, "longitudinal": 520.0}], "Y"),
    ],
)
def test_springs_that_make_no_crystal_are_told_when_the_point_is_done(springs, right):
    with pytest.raises(InputError, match=right):
        measured({"crystal": CUBIC | {"springs": springs}})


def test_numbers_of_silicon():
    found = measured({"crystal": {"file": str(crystals.params("si"))}})
    assert found["loss_xx"] == pytest.approx(4.2228112450e-6, rel=1e-6) and found["loss_xy"] == 0.0
    assert found["void_radius"] == pytest.approx(2.35, abs=0.01) and found["void_neighbours"] == 4
    assert found["frequency_max"] == pytest.approx(found["frequency_optical"])
    assert found["sound_slowest"] < 48.5537 and found["sound_fastest"] > 82.6903


def test_a_void_beyond_the_cutoff_has_no_swings_but_all_else():
    near, far = measured(), measured(**{"interaction.atoms.radius": 2.0})
    assert far["ion_atoms"] == 0 and far["ion_axes"] is far["compliance"] is far["ion_force"] is None
    assert {far[name] - near[name] for name in ("recoil_near", "loss_xx", "void_radius", "sound_slowest")} == {0.0}


def test_sound_of_all_directions():
    of = triclinic()
    slowest, fastest = medium.sound(of)
    speeds = np.sqrt(np.linalg.eigvalsh(dynamics.acoustic_tensor(of, dynamics.directions(20000))))
    assert slowest == pytest.approx(speeds.min(), rel=1e-4) and slowest <= speeds.min() * (1 + 1e-12)
    assert fastest == pytest.approx(speeds.max(), rel=1e-4) and fastest >= speeds.max() * (1 - 1e-12)


@pytest.fixture
def folder(tmp_path):
    """Crystals of springs in their own files, and such as are none."""
    place = tmp_path / "crystals"
    place.mkdir()
    (place / "fcc.toml").write_text(FCC)
    (place / "salt.toml").write_text(ROCK_SALT)
    (place / "unstable.toml").write_text(FCC.replace("longitudinal = 900.0", "longitudinal = -900.0"))
    (place / "broken.toml").write_text("cell = [[1.0")
    return tmp_path


FILES = ["crystals/fcc.toml", "crystals/unstable.toml", "crystals/salt.toml", "crystals/broken.toml", "crystals/nowhere.toml"]


def test_a_sweep_over_files_goes_on_past_what_is_no_crystal(folder):
    (folder / "sweep.toml").write_text(
        'task = "medium"\n[base.ion]\nmass = "Li"\n[base.interaction]\npotential = { kind = "yukawa", strength = 3000.0, range = 0.5 }\n'
        f'atoms = {{ kind = "cutoff", radius = 5.0 }}\n[grid]\n"crystal.file" = {FILES}\n'
    )
    done = mdlite.sweep(folder / "sweep.toml", folder / "out", workers=1)
    assert len(done.points) == 5 and sorted(done.failed) == ["00001", "00003", "00004"]
    data = mdlite.collect(folder / "out")
    assert data.status.values.tolist() == ["done", "failed", "done", "failed", "failed"]
    assert data["crystal.file"].values.tolist() == FILES and data.loss_xx.attrs["units"] == "Angstrom^2 ps/meV"
    assert data.atoms.values[[0, 2]].tolist() == [1.0, 2.0] and data.void_radius.values[0] == pytest.approx(2.0)
    direct = measured(
        {
            "crystal": {"file": str(folder / FILES[0])},
            "ion": {"mass": "Li"},
            "interaction": INTERACTION | {"atoms": {"kind": "cutoff", "radius": 5.0}},
        }
    )
    assert data.compliance.values[0] == pytest.approx(direct["compliance"]) and 0.0 < direct["compliance"] < 1.0
    table = results.table(folder / "out").set_index("crystal.file")
    assert "is unstable" in table.error[FILES[1]] and "broken.toml" in table.error[FILES[3]]
    assert "no such file" in table.error[FILES[4]] and table.attrs["units"]["frequency_max"] == "THz"
    assert "00001: crystal (unstable.toml): is unstable" in results.summary(folder / "out")
    assert len(results.save(folder / "out")) == 2


def test_points_have_the_base_that_they_need_and_no_more(folder):
    found = plan.load({"base": BASE, "task": "medium", "grid": {"crystal.file": FILES, "ion.mass.z": [0.5, 0.7]}}).points
    assert len(found) == 10 and found[1].config.ion.mass == (0.7, 0.7, 0.7) and found[0].config.ion.mass == (0.7, 0.7, 0.5)
    assert all(point.config.lattice is None for point in found)
    case = {"base": "trapped", "task": "medium", "set": {"interaction.atoms": {"kind": "cutoff", "radius": 5.0}}}
    over_files = plan.load(case | {"grid": {"crystal.file": FILES}}).points
    assert over_files[0].config.crystal is not None and over_files[0].config.lattice is None
    over_springs = plan.load(case | {"grid": {"lattice.k1": [500.0, 520.0]}}).points
    assert [point.config.to_lattice().k1 for point in over_springs] == [500.0, 520.0]
    whole = plan.load({"base": Config.model_validate(over_springs[0].config.to_dict()), "task": "medium"}).points
    assert len(whole) == 1


def test_paths_are_relative_to_the_file_that_they_stand_in(folder, monkeypatch):
    (folder / "bases").mkdir()
    base = 'crystal = { file = "../crystals/fcc.toml" }\nion = { mass = 0.7 }\n[interaction]\n'
    base += 'potential = { kind = "yukawa", strength = 3000.0, range = 0.5 }\natoms = { kind = "cutoff", radius = 5.0 }\n'
    (folder / "bases" / "base.toml").write_text(base)
    text = 'base = "bases/base.toml"\ntask = "medium"\n'
    (folder / "one.toml").write_text(text)
    (folder / "two.toml").write_text(text + '[grid]\n"crystal.file" = ["crystals/salt.toml"]\n')
    (folder / "set.toml").write_text(text + '[set]\n"crystal.file" = "crystals/salt.toml"\n')
    monkeypatch.chdir(folder / "bases")
    files = {name: plan.load(f"../{name}.toml").points[0].config.crystal.file for name in ("one", "two", "set")}
    salt = str(folder / "crystals" / "salt.toml")
    assert files == {"one": str(folder / "crystals" / "fcc.toml"), "two": salt, "set": salt}
    given = plan.load("../one.toml", ["crystal.file='../crystals/salt.toml'"]).points[0]
    assert given.config.crystal.file.replace("bases/../", "") == salt


@pytest.mark.parametrize(
    "changes, right",
    [
        ({"grid": {"ion.velocity.z": [1.0, 2.0]}}, "the same run"),
        ({"set": {"interaction.atoms": {"kind": "shell", "extent": 1}}}, r'kind = "shell": must be "cutoff" for task = "medium"'),
        ({"set": {"crystal.fil": "x"}}, "crystal.fil"),
        ({"set": {"crystal.file": 5}}, "crystal.file"),
        ({"replicas": 2}, "replicas = 2"),
        ({"base": {"ion": ION}}, "interaction"),
        ({"base": {"ion": 3, "interaction": INTERACTION}}, "ion"),
        ({"base": {"ion": ION, "interaction": INTERACTION | {"atoms": 3}}}, "interaction.atoms"),
        ({"base": BASE | {"crystal": 5}}, "crystal = 5"),
        ({"base": {"ion": {"mass": -1.0}, "interaction": INTERACTION}}, "ion.mass"),
        ({"base": BASE | {"crystal": {"file": "a", "name": "silicon"}}}, "give one of"),
        ({"base": BASE | {"crystal": {"file": "a"}, "lattice": {"k1": 500.0}}}, "crystal and lattice: give one of the two"),
    ],
)
def test_what_is_refused_before_anything_is_written(changes, right, tmp_path):
    with pytest.raises(InputError, match=right):
        mdlite.sweep({"base": BASE, "task": "medium"} | changes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.thorough
def test_the_real_crystals_but_for_the_unstable_one(tmp_path):
    names = ("si", "nacl", "li2o", "li3po4", "aln", "li3n")
    files = [str(crystals.params(name)) for name in names]
    done = mdlite.sweep({"base": BASE, "task": "medium", "grid": {"crystal.file": files}}, tmp_path / "out", workers=2)
    assert list(done.failed) == ["00005"] and "imaginary" in done.failed["00005"]
    data = mdlite.collect(tmp_path / "out")
    assert data.atoms.values[:5].tolist() == [2, 2, 3, 32, 4] and np.all(data.compliance.values[:5] > 0.0)
    assert data.loss_xx.values[1] == pytest.approx(2.6713187245e-5, rel=1e-6)
    assert data.loss_zz.values[4] == pytest.approx(0.94793e-6, rel=1e-4) and data.sound_slowest.values[4] == pytest.approx(
        55.8368, rel=1e-5
    )
