"""How far atoms are from the training data, as tensor operations of fixed sizes; see ``kernels/cpu/grading.py``."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.nn.heads import UNKNOWN


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
    """Return grades (N,) of activations (N, H); an element at a time, so that memory grows with N alone.

    Parameters
    ----------
    grading : TensorGrading
        Statistics by element.
    hidden : Tensor
        (N, H) activations, without a unit.
    numbers : Tensor
        (N,) atomic numbers.
    """
    slots = grading.slots[numbers]
    found = torch.full_like(hidden[:, 0], UNKNOWN)
    for k, (mean, whiten) in enumerate(zip(grading.mean, grading.whiten, strict=True)):
        distance = torch.linalg.vector_norm((hidden - mean) @ whiten.T, dim=1)
        found = torch.where(slots == k, distance, found)
    return found
