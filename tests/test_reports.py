"""What reports say: a verdict first, only of what was run, measured by what the motion is, in numbers that can be read."""

import json
import re

import numpy as np
import pytest

import mdlite
from mdlite import units
from mdlite.engines import speed
from mdlite.errors import InputError
from mdlite.physics import propagator
from mdlite.protocols import base, rungs, rungs_measures
from mdlite.report import lattice_report, markdown, run_info, verdict

THROW = {"lattice.size": 24, "run.duration": 1.0}
METHODS = ("memory-kernel", "patch", "implicit", "time-local", "static", "rigid")


def validated(folder, case="throw", **keys):
    """(summary as JSON, report) of a small validation."""
    mdlite.validate(mdlite.load_case(case, **keys), folder)
    return json.loads((folder / "summary.json").read_text(encoding="utf-8")), (folder / "report.md").read_text(encoding="utf-8")


def first_paragraph(text):
    return text.split("\n\n")[1]


@pytest.fixture(scope="module")
def throw(tmp_path_factory):
    return validated(tmp_path_factory.mktemp("r") / "v", **THROW)


@pytest.mark.thorough
def test_a_throw_is_judged_by_its_path(throw):
    summary, text = throw
    assert summary["kind"] == "free" and summary["yardstick"] == "memory-kernel"
    for absent in ("passage", "Decay rate", "period_ps", "at equal energy (1/ps)", "decay.png"):
        assert absent not in text, absent
    patch = summary["rungs"]["patch"]
    assert "crossing_time_ps" not in patch and "decay_rate_percent" not in patch["difference"]
    assert patch["difference"]["rms_position_percent"]["whole"] < 1.0 and patch["difference"]["apart_at_ps"] is None
    assert summary["rungs"]["time-local"]["difference"]["rms_position_percent"]["whole"] > 10.0
    assert summary["rungs"]["rigid"]["difference"]["apart_at_ps"] < 1.0
    assert "## Energy left to the ion (meV)" in text and "## Paths against that of `memory-kernel`" in text
    assert summary["judged"]["right"] == ["patch"] and first_paragraph(text).startswith("**Take `patch`**: the path is right to")
    assert "ion-energy.png" in text and "difference.png" in text


def test_path_and_energy_against_their_definitions(throw, tmp_path):
    folder = tmp_path / "v"
    summary, _ = validated(folder, **THROW | {"validate.rungs": ["memory-kernel", "implicit"]})
    truth, run = (mdlite.Run.load(folder / f"{name}.h5") for name in ("memory-kernel", "implicit"))
    apart = np.sqrt(((run.position - truth.position)[:, 0] ** 2).sum(axis=1))
    goes = np.sqrt(truth.position[:, 0].var(axis=0).sum())
    off = summary["rungs"]["implicit"]["difference"]
    assert off["rms_position_A"]["whole"] == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-12)
    assert off["rms_position_percent"]["whole"] == pytest.approx(100.0 * np.sqrt(np.mean(apart**2)) / goes, rel=1e-12)
    assert off["apart_at_ps"] == pytest.approx(run.time[np.argmax(apart > 0.1)])
    energy = run.ion_kinetic[:, 0] + run.interaction[:, 0]
    told = summary["rungs"]["implicit"]["ion_energy"]
    assert told["time_ps"] == pytest.approx(np.arange(1, 11) / 10.0)
    assert told["energy_meV"][3] == pytest.approx(energy[(run.time > 0.3) & (run.time < 0.4001)].mean(), rel=1e-12)
    # two exact methods, by different equations, at the same step: they differ by rounding before the echo
    assert summary["rungs"]["reference"]["difference"]["max_position_A"]["whole"] < 1e-4


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("reference", ["memory-kernel", "echo-free", "absorbing"])
def test_an_infinite_crystal_has_no_echo(reference, tmp_path):
    keys = THROW | {"run.duration": 0.6, "validate.reference": reference, "lattice.absorber_width": 4}
    summary, text = validated(tmp_path / "v", **keys)
    said = text.split("## Settings")[0]
    for word in ("until echo", "the echo", "Echo"):
        assert word not in said, word
    assert summary["echo_time_ps"] == "inf" and "until_echo" not in summary["rungs"]["patch"]["difference"]["rms_position_A"]
    assert summary["yardstick"] == ("memory-kernel" if reference == "absorbing" else "reference")
    assert ("memory-kernel" in summary["rungs"]) == (reference != "memory-kernel")


