"""Figures, in Matplotlib, with its settings untouched. Each function returns a Figure; nothing is shown or saved here.

Every figure is a `Figure` of this module, which leaves room for all its labels and gives logarithmic axes labels of one kind.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib import figure as matplotlib_figure
from matplotlib.ticker import LogFormatter, LogFormatterSciNotation

from mdlite.config import method_names
from mdlite.units import BOLTZMANN, TURN, kelvin, terahertz

if TYPE_CHECKING:
    from mdlite.simulation.result import Run


class Figure(matplotlib_figure.Figure):
    """A figure that cuts no label (constrained layout), and that a notebook shows by itself, whether pyplot is loaded or not."""

    def __init__(self, figsize: tuple[float, float] | None = None, **options: Any):
        super().__init__(figsize, **{"layout": "constrained"} | options)

    def draw(self, renderer) -> None:
        """See Matplotlib; before that, `plain_ticks` for all logarithmic axes that have the labels of Matplotlib's own choice."""
        for ax in self.axes:
            plain_ticks(
                *(axis for axis in (ax.xaxis, ax.yaxis) if isinstance(axis.get_major_formatter(), LogFormatterSciNotation))
            )
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return png(self)


def png(figure: Figure, dpi: float = 100.0) -> bytes:
    """A figure as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


STYLE = {
    "reference": {"color": "black", "lw": 1.6},
    "full": {"color": "black", "lw": 1.6},
    "memory-kernel": {"color": "tab:orange", "lw": 1.4, "ls": "-."},
    "time-local": {"color": "tab:red", "lw": 1.2},
    "patch": {"color": "tab:purple", "lw": 1.2, "ls": "--"},
    "implicit": {"color": "tab:blue", "lw": 1.2},
    "static": {"color": "tab:green", "lw": 0.9},
    "rigid": {"color": "tab:gray", "lw": 0.9},
    "moving": {"color": "tab:red", "lw": 1.2, "ls": "--"},
    "still": {"color": "tab:orange", "lw": 1.2, "ls": "-."},
    "undisturbed": {"color": "tab:blue", "lw": 1.2, "ls": ":"},
}
AXES = "xyz"
SMALLEST_PLAIN, LARGEST_PLAIN = 9e-4, 1.1e5
"""Within these the numbers of a logarithmic axis are written out."""
LEGEND_INCHES = 1.3
"""Width of an entry of a legend, about."""
ENVELOPE = 1.0
"""ps, over which the total energy is averaged, and its smallest and largest value taken."""


def style(name: str) -> dict[str, Any]:
    """Label, colour and line of a method or rung; periodic lattices are dashed, from orange (small) to brown."""
    size = name.removeprefix("periodic-")
    if size != name and size.isdecimal():
        shade = 0.35 + 0.6 * min(max(np.log(int(size) / 10.0) / np.log(20.0), 0.0), 1.0)
        return {"label": name, "color": colormaps["YlOrBr"](shade), "lw": 1.0, "ls": "--"}
    return {"label": name, **STYLE.get(name, {})}


class LogNumbers(LogFormatter):
    """Labels of one kind on a logarithmic axis: numbers such as 0.5 and 20, or, where it goes below a thousandth or far up, powers of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        if not super().__call__(x, pos):
            return ""  # which ticks have a label
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        if low >= SMALLEST_PLAIN and high <= LARGEST_PLAIN:
            return f"{x:.10g}"
        mantissa, exponent = f"{x:.3e}".split("e")
        times = "" if float(mantissa) == 1.0 else rf"{float(mantissa):g}\times"
        return rf"$\mathdefault{{{times}10^{{{int(exponent)}}}}}$"


def plain_ticks(*axes) -> None:
    """Labels of one kind (`LogNumbers`) on those of ``axes`` (such as ``ax.xaxis``) that are logarithmic."""
    for axis in axes:
        if axis.get_scale() != "log":
            continue
        axis.set_major_formatter(LogNumbers())
        axis.set_minor_formatter(LogNumbers(minor_thresholds=(1.0, 0.4)))


