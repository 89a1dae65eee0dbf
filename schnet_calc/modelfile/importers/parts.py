"""The named parts that every SchNet consists of, in the terms and units of the code that it comes from."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor


class Linear(NamedTuple):
    """A dense layer."""

    weight: Tensor
    """(out, in)"""
    bias: Tensor | None
    """(out,); None is zero."""


class Block(NamedTuple):
    """An interaction, in the order in which it computes."""

    dense_in: Linear
    filter1: Linear
    filter2: Linear
    dense_hidden: Linear
    dense_out: Linear


class Gaussians(NamedTuple):
    """Basis ``exp(-(d - center)^2 / (2 width^2))``."""

    centers: Tensor
    widths: Tensor
    """Of all, or of each."""


class Bessel(NamedTuple):
    """Basis ``sin(frequency d) / d``."""

    frequencies: Tensor


class Cutoff(NamedTuple):
    """Cutoff function by its name here."""

    function: str
    radius: float
    onset: float = 0.0


class Units(NamedTuple):
    """What the other code's units are here."""

    energy: float
    """eV"""
    length: float
    """Å"""


@dataclass
class Parts:
    """A SchNet in the units of the code that it comes from."""

    embedding: Tensor
    """(elements, F), by atomic number."""
    blocks: list[Block]
    head: list[Linear]
    """The last gives one number."""
    basis: Gaussians | Bessel
    cutoff: Cutoff
    activation: str = "ssp"
    head_activation: str = "ssp"
    filter_activation: bool = False
    neighbor_mean: bool = False
    """Whether convolutions are averages over each atom's own neighbours."""
    pooling: str = "sum"
    scale: float = 1.0
    """What the head's numbers are multiplied by."""
    shift: float = 0.0
    """Added to each atom behind that; to each structure where energies are averaged over atoms."""
    atomrefs: Tensor | None = None
    """Added to the atoms of an element, by atomic number."""
    assumed: list[str] = field(default_factory=list)

    def layers(self) -> list[Linear]:
        """Return all dense layers."""
        return [layer for block in self.blocks for layer in block] + self.head

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights: float64 if any of them is."""
        wide = any(layer.weight.dtype == torch.float64 for layer in self.layers())
        return torch.float64 if wide else torch.float32
