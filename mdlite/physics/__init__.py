"""The model and the exact lattice dynamics: crystals, ions, potentials; phonons, response, thermal states."""
