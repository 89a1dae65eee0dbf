"""SchNet as drawn in Fig. 4.2 of the thesis: embedding, interactions, atom-wise output."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from schnet_calc.nn.activation import ACTIVATIONS
from schnet_calc.nn.config import SchNetConfig
from schnet_calc.nn.network import DistanceNetwork
from schnet_calc.nn.registry import register


class FilterNetwork(nn.Module):
    """W(d): dense, activation, dense, optionally activation (thesis Fig. 4.2, right)."""

    def __init__(self, n_gaussians: int, n_filters: int, activation: str, last_activation: bool) -> None:
        super().__init__()
        self.dense1 = nn.Linear(n_gaussians, n_filters)
        self.dense2 = nn.Linear(n_filters, n_filters)
        self.activation = ACTIVATIONS[activation]()
        self.last_activation = last_activation

    def forward(self, basis: Tensor) -> Tensor:
        """(P, n_gaussians) expanded distances -> (P, K) filters."""
        filters: Tensor = self.dense2(self.activation(self.dense1(basis)))
        if self.last_activation:
            filters = self.activation(filters)
        return filters


class CFConv(nn.Module):
    """Continuous-filter convolution, ``x_i = sum_j x_j * W(d_ij)`` (thesis Eqs. 4.5 and 4.14)."""

    def __init__(self, n_neighbors: float) -> None:
        super().__init__()
        self.n_neighbors = n_neighbors

    def forward(self, x: Tensor, filters: Tensor, pairs: Tensor) -> Tensor:
        """(N, K) features, (P, K) filters, (2, P) pairs i <- j -> (N, K).

        Parameters
        ----------
        x : Tensor
            (N, K) features, without a unit.
        filters : Tensor
            (P, K), times the cutoff function.
        pairs : Tensor
            (2, P) indices of receivers i and senders j.
        """
        messages = x.index_select(0, pairs[1]) * filters
        summed = torch.zeros_like(x).index_add(0, pairs[0], messages)
        return summed / self.n_neighbors


class Interaction(nn.Module):
    """The residual v of Eq. 4.7: atom-wise, cfconv, atom-wise, activation, atom-wise."""

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__()
        n_features, n_filters = config.n_features, config.filter_width
        self.dense_in = nn.Linear(n_features, n_filters, bias=config.dense_in_bias)
        self.cfconv = CFConv(config.neighbor_average or 1.0)
        self.dense_hidden = nn.Linear(n_filters, n_features)
        self.activation = ACTIVATIONS[config.activation]()
        self.dense_out = nn.Linear(n_features, n_features)

    def forward(self, x: Tensor, filters: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) refinement of features; arguments as in :meth:`CFConv.forward`."""
        v: Tensor = self.cfconv(self.dense_in(x), filters, pairs)
        return self.refinement(v)

    def refinement(self, v: Tensor) -> Tensor:
        """(N, K) what the convolution gave -> (N, F) refinement; no units."""
        refinement: Tensor = self.dense_out(self.activation(self.dense_hidden(v)))
        return refinement


@register("SchNet", SchNetConfig)
class SchNet(DistanceNetwork):
    """Atomic energies of a batch of structures (thesis Section 4.3).

    Parameters
    ----------
    config : SchNetConfig
        Hyperparameters.
    """

    compiled: ClassVar[bool] = True
    averages: ClassVar[bool] = False
    """Whether convolutions are divided by each atom's own number of neighbours."""

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__(config)
        self.config: SchNetConfig = config
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
        """Return the (N, F) features after all blocks (thesis Eq. 4.7); see :meth:`DistanceNetwork.refine`."""
        for t, interaction in enumerate(self.interactions):
            x = x + interaction(x, filters[t if len(filters) > 1 else 0], pairs)
        return x