def terahertz_beside(ax) -> None:
    """A second scale, THz, on the right of an axis of frequencies in rad/ps."""
    other = ax.secondary_yaxis("right", functions=(terahertz, lambda f: TURN * f))
    other.set_ylabel("frequency (THz)")


def kelvin_beside(ax) -> None:
    """A second scale, K, on the right of an axis of energies k_B T in meV."""
    other = ax.secondary_yaxis("right", functions=(kelvin, lambda t: BOLTZMANN * t))
    other.set_ylabel("K")


def _mark_echo(ax, echo: float, end: float) -> None:
    """Shade the time after the periodic echo, when the reference is no longer that of the infinite crystal."""
    if echo < end:
        ax.axvspan(echo, end, color="0.93", zorder=-1)
        ax.axvline(echo, color="0.5", ls="--", lw=0.9, label="echo")


def _legend(ax) -> None:
    """One legend above the whole figure, where it covers no curve, of what ``ax`` shows; in as many lines as it needs."""
    handles, labels = ax.get_legend_handles_labels()
    columns = max(1, min(len(labels), int(ax.figure.get_figwidth() / LEGEND_INCHES)))
    ax.figure.legend(handles, labels, fontsize=8, loc="outside upper center", ncols=columns, frameon=False)


def rung_trajectories(runs: dict[str, Run], axis: int, echo: float) -> Figure:
    """Position along every axis that moves and velocity along one against time; left the whole run, right the part before the echo."""
    truth = runs["reference"]
    end = truth.time[-1]
    moving = [c for c in range(3) if np.ptp(truth.position[:, 0, c]) > 0.0] or [axis]
    quantities = [("position", c) for c in moving] + [("velocity", axis)]
    spans = [end, echo] if 0.0 < echo < end else [end]
    figure = Figure(figsize=(5.5 * len(spans), 1.0 + 2.6 * len(quantities)))
    axes = figure.subplots(len(quantities), len(spans), squeeze=False)
    for row, (name, c) in zip(axes, quantities):
        for ax, until in zip(row, spans):
            for rung, run in runs.items():
                if until == end and len(spans) == 2 and rung in method_names.lossless():
                    continue  # they never decay and would cover everything
                inside = run.time <= until
                ax.plot(run.time[inside], run.data[name][inside, 0, c], **style(rung))
            if until == end:
                _mark_echo(ax, echo, end)
            ax.set(
                xlabel="time (ps)",
                ylabel=f"{AXES[c]} (Å)" if name == "position" else f"velocity {AXES[c]} (Å/ps)",
                xlim=(0, until),
            )
    _legend(axes[0, -1])
    return figure


def rung_decay(entries: dict[str, Any], end: float, echo: float) -> Figure:
    """Kinetic energy at each passage of the centre against time, and the decay rate against that energy."""
    figure = Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2)
    for rung, entry in entries.items():
        time, energy = entry["crossing_time_ps"], entry["crossing_kinetic_energy_meV"]
        left.semilogy(time, energy, marker=".", ms=3, **style(rung))
        if rung not in method_names.lossless():
            shown = time[2:] <= (echo if rung == "reference" else end)
            rates = entry["decay_against_energy"]
            right.semilogx(rates["energy_meV"][shown], rates["rate_per_ps"][shown], marker=".", ms=3, **style(rung))
    _mark_echo(left, echo, end)
    left.set(xlabel="time (ps)", ylabel="kinetic energy at the centre (meV)", xlim=(0, end))
    right.set(xlabel="kinetic energy at the centre (meV)", ylabel="decay rate (1/ps)", ylim=(0, None))
    if echo < end:
        right.set_title("reference: until the echo", fontsize=9, loc="right")
    _legend(left)
    return figure


