"""The protocols at temperature on small lattices: whole reports, sound numbers, clear refusals."""

import dataclasses
import json
import re

import numpy as np
import pytest

import mdlite
from mdlite.engines import build, guard
from mdlite.errors import InputError
from mdlite.protocols import arrhenius, diffusion

SMALL = {
    "lattice.size": 8,
    "thermal.lattices": 4,
    "thermal.ions": 16,
    "run.duration": 60.0,
    "validate.ensemble_duration": 24.0,
    "validate.equilibration": 4.0,
    "validate.fit": [1.0, 4.0],
    "validate.rungs": ["time-local"],
    "validate.warm_up_lattices": 32,
}


def test_framework(tmp_path):
    config = mdlite.load_case("framework", **{"lattice.size": 20, "validate.energies": [1e-3, 25.0]})
    mdlite.validate(config, tmp_path / "v")
    summary = json.loads((tmp_path / "v" / "summary.json").read_text())
    assert [entry["thermal_energy_meV"] for entry in summary["states"]] == [1e-3, 25.0]
    for entry in summary["states"]:
        for name in ("displacement", "velocity"):
            assert entry[name]["variance_over_exact"] == pytest.approx(1.0, abs=0.05)
            assert entry[name]["kurtosis"] == pytest.approx(3.0, abs=0.1)
            assert entry[name]["largest_difference_of_distribution"] < 0.02
    assert summary["kernel"]["xx_A2_per_meV"][0] == pytest.approx(9.48247e-4, rel=1e-5)
    assert summary["loss_A2_ps_per_meV"] == pytest.approx(3.29077e-5, rel=1e-5)
    names = {"framework.png", "thermal-states.png", "report.md", "report.html", "summary.json"}
    assert {p.name for p in (tmp_path / "v").iterdir()} == names


def test_diffusion(tmp_path):
    """The time-local ion is colder and slower than the reference's, and the report says so."""
    mdlite.validate(mdlite.load_case("diffusion", **SMALL), tmp_path / "v")
    summary = json.loads((tmp_path / "v" / "summary.json").read_text())
    truth, rung = (summary["methods"][name] for name in ("reference", "time-local"))
    assert truth["lattices"] == rung["lattices"] == 4 and truth["ions"] == 4
    assert truth["temperature_ratio"] == pytest.approx(1.0, abs=0.25)
    assert 0.5 < rung["temperature_ratio"] < 0.8 and rung["temperature_ratio_error"] < 0.05
    assert 0.8 < rung["diffusion_A2_per_ps"] < 3.5 < truth["diffusion_A2_per_ps"] + 5.0 * truth["diffusion_error_A2_per_ps"]
    assert rung["green_kubo_A2_per_ps"] == pytest.approx(rung["diffusion_A2_per_ps"], rel=0.4)
    assert 0.3 < rung["thermalisation"]["time"] < 3.0 and 0.3 < truth["thermalisation"]["time"] < 3.0
    assert rung["hops"]["count"] > 300 and abs(truth["energy_drift_meV_per_ns"]) < 1000.0
    square = np.array(rung["curves"]["mean_square_displacement_A2"])
    assert square[0] == pytest.approx(0.0, abs=1e-9) and np.all(np.diff(square[1:]) > 0.0)
    report = (tmp_path / "v" / "report.md").read_text()
    assert "the `time-local` ion stays colder than the reference's" in report and "msd.png" in report
    assert mdlite.Run.load(tmp_path / "v" / "reference.h5").position.shape[1] == 4
    assert mdlite.Run.load(tmp_path / "v" / "warm-up.h5").position.shape[1] == 32


