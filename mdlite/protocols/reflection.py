"""Protocol ``reflection``: an ion thrown at one atom; deflection of the atom and force on the ion, on the paper's four rungs.

The explicit lattice gives R(t), r(t), ṙ(t) of the full motion. Along that same path R(t) the right-hand side of [16],

    r = r_H - W(0) ∇_r U(r', R) - L ∇_R dU(r', R)/dt,

is evaluated with r', ṙ' (a) from the full run, (b) r' from the full run and ṙ' = 0, (c) r' = r_H, ṙ' = 0, which is [17], and the
force -∇_R U(r, R) beside it. The time-local ion on its own path [18-20] is run as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdlite.config import Config
from mdlite.errors import InputError
from mdlite.physics.response import loss_matrix, recoil_kernel
from mdlite.protocols.base import Job, Outcome
from mdlite.report import markdown, plots, verdict

if TYPE_CHECKING:
    from mdlite.physics.model import Model
    from mdlite.simulation.simulate import Run

OWN_START = True
"""ion.position plays no part."""
START = 24.0  # ranges before the atom
LENGTH = 1.5  # of the time that free flight to the atom would take
STEPS_PER_PASSAGE = 100  # time steps per range/speed, at least
RUNGS = {
    "moving": "time-local, r and ṙ of the full run",
    "still": "time-local, r of the full run, ṙ = 0",
    "undisturbed": "time-local, r = r_H, ṙ = 0",
}


def check(config: Config) -> None:
    """Raises InputError unless one fixed site interacts by a potential with a range, and every point is sound."""
    atoms, potential = config.interaction.atoms, config.interaction.potential
    if atoms.kind != "sites" or len(atoms.sites) != 1:
        raise InputError('interaction.atoms: the reflection protocol needs kind = "sites" with exactly one site')
    if np.isinf(config.ion.mass[2]):
        raise InputError("ion.mass z = inf: the ion of the reflection protocol moves along z; give it a finite mass there")
    if getattr(potential, "strength", 1.0) == 0.0:
        raise InputError("interaction.potential.strength = 0: without a force there is no reflection")
    if not hasattr(potential, "range"):
        raise InputError(
            f"interaction.potential.kind = {potential.kind!r}: the reflection protocol needs a potential with a range"
        )
    for width in config.validate_.ranges:
        for speed in config.validate_.speeds:
            point(config, width, speed)


def point(config: Config, width: float, speed: float) -> Config:
    """The configuration of one range (Å) and speed (Å/ps): start 24 ranges below the atom, run.dt or a hundredth of range/speed."""
    site = config.to_model().offsets[0] * config.lattice.spacing
    passage = width / speed
    dt = min(config.run.dt, passage / STEPS_PER_PASSAGE)
    steps = round(LENGTH * START * passage / dt)
    overrides: dict[str, Any] = {
        "method": "reference",
        "interaction.potential.range": width,
        "ion.coordinates": "cartesian",
        "ion.position": [float(site[0]), float(site[1]), float(site[2] - START * width)],
        "ion.velocity": [0.0, 0.0, speed],
        "run.dt": dt,
        "run.duration": steps * dt,
        "run.sample_every": max(1, steps // 4000),
        "run.record_atoms": True,
    }
    return config.replace(**overrides)


def along_path(model: Model, run: Run) -> dict[str, dict[str, np.ndarray]]:
    """Deflection of the atom (F, 3) in Å and force on the ion (F, 3) in meV/Å by the right-hand side of [16] along the run's path."""
    recoil = recoil_kernel(model.lattice, [[0, 0, 0]], finite=run.config.response == "finite")[0, 0]
    loss = loss_matrix(model.lattice)
    site = model.candidate_sites(run.position[0, 0])[0] * model.lattice.spacing
    ion, speed = run.position[:, 0], run.velocity[:, 0]
    atom, atom_speed = run.atom_position[:, 0], run.atom_velocity[:, 0]
    home = np.broadcast_to(site, atom.shape)
    inputs = {"moving": (atom, atom_speed), "still": (atom, 0.0 * atom_speed), "undisturbed": (home, 0.0 * atom_speed)}
    found = {}
    for name, (r, v) in inputs.items():
        _, gradient, hessian = model.interaction.expand(r - ion)
        rate = np.einsum("fab,fb->fa", hessian, speed - v)
        deflection = -gradient @ recoil.T - rate @ loss.T
        found[name] = {"deflection": deflection, "force": model.interaction.gradient(site + deflection - ion)}
    return found


def settings(config: Config) -> list[Config]:
    """What will be run, of one range and speed."""
    one = point(config, config.validate_.ranges[0], config.validate_.speeds[0])
    return [one, one.replace(method="time-local")]


def compare(config: Config, job: Job) -> Outcome:
    """Every range and speed: the full run, the three rungs along its path, and the time-local ion on its own."""
    points, curves = [], []
    failures: dict[str, str] = {}
    for width in config.validate_.ranges:
        for speed in config.validate_.speeds:
            one = point(config, width, speed)
            label = f"range-{width:g}-speed-{speed:g}"
            run = job.run(one, f"reference-{label}")
            alone = job.attempt(one.replace(method="time-local"), f"time-local-{label}", failures)
            model = one.to_model()
            rungs = along_path(model, run)
            points.append(_numbers(one, model, run, alone, rungs))
            curves.append((width, speed, _curves(model, run, rungs)))
    figures = {
        "deflection.png": lambda: plots.reflection(curves, "deflection"),
        "force.png": lambda: plots.reflection(curves, "force"),
    }
    return Outcome(
        {"points": points, "stopped": failures}, _body(config, points, failures), figures, verdict=verdict.reflection(points)
    )


