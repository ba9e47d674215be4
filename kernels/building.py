"""Compiling a kernel in one piece.

Numba compiles every function that a kernel calls as if it were called from Python as well: optimised, with a wrapper that takes Python's objects
apart, and turned into machine code. Then it is optimised again in every caller, and in the callers of these. Here a function that is called by a
kernel is translated only; the kernel at the top, with all that it calls, is optimised once. That takes a third less time, and gives the same bits.
The same function may be called from Python: it is then a kernel at the top itself.
"""

import threading
import weakref

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

TURNS = threading.RLock()
"""For threads that share a threading layer that cannot be shared."""


class _Translated(JITCodeLibrary):
    """Code as it comes from numba, to be linked into a caller's."""

    def _optimize_functions(self, ll_module):
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._final_module.__library = weakref.proxy(self)
        self._finalized = True


def _translating(compiler: type[Compiler]) -> type[Compiler]:
    """The same compiler, which stops before machine code."""

    class Translating(compiler):
        def define_pipelines(self):
            state = self.state
            state.library = _Translated(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
            state.flags.no_compile = True
            return super().define_pipelines()

    return Translating


class _Part(CPUDispatcher):
    """A function as a part of kernels."""

    def add_overload(self, cres):
        name = object()  # by which numba tells the functions apart that it may call; usually their address
        self.targetctx.insert_user_function(name, cres.fndesc, [cres.library])
        self.overloads[tuple(cres.signature.args)] = cres._replace(entry_point=name)


class Kernel(CPUDispatcher):
    """A function that is called from Python, and by other kernels, of which it is then a part (see `part`)."""

    part: _Part | None = None

    def get_call_template(self, args, kws):
        """What another kernel calls."""
        return super().get_call_template(args, kws) if self.part is None else self.part.get_call_template(args, kws)

    def get_overload(self, sig):
        """What another kernel calls."""
        return super().get_overload(sig) if self.part is None else self.part.get_overload(sig)


class TurnTaking(Kernel):
    """A kernel that waits for those of other threads to end."""

    def __call__(self, *arguments):
        with TURNS:
            return super().__call__(*arguments)


def build(function, kind: type[Kernel], options: dict, compiler: type[Compiler] = Compiler) -> Kernel:
    """The kernel of a function. A loop over threads (``parallel``) is not a part of others: it is compiled once and called by all."""
    options = {"nopython": True, "boundscheck": None, **options}
    kernel = kind(function, targetoptions=options, pipeline_class=compiler)
    if not options.get("parallel"):
        kernel.part = _Part(function, targetoptions=options | {"no_cpython_wrapper": True}, pipeline_class=_translating(compiler))
    return kernel
