"""Configurations, or the crystal of one alone, from whatever stands for them: a file, a built-in case, tables, a crystal's own file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from mdlite import arguments
from mdlite.config import crystal_rules, crystal_section, textfile
from mdlite.config.configuration import Config, lattice_of, loaded_crystal, parse
from mdlite.config.crystal_section import CrystalSection, located
from mdlite.config.explain import short, shortened, told
from mdlite.config.given import case_names, parse_override, read_text, set_key
from mdlite.config.method_names import require_modules, unknown
from mdlite.config.sections import LatticeSection, ThermalSection
from mdlite.errors import InputError
from mdlite.physics import model

if TYPE_CHECKING:
    from mdlite.crystals.crystal import Crystal
    from mdlite.crystals.sources import Loaded

SWEEP_BLOCKS = {"grid", "zip", "list", "random", "task", "replicas", "set"}
"""Tables and keys that only a sweep's file has."""
CRYSTAL_FILES = (".h5", ".hdf5", ".yaml", ".yml", ".xz", ".gz", ".bz2")
"""How names of files end that are a crystal's and no configuration."""
OF_CONFIGURATION = {field.alias or name for name, field in Config.model_fields.items()} - {"title"} | {"base"}
"""Keys at the top of a configuration or a sweep, which a crystal's own TOML file has not."""


class Medium(NamedTuple):
    """The crystal of a configuration, of either kind. lattice, or loaded: with what is known about it; size, matrix: of its box;
    energy: k_B T, meV, where a temperature is given."""

    lattice: model.Lattice | None
    loaded: Loaded | None
    size: tuple[int, int, int]
    matrix: tuple[tuple[int, int, int], ...] | None
    energy: float | None

    @property
    def crystal(self) -> model.Lattice | Crystal:
        """The crystal itself."""
        if self.lattice is not None:
            return self.lattice
        assert self.loaded is not None
        return self.loaded.crystal


def config_of(
    source: Config | str | Path | dict[str, Any], name: str = "config", start: bool = True, medium: bool = False
) -> Config:
    """A configuration from whatever stands for one: itself, a TOML file, a built-in case, or the tables of either as a dict.

    name: of the argument, for the InputError that says what is wrong. start, medium: see `load`.
    """
    if isinstance(source, Config):
        if not medium and (refusal := crystal_rules.refusal(source)):
            raise InputError(refusal)
        concerned = {source.method, *source.validate_.rungs, *source.validate_.ions}
        return parse(source.to_dict(), start, medium=medium) if unknown(concerned) else source  # a file's from elsewhere: refused
    if isinstance(source, dict):
        return parse(source, start, medium=medium)
    arguments.path(
        name, source, f"a Config, a dict of its tables, the name of a TOML file or a built-in case ({', '.join(case_names())})"
    )
    return load(source, start=start, medium=medium)


def load(
    source: str | Path,
    overrides: list[str] | tuple[str, ...] = (),
    start: bool = True,
    foreign: bool = False,
    medium: bool = False,
) -> Config:
    """Read a TOML file or a built-in case, apply ``key=value`` overrides, validate. Raises InputError, all faults in one message.

    start: whether the ion must be able to start where it is; what does not let it start there need not ask. foreign: whether methods
    may be named that this process does not know, for what reads results and computes nothing. medium: for what needs the crystal and the
    ion, and no method, so that a [crystal] will do that the method does not take. A path in the file is relative to it, one in an override
    to the working directory.
    """
    return parse(_read(source, overrides), start, foreign, medium)


