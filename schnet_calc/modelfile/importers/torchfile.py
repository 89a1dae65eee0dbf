"""The files of ``torch.save`` and ``torch.jit.save``: a pickle, and the numbers of its tensors beside it."""

import io
import math
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.rebuild import REBUILD, Storage, StoredTensor, read_storage_type
from schnet_calc.modelfile.importers.unpickler import LONGEST, Unpickler

LARGEST = 2**31
"""Bytes of a file."""
LARGEST_RATIO = 4
"""Times that an entry beyond a MiB may grow when it is unpacked; torch writes entries as they are."""
MOST_ENTRIES = 50_000
ZIP_START = b"PK\x03\x04"
LEGACY_START = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""A pickle of the whole number that files began with before they were archives."""
LEGACY_PROTOCOL = 1001
MOST_NUMBERS = 2**25
"""That a model may have: 256 MiB of them in float64. Some million are usual."""


class TorchFile:
    """A file whose pickle has been read; its numbers wait until they are asked for.

    Parameters
    ----------
    root : Any
        What was saved, in dictionaries, lists, plain values, stand-ins and :class:`StoredTensor`.
    storage : callable
        The numbers of a storage, as bytes.
    code : callable, optional
        Source text of a TorchScript module by its name, such as ``"schnetpack/nn/base"``.
    """

    def __init__(
        self, root: Any, storage: Callable[[Storage], bytes], code: Callable[[str], str] | None = None
    ) -> None:
        self.root, self._read = root, storage
        self.code = None if code is None else cache(code)
        self._storages: dict[Storage, Tensor] = {}
        self._taken = 0

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Return a tensor (...,) of the file, in the unit of the code that wrote it.

        Raises
        ------
        ModelFileError
            Its numbers are missing or cut short, or more were taken in all than models have.
        """
        storage = stored.storage
        self._taken += math.prod(stored.size)
        if self._taken > MOST_NUMBERS:  # one block of a file may stand for many of a model
            raise ModelFileError(f"more than {MOST_NUMBERS} numbers in the model")
        if 0 in stored.size:
            return torch.empty(0, dtype=storage.dtype)
        if storage not in self._storages:
            self._taken += storage.numel  # also what no tensor shows of it
            if self._taken > 2 * MOST_NUMBERS:
                raise ModelFileError(f"more than {MOST_NUMBERS} numbers in the file")
            self._storages[storage] = torch.frombuffer(bytearray(self._read(storage)), dtype=storage.dtype)
        return torch.as_strided(self._storages[storage], stored.size, stored.stride, stored.offset)


def open_torch_file(path: Path) -> TorchFile | None:
    """Read the pickle of a file of torch, new or legacy; None if it is none by its first bytes.

    Raises
    ------
    ModelFileError
        It is one, but damaged or larger than models are.
    """
    with path.open("rb") as file:
        start = file.read(len(LEGACY_START))
        if not start.startswith(ZIP_START) and start != LEGACY_START:
            return None
        content = start + file.read(LARGEST)
    if len(content) > LARGEST:
        raise ModelFileError(f"the file has more than {LARGEST} bytes")
    return _open_legacy(content) if start == LEGACY_START else _open_archive(content)


def _open_archive(content: bytes) -> TorchFile | None:
    entries = _Archive(content)
    pickles = [name for name in entries.names if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickles) != 1:
        return None
    folder = pickles[0].removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in entries.names and entries.read(order) != b"little":
        raise ModelFileError("its numbers are big-endian: not read here")
    entries.folder = folder
    if entries.size(pickles[0]) > LONGEST:
        raise ModelFileError(f"a pickle of more than {LONGEST} bytes")
    root = Unpickler(entries.read(pickles[0]), REBUILD, read_storage_type).load()
    with_code = f"{folder}constants.pkl" in entries.names
    return TorchFile(root, entries.storage, entries.code if with_code else None)


class _Archive:
    """The entries of a zip archive, each read with its checksum and within its size."""

    folder = ""
    """Where the model is within it."""

    def __init__(self, content: bytes) -> None:
        if content.count(b"PK\x01\x02") > MOST_ENTRIES:  # each entry of the directory begins like that
            raise ModelFileError(f"more than {MOST_ENTRIES} entries in the archive")
        try:
            self.archive = zipfile.ZipFile(io.BytesIO(content))
        except ZIP_ERRORS as error:
            raise ModelFileError(f"damaged archive ({error!s:.80})") from error
        infos = self.archive.infolist()
        self.names = {info.filename: info for info in infos}
        if len(self.names) != len(infos):
            raise ModelFileError("an entry occurs twice in the archive")

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self.names.get(name)
        if info is None:
            raise ModelFileError(f"the archive lacks {name[-80:]!r}")
        return info

    def size(self, name: str) -> int:
        """Return the bytes of an entry, unpacked."""
        return self._info(name).file_size

    def read(self, name: str) -> bytes:
        """Return an entry, unpacked."""
        info = self._info(name)
        if info.file_size > max(2**20, LARGEST_RATIO * info.compress_size):
            raise ModelFileError(
                f"the entry {name[-80:]!r} grows more than {LARGEST_RATIO} times when unpacked"
            )
        try:
            return self.archive.read(info)
        except ZIP_ERRORS as error:
            raise ModelFileError(f"damaged entry {name[-80:]!r} ({error!s:.80})") from error

    def storage(self, wanted: Storage) -> bytes:
        """Return the numbers of a storage."""
        name = f"{self.folder}data/{wanted.key}"
        size = self.size(name)
        if size != wanted.n_bytes:
            raise ModelFileError(f"the storage {wanted.key[:50]!r} has {size} bytes, not {wanted.n_bytes}")
        return self.read(name)

    def code(self, module: str) -> str:
        """Return the source text of a TorchScript module."""
        return self.read(f"{self.folder}code/__torch__/{module}.py").decode("utf-8", "replace")


ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises for damaged archives."""


def _open_legacy(content: bytes) -> TorchFile:
    """Read magic number, protocol, byte order, object, keys of storages, and then the storages one by one."""
    known: dict[str, Storage] = {}
    machine = Unpickler(content, REBUILD, partial(_noted, known), at=len(LEGACY_START))
    protocol, system = machine.load(), machine.load()
    if (
        protocol != LEGACY_PROTOCOL
        or not isinstance(system, dict)
        or system.get("little_endian") is not True
    ):
        raise ModelFileError("a legacy file of torch of another protocol or byte order than is read here")
    root, keys = machine.load(), machine.load()
    if not isinstance(keys, list) or not all(isinstance(k, str) and k in known for k in keys):
        raise ModelFileError("a legacy file of torch whose storages are not those that its tensors use")
    starts, at = {}, machine.at
    for key in keys:
        starts[key] = at + 8
        at += 8 + known[key].n_bytes
        written = int.from_bytes(content[starts[key] - 8 : starts[key]], "little")
        if at > len(content) or written != known[key].numel:
            raise ModelFileError("a legacy file of torch that is cut short or damaged")
    there = {known[key]: start for key, start in starts.items()}
    return TorchFile(root, partial(_legacy_storage, content, there))


def _noted(known: dict[str, Storage], reference: Any) -> Any:
    """What a reference stands for; storages are noted by their keys."""
    found = read_storage_type(reference)
    if isinstance(found, Storage):
        known[found.key] = found
    return found


def _legacy_storage(content: bytes, starts: dict[Storage, int], wanted: Storage) -> bytes:
    if wanted not in starts:
        raise ModelFileError(f"no numbers for the storage {wanted.key[:50]!r}")
    return content[starts[wanted] : starts[wanted] + wanted.n_bytes]
