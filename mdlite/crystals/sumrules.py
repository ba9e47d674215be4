"""Force constants made to obey permutation, translation and rotation exactly, by the least change of the blocks.

    (i)   Φ_{κκ'}(n) = Φ_{κ'κ}(-n)ᵀ                                                       permutation
    (ii)  Σ_{κ'n} Φ_{κκ'}(n) = 0                                                          translation
    (iii) Σ_{κ'n} [Φ_{κα,κ'β}(n) x_γ - Φ_{κα,κ'γ}(n) x_β] = 0, x between the two atoms     rotation (Born and Huang)

The three are linear, so the nearest blocks that obey them (in the Frobenius norm over all blocks) are an orthogonal projection: onto (i) by
an average with the partner, and within (i) onto (ii) and (iii) by a system of 18 p equations.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from mdlite.crystals.crystal import Crystal
from mdlite.machine import libraries

Which = Literal["all", "translation"]

RANK = 1e-11
"""Eigenvalues of the equations below this share of the largest belong to rules that follow from the others."""
PAIRS = ((0, 1), (0, 2), (1, 2))


class Violations(NamedTuple):
    """How far force constants are from each rule: the largest element by which it fails, over the largest element of all blocks.

    rotation: with lengths in units of the nearest neighbours' distance. huang: of [αβ,γλ] = [γλ,αβ], over the largest of these brackets.
    """

    permutation: float
    translation: float
    rotation: float
    huang: float


class Corrections(NamedTuple):
    """What `corrected` found and did. change: the largest change of an element over the largest element; before, after: violations."""

    which: Which
    change: float
    before: Violations
    after: Violations


def violations(crystal: Crystal) -> Violations:
    """How far a crystal's force constants are from each rule. Raises InputError where a pair has a block from one side only."""
    largest = _largest(crystal)
    permutation = np.abs(crystal.blocks - _transposed(crystal)).max()
    return Violations(
        float(permutation / largest),
        float(np.abs(_forces(crystal)).max() / largest),
        float(np.abs(_torques(crystal)).max() / largest / _nearest(crystal)),
        huang(crystal),
    )


def huang(crystal: Crystal) -> float:
    """By how much Huang's conditions fail (the crystal is under stress), over the largest of the brackets."""
    bracket = brackets(crystal)
    return float(np.abs(bracket - bracket.transpose(2, 3, 0, 1)).max() / np.abs(bracket).max())


def brackets(crystal: Crystal) -> np.ndarray:
    """[αβ,γλ] = -(1/2v) Σ Φ_{κα,κ'β} x_γ x_λ, (3, 3, 3, 3), meV/Å³ (Born and Huang 27.20)."""
    x = crystal.vectors
    return -0.5 / crystal.volume * np.einsum("nab,nc,nd->abcd", crystal.blocks, x, x, optimize=True)


def corrected(crystal: Crystal, which: Which = "all") -> tuple[Crystal, Corrections]:
    """The nearest crystal that obeys (i), (ii) and, with ``all``, (iii), and by how much it had to change.

    ``translation``: (i) and (ii) only, for comparisons with programs that know no more. Absent blocks stay absent.
    Raises InputError where a pair has a block from one side only.
    """
    before = violations(crystal)
    found = _projected(crystal, which, 0.0)
    change = np.abs(found.blocks - crystal.blocks).max() / _largest(crystal)
    return found, Corrections(which, float(change), before, violations(found))


def balanced(crystal: Crystal, which: Which, forces: np.ndarray, torques: np.ndarray) -> Crystal:
    """As `corrected`, for force constants that obey the rules only together with others that are not in the blocks, such as those of dipoles.

    forces, torques: the left-hand sides of (ii) and (iii) of these others, (p, 3, 3), meV/Å² and, by α and the pairs xy, xz, yz of β and
    γ, meV/Å.
    """
    offset = np.concatenate([forces.ravel(), torques.ravel() / _nearest(crystal)] if which == "all" else [forces.ravel()])
    return _projected(crystal, which, offset)


def _projected(crystal: Crystal, which: Which, offset: np.ndarray | float) -> Crystal:
    """The nearest blocks that obey (i), and with which the sums of (ii), (iii) are minus ``offset``, in the order of `_rules`."""
    from scipy import sparse

    rules = _rules(crystal, rotation=which == "all")
    size = crystal.blocks.size
    rows = np.arange(size).reshape(-1, 3, 3)
    swap = sparse.csr_array((np.ones(size), (np.arange(size), rows[crystal.partner].transpose(0, 2, 1).ravel())), (size, size))
    halves = 0.5 * (rules + rules @ swap)  # the rules within (i)
    x = 0.5 * (crystal.blocks + _transposed(crystal)).ravel()
    with libraries().limit(limits=1, user_api="blas"):
        values, vectors = np.linalg.eigh((halves @ halves.T).toarray())
        kept = values > RANK * values.max()
        inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
        for _ in range(3):  # once but for rounding
            x = x - halves.T @ (inverse @ (rules @ x + offset))
    blocks = x.reshape(-1, 3, 3)
    return crystal.with_blocks(0.5 * (blocks + blocks[crystal.partner].transpose(0, 2, 1)))


def _rules(crystal: Crystal, rotation: bool):
    """(ii), and (iii) in units of the nearest neighbours' distance, as a sparse matrix on all elements of the blocks: (9p or 18p, 9b)."""
    from scipy import sparse

    count, p = len(crystal.blocks), crystal.n_basis
    element = np.arange(9 * count).reshape(count, 3, 3)
    x = crystal.vectors / _nearest(crystal)
    row, column, value = [], [], []
    for a in range(3):
        for b in range(3):
            row.append(9 * crystal.first + 3 * a + b)
            column.append(element[:, a, b])
            value.append(np.ones(count))
        for n, (b, c) in enumerate(PAIRS if rotation else ()):
            for own, other, sign in ((b, c, 1.0), (c, b, -1.0)):
                row.append(9 * p + 9 * crystal.first + 3 * a + n)
                column.append(element[:, a, own])
                value.append(sign * x[:, other])
    place = np.concatenate(row), np.concatenate(column)
    return sparse.csr_array((np.concatenate(value), place), (9 * p * (2 if rotation else 1), 9 * count))


def _forces(crystal: Crystal) -> np.ndarray:
    """On every atom when the crystal moves as a whole, (p, 3, 3)."""
    out = np.zeros((crystal.n_basis, 3, 3))
    np.add.at(out, crystal.first, crystal.blocks)
    return out


def _torques(crystal: Crystal) -> np.ndarray:
    """The left-hand side of (iii), (p, 3, 3): by α and the pairs β, γ."""
    terms = np.stack(
        [
            crystal.blocks[:, :, b] * crystal.vectors[:, None, c] - crystal.blocks[:, :, c] * crystal.vectors[:, None, b]
            for b, c in PAIRS
        ],
        axis=-1,
    )
    out = np.zeros((crystal.n_basis, 3, 3))
    np.add.at(out, crystal.first, terms)
    return out


def _transposed(crystal: Crystal) -> np.ndarray:
    return crystal.blocks[crystal.partner].transpose(0, 2, 1)


def _largest(crystal: Crystal) -> float:
    return max(float(np.abs(crystal.blocks).max()), np.finfo(float).tiny)


def _nearest(crystal: Crystal) -> float:
    """The distance of the nearest atoms that have a block, Å."""
    distance = np.linalg.norm(crystal.vectors, axis=1)
    return float(distance[distance > 0.0].min(initial=np.inf)) if distance.any() else 1.0
