"""Kernels are compiled once, in one phase that says so, kept in a cache that no damage spoils, and run in whatever environment there is."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mdlite import machine
from mdlite.engines import build, compiling
from mdlite.kernels import cache, jit
from mdlite.physics import propagator
from mdlite.simulation.progress import Reporter

HALO = (
    "import numpy as np\nfrom mdlite.kernels import jit, springs, types\nu = np.arange(3 * 4 * 4 * 8.0).reshape(3, 4, 4, 8)\n"
    "springs.fill_halo(u, types.Springs(520.0, 170.0, 3.5, 4))\nassert (u[..., 0] == u[..., 4]).all()\nprint(jit.compiled())"
)


def python(code, cwd, code_expected=0, arguments=(), **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, env=os.environ | environment
    )
    assert done.returncode == code_expected, done.stdout + done.stderr
    return done


def mdlite_command(*arguments, cwd, **environment):
    command = [sys.executable, "-m", "mdlite", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=os.environ | environment)


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("damage", ["cut", "empty", "rubbish", "one bit", "of another version"])
def test_a_damaged_cache_is_compiled_over(tmp_path, damage):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert python(HALO, tmp_path, **kept).stdout.split() == ["1"]
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        content = path.read_bytes()
        middle = len(content) // 2
        if damage == "one bit":
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(
            {
                "cut": content[:middle],
                "empty": b"",
                "rubbish": b"rubbish" * 99,
                "of another version": b"\x80\x05N." + content,
            }.get(damage, content)
        )
    assert python(HALO, tmp_path, **kept).stdout.split() == ["1"]
    assert python(HALO, tmp_path, **kept).stdout.split() == ["0"]  # and it is mended


@pytest.mark.thorough
def test_a_folder_in_the_place_of_a_kernel_is_no_end(tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)}
    python(HALO, tmp_path, **kept)
    (file,) = tmp_path.rglob("springs*")
    file.unlink()
    file.mkdir()
    assert python(HALO, tmp_path, **kept).stdout.split() == ["1"]


def test_without_a_place_for_the_cache_there_is_a_temporary_one_and_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    nowhere = Path("/dev/null/nowhere")
    folder, line = cache.place("NUMBA_CACHE_DIR", "/dev/null/x", [nowhere, None], "the compiled kernels")
    assert folder.parent == tmp_path and "NUMBA_CACHE_DIR = '/dev/null/x'" in line and str(folder) in line
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert cache.place("NUMBA_CACHE_DIR", None, [nowhere], "they")[0] == folder  # the same in every process
    folder.chmod(0o777)  # which somebody else may have filled
    assert cache.place("NUMBA_CACHE_DIR", None, [nowhere], "they")[0] != folder
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: "/dev/null")
    monkeypatch.setattr(cache.tempfile, "mkdtemp", lambda prefix: Path("/dev/null/a").mkdir())
    folder, line = cache.place("NUMBA_CACHE_DIR", None, [None], "the compiled kernels")
    assert folder is None and "not kept" in line


def test_a_place_that_can_be_written_is_no_matter_for_words(tmp_path):
    assert cache.place("X", str(tmp_path / "own"), [], "they") == (tmp_path / "own", None)
    assert cache.place("X", None, [Path("/dev/null/a"), tmp_path], "they") == (tmp_path, None)
    assert cache.place("X", "/dev/null/a", [tmp_path], "they")[0] == tmp_path


@pytest.mark.thorough
def test_nobody_without_a_home_can_run(tmp_path):
    """No entry among the users, no home, sources that cannot be written to: a temporary cache and a line, and the next process finds it."""
    root = Path(compiling.__file__).resolve().parents[2]
    for package in ("mdlite", "kernels"):
        shutil.copytree(root / package, tmp_path / "src" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "src" / "kernels" / "__pycache__").write_text("in the way, also of root")
    code = (
        "import pwd\n"
        "def none(*_): raise KeyError('no such user')\n"
        "pwd.getpwuid = none\nimport mdlite\n"
        "c = mdlite.load_case('trapped', method='time-local', **{'run.duration': 0.01})\n"
        "mdlite.run(c, notice=print)\n"
        "from mdlite.physics import propagator\nfrom mdlite.report import plots\nfrom mdlite.kernels import "
        "jit\nprint(propagator.cache_folder())\nprint(jit.CACHE_FOLDER)"
    )
    away = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NUMBA_CACHE_DIR", "MDLITE_CACHE_DIR")
    surroundings = {name: value for name, value in os.environ.items() if name not in away}
    surroundings |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path / "src"), "NUMBA_NUM_THREADS": "1"}
    for compiled in (True, False):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=surroundings)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        (told,) = [line for line in lines if line.startswith("the compiled kernels: ")]
        assert str(tmp_path / "mdlite-") in told and "NUMBA_CACHE_DIR" in told
        assert any(line.startswith("compiled ") for line in lines) == compiled
        assert all(line.startswith(str(tmp_path / "mdlite-")) for line in lines[-2:])


def test_a_cache_that_can_not_be_written_any_more_is_told(tmp_path, monkeypatch):
    files = cache._Files(tmp_path / "folder", "kernel")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.Path, "mkdir", full)
    files.save(("key",), 1)
    files.save(("other",), 2)
    assert cache.complaints() == [f"compiled kernels cannot be kept in {tmp_path / 'folder'}: No space left on device"]
    assert cache.complaints() == []


def test_the_right_kernel_or_none_comes_out_of_a_file(tmp_path):
    files = cache._Files(tmp_path, "kernel")
    files.save(("key",), [1, 2])
    assert files.load(("key",)) == [1, 2] and files.load(("another",)) is None
    (file,) = tmp_path.iterdir()
    cache.write(file, cache.dumps((("another",), [3])))
    assert files.load(("key",)) is None
    assert [p for p in tmp_path.iterdir() if p != file] == []


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-7], lambda b: b"", lambda b: b"PK\x03\x04" + b, lambda b: b[:200] + b"\1" + b[201:]]
)
def test_a_damaged_table_is_computed_again(tmp_path, damage):
    path, table = tmp_path / "table.npy", np.linspace(0.0, 1.0, 30).reshape(5, 6)
    propagator.write_cached(path, table)
    assert np.array_equal(propagator.read_cached(path, (5, 6)), table) and propagator.read_cached(path, (6, 5)) is None
    path.write_bytes(damage(path.read_bytes()))
    assert propagator.read_cached(path, (5, 6)) is None


RUN = ("run", "trapped", "-o", "x.h5", "--force", "--set", "method=time-local", "--set", "run.duration=0.1")


@pytest.mark.thorough
def test_one_phase_and_one_line_at_each_end_of_it(tmp_path):
    kept = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_NUM_THREADS": "1"}
    told = mdlite_command(*RUN, cwd=tmp_path, **kept).stderr
    (announced,) = re.findall(r"compiling (\d+) kernels, about \d+ s", told)
    (done,) = re.findall(r"compiled (\d+) kernels in [\d.]+ s", told)
    assert int(done) <= int(announced) <= int(done) + 1  # what was said before the run may have compiled the potential
    assert told.index("compiling") < told.index("compiled") < told.index("100 %")
    for path in (tmp_path / "cache").rglob("timelocal.advance*"):
        path.unlink()
    assert "compiled 1 kernels" in mdlite_command(*RUN, cwd=tmp_path, **kept).stderr  # and not in silence
    assert "compil" not in mdlite_command(*RUN, cwd=tmp_path, **kept).stderr


@pytest.mark.thorough
@pytest.mark.skipif(machine.cores() < 2, reason="needs two cores")
def test_helpers_compile_what_this_process_then_finds(tmp_path):
    code = (
        "from mdlite.engines import compiling\nfrom mdlite.kernels import jit\nlines = []\n"
        "assert compiling.compile_groups(['triad', 'time-local'], lines.append) > 0.0\nprint(jit.compiled(), *lines, sep='\\n')\n"
    )
    done = python(code, tmp_path, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="2")
    assert done.stdout.split("\n")[0] == "0" and "compiling 7 kernels" in done.stdout and "compiled 7 kernels" in done.stdout


@pytest.mark.thorough
def test_a_kernel_of_several_groups_is_announced_once(tmp_path):
    """What is announced is what is compiled, by helpers or here: what is in the cache is left out."""
    code = (
        "import sys\nfrom mdlite.engines import compiling\nlines = []\n"
        "compiling.compile_groups(sys.argv[1].split(), lines.append)\nprint(*lines, sep='\\n')\n"
    )

    def counts(groups):
        kept = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "2"}
        told = python(code, tmp_path, arguments=[groups], **kept).stdout
        return [int(n) for n in re.findall(r"compil(?:ing|ed) (\d+) kernels", told)]

    assert counts("edge patch time-local") == [2 + 6 + 4] * 2  # two are of both patch and time-local
    assert counts("time-local absorbing") == [9 - 2] * 2
    (path,) = tmp_path.rglob("absorbing.advance*")
    path.unlink()
    assert counts("time-local absorbing") == [1] * 2


def test_kernels_of_all_groups():
    """The names that groups give: what each compiles in an empty cache was measured, and only names that are there can be shared."""
    known = {f"{k.__module__.rpartition('.')[2]}.{k.__qualname__}" for k in jit.KERNELS}
    for name in compiling.all_groups():
        assert {kernel.partition(":")[0] for kernel in compiling.GROUPS[name].names} <= known, name


@pytest.mark.thorough
@pytest.mark.parametrize("group", compiling.all_groups())
def test_a_group_compiles_what_it_says(tmp_path, group):
    """In an empty cache. Whoever changes kernels brings the names up to date by what this shows."""
    code = f"from mdlite.engines import compiling\ncompiling.all_groups()\ncompiling.GROUPS[{group!r}].touch()"
    python(code, tmp_path, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="1")
    found = sorted(path.name.rsplit("-", 1)[0] for path in tmp_path.rglob("*.kernel"))
    assert found == sorted(name.partition(":")[0] for name in compiling.GROUPS[group].names)


NEEDS = {
    "periodic": {"lattice.size": 12},
    "in place": {"lattice.size": 64},
    "memory-kernel": {"method": "memory-kernel"},
    "implicit": {"method": "implicit"},
    "echo-free": {"lattice.boundary": "echo-free"},
    "absorbing": {"lattice.boundary": "absorbing", "lattice.size": 24, "lattice.absorber_width": 6},
    "snapshots": {"lattice.size": 12, "snapshots": {"every": 1}},
    "replicas": {"method": "reference", "thermal.ions": 1},
    "patches": {"method": "patch"},
    "ensemble": {"method": "implicit", "thermal.lattices": 1},
    "modes": {"method": "time-local", "thermal.motion": "modes"},
}


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("kind", NEEDS)
def test_a_run_calls_only_kernels_that_were_prepared(tmp_path, kind):
    thermal = kind in ("replicas", "patches", "ensemble", "modes")
    case = "diffusion" if thermal else "trapped"
    overrides = {"run.duration": 0.05} | NEEDS[kind] | ({"lattice.size": 10, "thermal.ions": 1} if thermal else {})
    code = (
        "import json, sys\nimport mdlite\nfrom mdlite.engines import build, patch, patch_edge\nfrom mdlite.kernels.jit import KERNELS\n"
        "patch_edge.edge = patch_edge.open_edge\n"
        "patch.warning = lambda *_: None\npatch.patch_facts = lambda *_: {}\n"
        f"config = mdlite.load_case({case!r}, **json.loads({json.dumps(overrides)!r}))\n"
        "build.prepare_for([config])\nbefore = {k.__qualname__ + k.__module__: len(k.overloads) for k in KERNELS}\n"
        "mdlite.run(config, 'x.h5', notice=lambda line: None)\n"
        "print([k.__name__ for k in KERNELS if len(k.overloads) > before[k.__qualname__ + k.__module__]])"
    )
    assert python(code, tmp_path).stdout.split("\n")[0] == "[]"


@pytest.mark.thorough
def test_frames_of_several_crystals_need_no_other_kernel(tmp_path):
    """Rows of one crystal in frames of several are no contiguous array, which is a type of its own to a kernel."""
    thermal = {"energy": 25.0, "lattices": 2, "motion": "modes"}
    keys = {"method": "time-local", "lattice.size": 8, "interaction.atoms": {"kind": "shell", "extent": 1}, "thermal": thermal}
    code = (
        "import mdlite\nfrom mdlite.engines import build\nfrom mdlite.kernels.jit import KERNELS\n"
        f"config = mdlite.load_case('trapped', **{keys!r})\n"
        "build.prepare_for([config])\nbefore = [len(k.overloads) for k in KERNELS]\nbuild.make_engine(config).advance(4)\n"
        "print([k.__name__ for k, n in zip(KERNELS, before) if len(k.overloads) > n])"
    )
    assert python(code, tmp_path).stdout.split("\n")[0] == "[]"


@pytest.mark.parametrize("case", ["trapped", "reflection", "diffusion", "arrhenius", "ladder", "framework", "barriers", "map"])
def test_every_validation_says_what_it_will_run(case):
    import mdlite
    from mdlite import extensions

    config = mdlite.load_case(case)
    found = extensions.find(f"protocol {config.validate_.protocol}").settings(config)
    names = {name for one in found for name in build.groups_of(one)}
    assert names <= compiling.GROUPS.keys()
    if case == "trapped":
        assert {"reference", "time-local", "implicit"} <= names and not {"reference-in-place", "reference-in-turn"} <= names


def test_the_counter_of_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    counter = Reporter().notice.counter(5)
    counter(3, 5)
    counter.close()
    assert "3 of 5 done" in capsys.readouterr().err
    assert Reporter(quiet=True).notice.counter is None


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_compiling_tells_the_truth(tmp_path, number):
    command = [sys.executable, "-m", "mdlite", "run", "trapped", "-o", "x.h5", "--set", "lattice.size=12"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    )
    assert any("kernels" in line for line in running.stderr)
    running.send_signal(number)
    told = running.communicate()[1]
    assert running.returncode == 128 + number and "Traceback" not in told
    assert told.splitlines()[-1].startswith("error: ") and "nothing has been written yet" in told and "x.h5" not in told
    assert not (tmp_path / "x.h5").exists()


@pytest.mark.thorough
def test_a_signal_at_a_file_that_was_there_leaves_it(tmp_path):
    (tmp_path / "x.h5").write_text("an earlier run")
    command = [sys.executable, "-m", "mdlite", "run", "trapped", "-o", "x.h5", "--force"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    )
    assert any("kernels" in line for line in running.stderr)
    running.send_signal(signal.SIGINT)
    assert "x.h5 is as it was before" in running.communicate()[1]
    assert (tmp_path / "x.h5").read_text() == "an earlier run"


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_two_runs_in_threads_of_one_process(tmp_path, layer):
    code = (
        "import threading\nimport numpy as np\nimport mdlite\n"
        "config = mdlite.load_case('trapped', **{'lattice.size': 16, 'run.duration': 1.0})\n"
        "alone, found, told = mdlite.run(config), [], []\n"
        "threads = [threading.Thread(target=lambda: found.append(mdlite.run(config, notice=told.append))) for _ in range(3)]\n"
        "[t.start() for t in threads]\n[t.join() for t in threads]\n"
        "assert len(found) == 3 and all(np.array_equal(run.position, alone.position) for run in found)\nprint(*told)"
    )
    told = python(code, tmp_path, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2").stdout
    assert ("take turns" in told) == (layer == "workqueue")


@pytest.mark.thorough(quick=1)
@pytest.mark.parametrize(
    "variable, value, right",
    [
        ("NUMBA_NUM_THREADS", "0", "must be a whole number of threads, best "),
        ("NUMBA_NUM_THREADS", "-2", "must be a whole number of threads"),
        ("NUMBA_NUM_THREADS", "all", "must be a whole number of threads"),
        ("NUMBA_NUM_THREADS", "1000000", "must be a whole number of threads"),
        ("NUMBA_THREADING_LAYER", "openmp", "must be one of default, safe"),
        ("NUMBA_THREADING_LAYER_PRIORITY", "foo bar", "cannot be started"),
        ("NUMBA_DISABLE_JIT", "1", "take it out"),
    ],
)
def test_a_slip_in_the_environment_gets_one_line(tmp_path, variable, value, right):
    done = mdlite_command("bench-kernel", "--size", 8, "--steps", 1, cwd=tmp_path, **{variable: value})
    assert done.returncode == 2 and right in done.stderr
    assert done.stderr.startswith(f"error: {variable} = {value!r}: ") and len(done.stderr.splitlines()) == 1
    done = python("import mdlite\ntry: mdlite.run\nexcept mdlite.InputError as e: print(e)", tmp_path, **{variable: value})
    assert done.stdout.startswith(f"{variable} = {value!r}: ")


def test_a_layer_that_is_not_installed_gets_one_line(tmp_path):
    pytest.importorskip("numba")
    try:
        import tbb  # noqa: F401

        pytest.skip("it is installed")
    except ImportError:
        pass
    done = mdlite_command("bench-kernel", "--size", 8, "--steps", 1, cwd=tmp_path, NUMBA_THREADING_LAYER="tbb")
    if done.returncode:  # the library may be there without its Python package
        assert done.returncode == 2 and done.stderr.startswith("error: NUMBA_THREADING_LAYER = 'tbb': ")
