"""Jitted kernels of mdlite, imported as ``mdlite.kernels``.

Pure functions on plain arrays: no input or output, no classes but argument bundles (`types`). A module here imports
only ``math``, ``numpy``, ``numba``, ``typing`` and its siblings; a test enforces it. Units are meV, Å and ps throughout, so a
mass is in meV ps²/Å² and a spring constant or force in meV/Å² or meV/Å.
"""

from mdlite.settings import check

check()
