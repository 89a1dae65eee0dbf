"""Which code a file comes from, and where in it the model is; told by content, not by names of files."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from schnet_calc.modelfile.importers import pyg, schnetpack1, schnetpack2, tensorflow
from schnet_calc.modelfile.importers.modules import Module, nested
from schnet_calc.modelfile.importers.options import Options, plain_options
from schnet_calc.modelfile.importers.parts import Parts
from schnet_calc.modelfile.importers.pickle_stack import Inert
from schnet_calc.modelfile.importers.rebuild import StoredTensor
from schnet_calc.modelfile.importers.sstable import MAGIC
from schnet_calc.modelfile.importers.torchfile import TorchFile, open_torch_file

Reader = Callable[[Any, Options], Parts]
CODES: dict[str, Reader] = {
    "SchNetPack 2.x": schnetpack2.read_model,
    "SchNetPack 1.x": schnetpack1.read_model,
    "SchNetPack 0.3": schnetpack1.read_model,
    "SchNetPack 0.2": schnetpack1.read_model,
    "PyTorch Geometric": pyg.read_model,
}
TENSORFLOW = "TensorFlow SchNet checkpoint"
MARKS = {
    "representation.distance_expansion.": "SchNetPack 1.x",
    "representation.": "SchNetPack 2.x",
    "distance_expansion.offset": "PyTorch Geometric",
}
"""What names of weights begin with, behind what wraps the model; the first that fits counts."""
WRAPPERS = ("", "model.", "module.", "model.module.", "net.", "network.", "schnet.")
MOST_MEMBERS = 100
"""Of a checkpoint that are looked at."""


class ForeignModel(NamedTuple):
    """A model in a file."""

    format: str
    model: Any
    """What the reader of that code takes."""
    read: Reader
    stored: dict[str, Any]
    """Options that stand in the file beside the weights."""


def recognised(path: Path) -> ForeignModel | None:
    """Return the model in a file, or None if there is none that is known here."""
    prefix = _tensorflow_prefix(path)
    if prefix is not None:
        return ForeignModel(TENSORFLOW, tensorflow.Variables(prefix), tensorflow.read_model, {})
    file = None if path.is_dir() else open_torch_file(path)
    if file is None:
        return None
    root = file.root
    for content in _modules(root):
        found = _whole_module(file, content, root)
        if found is not None:
            return found
    for weights in _weights(root):
        found = _plain_weights(file, weights, root)
        if found is not None:
            return found
    return None


def _tensorflow_prefix(path: Path) -> str | None:
    """Return the common path of a checkpoint's files, given one of them or that path itself."""
    name = str(path)
    prefix = name.rpartition(".data-")[0] if ".data-" in path.name else name.removesuffix(".index")
    index = Path(f"{prefix}.index")
    if not index.is_file() or index.stat().st_size < len(MAGIC):
        return None
    if path.is_file() and path != index and ".data-" not in path.name:
        return None
    with index.open("rb") as file:
        file.seek(-len(MAGIC), 2)
        return prefix if file.read() == MAGIC else None


def _members(content: Any) -> Iterator[Any]:
    """Yield an object itself, and what it holds if it is a dictionary; some, as a checkpoint has no more."""
    yield content
    if isinstance(content, dict):
        seen = {id(content)}
        for value in islice(content.values(), MOST_MEMBERS):
            if id(value) not in seen:
                seen.add(id(value))
                yield value


def _modules(root: Any) -> Iterator[Inert]:
    """Yield objects that may be a model: also one within a checkpoint, its options, or what wraps it."""
    seen: set[int] = set()
    for outer in _members(root):
        for content in _members(outer):
            if not isinstance(content, Inert) or id(content) in seen:
                continue
            seen.add(id(content))
            yield content
            inner = content.attributes()
            modules = inner.get("_modules")
            for holder in (inner, modules, content.items):
                for name in ("model", "module"):
                    if isinstance(holder, dict) and isinstance(holder.get(name), Inert):
                        yield holder[name]


def _whole_module(file: TorchFile, content: Inert, root: Any) -> ForeignModel | None:
    model = Module(file, content)
    code = _code_of(model)
    if code is None:
        return None
    newer: dict[str, Any] = {}
    if isinstance(root, dict) and isinstance(root.get("state_dict"), dict):
        # The weights of a checkpoint are newer than those of the model among its options.
        for weights in _weights(root["state_dict"]):
            newer = _without_wrapper(weights)[1]
    kind = "checkpoint" if isinstance(root, dict) else "pickle" if file.code is None else "TorchScript"
    return ForeignModel(f"{code} {kind}", Module(file, content, newer=nested(newer)), CODES[code], {})


def _code_of(model: Module) -> str | None:
    if model.path.startswith("torch_geometric.") and model.kind == "SchNet":
        return "PyTorch Geometric"
    if not model.path.startswith("schnetpack.") or not model.has("representation"):
        return None
    if not model.path.startswith("schnetpack.atomistic.") or not model.has("output_modules"):
        return "SchNetPack 2.x"
    if model.path == "schnetpack.atomistic.AtomisticModel":
        return "SchNetPack 0.2"
    newer = "requires_stress" in model.members and "n_atom_basis" in model.child("representation").members
    return "SchNetPack 1.x" if newer else "SchNetPack 0.3"


def _weights(root: Any) -> Iterator[Mapping[str, Any]]:
    """Yield dictionaries of weights: the file itself, or one within a checkpoint."""
    for content in _members(root):
        if isinstance(content, dict):
            tensors = {
                k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, StoredTensor)
            }
            if len(tensors) > 5:
                yield tensors


def _without_wrapper(weights: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return which code weights belong to, and those of the model without what wraps their names."""
    for mark, code in MARKS.items():
        for wrapper in WRAPPERS:
            if any(name.startswith(wrapper + mark) for name in weights):
                inner = {k.removeprefix(wrapper): v for k, v in weights.items() if k.startswith(wrapper)}
                return code, inner
    return None, {}


def _plain_weights(file: TorchFile, weights: Mapping[str, Any], root: Any) -> ForeignModel | None:
    code, inner = _without_wrapper(weights)
    if code is None:
        return None
    is_root = isinstance(root, dict) and any(isinstance(v, StoredTensor) for v in root.values())
    stored: dict[str, Any] = {}
    if isinstance(root, dict) and not is_root:
        for content in _members(root):
            stored = {**plain_options(content), **stored}
    kind = "state dict" if is_root else "checkpoint"
    return ForeignModel(f"{code} {kind}", Module(file, nested(inner)), CODES[code], stored)
