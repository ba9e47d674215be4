"""Protocol ``arrhenius``: `diffusion` at several temperatures and strengths of the potential, and the Arrhenius line of every method."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from mdlite import analysis
from mdlite.config import Config
from mdlite.errors import InputError
from mdlite.protocols import diffusion, diffusion_report
from mdlite.protocols.base import Job, Outcome
from mdlite.report import markdown, plots_thermal, ratios, verdict

THERMAL = True
PUBLISHED = {"reference": (3.14, 0.18), "time-local": (2.28, 0.22)}
"""ln D0 (D0 in Å²/ps) of the source paper at U0 = 4000 meV Å, full lattice and time-local."""
PUBLISHED_STRENGTH = 4000.0
NO_FIT = dict.fromkeys(
    (
        "log_prefactor",
        "log_prefactor_error",
        "barrier",
        "barrier_error",
        "chi_square",
        "scaled_log_prefactor_error",
        "scaled_barrier_error",
    ),
    float("nan"),
)


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


def settings(config: Config) -> list[Config]:
    """What will be run."""
    return [one for _, _, point in _points(config) for one in diffusion.settings(point)]


def compare(config: Config, job: Job) -> Outcome:
    """Run every point, then fit."""
    lines: dict[float, list[dict[str, Any]]] = {}
    for strength, energy, one in _points(config):
        lines.setdefault(strength, []).append(diffusion.point(one, job, f"-U{strength:g}-{energy:g}meV"))
    fitted: list[dict[str, Any]] = [
        {"strength": strength, "points": entries, "fits": fits(entries), "at_own_temperature": own_temperature(entries)}
        for strength, entries in lines.items()
    ]
    every = [entry for line in fitted for entry in line["points"]]
    figures = {
        "arrhenius.png": lambda: plots_thermal.arrhenius(fitted),
        "temperatures.png": lambda: plots_thermal.own_temperature(fitted),
    }
    for line in fitted:
        figures[f"msd-U{line['strength']:g}.png"] = functools.partial(plots_thermal.displacement_grid, line["points"])
    return Outcome({"lines": fitted}, _body(config, fitted), figures, verdict=verdict.thermal(every))


def fits(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The Arrhenius fit of every method whose D is resolved at two temperatures or more, errors scaled where the fit is poor; the
    others are left out."""
    found = {}
    for method in entries[0]["methods"]:
        have = [e["methods"][method] | {"energy": e["thermal_energy_meV"]} for e in entries if method in e["methods"]]
        value = np.array([e["diffusion_A2_per_ps"] for e in have])
        error = np.array([e["diffusion_error_A2_per_ps"] for e in have])
        sound = np.array([ratios.resolved(e) for e in have]) & (value > 0.0) & (error > 0.0)
        if sound.sum() < 2:
            continue
        fit = analysis.arrhenius(np.array([e["energy"] for e in have])[sound], value[sound], error[sound])
        scale = max(1.0, np.sqrt(fit.chi_square)) if np.isfinite(fit.chi_square) else 1.0
        found[method] = fit._asdict() | {
            "scaled_log_prefactor_error": scale * fit.log_prefactor_error,
            "scaled_barrier_error": scale * fit.barrier_error,
            "points": int(sound.sum()),
            "left_out_meV": [e["energy"] for e, good in zip(have, sound) if not good],
        }
    return found


def own_temperature(entries: list[dict[str, Any]]) -> dict[str, list[dict[str, float]]]:
    """Each rung's D over the D that the reference's ion has at the same temperature of its own, where that is within its range.

    Between its points the reference's ln D is taken as linear in 1/T_ion.
    """
    truth = [e["methods"]["reference"] for e in entries]
    order = np.argsort([1.0 / t["temperature_meV"] for t in truth])
    inverse = np.array([1.0 / truth[n]["temperature_meV"] for n in order])
    value = np.array([truth[n]["diffusion_A2_per_ps"] for n in order])
    found: dict[str, list[dict[str, float]]] = {}
    for entry in entries:
        for method, own in entry["methods"].items():
            x = 1.0 / own["temperature_meV"]
            known = all(map(ratios.resolved, (own, *truth)))
            sound = known and np.all(value > 0.0) and own["diffusion_A2_per_ps"] > 0.0 and inverse[0] <= x <= inverse[-1]
            if method != "reference" and sound and len(value) > 1:
                ratio = own["diffusion_A2_per_ps"] / np.exp(np.interp(x, inverse, np.log(value)))
                error = ratio * own["diffusion_error_A2_per_ps"] / own["diffusion_A2_per_ps"]
                row = {"thermal_energy_meV": entry["thermal_energy_meV"], "temperature_meV": own["temperature_meV"]}
                found.setdefault(method, []).append(row | {"ratio": float(ratio), "error": float(error)})
    return found