@pytest.mark.parametrize(
    "case, keys, run",
    [
        ("throw", {**THROW, "run.duration": 0.5, "validate.rungs": ["patch"]}, {"patch"}),
        ("trapped", {"lattice.size": 30, "run.duration": 2.0, "validate.rungs": ["time-local"]}, {"time-local"}),
        (
            "trapped",
            {"lattice.size": 30, "run.duration": 2.0, "validate.rungs": ["time-local", "rigid"], "validate.ladder": True}
            | {"validate.sizes": [12], "validate.reference": "memory-kernel"},
            {"time-local", "rigid"},
        ),
    ],
)
def test_nothing_is_said_of_what_was_not_run(case, keys, run, tmp_path):
    summary, text = validated(tmp_path / "v", case, **keys)
    said = text.split("## Settings")[0]
    for name in set(METHODS) - run - {summary["truth"], "memory-kernel" if keys.get("validate.reference") else ""}:
        assert not re.search(rf"[`|] ?{name}\b", said), f"{name}: {said}"
    if "rigid" not in run:
        assert "no loss" not in said
    assert ("adapted from the start" in said) == bool(run & {"time-local", "implicit", "static"})
    assert set(summary["linear_response"]) <= run | {"exact"}


def test_trapped_has_the_methods_that_are_recommended(tmp_path):
    summary, text = validated(tmp_path / "v", "trapped", **{"lattice.size": 40, "run.duration": 4.0})
    assert set(summary["rungs"]) == {"reference", *METHODS} and summary["kind"] == "oscillation"
    runs, equal = summary["rungs"], summary["rates_at_equal_energy"]
    assert np.abs(equal["difference_percent"]["patch"]).max() < 3.0 < np.abs(equal["difference_percent"]["time-local"]).min()
    assert runs["reference"]["difference"]["max_position_A"]["until_echo"] < 1e-5  # of memory-kernel: both are exact
    assert runs["reference"]["difference"]["max_position_A"]["whole"] > 1e-5  # the echo
    assert summary["judged"]["right"] == ["patch"] and abs(summary["judged"]["errors_percent"]["time-local"]) > 1.5
    told = first_paragraph(text)
    assert told == summary["verdict"] and told.startswith("**Take `patch`**") and "per ps" in told
    times = runs["reference"]["seconds_per_ps"] / runs["patch"]["seconds_per_ps"]
    assert f"{markdown.short(times)} times cheaper" in told and verdict.duration(runs["patch"]["seconds_per_ps"]) in told
    for method in METHODS:  # what each solves
        assert any(line.startswith(f"| `{method}` |") for line in text.splitlines())
    for wide in re.findall(r"[-+]\d+\.\d+ %|[-+]\d{3,}\.\d+ %", text):
        assert len(wide.rstrip(" %").lstrip("+-").replace(".", "").lstrip("0")) <= 2, wide


def test_where_no_approximation_is_right_the_verdict_says_so(tmp_path):
    summary, text = validated(tmp_path / "v", **THROW | {"validate.rungs": ["time-local", "rigid"]})
    assert summary["judged"]["right"] == []
    assert first_paragraph(text).startswith("**No approximation that was run is right to 1.5 % here**: nearest is `time-local`")


def test_the_default_leaves_out_what_can_not_run_and_a_list_of_one_s_own_does_not(tmp_path):
    keys = THROW | {"run.duration": 0.2, "run.dt": 0.02}  # too long a step for a patch
    summary, text = validated(tmp_path / "v", **keys)
    assert "patch" not in summary["rungs"] and "run.dt = 0.02" in summary["left_out"]["patch"] and "patch was left out" in text
    with pytest.raises(InputError, match=r"run\.dt = 0\.02"):
        mdlite.validate(mdlite.load_case("throw", **keys, **{"validate.rungs": ["patch"]}), tmp_path / "w")
    long = mdlite.load_case("throw", **{"run.duration": 20.0})
    found, left_out = rungs.rungs_of(long)
    assert "memory-kernel" not in found and "wander" in left_out["memory-kernel"] and "patch" in found


