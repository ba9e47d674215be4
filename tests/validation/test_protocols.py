"""The validation protocols on small lattices: they leave a whole report, and its numbers are right."""

import json

import numpy as np
import pytest

import mdlite
from mdlite.errors import InputError
from mdlite.report.markdown import measured


def files(folder):
    return {p.name for p in folder.iterdir()}


def test_trapped_on_a_small_lattice(tmp_path):
    config = mdlite.load_case("trapped", **{"lattice.size": [40, 40, 44], "run.duration": 4.0})
    mdlite.validate(config, tmp_path / "v")
    summary = json.loads((tmp_path / "v" / "summary.json").read_text())
    rungs = summary["rungs"]
    assert set(rungs) == {"reference", "memory-kernel", "patch", "implicit", "time-local", "static", "rigid"}
    assert summary["echo_time_ps"] == pytest.approx(37 * 3.0 / 47.026, rel=1e-3)
    # the ion loses energy to the lattice; the time-local one does too, a little too slowly; the others never
    rates = {name: entry["decay_rate_per_ps"]["before_echo"] for name, entry in rungs.items()}
    assert 0.3 < rates["time-local"] < rates["reference"] < 0.6
    assert abs(rates["static"]) < 1e-2 and abs(rates["rigid"]) < 1e-2
    periods = {name: entry["period_ps"]["before_echo"] for name, entry in rungs.items()}
    assert periods["rigid"] < periods["static"] < periods["time-local"] < 1.02 * periods["reference"]
    equal = summary["rates_at_equal_energy"]
    assert len(equal["energy_meV"]) == 5 and np.all(np.array(equal["difference_percent"]["time-local"]) < 0.0)
    assert np.all(np.array(equal["difference_percent"]["implicit"]) < np.array(equal["difference_percent"]["time-local"]))
    off = rungs["time-local"]["difference"]["decay_rate_percent"]["before_echo"]
    assert off == pytest.approx(100.0 * (rates["time-local"] / rates["memory-kernel"] - 1.0), rel=1e-9)  # the yardstick
    assert rates["reference"] == pytest.approx(rates["memory-kernel"], rel=1e-4)  # before the echo
    budget = {k: np.array(v) for k, v in summary["energy_budget"].items()}
    total = budget["ion_kinetic"] + budget["interaction"] + budget["framework_kinetic"] + budget["elastic"]
    assert np.allclose(total, budget["total"]) and np.ptp(total) < 5e-3 * total[0]
    report = (tmp_path / "v" / "report.md").read_text()
    for name in ("trajectory.png", "decay.png", "energy-budget.png", "difference.png"):
        assert name in report and name in files(tmp_path / "v")
    error = rungs["reference"]["decay_rate_error_per_ps"]["before_echo"]
    assert f"| {measured(rates['reference'], error)} |" in report and "echo" in report.lower()
    for name in rungs:
        assert mdlite.Run.load(tmp_path / "v" / f"{name}.h5").config.method == name
    with pytest.raises(InputError, match="is not empty"):
        mdlite.validate(config, tmp_path / "v")


def test_a_rung_that_stops_is_a_result(tmp_path, monkeypatch):
    """The reference goes through, one rung runs away: the report says so and has the others."""
    original = mdlite.timelocal.TimeLocalEngine.fault

    def fault(engine):
        return "run away" if engine.method == "time-local" and engine.time > 0.2 else original(engine)

    monkeypatch.setattr(mdlite.timelocal.TimeLocalEngine, "fault", fault)
    config = mdlite.load_case("trapped", **{"lattice.size": 12, "run.duration": 1.0})
    summary = mdlite.validate(config, tmp_path / "v")
    assert set(summary["rungs"]) == {"reference", "memory-kernel", "patch", "implicit", "static", "rigid"}
    assert "run away" in summary["stopped"]["time-local"]
    assert "**time-local stopped.**" in (tmp_path / "v" / "report.md").read_text()
    assert mdlite.Run.load(tmp_path / "v" / "time-local.h5").facts["status"].startswith("stopped")


