"""One step of any harmonic crystal: every atom is pulled by all atoms that its force constants reach, each by a 3 × 3 block.

Displacements stand in one flat array, u[κ, component, i, j, k] with κ the atom of the cell (i, j, k); rows along k and planes of rows have a
periodic halo as wide as the blocks reach, so that a neighbour is always the same distance away in memory, but for the plane i, which is
looked up. Velocities have no halo. Four vectors of eight cells are summed at once: a number of a block is fetched once for 32 atoms, and
the twelve sums stay in registers, so that what is left to do is the multiply-adds themselves.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from mdlite.kernels.jit import bare, parallel
from mdlite.kernels.vectors import WIDTH, fma, keep, load, splat, store

TILE = 4
"""Vectors that are summed at once: with their sums they fill 19 of 32 registers, and fewer would be bound by loads."""

_LONG, _DOUBLE = ir.IntType(64), ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, WIDTH)


class Stencil(NamedTuple):
    """A crystal's force constants and the shape of a periodic box of it, as the kernels read them. See `mdlite.crystals.box`."""

    shifts: np.ndarray  # int64 (E,): from a target's place in its plane to the x of the block's source, planes left out
    planes: np.ndarray  # int64 (E,): how many planes up the source is, 0 to n1 - 1
    firsts: np.ndarray  # int64 (p + 1,): where the blocks of every atom of the cell begin
    blocks: np.ndarray  # float64 (9 E,): -Φ of source component, target component, meV/Å²
    sources: np.ndarray  # int64 (4 T,): where vectors of cells begin in a plane of u
    targets: np.ndarray  # int64 (4 T,): and in a plane of v; -1 for what only fills up the last tile
    counts: np.ndarray  # int64 (4 T,): how many cells of the vector there are
    size: np.ndarray  # int64 (3,): cells of the box
    halo: np.ndarray  # int64 (2,): rows and cells of halo on either side
    u_plane: int  # numbers in a plane of u, halo included
    u_pitch: int  # numbers in a row of u, halo included
    v_plane: int
    v_pitch: int
    parts: int  # in which a plane is shared out to threads


