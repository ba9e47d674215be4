"""Error of the ion's trajectory against the time it takes: velocity Verlet, the methods of order four and six, and the authors' RK5.

    python scripts/work_precision.py [--quick] [--size 20] [-o docs/work-precision]

Two cases, a lattice at rest with N = 20 atoms a side, 1 ps: the trapped ion, and one thrown in all three dimensions through the diffusion
potential. Writes work-precision.png and work-precision.md; the exact trajectory is that of the method of order six at a small step; RK5, which
shares no code with it, converges to the same. 40 s and 0.3 GB on two cores; --quick: the six longest steps of each.
"""

import argparse
import sys
import time
from pathlib import Path

import common
import numpy as np

import mdlite
from mdlite.engines.reference import ReferenceEngine
from mdlite.report.plots import Figure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
from peers import AuthorsScheme

DURATION, SAMPLES = 1.0, 4
CASES = {
    "trapped": ("trapped", {}),
    "thrown in 3D": (
        "diffusion",
        {"ion.position": [1.5, 1.5, 1.5], "ion.velocity": [11.0, 7.0, 5.0], "interaction.atoms": {"kind": "shell", "extent": 2}},
    ),
}
STEPS = {  # of each method, per ps
    "velocity-verlet": [60, 72, 100, 152, 200, 300, 500, 700, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000],
    "blanes-moan-4": [12, 16, 20, 24, 32, 40, 52, 72, 100, 152, 200, 300, 400, 600, 1000],
    "blanes-moan-6": [12, 16, 20, 24, 28, 32, 40, 52, 60, 72, 80, 100, 120, 152, 200],
    "RK5": [12, 16, 20, 24, 28, 32, 40, 52, 72, 100, 120, 152, 200, 300, 400],
}


def model_of(case, size):
    name, changes = CASES[case]
    return mdlite.load_case(name, **{"lattice.size": size} | changes).to_model()


def trajectory(model, method, steps):
    """Positions (SAMPLES, 3) at equal times, and the seconds that the steps took."""
    dt, every, out = DURATION / steps, steps // SAMPLES, []
    if method == "RK5":
        engine = AuthorsScheme(model, dt)
        where = lambda: engine.position.copy()  # noqa: E731
    else:
        engine = ReferenceEngine(model, dt, 2**62, integrator=method)
        start = {name: array.copy() for name, array in engine.state().items()}
        engine.advance(2)  # so that the system has really handed out the memory before the clock starts
        engine.restore(0, start)
        where = lambda: engine.ion.position.copy()  # noqa: E731
    begin = time.perf_counter()
    for _ in range(SAMPLES):
        engine.advance(every)
        out.append(where())
    return np.array(out), time.perf_counter() - begin


def measure(case, size, quick):
    """{method: rows of (dt, error in Å, seconds)}."""
    model = model_of(case, size)
    exact, _ = trajectory(model, "blanes-moan-6", 400 if quick else 1000)
    found = {}
    for method, all_steps in STEPS.items():
        chosen = [n for n in (all_steps[:6] if quick else all_steps) if n % SAMPLES == 0]
        trajectory(model, method, SAMPLES * 2)
        found[method] = []
        for steps in chosen:
            positions, seconds = trajectory(model, method, steps)
            if seconds < 0.5 and method != "RK5":
                seconds = min(seconds, *(trajectory(model, method, steps)[1] for _ in range(2)))
            found[method].append((DURATION / steps, float(np.abs(positions - exact).max()), seconds))
            print(
                f"{case:14} {method:16} dt {DURATION / steps:.2e} ps  error {found[method][-1][1]:.1e} Å  {seconds:.4f} s",
                file=sys.stderr,
                flush=True,
            )
    return found


def seconds_at(rows, error):
    """Seconds of the cheapest step that was tried and is as good as that; NaN if none is."""
    return min((s for _, e, s in rows if e <= error), default=np.nan)


def cell(seconds, rk, best):
    """Of the table: seconds, and how many times cheaper than RK5; empty where the accuracy was not reached."""
    if np.isnan(seconds):
        return ""
    text = f"{seconds:.3g} s" + ("" if np.isnan(rk) else f" ({rk / seconds:.0f})")
    return f"**{text}**" if best else text


def page(results, size, arguments):
    lines = [
        "# Accuracy for the price",
        "",
        f"`python scripts/work_precision.py {' '.join(arguments)}`: N = {size}, {DURATION:g} ps, largest error of the ion's position, in one run. Seconds of the "
        "cheapest step tried that reaches an accuracy (all of them: work-precision.png); in brackets how many times cheaper than RK5.",
        "",
    ]
    for case, found in results.items():
        lines += [
            f"## {case}",
            "",
            "| error (Å) | velocity Verlet | order four | order six | RK5 |",
            "| ---: | ---: | ---: | ---: | ---: |",
        ]
        for power in range(-2, -10, -1):
            *own, rk = (seconds_at(found[m], 10.0**power) for m in STEPS)
            best = min((s for s in own if s == s), default=np.nan)
            cells = [cell(s, rk, s == best) for s in own]
            lines.append(f"| 10^{power} | {' | '.join(cells)} | {'' if np.isnan(rk) else f'{rk:.3g} s'} |")
        lines.append("")
    return "\n".join(lines)


def figure(results, path):

    canvas = Figure(figsize=(9, 4))
    for axes, (case, found) in zip(canvas.subplots(1, len(results), sharey=True), results.items()):
        for method, rows in found.items():
            _, errors, seconds = np.array(rows).T
            axes.loglog(
                seconds,
                errors,
                "o-",
                ms=4,
                label={"RK5": "RK5, SciPy sparse"}.get(method, method),
            )
        axes.set(title=case, xlabel="time for 1 ps (s)")
        axes.grid(alpha=0.3)
    canvas.axes[0].set_ylabel("largest error of the ion's position (Å)")
    canvas.axes[0].legend()
    canvas.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few large steps")
    parser.add_argument("--size", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path, default=Path("out/work-precision"), help="a folder")
    chosen = parser.parse_args()
    with common.errors():
        common.writable(chosen.output)
        results = {case: measure(case, chosen.size, chosen.quick) for case in CASES}
    figure(results, chosen.output / "work-precision.png")
    text = page(results, chosen.size, sys.argv[1:])
    (chosen.output / "work-precision.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
