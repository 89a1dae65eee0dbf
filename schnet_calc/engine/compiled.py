"""A SchNet on the CPU: one compiled call for a structure or a batch."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.checks import check_finite, check_shortest, check_structure, named
from schnet_calc.engine.prediction import Prediction
from schnet_calc.graph import Structure
from schnet_calc.kernels.parallel import Evaluated, Prepared, evaluate_many, evaluate_one
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.kernels.structure import network_arrays
from schnet_calc.neighbors import SkinList
from schnet_calc.nn import SchNet

PART = 24
"""Atoms that a thread has at least where several share one structure."""
LARGE = 500
"""Atoms from which on threads share each structure of a batch, one after the other."""
SLOTS = 256
"""Places in a batch whose neighbour lists are kept."""


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
        n_threads, count = torch.get_num_threads(), len(structures)
        found: dict[int, Prediction] = {}
        waiting: dict[int, Prepared] = {}
        for k, structure in enumerate(structures):
            n_atoms = len(structure.numbers)
            with named(k, count):
                prepared = self._prepare(k, structure)
                if count == 1 or n_atoms >= LARGE:
                    n_parts = max(1, min(n_threads, n_atoms // PART))
                    evaluated = evaluate_one(prepared, self.weights, n_parts)
                    found[k] = self._prediction(structure, prepared, evaluated)
                else:
                    waiting[k] = prepared
        if waiting:
            batch = evaluate_many(list(waiting.values()), self.weights, min(n_threads, len(waiting)))
            for (k, prepared), evaluated in zip(waiting.items(), batch, strict=True):
                with named(k, count):
                    found[k] = self._prediction(structures[k], prepared, evaluated)
        return [found[k] for k in range(count)]

    def _prepare(self, place: int, structure: Structure) -> Prepared:
        check_structure(structure, self.offsets)
        neighbors = self.lists.get(place) or SkinList(self.cutoff)
        if place < SLOTS:
            self.lists[place] = neighbors
        positions = np.ascontiguousarray(structure.positions, dtype=float)
        pairs = neighbors.pairs(positions, structure.cell, structure.pbc)
        return Prepared(structure.numbers, positions, *pairs)

    def _prediction(self, structure: Structure, prepared: Prepared, found: Evaluated) -> Prediction:
        check_shortest(found.closest, found.shortest, prepared.i, prepared.j)
        check_finite(found.energies, found.forces)
        energies = found.energies + self.offsets[structure.numbers]
        return Prediction(energies, found.forces, found.virial, structure.volume)