def test_a_run_away_is_reported_and_left_out(tmp_path, monkeypatch):
    """Ions are declared run away at an energy that some reach: they are listed with their state, and the averages do without them."""
    make = build.guard_of

    def strict(config):
        made = make(config)
        return dataclasses.replace(made, heat=2.0) if config.method == "time-local" else made

    monkeypatch.setattr(build, "guard_of", strict)
    monkeypatch.setattr(guard, "SPARE", 1.0)
    config = mdlite.load_case("diffusion", **SMALL | {"thermal.energy": 50.0, "validate.warm_up_lattices": 0})
    summary = mdlite.validate(config, tmp_path / "v")
    rung = summary["methods"]["time-local"]
    assert 0 < len(rung["run_aways"]) < 64 and rung["ions"] == 64 - len(rung["run_aways"])
    report = (tmp_path / "v" / "report.md").read_text()
    first = rung["run_aways"][0]
    assert "## Run-aways" in report and f"| {first['ion']} | {first['time_ps']:.3f} |" in report
    assert f"{len(rung['run_aways'])} of 64 ions ran away and are not averaged in" in report


def test_arrhenius(tmp_path):
    series = [{"strength": 4000.0, "energies": [20.0, 50.0]}, {"strength": 8000.0, "energies": [25.0, 50.0]}]
    small = SMALL | {"run.duration": 30.0, "validate.warm_up_lattices": 0, "validate.series": series}
    mdlite.validate(mdlite.load_case("arrhenius", **small), tmp_path / "v")
    summary = json.loads((tmp_path / "v" / "summary.json").read_text())
    assert [line["strength"] for line in summary["lines"]] == [4000.0, 8000.0]
    line = summary["lines"][0]
    value = [point["methods"]["time-local"]["diffusion_A2_per_ps"] for point in line["points"]]
    barrier = np.log(value[1] / value[0]) / (1.0 / 20.0 - 1.0 / 50.0)  # two points: the line through them
    assert line["fits"]["time-local"]["barrier"] == pytest.approx(barrier)
    assert line["fits"]["time-local"]["chi_square"] is None
    assert set(line["at_own_temperature"]) <= {"time-local"}
    report = (tmp_path / "v" / "report.md").read_text()
    assert "2.28 ± 0.22" in report and "3.14 ± 0.18" in report and report.count("stays colder") >= 2
    names = {p.name for p in (tmp_path / "v").iterdir()}
    assert {"arrhenius.png", "temperatures.png", "msd-U4000.png", "reference-U8000-50meV.h5"} <= names


def test_diffusion_at_the_ion_s_own_temperature():
    """A rung whose D is the reference's at a lower temperature, by an exact Arrhenius law, has the ratio 1 where it can be told."""

    def method(temperature):
        return {
            "temperature_meV": temperature,
            "diffusion_A2_per_ps": 9.0 * np.exp(-40.0 / temperature),
            "diffusion_error_A2_per_ps": 0.01,
        }

    entries = [
        {"thermal_energy_meV": t, "methods": {"reference": method(t), "time-local": method(0.7 * t)}} for t in (10.0, 20.0, 40.0)
    ]
    found = arrhenius.own_temperature(entries)["time-local"]
    assert [row["thermal_energy_meV"] for row in found] == [20.0, 40.0]  # 7 meV is below every point of the reference
    assert [row["ratio"] for row in found] == pytest.approx([1.0, 1.0])
    assert found[0]["error"] == pytest.approx(0.01 / method(14.0)["diffusion_A2_per_ps"])


