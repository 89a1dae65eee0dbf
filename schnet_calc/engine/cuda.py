"""A SchNet as a sequence of tensor operations, for CUDA, where the sequence is recorded and replayed.

At the size of a molecule a GPU spends its time on starting kernels. A CUDA graph starts all of them at
once, but only for tensors of fixed sizes at fixed places: pairs are padded to a capacity, so that a list
of neighbours that changes needs no new recording.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.checks import check_finite, check_shortest, check_structure, named
from schnet_calc.engine.chunks import chunked
from schnet_calc.engine.prediction import Prediction, split
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.explicit import (
    atomic_energies,
    filter_tables,
    forces_from_slopes,
    look_up,
    virials_from_slopes,
)
from schnet_calc.nn import SchNet
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import SKIN, HalfPairs, SkinList, list_at
from schnet_calc.structures.structure import Structure

KNOTS_PER_ANGSTROM = 400
"""Of cubic splines, whose forces are off by about 3e-7 eV/Å then."""
SPARE = 1.1
"""Room for pairs, as a multiple of those that there may be with a skin."""
RECORDINGS = 8
"""Kept at a time; the oldest goes first."""
WARM_UP = 3
"""Calls before a recording, as CUDA graphs want."""


class Outputs(NamedTuple):
    """What the sequence computes for N atoms and B structures."""

    energies: Tensor
    """(N,) eV"""
    forces: Tensor
    """(N, 3) eV/Å"""
    virials: Tensor
    """(B, 3, 3) eV"""
    closest: Tensor
    """int64: the pair of smallest distance"""
    shortest: Tensor
    """that distance, Å"""


class TensorSequence:
    """Atomic energies, forces and virials of a batch; no step depends on values, only on sizes.

    Parameters
    ----------
    network : SchNet
        In float64.
    device : torch.device
        Where to.
    dtype : torch.dtype
        Of the network; the geometry is float64.
    """

    def __init__(self, network: SchNet, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.cutoff = network.config.cutoff
        self.grid = SplineGrid.covering(0.0, self.cutoff, 1.0 / KNOTS_PER_ANGSTROM)
        self.tables = [table.to(device, dtype) for table in filter_tables(network, self.grid)]
        self.network = network.to(device, dtype)

    @torch.no_grad()
    def __call__(self, graph: Graph, n_systems: int) -> Outputs:
        """Of a graph on the device, positions and shifts float64, with at least one pair of any length."""
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        shortest, closest = distances.min(dim=0)
        vectors, d = vectors.to(self.dtype), distances.to(self.dtype)
        pairs = look_up(self.network, self.grid, graph.i, graph.j, d)
        energies, slope = atomic_energies(self.network, self.tables, graph.numbers, pairs)
        unit = vectors / d[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        virials = virials_from_slopes(slope, unit, vectors, graph.system[graph.i], n_systems)
        return Outputs(energies, forces, virials, closest, shortest)


class Recording:
    """The sequence for so many atoms and structures, and at most so many pairs; replayed on CUDA.

    Parameters
    ----------
    sequence : TensorSequence
        What to record.
    n_atoms, n_systems, capacity : int
        Sizes.
    """

    def __init__(self, sequence: TensorSequence, n_atoms: int, n_systems: int, capacity: int) -> None:
        self.sequence, self.n_systems, self.capacity = sequence, n_systems, capacity
        device = sequence.device
        self.inputs = Graph(
            numbers=torch.zeros(n_atoms, dtype=torch.int64),
            positions=torch.zeros(n_atoms, 3, dtype=torch.float64),
            system=torch.zeros(n_atoms, dtype=torch.int64),
            i=torch.zeros(capacity, dtype=torch.int64),
            j=torch.zeros(capacity, dtype=torch.int64),
            shifts=torch.zeros(capacity, 3, dtype=torch.float64),
        ).to(device, torch.float64)
        # Of an atom with itself, beyond the cutoff: that adds nothing to anything.
        self._far = torch.tensor([2.0 * sequence.cutoff, 0.0, 0.0], dtype=torch.float64, device=device)
        self.calls = 0
        self._pairs: Sequence[HalfPairs] = ()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._outputs: Outputs | None = None

    def __call__(self, structures: Sequence[Structure], pairs: Sequence[HalfPairs]) -> Outputs:
        """Evaluate; outputs are overwritten by the next call."""
        self._load(structures, pairs)
        self.calls += 1
        if self.sequence.device.type != "cuda" or self.calls == 1:
            # What comes once is not worth a recording.
            return self.sequence(self.inputs, self.n_systems)
        if self._graph is None:
            self._record()
        assert self._graph is not None
        assert self._outputs is not None
        self._graph.replay()
        return self._outputs

    def _load(self, structures: Sequence[Structure], pairs: Sequence[HalfPairs]) -> None:
        sizes = [len(s.numbers) for s in structures]
        self._copy("numbers", np.concatenate([s.numbers for s in structures]))
        self._copy("positions", np.concatenate([s.positions for s in structures]))
        self._copy("system", np.repeat(np.arange(len(sizes)), sizes))
        if len(pairs) == len(self._pairs) and all(a is b for a, b in zip(pairs, self._pairs, strict=True)):
            return  # the lists are kept between steps, and lie there already
        self._pairs = ()  # an interruption must not leave a mixture that passes for whole
        starts = np.cumsum([0, *sizes[:-1]])
        n_pairs = sum(len(p.i) for p in pairs)
        self._copy("i", np.concatenate([p.i + s for p, s in zip(pairs, starts, strict=True)]))
        self._copy("j", np.concatenate([p.j + s for p, s in zip(pairs, starts, strict=True)]))
        self._copy("shifts", np.concatenate([p.shifts for p in pairs]))
        self.inputs.i[n_pairs:] = 0
        self.inputs.j[n_pairs:] = 0
        self.inputs.shifts[n_pairs:] = self._far
        self._pairs = tuple(pairs)

    def _copy(self, name: str, values: NDArray) -> None:
        target: Tensor = getattr(self.inputs, name)
        target[: len(values)].copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def _record(self) -> None:
        device = self.sequence.device
        current, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        stream.wait_stream(current)
        # The outer one brings the current stream back even where a recording fails.
        with torch.cuda.stream(current):
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    self.sequence(self.inputs, self.n_systems)
            current.wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile.
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self._outputs = self.sequence(self.inputs, self.n_systems)
        self._graph = graph


class TensorBatches:
    """Predictions for batches of structures, a recording for each size of batch.

    Parameters
    ----------
    sequence : TensorSequence
        The network on its device.
    offsets : array
        (Z,) reference energies by atomic number, eV; not a number for those that the model doesn't know.
    """

    def __init__(self, sequence: TensorSequence, offsets: NDArray[np.float64]) -> None:
        self.sequence, self.offsets = sequence, offsets
        self.lists: dict[int, SkinList] = {}
        self.recordings: dict[tuple[int, int], Recording] = {}

    def evaluate(self, structures: Sequence[Structure], most_pairs: float = np.inf) -> list[Prediction]:
        """Predictions; the errors of an engine. Batches of more pairs than this are evaluated in parts."""
        found: list[Prediction] = []
        for pairs in chunked(self._pairs(structures), lambda p: len(p.i), most_pairs):
            first, count = len(found), len(structures)
            found += self._predict(structures[first : first + len(pairs)], pairs, first, count)
        return found

    def _pairs(self, structures: Sequence[Structure]) -> Iterator[HalfPairs]:
        for k, s in enumerate(structures):
            with named(k, len(structures)):
                check_structure(s, self.offsets)
                pairs = list_at(self.lists, k, self.sequence.cutoff).pairs(s.positions, s.cell, s.pbc)
            yield pairs

    def _predict(
        self, structures: Sequence[Structure], pairs: list[HalfPairs], first: int, count: int
    ) -> list[Prediction]:
        """Of a part that begins at a place of a batch of so many structures."""
        try:
            outputs = self._recording(structures, pairs)(structures, pairs)
        except torch.OutOfMemoryError:
            self.recordings.clear()  # each holds memory of its own
            torch.cuda.empty_cache()
            outputs = self._recording(structures, pairs)(structures, pairs)
        energies, forces, virials = (
            x.to("cpu", torch.float64).numpy() for x in (outputs.energies, outputs.forces, outputs.virials)
        )
        closest = int(outputs.closest)
        for k, p in enumerate(pairs):  # the pair's structure, and its number there
            if 0 <= closest < len(p.i):
                with named(first + k, count):
                    check_shortest(closest, float(outputs.shortest), p.i, p.j)
            closest -= len(p.i)
        check_finite(energies, forces)
        return split(structures, self.offsets, energies, forces, virials)

    def _recording(self, structures: Sequence[Structure], pairs: list[HalfPairs]) -> Recording:
        """One of this size with room enough; a new one if there is none."""
        n_pairs = sum(len(p.i) for p in pairs)
        key = (sum(len(s.numbers) for s in structures), len(structures))
        kept = self.recordings.pop(key, None)
        if kept is None or kept.capacity < n_pairs:
            # The first list of a structure has no skin, the next one has.
            with_skin = (1.0 + SKIN / self.sequence.cutoff) ** 3
            kept = Recording(self.sequence, *key, int(SPARE * with_skin * n_pairs) + 1)
        self.recordings[key] = kept
        while len(self.recordings) > RECORDINGS:
            del self.recordings[next(iter(self.recordings))]
        return kept
