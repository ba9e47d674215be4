"""Protocol ``framework``: the lattice alone, as in the paper's first figure: dispersion, recoil kernel, and thermal states.

Displacements and velocities of sampled states are compared with the Gaussian distribution whose variance follows from the modes.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from mdlite import analysis, units
from mdlite.analysis.statistics import student
from mdlite.config import Config
from mdlite.engines.blocking import require_memory
from mdlite.engines.build import lattice_seeds
from mdlite.errors import InputError
from mdlite.physics import phonons, response
from mdlite.physics.thermal import thermal_state, variances
from mdlite.protocols import crystal_framework
from mdlite.protocols.base import Job, Outcome
from mdlite.protocols.distributions import BINS, LARGEST, gaussian_norm
from mdlite.report import markdown, plots_thermal, verdict

OWN_START = True
"""ion.position plays no part."""
THERMAL = True
KERNEL_TIMES = np.linspace(0.0, 2.0, 401)


def check(config: Config) -> None:
    """Raises InputError for fewer than two sampled states, or a lattice that does not fit into memory."""
    if config.thermal_state.lattices < 2:
        raise InputError(
            f"thermal.lattices = {config.thermal_state.lattices}: errors are the scatter between sampled states; give 2 at least"
        )
    if config.crystal is not None:
        crystal_framework.check(config)
        return
    require_memory(config.to_model().lattice, 3)


def settings(config: Config) -> list[Config]:
    """What moves: in a [lattice] nothing is integrated, so no kernels need to be compiled; a box of a [crystal] is moved."""
    return [] if config.crystal is None else [config.replace(method="reference")]


def compare(config: Config, job: Job) -> Outcome:
    """Sample thermal states at every temperature."""
    if config.crystal is not None:
        return crystal_framework.compare(config, job)
    lattice = config.to_model().lattice
    entries, begin = [], time.perf_counter()
    for energy in config.validate_.energies:
        if job.notice is not None:
            job.notice(f"thermal states at {energy:g} meV")
        entries.append(_states(config, energy))
    seconds = time.perf_counter() - begin
    bands = phonons.dispersion(lattice)
    kernel = response.recoil_kernel(lattice, [[0, 0, 0]], KERNEL_TIMES)[0, :, 0, 0]
    loss = response.loss_matrix(lattice)[0, 0]
    summary = {
        "states": entries,
        "dispersion": bands,
        "kernel": {"time_ps": KERNEL_TIMES, "xx_A2_per_meV": kernel},
        "loss_A2_ps_per_meV": loss,
        "integral_to_2ps_over_loss": trapezoid(kernel, KERNEL_TIMES) / loss,
        "sound_speeds_A_per_ps": {
            k: phonons.sound_speeds(lattice, d) for k, d in (("100", (1, 0, 0)), ("110", (1, 1, 0)), ("111", (1, 1, 1)))
        },
        "omega_max_rad_per_ps": lattice.omega_max,
    }
    figures = {
        "framework.png": lambda: plots_thermal.framework(bands, KERNEL_TIMES, kernel / kernel[0]),
        "thermal-states.png": lambda: plots_thermal.thermal_states(entries),
    }
    return Outcome(summary, _body(config, summary), figures, verdict=verdict.framework(entries, seconds))


def _states(config: Config, energy: float) -> dict[str, Any]:
    """Moments and histograms of the states sampled at one temperature, with the exact variances."""
    lattice, thermal = config.to_model().lattice, config.thermal_state
    exact = dict(zip(("displacement", "velocity"), variances(lattice, energy, thermal.statistics)))
    edges = np.linspace(0.0, LARGEST, BINS + 1)
    squares: dict[str, list[float]] = {k: [] for k in exact}
    fourths: dict[str, list[float]] = {k: [] for k in exact}
    counts = {k: np.zeros(BINS) for k in exact}
    for seed in lattice_seeds(thermal.seed, thermal.lattices):
        state = thermal_state(lattice, energy, thermal.statistics, np.random.default_rng(seed))
        for name, field in zip(exact, state):
            x = field / np.sqrt(exact[name])
            squares[name].append(np.mean(x**2))
            fourths[name].append(np.mean(x**4) / np.mean(x**2) ** 2)
            counts[name] += np.histogram(np.sqrt(np.sum(x**2, axis=0)), edges)[0]
    entry: dict[str, Any] = {"thermal_energy_meV": energy, "statistics": thermal.statistics, "states": thermal.lattices}
    for name, unit in (("displacement", "A"), ("velocity", "A_per_ps")):
        mean, error = analysis.mean_and_error(squares[name])
        total = lattice.n_atoms * thermal.lattices
        entry[name] = {
            f"exact_rms_{unit}": np.sqrt(exact[name]),
            "variance_over_exact": float(mean),
            "variance_over_exact_error": float(error),
            "kurtosis": float(np.mean(fourths[name])),
            "largest_difference_of_distribution": float(np.abs(np.cumsum(counts[name]) / total - gaussian_norm(edges[1:])).max()),
            f"edges_{unit}": edges * np.sqrt(exact[name]),
            "density": counts[name] / (total * np.diff(edges) * np.sqrt(exact[name])),
        }
    return entry


def _body(config: Config, summary: dict[str, Any]) -> str:
    rows = []
    for entry in summary["states"]:
        for name, unit in (("displacement", "A"), ("velocity", "A_per_ps")):
            e = entry[name]
            rows.append(
                [
                    units.with_kelvin(entry["thermal_energy_meV"]),
                    f"{name} ({'Å' if unit == 'A' else 'Å/ps'})",
                    e[f"exact_rms_{unit}"],
                    markdown.measured(e["variance_over_exact"], e["variance_over_exact_error"]),
                    e["kurtosis"],
                    f"{e['largest_difference_of_distribution']:.1e}",
                ]
            )
    size = " × ".join(str(n) for n in config.lattice.size)
    sound = summary["sound_speeds_A_per_ps"]
    speeds = [[f"[{direction}]", *(f"{c:.3f}" for c in values)] for direction, values in sound.items()]
    header = ["k_BT", "of", "exact rms of a component", "sampled variance / exact", "kurtosis (Gaussian: 3)"]
    return "\n\n".join(
        [
            f"Ω_max = {units.with_terahertz(summary['omega_max_rad_per_ps'], 6)}. "
            f"W(0) = {summary['kernel']['xx_A2_per_meV'][0]:.6e} Å²/meV on an atom's own site, L = {summary['loss_A2_ps_per_meV']:.6e} Å² ps/meV; "
            f"∫W dt over 2 ps is {summary['integral_to_2ps_over_loss']:.4f} of L.",
            "## Sound (Å/ps)",
            markdown.table(["direction", "transverse", "transverse", "longitudinal"], speeds),
            "## Thermal states",
            markdown.table([*header, "largest difference of the distribution of the length"], rows),
            f"{config.thermal_state.lattices} states of {size} atoms at every temperature, {config.thermal_state.statistics} "
            "statistics. The exact variances are averages "
            "over the modes of this lattice; the error is the standard error of that many states, "
            f"and ± {student(config.thermal_state.lattices - 1):.2g} of it hold 95 % (Student's t). The distribution of the "
            "length of u and u̇ over the atoms "
            "is compared with that of a vector of three independent Gaussian components.",
        ]
    )
