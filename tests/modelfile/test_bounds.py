"""Files that are made to take time, memory or the terminal are refused soon, in words that can be printed."""

import io
import json
import struct
import time
import zipfile

import pytest

from helpers import rewrite, with_metadata
from schnet_calc.errors import ModelFileError, printable
from schnet_calc.modelfile import load_potential
from schnet_calc.modelfile.archive import METADATA
from schnet_calc.modelfile.bounded_json import parse_bounded
from schnet_calc.modelfile.importers import foreign_format, read_foreign


def with_text(path, text: bytes) -> bytes:
    """A model file with other metadata."""

    def change(name, content):
        yield name, text if name.endswith(METADATA) else content

    return rewrite(path, change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"training":[' + b"[],{}," * 2_000_000 + b"0]}", "more than the 4194304 that are read"),
        (b'{"training":[' + b"[],{}," * 300_000 + b"0]}", "values, more than the 400000"),
        (b'{"training":' + b"[" * 40 + b"]" * 40 + b"}", "40 deep|41 deep"),
        (b'{"training":' + b"[" * 500_000 + b"]" * 500_000 + b"}", "deep, more than the 32"),
    ],
    ids=["long", "many", "deep", "very deep"],
)
def test_metadata_are_measured_before_they_are_parsed(models, refused, text, message):
    begin = time.process_time()
    refused(with_text(models["float32"], text), message)
    assert time.process_time() - begin < 2.0


def test_signs_within_texts_do_not_count():
    text = json.dumps({"command": "[" * 100 + '\\"' + "{" * 100})
    assert parse_bounded(text.encode())["command"].startswith("[[")


DOMAIN = {"shortest_ang": {"H-C": 1.0}, "coordination": {"C": [3, 4]}}


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"data": "x" * 5_000_000}, "more than the 4194304"),
        ({"data": "x" * 20_000}, r"training\.data must be texts of at most 10,000"),
        ({"data": {"name": 3}}, r"training\.data must be texts"),
        ({"n_train": "many"}, r"training\.n_train must be a whole number, got 'many'"),
        ({"steps": 1.5}, r"training\.steps must be"),
        ({"command": ["a"]}, r"training\.command must be a text"),
        ({"test_errors": [1]}, r"training\.test_errors must be numbers by name"),
        ({"validation_errors": {"x": "low"}}, r"training\.validation_errors must be numbers by name"),
        ({"distance_range_ang": [1]}, r"training\.distance_range_ang must be two numbers"),
        ({"domain": []}, r"training\.domain must be an object with"),
        ({"domain": DOMAIN | {"coordination": None}}, r"training\.domain must be an object with"),
        ({"domain": {"coordination": {}}}, r"training\.domain must be an object with"),
        (
            {"domain": DOMAIN | {"coordination": {"C": 3}}},
            r"training\.domain\.coordination must be two num",
        ),
        ({"domain": DOMAIN | {"coordination": {"Xx": [1, 2]}}}, r"training\.domain\.coordination"),
        (
            {"domain": DOMAIN | {"shortest_ang": {"C": 1.0}}},
            r"training\.domain\.shortest_ang must be numbers",
        ),
        ({"domain": DOMAIN | {"shortest_ang": 3}}, r"training\.domain\.shortest_ang"),
        ({"domain": DOMAIN | {"neighbors": {"C": [1, 2]}}}, r"training\.domain\.neighbors"),
        ({"domain": DOMAIN | {"formulas": "CH4"}}, r"training\.domain\.formulas must be a list"),
        ({"domain": DOMAIN | {"fragments": "one"}}, r"training\.domain\.fragments must be a whole number"),
        ({"source": "x"}, r"training\.source must be an object"),
    ],
)
def test_the_record_of_the_training_is_typed(models, refused, training, message):
    refused(with_metadata(models["float32"], training=training), message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("n_interactions", None, "n_interactions must be a whole number up to 100, got None"),
        ("n_interactions", 10**9, "n_interactions must be"),
        ("n_features", "many", "n_features must be"),
        ("cutoff", None, "cutoff must be a finite number, got None"),
        ("basis_width", "x", "basis_width must be a finite number or null"),
        ("pooling", None, "pooling must be a name"),
        ("activation", 3, "activation must be a name"),
        ("filter_activation", "no", "filter_activation must be true or false"),
        ("output_layers", [16, "x"], "output_layers must be at most 20 widths"),
        ("heads", {"a": 3}, "heads must be at most 20 reductions"),
        ("heads", {f"h{k}": "sum" for k in range(21)}, "heads must be at most 20 reductions"),
        ("n_filters", 0, "n_filters must be a whole number up to 8192 or null"),
    ],
)
def test_hyperparameters_are_typed(models, refused, name, value, message):
    shape = load_potential(models["float32"]).metadata.hyperparameters
    refused(with_metadata(models["float32"], hyperparameters={**shape, name: value}), message)


def encoded_again_and_again(times: int = 3000, size: int = 2**20) -> bytes:
    """A pickle that turns one remembered text into bytes, many times."""
    text = b"X" + struct.pack("<I", size) + b"a" * size + b"q\x00" + b"X\x06\x00\x00\x00latin1q\x01"
    once = b"c_codecs\nencode\nh\x00h\x01\x86R"
    return b"\x80\x02](" + text + once * times + b"e."


def test_a_text_that_is_encoded_again_and_again(tmp_path):
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", encoded_again_and_again())
    begin = time.process_time()
    assert foreign_format(path) is None
    with pytest.raises(ModelFileError, match="makes more than 134217728 bytes of text"):
        read_foreign(path, energy_unit="eV")
    assert time.process_time() - begin < 2.0


def test_directories_of_many_entries(tmp_path):
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        file.writestr("a/b", b"")
    whole = buffer.getvalue()
    start = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    path.write_bytes(whole[:start] + whole[start:end] * 300_000 + whole[end:])
    begin = time.process_time()
    with pytest.raises(ModelFileError, match="more than 10000 entries"):
        load_potential(path)
    assert time.process_time() - begin < 1.0


def test_escape_sequences_are_written_out(models, refused):
    evil = "\x1b]0;title\x07\x1b[2J\u202e"
    assert printable(evil) == "\\x1b]0;title\\x07\\x1b[2J\\u202e"
    assert printable("Å, line\nand\ttab") == "Å, line\nand\ttab"
    assert "\x1b" not in str(ModelFileError(f"the module {evil}"))
