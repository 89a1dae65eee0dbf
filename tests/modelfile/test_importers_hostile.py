"""Files made to harm: nothing in them runs, and all that they lead to is a ModelFileError."""

import io
import os
import pickle
import random
import struct
import time
import zipfile
from pathlib import Path

import pytest
import torch

from modelfile.foreign_models import Plain, pytorch_geometric, save, save_script, schnetpack1, schnetpack2
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import foreign_format, read_foreign
from schnet_calc.modelfile.importers.torchfile import open_torch_file

CANARY = "schnet_calc_canary"
LEGACY = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e80024de9032e") + pickle.dumps(
    {"little_endian": True}, 2
)


class Bomb:
    """Calls a function when Python unpickles it."""

    def __init__(self, function: object, *args: object) -> None:
        self.call = function, args

    def __reduce__(self):
        return self.call


def archive(content: bytes, path: Path, **others: bytes) -> Path:
    """Write an archive as torch does, with that pickle."""
    with zipfile.ZipFile(path, "w") as file:
        for name, entry in {"data.pkl": content, "byteorder": b"little", **others}.items():
            file.writestr(f"archive/{name}", entry)
    return path


def refused(path: Path, match: str | None = None) -> None:
    """Check that a file is refused, soon, and by both functions."""
    begin = time.perf_counter()
    format_ = foreign_format(path)
    assert format_ is None or isinstance(format_, str)
    with pytest.raises(ModelFileError, match=match):
        read_foreign(path, energy_unit="eV")
    assert time.perf_counter() - begin < 10.0


def commands(canary: Path) -> dict[str, object]:
    """Objects whose unpickling would leave a file behind."""
    touch = f"open({str(canary)!r}, 'w')"
    return {
        "system": Bomb(os.system, f"touch {canary}"),
        "eval": Bomb(eval, touch),
        "exec": Bomb(exec, touch),
        "open": Bomb(open, str(canary), "w"),
        "getattr": Bomb(getattr, Bomb(__import__, "os"), "system"),
        "nested": {"model": [Bomb(os.system, f"touch {canary}")], "state_dict": {"x": Bomb(eval, touch)}},
        "key": {Bomb(eval, touch): 1},
        "reader": Bomb(torch.load, str(canary)),
    }


@pytest.mark.parametrize("name", commands(Path("x")))
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_is_run(tmp_path, name, protocol, legacy):
    canary, path = tmp_path / CANARY, tmp_path / "model.pt"
    try:
        content = pickle.dumps(commands(canary)[name], protocol)
    except pickle.PicklingError as error:  # a function that Python itself can't name
        pytest.skip(str(error))
    if legacy:
        path.write_bytes(LEGACY + content + pickle.dumps([], 2))
    else:
        archive(content, path)
    refused(path)
    assert not canary.exists()


def test_nothing_is_run_within_a_model(tmp_path):
    canary = tmp_path / CANARY
    for where in ("", "representation", "representation.interactions.0.in2f"):
        model = schnetpack2(Plain())
        inner = model.get_submodule(where)
        inner.extra = Bomb(os.system, f"touch {canary}")
        if where.endswith("in2f"):
            del inner.activation
            inner.activation = Bomb(eval, f"open({str(canary)!r}, 'w')")
        path = save(model, tmp_path / "m")
        if where.endswith("in2f"):
            refused(path, "the activation")
        else:
            read_foreign(path, energy_unit="eV")
        assert not canary.exists()


MARK, STOP = b"(", b"."
PATHS = {
    "memo": b"\x80\x02]r\xff\xff\xff\xff.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".",
    "text": b"\x80\x02X\xff\xff\xff\xffabc.",
    "long": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "negative": b"\x80\x02\x8b\xff\xff\xff\xff1.",
    "frame": b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
    "nested tuples": b"\x80\x02)" + b"\x85" * 200_000 + b".",
    "nested key": b"\x80\x02})" + b"\x85" * 200_000 + b"Ns.",
    "doubled key": b"\x80\x02})q\x00" + b"h\x00h\x00\x86q\x00" * 100 + b"Ns.",
    "nested lists": b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".",
    "nested objects": b"\x80\x02)" + b"ca\nb\nq\x000h\x00" * 1 + b"\x86" + b"\x85" * 100_000 + b"0N.",
    "endless": b"\x80\x02" + b"N0" * 2_000_000 + b".",
    "underflow": b"\x80\x020.",
    "mark": b"\x80\x02(0t0.",
    "no end": b"\x80\x02N",
    "empty": b"",
    "list as key": b"\x80\x02}]Ns.",
    "call of a number": b"\x80\x02K\x01)R.",
    "call without tuple": b"\x80\x02ca\nb\nNR.",
    "state of a number": b"\x80\x02K\x01}b.",
    "extension": b"\x80\x02\x82\x01.",
    "old call": b"(S'x'\nios\nsystem\n.",
    "reference": b"\x80\x02NQ.",
    "unknown reference": b"\x80\x02X\x01\x00\x00\x00aca\nb\n\x86Q.",
    "long name": b"\x80\x02c" + b"a" * 5000 + b"\nb\n.",
    "half a key": b"\x80\x02}(NNNu.",
}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_or_hostile_pickles(tmp_path, name, legacy):
    path = tmp_path / "model.pt"
    if legacy:
        path.write_bytes(LEGACY + PATHS[name] + b"\x80\x02].")
    else:
        archive(PATHS[name], path)
    refused(path)