def rung_differences(runs: dict[str, Run], echo: float, yardstick: str = "reference", window: float = 0.5) -> Figure:
    """Largest distance of each ion from that of the run ``yardstick`` within the last ``window`` ps, logarithmic."""
    from scipy.ndimage import maximum_filter1d

    figure = Figure(figsize=(7, 4.4))
    ax = figure.subplots()
    truth = runs[yardstick]
    frames = max(1, round(window * len(truth.time) / max(truth.time[-1], window)))
    for rung, run in runs.items():
        if rung != yardstick:
            distance = np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1)
            ax.semilogy(run.time, np.maximum(maximum_filter1d(distance, frames, origin=(frames - 1) // 2), 1e-5), **style(rung))
    _mark_echo(ax, echo, truth.time[-1])
    ax.set(
        xlabel="time (ps)",
        ylabel=f"largest distance from the {yardstick} ion\nin the last {window:g} ps (Å)",
        xlim=(0, truth.time[-1]),
    )
    _legend(ax)
    return figure


def rung_energies(entries: dict[str, Any], echo: float) -> Figure:
    """Energy left to the ion, kinetic and with its atoms, against time: mean over `ENVELOPE`/2 ps before each time."""
    figure = Figure(figsize=(8, 4.4))
    ax = figure.subplots()
    for rung, entry in entries.items():
        ax.plot(entry["ion_energy"]["time_ps"], entry["ion_energy"]["energy_meV"], marker=".", ms=3, **style(rung))
    end = max(entry["ion_energy"]["time_ps"][-1] for entry in entries.values())
    _mark_echo(ax, echo, end)
    ax.set(xlabel="time (ps)", ylabel="energy of the ion, kinetic\nand with its atoms (meV)", xlim=(0, end))
    _legend(ax)
    return figure


def finite_size(runs: dict[str, Run], truth: Run) -> Figure:
    """Distance of the ion in periodic lattices of several sizes from that of the infinite crystal; dashed: their echoes."""
    figure = Figure(figsize=(8, 4.4))
    ax = figure.subplots()
    for n, (name, run) in enumerate(runs.items()):
        distance = np.linalg.norm(run.position[:, 0] - truth.position[:, 0], axis=1)
        ax.semilogy(run.time, np.maximum(distance, 1e-15), lw=0.9, color=f"C{n}", label=name)
        ax.axvline(run.config.to_model().echo_time, color=f"C{n}", ls="--", lw=0.9)
    ax.set(xlabel="time (ps)", ylabel="distance from the infinite crystal's ion (Å)", xlim=(0, truth.time[-1]))
    ax.legend(fontsize=8)
    return figure


def envelope(time: np.ndarray, values: np.ndarray, width: float = ENVELOPE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Running mean, smallest and largest of ``values`` (n,) at equidistant ``time`` (n,) in ps, within ``width`` ps around each."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

    count = max(3, round(width * (len(time) - 1) / max(np.ptp(time), 1e-300)) | 1)
    mean, low, high = (
        filtered(values, count, mode="nearest") for filtered in (uniform_filter1d, minimum_filter1d, maximum_filter1d)
    )
    return mean, low, high


def energy_budget(run: Run, echo: float) -> Figure:
    """Where the energy of a reference run is, against time, and how well the total is kept: mean and envelope of its samples.

    Velocity Verlet does not keep the total itself: it swings about a constant with the ion's turns, faster than budgets are taken, and a line through
    the samples would show a beat of the two.
    """
    figure = Figure(figsize=(9, 6))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.4))
    mean, low, high = envelope(run.energy_time, run.total_energy - run.total_energy[0])
    upper.plot(run.time, run.ion_kinetic[:, 0], lw=0.8, label="ion, kinetic")
    upper.plot(run.time, run.interaction[:, 0], lw=0.8, label="interaction")
    upper.plot(run.energy_time, run.energy_framework_kinetic, lw=0.8, label="framework, kinetic")
    upper.plot(run.energy_time, run.energy_elastic, lw=0.8, label="framework, elastic")
    upper.plot(run.energy_time, run.total_energy[0] + mean, color="black", label="total")
    lower.fill_between(run.energy_time, low, high, color="0.75", lw=0, label="smallest to largest")
    lower.plot(run.energy_time, mean, color="black", lw=1.0, label="mean")
    for ax in (upper, lower):
        _mark_echo(ax, echo, run.time[-1])
    upper.set_ylabel("energy (meV)")
    lower.set(xlabel="time (ps)", ylabel="total - start (meV)", xlim=(0, run.time[-1]))
    lower.set_title(f"of the total within {ENVELOPE:g} ps", fontsize=9, loc="right")
    lower.legend(*(found[:2] for found in lower.get_legend_handles_labels()), fontsize=8)
    _legend(upper)
    return figure


def reflection(curves: list, quantity: str) -> Figure:
    """``deflection`` of the atom or ``force`` on the ion against time: a row for each range, a column for each speed."""
    widths = sorted({width for width, _, _ in curves})
    speeds = sorted({speed for _, speed, _ in curves})
    figure = Figure(figsize=(1.0 + 3.4 * len(speeds), 0.6 + 2.8 * len(widths)))
    axes = figure.subplots(len(widths), len(speeds), squeeze=False)
    for width, speed, data in curves:
        ax = axes[widths.index(width), speeds.index(speed)]
        for name, curve in data["rungs"].items():
            ax.plot(data["time"], curve[quantity], **style(name))
        full = data["rungs"]["full"][quantity]
        low, high = min(full.min(), 0.0), max(full.max(), 0.0)
        span = high - low
        ax.set(xlabel="time (ps)", title=f"range {width:g} Å, {speed:g} Å/ps", ylim=(low - 0.6 * span, high + 0.6 * span))
        off_scale = [n for n, c in data["rungs"].items() if np.abs(c[quantity]).max() > 1.6 * span]
        if off_scale:
            peaks = "\n".join(f"{n}: {np.abs(data['rungs'][n][quantity]).max():.2g}" for n in off_scale)
            ax.text(0.98, 0.03, f"off scale, largest:\n{peaks}", transform=ax.transAxes, ha="right", va="bottom", fontsize=7)
        strong = np.nonzero(np.abs(full) > 0.02 * np.abs(full).max())[0]
        middle, half = data["time"][strong].mean(), max(np.ptp(data["time"][strong]), 1e-3)
        ax.set_xlim(max(0.0, middle - 0.8 * half), min(data["time"][-1], middle + 0.8 * half))
    for row in axes:
        row[0].set_ylabel("deflection of the atom (Å)" if quantity == "deflection" else "force on the ion (meV/Å)")
    _legend(axes[0, 0])
    return figure


def barriers(path: dict[str, Any], entries: list[dict[str, Any]]) -> Figure:
    """Energy along the path from cube centre to cube centre, and the two places of the table."""
    figure = Figure(figsize=(9, 4.2))
    ax = figure.subplots()
    ax.plot(path["z_A"], path["unrelaxed_meV"], color="tab:gray", label=f"unrelaxed, {path['atoms']}")
    ax.plot(path["z_A"], path["relaxed_meV"], color="tab:red", label=f"relaxed, {path['atoms']}, infinite lattice")
    for fraction, place in ((0.5, "cube\ncentre"), (1.0, "face\ncentre"), (1.5, "cube\ncentre")):
        z = fraction * path["z_A"][0] / 0.5
        ax.axvline(z, color="0.85", lw=0.8, zorder=-1)
        ax.annotate(place, (z, 0.98), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=7)
    for marker, entry in zip("osD^", entries):
        z = [p["position_A"][2] for p in entry["places"].values()]
        for key, colour in (("unrelaxed_meV", "tab:gray"), ("relaxed_meV", "tab:red")):
            label = f"{key.removesuffix('_meV')}, {entry['label']}"
            ax.plot(z, [p[key] for p in entry["places"].values()], marker, color=colour, mfc="none", label=label)
    bottom, top = ax.get_ylim()
    ax.set(xlabel="z of the ion along [001] (Å)", ylabel="energy (meV)", ylim=(bottom, top + 0.12 * (top - bottom)))
    figure.legend(fontsize=7, loc="outside right upper", frameon=False)
    return figure


def run_overview(run: Run, figsize: tuple[float, float] = (10.0, 8.0)) -> Figure:
    """One run: position and velocity per axis, energies of the ion, and the energy budget if there is one."""
    figure = Figure(figsize=figsize)
    upper, middle, lower = figure.subplots(3, 1, sharex=True)
    moving = [axis for axis in range(3) if np.isfinite(run.config.ion.mass[axis])] or [0, 1, 2]
    for axis in moving:
        upper.plot(run.time, run.position[:, 0, axis], label=AXES[axis])
        middle.plot(run.time, run.velocity[:, 0, axis], label=AXES[axis])
    upper.set_ylabel("position (Å)")
    middle.set_ylabel("velocity (Å/ps)")
    lower.plot(run.time, run.ion_kinetic[:, 0], label="ion, kinetic")
    lower.plot(run.time, run.interaction[:, 0], label="interaction")
    if "energy_elastic" in run.data:
        framework, total = (
            e if e.ndim == 1 else e[:, 0] for e in (run.energy_elastic + run.energy_framework_kinetic, run.total_energy)
        )
        lower.plot(run.energy_time, framework, label="framework")
        lower.plot(run.energy_time, envelope(run.energy_time, total)[0], color="black", label="total")
        if run.config.boundary == "periodic" and run.config.thermal is None:
            for ax in (upper, middle, lower):
                _mark_echo(ax, run.config.to_model().echo_time, run.time[-1])
    lower.set(xlabel="time (ps)", ylabel="energy (meV)", xlim=(run.time[0], run.time[-1]))
    for ax in (upper, middle, lower):
        ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    ions = f", ion 1 of {run.config.n_ions}" if run.config.n_ions > 1 else ""
    title = (run.config.title or "run").replace("$", r"\$")
    figure.suptitle(f"{title} – {run.config.method}{ions}", fontsize=11, wrap=True)
    return figure


def draw_bands(ax, dispersion: dict[str, Any]) -> None:
    """The bands along a path (as `mdlite.physics.phonons.dispersion` gives them), with its corners."""
    ax.plot(dispersion["distance"], dispersion["omega"], color="tab:blue", lw=1.2)
    for corner in dispersion["corners"]:
        ax.axvline(corner, color="0.8", lw=0.8, zorder=-1)
    ax.set_xticks(dispersion["corners"], dispersion["labels"])
    ax.set(ylabel="Ω (rad/ps)", xlim=(0, dispersion["distance"][-1]), ylim=(0, None))


def phonons(dispersion: dict, dos: tuple, kernel: dict) -> Figure:
    """Dispersion along a path, density of states beside it, and the recoil kernel below."""
    figure = Figure(figsize=(10, 8))
    grid = figure.add_gridspec(2, 4)
    bands = figure.add_subplot(grid[0, :3])
    density = figure.add_subplot(grid[0, 3], sharey=bands)
    response = figure.add_subplot(grid[1, :])
    draw_bands(bands, dispersion)
    terahertz_beside(density)
    density.fill_betweenx(dos[0], dos[1], color="tab:blue", alpha=0.4)
    density.set(xlabel="g(Ω) per atom (ps/rad)", xlim=(0, None))
    density.tick_params(labelleft=False)
    for label, values in kernel["values"].items():
        response.plot(kernel["time"], values, label=label)
    response.axhline(0.0, color="0.6", lw=0.8)
    response.set(xlabel="t (ps)", ylabel="W(t) (Å²/meV)", xlim=(0, kernel["time"][-1]))
    response.legend(fontsize=8)
    return figure
