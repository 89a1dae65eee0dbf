"""SchNet as drawn in Fig. 4.2 of the thesis: embedding, interactions, atom-wise output."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from schnet_calc.nn.basis import ShiftedSoftplus
from schnet_calc.nn.network import Network, NetworkConfig


@dataclass(frozen=True)
class SchNetConfig(NetworkConfig):
    """Hyperparameters of a :class:`SchNet`; the defaults are the thesis's where it gives one."""

    filter_activation: bool = False
    """A second shifted softplus, behind the filter network's last layer."""
    shared_filters: bool = False
    """One filter network for all blocks (thesis Table 5.1)."""
    neighbor_average: float | None = None
    """Number of neighbours that the convolution is divided by (thesis Eq. 4.14, for crystals)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbor_average is not None and not self.neighbor_average > 0:
            raise ValueError(f"neighbor_average must be positive, got {self.neighbor_average}")


class FilterNetwork(nn.Module):
    """W(d): dense, shifted softplus, dense, optionally shifted softplus (thesis Fig. 4.2, right)."""

    def __init__(self, n_gaussians: int, n_features: int, last_activation: bool) -> None:
        super().__init__()
        self.dense1 = nn.Linear(n_gaussians, n_features)
        self.dense2 = nn.Linear(n_features, n_features)
        self.activation = ShiftedSoftplus()
        self.last_activation = last_activation

    def forward(self, basis: Tensor) -> Tensor:
        """(P, n_gaussians) expanded distances -> (P, F) filters."""
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
        """(N, F) features, (P, F) filters, (2, P) pairs i <- j -> (N, F)."""
        messages = x.index_select(0, pairs[1]) * filters
        summed = torch.zeros_like(x).index_add(0, pairs[0], messages)
        return summed / self.n_neighbors


class Interaction(nn.Module):
    """The residual v of Eq. 4.7: atom-wise, cfconv, atom-wise, shifted softplus, atom-wise."""

    def __init__(self, n_features: int, n_neighbors: float) -> None:
        super().__init__()
        self.dense_in = nn.Linear(n_features, n_features)
        self.cfconv = CFConv(n_neighbors)
        self.dense_hidden = nn.Linear(n_features, n_features)
        self.activation = ShiftedSoftplus()
        self.dense_out = nn.Linear(n_features, n_features)

    def forward(self, x: Tensor, filters: Tensor, pairs: Tensor) -> Tensor:
        """(N, F) features, (P, F) filters, (2, P) pairs -> (N, F) refinement."""
        v = self.cfconv(self.dense_in(x), filters, pairs)
        refinement: Tensor = self.dense_out(self.activation(self.dense_hidden(v)))
        return refinement


class SchNet(Network):
    """Atomic energies of a batch of structures (thesis Section 4.3).

    Parameters
    ----------
    config : SchNetConfig
        Hyperparameters.
    """

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__(config)
        n_features, n_blocks = config.n_features, config.n_interactions
        self.config: SchNetConfig = config
        self.filters = nn.ModuleList(
            FilterNetwork(config.n_gaussians, n_features, config.filter_activation)
            for _ in range(1 if config.shared_filters else n_blocks)
        )
        self.interactions = nn.ModuleList(
            Interaction(n_features, config.neighbor_average or 1.0) for _ in range(n_blocks)
        )
        self.add_output(n_features, ShiftedSoftplus())

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        """W(d) times the cutoff function: (P, F) for every block, or one for all."""
        basis, envelope = self.basis(distances), self.cutoff(distances)[:, None]
        filters: list[Tensor] = []
        for network in self.filters:
            filters.append(network(basis) * envelope)
        return filters

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """(N, F) features after all interaction blocks (thesis Eq. 4.7)."""
        for t, interaction in enumerate(self.interactions):
            x = x + interaction(x, filters[t if len(filters) > 1 else 0], pairs)
        return x
