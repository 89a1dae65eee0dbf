"""Adam in rotated coordinates on tensors of the CPU."""

from typing import NamedTuple

from torch import Tensor

from schnet_calc.kernels.cpu.dense import packed, panel_width
from schnet_calc.kernels.cpu.rotated_adam import Moments, Rotation, rotated_step
from schnet_calc.kernels.cpu.threads import n_parts, run_parts
from schnet_calc.kernels.torch.stacks import padded


class Turned(NamedTuple):
    """Eigenvectors, and what compiled loops read of them."""

    left: Tensor
    """(n, R, R)"""
    right: Tensor
    """(n, C, C)"""
    rotation: Rotation
    """Of both."""


def turned(left: Tensor, right: Tensor) -> Turned:
    """Prepare eigenvectors, for as long as they stay the same."""
    width = panel_width(left.numpy().dtype)
    wide = padded(right, 2, width)
    # A layer with weights W computes x Wᵀ, so rightᵀ makes x right, and the layer's way back x rightᵀ.
    layers = packed([(wide.mT.contiguous().numpy(), wide.new_zeros(wide.shape[:2]).numpy())])
    rotation = Rotation(left.contiguous().numpy(), left.mT.contiguous().numpy(), layers)
    return Turned(left, right, rotation)


def rotated_adam(
    weights: Tensor,
    gradient: Tensor,
    moments: tuple[Tensor, Tensor],
    turn: Turned,
    rate: float,
    betas: tuple[float, float],
    eps: float,
    count: int,
) -> None:
    """Make the step of number ``count``; weights, gradient and moments (n, R, C).

    Parameters
    ----------
    weights, gradient : Tensor
        What is changed, and the loss's derivative by it.
    moments : (Tensor, Tensor)
        Mean and square of the rotated gradients, which are updated.
    turn : Turned
        From :func:`turned`.
    rate, betas, eps : float
        As Adam's.
    count : int
        From 1 on.
    """
    run_parts(
        rotated_step,
        n_parts(len(weights)),
        weights.detach().numpy(),
        gradient.numpy(),
        Moments(*(m.numpy() for m in moments)),
        turn.rotation,
        (float(rate), float(eps)),
        (float(betas[0]), float(betas[1])),
        (1.0 - betas[0] ** count, 1.0 - betas[1] ** count),
    )
