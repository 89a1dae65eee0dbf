"""Metadata: typed where they are right, refused by name where they are not."""

import pytest

from helpers import ethanol, rewrite, with_metadata
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential
from schnet_calc.modelfile.archive import METADATA, ModelFileError


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
def test_metadata_of_the_wrong_kind_are_refused(models, refused, changes, message):
    refused(with_metadata(models["float32"], **changes), message)


def test_hyperparameters_of_another_network_are_refused(models, tmp_path):
    """Whatever engine is asked for: the network is made of them."""
    metadata = load_potential(models["float32"]).metadata
    shape = {**metadata.hyperparameters, "n_features": 25}
    for n, changed in enumerate((shape, {**shape, "depth": 3}, {**shape, "cutoff": "far"})):
        path = tmp_path / f"{n}.pt"
        path.write_bytes(with_metadata(models["float32"], hyperparameters=changed))
        with pytest.raises(
            ModelFileError, match=r"not those of (a SchNet|one network)|cutoff must be a finite number"
        ):
            load_potential(path)


@pytest.mark.parametrize("raw", [b"", b"[1, 2]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_metadata_that_are_no_object_are_refused(models, refused, raw):
    def change(name, content):
        yield name, raw if name.endswith(METADATA) else content

    refused(rewrite(models["float32"], change), METADATA)


def test_a_file_of_an_earlier_version_loads(models, tmp_path):
    """Without the hash of its contents, which came later."""
    path = tmp_path / "earlier.pt"
    path.write_bytes(with_metadata(models["float32"], contents_sha256=None))
    expected, found = (SchNetCalculator(p).evaluate([ethanol()])[0] for p in (models["float32"], path))
    assert found.energy == expected.energy
