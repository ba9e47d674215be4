"""Bands and densities of states: the same for any description of a crystal, against what D(q) and its trace say."""

import sys

import numpy as np
import pytest

from made_up import triclinic
from mdlite.crystals import bands, dynamics, library, springs
from mdlite.crystals.crystal import crystal
from mdlite.errors import InputError
from mdlite.report import plots_crystal

TURN = 2.0 * np.pi


def built_in(name):
    return springs.from_springs(**{key: library.read(name)[key] for key in ("cell", "atoms", "springs")})


def described(one, change, turn):
    """The same crystal by other cell vectors, whole numbers ``change`` times its own, in a frame that is turned."""
    back = np.round(np.linalg.inv(change)).astype(int)
    positions = one.positions @ back
    home = np.floor(positions + 1e-9).astype(int)
    cells = one.cells @ back + home[one.second] - home[one.first]
    blocks = turn @ one.blocks @ turn.T
    return crystal(change @ one.cell @ turn.T, positions - home, one.masses, one.species, one.first, one.second, cells, blocks)


def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


CHANGE = np.array([[1, 1, 0], [0, 1, 0], [-1, 0, 1]])
FCC = {"GAMMA": (0, 0, 0), "X": (1, 0, 0), "L": (0.5, 0.5, 0.5), "W": (1, 0.5, 0), "K": (0.75, 0.75, 0)}
"""In units of 2π/a."""


@pytest.mark.parametrize("name", ["copper", "silicon"])
def test_the_standard_path_of_any_cell(name):
    pytest.importorskip("seekpath")
    one = built_in(name)
    edge = 2.0 * np.abs(one.cell).max()
    other = described(one, CHANGE, rotation(5))
    for found in (one, other):
        path = bands.path_of(found)
        corners = bands.corners_of(path)
        assert "seekpath" in path.kind and {"GAMMA", "X", "L", "W", "K", "U"} <= set(corners)
        for label, place in FCC.items():
            cartesian = np.array(place) * TURN / edge
            expected = dynamics.frequencies(one, cartesian @ one.cell.T / TURN)
            assert dynamics.frequencies(found, corners[label]) == pytest.approx(expected, abs=1e-5), label
    assert bands.path_of(other, "GXWL").labels == [("GAMMA", "X"), ("X", "W"), ("W", "L")]
    assert bands.path_of(other, "Γ-X-U|K-GAMMA").labels == [("GAMMA", "X"), ("X", "U"), ("K", "GAMMA")]


def test_without_seekpath_a_path_of_its_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "seekpath", None)
    path = bands.path_of(built_in("copper"))
    assert "install seekpath" in path.kind and path.labels[0][0] == "Γ" == path.labels[-1][1]
    reduced = bands.corners_of(path).values()
    assert all(np.allclose(2.0 * q, np.round(2.0 * q)) for q in reduced) and len(reduced) == 5
    lengths = np.linalg.norm((path.q[:, 1] - path.q[:, 0]) @ built_in("copper").reciprocal, axis=1)
    assert lengths.min() > 0.5
    with pytest.raises(InputError, match="must be at least two of the labels"):
        bands.path_of(built_in("copper"), "GX")


def test_a_path_by_reduced_coordinates():
    one = triclinic()
    found = bands.bands(one, bands.path_of(one, "0,0,0 0.5,0,0.25  0.5,0.5,0.5"), 20)
    assert found.labels == ["Γ", "(0.5 0 0.25)", "(0.5 0.5 0.5)"] and found.breaks == []
    for corner, q in zip(found.corners, [(0, 0, 0), (0.5, 0, 0.25), (0.5, 0.5, 0.5)]):
        where = int(np.argmin(np.abs(found.distance - corner)))
        assert found.frequencies[where] == pytest.approx(dynamics.frequencies(one, q), abs=1e-5)
    steps = np.diff(found.q, axis=0) @ one.reciprocal
    assert np.diff(found.distance) == pytest.approx(np.linalg.norm(steps, axis=1))


@pytest.mark.parametrize(
    "text, message",
    [
        ("0,0,0", "at least two triples"),
        ("0,0,0 1,2", "'1,2' is no triple"),
        ("0,0,0 nan,0,0", "is no triple"),
        ("0,0,0 a,b,c", "is no triple"),
        ("Q7", "must be at least two of the labels"),
    ],
)
def test_no_path(text, message):
    with pytest.raises(InputError, match=message):
        bands.path_of(triclinic(), text)


def test_a_path_with_a_jump():
    one = triclinic()
    path = bands.Path(
        [("A", "B"), ("C", "D_1")], np.array([[[0, 0, 0], [0.5, 0, 0]], [[0, 0.5, 0], [0, 0, 0.5]]], float), "given"
    )
    found = bands.bands(one, path, 10)
    assert found.labels == ["A", "B|C", "D$_{1}$"] and len(found.breaks) == 1
    first = found.breaks[0]
    assert found.distance[first] == found.distance[first - 1] == found.corners[1]
    assert found.q[first] == pytest.approx([0, 0.5, 0]) and found.q[first - 1] == pytest.approx([0.5, 0, 0])


@pytest.mark.parametrize("make", [triclinic, lambda: built_in("silicon")], ids=["triclinic", "silicon"])
def test_the_moments_of_the_density_of_states(make):
    one = make()
    found = bands.density_of_states(one, bins=400, samples=2**12)
    width = found.omega[1] - found.omega[0]
    assert found.g.sum() * width == pytest.approx(3.0, abs=1e-3)
    assert sum(found.shares.values()) == pytest.approx(found.g)
    own = (one.first == one.second) & ~one.cells.any(axis=1)
    trace = np.trace(one.blocks[own], axis1=1, axis2=2) / one.masses
    for name, share in found.shares.items():
        members = np.array(one.species) == name
        assert share.sum() * width == pytest.approx(3.0 * members.mean(), abs=2e-3)
        second = (share * found.omega**2).sum() * width  # the bins' width enters as its square over 12
        assert second == pytest.approx(trace[members].sum() / one.n_basis, rel=2e-3)


def test_the_figure_has_labels_and_cuts_none(tmp_path):
    one = triclinic()
    lines, states = bands.bands(one, bands.path_of(one, "0,0,0 0.5,0,0 0.5,0.5,0"), 20), bands.density_of_states(one, 50, 2**9)
    kernel = {"time": np.linspace(0, 1, 11), "values": {"0:0:0,0,0": np.ones(11)}}
    figure = plots_crystal.phonons(lines, states, kernel, "made up")
    figure.savefig(tmp_path / "p.png")
    left, right, below = figure.axes
    assert [label.get_text() for label in left.get_xticklabels()] == lines.labels
    assert "THz" in left.get_ylabel() and "THz" in right.get_xlabel() and below.get_xlabel() == "t (ps)"
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["all", *dict.fromkeys(one.species)]
