"""Where results may be written: every output of every command passes `check_output` or `check_folder`, and appears whole or not at all.

A symbolic link stands for its target: what is written goes there, with all that stands beside it meanwhile, and the link stays.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mdlite import atomic
from mdlite.errors import InputError, RunError
from mdlite.machine import reason

LONGEST_NAME = 240
"""Bytes, so that there is room for what stands beside a file while it is written."""
MOST_LINKS = 40
HDF5, FIGURE, JSON, XYZ, TOML = (".h5", ".hdf5", ".h5md"), (".png", ".pdf", ".svg"), (".json",), (".xyz", ".extxyz"), (".toml",)
"""How the names of files end, by what is in them."""
KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
)


def check_output(
    path: str | Path, force: bool, endings: tuple[str, ...] = (), apart: Mapping[str, str | Path | None] | None = None
) -> Path:
    """The path, links at its end followed, if a file can be written there.

    force: it may exist, as a regular file. endings: how its name may end, besides not at all (a figure's must). apart: other files of the same
    command, by what they are, that it must not be. Raises InputError.
    """
    target = regular(path)
    require_apart(path, apart or {})
    if target.exists() and not force:
        raise _refused(path, "exists; choose another name, or give --force to replace it (--resume to continue a run)")
    with writing(path):
        if not target.parent.is_dir():
            what = "is not a folder" if target.parent.exists() else "does not exist; make it first"
            raise _refused(path, f"the folder {str(target.parent)!r} {what}")
        _require_ending(path, endings)
        if target.exists():
            target.open("r+b").close()
        _try(target)
    return target


def check_folder(path: str | Path, command: str) -> Path:
    """The path, links at its end followed, if it is a folder or can become one; ``command`` needs it. Raises InputError."""
    target, there = _look(path, ending=False)
    if there is not None and not stat.S_ISDIR(there.st_mode):
        raise _refused(path, f"{'is a file' if stat.S_ISREG(there.st_mode) else _kind(there)}; {command} writes a folder")
    return target


def make_folder(folder: Path, path: str | Path) -> None:
    """Make what `check_folder` gave for ``path``, and see that files can be made in it. Raises InputError."""
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        _try(folder / "mdlite")


def require_plain(folder: Path, endings: tuple[str, ...]) -> None:
    """Raise InputError if one of the names in a folder that end like files of ours belongs to something else than a file."""
    for entry in sorted(folder.iterdir()):
        if entry.suffix.lower() in endings:
            regular(entry)


def regular(path: str | Path) -> Path:
    """A path, links at its end followed, with a regular file there or nothing. Raises InputError."""
    target, there = _look(path)
    if there is not None and not stat.S_ISREG(there.st_mode):
        raise _refused(path, f"{_kind(there)}; give the name of a file")
    return target


def require_apart(path: str | Path, others: Mapping[str, str | Path | None]) -> None:
    """Raise InputError if a path is one of the files ``others`` (by what they are), whatever links lead there."""
    for what, other in others.items():
        if other is not None and _same(path, other):
            raise _refused(path, f"is also {what}; give it a name of its own")


def existing(path: str | Path) -> str | Path | None:
    """The path of an input if it is one of a regular file, None for the name of something built in."""
    return path if is_file(path) else None


def is_file(path: str | Path) -> bool:
    """Whether a regular file is there, so that looking into it ends."""
    with contextlib.suppress(OSError, ValueError):
        return stat.S_ISREG(Path(path).stat().st_mode)
    return False


def write(path: str | Path, content: str | bytes | Callable[[Path], object]) -> None:
    """Write a file that is there whole or not at all; content: its text or bytes, or what writes it to a path that it is given.

    A link is followed. Raises RunError.
    """
    try:
        with atomic.replacing(regular(path)) as unfinished:
            if callable(content):
                content(unfinished)
            else:
                unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    except InputError as error:
        raise RunError(str(error)) from None
    except OSError as error:
        raise RunError(f"output = {_text(path)}: cannot be written: {reason(error)}") from None


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what the system says against writing to an output into an InputError."""
    try:
        yield
    except OSError as error:
        raise _refused(path, f"cannot be written: {reason(error)}") from None


def _look(path: str | Path, ending: bool = True) -> tuple[Path, os.stat_result | None]:
    """Where a path leads, and what is there; None for nothing. Raises InputError for what can be no file's name."""
    given = os.fsdecode(path)
    if not given or "\0" in given or not _encodes(given):
        raise _refused(path, "is no name; give the name of a file")
    if ending and given.endswith(os.sep):
        raise _refused(path, "is the name of a folder; give the name of a file")
    target = _followed(Path(given), path)
    if len(os.fsencode(target.name)) > LONGEST_NAME:
        raise _refused(path, f"the name is longer than {LONGEST_NAME} bytes")
    try:
        return target, target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return target, None
    except OSError as error:
        raise _refused(path, f"cannot be written: {reason(error)}") from None


def _encodes(text: str) -> bool:
    with contextlib.suppress(UnicodeError):
        return bool(os.fsencode(text))
    return False


def _followed(target: Path, path: str | Path) -> Path:
    """A path without links at its end."""
    for _ in range(MOST_LINKS):
        try:
            link = target.readlink()
        except OSError:
            return target
        if re.match(r"/(proc|dev(?!/shm/))/", f"{os.path.realpath(target.parent)}/"):
            raise _refused(path, "is a stream of the system, which cannot be replaced; give the name of a file")
        target = Path(os.path.realpath(target.parent)) / link
    raise _refused(path, "is a symbolic link that leads back to itself")


def _try(target: Path) -> None:
    """Make a file beside, and remove it. Raises OSError."""
    probe = atomic.beside(target)
    probe.unlink(missing_ok=True)
    probe.open("xb").close()
    probe.unlink()


def _same(one: str | Path, other: str | Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        if os.path.realpath(one) == os.path.realpath(other):
            return True
        return Path(one).samefile(other)
    return False


def _require_ending(path: str | Path, endings: tuple[str, ...]) -> None:
    """Raise InputError if the name promises something else than what is written; an ending that begins with a digit promises nothing."""
    ending = Path(os.fsdecode(path)).suffix.lower()
    if not endings or ending in endings or (endings != FIGURE and re.fullmatch(r"(\.\d\w*)?", ending)):
        return
    what = {FIGURE: "a figure", HDF5: "an HDF5 file", JSON: "a JSON file", XYZ: "an extended XYZ file", TOML: "a TOML file"}[
        endings
    ]
    raise _refused(path, f"{what}'s name must end in {', '.join(endings[:-1])}{' or ' if endings[1:] else ''}{endings[-1]}")


def _kind(there: os.stat_result) -> str:
    return next((words for test, words in KINDS if test(there.st_mode)), "is not a regular file")


def _text(path: str | Path) -> str:
    text = os.fsdecode(path)
    return repr(text if len(text) <= LONGEST_NAME else text[:60] + "...")


def _refused(path: str | Path, why: str) -> InputError:
    return InputError(f"output = {_text(path)}: {why}")
