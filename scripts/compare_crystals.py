"""The step of any crystal against other programs, in turn, in one run: medians, as a Markdown table.

    python scripts/compare_crystals.py [CRYSTAL ...] [--quick] [--sizes 16 32] [--rounds 7]

Every argument is a built-in crystal (silicon unless given), or anything that `mdlite crystal` reads; sizes are cells along each vector. Beside mdlite: velocity Verlet with
SciPy's sparse matrix (CSR), and with hiphive's force-constant calculator (`pip install hiphive`; left out where it is not installed), on 4³ cells because
it takes milliseconds an atom. Each is first checked: its forces are those of mdlite. The last column is the share of the multiply-adds that
the machine can do, measured in turn with the steps.
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np

from mdlite.crystals import sources
from mdlite.crystals.box import Box
from mdlite.engines.compiling import compile_groups
from mdlite.engines.speed import multiply_add_peak
from mdlite.kernels import blocks

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
from peers import crystal_matrix

DT = 1e-3
PEER_CELLS = 4


class Mdlite:
    """Steps of our own kernel."""

    def __init__(self, box: Box, start: np.ndarray):
        self.box, self.stencil, self.kicks = box, box.stencil, box.kicks(DT)
        self.u, self.v = box.fields()
        box.displacements(self.u)[...] = np.moveaxis(start.reshape(*box.size, -1, 3), (3, 4), (0, 1))
        blocks.drift(self.u, self.v, self.stencil, 0.0)

    def step(self) -> None:
        """One."""
        blocks.kick(self.u, self.v, self.stencil, self.kicks)
        blocks.drift(self.u, self.v, self.stencil, DT)

    def velocity(self) -> np.ndarray:
        """(n1 n2 n3 p 3,), Å/ps."""
        return np.moveaxis(self.box.velocities(self.v), (0, 1), (3, 4)).ravel()


class Csr:
    """Velocity Verlet with SciPy's sparse product, on one thread as SciPy has it."""

    def __init__(self, box: Box, start: np.ndarray):
        self.matrix, self.u, self.v = crystal_matrix(box), start.copy(), np.zeros(len(start))

    def step(self) -> None:
        """One."""
        self.v += DT * (self.matrix @ self.u)
        self.u += DT * self.v

    def velocity(self) -> np.ndarray:
        """As `Mdlite.velocity`."""
        return self.v


class Hiphive:
    """Velocity Verlet with hiphive's ASE calculator."""

    def __init__(self, box: Box, start: np.ndarray):
        from ase import Atoms
        from hiphive import ForceConstants
        from hiphive.calculators import ForceConstantCalculator

        found, size = box.crystal, np.array(box.size)
        grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).reshape(-1, 3)
        places = ((grid[:, None] + found.positions) @ found.cell).reshape(-1, 3)
        atoms = Atoms("X" * len(places), positions=places, cell=box.edges, pbc=True)
        weights = np.repeat(np.tile(found.masses, len(grid)), 3)
        dense = -(crystal_matrix(box).toarray() * weights[:, None])
        blocks_of = dense.reshape(len(places), 3, len(places), 3).transpose(0, 2, 1, 3)
        constants = ForceConstants.from_arrays(atoms, fc2_array=blocks_of)
        self.atoms, self.places, self.weights = atoms.copy(), places, weights
        self.atoms.calc = ForceConstantCalculator(constants, max_disp=100.0)
        self.u, self.v = start.copy(), np.zeros(len(start))

    def step(self) -> None:
        """One."""
        self.atoms.set_positions(self.places + self.u.reshape(-1, 3))
        self.v += DT * self.atoms.get_forces().ravel() / self.weights
        self.u += DT * self.v

    def velocity(self) -> np.ndarray:
        """As `Mdlite.velocity`."""
        return self.v


def measure(crystal, size: int, rounds: int, peer) -> dict[str, float]:
    """Seconds a step of mdlite and of a peer, and mdlite's share of the multiply-adds: medians of rounds in turn."""
    box = Box(crystal, (size,) * 3)
    start = 0.01 * np.random.default_rng(size).standard_normal(3 * box.n_atoms)
    ours, other = Mdlite(box, start), peer(box, start)
    ours.step()
    other.step()
    off = np.abs(ours.velocity() - other.velocity()).max() / np.abs(ours.velocity()).max()
    if off > 1e-6:
        raise SystemExit(f"{peer.__name__}: its forces are off by {off:.2g}")
    work = 9.0 * box.neighbours * box.n_atoms
    steps, each, beside, shares = max(1, int(2e9 / work)), [], [], []
    for _ in range(rounds):
        peak, begin = multiply_add_peak(), time.perf_counter()
        for _ in range(steps):
            ours.step()
        each.append((time.perf_counter() - begin) / steps)
        shares.append(work / each[-1] / peak)
        begin = time.perf_counter()
        other.step()
        beside.append(time.perf_counter() - begin)
    found = {"mdlite": float(np.median(each)), "peer": float(np.median(beside)), "share": float(np.median(shares))}
    return found | {"atoms": box.n_atoms, "neighbours": box.neighbours, "bytes": box.bytes_per_atom}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crystals", nargs="*", default=["silicon"], metavar="CRYSTAL")
    parser.add_argument("--quick", action="store_true", help="a small crystal, one round")
    parser.add_argument("--sizes", nargs="+", type=int, default=[16, 32])
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.sizes, wanted.rounds = [4], 1
    compile_groups(["crystal", "peak"])
    print(
        "| crystal | cells | blocks an atom | bytes an atom | 10⁶ atom-steps/s | share of multiply-adds | peer | times faster an atom |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |")
    for name in wanted.crystals:
        crystal = sources.load_any(name).crystal
        jobs = [(size, Csr) for size in wanted.sizes]
        if importlib.util.find_spec("hiphive") is not None:
            jobs.append((PEER_CELLS, Hiphive))
        for size, peer in jobs:
            found = measure(crystal, size, wanted.rounds, peer)
            print(
                f"| {name} | {size}³ | {found['neighbours']:.0f} | {found['bytes']:.0f} | {found['atoms'] / found['mdlite'] / 1e6:.1f} | "
                f"{100 * found['share']:.0f} % | {peer.__name__} | {found['peer'] / found['mdlite']:.0f} |"
            )


if __name__ == "__main__":
    main()
