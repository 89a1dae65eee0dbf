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
