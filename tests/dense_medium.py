"""An ion in a made-up triclinic crystal, and its effective medium with dense matrices, for tests of the rungs."""

import copy

import numpy as np

import made_up
from independent import yukawa
from mdlite.crystals import response
from mdlite.crystals.box import Box
from mdlite.crystals.model import CrystalModel
from mdlite.physics.interaction import Cutoff, Potential
from mdlite.physics.model import Ion

YUKAWA, MAYER = Potential("yukawa", (300.0, 0.6)), Potential("born-mayer", (40000.0, 0.25))
RADIUS, SWITCH = 3.9, 1.0
SIZE = (4, 4, 3)
IMAGES = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
ION = Ion(mass=(0.7, 0.9, 1.1), position=(3.0, 2.0, 2.4), velocity=(9.0, -12.0, 8.0))


def model(atoms=None, size=SIZE, ion=ION):
    return CrystalModel(Box(made_up.triclinic(), size), ion, {"Li": MAYER, "default": YUKAWA}, atoms or Cutoff(RADIUS, SWITCH))


class Dense:
    """All atoms of the box: their sites (n, 3), W(0) from V (3n, 3n) of the box without its motion as a whole, and the two laws written out."""

    def __init__(self, size=SIZE, held=None):
        crystal = made_up.triclinic()
        grid = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).reshape(-1, 1, 3)
        self.sites = ((grid + crystal.positions) @ crystal.cell).reshape(-1, 3)
        self.edges = np.array(size)[:, None] * crystal.cell
        self.hard = np.tile(np.array(crystal.species) == "Li", len(grid))
        self.masses = np.tile(crystal.masses, len(grid))
        self.hessian = made_up.hessian(crystal, size)
        root = np.repeat(np.sqrt(self.masses), 3)
        square, modes = np.linalg.eigh(self.hessian / root[:, None] / root)
        assert np.abs(square[:3]).max() < 1e-9 * square[-1] < square[3]
        modes = modes[:, 3:] / root[:, None]
        self.recoil = modes @ (modes / square[3:]).T
        self.loss = response.loss_matrix(crystal)

    def part(self, chosen):
        """Of some atoms."""
        few, rows = copy.copy(self), np.repeat(chosen, 3)
        few.sites, few.hard, few.recoil = self.sites[chosen], self.hard[chosen], self.recoil[np.ix_(rows, rows)]
        return few

    def near(self, position):
        """r - R of every atom's image nearest to the ion."""
        d = self.sites - position
        d -= np.round(d @ np.linalg.inv(self.edges)) @ self.edges
        images = IMAGES @ self.edges
        d = d[:, None] + images
        return d[np.arange(len(d)), np.argmin(np.linalg.norm(d, axis=-1), axis=1)]

    def law(self, d):
        """φ (n,), ∇φ (n, 3), Hessian (n, 3, 3)."""
        rho = np.linalg.norm(d, axis=1)
        soft = np.array([f(rho) for f in yukawa(*YUKAWA.params)])
        strength, length = MAYER.params
        phi, slope, bend = np.where(
            self.hard, strength * np.exp(-rho / length) * np.array([[1], [-1 / length], [1 / length**2]]), soft
        )
        x = np.clip((rho - RADIUS + SWITCH) / SWITCH, 0.0, 1.0)
        s, s1, s2 = (np.polyval(np.polyder([-6, 15, -10, 0, 0, 1], k), x) / SWITCH**k for k in range(3))
        phi, slope, bend = phi * s, slope * s + phi * s1, bend * s + 2 * slope * s1 + phi * s2
        n = d / rho[:, None]
        hessian = bend[:, None, None] * n[:, :, None] * n[:, None] + (slope / rho)[:, None, None] * (
            np.eye(3) - n[:, :, None] * n[:, None]
        )
        return phi, slope[:, None] * n, hessian

    def answer(self, force):
        """W times forces (n, 3)."""
        return (self.recoil @ force.ravel()).reshape(-1, 3)

    def first_order(self, position, velocity, recoil=1.0, loss=1.0, u=0.0, v=0.0):
        """F [18-20] with r_H and its velocity u and v (n, 3) from those at rest."""
        apart, v = self.near(position) + u, np.broadcast_to(v, self.sites.shape)
        near = np.linalg.norm(apart, axis=1) < RADIUS + 0.5  # the others never feel the ion
        few, d = self.part(near), apart[near]
        _, gradient, hessian = few.law(d)
        moved = d - recoil * few.answer(gradient)
        shift = loss * self.loss @ np.einsum("nab,nb->a", hessian, velocity - v[near])
        return few.law(moved - shift)[1].sum(axis=0)
