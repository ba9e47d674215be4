"""Pair potentials φ(ρ) between the ion and a framework atom, with φ' and φ''.

To add one: write a function ``(params, rho) -> (φ, φ', φ'')`` below, give it a branch in `evaluate` and a row in `FORMS`. The
configuration, its schema, the checks and the documentation of the parameters follow from that row; a formula for the reader is optional (``FORMULAS``,
where the configuration makes its tables).
"""

import math
from typing import NamedTuple

from mdlite.kernels.jit import bare, inlined
from mdlite.kernels.vectors import greater, lesser, splat


class Parameter(NamedTuple):
    """A number that a potential has."""

    name: str
    unit: str
    positive: bool = True  # whether it must be; otherwise any number will do


class Form(NamedTuple):
    """A kind of potential; its row in `FORMS` is the number by which `evaluate` knows it."""

    name: str
    parameters: tuple[Parameter, ...]  # in the order of ``Coupling.params``


FORMS = (
    Form("yukawa", (Parameter("strength", "meV Angstrom", positive=False), Parameter("range", "Angstrom"))),
    Form("gaussian", (Parameter("strength", "meV", positive=False), Parameter("range", "Angstrom"))),
    Form("lennard-jones", (Parameter("epsilon", "meV"), Parameter("sigma", "Angstrom"))),
    Form("born-mayer", (Parameter("strength", "meV", positive=False), Parameter("range", "Angstrom"))),
)


@bare
def yukawa(params, rho):
    """φ = U0 exp(-ρ/λ)/ρ; params = (U0 in meV Å, λ in Å), ρ in Å."""
    inverse, decay = 1.0 / rho, 1.0 / params[1]
    phi = params[0] * math.exp(rho * -decay) * inverse
    slope = inverse + decay
    return phi, 0.0 - phi * slope, phi * (slope * slope + inverse * inverse)


@bare
def gaussian(params, rho):
    """φ = U0 exp(-ρ²/2λ²); params = (U0 in meV, λ in Å), ρ in Å."""
    inverse2 = 1.0 / (params[1] * params[1])
    phi = params[0] * math.exp(rho * rho * (-0.5 * inverse2))
    return phi, 0.0 - phi * rho * inverse2, phi * (rho * rho * inverse2 - 1.0) * inverse2


@bare
def lennard_jones(params, rho):
    """φ = 4ε[(σ/ρ)¹² - (σ/ρ)⁶]; params = (ε in meV, σ in Å), ρ in Å."""
    inverse = 1.0 / rho
    s2 = params[1] * params[1] * inverse * inverse
    s6 = s2 * s2 * s2
    s12 = s6 * s6
    four = 4.0 * params[0]
    return four * (s12 - s6), four * (6.0 * s6 - 12.0 * s12) * inverse, four * (156.0 * s12 - 42.0 * s6) * inverse * inverse


@bare
def born_mayer(params, rho):
    """φ = A exp(-ρ/λ); params = (A in meV, λ in Å), ρ in Å."""
    decay = 1.0 / params[1]
    phi = params[0] * math.exp(rho * -decay)
    return phi, 0.0 - phi * decay, phi * decay * decay


@bare
def evaluate(form, params, rho):
    """φ, φ', φ'' (meV, meV/Å, meV/Å²) of the potential in row ``form`` of FORMS at the distance rho (Å)."""
    if form == 0:
        return yukawa(params, rho)
    if form == 1:
        return gaussian(params, rho)
    if form == 2:
        return lennard_jones(params, rho)
    return born_mayer(params, rho)


@bare
def switched(coupling, rho):
    """φ S, (φ S)' and (φ S)'': the potential times a quintic that falls from 1 to 0 between switch_start and cutoff.

    S = 1 - 10x³ + 15x⁴ - 6x⁵ with x the fraction of the way; S, S' and S'' are continuous (C²), so the energy is conserved.
    """
    if rho >= coupling.cutoff:
        return 0.0, 0.0, 0.0
    phi, slope, curvature = evaluate(coupling.form, coupling.params, rho)
    if rho <= coupling.switch_start:
        return phi, slope, curvature
    width = coupling.cutoff - coupling.switch_start
    x = (rho - coupling.switch_start) / width
    s = 1.0 - x * x * x * (10.0 - x * (15.0 - 6.0 * x))
    s1 = -30.0 * x * x * (1.0 - x) * (1.0 - x) / width
    s2 = -60.0 * x * (1.0 - x) * (1.0 - 2.0 * x) / (width * width)
    return phi * s, slope * s + phi * s1, curvature * s + 2.0 * slope * s1 + phi * s2


@inlined
def switched_lanes(coupling, rho):
    """`switched` for the distances in a vector (`vectors`)."""
    phi, slope, curvature = evaluate(coupling.form, coupling.params, rho)
    if coupling.cutoff == math.inf:
        return phi, slope, curvature
    width = coupling.cutoff - coupling.switch_start
    x = lesser(greater((rho - coupling.switch_start) / width, splat(0.0)), splat(1.0))  # beyond, S' and S'' are 0 as at its ends
    s = 1.0 - x * x * x * (10.0 - x * (15.0 - 6.0 * x))
    s1 = -30.0 / width * x * x * (1.0 - x) * (1.0 - x)
    s2 = -60.0 / (width * width) * x * (1.0 - x) * (1.0 - 2.0 * x)
    return phi * s, slope * s + phi * s1, curvature * s + 2.0 * slope * s1 + phi * s2
