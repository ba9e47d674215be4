"""The dimensionless groups that decide how good the time-local method is, from the ion's path in a rigid lattice.

With the atoms' forces F_k = ∇_{r_k} U along the path, their Hessians H_k, f_k = dF_k/dt = -H_k Ṙ and S = Σ_k f_k, and averages over time (in η
weighted by the dissipation L|S|², so that free flight counts for nothing):

    compliance κ = <S · Σ_k H_k (W(0) f)_k> / <|S|²>    how much the lattice's yielding changes the force ([17] takes it to first order)
    rapidity   ν = (L / W_000(0)) √(<|Ṡ|²> / <|S|²>)    the crystal's memory time against that of the force ([17] takes ν → 0)
    loss       η = L <|S|²> / (E ω)                      energy lost while the force turns by a radian (ω = √(<|Ṡ|²>/<|S|²>)), over the largest kinetic energy

W(0) φ'' and λ Ω_max/speed of a head-on collision are κ and 1/ν up to numbers; ω L φ'' is their product.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mdlite.config import Config
from mdlite.errors import InputError, RunError
from mdlite.model import Cutoff, Lattice, Model, Shell, Sites
from mdlite.response import loss_matrix, static_recoil
from mdlite.timelocal import TimeLocalEngine

THERMAL_SAMPLES = 32
THERMAL_PS = 2.0
"""ps, of each sample."""
LONGEST, LARGEST = 20_000, 400_000
"""Steps of a probe, and steps times atoms."""
HALVINGS = 8
TOLERANCE = 0.05
"""Of the energy, over the largest kinetic energy."""


class Groups(NamedTuple):
    """compliance κ, rapidity ν, loss η (see the module)."""

    compliance: float
    rapidity: float
    loss: float


def along(model: Model, position: np.ndarray, velocity: np.ndarray, dt: float) -> Groups:
    """The groups of a path in a rigid lattice: position (F, 3) in Å and velocity (F, 3) in Å/ps, frames ``dt`` ps apart.

    The crystal must have W(0) and L (`require`).
    """
    lattice = model.lattice
    n = len(model.offsets)
    recoil, loss, memory = _response(lattice, model.interaction.atoms)
    hessian = _hessians(model, position)
    rates = np.einsum("fkab,fb->fka", hessian, -velocity)
    total = rates.sum(axis=1)
    yielding = (rates.reshape(-1, 3 * n) @ recoil).reshape(-1, n, 3)
    change = np.einsum("fkab,fkb->fa", hessian, yielding)
    weight = np.sum(total**2)
    if not weight > 0.0:
        return Groups(0.0, 0.0, 0.0)
    cell = np.floor(position / lattice.spacing)
    whole = np.all(cell[1:] == cell[:-1], axis=1) if model.coupling().moving else np.ones(len(cell) - 1, bool)
    jerk = np.diff(total, axis=0)[whole] / dt
    omega = np.sqrt(np.sum(jerk**2) / weight)
    kinetic = 0.5 * np.sum(np.where(np.isfinite(model.ion.mass), model.ion.mass, 0.0) * velocity**2, axis=1)
    return Groups(
        float(np.sum(total * change) / weight),
        float(memory * omega),
        float(loss * np.sum(np.sum(total**2, axis=1) ** 2) / weight / (kinetic.max() * omega)) if omega > 0.0 else 0.0,
    )


@functools.lru_cache(maxsize=8)
def _response(lattice: Lattice, atoms: Sites | Shell | Cutoff) -> tuple[np.ndarray, float, float]:
    """W(0) between all candidate atoms (3A, 3A) in Å²/meV, L in Å² ps/meV, and the crystal's memory time L/W_000(0) in ps."""
    offsets = atoms.offsets(lattice.spacing)
    n = len(offsets)
    recoil = static_recoil(lattice, (offsets[:, None] - offsets[None]).reshape(-1, 3)).reshape(n, n, 3, 3)
    loss = float(np.trace(loss_matrix(lattice))) / 3.0
    return recoil.swapaxes(1, 2).reshape(3 * n, 3 * n), loss, loss / float(static_recoil(lattice, [[0, 0, 0]])[0, 0, 0])


def length(model: Model, found: Groups, speed: float) -> float:
    """How far an ion of this speed (Å/ps) goes while the force on the atoms changes, Å: the range of a collision, the amplitude of an oscillation."""
    return speed * _response(model.lattice, model.interaction.atoms)[2] / found.rapidity


def _hessians(model: Model, position: np.ndarray) -> np.ndarray:
    """H_k of the candidate atoms on their sites along a path: (F, A, 3, 3), meV/Å²."""
    spacing = model.lattice.spacing
    cell = np.floor(position / spacing).astype(int) if model.coupling().moving else np.zeros((len(position), 3), int)
    d = (cell[:, None] + model.offsets[None]) * spacing - position[:, None]
    rho = np.linalg.norm(d, axis=2)
    _, slope, curvature = model.interaction.potential.evaluate(rho)
    inside = rho < model.interaction.atoms.cutoff  # a switch's own slope is left out: the potential is small there
    slope, curvature = slope * inside, curvature * inside
    unit = d / rho[..., None]
    across = slope / rho
    return (curvature - across)[..., None, None] * unit[..., :, None] * unit[..., None, :] + across[..., None, None] * np.eye(3)


def probe(config: Config) -> Groups:
    """The groups of a configuration, at T = 0 from its own start, at a temperature from ions thrown at random from there with 2 k_BT.

    Takes milliseconds. Raises InputError for a crystal without W(0), RunError if the ion meets atoms too hard for any step.
    """
    require(config)
    model, dt = config.to_model(), config.run.dt
    most = min(LONGEST, max(10, LARGEST // len(model.offsets)))
    if config.thermal is None:
        return _groups(model, dt, min(config.n_steps, most), most)
    rng = np.random.default_rng(config.thermal.seed)
    spread = np.sqrt(2.0 * config.thermal.scale * model.ion.inverse_mass)
    starts = spread * rng.standard_normal((THERMAL_SAMPLES, 3))
    steps = min(max(10, round(THERMAL_PS / dt)), most)
    ions = [replace(model.ion, velocity=tuple(start)) for start in starts.tolist()]
    return Groups(*np.mean([_groups(replace(model, ion=ion), dt, steps, most) for ion in ions], axis=0).tolist())


def _groups(model: Model, dt: float, steps: int, most: int) -> Groups:
    """Of one rigid run, with a shorter step where its energy is not conserved, of ``most`` steps."""
    for _ in range(HALVINGS):
        engine = TimeLocalEngine(model, "rigid", dt)
        _, path = engine.advance(steps)
        kinetic = model.ion.kinetic_energy(path.velocity)
        total = kinetic + path.interaction
        if np.all(np.isfinite(total)) and np.ptp(total) <= TOLERANCE * kinetic.max():
            return along(model, path.position, path.velocity, dt)
        dt, steps = 0.5 * dt, min(2 * steps, most)
    raise RunError("the ion meets an atom too hard to be followed")


def require(config: Config) -> None:
    """Raise InputError where there are no groups."""
    if config.lattice.k2 == 0.0:
        raise InputError(
            "lattice.k2 = 0: the time-local method needs W(0) and L, which diverge without next-nearest neighbour springs; give k2 > 0"
        )
