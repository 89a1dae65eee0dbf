"""All keys of a training's configuration as options of the command line."""

import ast
import inspect
from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from cyclopts import Parameter

from schnet_calc.nn import ARCHITECTURES, SchNetConfig
from schnet_calc.training.config import DataConfig, TrainingConfig

GROUPS = {"DataConfig": "Data", "TrainingConfig": "Training"}
LEFT_OUT = {"file", "heads", "energy", "bootstrap"}
"""Keys that have an option of another name, or that follow from the data."""


def described(kind: type) -> dict[str, str]:
    """Return the text below each field of a dataclass, of its bases too."""
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        body = ast.parse(inspect.getsource(base)).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant):
                    texts[node.target.id] = " ".join(
                        inspect.cleandoc(str(text.value)).replace("``", "").split()
                    )
    return texts


def _networks() -> list[Any]:
    """Hyperparameters of all networks; SchNet's first, whose defaults are shown."""
    return sorted((known.config for known in ARCHITECTURES.values()), key=lambda c: c is not SchNetConfig)


def _options() -> Any:
    """Make a dataclass of all keys, each None where the command line says nothing."""
    found: dict[str, Any] = {}
    kinds: list[Any] = [DataConfig, *_networks(), TrainingConfig]
    for kind in kinds:
        texts, types = described(kind), get_type_hints(kind)
        for item in fields(kind):
            if item.name in LEFT_OUT or item.name in found:
                continue
            shown = "" if item.default in (None, "", ()) else f" Default: {item.default}."
            text = texts.get(item.name, item.name.replace("_", " ") + ".") + shown
            group = GROUPS.get(kind.__name__, "Network")
            found[item.name] = Annotated[types[item.name] | None, Parameter(help=text, group=group)]
    names = " or ".join(ARCHITECTURES)
    architecture = Parameter(help=f"{names}. Default: SchNet.", group="Network")
    found["architecture"] = Annotated[str | None, architecture]
    # By its default module, the standard library's, cyclopts would take it for a value.
    home = {"__module__": __name__}
    made = make_dataclass("Options", [(n, kind, None) for n, kind in found.items()], namespace=home)
    return Parameter(name="*")(made)


if TYPE_CHECKING:
    Options = Any
else:
    Options = _options()
    """What the command line may say in place of the configuration file."""
