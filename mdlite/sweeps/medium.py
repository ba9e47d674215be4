"""Task ``medium`` of a sweep: what a crystal is to an ion, without any run: sound, L, W(0), and the groups of the configured ion in the largest void."""

from __future__ import annotations

import copy
import functools
import time
from pathlib import Path
from typing import Any

import numpy as np

from mdlite import config
from mdlite.config import Config
from mdlite.config.crystal_section import located
from mdlite.crystals import dynamics, response, rigid_ion, voids
from mdlite.crystals.dynamics import Medium
from mdlite.errors import InputError
from mdlite.units import terahertz

UNITS = {
    "atoms": "",
    "volume": "Angstrom^3",
    "neighbours": "",
    "reach": "Angstrom",
    "frequency_max": "THz",
    "frequency_optical": "THz",
    "sound_slowest": "Angstrom/ps",
    "sound_fastest": "Angstrom/ps",
    **{f"loss_{name}": "Angstrom^2 ps/meV" for name in ("xx", "yy", "zz", "yz", "xz", "xy")},
    "recoil": "Angstrom^2/meV",
    "recoil_near": "Angstrom^2/meV",
    "void_a": "",
    "void_b": "",
    "void_c": "",
    "void_radius": "Angstrom",
    "void_neighbours": "",
    "ion_atoms": "",
    "ion_force": "meV/Angstrom",
    "ion_axes": "",
    "ion_frequency_softest": "THz",
    "ion_frequency_stiffest": "THz",
    "compliance": "",
    "compliance_least": "",
    "compliance_most": "",
    "rapidity": "",
    "rapidity_least": "",
    "rapidity_most": "",
    "seconds": "s",
}
"""Every number of `measure`, and its unit."""
TOLERANCE = 1e-8
"""Of W(0), over its largest element."""
UNUSED = ("method", "response", "thermal", "memory", "patch", "run", "snapshots", "validate")
"""Tables and keys of a configuration that the task does not look at."""
STAND_INS = {"method": "rigid", "run": {"dt": 1e-3, "duration": 1e-3}}
"""For those that a configuration must have."""
DIRECTIONS = 1000
"""In which sound is looked at, before the search from the slowest and the fastest."""


def base(data: dict[str, Any], folder: str | Path) -> dict[str, Any]:
    """The tables of a sweep's base as points of this task begin with them: paths absolute, a mass for each axis, so that ``ion.mass.z`` is a key."""
    start = located(copy.deepcopy(data), folder)
    ion = start.setdefault("ion", {})
    if isinstance(ion, dict):
        mass = ion.get("mass", Config.model_fields["ion"].annotation.model_fields["mass"].default)  # type: ignore[union-attr]
        ion["mass"] = list(mass) if isinstance(mass, list | tuple) else [mass] * 3
    return start


def settings(start: dict[str, Any], folder: str | Path, changes: dict[str, Any]) -> Config:
    """The configuration of a point: ``changes`` of a `base`, by dotted keys, paths in them relative to ``folder``, and stand-ins for what is not used.

    Keys of a [crystal] among them take the place of the base's [lattice]. The crystal is not looked at: whether it can be read is the point's
    own affair. Raises InputError.
    """
    data = copy.deepcopy(start)
    if any(key.split(".")[0] == "crystal" for key in changes) and not any(key.split(".")[0] == "lattice" for key in changes):
        data.pop("lattice", None)
    for key, value in changes.items():
        config.set_key(data, key, value)
    data = {key: value for key, value in data.items() if key not in UNUSED} | STAND_INS
    if isinstance(data.get("ion"), dict):
        middle = {"position": [0.0] * 3} if "crystal" in data else {"position": [0.5] * 3, "coordinates": "fractional"}
        data["ion"] = {
            key: value for key, value in data["ion"].items() if key not in ("position", "velocity", "coordinates")
        } | middle
    if isinstance(data.get("lattice"), dict):
        data["lattice"] = {key: value for key, value in data["lattice"].items() if key not in ("boundary", "absorber_width")}
    atoms = data["interaction"].get("atoms") if isinstance(data.get("interaction"), dict) else None
    kind = atoms.get("kind") if isinstance(atoms, dict) else None
    if kind in ("sites", "shell"):
        raise InputError(
            f'interaction.atoms.kind = "{kind}": must be "cutoff" for task = "medium", which takes the atoms within a sphere; give it with a radius '
            '(the whole table: "interaction.atoms" = { kind = "cutoff", radius = 5.0 })'
        )
    return config.parse(data, start=False, medium=True, folder=folder)


