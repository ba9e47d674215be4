"""Protocol ``diffusion``: the ion in a thermal lattice at one temperature, by replicas of the explicit lattice and by ensembles of the rungs.

Every rung runs in crystals with the same seeds as the reference's. Errors are the scatter between lattices, so they know that ions
share one. Does the rung's ion take the lattice's temperature, how fast, and how fast does it diffuse?
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdlite import analysis
from mdlite.analysis.statistics import FEW, student
from mdlite.config import Config
from mdlite.errors import InputError
from mdlite.physics.thermal import variances
from mdlite.protocols.base import Job, Outcome
from mdlite.report import markdown, motion, plots_thermal
from mdlite.report import verdict as judge
from mdlite.report.ratios import margin_of, pm, quotient, ratio_cell, value_cell
from mdlite.units import DIFFUSION_UNITS, counted, with_kelvin

THERMAL = True
WARM_UP = 10.0
"""ps, length of the short reference runs from which the approach to the temperature is taken."""
WARM_UP_BYTES = 1e9


def check(config: Config) -> None:
    """Raises InputError unless the runs of this protocol make sense."""
    chosen, thermal = config.validate_, config.thermal_state
    if config.interaction.atoms.kind == "sites":
        raise InputError(
            'interaction.atoms.kind = "sites": the ion wanders, so its atoms must move with it: use a shell or a cutoff'
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
    for method in ("reference", *chosen.rungs):
        setting(config, method)


def setting(config: Config, method: str) -> Config:
    """The configuration of one method's run."""
    if method == "reference":
        return config.replace(method=method, **{"thermal.ions": 1, "thermal.motion": "verlet"})
    ions = {str(rung): count for rung, count in config.validate_.ions.items()}
    each = ions.get(method, config.thermal_state.ions)
    return config.replace(method=method, **{"thermal.ions": each, "run.duration": config.validate_.ensemble_duration})


def warm_up(config: Config) -> Config | None:
    """Many short reference runs, for the mean temperature of ions that start at rest; None if none are wanted."""
    fit = int(WARM_UP_BYTES / (144 * config.to_model().lattice.n_atoms))
    count = min(config.validate_.warm_up_lattices, max(2, fit))
    if count == 0:
        return None
    steps = round(WARM_UP / config.run.dt)
    short = {"thermal.lattices": count, "run.duration": steps * config.run.dt, "run.energy_every": steps}
    return setting(config, "reference").replace(**short)


def settings(config: Config) -> list[Config]:
    """What will be run."""
    short = warm_up(config)
    return [*(setting(config, method) for method in ("reference", *config.validate_.rungs)), *([] if short is None else [short])]


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
    for method in ("reference", *chosen.rungs):
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
    _, square = variances(config.to_model().lattice, scale, config.thermal_state.statistics)
    entry["lattice_temperature_meV"] = config.lattice.mass * square
    short = warm_up(config)
    if short is not None:
        run = job.run(short, f"warm-up{label}")
        curves = motion.describe(run, 0.0, (0.1 * WARM_UP, 0.5 * WARM_UP))["curves"]
        methods["reference"]["warm_up"] = {k: curves[k] for k in ("temperature_time_ps", "temperature_meV")}
        methods["reference"]["thermalisation"] = _thermalisation(curves)
    return entry


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
            *(verdict(entry, method) for method in config.validate_.rungs),
            markdown.methods_table(list(entry["methods"]), start=False),
            "## Temperature and diffusion",
            table([entry]),
            table_text(config),
            "## How the ion moves",
            hop_table([entry]),
            HOP_TEXT,
            "## Cost and conservation",
            cost_table([entry]),
            COST_TEXT,
            run_away_section([entry]),
        ]
    )


def settings_text(config: Config) -> str:
    """What was run, in words."""
    thermal, lattice, chosen = config.thermal_state, config.lattice, config.validate_
    each = {method: chosen.ions.get(method, thermal.ions) for method in chosen.rungs}
    return (
        f"Lattice of {' × '.join(map(str, lattice.size))} atoms, {thermal.statistics} start. The reference: {thermal.lattices} lattices with one ion "
        f"each, {config.run.duration:g} ps. The rungs: as many lattices with the same seeds, each with "
        f"{', '.join(counted(n, 'ion') + f' ({method})' for method, n in each.items())} that start at rest in different cells, "
        f"{chosen.ensemble_duration:g} ps. "
        f"The first {chosen.equilibration:g} ps of every run are left out."
    )


TABLE_TEXT = (
    "T_ion: kinetic temperature <M v²>/3 after equilibration. D: slope of the mean square displacement over 6 for lags of {first:g} to {last:g} ps. "
    "Errors: standard errors from the scatter between {lattices} lattices, one sample each; the interval that holds the truth "
    "with 95 % is ± {half:.2g} of "
    "them (Student's t). `<`: D is not resolved, it is below that with 95 %. Thermalisation: time constant of the approach to "
    "that temperature from rest."
)
FEW_TEXT = " **With fewer than four lattices the standard errors themselves are uncertain by half and more: go by the intervals, or take more lattices.**"


