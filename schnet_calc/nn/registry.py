"""Networks by the name of their architecture.

>>> from schnet_calc.nn import Network, NetworkConfig, register
>>> @register("Nothing", NetworkConfig)
... class Nothing(Network):
...     "Say zero of everything."
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from schnet_calc.nn.network import Network, NetworkConfig

Kind = TypeVar("Kind", bound=type[Network])


class Architecture(NamedTuple):
    """A registered network."""

    network: type[Network]
    config: type[NetworkConfig]


ARCHITECTURES: dict[str, Architecture] = {}
"""All registered networks by name."""


def register(name: str, config: type[NetworkConfig]) -> Callable[[Kind], Kind]:
    """Register the decorated :class:`Network` under a name that files and ``[model]`` tables give.

    Parameters
    ----------
    name : str
        Of the architecture.
    config : type
        Dataclass of its hyperparameters; a subclass of :class:`NetworkConfig` of its own.

    Raises
    ------
    ValueError
        Another network has that name, or that class of hyperparameters.
    """

    def add(network: Kind) -> Kind:
        taken = ARCHITECTURES.get(name)
        if taken is not None and taken.network.__qualname__ != network.__qualname__:
            raise ValueError(f"the name {name!r} belongs to {taken.network.__qualname__}")
        ARCHITECTURES[name] = Architecture(network, config)
        return network

    return add


def architecture_of(config: NetworkConfig) -> str:
    """Return the name of the architecture that hyperparameters belong to."""
    return next(name for name, known in ARCHITECTURES.items() if type(config) is known.config)


def network_config(architecture: str, hyperparameters: dict[str, Any]) -> NetworkConfig:
    """Return the hyperparameters of an architecture.

    Raises
    ------
    ValueError
        There is no such architecture, or it refuses a value.
    TypeError
        It has no such hyperparameter.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture is one of {', '.join(ARCHITECTURES)}, got {architecture!r}")
    return ARCHITECTURES[architecture].config(**hyperparameters)


def make_network(config: NetworkConfig) -> Network:
    """Return a network with new weights."""
    return ARCHITECTURES[architecture_of(config)].network(config)
