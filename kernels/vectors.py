"""Vectors of eight numbers, for the kernels which the compiler left to itself computes at half the width, with twice the loads, or one by one.

`+`, `-`, `*`, `/` (also with a number), `math.sqrt` and `math.exp` work lane by lane; `fma` rounds once, on every machine. The eight lanes fill one
register of a processor with AVX-512 and take two or four of one without.
"""

import math
import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import PrimitiveModel, register_default
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, overload

from mdlite.kernels.jit import inlined

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


def _spread(builder, value, kind):
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(_INT, WIDTH), [0] * WIDTH))


def _register(symbol, instruction):
    pairs = (vector, vector), (vector, types.float64), (types.float64, vector)

    @infer_global(symbol)
    class Signature(ConcreteTemplate):
        cases = tuple(signature(vector, *pair) for pair in pairs)

    def lower(context, builder, signature, arguments):
        left, right = (x if x.type == _VECTOR else _spread(builder, x, _VECTOR) for x in arguments)
        return getattr(builder, instruction)(left, right)

    for pair in pairs:
        lower_builtin(symbol, *pair)(lower)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _register(_symbol, _instruction)


def _place(context, builder, array_type, array, n):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [n]), _VECTOR.as_pointer())


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


def _call(name, count):
    """Code for an LLVM intrinsic of ``count`` vectors."""

    def codegen(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * count), f"llvm.{name}.v{WIDTH}f64"
        )
        return builder.call(function, arguments)

    return vector(*[vector] * count), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a b + c, rounded once."""
    return _call("fma", 3)


@intrinsic
def nearest(typingctx, x):
    """The nearest whole numbers."""
    return _call("rint", 1)


@intrinsic
def lesser(typingctx, x, y):
    """The smaller of each pair."""
    return _call("minnum", 2)


@intrinsic
def greater(typingctx, x, y):
    """The larger of each pair."""
    return _call("maxnum", 2)


@intrinsic
def root(typingctx, x):
    """Square roots."""
    return _call("sqrt", 1)


@intrinsic
def power_of_two(typingctx, n):
    """2^n for whole n between -1022 and 1023."""

    def codegen(context, builder, signature, arguments):
        exponent = builder.add(builder.fptosi(arguments[0], _LONGS), ir.Constant(_LONGS, [1023] * WIDTH))
        return builder.bitcast(builder.shl(exponent, ir.Constant(_LONGS, [52] * WIDTH)), _VECTOR)

    return vector(vector), codegen


@intrinsic
def where_zero(typingctx, x, yes, no):
    """``yes`` in the lanes where x is zero, ``no`` in the others."""

    def codegen(context, builder, signature, arguments):
        zero = builder.fcmp_ordered("==", arguments[0], ir.Constant(_VECTOR, [0.0] * WIDTH))
        return builder.select(zero, arguments[1], arguments[2])

    return vector(vector, vector, vector), codegen


@intrinsic
def total(typingctx, x):
    """The sum of the lanes, in pairs."""

    def codegen(context, builder, signature, arguments):
        parts = [builder.extract_element(arguments[0], ir.Constant(_INT, n)) for n in range(WIDTH)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(a, b) for a, b in zip(parts[:half], parts[half:])]
        return parts[0]

    return types.float64(vector), codegen


@intrinsic
def largest(typingctx, x):
    """The largest absolute value of the lanes."""

    def codegen(context, builder, signature, arguments):
        size = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), f"llvm.fabs.v{WIDTH}f64")
        most = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.DoubleType(), [_VECTOR]), f"llvm.vector.reduce.fmax.v{WIDTH}f64"
        )
        return builder.call(most, [builder.call(size, arguments)])

    return types.float64(vector), codegen


@inlined
def _exponential(x):
    """e^x to one unit in the last place: e^x = 2^n e^r, |r| <= ln 2 / 2, with the Taylor series of e^r; beyond ±708 it stays where it is there,
    as it does for no number at all."""
    x = greater(lesser(x, splat(708.0)), splat(-708.0))
    n = nearest(x * 1.4426950408889634)
    r = fma(n, splat(-1.9082149292705877e-10), fma(n, splat(-0.6931471803691238), x))
    s = r * r
    even = splat(1.0 / 479001600.0)
    odd = splat(1.0 / 6227020800.0)
    even = fma(even, s, splat(1.0 / 3628800.0))
    odd = fma(odd, s, splat(1.0 / 39916800.0))
    even = fma(even, s, splat(1.0 / 40320.0))
    odd = fma(odd, s, splat(1.0 / 362880.0))
    even = fma(even, s, splat(1.0 / 720.0))
    odd = fma(odd, s, splat(1.0 / 5040.0))
    even = fma(even, s, splat(1.0 / 24.0))
    odd = fma(odd, s, splat(1.0 / 120.0))
    even = fma(even, s, splat(0.5))
    odd = fma(odd, s, splat(1.0 / 6.0))
    odd = fma(odd, s, splat(1.0))
    return fma(fma(odd, r, even * s), power_of_two(n), power_of_two(n))


@overload(math.exp, inline="always")
def _exp(x):
    if isinstance(x, VectorType):
        return lambda x: _exponential(x)


@overload(math.sqrt, inline="always")
def _sqrt(x):
    if isinstance(x, VectorType):
        return lambda x: root(x)
