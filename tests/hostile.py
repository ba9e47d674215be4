"""What a process does with one hostile input, told as exit codes: run inside a worker, so that a crash of it is seen and not suffered."""

import contextlib
import faulthandler
import io
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

MOST_ATOM_STEPS = 2e6


def call(*arguments):
    """`mdlite ...` in this process: exit code and what it said on standard error; any other exception is "traceback"."""
    from mdlite.cli import main

    before, errors = sys.argv, io.StringIO()
    sys.argv = ["mdlite", *map(str, arguments)]
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            try:
                main.main()
                code = 0
            except SystemExit as end:
                code = end.code or 0
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {error}"
    finally:
        sys.argv = before
    return code, errors.getvalue()


def verdict(code, said):
    """What is wrong with an outcome, or None: 0, or 2 with lines that begin with "error: "; a run may also have to stop (1)."""
    if code in (0, 1):
        return None if code == 0 or said.strip().splitlines()[-1].startswith("error: ") else f"exit code 1, said {said!r}"
    if code != 2:
        return f"exit code {code}, said {said!r}"
    lines = [line for line in said.splitlines() if line.strip()]
    if not lines or "Traceback" in said or len(said) > 20_000 or not any(line.startswith("error: ") for line in lines):
        return f"exit code 2 without one clear error: {said!r}"
    return None


def try_config(text: bytes):
    """Load and, if it is small enough, run a configuration file. Returns what is wrong, or None."""
    from mdlite import config
    from mdlite.errors import InputError
    from mdlite.simulation import result

    folder = Path(tempfile.mkdtemp())
    try:
        source, output = folder / "c.toml", folder / "out.h5"
        source.write_bytes(text)
        try:
            loaded = config.load(source)
        except InputError as error:
            return None if str(error) else "an error without words"
        except Exception as error:
            return f"load: {type(error).__name__}: {error}"
        if (
            loaded.n_steps * max(loaded.to_model().lattice.n_atoms, len(loaded.to_model().offsets) * loaded.n_ions)
            > MOST_ATOM_STEPS
        ):
            return None
        if (
            loaded.method == "memory-kernel" and loaded.memory_window / loaded.run.dt > 200
        ) or loaded.lattice.boundary == "echo-free":
            return None  # tables and boxes that take seconds
        code, said = call("run", source, "-o", output, "-q", "--max-walltime", "20s")
        wrong = verdict(code, said)
        left = {p.name for p in folder.iterdir()} - {"c.toml"}
        if wrong is None and code == 2 and left:
            wrong = f"left behind: {left}"
        if wrong is None and code == 0:
            run = result.Run.load(output)
            if run.facts["status"] == "complete" and not (
                np.isfinite(run.position).all() and run.step[-1] == loaded.n_steps and left == {"out.h5"}
            ):
                wrong = "exit code 0, but not a correct run"
        return wrong and f"{wrong}\n{text.decode(errors='replace')}"
    finally:
        shutil.rmtree(folder)


def try_file(data: bytes, truth: dict | None, checkpoints: dict[str, bytes], source: str):
    """Everything that mdlite does with a run's file, on hostile bytes. truth: arrays that it must give, or refuse. Returns what is wrong, or None."""
    from mdlite.errors import InputError
    from mdlite.simulation import result

    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "run.h5"
        path.write_bytes(data)
        try:
            run = result.Run.load(path)
            for name in run.data:
                with contextlib.suppress(InputError):
                    values = run.data[name]
                    if truth is not None and not np.array_equal(values, truth[name]):
                        return f"{name} is wrong, and nothing said so"
        except InputError:
            pass
        except Exception as error:
            return f"load: {type(error).__name__}: {error}"
        for arguments in (
            ("info", path),
            ("export", path, "-o", folder / "x.xyz", "--every", "50"),
        ):
            if wrong := verdict(*call(*arguments)):
                return f"{arguments[0]}: {wrong}"
        for name, content in checkpoints.items():
            place = folder / "run.h5.checkpoints" / name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
        (folder / "c.toml").write_text(source)
        code, said = call("run", folder / "c.toml", "-o", path, "--resume", "-q")
        if wrong := verdict(code, said):
            return f"resume: {wrong}"
        if code == 0 and truth is not None:
            again = result.Run.load(path)
            with contextlib.suppress(InputError):
                if any(not np.array_equal(again.data[name], truth[name]) for name in truth):
                    return "resume: another run than the one that was begun"
        return None
    finally:
        shutil.rmtree(folder)


def prepare():
    """Limit this process, so that a file that claims petabytes cannot take the machine's memory."""
    import resource

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2)
