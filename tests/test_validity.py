"""The groups against small oscillations, the errors against another method, the estimate at points that it has not seen, and the map itself."""

import json

import numpy as np
import pytest

import mdlite
from mdlite import comparison, estimate, groups, map_report
from mdlite.response import loss_matrix, recoil_kernel


def small_oscillation(**changes):
    return mdlite.load_case(
        "trapped", **{"lattice.size": 20, "ion.velocity.z": 1e-3, "run.dt": 0.001, "run.duration": 2.512, **changes}
    )


@pytest.mark.parametrize("k2, mass", [(170.0, 0.7), (312.0, 5.0)])
def test_groups_of_a_small_oscillation(k2, mass):
    """K = M ω²: ν = ω L/W(0), η = 3/2 L K ω, and κ from the atoms' Hessians, all by hand."""
    config = small_oscillation(**{"lattice.k2": k2, "ion.mass.z": mass})
    model = config.to_model()
    sites = np.array(model.offsets)
    d = sites[:, 2] * 3.0 - 10.5
    rho = np.abs(d)
    curvature = (
        150.0 * np.exp(-2.0 * rho) * (2.0 / rho + 4.0 + 2.0 / rho**2) / rho * rho
    )  # U0 e^{-ρ/λ} (1/λ² + 2/λρ + 2/ρ²)/ρ, λ = 1/2
    curvature = 150.0 * np.exp(-2.0 * rho) / rho * (4.0 + 4.0 / rho + 2.0 / rho**2)
    stiffness = curvature.sum()
    omega = np.sqrt(stiffness / mass)
    recoil = np.array([[recoil_kernel(model.lattice, [a - b])[0, 0, 2, 2] for b in sites] for a in sites])
    loss = loss_matrix(model.lattice)[2, 2]
    whole = round(10 * 2 * np.pi / omega / 0.001) * 0.001  # ten periods
    found = groups.probe(config.replace(**{"run.duration": whole}))
    assert found.rapidity == pytest.approx(omega * loss / recoil[0, 0], rel=2e-3)
    assert found.loss == pytest.approx(1.5 * loss * stiffness * omega, rel=2e-3)
    assert found.compliance == pytest.approx(curvature @ recoil @ curvature / stiffness, rel=2e-3)


def test_groups_do_not_depend_on_the_run_or_the_clock():
    """Nor on how long the ion flies freely before a collision, or on the unit of time in which everything happens."""
    near = mdlite.load_case("reflection", **{"lattice.size": 20})
    far = near.replace(**{"ion.position.z": -24.0, "run.duration": 3.6})
    assert np.allclose(groups.probe(near), groups.probe(far), rtol=1e-3)
    slow = near.replace(**{"lattice.mass": 14.0, "ion.mass.z": 2.8, "ion.velocity.z": 5.0, "run.duration": 3.6, "run.dt": 0.001})
    assert np.allclose(groups.probe(near), groups.probe(slow), rtol=1e-9)


def test_the_patch_loses_what_the_exact_equation_loses():
    found = comparison.compare(mdlite.load_case("trapped", **{"lattice.size": 20, "run.duration": 1.4}))
    assert abs(found["patch.energy_loss"]) < 2e-3 and abs(found["patch.path"]) < 2e-3
    assert found["time-local.energy_loss"] < -0.1 and found["implicit.energy_loss"] < -0.3


def test_equal_groups_make_equal_errors():
    """Two collisions that share nothing but κ and ν (within 4 %), in unlike potentials: a weak long one and a strong short one."""
    found = []
    for strength, width in ((150.0, 0.5), (14000.0, 0.35)):
        changes = {
            "interaction.potential.strength": strength,
            "interaction.potential.range": width,
            "ion.position.z": -24.0 * width,
        }
        config = mdlite.load_case(
            "reflection", **{"lattice.size": 20, **changes, "run.duration": round(3.6 * width / 0.0005) * 0.0005}
        )
        found.append(comparison.compare(config))
    one, other = found
    assert one["compliance"] == pytest.approx(other["compliance"], rel=0.05) and one["rapidity"] == pytest.approx(
        other["rapidity"], rel=0.05
    )
    for name in ("time-local.energy_loss", "implicit.energy_loss", "time-local.force"):
        assert one[name] == pytest.approx(other[name], abs=0.02)


def test_a_known_law_is_foreseen():
    rng = np.random.default_rng(5)
    kappa, nu, eta = np.exp(rng.uniform(np.log([0.001, 0.05, 0.001]), np.log([1.0, 1.0, 1.0]), (200, 3))).T
    points = {"compliance": kappa, "rapidity": nu, "loss": eta}
    for method in estimate.METHODS:
        points[f"{method}.stopped"] = np.zeros(200)
        for quantity in ("energy_loss", "force"):
            points[f"{method}.{quantity}"] = 0.5 * kappa - 0.3 * nu**2 + 0.01 * rng.standard_normal(200)
        points[f"{method}.path"] = kappa * np.exp(0.2 * rng.standard_normal(200))
    fit = estimate.Surrogates({name: list(values) for name, values in points.items()}, "cold")
    told = fit.cross_validation()["time-local.energy_loss"]
    assert told["median_miss"] < 0.02 and told["rms_error"] > 0.1
    inside, new = 0, np.exp(rng.uniform(np.log([0.003, 0.08, 0.003]), np.log([0.5, 0.8, 0.5]), (100, 3)))
    for k, n, e in new:
        expected = fit.expect("time-local", "energy_loss", fit.place(groups.Groups(k, n, e)))
        inside += expected.low <= 0.5 * k - 0.3 * n**2 + 0.01 * rng.standard_normal() <= expected.high
    assert 65 <= inside <= 97
    assert fit.distance(fit.place(groups.Groups(30.0, 9.0, 50.0))) > estimate.FAR


