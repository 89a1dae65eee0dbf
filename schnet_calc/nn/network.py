"""What the networks have in common: embedding, radial basis, heads (thesis Section 3.2)."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Dict  # noqa: UP035 - TorchScript reads the capitalised one

import torch
from torch import Tensor, nn

from schnet_calc.nn.activation import ACTIVATIONS
from schnet_calc.nn.basis import BASES, CUTOFF_FUNCTIONS, BesselBasis, CutoffFunction, GaussianBasis
from schnet_calc.nn.heads import REDUCTIONS, AtomwiseHead

MAX_ATOMIC_NUMBER = 100


def _one_of(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}")


@dataclass(frozen=True)
class NetworkConfig:
    """Hyperparameters that every network has."""

    n_features: int = 64
    """F, features per atom."""
    n_interactions: int = 3
    """T, interactions."""
    n_gaussians: int = 50
    """Functions of the radial basis."""
    cutoff: float = 5.0
    """Å; pairs beyond it are left out, wherever there is a cutoff function."""
    cutoff_function: str = "cosine"
    """``"cosine"``, ``"mollifier"``, ``"switch"``, ``"hard"``, or ``"none"`` for all pairs of a molecule, as in
    the thesis."""
    cutoff_onset: float = 0.0
    """Å, where ``"switch"`` begins to fall."""
    basis: str = "gaussian"
    """``"gaussian"`` or ``"bessel"``."""
    basis_start: float = 0.0
    """Centre of the first Gaussian, Å."""
    basis_stop: float | None = None
    """Centre of the last Gaussian, Å; the cutoff if None."""
    basis_width: float | None = None
    """Standard deviation of the Gaussians, Å; their spacing if None."""
    pooling: str = "sum"
    """Of the energy's head: ``"sum"`` for extensive properties, ``"mean"`` for intensive ones."""
    output_layers: tuple[int, ...] | None = None
    """Widths of the hidden layers of every head; one of half the features if None."""
    energy: bool = True
    """Whether there is an energy at all; without, the energies of atoms are zero."""
    heads: dict[str, str] = field(default_factory=dict)
    """Further outputs by name: ``"sum"``, ``"mean"``, ``"charges"`` for a dipole from latent charges, or
    ``"extent"`` for a second moment of them."""

    def __post_init__(self) -> None:
        for name in ("n_features", "n_interactions", "n_gaussians", "cutoff", "basis_width"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, got {value}")
        if self.n_features < 2 or self.n_gaussians < 2:
            raise ValueError(
                "n_features and n_gaussians must be at least 2, "
                f"got {self.n_features} and {self.n_gaussians}"
            )
        _one_of("cutoff_function", self.cutoff_function, CUTOFF_FUNCTIONS)
        _one_of("basis", self.basis, BASES)
        _one_of("pooling", self.pooling, ("sum", "mean"))
        for name, reduction in self.heads.items():
            if not name.isidentifier():
                raise ValueError(f"the name of a head is a word, got {name!r}")
            _one_of(f"the head {name}", reduction, REDUCTIONS)
        if not 0 <= self.cutoff_onset < self.cutoff:
            raise ValueError(
                f"cutoff_onset ({self.cutoff_onset} Å) must lie between zero and the cutoff ({self.cutoff} Å)"
            )
        if not -math.inf < self.basis_start < self.stop < math.inf:
            raise ValueError(
                f"basis_stop ({self.stop} Å) must lie beyond basis_start ({self.basis_start} Å)"
            )
        if self.output_layers is not None:
            object.__setattr__(self, "output_layers", tuple(self.output_layers))
            if any(not width > 0 for width in self.output_layers):
                raise ValueError(f"output_layers must be positive widths, got {self.output_layers}")

    @property
    def stop(self) -> float:
        """Centre of the last Gaussian, Å."""
        return self.cutoff if self.basis_stop is None else self.basis_stop

    @property
    def width(self) -> float:
        """Standard deviation of the Gaussians, Å."""
        spacing = (self.stop - self.basis_start) / (self.n_gaussians - 1)
        return spacing if self.basis_width is None else self.basis_width

    @property
    def reach(self) -> float:
        """Å, beyond which no pair counts; infinite without a cutoff function."""
        return math.inf if self.cutoff_function == "none" else self.cutoff

    @property
    def head_widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers of every head."""
        return (max(self.n_features // 2, 1),) if self.output_layers is None else self.output_layers

    def to_dict(self) -> dict[str, Any]:
        """Return all hyperparameters as plain numbers, strings, lists and dictionaries."""
        values = asdict(self)
        if self.output_layers is not None:
            values["output_layers"] = list(self.output_layers)
        return values


class Network(nn.Module):
    """Atomic energies of a batch of structures, and what further heads say; subclasses let atoms interact.

    A subclass calls :meth:`add_heads` last, and writes :meth:`representation`, or
    ``filter_values`` and ``refine``. Atoms receive along directed pairs, i <- j: an atom without pairs to
    others as their j is a probe that feels them and leaves them alone.

    Parameters
    ----------
    config : NetworkConfig
        Hyperparameters.
    """

    distance_only: ClassVar[bool] = True
    """Whether geometry enters by distances alone, so that :meth:`energies` takes them."""
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
        return self.energies(numbers, torch.linalg.vector_norm(vectors, dim=1), pairs, system)

    @torch.jit.export
    def outputs(
        self, numbers: Tensor, positions: Tensor, pairs: Tensor, shifts: Tensor, system: Tensor
    ) -> Dict[str, Tensor]:  # noqa: UP006
        """Return the numbers (N,) that each further head gives the atoms; arguments as for :meth:`forward`."""
        vectors = positions.index_select(0, pairs[1]) + shifts - positions.index_select(0, pairs[0])
        x = self.representation(numbers, torch.linalg.vector_norm(vectors, dim=1), pairs)
        found: Dict[str, Tensor] = {}  # noqa: UP006
        for name, head in self.heads.items():
            found[name] = head(x)
        return found

    def energies(self, numbers: Tensor, distances: Tensor, pairs: Tensor, system: Tensor) -> Tensor:
        """Return the same as a function of the distances (P,), all that the network sees of geometry."""
        return self.read_energies(self.representation(numbers, distances, pairs), system)

    def read_energies(self, x: Tensor, system: Tensor) -> Tensor:
        """Return (N,) atomic energies from final features (N, F)."""
        for layer in self.output_hidden:
            x = self.activation(layer(x))
        energies: Tensor = self.output(x).squeeze(-1)
        if self.mean_pooling:
            counts = torch.zeros_like(energies).index_add(0, system, torch.ones_like(energies))
            energies = energies / counts.index_select(0, system)
        return energies

    @torch.jit.unused
    def share(self, n_atoms: int) -> float:
        """Return what the energies of atoms count for in a structure of N of them: 1, or 1/N with mean pooling."""
        return 1.0 / n_atoms if self.mean_pooling else 1.0

    def representation(self, numbers: Tensor, distances: Tensor, pairs: Tensor) -> Tensor:
        """Return the (N, F) features of the atoms after all interactions, x^(T)."""
        return self.refine(self.embedding(numbers), self.filter_values(distances), pairs)

    def filter_values(self, distances: Tensor) -> list[Tensor]:
        """Return filters times cutoff function at distances (P,): one (P, filters) tensor per filter network."""
        raise NotImplementedError

    def refine(self, x: Tensor, filters: list[Tensor], pairs: Tensor) -> Tensor:
        """Return the (N, F) features after all interactions along (2, P) pairs with these filters."""
        raise NotImplementedError


def upgraded_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the names of today: those of the first version had one hidden layer in each head."""
    return {
        name.replace("output_hidden.", "output_hidden.0.", 1)
        if name in ("output_hidden.weight", "output_hidden.bias")
        else name: value
        for name, value in weights.items()
    }


def check_activation(name: str, value: str) -> None:
    """Raise ``ValueError`` unless a hyperparameter names an activation."""
    _one_of(name, value, ACTIVATIONS)
