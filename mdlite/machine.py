"""What this machine has: cores, and the memory and disk that are left, asked before a long run starts."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import shutil
from pathlib import Path

from mdlite.errors import InputError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def libraries():
    """The linear algebra libraries and their threads: ``libraries().limit(limits=1, user_api="blas")`` keeps them to one, whose bits are the same on any
    number of cores."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def available_memory() -> float | None:
    """Bytes that a new process can take without swapping, also within a container's limit; None where the system does not say."""
    found = []
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        found.append(1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")))
    with contextlib.suppress(OSError, ValueError, KeyError):  # cgroup v2; "max" is no number
        group = Path("/sys/fs/cgroup")
        used = dict(line.split() for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines())
        cached = float(used["active_file"]) + float(used["inactive_file"])
        found.append(
            float((group / "memory.max").read_text(encoding="utf-8")) - float((group / "memory.current").read_text()) + cached
        )
    if not found:
        with contextlib.suppress(AttributeError, ValueError, OSError):
            found.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    return min(found, default=None)


def core_cache() -> int:
    """Bytes of cache (level 2) that a core has to itself; 1 MiB where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="utf-8").strip()
        return int(text.rstrip("KM")) * {"K": 2**10, "M": 2**20}.get(text[-1], 1)
    return 2**20


def open_file_limit() -> int | None:
    """How many files this process may have open, raised as far as the system lets it; None where that is not known, or without limit."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return None if soft == resource.RLIM_INFINITY else soft
    except ImportError:  # not a system that has such limits
        return None


def reason(error: OSError) -> str:
    """What the system says, and what to do where its words do not help."""
    if error.errno == errno.EMFILE:
        return f"too many open files: this shell allows {open_file_limit()} (ulimit -n); allow more"
    if error.errno == errno.ENOENT:
        try:
            Path.cwd()
        except OSError:
            return "the working folder has been removed; change to one that is there"
    if told := re.search(r"errno = (\d+)", str(error)):  # HDF5 has many words
        return os.strerror(int(told[1]))
    return error.strerror or str(error)


def require_disk(path: Path, needed: float) -> None:
    """Raise InputError if the disk of ``path`` has not ``needed`` bytes left."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise InputError(
            f"output = {str(path)!r}: the run needs about {needed / 1e6:.3g} MB, the disk has {free / 1e6:.3g} MB left; "
            "raise run.sample_every or write elsewhere"
        )
