"""SchNetPack 2: whole models, deployed ones, checkpoints and plain weights.

With its names, an interaction is ``x + f2out(sum_j in2f(x)_j * filter_network(basis(d)) * cutoff_fn(d))``, where
``f2out`` and ``filter_network`` are two layers each, the first with the activation. ``outnet`` gives the energies
of atoms, which ``aggregation_mode`` pools. Postprocessors scale and shift what was pooled.
"""

from typing import Any

from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.layers import (
    linear,
    read_activation,
    read_cutoff,
    settled,
    shared_activation,
)
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.options import UNKNOWN, Options, read_pooling
from schnet_calc.modelfile.importers.parts import Bessel, Block, Gaussians, Parts
from schnet_calc.modelfile.importers.postprocessing import CASTS, postprocess, transform

OPTIONS = ("activation", "output_activation", "pooling", "property")
INPUTS = ("PairwiseDistances", "Strain")
"""Modules before the representation that change nothing of the energy."""


def read_model(model: Module, options: Options) -> Parts:
    """Return the parts of a model."""
    options.check(OPTIONS)
    representation = _representation(model)
    interactions = representation.child("interactions").children()
    activation, filter_activation = shared_activation(
        [
            layer
            for i in interactions
            for layer in (i.child("filter_network").child("0"), i.child("f2out").child("0"))
        ],
        [i.child("filter_network").child("1") for i in interactions],
        [layer for i in interactions for layer in (i.child("in2f"), i.child("f2out").child("1"))],
    )
    head, transforms = _energy_head(model, options)
    layers = head.child("outnet").children()
    of_head = settled(layers[:-1], layers[-1:])
    parts = Parts(
        embedding=_embedding(representation.child("embedding")),
        blocks=[_block(interaction) for interaction in interactions],
        head=[linear(layer) for layer in layers],
        basis=_basis(representation.child("radial_basis")),
        cutoff=read_cutoff(representation.child("cutoff_fn"), "cosine"),
        activation=options.settle("activation", activation or UNKNOWN, "ssp", read_activation),
        filter_activation=filter_activation,
        pooling=options.settle("pooling", head.value("aggregation_mode", UNKNOWN), "sum", read_pooling),
        assumed=options.assumed,
    )
    if len(layers) > 1:
        parts.head_activation = options.settle(
            "output_activation", of_head or UNKNOWN, "silu", read_activation
        )
    for module in transforms:
        transform(module, parts)
    postprocess(model, _energy_key(head, transforms), parts)
    return parts


def _representation(model: Module) -> Module:
    """Return the representation of a model, after checking that it is SchNet, fed with distances alone."""
    representation = model.child("representation")
    kind = representation.kind or _kind_by_weights(representation)
    if kind not in ("", "SchNet"):
        raise ModelFileError(
            f"the representation is {kind}, not SchNet: networks whose atoms carry vectors or tensors beside "
            "their features can't be expressed here"
        )
    if representation.has("electronic_embeddings"):
        inner = representation.child("electronic_embeddings").children()
        if inner:
            raise ModelFileError(
                f"embeddings of charge or spin ({inner[0].kind or 'electronic_embeddings'}) can't be expressed here"
            )
    for module in model.child("input_modules").children() if model.has("input_modules") else []:
        if module.kind not in ("", *INPUTS):
            raise ModelFileError(f"the input module {module.kind} can't be expressed here")
    return representation


def _kind_by_weights(representation: Module) -> str:
    """Return what plain weights are of; empty for SchNet's."""
    if not representation.has("interactions") or not representation.child("interactions").has("0"):
        return ""
    first = representation.child("interactions").child("0")
    return "PaiNN" if first.has("interatomic_context_net") else ""


def _block(interaction: Module) -> Block:
    f2out, filters = interaction.child("f2out").children(), interaction.child("filter_network").children()
    if len(f2out) != 2 or len(filters) != 2:
        raise ModelFileError(f"{interaction.where} has other numbers of layers than SchNet")
    layers = (interaction.child("in2f"), *filters, *f2out)
    return Block(*map(linear, layers))


def _embedding(module: Module) -> Tensor:
    """Return one row per atomic number; those of ``NuclearEmbedding`` are made of electron configurations."""
    if not module.has("element_embedding"):
        return module.tensor("weight")
    mixing = module.child("config_linear").tensor("weight")
    return module.tensor("element_embedding") + module.tensor("electron_config").to(mixing) @ mixing.T


def _basis(module: Module) -> Gaussians | Bessel:
    if module.has("freqs"):
        return Bessel(module.tensor("freqs"))
    if module.kind not in ("", "GaussianRBF"):
        raise ModelFileError(f"the radial basis {module.kind} can't be expressed here")
    return Gaussians(module.tensor("offsets"), module.tensor("widths"))


def _energy_head(model: Module, options: Options) -> tuple[Module, list[Module]]:
    """Return the one output whose number is the energy, and what scales or shifts it before forces are taken.

    It is that of the forces, or the one that was asked for.
    """
    heads: dict[Any, tuple[Module, list[Module]]] = {}
    energy_keys: set[Any] = set()
    for module in model.child("output_modules").children(gaps=True):
        if module.kind == "Forces":
            energy_keys.add(module.value("energy_key"))
        elif module.kind == "Atomwise" or (not module.kind and module.has("outnet")):
            heads[module.value("output_key", module.where)] = (module, [])
        elif module.kind in ("ScaleProperty", "AddOffsets") or (not module.kind and module.has("scale")):
            _transform_output(module, heads, energy_keys, options)
        elif module.kind not in CASTS:
            raise ModelFileError(
                f"the output module {module.kind or module.where} can't be expressed here: energies and forces only"
            )
    wanted = options.given.get("property")
    if wanted is not None:
        options.used["property"] = wanted
    names = {wanted} if wanted is not None else (energy_keys or set(heads))
    chosen = [found for name, found in heads.items() if name in names]
    if len(chosen) != 1 or not energy_keys <= names:
        raise ModelFileError(
            f"the outputs are {', '.join(str(n)[:50] for n in heads) or 'none'}: say which of them is the energy, "
            "options={'property': ...}"
        )
    if len(heads) > 1:
        options.assumed.append("outputs beside the energy are left out")
    return chosen[0]


def _transform_output(
    module: Module, heads: dict[Any, tuple[Module, list[Module]]], energy_keys: set[Any], options: Options
) -> None:
    """Note a transform among the outputs: the number that it writes is the one that it reads, scaled or shifted."""
    source = module.value("input_key", module.value("_property"))
    if not module.kind and len(heads) == 1:
        (source,) = heads
        options.assumed.append(f"{module.where} scales the energy")
    if source not in heads:
        return  # of another output
    if source in energy_keys:
        raise ModelFileError(
            f"{module.where} ({module.kind}) changes the energy after the forces were taken: not expressed here; "
            "as a postprocessor it is"
        )
    head, before = heads.pop(source)
    heads[module.value("output_key", source)] = (head, [*before, module])


def _energy_key(head: Module, transforms: list[Module]) -> Any:
    key = head.value("output_key")
    for module in transforms:
        key = module.value("output_key", key)
    return key
