"""Every figure: no label is cut, logarithmic axes have labels of one kind, and what a figure says is so."""

import ast
import io
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

import mdlite
from mdlite.report import plots, plots_thermal

ROOT = Path(__file__).resolve().parent.parent
DRAWN = [*sorted((ROOT / "mdlite").rglob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]


def cut(figure) -> list[str]:
    """What of a figure lies outside its canvas: tight bounding boxes that reach beyond it."""
    figure.savefig(io.BytesIO(), format="png", dpi=figure.dpi)
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    found = []
    for ax in figure.axes:
        box = ax.get_tightbbox(renderer)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(f"{ax.get_ylabel()} / {ax.get_xlabel()}")
    return found


def labels(axis) -> list[str]:
    axis.figure.savefig(io.BytesIO(), format="png")
    shown = [t.get_text() for t in (*axis.get_majorticklabels(), *axis.get_minorticklabels())]
    return [text for text in shown if text]


@pytest.mark.parametrize("path", DRAWN, ids=lambda p: p.stem)
def test_all_figures_are_made_by_one_helper(path):
    """Nobody takes a figure from Matplotlib itself, where labels may be cut: only `mdlite.report.plots` does."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    modules += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert "matplotlib.pyplot" not in modules
    named = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names if a.name in ("Figure", "figure")]
    assert path.stem in ("plots", "result") or "matplotlib.figure" not in named


def test_documents_draw_by_the_helper_too():
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"plt\.(figure|subplots)\((?![^)]*constrained)", text), path.name


@pytest.mark.parametrize("low, high", [(0.5, 0.9), (0.3, 1.4), (0.02, 40.0), (1.0, 5e4), (3e-7, 20.0), (2e-6, 5e-6), (10.0, 3e7)])
def test_logarithmic_axes_have_labels_of_one_kind(low, high):
    figure = plots.Figure()
    ax = figure.subplots()
    ax.semilogy([0.0, 1.0], [low, high])
    ax.set_ylabel("D (Å²/ps)")
    shown = labels(ax.yaxis)
    assert shown and not cut(figure)
    powers = ["mathdefault" in text for text in shown]
    assert all(powers) or not any(powers), shown
    if not any(powers):
        assert all(re.fullmatch(r"\d+(\.\d+)?", text) for text in shown), shown
    assert any(powers) == (low < 1e-3 or high > 1e5)


def test_a_label_of_one_s_own_stays():
    figure = plots.Figure()
    ax = figure.subplots()
    ax.loglog([1.0, 10.0], [1.0, 10.0])
    ax.set_xticks([1, 2, 5], ["one", "two", "five"])
    assert {"one", "two", "five"} <= set(labels(ax.xaxis))


def _budget_run(frequency, step):
    """A run whose total swings with velocity Verlet's bounded error, at ``frequency`` rad/ps, with a budget every ``step`` ps."""
    time = np.arange(0.0, 30.0, 0.005)
    late = np.arange(0.0, 30.0, step)
    swing = 0.004 + 0.003 * np.cos(frequency * late)
    zero = np.zeros_like(late)
    return SimpleNamespace(
        time=time,
        ion_kinetic=np.ones((len(time), 1)),
        interaction=np.ones((len(time), 1)),
        energy_time=late,
        energy_framework_kinetic=zero,
        energy_elastic=zero,
        total_energy=30.0 + swing,
    )


def test_the_total_energy_is_a_mean_with_its_envelope():
    """Sampled at nearly half its period the total looks like a sawtooth with a slow beat; what is drawn is the constant mean, and the true range."""
    run = _budget_run(2.0 * np.pi / 0.31, 0.16)
    upper, lower = plots.energy_budget(run, np.inf).axes
    (mean,) = [line for line in lower.lines if line.get_label() == "mean"]
    drawn = mean.get_ydata() + run.total_energy[0]
    assert np.ptp(drawn[10:-10]) < 0.2 * np.ptp(run.total_energy)
    assert drawn[10:-10].mean() == pytest.approx(30.004, abs=2e-4)
    (band,) = lower.collections
    corners = band.get_paths()[0].vertices[:, 1] + run.total_energy[0]
    assert corners.max() == pytest.approx(run.total_energy.max()) and corners.min() == pytest.approx(run.total_energy.min())
    (total,) = [line for line in upper.lines if line.get_label() == "total"]
    assert np.ptp(total.get_ydata()[10:-10]) < 0.2 * np.ptp(run.total_energy)


@pytest.mark.parametrize("boundary, marked", [("periodic", True), ("absorbing", False), ("echo-free", False)])
def test_only_a_periodic_lattice_has_an_echo_to_mark(boundary, marked):
    keys = {"lattice.size": 16, "run.duration": 1.5, "lattice.boundary": boundary, "lattice.absorber_width": 3}
    run = mdlite.run(mdlite.load_case("trapped", **keys))
    figure = plots.run_overview(run)
    assert ("echo" in [line.get_label() for line in figure.axes[0].lines]) == marked and not cut(figure)


def test_one_ion_is_one_ion_and_scales_stand_beside(tmp_path):
    from mdlite.report import motion

    case = mdlite.load_case("diffusion", **{"lattice.size": 6, "thermal.lattices": 1, "thermal.ions": 1, "run.duration": 20.0})
    run = mdlite.run(case)
    figure = plots_thermal.run_motion(run, motion.describe(run, 2.0, (0.2, 1.0)))
    assert figure.get_suptitle().endswith("1 ion") and not cut(figure)


def test_phonons_have_terahertz_beside(tmp_path):
    from mdlite.report import lattice_report

    lattice = mdlite.load_case("trapped").to_model().lattice
    _, figure = lattice_report.collect(lattice, [(0, 0, 0)], [0.0], "GX", False)
    figure.savefig(tmp_path / "p.png")
    assert imread(tmp_path / "p.png").shape[0] == 8 * figure.dpi
    children = [child for ax in figure.axes for child in ax.child_axes]
    assert [child.get_ylabel() for child in children] == ["frequency (THz)"]
    assert not cut(figure)
