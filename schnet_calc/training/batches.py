"""Batches of frames as tensors, with their pairs found once and kept."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.data import Frames
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import half_pairs


class Batch(NamedTuple):
    """A graph of B structures with N atoms in all, and its labels."""

    graph: Graph
    """The structures."""
    energies: Tensor
    """(B,) eV, without the reference energies"""
    forces: Tensor
    """(N, 3) eV/Å"""
    virials: Tensor | None
    """(B, 3, 3) eV, not a number where a structure has no label; None if there are no labels at all"""

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        dtype = self.energies.dtype
        graph, virials = self.graph.to(device, dtype), self.virials
        virials = None if virials is None else virials.to(device)
        return Batch(graph, self.energies.to(device), self.forces.to(device), virials)


class Batches:
    """Frames with their pair lists, from which batches are put together.

    Parameters
    ----------
    frames : Frames
        The data.
    references : dict
        Reference energy per atomic number, eV, subtracted in float64.
    cutoff : float
        Å; infinite for all pairs.
    dtype : torch.dtype
        Of the batches.
    """

    def __init__(
        self, frames: Frames, references: dict[int, float], cutoff: float, dtype: torch.dtype
    ) -> None:
        self.frames = frames
        self.dtype = dtype
        per_atom = np.vectorize(references.__getitem__, otypes=[float])(frames.numbers)
        self.residuals = frames.energies - np.add.reduceat(per_atom, frames.offsets[:-1])
        lists = [
            half_pairs(
                frames.positions[frames.rows(k)],
                frames.cells[k],
                frames.pbc[k],
                cutoff,
            )
            for k in range(len(frames))
        ]
        self.pair_offsets = np.concatenate([[0], np.cumsum([len(x.i) for x in lists])])
        self.i = np.concatenate([x.i for x in lists]).astype(np.int32)
        self.j = np.concatenate([x.j for x in lists]).astype(np.int32)
        self.shifts = np.concatenate([x.shifts for x in lists]) if frames.pbc.any() else None

    def __len__(self) -> int:
        return len(self.frames)

    def distance_range(self) -> tuple[float, float]:
        """Shortest and longest distance of all pairs, Å."""
        starts = np.repeat(self.frames.offsets[:-1], np.diff(self.pair_offsets))
        vectors = self.frames.positions[self.j + starts] - self.frames.positions[self.i + starts]
        if self.shifts is not None:
            vectors = vectors + self.shifts
        distances = np.linalg.norm(vectors, axis=1)
        if not len(distances):
            return 0.0, 0.0
        return float(distances.min()), float(distances.max())

    def batch(self, indices: NDArray[np.int64]) -> Batch:
        """Put the given frames together."""
        frames = self.frames
        counts = frames.n_atoms[indices]
        starts = np.concatenate([[0], np.cumsum(counts)])
        rows = _ranges(frames.offsets[indices], counts)
        n_pairs = np.diff(self.pair_offsets)[indices]
        pair_rows = _ranges(self.pair_offsets[indices], n_pairs)
        base = np.repeat(starts[:-1], n_pairs)
        shifts = np.zeros((len(pair_rows), 3)) if self.shifts is None else self.shifts[pair_rows]

        def real(x: NDArray[np.float64]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(x)).to(self.dtype)

        graph = Graph(
            numbers=torch.from_numpy(frames.numbers[rows]),
            positions=real(frames.positions[rows]),
            system=torch.from_numpy(np.repeat(np.arange(len(indices)), counts)),
            i=torch.from_numpy(self.i[pair_rows] + base),
            j=torch.from_numpy(self.j[pair_rows] + base),
            shifts=real(shifts),
        )
        return Batch(
            graph=graph,
            energies=real(self.residuals[indices]),
            forces=real(frames.forces[rows]),
            virials=None if frames.virials is None else real(frames.virials[indices]),
        )


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranges [start, start + count) one after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
