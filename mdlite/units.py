"""Units: energy meV, length Å, time ps; hence force meV/Å and mass meV ps²/Å². See ARCHITECTURE.md."""

HBAR = 0.6582119569
"""Reduced Planck constant, meV ps (CODATA 2018)."""

BOLTZMANN = 0.08617333262
"""Boltzmann constant, meV/K (CODATA 2018)."""

DALTON = 0.1036426966
"""One dalton (atomic mass unit) in meV ps²/Å²: 1 mass unit here is 9.64853 Da."""
