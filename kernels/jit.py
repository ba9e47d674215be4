"""Every numba flag of the project, in one place.

No fast-math flag is set. With one, even ``contract``, a kernel just compiled and the same one from the cache can differ in the last bit: a
function is optimised once by itself, and again wherever it is pasted in. Strictly IEEE kernels run at the same speed here (measured: the
lattice, ions, budgets); the one sum that needs more has its order written out (`sums`).

A literal 0 in a call is a type of its own to numba, which then compiles the callee once more: hence ``np.int64(0)`` in some places.

Numba's own cache looks at a function's own file only, and would run (or crash in) a caller compiled against an older callee.
So the cache folder carries a hash of all kernel sources: an edit or an upgrade starts a new one. See `cache` for what is in it.

Numba's threads are started here, because a serial kernel read from the cache does not start those of a parallel one that it
calls, if it was compiled in a process that had that one from the cache already: the first parallel loop would then crash.

A thread of GNU OpenMP spins for milliseconds when it waits for the others, which a busy machine punishes: with one other
process on two cores a small lattice ran 17 times slower than with the short spin that is set here (GOMP_SPINCOUNT overrides).

Numba's workqueue layer, the last resort where there is neither OpenMP nor TBB, ends the process when two threads of it are in parallel loops at the
same time: there kernels wait for each other.
"""

import hashlib
import os
from pathlib import Path

from numba import config, get_num_threads, njit, threading_layer
from numba.core import event
from numba.core.compiler import Compiler

from mdlite.kernels import cache
from mdlite.kernels.building import Kernel, TurnTaking, build
from mdlite.settings import started

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
LAYER = started(lambda: get_num_threads() and threading_layer())
"""How numba makes threads: omp, tbb or workqueue."""


def _cache_folder() -> tuple[Path | None, str | None]:
    """Folder for the compiled kernels of exactly these sources: $NUMBA_CACHE_DIR, beside them, or the user's cache folder; and what to say of it."""
    here = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(here.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    folder, note = cache.place(
        "NUMBA_CACHE_DIR", config.CACHE_DIR, [here / "__pycache__", cache.user_folder()], "the compiled kernels"
    )
    return folder and folder / f"mdlite-{digest.hexdigest()[:16]}", note


CACHE_FOLDER, CACHE_NOTE = _cache_folder()
"""Where compiled kernels are kept (None: nowhere), and a line for the user if that is not where it should be."""
KERNELS = []
"""Every dispatcher made here, so that the user can be told what was compiled."""


def _decorator(compiler=Compiler, **flags):
    kind = TurnTaking if LAYER == "workqueue" else Kernel

    def decorate(function):
        options = {"error_model": "numpy", "no_cfunc_wrapper": True, **flags}
        kernel = build(function, kind, options, compiler)
        if CACHE_FOLDER is not None:
            kernel._cache = cache.KernelCache(function, CACHE_FOLDER)
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


distinct = _decorator(_Distinct)
"""A serial kernel whose array arguments never overlap: without that knowledge a lattice pass does not vectorise, and takes twice as long."""

inlined = njit(error_model="numpy", no_cfunc_wrapper=True, inline="always")
"""A function pasted into the loops that call it, so that they vectorise (a call left to the compiler costs a factor of four)."""

parallel = _decorator(parallel=True)
"""A kernel whose outer loop is split over threads; its iterations write to disjoint places."""


class _Counter(event.Listener):
    """Calls a function after every kernel that has been compiled, parts of others left out."""

    def __init__(self, tell):
        self._tell = tell

    def on_start(self, event):
        pass

    def on_end(self, event):
        if isinstance(event.data["dispatcher"], Kernel):
            self._tell()


def counting(tell):
    """A context in which ``tell()`` is called after every kernel that is compiled."""
    return event.install_listener("numba:compile", _Counter(tell))


def compiled() -> int:
    """How many kernels this process has compiled itself (cache misses)."""
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in KERNELS)
