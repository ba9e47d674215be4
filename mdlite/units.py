"""Units: energy meV, length Å, time ps; hence force meV/Å and mass meV ps²/Å². See ARCHITECTURE.md."""

HBAR = 0.6582119569
"""Reduced Planck constant, meV ps (CODATA 2018)."""

BOLTZMANN = 0.08617333262
"""Boltzmann constant, meV/K (CODATA 2018)."""

DALTON = 0.1036426966
"""One dalton (atomic mass unit) in meV ps²/Å²: 1 mass unit here is 9.64853 Da."""

TURN = 6.283185307179586
"""rad in a turn: a frequency of 1 THz is 2π rad/ps."""
CM2_PER_S = 1e-4
"""One Å²/ps in cm²/s."""
DIFFUSION_UNITS = "Å²/ps = 10⁻⁴ cm²/s"
"""Of a column or an axis of diffusion coefficients."""


def kelvin(energy: float) -> float:
    """The temperature (K) whose k_B T is ``energy`` (meV)."""
    return energy / BOLTZMANN


def terahertz(omega: float) -> float:
    """The frequency (THz) of ``omega`` (rad/ps)."""
    return omega / TURN


def with_kelvin(energy: float, digits: int = 6) -> str:
    """k_B T, given in meV, in both units: ``25 meV (290 K)``."""
    return f"{energy:.{digits}g} meV ({_whole(kelvin(energy))} K)"


def with_terahertz(omega: float, digits: int = 4) -> str:
    """A frequency, given in rad/ps, in both units: ``31.42 rad/ps (5 THz)``."""
    return f"{omega:.{digits}g} rad/ps ({terahertz(omega):.{digits}g} THz)"


def with_cm2_per_s(diffusion: float, digits: int = 2) -> str:
    """A diffusion coefficient, given in Å²/ps, in both units: ``1.8 Å²/ps (0.00018 cm²/s)``."""
    return f"{diffusion:.{digits}g} Å²/ps ({CM2_PER_S * diffusion:.{digits}g} cm²/s)"


def counted(number: int, name: str) -> str:
    """``1 ion``, ``2 ions``."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _whole(value: float) -> str:
    """To the unit where there are three digits before it, to three significant ones else; never as a power of ten below a million."""
    return f"{value:.0f}" if 100.0 <= abs(value) < 1e6 else f"{value:.3g}"
