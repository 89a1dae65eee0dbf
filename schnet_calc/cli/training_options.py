"""The keys of a training's configuration as options, each unsaid where the command line says nothing."""

import ast
import sys
from dataclasses import Field, fields, make_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
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


@cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    """Bodies of the classes of a module; read once, where ``inspect`` reads its file again for each class."""
    source = Path(str(sys.modules[module].__file__)).read_text()
    return {node.name: node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _texts(kind: type) -> dict[str, str]:
    """Return the texts below the fields of a dataclass and of those that it extends."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        body = _classes(base.__module__)[base.__name__]
        for item, text in pairwise(body):
            match item, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=str(words))
                ):
                    found[name] = words
    return found


def _option(item: Field[Any], group: str, text: str | None) -> Parameter:
    """Return the option of a key: its text and the default that the configuration has."""
    if item.name in LEFT_OUT:
        return Parameter(parse=False)
    shown = item.default not in (None, "", ())
    return Parameter(group=group, help=text, show_default=str(item.default) if shown else False)


def _options() -> Any:
    """Make a class of the fields of all sections, each None by default."""
    names = Parameter(help=f"{' or '.join(ARCHITECTURES)}.", group="Network", show_default="SchNet")
    found: dict[str, Any] = {"architecture": Annotated[str | None, names]}
    for group, kind in _sections():
        types, texts = get_type_hints(kind), _texts(kind)
        for item in fields(kind):
            option = _option(item, group, texts.get(item.name))
            found.setdefault(item.name, Annotated[types[item.name] | None, option])
    unsaid = [(name, kind, None) for name, kind in found.items()]
    namespace = {"__module__": __name__, "__doc__": "Keys."}
    made = make_dataclass("Options", unsaid, namespace=namespace, kw_only=True, eq=False, repr=False)
    return Parameter(name="*")(made)


if TYPE_CHECKING:
    Options = Any
else:
    Options = _options()
