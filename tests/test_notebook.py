"""Notebooks: what Config and Run look like there, progress=True, Run.plot. Without Jupyter."""

import base64
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import mdlite
from mdlite.io import layout
from mdlite.report import notebook
from mdlite.simulation import progress, result
from test_html import Page

HOSTILE = "<b onclick='x'>&amp; $5 $"


@pytest.fixture
def run(small_case):
    return mdlite.run(small_case(title=HOSTILE))


def rows(page):
    return [row for table in page.tables for row in table]


def test_a_configuration_as_a_table(small_case):
    page = Page(small_case(title=HOSTILE)._repr_html_())
    assert page.text["b"] == HOSTILE
    found = {(row[0], row[1]): row[2:] for row in rows(page)}
    assert found["[ion]", "position"] == ["(10.7, 10.4, 10.5)", "Å"]
    assert found["", "strength"] == ["1500", "meV Å"] and found["", "velocity"][1] == "Å/ps"
    assert found["[lattice]", "spacing"] == ["3", "Å"] and found["[memory]", "start"] == ["bare", ""]
    own, defaults = page.tables
    assert ["[lattice]", "size", "(8, 9, 10)", ""] in own and ["[lattice]", "spacing", "3", "Å"] in defaults
    assert "color:" not in small_case()._repr_html_().replace("border-color", "")  # themes choose the colours


@pytest.mark.parametrize("name", mdlite.config.case_names())
def test_every_case_has_a_table_and_every_key_is_in_it(name):
    config = mdlite.load_case(name)
    page = Page(config._repr_html_())
    assert len(rows(page)) == len(notebook.settings(config)) + len(page.tables)

    def leaves(value):
        return sum(map(leaves, value.values())) if isinstance(value, dict) else 1

    data = config.to_dict()
    ions = data["validate"].pop("ions")  # one key, a table of its own
    assert len(notebook.settings(config)) == leaves(data) + 1 - bool(config.title), ions


def test_masses_of_frozen_axes_and_units_are_written_as_one_writes_them():
    settings = {f"{s.table}.{s.key}": s for s in notebook.settings(mdlite.load_case("trapped"))}
    assert settings["ion.mass"].value == "(∞, ∞, 0.7)" and settings["ion.mass"].unit == "meV ps²/Å²"
    assert settings["lattice.k1"].unit == "meV/Å²" and settings["lattice.k1"].default
    assert settings["run.dt"].unit == "ps" and settings["validate.centre"].unit == "Å"
    assert len(settings["interaction.atoms.sites"].value) <= notebook.LONGEST_VALUE + 2
    assert notebook.tidy("meV ps Angstrom-1") == "meV ps/Å"


def test_short_reprs():
    config = mdlite.load_case("trapped")
    expected = "method=reference, lattice 100×100×100, T=0, 6000 steps of 0.005 ps>"
    assert repr(config) == str(config) == f"<Config {config.title!r}, {expected}"
    thermal = mdlite.load_case("diffusion", thermal={"temperature": 290.0}, title="")
    assert repr(thermal) == "<Config '', method=time-local, lattice 20×20×20, T=290 K, 200000 steps of 0.005 ps>"
    assert "k_BT=25 meV" in repr(mdlite.load_case("diffusion"))


def test_a_run_as_a_table_with_a_picture(run, tmp_path, small_case):
    page = Page(run._repr_html_())
    assert page.text["b"] == HOSTILE
    found = {row[0]: row[1:] for row in rows(page)}
    assert found["method"] == ["reference"] and found["status"] == ["complete"] and "stepping" in found["wall time"][0]
    assert found["position"] == ["201 × 1 × 3", "Å"] and found["velocity"][1] == "Å/ps" and found["step"] == ["201", ""]
    assert set(run.data) <= set(found) and found["energy_time"][1] == "ps" and found["energy_step"][1] == ""
    assert found["numba"] and ["[ion]", "mass", "(0.7, 0.7, 0.7)", "meV ps²/Å²"] in rows(page)
    (image,) = page.named("img")
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True).startswith(b"\x89PNG")
    kept = mdlite.run(small_case(title=HOSTILE), tmp_path / "r.h5")
    assert {row[0]: row[1:] for row in rows(Page(kept._repr_html_()))}["position"] == found["position"]


