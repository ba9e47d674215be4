"""Independent versions of the physics, in plain NumPy and written from the formulae, for the tests to compare with."""

import itertools

import numpy as np


def bonds(size):
    """Every spring once: (site, neighbour, unit vector, 1 for nearest or 2 for next-nearest), sites wrapped."""
    near = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    far = [(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]
    for site in itertools.product(*(range(n) for n in size)):
        for kind, steps in ((1, near), (2, far)):
            for step in steps:
                neighbour = tuple((a + b) % n for a, b, n in zip(site, step, size))
                yield site, neighbour, np.array(step) / np.linalg.norm(step), kind


def spring_forces(u, k1, k2):
    """Force and energy of displacements u (3, Nx, Ny, Nz) by a loop over bonds."""
    force, energy = np.zeros_like(u), 0.0
    for i, j, n, kind in bonds(u.shape[1:]):
        k = k1 if kind == 1 else k2
        stretch = n @ (u[(slice(None), *i)] - u[(slice(None), *j)])
        energy += 0.5 * k * stretch**2
        force[(slice(None), *i)] -= k * stretch * n
        force[(slice(None), *j)] += k * stretch * n
    return force, energy


def spring_matrix(size, k1, k2):
    """V, dense, for flat u.ravel() of shape (3, Nx, Ny, Nz)."""
    count = int(np.prod(size))
    index = np.arange(count).reshape(size)
    matrix = np.zeros((3 * count, 3 * count))
    for i, j, n, kind in bonds(size):
        block = (k1 if kind == 1 else k2) * np.outer(n, n)
        a, b = index[i] + count * np.arange(3), index[j] + count * np.arange(3)
        matrix[np.ix_(a, a)] += block
        matrix[np.ix_(b, b)] += block
        matrix[np.ix_(a, b)] -= block
        matrix[np.ix_(b, a)] -= block
    return matrix


def pair_force(r, position, slope):
    """Forces on atoms r (n, 3) and on the ion, for φ' = slope(ρ)."""
    d = r - position
    rho = np.linalg.norm(d, axis=1)[:, None]
    on_atoms = -slope(rho) * d / rho
    return on_atoms, -on_atoms.sum(axis=0)


def yukawa(strength, length):
    """φ, φ', φ'' of strength exp(-ρ/length)/ρ as functions."""

    def phi(rho):
        return strength * np.exp(-rho / length) / rho

    def slope(rho):
        return -phi(rho) * (1 / rho + 1 / length)

    def curvature(rho):
        return phi(rho) * ((1 / rho + 1 / length) ** 2 + 1 / rho**2)

    return phi, slope, curvature


def time_local_force(position, velocity, sites, recoil, loss, slope, curvature):
    """Force on the ion by [18-20] at T = 0: sites (n, 3), recoil[j, k] (3, 3), loss (3, 3); r_eff and R_eff as well."""
    d = sites - position
    rho = np.linalg.norm(d, axis=1)
    gradient = (slope(rho) / rho)[:, None] * d
    power = np.zeros(3)
    for x, s in zip(d, rho):
        n = x / s
        hessian = curvature(s) * np.outer(n, n) + slope(s) / s * (np.eye(3) - np.outer(n, n))
        power += hessian @ velocity
    atoms = sites - np.einsum("jkab,kb->ja", recoil, gradient)
    shifted = position + loss @ power
    y = atoms - shifted
    distance = np.linalg.norm(y, axis=1)
    return ((slope(distance) / distance)[:, None] * y).sum(axis=0), atoms, shifted
