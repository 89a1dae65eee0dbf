"""A SchNet's energies and their derivatives by the distances as tensor operations, its filters looked up in tables.

A filter and its slope are polynomials between two knots: one product of the pair's weights with their coefficients
gives both.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor

from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.polynomials import powers
from schnet_calc.kernels.torch.read_out import read_out
from schnet_calc.nn import Interaction, SchNet
from schnet_calc.nn.activation import slope


class LookUp(NamedTuple):
    """Unordered pairs, ready for look-up."""

    i: Tensor
    """int64 (P,): one atom."""
    j: Tensor
    """int64 (P,): the other."""
    interval: Tensor
    """int64 (P,): of the table."""
    weights: Tensor
    """(P, 2, 6): of the interval's coefficients in the filter and in its slope, 1/Å; they hold the cutoff
    function and the neighbour average."""


def look_up(network: SchNet, grid: SplineGrid, i: Tensor, j: Tensor, d: Tensor) -> LookUp:
    """Find where each unordered pair (i, j) at distance d (P,), float64, looks into the tables."""
    x = (d - grid.start) / grid.spacing
    interval = x.floor().clamp(0, grid.n_intervals - 1)
    values, slopes = powers((x - interval).clamp(max=1.0))  # constant behind the last knot
    share = 1.0 / (network.config.neighbor_average or 1.0)
    factor, slope = (share * f[:, None] for f in network.cutoff.with_slope(d))
    rate = (x <= grid.n_intervals).to(d.dtype)[:, None] / grid.spacing
    weights = torch.stack((factor * values, slope * values + factor * rate * slopes), dim=1)
    return LookUp(i, j, interval.long(), weights)


def convolve(table: Tensor, y: Tensor, pairs: LookUp) -> Tensor:
    """Continuous-filter convolution v_i = sum_j W(d_ij) y_j over unordered pairs.

    Parameters
    ----------
    table : Tensor
        (K, 6, F) from :func:`~schnet_calc.kernels.splines.polynomials.polynomial_tables`.
    y : Tensor
        (N, F) features.
    pairs : LookUp
        Where each pair looks.

    Returns
    -------
    Tensor
        (N, F)
    """
    return _scatter(_filters(table, pairs, slice(0, 1))[:, 0], y, pairs)


def convolve_adjoint(table: Tensor, y: Tensor, g: Tensor, pairs: LookUp) -> tuple[Tensor, Tensor]:
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
    filters, slopes = _filters(table, pairs, slice(0, 2)).unbind(1)
    cross = y[pairs.i] * g[pairs.j] + y[pairs.j] * g[pairs.i]
    return _scatter(filters, g, pairs), (slopes * cross).sum(1)


def _filters(table: Tensor, pairs: LookUp, which: slice) -> Tensor:
    """(P, 1 or 2, F): values, and slopes."""
    return torch.bmm(pairs.weights[:, which], table.index_select(0, pairs.interval))


def _scatter(filters: Tensor, y: Tensor, pairs: LookUp) -> Tensor:
    v = torch.zeros_like(y).index_add(0, pairs.i, filters * y.index_select(0, pairs.j))
    return v.index_add(0, pairs.j, filters * y.index_select(0, pairs.i))


def atomic_energies(
    network: SchNet, tables: Tensor, numbers: Tensor, pairs: LookUp
) -> tuple[Tensor, Tensor, Tensor]:
    """Return atomic energies and their derivatives by the distances.

    Parameters
    ----------
    network : SchNet
        Of the type of the tables.
    tables : Tensor
        (n_tables, K, 6, F).
    numbers : Tensor
        int64 (N,).
    pairs : LookUp
        From :func:`look_up`, weights of the network's type.

    Returns
    -------
    Tensor
        (N,) eV.
    Tensor
        (P,) dE/dd, eV/Å, of every pair.
    Tensor
        (N, F) features after all interactions, for further heads.
    """
    blocks = cast(list[Interaction], list(network.interactions))
    x, tape = network.embedding(numbers), []
    for t, block in enumerate(blocks):
        y = block.dense_in(x)
        a = block.dense_hidden(convolve(tables[t % len(tables)], y, pairs))
        x = x + block.dense_out(block.activation(a))
        tape.append((tables[t % len(tables)], y, a))
    energies, gx = read_out(network, x)
    slopes = gx.new_zeros(len(pairs.i))
    for block, (table, y, a) in zip(reversed(blocks), reversed(tape), strict=True):
        gv = (
            slope(network.config.activation, a) * (gx @ block.dense_out.weight)
        ) @ block.dense_hidden.weight
        gy, share = convolve_adjoint(table, y, gv, pairs)
        slopes = slopes + share
        gx = gx + gy @ block.dense_in.weight
    return energies, slopes, x
