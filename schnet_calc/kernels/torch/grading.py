"""How far atoms are from the training data, as tensor operations of fixed sizes; see ``kernels/cpu/grading.py``."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.nn.heads import UNKNOWN

TOGETHER = 2**26
"""Bytes of matrices up to which each atom has one."""


class TensorGrading(NamedTuple):
    """Statistics of a last hidden layer of H units for E elements."""

    slots: Tensor
    """(Z,) int64, where each element's numbers are, or -1"""
    mean: Tensor
    """(E, H)"""
    whiten: Tensor
    """(E, H, H) L⁻¹ by the limit"""


def tensor_grading(
    statistics: Sequence[NDArray[Any]], device: torch.device, dtype: torch.dtype
) -> TensorGrading:
    """Return elements (E,), means (E, H) and triangles (E, H, H) as tensors of a network.

    Parameters
    ----------
    statistics : sequence of array
        Elements (E,), means (E, H), triangles (E, H, H); no units.
    device, dtype
        Of the network.
    """
    elements, mean, whiten = (torch.from_numpy(x) for x in statistics)
    slots = torch.full((128,), -1).index_put((elements,), torch.arange(len(elements)))
    return TensorGrading(slots.to(device), mean.to(device, dtype), whiten.to(device, dtype))


def grades_of(grading: TensorGrading, hidden: Tensor, numbers: Tensor) -> Tensor:
    """Return grades (N,) of activations (N, H).

    Few atoms take a matrix each, in as many operations for any number of elements; many come an element at a time,
    so that memory grows with N alone.

    Parameters
    ----------
    grading : TensorGrading
        Statistics by element.
    hidden : Tensor
        (N, H) activations, without a unit.
    numbers : Tensor
        (N,) atomic numbers.
    """
    slots, whiten = grading.slots[numbers], grading.whiten
    if len(hidden) * whiten[0].nbytes <= TOGETHER:
        known = slots.clamp(min=0)
        away = torch.bmm(whiten[known], (hidden - grading.mean[known])[:, :, None])[:, :, 0]
        return torch.linalg.vector_norm(away, dim=1).masked_fill(slots < 0, UNKNOWN)
    found = torch.full_like(hidden[:, 0], UNKNOWN)
    for k, (mean, matrix) in enumerate(zip(grading.mean, whiten, strict=True)):
        distance = torch.linalg.vector_norm((hidden - mean) @ matrix.T, dim=1)
        found = torch.where(slots == k, distance, found)
    return found
