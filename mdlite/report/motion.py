"""What one run says of its ions' motion: temperature, diffusion, hops, displacements (`mdlite analyse`, and every thermal validation)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis
from mdlite.analysis import losses
from mdlite.analysis.correlations import USUAL, memory_of
from mdlite.analysis.sampling import off_grid
from mdlite.errors import InputError
from mdlite.report import motion_sites, motion_text

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

text = motion_text.text
VAN_HOVE_LAGS = (0.5, 2.0, 8.0)
"""ps"""
COARSE = 0.2
"""ps, over which the temperature is averaged to be shown against time."""
LONG = 20
"""Displacements over the last lag of the paper's fit that every independent sample must hold for that fit to be taken."""
RESOLVED = 0.4
"""Mean square of the displacement between frames over that of velocity × step, below which frames miss the vibrations: two frames a period."""


def own_lattice(run: Run) -> np.ndarray:
    """The number of the lattice that each ion of the run moves in, (ions,)."""
    thermal = run.config.thermal
    return np.repeat(np.arange(thermal.lattices), thermal.ions) if thermal is not None else np.zeros(1, int)


def default_skip(run: Run) -> float:
    """A tenth of the run, ps: left out at its start."""
    return 0.1 * run.recorded


def default_fit(run: Run, skip: float) -> tuple[float, float] | None:
    """Lags (ps) for the slope of the mean square displacement: the paper's 1 to 12 ps in a run that is long enough for them.

    None in a shorter one, or where the ion remembers its velocity for longer than a quarter of that: the lags are then found in
    the run (`analysis.diffusion`).
    """
    late = _late(run, skip)
    time, position = run.time[late], run.position[late]
    if len(time) < 10:
        return None
    step, lattices = time[1] - time[0], own_lattice(run).max() + 1
    parts = lattices if lattices > 1 else 10  # ions that share the only lattice are cut into blocks in time
    length = step * len(time) / (1 if lattices > 1 else parts)
    windows = length * position.shape[1] / (lattices * USUAL[1])
    if length < 2.5 * USUAL[1] or windows < LONG or step > 0.25 * USUAL[1] or step * memory_of(position) > 0.25 * USUAL[1]:
        return None
    return USUAL


def _late(run: Run, skip: float) -> slice:
    """The frames that are analysed: after ``skip`` ps, and at equal distances; a last frame off that grid is left out."""
    return slice(int(np.searchsorted(run.time, skip)), len(run.time) - int(off_grid(run.step, run.config.run.sample_every)))


def parse_fit(text: str) -> tuple[float, float]:
    """Two lags (ps) from text such as ``1,12``. Raises InputError."""
    try:
        first, last = (float(part) for part in text.split(","))
    except ValueError:
        first = last = np.nan
    if not 0.0 < first < last < np.inf:
        raise InputError(f"--fit {text!r}: must be two lags in ps, the lower first, such as 1,12")
    return first, last


