"""The plain network of a model, in float64: what an analysis looks into."""

import torch
from ase.data import atomic_numbers, chemical_symbols

from schnet_calc import model as models
from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.nn import ARCHITECTURES, Network

Model = models.Source | models.Model


def open_potential(model: Model) -> Potential:
    """Return the file behind a model, loaded from a path or a shipped name if it isn't one yet."""
    if isinstance(model, models.Model):
        return model.potential
    return model if isinstance(model, Potential) else load_potential(model)


def open_network(model: Model) -> Network:
    """The network of a model in float64 on the CPU.

    Raises
    ------
    ValueError
        The file holds a network of another package, or no plain weights.
    """
    potential = open_potential(model)
    network = potential.network()
    if network is None:
        raise ValueError(
            f"{potential.path or 'this model'} holds no plain weights of a {' or '.join(ARCHITECTURES)}: "
            "its insides can't be looked at"
        )
    return network.to(torch.float64)


def element(potential: Potential, symbol: str) -> int:
    """The atomic number of a symbol; ``ValueError`` if the model doesn't know the element."""
    number = atomic_numbers.get(symbol, 0)
    if number not in potential.elements:
        known = ", ".join(chemical_symbols[z] for z in potential.elements)
        raise ValueError(f"{symbol!r} is asked for, but this model knows {known}")
    return number
