"""Configuration: TOML → pydantic → frozen model. Every error names the field, its value and what would be right.

Energies are in meV, lengths in Å, times in ps, masses in meV ps²/Å² (1 is 9.64853 Da); each field says its unit.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tomli_w
from pydantic import Field, ValidationError, model_validator

from mdlite import arguments, extensions
from mdlite.config import crystal_rules, crystal_section, rules, textfile
from mdlite.config.crystal_section import CrystalSection, located
from mdlite.config.explain import short, shortened, told
from mdlite.config.method_names import FOREIGN, MethodName, require_modules, unknown
from mdlite.config.sections import (
    InteractionSection,
    IonSection,
    LatticeSection,
    MemorySection,
    PatchSection,
    RunSection,
    Section,
    SnapshotSection,
    ThermalSection,
    ValidateSection,
    seconds,
)
from mdlite.errors import InputError
from mdlite.kernels.potentials import FORMS
from mdlite.physics import model

if TYPE_CHECKING:
    from mdlite.crystals.crystal import Crystal
    from mdlite.crystals.sources import Loaded

AXES = ("x", "y", "z")
UNITS = (
    "meV ps^2/Angstrom^2",
    "meV Angstrom^12",
    "meV/Angstrom^2",
    "Angstrom/ps",
    "meV Angstrom",
    "Angstrom",
    "meV",
    "ps",
    "K",
)
"""As they stand in descriptions, the longer ones first."""

SWEEP_BLOCKS = {"grid", "zip", "list", "random", "task", "replicas", "set"}
"""Tables and keys that only a sweep's file has."""

CASES = resources.files("mdlite") / "config" / "cases"

LONGEST_MEMORY = 30.0
"""ps, of the memory kernel unless asked for."""