def test_force_replaces_what_was_there_and_nothing_else(tmp_path):
    config = mdlite.load_case("trapped", **{"lattice.size": 12, "run.duration": 0.5})
    mdlite.validate(config, tmp_path / "v")
    (tmp_path / "v" / "notes.txt").write_text("mine")
    mdlite.validate(config.replace(**{"validate.rungs": ["static"]}), tmp_path / "v", force=True)
    assert {"notes.txt", "static.h5"} <= files(tmp_path / "v") and "time-local.h5" not in files(tmp_path / "v")
    with pytest.raises(mdlite.RunError, match="reference: the energy has drifted"):
        mdlite.validate(config.replace(**{"run.energy_tolerance": 1e-12}), tmp_path / "v", force=True)
    assert "report.md" not in files(tmp_path / "v") and "notes.txt" in files(tmp_path / "v")


@pytest.mark.thorough
def test_a_box_no_larger_than_the_interaction(tmp_path):
    atoms = {"kind": "cutoff", "radius": 6.0}
    config = mdlite.load_case(
        "trapped", **{"lattice.size": 4, "interaction.atoms": atoms, "ion.position": [1.5, 1.5, 1.5], "run.duration": 0.5}
    )
    assert mdlite.validate(config, tmp_path / "v")["echo_time_ps"] == 0.0


@pytest.mark.thorough
def test_passages_are_seen_however_coarse_the_frames(tmp_path):
    config = mdlite.load_case("trapped", **{"lattice.size": 40, "run.duration": 3.0, "validate.rungs": ["time-local"]})
    fine = mdlite.validate(config, tmp_path / "fine")
    coarse = mdlite.validate(config.replace(**{"run.sample_every": 100}), tmp_path / "coarse")
    for name in ("reference", "time-local"):
        a, b = (s["rungs"][name]["crossing_time_ps"] for s in (fine, coarse))
        assert len(a) == len(b) > 5 and np.allclose(a, b, atol=1e-4)


@pytest.mark.thorough
def test_the_centre_is_the_trap_s_not_the_start(tmp_path):
    config = mdlite.load_case(
        "trapped", **{"lattice.size": 30, "run.duration": 2.0, "ion.position": [0.0, 0.0, 10.0], "ion.velocity": [0.0, 0.0, 0.0]}
    )
    summary = mdlite.validate(config, tmp_path / "v")
    assert summary["axis"] == "z" and summary["centre_A"] == 10.5
    assert len(summary["rungs"]["reference"]["crossing_time_ps"]) >= 5


@pytest.mark.thorough
def test_any_motion_can_be_validated(small_case, tmp_path):
    summary = mdlite.validate(small_case(), tmp_path / "v")
    for name in ("implicit", "time-local", "static", "rigid"):
        assert 0.0 < summary["rungs"][name]["difference"]["rms_position_A"]["whole"] < 1.0
    assert "report.md" in files(tmp_path / "v")


def test_reflection_of_one_point(tmp_path):
    config = mdlite.load_case(
        "reflection", **{"lattice.size": 24, "validate.ranges": [0.5], "validate.speeds": [2.0, 10.0], "run.dt": 0.002}
    )
    summary = mdlite.validate(config, tmp_path / "v")
    slow, fast = summary["points"]
    for point in (slow, fast):
        assert set(point["rungs"]) == {"full", "moving", "still", "undisturbed"}
        assert point["final_speed_A_per_ps"] < 0.0  # thrown back
        assert abs(point["energy_drift"]) < 1e-4
    # a slow collision is adiabatic: every rung has the peak deflection and force; a fast one is not
    for rung in ("moving", "still", "undisturbed"):
        assert abs(slow["rungs"][rung]["peak_deflection_error_percent"]) < 3.0
        assert abs(slow["rungs"][rung]["peak_force_error_percent"]) < 0.1
    assert fast["rungs"]["undisturbed"]["largest_deflection_error_percent"] > 10.0
    assert {"deflection.png", "force.png", "report.md", "summary.json"} <= files(tmp_path / "v")