def table_text(config: Config) -> str:
    """What the columns of `table` are, and how many samples stand behind its errors."""
    lattices, (first, last) = config.thermal_state.lattices, config.validate_.fit
    said = TABLE_TEXT.format(first=first, last=last, lattices=lattices, half=student(lattices - 1))
    return said + (FEW_TEXT if lattices < FEW else "")


HOP_TEXT = (
    "A hop ends when the ion comes within a quarter of the lattice constant of another cell's centre. Correlation: <h_n·h_n+1>/<h²> of "
    "successive hops, positive if the ion flies on, negative if it turns back. Hops beyond the touching cells are flights on which no frame "
    "fell near a centre."
)
COST_TEXT = (
    "Ion-step: one step of one ion, its share of the lattice included. Energy drift: of the total energy of a reference lattice; with a `shell` the "
    "force jumps as the ion crosses a face, with a `cutoff` it does not."
)


def rows_of(entries: list[dict[str, Any]]):
    """(entry, method, its numbers) for every temperature and method, for tables."""
    for entry in entries:
        for method, found in entry["methods"].items():
            yield entry, method, found


def table(entries: list[dict[str, Any]]) -> str:
    """T_ion, D and their ratios to the reference."""
    rows = []
    for entry, method, found in rows_of(entries):
        truth = entry["methods"]["reference"]
        own = method == "reference"
        settle = found["thermalisation"]
        rows.append(
            [
                with_kelvin(entry["thermal_energy_meV"]),
                method,
                pm(found["temperature_ratio"], found["temperature_ratio_error"]),
                "" if own else pm(*quotient(found, truth, "temperature", "meV")),
                value_cell(found),
                "" if own else ratio_cell(found, truth),
                pm(found["green_kubo_A2_per_ps"], found["green_kubo_error_A2_per_ps"]),
                pm(settle["time"], settle["time_error"], 3),
                f"{len(found['run_aways'])} of {found['ions'] + len(found['run_aways'])}",
            ]
        )
    header = ["k_BT", "method", "T_ion/T", "over reference", f"D ({DIFFUSION_UNITS})", "over reference", "D, Green-Kubo (Å²/ps)"]
    return markdown.table([*header, "thermalisation (ps)", "run-aways"], rows)


def hop_table(entries: list[dict[str, Any]]) -> str:
    """Hop rates and what follows on a hop."""
    rows = []
    for entry, method, found in rows_of(entries):
        hops = found["hops"]
        shares = [f"{100.0 * hops['shares'][name]:.1f}" for name in ("face", "edge", "corner", "farther")]
        cells = [pm(hops["rate"], hops["rate_error"]), hops["dwell"], markdown.number(hops["correlation"], 3), hops["diffusion"]]
        rows.append([f"{entry['thermal_energy_meV']:g}", method, *cells, " / ".join(shares)])
    header = ["k_BT (meV)", "method", "hops (1/ps)", "dwell (ps)", "correlation", "D of uncorrelated hops (Å²/ps)"]
    return markdown.table([*header, "over face / edge / corner / farther (%)"], rows)


def cost_table(entries: list[dict[str, Any]]) -> str:
    """Seconds, µs per ion-step, and the energy drift."""
    rows = []
    for entry, method, found in rows_of(entries):
        truth = entry["methods"]["reference"]["us_per_ion_step"]
        drift = found["energy_drift_meV_per_ns"]
        cells = [
            found["seconds"],
            found["us_per_ion_step"],
            truth / found["us_per_ion_step"],
            "" if drift is None else f"{drift:+.3g}",
        ]
        rows.append([f"{entry['thermal_energy_meV']:g}", method, *cells])
    return markdown.table(
        ["k_BT (meV)", "method", "seconds", "µs per ion-step", "cheaper than reference", "energy drift (meV/ns)"], rows
    )


def run_away_section(entries: list[dict[str, Any]], most: int = 20) -> str:
    """Every ion that ran away, with its state when it was stopped; empty if none did."""
    rows = []
    for entry, method, found in rows_of(entries):
        for away in found["run_aways"]:
            place = ", ".join(f"{x:.2f}" for x in away["position_A"])
            speed = float(np.linalg.norm(away["velocity_A_per_ps"]))
            row = [f"{entry['thermal_energy_meV']:g}", method, str(away["ion"]), f"{away['time_ps']:.3f}", place, speed]
            rows.append([*row, away.get("cause", "step"), away.get("reason", "")])
    if not rows:
        return ""
    header = ["k_BT (meV)", "method", "ion", "stopped at (ps)", "position (Å)", "speed (Å/ps)", "lost by", "reason"]
    more = f"\n\n{len(rows) - most} more are in `summary.json`." if len(rows) > most else ""
    return (
        "## Run-aways\n\nIons that could not be followed any more: stopped, and left out of every average. Lost by the "
        "method: its expansion about the "
        "free lattice exploded in a close encounter. Lost by the step: a shorter one would have kept them.\n\n"
        + markdown.table(header, rows[:most])
        + more
    )
