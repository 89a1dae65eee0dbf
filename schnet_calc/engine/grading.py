"""Grades of atoms and error bars of energies, where compiled code has not computed them."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from schnet_calc.kernels.cuda.batch import Batch, Outputs
from schnet_calc.kernels.torch.evaluation import sums_of_structures
from schnet_calc.kernels.torch.grading import grades_of, tensor_grading
from schnet_calc.modelfile.grades import Grades, HeadGrades, head_widths
from schnet_calc.nn import AtomwiseHead, Network


def error_bar(
    total: NDArray[np.floating] | None, summed: NDArray[np.floating], share: float = 1.0
) -> float | None:
    """Return the standard deviation of an energy, eV, from its atoms' last hidden layers; None without error bars.

    It is ``share |total f|``.

    Parameters
    ----------
    total : array or None
        (H, H) what the energy's :class:`HeadGrades` has; best of the same type as the sum.
    summed : array
        (H,) sum of the atoms' last hidden layers, without a unit; padding beyond H is left out.
    share : float
        One over the number of atoms where the network takes their mean.
    """
    if total is None:
        return None
    parts = total.dot(summed[: len(total)])
    return share * math.sqrt(parts.dot(parts))  # norm() of so few numbers takes three times as long


def total_of(head: HeadGrades | None, kind: DTypeLike) -> NDArray[np.floating] | None:
    """Return what error bars (H, H) are made with, of a type; None where the file has none. No unit but eV."""
    return None if head is None or not head.total.size else head.total.astype(kind, copy=False)


def head_of(network: Network, name: str) -> Network | AtomwiseHead:
    """Return what has a head's last hidden layer: the energy's is the network's own."""
    head = network if name == "energy" else network.heads[name]
    assert isinstance(head, (Network, AtomwiseHead))
    return head


def hidden_layers(network: Network, features: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """Return (N, H) activations of each graded head's last hidden layer from (N, F) last features; no units."""
    x = torch.from_numpy(features[:, : network.config.n_features].astype(np.float64))
    with torch.no_grad():
        return {name: head_of(network, name).hidden(x).numpy() for name, _ in head_widths(network)}


def grades_of_heads(
    grades: Grades, network: Network, features: NDArray[np.floating], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the largest grade (N,) of any head, for models without an energy.

    Parameters
    ----------
    grades : Grades
        Of the file.
    network : Network
        In float64.
    features : array
        (N, F) last features, without a unit.
    numbers : array
        (N,) atomic numbers.
    """
    hidden = hidden_layers(network, features)
    return np.asarray(np.max([h.grade(numbers, hidden[name]) for name, h in grades.heads.items()], axis=0))


class GradedBatch(NamedTuple):
    """What a call on a device says of a batch."""

    grades: NDArray[np.float64] | None
    """(N,); None without statistics."""
    summed: NDArray[np.float64] | None
    """(B, H) sums of each structure's last hidden layer; None without statistics of an energy."""
    total: NDArray[np.floating] | None
    """(H, H) see :func:`total_of`; None without error bars."""

    def of(self, rows: slice) -> NDArray[np.float64] | None:
        """Return the grades (n,) of some atoms; they have no unit."""
        return None if self.grades is None else self.grades[rows]

    def error_bar(self, k: int, share: float) -> float | None:
        """Return that of structure k's energy, eV."""
        return None if self.summed is None else error_bar(self.total, self.summed[k], share)


class DeviceGrades:
    """Grades on a GPU from what a call leaves there.

    Parameters
    ----------
    grades : Grades or None
        Of the model file.
    network : SchNet
        On the device.
    device, dtype
        Of the evaluation.
    """

    def __init__(
        self, grades: Grades | None, network: Network, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._network = network
        self._head = None if grades is None else grades.energy
        self._total = total_of(self._head, np.float64)
        heads = {} if grades is None else grades.heads
        self._heads = {name: tensor_grading(h.scaled(), device, dtype) for name, h in heads.items()}

    @torch.no_grad()
    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return what :meth:`read` reads, float64, of a batch with its room; no step depends on values."""
        found = []
        for name, grading in self._heads.items():
            x = outputs.features
            hidden = outputs.hidden if name == "energy" else head_of(self._network, name).hidden(x)
            found.append(grades_of(grading, hidden[:, : grading.mean.shape[1]], batch.numbers))
        if not found:
            return outputs.numbers[:0]
        grades = (torch.stack(found).amax(dim=0) if len(found) > 1 else found[0]).to(torch.float64)
        if self._head is None:
            return grades
        summed = sums_of_structures(batch, outputs.hidden.to(torch.float64))
        return torch.cat((grades, summed.reshape(-1)))

    def read(self, numbers: NDArray[np.float64], batch: Batch, n_atoms: int, count: int) -> GradedBatch:
        """Make of them what is said of the atoms and structures that are in use.

        Parameters
        ----------
        numbers : array
            From a call; no units.
        batch : Batch
            With its room.
        n_atoms, count : int
            Atoms and structures in use.
        """
        if not self._heads:
            return GradedBatch(None, None, None)
        room, n_structures = len(batch.numbers), len(batch.first_atoms) - 1
        grades = numbers[:n_atoms].copy()
        if self._head is None:
            return GradedBatch(grades, None, None)
        return GradedBatch(grades, numbers[room:].reshape(n_structures, -1)[:count].copy(), self._total)
