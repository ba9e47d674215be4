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
from scipy.interpolate import CubicSpline

from mdlite.accuracy.foretaste import Path, relaxed_energy
from mdlite.config import Config
from mdlite.errors import InputError, RunError
from mdlite.physics.model import Cutoff, Lattice, Model, Potential, Shell, Sites
from mdlite.physics.response import loss_matrix, static_recoil

THERMAL_SAMPLES = 32
THERMAL_PS = 2.0
"""ps, of each sample."""
SHORTEST, LONGEST, LARGEST = 10, 20_000, 400_000
"""Steps of a probe, at least and at most, and steps times atoms."""
FOLLOWED = 8.0
"""Encounters of a run, at most, that are looked at."""
HALVINGS = 8
STAGES = 5
"""Places on the way over a barrier."""
TABLE = 3000
TOLERANCE = 0.05
"""Of the energy, over the largest kinetic energy."""


class Groups(NamedTuple):
    """compliance κ, rapidity ν, loss η (see the module), and what else orders the errors; NaN where it is not known.

    Of the path in the rigid lattice, all without unit but the last two:

    - mass_ratio: the ion's mass along its path over an atom's.
    - yielding: share of the largest force that the crystal's static yielding takes away, to first order.
    - shift: how far that yielding moves an atom, over the range of the encounter (speed/ω).
    - company: whether atoms are pushed together: |Σ f_k|² over Σ |f_k|², 1 for one atom at a time, less where their forces cancel.
    - directions: how many directions the force has, 1 (on a line) to 3.
    - encounters: how often the force has come and gone in what was looked at; whole_run: in the whole run.
    - dissipated: L ∫|S|² dt over the largest kinetic energy, by the first return to ``validate.centre`` or in the run.
    - hardest: the largest force, meV/Å; liveliest: the largest kinetic energy, meV.

    Of what other rungs make of the same start (T = 0; infinite for an ion that runs away):

    - softening, drag: logarithm of the largest force by the rungs static and time-local over the rigid one's.
    - detour: rms distance between the two paths where the force acts, over the range of the encounter.
    - spent: energy that the time-local ion loses, over the largest kinetic energy.

    At a temperature:

    - barrier: the least rise of the energy on the way to a neighbouring cell, the crystal in equilibrium with the ion all along, over k_BT.
    """

    compliance: float
    rapidity: float
    loss: float
    mass_ratio: float = np.nan
    yielding: float = np.nan
    shift: float = np.nan
    company: float = np.nan
    directions: float = np.nan
    encounters: float = np.nan
    whole_run: float = np.nan
    softening: float = np.nan
    drag: float = np.nan
    detour: float = np.nan
    dissipated: float = np.nan
    spent: float = np.nan
    hardest: float = np.nan
    liveliest: float = np.nan
    barrier: float = np.nan


def along(model: Model, position: np.ndarray, velocity: np.ndarray, dt: float) -> Groups:
    """The groups of a path in a rigid lattice, but those that other rungs tell: position (F, 3) in Å and velocity (F, 3) in Å/ps, frames ``dt`` ps apart.

    The crystal must have W(0) and L (`require`).
    """
    recoil, loss, memory = _response(model.lattice, model.interaction.atoms)
    gradient, hessian = _field(model, position)
    rates = np.einsum("fkab,fb->fka", hessian, -velocity)
    total, force = rates.sum(axis=1), gradient.sum(axis=1)
    square = np.sum(total**2, axis=1)
    weight = square.sum()
    if not weight > 0.0:
        return Groups(0.0, 0.0, 0.0)
    jerk = _jerk(model, position, total, dt)
    omega = np.sqrt(np.sum(jerk**2) / weight)
    mass = np.where(np.isfinite(model.ion.mass), model.ion.mass, 0.0)
    kinetic, speed = 0.5 * np.sum(mass * velocity**2, axis=1).max(), np.sqrt(np.sum(velocity**2, axis=1).max())
    yielded = _times(recoil, gradient)
    change = np.einsum("fkab,fkb->fa", hessian, yielded)
    peak = np.argmax(np.sum(force**2, axis=1))
    spread = force.T @ force
    return Groups(
        compliance=float(np.sum(total * np.einsum("fkab,fkb->fa", hessian, _times(recoil, rates))) / weight),
        rapidity=float(memory * omega),
        loss=float(loss * np.sum(square**2) / weight / (kinetic * omega)) if omega > 0.0 else 0.0,
        mass_ratio=2.0 * kinetic / speed**2 / model.lattice.mass,
        yielding=float(force[peak] @ change[peak] / (force[peak] @ force[peak])),
        shift=float(np.abs(yielded).max() * omega / speed),
        dissipated=float(loss * weight * dt / kinetic),
        company=float(weight / np.sum(rates**2)),
        directions=float(np.trace(spread) ** 2 / np.sum(spread**2)),
        encounters=float(_met(jerk, square, dt)[-1]),
    )


