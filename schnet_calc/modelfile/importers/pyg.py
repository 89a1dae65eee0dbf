"""PyTorch Geometric's ``SchNet``: whole models, checkpoints and plain weights.

With its names, an interaction is ``x + lin(act(conv.lin2(sum_j conv.lin1(x)_j * mlp(basis(d)) * C(d))))`` with
the cosine cutoff C. Then ``lin2(act(lin1(x)))`` is one number per atom, times ``std`` plus ``mean`` where both are
given, plus ``atomref``; ``readout`` pools the atoms, and ``scale`` multiplies the result.
"""

from typing import Any

import torch

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.layers import atomrefs, linear, of_module
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.options import (
    UNKNOWN,
    Options,
    read_flag,
    read_number,
    read_pooling,
    read_whole,
)
from schnet_calc.modelfile.importers.parts import Block, Cutoff, Gaussians, Parts

SHAPES = ("hidden_channels", "num_filters", "num_interactions", "num_gaussians")
OPTIONS = ("mean", "std", "readout", "scale", "cutoff", "max_num_neighbors", "dipole", *SHAPES)
MOST_NEIGHBORS = 32
"""Of an atom, by that code's default."""


def read_model(model: Module, options: Options) -> Parts:
    """Return the parts of a model."""
    options.check(OPTIONS)
    if options.settle("dipole", model.value("dipole", UNKNOWN), False, read_flag):
        raise ModelFileError("dipole = True: a network for dipole moments can't be expressed here")
    interactions = model.child("interactions").children()
    parts = Parts(
        embedding=model.child("embedding").tensor("weight"),
        blocks=[_block(interaction) for interaction in interactions],
        head=[linear(model.child("lin1")), linear(model.child("lin2"))],
        basis=_basis(model.child("distance_expansion")),
        cutoff=_cutoff(model, interactions, options),
        activation=_activation([a for i in interactions for a in (i.child("mlp"), i)]),
        head_activation=_activation([model]),
        pooling=options.settle("readout", _readout(model), "sum", read_pooling),
        assumed=options.assumed,
    )
    means = {i.child("conv").value("aggr", "add") == "mean" for i in interactions}
    if len(means) > 1:
        raise ModelFileError("aggr: sums in some interactions, averages in others")
    parts.neighbor_mean = means == {True}
    _check_shapes(parts, options)
    _offsets(model, parts, options)
    return parts


def _block(interaction: Module) -> Block:
    conv, filters = interaction.child("conv"), interaction.child("mlp")
    if conv.value("aggr", "add") not in ("add", "sum", "mean"):
        raise ModelFileError("aggr: messages are added up or averaged; nothing else can be expressed here")
    if filters.has("3") or filters.has("4"):
        raise ModelFileError(f"{filters.where} has more layers than SchNet")
    of_filters = (filters.child("0"), filters.child("2"))
    layers = (conv.child("lin1"), *of_filters, conv.child("lin2"), interaction.child("lin"))
    return Block(*map(linear, layers))


def _activation(owners: list[Module]) -> str:
    """Return the one activation of modules that have it as ``act``, or in the middle of three."""
    acts = [owner.child(name) for owner in owners for name in ("act", "1") if owner.has(name)]
    found = {of_module(act) for act in acts if act.kind} or {"ssp"}
    if len(found) > 1:
        raise ModelFileError(
            f"the activations {', '.join(sorted(found))} within one model can't be expressed here"
        )
    return found.pop()


def _basis(module: Module) -> Gaussians:
    """Return Gaussians ``exp(coeff (d - offset)^2)``; by default as wide as they are apart."""
    centers = module.tensor("offset").reshape(-1)
    if module.has("coeff"):
        coefficient = module.number("coeff")
        if not coefficient < 0.0:
            raise ModelFileError(f"{module.where}.coeff must be negative, got {coefficient:g}")
        return Gaussians(centers, torch.tensor([(-0.5 / coefficient) ** 0.5], dtype=torch.float64))
    if len(centers) < 2:
        raise ModelFileError(f"{module.where} has fewer than two Gaussians")
    return Gaussians(centers, (centers[1] - centers[0]).reshape(1))


def _cutoff(model: Module, interactions: list[Module], options: Options) -> Cutoff:
    """Return the cutoff that interactions and neighbour search have in common."""
    found = {i.child("conv").number("cutoff") for i in interactions if i.child("conv").has("cutoff")}
    neighbors: Any = model.value("max_num_neighbors", UNKNOWN)
    if model.has("interaction_graph"):
        graph = model.child("interaction_graph")
        if graph.kind not in ("", "RadiusInteractionGraph"):
            raise ModelFileError(f"the interaction_graph {graph.kind} can't be expressed here")
        found.add(graph.number("cutoff"))
        neighbors = graph.value("max_num_neighbors", UNKNOWN)
    last = float(model.child("distance_expansion").tensor("offset").double().max())
    if len(found) > 1:
        raise ModelFileError(f"different cutoffs of interactions and neighbours: {sorted(found)[:5]}")
    radius = options.settle("cutoff", found.pop() if found else UNKNOWN, last, read_number)
    most = options.settle("max_num_neighbors", neighbors, MOST_NEIGHBORS, read_number)
    if most is not None:
        options.assumed.append(f"at most {most:g} neighbours in the original; all within the cutoff here")
    return Cutoff("cosine", radius)


def _readout(model: Module) -> Any:
    """Return the pooling as the file names it: a word, or a module of aggregation."""
    value = model.value("readout", UNKNOWN)
    if model.kind and not isinstance(value, str) and model.has("readout"):
        name = model.child("readout").kind
        return {"SumAggregation": "sum", "MeanAggregation": "mean"}.get(name, name)
    return value


def _check_shapes(parts: Parts, options: Options) -> None:
    """Compare what the user or the file says of sizes with the weights."""
    first = parts.blocks[0]
    shapes = (
        parts.embedding.shape[-1],
        first.filter2.weight.shape[0],
        len(parts.blocks),
        first.filter1.weight.shape[-1],
    )
    for name, size in zip(SHAPES, shapes, strict=True):
        options.settle(name, size, size, read_whole)


def _offsets(model: Module, parts: Parts, options: Options) -> None:
    mean, std, scale = (_number(name, model, options) for name in ("mean", "std", "scale"))
    if mean is not None and std is not None:
        parts.scale, parts.shift = std, mean
    parts.atomrefs = atomrefs(model)
    if scale is not None:
        parts.scale, parts.shift = parts.scale * scale, parts.shift * scale
        parts.atomrefs = None if parts.atomrefs is None else parts.atomrefs * scale


def _number(name: str, model: Module, options: Options) -> float | None:
    told = model.number(name) if model.has(name) else model.value(name, UNKNOWN)
    value: float | None = options.settle(name, told, None, read_number)
    return value
