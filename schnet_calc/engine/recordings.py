"""Calls of fixed sizes on a GPU: arrays that stay where they are, and the recording that is replayed over them.

At the size of a molecule a GPU spends its time on being told what to do. A CUDA graph tells it everything at once,
but only for arrays of fixed sizes at fixed places: there is room for more pairs than there are, so that a list of
neighbours that changes needs no new recording.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schnet_calc.engine.device_lists import PairsOnDevice
from schnet_calc.engine.grading import DeviceGrades, GradedBatch
from schnet_calc.kernels.cuda.batch import Batch, Outputs
from schnet_calc.nn import SchNet
from schnet_calc.structures.neighbors import HalfPairs

logger = logging.getLogger(__name__)

WARM_UP = 3
"""Calls before a recording, as CUDA graphs want."""
_ONE_RECORDS = threading.Lock()
"""Two recordings at a time would see each other's allocations."""


class Joined(NamedTuple):
    """Structures one after the other."""

    numbers: NDArray[np.int64]
    """(N,) of all atoms"""
    positions: NDArray[np.float64] | Tensor
    """(N, 3) Å; results of a tensor stay on its device, where :meth:`Recording.finish` has none"""
    pairs: Sequence[HalfPairs]
    """Of each structure"""
    sizes: Sequence[int]
    """Atoms of each structure"""


class Recordable(Protocol):
    """What can be recorded."""

    device: torch.device
    network: SchNet
    """On the device."""

    @property
    def bytes_per_atom(self) -> int:
        """Of what is kept between the way up and the way back, about."""
        ...

    @property
    def bytes_per_pair(self) -> int:
        """Of a directed pair, about."""
        ...

    def __call__(self, batch: Batch) -> Outputs:
        """Evaluate a batch on the device."""


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """Whatever the caller has switched on, compute in the types that tensors have, and without a tape.

    TF32 would cost three digits of every force, autocast more; tensors of inference mode are of no use outside.
    """
    products = torch.backends.cuda.matmul
    name, off = ("fp32_precision", "ieee") if hasattr(products, "fp32_precision") else ("allow_tf32", False)
    before = getattr(products, name)
    setattr(products, name, off)
    try:
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        setattr(products, name, before)


