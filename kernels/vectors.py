"""Vectors of eight numbers for the lattice kernel, which the compiler left to itself computes at half the width and with twice the loads.

`+`, `-` and `*` work lane by lane; `fma` rounds once, on every machine. The eight lanes fill one register of a processor with AVX-512 and take
two or four of one without.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import PrimitiveModel, register_default
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic

WIDTH = 8

_INT = ir.IntType(32)
_VECTOR, _LONGS = ir.VectorType(ir.DoubleType(), WIDTH), ir.VectorType(ir.IntType(64), WIDTH)


class VectorType(types.Type):
    """Numba's type of eight float64."""

    def __init__(self):
        super().__init__(name=f"float64x{WIDTH}")


vector = VectorType()


@register_default(VectorType)
class _VectorModel(PrimitiveModel):
    def __init__(self, manager, frontend_type):
        super().__init__(manager, frontend_type, _VECTOR)


def _register(symbol, instruction):
    @infer_global(symbol)
    class Signature(ConcreteTemplate):
        cases = (signature(vector, vector, vector),)

    @lower_builtin(symbol, vector, vector)
    def lower(context, builder, signature, arguments):
        return getattr(builder, instruction)(*arguments)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _register(_symbol, _instruction)


def _place(context, builder, array_type, array, n):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [n]), _VECTOR.as_pointer())


def _spread(builder, value, kind):
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(_INT, WIDTH), [0] * WIDTH))


def _flat(array):
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float64


@intrinsic
def load(typingctx, array, n):
    """Elements n .. n + 7 of a flat contiguous float64 array."""
    if not _flat(array):
        return None

    def codegen(context, builder, signature, arguments):
        return builder.load(_place(context, builder, signature.args[0], *arguments), align=8)

    return vector(array, types.intp), codegen


@intrinsic
def store(typingctx, array, n, x):
    """Write x to the elements n .. n + 7 of a flat contiguous float64 array."""
    if not _flat(array):
        return None

    def codegen(context, builder, signature, arguments):
        builder.store(arguments[2], _place(context, builder, signature.args[0], *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def prefetch(typingctx, array, n):
    """Ask for the cache line of element n of a flat array, for reading; n may lie outside of the array."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT, _INT, _INT])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, ir.Constant(_INT, 0), ir.Constant(_INT, 3), ir.Constant(_INT, 1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def splat(typingctx, x):
    """x in every lane."""

    def codegen(context, builder, signature, arguments):
        return _spread(builder, arguments[0], _VECTOR)

    return vector(types.float64), codegen


@intrinsic
def keep(typingctx, x, count):
    """x in the first ``count`` lanes, 0 in the others."""

    def codegen(context, builder, signature, arguments):
        lane = ir.Constant(_LONGS, list(range(WIDTH)))
        kept = builder.icmp_signed("<", lane, _spread(builder, arguments[1], _LONGS))
        return builder.select(kept, arguments[0], ir.Constant(_VECTOR, [0.0] * WIDTH))

    return vector(vector, types.intp), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a b + c, rounded once."""

    def codegen(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{WIDTH}f64"
        )
        return builder.call(function, arguments)

    return vector(vector, vector, vector), codegen


def _shuffle(lanes):
    def codegen(context, builder, signature, arguments):
        return builder.shuffle_vector(*arguments, ir.Constant(ir.VectorType(_INT, WIDTH), lanes))

    return vector(vector, vector), codegen


@intrinsic
def following(typingctx, x, after):
    """Of the sixteen numbers x, after: those one place behind x, (x1, ... x7, after0)."""
    return _shuffle(list(range(1, WIDTH + 1)))


@intrinsic
def preceding(typingctx, before, x):
    """Of the sixteen numbers before, x: those one place ahead of x, (before7, x0, ... x6)."""
    return _shuffle(list(range(WIDTH - 1, 2 * WIDTH - 1)))
