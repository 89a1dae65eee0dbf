"""Energies and forces of a batch, as a differentiable function of the weights."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.explicit import (
    atomic_energies,
    filter_tables,
    forces_from_slopes,
    look_up,
    virials_from_slopes,
)
from schnet_calc.nn import SchNet
from schnet_calc.training.batches import Batch


class Predicted(NamedTuple):
    """What a network says of a batch, beside whose labels it can be held."""

    energies: Tensor
    """(B,) eV"""
    forces: Tensor
    """(N, 3) eV/Å"""
    virials: Tensor | None
    """(B, 3, 3) eV; None if the batch has no labels for them"""


Predict = Callable[[nn.Module, Batch], Predicted]


def sum_per_system(atomic: Tensor, batch: Batch) -> Tensor:
    """(N,) -> (B,)."""
    return torch.zeros_like(batch.energies).index_add(0, batch.graph.system, atomic)


def predict_autograd(network: nn.Module, batch: Batch) -> Predicted:
    """Forces by automatic differentiation: any network, twice the passes."""
    graph = batch.graph
    positions = graph.positions.detach().requires_grad_()
    strain = positions.new_zeros(len(batch.energies), 3, 3, requires_grad=True)
    pairs, shifts = graph.directed()
    with torch.enable_grad():
        moved = positions
        if batch.virials is not None:
            deform = strain + torch.eye(3, dtype=strain.dtype, device=strain.device)
            moved = torch.einsum("nk,nkl->nl", positions, deform[graph.system])
            shifts = torch.einsum("pk,pkl->pl", shifts, deform[graph.system[pairs[0]]])
        atomic = network(graph.numbers, moved, pairs, shifts, graph.system)
        wanted = (positions,) if batch.virials is None else (positions, strain)
        gradients = torch.autograd.grad(atomic.sum(), wanted, create_graph=True)
    virials = None if batch.virials is None else gradients[1]
    return Predicted(sum_per_system(atomic, batch), -gradients[0], virials)


def explicit_predictor(grid: SplineGrid) -> Predict:
    """Forces as explicit operations, filters from tables on the grid (see ``kernels.explicit``)."""

    def predict(network: nn.Module, batch: Batch) -> Predicted:
        if not isinstance(network, SchNet):
            raise TypeError(f"explicit forces are written for SchNet, not {type(network).__name__}")
        graph = batch.graph
        vectors = graph.vectors()
        distances = torch.linalg.vector_norm(vectors, dim=1)
        pairs = look_up(network, grid, graph.i, graph.j, distances)
        tables = filter_tables(network, grid)
        atomic, slope, _ = atomic_energies(network, tables, graph.numbers, pairs)
        unit = vectors / distances[:, None]
        forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
        virials = None
        if batch.virials is not None:
            virials = virials_from_slopes(slope, unit, vectors, graph.system[graph.i], len(batch.energies))
        return Predicted(sum_per_system(atomic, batch), forces, virials)

    return predict