def test_a_run_without_frames_or_with_too_many_has_no_picture(run, monkeypatch):
    monkeypatch.setattr(result, "LARGEST_PICTURED", 1000.0)
    assert not Page(run._repr_html_()).named("img")
    monkeypatch.undo()
    empty = mdlite.Run(run.config, {"status": "stopped: <i>"}, {name: values[:1] for name, values in run.data.items()})
    page = Page(empty._repr_html_())
    assert not page.named("img") and ["status", "stopped: <i>"] in rows(page)
    with pytest.raises(mdlite.InputError, match="fewer than two frames"):
        empty.plot()


def test_plot_returns_a_figure_that_shows_itself(run):
    figure = run.plot()
    assert isinstance(figure, Figure) and len(figure.axes) == 3
    assert [ax.get_ylabel() for ax in figure.axes] == ["position (Å)", "velocity (Å/ps)", "energy (meV)"]
    assert np.array_equal(figure.axes[0].lines[0].get_ydata(), run.position[:, 0, 0])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_every_array_has_its_unit(run):
    without = {name for name in run.data if not layout.unit(name)}
    assert without == {"step", "energy_step"}


def test_progress_true_prints_where_nothing_is_a_terminal(small_case, capsys):
    mdlite.run(small_case(), progress=True)
    told = capsys.readouterr()
    assert told.out == "" and "reference: 100 %" in told.err
    for silent in (None, False):
        mdlite.run(small_case(), progress=silent)
        told = capsys.readouterr()
        assert told.out == told.err == ""
    states = []
    mdlite.run(small_case(), progress=states.append)
    assert states[-1].done == states[-1].total == 200 and capsys.readouterr().err == ""


def test_progress_true_draws_a_bar_on_a_terminal(small_case, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    mdlite.run(small_case(), progress=True)
    told = capsys.readouterr()
    assert "reference" in told.err and "100 %" in told.err and told.out == ""


@pytest.fixture
def kernel(monkeypatch):
    """As inside a Jupyter kernel; returns what was displayed, newest last."""
    shown = []

    def display(what, display_id):
        assert display_id is True
        shown.append(what)
        return SimpleNamespace(update=shown.append)

    shell, module = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython, module.display = (lambda: SimpleNamespace(kernel=object())), display
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def test_progress_true_in_a_notebook(small_case, capsys, kernel):
    mdlite.run(small_case(), progress=True)
    told = capsys.readouterr()
    assert told.err == "" and len(kernel) >= 1 and repr(kernel[-1]).startswith("reference: 100 %")
    page = Page(kernel[-1]._repr_html_())
    assert page.named("progress") == [{"value": "200", "max": "200", "style": "width:12em; vertical-align:middle"}]
    progress.Reporter().notice("compiling")
    assert capsys.readouterr() == ("compiling\n", "")


def test_a_notebook_s_bar_ends_where_the_run_did(kernel):
    bar = progress.Reporter()("<i>")
    for done in (1, 2, 3):
        bar(progress.Progress(done, 10, 0.1, None))
    bar.close()
    assert repr(kernel[-1]).startswith("<i>:  30 %") and "<i>" in Page(kernel[-1]._repr_html_()).text["div"]


def test_a_validation_shows_its_bars(tmp_path, capsys):
    mdlite.validate(mdlite.load_case("trapped", **{"lattice.size": 12, "run.duration": 0.5}), tmp_path / "v", progress=True)
    told = capsys.readouterr().err
    assert "time-local: 100 %" in told and "writing the figures and the report" in told
