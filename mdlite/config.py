"""Configuration: TOML → pydantic → frozen model. Every error names the field, its value and what would be right.

Energies are in meV, lengths in Å, times in ps, masses in meV ps²/Å² (1 is 9.64853 Da); each field says its unit.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from mdlite import checks, model
from mdlite.errors import InputError
from mdlite.explain import explain
from mdlite.kernels.potentials import FORMS
from mdlite.units import BOLTZMANN

Method = Literal["reference", "time-local", "implicit", "static", "rigid"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e9, le=1e9)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
MassNumber = Annotated[float, Field(strict=True, gt=0)]
Count = Annotated[int, Field(strict=True, ge=1, le=10**15)]


def _triple(value: Any) -> Any:
    """One number stands for three equal ones."""
    return [value] * 3 if isinstance(value, int | float) and not isinstance(value, bool) else value


class Section(BaseModel):
    """A table of the configuration: unknown keys are errors, values can not be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Size = Annotated[int, Field(strict=True, ge=3, le=100_000)]


class LatticeSection(Section):
    """The framework: a simple cubic lattice of springs, periodic."""

    size: Annotated[tuple[Size, Size, Size], BeforeValidator(_triple)] = Field(
        (100, 100, 100),
        description="atoms along x, y, z, or one number for all; 3 at least, so that each has 18 distinct neighbours",
    )
    spacing: Positive = Field(3.0, description="lattice constant, Angstrom")
    mass: Positive = Field(3.5, description="mass of an atom, meV ps^2/Angstrom^2")
    k1: Positive = Field(520.0, description="nearest-neighbour spring constant, meV/Angstrom^2")
    k2: Annotated[Number, Field(ge=0)] = Field(170.0, description="next-nearest-neighbour spring constant, meV/Angstrom^2")


class IonSection(Section):
    """The mobile ion at t = 0."""

    mass: Annotated[tuple[MassNumber, MassNumber, MassNumber], BeforeValidator(_triple)] = Field(
        (0.7, 0.7, 0.7), description="mass, one number or one per axis, meV ps^2/Angstrom^2; inf freezes an axis"
    )
    position: tuple[Coordinate, Coordinate, Coordinate] = Field(description="position, Angstrom")
    velocity: tuple[Coordinate, Coordinate, Coordinate] = Field((0.0, 0.0, 0.0), description="velocity, Angstrom/ps")


def _potential_section(name: str, parameters: tuple, formula: str) -> type[Section]:
    """The table of one potential, from its row in `kernels.potentials.FORMS`."""
    fields: dict[str, Any] = {"kind": (Literal[name], ...)}
    for parameter, unit, positive in parameters:
        fields[parameter] = (Positive if positive else Number, Field(description=unit))
    section = create_model(f"{name.title().replace('-', '')}Potential", __base__=Section, **fields)
    section.__doc__ = f"phi = {formula}"
    return section


POTENTIALS = {name: _potential_section(name, parameters, formula) for name, parameters, _, formula in FORMS}
SiteIndex = Annotated[int, Field(strict=True, ge=-100_000, le=100_000)]


class SitesSection(Section):
    """A fixed list of interacting atoms."""

    kind: Literal["sites"]
    sites: list[tuple[SiteIndex, SiteIndex, SiteIndex]] = Field(description="lattice indices of the atoms", min_length=1)


class ShellSection(Section):
    """The (2 extent)^3 corner atoms around the ion's cell (the paper's choice; the force jumps between cells)."""

    kind: Literal["shell"]
    extent: Count = Field(1, description="cells on each side")


class CutoffSection(Section):
    """All atoms within a sphere around the ion, the potential switched smoothly (C^2) to zero."""

    kind: Literal["cutoff"]
    radius: Positive = Field(description="where the potential is zero, Angstrom")
    switch_width: Positive = Field(1.0, description="over which it is switched off, Angstrom")


InteractionSection = create_model(
    "InteractionSection",
    __base__=Section,
    __doc__="The pair potential, and the atoms that take part.",
    potential=(Annotated[Union[tuple(POTENTIALS.values())], Field(discriminator="kind")], ...),  # noqa: UP007
    atoms=(Annotated[SitesSection | ShellSection | CutoffSection, Field(discriminator="kind")], ...),
)


