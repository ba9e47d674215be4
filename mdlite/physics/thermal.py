"""Thermal states of the harmonic lattice: every normal mode with its own occupation and phase (section 5 of the theory).

    u_j = (1/√(m N³)) Re Σ_{q≠0,s} ζ_qs ê_qs e^{iq·s_j},     ζ = √(n + ½) √(2ħ/Ω) e^{iφ}

n is drawn from the Bose distribution (``quantum``: zero-point motion included) or n + ½ from the exponential one with mean
k_B T/ħΩ (``classical``), φ is uniform. q and -q are independent; the real part is taken after the sum, by FFT.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mdlite.physics.model import Lattice
from mdlite.physics.phonons import dynamical_matrix
from mdlite.units import HBAR

Statistics = Literal["quantum", "classical"]


def occupation(omega: np.ndarray, energy: float, statistics: Statistics, rng: np.random.Generator) -> np.ndarray:
    """n + ½ drawn for modes of frequency ``omega`` (rad/ps) at k_B T = ``energy`` (meV); 0 where omega is 0."""
    uniform = 1.0 - rng.random(omega.shape)  # (0, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = -np.log(uniform) * energy / (HBAR * omega)  # exponential variable, mean k_B T/ħΩ
        drawn = np.floor(scaled) + 0.5 if statistics == "quantum" else scaled
    return np.where(omega > 0.0, drawn, 0.0)


def thermal_state(
    lattice: Lattice, energy: float, statistics: Statistics, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and velocities (3, Nx, Ny, Nz), Å and Å/ps, of one thermal state at k_B T = ``energy`` (meV).

    The modes at q = 0 (rigid shifts) are left at rest. Memory peaks at about 160 bytes per atom.
    """
    nx, ny, nz = lattice.size
    u = np.zeros((3, nx, ny, nz), complex)
    v = np.zeros((3, nx, ny, nz), complex)
    axes = [2.0 * np.pi * np.arange(n) / n for n in lattice.size]
    y, z = np.meshgrid(axes[1], axes[2], indexing="ij")
    for plane, x in enumerate(axes[0]):  # a plane of q at a time keeps the eigenvectors small
        theta = np.stack([np.full_like(y, x), y, z], axis=-1)
        squares, modes = np.linalg.eigh(dynamical_matrix(lattice, theta))
        omega = np.sqrt(squares.clip(min=0.0))
        if plane == 0:
            omega[0, 0] = 0.0
        half = occupation(omega, energy, statistics, rng)
        phase = np.exp(2j * np.pi * rng.random(omega.shape))
        zeta = np.sqrt(half * 2.0 * HBAR / np.where(omega > 0.0, omega, 1.0)) * phase
        u[:, plane] = np.einsum("yzcs,yzs->cyz", modes, zeta)
        v[:, plane] = np.einsum("yzcs,yzs->cyz", modes, -1j * omega * zeta)
    scale = np.sqrt(lattice.n_atoms / lattice.mass)  # the inverse FFT divides by N³
    return _to_sites(u, scale), _to_sites(v, scale)


def _to_sites(field: np.ndarray, scale: float) -> np.ndarray:
    """Re Σ_q A(q) e^{iq·s}/√(m N³) of (3, Nx, Ny, Nz), one component at a time."""
    from scipy import fft

    out = np.empty(field.shape)
    for c in range(3):
        out[c] = scale * fft.ifftn(field[c], overwrite_x=True, workers=-1).real
    return out


def variances(lattice: Lattice, energy: float, statistics: Statistics) -> tuple[float, float]:
    """<u²> in Å² and <u̇²> in Å²/ps², per component, of the periodic lattice of lattice.size at k_B T = ``energy`` (meV).

    Quantum: (ħ/2m) <coth(ħΩ/2k_BT)/Ω> and (ħ/2m) <Ω coth(ħΩ/2k_BT)>, averages over all 3N³ modes with q = 0 counted as
    none; classical: k_BT/m <1/Ω²> and k_BT/m.
    """
    from mdlite.physics.response import zone_octant

    theta, weight = zone_octant(lattice.size, with_zero=False)
    omega = np.sqrt(np.linalg.eigvalsh(dynamical_matrix(lattice, theta)))
    if statistics == "quantum":
        mean = 0.5 / np.tanh(0.5 * HBAR * omega / energy)  # n + ½
    else:
        mean = energy / (HBAR * omega)
    u2, v2 = (HBAR / lattice.mass * (weight @ (mean * omega**power)).mean() for power in (-1, 1))
    return float(u2), float(v2)
