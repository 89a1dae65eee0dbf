"""Damaged, forged and dangerous archives are refused before anything in them is used."""

import io
import zipfile

import pytest
import torch

from helpers import ethanol, rewrite, with_metadata
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential
from schnet_calc.modelfile.archive import METADATA, ModelFileError


@pytest.mark.parametrize("keep", [0, 10, 1000, 0.5, 0.99])
def test_truncated_files_are_refused(models, tmp_path, keep):
    content = models["float32"].read_bytes()
    size = int(keep * len(content)) if isinstance(keep, float) else keep
    (tmp_path / "cut.pt").write_bytes(content[:size])
    with pytest.raises(ModelFileError, match="not a model file"):
        load_potential(tmp_path / "cut.pt")


def test_tampered_weights_are_refused(models, refused):
    """Swap the metadata's hash: the archive is intact, its parts don't belong together."""
    refused(with_metadata(models["float32"], weights_sha256="0" * 64), "do not have the SHA-256")


@pytest.mark.parametrize("part", ["code/", "data/", "extra/weights", "constants.pkl"])
def test_any_other_content_is_refused(models, refused, part):
    """Code or tensors of TorchScript that others put in: it isn't what was saved."""

    def change(name, content):
        hit = f"/{part}" in name and content
        yield name, content[:-1] + bytes([content[-1] ^ 1]) if hit else content

    refused(rewrite(models["float32"], change), "contents do not have the SHA-256")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("../../escape", "reaches out of the archive"),
        ("/etc/passwd", "reaches out of the archive"),
        ("archive\\..\\x", "reaches out of the archive"),
        ("elsewhere/x", "outside the archive's one folder"),
    ],
)
def test_escaping_entries_are_refused(models, refused, extra, message):
    buffer = io.BytesIO(models["float32"].read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(extra, b"x")
    refused(buffer.getvalue(), message)


def test_entries_that_occur_twice_are_refused(models, refused):
    def change(name, content):
        yield name, content
        if name.endswith(METADATA):
            yield name, content

    with pytest.warns(UserWarning, match="Duplicate name"):
        content = rewrite(models["float32"], change)
    refused(content, "occurs twice")


def test_oversized_entries_are_refused(models, refused, monkeypatch):
    """A bomb: 32 MiB of zeros in a few kB; and an entry beyond what any model has."""
    buffer = io.BytesIO(models["float32"].read_bytes())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        folder = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{folder}/zeros", bytes(2**25))
    refused(buffer.getvalue(), "would be 33554432 bytes")
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(200):
            archive.writestr(f"archive/{k}", bytes(2**20))
    refused(buffer.getvalue(), "the entries would be 209715200 bytes")
    monkeypatch.setattr("schnet_calc.modelfile.archive.LARGEST_ENTRY", 100)
    refused(models["float32"].read_bytes(), "more than 100")


def test_a_damaged_byte_is_noticed(models, tmp_path):
    content = bytearray(models["float32"].read_bytes())
    for place in range(100, len(content), len(content) // 40):
        damaged = content.copy()
        damaged[place] ^= 0x40
        path = tmp_path / "damaged.pt"
        path.write_bytes(damaged)
        try:
            found = load_potential(path)
        except ModelFileError:
            continue
        assert found.metadata == load_potential(models["float32"]).metadata  # padding between entries


def test_no_pickle_is_run(models, tmp_path, monkeypatch):
    """Whatever code there is in a file of this package: weights are evaluated, nothing else is looked at."""
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("pickle.loads"))
    monkeypatch.setattr("pickle.load", lambda *_: pytest.fail("pickle.load"))
    monkeypatch.setattr("pickle.Unpickler", lambda *_: pytest.fail("pickle.Unpickler"))
    load_potential(models["float32"])
    marker = tmp_path / "executed"
    code = f"cbuiltins\nopen\n(S'{marker}'\nS'w'\ntR.".encode()

    def change(name, content):
        yield name, code if name.endswith("/data.pkl") else content

    path = tmp_path / "evil.pt"
    changed = rewrite(models["float32"], change)
    path.write_bytes(changed)
    path.write_bytes(with_metadata(path, contents_sha256=None))
    monkeypatch.undo()  # compiled code is kept as pickles
    for engine in ("compiled", "script"):
        expected, found = (
            SchNetCalculator(p, engine=engine).evaluate([ethanol()])[0] for p in (models["float32"], path)
        )
        assert found.energy == expected.energy
    assert not marker.exists()


def test_pickles_are_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "pickle.pt")
    with pytest.raises(ModelFileError, match="not a model file"):
        load_potential(tmp_path / "pickle.pt")
