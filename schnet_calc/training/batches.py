"""Batches of frames as tensors, with their pairs found once and kept; on a GPU made ahead of their step."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_masses
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.data import Frames
from schnet_calc.stages import in_turn
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import half_pairs


class TrainingBatch(NamedTuple):
    """A graph of B structures with N atoms in all, and its labels."""

    graph: Graph
    """The structures."""
    counts: Tensor
    """(B,) atoms of each"""
    labels: dict[str, Tensor]
    """By name of the property: (B, ...), or (N, ...) of atoms, not a number where a structure has no label;
    energies without the reference energies"""
    complete: frozenset[str] = frozenset()
    """Names of labels that all structures are known to have"""

    def to(self, device: torch.device) -> "TrainingBatch":
        """Return the same batch on another device."""
        if self.counts.device == device:
            return self
        return self._with(lambda x: x.to(device, non_blocking=x.is_pinned()))

    def pinned(self) -> "TrainingBatch":
        """Return the same batch in memory from which a GPU copies while others compute."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> "TrainingBatch":
        labels = {name: change(x) for name, x in self.labels.items()}
        return TrainingBatch(Graph(*map(change, self.graph)), change(self.counts), labels, self.complete)

    @property
    def positions(self) -> Tensor:
        """(N, 3) Å, of the graph."""
        return self.graph.positions

    @property
    def system(self) -> Tensor:
        """(N,) index of each atom's structure."""
        return self.graph.system

    @property
    def masses(self) -> Tensor:
        """(N,) amu."""
        return torch.from_numpy(atomic_masses)[self.graph.numbers.cpu()].to(self.graph.positions)

    def sums(self, atomic: Tensor) -> Tensor:
        """Add up (N, ...) numbers of atoms to (B, ...) of structures."""
        zeros = atomic.new_zeros(len(self.counts), *atomic.shape[1:])
        return zeros.index_add(0, self.graph.system, atomic)


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
        self.frames, self.dtype = frames, dtype
        self.labels = dict(frames.labels)
        if "energy" in self.labels:
            table = np.zeros(max(references) + 1)
            table[list(references)] = list(references.values())
            self.labels["energy"] = frames.energies - np.add.reduceat(
                table[frames.numbers], frames.offsets[:-1]
            )
        lists = [
            half_pairs(frames.positions[frames.rows(k)], frames.cells[k], frames.pbc[k], cutoff)
            for k in in_turn("neighbours of frames", range(len(frames)))
        ]
        self.n_atoms = frames.n_atoms
        self.complete = frozenset(name for name in self.labels if frames.labelled(name).all())
        self.pair_offsets = np.concatenate([[0], np.cumsum([len(x.i) for x in lists])])
        self.n_pairs = np.diff(self.pair_offsets)
        self.i = np.concatenate([x.i for x in lists]).astype(np.int32)
        self.j = np.concatenate([x.j for x in lists]).astype(np.int32)
        self.shifts = np.concatenate([x.shifts for x in lists]) if frames.pbc.any() else None

    def __len__(self) -> int:
        return len(self.frames)

    def distance_range(self) -> tuple[float, float]:
        """Return the shortest and the longest distance of all pairs, Å."""
        low, high, most = np.inf, 0.0, 10_000
        for first in range(0, len(self), most):  # in parts: large data have millions of pairs
            last = min(first + most, len(self))
            pairs = slice(self.pair_offsets[first], self.pair_offsets[last])
            starts = np.repeat(self.frames.offsets[first:last], self.n_pairs[first:last])
            vectors = self.frames.positions[self.j[pairs] + starts]
            vectors = vectors - self.frames.positions[self.i[pairs] + starts]
            if self.shifts is not None:
                vectors = vectors + self.shifts[pairs]
            distances = np.linalg.norm(vectors, axis=1)
            if len(distances):
                low, high = min(low, float(distances.min())), max(high, float(distances.max()))
        return (low, high) if np.isfinite(low) else (0.0, 0.0)

    def _real(self, x: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).to(self.dtype)

    def batch(self, indices: NDArray[np.int64]) -> TrainingBatch:
        """Put frames of (B,) indices together."""
        frames = self.frames
        counts = self.n_atoms[indices]
        starts = np.concatenate([[0], np.cumsum(counts)])
        rows = _ranges(frames.offsets[indices], counts)
        n_pairs = self.n_pairs[indices]
        pair_rows = _ranges(self.pair_offsets[indices], n_pairs)
        base = np.repeat(starts[:-1], n_pairs)
        real = self._real
        graph = Graph(
            numbers=torch.from_numpy(frames.numbers[rows]),
            positions=real(frames.positions[rows]),
            system=torch.from_numpy(np.repeat(np.arange(len(indices)), counts)),
            i=torch.from_numpy(self.i[pair_rows] + base),
            j=torch.from_numpy(self.j[pair_rows] + base),
            shifts=torch.zeros(len(pair_rows), 3, dtype=self.dtype)
            if self.shifts is None
            else real(self.shifts[pair_rows]),
        )
        per_atom = {name: frames.properties[name].per_atom for name in self.labels}
        return TrainingBatch(
            graph=graph,
            counts=real(counts),
            labels={k: real(x[rows if per_atom[k] else indices]) for k, x in self.labels.items()},
            complete=self.complete,
        )


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranges [start, start + count) one after another."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)


class Ahead:
    """The batches of a run by step; on a GPU the next one is made, in pinned memory, while this one is used.

    Parameters
    ----------
    make : callable
        Step -> batch on the CPU; called from a thread.
    device : torch.device
        Where batches are wanted.
    """

    def __init__(self, make: Callable[[int], TrainingBatch], device: torch.device) -> None:
        self.make, self.device = make, device
        self._next: tuple[int, Future[TrainingBatch]] | None = None
        self._thread = ThreadPoolExecutor(1) if device.type != "cpu" else None

    def take(self, step: int) -> TrainingBatch:
        """Return the batch of a step on the device; steps usually come in their order."""
        if self._thread is None:
            return self.make(step)
        ahead, self._next = self._next, None
        if (
            ahead is None or ahead[0] != step
        ):  # one at a time: the order of the frames is kept between calls
            ahead = (step, self._thread.submit(self._made, step))
        batch = ahead[1].result()
        self._next = (step + 1, self._thread.submit(self._made, step + 1))
        return batch.to(self.device)

    def _made(self, step: int) -> TrainingBatch:
        batch = self.make(step)
        return batch.pinned() if self.device.type == "cuda" else batch
