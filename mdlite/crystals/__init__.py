"""Any harmonic crystal: reading it, making its force constants sound, its vibrations, its W and L."""
