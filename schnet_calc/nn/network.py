"""What SchNet and DTNN have in common: embedding, radial basis, atom-wise output (thesis Section 3.2)."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from schnet_calc.nn.basis import CosineCutoff, GaussianBasis

MAX_ATOMIC_NUMBER = 100


@dataclass(frozen=True)
class NetworkConfig:
    """Hyperparameters that every network has."""

    n_features: int = 64
    """F, features per atom."""
    n_interactions: int = 3
    """T, interactions."""
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
    pooling: str = "sum"
    """``"sum"`` for extensive properties, ``"mean"`` for intensive ones."""

    def __post_init__(self) -> None:
        for name in ("n_features", "n_interactions", "n_gaussians", "cutoff", "basis_width"):
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


class Network(nn.Module):
    """Atomic energies of a batch of structures; subclasses say how atoms interact.

    Atoms receive along directed pairs, i <- j: an atom without pairs to others as their j is a probe that
    feels them and leaves them alone.

    Parameters
    ----------
    config : NetworkConfig
        Hyperparameters.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.mean_pooling = config.pooling == "mean"
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, config.n_features)
        self.basis = GaussianBasis(config.basis_start, config.stop, config.n_gaussians, config.width)
        self.cutoff = CosineCutoff(config.cutoff, config.cutoff_function == "cosine")

    def add_output(self, n_features: int, activation: nn.Module) -> None:
        """The output network, one hidden layer of half the width; then the first weights of everything."""
        self.output_hidden = nn.Linear(n_features, max(n_features // 2, 1))
        self.activation = activation
        self.output = nn.Linear(max(n_features // 2, 1), 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot-uniform weights and zero biases; a standard normal embedding."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
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
        return self.energies(numbers, torch.linalg.vector_norm(vectors, dim=1), pairs, system)

    def energies(self, numbers: Tensor, distances: Tensor, pairs: Tensor, system: Tensor) -> Tensor:
        """The same as a function of the distances (P,), which is all that the network sees of geometry."""
        x = self.representation(numbers, distances, pairs)
        energies: Tensor = self.output(self.activation(self.output_hidden(x))).squeeze(-1)
        if self.mean_pooling:
            counts = torch.zeros_like(energies).index_add(0, system, torch.ones_like(energies))
            energies = energies / counts.index_select(0, system)
        return energies

    def representation(self, numbers: Tensor, distances: Tensor, pairs: Tensor) -> Tensor:
        """(N, F) features of the atoms after all interactions, x^(T)."""
        return self.refine(self.embedding(numbers), self.filter_values(distances), pairs)

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        """Filters times cutoff function at distances (P,): one (P, filters) tensor per filter network."""
        raise NotImplementedError

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """(N, F) features after all interactions along (2, P) pairs with these filters."""
        raise NotImplementedError
