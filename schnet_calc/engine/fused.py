"""The fast path for SchNet: splined filters, unordered pairs, forces without automatic differentiation."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from torch import Tensor

from schnet_calc.engine.base import Engine
from schnet_calc.graph import Graph
from schnet_calc.kernels.explicit import (
    atomic_energies,
    filter_tables,
    forces_from_slopes,
    look_up,
)
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.kernels.structure import evaluate, network_arrays
from schnet_calc.nn import SchNet
from schnet_calc.potential import Potential

KNOTS_PER_ANGSTROM = 400
"""Errors of the forces fall with its third power: about 3e-7 eV/Å here (see the tests)."""

Atomic = Callable[[Graph], tuple[Tensor, Tensor, Tensor]]


class FusedEngine(Engine):
    """Evaluates a SchNet from tables of its filters.

    On the CPU every structure is one compiled call, on as many threads as torch may use; on CUDA a
    batch is a sequence of tensor operations.

    Raises
    ------
    ValueError
        The model is not a SchNet with a cutoff, sum pooling and plain weights.
    """

    name = "fused"

    def __init__(self, potential: Potential, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(potential, device, dtype)
        if not supports(potential):
            raise ValueError(
                f"the fused engine needs a SchNet with a cutoff, sum pooling and plain weights; "
                f"{potential.path or 'this model'} is none: use engine='script'"
            )
        network = potential.network()
        assert network is not None
        grid = SplineGrid.covering(0.0, potential.cutoff, 1.0 / KNOTS_PER_ANGSTROM)
        backend = _compiled if device.type == "cpu" else _tensors
        self._atomic = backend(network.to(torch.float64), grid, device, dtype)

    @torch.no_grad()
    def atomic(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`Engine.atomic`."""
        return self._atomic(graph)


def supports(potential: Potential) -> bool:
    """Whether the fused engine can evaluate this model."""
    hyperparameters = potential.metadata.get("hyperparameters", {})
    return (
        potential.metadata.get("architecture") == "SchNet"
        and bool(potential.weights)
        and potential.cutoff < float("inf")
        and hyperparameters.get("pooling") == "sum"
    )


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="schnet-structures")


# Threads do not survive a fork: a child makes its own.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _compiled(network: SchNet, grid: SplineGrid, device: torch.device, dtype: torch.dtype) -> Atomic:
    weights = network_arrays(network, grid, dtype)

    def atomic(graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        numbers, positions, system, i, j, shifts = (x.numpy() for x in graph)
        n_systems = int(system[-1]) + 1
        atoms = np.searchsorted(system, np.arange(n_systems + 1))
        pairs = np.searchsorted(i, atoms) if len(i) else np.zeros(n_systems + 1, dtype=int)

        def one(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            a, p = slice(atoms[k], atoms[k + 1]), slice(pairs[k], pairs[k + 1])
            left, right = ((x[p] - atoms[k]).view(np.uint64) for x in (i, j))
            return evaluate(numbers[a], positions[a], left, right, shifts[p], weights)

        n_threads = min(torch.get_num_threads(), n_systems)
        mapped = (
            map(one, range(n_systems)) if n_threads == 1 else _pool(n_threads).map(one, range(n_systems))
        )
        energies, forces, virials = zip(*mapped, strict=True)
        return (
            torch.from_numpy(np.concatenate(energies)),
            torch.from_numpy(np.concatenate(forces)),
            torch.from_numpy(np.stack(virials)),
        )

    return atomic


def _tensors(network: SchNet, grid: SplineGrid, device: torch.device, dtype: torch.dtype) -> Atomic:
    tables = [table.to(device, dtype) for table in filter_tables(network, grid)]
    network = network.to(device, dtype)

    def atomic(graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        n_systems = int(graph.system[-1]) + 1
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        graph = graph.to(device, dtype)
        vectors, distances = vectors.to(device, dtype), distances.to(device, dtype)
        pairs = look_up(network, grid, graph.i, graph.j, distances)
        energies, slope = atomic_energies(network, tables, graph.numbers, pairs)
        unit = vectors / distances[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        strain = (slope[:, None] * unit)[:, :, None] * vectors[:, None, :]
        virials = strain.new_zeros(n_systems, 3, 3).index_add(0, graph.system[graph.i], strain)
        return energies, forces, virials

    return atomic
