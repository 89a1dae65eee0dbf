"""The pair loops as tensor operations, differentiable, for any device."""

import torch
from torch import Tensor

from schnet_calc.kernels.splines.cubic import SplinePairs
from schnet_calc.nn import SchNet


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
        (N, F)
    """
    return _scatter(_rows(table, pairs.knot, pairs.weights), y, pairs)


def convolve_adjoint(table: Tensor, y: Tensor, g: Tensor, pairs: SplinePairs) -> tuple[Tensor, Tensor]:
    """What a gradient g = dE/dv means for the features and for the distances.

    Parameters
    ----------
    table, y, pairs
        As in :func:`convolve`.
    g : Tensor
        (N, F), dE/dv, eV.

    Returns
    -------
    Tensor
        (N, F), dE/dy.
    Tensor
        (P,), the share of this convolution in dE/dd.
    """
    u = _scatter(_rows(table, pairs.knot, pairs.weights), g, pairs)
    # index_select, not y[i]: the gradient of that sorts the indices of every gather on CUDA.
    (yi, yj), (gi, gj) = ((x.index_select(0, pairs.i), x.index_select(0, pairs.j)) for x in (y, g))
    cross = yi * gj + yj * gi
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


def neighbor_shares(network: SchNet, i: Tensor, distances: Tensor, n_atoms: int) -> Tensor | float:
    """Return (N, 1) 1 over the number of neighbours within the cutoff, or 1 if the network doesn't divide by it.

    Parameters
    ----------
    network : SchNet
        Says whether, and how far its cutoff reaches.
    i : Tensor
        int64 (E,) receivers of directed pairs.
    distances : Tensor
        (E,) Å.
    n_atoms : int
        N.
    """
    if not network.averages:
        return 1.0
    near = (distances < network.config.reach).to(network.output.weight.dtype)
    counts = near.new_zeros(n_atoms).index_add(0, i, near)
    return (1.0 / counts.clamp(min=1.0))[:, None]