@pytest.mark.parametrize(
    "case, key, value, message",
    [
        ("diffusion", "interaction.atoms", {"kind": "sites", "sites": [[0, 0, 0]]}, "the ion wanders|would start in one place"),
        ("diffusion", "ion.mass", [0.7, 0.7, float("inf")], "lets the ion move along every axis"),
        ("diffusion", "thermal.lattices", 1, r"thermal\.lattices = 1: .* give 2 at least"),
        ("diffusion", "validate.ensemble_duration", 20.0, r"validate\.ensemble_duration = 20: must be longer than"),
        ("diffusion", "validate.fit", [5.0, 2.0], r"validate\.fit = \[5\.0, 2\.0\]: the first lag must be below the last"),
        ("diffusion", "run.sample_every", 1000, r"run\.sample_every = 1000: must give four frames"),
        ("diffusion", "validate.ions", {"reference": 3}, r"validate\.ions"),
        ("framework", "thermal.lattices", 1, r"thermal\.lattices = 1: .* give 2 at least"),
        ("framework", "validate.energies", [-5.0], r"validate\.energies.*: must be greater than 0"),
        ("arrhenius", "validate.series", [], r"validate\.series: is missing"),
        ("arrhenius", "validate.series", [{"strength": 1.0, "energies": [5.0]}], r"validate\.series"),
        ("arrhenius", "validate.series", [{"strength": 1.0, "energies": [5.0, 5.0]}], r"has one temperature twice"),
        ("arrhenius", "interaction.potential", {"kind": "lennard-jones", "epsilon": 1.0, "sigma": 1.0}, "has no strength"),
        ("trapped", "thermal", {"energy": 5.0}, r'protocol = "rungs" compares at T = 0'),
        ("trapped", "validate.protocol", "diffusion", r"thermal: is missing"),
    ],
)
def test_bad_input(tmp_path, case, key, value, message):
    with pytest.raises(InputError, match=message):
        mdlite.validate(mdlite.load_case(case, **{key: value}), tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_the_lattices_of_all_methods_are_the_same():
    config = mdlite.load_case("diffusion", **SMALL)
    states = [build.make_engine(diffusion.setting(config, m)) for m in ("reference", "time-local")]
    u = states[0].lattices.u
    assert u.tobytes() == states[1].crystals.u.tobytes() and u.any()


@pytest.mark.thorough
def test_ladder(tmp_path):
    """The patch comes out ahead of the time-local ion in decay rate and temperature, and the report recommends accordingly."""
    small = {"thermal.lattices": 3, "thermal.ions": 8, "run.duration": 30.0, "validate.ensemble_duration": 30.0}
    config = mdlite.load_case(
        "ladder", **small, **{"validate.energies": [50.0], "validate.rungs": ["patch", "time-local"], "validate.fit": [1.0, 6.0]}
    )
    summary = mdlite.validate(config, tmp_path / "ladder")
    patch, local = summary["methods"]["patch"]["errors"], summary["methods"]["time-local"]["errors"]
    for case in ("trapped", "trapped-heavy", "throw"):
        assert abs(patch[case]) < 1.0 < 5.0 < abs(local[case])
    assert abs(patch["T_ion at 50 meV"]) < 10.0 < 35.0 < -local["T_ion at 50 meV"]
    assert summary["recommendation"]["25 %"]["method"] in ("patch", "reference")
    report = (tmp_path / "ladder" / "report.md").read_text()
    assert "Which one to take" in report and (tmp_path / "ladder" / "ladder.png").stat().st_size > 10_000
    with pytest.raises(mdlite.InputError, match=r"thermal\.statistics"):
        mdlite.validate(config.replace(**{"thermal.statistics": "quantum"}), tmp_path / "other")


@pytest.mark.thorough
def test_a_method_that_loses_ions_by_its_step_is_left_out(tmp_path):
    """Light ions at a step that is too long for them: what is left of them would be a selection, so no average of it is shown."""
    light = {"ion.mass": 0.05, "run.dt": 0.002, "run.duration": 20.0, "thermal.lattices": 2, "validate.ensemble_duration": 20.0}
    config = mdlite.load_case("diffusion", **SMALL | light | {"thermal.energy": 150.0, "validate.warm_up_lattices": 0})
    config = config.replace(
        **{"validate.rungs": ["patch"], "validate.ions": {}, "validate.equilibration": 5.0, "validate.fit": [1.0, 5.0]}
    )
    summary = mdlite.validate(config, tmp_path / "v")
    assert "patch" not in summary["methods"]
    assert re.search(
        r"\d+ of 32 ions .* lost by the step .* would do; those that are left are a selection", summary["failures"]["patch"]
    )
    assert "At 150 meV `patch` had to stop: " in (tmp_path / "v" / "report.md").read_text()