class ThermalSection(Section):
    """The thermal state of the lattice at t = 0; without this table, T = 0."""

    energy: Positive | None = Field(None, description="k_B T in meV; or give temperature")
    temperature: Positive | None = Field(None, description="temperature in K; or give energy")
    statistics: Literal["quantum", "classical"] = Field("quantum", description="Bose occupation with zero point, or classical")
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = Field(
        150, description="of the random state, for the same run again"
    )
    lattices: Annotated[int, Field(strict=True, ge=1, le=100_000)] = Field(
        1, description="independent thermal lattices, side by side on the threads"
    )
    ions: Count = Field(1, description="independent ions in each lattice (time-local rungs; the reference has one)")
    motion: Literal["verlet", "modes"] = Field(
        "verlet",
        description="how the lattice of time-local ions moves: by the reference's kernel, or exactly by its modes (slower)",
    )

    @property
    def scale(self) -> float:
        """k_B T, meV."""
        return self.energy if self.energy is not None else BOLTZMANN * self.temperature


class RunSection(Section):
    """Time stepping and output."""

    dt: Positive = Field(0.005, description="time step, ps")
    duration: Positive = Field(description="length of the run, ps; a whole number of steps")
    sample_every: Count = Field(1, description="steps between frames")
    energy_every: Count | None = Field(None, description="steps between energy budgets; default: about 600 budgets a run")
    energy_tolerance: Positive = Field(0.02, description="relative energy drift at which a reference run stops")
    record_atoms: Annotated[bool, Field(strict=True)] = Field(False, description="record the candidate atoms in every frame")


Rung = Literal["implicit", "time-local", "static", "rigid"]


class SeriesSection(Section):
    """Temperatures at one strength of the potential, for one Arrhenius line."""

    strength: Number = Field(description="of the potential (its own parameter of that name)")
    energies: list[Positive] = Field(description="k_B T, meV", min_length=2)


class ValidateSection(Section):
    """What `mdlite validate` does with this configuration."""

    protocol: Literal["rungs", "reflection", "barriers", "framework", "diffusion", "arrhenius"] = Field(
        "rungs", description="which comparison is made"
    )
    rungs: list[Rung] = Field(
        ["implicit", "time-local", "static", "rigid"], description="compared with the reference", min_length=1
    )
    centre: Coordinate | None = Field(None, description="rungs: plane whose passages are counted, Angstrom; default: the start")
    ranges: list[Positive] = Field([0.2, 0.5], description="reflection: ranges of the potential, Angstrom", min_length=1)
    speeds: list[Positive] = Field([2.0, 10.0, 20.0, 30.0], description="reflection: speeds, Angstrom/ps", min_length=1)
    energies: list[Positive] = Field([1e-3, 5.0, 25.0, 50.0], description="framework: k_B T, meV", min_length=1)
    series: list[SeriesSection] = Field([], description="arrhenius: the lines, each with its temperatures")
    ensemble_duration: Positive = Field(120.0, description="diffusion: length of the ensembles of time-local ions, ps")
    ions: dict[Rung, Count] = Field({}, description="diffusion: ions in each lattice for a rung, where not thermal.ions")
    equilibration: Annotated[Number, Field(ge=0)] = Field(10.0, description="diffusion: left out at the start of every run, ps")
    fit: tuple[Positive, Positive] = Field((1.0, 12.0), description="diffusion: lags between which D is fitted, ps")
    warm_up_lattices: Annotated[int, Field(strict=True, ge=0, le=100_000)] = Field(
        256, description="diffusion: short reference runs for the ion's approach to its temperature; 0: none"
    )


