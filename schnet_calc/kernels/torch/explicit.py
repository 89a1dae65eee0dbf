"""Energy and forces of a SchNet as explicit tensor operations.

Automatic differentiation would need two passes for the forces and two more for the gradient of a loss
on them. Written out, the forces are part of the forward pass and one ordinary backward pass remains.
On the CPU ``compiled`` does the same with fewer, larger steps.
Filters come from a table that is computed anew from the filter networks at every call: its cost does
not depend on the number of pairs, and it is as differentiable as the networks.
"""

from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor

from schnet_calc.kernels.splines.cubic import SplineGrid, SplinePairs, spline_pairs, spline_table
from schnet_calc.kernels.torch.ops import convolve, convolve_adjoint
from schnet_calc.kernels.torch.stacks import stacked
from schnet_calc.nn import Interaction, SchNet
from schnet_calc.nn.activation import slope
from schnet_calc.nn.schnet import FilterNetwork


def table_basis(network: SchNet, grid: SplineGrid) -> Tensor:
    """Return the radial basis (rows + 2, n_gaussians) that :func:`filter_tables` starts from; it has no weights."""
    samples = grid.samples(network.output.weight.dtype, network.output.weight.device)
    basis: Tensor = network.basis(samples)
    # Of Gaussians far away; subnormal numbers would make products ten times as slow.
    return torch.where(basis.abs() < 1e-30, 0.0, basis).detach()


def filter_tables(network: SchNet, basis: Tensor) -> Tensor:
    """Return (n_tables, rows, K) coefficients of the filter networks, without the cutoff function."""
    networks = cast(list[FilterNetwork], list(network.filters))
    values = basis.expand(len(networks), *basis.shape)
    for k, layers in enumerate(([f.dense1 for f in networks], [f.dense2 for f in networks])):
        weights = stacked([layer.weight for layer in layers])
        biases = stacked([layer.bias for layer in layers])
        values = torch.baddbmm(biases[:, None], values, weights.mT)
        if k == 0 or networks[0].last_activation:
            values = networks[0].activation(values)
    return spline_table(values)


def look_up(network: SchNet, grid: SplineGrid, i: Tensor, j: Tensor, d: Tensor) -> SplinePairs:
    """Find where each unordered pair (i, j) at distance d (P,) looks into the tables.

    Parameters
    ----------
    network : SchNet
        Whose filters are in the tables.
    grid : SplineGrid
        Their knots, Å.
    i, j : Tensor
        (P,) indices of both atoms.
    d : Tensor
        (P,) distances, Å.
    """
    share = 1.0 / (network.config.neighbor_average or 1.0)
    return spline_pairs(grid, i, j, d, partial(_envelope, network, share))


def _envelope(network: SchNet, share: float, x: Tensor) -> tuple[Tensor, Tensor]:
    """Cutoff function over number of neighbours, and its derivative."""
    factor, slope = network.cutoff.with_slope(x)
    return share * factor, share * slope


class Tape(NamedTuple):
    """What a block leaves for the way back."""

    table: Tensor
    y: Tensor
    """(N, K) features before the convolution"""
    a: Tensor
    """(N, F) what goes into the activation"""
    share: Tensor | float
    """(N, 1), or 1: what sums over neighbours are multiplied by"""


def features(
    network: SchNet, tables: Tensor, numbers: Tensor, pairs: SplinePairs, share: Tensor | float = 1.0
) -> tuple[Tensor, list[Tape]]:
    """Return the (N, F) features after all interactions (thesis Eq. 4.7), and what the way back needs.

    Parameters
    ----------
    network : SchNet
        With sum pooling.
    tables : Tensor
        From :func:`filter_tables`.
    numbers : Tensor
        int64 (N,).
    pairs : SplinePairs
        From :func:`look_up`.
    share : Tensor or 1
        From :func:`~schnet_calc.kernels.torch.ops.neighbor_shares`.
    """
    x = network.embedding(numbers)
    tape: list[Tape] = []
    for t, block in enumerate(_blocks(network)):
        table = tables[t % len(tables)]
        y = block.dense_in(x)
        a = block.dense_hidden(share * convolve(table, y, pairs))
        x = x + block.dense_out(block.activation(a))
        tape.append(Tape(table, y, a, share))
    return x, tape


def slopes(network: SchNet, gx: Tensor, tape: list[Tape], pairs: SplinePairs) -> Tensor:
    """Return (P,) derivatives by every distance from those by the last features, gx (N, F).

    Parameters
    ----------
    network : SchNet
        Whose blocks are gone through.
    gx : Tensor
        (N, F) derivatives of the energy, eV, by the last features.
    tape : list of Tape
        What the way up has kept, block by block.
    pairs : SplinePairs
        Where the pairs look.
    """
    activation = network.config.activation
    dd = gx.new_zeros(len(pairs.i))
    for block, (table, y, a, share) in zip(reversed(_blocks(network)), reversed(tape), strict=True):
        gv = (slope(activation, a) * (gx @ block.dense_out.weight)) @ block.dense_hidden.weight
        gy, by_distances = convolve_adjoint(table, y, share * gv, pairs)
        dd = dd + by_distances
        gx = gx + gy @ block.dense_in.weight
    return dd


def _blocks(network: SchNet) -> list[Interaction]:
    return cast(list[Interaction], list(network.interactions))


def forces_from_slopes(slope: Tensor, unit: Tensor, i: Tensor, j: Tensor, n_atoms: int) -> Tensor:
    """Return (N, 3) forces from dE/dd (P,) and the unit vectors (P, 3) that point from i to j.

    Parameters
    ----------
    slope : Tensor
        (P,) dE/dd, eV/Å.
    unit : Tensor
        (P, 3) unit vectors from i to j.
    i, j : Tensor
        (P,) indices of both atoms.
    n_atoms : int
        N.
    """
    pull = slope[:, None] * unit
    return unit.new_zeros(n_atoms, 3).index_add(0, i, pull).index_add(0, j, -pull)


def virials_from_slopes(
    slope: Tensor, unit: Tensor, vectors: Tensor, system: Tensor, n_systems: int
) -> Tensor:
    """Return (B, 3, 3) virials from dE/dd (P,), pair vectors (P, 3), unit vectors and each pair's structure.

    Parameters
    ----------
    slope : Tensor
        (P,) dE/dd, eV/Å.
    unit, vectors : Tensor
        (P, 3) from i to j, the latter in Å.
    system : Tensor
        (P,) the structure of each pair.
    n_systems : int
        B.
    """
    strain = (slope[:, None] * unit)[:, :, None] * vectors[:, None, :]
    return strain.new_zeros(n_systems, 3, 3).index_add(0, system, strain)