def measure(settings: Config) -> dict[str, float | None]:
    """The numbers of a configuration's crystal and ion, by the names in UNITS; None where one has no meaning. Raises InputError.

    ``recoil``: trace of W_κκ(0) over 3, mean of all atoms; ``recoil_near``: of those that touch the largest void. ``ion_...``, ``compliance`` and
    ``rapidity``: small oscillations about that void's centre in the rigid crystal (`mdlite.crystals.rigid_ion`). A frequency is negative where
    the place is unstable along an axis; ``ion_axes`` counts the stable ones, over which κ and ν are averaged, the least and the most given too. With
    no atom within the cut-off there are none of these.
    """
    began = time.perf_counter()
    medium = settings.to_medium()
    void = voids.largest_void(medium)
    own, recoil = _of_crystal(medium)
    found = own | {
        "recoil_near": float(recoil[void.neighbours[:, 3]].mean()),
        **{f"void_{axis}": float(x) for axis, x in zip("abc", void.position)},
        "void_radius": void.radius,
        "void_neighbours": len(void.neighbours),
        "ion_atoms": 0,
    }
    interaction = interaction_of(settings)
    if void.radius < interaction.atoms.cutoff:
        ion = rigid_ion.rest(medium, interaction, settings.ion.mass, void.place)
        found |= {"ion_atoms": len(ion.sites), "ion_force": float(np.linalg.norm(ion.force))} | _of_swings(ion.swings)
    found["seconds"] = time.perf_counter() - began
    told = {name: found.get(name) for name in UNITS}
    return {name: None if value is None or not np.isfinite(value) else float(value) for name, value in told.items()}


def interaction_of(settings: Config) -> Any:
    """The interaction of a configuration with either kind of crystal, `mdlite.physics.interaction.Interaction`."""
    cubic = settings if settings.crystal is None else settings.model_copy(update={"crystal": None, "lattice": _any_lattice()})
    return cubic.to_model().interaction


def _any_lattice() -> Any:
    return Config.model_fields["lattice"].get_default(call_default_factory=True)


@functools.lru_cache(maxsize=8)
def _of_crystal(medium: Medium) -> tuple[dict[str, Any], np.ndarray]:
    """What does not depend on the ion; a third of the trace of every atom's W(0), (p,), Å²/meV."""
    crystal = dynamics.general(medium)
    slowest, fastest = sound(medium)
    loss = response.loss_matrix(medium)
    loss[np.abs(loss) < 1e-12 * np.abs(loss).max()] = 0.0
    own = response.static_recoil(medium, [[k, k, 0, 0, 0] for k in range(crystal.n_basis)], TOLERANCE)
    recoil = np.trace(own, axis1=1, axis2=2) / 3.0
    optical = terahertz(float(dynamics.frequencies(crystal, np.zeros(3))[3])) if crystal.n_basis > 1 else None
    found = {
        "atoms": crystal.n_basis,
        "volume": crystal.volume,
        "neighbours": int(crystal.neighbours.max()),
        "reach": crystal.reach,
        "frequency_max": terahertz(dynamics.omega_max(medium)),
        "frequency_optical": optical,
        "sound_slowest": slowest,
        "sound_fastest": fastest,
        **{f"loss_{'xyz'[i]}{'xyz'[j]}": float(loss[i, j]) for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))},
        "recoil": float(recoil.mean()),
    }
    return found, recoil


def sound(medium: Medium) -> tuple[float, float]:
    """The slowest and the fastest sound of all directions, Å/ps, to some six digits."""
    start = np.concatenate([dynamics.directions(DIRECTIONS), np.eye(3)])
    squares = np.linalg.eigvalsh(dynamics.acoustic_tensor(medium, start))
    around = np.stack(np.meshgrid(*[[0.0, -1.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for branch, pick in ((0, np.argmin), (2, np.argmax)):
        best, step = start[pick(squares[:, branch])], 0.1
        for _ in range(14):
            near = best + step * around
            near /= np.linalg.norm(near, axis=1, keepdims=True)
            values = np.linalg.eigvalsh(dynamics.acoustic_tensor(medium, near))[:, branch]
            best, step = near[pick(values)], 0.5 * step
        found.append(float(np.sqrt(max(values[pick(values)], 0.0))))
    return found[0], found[1]


def _of_swings(swings: list[rigid_ion.Swing]) -> dict[str, Any]:
    stable = [swing for swing in swings if np.isfinite(swing.compliance)]
    roots = [terahertz(float(dynamics.signed_root(np.array(swing.square)))) for swing in swings]
    told: dict[str, Any] = {
        "ion_axes": len(stable),
        "ion_frequency_softest": min(roots, default=None),
        "ion_frequency_stiffest": max(roots, default=None),
    }
    for name in ("compliance", "rapidity"):
        values = [getattr(swing, name) for swing in stable]
        told |= {
            name: float(np.mean(values)) if values else None,
            f"{name}_least": min(values, default=None),
            f"{name}_most": max(values, default=None),
        }
    return told
