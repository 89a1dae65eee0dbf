"""Energy and forces of a SchNet as explicit tensor operations.

Automatic differentiation would need two passes for the forces and two more for the gradient of a loss
on them. Written out, the forces are part of the forward pass and one ordinary backward pass remains.
Filters come from a table that is computed anew from the filter networks at every call: its cost does
not depend on the number of pairs, and it is as differentiable as the networks.
"""

import math
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import softplus

from schnet_calc.kernels.splines.cubic import SplineGrid, SplinePairs, spline_pairs, spline_table
from schnet_calc.kernels.torch.ops import convolve, convolve_adjoint
from schnet_calc.nn import Interaction, SchNet
from schnet_calc.nn.basis import CosineCutoff

LN2 = math.log(2.0)


def filter_tables(network: SchNet, grid: SplineGrid) -> list[Tensor]:
    """One (K + 3, F) table per filter network, without the cutoff function."""
    samples = grid.samples(network.output.weight.dtype, network.output.weight.device)
    basis = network.basis(samples)
    return [spline_table(filters(basis)) for filters in network.filters]


def envelope(cutoff: CosineCutoff, distances: Tensor, n_neighbors: float) -> tuple[Tensor, Tensor]:
    """Cutoff function over number of neighbours, and its derivative, both (P,)."""
    factor = cutoff(distances) / n_neighbors
    if not cutoff.active:
        return factor, torch.zeros_like(factor)
    rate = math.pi / cutoff.cutoff
    slope = -0.5 * rate * torch.sin(distances * rate) * (distances < cutoff.cutoff) / n_neighbors
    return factor, slope


def look_up(network: SchNet, grid: SplineGrid, i: Tensor, j: Tensor, d: Tensor) -> SplinePairs:
    """Where each unordered pair (i, j) at distance d (P,) looks into the tables."""
    n_neighbors = network.config.neighbor_average or 1.0
    return spline_pairs(grid, i, j, d, lambda x: envelope(network.cutoff, x, n_neighbors))


def atomic_energies(
    network: SchNet, tables: list[Tensor], numbers: Tensor, pairs: SplinePairs
) -> tuple[Tensor, Tensor]:
    """Atomic energies and the derivative of their sum with respect to every distance.

    Parameters
    ----------
    network : SchNet
        With sum pooling.
    tables : list of Tensor
        From :func:`filter_tables`.
    numbers : Tensor
        int64 (N,).
    pairs : SplinePairs
        From :func:`look_up`.

    Returns
    -------
    Tensor
        (N,) eV.
    Tensor
        (P,) dE/dd, eV/Å.
    """
    x = network.embedding(numbers)
    tape: list[tuple[Tensor, Tensor, Tensor]] = []
    blocks = cast(list[Interaction], list(network.interactions))
    for t, block in enumerate(blocks):
        table = tables[t % len(tables)]
        y = block.dense_in(x)
        a = block.dense_hidden(convolve(table, y, pairs))
        x = x + block.dense_out(softplus(a) - LN2)
        tape.append((table, y, a))
    a = network.output_hidden(x)
    energies = network.output(softplus(a) - LN2).squeeze(-1)
    gx = (torch.sigmoid(a) * network.output.weight) @ network.output_hidden.weight
    slope = gx.new_zeros(len(pairs.i))
    for block, (table, y, a) in zip(reversed(blocks), reversed(tape), strict=True):
        gv = (torch.sigmoid(a) * (gx @ block.dense_out.weight)) @ block.dense_hidden.weight
        gy, share = convolve_adjoint(table, y, gv, pairs)
        slope = slope + share
        gx = gx + gy @ block.dense_in.weight
    return energies, slope


def forces_from_slopes(slope: Tensor, unit: Tensor, i: Tensor, j: Tensor, n_atoms: int) -> Tensor:
    """(N, 3) forces from dE/dd (P,) and the unit vectors (P, 3) that point from i to j."""
    pull = slope[:, None] * unit
    return unit.new_zeros(n_atoms, 3).index_add(0, i, pull).index_add(0, j, -pull)


def virials_from_slopes(
    slope: Tensor, unit: Tensor, vectors: Tensor, system: Tensor, n_systems: int
) -> Tensor:
    """(B, 3, 3) virials from dE/dd (P,), pair vectors (P, 3), unit vectors and each pair's structure."""
    strain = (slope[:, None] * unit)[:, :, None] * vectors[:, None, :]
    return strain.new_zeros(n_systems, 3, 3).index_add(0, system, strain)
