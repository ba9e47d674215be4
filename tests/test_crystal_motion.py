"""Motion in crystals: hops between sites, found from trajectories whose hops are known; tensors of diffusion; `mdlite analyse`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mdlite
from made_up import TRICLINIC
from mdlite import analysis
from mdlite.config import parse
from mdlite.report import motion, motion_sites, plots_thermal

CELL = 2.7155 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
SITES = np.array([[0.5, 0.5, 0.5], [0.75, 0.75, 0.75]])
APART = 2.7155 * np.sqrt(3.0) / 2.0
STEP = 0.05


def jumps(frames, ions, rate, rng, leave=(1.0, 1.0)):
    """Random walks on silicon's tetrahedral interstices: the site of every frame (frames, ions, 4), as `analysis.dwell_sites` has them.

    rate: of hops, 1/ps, each to one of four neighbours; leave: times that for either kind of site.
    """
    steps = [(0, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]  # from the first kind of site to its four neighbours of the second
    now, path = np.zeros((ions, 4), np.int64), []
    for _ in range(frames):
        path.append(now.copy())
        going = rng.random(ions) < rate * STEP * np.array(leave)[now[:, 3]]
        way = np.array(steps)[rng.integers(0, 4, ions)] * np.where(now[:, 3:] == 0, 1, -1)
        now[going, :3] += way[going]
        now[going, 3] = 1 - now[going, 3]
    return np.array(path)


def places_of(path):
    return (path[..., :3] + SITES[path[..., 3]]) @ CELL


@pytest.fixture(scope="module")
def walk():
    rng = np.random.default_rng(5)
    path = jumps(4000, 30, 0.2, rng)
    place = places_of(path)
    return path, place + 0.15 * rng.standard_normal(place.shape)


def test_hops_between_interstices_are_counted_one_by_one(walk):
    """Every hop of a walk with vibrations is seen, none is made up, and rate, distance, correlation and D are those of the walk."""
    path, position = walk
    assert analysis.nearest_sites(CELL, SITES) == pytest.approx([APART, APART], rel=1e-12)
    assert np.array_equal(analysis.dwell_sites(position, CELL, SITES), path)
    found = analysis.site_hops(STEP * np.arange(len(position)), position, CELL, SITES)
    assert found.count == np.count_nonzero((np.diff(path, axis=0) != 0).any(axis=2))
    assert abs(found.rate - 0.2) < 4.0 * found.rate_error and 0.05 * found.rate > found.rate_error
    assert found.shares == {f"{APART:.2f} Å": 1.0} and found.diffusion == pytest.approx(found.rate * APART**2 / 6.0, rel=1e-9)
    assert abs(found.correlation) < 4.0 / np.sqrt(found.count)  # a quarter goes back, three quarters a third forward


def test_rides_to_the_border_are_no_hops_and_what_never_comes_to_a_site_is_at_the_nearest():
    position = (
        np.array([0.0, 0.3, 0.45, 0.55, 0.45, 0.2, 0.69, 0.75, 1.0, 0.6, 0.45, 0.69])[:, None, None]
        * (SITES[1] - SITES[0])
        @ CELL
    )
    position = position + SITES[0] @ CELL
    sites = analysis.dwell_sites(position, CELL, SITES)
    assert sites[:, 0, 3].tolist() == [0] * 7 + [1] * 5 and not sites[..., :3].any()
    between = np.full((4, 1, 3), 0.6 * SITES[0] + 0.4 * SITES[1]) @ CELL
    assert np.array_equal(analysis.dwell_sites(between, CELL, SITES), np.zeros((4, 1, 4)))
    with pytest.raises(mdlite.InputError, match="hops need two at least"):
        analysis.site_hops(np.zeros(1), between[:1], CELL, SITES)


def test_the_places_where_ions_rest_are_found(walk):
    """Sites from the trajectory alone; rings that it flies through, where voids are as well, are none."""
    _, position = walk
    sites, counts = analysis.find_sites(analysis.rests(STEP, position), CELL)
    assert len(sites) == 2 and counts.sum() > 0.4 * len(position) * 30 * STEP / 0.25
    for site in sites:
        apart = SITES - site
        assert np.linalg.norm((apart - np.round(apart)) @ CELL, axis=1).min() < 0.02
    moved, _ = analysis.find_sites(
        analysis.rests(STEP, position + np.array([0.3, -0.2, 0.1])), CELL
    )  # no voids, and still where they are
    shift = (moved - sites[:, None]) @ CELL - [0.3, -0.2, 0.1]
    shift = shift @ np.linalg.inv(CELL)
    assert np.linalg.norm((shift - np.round(shift)) @ CELL, axis=-1).min(axis=1).max() < 0.02


def test_a_site_seldom_visited_counts_and_what_is_only_crossed_does_not():
    rng = np.random.default_rng(3)
    start, end = SITES @ CELL
    ring = 0.5 * (start + end)
    position = np.repeat(start[None, None], 4000, axis=1).repeat(2, axis=0).reshape(4000, 2, 3)
    position[100:140, 0] = end  # two picoseconds of four hundred
    for n in range(200, 3800, 10):
        position[n : n + 3, 1] = ring  # 0.15 ps, again and again
    position = position + 0.1 * rng.standard_normal(position.shape)
    sites, counts = analysis.find_sites(analysis.rests(STEP, position), CELL)
    assert len(sites) == 2 and counts[1] < 0.02 * counts[0]
    assert np.abs(sites[1] - SITES[1]).max() < 0.05 and len(analysis.rests(STEP, position[:10])) == 0
    assert [len(part) for part in analysis.find_sites(np.empty((0, 3)), CELL)] == [0, 0]


def test_anisotropic_diffusion_in_a_triclinic_cell():
    """Jumps along the three vectors of a triclinic cell, at three rates: D is ½ Σ k_i a_i a_iᵀ; its axes and values with their errors."""
    rng, cell, rates = np.random.default_rng(8), np.array(TRICLINIC), np.array([0.5, 0.2, 0.05])
    truth = 0.5 * np.einsum("i,ia,ib->ab", rates, cell, cell)
    pulls, angles = [], []
    for _ in range(12):
        n = rng.poisson(0.5 * STEP * rates, (4000, 24, 3)) - rng.poisson(0.5 * STEP * rates, (4000, 24, 3))
        position = (np.cumsum(n, axis=0) + np.array([0.2, 0.7, 0.4])) @ cell
        time = STEP * np.arange(len(position))
        found = analysis.diffusion(time, position, (0.5, 4.0), groups=np.repeat(np.arange(12), 2))
        assert found.tensors.shape == (12, 3, 3) and np.allclose(found.tensors.mean(axis=0), found.tensor, atol=1e-12)
        pulls.append((found.tensor - truth) / found.tensor_error)
        axes = motion_sites.principal(found)
        values, vectors = np.linalg.eigh(truth)
        assert np.all(np.abs(axes["values_A2_per_ps"] - values[::-1]) < 5.0 * axes["errors_A2_per_ps"])
        assert np.allclose(axes["axes"] @ axes["axes"].T, np.eye(3), atol=1e-12)
        rebuilt = axes["axes"].T @ np.diag(axes["values_A2_per_ps"]) @ axes["axes"]
        assert np.allclose(rebuilt, found.tensor, atol=1e-12)
        angles.append(abs(axes["axes"][0] @ vectors[:, 2]))
    assert np.abs(np.mean(pulls, axis=0)).max() < 1.2 and 0.7 < np.std(pulls) < 1.5 and min(angles) > 0.99
    hops = analysis.site_hops(time, position, cell, np.array([[0.2, 0.7, 0.4]]))
    assert hops.diffusion == pytest.approx(np.trace(truth) / 3.0, rel=0.05)


def test_sites_do_not_depend_on_how_crystal_and_cell_are_turned(walk):
    path, position = walk
    turn = Rotation.from_rotvec([0.3, -0.7, 0.4]).as_matrix()
    sites, counts = analysis.find_sites(analysis.rests(STEP, position[:1500] @ turn), CELL @ turn)
    other, again = analysis.find_sites(analysis.rests(STEP, position[:1500]), CELL)
    assert np.abs(sites - other).max() < 1e-2 and np.abs(counts - again).max() <= 2
    assert np.array_equal(analysis.dwell_sites(position @ turn, CELL @ turn, SITES), path)


def config(**changes):
    base = {
        "crystal": {"name": "silicon", "size": 3},
        "ion": {"mass": "Li", "coordinates": "fractional", "position": [0.5, 0.5, 0.5]},
        "interaction": {
            "potential": {"kind": "born-mayer", "strength": 90000.0, "range": 0.35},
            "atoms": {"kind": "cutoff", "radius": 3.5, "switch_width": 1.0},
        },
        "thermal": {"temperature": 600.0, "statistics": "classical", "lattices": 3},
        "run": {"dt": 0.004, "duration": 2.0, "sample_every": 5},
    }
    return parse(base).replace(**changes)


@pytest.fixture(scope="module")
def short():
    return mdlite.run(config())


def made_up(short, position, step=STEP):
    """A run of these trajectories (F, ions, 3)."""
    frames, ions = position.shape[:2]
    own = config(**{"thermal.lattices": ions, "run.sample_every": round(step / 0.004) or 1})
    own = own.replace(**{"run.dt": step / own.run.sample_every, "run.duration": step * (frames - 1)})
    time = step * np.arange(frames)
    velocity = np.gradient(position, step, axis=0)
    data = {
        "step": own.run.sample_every * np.arange(frames),
        "time": time,
        "position": position,
        "velocity": velocity,
        "force": np.zeros_like(position),
        "interaction": np.zeros((frames, ions)),
        "ion_kinetic": np.zeros((frames, ions)),
    }
    return mdlite.Run(own, dict(short.facts), data)


def test_describe_counts_the_hops_of_a_known_walk(short, walk):
    path, position = walk
    run = made_up(short, position)
    found = motion.describe(run, 20.0)
    late = path[400:]
    assert found["hops"]["count"] == np.count_nonzero((np.diff(late, axis=0) != 0).any(axis=2))
    assert found["sites_found"] and sorted(site["position"] for site in found["sites"]) == SITES.tolist()
    shares = {tuple(site["position"]): site["share"] for site in found["sites"]}
    assert shares[0.5, 0.5, 0.5] == pytest.approx(np.mean(late[..., 3] == 0)) and sum(shares.values()) == pytest.approx(1.0)
    assert all(site["void_radius_A"] == pytest.approx(2.3517, abs=1e-3) for site in found["sites"])
    assert abs(found["diffusion_A2_per_ps"] - 0.2 * APART**2 / 6.0) < 4.0 * found["diffusion_error_A2_per_ps"]
    told = motion.text(run, found)
    assert "2 places in the primitive cell where ions rest" in told and "(0.500, 0.500, 0.500) void of 2.35 Å" in told
    assert "principal axes" in told and "by distance       2.35 Å 100.0 %" in told
    plots_thermal.run_motion(run, found)


def test_places_that_are_no_voids_and_ions_that_rest_nowhere(short):
    rng = np.random.default_rng(1)
    off = np.array([0.5, 0.5, 0.5]) @ CELL + [0.7, 0.0, 0.0]
    run = made_up(short, off + 0.1 * rng.standard_normal((800, 3, 3)))
    found = motion.describe(run, 2.0)
    (site,) = found["sites"]
    assert site["void_radius_A"] is None and "no void" in motion.text(run, found)
    assert np.array(site["position"]) @ CELL == pytest.approx(off, abs=0.05) and found["hops"]["count"] == 0
    flight = np.arange(800)[:, None, None] * STEP * np.array([[9.0, 1.0, 0.3], [-8.0, 2.0, 0.1], [7.0, 5.0, 1.0]])
    found = motion.describe(made_up(short, flight), 2.0)
    assert not found["sites_found"] and len(found["sites"]) > 2 and "rest nowhere" in motion.text(run, found)


def test_analyse_a_run(tmp_path):
    """The command on files: thermal crystals, and one ion at T = 0."""
    for name, changes in {"hot": {}, "cold": {"thermal": None}}.items():
        path = tmp_path / f"{name}.h5"
        mdlite.run(config(**changes), path)
        line = [sys.executable, "-m", "mdlite", "analyse", str(path), "--json", str(tmp_path / f"{name}.json")]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / f"{name}.json").read_text())
        assert found["ions"] == (3 if name == "hot" else 1) and found["hops"]["count"] == 0
        assert [0.5, 0.5, 0.5] in [site["position"] for site in found["sites"]]
        assert ("sites " in done.stdout) == (name == "hot") and (tmp_path / f"{name}-motion.png").stat().st_size > 10_000


def test_a_lattice_has_no_sites(small_case):
    found = motion.describe(mdlite.run(small_case()), 0.0)
    assert "sites" not in found and "diffusion_principal" not in found
