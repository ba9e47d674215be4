"""How often the 95 % intervals of D and of the ion's temperature hold the truth: ``python bench/interval_coverage.py [--trials 4000]``

Ions whose velocity is an Ornstein-Uhlenbeck process (rate 4 per ps, so D = T/(4 M) is known), two in each lattice, 40 ps, frames
0.1 ps apart. Through `mdlite.analysis`, as `mdlite analyse` calls it. Prints, for each number of lattices, the part of the trials
in which the interval holds the truth, for D by the default fit, D by a line through 1 to 4 ps, D by Green and Kubo, and the
temperature; one lattice is judged by blocks of time.
"""

import argparse

import numpy as np

from mdlite import analysis

RATE, STEP, FRAMES, IONS = 4.0, 0.1, 400, 2
MASS = np.ones(3)
FINE = 4
"""Steps of the process between frames, over which velocities are summed to positions (trapezoidal rule)."""


def walks(lattices: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities (frames, ions, 3) of ions with <M v²> = 1 for each axis, exactly a stationary Ornstein-Uhlenbeck process."""
    ions, dt = lattices * IONS, STEP / FINE
    keep = np.exp(-RATE * dt)
    noise = rng.normal(size=(FRAMES * FINE, ions, 3))
    velocity = np.empty_like(noise)
    velocity[0] = noise[0]
    for n in range(1, len(velocity)):
        velocity[n] = keep * velocity[n - 1] + np.sqrt(1.0 - keep**2) * noise[n]
    position = np.cumsum(0.5 * dt * (velocity + np.roll(velocity, 1, axis=0)), axis=0)
    return position[::FINE], velocity[::FINE]


def truth() -> float:
    """D of the process as it is summed, Å²/ps: the trapezoidal rule's in place of T/(M rate)."""
    keep = np.exp(-RATE * STEP / FINE)
    return 0.5 * STEP / FINE * (1.0 + keep) / (1.0 - keep)


def trial(lattices: int, rng: np.random.Generator) -> list[bool]:
    """Whether each interval holds the truth."""
    position, velocity = walks(lattices, rng)
    time, groups = STEP * np.arange(FRAMES), np.repeat(np.arange(lattices), IONS)
    found = [analysis.diffusion(time, position, None, groups=groups).interval]
    found.append(analysis.diffusion(time, position, (1.0, 4.0), groups=groups, weights="equal").interval)
    if lattices > 1:
        found.append(analysis.interval(analysis.green_kubo_samples(time, velocity, 2.0, groups)))
    held = [low <= truth() <= high for low, high in found]
    low, high = analysis.interval(analysis.temperature_samples(velocity, MASS, groups=groups)[:, 0])
    return [*held, low <= 1.0 <= high]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    print("lattices   D, default   D, line 1 to 4 ps   D, Green-Kubo   temperature")
    for lattices in (2, 3, 4, 6, 12, 1):
        rng = np.random.default_rng(lattices)
        held = np.mean([trial(lattices, rng) for _ in range(trials)], axis=0)
        cells = [f"{x:.3f}" for x in held]
        if lattices == 1:
            cells.insert(2, "  –  ")
        print(f"{lattices:8}   {cells[0]:>10}   {cells[1]:>17}   {cells[2]:>13}   {cells[3]:>11}", flush=True)


if __name__ == "__main__":
    main()