def _body(config: Config, lines: list[dict[str, Any]]) -> str:
    parts = [diffusion.settings_text(config)]
    parts += [markdown.methods_table(["reference", *config.validate_.rungs], start=False)]
    parts += [_summary(line) for line in lines]
    parts += ["## Arrhenius lines, ln D = ln D0 - barrier/k_BT", _fit_table(lines), FIT_TEXT + _left_out(lines)]
    for line in lines:
        entries = line["points"]
        parts += [
            f"## Temperature and diffusion, strength {line['strength']:g}",
            diffusion_report.table(entries),
            diffusion_report.table_text(config),
            *_own_temperature_section(line),
            "### How the ion moves",
            diffusion_report.hop_table(entries),
            diffusion_report.HOP_TEXT,
            "### Cost and conservation",
            diffusion_report.cost_table(entries),
            diffusion_report.COST_TEXT,
            diffusion_report.run_away_section(entries).replace("## ", "### "),
        ]
    return "\n\n".join(parts)


def _summary(line: dict[str, Any]) -> str:
    """What a user of the rungs must know: one line for each method, then a sentence for each temperature."""
    entries = line["points"]
    methods = [m for m in dict.fromkeys(m for e in entries for m in (*e["methods"], *e["failures"])) if m != "reference"]
    said = [f"**Strength {line['strength']:g}.**", ""]
    for method in methods:
        said += [f"`{method}`: {_headline([e for e in entries if method in e['methods']], method)}", ""]
        said += [*(f"- {diffusion.verdict(entry, method)}" for entry in entries), ""]
    return "\n".join(said)


def _headline(entries: list[dict[str, Any]], method: str) -> str:
    """The range of the ion's temperature and of D, against the reference's."""
    if not entries:
        return "stopped at every temperature."
    both = [(e["methods"][method], e["methods"]["reference"]) for e in entries]
    heat = [ratios.quotient(a, b, "temperature", "meV")[0] for a, b in both]
    known = [(a, b) for a, b in both if ratios.resolved(a) and ratios.resolved(b)]
    spread = [ratios.quotient(a, b, "diffusion", "A2_per_ps")[0] for a, b in known]
    diffuses = f"its D is {min(spread):.2f} to {max(spread):.2f} of the reference's" if spread else "the two D cannot be compared"
    first, last = (f"{e['thermal_energy_meV']:g} meV" for e in (entries[0], entries[-1]))
    return f"**the ion has {heat[0]:.2f} of the reference ion's temperature at {first}, {heat[-1]:.2f} at {last}; {diffuses}.**"


def _own_temperature_section(line: dict[str, Any]) -> list[str]:
    rows = [
        [f"{row['thermal_energy_meV']:g}", method, row["temperature_meV"], ratios.pm(row["ratio"], row["error"], 3)]
        for method, found in line["at_own_temperature"].items()
        for row in found
    ]
    if not rows:
        return []
    header = ["k_BT of the lattice (meV)", "method", "T_ion (meV)", "D over the reference's at this T_ion"]
    said = "The reference's D is interpolated between its points, ln D against 1/T_ion. Near 1, a wrong D is a matter of the wrong temperature alone."
    return ["### D at the ion's own temperature", markdown.table(header, rows), said]


def _left_out(lines: list[dict[str, Any]]) -> str:
    """The temperatures that are in no fit."""
    told = []
    for line in lines:
        for method in dict.fromkeys(m for entry in line["points"] for m in entry["methods"]):
            own = [(e["thermal_energy_meV"], e["methods"][method]) for e in line["points"] if method in e["methods"]]
            unknown = [f"{energy:g}" for energy, found in own if not ratios.resolved(found)]
            if unknown:
                told.append(f"{method} at strength {line['strength']:g}: {', '.join(unknown)} meV")
    return f" Left out, because D is not resolved there: {'; '.join(told)}." if told else ""


def _fit_table(lines: list[dict[str, Any]]) -> str:
    rows = []
    for line in lines:
        for method in dict.fromkeys(m for entry in line["points"] for m in entry["methods"]):
            fit = line["fits"].get(method, NO_FIT)  # D resolved at one temperature at most
            paper = PUBLISHED.get(method) if line["strength"] == PUBLISHED_STRENGTH else None
            rows.append(
                [
                    f"{line['strength']:g}",
                    method,
                    ratios.pm(fit["log_prefactor"], fit["log_prefactor_error"]),
                    f"{paper[0]} ± {paper[1]}" if paper else "",
                    ratios.pm(fit["barrier"], fit["barrier_error"]),
                    fit["chi_square"],
                    markdown.number(fit["scaled_log_prefactor_error"], 2),
                    markdown.number(fit["scaled_barrier_error"], 2),
                ]
            )
    header = ["strength", "method", "ln D0 (Å²/ps)", "the paper's", "barrier (meV)", "χ² per degree of freedom"]
    return markdown.table([*header, "error of ln D0, scaled", "of the barrier, scaled (meV)"], rows)


FIT_TEXT = (
    "Weighted least squares; the errors follow from those of D. Where χ² is well above 1, D bends away from a straight line by more than its "
    "errors; the scaled errors are then larger by its root, and say how well a line describes the data at all. The paper's values hold for "
    "U0 = 4000 meV Å, one trajectory of 3000 ps at each temperature, with its own shell of eight atoms, 20³ atoms and a quantum start."
)
