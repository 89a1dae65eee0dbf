"""The pair loops as differentiable torch operations: numba on the CPU, tensor operations elsewhere."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schnet_calc.kernels.cpu.threads import thread_pool
from schnet_calc.kernels.splines.cubic import SplinePairs
from schnet_calc.kernels.torch import loops
from schnet_calc.kernels.torch.loops import CHUNK


def _run(loop: Callable[..., None], n_chunks: int, arrays: list[Any]) -> None:
    """Run a loop over all chunks of features, on as many threads as torch may use."""
    n_threads = min(torch.get_num_threads(), n_chunks)
    if n_threads == 1:
        loop(0, n_chunks, *arrays)
        return
    bounds = [n_chunks * n // n_threads for n in range(n_threads + 1)]
    ranges = list(pairwise(bounds))
    futures = [thread_pool(n_threads).submit(loop, c0, c1, *arrays) for c0, c1 in ranges[1:]]
    loop(*ranges[0], *arrays)
    for future in futures:
        future.result()


def _pack(rows: list[Tensor], n_results: int) -> Tensor:
    """(chunks, N, m, CHUNK) from m tensors (N, F), the last ``n_results`` of the m zero."""
    n, n_features = rows[0].shape
    n_chunks = -(-n_features // CHUNK)
    packed = rows[0].new_zeros(n_chunks, n, len(rows) + n_results, CHUNK)
    for m, row in enumerate(rows):
        if n_features % CHUNK:
            row = torch.nn.functional.pad(row, (0, n_chunks * CHUNK - n_features))
        packed[:, :, m] = row.view(n, n_chunks, CHUNK).transpose(0, 1)
    return packed


def _unpack(packed: Tensor, m: int, n_features: int) -> Tensor:
    """(N, F): the m-th tensor of a packed array."""
    n_chunks, n = packed.shape[:2]
    return packed[:, :, m].transpose(0, 1).reshape(n, n_chunks * CHUNK)[:, :n_features]


def _pair_arrays(pairs: SplinePairs) -> list[Any]:
    indices = [x.numpy().view(np.uint64) for x in (pairs.i, pairs.j, pairs.knot)]
    return [*indices, pairs.weights.numpy(), pairs.slopes.numpy()]


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, y: Tensor, pairs: SplinePairs) -> Tensor:
        t, x = _pack([table], 0), _pack([y], 1)
        i, j, knot, w, _ = _pair_arrays(pairs)
        _run(loops.convolve, len(x), [i, j, knot, w, t.numpy(), x.numpy()])
        ctx.save_for_backward(table, y)
        ctx.pairs = pairs
        return _unpack(x, 1, y.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        table, y = ctx.saved_tensors
        t, x = _pack([table], 1), _pack([y, gradients[0].contiguous()], 1)
        i, j, knot, w, _ = _pair_arrays(ctx.pairs)
        _run(loops.convolve_backward, len(x), [i, j, knot, w, t.numpy(), x.numpy()])
        return _unpack(t, 1, y.shape[1]), _unpack(x, 2, y.shape[1]), None


class _ConvolveAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, y: Tensor, g: Tensor, pairs: SplinePairs) -> tuple[Tensor, Tensor]:
        t, x = _pack([table], 0), _pack([y, g.contiguous()], 1)
        s = y.new_zeros(len(x), len(pairs.i))
        arrays = [*_pair_arrays(pairs), t.numpy(), x.numpy(), s.numpy()]
        _run(loops.convolve_adjoint, len(x), arrays)
        ctx.save_for_backward(table, y, g)
        ctx.pairs = pairs
        return _unpack(x, 2, y.shape[1]), s.sum(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        table, y, g = ctx.saved_tensors
        gu, gs = (x.contiguous() for x in gradients)
        t, x = _pack([table], 1), _pack([y, g.contiguous(), gu], 2)
        arrays = [*_pair_arrays(ctx.pairs), t.numpy(), x.numpy(), gs.numpy()]
        _run(loops.convolve_adjoint_backward, len(x), arrays)
        n_features = y.shape[1]
        return _unpack(t, 1, n_features), _unpack(x, 3, n_features), _unpack(x, 4, n_features), None


def convolve(table: Tensor, y: Tensor, pairs: SplinePairs) -> Tensor:
    """Continuous-filter convolution v_i = sum_j W(d_ij) y_j over unordered pairs.

    Parameters
    ----------
    table : Tensor
        (K + 3, F) coefficients from :func:`~schnet_calc.kernels.splines.cubic.spline_table`.
    y : Tensor
        (N, F) features.
    pairs : SplinePairs
        Where each pair looks.

    Returns
    -------
    Tensor
        (N, F), differentiable once with respect to table and y.
    """
    if y.device.type == "cpu":
        v: Tensor = _Convolve.apply(table, y, pairs)
        return v
    return _scatter(_rows(table, pairs.knot, pairs.weights), y, pairs)


def convolve_adjoint(table: Tensor, y: Tensor, g: Tensor, pairs: SplinePairs) -> tuple[Tensor, Tensor]:
    """What a gradient g = dE/dv means for the features and for the distances.

    Parameters
    ----------
    table, y, pairs
        As in :func:`convolve`.
    g : Tensor
        (N, F), dE/dv.

    Returns
    -------
    Tensor
        (N, F), dE/dy.
    Tensor
        (P,), the share of this convolution in dE/dd.
    """
    if y.device.type == "cpu":
        result: tuple[Tensor, Tensor] = _ConvolveAdjoint.apply(table, y, g, pairs)
        return result
    u = _scatter(_rows(table, pairs.knot, pairs.weights), g, pairs)
    cross = y[pairs.i] * g[pairs.j] + y[pairs.j] * g[pairs.i]
    return u, (_rows(table, pairs.knot, pairs.slopes) * cross).sum(1)


def _rows(table: Tensor, knot: Tensor, weights: Tensor) -> Tensor:
    """(P, F): the weighted sums of four rows of the table."""
    filters = weights[:, :1] * table.index_select(0, knot)
    for m in range(1, 4):
        filters = filters + weights[:, m : m + 1] * table.index_select(0, knot + m)
    return filters


def _scatter(filters: Tensor, y: Tensor, pairs: SplinePairs) -> Tensor:
    v = torch.zeros_like(y).index_add(0, pairs.i, filters * y.index_select(0, pairs.j))
    return v.index_add(0, pairs.j, filters * y.index_select(0, pairs.i))
