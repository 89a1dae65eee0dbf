"""A SchNet on the CPU: one compiled call for a structure or a batch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.checks import check_finite, check_shortest, check_structure, named
from schnet_calc.engine.chunks import chunked
from schnet_calc.engine.prediction import Prediction
from schnet_calc.kernels.cpu.parallel import Evaluated, Prepared, evaluate_many, evaluate_one
from schnet_calc.kernels.cpu.weights import network_arrays
from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.nn import SchNet
from schnet_calc.structures.neighbors import SkinList, list_at
from schnet_calc.structures.structure import Structure

PART = 24
"""Atoms that a thread has at least where several share one structure."""
LARGE = 500
"""Atoms from which on threads share each structure of a batch, one after the other."""
PORTION = 2**19
"""Pairs in one compiled call, about: it takes a second or less, so long Ctrl-C may have to wait."""


def parts_of(n_atoms: int) -> int:
    """Threads that share one structure."""
    return max(1, min(torch.get_num_threads(), n_atoms // PART))


class Compiled:
    """Predictions for structures, with a neighbour list kept for each place of a batch.

    Parameters
    ----------
    network : SchNet
        In float64.
    grid : SplineGrid
        Of the filter tables.
    dtype : torch.dtype
        Of the evaluation; geometry and sums are float64.
    offsets : array
        (Z,) reference energies by atomic number, eV; not a number for those that the model doesn't know.
    """

    def __init__(
        self, network: SchNet, grid: SplineGrid, dtype: torch.dtype, offsets: NDArray[np.float64]
    ) -> None:
        self.weights = network_arrays(network, grid, dtype)
        self.cutoff = network.config.cutoff
        self.offsets = offsets
        self.lists: dict[int, SkinList] = {}

    def evaluate(self, structures: Sequence[Structure]) -> list[Prediction]:
        """Predictions, on as many threads as torch may use; the errors of an engine."""
        count = len(structures)
        found: dict[int, Prediction] = {}

        def small() -> Iterator[tuple[int, Prepared]]:
            """Those that get a thread; the others are evaluated at once, by all."""
            for k, structure in enumerate(structures):
                with named(k, count):
                    prepared = self._prepare(k, structure)
                    large = count == 1 or len(structure.numbers) >= LARGE
                    if large:
                        found[k] = self._shared(structure, prepared)
                if not large:
                    yield k, prepared

        for portion in chunked(small(), lambda item: len(item[1].i), PORTION):
            found |= self._in_turn(structures, dict(portion))
        return [found[k] for k in range(count)]

    def _shared(self, structure: Structure, prepared: Prepared) -> Prediction:
        """Of a structure that all threads work on."""
        n_parts = parts_of(len(structure.numbers))
        return self._prediction(structure, prepared, evaluate_one(prepared, self.weights, n_parts))

    def _in_turn(
        self, structures: Sequence[Structure], waiting: dict[int, Prepared]
    ) -> dict[int, Prediction]:
        """Of some structures of a batch, which threads take in turn."""
        n_parts = min(torch.get_num_threads(), len(waiting))
        batch = evaluate_many(list(waiting.values()), self.weights, n_parts)
        found = {}
        for (k, prepared), evaluated in zip(waiting.items(), batch, strict=True):
            with named(k, len(structures)):
                found[k] = self._prediction(structures[k], prepared, evaluated)
        return found

    def _prepare(self, place: int, structure: Structure) -> Prepared:
        check_structure(structure, self.offsets)
        positions = np.ascontiguousarray(structure.positions, dtype=float)
        pairs = list_at(self.lists, place, self.cutoff).pairs(positions, structure.cell, structure.pbc)
        return Prepared(structure.numbers, positions, *pairs)

    def _prediction(self, structure: Structure, prepared: Prepared, found: Evaluated) -> Prediction:
        check_shortest(found.closest, found.shortest, prepared.i, prepared.j)
        check_finite(found.energies, found.forces)
        energies = found.energies + self.offsets[structure.numbers]
        return Prediction(energies, found.forces, found.virial, structure.volume)
