"""The networks, written as the equations of the papers."""

from schnet_calc.nn.basis import CosineCutoff, GaussianBasis, ShiftedSoftplus
from schnet_calc.nn.schnet import CFConv, FilterNetwork, Interaction, SchNet, SchNetConfig

__all__ = [
    "CFConv",
    "CosineCutoff",
    "FilterNetwork",
    "GaussianBasis",
    "Interaction",
    "SchNet",
    "SchNetConfig",
    "ShiftedSoftplus",
]
