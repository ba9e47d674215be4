"""What `mdlite.report.motion` has found, in words for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.analysis import losses
from mdlite.analysis.statistics import EXACT_COUNT, FEW
from mdlite.report import motion_sites
from mdlite.report.markdown import measured, number, span
from mdlite.units import CM2_PER_S, counted, kelvin

if TYPE_CHECKING:
    from mdlite.simulation.result import Run


def text(run: Run, motion: dict[str, Any]) -> str:
    """The numbers, for a terminal."""
    hops, single = motion["hops"], motion["lattices"] == 1
    lines = [
        *(f"averages over what is left: {line}" for line in losses.lines(run.facts, run.config.method)),
        *([run.shortfall] if run.shortfall is not None else []),
        f"{run.config.method}: {counted(motion['ions'], 'ion')}, {_lattices(run, motion)}, {run.time[-1]:g} ps, of it "
        f"{motion['skip_ps']:.4g} ps left out",
    ]
    if motion["off_grid_ps"] is not None:
        lines.append(
            f"the last frame, at {motion['off_grid_ps']:g} ps, is off the grid of the others (run.sample_every): left out"
        )
    lines += _thermal_lines(run, motion) if run.config.thermal is not None else _lines_at_rest(motion["at_rest"])
    if run.config.thermal is not None:
        lines += _hop_lines(hops, "sites" in motion) + (motion_sites.lines(motion) if "sites" in motion else [])
    lines += [
        f"ions lost           {len(motion['run_aways'])} of {motion['ions'] + len(motion['run_aways'])} ({motion['lost_by_step']} by the step, "
        f"{motion['lost_by_method']} by the method; {number(motion['run_aways_per_ns'])} per ion and ns)",
    ]
    if motion["energy_drift_meV_per_ns"] is not None:
        lines.append(f"energy drift        {motion['energy_drift_meV_per_ns']:+.3g} meV/ns")
    if single and run.config.thermal is not None:
        who = "The ions share one lattice, and" if motion["ions"] > 1 else "There is one lattice, and"
        lines.append(f"{who} no error knows how lattices differ: use thermal.lattices for errors that do.")
    return "\n".join(lines + warnings_of(motion))


def warnings_of(motion: dict[str, Any]) -> list[str]:
    """What makes the numbers of `describe` doubtful, a line each."""
    lines = []
    few = motion["lattices"] if motion["lattices"] > 1 else motion["temperature_samples"]
    if np.isfinite(motion["thermal_energy_meV"]) and few < FEW:
        what = f"{counted(few, 'independent sample')} ({'lattices' if motion['lattices'] > 1 else 'blocks of time'})"
        lines.append(
            f"warning: {what}: "
            + (
                "no error can be given of one; "
                if few == 1
                else "the scatter of so few says little, and a ± may be wrong by half and more; go by the 95 % intervals; "
            )
            + f"take {FEW} lattices at least"
        )
    if motion["diffusion_note"] and motion["diffusion_samples"]:
        lines.append(f"warning: D: {motion['diffusion_note']}")
    return lines


def _lattices(run: Run, motion: dict[str, Any]) -> str:
    return counted(motion["lattices"], "lattice")


def _behind(samples: int, lattices: int) -> str:
    """What an error is the scatter of."""
    return f"{lattices} lattices" if lattices > 1 else f"{samples} blocks of time" if samples > 1 else "one sample"


def _thermal_lines(run: Run, motion: dict[str, Any]) -> list[str]:
    """Temperature and diffusion."""
    behind = _behind(motion["temperature_samples"], motion["lattices"])
    ratio = measured(motion["temperature_ratio"], motion["temperature_ratio_error"])
    value, error = motion["temperature_meV"], motion["temperature_error_meV"]
    lines = [
        f"ion temperature     {measured(value, error)} meV ({measured(kelvin(value), kelvin(error))} K) = {ratio} of k_BT "
        f"(95 %: {span(*motion['temperature_interval_meV'])} meV; {behind})",
        f"D                   {diffusion_text(motion)}",
    ]
    tensor, tensor_error = motion["diffusion_tensor_A2_per_ps"], motion["diffusion_tensor_error_A2_per_ps"]
    if np.isfinite(motion["diffusion_A2_per_ps"]) and not np.isfinite(motion["diffusion_limit_A2_per_ps"]):
        pairs = [(i, j) for i in range(3) for j in range(i, 3)]
        parts = [f"{'xyz'[i]}{'xyz'[j]} {measured(tensor[i, j], tensor_error[i, j], 3)}" for i, j in pairs]
        lines.append("D tensor            " + ",  ".join(parts))
        if "diffusion_principal" in motion:
            lines += _principal_lines(motion["diffusion_principal"])
    if motion["green_kubo_note"]:
        lines.append(f"D, Green-Kubo       {motion['green_kubo_note']}")
    else:
        value, error = motion["green_kubo_A2_per_ps"], motion["green_kubo_error_A2_per_ps"]
        lines.append(
            f"D, Green-Kubo       {measured(value, error)} Å²/ps (95 %: {span(*motion['green_kubo_interval_A2_per_ps'])}; "
            f"{_behind(motion['green_kubo_samples'], motion['lattices'])}; up to {motion['green_kubo_until_ps']:.3g} ps)"
        )
    return lines


def _principal_lines(found: dict[str, Any]) -> list[str]:
    """The tensor's own axes."""
    values, errors = found["values_A2_per_ps"], found["errors_A2_per_ps"]
    parts = [
        f"{measured(value, error, 3)} along ({', '.join(f'{x:.2f}' for x in axis)})"
        for value, error, axis in zip(values, errors, found["axes"])
    ]
    one = np.isfinite(errors).all() and values[0] - values[2] < 2.0 * np.hypot(errors[0], errors[2])
    return ["  principal axes    " + ",  ".join(parts) + ("; not resolved from isotropic" if one else "")]