def test_thermal_protocols_have_a_list_that_they_can_run():
    from mdlite.config.sections import ValidateSection

    assert ValidateSection(protocol="diffusion").rungs == ["patch", "implicit", "time-local"]
    assert ValidateSection().rungs == list(METHODS)


def test_an_oscillation_is_straight_and_often_enough():
    class Swing:
        def __init__(self, sideways, rate=0.5):
            self.time = np.arange(0.0, 6.0, 0.01)
            z = np.exp(-0.5 * rate * self.time) * np.sin(10.0 * self.time)
            self.position = np.stack([sideways * z, 0.0 * z, z], axis=1)[:, None]
            self.velocity = np.gradient(self.position, self.time, axis=0)

    kind = rungs_measures.kind_of_motion
    assert kind(Swing(0.0), 2, 0.0, np.inf) == kind(Swing(0.01), 2, 0.0, 3.0) == "oscillation"
    assert kind(Swing(0.3), 2, 0.0, np.inf) == "free"  # not along one axis
    assert kind(Swing(0.0), 2, 0.0, 1.0) == "free"  # too few passages before the echo
    assert kind(Swing(0.0, -0.5), 2, 0.0, np.inf) == "free"  # it gains energy


def test_no_report_without_a_verdict():
    with pytest.raises(TypeError, match="verdict"):
        base.Outcome({}, "body", {})


def point(error, deflection, seconds=(2e-3, 3.0)):
    rung = {"peak_force_error_percent": error, "largest_deflection_error_percent": deflection}
    cost = {"time-local": seconds[0], "full": seconds[1]}
    return {"range_A": 0.5, "speed_A_per_ps": 2.0, "rungs": {"undisturbed": rung}, "seconds": cost}


def test_verdict_on_collisions():
    both = verdict.reflection([point(0.1, 3.0), point(-40.0, 200.0)])
    assert "at 1 of 2 collisions" in both and "0.5 Å at 2 Å/ps" in both and "1500 times less" in both
    assert "at none of 1 collision**" in verdict.reflection([point(-40.0, 200.0)])
    assert "times less" not in verdict.reflection([point(0.1, 3.0, (None, 3.0))])  # no price where it did not run


@pytest.mark.parametrize("off, right", [(2.0, True), (60.0, False)])
def test_verdict_on_sampled_states(off, right):
    one = {"variance_over_exact": 1.0 + 0.01 * off, "variance_over_exact_error": 0.01}
    told = verdict.framework([{"displacement": one, "velocity": one, "states": 8}] * 4, 3.2)
    assert told.startswith("**The sampled thermal states are right") == right and f"{off:.1f} standard errors" in told
    assert "100 ms a state" in told


def entry(ratio, spread, chance=0.02, us=8.0, lost=0):
    def one(t, d, cost, gone=0):
        return {
            "temperature_meV": 25.0 * t,
            "temperature_error_meV": 25.0 * chance,
            "diffusion_A2_per_ps": 4.0 * d,
            "diffusion_error_A2_per_ps": 4.0 * chance,
            "us_per_ion_step": cost,
            "run_aways": [{}] * gone,
        }

    return {"methods": {"reference": one(1.0, 1.0, 40.0), "patch": one(ratio, spread, us, lost)}, "failures": {}}


