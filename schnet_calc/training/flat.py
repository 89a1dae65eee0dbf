"""All weights of a network in one vector: what a step does to each of them is one operation, not a hundred.

Layers of one kind lie side by side, block after block, so that all blocks' weights are one tensor without a
copy (:func:`schnet_calc.kernels.torch.stacks.stacked`), and so are matrices of one shape, for SOAP.

An embedding is no matrix here: a batch has few of the elements that its rows belong to. Eigenvectors mix all
rows, so the second moments of a rare element's gradients are made of other elements', and a single step may
take its row a hundred times as far as any other.
"""

import re
from itertools import groupby

import torch
from torch import Tensor, nn


class FlatWeights:
    """Moves a network's weights into one vector, and their gradients into another; modules see parts of them.

    Parameters
    ----------
    network : Module
        On its device, of its type. Weights without a gradient stay where they are.
    """

    values: Tensor
    """(n,) of all weights."""
    gradient: Tensor
    """(n,) of a loss by them, where gradients are added up."""

    def __init__(self, network: nn.Module) -> None:
        self._shapes, self._weights = _in_order(network)
        self.values = torch.cat([p.detach().reshape(-1) for p in self._weights])
        self.gradient = torch.zeros_like(self.values)
        sizes = [p.numel() for p in self._weights]
        for p, part in zip(self._weights, self.values.split(sizes), strict=True):
            p.data = part.view_as(p)
        for p, part in zip(self._weights, self.gradient.split(sizes), strict=True):
            p.grad = part.view_as(p)

    def whole(self) -> list[Tensor]:
        """The vector (n,) with its gradient, for an optimiser that treats all weights alike."""
        return [self._part(0, len(self.values), (len(self.values),))]

    def by_shape(self) -> list[Tensor]:
        """Matrices of weights of each shape (n, rows, columns), and others (n,), with their gradients."""
        parts, end = [], 0
        for shape, group in groupby(zip(self._shapes, self._weights, strict=True), lambda item: item[0]):
            weights = [p for _, p in group]
            start, end = end, end + sum(p.numel() for p in weights)
            parts.append(self._part(start, end, (len(weights), *shape) if shape else (end - start,)))
        return parts

    def _part(self, start: int, end: int, shape: tuple[int, ...]) -> Tensor:
        part = self.values[start:end].view(shape).requires_grad_()
        part.grad = self.gradient[start:end].view(shape)
        return part


def _in_order(network: nn.Module) -> tuple[list[tuple[int, ...]], list[nn.Parameter]]:
    """Weights and their shapes as matrices, nothing for others; matrices first, by shape and kind.

    A kind is a name without the number of the block.
    """
    tables = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    named = [
        (() if id(p) in tables else _shape(p), re.sub(r"\.\d+\.", ".", name), p)
        for name, p in network.named_parameters()
        if p.requires_grad
    ]
    named.sort(key=lambda item: (not item[0], *item[:2]))
    return [shape for shape, _, _ in named], [p for _, _, p in named]


def _shape(weights: Tensor) -> tuple[int, ...]:
    """Of a matrix; nothing for vectors, and for matrices of one row or column."""
    return tuple(weights.shape) if weights.ndim == 2 and min(weights.shape) > 1 else ()