def describe(run: Run, skip: float, fit: tuple[float, float] | None = None, selection: bool = False) -> dict[str, Any]:
    """All numbers and curves of a run's ions after ``skip`` ps, D fitted for lags in ``fit`` (ps). Ions that the run has lost are
    left out, and listed.

    fit: a line of equal weights through these lags; by default lags beyond the memory of the velocity, and generalised least
    squares. Ions that share a lattice count as one sample where there are several lattices; of a single lattice, blocks of time
    are the samples. Raises InputError for a run too short for this, and, but for ``selection``, for one that lost more than one
    in a hundred by its step: what is left is colder and slower.
    """
    losses.require(run.facts, run.config.method, selection)
    if len(run.time) < 10:
        raise InputError(f"run: has {len(run.time)} frames, which is too few to analyse; sample more often or run for longer")
    late = _late(run, skip)
    frames = late.stop - late.start
    if skip == default_skip(run) and frames < 10:
        raise InputError(
            f"run: has {frames} frames behind its first tenth, {skip:g} ps (left out where no --skip is given), and ten are needed; "
            "sample more often or run for longer"
        )
    if not skip >= 0.0 or frames < 10:
        raise InputError(f"skip = {skip:g} ps: must be 0 or more, and leave ten frames at least of the {run.time[-1]:g} ps")
    gone = [entry["ion"] for entry in run.facts.get("run_aways", [])]
    kept = np.setdiff1d(np.arange(run.position.shape[1]), gone)
    groups = own_lattice(run)[kept]
    position, velocity, time = run.position[late][:, kept], run.velocity[late][:, kept], run.time[late]
    several = groups if len(np.unique(groups)) > 1 else None
    thermal = run.config.thermal is not None
    hops, apart, own = _hops(run, time, position, several)
    found = _diffusion(time, position, fit, groups, hops, apart, thermal)
    fitted = found.fit if np.isfinite(found.fit[1]) else (np.nan, min(USUAL[1], 0.4 * (time[-1] - time[0])))
    scale = run.config.thermal_state.scale if thermal else np.nan
    return {
        "ions": len(kept),
        "lattices": len(np.unique(groups)),
        "run_aways": run.facts.get("run_aways", []),
        "lost_by_step": len(losses.of(run.facts, "step")),
        "lost_by_method": len(losses.of(run.facts, "method")),
        "run_aways_per_ns": 1e3 * len(gone) / (run.position.shape[1] * run.recorded),
        "thermal_energy_meV": scale,
        "skip_ps": skip,
        "off_grid_ps": float(run.time[-1]) if off_grid(run.step, run.config.run.sample_every) else None,
        "fit_ps": list(found.fit),
        **_temperature(velocity, np.array(run.config.ion.mass), groups, scale),
        "velocity_memory_ps": found.memory,
        "diffusion_A2_per_ps": found.value,
        "diffusion_error_A2_per_ps": found.error,
        "diffusion_interval_A2_per_ps": found.interval,
        "diffusion_limit_A2_per_ps": found.limit,
        "diffusion_samples": len(found.samples),
        "diffusion_note": found.note,
        "diffusion_tensor_A2_per_ps": found.tensor,
        "diffusion_tensor_error_A2_per_ps": found.tensor_error,
        **_green_kubo(time, position, velocity, groups, found, fit),
        **({} if run.config.crystal is None else {"diffusion_principal": motion_sites.principal(found)}),
        "hops": hops._asdict(),
        **own,
        "at_rest": None if thermal else at_rest(run),
        "curves": _curves(run, time, position, velocity, fitted[1], several),
        "energy_drift_meV_per_ns": energy_drift(run),
        "status": run.facts.get("status"),
        "seconds": run.facts.get("run_seconds"),
        "threads": run.facts.get("threads"),
        "duration_ps": run.recorded,
        "us_per_ion_step": 1e6 * run.facts.get("run_seconds", np.nan) / (max(1, run.step[-1]) * run.position.shape[1]),
    }


def _hops(run: Run, time, position, groups) -> tuple[analysis.Hops, float, dict[str, Any]]:
    """Hops, the distance of two places between which there are any (Å), and in a [crystal] the sites."""
    if run.config.crystal is None:
        return analysis.hops(time, position, run.config.lattice.spacing, groups), run.config.lattice.spacing, {}
    chosen = motion_sites.places(run, time, position)
    found = analysis.site_hops(time, position, chosen.cell, chosen.sites, groups)
    return found, chosen.apart, {"sites": motion_sites.table(run, chosen, position), "sites_found": chosen.found}


def _temperature(velocity: np.ndarray, mass: np.ndarray, groups: np.ndarray, scale: float) -> dict[str, Any]:
    """The kinetic temperature with what stands behind it; its error between lattices, or between blocks of time in a single one."""
    samples = analysis.temperature_samples(velocity, mass, groups=groups)
    mean, error = analysis.mean_and_error(samples)
    held = analysis.interval(samples[:, 0])
    return {
        "temperature_meV": mean[0],
        "temperature_error_meV": error[0],
        "temperature_interval_meV": held,
        "temperature_samples": len(samples),
        "temperature_ratio": mean[0] / scale,
        "temperature_ratio_error": error[0] / scale,
        "temperature_axes_meV": mean[1:],
    }