def test_verdict_on_ensembles():
    good = verdict.thermal([entry(1.01, 0.97), entry(0.99, 1.02)])
    assert good.startswith("**Take `patch`**") and "8 µs per ion-step, 5 times cheaper" in good
    bad = verdict.thermal([entry(0.8, 0.4), entry(0.6, 0.3)])
    assert bad.startswith("**None of the approximations") and "0.60 to 0.80 of the reference ion's temperature" in bad
    assert verdict.thermal([entry(1.0, 1.0, lost=3)]).startswith("**None") and "lost 3 ions" in verdict.thermal(
        [entry(1.0, 1.0, lost=3)]
    )
    stopped = entry(1.0, 1.0)
    stopped["failures"], stopped["methods"] = {"patch": "ran away"}, {"reference": stopped["methods"]["reference"]}
    assert "`patch` had to stop" in verdict.thermal([stopped])
    unknown = entry(1.0, 1.0)
    unknown["methods"]["patch"]["diffusion_error_A2_per_ps"] = np.nan
    assert verdict.thermal([unknown]).startswith("**This run cannot decide**")
    vague = verdict.thermal([entry(1.2, 2.0, chance=0.6)])
    assert vague.startswith("**This run cannot decide**") and "`patch` agrees with the reference, but the errors are" in vague
    few = entry(0.9, 0.9, chance=0.02)
    for one in few["methods"].values():
        one["lattices"] = 2
    assert verdict.thermal([few]).startswith("**Take `patch`") != verdict.thermal([entry(0.9, 0.9)]).startswith("**Take `patch`")


def test_verdict_on_the_ladder_and_the_map():
    best = {"1.5 %": {"method": None}, "5 %": {"method": "patch", "core_us_per_ion_step": 9.7}}
    best["25 %"] = {"method": "implicit", "core_us_per_ion_step": 6.1}
    told = verdict.ladder(best)
    assert told.startswith("**Take `patch`**: rates and temperatures to 5 %") and "To 25 %, `implicit` is enough (6.1 µs" in told
    assert verdict.ladder({"1.5 %": {"method": None}}).startswith("**No method that was run is right")
    shares = {
        f"{m}.{q}": {"below_10_percent": s} for m, s in (("patch", 0.99), ("time-local", 0.4)) for q in ("energy_loss", "force")
    }
    assert verdict.validity_map(shares).startswith("**Take `patch`**") and "`time-local` at 40 %" in verdict.validity_map(shares)


@pytest.mark.parametrize(
    "value, expected",
    [
        *((-41.48, "-41"), (-11.43, "-11"), (9.41, "+9.4"), (9.96, "+10"), (0.153, "+0.15"), (-0.996, "-1.0")),
        *((1e-9, "0"), (-1e-9, "0"), (0.0, "0"), (133.4, "+133"), (-158.2, "-158"), (4711.0, "+4710")),
        *((np.nan, "–"), (None, "–"), (np.inf, "+inf")),
    ],
)
def test_errors_have_two_digits(value, expected):
    assert markdown.percent(value) == expected


def test_units_stand_beside_each_other():
    assert units.with_kelvin(25.0) == "25 meV (290 K)" and units.with_kelvin(1e-3) == "0.001 meV (0.0116 K)"
    assert units.with_terahertz(31.350553) == "31.35 rad/ps (4.99 THz)"
    assert units.with_cm2_per_s(1.8) == "1.8 Å²/ps (0.00018 cm²/s)"
    assert units.counted(1, "ion") == "1 ion" and units.counted(0, "ion") == "0 ions"


def test_info_begins_with_the_status_and_ends_with_the_settings():
    run = mdlite.run(
        mdlite.load_case("diffusion", **{"lattice.size": 6, "thermal.lattices": 1, "thermal.ions": 1, "run.duration": 0.2})
    )
    lines = run_info.text(run).splitlines()
    assert lines[0].split() == ["status:", "complete"]
    heads = [line.split(":")[0] for line in lines]
    assert heads.index("frames") < heads.index("version") < heads.index("arrays") < heads.index("settings")
    assert "".join(lines[heads.index("settings") + 1 :]).startswith("title") and lines[-1] != "settings:"
    text = "\n".join(lines)
    assert "k_BT = 25 meV (290 K)" in text and "31.35 rad/ps (4.99 THz)" in text and "1 ion" in text and "1 ions" not in text
    assert all(re.match(r"\S+: ", line) for line in lines[: heads.index("arrays")] if not line.endswith(":"))