@pytest.mark.parametrize("speed", [2.0, 5.0, 9.0])
def test_throws_are_foreseen(speed):
    """In three dimensions, by the map of the package, which has only seen ions on lines."""
    start = np.array([0.71, 0.57, 0.42]) * speed
    config = mdlite.load_case(
        "throw", **{"lattice.size": 20, "ion.velocity": start.tolist(), "run.duration": 0.8, "ion.mass": 0.7}
    )
    told, found = mdlite.validity(config), comparison.compare(config)
    assert not told.outside
    for method in ("time-local", "implicit"):
        force = told.expected[method]["force"]
        assert abs(found[f"{method}.force"] - force.error) < max(0.05, 2.0 * (force.high - force.low))
        path = told.expected[method]["path"]
        assert 0.2 * path.low < found[f"{method}.path"] < 5.0 * path.high


def test_what_validity_says():
    good = mdlite.load_case("reflection", **{"ion.velocity.z": 0.5, "run.duration": 36.0, "run.dt": 0.005, "lattice.size": 20})
    bad = mdlite.load_case("throw")
    assert mdlite.validity(good).worst < 0.1 and "time-local is good to" in str(mdlite.validity(good))
    assert mdlite.validity(bad).worst > 0.1 and "take method patch" in str(mdlite.validity(bad))
    assert estimate.warning(good) is None
    told = []
    mdlite.run(bad.replace(method="time-local", **{"run.duration": 0.1}), notice=told.append)
    assert any("expected errors" in line and "take method patch" in line for line in told)
    hot = mdlite.validity(mdlite.load_case("diffusion", **{"thermal.statistics": "classical"}))
    ratio = hot.expected["time-local"]["temperature"]
    assert ratio.low < -0.36 < ratio.high, "issue 3 measured T_ion/T = 0.64"
    nothing = mdlite.validity(mdlite.load_case("trapped", **{"ion.velocity.z": 0.0}))
    assert nothing.worst == 0.0


@pytest.mark.parametrize(
    "change, message",
    [({"lattice.k2": 0.0}, "lattice.k2 = 0"), (None, "is not a map of validity"), ("gone", "can not be read")],
)
def test_what_validity_refuses(tmp_path, change, message):
    file = tmp_path / "x.json"
    file.write_text('{"points": 3}')
    config = mdlite.load_case("trapped", method="reference", **(change if isinstance(change, dict) else {}))
    data = None if isinstance(change, dict) else tmp_path / "gone.json" if change else file
    with pytest.raises(mdlite.InputError, match=message):
        mdlite.validity(config, data)


def test_a_small_map_and_how_it_goes_on(tmp_path):
    config = mdlite.load_case("map", **{"validate.map": "quick"})
    found = mdlite.validate(config, tmp_path / "m")
    assert found["points"] == {"collisions": 6, "trapped": 12, "thermal": 2}
    assert all(row["patch.temperature"] == pytest.approx(0.0, abs=0.2) for row in found["thermal"])
    shares = found["shares"]
    assert shares["patch.energy_loss"]["below_1_percent"] > 0.9 > shares["time-local.energy_loss"]["below_10_percent"]
    ages = {path: path.stat().st_mtime_ns for path in (tmp_path / "m").glob("*/points/*/result.json")}
    for name in found["files"]:
        (tmp_path / "m" / name).unlink()
    again = mdlite.validate(config, tmp_path / "m")  # as after a stop
    assert {path: path.stat().st_mtime_ns for path in ages} == ages
    assert json.dumps(again["cells"]) == json.dumps(found["cells"])
    with pytest.raises(mdlite.InputError, match="is not empty"):
        mdlite.validate(config, tmp_path / "m")
    with pytest.raises(mdlite.InputError, match="the map makes its points itself"):
        mdlite.validate(config.replace(**{"lattice.k1": 500.0}), tmp_path / "n")


def test_typical_errors():
    import pandas

    assert map_report.typical(pandas.Series([0.3, -0.4])) == pytest.approx(np.sqrt(0.125))
    assert map_report.typical(pandas.Series([0.0, np.nan, 5.0])) == pytest.approx(np.sqrt(2.0 / 3.0)), "stopped, or beyond 100 %"


def test_percentages_have_no_exponents():
    assert str(estimate.Expected(-1.0, -1.0, 12.3)) == "-100 % (-100 to +1200)"
    assert str(estimate.Expected(0.39, 0.371, 0.42)) == "39 % (37 to 42)"
