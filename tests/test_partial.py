"""Files of runs that go on, were killed or stopped, and of older versions: what is there can be looked at, and says that it is not all."""

import json
import shutil

import h5py
import numpy as np
import pytest

import hostile
import mdlite
from mdlite.errors import Interrupted
from mdlite.io import recorder
from mdlite.report import motion
from mdlite.sweeps import measures

CASES = {
    "cold": ("trapped", {"method": "time-local", "run.duration": 2.0}),
    "reference": ("trapped", {"lattice.size": 10, "run.duration": 1.0, "run.energy_every": 1}),
    "thermal": (
        "diffusion",
        {"method": "time-local", "lattice.size": 6, "thermal.lattices": 2, "thermal.ions": 2, "run.duration": 4.0},
    ),
}


@pytest.fixture(scope="module", params=CASES)
def files(request, tmp_path_factory):
    """Copies of one run: as it is while it goes on, with and without frames, stopped by a signal, and whole."""
    folder = tmp_path_factory.mktemp(request.param)
    case, changes = CASES[request.param]
    config = mdlite.load_case(case, **changes)

    def copy(progress):
        if progress.done >= 0.6 * progress.total and not (folder / "killed.h5").exists():
            shutil.copy(folder / "whole.h5", folder / "killed.h5")

    def stop(progress):
        if progress.done >= 0.6 * progress.total:
            raise Interrupted("stop", 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "WRITE_SECONDS", 0.0)
        mdlite.run(config, folder / "whole.h5", progress=copy)
    with pytest.raises(Interrupted):
        mdlite.run(config, folder / "stopped.h5", progress=stop)
    shutil.copy(folder / "killed.h5", folder / "empty.h5")
    with h5py.File(folder / "empty.h5", "r+") as f:
        f.visititems(
            lambda name, item: item.resize(0, axis=0) if isinstance(item, h5py.Dataset) and item.maxshape[0] is None else None
        )
    shutil.copy(folder / "killed.h5", folder / "old.h5")
    with h5py.File(folder / "old.h5", "r+") as f:
        f["mdlite"].attrs.modify("facts", "{}")
    return folder


@pytest.mark.thorough
def test_what_is_there_can_be_looked_at(files, monkeypatch):
    monkeypatch.chdir(files)
    whole = mdlite.Run.load("whole.h5")
    for name in ("killed.h5", "stopped.h5", "old.h5"):
        run = mdlite.Run.load(name)
        assert 0.5 * whole.time[-1] < run.recorded == run.time[-1] < whole.time[-1]
        assert np.array_equal(run.position, whole.position[: len(run.time)])
        assert "not a finished run" in run.shortfall
        assert run._repr_html_() and repr(run) and run.plot() and dict(run.to_xarray().sizes)
        told = measures.measure(run)
        assert (told["seconds"] is None) == (name != "stopped.h5")
        code, said = hostile.call("analyse", name, "--json", "a.json", "-o", "a.png")
        assert code == 0, said
        found = json.loads((files / "a.json").read_text())
        assert found["duration_ps"] == run.recorded and found["skip_ps"] == pytest.approx(0.1 * run.recorded)
        text = motion.text(run, motion.describe(run, 0.0, motion.default_fit(run, 0.0)))
        assert (
            "not a finished run "
            f"({'it does not say how it ended' if name == 'old.h5' else run.facts['status'].replace('running', 'going on, or killed')})"
            in text
        )
        assert f"{run.recorded:g} of {whole.time[-1]:g} ps are there" in text
        for words in (["plot", name, "-o", "p.png"], ["info", name], ["export", name, "-o", "x.xyz", "--force"]):
            code, said = hostile.call(*words)
            assert code == 0, said
    assert whole.shortfall is None and whole.recorded == whole.config.run.duration


def test_what_holds_no_frames_says_so(files, monkeypatch):
    monkeypatch.chdir(files)
    run = mdlite.Run.load("empty.h5")
    assert run.recorded == 0.0 and run._repr_html_() and run.to_xarray().sizes["time"] == 0
    for words, told in (
        (["analyse", "empty.h5"], "has 0 frames"),
        (["plot", "empty.h5"], "fewer than two frames"),
        (["export", "empty.h5"], "holds no frames"),
    ):
        code, said = hostile.call(*words)
        assert code == 2 and told in said and said.count("\n") == 1
    assert hostile.call("info", "empty.h5")[0] == 0
