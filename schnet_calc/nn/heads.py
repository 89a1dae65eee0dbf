"""Heads: what is read from the atoms' final features (thesis Sections 3.2 and 4.4.1)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from schnet_calc.nn.activation import ACTIVATIONS

UNKNOWN = 1e9
"""Grade of an atom whose element the statistics of a head don't know; finite, as compiled code wants it."""


class AtomwiseHead(nn.Module):
    """Dense layers from an atom's features to one number, ``shift + scale y``.

    Scale and shift stand for the spread and the mean of the labels, so that y is of order one.

    Parameters
    ----------
    n_features : int
        F.
    widths : sequence of int
        Of the hidden layers.
    activation : str
        Name of their activation.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, n_features: int, widths: tuple[int, ...], activation: str) -> None:
        super().__init__()
        sizes = [n_features, *widths]
        self.output_hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation = ACTIVATIONS[activation]()
        self.output = nn.Linear(sizes[-1], 1)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("shift", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) features, which have no unit -> (N,) in the unit of the output."""
        value: Tensor = self.shift + self.scale * self.output(self.hidden(x)).squeeze(-1)
        return value

    def hidden(self, x: Tensor) -> Tensor:
        """(N, F) features -> (N, H) activations of the last hidden layer, or the features; no unit."""
        for layer in self.output_hidden:
            x = self.activation(layer(x))
        return x
