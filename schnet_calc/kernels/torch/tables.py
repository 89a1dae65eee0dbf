"""Tables of a SchNet's filter networks on the CPU, and their gradients, by compiled loops."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from schnet_calc.kernels.cpu.activation import KINDS
from schnet_calc.kernels.cpu.dense import Layers, packed
from schnet_calc.kernels.cpu.filters import FilterGradients, FilterTape, tabulate, tabulate_gradient
from schnet_calc.kernels.cpu.threads import n_parts, run_parts


class Tabulated(NamedTuple):
    """Tables, and what their gradients need."""

    tables: Tensor
    """(n_tables, rows, K)"""
    basis: Tensor
    layers: Layers
    tape: FilterTape


def tabulated(basis: Tensor, how: tuple[str, bool], weights: Sequence[Tensor]) -> Tabulated:
    """Compute the tables of :func:`~schnet_calc.kernels.torch.explicit.filter_tables`.

    Parameters
    ----------
    basis : Tensor
        (rows + 2, G) from :func:`~schnet_calc.kernels.torch.explicit.table_basis`, padded.
    how : (str, bool)
        The activation, and whether there is one behind the second layer.
    weights : sequence of Tensor
        (n, K, G), (n, K), (n, K, K), (n, K) of the two layers, padded.
    """
    w1, b1, w2, b2 = (w.numpy() for w in weights)
    (n, n_filters, _), (activation, last), new = w1.shape, how, basis.new_empty
    shape, second = (n, len(basis), n_filters), (n, len(basis) if last else 0, n_filters)
    tape = FilterTape(*(new(s).numpy() for s in (shape, shape, second)))
    tables = new(n, len(basis) - 2, n_filters)
    layers = packed([(w1, b1), (w2, b2)])
    run_parts(tabulate, n_parts(n), basis.numpy(), layers, KINDS[activation], tape, tables.numpy())
    return Tabulated(tables, basis, layers, tape)


def tables_gradients(of: Tabulated, by_tables: Tensor) -> list[Tensor]:
    """Return a loss's derivatives by the four weights, (K, G), (K,), (K, K), (K,), from those by the tables."""
    n, _, n_filters = by_tables.shape
    shapes = ((n, n_filters, of.basis.shape[1]), (n, n_filters), (n, n_filters, n_filters), (n, n_filters))
    found = [by_tables.new_zeros(shape) for shape in shapes]
    gradients = FilterGradients(*(g.numpy() for g in found))
    arrays = (of.basis.numpy(), of.layers, of.tape, by_tables.numpy(), gradients)
    run_parts(tabulate_gradient, n_parts(n), *arrays)
    return found
