"""The lattice kernel against the plain one and against other programs, interleaved in one run: rates, medians and spread, as a Markdown table.

    pip install -e '.[peers]'
    python scripts/compare_engines.py [--quick] [--sizes 20 60 100] [--rounds 5] [-o docs/benchmarks.md]

Every peer is first checked: from one state, ten steps later its atoms must be where mdlite's are. A peer that is not installed is left out.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mdlite.physics.model import Lattice

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
    "LAMMPS, OpenMP": (lambda *a: peers.Lammps(*a, threads=len(os.sched_getaffinity(0))), 0.02, 3 * 10**5),
    "SciPy sparse, Verlet": (peers.ScipyVerlet, 1e-12, 2 * 10**6),
    "SciPy sparse, RK5 of six stages": (peers.ScipyRungeKutta, 0.01, 2 * 10**6),
    "OpenMM, CPU": (peers.OpenMM, 0.02, 10**5),
}


def start(size):
    """A lattice of size³ and a random state of small amplitude, so that bonds are as linear as the model's springs."""
    lattice, rng = Lattice(size=(size,) * 3), np.random.default_rng(size)
    return lattice, AMPLITUDE * rng.normal(size=(3, *lattice.size)), AMPLITUDE * rng.normal(size=(3, *lattice.size))


class Worker:
    """One engine in a process of its own, so that no program's threads are in another's way; it works only while it is asked to."""

    def __init__(self, name, size, folder):
        command = [sys.executable, __file__, "--worker", name, "--sizes", str(size), "-o", str(folder / "state.npy")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.greeting = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        while line and not line.startswith("answer "):  # a program may print things
            line = self.process.stdout.readline()
        return json.loads(line.removeprefix("answer ")) if line else "it died"

    def seconds(self, steps):
        """Wall time of so many steps."""
        print(steps, file=self.process.stdin, flush=True)
        return float(self._answer())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def work(name, size, state):
    """The worker's side: make the engine, take the steps that are checked, save the state, then time what is asked for."""
    answer = lambda x: print("answer", json.dumps(x), flush=True)  # noqa: E731
    lattice, u, v = start(size)
    try:
        engine = ENGINES[name][0](lattice, u, v, DT)
        engine.advance(CHECKED_STEPS)
        np.save(state, engine.state()[0])
    except Exception as error:  # whatever goes wrong in another program, it is left out
        answer(f"{type(error).__name__}: {error}")
        return
    answer(None)
    for line in sys.stdin:
        begin = time.perf_counter()
        engine.advance(int(line))
        answer(time.perf_counter() - begin)


def made(size, report):
    """Workers with the engines that are installed, not too slow for this size, and in agreement with the first, mdlite."""
    expected, out = None, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, tolerance, most) in ENGINES.items():
            if size**3 > most:
                continue
            worker = Worker(name, size, Path(folder))
            if worker.greeting is not None:
                report(f"{name}: left out, {worker.greeting}")
                worker.stop()
                continue
            found = np.load(Path(folder) / "state.npy")
            expected = found if expected is None else expected
            off = float(np.abs(found - expected).max() / AMPLITUDE)
            if not off <= tolerance:
                report(f"{name}: left out, its atoms are {off:.2g} of the amplitude away from mdlite's")
                worker.stop()
                continue
            out[name] = worker
            report(f"{name}: N = {size}, within {off:.1e} of the amplitude")
    return out


def rates(workers, atoms, rounds, seconds):
    """Atom-steps per second (rounds,) of every engine, in turn."""
    steps, found = {}, {name: [] for name in workers}
    for name, worker in workers.items():
        count, spent = 2, worker.seconds(2)
        while spent < 0.1 * seconds:
            count *= 2
            spent = worker.seconds(count)
        steps[name] = 2 * max(1, round(0.5 * count * seconds / spent))
    for _ in range(rounds):
        for name, worker in workers.items():
            found[name].append(atoms * steps[name] / worker.seconds(steps[name]))
    return found


def version(package):
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def page(table, sizes, triad, arguments):
    """The Markdown page."""
    from mdlite.engines import speed

    names = [name for name in ENGINES if any(name in table[size] for size in sizes)]
    versions = [v for v in map(version, ("mdlite", "numba", "numpy", "scipy", "jax", "lammps", "openmm")) if v]
    lines = [
        "# Speed of the lattice kernel, and of other programs",
        "",
        f"`python scripts/compare_engines.py {' '.join(arguments)}`, all in one run, in turn: medians over {len(table[sizes[0]]['mdlite'])} rounds of "
        "10⁶ atom-steps per second, and in brackets the least and the most. One atom-step is one step of one atom; of RK5, its six stages together.",
        "",
        f"{speed.processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {', '.join(versions)}. Triad: {triad / 1e9:.1f} GB/s "
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
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        return work(chosen.worker, chosen.sizes[0], chosen.output)
    from mdlite.engines import speed

    sizes, rounds, seconds = ([20, 40], 2, 0.2) if chosen.quick else (chosen.sizes, chosen.rounds, 1.0)
    report = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    table, triads = {}, []
    for size in sizes:
        triads.append(speed.triad_bandwidth())
        workers = made(size, report)
        table[size] = rates(workers, size**3, rounds, seconds)
        for worker in workers.values():
            worker.stop()
        for name, values in table[size].items():
            report(f"N = {size}  {np.median(values) / 1e6:8.1f}  {name}")
    text = page(table, sizes, float(np.median(triads)), sys.argv[1:])
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
