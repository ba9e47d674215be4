"""What one run says of its ions' motion: temperature, diffusion, hops, displacements (`mdlite analyse`, and every thermal validation)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis, losses
from mdlite.errors import InputError
from mdlite.report import number

if TYPE_CHECKING:
    from mdlite.simulate import Run

VAN_HOVE_LAGS = (0.5, 2.0, 8.0)
"""ps"""
COARSE = 0.2
"""ps, over which the temperature is averaged to be shown against time."""


def own_lattice(run: Run) -> np.ndarray:
    """The number of the lattice that each ion of the run moves in, (ions,)."""
    thermal = run.config.thermal
    return np.repeat(np.arange(thermal.lattices), thermal.ions) if thermal is not None else np.zeros(1, int)


def default_skip(run: Run) -> float:
    """A tenth of the run, ps: left out at its start."""
    return 0.1 * run.recorded


def default_fit(run: Run, skip: float) -> tuple[float, float]:
    """Lags (ps) for the slope of the mean square displacement: 1 to 12 ps as in the paper, less in a run too short for that."""
    ions = run.position.shape[1]
    parts = 1 if own_lattice(run).max() > 0 else -(-10 // ions)  # few ions are cut into ten blocks in time
    last = min(12.0, 0.4 * (run.recorded - skip) / parts)
    return min(1.0, 0.2 * last), last


def parse_fit(text: str) -> tuple[float, float]:
    """Two lags (ps) from text such as ``1,12``. Raises InputError."""
    try:
        first, last = (float(part) for part in text.split(","))
    except ValueError:
        first = last = np.nan
    if not 0.0 < first < last < np.inf:
        raise InputError(f"--fit {text!r}: must be two lags in ps, the lower first, such as 1,12")
    return first, last


def describe(run: Run, skip: float, fit: tuple[float, float], selection: bool = False) -> dict[str, Any]:
    """All numbers and curves of a run's ions after ``skip`` ps, D fitted for lags in ``fit`` (ps). Ions that the run has lost are left out, and listed.

    Ions that share a lattice count as one sample where there are several lattices. Raises InputError for a run too short for this, and, but for
    ``selection``, for one that lost more than one in a hundred by its step: what is left is colder and slower.
    """
    losses.require(run.facts, run.config.method, selection)
    if len(run.time) < 10:
        raise InputError(f"run: has {len(run.time)} frames, which is too few to analyse; sample more often or run for longer")
    late = run.time >= skip
    if skip == default_skip(run) and late.sum() < 10:
        raise InputError(
            f"run: has {late.sum()} frames behind its first tenth, {skip:g} ps (left out where no --skip is given), and ten are needed; "
            "sample more often or run for longer"
        )
    if not skip >= 0.0 or late.sum() < 10:
        raise InputError(f"skip = {skip:g} ps: must be 0 or more, and leave ten frames at least of the {run.time[-1]:g} ps")
    gone = [entry["ion"] for entry in run.facts.get("run_aways", [])]
    kept = np.setdiff1d(np.arange(run.position.shape[1]), gone)
    groups = own_lattice(run)[kept]
    position, velocity, time = run.position[late][:, kept], run.velocity[late][:, kept], run.time[late]
    mass = np.array(run.config.ion.mass)
    several = groups if len(np.unique(groups)) > 1 else None
    found = analysis.diffusion(time, position, fit, groups=several)
    temperature, error = analysis.kinetic_temperature(velocity, mass, groups=several)
    kubo, kubo_error = analysis.green_kubo(time, velocity, fit[1], several)
    scale = run.config.thermal.scale if run.config.thermal is not None else np.nan
    return {
        "ions": len(kept),
        "lattices": len(np.unique(groups)),
        "run_aways": run.facts.get("run_aways", []),
        "lost_by_step": len(losses.of(run.facts, "step")),
        "lost_by_method": len(losses.of(run.facts, "method")),
        "run_aways_per_ns": 1e3 * len(gone) / (run.position.shape[1] * run.recorded),
        "thermal_energy_meV": scale,
        "skip_ps": skip,
        "fit_ps": list(fit),
        "temperature_meV": temperature[0],
        "temperature_error_meV": error[0],
        "temperature_ratio": temperature[0] / scale,
        "temperature_ratio_error": error[0] / scale,
        "temperature_axes_meV": temperature[1:],
        "diffusion_A2_per_ps": found.value,
        "diffusion_error_A2_per_ps": found.error,
        "diffusion_interval_A2_per_ps": found.interval,
        "diffusion_tensor_A2_per_ps": found.tensor,
        "diffusion_tensor_error_A2_per_ps": found.tensor_error,
        "green_kubo_A2_per_ps": kubo,
        "green_kubo_error_A2_per_ps": kubo_error,
        "hops": analysis.hops(time, position, run.config.lattice.spacing, several)._asdict(),
        "curves": _curves(run, time, position, velocity, fit[1], several),
        "energy_drift_meV_per_ns": energy_drift(run),
        "status": run.facts.get("status"),
        "seconds": run.facts.get("run_seconds"),
        "threads": run.facts.get("threads"),
        "duration_ps": run.recorded,
        "us_per_ion_step": 1e6 * run.facts.get("run_seconds", np.nan) / (max(1, run.step[-1]) * run.position.shape[1]),
    }


def _curves(run: Run, time, position, velocity, longest: float, groups) -> dict[str, Any]:
    """Mean square displacement, velocity autocorrelation, van Hove function and temperature against time."""
    step = time[1] - time[0]
    lags = min(len(time), round(1.25 * longest / step) + 1)
    moments = analysis.mean_square_displacement(position, lags)
    labels = np.arange(position.shape[1]) if groups is None else groups
    square, error = analysis.mean_and_error(analysis.group_means(np.trace(moments, axis1=2, axis2=3), labels, axis=1))
    shown = [lag for lag in VAN_HOVE_LAGS if step <= lag < time[-1] - time[0]]
    edges = np.linspace(0.0, max(6.0, 3.0 * np.sqrt(square[min(lags - 1, round(max(shown, default=0.0) / step))])), 121)
    width = max(1, round(COARSE / (run.time[1] - run.time[0])))
    early = analysis.cut(run.velocity, width)  # (width, chunks × ions, 3)
    moving = np.isfinite(run.config.ion.mass)
    kinetic = (np.array(run.config.ion.mass)[moving] * early[..., moving] ** 2).mean(axis=(0, 2))
    kinetic = np.delete(kinetic.reshape(-1, run.position.shape[1]), [e["ion"] for e in run.facts.get("run_aways", [])], axis=1)
    return {
        "lag_ps": step * np.arange(lags),
        "mean_square_displacement_A2": square,
        "mean_square_displacement_error_A2": error,
        "velocity_autocorrelation_A2_per_ps2": analysis.velocity_autocorrelation(velocity, lags),
        "van_hove_lag_ps": shown,
        "van_hove_edges_A": edges,
        "van_hove_per_A": analysis.van_hove(time, position, shown, edges),
        "non_gaussian": analysis.non_gaussian(time, position, shown),
        "temperature_time_ps": (np.arange(len(kinetic)) + 0.5) * width * (run.time[1] - run.time[0]),
        "temperature_meV": kinetic.mean(axis=1),
    }


def energy_drift(run: Run) -> float | None:
    """Mean slope of the total energy, meV/ns for each ion of a reference run; None where the energy is not recorded."""
    if "energy_elastic" not in run.data or len(run.energy_time) < 3:
        return None
    total = run.total_energy.reshape(len(run.energy_time), -1)
    return float(1e3 * np.polyfit(run.energy_time, total - total[0], 1)[0].mean())


def text(run: Run, found: dict[str, Any]) -> str:
    """The numbers, for a terminal."""

    def pm(value, error, digits=4):
        return f"{number(value, digits)} ± {number(error, 2)}"

    hops, shared = found["hops"], found["lattices"] == 1 and found["ions"] > 1
    tensor, tensor_error = found["diffusion_tensor_A2_per_ps"], found["diffusion_tensor_error_A2_per_ps"]
    lines = [
        *(f"averages over what is left: {line}" for line in losses.lines(run.facts, run.config.method)),
        f"{run.config.method}: {found['ions']} ions, {found['lattices']} lattices, {run.time[-1]:g} ps, of it {found['skip_ps']:g} ps left out",
        f"ion temperature     {pm(found['temperature_meV'], found['temperature_error_meV'])} meV"
        + (
            f" = {pm(found['temperature_ratio'], found['temperature_ratio_error'])} of k_BT"
            if run.config.thermal is not None
            else ""
        ),
        f"D                   {pm(found['diffusion_A2_per_ps'], found['diffusion_error_A2_per_ps'])} Å²/ps"
        f" (lags {found['fit_ps'][0]:g} to {found['fit_ps'][1]:g} ps; 95 %: {number(found['diffusion_interval_A2_per_ps'][0])} to "
        f"{number(found['diffusion_interval_A2_per_ps'][1])})",
        f"D, Green-Kubo       {pm(found['green_kubo_A2_per_ps'], found['green_kubo_error_A2_per_ps'])} Å²/ps",
        "D tensor            "
        + ",  ".join(
            f"{a}{b} {pm(tensor[i, j], tensor_error[i, j], 3)}"
            for i, a in enumerate("xyz")
            for j, b in enumerate("xyz")
            if i <= j
        ),
        f"hops                {hops['count']}, rate {pm(hops['rate'], hops['rate_error'])} 1/ps, dwell {number(hops['dwell'])} ps, "
        f"correlation of successive hops {number(hops['correlation'], 3)}",
        "  to a neighbour    " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in hops["shares"].items()),
        f"ions lost           {len(found['run_aways'])} of {found['ions'] + len(found['run_aways'])} ({found['lost_by_step']} by the step, "
        f"{found['lost_by_method']} by the method; {number(found['run_aways_per_ns'])} per ion and ns)",
    ]
    if run.shortfall is not None:
        lines.insert(1, run.shortfall)
    if found["energy_drift_meV_per_ns"] is not None:
        lines.append(f"energy drift        {found['energy_drift_meV_per_ns']:+.3g} meV/ns")
    if shared:
        lines.append(
            "The ions share one lattice, and the errors take them for independent: use thermal.lattices for errors that know of it."
        )
    return "\n".join(lines)
