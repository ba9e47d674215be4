"""The nearest force constants that obey permutation, translation and rotation, against alternating projections and a general solver."""

import numpy as np
import pytest

import made_up
from mdlite.crystals import dynamics
from mdlite.crystals.sumrules import PAIRS, corrected, violations


def spoilt(size=3e-3):
    found = made_up.triclinic()
    noise = np.random.default_rng(3).standard_normal(found.blocks.shape)
    return found.with_blocks(found.blocks + size * np.abs(found.blocks).max() * noise)


def constraints(found):
    """All three rules as one dense matrix on the elements of the blocks, element by element."""
    count = found.blocks.size
    number = np.arange(count).reshape(found.blocks.shape)
    rows = []
    for b, c in enumerate(found.partner):
        for i in range(3):
            for j in range(3):
                row = np.zeros(count)
                row[number[b, i, j]] += 1.0
                row[number[c, j, i]] -= 1.0
                rows.append(row)
    for atom in range(found.n_basis):
        mine = np.flatnonzero(found.first == atom)
        for i in range(3):
            for j in range(3):
                row = np.zeros(count)
                row[number[mine, i, j]] = 1.0
                rows.append(row)
            for j, k in PAIRS:
                row = np.zeros(count)
                row[number[mine, i, j]] += found.vectors[mine, k]
                row[number[mine, i, k]] -= found.vectors[mine, j]
                rows.append(row)
    return np.array(rows)


def test_the_correction_is_the_orthogonal_projection():
    found = spoilt()
    rules = constraints(found)
    least = found.blocks.ravel() - np.linalg.pinv(rules, rcond=1e-12) @ (rules @ found.blocks.ravel())
    ours, told = corrected(found)
    assert np.abs(ours.blocks.ravel() - least).max() < 1e-12 * np.abs(least).max()
    assert max(told.after[:3]) < 1e-13
    assert min(told.before[:3]) > 1e-4
    assert told.change == pytest.approx(np.abs(least - found.blocks.ravel()).max() / np.abs(found.blocks).max())


def test_translation_alone_leaves_rotation():
    ours, told = corrected(spoilt(), "translation")
    assert max(told.after[:2]) < 1e-13 and told.after.rotation > 1e-4
    assert np.abs(dynamics.frequencies(ours, np.zeros(3))[:3]).max() < 1e-5 * dynamics.omega_max(ours)


def test_what_obeys_is_not_changed():
    found = made_up.triclinic()
    ours, told = corrected(found)
    assert np.abs(ours.blocks - found.blocks).max() < 1e-13 * np.abs(found.blocks).max()
    assert max(violations(found)[:3]) < 1e-14
    assert told.change < 1e-13


def test_springs_without_stress_obey_huang():
    assert violations(made_up.triclinic()).huang < 1e-14


def test_without_the_rotational_rule_sound_is_wrong():
    """What a violation does: a term linear in q between the acoustic branches."""
    first, _ = corrected(spoilt(3e-2), "translation")
    both, _ = corrected(spoilt(3e-2))
    small, smaller = np.array([2e-4, 1e-4, 0.0]), np.array([2e-6, 1e-6, 0.0])
    for found, linear in ((both, True), (first, False)):
        ratio = dynamics.squares(found, small)[:3] / dynamics.squares(found, smaller)[:3]
        assert np.allclose(ratio, 1e4, rtol=1e-3) is linear
