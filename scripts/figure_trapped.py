"""The dissipation figure of the paper: an ion trapped between eight atoms, T = 0: ``python scripts/figure_trapped.py [--quick] [-o FOLDER]``

Position against time, kinetic energy at every passage of the centre, and the decay rate of that energy, for 30 ps: the periodic lattice of N = 100 that
the paper compares with, the exact infinite crystal (memory kernel), the time-local ion and the ion with its patch. Reads what
`mdlite validate trapped` finds. 20 s and 0.3 GB on two cores, and once 40 s for the edge of the patch and the response of the crystal; --quick:
N = 30, 6 ps.
"""

import common
import numpy as np

import mdlite
from mdlite.report import plots
from mdlite.report.plots import Figure


def main(folder, quick: bool) -> None:
    """Validate, draw."""
    size, duration, early = (30, 6.0, 3.0) if quick else (100, 30.0, 8.0)
    keys = {
        "run.duration": duration,
        "lattice.size": size,
        "validate.reference": "memory-kernel",
        "validate.ladder": True,
        "validate.sizes": [size],
        "validate.rungs": ["patch", "time-local"],
    }
    summary = common.validated(mdlite.load_case("trapped", **keys), folder / "trapped")
    periodic = f"periodic-{size}"
    echo = summary["echoes"][periodic]["echo_time_ps"]
    looks = {
        periodic: {"label": f"periodic lattice, N = {size}", "color": "black", "lw": 1.8},
        "reference": {"label": "infinite crystal (memory kernel)", "color": "tab:orange", "lw": 1.4},
        "time-local": plots.style("time-local"),
        "patch": plots.style("patch"),
    }
    figure = Figure(figsize=(12, 9))
    grid = figure.add_gridspec(2, 6)
    first, later = figure.add_subplot(grid[0, :4]), figure.add_subplot(grid[0, 4:])
    energy, rate = figure.add_subplot(grid[1, :3]), figure.add_subplot(grid[1, 3:])
    numbers = {"echo_time_ps": echo, "linear_response": summary["linear_response"], "methods": {}}
    for name, look in looks.items():
        entry, run = summary["rungs"][name], mdlite.Run.load(folder / "trapped" / f"{name}.h5")
        for ax in (first, later):
            ax.plot(run.time, run.position[:, 0, 2] - summary["centre_A"], **look)
        time, kinetic = np.array(entry["crossing_time_ps"]), np.array(entry["crossing_kinetic_energy_meV"])
        energy.semilogy(time, kinetic, marker=".", ms=3, **look)
        local = {key: np.array(value) for key, value in entry["decay_against_energy"].items()}
        clean = time[2:] <= (echo if name == periodic else duration)
        rate.semilogx(local["energy_meV"][clean], local["rate_per_ps"][clean], marker=".", ms=4, **look)
        kept = ("crossing_time_ps", "crossing_kinetic_energy_meV", "decay_rate_per_ps", "period_ps", "decay_against_energy")
        numbers["methods"][name] = {key: entry[key] for key in kept}
    for ax in (first, later, energy):
        ax.axvspan(echo, duration, color="0.93", zorder=-1)
    late = np.abs(run.position[run.time > duration - early / 2, 0, 2] - summary["centre_A"]).max()
    first.set(xlabel="time (ps)", ylabel="z - centre (Å)", xlim=(0, early))
    later.set(xlabel="time (ps)", xlim=(duration - early / 2, duration), ylim=(-2.5 * late, 2.5 * late))
    energy.set(xlabel="time (ps)", ylabel="kinetic energy at the centre (meV)", xlim=(0, duration))
    energy.set_title(f"shaded: after the echo of N = {size}, {echo:.2f} ps", fontsize=9, loc="right")
    rate.set(xlabel="kinetic energy at the centre (meV)", ylabel="decay rate (1/ps)", ylim=(0, None))
    if "exact" in summary["linear_response"]:
        exact = summary["linear_response"]["exact"]["rate_per_ps"]
        rate.axhline(exact, color="0.5", ls=":", lw=1.0, zorder=-1)
        rate.annotate(
            "small oscillations, exact", (0.99, exact), xycoords=("axes fraction", "data"), fontsize=8, ha="right", va="top"
        )
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=len(looks), frameon=False)
    common.save(figure, folder, "figure-trapped", numbers)


if __name__ == "__main__":
    common.launch(main)
