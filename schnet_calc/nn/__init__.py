"""The networks, written as the equations of the papers."""

from schnet_calc.nn.activation import ACTIVATIONS, ShiftedSoftplus
from schnet_calc.nn.basis import BesselBasis, CutoffFunction, GaussianBasis
from schnet_calc.nn.dtnn import DTNN, DTNNConfig, TensorLayer
from schnet_calc.nn.heads import AtomwiseHead
from schnet_calc.nn.network import MAX_ATOMIC_NUMBER, Network, NetworkConfig, upgraded_weights
from schnet_calc.nn.registry import (
    ARCHITECTURES,
    Architecture,
    architecture_of,
    make_network,
    network_config,
    register,
)
from schnet_calc.nn.schnet import CFConv, FilterNetwork, Interaction, SchNet, SchNetConfig

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURES",
    "DTNN",
    "MAX_ATOMIC_NUMBER",
    "Architecture",
    "AtomwiseHead",
    "BesselBasis",
    "CFConv",
    "CutoffFunction",
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
    "register",
    "upgraded_weights",
]
