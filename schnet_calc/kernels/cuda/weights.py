"""A SchNet's weights as the kernels take them: layers without an activation between them are one layer.

The layer behind an activation adds to the features x, and the next block's first layer reads them. Both are one
product from [x, f(a)] to [y, x], and back. The biases of these layers are constants of the network, and are added
where y is read.
"""

import math
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.polynomials import polynomial_tables
from schnet_calc.kernels.splines.quintic import quintic_tables
from schnet_calc.nn import Interaction, SchNet


class Weights(NamedTuple):
    """F features, K filters, H units of the head; T blocks."""

    lifted: Tensor
    """(Z, K + F): [y, x] of the first block, by atomic number"""
    biases: Tensor
    """(T, K): of y"""
    hidden: Tensor
    """(T, K, F): from the convolution to the activation"""
    hidden_biases: Tensor
    """(T, F)"""
    hidden_adjoint: Tensor
    """(T, F, K): the same, transposed"""
    merged: tuple[Tensor, ...]
    """T matrices from [x, f(a)] to [y, x] of the next block; the last to [a, x] of a head with one hidden layer, to
    x for any other"""
    merged_adjoint: tuple[Tensor, ...]
    """the same, transposed; the last from a, or x, alone"""
    shift: Tensor
    """(F,): the sum of the biases, which the last features lack"""
    head: tuple[Tensor, Tensor, Tensor]
    """of one with one hidden layer: (H,) bias, (H,) weights behind the activation, float64 (1,) last bias"""
    tables: Tensor
    """(n_tables, intervals, 6, K)"""
    constants: Tensor
    """float64, as :data:`~schnet_calc.kernels.cuda.cutoffs.CONSTANTS` names them"""

    def to(self, device: torch.device, dtype: torch.dtype) -> "Weights":
        """The same elsewhere; what is float64 for its own sake stays so."""
        moved = partial(_moved, device=device, dtype=dtype)
        one = ("lifted", "biases", "hidden", "hidden_biases", "hidden_adjoint", "shift", "tables")
        bias, weights, constant = self.head
        return self._replace(
            **{name: moved(getattr(self, name)) for name in one},
            merged=tuple(map(moved, self.merged)),
            merged_adjoint=tuple(map(moved, self.merged_adjoint)),
            head=(moved(bias), moved(weights), constant.detach().to(device)),
            constants=self.constants.to(device),
        )


def _moved(x: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    return x.detach().to(device, dtype).contiguous()


@torch.no_grad()
def kernel_weights(network: SchNet, grid: SplineGrid) -> Weights:
    """Return the weights of a float64 network, in float64."""
    blocks = cast(list[Interaction], list(network.interactions))
    head = cast(list[nn.Linear], list(network.output_hidden))
    shift = torch.zeros_like(blocks[0].dense_out.bias)
    nothing = shift.new_zeros(0, len(shift)), shift.new_zeros(0)
    following = [_layer(block.dense_in) for block in blocks]
    following.append(_layer(head[0]) if len(head) == 1 else nothing)
    biases, merged = [following[0][1]], []
    for block, (weight, bias) in zip(blocks, following[1:], strict=True):
        both = torch.cat((weight, torch.eye(len(shift), dtype=shift.dtype)))  # (K + F, F)
        merged.append(torch.cat((both, both @ block.dense_out.weight), dim=1).T)
        shift = shift + block.dense_out.bias
        biases.append(weight @ shift + bias)
    hidden = torch.stack([block.dense_hidden.weight for block in blocks])
    embedding, n_read = network.embedding.weight, len(biases[-1]) or len(shift)
    return Weights(
        torch.cat((embedding @ blocks[0].dense_in.weight.T, embedding), dim=1),
        torch.stack(biases[:-1]),
        hidden.mT,
        torch.stack([block.dense_hidden.bias for block in blocks]),
        hidden,
        tuple(merged),
        (*(m.T for m in merged[:-1]), merged[-1][:, :n_read].T),
        shift,
        (biases[-1], network.output.weight[0], network.output.bias),
        polynomial_tables(quintic_tables(network, grid)),
        _constants(network, grid),
    )


def _layer(layer: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias; zeros if it has none."""
    return layer.weight, layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias


def _constants(network: SchNet, grid: SplineGrid) -> Tensor:
    config = network.config
    cutoff, onset = config.reach, config.cutoff_onset
    share = 1.0 / (config.neighbor_average or 1.0)
    numbers = (grid.spacing, grid.n_intervals - 1.0, share, math.inf)
    return torch.tensor([*numbers, cutoff, onset, math.pi / cutoff, cutoff - onset], dtype=torch.float64)
