"""Figures of thermal runs and validations; as `mdlite.report.plots`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.report.plots import Figure, draw_bands, kelvin_beside, style, terahertz_beside
from mdlite.units import DIFFUSION_UNITS, counted, with_kelvin

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

DASHES = ("-", "--", ":")
KT = r"$k_\mathrm{B}T$"


def _msd(ax, methods: dict[str, Any]) -> None:
    """Mean square displacements with bands of one standard error, logarithmic, with the fitted lines."""
    for method, found in methods.items():
        curves, look = found["curves"], style(method)
        lag, square, error = (
            curves[k][1:] for k in ("lag_ps", "mean_square_displacement_A2", "mean_square_displacement_error_A2")
        )
        if not (square > 0.0).any():  # it has not moved, which no logarithm can show
            ax.plot(lag, square, **look)
            continue
        (line,) = ax.loglog(lag, square, **look)
        ax.fill_between(lag, np.maximum(square - error, 1e-3 * square), square + error, color=line.get_color(), alpha=0.2, lw=0)
        fitted = (lag >= found["fit_ps"][0]) & (lag <= found["fit_ps"][1])
        if not fitted.any() or not np.isfinite(found["diffusion_A2_per_ps"]):
            continue  # no diffusive regime, no line
        slope = 6.0 * found["diffusion_A2_per_ps"]
        ideal = square[fitted].mean() + slope * (lag[fitted] - lag[fitted].mean())
        ax.plot(lag[fitted], np.where(ideal > 0.0, ideal, np.nan), color=line.get_color(), lw=0.8, ls=":")
    ax.set(xlabel="lag (ps)", ylabel="mean square displacement (Å²)")


def displacements(methods: dict[str, Any]) -> Figure:
    """Mean square displacement against lag, and the velocity autocorrelation."""
    figure = Figure(figsize=(11, 4.6))
    left, right = figure.subplots(1, 2)
    _msd(left, methods)
    for method, found in methods.items():
        values = found["curves"]["velocity_autocorrelation_A2_per_ps2"]
        right.plot(found["curves"]["lag_ps"], values / values[0], **style(method))
    right.axhline(0.0, color="0.7", lw=0.8, zorder=-1)
    right.set(xlabel="lag (ps)", ylabel="velocity autocorrelation / its start", xlim=(0, 4.0))
    left.legend(fontsize=8)
    return figure


def displacement_grid(entries: list[dict[str, Any]]) -> Figure:
    """Mean square displacement of every method, a panel for each temperature."""
    columns = min(4, len(entries))
    rows = -(-len(entries) // columns)
    figure = Figure(figsize=(0.6 + 3.4 * columns, 0.5 + 3.0 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, entry in zip(axes, entries):
        _msd(ax, entry["methods"])
        ax.set_title(f"{KT} = {with_kelvin(entry['thermal_energy_meV'])}", fontsize=9)
    for ax in axes[len(entries) :]:
        ax.set_axis_off()
    axes[0].legend(fontsize=8)
    return figure


def warming(entry: dict[str, Any]) -> Figure:
    """Mean kinetic temperature of ions that start at rest, against time, and the fitted approach."""
    figure = Figure(figsize=(8, 4.6))
    ax = figure.subplots()
    for method, found in entry["methods"].items():
        curve, fit = found.get("warm_up", found["curves"]), found["thermalisation"]
        time, temperature = np.asarray(curve["temperature_time_ps"]), np.asarray(curve["temperature_meV"])
        shown = time <= 10.0
        ax.plot(time[shown], temperature[shown], **style(method))
        if np.isfinite(fit["time"]):
            ideal = fit["plateau"] + (temperature[0] - fit["plateau"]) * np.exp(-(time[shown] - time[0]) / fit["time"])
            ax.plot(time[shown], ideal, color=style(method).get("color"), lw=0.8, ls=":")
    ax.axhline(entry["thermal_energy_meV"], color="0.4", ls="--", lw=0.9, label=KT)
    ax.axhline(entry["lattice_temperature_meV"], color="0.6", ls="-.", lw=0.9, label="the free lattice's atoms")
    ax.set(xlabel="time (ps)", ylabel="kinetic temperature of the ion (meV)", xlim=(0, None), ylim=(0, None))
    kelvin_beside(ax)
    ax.legend(fontsize=8)
    return figure


def ladder(methods: dict[str, Any], least: float = 0.05) -> Figure:
    """Error (%) of every method in every experiment against its cost; a bar for what chance may explain. Smaller errors stand at ``least``."""
    figure = Figure(figsize=(9, 5.4))
    ax = figure.subplots()
    kinds = list(dict.fromkeys(kind for entry in methods.values() for kind in entry["errors"]))
    for name, entry in methods.items():
        if "core_us_per_ion_step" not in entry:
            continue
        for n, kind in enumerate(kinds):
            if kind not in entry["errors"] or not np.isfinite(entry["errors"][kind]):
                continue
            cost = entry["core_us_per_ion_step"] * 1.035 ** (n - 0.5 * len(kinds))  # side by side
            size, chance = max(abs(entry["errors"][kind]), least), entry.get("uncertainty", {}).get(kind, 0.0)
            bar = [[max(0.0, size - max(size - chance, least))], [chance]]
            mark: dict[str, Any] = dict(fmt="osD^v<>*pPXh"[n % 12], ms=6, lw=0.8, alpha=0.8)
            ax.errorbar(cost, size, bar, color=style(name).get("color", "k"), **mark)
        place = (entry["core_us_per_ion_step"], 1.01)
        ax.annotate(name, place, xycoords=("data", "axes fraction"), rotation=30, fontsize=9)
    for n, kind in enumerate(kinds):
        ax.plot([], [], "osD^v<>*pPXh"[n % 12], color="k", ms=6, label=kind)
    ax.axhline(1.0, color="0.6", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="cost (µs of a core per ion-step in an ensemble)", ylabel="size of the error (%)")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def van_hove(methods: dict[str, Any]) -> Figure:
    """Distribution of displacements at several lags, a panel for each lag."""
    lags = next(iter(methods.values()))["curves"]["van_hove_lag_ps"]
    figure = Figure(figsize=(4.0 * max(1, len(lags)), 3.8))
    for n, (lag, ax) in enumerate(zip(lags, np.ravel(figure.subplots(1, max(1, len(lags)))))):
        for method, found in methods.items():
            curves = found["curves"]
            if n < len(curves["van_hove_lag_ps"]):
                edges = curves["van_hove_edges_A"]
                ax.semilogy(
                    0.5 * (edges[1:] + edges[:-1]),
                    np.where(curves["van_hove_per_A"][n] > 0, curves["van_hove_per_A"][n], np.nan),
                    **style(method),
                )
        ax.set(xlabel="|displacement| (Å)", ylabel="density (1/Å)" if n == 0 else None, title=f"after {lag:g} ps")
        if n == 0:
            ax.legend(fontsize=8)
    return figure


def _columns(line: dict[str, Any], method: str, *keys: str) -> list[np.ndarray]:
    """k_BT (meV) of the points of a line that ``method`` has, and its numbers there by key."""
    have = [e for e in line["points"] if method in e["methods"]]
    energy = np.array([e["thermal_energy_meV"] for e in have])
    return [energy, *(np.array([e["methods"][method][key] for e in have]) for key in keys)]


def arrhenius(lines: list[dict[str, Any]]) -> Figure:
    """D against 1/k_BT with the fitted lines, and each rung's D over the reference's."""
    figure = Figure(figsize=(11, 4.8))
    left, right = figure.subplots(1, 2)
    for line, dash in zip(lines, DASHES * len(lines)):
        for method in line["fits"]:
            energy, value, error = _columns(line, method, "diffusion_A2_per_ps", "diffusion_error_A2_per_ps")
            look = style(method) | {"label": f"{method}, strength {line['strength']:g}"}
            colour = look.get("color")
            left.errorbar(1.0 / energy, value, error, fmt="o", ms=4, color=colour, capsize=2, mfc="none" if dash != "-" else None)
            fit, x = line["fits"][method], np.linspace(1.0 / energy.max(), 1.0 / energy.min(), 50)
            left.plot(x, np.exp(fit["log_prefactor"] - fit["barrier"] * x), color=colour, ls=dash, lw=1.0, label=look["label"])
            if method != "reference":
                every, *both = _columns(line, "reference", "diffusion_A2_per_ps", "diffusion_error_A2_per_ps")
                truth, spread = (column[np.isin(every, energy)] for column in both)
                ratio = value / truth
                right.errorbar(
                    energy,
                    ratio,
                    np.abs(ratio) * np.hypot(error / value, spread / truth),  # a small D can come out below zero
                    fmt="o",
                    ls=dash,
                    color=colour,
                    capsize=2,
                    ms=4,
                    label=look["label"],
                )
    left.set(xlabel=f"1/{KT} (1/meV)", ylabel=f"D ({DIFFUSION_UNITS})", yscale="log")
    right.axhline(1.0, color="0.5", lw=0.8)
    right.set(xlabel=f"{KT} (meV)", ylabel="D / D of the reference", ylim=(0, None))
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure


def own_temperature(lines: list[dict[str, Any]]) -> Figure:
    """The ion's temperature over its lattice's against k_BT, and D against the ion's own temperature."""
    figure = Figure(figsize=(11, 4.8))
    left, right = figure.subplots(1, 2)
    for line, dash in zip(lines, DASHES * len(lines)):
        for method in line["fits"]:
            look = {"fmt": "o", "ls": dash, "ms": 4, "capsize": 2, "color": style(method).get("color")}
            label = f"{method}, strength {line['strength']:g}"
            columns = (
                "temperature_ratio",
                "temperature_ratio_error",
                "temperature_meV",
                "diffusion_A2_per_ps",
                "diffusion_error_A2_per_ps",
            )
            energy, ratio, ratio_error, own, value, error = _columns(line, method, *columns)
            left.errorbar(energy, ratio, ratio_error, label=label, **look)
            right.errorbar(1.0 / own, value, error, label=label, **look)
    left.axhline(1.0, color="0.5", lw=0.8)
    left.set(xlabel=f"{KT} of the lattice (meV)", ylabel="T of the ion / T of the lattice", ylim=(0, None))
    right.set(xlabel="1 / k_B(T of the ion) (1/meV)", ylabel=f"D ({DIFFUSION_UNITS})", yscale="log")
    left.legend(fontsize=8)
    return figure


