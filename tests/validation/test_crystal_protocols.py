"""The validation protocols in a [crystal]: the simple cubic one gives [lattice]'s numbers, others have whole reports, and what cannot be is refused."""

import copy
import json
import tomllib

import numpy as np
import pytest

import mdlite
from hostile import call
from mdlite import config
from mdlite.engines import registry
from mdlite.engines.timelocal import adiabatic_energy
from mdlite.errors import InputError
from mdlite.physics.relax import relax
from mdlite.protocols import diffusion, rungs

CUBIC = {
    "cell": [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]],
    "atoms": [{"species": "X", "position": [0.0, 0.0, 0.0], "mass": 3.5}],
    "springs": [
        {"species": ["X", "X"], "shell": 1, "longitudinal": 520.0},
        {"species": ["X", "X"], "shell": 2, "longitudinal": 170.0},
    ],
}
SALT = tomllib.loads("""
size = 4
cell = [[0.0, 2.8, 2.8], [2.8, 0.0, 2.8], [2.8, 2.8, 0.0]]
atoms = [{ species = "Na", position = [0.0, 0.0, 0.0] }, { species = "Cl", position = [0.5, 0.5, 0.5] }]
springs = [
    { species = ["Na", "Cl"], shell = 1, longitudinal = 900.0 },
    { species = ["Na", "Na"], shell = 1, longitudinal = 90.0 },
    { species = ["Cl", "Cl"], distance = 3.96, longitudinal = 120.0 },
]
""")


def case(crystal, **changes):
    """A configuration; of ``crystal`` an integer: the [lattice] of that size."""
    data = {
        "ion": {"mass": 0.7, "position": [1.5, 1.6, 1.4], "velocity": [6.0, -4.0, 9.0]},
        "interaction": {
            "potential": {"kind": "yukawa", "strength": 400.0, "range": 0.6},
            "atoms": {"kind": "cutoff", "radius": 4.5, "switch_width": 1.0},
        },
        "run": {"dt": 0.004, "duration": 0.4},
    }
    data |= {"lattice": {"size": crystal}} if isinstance(crystal, int) else {"crystal": copy.deepcopy(crystal)}
    for key, value in changes.items():
        config.set_key(data, key, value)
    return config.parse(data, start=False)


def salt(**changes):
    data = {"ion.position": [1.4, 1.4, 1.4], "interaction.atoms.radius": 4.0, "run.dt": 0.002, "run.duration": 0.2}
    return case(SALT, **data | changes)


def validated(chosen, folder):
    mdlite.validate(chosen, folder)
    return json.loads((folder / "summary.json").read_text()), (folder / "report.md").read_text()


def test_rungs_in_the_simple_cubic_crystal_are_those_in_the_lattice(tmp_path):
    chosen = {"validate.rungs": ["implicit", "time-local", "static", "rigid"]}
    exact, _ = validated(case(6, **chosen), tmp_path / "lattice")
    found, report = validated(case(CUBIC | {"size": 6}, **chosen), tmp_path / "crystal")
    assert "box of 6 × 6 × 6 cells (216 atoms) of X" in report and "lattice of" not in report
    assert "comes back after" in report and found["echo_time_ps"] == pytest.approx(9.0 / 47.0, rel=0.3)
    assert set(found["rungs"]) == {"reference", *chosen["validate.rungs"]}
    for name, entry in exact["rungs"].items():
        own = found["rungs"][name]
        assert own["ion_energy"]["energy_meV"] == pytest.approx(entry["ion_energy"]["energy_meV"], rel=1e-7), name
        if name != "reference":
            off = entry["difference"]["rms_position_A"]["whole"]
            assert off > 1e-4 and own["difference"]["rms_position_A"]["whole"] == pytest.approx(off, rel=1e-5)
    for name in ("elastic", "interaction", "total"):
        assert found["energy_budget"][name] == pytest.approx(exact["energy_budget"][name], rel=1e-9, abs=1e-7)
    assert found["judged"]["errors_percent"] == pytest.approx(exact["judged"]["errors_percent"], rel=1e-5)
    assert {"trajectory.png", "ion-energy.png", "difference.png", "report.html"} <= {
        p.name for p in (tmp_path / "crystal").iterdir()
    }


