"""Activation functions by name, with their derivatives (thesis Eq. 4.8 for SchNet's own)."""

import math

import torch
from torch import Tensor, nn


class ShiftedSoftplus(nn.Module):
    """``ssp(x) = ln(0.5 exp(x) + 0.5)`` (thesis Eq. 4.8): smooth to all orders, zero at zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation to (...,) numbers without a unit, element by element."""
        return nn.functional.softplus(x) - math.log(2.0)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "ssp": ShiftedSoftplus,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
"""Modules by name; :func:`slope` knows their derivatives."""


def slope(name: str, x: Tensor) -> Tensor:
    """Return the derivative of the activation of a name at x (...,), differentiable itself; no unit."""
    if name == "tanh":
        return 1.0 - torch.tanh(x) ** 2
    s = torch.sigmoid(x)
    if name == "silu":
        return s * (1.0 + x * (1.0 - s))
    return s


def curvature(name: str, x: Tensor) -> Tensor:
    """Return the second derivative of the activation of a name at x (...,); no unit."""
    if name == "tanh":
        t = torch.tanh(x)
        return -2.0 * t * (1.0 - t**2)
    s = torch.sigmoid(x)
    if name == "silu":
        return s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))
    return s * (1.0 - s)
