"""Which activation stands behind a layer of another code."""

import re
from typing import Any

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.pickle_stack import Inert
from schnet_calc.modelfile.importers.torchscript import functions_behind

IDENTITY = "identity"
ACTIVATIONS = {
    "ssp": "ssp",
    "Identity": IDENTITY,
    "identity": IDENTITY,
    "ShiftedSoftplus": "ssp",
    "shifted_softplus": "ssp",
    "SiLU": "silu",
    "silu": "silu",
    "Softplus": "softplus",
    "softplus": "softplus",
    "Tanh": "tanh",
    "tanh": "tanh",
}
"""Names of this package by those of functions and modules."""
WRAPPERS = ("functools.partial", "hydra._internal.target_policy._DeferredTarget")
"""Whose state is a function, its arguments by place and by name, and attributes."""
ONES = {"alpha": 1.0, "beta": 1.0, "threshold": 20.0, "shift": 0.6931471805599453}
"""What the parameters of such modules are for the plain activation."""


def read_activation(name: Any) -> str:
    """Return our name of an activation."""
    known = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if known is None:
        raise ModelFileError(
            f"the activation {str(name)[:50] if isinstance(name, str) else 'given'!r} can't be expressed here: "
            "only shifted softplus, softplus, SiLU and tanh"
        )
    return known


def of_module(module: Module) -> str:
    """Return the name of the activation that a module is.

    Raises
    ------
    ModelFileError
        It is another one, or has other parameters than the plain one.
    """
    for name, plain in ONES.items():
        if module.has(name) and abs(module.number(name) - plain) > 1e-6:
            raise ModelFileError(
                f"{module.where} is {module.kind} with {name} = {module.number(name):g}: only {plain:g} "
                "can be expressed here"
            )
    return read_activation(module.kind)


def of_layer(layer: Module) -> str | None:
    """Return the activation behind a dense layer that brings its own; None if the file doesn't tell."""
    if not layer.kind:
        return None
    given = layer.value("activation")
    if isinstance(given, Inert) and not given.attributes():
        return read_activation(_name_of_function(_unwrapped(given)))
    if layer.has("activation"):
        return of_module(layer.child("activation"))
    if layer.file.code is None:
        return IDENTITY
    # TorchScript keeps functions in the code of the class, which is read but not run.
    functions = functions_behind(layer.file.code, layer.raw_path)
    if len(functions) > 1:
        raise ModelFileError(f"{layer.where} applies {', '.join(functions)[:100]} in a row")
    return read_activation(functions[0]) if functions else IDENTITY


def _unwrapped(function: Inert) -> Inert:
    """Return the function within wrappers that add no arguments: hydra's, and ``functools.partial``."""
    state = function.state
    bare = isinstance(state, tuple) and len(state) == 4 and state[1] == () and state[2] in ({}, None)
    if function.path in WRAPPERS and bare and isinstance(state[0], Inert):
        return state[0]
    return function


def _name_of_function(function: Inert) -> str:
    """Return the last name of a function; built-in ones of torch are pickled as ``getattr(class, name)``."""
    if function.path == "builtins.getattr" and function.args and len(function.args) == 2:
        return str(function.args[1])[:50] if isinstance(function.args[1], str) else "?"
    if function.args is not None and function.path == "functools.partial":
        return "partial"
    return re.sub(r"\W", "", function.path.rpartition(".")[2])


def settled(layers: list[Module], last: list[Module]) -> str | None:
    """Return the one activation of some hidden layers, after checking that the last ones have none.

    Raises
    ------
    ModelFileError
        They differ, or a last one has an activation.
    """
    for layer in last:
        if of_layer(layer) not in (None, IDENTITY):
            raise ModelFileError(f"{layer.where} has an activation where SchNet has none")
    found = {of_layer(layer) for layer in layers}
    if len(found) > 1 or IDENTITY in found:
        raise ModelFileError(
            f"the activations of {layers[0].where} and others differ, or are missing: one for all is needed"
        )
    return found.pop() if found else None
