"""Networks by the name of their architecture; their classes, and torch, are imported when they are asked for.

>>> from schnet_calc.nn import Network, NetworkConfig, register
>>> @register("Nothing", NetworkConfig)
... class Nothing(Network):
...     "Say zero of everything."
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from schnet_calc.checks import check_choice
from schnet_calc.nn.config import DTNNConfig, MeanSchNetConfig, NetworkConfig, SchNetConfig

if TYPE_CHECKING:
    from schnet_calc.nn.network import Network

Kind = TypeVar("Kind", bound="type[Network]")
GROUP = "schnet_calc.networks"
"""Entry points of installed packages with a network each: ``Name = "package.module:Class"``; importing the module
registers it."""


class Architecture:
    """A registered network.

    Parameters
    ----------
    config : type or None
        Dataclass of its hyperparameters; none where importing the network tells.
    network : type or str
        Its class, or where that is: ``"package.module:Class"``.
    """

    def __init__(self, config: type[NetworkConfig] | None, network: "type[Network] | str") -> None:
        self._config = config
        self._network = network

    @property
    def name(self) -> str:
        """Of the class."""
        found = self._network
        return found.partition(":")[2] if isinstance(found, str) else found.__qualname__

    @property
    def network(self) -> "type[Network]":
        """The class; imported on first use."""
        found = self._network
        if isinstance(found, str):
            module, _, name = found.partition(":")
            self._network = found = getattr(import_module(module), name)
        return found

    @property
    def config(self) -> type[NetworkConfig]:
        """Dataclass of its hyperparameters."""
        if self._config is None:
            kind = self.network
            known = [a for a in ARCHITECTURES.values() if a is not self and a._network is kind]
            if not known:
                raise ValueError(
                    f"{kind.__module__} registers no network {kind.__qualname__}, see register()"
                )
            self._config = known[0].config
        return self._config

    def describes(self, config: NetworkConfig) -> bool:
        """Whether these are hyperparameters of this network; one that nobody has imported yet has none."""
        return type(config) is self._config


ARCHITECTURES = {p.name: Architecture(None, p.value) for p in entry_points(group=GROUP)} | {
    "SchNet": Architecture(SchNetConfig, "schnet_calc.nn.schnet:SchNet"),
    "MeanSchNet": Architecture(MeanSchNetConfig, "schnet_calc.nn.mean_schnet:MeanSchNet"),
    "DTNN": Architecture(DTNNConfig, "schnet_calc.nn.dtnn:DTNN"),
}
"""All known networks by name: of this package, of installed ones, and what :func:`register` adds."""


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
        if taken is not None and taken.name != network.__qualname__:
            raise ValueError(f"the name {name!r} belongs to {taken.name}")
        ARCHITECTURES[name] = Architecture(config, network)
        return network

    return add


def architecture_of(config: NetworkConfig) -> str:
    """Return the name of the architecture that hyperparameters belong to."""
    return next(name for name, known in ARCHITECTURES.items() if known.describes(config))


def network_config(architecture: str, hyperparameters: dict[str, Any]) -> NetworkConfig:
    """Return the hyperparameters of an architecture.

    Raises
    ------
    ValueError
        There is no such architecture, or it refuses a value.
    TypeError
        It has no such hyperparameter.
    """
    check_choice("architecture", architecture, ARCHITECTURES)
    return ARCHITECTURES[architecture].config(**hyperparameters)


def make_network(config: NetworkConfig) -> "Network":
    """Return a network with new weights."""
    return ARCHITECTURES[architecture_of(config)].network(config)
