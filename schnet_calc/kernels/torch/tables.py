"""Tables of a SchNet's filter networks on the CPU, as a differentiable operation around compiled loops."""

from typing import Any, cast

import torch
from torch import Tensor

from schnet_calc.kernels.cpu.activation import KINDS
from schnet_calc.kernels.cpu.dense import packed, panel_width
from schnet_calc.kernels.cpu.filters import FilterGradients, FilterTape, tabulate, tabulate_gradient
from schnet_calc.kernels.cpu.threads import n_parts, run_parts
from schnet_calc.kernels.torch.stacks import padded, together
from schnet_calc.nn import SchNet
from schnet_calc.nn.schnet import FilterNetwork


def compiled_tables(network: SchNet, basis: Tensor) -> Tensor:
    """Return (n_tables, rows, K) of :func:`~schnet_calc.kernels.torch.explicit.filter_tables`, K padded.

    Parameters
    ----------
    network : SchNet
        With its filter networks.
    basis : Tensor
        From :func:`~schnet_calc.kernels.torch.explicit.table_basis`.
    """
    networks = cast(list[FilterNetwork], list(network.filters))
    width = panel_width(basis.numpy().dtype)
    weights = []
    for layers in ([f.dense1 for f in networks], [f.dense2 for f in networks]):
        weights.append(padded(together([layer.weight for layer in layers]), 2, width))
        weights.append(padded(together([layer.bias for layer in layers]), 1, width))
    how = (network.config.activation, networks[0].last_activation)
    tables: Tensor = _Tables.apply(padded(basis, 1, width), how, *weights)
    return tables


class _Tables(torch.autograd.Function):
    """Weights (n, K, G), (n, K), (n, K, K), (n, K) to tables (n, R - 2, K)."""

    @staticmethod
    def forward(ctx: Any, basis: Tensor, how: tuple[str, bool], *weights: Tensor) -> Tensor:
        activation, last = how
        n, n_filters, _ = weights[0].shape
        shape = (n, len(basis), n_filters)
        new = basis.new_empty
        second = (n, len(basis) if last else 0, n_filters)
        tape = FilterTape(*(new(s).numpy() for s in (shape, shape, second)))
        tables = new(n, len(basis) - 2, n_filters)
        w1, b1, w2, b2 = (w.detach().numpy() for w in weights)
        layers = packed([(w1, b1), (w2, b2)])
        run_parts(tabulate, n_parts(n), basis.numpy(), layers, KINDS[activation], tape, tables.numpy())
        ctx.kept = basis.numpy(), layers, tape
        ctx.shapes = [w.shape for w in weights]
        return tables

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        by_tables = given[0].contiguous()
        gradients = [by_tables.new_zeros(shape) for shape in ctx.shapes]
        basis, layers, tape = ctx.kept
        found = FilterGradients(*(g.numpy() for g in gradients))
        run_parts(tabulate_gradient, n_parts(len(by_tables)), basis, layers, tape, by_tables.numpy(), found)
        return None, None, *gradients
