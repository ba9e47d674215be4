"""Where commands write: nothing but regular files is replaced, links lead to their targets, and no output is an input."""

import contextlib
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import hostile
import mdlite
from mdlite.errors import Interrupted, RunError
from mdlite.io import outputs
from mdlite.sweeps import results

QUICK = {"method": "time-local", "run.duration": 1.0}
SETTINGS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
SWEEP = {"base": "trapped", "set": QUICK, "grid": {"ion.velocity.z": [2.0, 4.0]}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.h5"
    mdlite.run(mdlite.load_case("trapped", **QUICK), path)
    return path


@pytest.fixture
def folder(tmp_path, written, monkeypatch):
    """A working folder with a run, ``run.h5``, and a configuration, ``c.toml``."""
    shutil.copy(written, tmp_path / "run.h5")
    (tmp_path / "c.toml").write_text(mdlite.load_case("trapped", **QUICK).to_toml())
    monkeypatch.chdir(tmp_path)
    return tmp_path


WRITERS = {
    "run": ["run", "c.toml", "-q", "--force", "-o"],
    "resume": ["run", "c.toml", "-q", "--resume", "-o"],
    "plot": ["plot", "run.h5", "--force", "-o"],
    "analyse": ["analyse", "run.h5", "--force", "-o"],
    "analyse --json": ["analyse", "run.h5", "--force", "-o", "figure.png", "--json"],
    "export": ["export", "run.h5", "--force", "-o"],
    "phonons": ["phonons", "trapped", "--force", "-o"],
    "phonons --json": ["phonons", "trapped", "--force", "-o", "figure.png", "--json"],
    "crystal": ["crystal", "copper", "--force", "-o"],
    "crystal --json": ["crystal", "copper", "--force", "--json"],
    "cases": ["cases", "trapped", "--force", "-o"],
    "bench-kernel --json": ["bench-kernel", "--json"],
    "doctor --json": ["doctor", "--json"],
    "validate": ["validate", "c.toml", "-q", "--force", "-o"],
    "sweep": ["sweep", "s.toml", "-q", "-o"],
}
KINDS = {"fifo": "named pipe", "socket": "socket", "device": "device", "folder": "folder"}


@contextlib.contextmanager
def made(kind, path):
    """Something at a path that is no file."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        short = Path(tempfile.mkdtemp()) / "s"  # a socket's name is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(short))
            short.rename(path)
    yield
    assert stat.S_IFMT(path.lstat().st_mode) == KIND_BITS[kind], "it has been replaced"


KIND_BITS = {"fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "device": stat.S_IFCHR, "folder": stat.S_IFDIR}


@pytest.mark.parametrize("link", [False, True], ids=["itself", "a link"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_regular_files_is_replaced(folder, kind, link):
    (folder / "s.toml").write_text('base = "trapped"\n[grid]\n"ion.velocity.z" = [2.0]\n')
    with made(kind, folder / "there"):
        output = "there"
        if link:
            (folder / "link").symlink_to("there")
            output = "link"
        for name, words in WRITERS.items():
            if kind == "folder" and name == "validate":  # it replaces what it has written there, and nothing else
                continue
            code, told = hostile.call(*words, output)
            expected = "is not empty" if kind == "folder" and name == "sweep" else f"is a {KINDS[kind]}"
            assert code == 2 and expected in told, f"{name}: {code}, {told}"
            assert told.count("\n") == 1 and told.startswith("error: output = ")
        assert not link or (folder / "link").is_symlink()
        if not (link or kind == "folder"):
            with pytest.raises(mdlite.InputError, match=KINDS[kind]):
                mdlite.run(mdlite.load_case("trapped", **QUICK), "there", force=True)


def test_streams_of_the_system_are_no_files():
    """Only looked at, never given to a command that would write there."""
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        with pytest.raises(mdlite.InputError, match="is a stream of the system"):
            outputs.regular(name)


@pytest.mark.parametrize(
    "name, told",
    [
        ("", "is no name"),
        ("a\0b", "is no name"),
        ("a\ud800", "is no name"),
        ("new.h5/", "is the name of a folder"),
        ("c.toml/x.h5", "the folder 'c.toml' is not a folder"),
        ("c.toml/d/x.h5", "the folder 'c.toml/d' does not exist"),
        ("none/x.h5", "the folder 'none' does not exist"),
        ("loop", "leads back to itself"),
        ("ä" * 130 + ".h5", "longer than 240 bytes"),
        ("a/" * 3000 + "x.h5", "cannot be written: File name too long"),
        (".", "is a folder"),
    ],
)
def test_names_that_no_file_can_have(folder, name, told):
    (folder / "loop").symlink_to("loop")
    before = sorted(folder.rglob("*"))
    with pytest.raises(mdlite.InputError, match=told) as error:
        mdlite.run(mdlite.load_case("trapped", **QUICK), name, force=True)
    assert len(str(error.value)) < 500 and sorted(folder.rglob("*")) == before


def test_names_that_the_command_line_gets(folder):
    for words in (WRITERS["run"], WRITERS["export"], WRITERS["cases"], WRITERS["phonons"]):
        assert "is the name of a folder" in hostile.call(*words, "new/")[1]
        assert "is no name" in hostile.call(*words, "")[1]
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    "words, told",
    [
        (["run", "c.toml", "-q", "-o", "k.h5.gz"], "an HDF5 file's name must end in .h5, .hdf5 or .h5md"),
        (["run", "c.toml", "-q", "-o", "k.png"], "must end in .h5"),
        (["run", "c.toml", "-q", "-o", "c.toml.xyz"], "must end in .h5"),
        (["plot", "run.h5", "-o", "f.jpeg2000"], "a figure's name must end in .png, .pdf or .svg"),
        (["plot", "run.h5", "-o", "f"], "a figure's name must end in"),
        (["analyse", "run.h5", "-o", "f.png.gz"], "a figure's name must end in"),
        (["analyse", "run.h5", "--json", "f.h5"], "a JSON file's name must end in .json"),
        (["phonons", "trapped", "-o", "f.json"], "a figure's name must end in"),
        (["export", "run.h5", "-o", "f.h5"], "an extended XYZ file's name must end in .xyz or .extxyz"),
        (["export", "run.h5", "-o", "f.xyz.gz"], "must end in .xyz"),
        (["cases", "trapped", "-o", "f.json"], "a TOML file's name must end in .toml"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_name_promises_what_is_in_the_file(folder, words, told):
    before = sorted(folder.iterdir())
    code, said = hostile.call(*words)
    assert code == 2 and told in said and sorted(folder.iterdir()) == before


def test_names_that_promise_nothing_are_taken(folder):
    for name in ("k", "k.hdf5", "k.H5", "run-0.5", "k.2"):
        assert hostile.call("run", "c.toml", "-q", "-o", name)[0] == 0
        assert mdlite.Run.load(folder / name).facts["status"] == "complete"


def test_no_output_is_an_input_or_another_output(folder):
    (folder / "n").write_bytes((folder / "run.h5").read_bytes())
    (folder / "conf").write_bytes((folder / "c.toml").read_bytes())
    (folder / "a.png").symlink_to("b.png")
    (folder / "run.png").symlink_to("run.h5")
    (folder / "hard").hardlink_to(folder / "n")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.exists()}
    for words in (
        ["phonons", "trapped", "--json", "x.png", "-o", "x.png"],
        ["phonons", "trapped", "--json", "a.png", "-o", "b.png", "--force"],
        ["phonons", "trapped", "--json", "./x.png", "-o", f"{folder}/x.png", "--force"],
        ["analyse", "run.h5", "--json", "x.png", "-o", "x.png"],
        ["analyse", "n", "--json", "n", "--force"],
        ["analyse", "n", "--json", "hard", "--force"],
        ["analyse", "run.h5", "-o", "run.png", "--force"],
        ["plot", "run.h5", "-o", "run.png", "--force"],
        ["plot", "run.h5", "--force"],
        ["export", "n", "-o", "n", "--force"],
        ["export", "n", "-o", "hard", "--force"],
        ["run", "conf", "-q", "-o", "conf", "--force"],
        ["run", "conf", "-q", "-o", "./conf", "--resume"],
    ):
        code, told = hostile.call(*words)
        assert code == 2 and " is also the " in told, f"{words}: {told}"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.exists()} == before


def test_a_link_stands_for_its_target(folder):
    scratch = folder / "scratch"
    scratch.mkdir()
    config = mdlite.load_case("trapped", **QUICK)
    for name in ("link.h5", "again.h5"):
        (folder / name).symlink_to(f"{'scratch/x.h5' if name == 'link.h5' else 'link.h5'}")
    mdlite.run(config, "again.h5")  # which leads nowhere yet
    assert (folder / "again.h5").is_symlink() and (folder / "link.h5").is_symlink()
    first = (scratch / "x.h5").read_bytes()
    assert [p.name for p in scratch.iterdir()] == ["x.h5"]
    with pytest.raises(mdlite.InputError, match="exists"):
        mdlite.run(config, "link.h5")
    mdlite.run(config, "link.h5", force=True)
    assert (folder / "link.h5").is_symlink() and (scratch / "x.h5").read_bytes() != first

    def stop(progress):
        if progress.done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mdlite.run(config.replace(**{"run.checkpoint_steps": 20}), "link.h5", force=True, progress=stop)
    assert (scratch / "x.h5.checkpoints").is_dir() and not (folder / "link.h5.checkpoints").exists()
    told = []
    mdlite.run(config.replace(**{"run.checkpoint_steps": 20}), "again.h5", resume=True, notice=told.append)
    assert any(line.startswith("going on from t = ") for line in told)
    assert (folder / "link.h5").is_symlink() and [p.name for p in scratch.iterdir()] == ["x.h5"]
    assert hostile.call("plot", "link.h5", "-o", "f.png")[0] == 0
    (folder / "g.png").symlink_to("scratch/g.png")
    assert hostile.call("plot", "link.h5", "-o", "g.png")[0] == 0
    assert (folder / "g.png").is_symlink() and (scratch / "g.png").read_bytes()[:4] == b"\x89PNG"
    (folder / "nowhere.h5").symlink_to("missing/x.h5")
    with pytest.raises(mdlite.InputError, match=r"the folder '.*missing' does not exist"):
        mdlite.run(config, "nowhere.h5")


def test_a_link_to_a_folder(folder):
    (folder / "sweep").symlink_to("scratch")  # which is not there yet
    mdlite.sweep(SWEEP, "sweep", prepare=True)
    assert (folder / "sweep").is_symlink() and (folder / "scratch" / "manifest.json").is_file()
    (folder / "report").symlink_to("elsewhere")
    outputs.make_folder(outputs.check_folder("report", "validate"), "report")
    assert (folder / "report").is_symlink() and (folder / "elsewhere").is_dir()


def test_checkpoints_behind_a_link(folder):
    """A folder of checkpoints that the user has put elsewhere stays there."""
    (folder / "far").mkdir()
    (folder / "x.h5.checkpoints").symlink_to("far")
    config = mdlite.load_case("trapped", **QUICK, **{"run.checkpoint_steps": 20})

    def stop(progress):
        if progress.done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mdlite.run(config, "x.h5", progress=stop)
    assert list((folder / "far").glob("*.npz"))
    mdlite.run(config, "x.h5", resume=True)
    assert (folder / "x.h5.checkpoints").is_symlink() and not list((folder / "far").iterdir())


@pytest.mark.thorough
def test_what_stands_in_the_way_inside_a_folder(folder):
    (folder / "v").mkdir()
    os.mkfifo(folder / "v" / "report.md")
    code, told = hostile.call("validate", "trapped", "-q", "--force", "-o", "v")
    assert code == 2 and "report.md" in told and "is a named pipe" in told
    mdlite.sweep(SWEEP, "s", workers=1)
    os.mkfifo(folder / "s" / "results.csv")
    with pytest.raises(mdlite.InputError, match="is a named pipe"):
        results.save("s")
    assert not (folder / "s" / "results.nc").exists()
    (folder / "s" / "results.csv").unlink()
    place = folder / "s" / "points" / "00001"
    (place / "result.json").unlink()
    os.mkfifo(place / "result.json")
    assert "is a named pipe" in mdlite.sweep(SWEEP, "s", workers=1).failed["00001"]


def test_a_sweep_leaves_its_own_file_alone(folder):
    (folder / "d").mkdir()
    text = (
        '# mine\nbase = "trapped"\nset = { method = "time-local", "run.duration" = 1.0 }\ngrid = { "ion.velocity.z" = [2, 3] }\n'
    )
    (folder / "d" / "sweep.toml").write_text(text)
    with pytest.raises(mdlite.InputError, match=r"has a sweep\.toml that is not this sweep's"):
        mdlite.sweep(SWEEP, "d", prepare=True)
    mdlite.sweep("d/sweep.toml", "d", prepare=True)
    mdlite.sweep("d/sweep.toml", "d", prepare=True)
    assert (folder / "d" / "sweep.toml").read_text() == text


def test_a_file_is_written_whole_or_not_at_all(folder):
    (folder / "f").write_text("before")

    def fail(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="output = 'f': cannot be written: No space left on device"):
        outputs.write("f", fail)
    assert (folder / "f").read_text() == "before" and sorted(p.name for p in folder.iterdir()) == ["c.toml", "f", "run.h5"]
    outputs.write("f", "äfter")
    assert (folder / "f").read_text(encoding="utf-8") == "äfter"


def test_checkpoints_are_kept_until_there_is_something_in_their_place(folder):
    """--force that fails before it writes has taken nothing away."""
    config = mdlite.load_case("trapped", **QUICK, **{"run.checkpoint_steps": 20})

    def stop(progress):
        if progress.done >= 50:
            raise Interrupted("stop", 2)

    with pytest.raises(Interrupted):
        mdlite.run(config, "x.h5", progress=stop)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(mdlite.InputError, match="the run needs about"):
        mdlite.run(config.replace(**{"run.duration": 1e9, "run.sample_every": 1}), "x.h5", force=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.thorough
def test_the_working_folder_is_gone(folder):
    place = folder / "gone"
    place.mkdir()
    line = "import os, sys; os.rmdir(os.getcwd()); sys.argv = ['mdlite', *sys.argv[1:]]; from mdlite.cli.main import main; main()"

    def call(*words):
        place.mkdir(exist_ok=True)
        return subprocess.run([sys.executable, "-c", line, *map(str, words)], cwd=place, capture_output=True, text=True)

    for words in (("run", folder / "c.toml", "-q", "-o", "x.h5"), ("export", folder / "run.h5", "-o", "x.xyz")):
        done = call(*words)
        assert done.returncode == 2 and "the working folder has been removed" in done.stderr and done.stderr.count("\n") == 1
    assert call("info", folder / "run.h5").returncode == 0
    assert call("run", folder / "c.toml", "-q", "-o", folder / "x.h5").returncode == 0


def test_the_folder_of_a_run_is_removed_meanwhile(folder):
    (folder / "d").mkdir()

    def remove(progress):
        shutil.rmtree(folder / "d", ignore_errors=True)

    with pytest.raises(RunError, match="was removed while the run went on"):
        mdlite.run(mdlite.load_case("trapped", **QUICK), "d/x.h5", progress=remove)
    told = []

    def removed(state):
        told.append(state)
        shutil.rmtree(folder / "s", ignore_errors=True)

    with pytest.raises((RunError, mdlite.InputError), match="the same command goes on"):
        mdlite.sweep(SWEEP, "s", workers=1, progress=removed)


def test_our_own_json_and_figures_are_replaced_and_no_others(folder):
    assert hostile.call("analyse", "run.h5", "-o", "f.png", "--json", "f.json")[0] == 0
    assert json.loads((folder / "f.json").read_text())["status"] == "complete"
    assert hostile.call("analyse", "run.h5", "-o", "f.png", "--json", "f.json")[0] == 0
    (folder / "f.json").write_text("[" * 100_000)
    assert "exists" in hostile.call("analyse", "run.h5", "-o", "f.png", "--json", "f.json")[1]
