"""Where a run can go on: what an output and its checkpoints hold, and whether it is the run that a configuration describes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mdlite.config import Config, parse
from mdlite.config.explain import shortened
from mdlite.crystals import sources
from mdlite.errors import InputError
from mdlite.io import crystal_file
from mdlite.io.checkpoint import Checkpoints, Saved
from mdlite.io.reading import Contents
from mdlite.io.seal import is_hdf5

FREE_KEYS = ("run.duration", "run.energy_tolerance", "run.checkpoint_every", "run.checkpoint_steps", "run.keep_state")
"""Keys that may change when a run goes on; [validate] plays no part in a run."""


def find(output: Path, config: Config) -> Saved | None:
    """What to go on from, or None to begin at the beginning; the output stands as it was at that point.

    A finished run gives its last state, ``facts["complete"]`` set. Raises InputError, naming what differs, if it is another run, or if the
    output or its checkpoints cannot be used; nothing is changed then.
    """
    checkpoints = Checkpoints(output)
    if not output.exists():
        if checkpoints.exist():
            raise InputError(
                f"output = {str(output)!r}: is gone, and {checkpoints.folder} cannot go on without it; put it back, or give --force to start again"
            )
        return None
    saved = checkpoints.latest()
    if saved is None:
        return _without_checkpoint(output, config, checkpoints)
    try:
        contents = Contents(output)
    except InputError:  # as a power failure may leave it
        if not output.is_file() or not is_hdf5(output) or output.stat().st_size < saved.facts["size"]:
            raise
    else:
        if contents.run != saved.facts["run"]:
            raise InputError(
                f"output = {str(output)!r}: is not the file that {checkpoints.folder} belongs to; put that one back, or give --force to start again"
            )
    _require_same(parse(tomllib.loads(saved.facts["config"]), foreign=True), config, saved.step)
    _require_same_crystal(output, config)
    try:
        checkpoints.restore_output(saved)
    except OSError as error:
        raise InputError(f"output = {str(output)!r}: cannot be written: {error.strerror or error}") from None
    return saved


def _without_checkpoint(output: Path, config: Config, checkpoints: Checkpoints) -> Saved | None:
    contents = Contents(output)
    facts = contents.facts
    before = parse(tomllib.loads(contents.toml), foreign=True)
    done = facts.get("status") == "complete"
    _require_same(before, config, before.n_steps if done else 0)
    _require_same_crystal(output, config)
    if not done:
        _require_dispensable(contents, checkpoints)
        return None
    state = contents.state()
    if not state and config.n_steps > before.n_steps:
        raise InputError(
            f"run.duration = {config.run.duration:g}: {str(output)!r} ended at {before.run.duration:g} ps and has not kept its last state "
            "(run.keep_state), so it cannot be extended"
        )
    return Saved(
        {"run": contents.run, "number": 0, "step": before.n_steps, "facts": facts, "complete": True}, state, contents.observers()
    )


def _require_dispensable(contents: Contents, checkpoints: Checkpoints) -> None:
    """Raise InputError if an unfinished run holds anything, unless it was to be resumed from the start and had no checkpoint yet."""
    time = contents["time"]
    if len(time) < 2 or checkpoints.begun(contents.run):  # nothing beyond the start
        return
    state = "are damaged" if checkpoints.exist() else "are not there"
    raise InputError(
        f"output = {str(contents.path)!r}: holds {time[-1]:g} ps of an unfinished run ({contents.facts.get('status')}), and the checkpoints to go on "
        f"from, {str(checkpoints.folder)!r}, {state}; put them back, or give --force in place of --resume to start again and replace what is there"
    )


def _require_same(before: Config, now: Config, step: int) -> None:
    """Raise InputError if ``now`` is not the run that was begun as ``before`` and has got to ``step``, but for FREE_KEYS."""
    old, new = _flat(before.to_dict()), _flat(now.to_dict())
    keys = sorted(k for k in old.keys() | new.keys() if not k.startswith("validate.") and k not in FREE_KEYS)
    lines = [
        f"{key} = {_text(new, key)}: the run was begun with {_text(old, key)}; --resume cannot change it"
        for key in keys
        if old.get(key) != new.get(key)
    ]
    if now.n_steps < before.n_steps:
        lines.append(
            f"run.duration = {now.run.duration:g}: the run was begun with {before.run.duration:g}; --resume can make it longer, not shorter"
        )
    if now.n_steps > before.n_steps and now.method == "reference" and now.boundary == "echo-free":
        lines.append(
            f"run.duration = {now.run.duration:g}: the run was begun with {before.run.duration:g}, for which its echo-free box was made; it cannot "
            "be extended"
        )
    if lines:
        raise InputError("\n".join(shortened(lines)))


def _require_same_crystal(output: Path, config: Config) -> None:
    """Raise InputError where the [crystal] is no longer what the run was begun with, though it bears the same name. The run goes on in its own, to the bit."""
    if config.crystal is None or not output.is_file():
        return
    own = crystal_file.of_run(output)
    if own is None or not crystal_file.same(own, config.load_crystal()):
        raise InputError(
            f"crystal ({config.load_crystal().source}): its force constants are not those that {str(output)!r} was begun with, which has them "
            "in it; put the file back as it was, or give --force in place of --resume to start again"
        )
    sources.adopt(config.crystal.values(), own, instead=True)


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def _text(flat: dict[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "its default"
