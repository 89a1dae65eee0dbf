"""What calls in the pickles of torch and numpy stand for, written as functions that call nothing given."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from schnet_calc.modelfile.importers.pickle_stack import Inert

STORAGE_TYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
}
NUMPY_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
MOST_DIMENSIONS = 8


class Storage(NamedTuple):
    """Numbers that lie beside a pickle."""

    key: str
    dtype: torch.dtype
    numel: int

    @property
    def n_bytes(self) -> int:
        """Bytes of all numbers."""
        return self.numel * self.dtype.itemsize


class StoredTensor(NamedTuple):
    """A tensor whose numbers have not been read; it lies within its storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_storage_type(reference: Any) -> Any:
    """Return what a reference to something outside of a pickle of torch stands for.

    Raises
    ------
    ValueError
        It is neither a storage nor a class with its source.
    """
    kind, what = reference[0], reference[1]
    if kind == "module":  # class, its file, its source text: legacy files carried all three
        return what
    name = what.path.rpartition(".")[2]
    if (
        kind != "storage"
        or not name.endswith("Storage")
        or name.removesuffix("Storage") not in STORAGE_TYPES
    ):
        raise ValueError(f"a reference to {name[:50]}")
    key, numel = reference[2], reference[4]
    if (
        not isinstance(key, str)
        or not _is_count(numel)
        or (len(reference) > 5 and reference[5] is not None)
    ):
        raise ValueError("a storage that is a view of another")
    return Storage(key, STORAGE_TYPES[name.removesuffix("Storage")], numel)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _tensor(args: tuple[Any, ...]) -> StoredTensor:
    """Check that a tensor lies within its storage and is no larger, so that reading it is safe."""
    if max(len(args[2]), len(args[3])) > MOST_DIMENSIONS:
        raise ValueError("a tensor of too many dimensions")
    storage, offset, size, stride = args[0], args[1], tuple(args[2]), tuple(args[3])
    numbers = (offset, *size, *stride)
    if not isinstance(storage, Storage) or not all(map(_is_count, numbers)):
        raise ValueError("a tensor without a storage")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > storage.numel or last >= max(storage.numel, 1):
        raise ValueError("a tensor larger than its storage")
    return StoredTensor(storage, offset, size, stride)


def _tensor_of_bytes(args: tuple[Any, ...]) -> StoredTensor:
    """Return a tensor whose type stands beside a storage of bytes."""
    storage = args[0]
    dtype = {str(known): known for known in STORAGE_TYPES.values()}.get(args[6].path)
    if dtype is None or storage.dtype != torch.uint8:
        raise ValueError("a tensor of an unknown type")
    return _tensor((Storage(storage.key, dtype, storage.numel // dtype.itemsize), *args[1:4]))


def _tensor_with_class(args: tuple[Any, ...]) -> Any:
    """Return the plain tensor of one of a subclass: function, class, arguments, attributes."""
    function, inner = args[0], args[2]
    if not function.path.startswith("torch._utils._rebuild") or function.path not in REBUILD:
        return Inert(function.path, inner)
    return REBUILD[function.path](inner)


def _first(args: tuple[Any, ...]) -> Any:
    return args[0]


def _dictionary(args: tuple[Any, ...]) -> Any:
    # With arguments it would be copied: never so in files of today, and a way to waste time.
    return Inert("collections.OrderedDict", args) if args else {}


def _bytes(args: tuple[Any, ...]) -> bytes:
    text, encoding = args
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes of an unknown encoding")
    return str.encode(text, "latin1")


def _numpy_scalar(args: tuple[Any, ...]) -> Any:
    """Return a number of numpy as one of Python: its type and its bytes."""
    dtype, raw = args
    code, order = dtype.args[0], "<"
    if isinstance(dtype.state, tuple) and dtype.state[1] in ("<", ">", "|"):
        order = dtype.state[1]
    if code not in NUMPY_TYPES or not isinstance(raw, bytes):
        raise ValueError("a number of an unknown type")
    return np.frombuffer(raw, np.dtype(order + code), 1)[0].item()


REBUILD: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _dictionary,
    "builtins.set": _first,
    "torch.Size": _first,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_bytes,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._tensor._rebuild_from_type_v2": _tensor_with_class,
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
    "_codecs.encode": _bytes,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
}
"""By the path that pickles know the functions by; their arguments are what :class:`Unpickler` made."""