@intrinsic
def _accumulate(typingctx, u, places, blocks, span, step, bases, out):
    """out (3, 4, 8), flat: Σ over blocks of span (first, end) of block × u, for four vectors of targets that begin at ``bases`` in u.

    places (E,): from a target to the x of the block's source; step: to its y and z. Sums are formed in the order of the blocks.
    """

    def codegen(context, builder, signature, arguments):
        def data(n):
            return context.make_array(signature.args[n])(context, builder, arguments[n]).data

        def vector_at(pointer, index):
            return builder.bitcast(builder.gep(pointer, [index]), _VECTOR.as_pointer())

        def number(n):
            return ir.Constant(_LONG, n)

        numbers, place, block, base, sums = data(0), data(1), data(2), data(5), data(6)
        first, end = cgutils.unpack_tuple(builder, arguments[3])
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        multiply_add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f64")
        rows = [builder.gep(numbers, [builder.load(builder.gep(base, [number(m)]))]) for m in range(TILE)]
        before, loop, done = builder.block, builder.append_basic_block("block"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        n = builder.phi(_LONG)
        n.add_incoming(first, before)
        totals = [[builder.phi(_VECTOR) for _ in range(TILE)] for _ in range(3)]
        for row in totals:
            for total in row:
                total.add_incoming(ir.Constant(_VECTOR, [0.0] * WIDTH), before)
        new = [list(row) for row in totals]
        at, matrix = builder.load(builder.gep(place, [n])), builder.gep(block, [builder.mul(n, number(9))])
        for source in range(3):
            factors = [_spread(builder, builder.load(builder.gep(matrix, [number(3 * source + target)]))) for target in range(3)]
            offset = builder.add(at, builder.mul(arguments[4], number(source)))
            for m in range(TILE):
                x = builder.load(vector_at(rows[m], offset), align=8)
                for target in range(3):
                    new[target][m] = builder.call(multiply_add, [factors[target], x, new[target][m]])
        after = builder.add(n, number(1))
        n.add_incoming(after, loop)
        for row, values in zip(totals, new):
            for total, value in zip(row, values):
                total.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", after, end), loop, done)
        builder.position_at_end(done)
        for target in range(3):
            for m in range(TILE):
                builder.store(new[target][m], vector_at(sums, number(WIDTH * (TILE * target + m))), align=8)
        return context.get_dummy_value()

    return types.void(u, places, blocks, types.UniTuple(types.intp, 2), types.intp, bases, out), codegen


def _spread(builder, value):
    """A number in every lane."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


@bare
def _kick_part(u, v, stencil, kicks, i, part, places, bases, sums):
    """v += kick × force for one part of plane i. places (E,), bases (4,), sums (96,): scratch."""
    n1 = stencil.size[0]
    u_step, v_step = n1 * stencil.u_plane, n1 * stencil.v_plane
    for n in range(places.shape[0]):
        places[n] = stencil.shifts[n] + (i + stencil.planes[n]) % n1 * stencil.u_plane
    tiles = stencil.targets.shape[0] // TILE
    for tile in range(part * tiles // stencil.parts, (part + 1) * tiles // stencil.parts):
        for m in range(TILE):
            bases[m] = stencil.sources[TILE * tile + m]
        for atom in range(kicks.shape[0]):
            _accumulate(u, places, stencil.blocks, (stencil.firsts[atom], stencil.firsts[atom + 1]), u_step, bases, sums)
            factor = splat(kicks[atom])
            for m in range(TILE):
                target, count = stencil.targets[TILE * tile + m], stencil.counts[TILE * tile + m]
                if target >= 0:
                    for c in range(3):
                        place = (3 * atom + c) * v_step + i * stencil.v_plane + target
                        force = keep(load(sums, WIDTH * (TILE * c + m)), count)
                        store(v, place, fma(factor, force, load(v, place)))


@bare
def force_on(u, stencil, atom, plane, place, component):
    """A component (0 to 2) of the force (meV/Å) on one atom of a cell, which begins at ``place`` in ``plane`` of u; to rounding that of `kick`."""
    step, total = stencil.size[0] * stencil.u_plane, 0.0
    for n in range(stencil.firsts[atom], stencil.firsts[atom + 1]):
        at = place + stencil.shifts[n] + (plane + stencil.planes[n]) % stencil.size[0] * stencil.u_plane
        for source in range(3):
            total += stencil.blocks[9 * n + 3 * source + component] * u[at + source * step]
    return total


@bare
def _drift_row(u, v, row, origin, count, halo, drift):
    """u += drift v for one row, and its halo. origin: where its atoms begin in u; row: in v."""
    factor = splat(drift)
    k = 0
    while k < count:  # beyond the atoms v is zero
        store(u, origin + k, fma(factor, load(v, row + k), load(u, origin + k)))
        k += WIDTH
    for k in range(halo):
        u[origin - halo + k] = u[origin + count - halo + k]
    for k in range(halo):
        u[origin + count + k] = u[origin + k]


@bare
def _drift_plane(u, v, stencil, field, drift):
    """u += drift v for one plane of one component, number ``field`` of all, and its halo."""
    n2, n3, rows, cells = stencil.size[1], stencil.size[2], stencil.halo[0], stencil.halo[1]
    pitch, start = stencil.u_pitch, field * stencil.u_plane
    for j in range(n2):
        origin = start + (rows + j) * pitch + cells
        _drift_row(u, v, field * stencil.v_plane + j * stencil.v_pitch, origin, n3, cells, drift)
    for j in range(rows):
        before, behind = start + j * pitch, start + (rows + n2 + j) * pitch
        for k in range(0, pitch, WIDTH):
            store(u, before + k, load(u, before + n2 * pitch + k))
            store(u, behind + k, load(u, behind - n2 * pitch + k))


@parallel
def kick(u, v, stencil, kicks):
    """v += kick F for all atoms; kicks (p,): kick/m of every atom of the cell, ps per mass. u: with a valid halo."""
    for unit in prange(stencil.size[0] * stencil.parts):
        places, bases = np.empty(stencil.shifts.shape[0], np.int64), np.empty(TILE, np.int64)
        sums = np.empty(3 * TILE * WIDTH)
        _kick_part(u, v, stencil, kicks, unit // stencil.parts, unit % stencil.parts, places, bases, sums)


@parallel
def drift(u, v, stencil, time):
    """u += time v (ps) for all atoms, and the halo of u. Plane by plane, as `kick` goes, so that each thread finds its own planes in its cache."""
    n1 = stencil.size[0]
    fields = u.shape[0] // (n1 * stencil.u_plane)
    for unit in prange(n1 * fields):
        _drift_plane(u, v, stencil, unit % fields * n1 + unit // fields, time)
