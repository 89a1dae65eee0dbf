"""The networks, written as the equations of the papers."""

from typing import Any

from schnet_calc.nn.basis import CosineCutoff, GaussianBasis, ShiftedSoftplus
from schnet_calc.nn.dtnn import DTNN, DTNNConfig, TensorLayer
from schnet_calc.nn.network import Network, NetworkConfig
from schnet_calc.nn.schnet import CFConv, FilterNetwork, Interaction, SchNet, SchNetConfig

CONFIGS: dict[str, type[NetworkConfig]] = {"SchNet": SchNetConfig, "DTNN": DTNNConfig}
"""Hyperparameters of the networks by the name of their architecture."""


def architecture_of(config: NetworkConfig) -> str:
    """The name of the architecture that hyperparameters belong to."""
    return next(name for name, kind in CONFIGS.items() if type(config) is kind)


def network_config(architecture: str, hyperparameters: dict[str, Any]) -> NetworkConfig:
    """Hyperparameters of an architecture.

    Raises
    ------
    ValueError
        There is no such architecture, or it refuses a value.
    TypeError
        It has no such hyperparameter.
    """
    if architecture not in CONFIGS:
        raise ValueError(f"architecture is one of {', '.join(CONFIGS)}, got {architecture!r}")
    return CONFIGS[architecture](**hyperparameters)


def make_network(config: NetworkConfig) -> SchNet | DTNN:
    """A network with new weights."""
    if isinstance(config, DTNNConfig):
        return DTNN(config)
    if isinstance(config, SchNetConfig):
        return SchNet(config)
    raise TypeError(f"no network has the hyperparameters {config!r}")


__all__ = [
    "CONFIGS",
    "DTNN",
    "CFConv",
    "CosineCutoff",
    "DTNNConfig",
    "FilterNetwork",
    "GaussianBasis",
    "Interaction",
    "Network",
    "NetworkConfig",
    "SchNet",
    "SchNetConfig",
    "ShiftedSoftplus",
    "TensorLayer",
    "architecture_of",
    "make_network",
    "network_config",
]
