"""The run loop, and the run that comes out of it."""
