"""Protocol ``ladder``: every method on the same experiments, error against cost, and what follows for the choice between them.

At T = 0 the built-in cases `trapped`, `trapped-heavy` and `throw` against the exact non-local equation of the infinite crystal (with the response
that velocity Verlet has at the step, so that the step's error is not in it); at each of validate.energies a `diffusion` point against the
explicit lattice. The explicit lattice of this size is itself one of the methods at T = 0, for its echoes and its price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite import analysis, config
from mdlite.analysis.statistics import student
from mdlite.config import Config
from mdlite.errors import InputError
from mdlite.protocols import diffusion
from mdlite.protocols.base import Job, Outcome
from mdlite.report import markdown, plots_thermal, ratios, verdict

if TYPE_CHECKING:
    from mdlite.simulation.result import Run

THERMAL = True
OSCILLATIONS = ("trapped", "trapped-heavy")
THROW = "throw"
LEVELS = (1.5, 5.0, 25.0)
"""%, accuracies that the report recommends a method for."""


def check(settings: Config) -> None:
    """Raises InputError unless every run of this protocol makes sense."""
    if settings.thermal.statistics != "classical":
        raise InputError(
            f'thermal.statistics = "{settings.thermal.statistics}": the ladder takes T_ion = T for what is right, which holds for "classical" only'
        )
    for energy in settings.validate_.energies:
        diffusion.check(_at(settings, energy))
    for name in (*OSCILLATIONS, THROW):
        for method in _methods(settings):
            _cold(settings, name, method)


def _methods(settings: Config) -> list[str]:
    return ["reference", *settings.validate_.rungs]


def _at(settings: Config, energy: float) -> Config:
    thermal = {k: v for k, v in settings.to_dict()["thermal"].items() if k != "temperature"}
    return settings.replace(thermal=thermal | {"energy": energy})


def _cold(settings: Config, name: str, method: str) -> Config:
    """One of the built-in cases at T = 0 by one method; the explicit lattice has the size of ``settings``, at least 20."""
    case = config.load(name)
    size = max(20, *settings.lattice.size)
    changes = {"lattice.size": size, "patch.size": settings.patch.size, "run.energy_tolerance": 1.0}
    if method == "memory-kernel":
        changes["memory.kernel"] = "verlet"
    return case.replace(method=method, **changes)


def settings(config: Config) -> list[Config]:
    """What will be run."""
    names, methods = (*OSCILLATIONS, THROW), ("memory-kernel", *_methods(config))
    cold = [_cold(config, name, method) for name in names for method in methods]
    return cold + [one for energy in config.validate_.energies for one in diffusion.settings(_at(config, energy))]


def compare(settings: Config, job: Job) -> Outcome:
    """Run everything, then rank."""
    methods: dict[str, dict[str, Any]] = {method: {"errors": {}, "stopped": {}} for method in _methods(settings)}
    for name in (*OSCILLATIONS, THROW):
        _cold_experiment(settings, name, methods, job)
    points = [diffusion.point(_at(settings, energy), job, f"-{energy:g}meV") for energy in settings.validate_.energies]
    for entry in points:
        _thermal_experiment(entry, methods)
    threads = np.median([entry["threads"] for entry in methods.values() if "threads" in entry] or [1])
    summary = {"methods": methods, "points": points, "recommendation": recommendation(methods), "threads": threads}
    figures = {
        "ladder.png": lambda: plots_thermal.ladder(methods),
        "temperature.png": lambda: plots_thermal.warming(points[len(points) // 2]),
    }
    return Outcome(summary, _body(settings, summary), figures, verdict=verdict.ladder(summary["recommendation"]))


def _cold_experiment(settings: Config, name: str, methods: dict[str, dict[str, Any]], job: Job) -> None:
    truth = job.run(_cold(settings, name, "memory-kernel"), f"{name}-memory-kernel")
    for method, entry in methods.items():
        failures: dict[str, str] = {}
        run = job.attempt(_cold(settings, name, method), f"{name}-{method}", failures)
        if run is None:
            entry["stopped"][name] = failures[f"{name}-{method}"]
            continue
        entry["errors"][name] = _distance(run, truth) if name == THROW else _rate_error(run, truth)
        if name == OSCILLATIONS[0]:
            entry["lone_us_per_step"] = 1e6 * run.facts["run_seconds"] / run.config.n_steps


def _rate_error(run: Run, truth: Run) -> float:
    """Error (%) of the rate at which the energy decays in the later half of the run; of a periodic lattice, echoes included."""
    centre, end = truth.config.validate_.centre, truth.config.run.duration
    rates = []
    for one in (run, truth):
        passed = analysis.crossings(one.time, one.position[:, 0, 2], one.velocity[:, 0, 2], centre)
        rates.append(analysis.fit_decay(passed.time, passed.velocity**2, (0.5 * end, end)).rate)
    return 100.0 * (rates[0] / rates[1] - 1.0)


def _distance(run: Run, truth: Run) -> float:
    """Root mean square distance of two ions, % of how far the true one is from where it comes to rest, root mean square."""
    away = truth.position[:, 0] - truth.position[-1, 0]
    return 100.0 * float(np.sqrt(np.sum((run.position - truth.position) ** 2) / np.sum(away**2)))


def _thermal_experiment(entry: dict[str, Any], methods: dict[str, dict[str, Any]]) -> None:
    """Take what a ladder shows from a `diffusion` point: T_ion/T, D over the reference's, run-aways, cost."""
    energy = entry["thermal_energy_meV"]
    for method, reason in entry["failures"].items():
        methods[method]["stopped"][f"{energy:g} meV"] = reason
    for method, found in entry["methods"].items():
        own = methods[method]
        ratio, error = (found[f"temperature_ratio{end}"] for end in ("", "_error"))
        own["errors"][f"T_ion at {energy:g} meV"] = 100.0 * (ratio - 1.0)
        own.setdefault("uncertainty", {})[f"T_ion at {energy:g} meV"] = 100.0 * error
        own.setdefault("margin", {})[f"T_ion at {energy:g} meV"] = 100.0 * error * student(found["temperature_samples"] - 1)
        if method != "reference":
            value, spread = ratios.quotient(found, entry["methods"]["reference"], "diffusion", "A2_per_ps")
            own["errors"][f"D at {energy:g} meV"] = 100.0 * (value - 1.0)
            own["uncertainty"][f"D at {energy:g} meV"] = 100.0 * spread
            own["margin"][f"D at {energy:g} meV"] = 100.0 * ratios.margin_of(
                found, entry["methods"]["reference"], "diffusion", "A2_per_ps"
            )
        lived = found["ions"] * found["duration_ps"]
        own["run_aways"] = own.get("run_aways", 0) + len(found["run_aways"])
        own["ion_ps"] = own.get("ion_ps", 0.0) + lived
        own.setdefault("us", []).append(found["us_per_ion_step"])
        own["threads"] = found["threads"]
    for own in methods.values():
        if own.get("us"):
            own["core_us_per_ion_step"] = float(np.median(own["us"])) * own["threads"]


