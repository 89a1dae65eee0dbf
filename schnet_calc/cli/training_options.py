"""The keys of a training's configuration as options, each unsaid where the command line says nothing."""

from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import Parameter

from schnet_calc.nn.config import SchNetConfig
from schnet_calc.nn.registry import ARCHITECTURES
from schnet_calc.training.config import DataConfig, TrainingConfig

LEFT_OUT = {"file", "heads", "energy", "bootstrap"}
"""Keys that have an option of another name, or that follow from the data."""


def _sections() -> list[tuple[str, Any]]:
    """Groups of options, and where they come from; SchNet's first, whose defaults are shown."""
    networks = sorted(
        (known.config for known in ARCHITECTURES.values()), key=lambda c: c is not SchNetConfig
    )
    return [("Data", DataConfig), *(("Network", kind) for kind in networks), ("Training", TrainingConfig)]


def _options() -> Any:
    """Make a subclass of all sections whose fields are None by default; their texts and types stay."""
    names = Parameter(help=f"{' or '.join(ARCHITECTURES)}.", group="Network", show_default="SchNet")
    found: dict[str, Any] = {"architecture": Annotated[str | None, names]}
    for group, kind in _sections():
        types = get_type_hints(kind)
        for item in fields(kind):
            shown = item.default if item.default not in (None, "", ()) else False
            option = Parameter(group=group, show_default=str(shown) if shown is not False else False)
            if item.name in LEFT_OUT:
                option = Parameter(parse=False)
            found.setdefault(item.name, Annotated[types[item.name] | None, option])
    unsaid = [(name, kind, None) for name, kind in found.items()]
    texts = tuple(kind for _, kind in reversed(_sections()))
    namespace = {"__module__": __name__, "__doc__": "Keys.", "__post_init__": lambda self: None}
    made = make_dataclass("Options", unsaid, bases=texts, namespace=namespace, kw_only=True, frozen=True)
    return Parameter(name="*")(made)


if TYPE_CHECKING:
    Options = Any
else:
    Options = _options()
