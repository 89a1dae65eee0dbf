"""A SchNet on the CPU: one compiled call for a structure, structures or parts of a large one on threads."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.engine.checks import check_finite, check_shortest, check_structure, named
from schnet_calc.engine.prediction import Prediction
from schnet_calc.graph import Structure
from schnet_calc.kernels.parallel import evaluate
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.kernels.structure import network_arrays
from schnet_calc.kernels.threads import thread_pool
from schnet_calc.neighbors import SkinList
from schnet_calc.nn import SchNet

PART = 24
"""Atoms that a thread has at least where several share one structure."""
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

    def one(self, place: int, structure: Structure, alone: bool) -> Prediction:
        """The prediction for a structure in a place of a batch; ``alone`` if it may use all threads."""
        check_structure(structure, self.offsets)
        if place >= SLOTS:
            neighbors = SkinList(self.cutoff)
        else:
            neighbors = self.lists.setdefault(place, SkinList(self.cutoff))
        positions = np.ascontiguousarray(structure.positions, dtype=float)
        pairs = neighbors.pairs(positions, structure.cell, structure.pbc)
        n_threads, n_atoms = torch.get_num_threads(), len(structure.numbers)
        n_parts = min(n_threads, n_atoms // PART) if alone else 1
        energies, forces, virial, closest, shortest = evaluate(
            structure.numbers, positions, pairs.i, pairs.j, pairs.shifts, self.weights, max(n_parts, 1)
        )
        check_shortest(closest, shortest, pairs.i, pairs.j)
        check_finite(energies, forces)
        return Prediction(energies + self.offsets[structure.numbers], forces, virial, structure.volume)


def evaluate_batch(networks: Sequence[Compiled], structures: Sequence[Structure]) -> list[list[Prediction]]:
    """What every network says of every structure, all of them on as many threads as torch may use."""
    if len(networks) == len(structures) == 1:
        return [[networks[0].one(0, structures[0], alone=True)]]
    jobs = [(network, k) for network in networks for k in range(len(structures))]
    n_threads = min(torch.get_num_threads(), len(jobs))

    def work(job: tuple[Compiled, int]) -> Prediction:
        network, k = job
        with named(k, len(structures)):
            # With several jobs the threads are taken: each structure stays on its own.
            return network.one(k, structures[k], alone=n_threads <= 1)

    try:
        found = (
            [work(job) for job in jobs] if n_threads <= 1 else list(thread_pool(n_threads).map(work, jobs))
        )
    except KeyboardInterrupt:
        thread_pool.cache_clear()  # its locks may have been left locked
        raise
    return [found[n : n + len(structures)] for n in range(0, len(found), len(structures))]