class Stage:
    """What the recordings of an engine share: a stream to record on, and a pool of memory that all of them use.

    Parameters
    ----------
    device : torch.device
        Of the engine.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            self.pool, self.stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)

    def record(self, call: Callable[[], Outputs]) -> tuple[torch.cuda.CUDAGraph, Outputs]:
        """Record a call."""
        current, stream = torch.cuda.current_stream(self.device), self.stream
        stream.wait_stream(current)
        # The outer one brings the current stream back even where a recording fails.
        with _ONE_RECORDS, torch.cuda.stream(current):
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    call()
            current.wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile.
            with torch.cuda.graph(graph, self.pool, stream, capture_error_mode="thread_local"):
                outputs = call()
        return graph, outputs


class Recording:
    """A sequence for so many atoms and structures, and at most so many directed pairs; replayed on CUDA.

    Parameters
    ----------
    sequence : callable
        What to record.
    stage : Stage
        Where.
    grades : DeviceGrades
        What grades the atoms in the same call.
    n_atoms, n_structures, capacity : int
        Sizes.
    """

    def __init__(
        self,
        sequence: Recordable,
        stage: Stage,
        grades: DeviceGrades,
        n_atoms: int,
        n_structures: int,
        capacity: int,
    ) -> None:
        self.sequence, self.stage, self.grades, self.capacity = sequence, stage, grades, capacity
        self.batch = Batch.empty(n_atoms, n_structures, capacity, sequence.device)
        on_gpu = sequence.device.type == "cuda"
        self._going = torch.zeros(n_atoms, 3, dtype=torch.float64, pin_memory=on_gpu)
        self._on_gpu, self._coming = on_gpu, torch.zeros(0, dtype=torch.float64)
        self._end = 5 * n_atoms + 6 * n_structures
        """Where grades begin in the numbers of a call."""
        self.calls = 0
        self._sizes: Sequence[int] = ()
        self._numbers: NDArray[np.int64] | None = None
        self._pairs: Sequence[HalfPairs] = ()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._outputs: Outputs | None = None
        self._recordable = on_gpu

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed."""
        return self._graph is not None

    @property
    def nbytes(self) -> int:
        """Bytes that it keeps for itself on the device."""
        return self.batch.nbytes + (sum(x.nbytes for x in self._outputs) if self._outputs else 0)

    def start(self, joined: Joined) -> Outputs:
        """Set off an evaluation; outputs are overwritten by the next one."""
        self._load(joined)
        self.calls += 1
        # What comes once is not worth a recording.
        if self._graph is None and self._recordable and self.calls > 1:
            self._record()
        if self._graph is None:
            outputs = self._call()
        else:
            self._graph.replay()
            assert self._outputs is not None
            outputs = self._outputs
        if not isinstance(joined.positions, Tensor):
            if not len(self._coming):
                self._coming = torch.zeros(
                    outputs.numbers.shape, dtype=torch.float64, pin_memory=self._on_gpu
                )
            self._coming.copy_(outputs.numbers, non_blocking=True)
        return outputs

    def finish(self) -> tuple[NDArray[np.float64], NDArray[np.float64], GradedBatch]:
        """Wait for it; return eV, eV/Å, shortest distance, Å, of atoms (N, 5), virials (B, 6), eV, and grades."""
        if self._coming.is_pinned():
            torch.cuda.current_stream(self.sequence.device).synchronize()
        found, n_atoms = self._coming.numpy(), len(self.batch.numbers)
        atoms, virials = found[: 5 * n_atoms].reshape(-1, 5), found[5 * n_atoms : self._end].reshape(-1, 6)
        n_used, count = sum(self._sizes), len(self._sizes)
        graded = self.grades.read(found[self._end :], self.batch, n_used, count)
        return atoms[:n_used].copy(), virials[:count].copy(), graded

    def graded(self, outputs: Outputs) -> GradedBatch:
        """Return the grades alone, where the rest stays on the device."""
        numbers = outputs.numbers[self._end :].cpu().numpy()
        return self.grades.read(numbers, self.batch, sum(self._sizes), len(self._sizes))

    def _call(self) -> Outputs:
        """Evaluate what is loaded: the numbers of a sequence, and behind them those of the grades."""
        outputs = self.sequence(self.batch)
        return outputs._replace(numbers=torch.cat((outputs.numbers, self.grades(outputs, self.batch))))

    def _record(self) -> None:
        try:
            self._graph, self._outputs = self.stage.record(self._call)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._recordable = False
            logger.warning("a CUDA graph could not be recorded, kernels are started one by one: %s", error)

    def _load(self, joined: Joined) -> None:
        numbers, positions, pairs, sizes = joined
        n_atoms = len(numbers)
        if isinstance(positions, Tensor):
            self.batch.positions[:n_atoms] = positions
        else:
            self._going[:n_atoms] = torch.from_numpy(np.ascontiguousarray(positions))
            self.batch.positions.copy_(self._going, non_blocking=True)
        if self._numbers is None or not np.array_equal(numbers, self._numbers):
            self._numbers = None
            self.batch.numbers[:n_atoms] = torch.from_numpy(numbers.astype(np.int32)).to(
                self.sequence.device
            )
            self._numbers = numbers.copy()
        same = len(pairs) == len(self._pairs) and all(
            a is b for a, b in zip(pairs, self._pairs, strict=True)
        )
        if same and list(sizes) == list(self._sizes):
            return  # the lists are kept between steps, and lie there already
        self._pairs = ()  # an interruption must not leave a mixture that passes for whole
        self._load_pairs(pairs, sizes)
        self._sizes, self._pairs = tuple(sizes), tuple(pairs)

    def _load_pairs(self, pairs: Sequence[HalfPairs], sizes: Sequence[int]) -> None:
        batch, starts = self.batch, np.cumsum([0, *sizes])
        first_atoms = np.append(starts, np.full(len(batch.first_atoms) - len(starts), starts[-1]))
        batch.first_atoms.copy_(torch.from_numpy(first_atoms.astype(np.int32)))
        receivers, senders, shifts = self._directed(pairs, starts)
        n_atoms, n_pairs = len(batch.numbers), len(receivers)
        batch.receivers.fill_(n_atoms)
        batch.receivers[:n_pairs] = receivers
        batch.senders[:n_pairs] = senders
        batch.senders[n_pairs:] = 0
        batch.shifts[:n_pairs] = shifts
        atoms = torch.arange(n_atoms + 1, dtype=torch.int32, device=receivers.device)
        batch.first.copy_(torch.searchsorted(receivers, atoms))

    def _directed(
        self, pairs: Sequence[HalfPairs], starts: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Receivers, in order, senders (E,) and shifts (E, 3), Å, on the device; atoms begin at starts (B + 1,)."""
        device = self.batch.receivers.device  # has a number where the sequence's may have none
        there = [p.directed for p in pairs if isinstance(p, PairsOnDevice) and p.directed]
        if len(there) == len(pairs) and all(x[0].device == device for x in there):
            receivers, senders = (
                torch.cat([x[k] + s for x, s in zip(there, starts.tolist(), strict=False)]) for k in (0, 1)
            )
            if len(pairs) > 1:  # one large list may be shared by a committee, many would fill the memory
                for p in pairs:
                    cast(PairsOnDevice, p).directed = None
            return receivers, senders, torch.cat([x[2] for x in there])
        i = np.concatenate([p.i + s for p, s in zip(pairs, starts[:-1], strict=True)])
        j = np.concatenate([p.j + s for p, s in zip(pairs, starts[:-1], strict=True)])
        shifts = torch.from_numpy(np.concatenate([p.shifts for p in pairs])).to(device)
        half = [torch.from_numpy(x.astype(np.int32)).to(device) for x in (i, j)]
        receivers, order = torch.sort(torch.cat(half), stable=True)
        return receivers, torch.cat(half[::-1])[order], torch.cat((shifts, -shifts))[order]
