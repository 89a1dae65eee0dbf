"""Model files: saved, found by name, opened without the package."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import ase
import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from helpers import REFERENCES, ethanol, random_network, rewrite, with_metadata, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential, save_model, shipped_models
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


def test_opens_without_this_package(models):
    output = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_PACKAGE, str(models["float64"])],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    atoms = ase.Atoms("CO", positions=[(0, 0, 0), (0, 0, 1.2)])
    prediction = SchNetCalculator(models["float64"], engine="script").evaluate([atoms])[0]
    assert float(output) == pytest.approx(prediction.energy - REFERENCES[6] - REFERENCES[8], abs=1e-9)


def test_round_trip(models):
    potential = load_potential(models["float32"])
    network = potential.network()
    assert weights_sha256(potential.weights) == potential.metadata.weights_sha256
    torch.testing.assert_close(network.state_dict(), random_network(torch.float32).state_dict())
    assert potential.native
    assert potential.reference_energies == REFERENCES
    assert potential.cutoff == potential.metadata.cutoff == 4.0
    assert potential.dtype == torch.float32
    assert potential.elements == [1, 6, 8, 14]
    assert potential.metadata.config == network.config
    assert potential.metadata.raw["hyperparameters"] == potential.metadata.hyperparameters
    with pytest.raises(FrozenInstanceError):
        potential.path = ""


def test_the_hash_is_that_of_all_that_is_evaluated(tmp_path):
    """Weights, hyperparameters and reference energies; not the name, nor what is said of the training."""

    def hash_of(references=REFERENCES, training=None, **options):
        save_model(tmp_path / "m.pt", random_network(**options), references, training)
        return load_potential(tmp_path / "m.pt").sha256

    known = [
        hash_of(),
        hash_of({**REFERENCES, 8: -2042.4}),
        hash_of({z: REFERENCES[z] for z in (1, 6, 8)}),
        hash_of(cutoff_function="hard"),
        hash_of(neighbor_average=2.0),
        hash_of(dtype=torch.float32),
    ]
    network = random_network()
    with torch.no_grad():
        network.embedding.weight[6, 3] += 1e-9
    save_model(tmp_path / "m.pt", network, REFERENCES)
    known.append(load_potential(tmp_path / "m.pt").sha256)
    assert len(set(known)) == len(known)
    assert hash_of(training={"note": "another"}) == known[0]


def test_weights_of_the_first_version_have_other_names(models, tmp_path):
    """One hidden layer in the head, called by itself, and fewer hyperparameters."""
    later, hashes = ("contents_sha256", "outputs"), []
    known = [
        "n_features",
        "n_interactions",
        "n_gaussians",
        "cutoff",
        "pooling",
        "shared_filters",
        "filter_activation",
    ]

    def change(name, content):
        if name.endswith("weights.safetensors"):
            weights = {k.replace("output_hidden.0.", "output_hidden."): v for k, v in load(content).items()}
            assert "output_hidden.weight" in weights
            content = save(weights)
            hashes.append(weights_sha256(weights))
        yield name, content

    path = tmp_path / "old.pt"
    path.write_bytes(rewrite(models["float32"], change))
    shape = load_potential(models["float32"]).metadata.hyperparameters
    kept = {name: shape[name] for name in known}
    path.write_bytes(
        with_metadata(path, hyperparameters=kept, weights_sha256=hashes[0], **dict.fromkeys(later))
    )
    expected, found = (SchNetCalculator(p).evaluate([ethanol()])[0] for p in (models["float32"], path))
    np.testing.assert_array_equal(found.forces, expected.forces)


def test_unknown_names_list_the_shipped_ones():
    assert "c20" in shipped_models()
    with pytest.raises(FileNotFoundError, match=r"no shipped model of that name .*c20"):
        load_potential("c21")


def test_saving_replaces_in_one_step(models, tmp_path, monkeypatch):
    path = write_model(tmp_path / "model.pt")
    before = path.read_bytes()
    monkeypatch.setattr(
        "schnet_calc.modelfile.saving.save_safetensors",
        lambda w: (_ for _ in ()).throw(OSError("disk full")),
    )
    with pytest.raises(OSError, match="disk full"):
        save_model(path, random_network(), REFERENCES)
    assert path.read_bytes() == before
