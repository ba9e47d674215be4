"""The tables of a configuration, as pydantic models: every key with its unit, its default and its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from mdlite.arguments import LARGEST as LARGEST
from mdlite.arguments import SMALLEST as SMALLEST
from mdlite.config.method_names import RungName, default_rungs, thermal_rungs
from mdlite.config.values import (
    MASS_TEXTS,
    Coordinate,
    Count,
    IonMass,
    Mass,
    NotNegative,
    Number,
    Positive,
    Seconds,
    Section,
    Tolerance,
    mass_triple,
    triple,
)
from mdlite.engines import patch
from mdlite.kernels.potentials import FORMS, Form
from mdlite.units import BOLTZMANN

Size = Annotated[int, Field(strict=True, ge=3, le=100_000)]


class LatticeSection(Section):
    """The framework: a simple cubic lattice of springs, periodic."""

    size: Annotated[tuple[Size, Size, Size], BeforeValidator(triple)] = Field(
        (100, 100, 100),
        description="atoms along x, y, z, or one number for all; 3 at least, so that each has 18 distinct neighbours",
    )
    spacing: Positive = Field(3.0, description="lattice constant, Angstrom")
    mass: Mass = Field(3.5, description=f"mass of an atom, meV ps^2/Angstrom^2; {MASS_TEXTS}")
    k1: Positive = Field(520.0, description="nearest-neighbour spring constant, meV/Angstrom^2")
    k2: NotNegative = Field(170.0, description="next-nearest-neighbour spring constant, meV/Angstrom^2")
    boundary: Literal["periodic", "echo-free", "absorbing"] = Field(
        "periodic",
        description="of the explicit lattice: size is its period; the infinite crystal, as far as sound can matter, whatever the size (T = 0); "
        "or a damped layer across the seam (T = 0)",
    )
    absorber_width: Count = Field(16, description="of the absorbing layer on either side of the seam, atoms")


class IonSection(Section):
    """The mobile ion at t = 0."""

    mass: Annotated[tuple[IonMass, IonMass, IonMass], BeforeValidator(mass_triple)] = Field(
        (0.7, 0.7, 0.7),
        description=f"mass, one number or one per axis, meV ps^2/Angstrom^2; {MASS_TEXTS}; inf freezes an axis",
    )
    position: tuple[Coordinate, Coordinate, Coordinate] = Field(
        description="position, Angstrom; in units of the cell vectors (of [lattice]: the spacing) if coordinates are fractional"
    )
    coordinates: Literal["cartesian", "fractional"] = Field("cartesian", description="what position is given in")
    velocity: tuple[Coordinate, Coordinate, Coordinate] = Field((0.0, 0.0, 0.0), description="velocity, Angstrom/ps")


FORMULAS = {
    "yukawa": "strength exp(-ρ/range) / ρ",
    "gaussian": "strength exp(-ρ²/(2 range²))",
    "lennard-jones": "4 epsilon [(sigma/ρ)¹² - (sigma/ρ)⁶]",
    "born-mayer": "strength exp(-ρ/range)",
}
"""What the user reads of each potential; one that is not here is described by its name."""


def _potential_section(form: Form) -> type[Section]:
    """The table of one potential, from its row in `kernels.potentials.FORMS`; a name of this module too, by which pickle finds it."""
    fields: dict[str, Any] = {"kind": (Literal[form.name], ...)}
    for parameter in form.parameters:
        fields[parameter.name] = (Positive if parameter.positive else Number, Field(description=parameter.unit))
    section = create_model(f"{form.name.title().replace('-', '')}Potential", __base__=Section, __module__=__name__, **fields)
    section.__doc__ = f"phi = {FORMULAS.get(form.name, f'{form.name}(ρ)')}"
    globals()[section.__name__] = section
    return section


POTENTIALS = {form.name: _potential_section(form) for form in FORMS}
SiteIndex = Annotated[int, Field(strict=True, ge=-100_000, le=100_000)]


def _three_or_four(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(value) not in (3, 4):
        raise ValueError("must be three whole numbers, in a [crystal] four")
    return value


Site = Annotated[tuple[SiteIndex, ...], AfterValidator(_three_or_four)]


class SitesSection(Section):
    """A fixed list of interacting atoms."""

    kind: Literal["sites"]
    sites: list[Site] = Field(
        description="the atoms: indices of lattice sites, or in a [crystal] three of the primitive cell and the atom's number κ in it",
        min_length=1,
    )


class ShellSection(Section):
    """The (2 extent)^3 corner atoms around the ion's cell (the paper's choice; the force jumps between cells)."""

    kind: Literal["shell"]
    extent: Count = Field(1, description="cells on each side")


class CutoffSection(Section):
    """All atoms within a sphere around the ion, the potential switched smoothly (C^2) to zero."""

    kind: Literal["cutoff"]
    radius: Positive = Field(description="where the potential is zero, Angstrom")
    switch_width: Positive = Field(1.0, description="over which it is switched off, Angstrom")


if TYPE_CHECKING:
    PotentialSection = Any
else:
    PotentialSection = Annotated[Union[tuple(POTENTIALS.values())], Field(discriminator="kind")]  # noqa: UP007


class InteractionSection(Section):
    """The pair potential, or several by species, and the atoms that take part."""

    if TYPE_CHECKING:  # None where a [crystal] has one for every species
        potential: PotentialSection
    else:
        potential: PotentialSection | None
    potentials: dict[str, PotentialSection] = Field(
        {}, description="in a [crystal], by species; potential is for those that have none here"
    )
    atoms: Annotated[SitesSection | ShellSection | CutoffSection, Field(discriminator="kind")]

    @model_validator(mode="before")
    @classmethod
    def _by_species(cls, data: Any) -> Any:
        return {"potential": None} | data if isinstance(data, dict) and data.get("potentials") else data


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
    ions: Count = Field(1, description="independent ions in each lattice (patch and time-local rungs; the reference has one)")
    motion: Literal["verlet", "modes"] = Field(
        "verlet",
        description="how the lattice of time-local ions moves: by the reference's kernel, or exactly by its modes (slower)",
    )

    @property
    def scale(self) -> float:
        """k_B T, meV."""
        if self.energy is not None:
            return self.energy
        assert self.temperature is not None  # `rules` sees to it
        return BOLTZMANN * self.temperature


class MemorySection(Section):
    """How method = "memory-kernel" remembers."""

    window: Positive | None = Field(None, description="how long forces are remembered, ps; default: the whole run, 30 ps at most")
    start: Literal["bare", "dressed"] = Field(
        "bare", description="the crystal at t = 0: undisplaced, or at rest in equilibrium with the ion where it starts (T = 0)"
    )
    kernel: Literal["exact", "verlet"] = Field(
        "exact",
        description="response of the crystal, or the one that velocity Verlet with run.dt has (an explicit lattice's to rounding)",
    )


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"must be an even number, such as {value + 1}")
    return value


class PatchSection(Section):
    """The piece of crystal that travels with the ion in method = "patch"."""

    size: Annotated[int, Field(strict=True, ge=patch.SMALLEST, le=patch.LARGEST), AfterValidator(_even)] = Field(
        12,
        description="atoms along each edge of the patch, even; 8 is cheap, 12 accurate to a fraction of a percent in decay rates",
    )


class SnapshotSection(Section):
    """Snapshots of the framework's atoms in the file (reference, one lattice); without this table, none."""

    every: Count = Field(1, description="frames of the ion between snapshots")
    extent: Count | None = Field(
        None, description="only atoms within so many cells of the ion on each side; absent: the whole lattice"
    )
    precision: Literal["float64", "float32"] = Field("float64", description="of the numbers in the file")
    velocities: Annotated[bool, Field(strict=True)] = Field(True, description="velocities as well as positions")
    compress: Annotated[bool, Field(strict=True)] = Field(
        False, description="positions by HDF5's shuffle and deflate filters; velocities would hardly shrink"
    )


