"""Gradients of dense layers by their weights: sums over atoms of products of two features."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from schnet_calc.kernels.cpu.compiling import inner
from schnet_calc.kernels.cpu.dense import SHORT, TALL, VECTORS
from schnet_calc.kernels.cpu.simd import (
    VECTOR_BYTES,
    Vector,
    data_of,
    fma_of,
    intrinsic,
    load_at,
    splat_of,
    store_at,
)


def _tile_of(height: int) -> Any:
    """A function that adds to a tile of so many rows what it summed in registers."""

    @intrinsic
    def tile(typingctx, g, row, n_out, x, column, n_in, n_atoms, out):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _, row, n_out, _, column, n_in, n_atoms, _ = arguments
            g, x, out = (data_of(context, builder, signature.args[k], arguments[k]) for k in (0, 3, 7))
            lanes = Vector(signature.args[0].dtype).lanes
            columns = [builder.add(column, row.type(c * lanes)) for c in range(VECTORS)]
            rows = [builder.add(row, row.type(r)) for r in range(height)]
            zero = ir.Constant(ir.VectorType(x.type.pointee, lanes), None)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in columns] for _ in rows]
            with cgutils.for_range(builder, n_atoms) as loop:
                left, right = builder.mul(loop.index, n_out), builder.mul(loop.index, n_in)
                w = [load_at(builder, x, builder.add(right, c), lanes) for c in columns]
                for r, line in zip(rows, sums, strict=True):
                    value = builder.load(builder.gep(g, [builder.add(left, r)]))
                    value = splat_of(builder, value, lanes)
                    for b, so_far in zip(w, line, strict=True):
                        builder.store(fma_of(builder, value, b, builder.load(so_far)), so_far)
            for r, line in zip(rows, sums, strict=True):
                for c, done in zip(columns, line, strict=True):
                    at = builder.add(builder.mul(r, n_in), c)
                    before = load_at(builder, out, at, lanes)
                    store_at(builder, out, at, builder.fadd(builder.load(done), before))
            return context.get_dummy_value()

        n = types.intp
        return types.void(g, n, n, x, n, n, n, out), codegen

    return tile


_tall, _short, _single = _tile_of(TALL), _tile_of(SHORT), _tile_of(1)


@inner
def outer(g, x, out):  # type: ignore[no-untyped-def]
    """Add ``sum_n g_no x_ni`` to out (n_out, n_in), a layer's weights; g (N, n_out), x (N, n_in)."""
    n_atoms, n_out, n_in = x.shape[0], g.shape[1], x.shape[1]
    gf, xf, of = g.reshape(-1), x.reshape(-1), out.reshape(-1)
    for column in range(0, n_in, VECTORS * VECTOR_BYTES // x.itemsize):
        row = 0
        while row + TALL <= n_out:
            _tall(gf, row, n_out, xf, column, n_in, n_atoms, of)
            row += TALL
        while row + SHORT <= n_out:
            _short(gf, row, n_out, xf, column, n_in, n_atoms, of)
            row += SHORT
        while row < n_out:
            _single(gf, row, n_out, xf, column, n_in, n_atoms, of)
            row += 1


@inner
def column_sums(g, out):  # type: ignore[no-untyped-def]
    """Add the sums over atoms of g (N, n_out) to out (n_out,), a layer's biases."""
    for n in range(g.shape[0]):
        for f in range(g.shape[1]):
            out[f] += g[n, f]
