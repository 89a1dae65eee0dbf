"""What a network says of a batch, as a differentiable function of the weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from schnet_calc.kernels.splines.cubic import SplineGrid
from schnet_calc.kernels.torch.compiled import Explicit, predict_compiled
from schnet_calc.kernels.torch.explicit import (
    features,
    filter_tables,
    forces_from_slopes,
    look_up,
    slopes,
    table_basis,
    virials_from_slopes,
)
from schnet_calc.kernels.torch.ops import neighbor_shares
from schnet_calc.kernels.torch.read_out import read_out
from schnet_calc.kernels.torch.tiles import tiled_pairs
from schnet_calc.nn import Network, SchNet
from schnet_calc.reductions import REDUCTIONS
from schnet_calc.structures.graph import deformed
from schnet_calc.training.batches import TrainingBatch

Predict = Callable[[Network, TrainingBatch], dict[str, Tensor]]
"""Values by name, for the labels of a batch: (B, ...), or (N, ...) of atoms."""
DERIVATIVES = {"forces", "virial"}


def predict_autograd(network: Network, batch: TrainingBatch) -> dict[str, Tensor]:
    """Predict (B,) eV, (N, 3) eV/Å and (B, 3, 3) eV by automatic differentiation: any network, twice the passes."""
    graph, names = batch.graph, set(batch.labels)
    graph = graph._replace(positions=graph.positions.detach().requires_grad_(bool(names & DERIVATIVES)))
    found: dict[str, Tensor] = {}
    if names & {"energy", *DERIVATIVES}:
        with torch.enable_grad():
            strain = graph.positions.new_zeros(len(batch.counts), 3, 3, requires_grad="virial" in names)
            geometry = (
                deformed(graph, strain) if "virial" in names else (graph.positions, *graph.directed())
            )
            atomic = network(graph.numbers, *geometry, graph.system)
            found["energy"] = batch.sums(atomic)
            if names & DERIVATIVES:
                wanted = (graph.positions, strain) if "virial" in names else (graph.positions,)
                gradients = torch.autograd.grad(atomic.sum(), wanted, create_graph=True)
                found["forces"] = -gradients[0]
                if "virial" in names:
                    found["virial"] = gradients[1]
    if network.config.heads:
        outputs = network.outputs(graph.numbers, batch.graph.positions, *graph.directed(), graph.system)
        found |= read_heads(network, outputs, batch)
    return found


def explicit_predictor(network: SchNet, grid: SplineGrid, in_one_call: bool = True) -> Predict:
    """Predict with explicit derivatives, filters from tables on the grid (see ``kernels``).

    Parameters
    ----------
    network : SchNet
        Tells the radial basis, the device and the type; the networks to come may have other weights.
    grid : SplineGrid
        For the tables.
    in_one_call : bool
        Whether the blocks are compiled as a whole where the device is the CPU; else they are tensor operations.
    """
    return partial(_predict_explicit, grid, table_basis(network, grid), in_one_call)


def _predict_explicit(
    grid: SplineGrid, basis: Tensor, in_one_call: bool, network: Network, batch: TrainingBatch
) -> dict[str, Tensor]:
    if not isinstance(network, SchNet):
        raise TypeError(f"explicit forces are written for SchNet, not {type(network).__name__}")
    how = _compiled if in_one_call and batch.counts.device.type == "cpu" else _as_tensors
    atomic, x, forces, virials = how(network, grid, basis, batch, bool(set(batch.labels) & DERIVATIVES))
    found = {"energy": batch.sums(atomic)}
    if forces is not None and virials is not None:
        found |= {"forces": forces, "virial": virials}
    outputs = {name: head(x) for name, head in network.heads.items()}
    return found | read_heads(network, outputs, batch)


def _compiled(
    network: SchNet, grid: SplineGrid, basis: Tensor, batch: TrainingBatch, derivatives: bool
) -> Explicit:
    graph = batch.graph
    pairs = tiled_pairs(network, grid, graph.positions, graph.i, graph.j, graph.shifts, batch.counts)
    return predict_compiled(network, basis, pairs, graph.numbers, len(batch.counts), derivatives)


def _as_tensors(
    network: SchNet, grid: SplineGrid, basis: Tensor, batch: TrainingBatch, derivatives: bool
) -> Explicit:
    graph = batch.graph
    vectors = graph.vectors()
    distances = torch.linalg.vector_norm(vectors, dim=1)
    pairs, tables = look_up(network, grid, graph.i, graph.j, distances), filter_tables(network, basis)
    both = torch.cat((graph.i, graph.j)), torch.cat((distances, distances))
    x, tape = features(
        network, tables, graph.numbers, pairs, neighbor_shares(network, *both, len(graph.numbers))
    )
    atomic, gx = read_out(network, x)
    if not derivatives:
        return atomic, x, None, None
    slope, unit = slopes(network, gx, tape, pairs), vectors / distances[:, None]
    forces = forces_from_slopes(slope, unit, graph.i, graph.j, len(graph.numbers))
    of_pairs = graph.system[graph.i]
    return atomic, x, forces, virials_from_slopes(slope, unit, vectors, of_pairs, len(batch.counts))


def read_heads(network: Network, outputs: dict[str, Tensor], batch: TrainingBatch) -> dict[str, Tensor]:
    """Make properties (B, ...) of structures, in their units, from the numbers that heads give atoms.

    Parameters
    ----------
    network : Network
        Says how each property arises.
    outputs : dict
        (N,) numbers by the head's name.
    batch : TrainingBatch
        Positions, masses and structures of the atoms.
    """
    found: dict[str, Tensor] = {}
    for name, kind in network.config.heads.items():
        how = REDUCTIONS[kind]
        found |= how.values(name, how.reduce(how.parts(outputs[name], batch), batch))
    return found