def _times(recoil: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """W(0) times vectors (F, A, 3) of the candidates."""
    return (vectors.reshape(len(vectors), -1) @ recoil).reshape(vectors.shape)


def _jerk(model: Model, position: np.ndarray, total: np.ndarray, dt: float) -> np.ndarray:
    """dS/dt between the frames, (F - 1, 3); zero where a moving set of atoms changes."""
    cell = np.floor(position / model.lattice.spacing)
    whole = np.all(cell[1:] == cell[:-1], axis=1) if model.coupling().moving else np.ones(len(cell) - 1, bool)
    return np.diff(total, axis=0) * whole[:, None] / dt


def _met(jerk: np.ndarray, square: np.ndarray, dt: float) -> np.ndarray:
    """Encounters by every frame but the first, from dS/dt and |S|²."""
    rate, second, fourth = np.cumsum(np.sum(jerk**2, axis=1)), np.cumsum(square[1:]), np.cumsum(square[1:] ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.sqrt(rate / second) * second**2 / fourth) * dt / (2.0 * np.pi)


def encounters(model: Model, position: np.ndarray, velocity: np.ndarray, dt: float) -> np.ndarray:
    """How many encounters a path has had by every frame but the first."""
    total = np.einsum("fkab,fb->fa", _field(model, position)[1], -velocity)
    return _met(_jerk(model, position, total, dt), np.sum(total**2, axis=1), dt)


@functools.lru_cache(maxsize=64)
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


def _field(model: Model, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """∇_r U of the candidate atoms on their sites along a path, (F, A, 3) in meV/Å, and H_k, (F, A, 3, 3) in meV/Å².

    A switch's own slope is left out, as in the groups of the points in ``validity.json``.
    """
    evaluate = functools.partial(_values, model.interaction.potential)
    pairs = model.interaction.expand(model.apart(position), evaluate, switch=False)
    return pairs.gradient, pairs.hessian


def _values(potential: Potential, rho: np.ndarray) -> np.ndarray:
    """φ, φ' and φ'' at many distances, (3, ...): through TABLE of them, where that is less work."""
    if rho.size <= TABLE:
        return potential.evaluate(rho)
    table = np.geomspace(rho.min(), rho.max() * (1.0 + 1e-9), TABLE)
    return CubicSpline(np.log(table), potential.evaluate(table), axis=1)(np.log(rho))


def probe(config: Config) -> Groups:
    """The groups of a configuration, at T = 0 from its own start, at a temperature from ions thrown at random from there with 2 k_BT.

    Takes milliseconds. Raises InputError for a crystal without W(0), RunError if the ion meets atoms too hard for any step.
    """
    require(config)
    model, dt = config.to_model(), config.run.dt
    most = min(LONGEST, max(SHORTEST, LARGEST // len(model.offsets)))
    if config.thermal is None:
        steps = min(max(SHORTEST, config.n_steps), most)  # of one step nothing could be told
        found = _groups(model, dt, steps, most, config.validate_.centre, True)
        whole = found.encounters * config.n_steps / steps
        if found.encounters > FOLLOWED:  # a longer run begins like a short one
            found = _groups(
                model, dt, max(SHORTEST, int(steps * FOLLOWED / found.encounters)), most, config.validate_.centre, True
            )
        return found._replace(whole_run=whole)
    rng = np.random.default_rng(config.thermal.seed)
    spread = np.sqrt(2.0 * config.thermal.scale * model.ion.inverse_mass)
    starts = spread * rng.standard_normal((THERMAL_SAMPLES, 3))
    steps = min(max(SHORTEST, round(THERMAL_PS / dt)), most)
    ions = [replace(model.ion, velocity=tuple(start)) for start in starts.tolist()]
    found = Groups(*np.mean([_groups(replace(model, ion=ion), dt, steps, most) for ion in ions], axis=0).tolist())
    return found._replace(barrier=_barrier(model) / config.thermal.scale)


def _groups(model: Model, dt: float, steps: int, most: int, centre: float | None = None, beside: bool = False) -> Groups:
    """Of one rigid run, with a shorter step where its energy is not conserved, of ``most`` steps; and what other rungs make of it."""
    for _ in range(HALVINGS):
        rigid = Path(model, "rigid", dt, steps)
        total = rigid.kinetic + rigid.interaction
        if np.all(np.isfinite(total)) and np.ptp(total) <= TOLERANCE * rigid.kinetic.max():
            numbers = along(model, rigid.position, rigid.velocity, dt)
            return numbers._replace(**_beside(rigid, dt, numbers, centre)) if beside and numbers.loss > 0.0 else numbers
        dt, steps = 0.5 * dt, min(2 * steps, most)
    raise RunError("the ion meets an atom too hard to be followed")


def _beside(rigid: Path, dt: float, found: Groups, centre: float | None) -> dict[str, float]:
    """What the rungs static and time-local make of the same start."""
    model, steps = rigid.model, len(rigid.time)
    recoil, loss, _ = _response(model.lattice, model.interaction.atoms)
    static, own = (Path(model, rung, dt, steps) for rung in ("static", "time-local"))
    weight, kinetic = np.sum(rigid.force**2, axis=1), float(rigid.kinetic.max())
    apart = np.sum((own.position - static.position) ** 2, axis=1)
    speed = float(np.sqrt(np.sum(rigid.velocity**2, axis=1).max()))
    detour = np.sqrt(np.sum(weight * apart) / weight.sum()) / length(model, found, speed)
    returned = None if centre is None else rigid.back(centre)
    end = steps if returned is None else round(returned[0] / dt)
    total = np.einsum("fkab,fb->fa", _field(model, rigid.position[:end])[1], -rigid.velocity[:end])
    return {
        "softening": float(np.log(static.peak / rigid.peak)),
        "drag": np.inf if own.lost else float(np.log(own.peak / rigid.peak)),
        "detour": np.inf if own.lost else float(detour),
        "dissipated": float(loss * np.sum(total**2) * dt / kinetic),
        "spent": own.spent(centre, rigid.free, recoil) / kinetic,
        "hardest": rigid.peak,
        "liveliest": kinetic,
    }


def _barrier(model: Model) -> float:
    """The least that the way from the ion's start to a neighbouring cell rises, the crystal in equilibrium with the ion all along, meV; infinite
    where there is none."""
    if not model.coupling().moving:
        return np.inf
    recoil, start = _response(model.lattice, model.interaction.atoms)[0], np.array(model.ion.position)
    cell = np.floor(start / model.lattice.spacing)
    rises = []
    for way in np.vstack([np.eye(3), -np.eye(3)]):
        wall = (cell + np.maximum(way, 0.0)) @ np.abs(way) * model.lattice.spacing
        far = (1.0 - 1e-6) * (wall - start @ np.abs(way)) * np.abs(way)
        try:
            energy = [relaxed_energy(model, start + share * far, recoil) for share in np.linspace(0.0, 1.0, STAGES)]
        except RunError:
            continue
        rises.append(max(energy) - energy[0])
    return min(rises, default=np.inf)


def require(config: Config) -> None:
    """Raise InputError where there are no groups."""
    if config.lattice.k2 == 0.0:
        raise InputError(
            "lattice.k2 = 0: the time-local method needs W(0) and L, which diverge without next-nearest neighbour springs; give k2 > 0"
        )
