"""Where crystals come from: a file, a built-in name, or what a configuration writes out; read, corrected, and seen to be stable."""

from __future__ import annotations

import difflib
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdlite import arguments, extensions
from mdlite.crystals import dynamics, library, sumrules
from mdlite.crystals.crystal import Crystal
from mdlite.crystals.material import Material, Polar
from mdlite.errors import InputError
from mdlite.units import terahertz

MOST_CHANGE = 0.02
"""Of the largest force constant: what the corrections may change before the file is refused."""
SOFTEST = 1e-9
"""Of the largest squared speed of sound: what is below is no sound."""
MOST_KEPT = 8
"""Crystals that a process keeps."""
OWN = (".h5", ".hdf5")
SETTINGS = ("corrections", "dipoles", "tolerance")

Notice = Callable[[str], object]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A crystal ready for use, and what is known about it.

    crystal: as it is used. raw: as it was read. polar: its Born charges, if the file has any. source: where it comes from.
    settings: ``corrections`` ("all", "translation", or "none" of springs), ``dipoles`` (Å) and ``tolerance``, None where there is none.
    facts: plain values: ``corrections``: see `corrections_of`; ``tolerance``, ``dipoles``: what those did; ``unstable``: where, see `finished`.
    """

    crystal: Crystal
    raw: Crystal
    polar: Polar | None
    source: str
    settings: dict[str, Any]
    facts: dict[str, Any]

    @property
    def stable(self) -> Crystal:
        """The crystal. Raises InputError for one that is kept for comparisons though it is unstable."""
        if "unstable" in self.facts:
            raise InputError(self.facts["unstable"])
        return self.crystal


def load(values: dict[str, Any], notice: Notice | None = None) -> Loaded:
    """The crystal of a table [crystal], given as plain values (``file`` absolute or relative to the working directory).

    It is read once in a process as long as its file stays the same. notice: is called with a line before what takes its time.
    Raises InputError: what is wrong with the file, with its force constants (`MOST_CHANGE`), or where the crystal is unstable.
    """
    key = json.dumps(values, sort_keys=True), _stamp(values.get("file"))
    if key not in _KEPT:
        found = _load(values, notice or (lambda line: None))
        while len(_KEPT) >= MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = found
    return _KEPT[key]


_KEPT: dict[Any, Loaded] = {}


def adopt(values: dict[str, Any], loaded: Loaded, instead: bool = False) -> None:
    """Take ``loaded`` for what `load` would read, unless it has read it: a run's own crystal, whose file may have changed, or be elsewhere.

    instead: also where it has read it.
    """
    key = json.dumps(values, sort_keys=True), _stamp(values.get("file"))
    if instead:
        _KEPT[key] = loaded
    _KEPT.setdefault(key, loaded)


def _load(values: dict[str, Any], notice: Notice) -> Loaded:
    wanted = {name: values[name] for name in SETTINGS if values.get(name) is not None}
    if values.get("file") is not None:
        return _from_file(Path(values["file"]), wanted, notice)
    if values.get("name") is not None:
        return _built_in(values["name"], wanted, notice)
    return finished(_springs(values, "cell, atoms and springs"), wanted, notice, springs=True)


def _stamp(file: str | None) -> Any:
    """Differs where a file, or a folder's files, have changed."""
    if file is None:
        return None
    try:
        place = Path(file)
        paths = [place, *sorted(place.iterdir())] if place.is_dir() else [place]
        return tuple((str(path), (s := path.stat()).st_mtime_ns, s.st_size) for path in paths)
    except (OSError, ValueError):
        return None


