"""The framework relaxed around an ion that is held in place: the statically adapted crystal, and its energy.

Minimises E(u) = ½ uᵀ V u + U(s + u, R) over the framework with its centre of mass held (the periodic lattice has no force against a
rigid shift). L-BFGS brings the energy down, then Newton steps with conjugate gradients bring the force to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

from mdlite.errors import RunError
from mdlite.kernels import springs as spring_kernels
from mdlite.kernels.coupling import coupled_forces
from mdlite.kernels.types import IonState
from mdlite.physics.model import Model

MAX_NEWTON = 30


@dataclass(frozen=True)
class Relaxation:
    """Result of `relax`: energies in meV (interaction, elastic, and both together), unrelaxed interaction energy, largest residual
    force component in meV/Å, displacements (3, Nx, Ny, Nz) in Å, force on the ion (3,) in meV/Å, Newton iterations."""

    energy: float
    interaction: float
    elastic: float
    unrelaxed: float
    residual_force: float
    displacement: np.ndarray
    ion_force: np.ndarray
    iterations: int


class Framework(Protocol):
    """What `relaxed` minimises the energy of, on flat vectors x."""

    ion: IonState

    def terms(self, x: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Elastic energy, interaction energy (meV), and the force without what pushes the whole (meV/Å)."""

    def hessian(self, x: np.ndarray) -> LinearOperator:
        """Of the energy, likewise."""

    def field(self, x: np.ndarray) -> np.ndarray:
        """Displacements of the atoms, Å, the whole at rest."""


class _Framework:
    """Energy, force and Hessian product of the framework with the ion held at R, on flat vectors u (3 Nx Ny Nz)."""

    def __init__(self, model: Model, position):
        lattice = model.lattice
        self.shape = (3, *lattice.size)
        self.model, self.coupling = model, model.coupling()
        self.springs = lattice.springs()
        self.u, self.out = lattice.field(), lattice.field()
        n = len(model.offsets)
        position = np.array(position, float)
        self.ion = IonState(position, np.zeros(3), np.zeros(3), np.zeros(3), np.zeros((n, 3)), np.zeros(1))
        self.sites = model.candidate_sites(position)
        self.index = tuple((self.sites % np.array(lattice.size)).T)

    def spring_force(self, x: np.ndarray) -> np.ndarray:
        """-V u."""
        self.model.lattice.atoms(self.u)[...] = x.reshape(self.shape)
        spring_kernels.fill_halo(self.u, self.springs)
        spring_kernels.spring_forces(self.u, self.springs, self.out)
        return self.model.lattice.atoms(self.out).ravel()

    def terms(self, x: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Elastic energy, interaction energy (meV), and the force with its mean taken off (meV/Å)."""
        force = self.spring_force(x)
        elastic = -0.5 * float(x @ force)
        interaction = coupled_forces(self.coupling, self.u, self.ion, None, None)
        field = force.reshape(self.shape)
        for c in range(3):
            np.add.at(field[c], self.index, self.ion.atom_force[:, c])
        return elastic, interaction, self.centred(field)

    def centred(self, field: np.ndarray) -> np.ndarray:
        """Flat copy without the rigid shift."""
        field = field.reshape(self.shape)
        return (field - field.mean(axis=(1, 2, 3), keepdims=True)).ravel()

    def field(self, x: np.ndarray) -> np.ndarray:
        """Displacements (3, Nx, Ny, Nz), Å, without the rigid shift."""
        return self.centred(x).reshape(self.shape)

    def hessian(self, x: np.ndarray) -> LinearOperator:
        """V + ∂²U/∂r² at u = x."""
        field = x.reshape(self.shape)
        u = np.stack([component[self.index] for component in field], axis=1)
        blocks = self.model.interaction.hessian(self.sites * self.model.lattice.spacing + u - self.ion.position)

        def product(p: np.ndarray) -> np.ndarray:
            out = -self.spring_force(p.ravel()).reshape(self.shape)
            near = np.stack([p.reshape(self.shape)[c][self.index] for c in range(3)], axis=1)
            for c in range(3):
                np.add.at(out[c], self.index, np.einsum("ne,ne->n", blocks[:, c], near))
            return self.centred(out)

        return LinearOperator((x.size, x.size), matvec=product, dtype=float)


SMALL_FORCE = 4e-10
"""Of springs stretched by a lattice constant: 1e-6 meV/Å at the default ones."""


def relax(model: Model, position=None, tolerance: float | None = None) -> Relaxation:
    """Relax the framework around the ion held at ``position`` (3,) Å (the model's own by default), to forces below ``tolerance`` (meV/Å).

    tolerance: by default SMALL_FORCE times the force of nearest neighbours a lattice constant apart from their distance. Raises
    RunError if that is not reached, InputError if k2 = 0.
    """
    model.lattice.require_rigidity("the relaxation")
    scale = (model.lattice.k1 + 2.0 * model.lattice.k2) * model.lattice.spacing
    framework = _Framework(model, model.ion.position if position is None else position)
    return relaxed(framework, 3 * model.lattice.n_atoms, scale, tolerance)


def relaxed(framework: Framework, count: int, scale: float, tolerance: float | None = None) -> Relaxation:
    """The minimum from ``count`` zeros. scale: a force that is large, meV/Å. tolerance: meV/Å, by default SMALL_FORCE of it. Raises RunError."""
    tolerance = SMALL_FORCE * scale if tolerance is None else tolerance
    x = np.zeros(count)
    unrelaxed = framework.terms(x)[1]

    def objective(y: np.ndarray) -> tuple[float, np.ndarray]:
        elastic, interaction, force = framework.terms(y)
        return elastic + interaction, -force

    x = minimize(objective, x, jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 4e-6 * scale, "ftol": 1e-12}).x
    for iteration in range(MAX_NEWTON + 1):
        elastic, interaction, force = framework.terms(x)
        residual = float(np.abs(force).max())
        if residual < tolerance:
            ion_force = framework.ion.force.copy()
            return Relaxation(
                elastic + interaction, interaction, elastic, unrelaxed, residual, framework.field(x), ion_force, iteration
            )
        step, failed = cg(framework.hessian(x), force, rtol=1e-6, maxiter=2000)
        if failed or not np.isfinite(step).all() or step @ force <= 0.0:
            break
        x = _improve(framework, x, step, residual)
    raise RunError(f"the relaxation stopped at a force of {residual:.2g} meV/Å, above the tolerance of {tolerance:g}")


def _improve(framework: Framework, x: np.ndarray, step: np.ndarray, residual: float) -> np.ndarray:
    """The longest of the halved Newton steps that lowers the largest force."""
    for halving in range(12):
        trial = x + 0.5**halving * step
        if np.abs(framework.terms(trial)[2]).max() < residual:
            return trial
    return x + 0.5**12 * step
