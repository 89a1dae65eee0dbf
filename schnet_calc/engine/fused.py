"""The fast path for SchNet: splined filters, unordered pairs, forces without automatic differentiation."""

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
from schnet_calc.kernels.ops import pack_table
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.potential import Potential

KNOTS_PER_ANGSTROM = 400
"""Errors of the forces fall with its third power: about 1e-7 eV/Å here (see the tests)."""


class FusedEngine(Engine):
    """Evaluates a SchNet from tables of its filters.

    Raises
    ------
    ValueError
        The model is not a SchNet with sum pooling and plain weights.
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
        self.network = network.to(torch.float64)
        self.grid = SplineGrid.covering(0.0, potential.cutoff, 1.0 / KNOTS_PER_ANGSTROM)
        tables = filter_tables(self.network, self.grid)
        self.tables = [table.to(device, dtype) for table in tables]
        if device.type == "cpu":
            self.tables = [pack_table(table) for table in self.tables]
        self.network = self.network.to(device, dtype)

    @torch.no_grad()
    def atomic(self, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`Engine.atomic`."""
        n_systems = int(graph.system[-1]) + 1
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        graph = graph.to(self.device, self.dtype)
        vectors, distances = (x.to(self.device, self.dtype) for x in (vectors, distances))
        pairs = look_up(self.network, self.grid, graph.i, graph.j, distances)
        energies, slope = atomic_energies(self.network, self.tables, graph.numbers, pairs)
        unit = vectors / distances[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        strain = (slope[:, None] * unit)[:, :, None] * vectors[:, None, :]
        virials = strain.new_zeros(n_systems, 3, 3).index_add(0, graph.system[graph.i], strain)
        return energies, forces, virials


def supports(potential: Potential) -> bool:
    """Whether the fused engine can evaluate this model."""
    hyperparameters = potential.metadata.get("hyperparameters", {})
    return (
        potential.metadata.get("architecture") == "SchNet"
        and bool(potential.weights)
        and potential.cutoff < float("inf")
        and hyperparameters.get("pooling") == "sum"
    )
