"""Where compiled kernels are kept: a folder that can be written, and in it a file for each, with a checksum.

Numba's own cache believes what it finds: a file cut short by a full disk or a copy gives an UnpicklingError at every later run, or machine code
that crashes. Here every file ends in a checksum of its content and names what it is for; one that does not fit is compiled again and replaced.
Files are written beside and renamed, and there is no index, so that processes which compile at the same time cannot spoil each other's.
"""

import contextlib
import hashlib
import os
import pickle
import platform
import secrets
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace

import llvmlite
import numba
from llvmlite import binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

SEAL = hashlib.sha256().digest_size
VERSIONS = (numba.__version__, llvmlite.__version__, platform.python_implementation(), platform.python_version())
_used: set[str] = set()
_told: list[str] = []


def user_folder() -> Path | None:
    """The user's own cache folder, or None for a user who has no home."""
    with contextlib.suppress(RuntimeError):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return folder if folder.is_absolute() else None
    return None


def can_be_written(folder: Path) -> bool:
    """Whether files can be made there; the folder is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, ValueError):
        return False
    return True


def temporary_folder() -> Path | None:
    """A folder of this user's alone among the temporary files, the same in every process, or a new one; None if there is no room at all."""
    try:
        folder = Path(tempfile.gettempdir()) / f"mdlite-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        folder.mkdir(mode=0o700, exist_ok=True)
        kind = folder.lstat()
        alone = not hasattr(os, "getuid") or (kind.st_uid == os.getuid() and not kind.st_mode & 0o077)
        if stat.S_ISDIR(kind.st_mode) and alone and can_be_written(folder):
            return folder
        return Path(tempfile.mkdtemp(prefix="mdlite-"))
    except OSError:
        return None


def place(variable: str, own: str | None, usual: list[Path | None], what: str) -> tuple[Path | None, str | None]:
    """The first folder that can be written: ``own`` (what the environment's ``variable`` says), the ``usual`` ones, a temporary one.

    Returns it, or None, and a line for the user if it is not where it should be. what: is kept there, in words.
    """
    wanted = [Path(own)] if own else []
    for folder in (*wanted, *usual):
        if folder is not None and can_be_written(folder):
            if own and folder != wanted[0]:
                return folder, f"{variable} = {own!r}: cannot be written; {what} are kept in {folder}"
            return folder, None
    tried = [f"{variable} = {own!r}"] if own else []
    tried += [str(folder) for folder in usual if folder is not None]
    why = f"{what}: {' and '.join(tried) or 'no home folder'} cannot be written"
    folder = temporary_folder()
    if folder is None:
        return None, f"{why}; they are not kept (set {variable} to a folder that can)"
    return folder, f"{why}; they are kept in {folder} (set {variable} to a folder that lasts)"


def read(path: Path) -> bytes | None:
    """The content of a sealed file, or None unless it is there, whole and unchanged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data[:-SEAL] if hashlib.sha256(data[:-SEAL]).digest() == data[-SEAL:] else None


def write(path: Path, content: bytes) -> None:
    """Seal and write a file, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(content + hashlib.sha256(content).digest())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def machine() -> str:
    """A name for this processor, as numba compiles for it, and these versions."""
    features = binding.get_host_cpu_features().flatten() if numba.config.CPU_FEATURES is None else numba.config.CPU_FEATURES
    name = binding.get_host_cpu_name() if numba.config.CPU_NAME is None else numba.config.CPU_NAME
    return hashlib.sha256(repr((VERSIONS, name, features)).encode()).hexdigest()[:16]


def used() -> list[str]:
    """Names of the files that this process has read or written so far."""
    return sorted(_used)


def complaints() -> list[str]:
    """What went wrong since the last call, a line each."""
    lines = list(_told)
    _told.clear()
    return lines


class _Files:
    """Of one kernel: a file for each signature, machine and version."""

    def __init__(self, folder: Path, name: str):
        self._folder, self._name = folder, name

    def _path(self, key) -> Path:
        digest = hashlib.sha256(repr((VERSIONS, key)).encode()).hexdigest()
        return self._folder / f"{self._name}-{digest[:20]}.kernel"

    def load(self, key):
        path = self._path(key)
        content = read(path)
        if content is None:
            return None
        own_key, data = pickle.loads(content)
        if own_key != key:
            return None
        _used.add(path.name)
        return data

    def save(self, key, data) -> None:
        path = self._path(key)
        try:
            write(path, dumps((key, data)))
            _used.add(path.name)
        except OSError as error:
            if not _told:
                _told.append(f"compiled kernels cannot be kept in {self._folder}: {error.strerror or error}")

    def flush(self) -> None:
        """Nothing is kept here."""


class _Reduction(CompileResultCacheImpl):
    """How numba takes a compiled function apart and puts it together; where it is kept is not its business here."""

    def __init__(self, function):
        self._lineno = function.__code__.co_firstlineno
        self._locator = SimpleNamespace(_py_file=function.__code__.co_filename, ensure_cache_path=lambda: None)


class KernelCache(FunctionCache):
    """The cache of one kernel in ``folder``."""

    def __init__(self, function, folder: Path):
        self._name, self._py_func = repr(function), function
        self._impl = _Reduction(function)
        self._cache_path = str(folder)
        self._cache_file = _Files(folder, f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}")
        self.enable()

    def load_overload(self, sig, target_context):
        """As numba's, and None for anything that cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever it is, the sources are there
            return None
