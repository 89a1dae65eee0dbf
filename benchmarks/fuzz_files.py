"""What the fuzzer draws: files that are made to take time, memory or the terminal."""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

EVIL = "\x1b]0;title\x07\x1b[2J\u202e</script><img src=x>"
VALUES = [None, True, -1, 0, 10**9, 1e400, float("nan"), "", "x" * 50_000, EVIL, [], {}, [1], {"C": 1}]


def odd_metadata(content: bytes, rng) -> bytes:
    """A model file whose metadata are of other kinds, sizes, depths or characters."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, _odd_text(data, rng) if name.endswith("metadata.json") else data)
    return buffer.getvalue()


def _odd_text(data: bytes, rng) -> bytes:
    kind = rng.integers(4)
    if kind == 0:
        many = int(10 ** rng.uniform(2, 6))
        return b'{"a":[' + b"[],{}," * many + b"0]}"
    if kind == 1:
        deep = int(10 ** rng.uniform(0, 6))
        return b"[" * deep + b"]" * deep
    metadata = json.loads(data)
    metadata.pop("contents_sha256")
    metadata["training"] = {
        "data": {"name": "n", "theory": "t", "file": EVIL if rng.integers(2) else "f"},
        "n_train": 10,
        "command": "schnet-calc train",
        "test_errors": {"energy_mae_ev": 0.1},
        "domain": {"shortest_ang": {"H-C": 1.0}, "coordination": {"C": [1, 4]}, "formulas": ["CH4"]},
    }
    tables = [metadata, metadata["hyperparameters"], metadata["training"], metadata["training"]["domain"]]
    for _ in range(int(rng.integers(0, 3))):
        table = tables[rng.integers(len(tables))]
        table[str(rng.choice(sorted(table)))] = VALUES[rng.integers(len(VALUES))]
    return json.dumps(metadata).encode()


def hostile_pickle(rng) -> bytes:
    """A file of torch.save with a program of random instructions, some of them many times."""
    parts = [b"\x80\x02"]
    for _ in range(int(rng.integers(1, 6))):
        parts.append(PROGRAMS[rng.integers(len(PROGRAMS))](rng))
    program = b"".join(parts) + b"."
    buffer = io.BytesIO()
    packing = zipfile.ZIP_DEFLATED if rng.integers(2) else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", packing) as file:
        file.writestr("archive/data.pkl", program)
        file.writestr("archive/byteorder", b"little")
    return buffer.getvalue()


def _many(rng) -> int:
    return int(10 ** rng.uniform(0, 5.5))


def _text(rng) -> bytes:
    size = int(10 ** rng.uniform(0, 6.5))
    return b"X" + struct.pack("<I", size) + b"a" * size + b"q\x00"


def _encoded(rng) -> bytes:
    once = b"c_codecs\nencode\nh\x00h\x01\x86R"
    return _text(rng) + b"X\x06\x00\x00\x00latin1q\x01](" + once * _many(rng) + b"e"


def _noise(rng) -> bytes:
    return rng.bytes(int(10 ** rng.uniform(0, 4)))


PROGRAMS = (
    _encoded,
    _noise,
    lambda rng: b"(" + b"N" * _many(rng) + b"tq\x02" + b"h\x02\x85" * _many(rng),
    lambda rng: b"}" + b"X\x01\x00\x00\x00aNs" * _many(rng),
    lambda rng: b"](" * _many(rng),
    lambda rng: b")" + b"\x85" * _many(rng),
    lambda rng: b"ca\nb\n)R" * _many(rng),
    lambda rng: b"ctorch\nSize\n(" + b"N" * _many(rng) + b"tR",
)
"""Instructions; most leave something on the stack."""


def odd_arrays(rng) -> bytes:
    """An ``.npz`` file whose directory or headers say more than there is, or that is cut."""
    buffer = io.BytesIO()
    n = int(rng.integers(1, 5))
    np.savez(buffer, R=rng.normal(size=(n, 3, 3)), z=np.array([8, 1, 1]), E=rng.normal(size=n))
    data = bytearray(buffer.getvalue())
    kind = rng.integers(4)
    if kind == 0:
        place = data.index(b"PK\x01\x02") + 24
        data[place : place + 4] = int(rng.integers(2**32)).to_bytes(4, "little")
    elif kind == 1:
        place = data.index(b"'shape': (") + 10
        data[place : place + 1] = b"9" * int(rng.integers(1, 12))
    elif kind == 2:
        del data[int(rng.integers(len(data))) :]
    else:
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def odd_checkpoint(path, rng) -> Path:
    """A checkpoint of TensorFlow of other shapes, variables that share their numbers, or with damage; its index."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    import torch

    from modelfile.foreign_models import Plain
    from modelfile.tensorflow_files import variables, write

    tensors = variables(Plain(cutoff="none", filter_activation=True, head_activation="ssp"))
    for name in rng.choice(sorted(tensors), int(rng.integers(0, 4))):
        size = [int(10 ** rng.uniform(0, 2.5)) for _ in range(int(rng.integers(0, 5)))]
        tensors[str(name)] = torch.full(size[:2], float(rng.choice([0.0, 1e30, np.nan])))
    for name in rng.choice(sorted(tensors), int(rng.integers(0, 2))):
        del tensors[str(name)]
    index = write(path, tensors, compression=int(rng.integers(10) == 0), shared=bool(rng.integers(2)))
    for file in (index, Path(f"{path}.data-00000-of-00001")):
        data = bytearray(file.read_bytes())
        for _ in range(int(rng.integers(0, 3)) if rng.integers(2) else 0):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        file.write_bytes(data)
    return index
