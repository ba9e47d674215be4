"""A smooth function through measured errors: a Gaussian process, and the scales in which errors are fitted."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

SCALE = 0.1
"""Relative error at which the scale of signed errors turns from linear to logarithmic."""
LARGEST, SMALLEST = 10.0, 1e-5
"""Relative errors beyond which nothing is told apart."""
RATIOS, LOWEST = ("temperature", "diffusion"), -0.98
"""Quantities that are never below zero, and by how much; what is nearer to nothing is not told apart."""
LEAST_SPREAD = 1e-6
LONG = 0.04
"""How much long lengths are preferred, per squared logarithm."""
LEARNT = 400
"""Points from whose likelihood the lengths come."""


class Fit:
    """A Gaussian process from coordinates (points, d) to values (points,): Matérn 3/2, with a length for each coordinate.

    settings: logarithms of the lengths, of the spread of the values and of their noise, (d + 2,); by the points' likelihood if None.
    weights: of the points (n,), as an earlier fit with these settings has found them, or None.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, settings: np.ndarray | None = None, weights: np.ndarray | None = None):
        self.x, self._mean = x, float(y.mean())
        self.settings = self._learnt(x, y - self._mean) if settings is None else settings
        self.weights = self._solved(y) if weights is None else weights

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self._mean + self._kernel(x, self.x) @ self.weights

    def _solved(self, y: np.ndarray) -> np.ndarray:
        matrix = self._kernel(self.x, self.x) + np.diag(np.full(len(y), np.exp(2.0 * self.settings[-1])))
        return cho_solve(cho_factor(matrix, lower=True), y - self._mean)

    def _kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        length = np.exp(self.settings[:-2])
        square = (
            np.sum((a / length) ** 2, axis=1)[:, None] + np.sum((b / length) ** 2, axis=1) - 2.0 * (a / length) @ (b / length).T
        )
        distance = np.sqrt(3.0 * np.maximum(square, 0.0))
        return np.exp(2.0 * self.settings[-2]) * (1.0 + distance) * np.exp(-distance)

    @staticmethod
    def _learnt(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Logarithms of the lengths, of the values' spread and of the noise, that make these values likely."""
        some = np.random.default_rng(0).permutation(len(y))[:LEARNT]
        x, y, spread, d = x[some], y[some], np.log(y.std() + LEAST_SPREAD), x.shape[1]
        apart = (x[:, None] - x[None]) ** 2

        def cost(settings: np.ndarray) -> tuple[float, np.ndarray]:
            parts = apart * np.exp(-2.0 * settings[:d])
            distance = np.sqrt(3.0 * parts.sum(axis=2))
            fall = np.exp(2.0 * settings[d] - distance)
            smooth, noise = (1.0 + distance) * fall, np.exp(2.0 * settings[d + 1])
            factor = cho_factor(smooth + (noise + 1e-8) * np.eye(len(y)), lower=True)
            weights, inverse = cho_solve(factor, y), cho_solve(factor, np.eye(len(y)))
            slope = inverse - np.outer(weights, weights)
            lengths = 1.5 * np.einsum("ij,ij,ijk->k", slope, fall, parts) + LONG * (settings[:d] - 2.0)
            gradient = np.array([*lengths, np.sum(slope * smooth), noise * np.trace(slope)])
            value = 0.5 * y @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * LONG * np.sum((settings[:d] - 2.0) ** 2)
            return float(value), gradient

        start = np.array([1.0] * d + [spread, spread - 1.6])
        bounds = [(-1.0, 6.0)] * d + [(-9.0, 5.0)] * 2
        return minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}).x


def to_scale(error: np.ndarray, quantity: str) -> np.ndarray:
    """Relative errors in the scale of the fits: logarithmic for a path and for ratios (RATIOS), linear up to SCALE and then logarithmic for the others."""
    if quantity == "path":
        return np.log(np.clip(error, SMALLEST, LARGEST))
    if quantity in RATIOS:
        return np.log1p(np.clip(error, LOWEST, LARGEST))
    return np.arcsinh(np.clip(error, -LARGEST, LARGEST) / SCALE)


def from_scale(value: np.ndarray, quantity: str) -> np.ndarray:
    """The inverse of `to_scale`."""
    if quantity in RATIOS:
        return np.clip(np.expm1(value), LOWEST, LARGEST)
    found = np.exp(value) if quantity == "path" else SCALE * np.sinh(value)
    return np.clip(found, -LARGEST, LARGEST)
