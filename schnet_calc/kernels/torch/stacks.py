"""Weights of like layers as one tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

_known: "WeakIdKeyDictionary" = WeakIdKeyDictionary()
"""What :func:`stacked` found for a first part: where all parts lie, and the tensor over them."""


def stacked(parts: Sequence[Tensor]) -> Tensor:
    """Return (T, ...) weights of T tensors (...), as differentiable as they are.

    Weights that lie side by side, as :class:`schnet_calc.training.flat.FlatWeights` lays them out, are not
    copied: the result is a leaf over the same memory, and its gradient is added to theirs.
    """
    wanted = torch.is_grad_enabled() and any(p.requires_grad for p in parts)
    gradients = [p.grad for p in parts if p.grad is not None]
    places = (wanted, [p.data_ptr() for p in parts], [g.data_ptr() for g in gradients])
    known = _known.get(parts[0])
    if known is not None and known[0] == places:
        return known[1]
    if not _adjacent(parts) or (wanted and (len(gradients) < len(parts) or not _adjacent(gradients))):
        return torch.stack(list(parts))
    whole = _over(parts)
    if wanted:
        whole.requires_grad_()
        whole.grad = _over(gradients)
    _known[parts[0]] = (places, whole)
    return whole


def padded(x: Tensor, n_last: int, width: int) -> Tensor:
    """Return a tensor (...,) with zeros behind its last dimensions, up to multiples of a width.

    Parameters
    ----------
    x : Tensor
        (...,) weights or features.
    n_last : int
        Dimensions that are padded.
    width : int
        Of a panel.
    """
    missing = [-size % width for size in reversed(x.shape[-n_last:])]
    if not any(missing):
        return x
    return nn.functional.pad(x, [n for size in missing for n in (0, size)])


def _adjacent(parts: Sequence[Tensor]) -> bool:
    """Whether tensors of one shape follow each other in one piece of memory."""
    first = parts[0]
    place, size, shape = first.data_ptr(), first.nbytes, first.shape
    for p in parts:
        if p.data_ptr() != place or p.shape != shape or not p.is_contiguous():
            return False
        place += size
    memory = first.untyped_storage()
    return place <= memory.data_ptr() + memory.nbytes()


def _over(parts: Sequence[Tensor]) -> Tensor:
    first = parts[0].detach()
    return first.as_strided((len(parts), *first.shape), (first.numel(), *first.stride()))