def run_motion(run: Run, found: dict[str, Any]) -> Figure:
    """One run: mean square displacement, velocity autocorrelation, van Hove function, temperature against time."""
    method, curves = run.config.method, found["curves"]
    figure = Figure(figsize=(11, 8))
    (msd, vacf), (hove, warm) = figure.subplots(2, 2)
    _msd(msd, {method: found})
    vacf.plot(curves["lag_ps"], curves["velocity_autocorrelation_A2_per_ps2"], **style(method))
    vacf.axhline(0.0, color="0.7", lw=0.8, zorder=-1)
    vacf.set(xlabel="lag (ps)", ylabel="<v(0)·v(t)> (Å²/ps²)", xlim=(0, min(4.0, curves["lag_ps"][-1])))
    middle = 0.5 * (curves["van_hove_edges_A"][1:] + curves["van_hove_edges_A"][:-1])
    for lag, values in zip(curves["van_hove_lag_ps"], curves["van_hove_per_A"]):
        hove.semilogy(middle, np.where(values > 0.0, values, np.nan), label=f"after {lag:g} ps")
    hove.set(xlabel="|displacement| (Å)", ylabel="density (1/Å)")
    if len(curves["van_hove_lag_ps"]):  # else the run is too short for any
        hove.legend(fontsize=8)
    warm.plot(
        curves["temperature_time_ps"],
        curves["temperature_meV"],
        lw=0.9,
        **{k: v for k, v in style(method).items() if k == "color"},
    )
    if run.config.thermal is not None:
        warm.axhline(run.config.thermal.scale, color="0.4", ls="--", lw=0.9, label=KT)
        warm.legend(fontsize=8)
    warm.set(xlabel="time (ps)", ylabel="kinetic temperature (meV)", ylim=(0, None))
    kelvin_beside(warm)
    ions = counted(found["ions"], "ion")
    figure.suptitle(f"{run.config.title or 'run'} – {method}, {ions}", fontsize=11)
    return figure