def load_lattice(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> model.Lattice:
    """The lattice alone of what `load` reads: no other table need be there, or fit. Raises InputError; for unknown keys in all of it."""
    found = _tables(_read(source, overrides))[0]
    if found is None:
        raise InputError(f"config = {str(source)!r}: has a [crystal], and a [lattice] is wanted")
    return lattice_of(found)


def load_medium(
    source: str | Path,
    overrides: list[str] | tuple[str, ...] = (),
    notice: Callable[[str], object] | None = None,
    crystals: bool = False,
) -> Medium:
    """The crystal alone of what `load` reads, or of a crystal's own file (`mdlite.crystals.sources`), or a built-in one, by its name.

    No other table need be there, or fit. notice: gets a line before what takes its time. crystals: a file that does not end in .toml is a
    crystal's, whatever its name. Raises InputError; for unknown keys in all of it.
    """
    lattice, section, data = _tables(_read(source, overrides, True, crystals))
    try:
        energy = ThermalSection.model_validate(data["thermal"]).scale if "thermal" in data else None
    except (ValidationError, AssertionError):
        energy = None
    if lattice is not None:
        return Medium(lattice_of(lattice), None, lattice.size, None, energy)
    assert section is not None
    return Medium(None, loaded_crystal(section, notice), section.size, section.matrix, energy)


def _tables(data: dict[str, Any]) -> tuple[LatticeSection | None, CrystalSection | None, dict[str, Any]]:
    """[lattice] or [crystal] of a configuration's tables, and these with paths made absolute. Raises InputError."""
    data = located(data)
    require_modules()
    try:
        Config.model_validate(data)
    except ValidationError as error:
        concerned = [
            e
            for e in error.errors(include_url=False)
            if e["loc"][:1] in (("lattice",), ("crystal",)) or e["type"] == "extra_forbidden"
        ]
        if concerned:
            raise InputError("\n".join(shortened(told(concerned, Config)))) from None
    if data.get("crystal") is None:
        return LatticeSection.model_validate(data.get("lattice", {})), None, data
    section = CrystalSection.model_validate(data["crystal"])
    if found := [*crystal_rules.two_crystals(data.get("lattice") is not None), *crystal_section.faults(section)]:
        raise InputError("\n".join(shortened(found)))
    return None, section, data


def crystal_table(path: Path) -> tuple[dict[str, Any], str]:
    """What a TOML file says of a crystal, as plain values, and the name of the file for messages: its table [crystal], or all of it.

    A ``title`` is let be. Raises InputError.
    """
    name = f"crystal.file = {path.name!r}"
    data = textfile.toml(textfile.read(path, "crystal.file"), name)
    if "crystal" not in data and data.keys() & Config.model_fields.keys() - {"title"}:
        raise InputError(f"{name}: is a configuration without a [crystal]")
    table = data["crystal"] if "crystal" in data else {key: value for key, value in data.items() if key != "title"}
    if not isinstance(table, dict):
        raise InputError(f"{name}: crystal = {short(table)}: must be a table")
    try:
        section = CrystalSection.model_validate(located({"crystal": table}, path.parent)["crystal"])
    except ValidationError as error:
        errors = [{**e, "loc": ("crystal", *e["loc"])} for e in error.errors(include_url=False)]
        raise InputError("\n".join(f"{name}: {line}" for line in shortened(told(errors, Config)))) from None
    if found := list(crystal_section.faults(section)):
        raise InputError("\n".join(f"{name}: {line}" for line in shortened(found)))
    return section.values(), str(data.get("title") or path.name)


def _read(
    source: str | Path, overrides: list[str] | tuple[str, ...], crystals: bool = False, any_name: bool = False
) -> dict[str, Any]:
    """The tables of a configuration's file, or of a built-in case, with ``key=value`` overrides. Raises InputError.

    crystals: or one that has nothing but the crystal of that file, or of that name. any_name: see `_of_crystal`.
    """
    data = _of_crystal(source, any_name) if crystals else None
    if data is None:
        text = _text(source) if crystals else read_text(source)
        data = located(textfile.toml(text, f"config = {str(source)!r}"), Path(source).parent)
        if crystals and Path(source).suffix.lower() == ".toml" and data and not data.keys() & OF_CONFIGURATION:
            data = {"crystal": {"file": str(source)}}  # a crystal's own TOML file
    arguments.texts("overrides", overrides, 'a list of texts, such as ["run.dt=0.001"]')
    if "base" in data and data.keys() & SWEEP_BLOCKS and not data.keys() & {"ion", "interaction"}:
        raise InputError(
            f"config = {str(source)!r}: is a sweep (it has base and {', '.join(sorted(data.keys() & SWEEP_BLOCKS))}); "
            f"`mdlite sweep {source} -o DIR` runs it"
        )
    for override in overrides:
        key, value = parse_override(override)
        set_key(data, key, value)
    return data


def _text(source: str | Path) -> str:
    """`read_text` for what may also be a crystal. Raises InputError."""
    from mdlite.crystals import library

    path = Path(source)
    if str(source) in case_names() and not path.is_file():
        return read_text(source)
    known = case_names(), library.names()
    also = f"no built-in case ({', '.join(known[0])}) or crystal ({', '.join(known[1])}) of that name"
    return textfile.read(path, "config", [*known[0], *known[1]], also)


def _of_crystal(source: str | Path, any_name: bool) -> dict[str, Any] | None:
    """A configuration with nothing but a crystal, where a source is a crystal's own file or folder, or the name of a built-in one.

    any_name: every file is one that does not end in .toml.
    """
    arguments.path("config", source, f"the name of a TOML file, a crystal's file, or a built-in case ({', '.join(case_names())})")
    path = Path(source)
    try:
        ending = path.suffix.lower()
        if path.is_dir() or (path.is_file() and (ending in CRYSTAL_FILES or (any_name and ending != ".toml"))):
            return {"crystal": {"file": str(source)}}
        if path.exists() or str(source) in case_names():
            return None
    except (OSError, ValueError):
        return None
    from mdlite.crystals import library

    return {"crystal": {"name": str(source)}} if str(source) in library.names() else None
