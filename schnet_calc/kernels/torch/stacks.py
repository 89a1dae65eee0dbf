"""Weights of like layers as one tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def together(parts: Sequence[Tensor]) -> Tensor:
    """Return (T, ...) of T tensors (...), as differentiable as they are.

    Weights that lie side by side, as :class:`schnet_calc.training.flat.FlatWeights` lays them out, are not
    copied: the result is a leaf over the same memory, and its gradient is added to theirs.
    """
    wanted = torch.is_grad_enabled() and any(p.requires_grad for p in parts)
    gradients = [p.grad for p in parts if p.grad is not None]
    if not _adjacent(parts) or (wanted and (len(gradients) < len(parts) or not _adjacent(gradients))):
        return torch.stack(list(parts))
    whole = _over(parts)
    if wanted:
        whole.requires_grad_()
        whole.grad = _over(gradients)
    return whole


def padded(x: Tensor, n_last: int, width: int) -> Tensor:
    """Return a tensor with zeros behind its last dimensions, up to multiples of a width."""
    missing = [-size % width for size in reversed(x.shape[-n_last:])]
    if not any(missing):
        return x
    return nn.functional.pad(x, [n for size in missing for n in (0, size)])


def _adjacent(parts: Sequence[Tensor]) -> bool:
    """Whether tensors of one shape follow each other in one piece of memory."""
    first, memory = parts[0], parts[0].untyped_storage()
    size, start = first.numel() * first.element_size(), first.data_ptr()
    return (
        [p.data_ptr() for p in parts] == list(range(start, start + len(parts) * size, size))
        and start + len(parts) * size <= memory.data_ptr() + memory.nbytes()
        and all(p.shape == first.shape and p.is_contiguous() for p in parts)
    )


def _over(parts: Sequence[Tensor]) -> Tensor:
    first = parts[0].detach()
    return first.as_strided((len(parts), *first.shape), (first.numel(), *first.stride()))
