"""The lattice kernel against the plain one and against other programs, interleaved in one run: rates, medians and spread, as a Markdown table.

    pip install -e '.[peers]'
    python scripts/compare_engines.py [--quick] [--sizes 20 60 100] [--rounds 5] [-o docs/benchmarks.md]

Every peer is first checked: from one state, ten steps later its atoms must be where mdlite's are. A peer that is not installed is left out.
"""

import argparse
import importlib.metadata
import platform
import sys
import time
from pathlib import Path

import numba
import numpy as np

from mdlite import bench
from mdlite.model import Lattice

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
import peers

DT, AMPLITUDE, CHECKED_STEPS = 0.005, 1e-2, 10

ENGINES = {
    # name: (how it is made, how far its atoms may be off in parts of the amplitude, the largest number of atoms)
    "mdlite": (peers.Mdlite, 1e-12, 10**9),
    "mdlite, one step a pass": (lambda *a: peers.Mdlite(*a, in_place=False), 1e-12, 2 * 10**8),
    "plain single pass (yardstick)": (peers.Plain, 1e-12, 2 * 10**8),
    "JAX, jnp.roll": (peers.JaxRoll, 1e-12, 2 * 10**6),
    "LAMMPS, serial": (peers.Lammps, 0.02, 3 * 10**5),
    "LAMMPS, OpenMP": (lambda *a: peers.Lammps(*a, threads=numba.get_num_threads()), 0.02, 3 * 10**5),
    "SciPy sparse, Verlet": (peers.ScipyVerlet, 1e-12, 2 * 10**6),
    "SciPy sparse, RK5 of six stages": (peers.ScipyRungeKutta, 0.01, 2 * 10**6),
    "OpenMM, CPU": (peers.OpenMM, 0.02, 10**5),
}


def start(size):
    """A lattice of size³ and a random state of small amplitude, so that bonds are as linear as the model's springs."""
    lattice, rng = Lattice(size=(size,) * 3), np.random.default_rng(size)
    return lattice, AMPLITUDE * rng.normal(size=(3, *lattice.size)), AMPLITUDE * rng.normal(size=(3, *lattice.size))


def made(size, names, report):
    """The engines of ``names`` that are installed, are not too slow for this size, and agree with mdlite."""
    lattice, u, v = start(size)
    reference = peers.Mdlite(lattice, u, v, DT)
    reference.advance(CHECKED_STEPS)
    expected, out = reference.state()[0].copy(), {}
    for name in names:
        make, tolerance, most = ENGINES[name]
        if lattice.n_atoms > most:
            continue
        try:
            engine = make(lattice, u, v, DT)
        except (ImportError, OSError) as error:
            report(f"{name}: left out, {error}")
            continue
        engine.advance(CHECKED_STEPS)
        off = float(np.abs(engine.state()[0] - expected).max() / AMPLITUDE)
        if not off <= tolerance:
            report(f"{name}: left out, its atoms are {off:.2g} of the amplitude away from mdlite's")
            continue
        out[name] = engine
        report(f"{name}: N = {size}, within {off:.1e} of the amplitude")
    return out


def rates(engines, atoms, rounds, seconds):
    """Atom-steps per second (rounds,) of every engine, in turn."""
    steps, found = {}, {name: [] for name in engines}
    for name, engine in engines.items():
        count, spent = 2, 0.0
        while spent < 0.1 * seconds:
            begin = time.perf_counter()
            engine.advance(count)
            spent = time.perf_counter() - begin
            steps[name], count = count, 2 * count
        steps[name] = 2 * max(1, round(0.5 * steps[name] * seconds / spent))
    for _ in range(rounds):
        for name, engine in engines.items():
            begin = time.perf_counter()
            engine.advance(steps[name])
            found[name].append(atoms * steps[name] / (time.perf_counter() - begin))
    return found


def version(package):
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def page(table, sizes, triad, arguments):
    """The Markdown page."""
    names = [name for name in ENGINES if any(name in table[size] for size in sizes)]
    versions = [v for v in map(version, ("mdlite", "numba", "numpy", "scipy", "jax", "lammps", "openmm")) if v]
    lines = [
        "# Speed of the lattice kernel, and of other programs",
        "",
        f"`python scripts/compare_engines.py {' '.join(arguments)}`, all in one run, in turn: medians over {len(table[sizes[0]]['mdlite'])} rounds of "
        "10⁶ atom-steps per second, and in brackets the least and the most. One atom-step is one step of one atom; of RK5, its six stages together.",
        "",
        f"{bench.processor()}, {numba.get_num_threads()} threads, Python {platform.python_version()}, {', '.join(versions)}. Triad: {triad / 1e9:.1f} GB/s "
        f"with write-allocate ({0.75 * triad / 1e9:.1f} counting 24 bytes), so one pass over a lattice in memory (96 bytes an atom) allows "
        f"{triad / 96e6:.0f} · 10⁶ atom-steps/s.",
        "",
        "| | " + " | ".join(f"N = {size}" for size in sizes) + " |",
        "| --- |" + " ---: |" * len(sizes),
    ]
    for name in names:
        cells = []
        for size in sizes:
            values = table[size].get(name)
            number = lambda x: f"{x / 1e6:.0f}" if x >= 1e7 else f"{x / 1e6:.1f}"  # noqa: E731
            cells.append("" if values is None else f"{number(np.median(values))} ({number(min(values))}-{number(max(values))})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for other in ("plain single pass (yardstick)",):
        ratio = [f"{np.median(table[n]['mdlite']) / np.median(table[n][other]):.2f}" if other in table[n] else "" for n in sizes]
        lines.append("| mdlite over the yardstick | " + " | ".join(ratio) + " |")
    part = [f"{np.median(table[n]['mdlite']) / (triad / 96):.2f}" for n in sizes]
    lines.append("| mdlite over triad / 96 bytes | " + " | ".join(part) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="N = 20 and 40, two short rounds")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 40, 60, 100, 160, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, help="write the page there; default: standard output")
    chosen = parser.parse_args()
    sizes, rounds, seconds = ([20, 40], 2, 0.2) if chosen.quick else (chosen.sizes, chosen.rounds, 1.0)
    report = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    table, triads = {}, []
    for size in sizes:
        triads.append(bench.triad_bandwidth())
        engines = made(size, ENGINES, report)
        table[size] = rates(engines, size**3, rounds, seconds)
        for name, values in table[size].items():
            report(f"N = {size}  {np.median(values) / 1e6:8.1f}  {name}")
        del engines
    text = page(table, sizes, float(np.median(triads)), sys.argv[1:])
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
