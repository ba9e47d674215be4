"""How good the time-local method is expected to be: dimensionless groups of a configuration, fits of measured errors, small oscillations."""
