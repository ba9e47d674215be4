"""Potentials: derivatives against mpmath, the switching's smoothness."""

import math

import mpmath
import numpy as np
import pytest

import mdlite
from mdlite.kernels import potentials
from mdlite.kernels.types import Coupling

EXACT = {
    "yukawa": ((4000.0, 0.5), lambda p, r: p[0] * mpmath.exp(-r / p[1]) / r),
    "gaussian": ((300.0, 0.8), lambda p, r: p[0] * mpmath.exp(-(r**2) / (2 * p[1] ** 2))),
    "lennard-jones": ((20.0, 2.1), lambda p, r: 4 * p[0] * ((p[1] / r) ** 12 - (p[1] / r) ** 6)),
    "born-mayer": ((900.0, 0.35), lambda p, r: p[0] * mpmath.exp(-r / p[1])),
}


def test_every_form_is_tested():
    assert [row[0] for row in potentials.FORMS] == list(EXACT)


@pytest.mark.parametrize("form", potentials.FORMS, ids=lambda form: form.name)
def test_the_configuration_has_a_table_for_every_form(form):
    """With its parameters in their units, and a formula that has all of them."""
    numbers = {parameter.name: 1.5 for parameter in form.parameters}
    config = mdlite.load_case("trapped", **{"interaction.potential": {"kind": form.name} | numbers})
    assert config.to_model().interaction.potential.params == (1.5,) * len(numbers)
    table = type(config.interaction.potential)
    assert table.__doc__.startswith("phi = ") and all(name in table.__doc__ for name in numbers)
    for parameter in form.parameters:
        assert table.model_fields[parameter.name].description == parameter.unit
        other = {"kind": form.name} | numbers | {parameter.name: -1.0}
        if parameter.positive:
            with pytest.raises(mdlite.InputError, match=parameter.name):
                mdlite.load_case("trapped", **{"interaction.potential": other})
        else:
            mdlite.load_case("trapped", **{"interaction.potential": other})


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("rho", [0.7, 1.5, 2.6, 4.4])
def test_values_and_derivatives(kind, rho):
    params, exact = EXACT[kind]
    form = [row[0] for row in potentials.FORMS].index(kind)
    found = potentials.evaluate(form, np.array(params), rho)
    with mpmath.workdps(40):
        expected = [float(mpmath.diff(lambda r: exact([mpmath.mpf(p) for p in params], r), mpmath.mpf(rho), n)) for n in range(3)]
    assert found == pytest.approx(expected, rel=1e-13)


def coupling(start, cutoff):
    return Coupling(
        0,
        np.array([4000.0, 0.5]),
        start,
        cutoff,
        np.zeros((1, 3), np.int64),
        np.zeros((1, 3), np.int64),
        False,
        3.0,
        np.full(3, 9),
    )


def test_switched_potential_is_smooth_and_ends_at_the_cutoff():
    both = coupling(3.0, 4.0)
    for rho in (2.0, 3.0):
        assert potentials.switched(both, rho) == potentials.evaluate(0, both.params, rho)
    for rho in (4.0, 9.0):
        assert potentials.switched(both, rho) == (0.0, 0.0, 0.0)
    eps = 1e-9
    for edge in (3.0, 4.0):
        below, above = potentials.switched(both, edge - eps), potentials.switched(both, edge + eps)
        assert np.allclose(below, above, atol=1e-4 * abs(potentials.evaluate(0, both.params, 3.0)[2]) + 1e-12, rtol=0)


def test_switched_derivatives_are_those_of_the_switched_potential():
    both, h = coupling(3.0, 4.0), 1e-4
    for rho in (3.1, 3.5, 3.9):
        _, slope, curvature = potentials.switched(both, rho)
        values = [potentials.switched(both, rho + n * h)[0] for n in range(-2, 3)]
        assert slope == pytest.approx((values[0] - 8 * values[1] + 8 * values[3] - values[4]) / (12 * h), rel=1e-7, abs=1e-9)
        slopes = [potentials.switched(both, rho + n * h)[1] for n in range(-2, 3)]
        assert curvature == pytest.approx((slopes[0] - 8 * slopes[1] + 8 * slopes[3] - slopes[4]) / (12 * h), rel=1e-7, abs=1e-8)


def test_nothing_is_lost_without_a_cutoff():
    assert potentials.switched(coupling(math.inf, math.inf), 12.0) == potentials.evaluate(0, np.array([4000.0, 0.5]), 12.0)
