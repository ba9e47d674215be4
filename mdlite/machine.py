"""What this machine has left: memory and disk, asked before a long run starts."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from mdlite.errors import InputError


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


def require_disk(path: Path, needed: float) -> None:
    """Raise InputError if the disk of ``path`` has not ``needed`` bytes left."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise InputError(
            f"output = {str(path)!r}: the run needs about {needed / 1e6:.3g} MB, the disk has {free / 1e6:.3g} MB left; "
            "raise run.sample_every or write elsewhere"
        )
