"""Protocol ``arrhenius``: `diffusion` at several temperatures and strengths of the potential, and the Arrhenius line of every method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis, diffusion, plots_thermal, report
from mdlite.config import Config
from mdlite.errors import InputError

if TYPE_CHECKING:
    from mdlite.validation import Job, Outcome

THERMAL = True
PUBLISHED = {"reference": (3.14, 0.18), "time-local": (2.28, 0.22)}
"""ln D0 (D0 in Å²/ps) of the source paper at U0 = 4000 meV Å, full lattice and time-local."""
PUBLISHED_STRENGTH = 4000.0


def check(config: Config) -> None:
    """Raises InputError unless there are lines to be drawn, each of runs that make sense."""
    if not config.validate_.series:
        raise InputError("validate.series: is missing; list one table or more, each with a strength and its energies (meV)")
    if not hasattr(config.interaction.potential, "strength"):
        kind = config.interaction.potential.kind
        raise InputError(
            f'interaction.potential.kind = "{kind}": has no strength; the arrhenius protocol varies that of a yukawa, say'
        )
    pairs = [(series.strength, energy) for series in config.validate_.series for energy in series.energies]
    if len(set(pairs)) < len(pairs):
        raise InputError("validate.series: has one temperature twice at the same strength; list each once")
    for _, _, one in _points(config):
        diffusion.check(one)


def _points(config: Config):
    """(strength, energy, configuration) of every point."""
    for series in config.validate_.series:
        for energy in series.energies:
            data = config.to_dict()
            data["interaction"]["potential"]["strength"] = series.strength
            data["thermal"].pop("temperature", None)
            data["thermal"]["energy"] = energy
            yield series.strength, energy, config.replace(interaction=data["interaction"], thermal=data["thermal"])


def compare(config: Config, job: Job) -> Outcome:
    """Run every point, then fit."""
    from mdlite.validation import Outcome

    lines: dict[float, list[dict[str, Any]]] = {}
    for strength, energy, one in _points(config):
        lines.setdefault(strength, []).append(diffusion.point(one, job, f"-U{strength:g}-{energy:g}meV"))
    fitted = [{"strength": strength, "points": entries, "fits": fits(entries)} for strength, entries in lines.items()]
    figures = {
        "arrhenius.png": lambda: plots_thermal.arrhenius(fitted),
        "temperatures.png": lambda: plots_thermal.own_temperature(fitted),
    }
    for line in fitted:
        figures[f"msd-U{line['strength']:g}.png"] = lambda line=line: plots_thermal.displacement_grid(line["points"])
    return Outcome({"lines": fitted}, _body(config, fitted), figures)


def fits(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The Arrhenius fit of every method that has a positive D at two temperatures or more, errors scaled where the fit is poor."""
    found = {}
    for method in entries[0]["methods"]:
        have = [e["methods"][method] | {"energy": e["thermal_energy_meV"]} for e in entries if method in e["methods"]]
        value = np.array([e["diffusion_A2_per_ps"] for e in have])
        error = np.array([e["diffusion_error_A2_per_ps"] for e in have])
        sound = (value > 0.0) & (error > 0.0)
        if sound.sum() < 2:
            continue
        fit = analysis.arrhenius(np.array([e["energy"] for e in have])[sound], value[sound], error[sound])
        scale = max(1.0, np.sqrt(fit.chi_square)) if np.isfinite(fit.chi_square) else 1.0
        found[method] = fit._asdict() | {
            "scaled_log_prefactor_error": scale * fit.log_prefactor_error,
            "scaled_barrier_error": scale * fit.barrier_error,
            "points": int(sound.sum()),
        }
    return found


def _body(config: Config, lines: list[dict[str, Any]]) -> str:
    parts = [diffusion.settings_text(config)]
    parts += [_summary(line) for line in lines]
    parts += ["## Arrhenius lines, ln D = ln D0 - barrier/k_BT", _fit_table(lines), FIT_TEXT]
    for line in lines:
        entries = line["points"]
        first, last = config.validate_.fit
        parts += [
            f"## Temperature and diffusion, strength {line['strength']:g}",
            diffusion.table(entries),
            diffusion.TABLE_TEXT.format(first=first, last=last),
            "### How the ion moves",
            diffusion.hop_table(entries),
            diffusion.HOP_TEXT,
            "### Cost and conservation",
            diffusion.cost_table(entries),
            diffusion.COST_TEXT,
            diffusion.run_away_section(entries).replace("## ", "### "),
        ]
    return "\n\n".join(parts)


def _summary(line: dict[str, Any]) -> str:
    """What a user of the rungs must know, a sentence for each temperature."""
    entries = line["points"]
    methods = [m for m in dict.fromkeys(m for e in entries for m in (*e["methods"], *e["failures"])) if m != "reference"]
    said = [f"- {diffusion.verdict(entry, method)}" for method in methods for entry in entries]
    return "\n".join([f"**Strength {line['strength']:g}.**", "", *said])


def _fit_table(lines: list[dict[str, Any]]) -> str:
    rows = []
    for line in lines:
        for method, fit in line["fits"].items():
            paper = PUBLISHED.get(method) if line["strength"] == PUBLISHED_STRENGTH else None
            rows.append(
                [
                    f"{line['strength']:g}",
                    method,
                    diffusion.pm(fit["log_prefactor"], fit["log_prefactor_error"]),
                    f"{paper[0]} ± {paper[1]}" if paper else "",
                    diffusion.pm(fit["barrier"], fit["barrier_error"]),
                    fit["chi_square"],
                    report.number(fit["scaled_log_prefactor_error"], 2),
                    report.number(fit["scaled_barrier_error"], 2),
                ]
            )
    header = ["strength", "method", "ln D0 (Å²/ps)", "the paper's", "barrier (meV)", "χ² per degree of freedom"]
    return report.table([*header, "error of ln D0, scaled", "of the barrier, scaled (meV)"], rows)


FIT_TEXT = (
    "Weighted least squares; the errors follow from those of D. Where χ² is well above 1, D bends away from a straight line by more than its "
    "errors; the scaled errors are then larger by its root, and say how well a line describes the data at all. The paper's values hold for "
    "U0 = 4000 meV Å, one trajectory of 3000 ps at each temperature, with its own shell of eight atoms, 20³ atoms and a quantum start."
)
