"""The model file: opened without the package, refused with a reason, found by name."""

import io
import json
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
from conftest import REFERENCES, ethanol, random_network, write_model

from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential, save_model, shipped_models
from schnet_calc.modelfile.archive import METADATA, ModelFileError
from schnet_calc.modelfile.potential import weights_sha256

WITHOUT_PACKAGE = """
import sys, torch
sys.modules["schnet_calc"] = None
module = torch.jit.load(sys.argv[1])
numbers = torch.tensor([6, 8])
positions = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2]], dtype=torch.float64)
pairs = torch.tensor([[0, 1], [1, 0]])
shifts, system = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
print(module(numbers, positions, pairs, shifts, system).sum().item())
"""


class Harmonic(torch.nn.Module):
    """A foreign network that keeps the contract: every atom bound to the origin."""

    def forward(
        self,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        pairs: torch.Tensor,
        shifts: torch.Tensor,
        system: torch.Tensor,
    ) -> torch.Tensor:
        vectors = positions[pairs[1]] + shifts - positions[pairs[0]]
        energies = 0.25 * (vectors**2).sum(1)
        return torch.zeros_like(positions[:, 0]).index_add(0, pairs[0], energies)


FOREIGN = {
    "format_version": 1,
    "cutoff": None,
    "elements": [1],
    "reference_energies_ev": {"1": 0.0},
    "dtype": "float64",
}


def write_foreign(path, metadata, module=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(module or Harmonic())
        extra = {} if metadata is None else {METADATA: json.dumps(metadata)}
        torch.jit.save(scripted, str(path), _extra_files=extra)
    return path


def test_opens_without_this_package(models):
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_PACKAGE, str(models["float64"])],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    import ase

    atoms = ase.Atoms("CO", positions=[(0, 0, 0), (0, 0, 1.2)])
    prediction = SchNetCalculator(models["float64"], engine="script").evaluate([atoms])[0]
    assert float(output) == pytest.approx(prediction.energy - REFERENCES[6] - REFERENCES[8], abs=1e-9)


def test_round_trip(models):
    potential = load_potential(models["float32"])
    network = potential.network()
    assert weights_sha256(potential.weights) == potential.metadata.weights_sha256
    torch.testing.assert_close(network.state_dict(), random_network(torch.float32).state_dict())
    assert potential.reference_energies == REFERENCES
    assert potential.cutoff == 4.0


def test_foreign_module_runs(tmp_path):
    import ase

    atoms = ase.Atoms("H2", positions=[(0, 0, 0), (0, 0, 2)])
    atoms.calc = SchNetCalculator(write_foreign(tmp_path / "harmonic.pt", FOREIGN))
    assert atoms.calc.engine.name == "script"
    assert atoms.get_potential_energy() == pytest.approx(2.0)
    np.testing.assert_allclose(atoms.get_forces(), [[0, 0, 2], [0, 0, -2]])
    with pytest.raises(ValueError, match="use engine='script'"):
        SchNetCalculator(tmp_path / "harmonic.pt", engine="fused")