@pytest.mark.thorough
def test_rungs_against_the_memory_kernel(tmp_path):
    chosen = {"validate.reference": "memory-kernel", "validate.rungs": ["time-local"], "run.duration": 0.2}
    found, report = validated(salt(**chosen), tmp_path / "v")
    assert set(found["rungs"]) == {"reference", "time-local"} and found["echo_time_ps"] == "inf"
    assert "the exact non-local equation in the infinite crystal" in report and found["energy_budget"] is None
    boxed, _ = validated(salt(**chosen | {"validate.reference": "periodic", "validate.rungs": ["memory-kernel"]}), tmp_path / "w")
    off = boxed["rungs"]["reference"]["difference"]["max_position_A"]
    assert boxed["yardstick"] == "memory-kernel" and off["until_echo"] < 1e-6 < off["whole"]


def test_barriers_in_the_simple_cubic_crystal_are_those_in_the_lattice(tmp_path):
    found, report = validated(case(CUBIC | {"size": 8}, **{"validate.protocol": "barriers"}), tmp_path / "v")
    lattice, exact = case(8).to_model(), {}
    for name, place in (("void A", (1.5, 1.5, 1.5)), ("window A–A", (1.5, 1.5, 3.0))):
        relaxed, infinite = relax(lattice, place), adiabatic_energy(lattice, place)[0]
        exact[name] = {"unrelaxed_meV": relaxed.unrelaxed, "relaxed_meV": relaxed.energy, "relaxed_infinite_meV": infinite}
        for key, value in (
            exact[name] | {"elastic_meV": relaxed.elastic, "relaxed_by_recoil_kernel_meV": relaxed.energy}
        ).items():
            assert found["places"][name][key] == pytest.approx(value, rel=1e-6), (name, key)
    (way,) = found["passages"]
    assert way["length_A"] == pytest.approx(3.0) and way["top"] == "saddle of the rigid crystal"
    assert way["barrier"] == pytest.approx(
        {key: exact["window A–A"][key] - exact["void A"][key] for key in way["barrier"]}, rel=1e-5
    )
    path = found["path"]
    assert path["relaxed_meV"][0] == pytest.approx(found["places"]["void A"]["relaxed_infinite_meV"], rel=1e-9)
    assert max(path["relaxed_meV"]) == pytest.approx(found["places"]["window A–A"]["relaxed_infinite_meV"], rel=1e-9)
    assert (
        f"**The lowest barrier out of void A, where the ion's energy is least, is {way['barrier']['relaxed_infinite_meV']:.4g} meV"
        in report
    )
    assert {"passage.png", "report.html"} <= {p.name for p in (tmp_path / "v").iterdir()}


def test_barriers_of_an_ion_that_its_atoms_attract(tmp_path):
    wanted = {"validate.protocol": "barriers", "interaction.potential.strength": -40.0, "ion.position": [0.0, 0.0, 0.0]}
    found, report = validated(salt(**wanted), tmp_path / "v")
    assert found["passages"] == [] and "The ion rests in no void" in report and "no way from void to void" in found["verdict"]


def test_the_crystal_alone(tmp_path):
    wanted = {"validate.protocol": "framework", "thermal.energy": 25.0, "thermal.lattices": 12, "validate.energies": [5.0, 25.0]}
    wanted |= {"crystal.size": 6, "ion.position": [0.0, 0.0, 0.0]}
    found, report = validated(salt(**wanted), tmp_path / "v")
    for entry in found["states"]:
        assert set(entry["species"]) == {"Na", "Cl"}
        for both in entry["species"].values():
            for own in both.values():
                off = abs(own["variance_over_exact"] - 1.0)
                assert off < 4.5 * own["variance_over_exact_error"] and off < 0.1
                assert own["kurtosis"] == pytest.approx(3.0, abs=0.2) and own["largest_difference_of_distribution"] < 0.05
        moved = entry["moved"]
        assert moved["states"] == 4 and moved["energy_drift"] < 1e-3 and moved["energy_swing"] < 0.01
        for own in moved["species"].values():
            assert own["temperature_meV"] == pytest.approx(own["exact_meV"], rel=0.1)
    hot = found["states"][1]["moved"]["species"]
    assert all(25.0 < own["exact_meV"] < 28.0 for own in hot.values())  # above k_BT by the zero-point motion
    assert found["verdict"].startswith("**The sampled thermal states are right**")
    assert "box of 6 × 6 × 6 cells (432 atoms) of NaCl" in report and "velocity Verlet" in report


