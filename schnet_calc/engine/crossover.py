"""The CPU for small batches and the GPU for large ones, from a size on that is measured."""

import copy
import logging
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schnet_calc.engine.base import Engine, Item
from schnet_calc.engine.compiled import CompiledEngine
from schnet_calc.engine.cuda import CudaEngine
from schnet_calc.engine.prediction import Prediction, Totals
from schnet_calc.engine.resident import Resident
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure

logger = logging.getLogger(__name__)

COPIES = (1, 4, 16, 64, 256)
"""Of what is evaluated first: the batches that are timed, until the GPU is faster."""
MOST_ATOMS = 5000
"""In a batch that is timed on both."""
WARM_UP, TIMED = 4, 3
"""Calls before the timed ones, which record and compile, and those."""


class CrossoverEngine(Engine):
    """Evaluates a batch where it is faster: ``device="auto"`` on a machine with a GPU.

    The first call times copies of its structure on both, which takes a second or so, and says the outcome in the
    log.

    Parameters
    ----------
    cpu : CompiledEngine
        For small batches.
    gpu : CudaEngine
        For large ones.
    """

    name = "compiled"

    def __init__(self, cpu: CompiledEngine, gpu: CudaEngine) -> None:
        super().__init__(gpu.potential, gpu.device, gpu.dtype, gpu.lists)
        self.cpu, self.gpu = cpu, gpu
        self.from_atoms: int | None = None
        """Atoms of a batch from which on the GPU evaluates it; None before the first call."""
        self._one_measures = threading.Lock()

    @property
    def pair_bytes(self) -> int:
        """See :class:`Engine`."""
        return self.gpu.pair_bytes

    def forget(self) -> None:
        """Drop the recordings."""
        self.gpu.forget()

    def compute(self, items: Sequence[Item], heads: Sequence[str]) -> list[Prediction]:
        """See :class:`Engine`."""
        return self._faster([item.structure for item in items]).compute(items, heads)

    def hidden_of(self, items: Sequence[Item]) -> list[dict[str, NDArray[np.float64]]]:
        """Return (N, H) activations, without a unit; see :meth:`Engine.hidden`."""
        return self.gpu.hidden_of(items)

    def totals(self, geometries: Geometries) -> Totals:
        """See :class:`Engine`."""
        n_atoms = len(geometries.numbers) * len(geometries.positions)
        if self.from_atoms is None:  # the first call may have an error to raise
            return super().totals(geometries)
        return (self.gpu if n_atoms >= self.from_atoms else self.cpu).totals(geometries)

    def resident(self, structure: Structure, count: int) -> Resident | None:
        """See :class:`Engine`."""
        return self._faster([structure] * count).resident(structure, count)

    def hessian(self, structure: Structure) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy of one structure, eV/Å²."""
        return self._faster([structure] * 12 * len(structure.numbers)).hessian(structure)

    def _faster(self, structures: Sequence[Structure]) -> Engine:
        if self.from_atoms is None:
            with self._one_measures:
                if self.from_atoms is None:
                    self.from_atoms = self._measured(structures[0])
        n_atoms = sum(len(s.numbers) for s in structures)
        return self.gpu if n_atoms >= self.from_atoms else self.cpu

    def _measured(self, structure: Structure) -> int:
        """Atoms from which on the GPU is faster; far more than were tried if it never was."""
        n_atoms, before = len(structure.numbers), 0
        for count in COPIES:
            if count > 1 and count * n_atoms > MOST_ATOMS:
                break
            cpu, gpu = (_seconds(engine, structure, count) for engine in (self.cpu, self.gpu))
            if gpu < cpu:
                # Between two sizes, where the one before was slower.
                found = int(np.sqrt(before * count * n_atoms)) if before else 0
                logger.info(
                    "%s evaluates batches of %d atoms or more, the CPU smaller ones", self.device, found
                )
                return found
            before = count * n_atoms
        logger.info("the CPU evaluates batches of up to %d atoms, %s larger ones", 4 * before, self.device)
        return 4 * before


def _seconds(engine: Engine, structure: Structure, count: int) -> float:
    """Of a call with copies of a structure; the lists that are in use stay as they are."""
    trial = copy.copy(engine)
    trial.lists = type(engine.lists)()
    for _ in range(WARM_UP):
        trial.evaluate([structure] * count, [])
    times = []
    for _ in range(TIMED):
        started = time.perf_counter()
        trial.evaluate([structure] * count, [])
        times.append(time.perf_counter() - started)
    return float(np.median(times))
