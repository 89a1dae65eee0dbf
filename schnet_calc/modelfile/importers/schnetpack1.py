"""SchNetPack 0.2, 0.3 and 1: whole models, checkpoints and plain weights.

With their names, an interaction is
``x + dense(f2out(sum_j in2f(x)_j * filter_network(basis(d)) * cutoff_network(d)))``: ``filter_network`` is two
layers, the first with the activation, ``f2out`` has it, ``in2f`` has no bias, ``dense`` no activation. The
output's layers make one number per atom, ``standardize`` turns it into ``y stddev + mean``, ``atomref`` adds what
belongs to the element, and ``atom_pool`` adds the atoms up or averages them.

Files of 0.2 and 0.3 carry the source text of their classes, and it says the same: the same convolution, Gaussians
``exp(-0.5 (d - offset)^2 / width^2)``, pooling and standardisation. ``HardCutoff`` is one for ``d <= cutoff`` and
zero beyond, here for ``d < cutoff``, which differ in a single point. Some models of 0.2 have no cutoff function:
all pairs count that they are given. The charge of ``charged_systems`` was without effect until 1.0.
"""

from typing import Any

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.layers import (
    atomrefs,
    linear,
    read_activation,
    read_cutoff,
    settled,
    shared_activation,
)
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.options import UNKNOWN, Options, read_flag, read_pooling
from schnet_calc.modelfile.importers.parts import Block, Cutoff, Gaussians, Parts

OPTIONS = ("activation", "output_activation", "pooling", "property", "cutoff_function", "normalize_filter")


def read_model(model: Module, options: Options) -> Parts:
    """Return the parts of a model."""
    options.check(OPTIONS)
    representation = model.child("representation")
    if representation.kind not in ("", "SchNet"):
        raise ModelFileError(f"the representation is {representation.kind}, not SchNet")
    if representation.has("charge"):
        raise ModelFileError("features of the total charge (charged_systems) can't be expressed here")
    interactions = representation.child("interactions").children()
    activation, filter_activation = shared_activation(
        [part for i in interactions for part in (_filters(i)[0], i.child("cfconv").child("f2out"))],
        [_filters(i)[1] for i in interactions],
        [part for i in interactions for part in (i.child("cfconv").child("in2f"), i.child("dense"))],
    )
    head = _energy_head(model, options)
    layers = _output_layers(head)
    of_head = settled(layers[:-1], layers[-1:])
    parts = Parts(
        embedding=representation.child("embedding").tensor("weight"),
        blocks=[_block(interaction) for interaction in interactions],
        head=[linear(layer) for layer in layers],
        basis=_basis(representation.child("distance_expansion")),
        cutoff=_cutoff(interactions, options, representation),
        activation=options.settle("activation", activation or UNKNOWN, "ssp", read_activation),
        filter_activation=filter_activation,
        neighbor_mean=_neighbor_mean(interactions, options),
        pooling=options.settle("pooling", _pooling(head), "sum", read_pooling),
        scale=head.child("standardize").number("stddev"),
        shift=head.child("standardize").number("mean"),
        atomrefs=atomrefs(head),
        assumed=options.assumed,
    )
    if len(layers) > 1:
        parts.head_activation = options.settle(
            "output_activation", of_head or UNKNOWN, parts.activation, read_activation
        )
    return parts


def _filters(interaction: Module) -> list[Module]:
    layers = interaction.child("filter_network").children()
    if len(layers) != 2:
        raise ModelFileError(f"{interaction.where} has {len(layers)} layers in its filters, not 2")
    return layers


def _neighbor_mean(interactions: list[Module], options: Options) -> bool:
    """Return whether convolutions are divided by the number of neighbours (``normalize_filter``)."""
    mean = False
    for interaction in interactions:
        cfconv = interaction.child("cfconv")
        told = cfconv.child("agg").value("average", UNKNOWN) if cfconv.has("agg") else UNKNOWN
        mean = options.settle("normalize_filter", told, False, read_flag)
    if mean:
        options.assumed.append(
            "normalize_filter divides by the number of neighbours within the cutoff, as SchNetPack's "
            "AseEnvironmentProvider finds them; its SimpleEnvironmentProvider counts all other atoms, which is the "
            "same for molecules that lie within the cutoff"
        )
    return mean


def _block(interaction: Module) -> Block:
    cfconv = interaction.child("cfconv")
    layers = (
        cfconv.child("in2f"),
        *_filters(interaction),
        cfconv.child("f2out"),
        interaction.child("dense"),
    )
    return Block(*map(linear, layers))


def _basis(module: Module) -> Gaussians:
    if module.kind not in ("", "GaussianSmearing") or module.value("centered", False):
        raise ModelFileError(
            f"the radial basis {module.kind}{' (centered)' if module.value('centered') else ''} "
            "can't be expressed here"
        )
    return Gaussians(module.tensor("offsets"), module.tensor("width"))


def _cutoff(interactions: list[Module], options: Options, representation: Module) -> Cutoff:
    """Return the one cutoff function of all interactions."""
    found = set()
    for interaction in interactions:
        if interaction.has("cutoff_network"):
            module = interaction.child("cutoff_network")
            function = None
            if not module.kind and not module.has("eps"):
                function = options.settle("cutoff_function", UNKNOWN, UNKNOWN, _cutoff_name)
            found.add(read_cutoff(module, function))
        else:
            last = representation.child("distance_expansion").tensor("offsets").double().max()
            found.add(Cutoff("none", float(last)))
    if len(found) != 1:
        raise ModelFileError("interactions with different cutoffs can't be expressed here")
    cutoff: Cutoff = found.pop()
    if cutoff.function == "none":
        options.assumed.append("no cutoff function: all pairs of a molecule count")
    return cutoff


def _cutoff_name(value: Any) -> str:
    if value not in ("cosine", "hard", "mollifier"):
        raise ModelFileError("cutoff_function is cosine, hard or mollifier")
    return str(value)


def _energy_head(model: Module, options: Options) -> Module:
    """Return the output that gives the energy; the only one, or the one that was asked for."""
    outputs = model.child("output_modules")
    heads = [outputs] if outputs.has("out_net") else outputs.children(gaps=True)
    strange = [head.kind for head in heads if head.kind not in ("", "Atomwise", "Energy")]
    if strange:
        raise ModelFileError(
            f"the output module {strange[0]} can't be expressed here: energies and forces only"
        )
    names = [head.value("property", "y") for head in heads]
    wanted = options.given.get("property")
    if wanted is not None:
        options.used["property"] = wanted
    chosen = [h for h, name in zip(heads, names, strict=True) if wanted is None or name == wanted]
    if len(chosen) != 1:
        raise ModelFileError(
            f"the outputs are {', '.join(str(n)[:50] for n in names) or 'none'}: say which of them is the energy, "
            "options={'property': ...}"
        )
    return chosen[0]


def _output_layers(head: Module) -> list[Module]:
    parts = head.child("out_net")
    if parts.kind not in ("", "Sequential") or not parts.has("1") or not parts.child("1").has("out_net"):
        raise ModelFileError(
            f"the output network {parts.kind} can't be expressed here: only one MLP for all atoms"
        )
    return parts.child("1").child("out_net").children()


def _pooling(head: Module) -> Any:
    pool = head.child("atom_pool") if head.has("atom_pool") else None
    if pool is None or not pool.kind:
        return UNKNOWN
    if pool.kind != "Aggregate":
        raise ModelFileError(
            f"energies of atoms pooled by {pool.kind}: only sum and average are known here"
        )
    return "mean" if pool.value("average") else "sum"
