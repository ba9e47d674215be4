"""Speed of the kernels on this machine (`mdlite bench-kernel`, `mdlite doctor`, and the benchmarks in ``bench/``)."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mdlite.crystals.box import Box
from mdlite.crystals.crystal import Crystal
from mdlite.engines import compiling
from mdlite.engines.base import Setup
from mdlite.engines.reference import ReferenceEngine
from mdlite.errors import InputError
from mdlite.kernels import blocks, jit
from mdlite.kernels.peak import CHAINS, multiply_add
from mdlite.kernels.triad import triad
from mdlite.kernels.vectors import WIDTH
from mdlite.machine import core_cache, cores
from mdlite.physics.model import Interaction, Ion, Lattice, Model, Potential, Shell, aligned_zeros

FLOPS_PER_ATOM_STEP = 60
"""Of `mdlite.kernels.stencil`: 30 additions and 15 multiply-adds."""
BYTES_PER_ATOM_STEP = 96
"""The least that one pass over a lattice in memory moves: u read and written, v read and written."""
DOCTOR_SIZES = (20, 60, 160)
MEASURED_ATOMS = 8000
"""Of the box that a crystal's speed is measured with."""
REPEATS = 3
"""Of every measurement."""
LEAST_SHARE, MOST_STEAL, MOST_SPREAD = 0.85, 0.03, 0.3
"""Of a quiet machine: the share of its cores that a compiled loop gets, the share that the host takes, and how much longer the slowest of a few
equal measurements takes than the fastest."""


def bench_model(size: int) -> Model:
    """The lattice that rates are measured with: size³ atoms and an ion at rest in a cube."""
    return Model(
        Lattice(size=(size, size, size)),
        Ion(position=(1.5, 1.5, 1.5)),
        Interaction(Potential("yukawa", (4000.0, 0.5)), Shell(1)),
    )


def prepare(notice: Callable[[str], None] | None = None) -> None:
    """Compile what is measured here, see `mdlite.engines.compiling`."""
    compiling.compile_groups(["reference", "reference-in-turn", "reference-in-place", "triad"], notice)


def kernel_rate(size: int, steps: int, notice: Callable[[str], None] | None = None) -> dict[str, float]:
    """Atom-steps per second of the reference engine for size³ atoms, in one compiled call without sampling, after warm-up.

    Raises InputError for a size below 3, fewer than 1 step, or a lattice that does not fit into memory.
    """
    if size < 3:
        raise InputError(f"size = {size}: must be at least 3")
    if steps < 1:
        raise InputError(f"steps = {steps}: must be at least 1")
    prepare(notice)
    engine = ReferenceEngine(Setup(bench_model(size), dt=0.005, sample_every=2**62))
    engine.advance(2)
    begin, used = time.perf_counter(), time.process_time()
    engine.advance(steps)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    return {
        "atom_steps_per_s": size**3 * steps / seconds,
        "seconds": seconds,
        "core_share": used / (seconds * jit.get_num_threads()),
        "size": size,
        "steps": steps,
        "threads": jit.get_num_threads(),
    }