class WrongArguments(torch.nn.Module):
    """Not the contract."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("metadata", "module", "message"),
    [
        (None, None, f"holds no {METADATA}"),
        ({**FOREIGN, "format_version": 99}, None, "format version 99, newer"),
        ({k: v for k, v in FOREIGN.items() if k not in ("cutoff", "dtype")}, None, "lacks cutoff, dtype"),
        ({**FOREIGN, "dtype": "int8"}, None, "float32 or float64"),
        ({**FOREIGN, "elements": [1, 6]}, None, "no reference energy for the elements"),
        (FOREIGN, WrongArguments(), "forward takes .*'x'.* but the contract is"),
    ],
)
def test_foreign_files_say_what_is_missing(tmp_path, metadata, module, message):
    with pytest.raises(ModelFileError, match=message):
        load_potential(write_foreign(tmp_path / "foreign.pt", metadata, module))


@pytest.mark.parametrize("keep", [0, 10, 1000, 0.5, 0.99])
def test_truncated_files_are_refused(models, tmp_path, keep):
    content = models["float32"].read_bytes()
    size = int(keep * len(content)) if isinstance(keep, float) else keep
    (tmp_path / "cut.pt").write_bytes(content[:size])
    with pytest.raises(ModelFileError, match="not a model file"):
        load_potential(tmp_path / "cut.pt")


def rewrite(path, change):
    """A copy of an archive whose entries a function changes: (name, content) -> entries to write."""
    source, buffer = zipfile.ZipFile(path), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for item in source.infolist():
            for name, content in change(item.filename, source.read(item)):
                target.writestr(name, content)
    return buffer.getvalue()


def with_metadata(path, **changes):
    """The archive with other metadata; None takes a key away."""

    def change(name, content):
        if name.endswith(METADATA):
            metadata = {**json.loads(content), **changes}
            content = json.dumps({k: v for k, v in metadata.items() if v is not None}).encode()
        yield name, content

    return rewrite(path, change)


def refused(folder, content, message):
    path = folder / "refused.pt"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        load_potential(path)


def test_tampered_weights_are_refused(models, tmp_path):
    """Swap the metadata's hash: the archive is intact, its parts don't belong together."""
    refused(tmp_path, with_metadata(models["float32"], weights_sha256="0" * 64), "do not have the SHA-256")


@pytest.mark.parametrize("part", ["code/", "data/", "extra/weights", "constants.pkl"])
def test_any_other_content_is_refused(models, tmp_path, part):
    """Code or tensors of TorchScript that others put in: it isn't what was saved."""

    def change(name, content):
        hit = f"/{part}" in name and content
        yield name, content[:-1] + bytes([content[-1] ^ 1]) if hit else content

    refused(tmp_path, rewrite(models["float32"], change), "contents do not have the SHA-256")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("../../escape", "reaches out of the archive"),
        ("/etc/passwd", "reaches out of the archive"),
        ("archive\\..\\x", "reaches out of the archive"),
        ("elsewhere/x", "outside the archive's one folder"),
    ],
)
def test_escaping_entries_are_refused(models, tmp_path, extra, message):
    buffer = io.BytesIO(models["float32"].read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(extra, b"x")
    refused(tmp_path, buffer.getvalue(), message)


def test_entries_that_occur_twice_are_refused(models, tmp_path):
    def change(name, content):
        yield name, content
        if name.endswith(METADATA):
            yield name, content

    with pytest.warns(UserWarning, match="Duplicate name"):
        content = rewrite(models["float32"], change)
    refused(tmp_path, content, "occurs twice")


def test_oversized_entries_are_refused(models, tmp_path, monkeypatch):
    """A bomb: 32 MiB of zeros in a few kB; and an entry beyond what any model has."""
    buffer = io.BytesIO(models["float32"].read_bytes())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        folder = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{folder}/zeros", bytes(2**25))
    refused(tmp_path, buffer.getvalue(), "would be 33554432 bytes")
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(200):
            archive.writestr(f"archive/{k}", bytes(2**20))
    refused(tmp_path, buffer.getvalue(), "the entries would be 209715200 bytes")
    monkeypatch.setattr("schnet_calc.modelfile.archive.LARGEST_ENTRY", 100)
    refused(tmp_path, models["float32"].read_bytes(), "more than 100")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"units": {"energy": "kcal/mol", "length": "Ang"}}, "units must be .*eV.* got .*kcal/mol"),
        ({"cutoff": -2.0}, "cutoff must be a positive number"),
        ({"cutoff": "far"}, "cutoff must be a positive number"),
        ({"elements": []}, "elements must be a list"),
        ({"elements": [6, 400]}, "elements must be a list"),
        ({"reference_energies_ev": {"6": "low"}}, "reference_energies_ev must be finite"),
        ({"reference_energies_ev": {"6": float("nan")}}, "reference_energies_ev must be finite"),
        ({"reference_energies_ev": {"carbon": 1.0}}, "reference_energies_ev must be finite"),
        ({"format_version": "one"}, "format_version must be a whole number"),
        ({"hyperparameters": 3}, "hyperparameters must be an object"),
    ],
)
def test_metadata_of_the_wrong_kind_are_refused(models, tmp_path, changes, message):
    refused(tmp_path, with_metadata(models["float32"], **changes), message)


