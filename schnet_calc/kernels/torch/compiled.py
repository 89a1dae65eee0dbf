"""Energies, features and forces of a SchNet on the CPU as one differentiable operation.

What ``explicit`` writes as tensor operations, in six compiled calls a step: what torch and autograd take for an
operation is as much as the work itself where structures are molecules. The loss and further heads stay with torch.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from schnet_calc.kernels.cpu.dense import panel_width
from schnet_calc.kernels.cpu.training import Pairs
from schnet_calc.kernels.torch.read_out import head_gradients, head_values, head_weights
from schnet_calc.kernels.torch.stacks import padded, stacked
from schnet_calc.kernels.torch.step import Blocks, Step
from schnet_calc.kernels.torch.tables import tables_gradients, tabulated
from schnet_calc.nn import Interaction, SchNet
from schnet_calc.nn.schnet import FilterNetwork

FILTERS, BLOCKS = slice(0, 4), slice(4, 10)
"""Where the weights of the filter networks and of the blocks are among all; then the embedding, then the head."""

Explicit = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
"""Atomic energies (N,), features (N, F), forces (N, 3), virials (B, 3, 3)."""


def predict_compiled(
    network: SchNet, basis: Tensor, pairs: Pairs, numbers: Tensor, n_systems: int, derivatives: bool = True
) -> Explicit:
    """Return atomic energies (N,), eV, the last features (N, F), forces (N, 3), eV/Å, and virials (B, 3, 3), eV.

    Parameters
    ----------
    network : SchNet
        On the CPU.
    basis : Tensor
        From :func:`~schnet_calc.kernels.torch.explicit.table_basis`.
    pairs : Pairs
        From :func:`~schnet_calc.kernels.torch.tiles.tiled_pairs`.
    numbers : Tensor
        int64 (N,) atomic numbers.
    n_systems : int
        B.
    derivatives : bool
        Whether forces and virials are wanted; they are None if not.
    """
    call = _Call(network, basis, pairs, numbers, n_systems, derivatives)
    found: Explicit = _Predict.apply(call, *_weights(network))
    return found


def _weights(network: SchNet) -> list[Tensor]:
    """All weights, those of one kind as one tensor."""
    filters = cast(list[FilterNetwork], list(network.filters))
    blocks = cast(list[Interaction], list(network.interactions))
    found = []
    for layers in ([f.dense1 for f in filters], [f.dense2 for f in filters]):
        found += [stacked([layer.weight for layer in layers]), stacked([layer.bias for layer in layers])]
    of_blocks = [
        [b.dense_in for b in blocks],
        [b.dense_hidden for b in blocks],
        [b.dense_out for b in blocks],
    ]
    found += [stacked([layer.weight for layer in layers]) for layers in of_blocks]
    found += [stacked([_bias(layer) for layer in layers]) for layers in of_blocks]
    return [*found, network.embedding.weight, *head_weights(network)]


def _bias(layer: nn.Linear) -> Tensor:
    return layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias


class _Call:
    """One use of :class:`_Predict`, forwards and back; arguments as for :func:`predict_compiled`."""

    def __init__(
        self,
        network: SchNet,
        basis: Tensor,
        pairs: Pairs,
        numbers: Tensor,
        n_systems: int,
        derivatives: bool,
    ) -> None:
        self.config, self.width = network.config, panel_width(basis.numpy().dtype)
        self.last_activation = cast(FilterNetwork, network.filters[0]).last_activation
        self.basis, self.pairs, self.numbers = padded(basis, 1, self.width), pairs, numbers
        self.n_systems, self.derivatives = n_systems, derivatives

    def forwards(self, weights: tuple[Tensor, ...]) -> Explicit:
        """Compute everything, and keep what the way back needs."""
        config, (embedding, *head) = self.config, weights[BLOCKS.stop :]
        self.shapes = [w.shape for w in weights]
        how = (config.activation, self.last_activation)
        self.tabulated = tabulated(self.basis, how, self._padded(weights[FILTERS], 2))
        blocks = Blocks(
            self.tabulated.tables,
            *self._padded(weights[BLOCKS][:3], 2),
            *self._padded(weights[BLOCKS][3:], 1),
        )
        self.step = Step(blocks, config.activation, self.pairs)
        x = self.step.features(embedding.index_select(0, self.numbers))[:, : config.n_features]
        energies, gx, self.head = head_values(x, config.head_activation, head, self.derivatives)
        if gx is None:
            return energies, x, None, None
        return energies, x, *self.step.forces(padded(gx, 1, self.width), self.n_systems)

    def backwards(self, by_energies: Tensor | None, by_x: Tensor | None, *by_forces: Tensor | None) -> Any:
        """Gradients by the weights, in their order."""
        n_features, by_gx = self.config.n_features, None
        if any(g is not None for g in by_forces):
            by_gx = self.step.forces_gradient(*by_forces)[:, :n_features]
        head: list[Tensor | None] = [None] * len(self.head.weights)
        if by_energies is not None or by_gx is not None:
            from_head, head[:] = head_gradients(self.head, by_energies, by_gx)
            by_x = from_head if by_x is None else by_x + from_head
        if by_x is None:
            return [None] * len(self.shapes)
        by_first, (by_tables, *blocks) = self.step.features_gradient(padded(by_x, 1, self.width))
        embedding = by_first.new_zeros(self.shapes[BLOCKS.stop])
        embedding.index_add_(0, self.numbers, by_first[:, :n_features])
        filters = tables_gradients(self.tabulated, by_tables)
        shapes = self.shapes[: BLOCKS.stop]
        inner = [g[tuple(map(slice, s))] for g, s in zip([*filters, *blocks], shapes, strict=True)]
        return [*inner, embedding, *head]

    def _padded(self, weights: Iterable[Tensor], most: int) -> list[Tensor]:
        """With zeros behind their widths, of which there are as many, or one less than dimensions."""
        return [padded(w, min(most, w.ndim - 1), self.width) for w in weights]


class _Predict(torch.autograd.Function):
    """Weights, as :func:`_weights` orders them, to energies, features, forces and virials."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *weights: Tensor) -> Explicit:
        ctx.call = call
        ctx.set_materialize_grads(False)
        return call.forwards(weights)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *ctx.call.backwards(*given)
