"""Layers that both generations of SchNetPack, and PyTorch Geometric, have in common, and their activations."""

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.parts import Cutoff, Linear
from schnet_calc.modelfile.importers.pickle_stack import Inert

LONGEST = 2**17, 2**12
"""Characters of the code of a module, and of one method; a layer has some hundred."""
CALL = re.compile(r"\b(?:__torch__|torch)\.[\w.]+(?=\()")
ALIAS = re.compile(r"^ +(\w+) = (__torch__\.[\w.]+)$", re.MULTILINE)
LAYER = "linear"


def functions_behind(code: Callable[[str], str], path: str) -> list[str]:
    """Return the names of the functions that a dense layer applies to what it has made.

    Parameters
    ----------
    code : callable
        Source text of a module by its name with slashes.
    path : str
        Of the class, such as ``"__torch__.schnetpack.nn.base.___torch_mangle_1.Dense"``.

    Raises
    ------
    ModelFileError
        There is no such code in the file.
    """
    module, _, name = path.removeprefix("__torch__.").rpartition(".")
    method = _forward(code(module.replace(".", "/"))[: LONGEST[0]], name)
    aliases = dict(ALIAS.findall(method))
    called = CALL.findall(method)
    called += [full for short, full in aliases.items() if re.search(rf"\b{short}\(", method)]
    names = [full.rpartition(".")[2] for full in called]
    return [n for n in names if n != LAYER]


def _forward(text: str, name: str) -> str:
    """Return the lines of the method ``forward`` of a class."""
    lines: list[str] = []
    in_class = in_method = False
    for line in text.splitlines():
        if line and not line.startswith(" "):
            in_class = line == f"class {name}(Module):"
        if not line.startswith("   "):
            in_method = in_class and line.startswith("  def forward(")
        if in_method:
            lines.append(line)
    method = "\n".join(lines)
    if not method or len(method) > LONGEST[1]:
        raise ModelFileError(f"the deployed model has no code for {name[:50]} that is understood here")
    return method


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
    activation = settled(hidden, without)
    behind = {of_layer(layer) for layer in last_of_filters}
    if behind <= {None, IDENTITY}:
        return activation, False
    if behind != {activation}:
        raise ModelFileError("activations behind the filters that differ from those within")
    return activation, True
