"""Conjugate gradients for (1 + H W) s = r against dense elimination."""

import numpy as np
import pytest

from mdlite.kernels import conjugate as kernels
from mdlite.kernels.types import Medium
from mdlite.physics.model import aligned_zeros

COUNT, WIDTH = 11, 16


def problem(seed, softest):
    """Rows of lanes with random Hessians (the lowest eigenvalue ``softest``) and residual, the medium; and H, W, r as matrices, atom by atom."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(3 * COUNT, 3 * COUNT))
    w = (factor @ factor.T / (3 * COUNT)).reshape(COUNT, 3, COUNT, 3)
    w = 0.5 * (w + w.transpose(0, 3, 2, 1))  # every block symmetric, as in a crystal
    dense = w.reshape(3 * COUNT, 3 * COUNT)
    dense += (0.1 - min(0.0, np.linalg.eigvalsh(dense).min())) * np.eye(3 * COUNT)
    w = dense.reshape(COUNT, 3, COUNT, 3)
    reply = aligned_zeros(COUNT * 6 * WIDTH).reshape(COUNT, 6, WIDTH)
    for row, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        reply[:, row, :COUNT] = w[:, a, :, b].T
    lanes = aligned_zeros(kernels.ROWS * WIDTH)
    rows = lanes.reshape(kernels.ROWS, WIDTH)
    away, pull, bend = rng.normal(size=(3, COUNT)), softest + rng.uniform(0.0, 2.0, COUNT), rng.uniform(0.0, 1.0, COUNT)
    residual = rng.normal(size=(3, COUNT))
    rows[kernels.APART : kernels.APART + 3, :COUNT], rows[kernels.RESIDUAL : kernels.RESIDUAL + 3, :COUNT] = away, residual
    rows[kernels.PULL, :COUNT], rows[kernels.BEND, :COUNT] = pull, bend
    h = np.zeros((COUNT, 3, COUNT, 3))
    for k in range(COUNT):
        h[k, :, k, :] = pull[k] * np.eye(3) + bend[k] * np.outer(away[:, k], away[:, k])
    return lanes, Medium(reply.reshape(-1), np.zeros((3, 3)), True), h.reshape(3 * COUNT, -1), dense, residual.T.ravel()


def atoms(lanes, row):
    return lanes.reshape(kernels.ROWS, WIDTH)[row : row + 3, :COUNT].T.ravel()


@pytest.mark.parametrize("seed", [1, 2])
def test_solution_and_what_moves_with_it(seed):
    lanes, medium, h, w, r = problem(seed, 0.0)
    size, convex = kernels.conjugate(medium, lanes, WIDTH, COUNT, kernels.STEP, kernels.MOVE, 1e-13, 0.0)
    exact = np.linalg.solve(np.eye(3 * COUNT) + h @ w, r)
    assert convex and size == pytest.approx(np.abs(w @ r).max(), rel=1e-13)
    assert np.abs(atoms(lanes, kernels.STEP) - exact).max() < 1e-10 * np.abs(exact).max()
    assert np.abs(atoms(lanes, kernels.MOVE) - w @ exact).max() < 1e-10 * np.abs(w @ exact).max()


def test_a_crystal_about_to_give_way_is_told():
    """Where no curvature along the residual is positive, that is the way downhill."""
    lanes, medium, h, w, r = problem(3, -60.0)
    assert r @ w @ (np.eye(3 * COUNT) + h @ w) @ r < 0.0
    _, convex = kernels.conjugate(medium, lanes, WIDTH, COUNT, kernels.STEP, kernels.MOVE, 1e-13, 0.0)
    assert not convex
    assert np.array_equal(atoms(lanes, kernels.STEP), r)
    assert np.abs(atoms(lanes, kernels.MOVE) - w @ r).max() < 1e-12 * np.abs(w @ r).max()