def _curves(model: Model, run: Run, rungs) -> dict[str, Any]:
    """Time (ps), deflection (Å) and force (meV/Å) along z of every rung."""
    site = model.candidate_sites(run.position[0, 0])[0] * model.lattice.spacing
    found = {"full": {"deflection": run.atom_position[:, 0, 2] - site[2], "force": run.force[:, 0, 2]}}
    for name, rung in rungs.items():
        found[name] = {key: rung[key][:, 2] for key in ("deflection", "force")}
    return {"time": run.time, "rungs": found}


def _onset(run: Run) -> float:
    """When the collision begins (ps): the force first exceeds a thousandth of its largest value. Sound is not made before that."""
    force = np.abs(run.force[:, 0, 2])
    return float(run.time[np.argmax(force > 1e-3 * force.max())])


def _peak(values: np.ndarray) -> float:
    return float(values[np.argmax(np.abs(values))])


def _percent(off: float, whole: float) -> float:
    return 100.0 * float(off / whole) if whole else float("nan")


def _numbers(config: Config, model: Model, run: Run, alone: Run | None, rungs) -> dict[str, Any]:
    curves = _curves(model, run, rungs)["rungs"]
    full = curves["full"]
    echo = model.echo_time if config.lattice.boundary == "periodic" else np.inf
    entry: dict[str, Any] = {
        "range_A": config.interaction.potential.range,
        "speed_A_per_ps": config.ion.velocity[2],
        "dt_ps": config.run.dt,
        "duration_ps": config.run.duration,
        "energy_drift": run.facts["energy_drift"],
        "seconds": {"full": run.facts["run_seconds"], "time-local": None if alone is None else alone.facts["run_seconds"]},
        "echo_time_ps": echo,
        "final_speed_A_per_ps": float(run.velocity[-1, 0, 2]),
        "final_speed_time_local_A_per_ps": float("nan") if alone is None else float(alone.velocity[-1, 0, 2]),
        "echo_at_ps": _onset(run) + echo,
        "rungs": {},
    }
    for name, curve in curves.items():
        entry["rungs"][name] = {f"peak_{key}": _peak(curve[key]) for key in ("deflection", "force")}
        for key in ("deflection", "force"):
            off = curve[key] - full[key]
            entry["rungs"][name][f"largest_{key}_error_percent"] = _percent(np.abs(off).max(), abs(_peak(full[key])))
            entry["rungs"][name][f"peak_{key}_error_percent"] = _percent(_peak(curve[key]) - _peak(full[key]), _peak(full[key]))
    return entry


def _body(config: Config, points: list[dict[str, Any]], failures: dict[str, str]) -> str:
    sections = [
        "An ion flies along z at the one atom that interacts with it and is thrown back. **full** is the explicit lattice. The other "
        "rungs evaluate the time-local displacement [16] of the atom and the force on the ion along the full run's own path, with the "
        "framework's position and velocity on the right-hand side taken "
        + "; ".join(f"*{k}*: {v}" for k, v in RUNGS.items())
        + ". "
        "An error of 100 % and more means that the point lies outside the approximation's validity. Peak values are the "
        "largest in magnitude; *largest error* is the largest difference from the full curve at any time, in % of "
        "the full peak.",
    ]
    for key, unit in (("deflection", "Å"), ("force", "meV/Å")):
        header = ["range (Å)", "speed (Å/ps)", f"full peak ({unit})"]
        for name in RUNGS:
            header += [f"{name}: peak ({unit})", "peak error (%)", "largest error (%)"]
        rows = []
        for p in points:
            row = [p["range_A"], p["speed_A_per_ps"], p["rungs"]["full"][f"peak_{key}"]]
            for name in RUNGS:
                rung = p["rungs"][name]
                row += [
                    rung[f"peak_{key}"],
                    markdown.percent(rung[f"peak_{key}_error_percent"]),
                    markdown.number(rung[f"largest_{key}_error_percent"], 3),
                ]
            rows.append(row)
        title = "Deflection of the atom" if key == "deflection" else "Force on the ion"
        sections += [f"## {title}", markdown.table(header, rows)]
    header = [
        "range (Å)",
        "speed (Å/ps)",
        "final speed, full (Å/ps)",
        "final speed, time-local (Å/ps)",
        "dt (ps)",
        "energy drift of full run",
    ]
    keys = ("range_A", "speed_A_per_ps", "final_speed_A_per_ps", "final_speed_time_local_A_per_ps", "dt_ps", "energy_drift")
    sections += ["## The ion on its own path", markdown.table(header, [[p[k] for k in keys] for p in points])]
    sections += [f"**{name} stopped.** {reason}" for name, reason in failures.items()]
    return "\n\n".join([*sections, _echo_remark(points)])


def _echo_remark(points: list[dict[str, Any]]) -> str:
    late = [p for p in points if p["duration_ps"] >= p["echo_at_ps"]]
    if not np.isfinite(points[0]["echo_time_ps"]):
        return "The lattice returns no sound to the atom: its boundary is not periodic."
    echo = f"The periodic lattice returns the atom's sound {points[0]['echo_time_ps']:.2f} ps after the collision begins"
    if not late:
        return f"{echo}, which is later than the end of every run."
    names = ", ".join(
        f"range {p['range_A']:g} Å at {p['speed_A_per_ps']:g} Å/ps (from {p['echo_at_ps']:.2f} ps on)" for p in late
    )
    return f"{echo}; these runs go on for longer, and the atom rings with the echo at their end: {names}."
