"""Protocol ``diffusion``: the ion in a thermal lattice at one temperature, by replicas of the explicit lattice and by ensembles of the rungs.

Every rung runs in crystals with the same seeds as the reference's. Errors are the scatter between lattices, so they know that ions
share one. Does the rung's ion take the lattice's temperature, how fast, and how fast does it diffuse?
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite import analysis
from mdlite.config import Config
from mdlite.crystals.thermal import variances as crystal_variances
from mdlite.engines import registry
from mdlite.errors import InputError
from mdlite.physics.thermal import variances
from mdlite.protocols import diffusion_report as report
from mdlite.protocols.base import Job, Outcome, of_default, sound
from mdlite.protocols.rungs_report import left_out
from mdlite.report import markdown, motion, plots_thermal
from mdlite.report import verdict as judge
from mdlite.report.ratios import margin_of, pm, quotient, ratio_cell
from mdlite.units import counted, with_kelvin

THERMAL = True
WARM_UP = 10.0
"""ps, length of the short reference runs from which the approach to the temperature is taken."""
WARM_UP_BYTES = 1e9


def check(config: Config) -> None:
    """Raises InputError unless the runs of this protocol make sense."""
    chosen, thermal = config.validate_, config.thermal_state
    if config.interaction.atoms.kind == "sites":
        raise InputError(
            'interaction.atoms.kind = "sites": the ion wanders, so its atoms must move with it: use '
            + ("a shell or a cutoff" if config.crystal is None else "a cutoff")
        )
    if not np.all(np.isfinite(config.ion.mass)):
        raise InputError(f"ion.mass = {list(config.ion.mass)}: the {chosen.protocol} protocol lets the ion move along every axis")
    if thermal.lattices < 2:
        raise InputError(
            f"thermal.lattices = {thermal.lattices}: errors are the scatter between lattices; give 2 at least, better 8"
        )
    for name, duration in (("run.duration", config.run.duration), ("validate.ensemble_duration", chosen.ensemble_duration)):
        if duration - chosen.equilibration <= chosen.fit[1]:
            raise InputError(
                f"{name} = {duration:g}: must be longer than validate.equilibration + the last lag of validate.fit, "
                f"{chosen.equilibration:g} + {chosen.fit[1]:g} ps"
            )
    if config.run.dt * config.run.sample_every > 0.25 * chosen.fit[1]:
        raise InputError(
            f"run.sample_every = {config.run.sample_every}: must give four frames at least within the last lag of validate.fit"
        )
    for method in ("reference", *rungs_of(config)[0]):
        setting(config, method)


def rungs_of(config: Config) -> tuple[list[str], dict[str, str]]:
    """The methods to compare with the reference, and why others of the default list are left out."""
    return of_default(config.validate_.rungs, registry.rungs(thermal_rung=True), config, setting)


def setting(config: Config, method: str) -> Config:
    """The configuration of one method's run."""
    if method == "reference":
        return sound(config.replace(method=method, **{"thermal.ions": 1, "thermal.motion": "verlet"}))
    ions = {str(rung): count for rung, count in config.validate_.ions.items()}
    each = ions.get(method, config.thermal_state.ions)
    return sound(config.replace(method=method, **{"thermal.ions": each, "run.duration": config.validate_.ensemble_duration}))


def warm_up(config: Config) -> Config | None:
    """Many short reference runs, for the mean temperature of ions that start at rest; None if none are wanted."""
    atoms = config.to_lattice().n_atoms if config.crystal is None else config.to_crystal_model().box.n_atoms
    fit = int(WARM_UP_BYTES / (144 * atoms))
    count = min(config.validate_.warm_up_lattices, max(2, fit))
    if count == 0:
        return None
    steps = round(WARM_UP / config.run.dt)
    short = {"thermal.lattices": count, "run.duration": steps * config.run.dt, "run.energy_every": steps}
    return setting(config, "reference").replace(**short)


def settings(config: Config) -> list[Config]:
    """What will be run."""
    short = warm_up(config)
    return [*(setting(config, method) for method in ("reference", *rungs_of(config)[0])), *([] if short is None else [short])]


def compare(config: Config, job: Job) -> Outcome:
    """Run every method at this temperature."""
    entry = point(config, job)
    figures = {
        "msd.png": lambda: plots_thermal.displacements(entry["methods"]),
        "temperature.png": lambda: plots_thermal.warming(entry),
        "van-hove.png": lambda: plots_thermal.van_hove(entry["methods"]),
    }
    return Outcome(entry, body(config, entry), figures, verdict=judge.thermal([entry]))


