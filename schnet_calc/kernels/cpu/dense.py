"""Products of few rows with a dense layer's weights, which lie packed as the processor reads them.

BLAS packs the weights anew at every call and may start threads; for the twenty rows of a molecule both
take longer than the product.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import inner, jit
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


def _tile_of(height: int) -> Any:
    """A function that computes a tile of so many rows in registers."""

    @intrinsic
    def tile(typingctx, x, row, n_in, weights, panel, bias, column, out, n_out, add):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _, row, n_in, _, panel, bias, column, _, n_out, add = arguments
            x, weights, out = (
                data_of(context, builder, signature.args[k], arguments[k]) for k in (0, 3, 7)
            )
            lanes = Vector(signature.args[0].dtype).lanes
            columns = [builder.add(column, row.type(c * lanes)) for c in range(VECTORS)]
            rows = [builder.add(row, row.type(r)) for r in range(height)]
            biases = [builder.add(bias, c) for c in columns]
            start = [load_at(builder, weights, c, lanes) for c in biases]
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
        return types.void(x, n, n, weights, n, n, n, out, n, types.boolean), codegen

    return tile


_tall, _short, _single = _tile_of(TALL), _tile_of(SHORT), _tile_of(1)


class Layers(NamedTuple):
    """Dense layers of any widths in one buffer: compiled code is handed two arrays, however many there are.

    The buffer begins with zeros, as many as the widest layer has outputs: the bias of what has none.
    """

    values: Array
    """weights in panels, and biases"""
    places: NDArray[np.int64]
    """(L, 3) where in the buffer the weights of each layer begin, their transpose, and the bias"""


def packed(kinds: Sequence[tuple[Array, Array]]) -> Layers:
    """Pack the layers of T blocks, those of the first block first.

    Parameters
    ----------
    kinds : sequence of (array, array)
        Weights (T, n_out, n_in) and biases (T, n_out) of each kind of layer, padded to whole panels.
    """
    end, places, by_kind = _places(tuple(weights.shape for weights, _ in kinds))
    values = aligned((end,), kinds[0][0].dtype)
    values[: places[0, 0]] = 0
    for (weights, bias), of_kind in zip(kinds, by_kind, strict=True):
        _pack_kind(weights, bias, values, of_kind)
    return Layers(values, places)


@lru_cache(maxsize=64)  # training asks at every step
def _places(
    shapes: tuple[tuple[int, int, int], ...],
) -> tuple[int, NDArray[np.int64], list[NDArray[np.int64]]]:
    """Length of the buffer for weights (T, n_out, n_in), places of all layers in it, and of each kind."""
    n_blocks, end = shapes[0][0], max(max(shape[1:]) for shape in shapes)
    places = np.empty((len(shapes), n_blocks, 3), np.int64)
    for kind, (_, n_out, n_in) in zip(places, shapes, strict=True):
        for column, size in enumerate((n_out * n_in, n_out * n_in, n_out)):
            kind[:, column] = end + size * np.arange(n_blocks)
            end += n_blocks * size
    return end, places.swapaxes(0, 1).reshape(-1, 3), list(places)


@jit
def _pack_kind(weights, bias, values, places):  # type: ignore[no-untyped-def]
    """Fill the places of T layers, weights (T, n_out, n_in); those come both ways."""
    width = VECTORS * VECTOR_BYTES // weights.itemsize
    n_blocks, n_out, n_in = weights.shape
    for t in range(n_blocks):
        w, ahead, back = weights[t], places[t, 0], places[t, 1]
        for panel in range(0, n_out, width):
            for c in range(width):
                for i in range(n_in):
                    values[ahead + panel * n_in + i * width + c] = w[panel + c, i]
        for panel in range(0, n_in, width):
            for o in range(n_out):
                for c in range(width):
                    values[back + panel * n_out + o * width + c] = w[o, panel + c]
        for o in range(n_out):
            values[places[t, 2] + o] = bias[t, o]


@inner
def dense(x, layers, k, out, add):  # type: ignore[no-untyped-def]
    """Fill out (N, n_out) with layer k of x (N, n_in): ``b + x W``; or add that to it."""
    product(x, layers.values, layers.places[k, 0], layers.places[k, 2], out, add)


@inner
def dense_adjoint(g, layers, k, out, add):  # type: ignore[no-untyped-def]
    """Fill out (N, n_in) with the derivative by the input of layer k from that by its output, g (N, n_out)."""
    product(g, layers.values, layers.places[k, 1], 0, out, add)


@inner
def product(x, values, at, bias, out, add):  # type: ignore[no-untyped-def]
    """Fill out (N, n_out) with bias + x W, or add that to it; x (N, n_in); W and bias begin at places of values.

    Every row is summed in the same order whatever the others are: a batch gives what its members give.
    """
    width = VECTORS * VECTOR_BYTES // x.itemsize
    for first in range(0, x.shape[0], BLOCK):
        last = min(first + BLOCK, x.shape[0])
        some, filled = x[first:last], out[first:last]
        for panel in range(out.shape[1] // width):
            _columns(some, values, at + panel * x.shape[1] * width, bias, panel * width, filled, add)


@inner
def _columns(x, values, at, bias, column, out, add):  # type: ignore[no-untyped-def]
    """One panel of columns, for all rows."""
    n_in, n_out, last, row = x.shape[1], out.shape[1], x.shape[0], 0
    xf, of = x.reshape(-1), out.reshape(-1)
    while row + TALL <= last:
        _tall(xf, row, n_in, values, at, bias, column, of, n_out, add)
        row += TALL
    while row + SHORT <= last:
        _short(xf, row, n_in, values, at, bias, column, of, n_out, add)
        row += SHORT
    while row < last:
        _single(xf, row, n_in, values, at, bias, column, of, n_out, add)
        row += 1
