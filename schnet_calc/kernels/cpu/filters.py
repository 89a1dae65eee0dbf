"""Tables of filter networks (thesis Fig. 4.2, right) and their gradients by the weights, compiled.

A filter network is two dense layers with an activation between them, maybe with another one behind; its table has
cubic B-spline coefficients of its values, as :func:`~schnet_calc.kernels.splines.cubic.spline_table` makes them.
"""

from typing import NamedTuple

from schnet_calc.kernels.cpu.activation import activate
from schnet_calc.kernels.cpu.barrier import wait
from schnet_calc.kernels.cpu.compiling import inner, jit
from schnet_calc.kernels.cpu.dense import Array, dense, dense_adjoint
from schnet_calc.kernels.cpu.outer import column_sums, outer
from schnet_calc.kernels.cpu.structure import multiply, rows


class FilterTape(NamedTuple):
    """What the way back needs of n networks at R distances."""

    h: Array
    """(n, R, K) behind the first activation"""
    slope: Array
    """(n, R, K) its derivative"""
    last: Array
    """(n, R, K) the second activation's derivative; (n, 0, K) where there is none"""


class FilterGradients(NamedTuple):
    """Of a loss by the weights of n networks."""

    w1: Array
    """(n, K, G)"""
    b1: Array
    """(n, K)"""
    w2: Array
    """(n, K, K)"""
    b2: Array
    """(n, K)"""


@jit
def tabulate(me, basis, layers, activation, tape, tables):  # type: ignore[no-untyped-def]
    """Fill tables (n, R - 2, K) from the basis (R, G) and two layers of each network."""
    values = rows(basis.shape[0], tables.shape[2], tables)
    for t in range(me.part, tables.shape[0], me.n_parts):
        dense(basis, layers, 2 * t, tape.h[t], False)
        activate(tape.h[t], tape.slope[t], activation)
        dense(tape.h[t], layers, 2 * t + 1, values, False)
        if tape.last.shape[1] > 0:
            activate(values, tape.last[t], activation)
        _coefficients(values, tables[t])
    wait(me, 0)


@jit
def tabulate_gradient(me, basis, layers, tape, by_tables, gradients):  # type: ignore[no-untyped-def]
    """Add to gradients what those by the tables mean for the weights."""
    by_values = rows(basis.shape[0], by_tables.shape[2], by_tables)
    by_hidden = rows(basis.shape[0], by_tables.shape[2], by_tables)
    for t in range(me.part, by_tables.shape[0], me.n_parts):
        _by_values(by_tables[t], by_values)
        if tape.last.shape[1] > 0:
            multiply(by_values, tape.last[t])
        outer(by_values, tape.h[t], gradients.w2[t])
        column_sums(by_values, gradients.b2[t])
        dense_adjoint(by_values, layers, 2 * t + 1, by_hidden, False)
        multiply(by_hidden, tape.slope[t])
        outer(by_hidden, basis, gradients.w1[t])
        column_sums(by_hidden, gradients.b1[t])
    wait(me, 0)


@inner
def _coefficients(values, table):  # type: ignore[no-untyped-def]
    """Fill a table (R - 2, K) from values (R, K)."""
    eight, sixth = table.dtype.type(8.0), table.dtype.type(1.0 / 6.0)
    for r in range(table.shape[0]):
        for k in range(table.shape[1]):
            table[r, k] = sixth * (eight * values[r + 1, k] - values[r, k] - values[r + 2, k])


@inner
def _by_values(by_table, by_values):  # type: ignore[no-untyped-def]
    """The same backwards: fill (R, K) from (R - 2, K)."""
    n, eight, sixth = by_table.shape[0], by_table.dtype.type(8.0), by_table.dtype.type(1.0 / 6.0)
    for r in range(n + 2):
        for k in range(by_table.shape[1]):
            sum_ = by_table.dtype.type(0.0)
            if 0 < r <= n:
                sum_ += eight * by_table[r - 1, k]
            if r < n:
                sum_ -= by_table[r, k]
            if r > 1:
                sum_ -= by_table[r - 2, k]
            by_values[r, k] = sixth * sum_