def test_diffusion(tmp_path):
    chosen = {"validate.protocol": "diffusion", "thermal.energy": 40.0, "thermal.lattices": 3, "run.duration": 4.0}
    chosen |= {
        "validate.equilibration": 1.0,
        "validate.fit": [0.2, 1.0],
        "validate.ensemble_duration": 4.0,
        "validate.warm_up_lattices": 0,
    }
    found, report = validated(case(CUBIC | {"size": 4}, **chosen, **{"run.energy_tolerance": 0.5}), tmp_path / "v")
    truth = found["methods"]["reference"]
    assert truth["lattices"] == 3 and 0.3 < truth["temperature_ratio"] < 2.0
    assert np.array(truth["diffusion_tensor_A2_per_ps"]).shape == (3, 3)
    assert found["lattice_temperature_meV"] == pytest.approx(40.0, rel=0.1)
    assert "Box of 4 × 4 × 4 cells (64 atoms) of X" in report and "## The tensor of D" in report
    assert {"msd.png", "temperature.png", "van-hove.png"} <= {p.name for p in (tmp_path / "v").iterdir()}


def test_methods_that_do_not_take_a_crystal_are_left_out_of_the_default_list_alone(monkeypatch):
    monkeypatch.setattr(type(registry.find("patch")), "crystals", False)
    wanted, left_out = rungs.rungs_of(salt())
    assert left_out["patch"] == "Not yet in a [crystal]" and {"memory-kernel", "implicit", "time-local"} <= set(wanted)
    with pytest.raises(InputError, match=r'^method = "patch": does not take a \[crystal\]'):
        rungs.check(salt(**{"validate.rungs": ["patch", "static"]}))
    warm = {"validate.protocol": "diffusion", "thermal.energy": 25.0, "thermal.lattices": 2}
    assert "patch" in diffusion.rungs_of(salt(**warm))[1]


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"validate.protocol": "reflection"},
            'validate.protocol = "reflection": throws the ion along an edge of the simple cubic',
        ),
        ({"validate.protocol": "map"}, 'validate.protocol = "map": measures'),
        ({"validate.protocol": "ladder"}, 'validate.protocol = "ladder": weighs'),
        ({"validate.protocol": "arrhenius", "thermal.energy": 25.0}, 'validate.protocol = "arrhenius": has one potential'),
        ({"validate.reference": "echo-free"}, 'validate.reference = "echo-free": is for a [lattice]'),
        ({"validate.reference": "memory-kernel", "validate.ladder": True}, "validate.ladder = true: its linear response"),
        ({"validate.protocol": "framework"}, "thermal: is missing"),
        (
            {"validate.protocol": "barriers", "interaction.atoms": {"kind": "sites", "sites": [[0, 0, 0, 0]]}},
            'interaction.atoms.kind = "sites": the barriers protocol moves the ion',
        ),
        ({"ion.position": [0.0, 0.0, 0.0]}, "on top of the atom"),
        ({"run.dt": 0.5}, "the stability limit"),
    ],
)
def test_what_cannot_be_validated(tmp_path, changes, message):
    with pytest.raises(InputError) as caught:
        mdlite.validate(salt(**{"ion.position": [1.4, 1.4, 1.4]}).replace(changes), tmp_path / "v")
    assert message in str(caught.value) and not (tmp_path / "v").exists()


def test_the_command_line(tmp_path):
    (tmp_path / "c.toml").write_text(salt().to_toml())
    code, told = call("validate", str(tmp_path / "c.toml"), "--set", "validate.protocol=map", "-o", str(tmp_path / "v"))
    assert code == 2 and told.startswith('error: validate.protocol = "map"') and told.count("\n") == 1
    code, told = call("validity", str(tmp_path / "c.toml"))
    assert code == 2 and "knows nothing of this one" in told and told.count("\n") == 1
