"""The original SchNet, in TensorFlow: a checkpoint of its variables.

With their names, an interaction is ``x + Dense(fac2out(sum_j in2fac(x)_j * SchNetFilter(basis(d))))``, with shifted
softplus behind both layers of the filter and behind ``fac2out``, and no cutoff function. ``Dense`` and
``Dense_1`` of the model make one number per atom, times ``std_per_atom`` plus ``mean_per_atom`` plus ``atomref``.
The Gaussians are ``exp(-(d - center)^2 / gap)``: ``ceil(cutoff / gap)`` of them from 0 to the cutoff.
"""

import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.options import (
    UNKNOWN,
    Options,
    read_flag,
    read_number,
    read_pooling,
    read_whole,
)
from schnet_calc.modelfile.importers.parts import Block, Cutoff, Gaussians, Linear, Parts
from schnet_calc.modelfile.importers.sstable import masked_crc32c, read_table, varint
from schnet_calc.modelfile.importers.torchfile import MOST_NUMBERS

OPTIONS = ("gap", "cutoff", "n_interactions", "pooling", "atomization_energy", "filter_pool_mode")
TYPES = {1: torch.float32, 2: torch.float64}
"""By their numbers in the protocol."""
MOST_BLOCKS = 100
GAP = 0.1


class Variable(NamedTuple):
    """Where a variable is, and of which kind."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


class Variables:
    """The variables of a checkpoint by name, read when they are asked for.

    Parameters
    ----------
    prefix : str
        Path of the files without ``.index`` or ``.data-...``.

    Raises
    ------
    ModelFileError
        The index is damaged, or of a kind that is not read here.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._unread: dict[int, int] = {}
        """Bytes of each file of numbers that no variable has taken."""
        with Path(f"{prefix}.index").open("rb") as file:
            content = file.read(2**20)
        try:
            table = read_table(content)
            header = _fields(table.pop(b"", b""))
            if header.get(2, 0) != 0:
                raise ValueError("big-endian numbers")
            self.n_shards = header.get(1, 1)
            entries = {name.decode(): raw for name, raw in table.items()}
        except (ValueError, IndexError, struct.error) as error:
            raise ModelFileError(f"the index of the checkpoint is damaged: {error!s:.80}") from error
        # A whole training keeps the model's variables within its name, and the optimiser's beside them.
        self.raw = {name.removesuffix(":0").removeprefix("SchNet/"): raw for name, raw in entries.items()}

    def has(self, name: str) -> bool:
        """Return whether there is a variable of that name."""
        return name in self.raw

    def tensor(self, name: str) -> Tensor:
        """Return a variable (...,), in the unit of the original code.

        Raises
        ------
        ModelFileError
            It is not there, damaged, or not finite.
        """
        if name not in self.raw:
            raise ModelFileError(f"the checkpoint lacks {name}")
        try:
            entry = _entry(self.raw[name])
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise ModelFileError(f"the entry of {name} is damaged: {error!s:.80}") from error
        raw = self._numbers(name, entry)
        tensor = torch.frombuffer(bytearray(raw), dtype=entry.dtype).reshape(entry.shape)
        if not bool(torch.isfinite(tensor).all()):
            raise ModelFileError(f"{name} holds numbers that are not finite")
        return tensor

    def _numbers(self, name: str, entry: Variable) -> bytes:
        """Return the bytes of a variable; each of a file can belong to one only."""
        path = Path(f"{self.prefix}.data-{entry.shard:05d}-of-{self.n_shards:05d}")
        if not path.is_file():
            raise ModelFileError(f"the file {path.name} belongs to this checkpoint, but is not there")
        left = self._unread.setdefault(entry.shard, min(path.stat().st_size, 8 * MOST_NUMBERS)) - entry.size
        self._unread[entry.shard] = left
        if left < 0:
            raise ModelFileError(f"{name} is cut short, shares its numbers, or is larger than models are")
        with path.open("rb") as file:
            file.seek(entry.offset)
            raw = file.read(entry.size)
        if len(raw) != entry.size or masked_crc32c(raw) != entry.checksum:
            raise ModelFileError(f"{name} is cut short, or its checksum doesn't fit")
        return raw


