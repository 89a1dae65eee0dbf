"""Checkpoints of TensorFlow, written byte by byte."""

import struct
from pathlib import Path

import numpy as np
import torch

from modelfile.foreign_models import Plain
from schnet_calc.modelfile.importers.sstable import masked_crc32c

MAGIC = bytes.fromhex("57fb808b247547db")


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: dict[bytes, bytes], compression: int = 0) -> bytes:
    """A block of a table, whose keys share what they can with the one before, and its checksum."""
    body, before = b"", b""
    for key, value in sorted(entries.items()):
        shared = next(
            (k for k, (a, b) in enumerate(zip(key, before, strict=False)) if a != b),
            min(len(key), len(before)),
        )
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    body += struct.pack("<II", 0, 1) + bytes([compression])
    return body + struct.pack("<I", masked_crc32c(body))


def table(entries: dict[bytes, bytes], compression: int = 0) -> bytes:
    """A table of two blocks of entries."""
    keys = sorted(entries)
    data, handles = b"", {}
    for part in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
        content = block({k: entries[k] for k in part}, compression)
        handles[part[-1]] = varint(len(data)) + varint(len(content) - 5)
        data += content
    meta, index = block({}), block(handles)
    footer = varint(len(data)) + varint(len(meta) - 5)
    footer += varint(len(data) + len(meta)) + varint(len(index) - 5)
    return data + meta + index + footer.ljust(40, b"\0") + MAGIC


def variables(plain: Plain, shared: bool = False, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    """The variables of a model by the names of that code."""
    names = ("CFConv/in2fac", "SchNetFilter/Dense", "SchNetFilter/Dense_1", "CFConv/fac2out", "Dense")
    found = {"atom_embedding/embeddings/W": plain.embedding}

    def add(name: str, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        found[f"{name}/W"] = weight.T
        if bias is not None:
            found[f"{name}/b"] = bias

    for t, layers in enumerate(plain.layers[:1] if shared else plain.layers):
        for name, (weight, bias) in zip(names, layers, strict=True):
            add(f"interaction{'' if shared else f'_{t}'}/{name}", weight, bias)
    add("Dense", *plain.head[0])
    add("Dense_1", *plain.head[1])
    return found | more


def write(
    path: Path,
    tensors: dict[str, torch.Tensor],
    compression: int = 0,
    suffix: str = ":0",
    shared: bool = False,
) -> Path:
    """Write index and data of a checkpoint, or data that all variables share; returns the index."""
    entries, data = {b"": field(1, 1) + field(3, field(1, 1))}, b""
    crcs: dict[int, int] = {}
    for name, tensor in sorted(tensors.items()):
        raw = np.ascontiguousarray(tensor.numpy(), "<f4").tobytes()
        data = raw if shared else data + raw
        shape = b"".join(field(2, field(1, n)) for n in tensor.shape)
        known = crcs.setdefault(hash(raw), 0) or masked_crc32c(raw)
        crcs[hash(raw)] = known
        crc = varint(6 << 3 | 5) + struct.pack("<I", known)
        entry = field(1, 1) + field(2, shape) + field(4, len(data) - len(raw)) + field(5, len(raw)) + crc
        entries[(name + suffix).encode()] = entry
    Path(f"{path}.data-00000-of-00001").write_bytes(data)
    Path(f"{path}.index").write_bytes(table(entries, compression))
    return Path(f"{path}.index")
