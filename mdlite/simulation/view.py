"""What an observer sees of a run: the ions and, where there is one, the explicit lattice, all at the step at which it is called."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from mdlite.config import Config


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array[...]
    array.flags.writeable = False
    return array


class View:
    """The present step of a run, with everything synchronous. Arrays are copies that may be kept, made when they are first asked for, and read-only:
    an observer looks, and changes nothing. The view itself ends with the call: what was not read by then raises RuntimeError.

    step: steps taken. time: ps. config: the run's.
    """

    def __init__(self, engine, config: Config):
        self._engine = engine
        self.config = config
        self.step: int = engine.step
        self.time: float = engine.time

    def close(self) -> None:
        """The step is over: from now on there is only what was read."""
        self._engine = None

    def _running(self):
        """The engine, still at this step."""
        if self._engine is None:
            raise RuntimeError(
                f"view of step {self.step}: that step is over; its arrays may be kept, if they are read in observe, the view may not"
            )
        return self._engine

    @cached_property
    def _ions(self) -> dict[str, np.ndarray]:
        engine = self._running()
        arrays = engine.sample()[1].arrays(engine.model, False)
        found = {name: values[0] for name, values in arrays.items()}
        if "force" not in found:  # of an ensemble none are recorded
            found["force"] = engine.ion_forces().copy()
        return {name: _read_only(values) for name, values in found.items()}

    @property
    def position(self) -> np.ndarray:
        """Of the ions, (ions, 3), Å, not wrapped. Of several lattices the first one's ions come first."""
        return self._ions["position"]

    @property
    def velocity(self) -> np.ndarray:
        """Of the ions, (ions, 3), Å/ps."""
        return self._ions["velocity"]

    @property
    def force(self) -> np.ndarray:
        """On the ions, (ions, 3), meV/Å."""
        return self._ions["force"]

    @cached_property
    def lattice(self) -> LatticeView:
        """The explicit lattice of a [lattice]. Raises AttributeError for methods that have none, and in a [crystal]."""
        engine = self._running()
        found = engine.synchronous()
        if found is None:
            raise AttributeError(f'lattice: method = "{self.config.method}" has no explicit lattice in which the ion moves')
        if self.config.crystal is not None:
            raise AttributeError("lattice: is for a [lattice]; view.crystal has the atoms of a [crystal]")
        return LatticeView(found[0], found[1], self.config.lattice.spacing, engine.corner)

    @cached_property
    def crystal(self) -> CrystalView:
        """The explicit crystal of a [crystal]. Raises AttributeError for methods that have none, and in a [lattice]."""
        engine = self._running()
        if self.config.crystal is None:
            raise AttributeError("crystal: is for a [crystal]; view.lattice has the atoms of a [lattice]")
        found = engine.synchronous()
        if found is None:
            raise AttributeError(f'crystal: method = "{self.config.method}" has no explicit crystal in which the ion moves')
        return CrystalView(found[0], found[1], self.config.to_crystal_model().box)


class LatticeView:
    """The framework at the present step. Of several lattices every array has a leading axis for them.

    displacement, velocity: (3, Nx, Ny, Nz), Å and Å/ps. corner: lattice indices of the first atom (0, 0, 0 but for a lattice without echoes, whose box
    has a corner of its own).
    """

    def __init__(self, displacement: np.ndarray, velocity: np.ndarray, spacing: float, corner):
        self.displacement, self.velocity = _read_only(displacement), _read_only(velocity)
        self.corner = tuple(int(n) for n in corner)
        self._spacing = spacing

    @cached_property
    def position(self) -> np.ndarray:
        """Of the atoms, (3, Nx, Ny, Nz), Å."""
        sites = np.indices(self.displacement.shape[-3:]) + np.reshape(self.corner, (3, 1, 1, 1))
        return _read_only(self._spacing * sites + self.displacement)

    @property
    def box(self) -> np.ndarray:
        """Edges of the box that repeats, (3,), Å."""
        return self._spacing * np.array(self.displacement.shape[-3:], float)


class CrystalView:
    """The framework of a [crystal] at the present step. Of several crystals displacement, velocity and position have a leading axis for them.

    displacement, velocity: (p, 3, n1, n2, n3), Å and Å/ps, of the p atoms of a cell. species: of these atoms.
    """

    def __init__(self, displacement: np.ndarray, velocity: np.ndarray, box):
        self.displacement, self.velocity = _read_only(displacement), _read_only(velocity)
        self.species: tuple[str, ...] = box.crystal.species
        self._box = box

    @cached_property
    def position(self) -> np.ndarray:
        """Of the atoms, (p, 3, n1, n2, n3), Å."""
        crystal = self._box.crystal
        cells = np.moveaxis(np.indices(self._box.size), 0, -1)
        places = (cells + crystal.positions[:, None, None, None]) @ crystal.cell
        return _read_only(np.moveaxis(places, -1, 1) + self.displacement)

    @property
    def box(self) -> np.ndarray:
        """Vectors of the box that repeats as rows, (3, 3), Å."""
        return self._box.edges.copy()