def _diffusion(time, position, fit, groups, hops: analysis.Hops, spacing: float, thermal: bool) -> analysis.Diffusion:
    """D, no better known than the number of hops allows; none at T = 0, where an ion comes to rest."""
    weights = "generalised" if fit is None and thermal else "equal"  # at T = 0 an ion may not have moved at all
    found = analysis.diffusion(time, position, fit, groups=groups, weights=weights)
    if not thermal:
        empty = analysis.nothing(found.memory, "T = 0: an ion that comes to rest does not diffuse")
        return empty._replace(fit=found.fit if fit is not None else empty.fit)
    far = np.ptp(position, axis=0).max() > spacing  # an ion whose places are not the cells' centres hops unseen
    if hops.count == 0 and far:
        return found
    square = 6.0 * hops.diffusion / hops.rate if hops.count else spacing**2
    return analysis.limited_by_hops(found, hops.count, square / (6.0 * hops.time))


def _green_kubo(time, position, velocity, groups, found: analysis.Diffusion, fit) -> dict[str, Any]:
    """D by Green and Kubo, up to the last lag of a given fit, or to three times the velocity's memory; NaN where the frames miss the vibrations."""
    nothing: dict[str, Any] = {"green_kubo_A2_per_ps": np.nan, "green_kubo_error_A2_per_ps": np.nan}
    nothing |= {"green_kubo_interval_A2_per_ps": (np.nan, np.nan), "green_kubo_samples": 0, "green_kubo_until_ps": None}
    step = time[1] - time[0]
    until = fit[1] if fit is not None else min(found.fit[1], max(3.0 * found.memory, found.fit[0]))
    moved = np.mean(np.diff(position, axis=0) ** 2) / (step**2 * np.mean(velocity**2)) if velocity.any() else 0.0
    if not until > 0.0 or not np.isfinite(found.value) or not len(found.samples):
        return nothing | {"green_kubo_note": "none, as there is no diffusive regime"}
    if moved < RESOLVED:
        return nothing | {"green_kubo_note": f"none: frames {step:g} ps apart miss the ion's vibrations, sample more often"}
    samples = analysis.green_kubo_samples(time, velocity, until, groups)
    mean, error = analysis.mean_and_error(samples)
    return {
        "green_kubo_A2_per_ps": float(mean),
        "green_kubo_error_A2_per_ps": float(error),
        "green_kubo_interval_A2_per_ps": analysis.interval(samples),
        "green_kubo_samples": len(samples),
        "green_kubo_until_ps": until,
        "green_kubo_note": "",
    }


def at_rest(run: Run) -> dict[str, float]:
    """What a run at T = 0 comes to, by the names of `mdlite.sweeps.measures.UNITS`: energies, largest force and speed, decay, period."""
    energy = run.ion_kinetic[:, 0] + run.interaction[:, 0]
    axis = int(np.argmax(np.ptp(run.position[:, 0], axis=0)))
    centre = run.config.validate_.centre
    level = run.config.ion_position[axis] if centre is None else centre
    passed = analysis.crossings(run.time, run.position[:, 0, axis], run.velocity[:, 0, axis], level)
    later = (0.5 * float(run.time[-1]), float(run.time[-1]))
    decay = analysis.fit_decay(passed.time, passed.velocity**2, later)
    return {
        "final_kinetic_energy": run.ion_kinetic[-1, 0],
        "energy_loss": energy[0] - energy[-1],
        "largest_force": np.linalg.norm(run.force[:, 0], axis=1).max(),
        "largest_speed": np.linalg.norm(run.velocity[:, 0], axis=1).max(),
        "decay_rate": decay.rate,
        "decay_rate_error": decay.error,
        "decay_points": decay.points,
        "period": analysis.mean_period(passed.time, later),
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
    width = max(1, min(len(run.time), round(COARSE / (run.time[1] - run.time[0]))))
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
        "van_hove_per_A": analysis.van_hove(time, position, np.array(shown), edges),
        "non_gaussian": analysis.non_gaussian(time, position, np.array(shown)),
        "temperature_time_ps": (np.arange(len(kinetic)) + 0.5) * width * (run.time[1] - run.time[0]),
        "temperature_meV": kinetic.mean(axis=1),
    }


def energy_drift(run: Run) -> float | None:
    """Mean slope of the total energy, meV/ns for each ion of a reference run; None where the energy is not recorded."""
    if "energy_elastic" not in run.data or len(run.energy_time) < 3:
        return None
    total = run.total_energy.reshape(len(run.energy_time), -1)
    return float(1e3 * np.polyfit(run.energy_time, total - total[0], 1)[0].mean())