def test_phonons_are_told_in_terahertz_too():
    lattice = mdlite.load_case("trapped").to_model().lattice
    found, _ = lattice_report.collect(lattice, [(0, 0, 0)], [0.0], "GX", False)
    text = lattice_report.text(lattice, found)
    assert found["frequencies_THz"]["X"][2] == pytest.approx(found["frequencies"]["X"][2] / (2.0 * np.pi), rel=1e-12)
    assert "4.9895954 THz" in text and "4.989595)" in text and found["units"]["frequencies_THz"] == "THz"


QUIET = {"cores": 2, "threads": 2, "threading_layer": "omp", "vector_bits": 512, "load": 2.0, "core_share": 0.99, "steal": 0.0}
QUIET |= {"spread": {20: 0.02, 60: 0.04, 160: 0.03}, "one_pass_limit_atom_steps_per_s": 5e8}
QUIET |= {
    "atom_steps_per_s": {20: 9e8, 60: 1.6e9, 160: 6e8},
    "processor": "p",
    "core_cache_bytes": 2**20,
    "triad_bytes_per_s": 4e10,
}


@pytest.mark.parametrize(
    "changes, sign",
    [
        ({"core_share": 0.62}, "mdlite got 62 % of the time of its cores"),
        ({"steal": 0.2}, "the host of this virtual machine took 20 % of the time"),
        ({"spread": {20: 0.9, 60: 0.0, 160: 0.0}}, "took up to 90 % longer"),
        ({"load": 7.0}, "load 7.0"),
    ],
)
def test_a_busy_machine_is_told_to_be_one(changes, sign):
    slow = QUIET | changes | {"atom_steps_per_s": {20: 9e7, 60: 1.6e8, 160: 6e7}}
    (advice,) = speed.advise(slow)  # nothing else can be said of it: no word of memory or pages
    assert sign in advice and "unreliable" in advice and "measure again" in advice
    assert speed.report(slow | {"advice": [advice]}).startswith("unreliable")
    assert speed.advise(QUIET) == ["nothing: this is what the machine can do"]
    assert not speed.report(QUIET | {"advice": speed.advise(QUIET)}).startswith("unreliable")


def test_examine_sees_the_other_programs(monkeypatch):
    rates = iter([1e9, 5e8, 9e8] * 3)
    monkeypatch.setattr(speed, "triad_bandwidth", lambda: 4e10)
    monkeypatch.setattr(speed, "kernel_rate", lambda size, steps: {"atom_steps_per_s": next(rates), "core_share": 0.5})
    found = speed.examine()
    assert found["core_share"] == 0.5 and set(found["spread"].values()) == {1.0} and "50 %" in found["advice"][-1]


def test_what_the_package_brings_along_is_what_would_be_computed(monkeypatch):
    lattice = mdlite.load_case("trapped").to_model().lattice
    line = np.array([(n, 0, 0) for n in range(8)])
    brought = propagator.moments(lattice, line, 80)
    assert propagator.is_quick(lattice, line, 0.005, 6000, "verlet") and not propagator.is_quick(
        lattice, np.array([[3, 2, 1]]), 0.0049, 6000, "verlet"
    )
    monkeypatch.setattr(propagator, "packed", lambda ratio: None)
    assert np.allclose(propagator.moments(lattice, line, 80), brought, rtol=0.0, atol=1e-14)
    assert propagator.highest_order(lattice, 30.0) <= 560


def test_the_edge_that_is_brought_along_has_the_errors_it_claims():
    from mdlite.engines import patch_edge

    lattice = mdlite.load_case("trapped").to_model().lattice
    ratio = lattice.k2 / lattice.k1
    assert patch_edge.is_known(ratio, 12)
    fit = patch_edge.fit(ratio, 12)
    _, depth = patch_edge.classes(12)
    assert len(fit.damping) == len(depth) and fit.friction_error < 0.05 and fit.common_error < 0.03
    middle = depth < patch_edge.CORE
    assert np.all(fit.damping[middle] == 0.0) and np.all(fit.stiffness[middle] == 0.0) and np.all(fit.inertia[middle] == 1.0)
    assert np.all(fit.damping >= 0.0) and np.all(fit.stiffness >= 0.0) and np.all(fit.inertia >= patch_edge.LIGHTEST - 1e-12)