def tensor_pickle(size: tuple, stride: tuple, offset: int = 0, numel: int = 4) -> bytes:
    """A state dict of one kind of tensor, written opcode by opcode."""

    def number(value: int) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = (
        MARK + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(numel) + b"tQ"
    )
    sizes = b"".join(MARK + b"".join(map(number, values)) + b"t" for values in (size, stride))
    rest = number(offset) + sizes + b"\x89}"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n" + MARK + storage + rest + b"tR"
    names = ["representation.embedding.weight", *(f"representation.x{i}" for i in range(8))]
    return b"\x80\x02}" + MARK + b"".join(text(name) + tensor for name in names) + b"u."


@pytest.mark.parametrize(
    ("size", "stride", "offset", "numel"),
    [
        ((2**30, 2**30), (1, 1), 0, 4),
        ((10**9,), (0,), 0, 4),
        ((4,), (1,), 1, 4),
        ((4,), (2,), 0, 4),
        ((-1,), (1,), 0, 4),
        ((2,), (-1,), 0, 4),
        ((2, 2), (1,), 0, 4),
        ((1,) * 20, (1,) * 20, 0, 4),
        ((4,), (1,), 0, 5),
        ((2**35,), (1,), 0, 2**35),
    ],
)
def test_tensors_beyond_their_storage(tmp_path, size, stride, offset, numel):
    content = tensor_pickle(size, stride, offset, numel)
    refused(archive(content, tmp_path / "m", **{"data/0": b"\0" * 16}))


def test_a_large_storage_behind_a_small_tensor(tmp_path):
    """One number is asked for, many would be unpacked."""
    path = tmp_path / "m"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", tensor_pickle((1,), (1,), 0, 2**20))
        file.writestr("archive/data/0", bytes(4 * 2**20))
    file = open_torch_file(path)
    with pytest.raises(ModelFileError, match="grows more than 4 times"):
        file.tensor(file.root["representation.x0"])


def test_archives_that_grow_or_hide(tmp_path):
    grows = io.BytesIO()
    with zipfile.ZipFile(grows, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + b"N0" * 5_000_000 + b".")
    (tmp_path / "grows").write_bytes(grows.getvalue())
    refused(tmp_path / "grows", "grows more than 4 times|a pickle of more than")
    path = archive(b"\x80\x02N.", tmp_path / "twice")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/data.pkl", b"\x80\x02N.")
    refused(path)
    refused(archive(b"\x80\x02N.", tmp_path / "big", byteorder=b"big"), "big-endian")


def test_a_block_that_stands_for_many(tmp_path):
    """One object may be all of a list; what is made of it is bounded before it is made."""
    model = schnetpack2(Plain(shared=True, blocks=101))
    refused(save(model, tmp_path / "m"), "too many")
    model = schnetpack2(Plain(shared=True, blocks=100))
    assert len(read_foreign(save(model, tmp_path / "m"), energy_unit="eV").network.interactions) == 100


def sources(folder: Path) -> list[Path]:
    """One file of each kind."""
    plain = Plain(head_activation="ssp")
    files = {
        "zip": lambda path: save(schnetpack2(plain), path),
        "legacy": lambda path: save(schnetpack1(plain), path, legacy=True),
        "script": lambda path: save_script(schnetpack2(plain), path),
        "weights": lambda path: save(dict(pytorch_geometric(plain).state_dict()), path),
    }
    return [write(folder / name) for name, write in files.items()]


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Content with some bits flipped, bytes inserted or taken away, or an end cut off."""
    data = bytearray(content)
    for _ in range(random_.choice([1, 1, 3, 20])):
        if len(data) < 2:
            break
        at = random_.randrange(len(data))
        kind = random_.randrange(5)
        if kind < 2:
            data[at] ^= 1 << random_.randrange(8)
        elif kind == 2:
            del data[at : at + random_.randrange(1, 20)]
        elif kind == 3:
            data[at:at] = data[: random_.randrange(1, 50)]
        elif len(data) > 10:
            data = data[: max(at, 5)]
    return bytes(data)


def rewritten(content: bytes, random_: random.Random) -> bytes:
    """An archive with one entry damaged, lost, or swapped with another, its checksums right again."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    names = sorted(entries)
    kind = random_.randrange(4)
    main = next(n for n in names if n.endswith("data.pkl"))
    if kind < 2:
        entries[main] = damaged(entries[main], random_)
    elif kind == 2:
        a, b = random_.sample(names, 2)
        entries[a], entries[b] = entries[b], entries[a]
    else:
        del entries[random_.choice(names)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, entry in entries.items():
            file.writestr(name, entry)
    return buffer.getvalue()


def test_damaged_files(tmp_path):
    random_ = random.Random(7)
    outcomes = {"read": 0, "refused": 0}
    path = tmp_path / "damaged"
    for source in sources(tmp_path):
        content = source.read_bytes()
        for k in range(150):
            inside = k % 2 and content.startswith(b"PK")
            path.write_bytes(rewritten(content, random_) if inside else damaged(content, random_))
            try:
                read_foreign(path, energy_unit="eV")
                outcomes["read"] += 1
            except ModelFileError:
                outcomes["refused"] += 1
            foreign_format(path)
    assert outcomes["refused"] > 400


def test_truncated_files(tmp_path):
    for source in sources(tmp_path):
        content = source.read_bytes()
        for keep in (0, 1, 3, 20, 500, len(content) // 2, len(content) - 1):
            (tmp_path / "cut").write_bytes(content[:keep])
            refused(tmp_path / "cut")
