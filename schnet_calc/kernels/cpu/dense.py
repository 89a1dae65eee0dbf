"""Products of few rows with a dense layer's weights, which lie packed as the processor reads them.

BLAS packs the weights anew at every call and may start threads; for the twenty rows of a molecule both
take longer than the product.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import inner
from schnet_calc.kernels.cpu.simd import (
    VECTOR_BYTES,
    WIDE,
    Vector,
    data_of,
    fma_of,
    intrinsic,
    load_at,
    splat_of,
    store_at,
)

VECTORS = 2
"""Side by side in a tile of results."""
TALL, SHORT = (10, 4) if WIDE else (6, 2)
"""Rows of a tile: as many as there are registers for its sums, and what is left after those."""

BLOCK = 12 * TALL
"""Rows to take all columns of before the next rows: they stay in the cache."""

Array = NDArray[np.floating]


def panel_width(kind: np.dtype[Any]) -> int:
    """Columns of a panel; layers are padded to whole panels."""
    return VECTORS * VECTOR_BYTES // kind.itemsize


def aligned(shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
    """Not set; it begins where a vector may: reading across cache lines takes twice as long."""
    size = math.prod(shape)
    buffer = np.empty(size + 64 // kind.itemsize, kind)
    first = -buffer.__array_interface__["data"][0] % 64 // kind.itemsize
    return buffer[first : first + size].reshape(shape)


def pack(weights: Array) -> Array:
    """(..., C, n_in, width) panels of columns, from weights (..., n_in, n_out) whose n_out are padded."""
    width = panel_width(weights.dtype)
    *outer, n_in, n_out = weights.shape
    panels = np.moveaxis(weights.reshape(*outer, n_in, n_out // width, width), -2, -3)
    packed = aligned(panels.shape, weights.dtype)
    packed[...] = panels
    return packed


def _tile_of(height: int) -> Any:
    """A function that computes a tile of so many rows in registers."""

    @intrinsic
    def tile(typingctx, x, row, n_in, weights, panel, bias, column, out, n_out, add):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _, row, n_in, _, panel, _, column, _, n_out, add = arguments
            x, weights, bias, out = (
                data_of(context, builder, signature.args[k], arguments[k]) for k in (0, 3, 5, 7)
            )
            lanes = Vector(signature.args[0].dtype).lanes
            columns = [builder.add(column, row.type(c * lanes)) for c in range(VECTORS)]
            rows = [builder.add(row, row.type(r)) for r in range(height)]
            start = [load_at(builder, bias, c, lanes) for c in columns]
            sums = [[cgutils.alloca_once_value(builder, b) for b in start] for _ in rows]
            ahead = [builder.gep(x, [builder.mul(r, n_in)]) for r in rows]
            with cgutils.for_range(builder, n_in) as loop:
                at = builder.add(panel, builder.mul(loop.index, row.type(VECTORS * lanes)))
                w = [
                    load_at(builder, weights, builder.add(at, row.type(c * lanes)), lanes)
                    for c in range(VECTORS)
                ]
                for place, line in zip(ahead, sums, strict=True):
                    value = splat_of(builder, builder.load(builder.gep(place, [loop.index])), lanes)
                    for b, so_far in zip(w, line, strict=True):
                        builder.store(fma_of(builder, value, b, builder.load(so_far)), so_far)
            zero = ir.Constant(ir.VectorType(x.type.pointee, lanes), None)
            for r, line in zip(rows, sums, strict=True):
                for c, done in zip(columns, line, strict=True):
                    at = builder.add(builder.mul(r, n_out), c)
                    before = builder.select(add, load_at(builder, out, at, lanes), zero)
                    store_at(builder, out, at, builder.fadd(builder.load(done), before))
            return context.get_dummy_value()

        n = types.intp
        return types.void(x, n, n, weights, n, bias, n, out, n, types.boolean), codegen

    return tile


_tall, _short, _single = _tile_of(TALL), _tile_of(SHORT), _tile_of(1)


@inner
def product(x, weights, bias, out, add):  # type: ignore[no-untyped-def]
    """Out (N, n_out) = bias + x W, or that added to it; x (N, n_in), W packed.

    Every row is summed in the same order whatever the others are: a batch gives what its members give.
    """
    for first in range(0, x.shape[0], BLOCK):
        last = min(first + BLOCK, x.shape[0])
        for panel in range(weights.shape[0]):
            _columns(x, first, last, weights, panel, bias, out, add)


@inner
def _columns(x, first, last, weights, panel, bias, out, add):  # type: ignore[no-untyped-def]
    """One panel of columns, for the rows from first to last."""
    n_in, n_out, width = x.shape[1], out.shape[1], weights.shape[2]
    xf, wf, of = x.reshape(-1), weights.reshape(-1), out.reshape(-1)
    at, column, row = panel * n_in * width, panel * width, first
    while row + TALL <= last:
        _tall(xf, row, n_in, wf, at, bias, column, of, n_out, add)
        row += TALL
    while row + SHORT <= last:
        _short(xf, row, n_in, wf, at, bias, column, of, n_out, add)
        row += SHORT
    while row < last:
        _single(xf, row, n_in, wf, at, bias, column, of, n_out, add)
        row += 1