def diffusion_text(motion: dict[str, Any]) -> str:
    """D of `describe` in words: the value with its error, or what it does not exceed, or why there is none."""
    value, error, limit = (motion[f"diffusion_{key}A2_per_ps"] for key in ("", "error_", "limit_"))
    hops = motion["hops"]
    if np.isfinite(limit):
        most = f"< {limit:.2g} Å²/ps = {CM2_PER_S * limit:.2g} cm²/s (95 %"
        if hops["count"] > EXACT_COUNT:
            return f"{measured(value, error)} Å²/ps, not resolved from 0 by {_behind(motion['diffusion_samples'], motion['lattices'])}: {most})"
        seen = (
            "no hop was" if hops["count"] == 0 else f"{counted(hops['count'], 'hop')} {'was' if hops['count'] == 1 else 'were'}"
        )
        return f"{most}; {seen} seen in {number(hops['time'], 3)} ion-ps)"
    if not np.isfinite(value):
        return f"none: {motion['diffusion_note']}"
    first, last = motion["fit_ps"]
    samples = motion["diffusion_samples"]
    behind = _behind(samples, motion["lattices"]) if samples > 1 else "by the covariance of the lags"
    return (
        f"{measured(value, error)} Å²/ps = {CM2_PER_S * value:.3g} cm²/s (95 %: {span(*motion['diffusion_interval_A2_per_ps'])} Å²/ps; {behind}; "
        f"lags {first:.3g} to {last:.3g} ps)"
    )


def _hop_lines(hops: dict[str, Any], crystal: bool) -> list[str]:
    """Hops, and where they lead."""
    low, high = hops["rate_interval"]
    if not hops["count"]:
        return [
            f"hops                none in {number(hops['time'], 3)} ion-ps: rate < {3.0 / hops['time']:.2g} 1/ps, dwell > "
            f"{hops['time'] / 3.0:.3g} ps (95 %)"
        ]
    lines = [
        f"hops                {hops['count']}, rate {measured(hops['rate'], hops['rate_error'])} 1/ps (95 %: {span(low, high)}), "
        f"dwell {number(hops['dwell'], 3)} ps, correlation of successive hops {number(hops['correlation'], 2)}",
        ("  by distance       " if crystal else "  to a neighbour    ")
        + ", ".join(f"{name} {100 * share:.1f} %" for name, share in hops["shares"].items()),
    ]
    return lines


def _lines_at_rest(motion: dict[str, Any]) -> list[str]:
    """What there is to say at T = 0."""
    lines = [
        "T = 0: the crystal starts at rest, so there is no temperature and no diffusion to speak of",
        f"kinetic energy      {number(motion['final_kinetic_energy'])} meV at the end; the ion has lost {number(motion['energy_loss'])} meV",
        f"largest             force {number(motion['largest_force'])} meV/Å, speed {number(motion['largest_speed'])} Å/ps",
    ]
    if np.isfinite(motion["decay_rate"]):
        lines.append(
            f"later half          energy decays at {measured(motion['decay_rate'], motion['decay_rate_error'])} 1/ps "
            f"({motion['decay_points']} passages), "
            f"period {number(motion['period'])} ps"
        )
    return lines
