"""What `mdlite.report.motion` has found, in words for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.analysis import losses
from mdlite.analysis.statistics import EXACT_COUNT, FEW
from mdlite.report.markdown import measured, number, span
from mdlite.units import CM2_PER_S, counted, kelvin

if TYPE_CHECKING:
    from mdlite.simulation.result import Run


def text(run: Run, found: dict[str, Any]) -> str:
    """The numbers, for a terminal."""
    hops, single = found["hops"], found["lattices"] == 1
    lines = [
        *(f"averages over what is left: {line}" for line in losses.lines(run.facts, run.config.method)),
        *([run.shortfall] if run.shortfall is not None else []),
        f"{run.config.method}: {counted(found['ions'], 'ion')}, {_lattices(run, found)}, {run.time[-1]:g} ps, of it {found['skip_ps']:.4g} ps left out",
    ]
    if found["off_grid_ps"] is not None:
        lines.append(
            f"the last frame, at {found['off_grid_ps']:g} ps, is off the grid of the others (run.sample_every): left out"
        )
    lines += _thermal_lines(run, found) if run.config.thermal is not None else _lines_at_rest(found["at_rest"])
    if run.config.thermal is not None:
        lines += _hop_lines(hops)
    lines += [
        f"ions lost           {len(found['run_aways'])} of {found['ions'] + len(found['run_aways'])} ({found['lost_by_step']} by the step, "
        f"{found['lost_by_method']} by the method; {number(found['run_aways_per_ns'])} per ion and ns)",
    ]
    if found["energy_drift_meV_per_ns"] is not None:
        lines.append(f"energy drift        {found['energy_drift_meV_per_ns']:+.3g} meV/ns")
    if single and run.config.thermal is not None:
        who = "The ions share one lattice, and" if found["ions"] > 1 else "There is one lattice, and"
        lines.append(f"{who} no error knows how lattices differ: use thermal.lattices for errors that do.")
    return "\n".join(lines + warnings_of(found))


def warnings_of(found: dict[str, Any]) -> list[str]:
    """What makes the numbers of `describe` doubtful, a line each."""
    lines = []
    few = found["lattices"] if found["lattices"] > 1 else found["temperature_samples"]
    if np.isfinite(found["thermal_energy_meV"]) and few < FEW:
        what = f"{counted(few, 'independent sample')} ({'lattices' if found['lattices'] > 1 else 'blocks of time'})"
        lines.append(
            f"warning: {what}: "
            + (
                "no error can be given of one; "
                if few == 1
                else "the scatter of so few says little, and a ± may be wrong by half and more; go by the 95 % intervals; "
            )
            + f"take {FEW} lattices at least"
        )
    if found["diffusion_note"] and found["diffusion_samples"]:
        lines.append(f"warning: D: {found['diffusion_note']}")
    return lines


def _lattices(run: Run, found: dict[str, Any]) -> str:
    return counted(found["lattices"], "lattice")


def _behind(samples: int, lattices: int) -> str:
    """What an error is the scatter of."""
    return f"{lattices} lattices" if lattices > 1 else f"{samples} blocks of time" if samples > 1 else "one sample"


def _thermal_lines(run: Run, found: dict[str, Any]) -> list[str]:
    """Temperature and diffusion."""
    behind = _behind(found["temperature_samples"], found["lattices"])
    ratio = measured(found["temperature_ratio"], found["temperature_ratio_error"])
    value, error = found["temperature_meV"], found["temperature_error_meV"]
    lines = [
        f"ion temperature     {measured(value, error)} meV ({measured(kelvin(value), kelvin(error))} K) = {ratio} of k_BT "
        f"(95 %: {span(*found['temperature_interval_meV'])} meV; {behind})",
        f"D                   {diffusion_text(found)}",
    ]
    tensor, tensor_error = found["diffusion_tensor_A2_per_ps"], found["diffusion_tensor_error_A2_per_ps"]
    if np.isfinite(found["diffusion_A2_per_ps"]) and not np.isfinite(found["diffusion_limit_A2_per_ps"]):
        pairs = [(i, j) for i in range(3) for j in range(i, 3)]
        parts = [f"{'xyz'[i]}{'xyz'[j]} {measured(tensor[i, j], tensor_error[i, j], 3)}" for i, j in pairs]
        lines.append("D tensor            " + ",  ".join(parts))
    if found["green_kubo_note"]:
        lines.append(f"D, Green-Kubo       {found['green_kubo_note']}")
    else:
        value, error = found["green_kubo_A2_per_ps"], found["green_kubo_error_A2_per_ps"]
        lines.append(
            f"D, Green-Kubo       {measured(value, error)} Å²/ps (95 %: {span(*found['green_kubo_interval_A2_per_ps'])}; "
            f"{_behind(found['green_kubo_samples'], found['lattices'])}; up to {found['green_kubo_until_ps']:.3g} ps)"
        )
    return lines


def diffusion_text(found: dict[str, Any]) -> str:
    """D of `describe` in words: the value with its error, or what it does not exceed, or why there is none."""
    value, error, limit = (found[f"diffusion_{key}A2_per_ps"] for key in ("", "error_", "limit_"))
    hops = found["hops"]
    if np.isfinite(limit):
        most = f"< {limit:.2g} Å²/ps = {CM2_PER_S * limit:.2g} cm²/s (95 %"
        if hops["count"] > EXACT_COUNT:
            return f"{measured(value, error)} Å²/ps, not resolved from 0 by {_behind(found['diffusion_samples'], found['lattices'])}: {most})"
        seen = (
            "no hop was" if hops["count"] == 0 else f"{counted(hops['count'], 'hop')} {'was' if hops['count'] == 1 else 'were'}"
        )
        return f"{most}; {seen} seen in {number(hops['time'], 3)} ion-ps)"
    if not np.isfinite(value):
        return f"none: {found['diffusion_note']}"
    first, last = found["fit_ps"]
    samples = found["diffusion_samples"]
    behind = _behind(samples, found["lattices"]) if samples > 1 else "by the covariance of the lags"
    return (
        f"{measured(value, error)} Å²/ps = {CM2_PER_S * value:.3g} cm²/s (95 %: {span(*found['diffusion_interval_A2_per_ps'])} Å²/ps; {behind}; "
        f"lags {first:.3g} to {last:.3g} ps)"
    )


def _hop_lines(hops: dict[str, Any]) -> list[str]:
    """Hops, and where they lead."""
    low, high = hops["rate_interval"]
    if not hops["count"]:
        return [
            f"hops                none in {number(hops['time'], 3)} ion-ps: rate < {3.0 / hops['time']:.2g} 1/ps, dwell > {hops['time'] / 3.0:.3g} ps (95 %)"
        ]
    lines = [
        f"hops                {hops['count']}, rate {measured(hops['rate'], hops['rate_error'])} 1/ps (95 %: {span(low, high)}), "
        f"dwell {number(hops['dwell'], 3)} ps, correlation of successive hops {number(hops['correlation'], 2)}",
        "  to a neighbour    " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in hops["shares"].items()),
    ]
    return lines


def _lines_at_rest(found: dict[str, Any]) -> list[str]:
    """What there is to say at T = 0."""
    lines = [
        "T = 0: the crystal starts at rest, so there is no temperature and no diffusion to speak of",
        f"kinetic energy      {number(found['final_kinetic_energy'])} meV at the end; the ion has lost {number(found['energy_loss'])} meV",
        f"largest             force {number(found['largest_force'])} meV/Å, speed {number(found['largest_speed'])} Å/ps",
    ]
    if np.isfinite(found["decay_rate"]):
        lines.append(
            f"later half          energy decays at {measured(found['decay_rate'], found['decay_rate_error'])} 1/ps ({found['decay_points']} passages), "
            f"period {number(found['period'])} ps"
        )
    return lines
