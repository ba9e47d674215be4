"""How mdlite is installed: as a plain entry in the path from a source tree, with the kernels inside from a wheel."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools", minversion="69")
ROOT = Path(__file__).resolve().parent.parent
WHERE = "import mdlite; print(mdlite.load_case('trapped').method); from mdlite.kernels import types; print(types.__file__)"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A source tree in a folder that is called like the package."""
    place = tmp_path_factory.mktemp("parent") / "mdlite"
    place.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, place)
    for package in ("mdlite", "kernels"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def built(clone, kind, target):
    """The wheel that a hook of the build makes."""
    target.mkdir()
    code = f"import sys; sys.argv[:] = ['setup.py']; from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=clone, check=True, capture_output=True)
    (made,) = target.iterdir()
    return made


def python(code, cwd, *path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_editable_installation_is_a_plain_path(clone, tmp_path):
    with zipfile.ZipFile(built(clone, "editable", tmp_path / "editable")) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info" not in name]
        assert len(names) == 1 and names[0].endswith(".pth")
        assert wheel.read(names[0]).decode().split() == [str(clone)]


def test_a_clone_called_like_the_package_does_not_hide_it(clone):
    """In the folder that holds it, ``mdlite`` is also a folder without an ``__init__.py``, which must lose."""
    for folder in (clone.parent, clone):
        method, file = python(WHERE, folder, clone)
        assert method == "reference" and Path(file) == clone / "kernels" / "types.py"


def test_a_wheel_has_the_kernels_inside(clone, tmp_path):
    with zipfile.ZipFile(built(clone, "wheel", tmp_path / "wheel")) as wheel:
        wheel.extractall(tmp_path / "site")
    inside = {p.name for p in (tmp_path / "site" / "mdlite" / "kernels").glob("*.py")}
    assert inside == {p.name for p in (ROOT / "kernels").glob("*.py")}
    assert not (tmp_path / "site" / "kernels").exists()
    assert (tmp_path / "site" / "mdlite" / "py.typed").is_file()
    for folder in (tmp_path, clone.parent):
        method, file = python(WHERE, folder, tmp_path / "site")
        assert method == "reference" and Path(file) == tmp_path / "site" / "mdlite" / "kernels" / "types.py"


def test_an_archive_of_sources_builds_the_same_wheel(clone, tmp_path):
    shutil.unpack_archive(built(clone, "sdist", tmp_path / "sdist"), tmp_path / "unpacked")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert (source / "mdlite" / "kernels" / "__init__.py").read_text() == (
        clone / "mdlite" / "kernels" / "__init__.py"
    ).read_text()
    with zipfile.ZipFile(built(source, "wheel", tmp_path / "wheel")) as wheel:
        found = {name for name in wheel.namelist() if name.startswith("mdlite/kernels/")}
        assert found == {f"mdlite/kernels/{p.name}" for p in (ROOT / "kernels").glob("*.py")}
        assert b"__path__" not in wheel.read("mdlite/kernels/__init__.py")


LEFT = (
    ".git",
    ".venv*",
    "__pycache__",
    "build",
    "dist",
    "out",
    "validation-*",
    "*.egg-info",
    ".*_cache",
    ".benchmarks",
    ".hypothesis",
)
LEFT += ("_build", "_generated", "*.h5")
"""Of a source tree, what no archive wants."""


@pytest.mark.thorough
def test_an_archive_of_sources_can_run_its_tests(tmp_path):
    """It has the tests and what they read: documents, scripts, benchmarks; pytest collects them all where it is unpacked."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT))
    shutil.unpack_archive(built(tree, "sdist", tmp_path / "sdist"), tmp_path / "unpacked")
    (source,) = (tmp_path / "unpacked").iterdir()
    wanted = {
        p.relative_to(tree)
        for name in ("tests", "docs", "scripts", "bench", "kernels")
        for p in (tree / name).rglob("*")
        if p.is_file()
    }
    wanted |= {p.relative_to(tree) for p in tree.glob("*.*") if p.is_file() and p.name != ".gitignore"}
    assert len(wanted) > 100 and not {name for name in wanted if not (source / name).is_file()}
    arguments = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--all", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(arguments, cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert f"{source.name}" in python("import mdlite; print(mdlite.__file__)", source, source)[0]
    files = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert files == {str(p.relative_to(source)) for p in (source / "tests").rglob("test_*.py")}