def test_hyperparameters_of_another_network_are_refused(models, tmp_path):
    """Only the fused engine needs them; it says so instead of failing somewhere."""
    metadata = load_potential(models["float32"]).metadata
    shape = {**metadata["hyperparameters"], "n_features": 25}
    for n, changed in enumerate((shape, {**shape, "depth": 3}, {**shape, "cutoff": "far"})):
        path = tmp_path / f"{n}.pt"
        path.write_bytes(with_metadata(models["float32"], hyperparameters=changed))
        with pytest.raises(ModelFileError, match="not those of a SchNet"):
            SchNetCalculator(path, engine="fused")


@pytest.mark.parametrize("raw", [b"", b"[1, 2]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_metadata_that_are_no_object_are_refused(models, tmp_path, raw):
    def change(name, content):
        yield name, raw if name.endswith(METADATA) else content

    refused(tmp_path, rewrite(models["float32"], change), METADATA)


def test_a_file_of_an_earlier_version_loads(models, tmp_path):
    """Without the hash of its contents, which came later."""
    path = tmp_path / "earlier.pt"
    path.write_bytes(with_metadata(models["float32"], contents_sha256=None))
    expected, found = (SchNetCalculator(p).evaluate([ethanol()])[0] for p in (models["float32"], path))
    assert found.energy == expected.energy


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
    """The archive's data.pkl is read by TorchScript's own reader, which knows no Python objects."""
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
    with pytest.raises(ModelFileError, match="TorchScript says"):
        load_potential(path)
    assert not marker.exists()


def test_pickles_are_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "pickle.pt")
    with pytest.raises(ModelFileError, match="not a model file"):
        load_potential(tmp_path / "pickle.pt")


def test_unknown_names_list_the_shipped_ones():
    assert "c20" in shipped_models()
    with pytest.raises(FileNotFoundError, match=r"no shipped model of that name .*c20"):
        load_potential("c21")


def test_saving_replaces_in_one_step(models, tmp_path, monkeypatch):
    path = write_model(tmp_path / "model.pt")
    before = path.read_bytes()
    monkeypatch.setattr(
        "schnet_calc.modelfile.potential.save_safetensors",
        lambda w: (_ for _ in ()).throw(OSError("disk full")),
    )
    with pytest.raises(OSError, match="disk full"):
        save_model(path, random_network(), REFERENCES)
    assert path.read_bytes() == before


def test_options_of_the_network_survive(tmp_path):
    options = {"shared_filters": True, "neighbor_average": 12.0, "filter_activation": True}
    path = write_model(tmp_path / "m.pt", **options)
    script, fused = (
        SchNetCalculator(path, engine=name).evaluate([ethanol()])[0] for name in ("script", "fused")
    )
    np.testing.assert_allclose(fused.forces, script.forces, atol=1e-6)


def test_mean_pooling_is_intensive(tmp_path):
    path = write_model(tmp_path / "mean.pt", pooling="mean")
    calculator = SchNetCalculator(path)
    assert calculator.engine.name == "script"
    one, far = ethanol(), ethanol()
    far.positions += 100
    offset = sum(REFERENCES[z] for z in one.numbers)
    single = calculator.evaluate([one])[0].energy - offset
    double = calculator.evaluate([one + far])[0].energy - 2 * offset
    assert double == pytest.approx(single, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_features": 0}, "n_features must be positive, got 0"),
        ({"cutoff": -1.0}, "cutoff must be positive"),
        ({"cutoff_function": "step"}, "cutoff_function is"),
        ({"pooling": "max"}, "pooling is"),
        ({"basis_start": 9.0}, "must lie beyond"),
    ],
)
def test_bad_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        random_network(**options)
