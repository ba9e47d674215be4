"""Protocol ``barriers`` in a [crystal]: energies of the held ion where it rests in the crystal's voids, and in the windows between them.

The crystal is rigid, or in equilibrium around the ion (`mdlite.crystals.relax`): in the box over all atoms, and by W(0) in the box and in the
infinite crystal.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mdlite.config import Config
from mdlite.crystals import passages, relax
from mdlite.crystals.model import CrystalModel
from mdlite.crystals.passages import Kind, Passage
from mdlite.errors import InputError, RunError
from mdlite.protocols.base import Job, Outcome, sound
from mdlite.report import markdown, plots_crystal, verdict

MOST_KINDS, MOST_PASSAGES = 6, 6
"""That are looked at."""
PATH_POINTS = 41
BARRIERS = ("unrelaxed_meV", "relaxed_meV", "relaxed_infinite_meV")


def check(config: Config) -> None:
    """Raises InputError unless the chosen atoms move with the ion."""
    if config.interaction.atoms.kind == "sites":
        raise InputError(
            'interaction.atoms.kind = "sites": the barriers protocol moves the ion, so the atoms must move with it: give a cutoff'
        )
    sound(config.replace(method="reference"))


def compare(config: Config, job: Job) -> Outcome:
    """Relax at every place."""
    model = config.to_crystal_model()
    kinds, every = passages.kinds_of(model)
    found = passages.passages_of(model, kinds, every)
    chosen = [passages.with_saddle(model, one) for one in found[:MOST_PASSAGES]]
    needed = {number for one in chosen for number in one.kinds}
    letters = {n: _letter(n) for n in range(len(kinds)) if n in needed or n < MOST_KINDS}
    positions = {letters[n]: kinds[n].place for n in letters}
    names = _names(chosen, letters)
    positions |= {name: one.top for name, one in zip(names, chosen)}
    line = _line(chosen[0]) if chosen else np.zeros((0, 3))
    places, path = _energies(model, positions, line, job)
    for n, letter in letters.items():
        places[letter] |= _of_kind(kinds[n])
    ways = [_way(one, name, letters, places) for name, one in zip(names, chosen)]
    summary: dict[str, Any] = {"places": places, "passages": ways, "path": path}
    summary["left_out"] = {"kinds": len(kinds) - len(letters), "passages": len(found) - len(chosen)}
    figures = {"passage.png": lambda: plots_crystal.barriers(path, ways[0], places)} if ways else {}
    return Outcome(summary, _body(config, summary), figures, verdict=_verdict(ways, places))


def _letter(n: int) -> str:
    return f"void {chr(ord('A') + n) if n < 26 else n + 1}"


def _names(chosen: list[Passage], letters: dict[int, str]) -> list[str]:
    """Of windows: ``A–B``, and a number where several join voids of the same kinds."""
    plain = ["–".join(letters[n].removeprefix("void ") for n in one.kinds) for one in chosen]
    return [
        f"window {name}" + (f" {plain[: n + 1].count(name)}" if plain.count(name) > 1 else "") for n, name in enumerate(plain)
    ]


def _line(one: Passage) -> np.ndarray:
    """Points from a void through the window or saddle to the next void, (n, 3), Å."""
    half = np.linspace(0.0, 1.0, PATH_POINTS // 2 + 1)[:, None]
    first = one.ends[0] + half * (one.top - one.ends[0])
    return np.concatenate([first, (one.top + half * (one.ends[1] - one.top))[1:]])


def _energies(model: CrystalModel, positions: dict[str, np.ndarray], line: np.ndarray, job: Job) -> tuple[dict, dict]:
    """At every place, and along a line in the infinite crystal. A box that finds no equilibrium has NaN, and the reason."""
    places: dict[str, dict[str, Any]] = {}
    for name, position in positions.items():
        if job.notice is not None:
            job.notice(f"relaxing the crystal: ion at {name}")
        begin = time.perf_counter()
        places[name] = {"position_A": position, "unrelaxed_meV": relax.rigid(model, position).energy} | _boxed(model, position)
        places[name]["relax_seconds"] = time.perf_counter() - begin
    if job.notice is not None:
        job.notice("W(0) of the box and of the infinite crystal")
    rows = np.array(list(positions.values()))
    begin = time.perf_counter()
    boxed = relax.adiabatic(model, rows, finite=True)
    middle = time.perf_counter()
    infinite = relax.adiabatic(model, np.concatenate([rows, line]))
    end = time.perf_counter()
    for n, place in enumerate(places.values()):
        place["relaxed_by_recoil_kernel_meV"] = boxed[n].energy
        place["recoil_kernel_seconds"] = (middle - begin) / len(places)
        place["relaxed_infinite_meV"] = infinite[n].energy
        place["infinite_seconds"] = (end - middle) / (len(places) + len(line))
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    return places, {
        "distance_A": np.concatenate([[0.0], np.cumsum(steps)])[: len(line)],
        "unrelaxed_meV": [relax.rigid(model, point).energy for point in line],
        "relaxed_meV": [one.energy for one in infinite[len(places) :]],
    }


def _boxed(model: CrystalModel, position: np.ndarray) -> dict[str, Any]:
    keys = ("relaxed_meV", "elastic_meV", "residual_force_meV_per_A", "largest_displacement_A")
    try:
        found = relax.relax(model, position)
    except RunError as error:
        return dict.fromkeys(keys, np.nan) | {"stopped": str(error)}
    return dict(zip(keys, (found.energy, found.elastic, found.residual_force, float(np.abs(found.displacement).max()))))


def _of_kind(kind: Kind) -> dict[str, Any]:
    return {
        "in_a_cell": kind.per_cell,
        "void_radius_A": kind.void.radius,
        "void_centre_A": kind.void.place,
        "rigid_state": kind.state,
    }


def _way(one: Passage, name: str, letters: dict[int, str], places: dict[str, Any]) -> dict[str, Any]:
    start, end = (letters[n] for n in one.kinds)
    top = places[name]
    return {
        "window": name,
        "from": start,
        "to": end,
        "ends_A": one.ends,
        "length_A": one.length,
        "straight_window_A": one.window,
        "straight_unrelaxed_meV": one.window_energy,
        "top": "window on the straight path" if one.saddle is None else "saddle of the rigid crystal",
        "barrier": {key: top[key] - places[start][key] for key in BARRIERS},
        "barrier_back": {key: top[key] - places[end][key] for key in BARRIERS},
    }


def _verdict(ways: list[dict[str, Any]], places: dict[str, Any]) -> str:
    """The lowest way from void to void, and how W(0) alone gets there."""
    miss = [abs(p["relaxed_meV"] - p["relaxed_by_recoil_kernel_meV"]) for p in places.values() if np.isfinite(p["relaxed_meV"])]
    slow, fast = (float(np.sum([p[key] for p in places.values()])) for key in ("relax_seconds", "infinite_seconds"))
    agree = f"the box relaxed over all of its atoms has the energies that its W(0) gives to {max(miss):.1g} meV" if miss else ""
    price = f"The box took {verdict.duration(slow)}, W(0) of the infinite crystal {verdict.duration(fast)}"
    if not ways:
        return f"**There is no way from void to void with a window in it.** {price}" + (f"; {agree}." if agree else ".")
    ends = {end for way in ways for end in (way["from"], way["to"])}
    deepest = min(ends, key=lambda name: places[name]["relaxed_infinite_meV"])
    out = [
        (way["barrier"] if end == "from" else way["barrier_back"], way)
        for way in ways
        for end in ("from", "to")
        if way[end] == deepest
    ]
    barrier, best = min(out, key=lambda one: one[0]["relaxed_infinite_meV"])
    goal = best["to"] if best["from"] == deepest else best["from"]
    rigid, relaxed, infinite = (barrier[key] for key in BARRIERS)
    share = f", {markdown.percent(100.0 * (rigid / infinite - 1.0))} %" if infinite > 0.0 else ""
    boxed = f" ({relaxed:.4g} in this box)" if np.isfinite(relaxed) else ""
    return (
        f"**The lowest barrier out of {deepest}, where the ion's energy is least, is {infinite:.4g} meV in the relaxed infinite crystal**{boxed}: to {goal}, "
        f"{best['length_A']:.4g} Å ({best['top']}); "
        f"in a rigid crystal it is {rigid:.4g}{share}. {price}" + (f"; {agree}." if agree else ".")
    )


def _body(config: Config, summary: dict[str, Any]) -> str:
    places, ways, left = summary["places"], summary["passages"], summary["left_out"]
    keys = ("unrelaxed_meV", "relaxed_meV", "relaxed_by_recoil_kernel_meV", "relaxed_infinite_meV", "elastic_meV")
    header = ["place", "at (Å)", "unrelaxed (meV)", "relaxed (meV)", "by W(0) of this box (meV)", "infinite crystal (meV)"]
    header += ["elastic part (meV)", "largest displacement (Å)", "residual force (meV/Å)"]
    rows = []
    for name, p in places.items():
        where = ", ".join(f"{x + 0.0:.4f}" for x in np.round(p["position_A"], 4))
        rest = [p["largest_displacement_A"], markdown.number(p["residual_force_meV_per_A"], 2)]
        rows.append([name, where, *(f"{p[k]:.7g}" if np.isfinite(p[k]) else "–" for k in keys), *rest])
    parts = [
        f"The ion is held in the {markdown.box(config)}: where it rests in the rigid crystal's voids, and in the windows between neighbouring ones. All "
        "atoms of the box are relaxed around it (L-BFGS, then Newton steps with conjugate gradients), its centre of mass held. *By W(0)* is the same "
        "minimum from the recoil kernel alone, over the atoms near the ion: of this box, and of the infinite crystal.",
        _kinds_table(places),
        markdown.table(header, rows),
        *(f"**{name} did not relax in the box.** {p['stopped']}." for name, p in places.items() if "stopped" in p),
        "## Barriers",
    ]
    if not ways:
        return "\n\n".join([*parts, _no_way(places)])
    parts += [_barrier_table(ways), BARRIER_TEXT]
    if left["kinds"] or left["passages"]:
        parts.append(f"Left out: {left['kinds']} kinds of smaller voids, {left['passages']} passages with higher windows.")
    return "\n\n".join(parts)


BARRIER_TEXT = (
    "Two voids are neighbours if no other is in or on the sphere that has their distance as a diameter. The window is the highest place of the rigid crystal's "
    "energy on the straight line between them; from there a saddle of that energy (a place without force, from which it falls one way only) is "
    "searched, and the ion is held at it if one is found within a quarter of the path, and slides from it to the two voids. Where none is, the barrier is that of "
    "the straight path, and another path may have a lower one. The relaxed energies are for the ion held at that same place; where "
    "symmetry does not fix it, the relaxed crystal's own saddle is a little elsewhere."
)


def _no_way(places: dict[str, Any]) -> str:
    if any(p.get("rigid_state") == passages.MINIMUM for p in places.values()):
        return "No two neighbouring voids have a window between them."
    return "The ion rests in no void of the rigid crystal: it is drawn to its atoms, and there are no windows to speak of."


def _kinds_table(places: dict[str, Any]) -> str:
    rows = []
    for name, p in places.items():
        if "rigid_state" in p:
            off = float(np.linalg.norm(p["position_A"] - p["void_centre_A"]))
            rows.append(
                [name, p["in_a_cell"], f"{p['void_radius_A']:.4f}", "0" if off < 1e-4 else f"{off:.4f}", p["rigid_state"]]
            )
    return markdown.table(
        ["void", "in a cell", "radius (Å)", "ion held off its centre (Å)", "rigid crystal's energy there"], rows
    )


def _barrier_table(ways: list[dict[str, Any]]) -> str:
    rows = []
    for way in ways:
        cells = [
            f"{way['barrier'][key]:.6g}" + (f" ({way['barrier_back'][key]:.6g} back)" if way["from"] != way["to"] else "")
            for key in BARRIERS
        ]
        straight = f"{way['straight_unrelaxed_meV']:.7g}"
        rows.append([way["window"], way["from"], way["to"], f"{way['length_A']:.4f}", way["top"], straight, *cells])
    header = ["passage", "from", "to", "length (Å)", "ion held at", "highest on the straight path, unrelaxed (meV)"]
    return markdown.table([*header, "barrier, unrelaxed (meV)", "relaxed (meV)", "relaxed, infinite crystal (meV)"], rows)
