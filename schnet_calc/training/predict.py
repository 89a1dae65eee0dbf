"""Energies and forces of a batch, as a differentiable function of the weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from schnet_calc.kernels.explicit import (
    atomic_energies,
    filter_tables,
    forces_from_slopes,
    look_up,
)
from schnet_calc.kernels.spline import SplineGrid
from schnet_calc.nn import SchNet
from schnet_calc.training.batches import Batch

Predict = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""(network, batch) -> energies (B,) eV and forces (N, 3) eV/Å."""


def sum_per_system(atomic: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (B,)."""
    return torch.zeros_like(batch.energies).index_add(0, batch.graph.system, atomic)


def predict_autograd(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Forces by automatic differentiation: any network, twice the passes."""
    graph = batch.graph
    positions = graph.positions.detach().requires_grad_()
    pairs, shifts = graph.directed()
    with torch.enable_grad():
        atomic = network(graph.numbers, positions, pairs, shifts, graph.system)
        (gradient,) = torch.autograd.grad(atomic.sum(), positions, create_graph=True)
    return sum_per_system(atomic, batch), -gradient


def explicit_predictor(grid: SplineGrid) -> Predict:
    """Forces as explicit operations, filters from tables on the grid (see ``kernels.explicit``)."""

    def predict(network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        if not isinstance(network, SchNet):
            raise TypeError(f"explicit forces are written for SchNet, not {type(network).__name__}")
        graph = batch.graph
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        pairs = look_up(network, grid, graph.i, graph.j, distances)
        tables = filter_tables(network, grid)
        atomic, slope = atomic_energies(network, tables, graph.numbers, pairs)
        unit = vectors / distances[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        return sum_per_system(atomic, batch), forces

    return predict