def _fields(raw: bytes) -> dict[int, Any]:
    """Return the fields of a protocol buffer by number; the last of those that occur twice."""
    fields: dict[int, Any] = {}
    at = 0
    while at < len(raw):
        tag, at = varint(raw, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            fields[number], at = varint(raw, at)
        elif kind == 5:
            fields[number], at = struct.unpack_from("<I", raw, at)[0], at + 4
        elif kind == 2:
            size, at = varint(raw, at)
            if number == 2:  # the sizes of a shape are one such field each
                fields.setdefault(number, []).append(raw[at : at + size])
            else:
                fields[number] = raw[at : at + size]
            at += size
        else:
            raise ValueError(f"a field of kind {kind}")
    return fields


def _entry(raw: bytes) -> Variable:
    fields = _fields(raw)
    if fields.get(1) not in TYPES or 7 in fields:
        raise ValueError("a type that is no float, or a variable in slices")
    shapes = fields.get(2, [])
    dimensions = _fields(shapes[0]).get(2, []) if shapes else []
    shape = tuple(_fields(dimension).get(1, 0) for dimension in dimensions)
    dtype, size = TYPES[fields[1]], fields.get(5, 0)
    if (
        not 0 < size <= 8 * MOST_NUMBERS
        or fields.get(4, 0) > 2**40
        or math.prod(shape) * dtype.itemsize != size
        or len(shape) > 4
    ):
        raise ValueError("a shape that doesn't fit the size")
    return Variable(dtype, shape, fields.get(3, 0), fields.get(4, 0), size, fields[6])


def read_model(variables: Variables, options: Options) -> Parts:
    """Return the parts of a model."""
    options.check(OPTIONS)
    pool = options.settle("filter_pool_mode", UNKNOWN, "sum")
    if pool not in ("sum", "mean"):
        raise ModelFileError(
            f"filter_pool_mode = {pool!r}: neighbours are summed or averaged, nothing else"
        )
    blocks = _blocks(variables, options)
    basis = _basis(blocks[0].filter1.weight.shape[1], options)
    atomref = "atomref/embeddings/W"
    without = options.settle("atomization_energy", UNKNOWN, False, read_flag)
    options.assumed.append("no cutoff function: all pairs of a molecule count")
    return Parts(
        embedding=variables.tensor("atom_embedding/embeddings/W"),
        blocks=blocks,
        head=[_dense(variables, "Dense"), _dense(variables, "Dense_1")],
        basis=basis,
        cutoff=Cutoff("none", float(basis.centers[-1])),
        filter_activation=True,
        neighbor_mean=pool == "mean",
        pooling=options.settle("pooling", UNKNOWN, "sum", read_pooling),
        scale=_number(variables, "std_per_atom", 1.0),
        shift=_number(variables, "mean_per_atom", 0.0),
        atomrefs=variables.tensor(atomref) if variables.has(atomref) and not without else None,
        assumed=options.assumed,
    )


def _blocks(variables: Variables, options: Options) -> list[Block]:
    if variables.has("interaction/Dense/W"):  # one block stands for all
        n = options.settle("n_interactions", UNKNOWN, UNKNOWN, read_whole)
        return [_block(variables, "interaction")] * min(n, MOST_BLOCKS + 1)  # beyond that it is refused
    count = 0
    while variables.has(f"interaction_{count}/Dense/W") and count <= MOST_BLOCKS:
        count += 1
    if count == 0:
        raise ModelFileError("the checkpoint lacks interaction_0/Dense/W")
    options.settle("n_interactions", count, count, read_whole)
    return [_block(variables, f"interaction_{t}") for t in range(count)]


def _block(variables: Variables, name: str) -> Block:
    layers = ("CFConv/in2fac", "SchNetFilter/Dense", "SchNetFilter/Dense_1", "CFConv/fac2out", "Dense")
    return Block(*(_dense(variables, f"{name}/{layer}") for layer in layers))


def _basis(n_gaussians: int, options: Options) -> Gaussians:
    """Return the Gaussians, whose gap and last centre no variable tells."""
    gap = options.settle("gap", UNKNOWN, GAP, read_number)
    if gap is None or not gap > 0.0:
        raise ModelFileError("gap is a positive number")
    last = options.settle("cutoff", UNKNOWN, round(n_gaussians * gap, 9), read_number)
    if last is None or not last > 0.0 or n_gaussians != math.ceil(last / gap):
        raise ModelFileError(
            f"the network has {n_gaussians} Gaussians, but ceil(cutoff / gap) is another number: "
            "give options={'cutoff': ..., 'gap': ...}"
        )
    # That code computes the centres in double and stores them as float32.
    centers = torch.linspace(0.0, last, n_gaussians, dtype=torch.float64).float()
    return Gaussians(centers, torch.tensor([math.sqrt(gap / 2.0)], dtype=torch.float64))


def _dense(variables: Variables, name: str) -> Linear:
    weight = variables.tensor(f"{name}/W")
    if weight.dim() != 2:
        raise ModelFileError(f"{name}/W is no matrix")
    return Linear(
        weight.T.contiguous(), variables.tensor(f"{name}/b") if variables.has(f"{name}/b") else None
    )


def _number(variables: Variables, name: str, default: float) -> float:
    tensor = variables.tensor(name) if variables.has(name) else torch.tensor(default)
    if tensor.numel() != 1:
        raise ModelFileError(f"{name} must be one number, not {tensor.numel()}")
    return float(tensor.double().reshape(()))
