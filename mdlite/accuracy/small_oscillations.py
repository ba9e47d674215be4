"""Small oscillations of the ion about a place where it rests, without any time stepping: complex frequencies of the exact equation and of the rungs.

Exact, with the atoms' Hessians H_j at rest and Ĝ(ω) = ∫_0^∞ G(t) e^{iωt} dt of the infinite crystal, for an ion that moves as e^{-iωt}:

    M ω² = K(ω),    K = Σ_jk [H (1 + Ĝ(ω) H)^{-1}]_jk

The root ω = ω_0 - iγ lies below the real axis, where Ĝ is continued by a polynomial; the energy decays at the rate 2γ. A rung is linearised
numerically: F = -K R - Γ Ṙ gives M ω² + iωΓ - K = 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mdlite.engines.base import Setup
from mdlite.engines.timelocal import TimeLocalEngine, relaxed
from mdlite.errors import RunError
from mdlite.physics import propagator
from mdlite.physics.model import Model

TIME, STEPS = 750.0, 2400
"""Length of the response that is transformed, in radians of Ω_max, and its steps (24 ps, 0.01 ps by default); the later half is faded out."""
SMALL = 3e-5
"""Displacement that a rung is linearised with, in lattice constants; the velocity is 0.3 of it times Ω_max."""
NODES = 16
SPREAD = 0.25
"""Half width of the real interval that Ĝ is continued from, relative to the frequency."""


class Mode(NamedTuple):
    """A damped oscillation: angular frequency (rad/ps), period (ps), and decay rate of its energy (1/ps)."""

    omega: float
    period: float
    rate: float


def _mode(root: complex) -> Mode:
    return Mode(float(root.real), float(2.0 * np.pi / root.real), float(-2.0 * root.imag))


def rung_mode(model: Model, method: str, axis: int) -> Mode:
    """The mode of a time-local rung about the model's ion position, along ``axis``. Raises RunError where it is no stable place."""
    force, place = _force(model, method)
    h = SMALL * model.lattice.spacing
    w = 0.3 * h * model.lattice.omega_max
    stiffness = -(force(place + h * np.eye(3)[axis], 0.0)[axis] - force(place - h * np.eye(3)[axis], 0.0)[axis]) / (2.0 * h)
    friction = -(force(place, w)[axis] - force(place, -w)[axis]) / (2.0 * w)
    mass = model.ion.mass[axis]
    if not stiffness > 0.0:
        raise RunError(f"the ion is not bound at {place.tolist()} Å along {'xyz'[axis]}: stiffness {stiffness:.4g} meV/Å²")
    return _mode(complex(np.sqrt(stiffness / mass - (0.5 * friction / mass) ** 2 + 0j)) - 0.5j * friction / mass)


def _force(model: Model, method: str):
    """F(R, velocity along the moving axes) of a rung at T = 0, in meV/Å."""
    engine = TimeLocalEngine(Setup(model, 1.0, method=method))
    moving = model.ion.inverse_mass > 0.0

    def force(position, speed):
        return engine.force_at(position, speed * moving)

    return force, np.array(model.ion.position)


def transform(model: Model, omega: np.ndarray) -> np.ndarray:
    """Ĝ(ω) between the candidate atoms for real ω (n,) in rad/ps: complex (n, 3A, 3A), Å²/meV.

    The response to 12 ps (at the default constants), and faded out over 12 more: what that leaves out oscillates at the band's own singular
    frequencies, and is of no
    weight away from them.
    """
    offsets = model.offsets
    n, part = len(offsets), np.arange(STEPS + 1) / STEPS
    step = TIME / STEPS / model.lattice.omega_max
    fade = np.where(part < 0.5, 1.0, 0.5 * (1.0 + np.cos(2.0 * np.pi * (part - 0.5))))
    waves = np.exp(1j * np.outer(omega, step * np.arange(STEPS + 1))) * fade * step * _end_weights(STEPS + 1)
    found = propagator.transformed(model.lattice, (offsets[:, None] - offsets[None]).reshape(-1, 3), waves, step)
    return found.reshape(len(omega), n, n, 3, 3).swapaxes(2, 3).reshape(len(omega), 3 * n, 3 * n)


def _end_weights(count: int) -> np.ndarray:
    """Weights of Gregory's rule: the trapezoidal rule with its end corrected to sixth order (the other end is faded out)."""
    weights = np.ones(count)
    weights[:5] = [95 / 288, 317 / 240, 23 / 30, 793 / 720, 157 / 160]
    return weights


def exact_mode(model: Model, axis: int) -> Mode:
    """The mode of the exact equation in the infinite crystal about the model's ion position, along ``axis``.

    Raises RunError where the framework has no equilibrium with the ion there, or the search does not converge.
    """
    held = relaxed(model)
    n = len(model.offsets)
    hessian = np.zeros((3 * n, 3 * n))
    for j in range(n):
        hessian[3 * j : 3 * j + 3, 3 * j : 3 * j + 3] = held.hessian[j]
    unit = np.zeros(3 * n)
    unit[axis::3] = 1.0
    mass = model.ion.mass[axis]
    root = complex(rung_mode(model, "static", axis).omega)
    for _ in range(20):
        centre, half = root.real, SPREAD * root.real
        angle = np.pi * (np.arange(NODES) + 0.5) / NODES
        nodes, weights = centre + half * np.cos(angle), (-1.0) ** np.arange(NODES) * np.sin(angle)
        values = np.array([unit @ hessian @ np.linalg.solve(np.eye(3 * n) + g @ hessian, unit) for g in transform(model, nodes)])
        before = root
        for _ in range(50):
            share = weights / (root - nodes)  # barycentric interpolation, continued to complex ω
            root = np.sqrt((share @ values) / share.sum() / mass)
        if abs(root - before) < 1e-12 * abs(root):
            return _mode(root)
    raise RunError("the search for the complex frequency does not converge")


def modes(model: Model, axis: int, rungs: list[str]) -> dict[str, Any]:
    """Exact mode and those of the rungs, as far as they exist: {name: {omega_rad_per_ps, period_ps, rate_per_ps}}."""
    found = {}
    for name in ("exact", *rungs):
        try:
            mode = exact_mode(model, axis) if name == "exact" else rung_mode(model, name, axis)
        except RunError:
            continue
        found[name] = {"omega_rad_per_ps": mode.omega, "period_ps": mode.period, "rate_per_ps": mode.rate}
    return found
