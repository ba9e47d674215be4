"""The sentence that every report begins with: which method is right here, and at what price, from the numbers of the run itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from mdlite.config import method_names
from mdlite.report import markdown
from mdlite.units import counted

GOOD = 1.5
"""%, up to which a method is called right; the tightest of the accuracies that `mdlite.protocols.ladder` recommends for."""
USABLE = 10.0
"""%, of a collision's peak force and of the map's errors."""
LEVEL = 0.975
"""Chance that an average is not higher (lower) than the interval that two of them are called equal within."""
TELLING = (0.05, 0.25)
"""Relative standard errors of T_ion and of D up to which an ensemble can tell a right method from a wrong one."""
MANY = 100
LIKELY = 1e-3
"""Chance below which a deviation of sampled states is no accident."""


def duration(seconds: float) -> str:
    """A price in words: ``0.21 ms``, ``1.5 s``."""
    factor, unit = next((pair for pair in ((1.0, "s"), (1e3, "ms")) if seconds * pair[0] >= 0.995), (1e6, "µs"))
    return f"{markdown.short(seconds * factor)} {unit}"


def names(found: list[str]) -> str:
    """`a`, `b` and `c`."""
    marked = [f"`{name}`" for name in found]
    return marked[0] if len(marked) == 1 else ", ".join(marked[:-1]) + " and " + marked[-1]


def rungs(summary: dict[str, Any]) -> dict[str, Any]:
    """For `mdlite.protocols.rungs`: ``verdict``, and under ``judged`` by what and how each run was judged (errors in %)."""
    entries, yardstick = summary["rungs"], summary["yardstick"]
    swings = bool(summary["rates_at_equal_energy"])
    errors = {}
    for name, entry in entries.items():
        if name in ("reference", yardstick) or name.startswith("periodic"):
            continue
        off = entry["difference"]
        span = "until_echo" if yardstick == "reference" and "until_echo" in off["rms_position_percent"] else "whole"
        errors[name] = off["decay_rate_percent"]["before_echo"] if swings else off["rms_position_percent"][span]
    measure = "decay rate of the energy" if swings else "rms distance from the true path, over how far the ion goes"
    right = [name for name, error in errors.items() if name not in method_names.lossless() and abs(error) <= GOOD]
    right.sort(key=lambda name: entries[name]["seconds_per_ps"])
    judged = {"measure": measure, "errors_percent": errors, "right": right, "within_percent": GOOD}
    said = [_cheapest(entries, errors, right, swings), _others(errors, right, swings), _exact(summary)]
    return {"judged": judged, "verdict": " ".join(line for line in said if line)}


def _price(entries: dict[str, Any], name: str) -> str:
    """What a run costs for each ps, and how that compares with the reference."""
    own, reference = entries[name]["seconds_per_ps"], entries["reference"]["seconds_per_ps"]
    if name == "reference" or not own > 0.0:
        return f"{duration(own)} per ps"
    times = reference / own
    beside = (
        f"{markdown.short(times)} times cheaper than" if times >= 1.05 else f"{markdown.short(1.0 / times)} times the price of"
    )
    return f"{duration(own)} per ps, {beside} the reference"


def _exact(summary: dict[str, Any]) -> str:
    """What stands for the truth, and how two exact methods agree where both were run."""
    entries, yardstick = summary["rungs"], summary["yardstick"]
    if yardstick == "reference":
        return f"The yardstick is the reference ({_price(entries, 'reference')})."
    off = entries["reference"]["difference"]["max_position_A"]
    where, when = ("until_echo", " before the echo") if "until_echo" in off else ("whole", "")
    setup = entries[yardstick]["setup_seconds"]
    once = f", after {duration(setup)} for the response of the crystal" if setup > 0.5 else ""
    return (
        f"The yardstick is `{yardstick}`, exact in the infinite crystal ({_price(entries, yardstick)}{once}): the explicit lattice keeps within "
        f"{off[where]:.1g} Å of it{when}."
    )


def _cheapest(entries, errors: dict[str, float], right: list[str], swings: bool) -> str:
    if not errors:
        return "No approximation was run."
    what = "the decay rate of the energy is right to" if swings else "the path is right to"
    share = "" if swings else " of how far the ion goes"
    if right:
        best = right[0]
        return f"**Take `{best}`**: {what} {abs(errors[best]):.2g} %{share}, for {_price(entries, best)}."
    lossy = {name: abs(error) for name, error in errors.items() if np.isfinite(error)}
    if not lossy:
        return "No approximation that was run can be judged here."
    near = min(lossy, key=lambda name: lossy[name])
    which = "rate" if swings else "path"
    return (
        f"**No approximation that was run is right to {GOOD:g} % here**: nearest is `{near}`, whose {which} is off by {_off(errors[near], swings)} %"
        f"{share}, for {_price(entries, near)}."
    )


def _off(error: float, signed: bool) -> str:
    """An error in %; with its sign where it has one."""
    return markdown.percent(error) if signed else markdown.percent(abs(error)).removeprefix("+")


def _others(errors: dict[str, float], right: list[str], swings: bool) -> str:
    """What the methods that are not right are off by."""
    rest = [name for name in errors if name not in right and np.isfinite(errors[name])] if right else []
    told = [f"`{name}` by {_off(errors[name], swings)} %" for name in rest if not (swings and name in method_names.lossless())]
    lossless = [name for name in rest if swings and name in method_names.lossless()]
    parts = [f"Off are {', '.join(told)}"] if told else []
    parts += [f"{names(lossless)} {'does' if len(lossless) == 1 else 'do'} not lose energy at all"] if lossless else []
    return "; ".join(parts) + "." if parts else ""


def reflection(points: list[dict[str, Any]]) -> str:
    """For `mdlite.protocols.reflection`: where the ion of [18-20] meets the force of the full run, and its price."""
    off = [abs(p["rungs"]["undisturbed"]["peak_force_error_percent"]) for p in points]
    depth = [p["rungs"]["undisturbed"]["largest_deflection_error_percent"] for p in points]
    good = [max(a, b) <= USABLE for a, b in zip(off, depth)]
    where = ", ".join(f"{p['range_A']:g} Å at {p['speed_A_per_ps']:g} Å/ps" for p, fine in zip(points, good) if fine)
    costs = [(p["seconds"]["time-local"], p["seconds"]["full"]) for p in points if p["seconds"]["time-local"]]
    own, full = (float(np.sum(column)) for column in zip(*costs)) if costs else (0.0, 0.0)
    price = (
        f" It costs {markdown.short(full / own)} times less than the explicit lattice ({duration(own)} for "
        f"{counted(len(costs), 'collision')}, {duration(full)})."
        if own > 0.0
        else ""
    )
    if not any(good):
        return (
            f"**The time-local method is right to {USABLE:g} % at none of {counted(len(points), 'collision')}** "
            f"(peak force, and deflection at every time): take the explicit lattice.{price}"
        )
    return (
        f"**The time-local method is right to {USABLE:g} %** (peak force, and deflection at every time) **at {sum(good)} of "
        f"{counted(len(points), 'collision')}**: range {where}."
        f"{price}" + ("" if all(good) else " At the others take the explicit lattice.")
    )


def barriers(entries: list[dict[str, Any]]) -> str:
    """For `mdlite.protocols.barriers`: what relaxation does to the configured barrier, and how W(0) alone gets there."""
    own = entries[0]
    rigid, relaxed, infinite = (own["barrier"][key] for key in ("unrelaxed_meV", "relaxed_meV", "relaxed_infinite_meV"))
    miss = max(abs(p["relaxed_meV"] - p["relaxed_by_recoil_kernel_meV"]) for e in entries for p in e["places"].values())
    slow, fast = (
        sum(p[key] for e in entries for p in e["places"].values()) for key in ("relax_seconds", "recoil_kernel_seconds")
    )
    cheaper = f", {markdown.short(slow / fast)} times cheaper" if fast > 0.0 and slow > fast else ""
    return (
        "**Take the barrier from the recoil kernel W(0)** (`mdlite.engines.timelocal.adiabatic_energy`): it has the relaxed "
        "energies of all atoms to "
        f"{miss:.1g} meV in {duration(fast)} instead of {duration(slow)}{cheaper}, and those of the infinite crystal as well. "
        f"With {own['label']} the "
        f"barrier is {relaxed:.4g} meV relaxed ({infinite:.4g} in the infinite crystal); a rigid lattice has {rigid:.4g}, "
        f"{markdown.percent(100.0 * (rigid / relaxed - 1.0))} %."
    )


def framework(states: list[dict[str, Any]], seconds: float, temperatures: int | None = None) -> str:
    """For `mdlite.protocols.framework`: whether the sampled states are those of the exact distribution. temperatures: how many, where ``states`` has
    several entries for each."""
    sizes = [
        abs(e[k]["variance_over_exact"] - 1.0) / e[k]["variance_over_exact_error"]
        for e in states
        for k in ("displacement", "velocity")
    ]
    temperatures = temperatures or len(states)
    worst, each = max(sizes), seconds / max(1, temperatures * states[0]["states"])
    chance = 2.0 * special.stdtr(max(1, states[0]["states"] - 1), -worst) * len(sizes)  # of so large a one among so many
    fine = chance > LIKELY
    return (
        f"**The sampled thermal states are {'right' if fine else 'not those of the exact distribution'}**: their variances are "
        f"{'within' if fine else 'up to'} "
        f"{worst:.1f} standard errors {'of' if fine else 'off'} the exact ones at all {temperatures} temperatures, for "
        f"{duration(each)} a state. Nothing is integrated here, "
        "so no methods are compared."
    )


def thermal(entries: list[dict[str, Any]]) -> str:
    """For `mdlite.protocols.diffusion` and `mdlite.protocols.arrhenius`: which method has the reference's temperature and D at
    every temperature, within the errors."""
    methods = [m for m in dict.fromkeys(m for e in entries for m in (*e["methods"], *e["failures"])) if m != "reference"]
    if not methods:
        return "No approximation was run."
    judged = {method: _thermal(entries, method) for method in methods}
    open_ = [m for m in methods if judged[m]["state"] == "undecided"]
    right = sorted((m for m in methods if judged[m]["state"] == "right"), key=lambda m: judged[m]["times"])
    if right:
        best = judged[right[0]]
        cheaper = (
            f"{markdown.short(1.0 / best['times'])} times cheaper than"
            if best["times"] < 0.95
            else f"{markdown.short(best['times'])} times the price of"
        )
        parts = [
            f"**Take `{right[0]}`**: it has the reference's temperature and D within their errors ({best['chance']} at the worst), for "
            f"{markdown.short(best['us'])} µs per ion-step, {cheaper} the explicit lattice."
        ]
    elif open_:
        parts = ["**This run cannot decide**: its statistical errors are too large; longer runs or more lattices would tell."]
    else:
        parts = [
            "**None of the approximations that were run is right here**: take the explicit lattice, or `patch` if it was not among them."
        ]
    parts += [f"`{m}` agrees with the reference, but the errors are {judged[m]['chance']}." for m in open_]
    parts += [f"`{m}` {judged[m]['told']}." for m in methods if judged[m]["state"] == "wrong"]
    return " ".join(parts)


def _thermal(entries: list[dict[str, Any]], method: str) -> dict[str, Any]:
    """How one method does: its ``state``, price (µs, and ``times`` the reference's), statistical errors in words, and what is ``told`` of it."""
    both = [(e["methods"][method], e["methods"]["reference"]) for e in entries if method in e["methods"]]
    if len(both) < len(entries):
        return {"state": "wrong", "told": "had to stop"}
    heat, spread = _ratios(both, "temperature", "meV"), _ratios(both, "diffusion", "A2_per_ps")
    lost = sum(len(own["run_aways"]) for own, _ in both)
    us, reference = (float(np.median([one["us_per_ion_step"] for one in side])) for side in zip(*both))
    least = min(one.get("lattices", MANY) for pair in both for one in pair)
    wide = special.stdtrit(max(1, 2 * (least - 1)), LEVEL)  # of a ratio of two averages over so many lattices
    off = any(np.any(np.abs(ratio - 1.0) > np.maximum(wide * chance, 0.01 * GOOD)) for ratio, chance in (heat, spread))
    vague = any(not np.all(chance <= most) for (_, chance), most in zip((heat, spread), TELLING))
    told = f"has {_range(heat[0])} of the reference ion's temperature and {_range(spread[0])} of its D" + (
        f", and lost {lost} ions" if lost else ""
    )
    chances = [f"{markdown.short(100.0 * c.max())} %" if np.isfinite(c).all() else "unknown" for _, c in (heat, spread)]
    return {
        "state": "wrong" if off or lost else "undecided" if vague else "right",
        "us": us,
        "times": us / reference,
        "told": told,
        "chance": f"{chances[0]} of the temperature and {chances[1]} of D",
    }


def _ratios(both, name: str, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """A quantity of one method over the reference's at every temperature, and the standard error of that."""
    value, error = (
        [np.array([one[f"{name}_{kind}{unit}"] for one in side], float) for side in zip(*both)] for kind in ("", "error_")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = value[0] / value[1]
        return ratio, np.abs(ratio) * np.hypot(error[0] / value[0], error[1] / value[1])


def _range(ratio: np.ndarray) -> str:
    known = ratio[np.isfinite(ratio)]
    if not len(known):
        return "no known share"
    low, high = f"{known.min():.2f}", f"{known.max():.2f}"
    return low if low == high else f"{low} to {high}"


def ladder(recommendation: dict[str, dict[str, Any]]) -> str:
    """For `mdlite.protocols.ladder`: the cheapest method of the tightest accuracy that any has, and what a looser one would save."""
    found = [(level, best) for level, best in recommendation.items() if best["method"] is not None]
    if not found:
        return "**No method that was run is right in every experiment**, beyond its statistical error, at any of the accuracies asked for: see the table."
    parts: list[str] = []
    seen = None
    for level, best in found:
        price = f"{markdown.short(best['core_us_per_ion_step'])} µs of a core per ion-step"
        if not parts:
            parts.append(f"**Take `{best['method']}`**: rates and temperatures to {level} in every experiment, for {price}.")
        elif best["method"] != seen:
            parts.append(f"To {level}, `{best['method']}` is enough ({price}).")
        seen = best["method"]
    return " ".join(parts)


def validity_map(shares: dict[str, dict[str, float]]) -> str:
    """For `mdlite.accuracy_map.map`: of how many points at T = 0 each method has the energy lost and the peak force to 10 %."""
    told = []
    for method in dict.fromkeys(name.split(".")[0] for name in shares):
        both = [shares[f"{method}.{quantity}"]["below_10_percent"] for quantity in ("energy_loss", "force")]
        told.append((min(both), method))
    told.sort(reverse=True)
    best, method = told[0]
    rest = ", ".join(f"`{name}` at {100.0 * share:.0f} %" for share, name in told[1:])
    return (
        f"**Take `{method}`**: energy lost and peak force are right to {USABLE:g} % at {100.0 * best:.0f} % of the points at T = 0 (each by itself); "
        f"{rest}. The map measures errors only; `mdlite validate ladder` has prices."
    )
