"""Adam in rotated coordinates on tensors of the CPU."""

from typing import NamedTuple

from torch import Tensor

from schnet_calc.kernels.cpu.dense import packed, panel_width
from schnet_calc.kernels.cpu.rotated_adam import Moments, Numbers, Rotation, rotated_step
from schnet_calc.kernels.cpu.threads import n_parts, run_parts
from schnet_calc.kernels.torch.stacks import padded


class AdamStep(NamedTuple):
    """What a step of Adam depends on beside weights and gradients."""

    rate: float
    betas: tuple[float, float]
    """Decays of the first and the second moments."""
    eps: float
    number: int
    """Of the step, from 1 on."""


class Eigenvectors(NamedTuple):
    """Eigenvectors, and what compiled loops read of them."""

    left: Tensor
    """(n, R, R)"""
    right: Tensor
    """(n, C, C)"""
    rotation: Rotation
    """Of both."""


def eigenvectors(left: Tensor, right: Tensor) -> Eigenvectors:
    """Prepare eigenvectors (n, R, R) and (n, C, C) of weights, for as long as they stay the same."""
    width = panel_width(left.numpy().dtype)
    wide = padded(right, 2, width)
    # A layer with weights W computes x Wᵀ, so rightᵀ makes x right, and the layer's way back x rightᵀ.
    layers = packed([(wide.mT.contiguous().numpy(), wide.new_zeros(wide.shape[:2]).numpy())])
    rotation = Rotation(left.contiguous().numpy(), left.mT.contiguous().numpy(), layers)
    return Eigenvectors(left, right, rotation)


def rotated_adam(
    weights: Tensor, gradient: Tensor, moments: tuple[Tensor, Tensor], turn: Eigenvectors, adam: AdamStep
) -> None:
    """Make a step of Adam in rotated coordinates.

    Parameters
    ----------
    weights, gradient : Tensor
        (n, R, C): what is changed, and the loss's derivative by it.
    moments : (Tensor, Tensor)
        (n, R, C) mean and square of the rotated gradients, which are updated.
    turn : Eigenvectors
        From :func:`eigenvectors`.
    adam : AdamStep
        Rate, decays and number of the step.
    """
    numbers = Numbers(
        float(adam.rate),
        float(adam.eps),
        (float(adam.betas[0]), float(adam.betas[1])),
        (1.0 - adam.betas[0] ** adam.number, 1.0 - adam.betas[1] ** adam.number),
    )
    arrays = (weights.detach().numpy(), gradient.numpy(), Moments(*(m.numpy() for m in moments)))
    run_parts(rotated_step, n_parts(len(weights)), *arrays, turn.rotation, numbers)
