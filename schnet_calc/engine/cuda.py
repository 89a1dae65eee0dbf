"""A SchNet on a GPU: kernels, or tensor operations where there is no Triton, recorded and replayed."""

import math
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.base import Item
from schnet_calc.engine.checks import SHORTEST_DISTANCE, all_sound, check_finite, check_shortest
from schnet_calc.engine.chunks import is_out_of_memory
from schnet_calc.engine.grading import DeviceGrades, GradedBatch, hidden_layers
from schnet_calc.engine.prediction import Prediction, Totals, read_heads
from schnet_calc.engine.recordings import Joined, Recordable, Recording, Stage, plain_arithmetic
from schnet_calc.engine.resident import Resident
from schnet_calc.engine.sequences import best_sequence
from schnet_calc.engine.support import TabulatedEngine, compiled_network
from schnet_calc.kernels.cuda.batch import Outputs
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.modelfile import Potential
from schnet_calc.nn import SchNet
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import (
    ALL_PAIRS_LIMIT,
    SKIN,
    HalfPairs,
    NeighborLists,
    all_pairs,
    takes_all_pairs,
)
from schnet_calc.structures.structure import Structure

SPARE = 1.1
"""Room for pairs of crystals, as a multiple of those that there may be with a skin."""
MOST_RECORDINGS = 64
"""Kept at a time; the one that was not used for longest goes first."""

Maker = Callable[[SchNet, SplineGrid, torch.device, torch.dtype], Recordable]


class Begun(NamedTuple):
    """A call that has been set off."""

    items: Sequence[Item]
    numbers: NDArray[np.int64]
    """(N,) of all atoms"""
    sizes: Sequence[int]
    """Atoms of each structure"""
    recording: Recording
    outputs: Outputs


