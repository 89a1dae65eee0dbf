"""``schnet-calc c20``."""

import json

import pytest


@pytest.mark.parametrize("key", ["model_sha256", "weights_sha256"])
def test_c20_does_not_mix_models(run, tmp_path, key):
    """Nor studies of the first version, which knew a model by the hash of its weights."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text(json.dumps({key: "another", "seed": 0}))
    code, _, err = run("c20", "--time", "0.1", "-o", "study")
    assert code == 1
    kept = "'another'" if key == "model_sha256" else None
    assert f"the run in study has model_sha256 = {kept}, not" in err.replace("\n", " ")


@pytest.mark.slow
def test_the_study_of_the_shipped_model_has_no_doubt(run, tmp_path):
    """It begins with cages that were rattled by 0.05 Å, farther than any training data."""
    code, _, err = run("c20", "--time", "0.1", "-o", "study")
    assert code == 0
    assert "outside of what the model knows" not in err
    assert (tmp_path / "study" / "c20.json").exists()