class RunSection(Section):
    """Time stepping and output."""

    dt: Positive = Field(0.005, description="time step, ps")
    integrator: Literal["velocity-verlet", "blanes-moan-4", "blanes-moan-6"] = Field(
        "velocity-verlet",
        description="of the periodic reference: velocity Verlet, or order four in six or order six in eleven passes a step, for longer steps",
    )
    duration: Positive = Field(description="length of the run, ps; a whole number of steps")
    sample_every: Count = Field(1, description="steps between frames")
    energy_every: Count | None = Field(None, description="steps between energy budgets; default: 100 to 200 budgets a run")
    energy_tolerance: Tolerance = Field(0.02, description="relative energy drift at which a reference run stops")
    record_atoms: Annotated[bool, Field(strict=True)] = Field(False, description="record the candidate atoms in every frame")
    checkpoint_every: Seconds = Field(
        300.0, description="wall-clock time between checkpoints, seconds, or a text such as 90s, 5min, 2h, 1:30:00"
    )
    checkpoint_steps: Count | None = Field(None, description="steps between checkpoints, besides")
    keep_state: Annotated[bool, Field(strict=True)] = Field(
        True, description="write the last state into the file, from which a finished run can be extended"
    )


class SeriesSection(Section):
    """Temperatures at one strength of the potential, for one Arrhenius line."""

    strength: Number = Field(description="of the potential (its own parameter of that name)")
    energies: list[Positive] = Field(description="k_B T, meV", min_length=2)


