"""The plain network of a model, in float64: what an analysis looks into."""

from typing import TypeVar

import torch
from ase.data import atomic_numbers, chemical_symbols

from schnet_calc import model as models
from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.nn import Network

Model = models.Source | models.Model
Kind = TypeVar("Kind", bound=Network)


def open_potential(model: Model) -> Potential:
    """Return the file behind a model, loaded from a path or a shipped name if it isn't one yet."""
    if isinstance(model, models.Model):
        return model.potential
    return model if isinstance(model, Potential) else load_potential(model)


def open_network(model: Model, kind: type[Kind]) -> Kind:
    """The network of a model in float64 on the CPU.

    Parameters
    ----------
    model : path, str, Potential or Model
        A model file, or a shipped name.
    kind : type
        What is looked into: any ``Network``, a ``DistanceNetwork`` or a ``SchNet``.

    Raises
    ------
    ValueError
        The file holds no plain weights of a known network, or of another kind.
    """
    potential = open_potential(model)
    network = potential.network()
    name = potential.path or "this model"
    if network is None:
        raise ValueError(
            f"{name} holds no plain weights of a network that is known here: its insides can't be looked at"
        )
    if not isinstance(network, kind):
        raise ValueError(f"this looks into a {kind.__name__}, but {name} is a {type(network).__name__}")
    return network.to(torch.float64)


def element(potential: Potential, symbol: str) -> int:
    """The atomic number of a symbol; ``ValueError`` if the model doesn't know the element."""
    number = atomic_numbers.get(symbol, 0)
    if number not in potential.elements:
        known = ", ".join(chemical_symbols[z] for z in potential.elements)
        raise ValueError(f"{symbol!r} is asked for, but this model knows {known}")
    return number
