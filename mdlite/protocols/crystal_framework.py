"""Protocol ``framework`` in a [crystal]: the crystal alone: bands, sound, thermal states by species, and what becomes of them when the box moves.

Displacements and velocities of sampled states are divided by the root of their exact covariance, atom by atom, and compared with the normal
distribution; some of the states are then moved by velocity Verlet without an ion.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mdlite import analysis, units
from mdlite.analysis.statistics import student
from mdlite.config import Config
from mdlite.crystals import bands, dynamics, response, thermal
from mdlite.crystals.box import Box
from mdlite.engines.build import lattice_seeds
from mdlite.engines.crystal import require_memory
from mdlite.errors import InputError
from mdlite.kernels import blocks
from mdlite.protocols.base import Job, Outcome
from mdlite.protocols.distributions import BINS, LARGEST, gaussian_norm
from mdlite.report import markdown, plots_crystal, verdict
from mdlite.units import with_kelvin

MOVED = 4
"""States that are moved, at most."""
MOST_STEPS = 1000
SAMPLES = 50
"""Of the energy while they move."""
DIRECTIONS = {"100": (1, 0, 0), "010": (0, 1, 0), "001": (0, 0, 1), "110": (1, 1, 0), "111": (1, 1, 1)}
FIELDS = (("displacement", "A"), ("velocity", "A_per_ps"))


def check(config: Config) -> None:
    """Raises InputError for a box that does not fit into memory, or so small that its atoms have no thermal motion."""
    box = config.to_crystal_model().box
    require_memory(box, 3)
    if box.n_atoms < 2:
        raise InputError(
            f"crystal.size = {list(config.cells)}: the box is a single atom, which has no thermal motion; give a larger one"
        )


def compare(config: Config, job: Job) -> Outcome:
    """Sample thermal states at every temperature, and move some of them."""
    box, crystal = config.to_crystal_model().box, config.to_crystal()
    entries, seconds = [], 0.0
    for energy in config.validate_.energies:
        if job.notice is not None:
            job.notice(f"thermal states at {energy:g} meV")
        begin = time.perf_counter()
        entry, states = _states(config, box, energy)
        seconds += time.perf_counter() - begin
        entry["moved"] = _moved(config, box, states, entry.pop("exact_heat_meV"))
        entries.append(entry)
    lines = bands.bands(crystal, bands.path_of(crystal))
    density = bands.density_of_states(crystal)
    summary = {
        "states": entries,
        "dispersion": {"labels": lines.labels, "corners_per_A": lines.corners, "q": lines.q, "distance_per_A": lines.distance}
        | {"frequencies_THz": lines.frequencies / units.TURN},
        "density_of_states": {"frequency_THz": density.omega / units.TURN, "modes_per_atom_and_THz": density.g * units.TURN},
        "loss_A2_ps_per_meV": response.loss_matrix(crystal),
        "sound_speeds_A_per_ps": {k: dynamics.sound_speeds(crystal, d) for k, d in DIRECTIONS.items()},
        "omega_max_rad_per_ps": dynamics.omega_max(crystal),
    }
    figures = {
        "bands.png": lambda: plots_crystal.phonons(lines, density, None),
        "thermal-states.png": lambda: plots_crystal.thermal_states(entries),
    }
    flat = [found | {"states": entry["states"]} for entry in entries for found in entry["species"].values()]
    said = verdict.framework(flat, seconds, len(entries)).replace(
        " Nothing is integrated here, so no methods are compared.", f" {_drift_text(entries)}"
    )
    return Outcome(summary, _body(config, summary), figures, verdict=said)


def _states(config: Config, box: Box, energy: float) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]]]:
    """Moments and histograms of the states sampled at one temperature, by species, and the first of these states."""
    chosen, crystal = config.thermal_state, box.crystal
    exact = dict(zip(("displacement", "velocity"), thermal.variances(crystal, box.size, energy, chosen.statistics)))
    members = {
        name: np.array([n for n, own in enumerate(crystal.species) if own == name]) for name in dict.fromkeys(crystal.species)
    }
    edges = np.linspace(0.0, LARGEST, BINS + 1)
    found: dict[tuple[str, str], dict[str, list]] = {
        (name, of): {"squares": [], "fourths": [], "counts": []} for name in members for of in exact
    }
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    for seed in lattice_seeds(chosen.seed, chosen.lattices):
        state = thermal.thermal_state(crystal, box.size, energy, chosen.statistics, np.random.default_rng(seed))
        if len(kept) < MOVED:
            kept.append(state)
        for (of, covariance), field in zip(exact.items(), state):
            white = np.linalg.solve(np.linalg.cholesky(covariance), field.reshape(crystal.n_basis, 3, -1))
            for name, atoms in members.items():
                own, x = found[name, of], white[atoms]
                own["squares"].append(np.mean(x**2))
                own["fourths"].append(np.mean(x**4) / np.mean(x**2) ** 2)
                own["counts"].append(np.histogram(np.sqrt(np.sum(x**2, axis=1)), edges)[0])
    entry: dict[str, Any] = {"thermal_energy_meV": energy, "statistics": chosen.statistics, "states": chosen.lattices}
    entry["edges_over_rms"] = edges
    entry["species"] = {
        name: {of: _moments(found[name, of], exact[of][atoms], unit, edges) for of, unit in FIELDS}
        for name, atoms in members.items()
    }
    heat = crystal.masses * np.trace(exact["velocity"], axis1=1, axis2=2) / 3.0
    entry["exact_heat_meV"] = {name: float(heat[atoms].mean()) for name, atoms in members.items()}
    return entry, kept


def _moments(found: dict[str, list], covariance: np.ndarray, unit: str, edges: np.ndarray) -> dict[str, Any]:
    """What the samples (divided by the root of their covariance) of one field and species come to."""
    mean, error = analysis.mean_and_error(found["squares"])
    counts = np.sum(found["counts"], axis=0)
    total = np.sum(found["counts"]) or 1
    return {
        f"exact_rms_{unit}": float(np.sqrt(np.trace(covariance, axis1=1, axis2=2).mean() / 3.0)),
        "variance_over_exact": float(mean),
        "variance_over_exact_error": float(error),
        "kurtosis": float(np.mean(found["fourths"])),
        "largest_difference_of_distribution": float(np.abs(np.cumsum(counts) / total - gaussian_norm(edges[1:])).max()),
        "density": counts / (total * np.diff(edges)),
    }


def _moved(config: Config, box: Box, states: list, exact: dict[str, float]) -> dict[str, Any]:
    """Kinetic temperatures by species, mean over time, and the drift of the energy, of states that move by velocity Verlet."""
    steps = min(config.n_steps, MOST_STEPS)
    every = max(1, steps // SAMPLES)
    runs = [_verlet(box, state, config.run.dt, steps // every, every) for state in states]
    times = config.run.dt * every * np.arange(steps // every + 1)
    species = np.array(box.crystal.species)
    temperatures = {}
    for name, own in exact.items():
        samples = [heat[:, species == name].mean() for _, heat in runs]
        mean, error = analysis.mean_and_error(samples)
        temperatures[name] = {"temperature_meV": float(mean), "temperature_error_meV": float(error), "exact_meV": own}
    energies = np.array([energy for energy, _ in runs])
    slope = np.polyfit(times, (energies / energies[:, :1]).T, 1)[0] if len(times) > 1 else np.zeros(len(runs))
    return {
        "duration_ps": float(times[-1]),
        "states": len(states),
        "species": temperatures,
        "energy_drift": float(np.abs(slope * times[-1]).max()),
        "energy_swing": float((np.ptp(energies, axis=1) / energies[:, 0]).max()),
    }


def _verlet(box: Box, state: tuple[np.ndarray, np.ndarray], dt: float, rows: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """The energy (rows + 1,), meV, and the mean of m v²/3 over each atom of the cell (rows + 1, p), meV, of a box without an ion."""
    (u, v), force, stencil = box.fields(), box.fields()[1], box.stencil
    box.displacements(u)[...], box.velocities(v)[...] = state
    blocks.drift(u, v, stencil, 0.0)  # fills the halo
    masses, ones = box.crystal.masses, np.ones(box.crystal.n_basis)
    energy, heat = np.zeros(rows + 1), np.zeros((rows + 1, len(masses)))
    for row in range(rows + 1):
        for _ in range(every if row else 0):
            blocks.kick(u, v, stencil, 0.5 * dt / masses)
            blocks.drift(u, v, stencil, dt)
            blocks.kick(u, v, stencil, 0.5 * dt / masses)
        force[...] = 0.0
        blocks.kick(u, force, stencil, ones)
        heat[row] = masses * np.mean(box.velocities(v) ** 2, axis=(1, 2, 3, 4))
        kinetic = 1.5 * heat[row].sum() * np.prod(box.size)
        energy[row] = kinetic - 0.5 * np.sum(box.displacements(u) * box.velocities(force))
    return energy, heat


def _drift_text(entries: list[dict[str, Any]]) -> str:
    drift = max(entry["moved"]["energy_drift"] for entry in entries)
    return f"Moved by velocity Verlet for {entries[0]['moved']['duration_ps']:g} ps without an ion, they keep their energy to {drift:.1g} of it."


def _body(config: Config, summary: dict[str, Any]) -> str:
    rows, moved = [], []
    for entry in summary["states"]:
        heading = with_kelvin(entry["thermal_energy_meV"])
        for name, both in entry["species"].items():
            for of, unit in FIELDS:
                e = both[of]
                cells = [e[f"exact_rms_{unit}"], markdown.measured(e["variance_over_exact"], e["variance_over_exact_error"])]
                cells += [e["kurtosis"], f"{e['largest_difference_of_distribution']:.1e}"]
                rows.append([heading, name, f"{of} ({'Å' if unit == 'A' else 'Å/ps'})", *cells])
        run = entry["moved"]
        for name, own in run["species"].items():
            measured = markdown.measured(own["temperature_meV"], own["temperature_error_meV"])
            ends = [f"{run['energy_drift']:.1e}", f"{run['energy_swing']:.1e}"]
            moved.append([heading, name, measured, markdown.number(own["exact_meV"], 5), *ends])
    speeds = [[f"[{k}]", *(f"{c:.3f}" for c in values)] for k, values in summary["sound_speeds_A_per_ps"].items()]
    matrix = summary["loss_A2_ps_per_meV"]
    loss = [[f"{x:.6e}" if abs(x) > 1e-12 * np.abs(matrix).max() else "0" for x in row] for row in matrix]
    header = ["k_BT", "species", "of", "exact rms of a component", "sampled variance / exact", "kurtosis (Gaussian: 3)"]
    count, run = config.thermal_state.lattices, summary["states"][0]["moved"]
    return "\n\n".join(
        [
            f"Ω_max = {units.with_terahertz(summary['omega_max_rad_per_ps'], 6)}.",
            "## Loss matrix L (Å² ps/meV)",
            markdown.table(["x", "y", "z"], loss),
            "## Sound (Å/ps, Cartesian directions)",
            markdown.table(["direction", "slowest", "", "fastest"], speeds),
            "## Thermal states",
            markdown.table([*header, "largest difference of the distribution of the length"], rows),
            f"{count} states of the {markdown.box(config)} at every temperature, {config.thermal_state.statistics} statistics. The exact covariances "
            "are averages over the modes of this box, for every atom of the cell; sampled u and u̇ are divided by their roots, so that the components are "
            f"normal and independent. The error is the standard error of that many states, and ± {student(count - 1):.2g} of it hold 95 % (Student's t).",
            "## The crystal in motion",
            markdown.table(
                ["k_BT", "species", "<m u̇²>/3, mean over time (meV)", "exact (meV)", "energy drift", "energy swing"], moved
            ),
            f"{run['states']} of the states, moved for {run['duration_ps']:g} ps by velocity Verlet with steps of {config.run.dt:g} ps. The error is the scatter "
            "between them. Drift: slope of the energy × duration, over the energy; swing: largest less smallest energy over it, the error of the step. The exact "
            "value is that of the modes, zero-point motion included where the statistics are quantum.",
        ]
    )
