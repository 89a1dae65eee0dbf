"""What the networks have in common: embedding, radial basis, heads (thesis Section 3.2)."""

from typing import ClassVar, Dict  # noqa: UP035 - TorchScript reads the capitalised one

import torch
from torch import Tensor, nn

from schnet_calc.nn.basis import BesselBasis, CutoffFunction, GaussianBasis
from schnet_calc.nn.config import MAX_ATOMIC_NUMBER, NetworkConfig
from schnet_calc.nn.heads import AtomwiseHead
from schnet_calc.reductions import REDUCTIONS


class Network(nn.Module):
    """Atomic energies of a batch of structures, and what further heads say; subclasses let atoms interact.

    A subclass calls :meth:`add_heads` last and writes :meth:`representation`; one that sees distances alone is
    a :class:`DistanceNetwork`. Atoms receive along directed pairs, i <- j: an atom without pairs to
    others as their j is a probe that feels them and leaves them alone.

    Parameters
    ----------
    config : NetworkConfig
        Hyperparameters.
    """

    compiled: ClassVar[bool] = False
    """Whether the arithmetic is that of ``kernels``, which evaluate and train it fast."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.mean_pooling = config.pooling == "mean"
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, config.n_features)
        if config.basis == "bessel":
            self.basis: nn.Module = BesselBasis(config.cutoff, config.n_gaussians)
        else:
            self.basis = GaussianBasis(config.basis_start, config.stop, config.n_gaussians, config.width)
        self.cutoff = CutoffFunction(config.cutoff, config.cutoff_function, config.cutoff_onset)

    def add_heads(self, activation: str) -> None:
        """Add the energy's head and all others, then draw the first weights of everything."""
        config = self.config
        head = AtomwiseHead(config.n_features, config.head_widths, activation)
        # The energy's layers are the network's own: so they were named in the first model files.
        self.output_hidden, self.activation, self.output = head.output_hidden, head.activation, head.output
        self.heads = nn.ModuleDict(
            {name: AtomwiseHead(config.n_features, config.head_widths, activation) for name in config.heads}
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-uniform weights, zero biases and a standard normal embedding."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.embedding.weight)
        if not self.config.energy:
            for parameter in self.output.parameters():
                nn.init.zeros_(parameter).requires_grad_(False)

    def forward(
        self, numbers: Tensor, positions: Tensor, pairs: Tensor, shifts: Tensor, system: Tensor
    ) -> Tensor:
        """Return atomic energies in eV, without reference offsets.

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
        return self.read_energies(self.representation(numbers, vectors, pairs), system)

    @torch.jit.export
    def outputs(
        self, numbers: Tensor, positions: Tensor, pairs: Tensor, shifts: Tensor, system: Tensor
    ) -> Dict[str, Tensor]:  # noqa: UP006
        """Return the numbers (N,) that each further head gives the atoms; arguments as for :meth:`forward`."""
        vectors = positions.index_select(0, pairs[1]) + shifts - positions.index_select(0, pairs[0])
        x = self.representation(numbers, vectors, pairs)
        found: Dict[str, Tensor] = {}  # noqa: UP006
        for name, head in self.heads.items():
            found[name] = head(x)
        return found

    def representation(self, numbers: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) features of the atoms after all interactions, which heads read.

        Parameters
        ----------
        numbers : Tensor
            int64 (N,), atomic numbers.
        vectors : Tensor
            (P, 3) Å, from receiver i to sender j of every pair.
        pairs : Tensor
            int64 (2, P): i and j.
        """
        raise NotImplementedError

    def read_energies(self, x: Tensor, system: Tensor) -> Tensor:
        """Return (N,) atomic energies, eV, from final features (N, F)."""
        energies: Tensor = self.output(self.hidden(x)).squeeze(-1)
        if self.mean_pooling:
            counts = torch.zeros_like(energies).index_add(0, system, torch.ones_like(energies))
            energies = energies / counts.index_select(0, system)
        return energies

    @torch.jit.unused
    def share(self, n_atoms: int) -> float:
        """Return what the energies of atoms count for in a structure of N of them: 1, or 1/N with mean pooling."""
        return float(REDUCTIONS[self.config.pooling].share(n_atoms))

    def hidden(self, x: Tensor) -> Tensor:
        """Return (N, H) activations, without a unit, of the last hidden layer, which the energy is linear in."""
        for layer in self.output_hidden:
            x = self.activation(layer(x))
        return x


class DistanceNetwork(Network):
    """A network that sees distances alone: a subclass writes :meth:`filter_values` and :meth:`refine`.

    Its insides can be looked at by ``schnet_calc.insight``.
    """

    def representation(self, numbers: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) features; see :meth:`Network.representation`."""
        return self.at_distances(numbers, torch.linalg.vector_norm(vectors, dim=1), pairs)

    def at_distances(self, numbers: Tensor, distances: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) features as a function of the distances.

        Parameters
        ----------
        numbers : Tensor
            (N,) atomic numbers.
        distances : Tensor
            (P,) Å, of all directed pairs.
        pairs : Tensor
            (2, P) indices of receivers and senders.
        """
        return self.refine(self.embedding(numbers), self.filter_values(distances), pairs)

    @torch.jit.unused
    def energies(self, numbers: Tensor, distances: Tensor, pairs: Tensor, system: Tensor) -> Tensor:
        """Return (N,) atomic energies, eV; arguments as for :meth:`at_distances`, structures (N,) of atoms."""
        return self.read_energies(self.at_distances(numbers, distances, pairs), system)

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        """Return (P, filters) of each filter network at distances (P,), Å, times the cutoff function."""
        raise NotImplementedError

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """Return the (N, F) features after all interactions.

        Parameters
        ----------
        x : Tensor
            (N, F) features of the atoms' elements, without a unit.
        filters : list of Tensor
            (P, filters) of each block, without a unit.
        pairs : Tensor
            (2, P) indices of receivers and senders.
        """
        raise NotImplementedError


def upgraded_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights (...,) with the names of today: the first version had one hidden layer in each head."""
    return {
        name.replace("output_hidden.", "output_hidden.0.", 1)
        if name in ("output_hidden.weight", "output_hidden.bias")
        else name: value
        for name, value in weights.items()
    }
