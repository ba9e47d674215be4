"""The dot product, at full vector width and with bits that are laid down.

A sum runs at the machine's speed only if it may be reordered, and what a compiler may reorder it reorders differently from place to place (see
`jit`). So the order stands here, in the compiler's own language: sixteen running sums in vectors of four, multiplied and added in one rounding,
and added up in pairs.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from mdlite.kernels.jit import scalar

WIDTH, VECTORS = 4, 4
BLOCK = WIDTH * VECTORS


@intrinsic
def block_dot(typingctx, a, b, count):
    """Σ a b over the first ``count`` (a multiple of BLOCK) elements of two contiguous float64 arrays."""
    if any(not isinstance(t, types.Array) or t.layout != "C" or t.dtype != types.float64 for t in (a, b)):
        return None
    double = ir.DoubleType()
    vector = ir.VectorType(double, WIDTH)

    def codegen(context, builder, signature, arguments):
        data = [context.make_array(t)(context, builder, value).data for t, value in zip(signature.args[:2], arguments[:2])]
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{WIDTH}f64")
        sums = [cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * WIDTH)) for _ in range(VECTORS)]
        index = arguments[2].type
        step = ir.Constant(index, BLOCK)
        with cgutils.for_range_slice(builder, ir.Constant(index, 0), arguments[2], step) as (n, _):
            for v, total in enumerate(sums):
                place = builder.add(n, ir.Constant(index, v * WIDTH))
                rows = [builder.bitcast(builder.gep(pointer, [place]), vector.as_pointer()) for pointer in data]
                left, right = (builder.load(row, align=8) for row in rows)
                builder.store(builder.call(fma, [left, right, builder.load(total)]), total)
        vectors = [builder.load(total) for total in sums]
        whole = builder.fadd(builder.fadd(vectors[0], vectors[1]), builder.fadd(vectors[2], vectors[3]))
        parts = [builder.extract_element(whole, ir.Constant(ir.IntType(32), n)) for n in range(WIDTH)]
        return builder.fadd(builder.fadd(parts[0], parts[1]), builder.fadd(parts[2], parts[3]))

    return types.float64(a, b, types.intp), codegen


@scalar
def dot(a, b):
    """Σ a b of two contiguous rows of the same length."""
    whole = a.shape[0] // BLOCK * BLOCK
    total = block_dot(a, b, whole)
    for n in range(whole, a.shape[0]):
        total += a[n] * b[n]
    return total
