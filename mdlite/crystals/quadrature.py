"""Quadrature over the Brillouin zone for integrands that are singular at Γ, as 1/q² or 1/q are."""

from __future__ import annotations

import numpy as np

SHARE = 0.45
"""Of the ratio of two reciprocal vectors, as the distance from the real axis at which an integrand has its poles: at 1 in an isotropic
crystal, nearer where sound is not the same in all directions."""


def pyramids(reciprocal: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Points q (n, 3) in reduced coordinates and weights (n,): Re Σ weight f(q) is the mean over the zone of an f with f(-q) = f(q)*.

    The zone is cut into pyramids with their tips at Γ, q = (ρ, ρs, ρt), whose Jacobian ρ² takes the singularity away: the rest is analytic,
    and Gauss-Legendre converges exponentially. The poles of an integrand such as 1/(b_1² + s² b_2² + t² b_3²) lie near the real axis where
    the vectors ``reciprocal`` (3, 3) are of unequal length; s = sinh(ax)/sinh(a) moves them away. That makes 12 nodes as good as 20.
    nodes: across a pyramid; three quarters of that along it are as good.
    """
    x, w = np.polynomial.legendre.leggauss(nodes)
    y, along = np.polynomial.legendre.leggauss(-(-3 * nodes // 4))
    length = np.linalg.norm(reciprocal, axis=1)
    points, weights = [], []
    for axis in range(3):
        rho = 0.25 * (y + 1.0)
        nodes_of, weights_of = [rho] * 3, [0.5 * along * rho**2] * 3
        for other in {0, 1, 2} - {axis}:
            a = np.arcsinh(length[other] / length[axis] / SHARE)
            nodes_of[other], weights_of[other] = np.sinh(a * x) / np.sinh(a), a * np.cosh(a * x) / np.sinh(a) * w
        q = np.stack(np.meshgrid(*nodes_of, indexing="ij"), axis=-1).reshape(-1, 3)
        own = q[:, axis].copy()
        q *= own[:, None]
        q[:, axis] = own
        points.append(q)
        weights.append(np.einsum("i,j,k->ijk", *weights_of).ravel())
    return np.concatenate(points), np.concatenate(weights)
