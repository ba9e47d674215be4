"""Ions that a run has lost: how many, to the step or to the method itself, and what follows for its averages."""

from __future__ import annotations

from typing import Any

from mdlite.errors import InputError

MOST = 0.01
"""Part of the ions that the step may cost a run before averages over the others are refused: those that are left are the colder ones."""
NO_FRICTION = ("static", "rigid")


def of(facts: dict[str, Any], cause: str) -> list[dict[str, Any]]:
    """The ions lost to ``cause``, "step" or "method", from a run's facts. Entries of earlier versions, which stopped the fast ones, count as lost by the step."""
    return [entry for entry in facts.get("run_aways", []) if entry.get("cause", "step") == cause]


def lines(facts: dict[str, Any], method: str) -> list[str]:
    """What the user has to know, one line for each cause; none if no ion was lost."""
    return [line for line in (_by_step(facts), _by_method(facts, method)) if line]


def bias(facts: dict[str, Any], method: str) -> str | None:
    """Why averages over the ions that are left are none of the ensemble, or None."""
    lost, total = facts.get("run_aways", []), facts.get("ions", 1)
    if lost and len(lost) >= total:
        return f"no ion is left; {'; '.join(lines(facts, method))}"
    if len(of(facts, "step")) > MOST * total:
        return f"{_by_step(facts)}; those that are left are a selection, colder and slower than all"
    return None


def require(facts: dict[str, Any], method: str, selection: bool) -> None:
    """Raise InputError if averages over the ions that are left would be over a selection, which ``selection`` allows, or if none is left."""
    found = bias(facts, method)
    if found is not None and not (selection and len(facts["run_aways"]) < facts.get("ions", 1)):
        raise InputError(
            f"run: {found}; run again with a shorter step, or average over what is left with --selection (selection=True)"
        )


def _by_step(facts: dict[str, Any]) -> str | None:
    lost = of(facts, "step")
    if not lost:
        return None
    steps = [entry["step_ps"] for entry in lost if entry.get("step_ps")]
    first = min(lost, key=lambda entry: entry["time_ps"])
    why = (
        f"the first at t = {first['time_ps']:.4g} ps: {first['reason']}"
        if "reason" in first
        else "faster than an earlier version's limit"
    )
    advice = f"run.dt = {min(steps):.1g} would do" if steps else "a shorter run.dt is the cure"
    return f"{_share(lost, facts)} lost by the step ({why}); {advice}"


def _by_method(facts: dict[str, Any], method: str) -> str | None:
    lost = of(facts, "method")
    if not lost:
        return None
    first = min(lost, key=lambda entry: entry["time_ps"])
    return f"{_share(lost, facts)} lost by the {method} method itself (the first at t = {first['time_ps']:.4g} ps: {first['reason']}); {remedy(method)}"


def remedy(method: str) -> str:
    """What to do about ions that a method of the medium has lost by itself."""
    if method in NO_FRICTION:
        return f'a {method} ion has no friction, and gains energy without end in a moving crystal; method = "patch" does not'
    return 'its expansion fails in close encounters, with a shorter step in fewer; method = "patch" has none of that'


def _share(lost: list, facts: dict[str, Any]) -> str:
    total = facts.get("ions", len(lost))
    return f"{len(lost)} of {total} ions ({float(f'{100.0 * len(lost) / max(1, total):.2g}'):g} %) {'was' if len(lost) == 1 else 'were'}"
