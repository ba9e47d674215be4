"""How large a periodic lattice must be: ``python scripts/finite_size.py [--quick] [-o FOLDER]``

The trapped ion (T = 0, 30 ps) in periodic lattices of N = 10 to 100 against the exact infinite crystal: distance of the trajectories, when the echo
arrives and when it is due, decay rate of the energy in three spans of time; and the static recoil W_N(0) of an atom on itself, which falls short of the infinite crystal's by
A/N. Reads what `mdlite validate trapped --ladder` finds. A minute and 0.4 GB on two cores; --quick: N up to 40, 6 ps.
"""

import common
import numpy as np
from matplotlib.ticker import NullLocator, ScalarFormatter

import mdlite
from mdlite.report.plots import Figure

SIZES = (10, 14, 20, 28, 40, 56, 80, 100)
SPANS = ((0.1, 0.25), (0.25, 0.5), (0.5, 1.0))
"""Of the duration, over which the decay rate is fitted."""
RECENT = 0.7
"""ps, a little more than a period: the distance shown is the largest of so long before."""


def static_recoil(lattice, sizes) -> dict:
    """W_N(0) - W(0) of an atom on itself (Å²/meV) for every size, the slope of its size against N, and A: the mean of N times it for N from 20 on."""
    infinite = mdlite.response.recoil_kernel(lattice, [[0, 0, 0]])[0, 0, 0, 0]
    finite = [mdlite.response.recoil_kernel(mdlite.Lattice((n, n, n)), [[0, 0, 0]], finite=True)[0, 0, 0, 0] for n in sizes]
    short, n = np.array(finite) - infinite, np.array(sizes)
    return {
        "infinite_A2_per_meV": infinite,
        "difference_A2_per_meV": short,
        "slope": np.polyfit(np.log(n), np.log(np.abs(short)), 1)[0],
        "A_A2_per_meV": (n * short)[n >= 20].mean(),
    }


def rates(entry: dict, duration: float) -> list[float]:
    """Decay rate of the energy, 1/ps, in each of the spans."""
    time, energy = np.array(entry["crossing_time_ps"]), np.array(entry["crossing_kinetic_energy_meV"])
    return [mdlite.analysis.fit_decay(time, energy, (a * duration, b * duration)).rate for a, b in SPANS]


def main(folder, quick: bool) -> None:
    """Validate, draw."""
    duration = 6.0 if quick else 30.0
    sizes = [n for n in SIZES if n <= 40 or not quick]
    keys = {
        "run.duration": duration,
        "run.energy_tolerance": 1.0,
        "lattice.size": sizes[-1],
        "validate.reference": "memory-kernel",
        "validate.ladder": True,
        "validate.sizes": sizes,
        "validate.rungs": ["time-local"],
    }
    config = mdlite.load_case("trapped", **keys)
    summary = common.validated(config, folder / "trapped")
    truth = mdlite.Run.load(folder / "trapped" / "reference.h5")
    figure = Figure(figsize=(12, 9))
    (apart, echo), (rate, recoil) = figure.subplots(2, 2)
    rows = []
    for n, size in enumerate(sizes):
        name = f"periodic-{size}"
        run, entry, seen = mdlite.Run.load(folder / "trapped" / f"{name}.h5"), summary["rungs"][name], summary["echoes"][name]
        distance = np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1)
        frames = round(RECENT / (run.time[1] - run.time[0]))
        recent = np.lib.stride_tricks.sliding_window_view(np.pad(distance, (frames - 1, 0)), frames).max(axis=1)
        apart.semilogy(run.time, np.maximum(recent, 1e-15), lw=1.2, color=f"C{n}", label=f"N = {size}")
        rows.append({"size": size, "largest_distance_A": distance.max(), "decay_rates_per_ps": rates(entry, duration)} | seen)
    true_rates = rates(summary["rungs"]["reference"], duration)
    for n, (span, true) in enumerate(zip(SPANS, true_rates)):
        rate.plot(
            sizes,
            [row["decay_rates_per_ps"][n] for row in rows],
            "o-",
            color=f"C{n}",
            label=f"{span[0] * duration:g} to {span[1] * duration:g} ps",
        )
        rate.axhline(true, color=f"C{n}", ls="--", lw=0.9)
    rate.plot([], [], "--", color="0.4", lw=0.9, label="infinite crystal")
    due, leaves = (np.array([row[key] for row in rows], float) for key in ("echo_time_ps", "leaves_at_ps"))
    echo.plot(sizes, due, "k-", lw=1.0, label="due: (N - extent) a/c")
    echo.plot(sizes, leaves, "o", color="tab:red", label="ion more than 10$^{-9}$ Å away")
    found = static_recoil(config.to_model().lattice, sizes)
    recoil.loglog(sizes, -found["difference_A2_per_meV"], "o", color="tab:red", label="W(0) - W$_N$(0)")
    label = f"{-found['A_A2_per_meV']:.3e} Å²/meV / N"
    recoil.loglog(sizes, -found["A_A2_per_meV"] / np.array(sizes), "k-", lw=1.0, label=label)
    recoil.axhline(found["infinite_A2_per_meV"], color="0.5", ls=":", label="W(0)")
    apart.set(
        xlabel="time (ps)",
        ylabel=f"distance from the infinite crystal's ion (Å)\nlargest in the last {RECENT:g} ps",
        xlim=(0, duration),
    )
    echo.set(xlabel="atoms a side, N", ylabel="echo (ps)", xlim=(0, None), ylim=(0, None))
    rate.set(xlabel="atoms a side, N", ylabel="decay rate of the energy (1/ps)", xlim=(0, None))
    recoil.set(xlabel="atoms a side, N", ylabel="static recoil of an atom on itself (Å²/meV)", xticks=sizes)
    recoil.xaxis.set_major_formatter(ScalarFormatter())
    recoil.xaxis.set_minor_locator(NullLocator())
    for ax in (apart, echo, rate, recoil):
        ax.legend(fontsize=8, loc="best", ncols=2 if ax is apart else 1)
    numbers = {"spans_of_duration": SPANS, "infinite_decay_rates_per_ps": true_rates, "sizes": rows, "static_recoil": found}
    common.save(figure, folder, "finite-size", numbers)


if __name__ == "__main__":
    common.launch(main)
