"""A SchNet's numbers as compiled code reads them."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from schnet_calc.kernels.cpu.activation import KINDS
from schnet_calc.kernels.cpu.dense import Array, Layers, aligned, packed, panel_width
from schnet_calc.kernels.cpu.envelope import CUTOFFS
from schnet_calc.kernels.cpu.grading import Grading, grading_arrays
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.quintic import quintic_tables
from schnet_calc.nn import Interaction, SchNet


class Constants(NamedTuple):
    """Numbers of a network, float64."""

    bias: float
    """eV, of the output layer"""
    start: float
    """Å: the first knot of the tables"""
    spacing: float
    """Å between knots"""
    cutoff: float
    """Å"""
    onset: float
    """Å: where the cutoff function begins"""
    per_neighbor: float
    """1 / number of neighbours (thesis Eq. 4.14)"""


class Codes(NamedTuple):
    """What kind of network it is."""

    envelope: int
    """Of :data:`~schnet_calc.kernels.cpu.envelope.CUTOFFS`"""
    activation: int
    """Of :data:`~schnet_calc.kernels.cpu.activation.KINDS`, between the layers of a block"""
    head_activation: int
    n_head_layers: int
    widest: int
    """Units of each layer of the head, padded"""
    averages: int
    """1 where convolutions are divided by each atom's own number of neighbours"""


class Weights(NamedTuple):
    """A SchNet as arrays; F features, K filters and H hidden units are padded to whole panels."""

    embedding: Array
    """(Z, F)"""
    lifted: Array
    """(Z, K) what the first layer makes of it: no need to compute that for each atom"""
    tables: Array
    """(n_tables, intervals + 5, K) coefficients of quintic B-splines"""
    layers: Layers
    """three of each block (before the convolution, behind it, behind the activation), then the energy head's"""
    output: Array
    """(H,)"""
    constants: Constants
    codes: Codes
    grading: Grading
    """statistics of the energy's last hidden layer; empty where nobody asks for grades"""


class _Packer:
    """Tensors to padded, packed arrays of one type."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.kind = np.dtype(str(dtype).removeprefix("torch."))
        self.width = panel_width(self.kind)

    def whole(self, size: int) -> int:
        """The next whole number of panels."""
        return -(-size // self.width) * self.width

    def array(self, x: Tensor, *shape: int) -> Array:
        """The numbers in the corner of an array of zeros of this shape; sizes are rounded up to panels."""
        result = aligned(shape, self.kind)
        result[...] = 0.0
        result[tuple(slice(s) for s in x.shape)] = x.detach().numpy()
        return result

    def layer(self, layer: nn.Linear, n_out: int = 0, n_in: int = 0) -> tuple[Array, Array]:
        """Weights (1, n_out, n_in) and bias (1, n_out) of a layer, padded, to these widths at least."""
        n_out, n_in = max(n_out, self.whole(layer.out_features)), max(n_in, self.whole(layer.in_features))
        bias = torch.zeros(1) if layer.bias is None else layer.bias
        return self.array(layer.weight, n_out, n_in)[None], self.array(bias, n_out)[None]


def network_arrays(
    network: SchNet, grid: SplineGrid, dtype: torch.dtype, statistics: tuple[Any, Any, Any] | tuple[()] = ()
) -> Weights:
    """Return the arrays of a float64 network; tables are built in float64 and then cast.

    Statistics are elements, means and triangles as for :func:`grading_arrays`, or nothing.
    """
    config, packer = network.config, _Packer(dtype)
    blocks = [block for block in network.interactions if isinstance(block, Interaction)]
    head, activation = _head_layers(network)
    kinds = CUTOFFS[config.cutoff_function], KINDS[config.activation], KINDS[activation]
    layers = [layer for b in blocks for layer in (b.dense_in, b.dense_hidden, b.dense_out)]
    n_hidden = packer.whole(max(layer.out_features for layer in head))
    tables, elements = quintic_tables(network, grid), len(network.embedding.weight)
    lifted = blocks[0].dense_in(network.embedding.weight)
    n_features, n_filters = packer.whole(config.n_features), packer.whole(config.filter_width)
    return Weights(
        embedding=packer.array(network.embedding.weight, elements, n_features),
        lifted=packer.array(lifted, elements, n_filters),
        tables=packer.array(tables, *tables.shape[:2], n_filters),
        layers=packed(
            [
                *(packer.layer(layer) for layer in layers),
                packer.layer(head[0], n_hidden),
                *(packer.layer(layer, n_hidden, n_hidden) for layer in head[1:]),
            ]
        ),
        output=packer.array(network.output.weight[0], n_hidden),
        constants=Constants(
            bias=float(network.output.bias[0]),
            start=float(grid.start),
            spacing=float(grid.spacing),
            cutoff=float(config.reach),
            onset=float(config.cutoff_onset),
            per_neighbor=1.0 / (config.neighbor_average or 1.0),
        ),
        codes=Codes(*kinds, len(head), n_hidden, int(network.averages)),
        grading=grading_arrays(packer.kind, n_hidden, *statistics),
    )


def _head_layers(network: SchNet) -> tuple[list[nn.Linear], str]:
    """The hidden layers of the energy's head, and their activation; one that does nothing if there is none."""
    layers = [layer for layer in network.output_hidden if isinstance(layer, nn.Linear)]
    if layers:
        return layers, network.config.head_activation
    nothing = nn.Linear(network.config.n_features, network.config.n_features, dtype=torch.float64)
    with torch.no_grad():
        nothing.weight.copy_(torch.eye(network.config.n_features))
        nothing.bias.zero_()
    return [nothing], "identity"