class CudaEngine(TabulatedEngine):
    """Evaluates a SchNet on a GPU, a recording for each size of batch; on the CPU it runs unrecorded.

    Parameters
    ----------
    potential, device, dtype, lists
        As for :class:`Engine`.
    make : callable, optional
        :class:`~schnet_calc.kernels.cuda.sequence.FusedSequence` or
        :class:`~schnet_calc.kernels.torch.evaluation.TensorSequence`; by default the first where there is Triton.
    """

    def __init__(
        self,
        potential: Potential,
        device: torch.device,
        dtype: torch.dtype,
        lists: NeighborLists | None = None,
        make: Maker | None = None,
    ) -> None:
        super().__init__(potential, device, dtype, lists)
        self.sequence = (make or best_sequence)(self.network, self.grid, device, dtype)
        self.network = self.sequence.network
        self.grades = DeviceGrades(potential.grades, self.network, device, dtype)
        self.recordings: dict[tuple[int, int], Recording] = {}
        self.stage = Stage(device)
        self.alone = threading.RLock()
        """Held during a call: a recording reads and writes the same memory at every one."""

    @property
    def pair_bytes(self) -> int:
        """See :class:`Engine`; an atom has ten pairs or more where memory is a question."""
        return 2 * self.sequence.bytes_per_pair + self.sequence.bytes_per_atom // 10

    def forget(self) -> None:
        """Drop the recordings: each holds memory of its own."""
        with self.alone:
            self.recordings.clear()
            torch.cuda.empty_cache()

    def compute(self, items: Sequence[Item], heads: Sequence[str]) -> list[Prediction]:
        """Evaluate all structures as one call."""
        with self.alone:
            return self.end(self.begin(items), heads)

    def begin(self, items: Sequence[Item]) -> Begun:
        """Set off a call without waiting for it; who calls this holds :attr:`alone` until :meth:`end` is done."""
        structures = [item.structure for item in items]
        joined = Joined(
            np.concatenate([s.numbers for s in structures]),
            np.concatenate([s.positions for s in structures]),
            [item.pairs for item in items],
            [len(s.numbers) for s in structures],
        )
        return Begun(items, joined.numbers, joined.sizes, *self.start(joined))

    def end(self, begun: Begun, heads: Sequence[str]) -> list[Prediction]:
        """Wait for a call, and make predictions of it."""
        items, numbers, sizes, recording, outputs = begun
        with plain_arithmetic(self.device):
            atomic = self._heads(outputs, heads, len(numbers))
        atoms, virials, graded = recording.finish()
        found, end = [], 0
        for k, item in enumerate(items):
            rows = slice(end, end := end + sizes[k])
            self._check(atoms[rows], item, k)
            of_heads = read_heads({n: x[rows] for n, x in atomic.items()}, self.heads, item.structure)
            share = self.network.share(sizes[k])
            found.append(
                Prediction(
                    share * atoms[rows, 0] + self.offsets[item.structure.numbers],
                    share * atoms[rows, 1:4],
                    share * whole(virials[k]),
                    item.structure.volume,
                    outputs=of_heads[0],
                    atomic=of_heads[1],
                    grades=graded.of(rows),
                    error_bar=graded.error_bar(k, share),
                )
            )
        return found

    def hidden_of(self, items: Sequence[Item]) -> list[dict[str, NDArray[np.float64]]]:
        """Return (N, H) activations, without a unit; see :meth:`Engine.hidden`."""
        with self.alone:
            begun = self.begin(items)
            features = begun.outputs.features[: len(begun.numbers)].to("cpu", torch.float64).numpy()
            begun.recording.finish()
        network = compiled_network(self.potential)
        return [hidden_layers(network, x) for x in np.split(features, np.cumsum(begun.sizes)[:-1])]

    def totals(self, geometries: Geometries) -> Totals:
        """Evaluate geometries without an object for each; what may have an error to raise has one."""
        numbers, positions, cells, _ = geometries
        count, n_atoms = len(positions), len(numbers)
        shapes = positions.shape[1:] == (n_atoms, 3) and cells.shape == (count, 3, 3)
        if not (shapes and all_sound(numbers, positions, cells, self.offsets)):
            return super().totals(geometries)
        pairs = self._pairs(geometries)
        if sum(len(p.i) for p in pairs) > self.most_pairs:
            return super().totals(geometries)
        joined = Joined(np.tile(numbers, count), positions.reshape(-1, 3), pairs, [n_atoms] * count)
        try:
            atoms, virials, graded = self._numbers(joined)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            atoms = np.full((1, 5), np.nan)  # goes on by halves, behind the except
        if not (atoms[:, 4].min() >= SHORTEST_DISTANCE and np.isfinite(atoms[:, :4].sum())):
            return super().totals(geometries)
        share, atoms = self.network.share(n_atoms), atoms.reshape(count, n_atoms, 5)
        energies = share * atoms[..., 0] + self.offsets[numbers]
        grades = graded.of(slice(None))
        found = None if grades is None else grades.reshape(count, n_atoms)
        return Totals(energies, share * atoms[..., 1:4], share * whole(virials), found)

    def _numbers(self, joined: Joined) -> tuple[NDArray[np.float64], NDArray[np.float64], GradedBatch]:
        """What :meth:`Recording.finish` says, and grades."""
        with self.alone:
            recording, _ = self.start(joined)
            return recording.finish()

    def resident(self, structure: Structure, count: int) -> Resident | None:
        """See :class:`Engine`: where all fit into one call."""
        return Resident.fitting(self, structure, count)

    def _pairs(self, geometries: Geometries) -> list[HalfPairs]:
        if takes_all_pairs(len(geometries.numbers), geometries.pbc):
            return [all_pairs(len(geometries.numbers))] * len(geometries.positions)
        return [self.lists.pairs(k, s, self.cutoff) for k, s in enumerate(geometries.structures())]

    def _check(self, atoms: NDArray[np.float64], item: Item, k: int) -> None:
        if atoms[:, 4].min() < SHORTEST_DISTANCE:
            p, positions = item.pairs, item.structure.positions
            lengths = np.linalg.norm(positions[p.j] + p.shifts - positions[p.i], axis=1)
            check_shortest(int(lengths.argmin()), float(lengths.min()), p.i, p.j, k)
        check_finite(atoms[:, 0], atoms[:, 1:4], k)

    def _heads(
        self, outputs: Outputs, heads: Sequence[str], n_atoms: int
    ) -> dict[str, NDArray[np.float64]]:
        found = {name: self.network.heads[name](outputs.features[:n_atoms]) for name in heads}
        return {name: x.to("cpu", torch.float64).numpy() for name, x in found.items()}

    def start(self, joined: Joined) -> tuple[Recording, Outputs]:
        """Set off a call; once more without the other recordings where memory is short."""
        for attempt in (1, 2):
            try:
                with plain_arithmetic(self.device):
                    recording = self._recording(joined.pairs, joined.sizes)
                    return recording, recording.start(joined)
            except torch.OutOfMemoryError:
                if attempt == 2:
                    raise
            # Behind the except: the error would keep the arrays of the failed call.
            self.forget()
        raise AssertionError

    def _recording(self, pairs: Sequence[HalfPairs], sizes: Sequence[int]) -> Recording:
        """One with room enough; a new one if there is none."""
        n_pairs = 2 * sum(len(p.i) for p in pairs)
        key = (sum(sizes), 1) if len(sizes) == 1 else (roomy(sum(sizes)), roomy(len(sizes)))
        kept = self.recordings.pop(key, None)
        if kept is None or kept.capacity < n_pairs:
            room = n_pairs
            if not _always_the_same(pairs, sizes):
                # The first list of a structure has no skin, the next one has.
                with_skin = (1.0 + SKIN / self.cutoff) ** 3 if math.isfinite(self.cutoff) else 1.0
                room = int(SPARE * with_skin * n_pairs) + 1
            room = roomy(room) if len(sizes) > 1 else room
            kept = Recording(self.sequence, self.stage, self.grades, *key, room)
        self.recordings[key] = kept
        while len(self.recordings) > 1 and (
            len(self.recordings) > MOST_RECORDINGS
            or sum(r.nbytes for r in self.recordings.values()) > self.memory
        ):
            del self.recordings[next(iter(self.recordings))]
        return kept


def roomy(n: int) -> int:
    """Return n, rounded up by an eighth at most: few sizes for many numbers of structures."""
    step = 1 << max(n.bit_length() - 4, 0)
    return -(-n // step) * step


def whole(virial: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return virials (..., 3, 3), eV, from xx, yy, zz, yz, xz, xy (..., 6)."""
    return virial[..., [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(*virial.shape[:-1], 3, 3)


def _always_the_same(pairs: Sequence[HalfPairs], sizes: Sequence[int]) -> bool:
    """Whether these are all pairs of molecules, which no list ever adds to."""
    return all(n <= ALL_PAIRS_LIMIT and p is all_pairs(n) for p, n in zip(pairs, sizes, strict=True))
