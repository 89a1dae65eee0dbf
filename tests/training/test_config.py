"""Configurations: read, completed, refused by name."""

import pytest

from schnet_calc.nn import SchNetConfig
from schnet_calc.training import RunConfig


def test_intensive_properties_take_no_references():
    with pytest.raises(ValueError, match="needs reference = 'none'"):
        RunConfig(model=SchNetConfig(pooling="mean"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[modle]\n", "unknown section 'modle'"),
        ("[model]\nn_feature = 3\n", r"unknown key 'n_feature' in \[model\]"),
        ("[training]\nschedule = 'warm'\n", "schedule is one of"),
        ("[training]\nsteps = 0\n", "steps must be positive and finite, got 0"),
        ("[training]\nsteps = '9'\n", "steps must be of type int, got '9'"),
    ],
)
def test_bad_configurations_are_named(tmp_path, text, message):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises((ValueError, TypeError), match=message):
        RunConfig.from_toml(tmp_path / "bad.toml")


def test_files_beside_the_configuration_are_found(tmp_path, monkeypatch):
    """Data and split by their names, wherever the command is given; what is there comes first."""
    (tmp_path / "run.toml").write_text("[data]\nfile = 'frames.npz'\nsplit = 'split.npz'\n")
    for name in ("frames.npz", "split.npz"):
        (tmp_path / name).write_bytes(b"")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    data = RunConfig.from_toml(tmp_path / "run.toml").data
    assert (data.file, data.split) == (str(tmp_path / "frames.npz"), str(tmp_path / "split.npz"))
    (elsewhere / "split.npz").write_bytes(b"")
    assert RunConfig.from_toml(tmp_path / "run.toml").data.split == "split.npz"
    (tmp_path / "random.toml").write_text("[data]\nsplit = 'random'\n")
    assert RunConfig.from_toml(tmp_path / "random.toml").data.split == "random"
