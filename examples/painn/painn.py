"""PaiNN, the polarizable atom interaction network, as a network of one's own.

K. T. Schütt, O. T. Unke, M. Gastegger, Equivariant message passing for the prediction of tensorial properties and
molecular spectra, ICML 2021 (its Section 4). Atoms have F scalars s and F vectors v, which turn with it.

    pip install examples/painn          # schnet-calc finds it by its entry point
    schnet-calc train examples/painn/ethanol.toml --data md17_ethanol.npz -o runs/painn
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from schnet_calc.nn import Network, NetworkConfig, register


@dataclass(frozen=True)
class PaiNNConfig(NetworkConfig):
    """Hyperparameters of a :class:`PaiNN`; the defaults are the paper's."""

    n_features: int = 128
    """F, scalars and vectors of each atom."""
    n_gaussians: int = 20
    """Functions of the radial basis."""
    basis: str = "bessel"
    """``"bessel"`` or ``"gaussian"``."""


class Message(nn.Module):
    """Scalars and vectors from the neighbours (Eqs. 7 and 8)."""

    def __init__(self, n_features: int, n_radial: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features, n_features)
        self.out = nn.Linear(n_features, 3 * n_features)
        self.filters = nn.Linear(n_radial, 3 * n_features)

    def forward(
        self, s: Tensor, v: Tensor, basis: Tensor, envelope: Tensor, direction: Tensor, pairs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(N, F) scalars, (N, 3, F) vectors, (P, .) basis, (P, 1) cutoff, (P, 3) directions -> their changes."""
        phi = self.out(nn.functional.silu(self.hidden(s)))
        weights = phi.index_select(0, pairs[1]) * (self.filters(basis) * envelope)
        scalars, old, new = torch.chunk(weights, 3, dim=1)
        vectors = v.index_select(0, pairs[1]) * old[:, None] + direction[:, :, None] * new[:, None]
        return (
            torch.zeros_like(s).index_add(0, pairs[0], scalars),
            torch.zeros_like(v).index_add(0, pairs[0], vectors),
        )


class Update(nn.Module):
    """Scalars and vectors of an atom with each other (Eqs. 9 and 10)."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.mix = nn.Linear(n_features, 2 * n_features, bias=False)
        self.hidden = nn.Linear(2 * n_features, n_features)
        self.out = nn.Linear(n_features, 3 * n_features)

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(N, F) scalars, (N, 3, F) vectors -> their changes."""
        left, right = torch.chunk(self.mix(v), 2, dim=2)
        lengths = torch.sqrt((right**2).sum(1) + 1e-8)  # a root has no slope at zero
        a = self.out(nn.functional.silu(self.hidden(torch.cat((s, lengths), dim=1))))
        scalars, mixed, vectors = torch.chunk(a, 3, dim=1)
        return scalars + mixed * (left * right).sum(1), left * vectors[:, None]


@register("PaiNN", PaiNNConfig)
class PaiNN(Network):
    """Atomic energies from scalars and vectors.

    Parameters
    ----------
    config : PaiNNConfig
        Hyperparameters.
    """

    def __init__(self, config: PaiNNConfig) -> None:
        super().__init__(config)
        blocks = range(config.n_interactions)
        self.messages = nn.ModuleList(Message(config.n_features, config.n_gaussians) for _ in blocks)
        self.updates = nn.ModuleList(Update(config.n_features) for _ in blocks)
        self.add_heads("silu")

    def representation(self, numbers: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) scalars after all blocks; arguments as for ``Network.representation``."""
        distances = torch.linalg.vector_norm(vectors, dim=1)
        direction, envelope = vectors / distances[:, None], self.cutoff(distances)[:, None]
        basis = self.basis(distances)
        s = self.embedding(numbers)
        v = torch.zeros(s.shape[0], 3, s.shape[1], dtype=s.dtype, device=s.device)
        for message, update in zip(self.messages, self.updates):  # noqa: B905 - TorchScript knows no strict
            ds, dv = message(s, v, basis, envelope, direction, pairs)
            s, v = s + ds, v + dv
            ds, dv = update(s, v)
            s, v = s + ds, v + dv
        return s