class Config(Section):
    """One run, or one validation."""

    title: str = Field("", description="a line for reports")
    method: MethodName = Field("reference", description="how the framework is treated")
    response: Literal["infinite", "finite"] = Field("infinite", description="whose W(0) the time-local rungs take")
    if TYPE_CHECKING:  # None beside [crystal], which no method reaches that has not said that it takes one
        lattice: LatticeSection = Field(default_factory=LatticeSection)
    else:
        lattice: LatticeSection | None = Field(default_factory=LatticeSection)
    crystal: CrystalSection | None = Field(None, description="any harmonic crystal, in place of lattice")
    ion: IonSection
    interaction: InteractionSection
    thermal: ThermalSection | None = Field(None, description="temperature; absent: T = 0")
    memory: MemorySection = Field(default_factory=MemorySection)
    patch: PatchSection = Field(default_factory=PatchSection)
    run: RunSection
    snapshots: SnapshotSection | None = Field(None, description="of the framework; absent: none")
    validate_: ValidateSection = Field(default_factory=ValidateSection, alias="validate")

    @model_validator(mode="before")
    @classmethod
    def _one_crystal(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("lattice", data) is not None and data.get("crystal") is None:
            return data
        if data.get("crystal") is None:
            return {key: value for key, value in data.items() if key != "lattice"}
        return {"lattice": None} | data

    def __repr__(self) -> str:
        return f"<Config {self.title!r}, {extensions.find('notebook').summary(self)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return extensions.find("notebook").config_html(self)

    def to_model(self) -> model.Model:
        """The frozen physical model of this configuration."""
        potential, atoms = self.interaction.potential, self.interaction.atoms
        names = [parameter.name for parameter in FORMS[model.potential_row(potential.kind)].parameters]
        chosen: model.Sites | model.Shell | model.Cutoff
        if atoms.kind == "sites":
            chosen = model.Sites(tuple(atoms.sites))
        elif atoms.kind == "shell":
            chosen = model.Shell(atoms.extent)
        else:
            chosen = model.Cutoff(atoms.radius, atoms.switch_width)
        return model.Model(
            lattice=self.to_lattice(),
            ion=model.Ion(mass=self.ion.mass, position=self.ion_position, velocity=self.ion.velocity),
            interaction=model.Interaction(
                model.Potential(potential.kind, tuple(float(getattr(potential, name)) for name in names)), chosen
            ),
        )

    def to_lattice(self) -> model.Lattice:
        """The crystal of that model. Raises InputError where it is a [crystal], which is no lattice of the paper's."""
        if self.crystal is not None:
            raise InputError("crystal: is no simple cubic lattice; what is wanted here takes a [lattice] only")
        return _lattice(self.lattice)

    def to_crystal(self) -> Crystal:
        """The crystal of [crystal], corrected and stable; read once in a process. Raises InputError, also where there is a [lattice]."""
        return self.load_crystal().crystal

    def load_crystal(self) -> Loaded:
        """The same with what is known about it (`mdlite.crystals.sources.Loaded`)."""
        if self.crystal is None:
            raise InputError("lattice: is no [crystal]; `mdlite.crystals.cubic.as_crystal` makes one of it")
        return _crystal(self.crystal)

    def to_medium(self) -> model.Lattice | Crystal:
        """The crystal, of whichever kind."""
        return self.to_lattice() if self.crystal is None else self.to_crystal()

    @property
    def ion_position(self) -> tuple[float, float, float]:
        """Where the ion starts, Å, whichever `ion.coordinates` it is given in."""
        x, y, z = self.ion.position
        if self.ion.coordinates == "cartesian":
            return x, y, z
        cell = self.lattice.spacing * np.eye(3) if self.crystal is None else self.to_crystal().cell
        x, y, z = (np.array([x, y, z]) @ cell).tolist()
        return x, y, z

    def cartesian(self) -> Config:
        """The same run with the ion's position given in Å; itself where it is."""
        if self.ion.coordinates == "cartesian":
            return self
        ion = self.ion.model_copy(update={"position": self.ion_position, "coordinates": "cartesian"})
        return self.model_copy(update={"ion": ion})

    @property
    def thermal_state(self) -> ThermalSection:
        """The thermal table of a configuration that has one."""
        assert self.thermal is not None, "there is no thermal table"
        return self.thermal

    @property
    def n_steps(self) -> int:
        """Number of time steps of the run."""
        return round(self.run.duration / self.run.dt)

    @property
    def memory_window(self) -> float:
        """How long the memory kernel remembers, ps: a whole number of steps, no longer than the run."""
        wanted = LONGEST_MEMORY if self.memory.window is None else self.memory.window
        return self.run.dt * max(1, min(round(wanted / self.run.dt), self.n_steps))

    @property
    def n_ions(self) -> int:
        """Number of ions in the run, of all its lattices together."""
        return self.thermal.ions * self.thermal.lattices if self.thermal is not None else 1

    def to_dict(self) -> dict[str, Any]:
        """All settings, defaults included, as nested plain values; keys without a value are left out."""
        data = self.model_dump(by_alias=True, exclude_none=True, mode="python")
        return data if self.crystal is None else data | {"crystal": crystal_section.compact(data["crystal"])}

    def to_toml(self) -> str:
        """All settings, defaults included, as TOML that `load` reads back."""
        text = tomli_w.dumps(_plain(self.to_dict()))
        innermost = re.compile(r"\[\n([^\[\]]*?),?\n\s*\]")  # one line for a list of numbers or words, one for a list of sites
        for _ in range(2):
            text = innermost.sub(lambda found: "\0" + " ".join(found[1].split()) + "\1", text)
        return text.replace("\0", "[").replace("\1", "]")

    def replace(self, changes: dict[str, Any] | None = None, /, **overrides: Any) -> Config:
        """A validated copy with some keys changed, by dotted name: ``replace({"run.dt": 0.001})``, ``replace(method="static")``. Raises InputError."""
        changes = {} if changes is None else changes
        if not isinstance(changes, dict) or not all(isinstance(key, str) for key in changes):
            arguments.refuse("changes", changes, 'a dict of dotted keys, such as {"run.dt": 0.001}')
        if twice := changes.keys() & overrides.keys():
            raise InputError(f"{min(twice)}: is given twice, in the dict and as a keyword; give it once")
        data = self.to_dict()
        for key, value in (changes | overrides).items():
            set_key(data, key, value)
        return parse(data, medium=self.crystal is not None)


def _plain(value: Any) -> Any:
    """Tuples as lists, for TOML, and no zero with a sign: equal settings have one text."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value + 0.0 if isinstance(value, float) else value


def case_names() -> list[str]:
    """Names of the built-in cases."""
    return sorted(f.name.removesuffix(".toml") for f in CASES.iterdir() if f.name.endswith(".toml"))


def case_text(name: str) -> str:
    """The TOML text of a built-in case."""
    return CASES.joinpath(f"{name}.toml").read_text(encoding="utf-8")


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


def read_text(source: str | Path) -> str:
    """TOML text of a configuration file, or of the built-in case of that name. Raises InputError if there is neither."""
    arguments.path("config", source, f"the name of a TOML file or a built-in case ({', '.join(case_names())})")
    path = Path(source)
    try:
        if not path.is_file() and str(source) in case_names():
            return case_text(str(source))
    except (OSError, ValueError) as error:  # a name that no file can have
        told = getattr(error, "strerror", None) or error
        raise InputError(f"config = {short(str(source))}: cannot be read as text: {told}") from None
    return textfile.read(path, "config", case_names(), f"no built-in case of that name ({', '.join(case_names())})")


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
    """The crystal alone of what `load` reads: no other table need be there, or fit. Raises InputError; for unknown keys in all of it."""
    found = load_medium(source, overrides)
    if not isinstance(found, model.Lattice):
        raise InputError(f"config = {str(source)!r}: has a [crystal], and a [lattice] is wanted")
    return found


def load_medium(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> model.Lattice | Loaded:
    """The lattice of what `load` reads, or its crystal with what is known about it, alone: no other table need be there, or fit.

    Raises InputError; for unknown keys in all of it.
    """
    data = located(_read(source, overrides))
    require_modules()
    try:
        Config.model_validate(data)
    except ValidationError as error:
        concerned = [
            e for e in error.errors(include_url=False) if e["loc"][:1] in (("lattice",), ("crystal",)) or e["type"] == "extra_forbidden"
        ]
        if concerned:
            raise InputError("\n".join(shortened(told(concerned, Config)))) from None
    if data.get("crystal") is None:
        return _lattice(LatticeSection.model_validate(data.get("lattice", {})))
    section = CrystalSection.model_validate(data["crystal"])
    if found := [*crystal_rules.two_crystals(data.get("lattice") is not None), *crystal_section.faults(section)]:
        raise InputError("\n".join(shortened(found)))
    return _crystal(section)


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


def _crystal(section: CrystalSection) -> Loaded:
    from mdlite.crystals import sources

    return sources.load(section.values())


def _lattice(section: LatticeSection) -> model.Lattice:
    return model.Lattice(**section.model_dump(exclude={"boundary", "absorber_width"}))


def _read(source: str | Path, overrides: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """The tables of a configuration's file, or of a built-in case, with ``key=value`` overrides. Raises InputError."""
    data = located(textfile.toml(read_text(source), f"config = {str(source)!r}"), Path(source).parent)
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


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is TOML, and a bare word stands for a string. Raises InputError."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
        raise InputError(f"--set {text!r}: must be key=value with a dotted key, such as run.dt=0.001")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        if re.fullmatch(r"[A-Za-z][\w-]*|\d+(\.\d+)?(s|min|h|d)", value):
            return key, value
        raise InputError(
            f'--set {text!r}: {value!r} is not a TOML value (a number such as 0.1, a [list], or a "string")'
        ) from None


def wall_time(text: str, name: str) -> float:
    """A length of wall-clock time such as 90s, 5min, 2h or 1:30:00, in seconds. Raises InputError that names ``name``."""
    try:
        value = seconds(text)
        if 0.0 < value <= 1e9:
            return value
    except ValueError:
        pass
    raise InputError(f"{name} = {text!r}: must be a time such as 90s, 5min, 2h or 1:30:00")


def set_key(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dicts, making tables on the way; ``ion.velocity.z`` sets a component of a vector that is there.

    Raises InputError where the way is blocked by a value.
    """
    *tables, last = key.split(".")
    for n, name in enumerate(tables):
        owner, data = data, data.setdefault(name, {})
        if isinstance(data, list | tuple) and len(data) == 3 and n == len(tables) - 1 and last in AXES:
            owner[name] = [value if axis == last else component for axis, component in zip(AXES, data)]
            return
        if not isinstance(data, dict):
            raise InputError(f"{key}: {name} is a value, not a table with keys of its own")
    data[last] = value


def unit_of(config: Config, key: str) -> str:
    """The unit of a dotted key of a configuration, as its description has it; empty where it has none."""
    section: Any = config
    *tables, last = key.split(".")
    if last in AXES and tables:
        *tables, last = tables
    for name in tables:
        section = getattr(section, name, None)
    field = type(section).model_fields.get(last) if isinstance(section, Section) else None
    description = (field.description or "") if field is not None else ""
    return next((unit for unit in UNITS if re.search(rf"(?<![\w/]){re.escape(unit)}(?![\w^/])", description)), "")


def parse(
    data: dict[str, Any],
    start: bool = True,
    foreign: bool = False,
    medium: bool = False,
    folder: str | Path | None = None,
) -> Config:
    """Validate nested values, plain or numpy's. Raises InputError with one line for every fault. start, foreign, medium: see `load`.

    folder: what a path in them is relative to, by default the working directory.
    """
    arguments.instance("config", data, dict, "a dict of tables, such as a TOML file has")
    require_modules()
    try:
        config = Config.model_validate(located(arguments.plain(data), folder), context=FOREIGN if foreign else None)
    except ValidationError as error:
        raise InputError("\n".join(shortened(told(error.errors(include_url=False), Config)))) from None
    found = rules.faults(config, start, medium or foreign)
    if found:
        raise InputError("\n".join(shortened([_named_default(config, line) for line in found])))
    return config


def _named_default(config: Config, line: str) -> str:
    """A fault's line, which says so where its value is a default that nobody gave."""
    match = re.match(r"([a-z_]\w*(?:\.\w+)*) = [^:]+(?=: )", line)
    if match is None:
        return line
    section: Any = config
    for name in match[1].split("."):
        if not isinstance(section, Section):
            return line
        name = next((n for n, field in type(section).model_fields.items() if name in (n, field.alias)), None)
        if name is None:
            return line
        if name not in section.model_fields_set:
            return f"{match[0]} (the default){line[match.end() :]}"
        section = getattr(section, name)
    return line
