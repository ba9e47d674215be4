"""Every numba flag of the project, in one place, and where compiled kernels are kept.

No fast-math flag is set. With one, even ``contract``, a kernel just compiled and the same one from the cache can differ in the last bit: a
function is optimised once by itself, and again wherever it is pasted in. Strictly IEEE kernels run at the same speed here (measured: the
lattice, ions, budgets); the one sum that needs more has its order written out (`sums`).

A literal 0 in a call is a type of its own to numba, which then compiles the callee once more: hence ``np.int64(0)`` in some places.

Numba's own cache looks at a function's own file only, and would run (or crash in) a caller compiled against an older callee.
So the cache folder carries a hash of all kernel sources: an edit or an upgrade starts a new one.

Numba's threads are started here, because a serial kernel read from the cache does not start those of a parallel one that it
calls, if it was compiled in a process that had that one from the cache already: the first parallel loop would then crash.

A thread of GNU OpenMP spins for milliseconds when it waits for the others, which a busy machine punishes: with one other
process on two cores a small lattice ran 17 times slower than with the short spin that is set here (GOMP_SPINCOUNT overrides).
"""

import hashlib
import os
from pathlib import Path

from numba import config, get_num_threads, njit
from numba.core.compiler import Compiler

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
get_num_threads()


def _cache_folder() -> str:
    """Folder for the compiled kernels of exactly these sources: $NUMBA_CACHE_DIR, beside them, or the user's cache folder."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(here.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    name = f"mdlite-{digest.hexdigest()[:16]}"
    if config.CACHE_DIR:
        return str(Path(config.CACHE_DIR) / name)
    own = here / "__pycache__"
    if os.access(own if own.exists() else here, os.W_OK):
        return str(own / name)
    return str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / name)


CACHE_FOLDER = _cache_folder()
KERNELS = []
"""Every dispatcher made here, so that the user can be told what was compiled."""


def _decorator(**flags):
    def decorate(function):
        before, config.CACHE_DIR = config.CACHE_DIR, CACHE_FOLDER
        try:
            kernel = njit(cache=True, error_model="numpy", no_cfunc_wrapper=True, **flags)(function)
        finally:
            config.CACHE_DIR = before
        KERNELS.append(kernel)
        return kernel

    return decorate


scalar = _decorator()
"""A serial kernel, or a function that a kernel calls."""


bare = _decorator(_nrt=False)
"""A serial kernel that makes and returns no arrays, and so counts no references to them: counting takes longer than the arithmetic for one ion."""


class _Distinct(Compiler):
    """Numba's compiler, told that array arguments do not overlap (it says so itself of the loops that it makes parallel)."""

    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


distinct = _decorator(pipeline_class=_Distinct)
"""A serial kernel whose array arguments never overlap: without that knowledge a lattice pass does not vectorise, and takes twice as long."""

inlined = _decorator(inline="always")
"""A function pasted into the loops that call it, so that they vectorise (a call left to the compiler costs a factor of four)."""

parallel = _decorator(parallel=True)
"""A kernel whose outer loop is split over threads; its iterations write to disjoint places."""


def compiled() -> int:
    """How many kernels this process has compiled itself (cache misses), callees included."""
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in KERNELS if hasattr(kernel, "stats"))
