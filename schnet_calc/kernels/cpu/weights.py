"""A SchNet's numbers as compiled code reads them."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.dense import Array, aligned, pack, panel_width
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.quintic import quintic_tables
from schnet_calc.nn import Interaction, SchNet


class Weights(NamedTuple):
    """A SchNet as arrays; features and hidden units padded with zeros to F and H, whole panels.

    Layers are packed for :func:`~schnet_calc.kernels.cpu.dense.product`: C panels of so many columns.
    """

    embedding: Array
    """(Z, F)"""
    lifted: Array
    """(Z, F) what the first layer makes of it: no need to compute that for each atom"""
    tables: Array
    """(n_filters, K + 5, F) coefficients of quintic B-splines"""
    dense: Array
    """(T, 3, C, F, width) the three atom-wise layers of a block"""
    dense_back: Array
    """(T, 3, C, F, width) their transposes, for derivatives"""
    bias: Array
    """(T, 3, F)"""
    no_bias: Array
    """(F,) zeros"""
    hidden: Array
    """(C, F, width)"""
    hidden_back: Array
    """(C, H, width)"""
    hidden_bias: Array
    """(H,)"""
    output: Array
    """(H,)"""
    constants: NDArray[np.float64]
    """output bias, grid start, grid spacing, cutoff, 1 / number of neighbours"""


def network_arrays(network: SchNet, grid: SplineGrid, dtype: torch.dtype) -> Weights:
    """Arrays of a float64 network; tables are built in float64 and then cast."""
    config = network.config
    kind = np.dtype(str(dtype).removeprefix("torch."))

    def padded(x: torch.Tensor, *axes: int) -> Array:
        width = panel_width(kind)
        shape = tuple(-(-s // width) * width if k in axes else s for k, s in enumerate(x.shape))
        result = aligned(shape, kind)
        result[...] = 0.0
        result[tuple(slice(s) for s in x.shape)] = x.detach().numpy()
        return result

    blocks = [block for block in network.interactions if isinstance(block, Interaction)]
    layers = [(block.dense_in, block.dense_hidden, block.dense_out) for block in blocks]
    dense = padded(torch.stack([torch.stack([layer.weight for layer in block]) for block in layers]), 2, 3)
    hidden = padded(network.output_hidden.weight, 0, 1)
    bias = padded(torch.stack([torch.stack([layer.bias for layer in block]) for block in layers]), 2)
    return Weights(
        embedding=padded(network.embedding.weight, 1),
        lifted=padded(blocks[0].dense_in(network.embedding.weight), 1),
        tables=padded(quintic_tables(network, grid), 2),
        dense=pack(np.swapaxes(dense, -1, -2)),
        dense_back=pack(dense),
        bias=bias,
        no_bias=np.zeros_like(bias[0, 0]),
        hidden=pack(hidden.T),
        hidden_back=pack(hidden),
        hidden_bias=padded(network.output_hidden.bias, 0),
        output=padded(network.output.weight[0], 0),
        constants=np.array(
            [
                float(network.output.bias[0]),
                grid.start,
                grid.spacing,
                config.cutoff,
                1.0 / (config.neighbor_average or 1.0),
            ]
        ),
    )