def point(config: Config, job: Job, label: str = "") -> dict[str, Any]:
    """Numbers and curves of every method at one temperature; a rung that has to stop is listed under ``failures``."""
    chosen, scale = config.validate_, config.thermal_state.scale
    failures: dict[str, str] = {}
    methods = {}
    for method in ("reference", *rungs_of(config)[0]):
        name = f"{method}{label}"
        wanted = setting(config, method)
        lost: dict[str, str] = {}
        run = job.run(wanted, name) if method == "reference" else job.attempt(wanted, name, lost)
        if lost:
            failures[method] = lost[name]
        if run is not None:
            methods[method] = motion.describe(run, chosen.equilibration, chosen.fit)
            methods[method]["thermalisation"] = _thermalisation(methods[method]["curves"])
    entry = {"thermal_energy_meV": scale, "statistics": config.thermal_state.statistics, "methods": methods, "failures": failures}
    entry["lattice_temperature_meV"] = _crystal_temperature(config)
    short = warm_up(config)
    if short is not None:
        run = job.run(short, f"warm-up{label}")
        curves = motion.describe(run, 0.0, (0.1 * WARM_UP, 0.5 * WARM_UP))["curves"]
        methods["reference"]["warm_up"] = {k: curves[k] for k in ("temperature_time_ps", "temperature_meV")}
        methods["reference"]["thermalisation"] = _thermalisation(curves)
    return entry


def _crystal_temperature(config: Config) -> float:
    """Mean kinetic temperature of the atoms of the free crystal, meV."""
    thermal = config.thermal_state
    if config.crystal is None:
        return config.lattice.mass * variances(config.to_model().lattice, thermal.scale, thermal.statistics)[1]
    box = config.to_crystal_model().box
    square = crystal_variances(box.crystal, box.size, thermal.scale, thermal.statistics)[1]
    return float(np.mean(box.crystal.masses * np.trace(square, axis1=1, axis2=2)) / 3.0)


def _thermalisation(curves: dict[str, Any]) -> dict[str, float]:
    early = curves["temperature_time_ps"] <= WARM_UP
    if early.sum() < 5:
        return analysis.Thermalisation(*[float("nan")] * 4)._asdict()
    return analysis.thermalisation(curves["temperature_time_ps"][early], curves["temperature_meV"][early])._asdict()


def verdict(entry: dict[str, Any], method: str) -> str:
    """In plain words: does this method's ion take the lattice's temperature, and what becomes of D?"""
    truth, found = entry["methods"]["reference"], entry["methods"].get(method)
    energy = entry["thermal_energy_meV"]
    if found is None:
        return f"At {energy:g} meV `{method}` had to stop: {entry['failures'][method]}."
    ratio, error = quotient(found, truth, "temperature", "meV")
    margin, shown = margin_of(found, truth, "temperature", "meV"), pm(ratio, error)
    if ratio + margin < 1.0:
        words = f"stays colder than the reference's: it has {shown} of its temperature"
    elif ratio - margin > 1.0:
        words = f"gets hotter than the reference's: it has {shown} of its temperature"
    else:
        words = f"has the temperature of the reference's within the errors ({shown} of it)"
    away = len(found["run_aways"])
    lost = f"; {away} of {found['ions'] + away} ions ran away and are not averaged in" if away else ""
    if found["lost_by_step"]:
        lost += f" ({found['lost_by_step']} of them by the step)"
    spread = ratio_cell(found, truth)
    diffuses = (
        f"and {spread} of its diffusion coefficient"
        if spread != "–"
        else "and a diffusion coefficient that cannot be compared with its"
    )
    return f"At {energy:g} meV the `{method}` ion {words}, {diffuses}{lost}."


def body(config: Config, entry: dict[str, Any]) -> str:
    """The report of one temperature."""
    return "\n\n".join(
        [
            settings_text(config),
            f"k_BT = {with_kelvin(entry['thermal_energy_meV'])}; the atoms of the free lattice have a mean kinetic temperature of "
            f"{with_kelvin(entry['lattice_temperature_meV'], 4)}{', zero-point motion included' if entry['statistics'] == 'quantum' else ''}.",
            *left_out(rungs_of(config)[1]),
            *(verdict(entry, method) for method in rungs_of(config)[0]),
            markdown.methods_table(list(entry["methods"]), start=False),
            "## Temperature and diffusion",
            report.table([entry]),
            report.table_text(config),
            *([] if config.crystal is None else ["## The tensor of D (Å²/ps)", report.tensor_table(entry), report.TENSOR_TEXT]),
            "## How the ion moves",
            report.hop_table([entry]),
            report.HOP_TEXT if config.crystal is None else report.SITE_HOP_TEXT,
            "## Cost and conservation",
            report.cost_table([entry]),
            report.COST_TEXT if config.crystal is None else report.CRYSTAL_COST_TEXT,
            report.run_away_section([entry]),
        ]
    )


def settings_text(config: Config) -> str:
    """What was run, in words."""
    thermal, chosen = config.thermal_state, config.validate_
    each = {method: chosen.ions.get(method, thermal.ions) for method in rungs_of(config)[0]}
    box, boxes = markdown.box(config), "lattices" if config.crystal is None else "boxes"
    first = f"{box[0].upper()}{box[1:]}, {thermal.statistics} start. The reference: {thermal.lattices} {boxes} with one ion each, {config.run.duration:g} ps. "
    if not each:
        return f"{first}The first {chosen.equilibration:g} ps are left out."
    return (
        f"{first}The rungs: as many {boxes} with the same seeds, each with "
        f"{', '.join(counted(n, 'ion') + f' ({method})' for method, n in each.items())} that start at rest in different cells, "
        f"{chosen.ensemble_duration:g} ps. "
        f"The first {chosen.equilibration:g} ps of every run are left out."
    )
