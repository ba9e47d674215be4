"""Protocol ``map``: sweeps that measure where the time-local method may be used, and the data that `mdlite.validity` estimates from."""
