"""Hyperparameters of the networks; without torch, which commands and readers of metadata don't wait for."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from schnet_calc.checks import check_choice, check_positive

MAX_ATOMIC_NUMBER = 100
ACTIVATION_NAMES = ("ssp", "softplus", "silu", "tanh")
BASES = ("gaussian", "bessel")
CUTOFF_FUNCTIONS = ("cosine", "mollifier", "switch", "hard", "none")


def _check_heads(heads: dict[str, str]) -> None:
    from schnet_calc.reductions import REDUCTIONS  # it takes NumPy, which a help text doesn't wait for

    for name, reduction in heads.items():
        if not name.isidentifier():
            raise ValueError(f"the name of a head is a word, got {name!r}")
        check_choice(f"the head {name}", reduction, REDUCTIONS)


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
    """"cosine", "mollifier", "switch", "hard", or "none" for all pairs of a molecule, as in
    the thesis."""
    cutoff_onset: float = 0.0
    """Å, where "switch" begins to fall."""
    basis: str = "gaussian"
    """"gaussian" or "bessel"."""
    basis_start: float = 0.0
    """Centre of the first Gaussian, Å."""
    basis_stop: float | None = None
    """Centre of the last Gaussian, Å; by default the cutoff."""
    basis_width: float | None = None
    """Standard deviation of the Gaussians, Å; by default their spacing."""
    pooling: str = "sum"
    """Of the energy's head: "sum" for extensive properties, "mean" for intensive ones."""
    output_layers: tuple[int, ...] | None = None
    """Widths of the hidden layers of every head; by default one of half the features."""
    energy: bool = True
    """Whether there is an energy at all; without, the energies of atoms are zero."""
    heads: dict[str, str] = field(default_factory=dict)
    """Further outputs by name, and how they arise: sum, mean, charges (a dipole) or extent (a second moment)."""

    def __post_init__(self) -> None:
        check_positive(self, "n_features", "n_interactions", "n_gaussians", "cutoff", "basis_width")
        if self.n_features < 2 or self.n_gaussians < 2:
            raise ValueError(
                "n_features and n_gaussians must be at least 2, "
                f"got {self.n_features} and {self.n_gaussians}"
            )
        check_choice("cutoff_function", self.cutoff_function, CUTOFF_FUNCTIONS)
        check_choice("basis", self.basis, BASES)
        check_choice("pooling", self.pooling, ("sum", "mean"))
        if self.heads:
            _check_heads(self.heads)
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


@dataclass(frozen=True)
class SchNetConfig(NetworkConfig):
    """Hyperparameters of a :class:`~schnet_calc.nn.SchNet`; the defaults are the thesis's where it gives one."""

    filter_activation: bool = False
    """A second activation, behind the filter network's last layer."""
    shared_filters: bool = False
    """One filter network for all blocks (thesis Table 5.1)."""
    neighbor_average: float | None = None
    """Number of neighbours that the convolution is divided by (thesis Eq. 4.14, for crystals)."""
    n_filters: int | None = None
    """Width of the filters; by default that of the features."""
    activation: str = "ssp"
    """"ssp" (shifted softplus), "softplus", "silu" or "tanh"."""
    output_activation: str | None = None
    """Of the heads; by default that of the blocks."""
    dense_in_bias: bool = True
    """Whether the layer before the convolution has a bias; it has none in SchNetPack."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "neighbor_average", "n_filters")
        check_choice("activation", self.activation, ACTIVATION_NAMES)
        check_choice("output_activation", self.head_activation, ACTIVATION_NAMES)

    @property
    def filter_width(self) -> int:
        """K, width of the filters."""
        return self.n_features if self.n_filters is None else self.n_filters

    @property
    def head_activation(self) -> str:
        """Of the heads."""
        return self.activation if self.output_activation is None else self.output_activation


@dataclass(frozen=True)
class MeanSchNetConfig(SchNetConfig):
    """Hyperparameters of a :class:`~schnet_calc.nn.MeanSchNet`: those of a SchNet."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbor_average is not None:
            raise ValueError(
                "neighbor_average: this network divides by each atom's own number of neighbours"
            )


@dataclass(frozen=True)
class DTNNConfig(NetworkConfig):
    """Hyperparameters of a :class:`~schnet_calc.nn.DTNN`; the defaults are the thesis's (Section 3.5)."""

    n_features: int = 30
    """F, features per atom."""
    n_factors: int = 60
    """Width of the factorised tensor layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "n_factors")
