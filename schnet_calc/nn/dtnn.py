"""The deep tensor neural network of the thesis's Chapter 3, SchNet's predecessor."""

import torch
from torch import Tensor, nn

from schnet_calc.nn.config import DTNNConfig
from schnet_calc.nn.network import DistanceNetwork
from schnet_calc.nn.registry import register


class TensorLayer(nn.Module):
    """Perturbation of an atom by others, ``tanh[W^xf ((W^fx x_j + b) * (W^fd d_ij + b'))]`` (Eq. 3.7).

    The factors of the distance, its second bracket, come from outside, like SchNet's filters.
    """

    def __init__(self, n_features: int, n_factors: int) -> None:
        super().__init__()
        self.features_in = nn.Linear(n_features, n_factors)
        self.features_out = nn.Linear(n_factors, n_features, bias=False)

    def forward(self, x: Tensor, factors: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) sum over all neighbours j.

        Parameters
        ----------
        x : Tensor
            (N, F) features, without a unit.
        factors : Tensor
            (P, factors) of the distances.
        pairs : Tensor
            (2, P) indices of receivers i and senders j.
        """
        product = self.features_in(x).index_select(0, pairs[1]) * factors
        messages = torch.tanh(self.features_out(product))
        return torch.zeros_like(x).index_add(0, pairs[0], messages)


@register("DTNN", DTNNConfig)
class DTNN(DistanceNetwork):
    """Atomic energies of a batch of structures (thesis Section 3.2 to 3.4).

    One interaction, applied T times (Eq. 3.2). Beyond the thesis: the factors of the distance take a cutoff
    function, so that perturbations vanish smoothly.

    Parameters
    ----------
    config : DTNNConfig
        Hyperparameters.
    """

    def __init__(self, config: DTNNConfig) -> None:
        super().__init__(config)
        self.config: DTNNConfig = config
        self.n_interactions = config.n_interactions
        self.distance_factors = nn.Linear(config.n_gaussians, config.n_factors)
        self.interaction = TensorLayer(config.n_features, config.n_factors)
        self.add_heads("tanh")

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        """Return factors of (P,) distances, Å, times the cutoff function, (P, factors), the same for every pass."""
        return [self.distance_factors(self.basis(distances)) * self.cutoff(distances)[:, None]]

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """Return the (N, F) features after T passes of one block (Eq. 3.2); see :meth:`DistanceNetwork.refine`."""
        for _ in range(self.n_interactions):
            x = x + self.interaction(x, filters[0], pairs)
        return x
