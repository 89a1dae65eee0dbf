"""SchNet as drawn in Fig. 4.2 of the thesis: embedding, interactions, atom-wise output."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from schnet_calc.nn.basis import CosineCutoff, GaussianBasis, ShiftedSoftplus

MAX_ATOMIC_NUMBER = 100


@dataclass(frozen=True)
class SchNetConfig:
    """Hyperparameters of a :class:`SchNet`; the defaults are the thesis's where it gives one."""

    n_features: int = 64
    """F, features per atom."""
    n_interactions: int = 3
    """T, interaction blocks."""
    n_gaussians: int = 50
    """Gaussians of the radial basis."""
    cutoff: float = 5.0
    """Å; pairs beyond it are left out, wherever the cutoff function says so."""
    cutoff_function: str = "cosine"
    """``"cosine"``, or ``"none"`` for all pairs of a molecule, as in the thesis."""
    basis_start: float = 0.0
    """Centre of the first Gaussian, Å."""
    basis_stop: float | None = None
    """Centre of the last Gaussian, Å; the cutoff if None."""
    basis_width: float | None = None
    """Standard deviation of the Gaussians, Å; their spacing if None."""
    filter_activation: bool = False
    """A second shifted softplus, behind the filter network's last layer."""
    shared_filters: bool = False
    """One filter network for all blocks (thesis Table 5.1)."""
    neighbor_average: float | None = None
    """Number of neighbours that the convolution is divided by (thesis Eq. 4.14, for crystals)."""
    pooling: str = "sum"
    """``"sum"`` for extensive properties, ``"mean"`` for intensive ones."""

    def __post_init__(self) -> None:
        positive = ("n_features", "n_interactions", "n_gaussians", "cutoff")
        for name in (*positive, "basis_width", "neighbor_average"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if self.n_features < 2 or self.n_gaussians < 2:
            raise ValueError(
                "n_features and n_gaussians must be at least 2, "
                f"got {self.n_features} and {self.n_gaussians}"
            )
        if self.cutoff_function not in ("cosine", "none"):
            raise ValueError(f"cutoff_function is 'cosine' or 'none', got {self.cutoff_function!r}")
        if self.pooling not in ("sum", "mean"):
            raise ValueError(f"pooling is 'sum' or 'mean', got {self.pooling!r}")
        if not self.stop > self.basis_start:
            raise ValueError(
                f"basis_stop ({self.stop} Å) must lie beyond basis_start ({self.basis_start} Å)"
            )

    @property
    def stop(self) -> float:
        """Centre of the last Gaussian, Å."""
        return self.cutoff if self.basis_stop is None else self.basis_stop

    @property
    def width(self) -> float:
        """Standard deviation of the Gaussians, Å."""
        spacing = (self.stop - self.basis_start) / (self.n_gaussians - 1)
        return spacing if self.basis_width is None else self.basis_width

    def to_dict(self) -> dict[str, Any]:
        """All hyperparameters as plain numbers and strings."""
        return asdict(self)


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


class SchNet(nn.Module):
    """Atomic energies of a batch of structures (thesis Section 4.3).

    Parameters
    ----------
    config : SchNetConfig
        Hyperparameters.
    """

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__()
        n_features, n_blocks = config.n_features, config.n_interactions
        self.config: SchNetConfig = config
        self.mean_pooling = config.pooling == "mean"
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, n_features)
        self.basis = GaussianBasis(config.basis_start, config.stop, config.n_gaussians, config.width)
        self.cutoff = CosineCutoff(config.cutoff, config.cutoff_function == "cosine")
        self.filters = nn.ModuleList(
            FilterNetwork(config.n_gaussians, n_features, config.filter_activation)
            for _ in range(1 if config.shared_filters else n_blocks)
        )
        self.interactions = nn.ModuleList(
            Interaction(n_features, config.neighbor_average or 1.0) for _ in range(n_blocks)
        )
        self.output_hidden = nn.Linear(n_features, max(n_features // 2, 1))
        self.activation = ShiftedSoftplus()
        self.output = nn.Linear(max(n_features // 2, 1), 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot-uniform weights and zero biases; a standard normal embedding."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.embedding.weight)

    def forward(
        self, numbers: Tensor, positions: Tensor, pairs: Tensor, shifts: Tensor, system: Tensor
    ) -> Tensor:
        """Atomic energies in eV, without reference offsets.

        Parameters
        ----------
        numbers : Tensor
            int64 (N,), atomic numbers.
        positions : Tensor
            (N, 3), Å.
        pairs : Tensor
            int64 (2, P): receiver i and sender j of every directed pair.
        shifts : Tensor
            (P, 3), Å, added to the position of j.
        system : Tensor
            int64 (N,): the structure that each atom belongs to.

        Returns
        -------
        Tensor
            (N,); their sum over a structure is its energy.
        """
        vectors = positions.index_select(0, pairs[1]) + shifts - positions.index_select(0, pairs[0])
        distances = torch.linalg.vector_norm(vectors, dim=1)
        basis = self.basis(distances)
        envelope = self.cutoff(distances)[:, None]
        x = self.embedding(numbers)
        filters: list[Tensor] = []
        for network in self.filters:
            filters.append(network(basis) * envelope)
        for t, interaction in enumerate(self.interactions):
            x = x + interaction(x, filters[t if len(filters) > 1 else 0], pairs)
        energies: Tensor = self.output(self.activation(self.output_hidden(x))).squeeze(-1)
        if self.mean_pooling:
            counts = torch.zeros_like(energies).index_add(0, system, torch.ones_like(energies))
            energies = energies / counts.index_select(0, system)
        return energies
