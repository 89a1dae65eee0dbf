"""The worst files of at most 50 MB: what reading them takes, measured in a process of its own."""

import io
import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from helpers import rewrite, write_model
from modelfile.tensorflow_files import write
from schnet_calc.modelfile.archive import METADATA, WEIGHTS

MB = 10**6
MOST_SECONDS, MOST_BYTES = 2.0, 500 * MB
READ = """
import json, sys, time
from pathlib import Path
from schnet_calc.data.archives import load_arrays
from schnet_calc.errors import SchNetCalcError
from schnet_calc.modelfile import load_potential
from schnet_calc.modelfile.importers import foreign_format, read_foreign

path, small = Path(sys.argv[1]), sys.argv[2]
load_potential(small)  # what is imported and compiled on first use doesn't count
foreign_format(Path(small))

def bytes_of(name):
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
    return int(line.split()[1]) * 1024

def read():
    if path.suffix == ".npz":
        return load_arrays(path)
    try:
        return load_potential(path)
    except SchNetCalcError as error:
        if any(words in str(error) for words in ("schnet-calc import", "not of TorchScript", "cut short")):
            return read_foreign(path, energy_unit="eV")
        raise

Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew; that of getrusage is the parent's, too
before, begun, said = bytes_of("VmRSS"), time.process_time(), "read"
try:
    read()
except SchNetCalcError as error:
    said = str(error)
print(json.dumps([said, time.process_time() - begun, bytes_of("VmHWM") - before]))
"""


def stored(entries):
    """An archive of entries as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def long_metadata(small):
    """As many values as are parsed, in as many bytes."""
    text = b'{"training":{"x":[' + b'{"a":1},' * 130_000 + b'"' + b"a" * 2_400_000 + b'"]}}'
    return rewrite(small, lambda name, content: [(name, text if name.endswith(METADATA) else content)])


def large_entries(small):
    """48 MB of numbers that belong to no tensor, and one entry four times as large as its bytes."""
    more = np.random.default_rng(0).bytes(16 * MB)
    buffer = io.BytesIO(rewrite(small, lambda name, content: [(name, content)]))
    with zipfile.ZipFile(buffer, "a") as file:
        folder = file.namelist()[0].partition("/")[0]
        for k in range(2):
            file.writestr(f"{folder}/noise{k}", more)
        mixed = more + bytes(47 * MB)
        file.writestr(f"{folder}/mixed", mixed, zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()


def long_header(small):
    """Names and shapes of 400,000 empty tensors."""
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"w{k}": empty for k in range(400_000)}).encode()
    weights = struct.pack("<Q", len(header)) + header

    def change(name, content):
        if name.endswith(METADATA):
            plain = json.loads(content)
            del plain["contents_sha256"]
            content = json.dumps(plain).encode()
        yield name, weights if name.endswith(WEIGHTS) else content

    return rewrite(small, change)


def long_texts(_):
    """Texts of a sign that makes Python take four bytes for each of the others."""
    text = "\N{PILE OF POO}".encode() + b"a" * (24 * MB)
    program = b"\x80\x02](" + 2 * (b"X" + struct.pack("<I", len(text)) + text) + b"e."
    return stored({"archive/data.pkl": program})


def many_instructions(_):
    """As many containers and copies of them as there may be instructions."""
    program = b"\x80\x02]q\x00(" + b"h\x00" * 60_000 + b"tq\x01](" + b"h\x01\x85\x85" * 40_000 + b"e."
    return stored({"archive/data.pkl": program})


def shared_numbers(_):
    """Weights of PyTorch Geometric that are all the same 48 MB."""
    buffer = io.BytesIO()
    one = torch.zeros(3000, 4000)
    names = ["mlp.0", "mlp.2", "conv.lin1", "conv.lin2", "lin"]
    layers = [f"interactions.{t}.{name}" for t in range(6) for name in names] + ["lin1", "lin2"]
    weights = {f"{layer}.{part}": one for layer in layers for part in ("weight", "bias")}
    weights |= {
        "distance_expansion.offset": torch.linspace(0, 5, 50),
        "embedding.weight": one,
    }
    torch.save(weights, buffer)
    return buffer.getvalue()


def bomb_of_arrays(_):
    """200 MB of zeros in 200 kB."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, R=np.zeros(25 * MB))
    return buffer.getvalue()


WORST = {
    "metadata.pt": (long_metadata, "lacks format_version"),
    "entries.pt": (large_entries, "SHA-256"),
    "header.pt": (long_header, "bytes of names"),
    "texts.pt": (long_texts, "makes more than"),
    "instructions.pt": (many_instructions, "no model of"),
    "shared.pt": (shared_numbers, "numbers in the model"),
    "arrays.npz": (bomb_of_arrays, "more than 20 times as many"),
}


def cost(path, small):
    """What was said, seconds of CPU and bytes of memory."""
    command = [sys.executable, "-c", READ, str(path), str(small)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc"),
]


@pytest.mark.parametrize("name", WORST)
def test_the_worst_files(name, tmp_path):
    small, path = write_model(tmp_path / "small.pt"), tmp_path / name
    make, message = WORST[name]
    path.write_bytes(make(small))
    assert path.stat().st_size <= 50 * MB
    said, seconds, taken = cost(path, small)
    assert message in said
    assert taken < MOST_BYTES
    assert seconds < 2 * MOST_SECONDS  # of a slow core


@pytest.mark.parametrize("times", [1, 3])
def test_the_worst_checkpoints(times, tmp_path):
    """One of 48 MB, and one whose variables are all the same 48 MB."""
    names = ["atom_embedding/embeddings/W"]
    for t in range(times):
        for layer in (
            "CFConv/in2fac",
            "SchNetFilter/Dense",
            "SchNetFilter/Dense_1",
            "CFConv/fac2out",
            "Dense",
        ):
            names.append(f"interaction_{t}/{layer}/W")
    names += ["Dense/W", "Dense_1/W"]
    numbers = torch.ones(12 * MB // (len(names) if times == 1 else 1))
    index = write(tmp_path / "m", {name: numbers.reshape(-1, 1) for name in names}, shared=times > 1)
    said, seconds, taken = cost(index, write_model(tmp_path / "small.pt"))
    assert times == 1 or "shares its numbers" in said
    assert taken < MOST_BYTES
    assert seconds < 2 * MOST_SECONDS
