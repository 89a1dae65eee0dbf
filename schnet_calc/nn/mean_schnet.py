"""SchNet whose convolutions are averages over each atom's own neighbours (``normalize_filter`` of SchNetPack 1)."""

from typing import ClassVar

import torch
from torch import Tensor

from schnet_calc.nn.config import MeanSchNetConfig
from schnet_calc.nn.registry import register
from schnet_calc.nn.schnet import SchNet


@register("MeanSchNet", MeanSchNetConfig)
class MeanSchNet(SchNet):
    """Atomic energies of a batch of structures: SchNet with ``x_i = 1/n_i sum_j x_j * W(d_ij)``.

    n_i is the number of pairs in which atom i receives, at least one. Within a cutoff it jumps where a neighbour
    comes or goes, and the energy with it: such networks are meant for molecules that lie within their cutoff.

    Parameters
    ----------
    config : MeanSchNetConfig
        Hyperparameters.
    """

    averages: ClassVar[bool] = True

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """Return the (N, F) features after all blocks; see :meth:`DistanceNetwork.refine`."""
        ones = torch.ones_like(pairs[0], dtype=x.dtype)
        counts = torch.zeros_like(x[:, 0]).index_add(0, pairs[0], ones).clamp(min=1.0)
        share = (1.0 / counts).index_select(0, pairs[0])[:, None]
        for t, interaction in enumerate(self.interactions):
            x = x + interaction(x, filters[t if len(filters) > 1 else 0] * share, pairs)
        return x
