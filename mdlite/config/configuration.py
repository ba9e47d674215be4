"""Configuration: TOML → pydantic → frozen model. Every error names the field, its value and what would be right.

Energies are in meV, lengths in Å, times in ps, masses in meV ps²/Å² (1 is 9.64853 Da); each field says its unit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tomli_w
from pydantic import Field, ValidationError, model_validator

from mdlite import arguments, extensions
from mdlite.config import crystal_rules, crystal_section, rules
from mdlite.config.crystal_section import CrystalSection, located
from mdlite.config.explain import shortened, told
from mdlite.config.given import AXES, set_key
from mdlite.config.method_names import FOREIGN, MethodName, require_modules
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
)
from mdlite.errors import InputError
from mdlite.kernels.potentials import FORMS
from mdlite.physics import model

if TYPE_CHECKING:
    from mdlite.crystals.crystal import Crystal
    from mdlite.crystals.model import CrystalModel
    from mdlite.crystals.sources import Loaded

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
        if not isinstance(data, dict) or (data.get("lattice", data) is not None and data.get("crystal") is None):
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
        """The frozen physical model of this configuration: in a [crystal] a `mdlite.crystals.model.CrystalModel`, which has the same face."""
        if self.crystal is not None:
            same_face: Any = self.to_crystal_model()
            return same_face
        atoms = self.interaction.atoms
        chosen: model.Sites | model.Shell | model.Cutoff
        if atoms.kind == "sites":
            chosen = model.Sites(tuple((x, y, z) for x, y, z in atoms.sites))
        elif atoms.kind == "shell":
            chosen = model.Shell(atoms.extent)
        else:
            chosen = model.Cutoff(atoms.radius, atoms.switch_width)
        return model.Model(
            lattice=self.to_lattice(),
            ion=model.Ion(mass=self.ion.mass, position=self.ion_position, velocity=self.ion.velocity),
            interaction=model.Interaction(_potential(self.interaction.potential), chosen),
        )

    def to_crystal_model(self) -> CrystalModel:
        """The same of a [crystal]. Raises InputError: what is wrong with the crystal, or with the ion's atoms and potentials in it."""
        return _crystal_model(self)

    def to_lattice(self) -> model.Lattice:
        """The crystal of that model. Raises InputError where it is a [crystal], which is no lattice of the paper's."""
        if self.crystal is not None:
            raise InputError("crystal: is no simple cubic lattice; what is wanted here takes a [lattice] only")
        return lattice_of(self.lattice)

    def to_crystal(self) -> Crystal:
        """The crystal of [crystal], corrected and stable; read once in a process. Raises InputError, also where there is a [lattice]."""
        return self.load_crystal().stable

    def load_crystal(self) -> Loaded:
        """The same with what is known about it (`mdlite.crystals.sources.Loaded`)."""
        if self.crystal is None:
            raise InputError("lattice: is no [crystal]; `mdlite.crystals.cubic.as_crystal` makes one of it")
        return loaded_crystal(self.crystal)

    def to_medium(self) -> model.Lattice | Crystal:
        """The crystal, of whichever kind."""
        return self.to_lattice() if self.crystal is None else self.to_crystal()

    @property
    def cells(self) -> tuple[int, int, int]:
        """Of the box, along each axis or vector."""
        return self.lattice.size if self.crystal is None else self.crystal.size

    @property
    def boundary(self) -> str:
        """Of the explicit crystal."""
        return self.lattice.boundary if self.crystal is None else "periodic"

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
        if not self.interaction.potentials:
            del data["interaction"]["potentials"]
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
        return parse(data, medium=crystal_rules.refusal(self) is not None)


def _plain(value: Any) -> Any:
    """Tuples as lists, for TOML, and no zero with a sign: equal settings have one text."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value + 0.0 if isinstance(value, float) else value


def _potential(section: Any) -> model.Potential:
    """The potential of a table."""
    names = [parameter.name for parameter in FORMS[model.potential_row(section.kind)].parameters]
    return model.Potential(section.kind, tuple(float(getattr(section, name)) for name in names))


def _crystal_model(config: Config) -> CrystalModel:
    """The model of a configuration with a [crystal]. Raises InputError."""
    from mdlite.crystals import model as crystal_model

    section, atoms = config.crystal, config.interaction.atoms
    assert section is not None
    box = crystal_model.box_of(config.to_crystal(), section.size, section.matrix)
    potentials = {name: _potential(own) for name, own in config.interaction.potentials.items()}
    if config.interaction.potential is not None:
        potentials[crystal_model.DEFAULT] = _potential(config.interaction.potential)
    chosen: Any
    if atoms.kind == "sites":
        chosen = crystal_model.sites_of(config.to_crystal(), section.matrix, atoms.sites)
    elif atoms.kind == "shell":  # which the rules refuse
        raise InputError('interaction.atoms.kind = "shell": is for the simple cubic [lattice]')
    else:
        chosen = model.Cutoff(atoms.radius, atoms.switch_width)
    ion = model.Ion(mass=config.ion.mass, position=config.ion_position, velocity=config.ion.velocity)
    return crystal_model.CrystalModel(box, ion, potentials, chosen)


def loaded_crystal(section: CrystalSection, notice: Callable[[str], object] | None = None) -> Loaded:
    """The crystal of a table [crystal], read once in a process. notice: gets a line before what takes its time. Raises InputError."""
    from mdlite.crystals import sources

    return sources.load(section.values(), notice)


def lattice_of(section: LatticeSection) -> model.Lattice:
    """The lattice of a table [lattice]."""
    return model.Lattice(**section.model_dump(exclude={"boundary", "absorber_width"}))


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