def triad_bandwidth(bytes_each: int = 320_000_000, repeats: int = 5) -> float:
    """Memory bandwidth in bytes/s of a = b + s c, the median of a few runs, with what reading a's lines before writing them moves (32 bytes)."""
    a, b, c = (aligned_zeros(bytes_each // 8) for _ in range(3))
    for array in (a, b, c):
        array[:] = 1.0
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        triad(a, b, c, 2.0)
        seconds.append(time.perf_counter() - begin)
    return 32 * len(a) / float(np.median(seconds[1:]))


def multiply_add_peak() -> float:
    """Multiply-adds (of float64) per second that all threads can do at most, measured once."""
    numbers, count = np.full(WIDTH * jit.get_num_threads(), 0.5), 2_000_000
    begin = time.perf_counter()
    multiply_add(numbers, count)
    return len(numbers) * CHAINS * count / (time.perf_counter() - begin)


def crystal_rate(box: Box, repeats: int = 5, notice: Callable[[str], None] | None = None) -> dict[str, float]:
    """Steps of a free crystal in a box, medians: ``seconds`` a step, ``atom_steps_per_s``, and ``peak_share``, the share of the multiply-adds that
    the machine could do, measured in turn with them."""
    compiling.compile_groups(["crystal", "peak"], notice)
    u, v = box.fields()
    kicks, stencil = box.kicks(1e-3), box.stencil
    work = 9.0 * box.neighbours * box.n_atoms
    steps, seconds, shares = max(1, int(2e9 / work)), [], []
    for _ in range(repeats + 1):
        peak, begin = multiply_add_peak(), time.perf_counter()
        for _ in range(steps):
            blocks.kick(u, v, stencil, kicks)
            blocks.drift(u, v, stencil, 1e-3)
        seconds.append((time.perf_counter() - begin) / steps)
        shares.append(work / seconds[-1] / peak)
    each = float(np.median(seconds[1:]))
    return {"seconds": each, "atom_steps_per_s": box.n_atoms / each, "peak_share": float(np.median(shares[1:]))}


def multiply_add_rate(crystal: Crystal, notice: Callable[[str], None] | None = None) -> float:
    """Multiply-adds per second of a crystal's steps in a box of a few thousand atoms."""
    edge = max(4, round((MEASURED_ATOMS / crystal.n_basis) ** (1.0 / 3.0)))
    box = Box(crystal, (edge, edge, WIDTH * -(-edge // WIDTH)))
    return 9.0 * box.neighbours * crystal_rate(box, repeats=3, notice=notice)["atom_steps_per_s"]


def vector_bits() -> int:
    """Width of the widest vectors that compiled code uses here."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return 512 if features.get("avx512f") else 256 if features.get("avx2") or features.get("avx") else 128


def examine() -> dict:
    """What `mdlite doctor` reports: the machine, what numba makes of it, measured rates, and advice."""
    bandwidth = triad_bandwidth()
    limit = bandwidth / BYTES_PER_ATOM_STEP
    rates, spread, shares, stolen = {}, {}, [], _steal()
    for size in DOCTOR_SIZES:
        steps = max(4, 30_000_000 // size**3)
        each = [kernel_rate(size, steps) for _ in range(REPEATS)]
        found_rates = [one["atom_steps_per_s"] for one in each]
        rates[size], spread[size] = float(np.median(found_rates)), max(found_rates) / min(found_rates) - 1.0
        shares += [one["core_share"] for one in each if "core_share" in one]
    after = _steal()
    found = {
        "processor": processor(),
        "cores": cores(),
        "threads": jit.get_num_threads(),
        "threading_layer": jit.LAYER,
        "vector_bits": vector_bits(),
        "core_cache_bytes": core_cache(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "triad_bytes_per_s": bandwidth,
        "one_pass_limit_atom_steps_per_s": limit,
        "atom_steps_per_s": rates,
        "spread": spread,
        "core_share": float(np.median(shares)) if shares else None,
        "steal": (after[0] - stolen[0]) / max(1.0, after[1] - stolen[1]),
    }
    return found | {"advice": advise(found)}


def _steal() -> tuple[float, float]:
    """Time that the host of a virtual machine has given to others, and all time, since the start, in ticks; zeros where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = [float(x) for x in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]]
        return fields[7], sum(fields)
    return 0.0, 0.0


def busy(found: dict) -> list[str]:
    """What shows that others used this machine while it was measured; empty on a quiet one.

    The load average alone is no proof: it has the last minute in it, this program's own work too.
    """
    signs = []
    if found["load"] is not None and found["load"] > 0.5 * found["cores"] + found["threads"]:
        signs.append(f"load {found['load']:.1f}")
    share, steal = found.get("core_share"), found.get("steal", 0.0)
    if share is not None and share < LEAST_SHARE:
        signs.append(f"mdlite got {100.0 * share:.0f} % of the time of its cores")
    if steal > MOST_STEAL:
        signs.append(f"the host of this virtual machine took {100.0 * steal:.0f} % of the time")
    spread = max(found.get("spread", {}).values(), default=0.0)
    if spread > MOST_SPREAD:
        signs.append(f"the same work took up to {100.0 * spread:.0f} % longer from one time to the next")
    return signs


def advise(found: dict) -> list[str]:
    """What to change, from the facts of `examine`."""
    advice = []
    if found["threads"] < found["cores"]:
        advice.append(
            f"{found['threads']} of {found['cores']} cores are used: NUMBA_NUM_THREADS={found['cores']} in the environment, or leave it out"
        )
    if found["threads"] > found["cores"]:
        advice.append(f"{found['threads']} threads share {found['cores']} cores: set NUMBA_NUM_THREADS={found['cores']}")
    if found["threading_layer"] == "workqueue":
        advice.append(
            "numba found neither OpenMP nor TBB and starts threads a hundred times more slowly: install libgomp (the package libgomp1) or `pip "
            "install tbb`, and leave NUMBA_THREADING_LAYER out"
        )
    if found["vector_bits"] < 256:
        advice.append("this processor has no wide vectors (AVX): the lattice kernel runs at a fraction of its speed elsewhere")
    large = found["atom_steps_per_s"][DOCTOR_SIZES[-1]]
    if signs := busy(found):
        advice.append(
            f"the machine is busy ({'; '.join(signs)}): other programs take the cores, and these figures are unreliable; measure again when it is quiet"
        )
    elif large < 0.8 * found["one_pass_limit_atom_steps_per_s"]:
        advice.append(
            "large lattices run below what memory allows: look for other programs on this machine, and whether transparent huge pages are off "
            "(/sys/kernel/mm/transparent_hugepage/enabled)"
        )
    return advice or ["nothing: this is what the machine can do"]


def report(found: dict) -> str:
    """The facts of `examine` as text."""
    limit = found["one_pass_limit_atom_steps_per_s"]
    lines = [
        f"processor          {found['processor']}",
        f"cores, threads     {found['cores']}, {found['threads']} (numba's {found['threading_layer']} layer)",
        f"vectors            {found['vector_bits']} bits",
        f"cache of a core    {found['core_cache_bytes'] / 2**20:.2g} MiB",
        f"memory             {found['triad_bytes_per_s'] / 1e9:.1f} GB/s (triad, write-allocate counted)",
        f"one-pass limit     {limit / 1e6:.0f} million atom-steps/s from memory ({BYTES_PER_ATOM_STEP} bytes each)",
    ]
    for size, rate in found["atom_steps_per_s"].items():
        part = f", {100 * rate / limit:.0f} % of the one-pass limit" if size == DOCTOR_SIZES[-1] else " (in cache)"
        lines.append(
            f"N = {size:<14} {rate / 1e6:.0f} million atom-steps/s, {FLOPS_PER_ATOM_STEP * rate / 1e9:.0f} Gflop/s{part}"
        )
    if signs := busy(found):
        lines.insert(0, f"unreliable         the machine is busy: {'; '.join(signs)}")
    return "\n".join([*lines, *(f"to change          {line}" for line in found["advice"])])


def processor() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()
