"""Speed of the kernels on this machine (`mdlite bench-kernel`, and the benchmarks in ``bench/``)."""

from __future__ import annotations

import time

import numba

from mdlite.errors import InputError
from mdlite.model import Interaction, Ion, Lattice, Model, Potential, Shell
from mdlite.reference import ReferenceEngine


def kernel_rate(size: int, steps: int) -> dict[str, float]:
    """Atom-steps per second of the reference engine for size³ atoms, in one compiled call without sampling, after warm-up.

    Raises InputError for a size below 3, fewer than 1 step, or a lattice that does not fit into memory.
    """
    if size < 3:
        raise InputError(f"size = {size}: must be at least 3")
    if steps < 1:
        raise InputError(f"steps = {steps}: must be at least 1")
    model = Model(
        Lattice(size=(size, size, size)),
        Ion(position=(1.5, 1.5, 1.5)),
        Interaction(Potential("yukawa", (4000.0, 0.5)), Shell(1)),
    )
    engine = ReferenceEngine(model, dt=0.005, sample_every=2**62)
    engine.advance(2)
    begin = time.perf_counter()
    engine.advance(steps)
    seconds = time.perf_counter() - begin
    return {
        "atom_steps_per_s": model.lattice.n_atoms * steps / seconds,
        "seconds": seconds,
        "size": size,
        "steps": steps,
        "threads": numba.get_num_threads(),
    }
