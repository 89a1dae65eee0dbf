"""A SchNet as a sequence of tensor operations, for CUDA, where the sequence is recorded and replayed.

At the size of a molecule a GPU spends its time on starting kernels. A CUDA graph starts all of them at
once, but only for tensors of fixed sizes at fixed places: pairs are padded to a capacity, so that a list
of neighbours that changes needs no new recording.
"""

import math
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.base import Engine, Item
from schnet_calc.engine.checks import check_finite, check_shortest
from schnet_calc.engine.differences import hessian_by_differences
from schnet_calc.engine.prediction import Prediction, read_heads
from schnet_calc.engine.support import compiled_network
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.splines.polynomials import polynomial_tables
from schnet_calc.kernels.splines.quintic import TOLERANCE, choose_grid, quintic_tables
from schnet_calc.kernels.torch.evaluation import atomic_energies, look_up
from schnet_calc.kernels.torch.explicit import forces_from_slopes, virials_from_slopes
from schnet_calc.modelfile import Potential
from schnet_calc.nn import SchNet
from schnet_calc.structures.graph import Graph
from schnet_calc.structures.neighbors import SKIN, HalfPairs, NeighborLists
from schnet_calc.structures.structure import Structure

SPARE = 1.1
"""Room for pairs, as a multiple of those that there may be with a skin."""
RECORDINGS = 8
"""Kept at a time; the oldest goes first."""
FAR = 1e5
"""Å; a pair of this length is padding, and counts nowhere."""
WARM_UP = 3
"""Calls before a recording, as CUDA graphs want."""
_ONE_RECORDS = threading.Lock()
"""Two recordings at a time would see each other's allocations."""


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
    features: Tensor
    """(N, F) of the atoms after all interactions"""


class TensorSequence:
    """Atomic energies, forces and virials of a batch; no step depends on values, only on sizes.

    Parameters
    ----------
    network : SchNet
        In float64.
    grid : SplineGrid
        Of the tables of its filters.
    device : torch.device
        Where to.
    dtype : torch.dtype
        Of the network; the geometry is float64.
    """

    def __init__(self, network: SchNet, grid: SplineGrid, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype, self.grid = device, dtype, grid
        self.cutoff = network.config.reach
        with torch.no_grad():
            self.tables = polynomial_tables(quintic_tables(network, grid)).to(device, dtype)
        self.network = network.to(device, dtype)

    @torch.no_grad()
    def __call__(self, graph: Graph, n_systems: int) -> Outputs:
        """Of a graph on the device, positions and shifts float64, with at least one pair of any length."""
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        shortest, closest = distances.min(dim=0)
        pairs = look_up(self.network, self.grid, graph.i, graph.j, distances)
        real = (distances < FAR)[:, None, None]
        pairs = pairs._replace(weights=(pairs.weights * real).to(self.dtype))
        energies, slope, features = atomic_energies(self.network, self.tables, graph.numbers, pairs)
        slope, unit = slope.to(torch.float64), vectors / distances[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        virials = virials_from_slopes(slope, unit, vectors, graph.system[graph.i], n_systems)
        return Outputs(energies, forces, virials, closest, shortest, features)


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
        # Of an atom with itself, far beyond everything: that adds nothing to anything.
        self._far = torch.tensor([2.0 * FAR, 0.0, 0.0], dtype=torch.float64, device=device)
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
            with _ONE_RECORDS:
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


class CudaEngine(Engine):
    """Evaluates a SchNet on a GPU, a recording for each size of batch; on the CPU it runs unrecorded.

    Raises
    ------
    ValueError
        The model is no SchNet of this package.
    """

    name = "compiled"

    def __init__(
        self,
        potential: Potential,
        device: torch.device,
        dtype: torch.dtype,
        lists: NeighborLists | None = None,
    ) -> None:
        super().__init__(potential, device, dtype, lists)
        network = compiled_network(potential)
        closest, _ = potential.metadata.distance_range or (0.0, 0.0)
        grid, self.force_error = choose_grid(network, potential.elements, closest, TOLERANCE[dtype])
        """Largest error of a force component that the tables cause, measured when they were made, eV/Å."""
        self.sequence = TensorSequence(network, grid, device, dtype)
        self.recordings: dict[tuple[int, int], Recording] = {}
        self._alone = threading.RLock()

    @property
    def pair_bytes(self) -> int:
        """See :class:`Engine`: six rows of a table, and a few of features, at a time."""
        return 14 * self.sequence.network.config.n_features * self.dtype.itemsize

    def forget(self) -> None:
        """Drop the recordings: each holds memory of its own."""
        with self._alone:
            self.recordings.clear()
        torch.cuda.empty_cache()

    def compute(self, items: Sequence[Item], heads: Sequence[str]) -> list[Prediction]:
        """Evaluate all structures as one sequence of tensor operations."""
        structures, pairs = [item.structure for item in items], [item.pairs for item in items]
        with self._alone:  # a recording reads and writes the same memory at every call
            try:
                outputs = self._recording(structures, pairs)(structures, pairs)
            except torch.OutOfMemoryError:
                self.forget()
                outputs = self._recording(structures, pairs)(structures, pairs)
            self._check_closest(outputs, pairs)
            return self._predictions(structures, outputs, heads)

    def _check_closest(self, outputs: Outputs, pairs: list[HalfPairs]) -> None:
        closest = int(outputs.closest)
        for k, p in enumerate(pairs):  # the pair's structure, and its number there
            if 0 <= closest < len(p.i):
                check_shortest(closest, float(outputs.shortest), p.i, p.j, k)
            closest -= len(p.i)

    def _predictions(
        self, structures: Sequence[Structure], outputs: Outputs, heads: Sequence[str]
    ) -> list[Prediction]:
        network = self.sequence.network
        with torch.no_grad():
            atomic = {name: _numpy(network.heads[name](outputs.features)) for name in heads}
        energies, forces, virials = (_numpy(x) for x in outputs[:3])
        found, end = [], 0
        for k, s in enumerate(structures):
            rows = slice(end, end := end + len(s.numbers))
            check_finite(energies[rows], forces[rows], k)
            share = 1.0 / len(s.numbers) if network.mean_pooling else 1.0
            of_heads = read_heads({name: x[rows] for name, x in atomic.items()}, self.heads, s)
            found.append(
                Prediction(
                    share * energies[rows] + self.offsets[s.numbers],
                    share * forces[rows],
                    share * virials[k],
                    s.volume,
                    outputs=of_heads[0],
                    atomic=of_heads[1],
                )
            )
        return found

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy of one structure, eV/Å²; differences of forces."""
        return hessian_by_differences(self, structure)

    def _recording(self, structures: Sequence[Structure], pairs: list[HalfPairs]) -> Recording:
        """One of this size with room enough; a new one if there is none."""
        n_pairs = sum(len(p.i) for p in pairs)
        key = (sum(len(s.numbers) for s in structures), len(structures))
        kept = self.recordings.pop(key, None)
        if kept is None or kept.capacity < n_pairs:
            # The first list of a structure has no skin, the next one has.
            cutoff = self.sequence.cutoff
            with_skin = (1.0 + SKIN / cutoff) ** 3 if math.isfinite(cutoff) else 1.0
            kept = Recording(self.sequence, *key, int(SPARE * with_skin * n_pairs) + 1)
        self.recordings[key] = kept
        while len(self.recordings) > RECORDINGS:
            del self.recordings[next(iter(self.recordings))]
        return kept


def _numpy(x: Tensor) -> NDArray[np.float64]:
    return x.to("cpu", torch.float64).numpy()
