"""``schnet-calc c20``."""


def test_c20_does_not_mix_models(run, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text('{"weights_sha256": "another", "seed": 0}')
    code, _, err = run("c20", "--time", "0.1", "-o", "study")
    assert code == 1
    assert "holds a study with weights_sha256 = another" in err.replace("\n", " ")
