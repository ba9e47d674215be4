"""The methods by name: what each can do, how its engine is made, the kernels that it needs, what it says and refuses before a run.

Whoever wants to know something about a method asks here. A method is a subclass of `Method`, `register`ed once; the package's own are in
`mdlite.engines.methods`, which is imported when the registry is first asked. So are others: entry points of the group ``mdlite.methods``, and the modules
that the environment names in ``MDLITE_METHODS``, separated by commas, which every process that is started from here then knows.
Configurations are taken as they come (`mdlite.config.Config` stands above).
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from mdlite import extensions
from mdlite.errors import InputError

if TYPE_CHECKING:
    from mdlite.config import Config
    from mdlite.engines.base import Engine, Setup


class Method:
    """One method of moving the ion. The attributes say what it can do; the defaults are those of a method that can do least."""

    name: str
    """In the configuration."""
    rung: int | None = None
    """Place in lists of approximations, the most accurate first; None: only in those that the user makes."""

    thermal = False
    """Runs at a temperature."""
    many_lattices = many_ions = False
    """At a temperature: several independent lattices in one run; several ions in each."""
    thermal_rung = False
    """Compared by default by the protocols at a temperature."""
    thermal_atoms = False
    """At a temperature, records the ion's atoms (``run.record_atoms``)."""
    explicit = False
    """Steps a lattice that feels the ion: budgets, snapshots, echoes."""
    steps_atoms = False
    """Atoms move step by step at T = 0 too, so that ``run.dt`` has a stability limit."""
    needs_response = False
    """Needs W(0) or L of the infinite crystal, which diverge for k2 = 0."""
    most_atoms: int | None = None
    """Near one ion; more make it unreasonably large."""

    exact = False
    """Solves the exact equation of the infinite crystal."""
    lossless = False
    """Its ion never loses energy."""
    medium = False
    """An effective medium, in which an ion can run away whatever the step."""
    no_number = "the ion's state is no longer finite"
    """What it means that it is; ``{place}`` is where the ion is."""
    linear = False
    """Its small oscillations are those of `mdlite.accuracy.small_oscillations`."""
    crystals = False
    """Takes any harmonic crystal ([crystal]), not the simple cubic [lattice] alone."""
    measured = False
    """The map of validity has measured its errors."""
    costly = False
    """Left out of a comparison, with the reason, where it cannot run or takes long, unless the user lists it."""
    beside_a_lattice: ClassVar[dict[str, Any]] = {}
    """Keys that are set where it is compared with an explicit lattice."""

    def engine(self, setup: Setup, config: Config) -> Engine:
        """The engine of a configuration."""
        raise NotImplementedError

    def groups(self, config: Config) -> list[str]:
        """Names of the kernels (`mdlite.engines.kernel_groups.GROUPS`) that a run needs."""
        return []

    def faults(self, config: Config) -> Iterator[str]:
        """Rules between keys that the configuration breaks, as ``key = value: what would be right``."""
        thermal = config.thermal
        if thermal is None:
            return
        if not self.thermal:
            yield f'thermal: method = "{self.name}" is for T = 0; take the [thermal] table out'
            return
        if thermal.ions > 1 and not self.many_ions:
            yield f'thermal.ions = {thermal.ions}: method = "{self.name}" has one ion in a lattice; use thermal.lattices for replicas'
        if thermal.lattices > 1 and not self.many_lattices:
            yield f'thermal.lattices = {thermal.lattices}: method = "{self.name}" has one lattice; run it once for every seed'

    def faults_of_atoms(self, config: Config) -> Iterator[str]:
        """The same, once it is clear that the ion and its atoms are where they can be."""
        return iter(())

    def integrates(self, config: Config) -> bool:
        """Whether ``run.integrator`` may be another than velocity Verlet."""
        return False

    def takes_snapshots(self, config: Config) -> bool:
        """Whether there is one explicit lattice of which snapshots can be taken."""
        return False

    def takes_long(self, config: Config) -> str | None:
        """Why it takes too long here to be compared unless the user lists it, or None."""
        return None

    def notices(self, config: Config, resumed: bool) -> Iterator[str]:
        """What the user should know before the engine is made; ``resumed``: and has been told at the run's beginning."""
        return iter(())