def test_slow_collision_is_the_statics(tmp_path):
    """In the limit of a slow ion the deflection of the atom is -W(0) ∇U, with the gradient at the displaced atom."""
    config = mdlite.load_case("reflection", **{"lattice.size": 20})
    from mdlite.protocols.reflection import along_path, point

    one = point(config, 0.5, 1.0).replace(**{"run.dt": 0.01, "run.duration": 18.0})
    run = mdlite.run(one)
    rung = along_path(one.to_model(), run)["moving"]
    deflection = run.atom_position[:, 0, 2]
    nearest = np.argmax(np.abs(deflection))
    recoil = mdlite.response.static_recoil(one.to_model().lattice, [[0, 0, 0]])[0]
    # the force on the ion is -∇_R U = +∇_r U
    assert deflection[nearest] == pytest.approx(-recoil[2, 2] * run.force[nearest, 0, 2], rel=0.1)
    assert rung["deflection"][nearest, 2] == pytest.approx(deflection[nearest], rel=0.1)


def test_barriers_on_a_small_lattice(tmp_path):
    config = mdlite.load_case("barriers", **{"lattice.size": 14})
    summary = mdlite.validate(config, tmp_path / "v")
    own = summary["variants"][0]
    assert own["label"] == "shell, e = 1"
    rho = np.array([np.sqrt(0.75) * 3.0, np.sqrt(0.5) * 3.0, np.sqrt(1.5) * 3.0])
    phi = 4000.0 * np.exp(-rho / 0.5) / rho
    assert own["places"]["cube centre"]["unrelaxed_meV"] == pytest.approx(8 * phi[0], rel=1e-12)
    assert own["places"]["face centre"]["unrelaxed_meV"] == pytest.approx(4 * phi[1] + 4 * phi[2], rel=1e-12)
    for variant in summary["variants"]:
        for place in variant["places"].values():
            assert place["residual_force_meV_per_A"] < 1e-6
            assert place["relaxed_meV"] < place["unrelaxed_meV"]
            assert place["relaxed_by_recoil_kernel_meV"] == pytest.approx(place["relaxed_meV"], abs=1e-8)
    assert own["barrier"]["relaxed_meV"] < own["barrier"]["unrelaxed_meV"]
    assert {"barriers.png", "report.md", "summary.json"} <= files(tmp_path / "v")


@pytest.mark.thorough
def test_a_ladder(tmp_path):
    """Every rung and two periodic lattices against the infinite crystal, by both of its methods."""
    base = mdlite.load_case("trapped", **{"run.duration": 4.0, "validate.sizes": [20, 30]})
    for reference in ("memory-kernel", "echo-free"):
        config = base.replace(**{"validate.reference": reference, "validate.ladder": True})
        mdlite.validate(config, tmp_path / reference)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("memory-kernel", "echo-free")]
    one, other = (s["rungs"]["reference"]["crossing_kinetic_energy_meV"] for s in summaries)
    assert np.allclose(one, other, rtol=1e-9)
    for summary in summaries:
        for size in (20, 30):
            echo = summary["echoes"][f"periodic-{size}"]
            assert echo["leaves_at_ps"] == pytest.approx(echo["echo_time_ps"], rel=0.1)
        modes = summary["linear_response"]
        assert (
            modes["exact"]["rate_per_ps"] == pytest.approx(0.2952, rel=1e-3)
            and modes["time-local"]["rate_per_ps"] < modes["exact"]["rate_per_ps"]
        )
        assert summary["energy_budget"] is None
    report = (tmp_path / "memory-kernel" / "report.md").read_text()
    assert "**Here the friction taken at ω → 0 is the greater error.**" in report and "finite-size.png" in report