def load_any(source: str | os.PathLike[str], changes: dict[str, Any] | None = None, notice: Notice | None = None) -> Loaded:
    """`load` for what a command is given: a file or folder of any kind, or the name of a built-in crystal; changes: of `SETTINGS`."""
    text = os.fspath(source)
    here = Path(text).exists()
    if not here and text in library.names():
        return load({"name": text, **(changes or {})}, notice)
    if not here and not Path(text).suffix and os.sep not in text:
        raise InputError(
            f"crystal = {text!r}: no such file, and no built-in crystal of that name ({', '.join(library.names())}){_near(text, library.names())}"
        )
    return load({"file": text, **(changes or {})}, notice)


def _near(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, 1, 0.7)
    return f"; did you mean {close[0]}?" if close else ""


def _from_file(path: Path, wanted: dict[str, Any], notice: Notice) -> Loaded:
    shown = f"crystal.file = {str(path)!r}"
    try:
        there, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(f"{shown}: {getattr(error, 'strerror', None) or error}") from None
    if not there:
        beside = [found.name for found in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{shown}: no such file{_near(path.name, beside)}")
    if not folder and path.suffix.lower() == ".toml":
        table, where = extensions.find("written crystal")(path)
        return _toml(table, where, wanted, notice)
    if not folder and path.suffix.lower() in OWN:
        own = extensions.find("stored crystal").read(path)
        springs = own.settings["corrections"] == "none"
        given = {name: value for name, value in own.settings.items() if value is not None}
        if all(given.get(name) == value for name, value in wanted.items() if not (springs and name == "corrections")):
            return own
        return finished(Material(own.raw, own.polar, own.source), given | wanted, notice, springs)
    from mdlite.crystals import phonopy_files

    notice(f"reading {path}")
    return finished(phonopy_files.read(path), wanted, notice)


def _toml(table: dict[str, Any], where: str, wanted: dict[str, Any], notice: Notice) -> Loaded:
    """The crystal of a TOML file's table, whose own settings hold where none are wanted."""
    own = {name: table[name] for name in SETTINGS if table.get(name) is not None} | wanted
    if table.get("file") is not None:
        if Path(table["file"]).suffix.lower() == ".toml":
            raise InputError(f"crystal.file = {table['file']!r}: is a TOML file, named by another ({where}); name it itself")
        return _from_file(Path(table["file"]), own, notice)
    if table.get("name") is not None:
        return _built_in(table["name"], own, notice)
    return finished(_springs(table, where), own, notice, springs=True)


def _built_in(name: str, wanted: dict[str, Any], notice: Notice) -> Loaded:
    arguments.choice("crystal.name", name, library.names())
    return finished(_springs(library.read(name), f"built-in crystal {name}"), wanted, notice, springs=True)


def _springs(values: dict[str, Any], source: str) -> Material:
    from mdlite.crystals import springs

    return Material(springs.from_springs(values["cell"], values["atoms"], values["springs"], "crystal."), None, source)


def finished(material: Material, wanted: dict[str, Any], notice: Notice, springs: bool = False) -> Loaded:
    """Corrected, with dipoles and tolerance as wanted, and stable. Raises InputError.

    One without the rotational sum rule, as phonopy has it, may be unstable near Γ for the lack of it: that is a fact then (``unstable``).
    """
    raw, polar, source = material
    name = f"crystal ({source})" if source else "crystal"
    which = "none" if springs else wanted.get("corrections", "all")
    settings = {"corrections": which} | {key: wanted.get(key) for key in SETTINGS[1:]}
    crystal = raw
    facts: dict[str, Any] = {}
    rules: sumrules.Which = "translation" if which == "translation" else "all"
    if which == "none":
        found = sumrules.violations(crystal)
        facts["corrections"] = {"kind": "none", "change": 0.0, "before": found._asdict(), "after": found._asdict()}
    else:
        notice(f"correcting the force constants of {len(crystal.blocks)} pairs of atoms")
        crystal, made = sumrules.corrected(crystal, rules)
        facts["corrections"] = corrections_of(made)
        _require_small(made, name)
    if settings["dipoles"] is not None:
        crystal, facts["dipoles"] = _with_dipoles(material, settings["dipoles"], rules, name, notice)
    if settings["tolerance"] is not None:
        crystal, facts["tolerance"] = _cut(crystal, settings["tolerance"], rules)
    notice("looking for the lowest and the highest frequency")
    try:
        dynamics.require_stable(crystal, name)
        _require_stiff(crystal, name)
    except InputError as error:
        if which != "translation":
            raise
        facts["unstable"] = str(error)
    return Loaded(crystal, raw, polar, source, settings, facts)


def _require_stiff(crystal: Crystal, name: str) -> None:
    """Raise InputError where some shear has no restoring force: sound does not move, and W(0) and L diverge."""
    n = np.array([n for n in itertools.product((-1, 0, 1), repeat=3) if any(n)], float)
    ways = np.concatenate([n, n @ crystal.cell, n @ crystal.reciprocal])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    squares = np.linalg.eigvalsh(dynamics.acoustic_tensor(crystal, ways))
    softest = int(np.argmin(squares[:, 0]))
    if squares[softest, 0] <= SOFTEST * squares.max():
        along = ", ".join(f"{x + 0.0:.3g}" for x in ways[softest])
        raise InputError(
            f"{name}: a shear has no restoring force (sound along ({along}) does not move), so that W(0) and L diverge; "
            "its springs do not hold it, add others"
        )


def corrections_of(found: sumrules.Corrections) -> dict[str, Any]:
    """As plain values: kind; change: of the largest element; before, after: violations of each rule (`mdlite.crystals.sumrules.Violations`)."""
    return {"kind": found.which, "change": found.change, "before": found.before._asdict(), "after": found.after._asdict()}


def _require_small(found: sumrules.Corrections, name: str) -> None:
    if found.change <= MOST_CHANGE:
        return
    before = found.before
    raise InputError(
        f"{name}: its force constants had to change by {found.change:.1%} of the largest to obey the sum rules, {MOST_CHANGE:.0%} at most "
        f"(they missed permutation by {before.permutation:.1%}, translation by {before.translation:.1%}, rotation by {before.rotation:.1%}); "
        "they are incomplete or badly converged"
    )


def _with_dipoles(
    material: Material, radius: float, rules: sumrules.Which, name: str, notice: Notice
) -> tuple[Crystal, dict[str, Any]]:
    """The crystal whose stencil holds the dipoles as far as a radius, and what that did."""
    if material.polar is None:
        raise InputError(
            f"crystal.dipoles = {radius:g}: {name} has no Born charges (a BORN file, or born_effective_charge in the yaml)"
        )
    from mdlite.crystals import stencil

    notice(f"making a stencil of {radius:g} Angstrom that holds the dipoles")
    found = stencil.stencil(material, radius, corrections=rules)
    return found, {"radius": radius, "neighbours": found.neighbours.tolist()}


def _cut(crystal: Crystal, tolerance: float, which: sumrules.Which) -> tuple[Crystal, dict[str, Any]]:
    """Without the blocks that are smaller than a share of the largest, sum rules restored; and what that did."""
    size = np.abs(crystal.blocks).max(axis=(1, 2))
    own = (crystal.first == crystal.second) & ~crystal.cells.any(axis=1)
    kept = own | (size >= tolerance * size.max())
    kept &= kept[crystal.partner]
    rest = Crystal(
        crystal.cell,
        crystal.positions,
        crystal.masses,
        crystal.species,
        *(array[kept] for array in (crystal.first, crystal.second, crystal.cells, crystal.blocks)),
    )
    found = sumrules.corrected(rest, which)[0]
    q = np.stack(np.meshgrid(*[np.arange(6) / 6.0] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    change = np.abs(dynamics.frequencies(found, q) - dynamics.frequencies(crystal, q)).max()
    return found, {
        "tolerance": tolerance,
        "dropped": int(len(kept) - kept.sum()),
        "of": len(kept),
        "largest_change_of_a_frequency_THz": terahertz(float(change)),
    }