def framework(bands: dict[str, Any], time: np.ndarray, kernel: np.ndarray) -> Figure:
    """Dispersion along the path, and the recoil kernel W_xx(t)/W_xx(0) of an atom on itself."""
    figure = Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2)
    draw_bands(left, bands)
    terahertz_beside(left)
    right.plot(time, kernel, color="tab:blue")
    right.axhline(0.0, color="0.6", lw=0.8)
    right.set(xlabel="t (ps)", ylabel="$W_{xx}(t)$ / $W_{xx}(0)$", xlim=(0, time[-1]))
    return figure


def thermal_states(entries: list[dict[str, Any]]) -> Figure:
    """Histograms of |u| and |u̇| with the Gaussian prediction, a row for each temperature."""
    figure = Figure(figsize=(9, 0.6 + 2.4 * len(entries)))
    axes = figure.subplots(len(entries), 2, squeeze=False)
    for row, entry in zip(axes, entries):
        for ax, (name, unit, label) in zip(row, (("displacement", "A", "|u| (Å)"), ("velocity", "A_per_ps", "|u̇| (Å/ps)"))):
            edges, density = entry[name][f"edges_{unit}"], entry[name]["density"]
            sigma = entry[name][f"exact_rms_{unit}"]
            x = np.linspace(0.0, edges[-1], 300)
            ax.stairs(density, edges, fill=True, color="tab:blue", alpha=0.4, label="sampled")
            ax.plot(
                x,
                np.sqrt(2.0 / np.pi) * x**2 / sigma**3 * np.exp(-0.5 * (x / sigma) ** 2),
                color="black",
                lw=1.0,
                label="Gaussian",
            )
            ax.set(xlabel=label, xlim=(0, edges[-1]), title=f"{KT} = {with_kelvin(entry['thermal_energy_meV'])}")
        row[0].set_ylabel("density")
    axes[0, 0].legend(fontsize=8)
    return figure
