"""Linear response without time stepping, against the decay of the exact runs and of the rungs."""

import numpy as np
import pytest

import mdlite
from mdlite import analysis
from mdlite.accuracy import small_oscillations
from mdlite.errors import RunError


@pytest.mark.thorough(only=("heavy",))
@pytest.mark.parametrize("mass, speed, duration", [(0.7, 0.1, 12.0), (14.0, 0.03, 40.0)], ids=["light", "heavy"])
def test_exact_mode_against_the_memory_kernel(mass, speed, duration):
    """Frequency and decay rate of a small oscillation in the time domain agree to 1e-3 (the step's error is extrapolated away)."""
    base = mdlite.load_case(
        "trapped", **{"ion.mass": [np.inf, np.inf, mass], "ion.velocity": [0.0, 0.0, speed], "run.duration": duration}
    )
    mode = small_oscillations.exact_mode(base.to_model(), 2)
    rates, periods = [], []
    for dt in (0.005, 0.0025):
        run = mdlite.run(base.replace(method="memory-kernel", **{"run.dt": dt}))
        passed = analysis.crossings(run.time, run.position[:, 0, 2], run.velocity[:, 0, 2], 10.5)
        window = (0.3 * duration, duration)
        rates.append(analysis.fit_decay(passed.time, passed.velocity**2, window).rate)
        periods.append(analysis.mean_period(passed.time, window))
    rate, period = ((4.0 * b - a) / 3.0 for a, b in (rates, periods))
    assert mode.rate == pytest.approx(rate, rel=1e-3) and mode.period == pytest.approx(period, rel=2e-4)


@pytest.mark.parametrize("method", ["time-local", "implicit"])
def test_rung_modes_against_their_runs(method):
    config = mdlite.load_case("trapped", **{"ion.velocity": [0.0, 0.0, 0.03], "run.duration": 6.0, "run.dt": 0.001}).replace(
        method=method
    )
    mode = small_oscillations.rung_mode(config.to_model(), method, 2)
    run = mdlite.run(config)
    passed = analysis.crossings(run.time, run.position[:, 0, 2], run.velocity[:, 0, 2], 10.5)
    assert mode.rate == pytest.approx(analysis.fit_decay(passed.time, passed.velocity**2, (1.0, 6.0)).rate, rel=1e-3)
    assert mode.period == pytest.approx(analysis.mean_period(passed.time, (1.0, 6.0)), rel=1e-4)


def test_the_sign_of_the_error_changes_with_the_mass():
    """The time-local ion damps a light ion too slowly and a heavy one too fast; the implicit one is right for the heavy ion."""
    off = {}
    for mass in (0.7, 14.0):
        model = mdlite.load_case("trapped", **{"ion.mass": [np.inf, np.inf, mass]}).to_model()
        found = small_oscillations.modes(model, 2, ["time-local", "implicit"])
        off[mass] = [found[name]["rate_per_ps"] / found["exact"]["rate_per_ps"] - 1.0 for name in ("time-local", "implicit")]
    assert off[0.7] == pytest.approx([-0.116, -0.216], abs=0.003)
    assert off[14.0] == pytest.approx([0.116, -0.010], abs=0.003)


def test_transformed_response_at_zero_frequency():
    """Ĝ(0) = W(0), and its slope is L: -i dĜ/dω = ∫ t G dt = ∫ W dt."""
    model = mdlite.load_case("trapped").to_model()
    h = 0.3
    g = small_oscillations.transform(model, np.array([0.0, h]))
    static = mdlite.response.recoil_kernel(model.lattice, [[0, 0, 0], [0, 0, 1], [0, 0, 3]])[:, 0]
    for n, k in enumerate((0, 1, 3)):
        assert np.abs(g[0, :3, 3 * k : 3 * k + 3] - static[n]).max() < 2e-6
    loss = mdlite.response.loss_matrix(model.lattice)[0, 0]
    assert g[1, 2, 2].imag / h == pytest.approx(loss, rel=0.02)


def test_no_place_to_rest():
    model = mdlite.load_case(
        "trapped",
        **{"ion.position": [0.0, 0.0, 10.5], "interaction.potential": {"kind": "yukawa", "strength": -150.0, "range": 0.5}},
    ).to_model()
    with pytest.raises(RunError, match="is not bound"):
        small_oscillations.rung_mode(model, "time-local", 2)


def test_friction_of_the_implicit_closure():
    """Γ = 𝒦 L 𝒦 with 𝒦 = Σ H (1 + W H)⁻¹: what the rung's kernel does, and the limit of the exact equation at low frequency."""
    model = mdlite.load_case("trapped", **{"ion.velocity": [0.0, 0.0, 0.0]}).to_model()
    held, n = mdlite.timelocal.relaxed(model), len(model.offsets)
    hessian = np.zeros((n, 3, n, 3))
    hessian[np.arange(n), :, np.arange(n)] = held.hessian
    hessian = hessian.reshape(3 * n, 3 * n)
    difference = (model.offsets[:, None] - model.offsets[None]).reshape(-1, 3)
    recoil = (
        mdlite.response.recoil_kernel(model.lattice, difference)[:, 0].reshape(n, n, 3, 3).swapaxes(1, 2).reshape(3 * n, 3 * n)
    )
    unit = np.tile(np.eye(3), (n, 1))
    stiffness = unit.T @ hessian @ np.linalg.solve(np.eye(3 * n) + recoil @ hessian, unit)
    friction = (stiffness @ mdlite.response.loss_matrix(model.lattice) @ stiffness)[2, 2]
    force, place = small_oscillations._force(model, "implicit")
    assert -(force(place, 1e-3)[2] - force(place, -1e-3)[2]) / 2e-3 == pytest.approx(friction, rel=1e-4)
    omega = 1.5
    (green,) = small_oscillations.transform(model, np.array([omega]))
    exact = (unit.T @ hessian @ np.linalg.solve(np.eye(3 * n) + green @ hessian, unit))[2, 2]
    assert -exact.imag / omega == pytest.approx(friction, rel=0.01)