VARIABLE, GROUP = "MDLITE_METHODS", "mdlite.methods"
HOW = f"register it (mdlite.engines.registry.register) before the configuration is read, or name its module in {VARIABLE}"
"""What to do about a method that this process does not know."""
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class _Elsewhere(Method):
    """A method of which only the name is known, that of a file from elsewhere: what it can do was asked where the file was made."""

    thermal = many_lattices = many_ions = thermal_atoms = True

    def integrates(self, config: Config) -> bool:
        return True

    def takes_snapshots(self, config: Config) -> bool:
        return True


_METHODS: dict[str, Method] = {}
_UNKNOWN = _Elsewhere()


def register(method: Method) -> None:
    """Have a method found under its name, in this process. Raises ValueError if there is one of that name, or it is no name, TypeError for what is no method."""
    _require_method(method)
    if method.name in _methods():
        raise ValueError(f"there is a method {method.name!r} already")
    _METHODS[method.name] = method


def _require_method(method: Any) -> None:
    kind = type(method)
    if isinstance(method, type) and issubclass(method, Method):
        raise TypeError(f"method = {method!r}: must be an instance of it, {method.__name__}(), not the class")
    if not isinstance(method, Method):
        raise TypeError(f"method = {method!r}: must be an instance of a subclass of {Method.__module__}.Method")
    if not hasattr(method, "name"):
        raise TypeError(f"{kind.__name__}.name: is missing and must be given: the method's name in the configuration")
    if not isinstance(method.name, str):
        raise TypeError(f"{kind.__name__}.name = {method.name!r}: must be a text")
    if NAME.fullmatch(method.name) is None:
        raise ValueError(
            f"{kind.__name__}.name = {method.name!r}: must be lower-case letters, digits and hyphens, a letter first, 40 at most"
        )
    if kind.engine is Method.engine:
        raise TypeError(f"{kind.__name__}.engine: is missing; must be a method engine(setup, config) that returns an Engine")


def unregister(name: str) -> None:
    """Forget a method. Raises LookupError if there is none of that name."""
    find(name)
    del _METHODS[name]


def _methods() -> dict[str, Method]:
    own = extensions.find("own methods")  # imported once, and first of all: so the package's own come first
    if getattr(own, "COMPLETE", False):
        for point in _entry_points():
            _import(f"entry point {point.name!r} of {GROUP}", point.value, point.load)
        given = os.environ.get(VARIABLE, "")
        for module in filter(None, map(str.strip, given.split(","))):
            _import(f"{VARIABLE} = {given!r}", module, functools.partial(importlib.import_module, module))
    return _METHODS


@functools.cache
def _entry_points() -> tuple[importlib.metadata.EntryPoint, ...]:
    return tuple(importlib.metadata.entry_points(group=GROUP))


def _import(where: str, module: str, load: Callable[[], Any]) -> None:
    """Import a module of somebody's, which may ask the registry meanwhile. Raises InputError if that fails, whatever it raises."""
    try:
        load()
    except InputError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise InputError(f"{where}: {module!r} cannot be imported: {type(error).__name__}: {said}") from error


def find(name: str) -> Method:
    """The method of a name. Raises LookupError if there is none."""
    if name not in _methods():
        raise LookupError(f"{name!r} is no method; there are: {', '.join(_METHODS)}")
    return _METHODS[name]


def told(name: str) -> Method:
    """The method of a name; of a name that is not registered (a file's, from elsewhere), one that forbids nothing, and has no engine."""
    return _methods().get(name, _UNKNOWN)


def says(name: str, what: str) -> Any:
    """An attribute of it."""
    return getattr(told(name), what)


def from_outside(wanted: Iterable[str]) -> list[str]:
    """Those of these names whose methods are not the package's own."""
    return [name for name in wanted if not type(find(name)).__module__.startswith("mdlite.")]


def names(**wanted: Any) -> tuple[str, ...]:
    """Names of all methods that have these attributes, in the order in which they are registered: ``names(medium=True)``."""
    return tuple(name for name, one in _methods().items() if all(getattr(one, key) == value for key, value in wanted.items()))


def rungs(**wanted: Any) -> tuple[str, ...]:
    """The same of those that approximate, the most accurate first; those that claim no place are left out."""
    places = {name: rung for name in names(**wanted) if (rung := _METHODS[name].rung) is not None}
    return tuple(sorted(places, key=places.__getitem__))


def comparable() -> tuple[str, ...]:
    """What the explicit lattice can be compared with: all other methods, the most accurate first, those without a place last."""
    others: Iterable[str] = (name for name in names() if not _METHODS[name].explicit)
    return tuple(sorted(others, key=lambda name: (_METHODS[name].rung is None, _METHODS[name].rung or 0)))
