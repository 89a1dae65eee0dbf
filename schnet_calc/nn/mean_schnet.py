"""SchNet whose convolutions are averages over each atom's own neighbours (``normalize_filter`` of SchNetPack 1)."""

import torch
from torch import Tensor, nn

from schnet_calc.nn.config import MeanSchNetConfig
from schnet_calc.nn.network import DistanceNetwork
from schnet_calc.nn.registry import register
from schnet_calc.nn.schnet import FilterNetwork, Interaction


@register("MeanSchNet", MeanSchNetConfig)
class MeanSchNet(DistanceNetwork):
    """Atomic energies of a batch of structures: SchNet with ``x_i = 1/n_i sum_j x_j * W(d_ij)``.

    n_i is the number of pairs in which atom i receives, at least one. Within a cutoff it jumps where a neighbour
    comes or goes, and the energy with it: such networks are meant for molecules that lie within their cutoff.

    Parameters
    ----------
    config : MeanSchNetConfig
        Hyperparameters.
    """

    def __init__(self, config: MeanSchNetConfig) -> None:
        super().__init__(config)
        self.config: MeanSchNetConfig = config
        shape = (config.n_gaussians, config.filter_width, config.activation, config.filter_activation)
        n_filter_networks = 1 if config.shared_filters else config.n_interactions
        self.filters = nn.ModuleList(FilterNetwork(*shape) for _ in range(n_filter_networks))
        self.interactions = nn.ModuleList(Interaction(config) for _ in range(config.n_interactions))
        self.add_heads(config.head_activation)

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        """Return W(d) times the cutoff function: (P, K) for every block, or one for all."""
        basis, envelope = self.basis(distances), self.cutoff(distances)[:, None]
        filters: list[Tensor] = []
        for network in self.filters:
            filters.append(network(basis) * envelope)
        return filters

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """Return the (N, F) features after all interaction blocks."""
        ones = torch.ones_like(pairs[0], dtype=x.dtype)
        counts = torch.zeros_like(x[:, 0]).index_add(0, pairs[0], ones).clamp(min=1.0)
        share = (1.0 / counts).index_select(0, pairs[0])[:, None]
        for t, interaction in enumerate(self.interactions):
            x = x + interaction(x, filters[t if len(filters) > 1 else 0] * share, pairs)
        return x
