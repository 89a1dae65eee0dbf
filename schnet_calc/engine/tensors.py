"""A SchNet as a sequence of tensor operations, for CUDA."""

import torch
from torch import Tensor

from schnet_calc.graph import Graph
from schnet_calc.kernels.explicit import (
    atomic_energies,
    filter_tables,
    forces_from_slopes,
    look_up,
    virials_from_slopes,
)
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.nn import SchNet

KNOTS_PER_ANGSTROM = 400
"""Of cubic splines, whose forces are off by about 3e-7 eV/Å then."""


class TensorSequence:
    """Atomic energies, forces and virials of a batch.

    Parameters
    ----------
    network : SchNet
        In float64.
    device : torch.device
        Where to.
    dtype : torch.dtype
        Of the evaluation.
    """

    def __init__(self, network: SchNet, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.grid = SplineGrid.covering(0.0, network.config.cutoff, 1.0 / KNOTS_PER_ANGSTROM)
        self.tables = [table.to(device, dtype) for table in filter_tables(network, self.grid)]
        self.network = network.to(device, dtype)

    def __call__(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """(N,) eV, (N, 3) eV/Å and (B, 3, 3) eV of a float64 graph on the CPU."""
        n_systems = int(graph.system[-1]) + 1
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        graph = graph.to(self.device, self.dtype)
        vectors, distances = (x.to(self.device, self.dtype) for x in (vectors, distances))
        pairs = look_up(self.network, self.grid, graph.i, graph.j, distances)
        energies, slope = atomic_energies(self.network, self.tables, graph.numbers, pairs)
        unit = vectors / distances[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        virials = virials_from_slopes(slope, unit, vectors, graph.system[graph.i], n_systems)
        return energies, forces, virials