class Config(Section):
    """One run, or one validation."""

    title: str = Field("", description="a line for reports")
    method: Method = Field("reference", description="how the framework is treated")
    response: Literal["infinite", "finite"] = Field("infinite", description="whose W(0) the time-local rungs take")
    lattice: LatticeSection = Field(default_factory=LatticeSection)
    ion: IonSection
    interaction: InteractionSection
    thermal: ThermalSection | None = Field(None, description="temperature; absent: T = 0")
    run: RunSection
    validate_: ValidateSection = Field(default_factory=ValidateSection, alias="validate")

    def to_model(self) -> model.Model:
        """The frozen physical model of this configuration."""
        potential, atoms = self.interaction.potential, self.interaction.atoms
        names = [name for name, _, _ in next(row[1] for row in FORMS if row[0] == potential.kind)]
        if atoms.kind == "sites":
            chosen = model.Sites(tuple(atoms.sites))
        elif atoms.kind == "shell":
            chosen = model.Shell(atoms.extent)
        else:
            chosen = model.Cutoff(atoms.radius, atoms.switch_width)
        return model.Model(
            lattice=model.Lattice(**self.lattice.model_dump()),
            ion=model.Ion(**self.ion.model_dump()),
            interaction=model.Interaction(
                model.Potential(potential.kind, tuple(float(getattr(potential, name)) for name in names)), chosen
            ),
        )

    @property
    def n_steps(self) -> int:
        """Number of time steps of the run."""
        return round(self.run.duration / self.run.dt)

    @property
    def n_ions(self) -> int:
        """Number of ions in the run, of all its lattices together."""
        return self.thermal.ions * self.thermal.lattices if self.thermal is not None else 1

    def to_dict(self) -> dict[str, Any]:
        """All settings, defaults included, as nested plain values; keys without a value are left out."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="python")

    def to_toml(self) -> str:
        """All settings, defaults included, as TOML that `load` reads back."""
        text = tomli_w.dumps(_plain(self.to_dict()))
        innermost = re.compile(r"\[\n([^\[\]]*?),?\n\s*\]")  # one line for a list of numbers or words, one for a list of sites
        for _ in range(2):
            text = innermost.sub(lambda found: "\0" + " ".join(found[1].split()) + "\1", text)
        return text.replace("\0", "[").replace("\1", "]")

    def replace(self, **overrides: Any) -> Config:
        """A validated copy with some keys changed, by dotted name: ``replace(**{"run.dt": 0.001})``. Raises InputError."""
        data = self.to_dict()
        for key, value in overrides.items():
            set_key(data, key, value)
        return parse(data)


def _plain(value: Any) -> Any:
    """Tuples as lists, for TOML."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def case_names() -> list[str]:
    """Names of the built-in cases."""
    files = resources.files("mdlite.cases").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def case_text(name: str) -> str:
    """The TOML text of a built-in case."""
    return resources.files("mdlite.cases").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def read_text(source: str | Path) -> str:
    """TOML text of a configuration file, or of the built-in case of that name. Raises InputError if there is neither."""
    path = Path(source)
    try:
        if not path.is_file() and str(source) in case_names():
            return case_text(str(source))
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = ", ".join(case_names())
        raise InputError(f"config = {str(source)!r}: no such file, and no built-in case of that name ({names})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config = {str(source)!r}: can not be read as text: {error}") from None


def load(source: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Read a TOML file or a built-in case, apply ``key=value`` overrides, validate. Raises InputError, all faults in one message."""
    text = read_text(source)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError is a ValueError
        raise InputError(f"config = {str(source)!r}: is not valid TOML: {error}") from None
    for override in overrides:
        key, value = parse_override(override)
        set_key(data, key, value)
    return parse(data)


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is TOML, and a bare word stands for a string. Raises InputError."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
        raise InputError(f"--set {text!r}: must be key=value with a dotted key, such as run.dt=0.001")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        if re.fullmatch(r"[A-Za-z][\w-]*", value):
            return key, value
        raise InputError(
            f'--set {text!r}: {value!r} is not a TOML value (a number such as 0.1, a [list], or a "string")'
        ) from None


def set_key(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dicts, making tables on the way. Raises InputError where the way is blocked by a value."""
    *tables, last = key.split(".")
    for name in tables:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise InputError(f"{key}: {name} is a value, not a table with keys of its own")
    data[last] = value


def parse(data: dict[str, Any]) -> Config:
    """Validate nested plain values. Raises InputError with one line for every fault."""
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(explain(e, Config) for e in error.errors()))) from None
    faults = checks.faults(config)
    if faults:
        raise InputError("\n".join(faults))
    return config
