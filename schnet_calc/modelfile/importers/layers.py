"""Layers that both generations of SchNetPack, and PyTorch Geometric, have in common."""

from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import activations
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.parts import Cutoff, Linear

CUTOFFS = {
    "CosineCutoff": "cosine",
    "MollifierCutoff": "mollifier",
    "HardCutoff": "hard",
    "SwitchFunction": "switch",
}
"""Names of this package by the classes of SchNetPack."""


def linear(layer: Module) -> Linear:
    """Return the weights of a dense layer."""
    return Linear(layer.tensor("weight"), layer.tensor("bias") if layer.has("bias") else None)


def atomrefs(owner: Module) -> Tensor | None:
    """Return the energies of elements (Z,), in the unit of the file, if a module has them as ``atomref``."""
    return owner.child("atomref").tensor("weight").double() if owner.has("atomref") else None


def read_cutoff(module: Module, function: str | None) -> Cutoff:
    """Return a cutoff function of SchNetPack.

    Parameters
    ----------
    module : Module
        The function; of plain weights, the lengths in it.
    function : str, optional
        Which one it is where the file doesn't tell.
    """
    if module.has("switch_on"):
        return Cutoff("switch", module.number("switch_off"), module.number("switch_on"))
    if module.kind and module.kind not in CUTOFFS:
        raise ModelFileError(f"the cutoff function {module.kind} can't be expressed here")
    told = CUTOFFS.get(module.kind) or ("mollifier" if module.has("eps") else function)
    if told is None:
        raise ModelFileError("the file does not tell cutoff_function")
    return Cutoff(told, module.number("cutoff"))


def shared_activation(
    hidden: list[Module], last_of_filters: list[Module], without: list[Module]
) -> tuple[str | None, bool]:
    """Return the one activation of all interactions, and whether filters have it behind their last layer too.

    Parameters
    ----------
    hidden : list of Module
        Layers that must have it.
    last_of_filters : list of Module
        Layers that either all have it or all have none.
    without : list of Module
        Layers that must have none.
    """
    activation = activations.settled(hidden, without)
    behind = {activations.of_layer(layer) for layer in last_of_filters}
    if behind <= {None, activations.IDENTITY}:
        return activation, False
    if behind != {activation}:
        raise ModelFileError("activations behind the filters that differ from those within")
    return activation, True