class ValidateSection(Section):
    """What `mdlite validate` does with this configuration."""

    @model_validator(mode="before")
    @classmethod
    def _thermal_rungs(cls, data: Any) -> Any:
        thermal = isinstance(data, dict) and data.get("protocol") in ("diffusion", "arrhenius", "ladder") and "rungs" not in data
        return data | {"rungs": thermal_rungs()} if thermal else data

    protocol: Literal["rungs", "reflection", "barriers", "framework", "diffusion", "arrhenius", "ladder", "map"] = Field(
        "rungs", description="which comparison is made"
    )
    reference: Literal["periodic", "echo-free", "absorbing", "memory-kernel"] = Field(
        "periodic",
        description="rungs: what the rungs are compared with: the explicit lattice, or the infinite crystal by either method",
    )
    ladder: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="rungs: also periodic lattices of several sizes, and the frequencies and decay rates of linear response",
    )
    sizes: list[Size] = Field([20, 40, 60, 100], description="rungs: sizes of the periodic lattices of a ladder", min_length=1)
    rungs: list[RungName] = Field(
        default_factory=default_rungs,
        json_schema_extra=lambda schema: schema.update(default=list[Any](default_rungs())),
        description="compared with the reference; default: all that can run here, at a temperature patch, implicit and time-local",
        min_length=1,
    )
    centre: Coordinate | None = Field(None, description="rungs: plane whose passages are counted, Angstrom; default: the start")
    ranges: list[Positive] = Field([0.2, 0.5], description="reflection: ranges of the potential, Angstrom", min_length=1)
    speeds: list[Positive] = Field([2.0, 10.0, 20.0, 30.0], description="reflection: speeds, Angstrom/ps", min_length=1)
    energies: list[Positive] = Field([1e-3, 5.0, 25.0, 50.0], description="framework, ladder: k_B T, meV", min_length=1)
    series: list[SeriesSection] = Field([], description="arrhenius: the lines, each with its temperatures")
    map: Literal["quick", "coarse", "full"] = Field(
        "coarse", description="map: how many points: two, ten or sixty minutes of them, on two cores"
    )
    map_seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = Field(1, description="map: of its Sobol points")
    ensemble_duration: Positive = Field(120.0, description="diffusion: length of the ensembles of time-local ions, ps")
    ions: dict[RungName, Count] = Field({}, description="diffusion: ions in each lattice for a rung, where not thermal.ions")
    equilibration: NotNegative = Field(10.0, description="diffusion: left out at the start of every run, ps")
    fit: tuple[Positive, Positive] = Field((1.0, 12.0), description="diffusion: lags between which D is fitted, ps")
    warm_up_lattices: Annotated[int, Field(strict=True, ge=0, le=100_000)] = Field(
        256, description="diffusion: short reference runs for the ion's approach to its temperature; 0: none"
    )
