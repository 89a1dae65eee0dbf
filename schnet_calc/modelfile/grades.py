"""What a model file says of the last hidden layers of its heads: how the training data spread there.

A head's output is linear in the activations h of its last hidden layer, ``E_i = w h_i + b``. For each element the
file holds their mean m and L of the regularised covariance ``C = L Lᵀ`` over the training atoms. The distance of an
atom is ``d = |L⁻¹ (h - m)|``, and by Cauchy and Schwarz ``|E_i - mean E| <= d |Lᵀ w|``, where ``|Lᵀ w|`` is the
standard deviation of the element's energies. The **grade** is ``g = d / limit``: one is the limit, and no atom
below it is farther from the mean energy of its kind than ``limit |Lᵀ w|``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from safetensors.torch import save as save_safetensors
from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.archive import GRADES
from schnet_calc.modelfile.tensors import read_tensors
from schnet_calc.nn import Network
from schnet_calc.nn.heads import UNKNOWN

LARGEST = 1e12
"""Numbers beyond this are no statistics."""
PARTS = ("elements", "mean", "triangle", "largest", "limit", "total")


class HeadGrades(NamedTuple):
    """Statistics of one head's last hidden layer, of H units."""

    elements: NDArray[np.int64]
    """(E,) atomic numbers, ascending"""
    mean: NDArray[np.float64]
    """(E, H)"""
    whiten: NDArray[np.float64]
    """(E, H, H) lower triangles of L⁻¹"""
    largest: NDArray[np.float64]
    """(E,) largest distance of training and validation atoms"""
    limit: NDArray[np.float64]
    """(E,) distance from which on an atom is doubted"""
    total: NDArray[np.float64]
    """(H, H) lower triangle; of the sum f of h over a structure, ``|total f|`` is the error bar, eV; (0, 0) if the
    data have no labels for it"""

    def scaled(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return elements (E,), means (E, H) and L⁻¹ (E, H, H) over the limit: numbers that make grades."""
        return self.elements, self.mean, self.whiten / self.limit[:, None, None]

    def grade(self, numbers: NDArray[np.int64], hidden: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return grades (N,), numbers, of atoms with activations (N, H); huge for unknown elements."""
        grades = np.full(len(numbers), UNKNOWN)
        for z, mean, whiten in zip(*self.scaled(), strict=True):
            rows = numbers == z
            grades[rows] = np.linalg.norm((hidden[rows] - mean) @ whiten.T, axis=1)
        return grades

    def spread(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (E,) ``|Lᵀ w|`` of output weights (H,): standard deviations of the atoms' energies, eV."""
        return np.array(
            [np.linalg.norm(np.linalg.solve(x, np.eye(len(x))).T @ weights) for x in self.whiten]
        )


@dataclass(frozen=True)
class Grades:
    """Statistics of the heads of a network; the energy's alone where it has one."""

    heads: dict[str, HeadGrades]
    """By name; ``"energy"`` for the energy's."""

    @property
    def energy(self) -> HeadGrades | None:
        """Those of the energy's head."""
        return self.heads.get("energy")

    def summary(self, network: Network | None) -> dict[str, Any]:
        """Return plain values for those who don't read the statistics: heads, and how far energies can be, eV."""
        values: dict[str, Any] = {"heads": sorted(self.heads)}
        if self.energy is not None and network is not None:
            reach = self.energy.limit * self.energy.spread(network.output.weight[0].double().numpy())
            symbols = [chemical_symbols[z] for z in self.energy.elements]
            values["reach_ev"] = {s: round(float(x), 4) for s, x in zip(symbols, reach, strict=True)}
        return values

    def to_bytes(self) -> bytes:
        """Return the archive's entry: float32 numbers, triangles without their zeros."""
        tensors: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            below = np.tril_indices(head.mean.shape[1])
            values = {
                "mean": head.mean,
                "triangle": head.whiten[:, below[0], below[1]],
                "largest": head.largest,
                "limit": head.limit,
                "total": head.total[below] if head.total.size else np.zeros(0),
            }
            tensors[f"{name}.elements"] = torch.from_numpy(head.elements.astype(np.int64))
            tensors |= {
                f"{name}.{part}": torch.from_numpy(np.ascontiguousarray(x, np.float32))
                for part, x in values.items()
            }
        return save_safetensors(tensors)

    @classmethod
    def from_bytes(cls, path: str, content: bytes, network: Network, elements: list[int]) -> "Grades":
        """Read what :meth:`to_bytes` wrote, held against the network and the elements that the file knows.

        Parameters
        ----------
        path : str
            Of the file, for errors.
        content : bytes
            Of the entry.
        network : Network
            Whose heads these are.
        elements : list of int
            Atomic numbers that the file knows.

        Raises
        ------
        ModelFileError
            It is something else.
        """
        tensors = read_tensors(path, GRADES, content)
        names = sorted({name.rpartition(".")[0] for name in tensors})
        widths = dict(head_widths(network))
        found = {}
        for name in names:
            if name not in widths:
                raise ModelFileError(f"{path}: {GRADES} grades {name!r:.50}, but there is no such head")
            parts = {part: tensors.get(f"{name}.{part}") for part in PARTS}
            found[name] = _head(path, name, parts, widths[name], elements)
        if len(tensors) != len(PARTS) * len(names):
            raise ModelFileError(f"{path}: {GRADES} holds tensors that no grade has: {sorted(tensors)}")
        return cls(found)


def head_widths(network: Network) -> Iterator[tuple[str, int]]:
    """Names of the heads that are graded, and the widths of their last hidden layers."""
    if network.config.energy:
        yield "energy", int(network.output.weight.shape[1])
        return
    for name in network.config.heads:
        yield name, int(network.get_parameter(f"heads.{name}.output.weight").shape[1])


def _head(
    path: str, name: str, parts: dict[str, Tensor | None], width: int, known: list[int]
) -> HeadGrades:
    where = f"{path}: {GRADES}, {name}"
    values = _numbers(where, parts)
    elements, triangle = values["elements"], width * (width + 1) // 2
    count = len(elements) if elements.ndim == 1 else 0
    if not count or not set(elements.tolist()) <= set(known) or not (np.diff(elements) > 0).all():
        raise ModelFileError(
            f"{where}: elements must be some of {known}, ascending, got {elements.tolist()!r:.100}"
        )
    shapes: dict[str, list[tuple[int, ...]]] = {
        "mean": [(count, width)],
        "triangle": [(count, triangle)],
        "largest": [(count,)],
        "limit": [(count,)],
        "total": [(0,), (triangle,)],
    }
    for part, allowed in shapes.items():
        if values[part].shape not in allowed:
            raise ModelFileError(
                f"{where}: {part} must have the shape {allowed[-1]}, got {values[part].shape}"
            )
    whiten = _square(values["triangle"], width)
    if not (np.diagonal(whiten, axis1=1, axis2=2) > 0).all() or not (values["limit"] > 0).all():
        raise ModelFileError(f"{where}: limits and diagonals must be positive")
    total = _square(values["total"][None], width)[0] if values["total"].size else np.zeros((0, 0))
    return HeadGrades(elements, values["mean"], whiten, values["largest"], values["limit"], total)


def _numbers(where: str, parts: dict[str, Tensor | None]) -> dict[str, NDArray]:
    """The tensors as arrays, after a look at their types and sizes."""
    values: dict[str, NDArray] = {}
    for part, tensor in parts.items():
        kind = torch.int64 if part == "elements" else torch.float32
        if tensor is None or tensor.dtype != kind:
            got = None if tensor is None else tensor.dtype
            raise ModelFileError(f"{where}: {part} must be there, of {kind}, got {got}")
        values[part] = tensor.numpy() if kind == torch.int64 else tensor.double().numpy()
        if not (np.abs(values[part]) < LARGEST).all():
            raise ModelFileError(f"{where}: {part} must be finite and below {LARGEST:g}")
    return values


def _square(triangles: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """(E, H (H + 1) / 2) -> (E, H, H) lower triangles."""
    square = np.zeros((len(triangles), width, width))
    below = np.tril_indices(width)
    square[:, below[0], below[1]] = triangles
    return square
