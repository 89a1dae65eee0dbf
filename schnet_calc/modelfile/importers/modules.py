"""A model of another code as a tree of modules, however its file keeps them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.pickle_stack import Inert
from schnet_calc.modelfile.importers.rebuild import StoredTensor
from schnet_calc.modelfile.importers.torchfile import TorchFile

MOST_CHILDREN = 100
"""Blocks or layers in a row; one object may stand for all of them."""
MOST_MEMBERS = 20_000
MANGLED = re.compile(r"^__torch__\.|\.___torch_mangle_\d+(?=\.)")
"""What TorchScript adds to the names of classes."""


class Module:
    """A module: its class, weights, attributes and inner modules by name.

    Pickled modules keep them in ``_parameters``, ``_buffers`` and ``_modules`` beside their attributes,
    TorchScript all in one, and plain weights in a dictionary with dotted names, which has no classes.

    Parameters
    ----------
    file : TorchFile
        Where the numbers are.
    content : Inert or dict
        The module.
    where : str
        Names from the outermost module to this one, for messages.
    newer : mapping
        Weights that count instead of those of the module, nested by name.
    """

    def __init__(
        self, file: TorchFile, content: Inert | dict[Any, Any], where: str = "", newer: Any = None
    ) -> None:
        self.file, self.where = file, where
        self.newer = newer if isinstance(newer, dict) else {}
        self.raw_path = content.path if isinstance(content, Inert) else ""
        self.path = MANGLED.sub("", self.raw_path)
        members = content.attributes() if isinstance(content, Inert) else content
        inner = (members.get(part) for part in ("_parameters", "_buffers", "_modules"))
        parts: list[dict[Any, Any]] = [members, *(part for part in inner if isinstance(part, dict))]
        if sum(map(len, parts)) > MOST_MEMBERS:
            raise ModelFileError(f"{where[:100] or 'the model'} has more than {MOST_MEMBERS} members")
        self.members = {name: value for part in parts for name, value in part.items()}

    @property
    def kind(self) -> str:
        """Name of the class without its package; empty for plain weights."""
        return self.path.rpartition(".")[2]

    def name_of(self, name: str) -> str:
        """Return the full name of a member, for messages."""
        return f"{self.where}.{name}" if self.where else name

    def has(self, name: str) -> bool:
        """Return whether there is a member of that name, and not None."""
        return self.members.get(name) is not None or name in self.newer

    def value(self, name: str, default: Any = None) -> Any:
        """Return a plain attribute or stand-in as it is in the file, and of all others the name of their type.

        What else a pickle holds may be nested so that comparing it never ends.
        """
        found = self.members.get(name, default)
        plain = isinstance(found, str | int | float | Inert | None) or found is default
        return found if plain else f"<{type(found).__name__}>"

    def child(self, name: str) -> "Module":
        """Return an inner module."""
        found = self.members.get(name)
        if not isinstance(found, Inert | dict):
            raise ModelFileError(f"the model lacks {self.name_of(name)[:100]}")
        return Module(self.file, found, self.name_of(name), self.newer.get(name))

    def children(self, gaps: bool = False) -> list["Module"]:
        """Return the inner modules that are numbered, in order.

        Raises
        ------
        ModelFileError
            There are too many, or numbers are missing without leave.
        """
        numbers = sorted(int(k) for k in self.members if isinstance(k, str) and re.fullmatch(r"\d{1,3}", k))
        if len(numbers) > MOST_CHILDREN or (not gaps and numbers != list(range(len(numbers)))):
            raise ModelFileError(
                f"{self.where or 'the model'} has {len(numbers)} parts: too many, or with gaps"
            )
        return [self.child(str(i)) for i in numbers]

    def tensor(self, name: str) -> Tensor:
        """Return a weight or buffer (...,) in the unit of its code, as numbers that are at least float32.

        Raises
        ------
        ModelFileError
            There is none of that name, or it holds what is not finite.
        """
        stored = self.newer.get(name, self.members.get(name))
        if not isinstance(stored, StoredTensor):
            raise ModelFileError(f"the model lacks {self.name_of(name)[:100]}")
        tensor = self.file.tensor(stored)
        if tensor.dtype != torch.float64:
            tensor = tensor.to(torch.float32)
        if not bool(torch.isfinite(tensor).all()):
            raise ModelFileError(f"{self.name_of(name)[:100]} holds numbers that are not finite")
        return tensor

    def number(self, name: str) -> float:
        """Return a number, which the file may keep as a tensor of one element.

        Raises
        ------
        ModelFileError
            There is none of that name, or it is more than one number.
        """
        found = self.newer.get(name, self.members.get(name))
        if isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e300:
            return float(found)
        tensor = self.tensor(name)
        if tensor.numel() != 1:
            raise ModelFileError(f"{self.name_of(name)[:100]} must be one number, not {tensor.numel()}")
        return float(tensor.double().reshape(()))


def nested(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights with dotted names as dictionaries within dictionaries.

    Raises
    ------
    ModelFileError
        A name is that of a weight and of a module at once, or has too many dots.
    """
    tree: dict[str, Any] = {}
    for name, value in weights.items():
        *outer, last = name[:1000].split(".")
        inner = tree
        for part in outer[:20]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ModelFileError(f"{name[:100]} is a weight within a weight")
        if len(outer) > 20 or last in inner:
            raise ModelFileError(f"{name[:100]} has more dots than names have, or occurs twice")
        inner[last] = value
    return tree
