"""Crystals of finite reach beside those with dipoles: ``python scripts/dipole_stencils.py FILE ... [--quick]``

For every file that phonopy reads and that has Born charges: neighbours of an atom, sound along z, how far sound is
off at worst among 1000 directions, L, W(0) and frequencies of the stencil
of `mdlite.crystals.stencil` by its radius, over those with dipoles at all distances. Frequencies: the largest difference where some
component of q is a quarter or more, and the root mean square over the whole zone, on a grid of 8³; W(0): of every species with itself,
its trace, as a mean over the same grid. With --quick: one radius, a grid of 4³. Needs phonopy.
"""

import argparse
from pathlib import Path

import common
import numpy as np

from mdlite.crystals import dipoles, dynamics, phonopy_files, response, stencil, sumrules

HEADER = "| radius, Å | neighbours | sound along z | off by | L xx, zz | W(0) | frequencies off Γ, rms, THz |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
OTHERS = ((0.0, 2.0), (1.0, 2.0), (0.5, 1.0), (0.5, 1.5), (0.5, 3.0))
"""Field and sharpness, beside the usual 0.5 and 2, at a radius of 8 Å."""

WAYS = np.random.default_rng(0).normal(size=(1000, 3))
WAYS /= np.linalg.norm(WAYS, axis=1, keepdims=True)


def zone(count: int) -> np.ndarray:
    axis = (np.arange(count) + 0.5) / count - 0.5
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def statics(matrices: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """The mean of D⁻¹ over the grid, its trace for every atom, (p,)."""
    mean = np.linalg.inv(matrices).mean(axis=0).real
    return np.diag(mean).reshape(len(masses), 3).sum(axis=1) / masses


def row(crystal, exact, q: np.ndarray, frequencies: np.ndarray, recoil: np.ndarray, label: str) -> str:
    """One line of the table."""
    speeds = [np.sqrt(np.linalg.eigvalsh(a)) for a in (dynamics.acoustic_tensor(crystal, WAYS), exact.acoustic_tensor(WAYS))]
    worst = 100.0 * np.abs(speeds[0] / speeds[1] - 1.0).max()
    ratio = dynamics.sound_speeds(crystal, [0, 0, 1]) / exact.sound_speeds([0, 0, 1])
    loss = np.diag(response.loss_matrix(crystal) / exact.loss_matrix)
    static = statics(dynamics.dynamical_matrix(crystal, q), crystal.masses) / recoil
    species = {name: f"{name} {static[n]:.3f}" for n, name in enumerate(crystal.species)}
    error = np.abs(dynamics.frequencies(crystal, q) - frequencies) / (2.0 * np.pi)
    away = error[(np.abs(q) >= 0.25).any(axis=1)].max()
    neighbours = "-".join(str(n) for n in sorted({int(crystal.neighbours.min()), int(crystal.neighbours.max())}))
    sound, w = ", ".join(f"{x:.3f}" for x in ratio[[0, 2]]), ", ".join(species.values())
    return f"| {label} | {neighbours} | {sound} | {worst:.1f} % | {loss[0]:.3f}, {loss[2]:.3f} | {w} | {away:.2f}, {np.sqrt((error**2).mean()):.2f} |"


def table(path: Path, quick: bool) -> str:
    """All rows of a file."""
    material = phonopy_files.read(path)
    exact = dipoles.with_dipoles(material)
    q = zone(4 if quick else 8)
    frequencies, recoil = exact.frequencies(q), statics(exact.dynamical_matrix(q), exact.short.masses)
    sound = ", ".join(f"{x:.3f}" for x in exact.sound_speeds([0, 0, 1])[[0, 2]])
    lines = [f"\n{path}: with dipoles, sound along z {sound} Å/ps, L {np.diag(exact.loss_matrix)[[0, 2]]} Å² ps/meV\n", HEADER]
    plain = sumrules.corrected(material.crystal)[0]
    lines.append(row(plain, exact, q, frequencies, recoil, "no dipoles"))
    lines.append(row(stencil.with_sound(material), exact, q, frequencies, recoil, "no dipoles, sound fitted"))
    for radius in (8,) if quick else (6, 7, 8, 10, 12, 14):
        lines.append(row(stencil.of_polar(exact, radius), exact, q, frequencies, recoil, str(radius)))
    for field, sharpness in () if quick else OTHERS:
        found = stencil.of_polar(exact, 8.0, field, sharpness)
        lines.append(row(found, exact, q, frequencies, recoil, f"8, field {field:g}, sharpness {sharpness:g}"))
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="phonopy's yaml files, or folders")
    parser.add_argument("--quick", action="store_true", help="one radius, a coarse grid")
    chosen = parser.parse_args()
    with common.errors():
        for file in chosen.files:
            print(table(file, chosen.quick), flush=True)
