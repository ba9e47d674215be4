"""Whatever is written takes its name whole, with its content on the disk."""

import ast
import os
from pathlib import Path

import numpy as np
import pytest

import mdlite
from mdlite.io import export, outputs
from mdlite.io.checkpoint import Checkpoints
from mdlite.physics import propagator
from mdlite.sweeps import point

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def renamed(monkeypatch):
    """Of every file that took a name: that name, and whether its content had been brought to the disk by then."""
    synced, found = set(), {}
    sync, replace = os.fsync, Path.replace

    def noted(descriptor):
        sync(descriptor)
        synced.add((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))

    def named(self, target):
        there = self.stat()
        found[Path(target).name] = (there.st_ino, there.st_size) in synced
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "replace", named)
    return found


WRITERS = {
    "results.csv": lambda path, run: outputs.write(path, "1, 2\n"),
    "results.nc": lambda path, run: outputs.write(path, lambda place: run.to_xarray().to_netcdf(place, engine="h5netcdf")),
    "result.json": lambda path, run: point.write_json(path, {"x": 1.0}),
    "run.xyz": lambda path, run: export.save(run, path, "extxyz", False),
    "table.npy": lambda path, run: propagator.write_cached(path, np.arange(3.0)),
    "0.npz": lambda path, run: Checkpoints(path.parent / "run.h5").save({"number": 2, "step": 0}, {"u": np.arange(3.0)}),
    "run.h5": lambda path, run: mdlite.run(run.config, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_takes_its_name_is_on_the_disk(small_case, tmp_path, renamed, name):
    run = mdlite.run(small_case(method="rigid"))
    WRITERS[name](tmp_path / name, run)
    assert renamed[name]
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["results.csv", "result.json", "run.xyz"])
def test_what_fails_leaves_what_was_there(small_case, tmp_path, monkeypatch, name):
    run, path = mdlite.run(small_case(method="rigid")), tmp_path / name
    path.write_text("before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, mdlite.InputError, mdlite.RunError), match="No space left on device"):
        export.save(run, path, "extxyz", True) if name == "run.xyz" else WRITERS[name](path, run)
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == [name]


def test_nothing_else_renames():
    """Only `mdlite.atomic` gives a file its name; the cache of kernels, which imports nothing of the package, has its own."""
    users = set()
    for path in (ROOT / "mdlite").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                whole = ast.unparse(node.func)
                one_path = node.func.attr in ("replace", "rename") and len(node.args) == 1 and not node.keywords
                if (one_path and "dataclasses" not in whole) or whole in ("os.replace", "os.rename", "shutil.move"):
                    users.add(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert users == {"mdlite/atomic.py: unfinished.replace(target)"}