def worst(entry: dict[str, Any]) -> float:
    """The largest of a method's errors (%) in decay rates and temperature, less what chance explains (its ``margin``, half the 95 % interval).

    D is left out: its statistical error is large, and where the temperature is right the ladder has never found D wrong. A method that had to
    stop, lost an ion, or has no number somewhere, is infinitely wrong.
    """
    chance = entry.get("margin", {})
    found = [max(0.0, abs(e) - chance.get(k, 0.0)) for k, e in entry["errors"].items() if not k.startswith(("D ", THROW))]
    sound = found and np.all(np.isfinite(found)) and not entry["stopped"] and not entry.get("run_aways", 0)
    return max(found) if sound else float("inf")


def recommendation(methods: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For every accuracy of LEVELS the cheapest method that has it in every experiment, or None."""
    priced = [(entry["core_us_per_ion_step"], name) for name, entry in methods.items() if "core_us_per_ion_step" in entry]
    found = {}
    for level in LEVELS:
        good = [(price, name) for price, name in priced if worst(methods[name]) <= level]
        found[f"{level:g} %"] = {"method": min(good)[1], "core_us_per_ion_step": min(good)[0]} if good else {"method": None}
    return found


def _body(settings: Config, summary: dict[str, Any]) -> str:
    methods, columns = summary["methods"], [*OSCILLATIONS, THROW]
    energies = settings.validate_.energies
    rows = []
    for name, entry in methods.items():
        errors, chance = entry["errors"], entry.get("uncertainty", {})
        cells = [name, entry.get("core_us_per_ion_step"), entry.get("lone_us_per_step")]
        cells += [markdown.percent(errors.get(c)) for c in columns]
        for what in ("T_ion", "D"):
            for energy in energies:
                key = f"{what} at {energy:g} meV"
                cells.append(_cell(errors[key], chance.get(key)) if key in errors else "–")
        lived = entry.get("ion_ps", 0.0)
        cells.append(f"{entry.get('run_aways', 0)} in {lived / 1e3:.3g} ion-ns")
        rows.append(cells)
    header = ["method", "core-µs per ion-step, ensemble", "µs per step, lone ion"]
    header += ["rate, light (%)", "rate, heavy (%)", "throw (%)"]
    header += [f"{what} at {e:g} (%)" for what in ("T_ion", "D") for e in energies] + ["run-aways"]
    size = " × ".join(map(str, settings.lattice.size))
    return "\n\n".join(
        [
            f"Errors of every method, in %. Rates: of the energy of `trapped` (M = 0.7) and `trapped-heavy` (M = 14) in the later half of the run; "
            "throw: distance from the true path. These against the exact non-local equation of the infinite crystal at the same step. T_ion: "
            f"kinetic temperature over k_BT, less 1, D over that of the reference, less 1, at the given k_BT in meV; {settings.thermal.statistics} "
            f"start, lattices of {size}. The reference is that periodic lattice; at T = 0 its rates have its echoes in them. At T = 0 everything else is as in "
            "the built-in cases.",
            markdown.methods_table([*methods, "memory-kernel"]),
            markdown.table(header, rows),
            f"Errors are standard errors between {settings.thermal.lattices} lattices; 95 % intervals are ± {student(settings.thermal.lattices - 1):.2g} of them for "
            "T_ion (Student's t). Cost: of one ion's step in a thermal ensemble, its share of the lattice included, times "
            f"the {summary['threads']:g} threads; and of an ion alone at T = 0, where methods that step a lattice use all threads.",
            "## Which one to take",
            *_advice(summary["recommendation"]),
            *(f"`{name}` stopped in {case}: {why}" for name, entry in methods.items() for case, why in entry["stopped"].items()),
        ]
    )


def _cell(error: float, chance: float | None) -> str:
    """An error in %, with its sign, ± its standard error."""
    shown = markdown.measured(error, chance, 3)
    return shown if shown.startswith(("-", "–")) else f"+{shown}"


def _advice(found: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for level, best in found.items():
        if best["method"] is None:
            lines.append(
                f"- Rates and temperatures to {level}: no method here has that in every experiment, beyond its statistical error."
            )
        else:
            price = markdown.number(best["core_us_per_ion_step"], 3)
            lines.append(
                f"- Rates and temperatures to {level} in every experiment: **`{best['method']}`** is the cheapest, {price} µs of a core per ion-step."
            )
    return ["\n".join(lines)]
