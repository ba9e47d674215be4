"""Why there is no method of auxiliary modes: what they would cost and achieve, and what breaks. ``python scripts/auxiliary_study.py [--quick]``

Auxiliary modes: Ĝ(ω) of the interacting cluster as a sum of damped oscillators with positive weights, Σ c_n/(ω_n² - ω² - iγ_n ω), which an ion could
carry along instead of a patch. Part 1 fits one such sum to the response of the infinite crystal, by non-negative least squares over a dictionary
of oscillators, for the eight corners of a cube pushed together and for one alone: how many modes, how good. Part 2 is the hand-over: modes belong
to a cluster, and a hop over a face changes four of its eight atoms. There a patch is cut down to what such modes could hand on, the displacements
and velocities of the four atoms that stay, and compared with the whole patch, both against the explicit lattice. Prints two tables. 3 s, and once half a minute for the edge of the patch; --quick: the two smallest
dictionaries and one throw.
"""

import argparse
import dataclasses

import numpy as np
from scipy.optimize import nnls

import mdlite
from mdlite.engines.patch import PatchEngine
from mdlite.engines.reference import ReferenceEngine
from mdlite.physics import propagator
from mdlite.physics.model import Cutoff, Interaction, Ion, Lattice, Model, Potential

LATTICE = Lattice((60, 60, 60))
STEP, STEPS = 0.005, 5000
THROWS = {"slow": (14.0, 9.0, 5.0), "usual": (22.0, 13.0, 7.0), "fast": (30.0, 11.0, 8.0)}  # Å/ps


def truth(omega: np.ndarray) -> dict[str, np.ndarray]:
    """Ĝ_xx(ω) of one corner on itself, and the mean over eight pushed together, Å²/meV."""
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    time = STEP * np.arange(STEPS + 1)
    fading = np.cos(0.5 * np.pi * np.clip(2.0 * time / time[-1] - 1.0, 0.0, 1.0)) ** 2
    found = propagator.transformed(LATTICE, corners, STEP * fading * np.exp(1j * np.outer(omega, time)), STEP, "verlet")[
        ..., 0, 0
    ]
    return {"one corner": found[:, 0], "eight together": found.mean(axis=1)}


def fit(omega: np.ndarray, wanted: np.ndarray, size: int) -> tuple[int, float, float]:
    """(modes used, largest and root mean square relative error of the friction) with a dictionary of ``size`` frequencies × 6 dampings."""
    place, width = np.meshgrid(np.geomspace(1.0, 33.0, size), np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2]), indexing="ij")
    place, width = place.reshape(-1), (place * width).reshape(-1)
    terms = 1.0 / (place**2 - omega[:, None] ** 2 - 1j * width * omega[:, None])
    weight = 1.0 / wanted.imag
    rows = np.concatenate([terms.imag * weight[:, None], 0.3 * terms.real / np.abs(wanted)[:, None]])
    share, _ = nnls(rows, np.concatenate([wanted.imag * weight, 0.3 * wanted.real / np.abs(wanted)]), maxiter=10000)
    error = (terms @ share).imag / wanted.imag - 1.0
    return int((share > 1e-9 * share.max()).sum()), float(np.abs(error).max()), float(np.sqrt((error**2).mean()))


def path(engine: PatchEngine, steps: int, cut: bool) -> np.ndarray:
    """Positions of the ion; with ``cut``, all that a hop leaves of δr is what the atoms have that stay in the cluster."""
    out, corner = np.empty((steps, 3)), engine.state()["corner"].copy()
    half = engine.size // 2 - 1
    for step in range(steps):
        out[step] = engine.advance(1)[1].position[0]
        moved = (engine.state()["corner"] - corner)[0]
        if cut and moved.any():
            stay = np.ix_(range(3), *(range(max(half, half - m), min(half + 1, half + 1 - m) + 1) for m in moved))
            for name in ("u", "v"):
                field = engine.state()[name][0]
                kept = np.zeros_like(field)
                kept[..., 1:][stay] = field[..., 1:][stay]
                field[...] = kept
        corner = engine.state()["corner"].copy()
    return out


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small dictionaries, one throw")
    quick = parser.parse_args().quick
    omega = LATTICE.omega_max * np.linspace(0.03, 0.6, 90)
    print("cluster          dictionary   modes   error of the friction up to 0.6 Ω_max: largest, rms")
    for name, wanted in truth(omega).items():
        for size in (6, 12) if quick else (6, 12, 24, 48):
            modes, largest, mean = fit(omega, wanted, size)
            print(f"{name:<16} {6 * size:>10} {modes:>7}   {100 * largest:.2f} %   {100 * mean:.2f} %")
    potential = Potential("yukawa", (4000.0, 0.5))
    base = Model(LATTICE, Ion((0.7,) * 3, (91.5, 91.5, 91.5)), Interaction(potential, Cutoff(5.0, 1.0)))
    print("\nthrow    hops in 1 ps   distance from the explicit lattice after 1 ps (Å): patch, cut at hops, time-local")
    for name in ["usual"] if quick else THROWS:
        model = dataclasses.replace(base, ion=dataclasses.replace(base.ion, velocity=THROWS[name]))
        true = ReferenceEngine(model, STEP).advance(200)[1].position
        hops = int(np.abs(np.diff(np.floor(true / 3.0), axis=0)).sum())
        found = [path(PatchEngine(model, STEP, 12), 200, cut) for cut in (False, True)]
        found.append(mdlite.timelocal.TimeLocalEngine(model, "time-local", STEP).advance(200)[1].position)
        away = [float(np.linalg.norm(one[-1] - true[-1])) for one in found]
        print(f"{name:<8} {hops:>12}   {away[0]:.2g}, {away[1]:.2g}, {away[2]:.2g}")


if __name__ == "__main__":
    main()
